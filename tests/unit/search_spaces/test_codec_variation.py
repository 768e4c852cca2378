"""Random variation of codes: what is drawn, how often, and from which parent."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Hashable, Mapping
from typing import Any

import pytest

from naslib.search_spaces.nasbench201.codec import NasBench201Codec
from naslib.search_spaces.nasbench301.codec import DartsCodec

NB201 = NasBench201Codec()
N_OPS = 7


def agree(counts: Mapping[Hashable, int], expected: Mapping[Hashable, float], sigmas: float = 5.5) -> None:
    """Assert that counts are a sample of a distribution: nothing else occurs, and every count is near its mean."""
    total = sum(counts.values())
    assert abs(sum(expected.values()) - 1) < 1e-12
    assert set(counts) <= {key for key, share in expected.items() if share > 0}
    for key, share in expected.items():
        found, mean = counts.get(key, 0), total * share
        assert abs(found - mean) <= sigmas * max(mean * (1 - share), 0) ** 0.5 + 1e-9, (key, found, mean)


def uniform(keys: Any) -> dict[Hashable, float]:
    keys = list(keys)
    return dict.fromkeys(keys, 1 / len(keys))


# crossover


def test_crossover_of_nasbench201_takes_each_edge_from_either_parent_independently() -> None:
    rng = random.Random(0)
    children = Counter(NB201.crossover((0,) * 6, (3,) * 6, rng) for _ in range(12_800))
    agree(children, uniform(itertools.product((0, 3), repeat=6)))


@pytest.mark.parametrize("nodes", [1, 2, 3])
def test_crossover_of_darts_takes_each_node_from_either_parent_independently(nodes: int) -> None:
    codec, rng = DartsCodec(nodes), random.Random(1)
    parents = []
    for op in (0, 5):
        sources = [(0, 1) if op == 0 else (node, node + 1) for node in range(nodes)]  # differ from node 3 on
        cell = tuple(gene for a, b in sources for gene in (a, op, b, op + 1))
        parents.append(cell * 2)
    blocks = [[parent[i : i + 4] for i in range(0, 8 * nodes, 4)] for parent in parents]
    expected = uniform(
        tuple(gene for block in chosen for gene in block) for chosen in itertools.product(*zip(*blocks, strict=True))
    )
    assert len(expected) == 2 ** (2 * nodes)
    agree(Counter(codec.crossover(*parents, rng) for _ in range(200 * len(expected))), expected)


# mutation


def test_mutations_of_darts_are_half_of_operations_and_half_of_predecessors() -> None:
    nodes = 3
    codec, rng = DartsCodec(nodes), random.Random(2)
    parent = codec.random(rng)
    expected: dict[Hashable, float] = {}

    def add(position: int, value: int, share: float) -> None:
        genes = list(parent)
        genes[position] = value
        pairs = [sorted((tuple(genes[i : i + 2]), tuple(genes[i + 2 : i + 4]))) for i in range(0, len(genes), 4)]
        code = tuple(gene for pair in pairs for edge in pair for gene in edge)
        expected[code] = expected.get(code, 0) + share

    for position in range(1, 8 * nodes, 2):
        for op in set(range(N_OPS)) - {parent[position]}:
            add(position, op, 0.5 / (4 * nodes) / (N_OPS - 1))
    for first in range(0, 8 * nodes, 4):
        node = first // 4 % nodes
        if node == 0:
            continue  # it has no choice of predecessors
        others = set(range(node + 2)) - {parent[first], parent[first + 2]}
        for position, source in itertools.product((first, first + 2), others):
            add(position, source, 0.5 / (2 * (nodes - 1)) / 2 / len(others))
    agree(Counter(codec.mutate(parent, rng) for _ in range(40_000)), expected)
    assert set(codec.neighbours(parent)) == set(expected)


def test_a_cell_of_one_node_mutates_its_operations_only() -> None:
    codec, rng = DartsCodec(1), random.Random(3)
    parent = (0, 2, 1, 5) * 2
    expected = uniform(
        (*parent[:p], op, *parent[p + 1 :]) for p in (1, 3, 5, 7) for op in range(N_OPS) if op != parent[p]
    )
    agree(Counter(codec.mutate(parent, rng) for _ in range(9_600)), expected)
    assert set(codec.neighbours(parent)) == set(expected)


# perturbation


@pytest.mark.parametrize("rate", [0.0, 0.1, 1.0])
def test_perturbation_of_nasbench201_draws_each_edge_anew_with_the_rate(rate: float) -> None:
    rng, parent = random.Random(4), (0, 1, 2, 3, 4, 0)
    drawn = [NB201.perturb(parent, rate, rng) for _ in range(6_000)]
    for edge in range(6):
        expected = {op: rate / 5 + (1 - rate) * (op == parent[edge]) for op in range(5)}
        agree(Counter(code[edge] for code in drawn), expected)
    changes = Counter(sum(a != b for a, b in zip(code, parent, strict=True)) for code in drawn)
    p = rate * 4 / 5
    binomial = {
        k: len(list(itertools.combinations(range(6), k))) * p**k * (1 - p) ** (6 - k) for k in range(7)
    }  # fmt: skip
    agree(changes, binomial)


def node_after_perturbation(node: tuple[int, ...], n_sources: int, rate: float) -> dict[Hashable, float]:
    """Return the distribution of (predecessor, op, predecessor, op) of a node, by enumeration of what is drawn."""
    states = {node: 1.0}
    for position in range(4):
        found: dict[tuple[int, ...], float] = {}
        for state, share in states.items():
            choices = range(N_OPS) if position % 2 else sorted(set(range(n_sources)) - {state[2 - position]})
            found[state] = found.get(state, 0) + share * (1 - rate)
            for choice in choices:
                drawn = (*state[:position], choice, *state[position + 1 :])
                found[drawn] = found.get(drawn, 0) + share * rate / len(choices)
        states = found
    ordered: dict[Hashable, float] = {}
    for (a, op_a, b, op_b), share in states.items():
        key = (a, op_a, b, op_b) if a < b else (b, op_b, a, op_a)
        ordered[key] = ordered.get(key, 0) + share
    return ordered


@pytest.mark.parametrize("rate", [0.0, 0.2, 1.0])
def test_perturbation_of_darts_draws_each_gene_anew_with_the_rate(rate: float) -> None:
    codec, rng = DartsCodec(3), random.Random(5)
    parent = (0, 1, 1, 2, 0, 3, 2, 4, 1, 5, 3, 6) * 2
    drawn = [codec.perturb(parent, rate, rng) for _ in range(6_000)]
    assert all(codec.is_valid(code) for code in drawn[:200])
    for index in range(6):
        node = parent[4 * index : 4 * index + 4]
        expected = node_after_perturbation(node, index % 3 + 2, rate)
        sources: dict[Hashable, float] = {}
        for (a, _, b, _), share in expected.items():  # type: ignore[misc]
            sources[a, b] = sources.get((a, b), 0) + share
        found = [code[4 * index : 4 * index + 4] for code in drawn]
        agree(Counter((node[0], node[2]) for node in found), sources)
        agree(Counter(found), expected, sigmas=7)
    kept = sum(code == parent for code in drawn) / len(drawn)
    unchanged = 1.0
    for index in range(6):
        node = parent[4 * index : 4 * index + 4]
        unchanged *= node_after_perturbation(node, index % 3 + 2, rate).get(node, 0.0)
    assert abs(kept - unchanged) < 5.5 * (unchanged * (1 - unchanged) / len(drawn)) ** 0.5 + 1e-3


def test_variation_takes_codes_in_any_spelling_and_gives_canonical_ones() -> None:
    codec, rng = DartsCodec(2), random.Random(6)
    code = codec.random(rng)
    swapped = tuple(gene for i in range(0, 16, 4) for gene in (*code[i + 2 : i + 4], *code[i : i + 2]))
    assert codec.crossover(swapped, codec.genotype(code), rng) == code
    assert codec.perturb(swapped, 0.0, rng) == code
    assert sorted(codec.neighbours(swapped)) == sorted(codec.neighbours(code))
    assert all(codec.is_valid(codec.mutate(swapped, rng)) for _ in range(50))
