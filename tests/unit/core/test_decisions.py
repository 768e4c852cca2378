"""Decisions and decision spaces: what is refused, and small spaces written out."""

from __future__ import annotations

import copy
import pickle
from collections import Counter
from random import Random

import numpy as np
import pytest

from naslib.errors import ArchitectureError, DecisionError, UnsupportedBySpaceError
from naslib.search_spaces.core.decisions import Decision
from naslib.search_spaces.core.schema import DecisionSpace

DEPTH = Decision("depth", "value", (1, 2, 3))
KERNELS = [Decision(f"kernel{i}", "value", (3, 5), condition=("depth", tuple(range(i, 3)))) for i in range(3)]
# inputs of a node, each with an operation
NODE = [
    Decision("cell/4", "inputs", (1, 2, 3), 2),
    *(Decision(f"cell/{i + 1}-4", "op", ("skip", "conv", "pool"), condition=("cell/4", i)) for i in range(3)),
]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("", "op", ("a",)), "a string that is not empty"),
        ((3, "op", ("a",)), "a string that is not empty"),
        (("d", "input", ("a",)), "'inputs'"),
        (("d", "op", ()), "no candidates"),
        (("d", "op", "abc"), "candidates are a tuple"),
        (("d", "op", 3), "candidates are a tuple"),
        (("d", "op", ("a", "b", "a")), "'a' twice"),
        (("d", "value", ([1], [1])), "twice"),
        (("d", "op", ("a", "b"), 2), "n_chosen is 1 for kind 'op'"),
        (("d", "value", ("a", "b"), None), "n_chosen is 1"),
        (("d", "inputs", (1, 2), 0), "1 to 2, or None"),
        (("d", "inputs", (1, 2), 3), "1 to 2, or None"),
        (("d", "inputs", (1, 2), True), "1 to 2, or None"),
        (("d", "inputs", (1, 2), 1.0), "1 to 2, or None"),
        (("d", "op", ("a",), 1, "other"), "a condition is"),
        (("d", "op", ("a",), 1, ("other",)), "a condition is"),
        (("d", "op", ("a",), 1, ("other", ())), "a condition is"),
        (("d", "op", ("a",), 1, ("other", "0")), "a condition is"),
        (("d", "op", ("a",), 1, (None, 0)), "a condition is"),
    ],
)
def test_a_decision_that_cannot_be_is_refused(arguments: tuple, message: str) -> None:
    with pytest.raises(DecisionError, match=message):
        Decision(*arguments)


@pytest.mark.parametrize(
    ("decisions", "message"),
    [
        ([], "at least one"),
        ([DEPTH, "kernel"], "Decision objects"),
        ([DEPTH, Decision("depth", "op", ("a",))], "two decisions are called 'depth'"),
        ([DEPTH, Decision("d", "op", ("a",), condition=("dept", 0))], "did you mean 'depth'"),
        ([DEPTH, Decision("d", "op", ("a",), condition=("depth", 3))], "candidate 3 of 'depth'"),
        ([DEPTH, Decision("d", "op", ("a",), condition=("depth", (0, -1)))], "candidate -1 of 'depth'"),
        ([Decision("d", "op", ("a",), condition=("d", 0))], r"in a circle \('d' -> 'd'\)"),
        (
            [Decision(a, "op", ("a",), condition=(b, 0)) for a, b in ("ab", "bc", "cb")],
            r"in a circle \('b' -> 'c' -> 'b'\)",
        ),
    ],
)
def test_decisions_that_do_not_go_together_are_refused(decisions: list, message: str) -> None:
    with pytest.raises(DecisionError, match=message):
        DecisionSpace(decisions)


def test_a_decision_is_frozen_and_its_sites_do_not_tell_it_apart() -> None:
    with pytest.raises(AttributeError):
        DEPTH.name = "other"  # type: ignore[misc]
    assert Decision("d", "op", ["a", "b"], sites=[1]) == Decision("d", "op", ("a", "b"), sites=(2,))  # type: ignore


def test_layers_of_a_depth_are_decided_only_where_they_are() -> None:
    space = DecisionSpace([DEPTH, *KERNELS])
    assert space.size() == 2 + 4 + 8 == len(set(space.iterate()))
    assert space.canonical((1, 0, 1, 1)) == (1, 0, 1, -1) and not space.is_valid((1, 0, 1, 1))
    assert [d.name for d in space.active((1, 0, 1, 1))] == ["depth", "kernel0", "kernel1"]
    assert space.choices((0, 1, 9, 9)) == {"depth": 1, "kernel0": 5}
    assert space.chosen((1, 0, 1, -1)) == ((1,), (0,), (1,), None)
    assert space.code_of({"depth": 2, "kernel0": 3, "kernel1": 5}) == (1, 0, 1, -1)
    depths = Counter(space.random(Random(seed))[0] for seed in range(1400))
    assert all(abs(depths[i] - 100 * 2 ** (i + 1)) < 5 * (100 * 2 ** (i + 1)) ** 0.5 for i in range(3))
    # one layer less loses its kernel, one more has either
    assert set(space.neighbours((1, 0, 1, -1))) == {
        *[(0, 0, -1, -1), (2, 0, 1, 0), (2, 0, 1, 1), (1, 1, 1, -1), (1, 0, 0, -1)]
    }
    assert space.vector((1, 0, 1, -1)).tolist() == [0, 1, 0, 1, 0, 0, 1, 0, 0]


def test_a_swapped_input_carries_its_operation_along() -> None:
    space = DecisionSpace(NODE)
    code = space.code_of({"cell/4": (3, 1), "cell/1-4": "conv", "cell/3-4": "pool"})
    assert code == (0, 2, 1, -1, 2) and space.size() == 27
    swaps = {neighbour for neighbour in space.neighbours(code) if neighbour[:2] != code[:2]}
    assert swaps == {(1, 2, -1, 1, 2), (0, 1, 1, 2, -1)}
    assert len(space.neighbours(code)) == 2 + 2 * 2


def test_inputs_may_be_given_in_any_order_and_any_type_of_int() -> None:
    space = DecisionSpace(NODE)
    assert space.canonical(np.array([2, 0, 1, 0, 2])) == (0, 2, 1, -1, 2)
    assert all(type(gene) is int for gene in space.canonical(np.array([2, 0, 1, 0, 2])))


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ((0, 1, 0, 0), "5 ints"),
        ((0, 1, 0, 0, 0, 0), "5 ints"),
        ((0, 3, 0, 0, 0), "'cell/4' takes 2 of the indices 0 to 2, not .* another space"),
        ((0, 0, 0, 0, 0), "'cell/4' takes 2"),
        ((0, 1, 3, 0, 0), "'cell/1-4' takes 1"),
        ((0, 1, -1, 0, 0), "'cell/1-4' takes 1"),
        ((0, 1, 0.5, 0, 0), "5 ints"),
        ("normal", "ints"),
        (None, "ints"),
    ],
)
def test_codes_of_another_space_are_refused(code: object, message: str) -> None:
    space = DecisionSpace(NODE)
    for call in (space.canonical, space.neighbours, space.mutate, space.chosen):
        with pytest.raises(ArchitectureError, match=message):
            call(code)  # type: ignore[arg-type]
    assert not space.is_valid(code)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"cell/5": (1, 2)}, "did you mean 'cell/4'"),
        ({"cell/1-4": "conv"}, "'cell/4' is not made"),
        ({"cell/4": (1, 2), "cell/1-4": "conv"}, "'cell/2-4' is not made"),
        ({"cell/4": (1, 2, 3)}, r"2 of 1, 2, 3, not \(1, 2, 3\)"),
        ({"cell/4": (1, 2), "cell/1-4": "conv", "cell/2-4": "dense"}, "1 of skip, conv, pool, not 'dense'"),
    ],
)
def test_choices_that_are_none_are_refused(choices: dict, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        DecisionSpace(NODE).code_of(choices)


@pytest.mark.parametrize("codes", [[(0, 1, 0, 0)], [(0, 3, 0, 0, -1)], [(0, 1, -2, 0, -1)]])
def test_vectors_of_other_codes_are_refused(codes: list) -> None:
    with pytest.raises(ArchitectureError, match="not codes of this space"):
        DecisionSpace(NODE).vectors(codes)


def test_constraints_hold_in_everything_that_is_returned() -> None:
    def cheap(choices: dict) -> bool:
        return sum(op == "conv" for name, op in choices.items() if name != "cell/4") <= 1

    space, rng = DecisionSpace(NODE, [cheap]), Random(0)
    codes = list(space.iterate())
    assert space.size() == len(codes) == 3 * (9 - 1) and all(cheap(space.choices(code)) for code in codes)
    drawn = Counter(space.random(rng) for _ in range(2400))
    assert set(drawn) == set(codes) and max(abs(count - 100) for count in drawn.values()) < 5 * 10
    for code in codes:
        neighbours = space.neighbours(code)
        assert set(neighbours) <= set(codes) and space.mutate(code, rng) in neighbours
        assert {space.perturb(code, 0.7, rng), space.crossover(code, codes[0], rng)} <= set(codes)
    with pytest.raises(ArchitectureError, match="a constraint of the space excludes"):
        space.canonical((0, 1, 1, 1, -1))
    assert not space.is_valid((0, 1, 1, 1, -1))
    with pytest.raises(UnsupportedBySpaceError, match="satisfies the constraints"):
        DecisionSpace(NODE, [lambda choices: False]).random(rng)


def test_a_space_of_one_architecture_has_no_neighbours() -> None:
    space = DecisionSpace([Decision("d", "op", ("a",))])
    assert space.size() == 1 and space.neighbours((0,)) == [] and space.perturb((0,), 1.0, Random(0)) == (0,)
    with pytest.raises(UnsupportedBySpaceError, match="no neighbour"):
        space.mutate((0,), Random(0))


def test_neighbourhoods_beyond_all_bounds_are_refused_and_still_drawn_from() -> None:
    many = [Decision(f"d{i}", "op", tuple("abcd"), condition=("root", 1)) for i in range(12)]
    space = DecisionSpace([Decision("root", "op", ("none", "all")), *many])
    with pytest.raises(UnsupportedBySpaceError, match="16,777,216 neighbours"):
        space.neighbours((0, *[-1] * 12))
    assert space.is_valid(space.mutate((0, *[-1] * 12), Random(0))) and space.size() == 4**12 + 1


def test_any_source_of_randomness_will_do() -> None:
    space = DecisionSpace(NODE)
    for source in (3, np.random.default_rng(3), np.random.RandomState(3), Random(3), None):
        assert space.is_valid(space.random(source))
    assert space.random(3) == space.random(Random(3))


def test_equality_copies_and_pickles() -> None:
    space = DecisionSpace(NODE)
    again = pickle.loads(pickle.dumps(space))
    assert again == space and hash(again) == hash(space) and list(again.iterate()) == list(space.iterate())
    assert copy.deepcopy(space) is space and copy.copy(space) is space
    assert space != DecisionSpace([DEPTH]) and space != DecisionSpace(NODE, [lambda choices: True])


def test_the_table_says_what_there_is() -> None:
    lines = DecisionSpace(NODE).describe().splitlines()
    assert lines[0] == "4 decisions, 27 architectures"
    assert lines[1].split() == ["cell/4", "inputs", "2", "of", "1,", "2,", "3"]
    assert lines[2].endswith("skip, conv, pool  (if cell/4 has 1)")


def test_what_is_asked_by_name() -> None:
    space = DecisionSpace(NODE)
    assert space.decision("cell/2-4") is NODE[2] and space.genes("cell/4") == slice(0, 2)
    with pytest.raises(DecisionError, match="did you mean 'cell/2-4'"):
        space.decision("cell/24")
