"""The costs of spaces: what is measured of one, of one without a supernet, and the table."""

from __future__ import annotations

import pytest

from benchmarks import space_costs
from benchmarks.space_costs import Costs, example_input, measure, names_of_spaces, table
from naslib.search_spaces import FBNetSearchSpace, SimpleSequenceSearchSpace


@pytest.mark.slow
def test_a_space_is_measured_with_its_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space_costs, "N_DRAWS", 2)
    space = FBNetSearchSpace(4, widths=(4, 4), n_cells=(1, 1), strides=(1, 1), stem_channels=4, head_channels=4)
    costs = measure("fbnet", space, 0.5, rounds=1)
    assert (costs.space, costs.build, costs.decisions, costs.note) == ("fbnet", 0.5, 2, "")
    assert costs.adapt is not None and costs.adapt > 0 and costs.draw > 0
    assert costs.ratio is not None and costs.path is not None and costs.discrete is not None
    assert costs.ratio == pytest.approx(costs.path / costs.discrete)
    sizes = [parameter.numel() for layer in (2, 3) for op in space.edges[layer, layer + 1].op.edges[1, 2].op
             for parameter in op.parameters()]  # fmt: skip
    fixed = 3 * 9 * 4 + 8 + 4 * 4 + 8 + 5 * 4
    assert costs.parameters == pytest.approx((sum(sizes) + fixed) / 1e6)


def test_a_space_without_a_supernet_has_draws_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space_costs, "N_DRAWS", 2)

    class Separate(FBNetSearchSpace):
        NO_SUPERNET = "they share nothing"

    costs = measure("separate", Separate(4, widths=(4,), n_cells=(1,), strides=(1,), stem_channels=4), 0.1, rounds=1)
    assert costs.adapt is None and costs.ratio is None and costs.draw > 0
    assert "they share nothing" in costs.note


def test_inputs_are_those_that_a_space_reads() -> None:
    small = FBNetSearchSpace(4, 1, (8, 24), widths=(4,), n_cells=(1,), strides=(1,), stem_channels=4, stem_stride=1)
    assert example_input(small).shape == (2, 1, 8, 24)
    assert example_input(SimpleSequenceSearchSpace(in_channels=3)).shape == (2, 3, 32)


def test_the_table_marks_a_slow_draw() -> None:
    quick = Costs("quick", 0.1, 0.2, 3, 1.5, 0.05, 2.0, 1.0, 2.0)
    slow = Costs("slow", 0.1, None, 3, None, 0.5, note="refused")
    lines = table([quick, slow]).splitlines()
    assert lines[2] == "| `quick` | 0.10 | 0.20 | 3 | 1.50 | 0.050 | 2.0 | 1.0 | 2.00 |  |"
    assert lines[3] == "| `slow` | 0.10 | - | 3 | - | 0.500 (over 0.2) | - | - | - | refused |"
    assert quick.keeps_limit and not slow.keeps_limit


def test_each_space_has_one_name() -> None:
    names = names_of_spaces()
    assert {"fbnet", "mnasnet", "nasbench_macro", "proxylessnas"} <= set(names)
    assert len(names) == len(set(names)) and ("darts" in names) != ("nasbench301" in names)
