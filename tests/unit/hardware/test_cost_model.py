"""CostModel: expectations against sums over all architectures, gradients, the choice of edges; and the knapsack."""

from __future__ import annotations

import itertools
import math
from random import Random

import pytest
import torch
from torch import Tensor, nn

from naslib.errors import ConfigError
from naslib.hardware import LatencyTable, builder
from naslib.hardware.calibrate import (
    TableCalibration,
    calibrated_table,
    corrected_table,
    fit_calibration,
    measure_networks,
)
from naslib.hardware.cost_model import EDGE_TEMPERATURE, CostModel, CostTerm, KeptEdges, inclusion
from naslib.hardware.projection import as_scores, cost_range, most_likely_within


def _model(widths: list[int], orders: list[tuple[int, ...]], seed: int = 0, **more) -> CostModel:
    generator = torch.Generator().manual_seed(seed)
    terms = [
        CostTerm(of, torch.rand([widths[d] for d in of], generator=generator, dtype=torch.float64)) for of in orders
    ]
    names = tuple(f"d{index}" for index in range(len(widths)))
    allowed = [tuple(range(width)) for width in widths]
    return CostModel(names, **{"allowed": allowed, "widths": widths, "fixed": 0.7, "terms": terms, **more})


def _probabilities(model: CostModel, seed: int = 1) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(w, generator=generator, dtype=torch.float64).softmax(-1) for w in model.widths]


def test_the_expectation_is_the_mean_over_all_architectures():
    model = _model([2, 3, 4, 2], [(0,), (1, 2), (0, 2, 3), (3,)])
    rows = _probabilities(model)
    mean = 0.0
    for choices in itertools.product(*(range(width) for width in model.widths)):
        chance = math.prod(float(row[choice]) for row, choice in zip(rows, choices, strict=True))
        cost = 0.7 + sum(float(term.values[tuple(choices[d] for d in term.decisions)]) for term in model.terms)
        assert model.of_choices(choices) == pytest.approx(cost, rel=1e-14)
        mean += chance * cost
    assert float(model.expected(rows)) == pytest.approx(mean, rel=1e-13)


def test_the_gradient_is_that_of_the_formula_and_of_finite_differences():
    """dE/dalpha_i = p_i (F_i - sum_j p_j F_j), with F the cost given the candidate, all else expected."""
    model = _model([3, 4, 2], [(0,), (1,), (2,), (0, 1)])
    alphas = [row.log().requires_grad_() for row in _probabilities(model)]

    def expected() -> Tensor:
        return model.expected([alpha.softmax(-1) for alpha in alphas])

    found = torch.autograd.grad(expected(), alphas)
    p = [alpha.detach().softmax(-1) for alpha in alphas]
    single = [term.values for term in model.terms]
    costs = [single[0] + single[3] @ p[1], single[1] + p[0] @ single[3], single[2]]
    for row, f, gradient in zip(p, costs, found, strict=True):
        torch.testing.assert_close(gradient, row * (f - (row * f).sum()), rtol=0, atol=1e-14)
    h = 1e-5
    for alpha, gradient in zip(alphas, found, strict=True):
        for index in range(len(alpha)):
            with torch.no_grad():
                alpha[index] += h
                up = float(expected())
                alpha[index] -= 2 * h
                down = float(expected())
                alpha[index] += h
            assert float(gradient[index]) == pytest.approx((up - down) / (2 * h), abs=1e-9)


@pytest.mark.parametrize("kept", [1, 2, 3, 5])
def test_chances_of_edges_are_those_of_draws_without_replacement(kept: int):
    weights = torch.tensor([0.5, 2.0, 0.1, 1.0, 3.0], dtype=torch.float64)
    chances = [0.0] * 5
    for order in itertools.permutations(range(5), kept):
        left, chance = float(weights.sum()), 1.0
        for index in order:
            chance *= float(weights[index]) / left
            left -= float(weights[index])
        for index in order:
            chances[index] += chance
    found = inclusion(weights, kept)
    torch.testing.assert_close(found, torch.tensor(chances, dtype=torch.float64), rtol=1e-12, atol=0)
    assert float(found.sum()) == pytest.approx(kept, rel=1e-12)


def _pruned() -> CostModel:
    """A node that keeps two of three edges, whose first candidate is never left, and one decision beside it."""
    return _model(
        [3, 3, 3, 2], [(0,), (1,), (2,), (3,)],
        allowed=[(1, 2)] * 3 + [(0, 1)], groups=[KeptEdges((0, 1, 2), 2)],
    )  # fmt: skip


def test_the_expectation_with_edges_that_a_node_drops():
    model, rows = _pruned(), _probabilities(_pruned())
    left = [row[1:] / row[1:].sum() for row in rows[:3]]
    weights = [float(row[1:].max()) ** (1 / EDGE_TEMPERATURE) for row in rows[:3]]
    expected = 0.7 + float((rows[3] * model.terms[3].values).sum())
    for first, second in itertools.permutations(range(3), 2):
        rest = sum(weights) - weights[first]
        chance = weights[first] / sum(weights) * weights[second] / rest
        expected += chance * sum(float((left[e] * model.terms[e].values[1:]).sum()) for e in (first, second))
    assert float(model.expected(rows)) == pytest.approx(expected, rel=1e-12)
    # towards one edge that is certain the expectation is that of the architecture
    sure = [torch.tensor([0.0, 1.0, 0.0]), torch.tensor([0.98, 0.01, 0.01]), torch.tensor([0.0, 0.0, 1.0])]
    sure = [row.double() for row in [*sure, torch.tensor([0.0, 1.0])]]
    assert model.choose(sure) == [1, None, 2, 1]
    assert float(model.expected(sure)) == pytest.approx(model.of_choices([1, None, 2, 1]), rel=1e-12)


def test_choices_are_made_as_spaces_make_them():
    model = _pruned()
    tie = [torch.tensor([0.9, 0.05, 0.05])] * 3 + [torch.tensor([0.5, 0.5])]
    assert model.choose(tie) == [1, 1, None, 0]  # the first of equals, the lower source
    for scores in (tie, *(_probabilities(model, seed) for seed in range(20))):
        rows = model.chosen_rows(scores)
        told = [int(row.argmax()) if bool(row.any()) else None for row in rows]
        assert told == model.choose(scores)
        assert float(model.of_rows(rows)) == pytest.approx(model.of_choices(told), rel=1e-6)


# the knapsack


def _all(model: CostModel):
    """Yield every architecture."""
    edges = {edge for group in model.groups for edge in group.edges}
    kept = [itertools.combinations(group.edges, group.kept) for group in model.groups]
    for chosen in itertools.product(*kept):
        left = {edge for of_group in chosen for edge in of_group}
        yield from itertools.product(
            *([None] if d in edges - left else list(model.allowed[d]) for d in range(len(model.widths)))
        )


def _score(scores: list[Tensor], choices) -> float:
    return sum(math.log(float(row[c])) for row, c in zip(scores, choices, strict=True) if c is not None)


MODELS = {
    "apart": lambda seed: _model([3, 4, 2, 3], [(0,), (1,), (2,), (3,)], seed),
    "together": lambda seed: _model([3, 2, 2, 3], [(0, 1), (1, 2), (3,), (2, 3)], seed),
    "pruned": lambda seed: CostModel(
        _pruned().names, [(1, 2)] * 3 + [(0, 1)], [3, 3, 3, 2], 0.7,
        _model([3, 3, 3, 2], [(0,), (1,), (2,), (3,)], seed).terms, [KeptEdges((0, 1, 2), 2)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_the_knapsack_is_that_of_a_search_through_everything(name: str):
    rng = Random(0)
    for seed in range(6):
        model, scores = MODELS[name](seed), _probabilities(MODELS[name](seed), seed + 50)
        everything = [(model.of_choices(c), _score(scores, c), list(c)) for c in _all(model)]
        costs = [cost for cost, _, _ in everything]
        assert cost_range(model) == pytest.approx((min(costs), max(costs)), rel=1e-12)
        free = most_likely_within(model, scores, -math.inf, 1e9)
        assert free.choices == model.choose(scores) and free.is_within
        for _ in range(5):
            high = rng.uniform(min(costs), max(costs))
            for low in (-math.inf, 0.9 * high):
                within = [entry for entry in everything if low <= entry[0] <= high]
                found = most_likely_within(model, scores, low, high)
                assert found.is_within == bool(within)
                if within:
                    _, score, choices = max(within, key=lambda entry: entry[1])
                    assert found.choices == choices and found.score == pytest.approx(score, rel=1e-12)
                else:
                    assert found.cost == pytest.approx(max(cost for cost in costs if cost < low), rel=1e-3)
        assert most_likely_within(model, scores, -math.inf, 0.5 * min(costs)).cost == pytest.approx(min(costs))


def test_decisions_that_hold_all_others_together_are_tried_one_by_one(monkeypatch: pytest.MonkeyPatch):
    model = _model([3, 4, 4, 4], [(0, 1), (0, 2), (0, 3)])
    scores = _probabilities(model)
    monkeypatch.setattr("naslib.hardware.projection._MOST_WAYS", 20)  # of 3 * 4^3
    high = sum(cost_range(model)) / 2
    within = [c for c in _all(model) if model.of_choices(c) <= high]
    best = max(within, key=lambda c: _score(scores, c))
    assert most_likely_within(model, scores, -math.inf, high).choices == list(best)
    monkeypatch.setattr("naslib.hardware.projection._MOST_HUBS", 2)
    with pytest.raises(ConfigError, match=r"4 decisions \(d0 \.\.\.\) act on each other's costs"):
        cost_range(model)


def test_scores_of_an_architecture_lead_to_it():
    model = _pruned()
    for choices in _all(model):
        assert model.choose(as_scores(model, choices, _probabilities(model))) == list(choices)


def test_a_calibration_is_a_fit_of_relative_errors():
    found = fit_calibration([1.0, 2.0, 4.0], [3.5, 5.0, 8.0])
    assert found.scale == pytest.approx(1.5) and found.shift == pytest.approx(2.0) and found.error < 1e-12
    with pytest.raises(ConfigError, match="three networks or more with different sums, not 2"):
        fit_calibration([1.0, 2.0], [1.0, 2.0])
    with pytest.raises(ConfigError, match="take less time"):
        fit_calibration([1.0, 2.0, 3.0], [3.0, 2.0, 1.0])


def test_a_calibrated_table_says_what_networks_take():
    table = LatencyTable({"a": 2.0, "b": 4.0}, 1.0, 7, {"Op": "op"}, {"device": "x"})
    found = calibrated_table(table, TableCalibration(1.5, 3.0, 0.01, 9))
    assert found.entries == {"a": 3.0, "b": 6.0} and found.fixed == 3.0 and found.n_edges == 7
    assert found.kinds == {"Op": "op"} and found.info["device"] == "x"
    assert found.info["calibration"] == {"scale": 1.5, "shift": 3.0, "error": 0.01, "networks": 9}


def test_networks_are_measured_in_rounds(monkeypatch: pytest.MonkeyPatch):
    """By a clock that goes on by the size of what runs: medians over the rounds, in milliseconds."""
    clock, order = [0.0], []

    class Takes(nn.Module):
        def __init__(self, seconds: float) -> None:
            super().__init__()
            self.seconds = seconds

        def forward(self, x: Tensor) -> Tensor:
            order.append(self.seconds)
            clock[0] += self.seconds
            return x

    monkeypatch.setattr(builder, "perf_counter", lambda: clock[0])
    networks = [Takes(0.25), Takes(0.5)]
    assert measure_networks(networks, (1, 2, 2), repeats=3) == pytest.approx([250.0, 500.0])
    assert order[-6:] == [0.25, 0.5] * 3
    with pytest.raises(ConfigError, match="clock is one of wall, cpu, not 'sun'"):
        measure_networks(networks, (1, 2, 2), clock="sun")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    with pytest.raises(ConfigError, match="the time of one thread on the CPU, not 2 threads on cpu"):
        measure_networks(networks, (1, 2, 2), clock="cpu")


def test_entries_are_corrected_by_whole_networks():
    """Of networks that take `1.1 a + 0.9 b + 1.0 c + 2`, with many of them, and little where one tells nothing."""
    table = LatencyTable({"a": 1.0, "b": 2.0, "c": 0.5, "d": 3.0}, 0.5)
    rng = Random(1)
    uses = [{"a": 1.0 * rng.randrange(6), "b": 2.0 * rng.randrange(6), "c": 0.5 * rng.randrange(6)} for _ in range(200)]
    taken = [1.1 * u["a"] + 0.9 * u["b"] + 1.0 * u["c"] + 2.0 for u in uses]
    found, error = corrected_table(table, uses, taken)
    assert error < 1e-3 and found.fixed == pytest.approx(2.0, rel=1e-2)
    assert found.entries["a"] == pytest.approx(1.1, rel=1e-2) and found.entries["b"] == pytest.approx(1.8, rel=1e-2)
    common = fit_calibration([sum(u.values()) for u in uses], taken)
    assert found.entries["d"] == pytest.approx(3.0 * common.scale)  # in no network: the common scale
    assert found.info["calibration"] == {"networks": 200, "error": error}
