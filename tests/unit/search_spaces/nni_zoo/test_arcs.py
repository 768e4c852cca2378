"""Architectures as their authors write them: published arcs of ENAS, and what NNI exports."""

from __future__ import annotations

import json
from random import Random

import pytest
import torch
from torch import nn

from naslib.errors import ArchitectureError, GraphError
from naslib.optimizers import DARTSOptimizer
from naslib.search_spaces import ModuleSearchSpace
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.nni_zoo import DartsCell, DartsCellSearchSpace, ENASMacroSearchSpace, ENASMicroSearchSpace

# Of the authors' scripts cifar10_micro_final.sh, and the first eight layers of that of cifar10_macro_final.sh
MICRO = "0 2 0 0 0 4 0 1 0 4 1 1 1 0 0 1 0 2 1 1 1 0 1 0 0 3 0 2 1 1 3 1 1 0 0 4 0 3 1 1"
MACRO = "0 3 0 0 1 0 2 0 0 1 2 0 0 0 0 3 1 1 0 1 0 2 0 0 0 0 0 1 2 0 1 1 0 1 1 1"


def test_the_published_micro_architecture_builds() -> None:
    space = ENASMicroSearchSpace(channels=4, layers=2)
    space.set_spec(MICRO)
    assert " ".join(map(str, space.arc())) == MICRO
    choices = space.genotype()
    assert choices["normal_cell/5:comb_op"] == "node_3" and choices["normal_cell/5-7"] == "AvgPool3x3"
    assert choices["reduction_cell/12:comb_op"] == "node_10"  # of the third node, number 3: the second one
    again = ENASMicroSearchSpace(channels=4, layers=2)
    again.set_spec(choices)
    assert again.get_hash() == space.get_hash()
    space.parse()
    assert space(torch.randn(2, 3, 8, 8)).shape == (2, 10)


def test_the_published_macro_architecture_builds() -> None:
    space = ENASMacroSearchSpace(channels=4, layers=8)
    space.set_spec(MACRO)
    assert " ".join(str(n) for layer in space.arc() for n in layer) == MACRO
    assert space.genotype()["layer_2/1-4"] == "Identity" and space.genotype()["layer_2/2-4"] == "Zero"
    assert space.genotype()["layer_7/8-9"] == "Conv5x5"


@pytest.mark.parametrize("make", [ENASMicroSearchSpace, ENASMacroSearchSpace])
def test_an_arc_is_another_spelling_of_a_code(make: type) -> None:
    space = make(channels=4, layers=3)
    space.sample_random_architecture(rng=Random(1))
    for arc in (space.arc(), json.dumps(space.arc())):
        again = make(channels=4, layers=3)
        again.set_spec(arc)
        assert again.get_code() == space.get_code() and again.arc() == space.arc()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ([0] * 39, "has 4 numbers for each of the 5 nodes of both layers, 40 in all, not 39"),
        ([2, *[0] * 39], "the input of node 0, branch 0 of the normal_cell is one of 0 to 1, not 2"),
        ([*[0] * 39, 7], "the operation of node 4, branch 1 of the reduction_cell is one of 0 to 4, not 7"),
    ],
)
def test_what_is_no_micro_arc_is_refused_by_place(spec: list[int], message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        ENASMicroSearchSpace(channels=4, layers=1).set_spec(spec)


def test_what_is_no_macro_arc_is_refused_by_place() -> None:
    space = ENASMacroSearchSpace(channels=4, layers=3)
    with pytest.raises(ArchitectureError, match=r"with 3 layers has 6 numbers.*not 3"):
        space.set_spec([[0], [1, 0]])
    with pytest.raises(ArchitectureError, match="the operation of layer_1 is one of 0 to 5, not 6"):
        space.set_spec([[0], [6, 0], [1, 0, 0]])
    with pytest.raises(ArchitectureError, match="skip 0 of layer_2 is one of 0 to 1, not 2"):
        space.set_spec([[0], [5, 0], [1, 2, 0]])
    with pytest.raises(ArchitectureError, match="normal_cell"):
        space.set_spec({"normal_cell/5-7": "Identity"})


def _exported() -> dict[str, object]:
    found: dict[str, object] = {}
    for kind in ("normal", "reduce"):
        found |= {f"{kind}_n2_p0": "sepconv3x3", f"{kind}_n2_p1": "skipconnect"}
        found |= {f"{kind}_n3_p0": "maxpool", f"{kind}_n3_p1": "dilconv5x5", f"{kind}_n3_p2": ["avgpool"]}
        found[f"{kind}_n2_switch"] = [f"{kind}_n2_p0", f"{kind}_n2_p1"]
        found[f"{kind}_n3_switch"] = [f"{kind}_n3_p0", f"{kind}_n3_p2"]
    return found


def test_what_nni_exports_is_read() -> None:
    spaces = [DartsCellSearchSpace(channels=4, cells=3, nodes=2) for _ in range(2)]
    spaces[0].set_spec(_exported())
    spaces[1].set_spec(json.dumps(_exported()))
    choices = spaces[0].decision_space.choices(spaces[0].get_code())
    assert spaces[1].get_code() == spaces[0].get_code()
    assert choices["normal_cell/6"] == (3, 5) and choices["normal_cell/3-6"] == "MaxPool3x3"
    assert choices["normal_cell/4-5"] == "Identity" and choices["reduction_cell/4-5"] == "FactorizedReduce"
    assert choices["reduction_cell/5-6"] == "AvgPool3x3"


def test_what_nni_does_not_export_is_refused_by_name() -> None:
    def refused(message: str, **changes: object) -> None:
        with pytest.raises(ArchitectureError, match=message):
            DartsCellSearchSpace(channels=4, cells=3, nodes=2).set_spec(_exported() | changes)

    refused("no operation 'sepconv3x4' in a DartsCell; did you mean 'sepconv3x3'", normal_n2_p0="sepconv3x4")
    refused("'normal_q' is no key of an exported DartsCell", normal_q="maxpool")
    refused("keeps 'reduce_n3_p0', which is no input of that node", normal_n3_switch=["reduce_n3_p0", "normal_n3_p1"])


# modules for anyone


class _Stacked(nn.Module):
    """A person's own network of two cells that are alike."""

    def __init__(self) -> None:
        super().__init__()
        self.first = DartsCell(2, 3, 3, 4, False, False)
        self.second = DartsCell(2, 3, 8, 6, False, False).decide_like(self.first)

    def forward(self, x):
        s0 = s1 = x
        for cell in (self.first, self.second):
            s0, s1 = s1, cell(s0, s1)
        return s1


def test_cells_stand_in_a_persons_own_module() -> None:
    network = _Stacked()
    for cell in (network.first, network.second):
        cell.set_spec(cell.decision_space.random(3))
        cell.parse()
    assert network(torch.randn(2, 3, 8, 8)).shape == (2, 12, 8, 8)
    assert len(list(network.parameters())) > 4


def test_cells_that_decide_alike_are_one_decision_in_a_graph() -> None:
    def space(alike: bool) -> Graph:
        graph = Graph("mine")
        first, second = DartsCell(2, 3, 3, 4, False, False), DartsCell(2, 3, 8, 6, False, False)
        if alike:
            second.decide_like(first)
        graph.add_node(1)
        graph.add_node(2, subgraph=first.set_input([1, 1]))
        graph.add_node(3, subgraph=second.set_input([1, 2]))
        graph.add_edges_from([(1, 2), (1, 3), (2, 3)])
        return graph

    names = space(alike=True).decision_space.names
    assert len(names) == 6 and all(name.startswith("normal_cell/") for name in names)
    assert len(space(alike=False).decision_space.names) == 12
    with pytest.raises(GraphError, match="they have not the same nodes and edges"):
        DartsCell(2, 3, 3, 4, False, False).decide_like(DartsCell(3, 3, 3, 4, False, False))


def test_a_module_of_cells_is_a_search_space() -> None:
    """Each cell brings its rule along: two inputs of a node are kept, by whatever searches the module."""
    space = ModuleSearchSpace(_Stacked)
    assert space.decision_space.size() == 7**2 * 3 * 7**2
    optimizer = DARTSOptimizer(epochs=1)
    optimizer.adapt_search_space(space)
    found = optimizer.get_final_architecture()
    cells = [cell for cell in found.nested_graphs() if isinstance(cell, DartsCell)]
    assert len(cells) == 2 and all(len(cell._pred[node]) == 2 for cell in cells for node in (5, 6))
    again = ModuleSearchSpace(_Stacked)
    again.set_spec(found.genotype())
    assert again.get_code() == found.get_code()
    assert found.get_final_architecture()(torch.randn(2, 3, 8, 8)).shape == (2, 12, 8, 8)
