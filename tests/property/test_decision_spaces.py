"""Decision spaces drawn at random: what must hold for every set of decisions."""

from __future__ import annotations

import itertools
from collections import Counter
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from naslib.search_spaces.core.decisions import MASKED, Code, Decision
from naslib.search_spaces.core.schema import DecisionSpace

QUICK = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@st.composite
def spaces(draw: st.DrawFn, most: int = 5, largest: int = 400) -> DecisionSpace:
    """Draw a forest of decisions of all kinds, in any order, whose conditions name one or more candidates."""
    decisions: list[Decision] = []
    for number in range(draw(st.integers(1, most))):
        kind = draw(st.sampled_from(["op", "value", "inputs"]))
        width = draw(st.integers(1, 4))
        n_chosen: int | None = 1
        if kind == "inputs":
            n_chosen = draw(st.sampled_from([None, *range(1, width + 1)]))
        condition = None
        if decisions and draw(st.booleans()):
            parent = draw(st.sampled_from(decisions))
            indices = draw(st.sets(st.integers(0, len(parent.candidates) - 1), min_size=1))
            condition = (parent.name, tuple(indices) if len(indices) > 1 else next(iter(indices)))
        decisions.append(Decision(f"d{number}", kind, tuple("abcd"[:width]), n_chosen, condition))
    space = DecisionSpace(draw(st.permutations(decisions)))
    size = space.size()
    return space if size is not None and size <= largest else DecisionSpace(decisions[:1])


def by_hand(space: DecisionSpace) -> set[Code]:
    """Return all canonical codes: every combination of genes, with what is not decided masked."""
    per_decision = []
    for decision in space.decisions:
        indices = range(len(decision.candidates))
        ways = (
            itertools.product((0, 1), repeat=len(indices))
            if decision.n_chosen is None
            else itertools.combinations(indices, decision.n_chosen)
        )
        per_decision.append([*ways, None])
    found = set()
    for combination in itertools.product(*per_decision):
        chosen = {}
        for decision, genes in zip(space.decisions, combination, strict=True):
            if genes is not None:
                bits = decision.n_chosen is None
                chosen[decision.name] = {i for i, bit in enumerate(genes) if bit} if bits else set(genes)
        consistent = all(
            (genes is not None)
            == (decision.condition is None or bool(chosen.get(decision.condition[0], set()) & needed(decision)))
            for decision, genes in zip(space.decisions, combination, strict=True)
        )
        if consistent:
            masked = [
                genes if genes is not None else (MASKED,) * decision.n_genes
                for decision, genes in zip(space.decisions, combination, strict=True)
            ]
            found.add(tuple(gene for genes in masked for gene in genes))
    return found


def needed(decision: Decision) -> set[int]:
    assert decision.condition is not None
    indices = decision.condition[1]
    return {indices} if isinstance(indices, int) else set(indices)


@QUICK
@given(spaces(most=4, largest=300))
def test_all_codes_are_there_once(space: DecisionSpace) -> None:
    codes = list(space.iterate())
    assert len(codes) == len(set(codes)) == space.size()
    assert set(codes) == by_hand(space)
    assert all(space.is_valid(code) and space.canonical(code) == code for code in codes)
    assert all(space.code_of(space.choices(code)) == code for code in codes)


@QUICK
@given(spaces(largest=150))
def test_vectors_are_different_and_say_what_is_chosen(space: DecisionSpace) -> None:
    codes = list(space.iterate())
    vectors = space.vectors(codes)
    assert vectors.shape == (len(codes), sum(len(d.candidates) for d in space.decisions))
    assert vectors.dtype == np.float32
    assert len({row.tobytes() for row in vectors}) == len(codes)
    for code, row in zip(codes, vectors, strict=True):
        expected: list[float] = []
        for decision, chosen in zip(space.decisions, space.chosen(code), strict=True):
            expected += [float(chosen is not None and i in chosen) for i in range(len(decision.candidates))]
        assert row.tolist() == expected == space.vector(code).tolist()


@QUICK
@given(spaces(largest=120))
def test_neighbours_are_valid_different_and_symmetric(space: DecisionSpace) -> None:
    codes = list(space.iterate())
    of = {code: space.neighbours(code) for code in codes}
    for code, neighbours in of.items():
        assert len(neighbours) == len(set(neighbours)) and code not in neighbours
        assert set(neighbours) <= set(codes)
        assert all(code in of[other] for other in neighbours)


@QUICK
@given(spaces(largest=120), st.integers(0, 2**20))
def test_variation_stays_in_the_space(space: DecisionSpace, seed: int) -> None:
    rng = Random(seed)
    codes = list(space.iterate())
    known = set(codes)
    first, second = rng.choice(codes), rng.choice(codes)
    neighbours = set(space.neighbours(first))
    for _ in range(5):
        if neighbours:
            assert space.mutate(first, rng) in neighbours
        assert space.perturb(first, 0.5, rng) in known and space.perturb(first, 0.0, rng) == first
        child = space.crossover(first, second, rng)
        assert child in known and space.crossover(first, first, rng) == first
        rows = zip(space.chosen(child), space.chosen(first), space.chosen(second), strict=True)
        assert all(own is None or own in parents for own, *parents in rows)


def deviation(counts: Counter, n_outcomes: int) -> float:
    """Return (chi^2 - dof) / sqrt(2 dof): about a standard normal number where all outcomes are equally likely."""
    expected = sum(counts.values()) / n_outcomes
    seen = sum((count - expected) ** 2 / expected for count in counts.values()) + (n_outcomes - len(counts)) * expected
    return (seen - n_outcomes + 1) / max(1.0, 2 * (n_outcomes - 1)) ** 0.5


@settings(QUICK, max_examples=25)
@given(spaces(largest=60))
def test_draws_are_uniform_over_the_codes(space: DecisionSpace) -> None:
    size = space.size() or 1
    rng = Random(5)
    drawn = Counter(space.random(rng) for _ in range(60 * size))
    assert set(drawn) <= set(space.iterate())
    assert abs(deviation(drawn, size)) < 5


@pytest.mark.parametrize("n_chosen", [None, 3])
def test_a_choice_of_many_inputs_is_counted_and_drawn_without_being_listed(n_chosen: int | None) -> None:
    wide = Decision("inputs", "inputs", tuple(range(40)), n_chosen)
    more = [Decision(f"op{i}", "op", ("a", "b", "c"), condition=("inputs", i)) for i in range(40)]
    space = DecisionSpace([wide, *more])
    assert space.size() == (4**40 if n_chosen is None else 9880 * 27)
    rng = Random(0)
    kept = Counter(sum(chosen is not None for chosen in space.chosen(space.random(rng))[1:]) for _ in range(300))
    mean = sum(number * count for number, count in kept.items()) / 300
    assert set(kept) == {3} if n_chosen else abs(mean - 30) < 4 * (40 * 3 / 16 / 300) ** 0.5  # each with 3 of 4 ways
