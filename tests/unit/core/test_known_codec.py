"""A codec that is restricted to what a table has: draws, neighbours, and what happens where there are none."""

from __future__ import annotations

from collections import Counter
from itertools import product
from random import Random

import pytest

from naslib.errors import ArchitectureError
from naslib.search_spaces import NasBench201SearchSpace
from naslib.search_spaces.core.known_codec import KnownCodec, within

CODEC = NasBench201SearchSpace.codec
ALL = list(CODEC.iterate())
# every architecture whose ops are 2, 3 or 4, and one far away from the others
DENSE = list(product((2, 3, 4), repeat=6))


def differ(first: tuple[int, ...], second: tuple[int, ...]) -> int:
    return sum(a != b for a, b in zip(first, second, strict=True))


def test_a_complete_table_keeps_the_codec_of_the_space():
    assert within(CODEC, None) is CODEC
    assert within(CODEC, ALL) is CODEC
    restricted = within(CODEC, [*DENSE, (9, 0, 0, 0, 0, 0)])  # the last is none of the space
    assert isinstance(restricted, KnownCodec) and len(restricted) == 3**6 and restricted.name == "nasbench201"


def test_nothing_known_is_an_error():
    with pytest.raises(ArchitectureError, match="no architecture of nasbench201 is known"):
        within(CODEC, [])


def test_draws_are_uniform_over_what_is_known():
    known = KnownCodec(CODEC, DENSE[:10])
    rng = Random(0)
    counts = Counter(known.random(rng) for _ in range(5_000))
    assert set(counts) == set(DENSE[:10]) and max(abs(n - 500) for n in counts.values()) < 110  # five standard errors


def test_neighbours_and_mutations_are_those_of_the_space_that_are_known():
    known, code = KnownCodec(CODEC, DENSE), (2, 3, 4, 2, 3, 4)
    expected = {other for other in DENSE if differ(code, other) == 1}
    assert set(known.neighbours(code)) == expected and len(known.neighbours(code)) == 12
    rng = Random(1)
    counts = Counter(known.mutate(code, rng) for _ in range(6_000))
    assert set(counts) == expected and max(abs(n - 500) for n in counts.values()) < 110  # uniform, as in the space


@pytest.mark.parametrize("count", [5, 9, 30, 300])
def test_where_few_neighbours_are_known_the_nearest_are_around(count: int):
    codes = Random(count).sample(ALL, count)
    known = KnownCodec(CODEC, codes)
    for code in codes[:5]:
        others = sorted((other for other in codes if other != code), key=lambda other: differ(code, other))
        last = differ(code, others[min(8, len(others)) - 1])
        expected = {other for other in others if differ(code, other) <= last}
        assert set(known.neighbours(code)) == expected and len(known.neighbours(code)) == len(expected)
        assert {known.mutate(code, Random(seed)) for seed in range(30 * len(expected))} == expected


def test_one_architecture_is_its_own_mutation():
    known = KnownCodec(CODEC, DENSE[:1])
    assert known.neighbours(DENSE[0]) == [DENSE[0]] == [known.mutate(DENSE[0], Random(0))]


def test_a_walk_reaches_all_of_a_sparse_table():
    codes = Random(7).sample(ALL, 200)
    known, rng, code, seen = KnownCodec(CODEC, codes), Random(0), codes[0], set()
    for _ in range(6_000):
        code = known.mutate(code, rng)
        seen.add(code)
    assert len(seen) >= 190


def test_from_the_decision_space_to_what_is_known():
    known = KnownCodec(CODEC, DENSE)
    assert known.from_decisions((2, 3, 4, 2, 3, 4)) == (2, 3, 4, 2, 3, 4)
    assert known.from_decisions((0, 3, 4, 2, 3, 4)) == (2, 3, 4, 2, 3, 4)  # the first of three that differ in one op


def test_children_are_known_and_nearest_to_a_child_of_the_space():
    known = KnownCodec(CODEC, DENSE)
    first, second, rng = (2,) * 6, (4,) * 6, Random(3)
    for _ in range(50):
        child = known.crossover(first, second, rng)
        assert child in DENSE and set(child) <= {2, 4}
        assert known.perturb(first, 0.3, rng) in DENSE
    sparse = KnownCodec(CODEC, [(2,) * 6, (4,) * 6, (2, 2, 2, 4, 4, 3)])
    drawn = {sparse.crossover((2,) * 6, (4,) * 6, Random(seed)) for seed in range(40)}
    assert drawn <= set(sparse.codes) and len(drawn) >= 2
    assert {sparse.perturb((2,) * 6, 0.0, Random(0))} == {(2,) * 6}


def test_the_same_seed_gives_the_same_walk_whatever_was_asked_before():
    one, other = KnownCodec(CODEC, DENSE), KnownCodec(CODEC, DENSE[::-1])
    for code in DENSE[:40]:
        other.neighbours(code)
    walks = []
    for known in (one, other):
        rng, code, walk = Random(5), DENSE[0], []
        for _ in range(60):
            code = known.mutate(code, rng)
            walk.append(code)
        walks.append(walk)
    assert walks[0] == walks[1]


def test_everything_else_is_that_of_the_codec():
    known, code = KnownCodec(CODEC, DENSE), (2, 3, 4, 2, 3, 4)
    assert list(known.iterate()) == sorted(DENSE)
    assert known.is_valid(code) and not known.is_valid((0,) * 6)
    assert known.decision_space is CODEC.decision_space
    assert known.genotype(code) == CODEC.genotype(code) and known.canonical(CODEC.genotype(code)) == code
    assert known.function_of(code) == CODEC.function_of(code)
    assert known.identity(code) == CODEC.identity(code) and known.to_decisions(code) == code
