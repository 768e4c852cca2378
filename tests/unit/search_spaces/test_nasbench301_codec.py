"""DARTS codes: parameter counts against published genotypes, neighbourhoods, encodings."""

from __future__ import annotations

import json
import random
from collections import Counter
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from data_files import data_file

from naslib.errors import ArchitectureError, UnsupportedBySpaceError
from naslib.search_spaces.nasbench301 import encodings
from naslib.search_spaces.nasbench301.codec import DartsCodec, count_parameters
from naslib.search_spaces.nasbench301.evaluation import DartsEvaluationNetwork
from naslib.utils.encodings import EncodingType

GENOTYPES = data_file("darts_genotypes.json")
DARTS_V2 = {
    "normal": [["sep_conv_3x3", 0], ["sep_conv_3x3", 1], ["sep_conv_3x3", 0], ["sep_conv_3x3", 1], ["sep_conv_3x3", 1],
               ["skip_connect", 0], ["skip_connect", 0], ["dil_conv_3x3", 2]],
    "normal_concat": [2, 3, 4, 5],
    "reduce": [["max_pool_3x3", 0], ["max_pool_3x3", 1], ["skip_connect", 2], ["max_pool_3x3", 1], ["max_pool_3x3", 0],
               ["skip_connect", 2], ["skip_connect", 2], ["max_pool_3x3", 1]],
    "reduce_concat": [2, 3, 4, 5],
}  # fmt: skip
CODEC = DartsCodec()


def test_darts_v2_has_its_published_size() -> None:
    code = CODEC.canonical(DARTS_V2)
    assert count_parameters(code) == 3_349_342
    # the auxiliary head after cell 13, on 4 * 144 channels, written out layer by layer
    auxiliary = 576 * 128 + 2 * 128 + 128 * 768 * 2 * 2 + 2 * 768 + 768 * 10 + 10
    assert count_parameters(code, auxiliary=True) == 3_349_342 + auxiliary
    # classes and image channels enter in the classifier and in the stem only
    assert count_parameters(code, n_classes=100) - count_parameters(code) == 90 * (4 * 144 + 1)
    assert count_parameters(code) - count_parameters(code, in_channels=1) == 2 * 9 * 108


def test_published_genotypes_have_their_sizes() -> None:
    if not GENOTYPES.is_file():
        pytest.skip(f"no {GENOTYPES.name} in the shared data directory")
    data = json.loads(GENOTYPES.read_text())
    named = dict(data["genotypes"])
    for source in data["without_figures"].values():
        named.update(source)
    checked = 0
    for name, entry in named.items():
        try:
            code = CODEC.canonical(entry)
        except ArchitectureError:
            continue  # other nodes, ops or concatenations: another space (NASNet-A, AmoebaNet-A, SETN, FairDARTS ...)
        if entry["params"] is not None:
            assert count_parameters(code) == entry["params"], name
            checked += 1
    assert checked >= 110


def test_imagenet_stem_is_counted_layer_by_layer() -> None:
    # max pooling everywhere leaves stem, preprocessing and classifier; of three cells the last two are reductions
    code = (0, 0, 1, 0) * 8
    c = 8
    stem = 3 * 4 * 9 + 2 * 4 + 4 * 8 * 9 + 2 * 8 + 8 * 8 * 9 + 2 * 8
    first = (c + c + 4) * c
    second = (c + 4 * c + 4) * 2 * c
    third = (4 * c + 8 * c + 4) * 4 * c
    expected = stem + first + second + third + (16 * c + 1) * 5
    assert count_parameters(code, n_classes=5, channels=c, cells=3, stem="imagenet") == expected
    with pytest.raises(ArchitectureError, match="stem"):
        count_parameters(code, stem="other")


@pytest.mark.parametrize(
    ("nodes", "cells", "auxiliary", "stem"),
    [
        (4, 8, True, "cifar"),
        (2, 3, True, "imagenet"),
        (1, 5, False, "cifar"),
        (3, 2, True, "cifar"),
        (2, 1, False, "cifar"),
    ],
)
def test_closed_form_equals_the_network_that_is_built(nodes: int, cells: int, auxiliary: bool, stem: str) -> None:
    codec = DartsCodec(nodes)
    code = codec.random(random.Random(cells))
    network = DartsEvaluationNetwork(codec.genotype(code), 7, 1, cells, 4, auxiliary, stem)
    network.parse()
    built = sum(parameter.numel() for parameter in network.parameters())
    assert count_parameters(code, 7, 4, cells, auxiliary, 1, stem) == built
    if cells > 1:  # one cell is a normal one, and says nothing of the reduction cell
        assert codec.from_graph(network) == code


@pytest.mark.parametrize("nodes", [1, 2, 4, 5])
def test_random_mutate_and_neighbours_stay_in_the_space(nodes: int) -> None:
    codec, rng = DartsCodec(nodes), random.Random(0)
    code = codec.random(rng)
    for _ in range(200):
        assert len(code) == 8 * nodes and codec.is_valid(code)
        child = codec.mutate(code, rng)
        assert child in codec.neighbours(code)
        code = child
    neighbours = codec.neighbours(code)
    inputs = sum(2 * node for node in range(nodes))
    assert len(set(neighbours)) == len(neighbours) == 2 * (2 * nodes * 6 + inputs)
    assert all(codec.is_valid(other) and code in codec.neighbours(other) for other in neighbours)


def test_random_draws_predecessors_and_ops_uniformly() -> None:
    rng = random.Random(3)
    pairs: list[Counter[tuple[int, int]]] = [Counter() for _ in range(8)]
    ops: Counter[int] = Counter()
    for _ in range(7000):
        code = CODEC.random(rng)
        for i in range(8):
            a, op_a, b, op_b = code[4 * i : 4 * i + 4]
            pairs[i][a, b] += 1
            ops.update([op_a, op_b])
    for i, counts in enumerate(pairs):
        expected = set(combinations(range(i % 4 + 2), 2))
        assert set(counts) == expected
        mean = 7000 / len(expected)
        assert max(abs(n - mean) for n in counts.values()) < 5 * mean**0.5
    assert max(abs(n - 16000) for n in ops.values()) < 5 * 16000**0.5


def test_one_architecture_has_one_code() -> None:
    swapped = {
        **DARTS_V2,
        "normal": [edge for i in range(0, 8, 2) for edge in (DARTS_V2["normal"][i + 1], DARTS_V2["normal"][i])],
    }
    code = CODEC.canonical(DARTS_V2)
    assert CODEC.canonical(swapped) == code
    forms: list[Any] = [
        list(code), np.array(code), CODEC.to_compact(code), CODEC.to_genotype(code), repr(CODEC.to_genotype(code)),
        json.dumps(CODEC.genotype(code)), CODEC.genotype(code),
    ]  # fmt: skip
    assert [CODEC.canonical(form) for form in forms] == [code] * len(forms)


@pytest.mark.parametrize(
    "bad",
    [
        (0, 0, 1, 0) * 7,
        (0, 0, 0, 0) * 8,
        (0, 7, 1, 0) * 8,
        (0, 0, 2, 0) * 8,
        (0, 0.5, 1, 0) * 8,
        3,
        None,
        "nonsense",
        ((), ()),
    ],
)
def test_bad_specs_are_refused(bad: object) -> None:
    with pytest.raises(ArchitectureError):
        CODEC.canonical(bad)


def test_every_gene_has_its_bounds() -> None:
    code = CODEC.canonical(DARTS_V2)
    for position in range(len(code)):
        bound = 7 if position % 2 else position // 4 % 4 + 2
        for wrong in (-1, bound, bound + 1):
            genes = (*code[:position], wrong, *code[position + 1 :])
            assert not CODEC.is_valid(genes), (position, wrong)
            with pytest.raises(ArchitectureError):
                CODEC.canonical(genes)
        if position % 2:
            assert all(CODEC.is_valid((*code[:position], op, *code[position + 1 :])) for op in range(7))


def test_number_of_nodes_is_checked() -> None:
    with pytest.raises(ArchitectureError, match="2 nodes"):
        DartsCodec(2).canonical(DARTS_V2)
    with pytest.raises(ArchitectureError, match="at least one"):
        DartsCodec(0)


# encodings

CELL = ((0, 3), (1, 2), (0, 0), (2, 5), (1, 1), (3, 6), (2, 4), (4, 2))  # (predecessor, op) of nodes 2, 3, 4, 5


def reference_paths() -> set[tuple[int, tuple[int, ...]]]:
    """All op sequences from an input to a node, by following the predecessors backwards."""

    def backwards(node: int) -> list[tuple[int, tuple[int, ...]]]:
        if node < 2:
            return [(node, ())]
        pairs = CELL[2 * (node - 2) : 2 * (node - 2) + 2]
        return [(start, (*ops, op)) for source, op in pairs for start, ops in backwards(source)]

    return {path for node in range(2, 6) for path in backwards(node)}


def test_path_encoding_reads_every_path_of_both_cells() -> None:
    assert set(encodings.get_paths(CELL)) == reference_paths()
    encoding = encodings.encode((CELL, CELL), EncodingType.PATH)
    assert encoding.shape == (4 * 2801,)
    expected = {
        block * 2801 + sum((op + 1) * 7**k for k, op in enumerate(ops))
        for start, ops in reference_paths() for block in (start, start + 2)
    }  # fmt: skip
    assert set(np.flatnonzero(encoding)) == expected


def test_adjacency_encodings() -> None:
    code = CODEC.canonical((CELL, CELL))
    mix = CODEC.encode(code, EncodingType.ADJACENCY_MIX)
    assert mix.shape == (2 * (49 + 8),)
    matrix = mix[:49].reshape(7, 7)
    edges = {(source, 2 + i // 2) for i, (source, _) in enumerate(CELL)} | {(node, 6) for node in range(2, 6)}
    assert set(zip(*np.nonzero(matrix), strict=True)) == edges
    assert mix[49:57].tolist() == [op for _, op in CELL]
    one_hot = CODEC.encode(code, EncodingType.ADJACENCY_ONE_HOT)
    assert one_hot.shape == (2 * (49 + 56),) and set(one_hot) == {0.0, 1.0}
    assert one_hot[49:105].reshape(8, 7).argmax(1).tolist() == [op for _, op in CELL]
    assert CODEC.encode(code, "compact") == (CELL, CELL)


def test_gcn_bonas_and_seminas_encodings() -> None:
    gcn, bonas, seminas = (encodings.encode((CELL, CELL), kind) for kind in ("gcn", "bonas", "seminas"))
    adjacency = gcn["adjacency"]
    assert gcn["num_vertices"] == 22 and gcn["operations"].shape == (22, 9)
    np.testing.assert_array_equal(adjacency[:11, :11], adjacency[11:, 11:])
    assert adjacency[:11, 11:].sum() == adjacency[11:, :11].sum() == 0
    for i, (source, _) in enumerate(CELL):  # the sources of an op: an input, or the two ops whose sum is the node
        expected = [source] if source < 2 else [2 + 2 * (source - 2), 3 + 2 * (source - 2)]
        assert np.flatnonzero(adjacency[:, i + 2]).tolist() == expected
    assert adjacency[2:10, 10].all() and adjacency[:2, 10].sum() == 0
    assert gcn["operations"].argmax(1)[:11].tolist() == [0, 0, *(op + 1 for _, op in CELL), 8]
    assert bonas["adjacency"].shape == (25, 25) and bonas["operations"].shape == (25, 11)
    assert bonas["adjacency"][24].all() and np.diag(bonas["adjacency"]).all()
    assert np.triu(bonas["adjacency"], 1).sum() == 0  # transposed: a vertex's row holds its predecessors
    np.testing.assert_array_equal(bonas["adjacency"][:11, :11], adjacency[:11, :11].T + np.eye(11))
    assert seminas["operations"] == bonas["operations"].argmax(1).tolist()


def test_unknown_encoding_is_named() -> None:
    with pytest.raises(UnsupportedBySpaceError, match="no encoding"):
        encodings.encode((CELL, CELL), "fourier")
