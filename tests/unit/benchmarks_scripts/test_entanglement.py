"""The script of searches on the tables of entanglement, on tiny sizes."""

from __future__ import annotations

import pytest
import torch

from benchmarks.entanglement import Found, accuracies, build_parser, make_space, run_step, search, table_of
from naslib.search_spaces.core.assignment import Assignment
from naslib.search_spaces.core.batch_norm import evaluation_mode


def _data(n: int, seed: int, side: int, channels: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, channels, side, side, generator=generator), torch.randint(10, (n,), generator=generator)


@pytest.mark.parametrize(("name", "method"), [("tanglenas_cell", "gdas"), ("tanglenas_macro", "darts")])
def test_a_search_finds_an_architecture_and_its_supernet_scores_others(name: str, method: str) -> None:
    side, channels = (28, 1) if name == "tanglenas_cell" else (32, 3)
    parts = [_data(8, seed, side, channels) for seed in (1, 2, 3)]
    optimizer, network = search(make_space(name, 2, 1), method, parts[0], parts[1], epochs=1, batch=4, seed=1)
    space = optimizer.search_space.decision_space
    assert space.is_valid(network.get_code())
    codes = [space.random(seed) for seed in range(3)]
    found = accuracies(optimizer, codes, parts[2])
    by_hand = []
    for code in codes:
        assignment = Assignment(dict(zip(space.names, code, strict=True)))
        with torch.no_grad(), evaluation_mode(optimizer.graph), optimizer.assigned(assignment):
            by_hand.append(100.0 * float((optimizer.graph(parts[2][0]).argmax(1) == parts[2][1]).float().mean()))
    assert found == pytest.approx(by_hand)


def test_the_table_has_means_over_seeds() -> None:
    rows = [
        Found("tanglenas_cell", "darts", seed, accuracy, 50.0, rank, rank / 2, 10.0, 1.0, "{}")
        for seed, accuracy, rank in ((1, 90.0, 0.2), (2, 91.0, 0.4), (3, 92.0, 0.6))
    ]
    line = table_of(rows).splitlines()[-1]
    assert line == "| `tanglenas_cell` | `darts` | 91.00 ± 1.00 | 50.0 ± 0.0 % | 0.40 ± 0.20 | 0.20 ± 0.10 | 10 ± 0 |"


@pytest.mark.slow
def test_a_step_is_timed() -> None:
    words = ["step", "--rounds", "1", "--side", "16", "--batch", "4", "--width", "0.1"]
    assert "of two" in run_step(build_parser().parse_args(words))
