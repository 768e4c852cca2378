"""BOHB: its densities against the formula written out, and when and what it draws from them."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from curve_table import TABLE, adapted, told

from naslib.errors import ConfigError
from naslib.optimizers import BOHB
from naslib.optimizers.discrete.bohb.density import Density, bandwidths, number_of_values
from naslib.search_spaces.core.decisions import Decision
from naslib.search_spaces.core.schema import DecisionSpace

GENES = np.array([[0, 1, 2], [0, 1, 0], [0, 2, 1], [1, 1, 3], [0, 1, 2]])
VALUES = np.array([2, 4, 5])


def test_the_density_is_the_formula_written_out():
    h = []
    for gene, values in enumerate((2, 4, 5)):
        column = GENES[:, gene].tolist()
        spread = math.sqrt(1 - sum((count / 5) ** 2 for count in Counter(column).values()))
        h.append(min(max(1.06 * spread * 5 ** (-1 / 7), 0.05), (values - 1) / values))
    assert bandwidths(GENES, VALUES, 0.05).tolist() == pytest.approx(h, rel=1e-14)
    density = Density(GENES, VALUES, 0.05)
    everything = [(a, b, c) for a in range(2) for b in range(4) for c in range(5)]
    expected = []
    for code in everything:
        total = 0.0
        for row in GENES.tolist():
            product = 1.0
            for x, y, bandwidth, values in zip(code, row, h, (2, 4, 5), strict=True):
                product *= 1 - bandwidth if x == y else bandwidth / (values - 1)
            total += product / 5
        expected.append(total)
    assert density.of(everything).tolist() == pytest.approx(expected, rel=1e-12)
    assert sum(expected) == pytest.approx(1.0, rel=1e-12)


def test_bandwidths_have_limits():
    same = np.zeros((6, 2), dtype=int)
    assert bandwidths(same, np.array([5, 1]), 0.3).tolist() == [0.3, 0.0]  # nothing to choose has no width
    spread = np.arange(4)[:, None] % 5
    assert bandwidths(spread, np.array([5]), 1e-3)[0] == pytest.approx(1.06 * math.sqrt(0.75) * 4 ** (-1 / 5))
    assert bandwidths(spread, np.array([2]), 1e-3)[0] == 0.5


def test_values_of_a_gene():
    space = DecisionSpace(
        [
            Decision("a", "op", ("x", "y", "z")),
            Decision("b", "inputs", (1, 2, 3, 4), 2),
            Decision("c", "inputs", (1, 2), None, condition=("a", 0)),
            Decision("d", "value", (8, 16)),
        ]
    )
    assert number_of_values(space).tolist() == [3, 4, 4, 3, 3, 2]


def test_nothing_is_modelled_before_there_is_enough():
    """Six genes: seven architectures in each density, and a model of the highest level that has nine values."""
    optimizer = adapted(BOHB, fidelity=9, random_fraction=0.0)
    assert optimizer.fewest == 7
    told(optimizer, 8)
    assert optimizer.densities() is None
    told(optimizer, 1)
    good, bad = optimizer.densities()
    assert good.genes.shape == bad.genes.shape == (7, 6)
    told(optimizer, 80)
    trials = [trial for level in (9, 3, 1) for trial in optimizer.observations.by_level.get(level, [])]
    level = max(level for level, found in optimizer.observations.by_level.items() if len(found) >= 9)
    entries = sorted(optimizer.observations.by_level[level], key=lambda entry: -entry[0])
    good, bad = optimizer.densities()
    assert level == 9 and min(optimizer.observations.by_level) == 9 and len(trials) >= 9
    assert {tuple(row) for row in good.genes.tolist()} == {genes for _, _, genes in entries[:7]}
    assert {tuple(row) for row in bad.genes.tolist()} == {genes for _, _, genes in entries[-len(bad.genes) :]}
    assert len(bad.genes) == max(7, len(entries) - 7)


def test_the_draw_with_the_largest_ratio_is_taken(monkeypatch):
    optimizer = adapted(BOHB, fidelity=9, random_fraction=0.0, num_samples=16)
    told(optimizer, 40)
    drawn: list[tuple[int, ...]] = []
    perturb = type(optimizer.decisions).perturb
    monkeypatch.setattr(type(optimizer.decisions), "perturb", lambda *args: drawn.append(perturb(*args)) or drawn[-1])
    seen = dict(optimizer.observations.seen)
    good, bad = optimizer.densities()
    code = optimizer.sample()
    assert len(drawn) == 16 and code not in seen
    new = [genes for genes in drawn if optimizer.codec.from_decisions(genes) not in seen]
    ratios = good.of(new) / bad.of(new)
    assert code == optimizer.codec.from_decisions(new[int(np.argmax(ratios))])


@pytest.mark.parametrize("repeats", [True, False])
def test_repeats(repeats):
    optimizer = adapted(BOHB, fidelity=9, random_fraction=0.0, repeats=repeats, num_samples=8)
    new = [trial.code for trial in told(optimizer, 160) if trial.parent is None]
    assert (len(set(new)) == len(new)) is not repeats


def test_it_finds_more_than_chance():
    def best(**kwargs: Any) -> float:
        found = []
        for seed in range(5):
            optimizer = adapted(BOHB, seed=seed, fidelity=9, **kwargs)
            told(optimizer, 120)
            found.append(float(TABLE.query(optimizer.record.incumbent, "VAL_ACCURACY", "x", 9)))
        return float(np.mean(found))

    assert best(random_fraction=0.0, min_bandwidth=0.1) > best(random_fraction=1.0)


def test_a_random_fraction_of_one_is_hyperband():
    from naslib.optimizers import Hyperband

    one, other = (
        told(adapted(kind, seed=4, fidelity=9, **more), 30)
        for kind, more in ((Hyperband, {}), (BOHB, {"random_fraction": 1.0}))
    )
    assert [t.fidelity for t in one] == [t.fidelity for t in other]
    assert [t.code for t in one[:9]] == [t.code for t in other[:9]]


def test_the_observations_survive():
    optimizer = adapted(BOHB, fidelity=9)
    told(optimizer, 50)
    state = json.loads(json.dumps(optimizer.get_checkpointables()["observations"].state_dict()))
    other = adapted(BOHB, fidelity=9)
    other.get_checkpointables()["observations"].load_state_dict(state)
    assert other.observations.by_level == optimizer.observations.by_level
    assert list(other.observations.seen) == list(optimizer.observations.seen)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"num_samples": 0}, "search.num_samples must be at least 1, not 0"),
        ({"random_fraction": 1.5}, r"search.random_fraction must be in 0\.\.1, not 1.5"),
        ({"bandwidth_factor": 0}, "search.bandwidth_factor must be above 0, not 0"),
        ({"min_bandwidth": 0}, "search.min_bandwidth must be above 0 and at most 1, not 0"),
        ({"top_n_percent": 100}, "search.top_n_percent must be between 0 and 100, not 100"),
        ({"min_points_in_model": 0}, "search.min_points_in_model must be at least 1, not 0"),
    ],
)
def test_figures_out_of_range(words, message):
    with pytest.raises(ConfigError, match=message):
        BOHB(**words)
