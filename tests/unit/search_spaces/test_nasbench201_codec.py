"""NAS-Bench-201 codes: closed forms against the benchmark's own figures, neighbourhoods, encodings."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import networkx as nx
import numpy as np
import pytest
from data_files import data_file

from naslib.errors import ArchitectureError, UnsupportedBySpaceError
from naslib.search_spaces.nasbench201 import encodings
from naslib.search_spaces.nasbench201.codec import NasBench201Codec, count_macs, count_parameters
from naslib.search_spaces.nasbench201.conversions import OP_NAMES_NB201
from naslib.utils.encodings import EncodingType

TABLE = data_file("nb201.npz")
CODEC = NasBench201Codec()
EDGES = [(1, 2), (1, 3), (1, 4), (2, 3), (2, 4), (3, 4)]
CODE = (0, 2, 3, 4, 1, 2)


@pytest.fixture(scope="module")
def table() -> dict[str, np.ndarray]:
    if not TABLE.is_file():
        pytest.skip(f"no {TABLE.name} in the shared data directory")
    with np.load(TABLE) as file:
        return {name: file[name] for name in file.files}


@pytest.fixture(scope="module")
def table_codes(table: dict[str, np.ndarray]) -> list[tuple[int, ...]]:
    """The codes of all rows, read through the file's own edge and op names."""
    edges = [(int(u) + 1, int(v) + 1) for u, v in table["edges"]]
    names = [str(name) for name in table["op_names"]]
    return [tuple(OP_NAMES_NB201.index(names[row[edges.index(edge)]]) for edge in EDGES) for row in table["ops"]]


@pytest.mark.parametrize(("prefix", "n_classes", "image_size"), [("c10", 10, 32), ("c100", 100, 32), ("in16", 120, 16)])
def test_closed_forms_equal_all_rows_of_the_table(
    table: dict[str, np.ndarray], table_codes: list[tuple[int, ...]], prefix: str, n_classes: int, image_size: int
) -> None:
    assert len(set(table_codes)) == 15625
    params = [count_parameters(code, n_classes) for code in table_codes]
    np.testing.assert_array_equal(params, table[f"{prefix}_params"])
    macs = [count_macs(code, n_classes, image_size=image_size) for code in table_codes]
    np.testing.assert_array_equal(macs, table[f"{prefix}_macs"])


def test_closed_form_of_another_size_is_the_sum_over_layers() -> None:
    # one 3x3, one 1x1 conv per cell; C=4, two cells a stage, gray images of 8 pixels, 3 classes, counted layer by layer
    code = (2, 3, 0, 0, 1, 4)
    conv = [(1, 4, 3, 8)]
    for c, side in ((4, 8), (8, 4), (16, 2)):
        if c > 4:
            conv += [(c // 2, c, 3, side), (c, c, 3, side), (c // 2, c, 1, side)]
        conv += [(c, c, 3, side), (c, c, 1, side)] * 2
    bn = 4 + 2 * 8 + 2 * 16 + 16 + 2 * 2 * (4 + 8 + 16)
    params = sum(i * o * k * k for i, o, k, _ in conv) + 2 * bn + 16 * 3 + 3
    macs = sum(i * o * k * k * side * side for i, o, k, side in conv) + 16 * 3
    assert count_parameters(code, 3, channels=4, cells_per_stage=2, in_channels=1) == params
    assert count_macs(code, 3, channels=4, cells_per_stage=2, in_channels=1, image_size=8) == macs


def test_iterate_yields_every_code_once() -> None:
    codes = list(CODEC.iterate())
    assert codes == list(itertools.product(range(5), repeat=6))
    assert all(CODEC.is_valid(code) for code in codes[::97])


def test_random_is_uniform() -> None:
    rng = random.Random(0)
    counts = Counter(CODEC.random(rng) for _ in range(200_000))
    assert len(counts) == 15625
    expected = 200_000 / 15625
    chi2 = sum((n - expected) ** 2 / expected for n in counts.values())
    assert abs(chi2 - 15624) < 4 * (2 * 15624) ** 0.5


def test_mutation_is_uniform_over_the_neighbours() -> None:
    rng = random.Random(1)
    neighbours = CODEC.neighbours(CODE)
    assert len(set(neighbours)) == len(neighbours) == 24
    assert all(sum(a != b for a, b in zip(CODE, other, strict=True)) == 1 for other in neighbours)
    counts = Counter(CODEC.mutate(CODE, rng) for _ in range(24_000))
    assert set(counts) == set(neighbours)
    assert max(abs(n - 1000) for n in counts.values()) < 150


@pytest.mark.parametrize(
    "bad", [(0,) * 5, (0,) * 7, (0, 0, 0, 0, 0, 5), (0, 0, 0, 0, 0, -1), (0.5,) * 6, "|x~0|", None, 3]
)
def test_bad_specs_are_refused(bad: object) -> None:
    with pytest.raises(ArchitectureError):
        CODEC.canonical(bad)


def test_validity() -> None:
    assert CODEC.is_valid(CODE) and CODEC.is_valid(tuple(np.array(CODE)))
    assert not CODEC.is_valid((0,) * 5)
    assert not CODEC.is_valid((0, 0, 0, 0, 0, 5))
    assert not CODEC.is_valid((0, 0, 0, 0, 0, 0.5))  # type: ignore[arg-type]


def test_genotype_is_a_spec() -> None:
    assert CODEC.canonical(CODEC.genotype(CODE)) == CODE
    assert CODEC.canonical(np.array(CODE)) == CODEC.canonical(list(CODE)) == CODE


# encodings


def test_adjacency_encodings() -> None:
    one_hot = CODEC.encode(CODE, EncodingType.ADJACENCY_ONE_HOT)
    assert one_hot.shape == (30,)
    assert one_hot.reshape(6, 5).argmax(1).tolist() == list(CODE) and one_hot.sum() == 6
    assert CODEC.encode(CODE, "adjacency_mix").tolist() == list(CODE)
    assert CODEC.encode(CODE, EncodingType.COMPACT) == CODE


def test_path_encoding_names_the_paths_of_the_cell() -> None:
    cell = nx.DiGraph(EDGES)
    op = dict(zip(EDGES, CODE, strict=True))
    expected = set()
    for path in nx.all_simple_paths(cell, 1, 4):
        ops = [op[edge] for edge in itertools.pairwise(path)]
        before = sum(5**n for n in range(1, len(ops)))  # features of the shorter paths
        expected.add(before + sum(o * 5**k for k, o in enumerate(ops)))
    encoding = CODEC.encode(CODE, EncodingType.PATH)
    assert encoding.shape == (155,) and encoding.sum() == 4
    assert set(np.flatnonzero(encoding)) == expected


def test_path_features_of_all_codes_are_distinct_sequences() -> None:
    sequences: dict[int, set[tuple[int, ...]]] = {}
    for code in itertools.islice(CODEC.iterate(), 0, None, 7):
        for path, index in zip(encodings.PATHS, encodings.get_path_indices(code), strict=True):
            sequences.setdefault(index, set()).add(tuple(code[edge] for edge in path))
    assert len(sequences) == 155 and all(len(ops) == 1 for ops in sequences.values())


def test_gcn_encoding_is_the_line_graph() -> None:
    encoded = CODEC.encode(CODE, EncodingType.GCN)
    line = nx.line_graph(nx.DiGraph(EDGES))
    expected = np.zeros((8, 8))
    for a, b in line.edges:
        expected[EDGES.index(a) + 1, EDGES.index(b) + 1] = 1
    expected[0, 1:4] = 1
    for edge in ((1, 4), (2, 4), (3, 4)):
        expected[EDGES.index(edge) + 1, 7] = 1
    np.testing.assert_array_equal(encoded["adjacency"], expected)
    assert encoded["operations"].argmax(1).tolist() == [0, *(op + 1 for op in CODE), 6]
    assert encoded["operations"].shape == (8, 7) and encoded["num_vertices"] == 8 and encoded["mask"].all()


def test_bonas_and_seminas_encodings() -> None:
    gcn, bonas, seminas = (CODEC.encode(CODE, kind) for kind in ("gcn", "bonas", "seminas"))
    adjacency = bonas["adjacency"]
    np.testing.assert_array_equal(adjacency[:8, :8], gcn["adjacency"].T + np.eye(8))
    assert adjacency[8].all() and adjacency[:8, 8].sum() == 0  # the global vertex hears all, nobody hears it
    assert bonas["operations"].shape == (9, 8) and bonas["operations"][8].argmax() == 7
    np.testing.assert_array_equal(seminas["adjacency"], gcn["adjacency"])
    assert seminas["operations"] == [0, *(op + 1 for op in CODE), 6]


def test_unknown_encoding_is_named() -> None:
    with pytest.raises(UnsupportedBySpaceError, match="no encoding 'fourier'"):
        CODEC.encode(CODE, "fourier")
