"""NAS-Bench-201 conversions: strings of the benchmark, and graphs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from data_files import data_file

from naslib.errors import ArchitectureError
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.primitives import AvgPool1x1, Identity, ReLUConvBN, Zero
from naslib.search_spaces.nasbench201.codec import NasBench201Codec
from naslib.search_spaces.nasbench201.conversions import (
    EDGE_LIST,
    convert_naslib_to_op_indices,
    convert_naslib_to_str,
    convert_op_indices_to_naslib,
    convert_op_indices_to_str,
    convert_str_to_op_indices,
)

TABLE = data_file("nb201.npz")
# the architecture of figure 1 in the conversions' documentation: edges to node 2, to node 3, to node 4
STRING = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_1x1~1|none~2|"
CODE = (2, 1, 4, 0, 3, 1)


def candidates() -> list[object]:
    return [Identity(), Zero(stride=1), ReLUConvBN(4, 4, 3), ReLUConvBN(4, 4, 1), AvgPool1x1(3, 1)]


def make_space() -> Graph:
    """Two cells on edges of a chain, as in the real space."""
    cell = Graph(name="cell")
    for node in range(1, 5):
        cell.add_node(node)
    cell.add_edges_densly()
    space = Graph(name="makrograph")
    for node in range(1, 5):
        space.add_node(node)
    space.add_edges_from([(1, 2), (2, 3), (3, 4)])
    for edge in ((2, 3), (3, 4)):
        copy = cell.copy().set_scope(f"stage_{edge[0]}")
        for inner in EDGE_LIST:
            copy.edges[inner].set("op", candidates())
        space.edges[edge].set("op", copy)
    return space


def test_string_groups_by_target_and_code_by_source() -> None:
    assert convert_op_indices_to_str(CODE) == STRING
    assert convert_str_to_op_indices(STRING) == CODE


def test_every_code_survives_the_string() -> None:
    strings = set()
    for code in itertools.product(range(5), repeat=6):
        string = convert_op_indices_to_str(code)
        strings.add(string)
        assert convert_str_to_op_indices(string) == code
    assert len(strings) == 15625


def test_strings_of_the_table() -> None:
    if not TABLE.is_file():
        pytest.skip(f"no {TABLE.name} in the shared data directory")
    with np.load(TABLE) as file:
        names, ops = [str(name) for name in file["op_names"]], file["ops"]
    for row in ops[::101]:  # the file groups by target as the string does
        a, b, c, d, e, f = (names[op] for op in row)
        string = f"|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|"
        assert convert_op_indices_to_str(convert_str_to_op_indices(string)) == string


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "|nor_conv_3x3~0|",
        STRING.replace("~2", "~1"),
        STRING + "|",
        STRING.replace("|+|", "||"),
        STRING.replace("+", "-"),
    ],
)
def test_malformed_strings_are_refused(bad: str) -> None:
    with pytest.raises(ArchitectureError, match="expected"):
        convert_str_to_op_indices(bad)


def test_unknown_op_in_a_string_gets_a_suggestion() -> None:
    with pytest.raises(ArchitectureError, match="did you mean 'nor_conv_3x3'"):
        convert_str_to_op_indices(STRING.replace("nor_conv_3x3", "nor_conv3x3"))


def test_graph_round_trip_sets_every_cell_and_keeps_the_candidates() -> None:
    space = make_space()
    originals = {(cell, edge): space.edges[cell].op.edges[edge].op for cell in ((2, 3), (3, 4)) for edge in EDGE_LIST}
    convert_op_indices_to_naslib(CODE, space)
    assert convert_naslib_to_op_indices(space) == list(CODE)
    assert convert_naslib_to_str(space) == STRING
    for (cell, edge), ops in originals.items():
        data = space.edges[cell].op.edges[edge]
        assert data.op is ops[CODE[EDGE_LIST.index(edge)]]
        assert data.primitives == ops
        assert "primitives" in data.to_dict("private")


def test_another_architecture_can_be_set_from_the_kept_candidates() -> None:
    space = make_space()
    codec = NasBench201Codec()
    codec.apply(space, CODE)
    codec.apply(space, (0,) * 6)
    assert codec.from_graph(space) == (0,) * 6


def test_a_bare_cell_is_a_graph_too() -> None:
    cell = make_space().edges[2, 3].op
    convert_op_indices_to_naslib(CODE, cell)
    assert convert_naslib_to_op_indices(cell) == list(CODE)


def test_order_of_candidates_does_not_matter() -> None:
    space = make_space()
    for cell in ((2, 3), (3, 4)):
        for edge in EDGE_LIST:
            data = space.edges[cell].op.edges[edge]
            data.set("op", list(reversed(data.op)))
    convert_op_indices_to_naslib(CODE, space)
    assert convert_naslib_to_op_indices(space) == list(CODE)


def test_graph_under_search_is_no_architecture() -> None:
    with pytest.raises(ArchitectureError, match="not discretized"):
        convert_naslib_to_op_indices(make_space())


def test_graph_without_a_cell_or_candidates_is_refused() -> None:
    space = make_space()
    space.edges[2, 3].op.edges[1, 2].set("op", Identity())
    with pytest.raises(ArchitectureError, match=r"edge \(1, 2\) of the cell has no candidates"):
        convert_op_indices_to_naslib(CODE, space)
    chain = Graph(name="chain")
    chain.add_node(1)
    chain.add_node(2)
    chain.add_edge(1, 2)
    with pytest.raises(ArchitectureError, match="no NAS-Bench-201 cell"):
        convert_naslib_to_op_indices(chain)
    with pytest.raises(ArchitectureError):
        convert_op_indices_to_naslib((0,) * 5, make_space())
