"""Pictures of spaces: which cells are drawn, what stands on them, and the table of decisions."""

from __future__ import annotations

from pathlib import Path

from naslib.search_spaces import NasBench201SearchSpace, NasBench301SearchSpace
from naslib.search_spaces.core.decisions import Decision
from naslib.search_spaces.core.elastic import ElasticLinear, Value
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.primitives import Identity, Zero
from naslib.training.cell_layout import cells_of
from naslib.training.chain_picture import boxes_of
from naslib.training.space_pictures import _cells, draw_space, rows_of


def test_decisions_that_are_alike_are_one_row() -> None:
    rows = rows_of(NasBench301SearchSpace(cells=3, nodes=2).decision_space.decisions)
    assert [(row.name, row.kind, row.rule, len(row.candidates)) for row in rows] == [
        ("normal_cell/4", "inputs", "2 of", 3),
        ("reduction_cell/4", "inputs", "2 of", 3),
        ("normal_cell/1-3 ... normal_cell/3-4  (5)", "op", "1 of", 7),
        ("reduction_cell/1-3 ... reduction_cell/3-4  (5)", "op", "1 of", 7),
    ]


def test_a_long_list_says_how_much_of_it_is_not_shown() -> None:
    (row,) = rows_of([Decision("width", "value", tuple(range(8, 408, 8)))])
    assert row.candidates[:2] == ("8", "16") and row.candidates[-1] == "and 26 more" and len(row.candidates) == 25
    (row,) = rows_of([Decision("inputs", "inputs", ("a" * 50, "b"), None)])
    assert row.rule == "any of" and row.candidates == ("a" * 37 + "...", "b")


def test_edges_say_what_can_stand_on_them() -> None:
    graph = Graph(name="net", scope="all")
    graph.add_nodes_from([1, 2, 3])
    graph.add_edges_densly()
    graph.edges[1, 2].set("op", [Identity(), Zero(1)])
    graph.edges[1, 3].set("op", [Identity(), Zero(1), Identity()])
    graph.edges[2, 3].set("op", Zero(1))
    graph.nodes[3]["comb_op"] = [sum, max]
    (cell,) = _cells(graph)
    assert [(edge.source, edge.target, edge.label, edge.kind) for edge in cell.edges] == [
        (1, 2, "Identity | Zero", "op"),
        (1, 3, "3 operations", "op"),
        (2, 3, "none", "zero"),
    ]
    assert cell.labels == {3: "3\n1 of 2"}


def test_the_nodes_of_a_cell_with_two_inputs_have_the_names_of_the_field() -> None:
    space = NasBench301SearchSpace(cells=3, channels=4)
    space.sample_random_architecture(rng=0)
    for cell in cells_of(space):
        assert cell.labels == {1: "c_{k-2}", 2: "c_{k-1}", 7: "c_{k}"}
        assert cell.inputs == (1, 2) and cell.outputs == (7,)


def test_a_space_is_drawn_cell_by_cell(tmp_path: Path) -> None:
    files = draw_space(NasBench201SearchSpace(channels=4, cells_per_stage=1), tmp_path, "nasbench201")
    assert [file.name for file in files] == [
        "nasbench201_cell.svg",
        "nasbench201_cell.png",
        "nasbench201_chain.svg",
        "nasbench201_chain.png",
        "nasbench201_decisions.svg",
        "nasbench201_decisions.png",
    ]
    assert files[0].read_text().count("<text") + files[0].read_text().count('<g id="text_') >= 11
    first = files[4].read_bytes()
    again = draw_space(NasBench201SearchSpace(channels=4, cells_per_stage=1), tmp_path, "nasbench201")
    assert again[4].read_bytes() == first


def test_a_chain_is_drawn_layer_by_layer() -> None:
    space = NasBench201SearchSpace(channels=4, cells_per_stage=2)
    cell = ("6 edges to decide",)
    assert boxes_of(space) == [
        ("Stem", False, ()),
        ("cell  x2", True, cell),
        ("ResNetBasicblock", False, ()),
        ("cell  x2", True, cell),
        ("ResNetBasicblock", False, ()),
        ("cell  x2", True, cell),
        ("Sequential", False, ()),
    ]
    assert boxes_of(NasBench301SearchSpace(cells=3, channels=4)) == []  # cells that read two others are no chain


def test_a_layer_of_a_chain_says_its_candidates_and_sizes() -> None:
    graph = Graph(name="net", scope="all")
    graph.add_nodes_from([1, 2, 3, 4])
    graph.add_edges_from([(1, 2), (2, 3), (3, 4)])
    graph.edges[1, 2].set("op", [Identity(), Zero(1)])
    graph.edges[2, 3].set("op", ElasticLinear(Value([4, 8], "wide"), 3))
    graph.edges[3, 4].set("op", Identity())
    assert boxes_of(graph) == [
        ("one of", True, ("Identity", "Zero")),
        ("ElasticLinear", True, ("wide: 4, 8",)),
        ("Identity", False, ()),
    ]
