"""Encodings that follow from decisions and cells, against graphs that networkx walks."""

from __future__ import annotations

import itertools
from random import Random

import networkx as nx
import numpy as np
import pytest

from naslib.errors import ArchitectureError, UnsupportedBySpaceError
from naslib.predictors.features import encode_batch, feature_names
from naslib.search_spaces import NasBench201SearchSpace, NasBench301SearchSpace, SimpleCellSearchSpace
from naslib.search_spaces.core.decisions import Decision
from naslib.search_spaces.core.encodings import cells_of, encode_decided
from naslib.search_spaces.core.encodings.graf import subsets_of
from naslib.search_spaces.core.schema import DecisionSpace
from naslib.search_spaces.nasbench101.cells import dag_of
from naslib.search_spaces.nasbench201.conversions import EDGE_LIST, OP_NAMES
from naslib.search_spaces.nasbench301.encodings import get_paths
from naslib.search_spaces.nasbench301.genotype import OPS
from naslib.search_spaces.registry import SEARCH_SPACES
from naslib.utils.encodings import EncodingType

NB201, NB101 = NasBench201SearchSpace.codec, SEARCH_SPACES.get("nasbench101").codec
ZERO = OP_NAMES.index("Zero")


def _nb201_graph(code, ops):
    """Return the edges whose operation is one of some, as a graph."""
    graph = nx.DiGraph()
    graph.add_nodes_from(range(1, 5))
    graph.add_edges_from(edge for edge, op in zip(EDGE_LIST, code, strict=True) if op in ops)
    return graph


def _columns(space, codes):
    rows = encode_batch(space, codes, "graf")
    names = feature_names(space)
    assert rows.shape == (len(codes), len(names)) and len(set(names)) == len(names)
    return {name: rows[:, column] for column, name in enumerate(names)}


def test_graf_of_nasbench201_is_what_networkx_finds():
    rng = Random(3)
    codes = [NB201.random(rng) for _ in range(40)]
    found = _columns(NB201, codes)
    passing = [op for op in range(5) if op != ZERO]
    for row, code in enumerate(codes):
        whole = _nb201_graph(code, passing)
        routes = list(nx.all_simple_paths(whole, 1, 4))
        live = {edge for route in routes for edge in itertools.pairwise(route)}
        op_on = dict(zip(EDGE_LIST, code, strict=True))
        for size in range(1, 5):
            for subset in itertools.combinations(passing, size):
                graph = _nb201_graph(code, subset)
                lengths = [len(route) - 1 for route in nx.all_simple_paths(graph, 1, 4)]
                on = [sum(op_on[edge] in subset for edge in itertools.pairwise(route)) for route in routes]
                expected = {
                    "count": graph.number_of_edges(),
                    "live count": sum(edge in live for edge in graph.edges),
                    "shortest path": min(lengths, default=7),
                    "longest path": max(lengths, default=0),
                    "number of paths": len(lengths),
                    "most on a path": max(on, default=0),
                    "fewest on a path": min(on, default=7),
                    "in-degree of the output": graph.in_degree(4),
                    "out-degree of input 0": graph.out_degree(1),
                    "mean in-degree inside": (graph.in_degree(2) + graph.in_degree(3)) / 2,
                    "mean out-degree inside": (graph.out_degree(2) + graph.out_degree(3)) / 2,
                }
                for kind, value in expected.items():
                    name = f"cell: {kind} of {', '.join(OP_NAMES[op] for op in subset)}"
                    assert found[name][row] == value, (code, name)
        assert found["cell: count of Zero"][row] == code.count(ZERO)
    assert len(found) == 11 * (15 + 1)


def test_graf_of_nasbench101_counts_vertices():
    rng = Random(5)
    codes = [NB101.random(rng) for _ in range(40)]
    found = _columns(NB101, codes)
    for row, code in enumerate(codes):
        dag = dag_of(code)
        graph = nx.DiGraph([(u, v) for u in range(dag.size) for v in dag.targets(u)])
        for subset in ([0], [1], [2], [0, 1], [0, 2], [1, 2], [0, 1, 2]):
            ops = ", ".join(("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")[op] for op in subset)
            inner = {v for v in range(1, dag.size - 1) if dag.labels[v - 1] in subset}
            kept = graph.subgraph({0, dag.size - 1} | inner)
            lengths = [len(route) - 2 for route in nx.all_simple_paths(kept, 0, dag.size - 1)]
            assert found[f"cell: count of {ops}"][row] == len(inner)
            assert found[f"cell: shortest path of {ops}"][row] == min(lengths, default=6)
            assert found[f"cell: longest path of {ops}"][row] == max(lengths, default=0)
            assert found[f"cell: number of paths of {ops}"][row] == len(lengths)
            assert found[f"cell: out-degree of input 0 of {ops}"][row] == len(inner & {*graph.successors(0)})
            assert found[f"cell: in-degree of the output of {ops}"][row] == len(
                inner & {*graph.predecessors(dag.size - 1)}
            )


def test_isomorphic_cells_have_the_same_graf_features():
    # node 2 and node 3 of NAS-Bench-201 change places where nothing is between them
    one, other = (2, 3, 0, 1, 4, 0), (3, 2, 0, 1, 0, 4)
    rows = encode_batch(NB201, [one, other], "graf")
    assert (rows[0] == rows[1]).all() and one != other


def test_a_batch_is_what_each_architecture_has():
    rng = Random(1)
    spaces = [NB201, NB101, NasBench301SearchSpace.codec, SimpleCellSearchSpace()]
    for space in spaces:
        codec = space if not hasattr(space, "_codec") else space._codec()
        graph = space if hasattr(space, "_codec") else None
        codes = [codec.random(rng) for _ in range(5)]
        for kind in EncodingType:
            batch = encode_batch(space, codes, kind)
            for row, code in enumerate(codes):
                alone = codec.encode(code, kind, graph)
                if isinstance(batch, dict):
                    assert batch.keys() == alone.keys()
                    assert all(np.array_equal(batch[name][row], np.asarray(alone[name])) for name in batch)
                elif kind is EncodingType.COMPACT and codec is spaces[2]:
                    assert tuple(batch[row]) == code  # its compact form is nested
                else:
                    assert np.array_equal(batch[row], np.asarray(alone))


def test_a_table_of_a_small_space_is_what_is_computed():
    codes = np.array(list(NB201.iterate()))
    few = codes[::40]
    everything = {kind: encode_batch(NB201, codes, kind) for kind in ("graf", "path", "adjacency_one_hot")}
    for kind, rows in everything.items():
        assert rows.dtype == np.float32
        alone = np.concatenate([encode_batch(NB201, part, kind) for part in np.array_split(few, 8)])
        assert np.array_equal(rows[::40], alone)
    assert (everything["adjacency_one_hot"].sum(1) == 6).all()
    assert len({row.tobytes() for row in everything["path"]}) == 15625  # the four paths say which cell it is


def test_path_encoding_of_nasbench101_is_the_set_of_its_paths():
    code = NB101.canonical(
        {"matrix": [[0, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 0]], "ops": ["input", "maxpool3x3",
         "conv1x1-bn-relu", "output"]}
    )  # fmt: skip
    (row,) = encode_batch(NB101, [code], "path")
    assert len(row) == sum(3**k for k in range(6)) and np.flatnonzero(row).tolist() == [2, 3]  # conv1x1; maxpool
    chain = NB101.canonical({"matrix": np.eye(4, k=1, dtype=int).tolist(), "ops": ["input", "conv3x3-bn-relu",
                             "maxpool3x3", "output"]})  # fmt: skip
    assert np.flatnonzero(encode_batch(NB101, [chain], "path")[0]).tolist() == [1 + 3 * 3]


def test_the_graph_of_nasbench101_has_operations_as_vertices():
    code = NB101.canonical({"matrix": [[0, 1, 1], [0, 0, 1], [0, 0, 0]], "ops": ["input", "conv3x3-bn-relu", "output"]})
    graph = encode_batch(NB101, [code], "gcn")
    (there,) = np.nonzero(graph["mask"][0])
    assert graph["num_vertices"].tolist() == [3]
    assert graph["adjacency"][0][np.ix_(there, there)].tolist() == [[0, 1, 1], [0, 0, 1], [0, 0, 0]]
    assert graph["adjacency"][0].sum() == 3
    assert graph["operations"][0][there].argmax(1).tolist() == [0, 1, 4]  # input, the first operation, output


def test_cells_of_darts_know_their_output_and_the_chosen_inputs():
    codec = NasBench301SearchSpace.codec
    cells = cells_of(codec.decision_space, codec.fixed_edges())
    assert [cell.name for cell in cells] == ["normal_cell", "reduction_cell"]
    assert all(len(cell.slots) == 14 and len(cell.inputs) == 2 and cell.n_nodes == 7 for cell in cells)
    code = codec.random(Random(2))
    states = cells[0].states(codec.decision_space.as_genes([codec.to_decisions(code)]))[0]
    assert (states > 0).sum() == 8 and (states == 0).sum() == 4


def test_graf_of_darts_agrees_with_the_paths_of_its_cells():
    codec, rng = NasBench301SearchSpace.codec, Random(7)
    codes = [codec.random(rng) for _ in range(10)]
    found = _columns(codec, codes)
    ops = cells_of(codec.decision_space, codec.fixed_edges())[0].ops
    for row, code in enumerate(codes):
        for name, cell in zip(("normal_cell", "reduction_cell"), codec.to_compact(code), strict=True):
            routes = [[OPS[op] for op in path] for _, path in get_paths(cell)]
            for subset in (ops, [op for op in ops if "conv" in op], ["skip_connect"]):
                lengths = [len(route) for route in routes if {*route} <= {*subset}]
                words = f"of {', '.join(op for op in ops if op in subset)}"
                assert found[f"{name}: count {words}"][row] == sum(OPS[op] in subset for _, op in cell)
                assert found[f"{name}: number of paths {words}"][row] == len(lengths)
                assert found[f"{name}: shortest path {words}"][row] == min(lengths, default=15)
                assert found[f"{name}: longest path {words}"][row] == max(lengths, default=0)
                both = [sum(OPS[op] in subset for source, op in cell if source == number) for number in (0, 1)]
                for number in (0, 1):
                    assert found[f"{name}: out-degree of input {number} {words}"][row] == both[number]


@pytest.mark.parametrize("name", ["nats_size", "nasbench_macro", "darts_rnn", "nasbench1shot1"])
def test_every_space_has_every_encoding(name):
    space, rng = SEARCH_SPACES.get(name)(), Random(0)
    codec = space._codec()
    codes = [codec.random(rng) for _ in range(3)]
    for kind in EncodingType:
        found = encode_batch(space, codes, kind)
        arrays = list(found.values()) if isinstance(found, dict) else [found]
        assert all(len(array) == 3 and np.isfinite(array).all() for array in arrays)
    assert len({tuple(row) for row in encode_batch(space, codes, "adjacency_one_hot").tolist()}) == len(set(codes))


def test_codes_in_the_order_of_a_field_are_translated_at_once():
    codec, rng = SEARCH_SPACES.get("transbench101_micro").codec, Random(4)
    codes = [codec.random(rng) for _ in range(20)]
    one_hot = encode_batch(codec, np.array(codes), "adjacency_one_hot")
    assert one_hot.tolist() == codec.decision_space.vectors([codec.to_decisions(code) for code in codes]).tolist()
    with pytest.raises(ArchitectureError, match="genes"):
        encode_batch(codec, [(0, 0, 0, 0, 0, 7)], "graf")


def test_sizes_are_features_as_they_are():
    space = SEARCH_SPACES.get("nats_size")()
    rows = encode_batch(space, [(0, 7, 3, 3, 3)], "graf")
    assert rows[0, -5:].tolist() == [8, 64, 32, 32, 32] and rows[0, :8].tolist() == [1, 0, 0, 3, 0, 0, 0, 1]


def test_many_operations_have_fewer_subsets():
    ops = [f"op_{number}" for number in range(9)]
    space = DecisionSpace([Decision("cell/1-2", "op", tuple(ops)), Decision("cell/1-3", "op", (*ops, "none")),
                           Decision("cell/2-3", "op", (*ops, "none"))])  # fmt: skip
    (cell,) = cells_of(space)
    assert len(subsets_of(cell)) == 9 + 36 + 1 + 1
    rows = encode_decided(space, [(0, 9, 0)], EncodingType.GRAF)
    assert rows.shape == (1, 47 * 11)


def test_partial_concats_have_no_compact_rows_and_no_graf():
    codec = NasBench301SearchSpace.codec
    whole = codec.random(Random(1))
    partial = (*whole, 3, 15)
    assert codec.is_valid(partial) and encode_batch(codec, [whole, partial], "adjacency_one_hot").shape == (2, 210)
    with pytest.raises(UnsupportedBySpaceError, match="partial concats"):
        encode_batch(codec, [whole, partial], "compact")
    with pytest.raises(ArchitectureError, match="partial concat"):
        encode_batch(codec, [partial], "graf")


def test_what_is_no_code_or_no_encoding_is_refused():
    with pytest.raises(ArchitectureError, match="genes"):
        encode_batch(NB201, [(0, 0, 0, 0, 0, 9)], "graf")
    with pytest.raises(ArchitectureError, match="genes"):
        encode_batch(NB201, [(0, 0, 0)], "adjacency_one_hot")
    with pytest.raises(ArchitectureError, match="genes"):
        encode_batch(NB201, np.array([[0.5, 0, 0, 0, 0, 1]]), "graf")
    for kind in EncodingType:  # what is always decided has no gene of -1
        with pytest.raises(ArchitectureError, match="genes"):
            encode_batch(NB201, [(-1, 0, 0, 0, 0, 0)], kind)
    with pytest.raises(UnsupportedBySpaceError, match="no encoding"):
        encode_batch(NB201, [(0, 0, 0, 0, 0, 0)], "adjacency")
    graph = SimpleCellSearchSpace()
    graph.sample_random_architecture(rng=1)
    held = graph._with_code_only(graph.get_code())
    with pytest.raises(UnsupportedBySpaceError, match="holds a code alone"):
        encode_batch(held, [graph.get_code()], "graf")
    assert encode_batch(held, [graph.get_code()], "adjacency_one_hot").shape[0] == 1
    assert np.array_equal(graph.encode("graf"), encode_batch(SimpleCellSearchSpace(), [graph.get_code()], "graf")[0])
