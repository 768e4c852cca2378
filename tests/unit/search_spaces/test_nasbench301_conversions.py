"""DARTS conversions: genotypes as text, compact forms, configurations, graphs."""

from __future__ import annotations

import random
from itertools import permutations

import pytest

from naslib.errors import ArchitectureError
from naslib.search_spaces.core.graph import EdgeData, Graph
from naslib.search_spaces.core.primitives import AvgPool, DilConv, FactorizedReduce, Identity, MaxPool, SepConv, Zero
from naslib.search_spaces.nasbench301 import conversions
from naslib.search_spaces.nasbench301.codec import DartsCodec
from naslib.search_spaces.nasbench301.conversions import Genotype, get_cell_of_type
from naslib.search_spaces.nasbench301.genotype import OPS, as_genotype, parse_genotype, to_json

NORMAL = [("sep_conv_3x3", 1), ("skip_connect", 0), ("dil_conv_5x5", 2), ("max_pool_3x3", 0), ("sep_conv_5x5", 1),
          ("avg_pool_3x3", 3), ("dil_conv_3x3", 2), ("skip_connect", 4)]  # fmt: skip
REDUCE = [("max_pool_3x3", 0), ("skip_connect", 1), ("skip_connect", 2), ("max_pool_3x3", 1), ("sep_conv_3x3", 0),
          ("dil_conv_5x5", 1), ("skip_connect", 2), ("avg_pool_3x3", 4)]  # fmt: skip
GENOTYPE = Genotype(NORMAL, [2, 3, 4, 5], REDUCE, [2, 3, 4, 5])


def make_cell(name: str, nodes: int, stride: int) -> Graph:
    cell = Graph(name=name)
    for node in range(1, nodes + 4):
        cell.add_node(node)
    for node in range(3, nodes + 3):
        for source in range(1, node):
            s = stride if source < 3 else 1
            skip = Identity() if s == 1 else FactorizedReduce(4, 4)
            cell.add_edge(source, node)
            cell.edges[source, node].set(
                "op",
                [
                    skip, Zero(stride=s), MaxPool(4, 3, s), AvgPool(4, 3, s),
                    SepConv(4, 4, 3, s, 1), SepConv(4, 4, 5, s, 2),
                    DilConv(4, 4, 3, s, 2, 2), DilConv(4, 4, 5, s, 4, 2),
                ],
            )  # fmt: skip
    cell.add_edges_from([(node, nodes + 3, EdgeData().finalize()) for node in range(3, nodes + 3)])
    return cell


def make_space(nodes: int = 4) -> Graph:
    """Three cells at nodes 4, 5, 6 as in the real space, the last one a second normal cell."""
    space = Graph(name="makrograph")
    for node in (1, 2, 3):
        space.add_node(node)
    space.add_node(4, subgraph=make_cell("normal_cell", nodes, 1).set_input([2, 3]))
    space.add_node(5, subgraph=make_cell("reduction_cell", nodes, 2).set_input([3, 4]))
    space.add_node(6, subgraph=make_cell("normal_cell", nodes, 1).set_input([4, 5]))
    space.add_node(7)
    space.add_edges_from([(1, 2), (1, 3), (2, 4), (3, 4), (3, 5), (4, 5), (4, 6), (5, 6), (6, 7)])
    return space


def test_genotype_is_a_named_tuple_with_the_field_names_of_the_papers() -> None:
    assert Genotype._fields == ("normal", "normal_concat", "reduce", "reduce_concat")
    assert GENOTYPE == (NORMAL, [2, 3, 4, 5], REDUCE, [2, 3, 4, 5])


@pytest.mark.parametrize(
    "text",
    [
        repr(GENOTYPE),
        repr(GENOTYPE).replace("[2, 3, 4, 5]", "range(2, 6)"),
        f"Genotype({NORMAL!r}, [2, 3, 4, 5], reduce={REDUCE!r}, reduce_concat=list(range(2, 6)))",
        f"  genotypes.{GENOTYPE!r}\n",
    ],
)
def test_genotypes_are_read_from_text(text: str) -> None:
    assert parse_genotype(text) == GENOTYPE


def test_json_form_reads_back() -> None:
    assert as_genotype(to_json(GENOTYPE)) == GENOTYPE
    assert to_json(GENOTYPE)["normal"][0] == ["sep_conv_3x3", 1]


@pytest.mark.parametrize(
    "text",
    ["", "Genotype(", "__import__('os').getcwd()", "Other(normal=[])", "Genotype(normal=__import__('os'))", "[1, 2]",
     "{", "Genotype(nromal=[])", "Genotype(normal=open('x').read())", "Genotype(normal=range(2, 'x'))"],
)  # fmt: skip
def test_texts_that_are_none_are_refused_and_never_executed(text: str) -> None:
    with pytest.raises(ArchitectureError):
        parse_genotype(text)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"normal": [("sep_conv_3x", 1), *NORMAL[1:]]}, r"normal\[0\].*did you mean 'sep_conv_3x3'"),
        ({"normal": [("sep_conv_3x3", 2), *NORMAL[1:]]}, "node 2 can take 0 to 1 only"),
        ({"reduce": [("sep_conv_3x3", 1), ("skip_connect", 1), *REDUCE[2:]]}, "node 2 takes node 1 twice"),
        ({"reduce": REDUCE[:6], "reduce_concat": [2, 3, 4]}, "normal has 8 edges and reduce 6"),
        ({"normal": NORMAL[:7]}, "two per node"),
        ({"reduce_concat": ["a", 2]}, "reduce_concat must be"),
        ({"normal_concat": [3, 4, 6]}, r"normal_concat must be \[2, 3, 4, 5\] or some of them"),
        ({"normal_concat": [3, 3, 5]}, "each once"),
        ({"normal_concat": []}, r"normal_concat must be \[2, 3, 4, 5\] or some of them, not \[\]"),
        ({"normal_concat": [0, 2]}, "normal_concat must be"),
        ({"normal": [("sep_conv_3x3", 2, 0), *NORMAL[1:]]}, r"normal\[0\] must be"),
    ],
)
def test_invalid_genotypes_are_explained(change: dict[str, object], message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        as_genotype(GENOTYPE._replace(**change))


def test_compact_round_trip_keeps_the_order() -> None:
    compact = conversions.convert_genotype_to_compact(GENOTYPE)
    assert compact[0][:3] == (
        (1, OPS.index("sep_conv_3x3")),
        (0, OPS.index("skip_connect")),
        (2, OPS.index("dil_conv_5x5")),
    )
    assert conversions.convert_compact_to_genotype(compact) == GENOTYPE
    mutable = conversions.make_compact_mutable(compact)
    assert mutable[0][0] == [1, 3]
    assert conversions.make_compact_immutable(mutable) == compact
    with pytest.raises(ArchitectureError, match="op index 7"):
        conversions.convert_compact_to_genotype([[(0, 7), (1, 0)], [(0, 0), (1, 0)]])


def test_config_numbers_the_edges_node_by_node() -> None:
    config = conversions.convert_genotype_to_config(GENOTYPE)
    key = "NetworkSelectorDatasetInfo:darts:"
    # edges of node 2 start at 0, of node 3 at 2, of node 4 at 5, of node 5 at 9
    normal = {int(k.rsplit("_", 1)[1]): op for k, op in config.items() if k.startswith(key + "edge_normal_")}
    assert normal == {1: "sep_conv_3x3", 0: "skip_connect", 4: "dil_conv_5x5", 2: "max_pool_3x3", 6: "sep_conv_5x5",
                      8: "avg_pool_3x3", 11: "dil_conv_3x3", 13: "skip_connect"}  # fmt: skip
    assert config[key + "inputs_node_normal_3"] == "0_2" and config[key + "inputs_node_reduce_5"] == "2_4"
    assert key + "inputs_node_normal_2" not in config
    assert len(config) == 2 * (8 + 3)


def test_config_round_trip() -> None:
    rng = random.Random(0)
    for nodes in (1, 2, 4, 5):
        codec = DartsCodec(nodes)
        genotype = codec.to_genotype(codec.random(rng))  # predecessors ascending, as a configuration gives them back
        config = conversions.convert_genotype_to_config(genotype)
        assert conversions.convert_config_to_genotype(config) == genotype
        assert codec.canonical(config) == codec.canonical(genotype)
    config = conversions.convert_genotype_to_config(GENOTYPE)
    del config["NetworkSelectorDatasetInfo:darts:edge_normal_4"]
    with pytest.raises(ArchitectureError, match="node 3 of the normal cell has 1 inputs"):
        conversions.convert_config_to_genotype(config)


def test_every_path_of_conversions_agrees() -> None:
    codec = DartsCodec()
    code = codec.random(random.Random(5))
    genotype = codec.to_genotype(code)
    form = {
        "genotype": genotype,
        "compact": conversions.convert_genotype_to_compact(genotype),
        "config": conversions.convert_genotype_to_config(genotype),
    }
    for a, b in permutations(form, 2):
        assert getattr(conversions, f"convert_{a}_to_{b}")(form[a]) == form[b]
    for kind, value in form.items():
        graph = make_space()
        getattr(conversions, f"convert_{kind}_to_naslib")(value, graph)
        assert getattr(conversions, f"convert_naslib_to_{kind}")(graph) == value


@pytest.mark.parametrize("nodes", [1, 2, 4])
def test_graph_round_trip(nodes: int) -> None:
    codec, rng = DartsCodec(nodes), random.Random(nodes)
    for _ in range(3):
        graph, code = make_space(nodes), codec.random(rng)
        codec.apply(graph, code)
        assert codec.from_graph(graph) == code
        for node in (4, 5, 6):
            cell = graph.nodes[node]["subgraph"]
            assert all(cell.in_degree(inner) == 2 for inner in range(3, nodes + 3))
            assert cell.in_degree(nodes + 3) == nodes
            kept = [cell.edges[edge] for edge in cell.edges if edge[1] < nodes + 3]
            assert all(len(data.primitives) == 8 and data.op in data.primitives for data in kept)


def test_both_copies_of_a_cell_have_own_modules() -> None:
    graph = make_space()
    conversions.convert_genotype_to_naslib(GENOTYPE, graph)
    first, second = (graph.nodes[node]["subgraph"].edges[2, 3].op for node in (4, 6))
    assert first.get_op_name == second.get_op_name == "SepConv3x3" and first is not second


def test_reduction_cell_takes_its_strided_skip() -> None:
    graph = make_space()
    conversions.convert_genotype_to_naslib(GENOTYPE, graph)
    cell = get_cell_of_type(graph, "reduction_cell")
    assert isinstance(cell.edges[2, 3].op, FactorizedReduce)  # skip from an input
    assert isinstance(cell.edges[3, 4].op, Identity)  # skip inside the cell


def test_cells_are_found_by_name() -> None:
    graph = make_space()
    assert get_cell_of_type(graph, "normal_cell") is graph.nodes[4]["subgraph"]
    with pytest.raises(ArchitectureError, match="no cell called 'other'"):
        get_cell_of_type(graph, "other")


def test_graphs_that_are_none_are_refused() -> None:
    graph = make_space()
    with pytest.raises(ArchitectureError, match=r"edge \(1, 3\) of 'normal_cell' carries a list of candidates"):
        conversions.convert_naslib_to_genotype(graph)
    get_cell_of_type(graph, "normal_cell").remove_edge(1, 3)
    with pytest.raises(ArchitectureError, match="node 3 of 'normal_cell' has 1 inputs"):
        conversions.convert_naslib_to_genotype(graph)
    graph = make_space()
    with pytest.raises(ArchitectureError, match="4 nodes per cell, the graph 2"):
        conversions.convert_genotype_to_naslib(GENOTYPE, make_space(2))
    conversions.convert_genotype_to_naslib(GENOTYPE, graph)
    other = as_genotype(GENOTYPE._replace(normal=[("sep_conv_3x3", 1), ("skip_connect", 0)] * 4))
    with pytest.raises(ArchitectureError, match="an architecture already"):
        conversions.convert_genotype_to_naslib(other, graph)
    get_cell_of_type(graph, "normal_cell").edges[2, 3].set("op", Zero(stride=1))
    with pytest.raises(ArchitectureError, match="carries Zero"):
        conversions.convert_naslib_to_genotype(graph)
