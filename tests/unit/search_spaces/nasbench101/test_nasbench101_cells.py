"""NAS-Bench-101: codes, isomorphism, counts, neighbourhoods and parameters, without a table."""

from __future__ import annotations

import hashlib
from itertools import permutations
from random import Random

import numpy as np
import pytest
import torch

from naslib.errors import ArchitectureError, ConfigError, GraphError, UnsupportedBySpaceError
from naslib.optimizers import DARTSOptimizer
from naslib.search_spaces import NasBench101SearchSpace
from naslib.search_spaces.core.labelled_dag import LabelledDag
from naslib.search_spaces.nasbench101.cells import OPS, all_cells, canonical_code, dag_of
from naslib.search_spaces.nasbench101.conversions import (
    convert_naslib_to_spec,
    convert_spec_to_tuple,
    convert_tuple_to_spec,
)
from naslib.search_spaces.nasbench101.decisions import CELLS
from naslib.search_spaces.nasbench101.network import count_parameters, make_cell, vertex_channels
from naslib.search_spaces.nasbench101.widening import VertexWidening

CODEC = NasBench101SearchSpace.codec
# The example in the README of the benchmark's code, with 2,694,282 parameters
INCEPTION_LIKE = {
    "matrix": [
        [0, 1, 1, 1, 0, 1, 0],
        [0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 1, 0, 0],
        [0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 0, 0],
    ],
    "ops": ["input", OPS[1], OPS[0], OPS[0], OPS[0], OPS[2], "output"],
}


def test_the_cells_are_as_many_as_the_paper_found() -> None:
    cells = all_cells()
    assert len(cells) == CELLS.size() == 423_624
    by_vertices = {size: sum(s.count for s in cells.shapes if s.size == size) for size in range(2, 8)}
    assert by_vertices == {2: 1, 3: 6, 4: 84, 5: 2441, 6: 62010, 7: 359082}
    for index in Random(0).sample(range(len(cells)), 60):
        assert CELLS.canonical(cells[index]) == cells[index]


def _isomorphic(dag: LabelledDag) -> list[LabelledDag]:
    """Return a graph in all orders of its inner vertices that it has."""
    found, last = [], dag.size - 1
    for order in permutations(range(1, last)):
        places = [0, *order, last]
        matrix = [[dag.matrix[u][v] for v in places] for u in places]
        if all(not matrix[u][v] for u in range(dag.size) for v in range(u + 1)):
            found.append(LabelledDag(matrix, [dag.labels[v - 1] for v in order]))
    return found


def test_isomorphic_cells_have_one_code_and_one_fingerprint() -> None:
    shown = 0
    for seed in range(12):
        dag = dag_of(CELLS.random(seed))
        alike = _isomorphic(dag)
        shown += len(alike)
        assert len({canonical_code(other) for other in alike}) == 1
        assert len({other.fingerprint() for other in alike}) == 1
        assert min(alike, key=lambda one: (one.number, one.labels)) == dag
    assert shown > 24
    codes = [all_cells()[index] for index in range(2000)]
    assert len({CODEC.fingerprint(code) for code in codes}) == len(codes)


def test_the_fingerprint_is_that_of_the_paper_written_out() -> None:
    dag = LabelledDag([[0, 1, 1], [0, 0, 1], [0, 0, 0]], [2])
    md5 = [hashlib.md5(text.encode()).hexdigest() for text in ("(2, 0, -1)", "(1, 1, 2)", "(0, 2, -2)")]
    for _ in range(3):
        a, b, c = md5
        rounds = [f"|{''.join(sorted([b, c]))}|{a}", f"{a}|{c}|{b}", f"{''.join(sorted([a, b]))}||{c}"]
        md5 = [hashlib.md5(text.encode()).hexdigest() for text in rounds]
    assert dag.fingerprint() == hashlib.md5(str(sorted(md5)).encode()).hexdigest()


def test_vertices_on_no_path_are_pruned_away() -> None:
    loose = {"matrix": [[0, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]], "ops": ["input", *OPS[:2], "output"]}
    kept = {"matrix": [[0, 1, 0], [0, 0, 1], [0, 0, 0]], "ops": ["input", OPS[0], "output"]}
    assert CODEC.canonical(loose) == CODEC.canonical(kept)
    assert CODEC.genotype(CODEC.canonical(loose)) == kept


def test_a_cell_is_read_in_the_forms_that_people_write() -> None:
    code = CODEC.canonical(INCEPTION_LIKE)
    ops = INCEPTION_LIKE["ops"]
    numbers = [["input", "output", "maxpool3x3", "conv1x1-bn-relu", "conv3x3-bn-relu"].index(op) for op in ops]
    in_a_tuple = tuple(np.array(INCEPTION_LIKE["matrix"]).flatten().tolist() + numbers)
    for spec in (
        str(INCEPTION_LIKE),
        {"module_adjacency": np.array(INCEPTION_LIKE["matrix"]), "module_operations": ops},
        (INCEPTION_LIKE["matrix"], ops[1:-1]),
        in_a_tuple,
        CODEC.genotype(code),
        list(code),
    ):
        assert CODEC.canonical(spec) == code


def test_the_forms_of_naslib_are_converted() -> None:
    given = convert_spec_to_tuple(INCEPTION_LIKE)
    assert len(given) == 56 and given[:7] == (0, 1, 1, 1, 0, 1, 0) and given[49:] == (0, 3, 4, 4, 4, 2, 1)
    spec = convert_tuple_to_spec(given)
    assert spec["matrix"].tolist() == INCEPTION_LIKE["matrix"] and spec["ops"] == INCEPTION_LIKE["ops"]
    graph = NasBench101SearchSpace(channels=8)
    graph.set_spec(spec)
    again = convert_naslib_to_spec(graph)
    assert CODEC.canonical(again) == graph.get_code() == CODEC.canonical(given)
    with pytest.raises(ArchitectureError, match="code of nasbench101"):
        convert_tuple_to_spec(graph.get_code())


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"matrix": [[0, 1], [0, 0]], "ops": ["input", "conv5x5", "output"]}, r"unknown operation|begin with"),
        ({"matrix": [[0, 1, 0], [0, 0, 1], [0, 0, 0]], "ops": ["conv3x3-bn-rel"]}, "did you mean 'conv3x3-bn-relu'"),
        ({"matrix": [[0, 0], [0, 0]], "ops": []}, "no path"),
        ({"matrix": [[0, 1], [1, 0]], "ops": []}, "upper triangular"),
        ({"matrix": [[0, 2], [0, 0]], "ops": []}, "0 and 1"),
        ({"matrix": (np.triu(np.ones((5, 5), int), 1)).tolist(), "ops": [OPS[0]] * 3}, "at most 9 edges, not 10"),
        ({"matrix": np.eye(8, k=1, dtype=int).tolist(), "ops": [OPS[0]] * 6}, "at most 7 vertices, not 8"),
        ("|nor_conv_3x3~0|+|none~0|skip_connect~1|", "cannot read|expected"),
        ((0, 1, 2), "26 ints"),
        ({"normal": 1}, "mapping with the keys normal"),
    ],
)
def test_what_is_no_cell_is_refused(spec: object, words: str) -> None:
    with pytest.raises(ArchitectureError, match=words):
        CODEC.canonical(spec)


def test_neighbours_are_all_that_one_change_leads_to() -> None:
    """All cells of up to four vertices, compared by the definition."""
    small = [all_cells()[index] for index in range(1 + 6 + 84)]
    dags = [dag_of(code) for code in small]
    for code, dag in zip(small[:40], dags, strict=False):
        expected = {other for other, there in zip(small, dags, strict=True) if _is_one_change(dag, there)}
        assert {near for near in CELLS.neighbours(code) if dag_of(near).size <= 4} == expected
    for seed in range(8):
        code = CELLS.random(seed)
        near = CELLS.mutate(code, Random(seed))
        assert near in CELLS.neighbours(code) and code in CELLS.neighbours(near)


def _is_one_change(first: LabelledDag, second: LabelledDag) -> bool:
    if first.size == second.size:
        return any(_distance(one, second) == 1 for one in _isomorphic(first))
    small, large = sorted((first, second), key=lambda dag: dag.size)
    if large.size - small.size != 1:
        return False
    for v in range(1, large.size - 1):
        rest = [u for u in range(large.size) if u != v]
        left = LabelledDag(
            [[large.matrix[a][b] for b in rest] for a in rest], [large.labels[u - 1] for u in rest[1:-1]]
        )
        if len(large.sources(v)) == len(large.targets(v)) == 1 and small in _isomorphic(left):
            return True
    return False


def _distance(first: LabelledDag, second: LabelledDag) -> int:
    edges = sum(a != b for x, y in zip(first.matrix, second.matrix, strict=True) for a, b in zip(x, y, strict=True))
    return edges + sum(a != b for a, b in zip(first.labels, second.labels, strict=True))


def test_variation_stays_in_the_space() -> None:
    a, b, rng = CELLS.random(1), CELLS.random(2), Random(3)
    for _ in range(10):
        assert CELLS.is_valid(CELLS.crossover(a, b, rng)) and CELLS.is_valid(CELLS.perturb(a, 0.3, rng))
    assert CELLS.perturb(a, 0.0, rng) == a


def test_channels_are_shared_among_what_enters_the_output() -> None:
    dag = dag_of(CODEC.canonical(INCEPTION_LIKE))
    entering = dag.sources(dag.size - 1)
    channels = vertex_channels(dag, 128, 130)
    assert sorted(channels[v] for v in entering) == [32, 32, 33, 33]
    (other,) = [v for v in range(1, dag.size - 1) if v not in entering]
    assert channels[other] == channels[dag.targets(other)[0]]


def test_the_example_of_the_authors_has_its_parameters() -> None:
    code = CODEC.canonical(INCEPTION_LIKE)
    assert count_parameters(dag_of(code)) == 2_694_282
    with torch.device("meta"):
        graph = NasBench101SearchSpace()
        graph.set_spec(code)
        graph.parse()
    assert sum(p.numel() for p in graph.parameters()) == 2_694_282


@pytest.mark.parametrize("seed", range(3))
def test_the_closed_form_counts_the_network(seed: int) -> None:
    graph = NasBench101SearchSpace(n_classes=7, in_channels=2, channels=9)
    graph.sample_random_architecture(rng=seed)
    graph.parse()
    assert sum(p.numel() for p in graph.parameters()) == count_parameters(dag_of(graph.get_code()), 7, 9, 2)
    assert graph(torch.zeros(2, 2, 9, 9)).shape == (2, 7)


def test_a_cell_computes_what_the_paper_says() -> None:
    """Input to two vertices and the output; the second reads the first, of which it takes fewer channels."""
    torch.manual_seed(0)
    dag = LabelledDag([[0, 1, 1, 1], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]], [1, 2])
    cell = make_cell(dag, 3, 4).double().eval()
    cell.parse()
    x = torch.randn(2, 3, 5, 5, dtype=torch.float64)
    project = [cell.edges[1, node].op for node in (2, 4, 6)]
    first = cell.edges[2, 3].op.op(project[0](x))
    second = torch.nn.functional.max_pool2d(first + project[1](x), 3, 1, 1)
    assert torch.equal(cell(x), project[2](x) + second)


def test_errors_come_before_work() -> None:
    with pytest.raises(ConfigError, match="no head for segmentation"):
        NasBench101SearchSpace(task="segmentation")
    with pytest.raises(ConfigError, match="at least 5 channels"):
        NasBench101SearchSpace(channels=4)
    with pytest.raises(GraphError, match="no architecture is set"):
        NasBench101SearchSpace(channels=8)(torch.zeros(1, 3, 8, 8))
    with pytest.raises(UnsupportedBySpaceError, match="nasbench1shot1"):
        DARTSOptimizer(epochs=1).adapt_search_space(NasBench101SearchSpace(channels=8))
    graph = NasBench101SearchSpace(channels=8)
    graph.sample_random_architecture(rng=0)
    with pytest.raises(UnsupportedBySpaceError, match="have 9 cells"):
        graph.evaluation_network(cells=5)


def test_a_cell_with_no_edge_to_spare_grows_by_a_vertex_that_takes_over_edges_to_the_output():
    rows = [[0, 1, 1, 1, 1], [0, 0, 0, 1, 1], [0, 0, 0, 1, 1], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]]
    dag = LabelledDag(rows, [0, 1, 2])
    assert dag.n_edges == 9
    assert list(VertexWidening().wider(canonical_code(dag))) == []
    rows[0][4] = 0  # of eight edges a ninth is left: each vertex that is read must lose its edge to the output
    grown = list(VertexWidening().wider(canonical_code(LabelledDag(rows, [0, 1, 2]))))
    assert len(grown) == 3 * (2**3 - 1) and {dag_of(code).n_edges for code in grown} == {9}
