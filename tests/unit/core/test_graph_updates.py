"""update_edges, update_nodes, get_all_edge_data, set_at_edges."""

from __future__ import annotations

import pytest
import torch
from graph_classes import chain
from torch import nn

from naslib.search_spaces.core.graph import EdgeData, Graph


def _cell(name: str = "cell", scope: str | None = "cell") -> Graph:
    cell = Graph(name=name, scope=scope)
    cell.add_nodes_from([1, 2, 3])
    cell.add_edges_densly()
    for u, v in cell.edges:
        cell.edges[u, v].set("id", (u, v), shared=True)
    return cell


def _macro() -> tuple[Graph, list[Graph]]:
    """Return a graph with four copies of a cell: at a node, on an edge, in a list of candidates, in another scope."""
    cell = _cell()
    at_node, on_edge, candidate, elsewhere = cell, cell.copy(), cell.copy(), cell.copy()
    elsewhere.set_scope("other")
    graph = chain(nn.Identity(), on_edge, [candidate, nn.Identity()], elsewhere, name="macro", scope="macro")
    graph.nodes[2]["subgraph"] = at_node
    return graph, [at_node, on_edge, candidate, elsewhere]


def _visited(graph: Graph, **kwargs) -> list[EdgeData]:
    seen: list[EdgeData] = []
    graph.update_edges(lambda edge: seen.append(edge.data), **kwargs)
    return seen


def test_the_update_function_gets_source_target_and_data():
    graph = chain(nn.Tanh(), nn.ReLU())
    seen = []
    graph.update_edges(update_func=lambda edge: seen.append((edge.head, edge.tail, edge.data)))
    assert seen == [(1, 2, graph.edges[1, 2]), (2, 3, graph.edges[2, 3])]


def test_shared_edges_once_private_ones_each():
    graph, cells = _macro()
    assert len(_visited(graph)) == 4 + 3
    assert len(_visited(graph, private_edge_data=False, scope="all")) == 7
    private = _visited(graph, private_edge_data=True)
    assert len(private) == 4 + 4 * 3
    assert {id(d) for d in private} >= {id(cell.edges[e]) for cell in cells for e in cell.edges}


def test_scope_is_filtered_before_duplicates_are_dropped():
    graph, cells = _macro()
    other = _visited(graph, scope="other")
    assert {id(d) for d in other} == {id(d) for _, _, d in cells[3].edges(data=True)} and len(other) == 3
    assert len(_visited(graph, scope=["cell", "macro"])) == 4 + 3
    assert len(_visited(graph, scope=["cell", "other"], private_edge_data=True)) == 12
    assert _visited(graph, scope="nowhere") == []
    assert len(_visited(graph, scope="macro")) == 4  # a string is a name, not a set of letters


def test_final_edges_are_hidden():
    graph, cells = _macro()
    cells[0].edges[1, 2].finalize()
    assert len(_visited(graph, private_edge_data=True)) == 15
    assert len(_visited(graph)) == 7  # its copies are not final
    for _, _, data in graph.edges(data=True):
        data.finalize()
    assert len(_visited(graph)) == 3


@pytest.mark.parametrize("private", [False, True])
def test_deleted_edges_are_removed_everywhere(private: bool):
    graph, cells = _macro()

    def delete(edge):
        if edge.data.has("id") and edge.data.id == (1, 3):
            edge.data.delete()

    graph.update_edges(delete, scope="cell", private_edge_data=private)
    assert all(list(cell.edges) == [(1, 2), (2, 3)] for cell in cells)
    assert graph.number_of_edges() == 4


def test_edges_are_removed_only_by_an_update():
    graph, cells = _macro()
    cells[1].edges[1, 3].delete()
    assert cells[1].has_edge(1, 3)
    graph.update_nodes(lambda node, in_edges, out_edges: None)
    assert not any(cell.has_edge(1, 3) for cell in cells)


def test_removal_on_a_parsed_graph_counts_at_once():
    graph = Graph(name="g")
    graph.add_edge(1, 2, op=nn.Linear(2, 2))
    graph.add_edge(1, 3, op=nn.Linear(2, 2))
    graph.add_edge(2, 3)
    graph.parse()
    x = torch.ones(1, 2)
    graph(x)
    graph.edges[1, 3].delete()
    graph.update_edges(lambda edge: None)
    assert len(list(graph.parameters())) == 2
    torch.testing.assert_close(graph(x), graph.edges[1, 2].op(x))


def test_the_order_is_graphs_by_name_then_source_major():
    graph = Graph(name="m")
    for u, v in [(2, 4), (1, 4), (3, 4), (1, 2), (1, 3)]:
        graph.add_edge(u, v)
    for node, name in [(2, "z"), (3, "a")]:
        graph.nodes[node]["subgraph"] = _cell(name, "s")
    for nested in graph.nested_graphs():
        for u, v in nested.edges:
            nested.edges[u, v].set("where", f"{nested.name}{u}{v}")
    expected = ["a12", "a13", "a23", "m12", "m13", "m14", "m24", "m34", "z12", "z13", "z23"]
    assert graph.get_all_edge_data("where") == expected
    assert [d.where for d in _visited(graph)] == expected


def test_get_all_edge_data():
    graph, cells = _macro()
    ids = [(1, 2), (1, 3), (2, 3)]
    assert graph.get_all_edge_data("id") == ids and graph.get_all_edge_data("nothing") == []
    assert graph.get_all_edge_data("id", scope="other") == ids and graph.get_all_edge_data("id", scope="macro") == []
    assert sorted(graph.get_all_edge_data("id", private_edge_data=True)) == sorted(4 * ids)
    cells[0].edges[1, 2].finalize()
    assert graph.get_all_edge_data("id") == ids
    assert len(graph.get_all_edge_data("op", "cell", True)) == 9


def test_set_at_edges():
    graph, cells = _macro()
    cells[0].edges[1, 2].finalize()
    graph.set_at_edges("stride", 2)
    assert len(graph.get_all_edge_data("stride", private_edge_data=True)) == 15
    assert not cells[0].edges[1, 2].has("stride")
    graph.set_at_edges("alpha", marker := object(), shared=True)
    assert all(value is marker for value in graph.get_all_edge_data("alpha", private_edge_data=True))
    assert cells[3].edges[2, 3].alpha is marker


def test_an_update_may_replace_ops_of_a_parsed_graph():
    graph = chain(nn.Linear(2, 2), nn.Linear(2, 2), name="g")
    graph.parse()
    graph.update_edges(lambda edge: edge.data.set("op", nn.Tanh()), private_edge_data=True)
    assert list(graph.parameters()) == []
    torch.testing.assert_close(graph(torch.ones(1)), torch.tanh(torch.tanh(torch.ones(1))))


# update_nodes


def test_update_nodes_arguments():
    cell = _cell()
    cell.edges[1, 3].finalize()
    seen = {}

    def update(node, in_edges, out_edges):
        assert node[1] is cell.nodes[node[0]]
        seen[node[0]] = (in_edges, out_edges)

    cell.update_nodes(update)
    assert list(seen) == [1, 2, 3]
    assert seen[1] == ([], [(2, cell.edges[1, 2])])  # the final edge (1, 3) is hidden
    assert seen[2] == ([(1, cell.edges[1, 2])], [(3, cell.edges[2, 3])])
    assert seen[3] == ([(2, cell.edges[2, 3])], [])


@pytest.mark.parametrize(("single", "times"), [(True, 1), (False, 3)])
def test_update_nodes_of_copies(single: bool, times: int):
    graph, _ = _macro()
    seen = []
    graph.update_nodes(lambda node, in_edges, out_edges: seen.append(node[0]), scope="cell", single_instances=single)
    assert seen == [1, 2, 3] * times
    seen.clear()
    graph.update_nodes(lambda node, in_edges, out_edges: seen.append(node[0]), scope="other")
    assert seen == [1, 2, 3]
    seen.clear()
    graph.update_nodes(lambda node, in_edges, out_edges: seen.append(node[0]))
    assert len(seen) == 5 + 3


def test_update_nodes_may_change_nodes_and_delete_edges():
    graph, cells = _macro()

    def update(node, in_edges, out_edges):
        node[1]["kind"] = "visited"
        for source, data in in_edges:
            if source == 1 and node[0] == 3:
                data.delete()

    graph.update_nodes(update, scope="cell")
    assert cells[0].nodes[3]["kind"] == "visited" and "kind" not in cells[1].nodes[3]
    assert not any(cell.has_edge(1, 3) for cell in cells)
