"""The DARTS space has the published sizes and the authors' structure."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
import torch
from call_count import count_calls
from data_files import data_file
from torch import nn

from naslib.errors import ArchitectureError, ConfigError
from naslib.search_spaces import NasBench301SearchSpace
from naslib.search_spaces.core import primitives as ops
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.nasbench301.codec import count_parameters
from naslib.search_spaces.nasbench301.evaluation import DartsEvaluationNetwork
from naslib.search_spaces.nasbench301.macro import reduction_cells
from naslib.search_spaces.nasbench301.primitives import AuxiliaryHead, make_op

GENOTYPES = data_file("darts_genotypes.json")
DARTS_V2 = {
    "normal": [["sep_conv_3x3", 0], ["sep_conv_3x3", 1], ["sep_conv_3x3", 0], ["sep_conv_3x3", 1],
               ["sep_conv_3x3", 1], ["skip_connect", 0], ["skip_connect", 0], ["dil_conv_3x3", 2]],
    "reduce": [["max_pool_3x3", 0], ["max_pool_3x3", 1], ["skip_connect", 2], ["max_pool_3x3", 1],
               ["max_pool_3x3", 0], ["skip_connect", 2], ["skip_connect", 2], ["max_pool_3x3", 1]],
}  # fmt: skip


def size(module: nn.Module, auxiliary: bool = True) -> int:
    return sum(p.numel() for name, p in module.named_parameters() if auxiliary or "auxiliary" not in name)


def as_supernet(space: Graph) -> Graph:
    for graph in space.nested_graphs():
        for _, _, data in graph.edges(data=True):
            if isinstance(data.op, list):
                data.set("op", nn.ModuleList(data.op))
    space.parse()
    return space


def test_search_network_has_the_published_number_of_parameters() -> None:
    assert size(as_supernet(NasBench301SearchSpace())) == 1_930_618


def test_search_network_has_the_numbering_and_wiring_of_the_contract() -> None:
    space = NasBench301SearchSpace()
    cells = {node: space.nodes[node]["subgraph"] for node in space if "subgraph" in space.nodes[node]}
    assert list(cells) == list(range(4, 12)) and sorted(space) == [*range(1, 12), 13]
    names = ["normal_cell"] * 2 + ["reduction_cell"] + ["normal_cell"] * 2 + ["reduction_cell"] + ["normal_cell"] * 2
    assert [cell.name for cell in cells.values()] == names
    scopes = ["n_stage_1"] * 2 + ["r_stage_1"] + ["n_stage_2"] * 2 + ["r_stage_2"] + ["n_stage_3"] * 2
    assert [cell.scope for cell in cells.values()] == scopes
    for node, cell in cells.items():
        assert sorted(space.predecessors(node)) == cell.input_node_idxs == [node - 2, node - 1]
        assert sorted(cell) == list(range(1, 8)) and len(cell.edges) == 14 + 4
        for source, target, data in cell.edges(data=True):
            assert data.is_final() == (target == 7)
            if target != 7:
                strided = cell.name == "reduction_cell" and source <= 2
                first = "FactorizedReduce" if strided else "Identity"
                assert [op.get_op_name for op in data.op] == [
                    first, "Zero", "MaxPool", "AvgPool", "SepConv3x3", "SepConv5x5", "DilConv3x3", "DilConv5x5"
                ]  # fmt: skip
    kinds = {edge: space.edges[edge].op.get_op_name for edge in space.edges if edge[1] <= 11}
    reduces = {edge for edge, kind in kinds.items() if kind == "FactorizedReduce"}
    assert reduces == {(5, 7), (8, 10)} and kinds[1, 2] == "Stem" and kinds[2, 3] == "Identity"
    assert space.edges[1, 2].op.init_params["C_out"] == 48
    assert [space.edges[3, 4].op.init_params[k] for k in ("C_in", "C_out", "affine")] == [48, 16, False]


@pytest.mark.parametrize(("cells", "expected"), [(2, [1]), (3, [1, 2]), (4, [1, 2]), (8, [2, 5]), (20, [6, 13])])
def test_reduction_cells(cells: int, expected: list[int]) -> None:
    assert reduction_cells(cells) == expected
    space = NasBench301SearchSpace(cells=cells, channels=2, nodes=1)
    found = [node - 4 for node in sorted(space) if space.nodes[node].get("subgraph", space).name == "reduction_cell"]
    assert found == expected and max(space) == 5 + cells


@pytest.mark.parametrize("wrong", [{"cells": 1}, {"channels": 0}, {"nodes": 0}, {"stem": "cifer"}])
def test_impossible_sizes_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        NasBench301SearchSpace(**wrong)


def test_evaluation_network_of_darts_v2_has_the_published_size() -> None:
    network = DartsEvaluationNetwork(DARTS_V2)
    network.parse()
    assert size(network, auxiliary=False) == 3_349_342
    assert 24 in network and 25 in network and list(network.predecessors(24)) == [4 + 13]
    assert all(m.affine for m in network.modules() if isinstance(m, nn.BatchNorm2d))


def closed_form_cases() -> list[Any]:
    if not GENOTYPES.exists():
        return []
    file = json.loads(GENOTYPES.read_text())
    found = dict(file["genotypes"])
    for source, genotypes in file["without_figures"].items():
        found.update({f"{source.split('/')[0]}:{name}": genotype for name, genotype in genotypes.items()})
    return [pytest.param(g, id=name) for name, g in found.items() if fits(g)]


def fits(genotype: dict[str, Any]) -> bool:
    if genotype.get("params") is None:
        return False
    for cell in ("normal", "reduce"):
        pairs = genotype[cell]
        if len(pairs) != 8 or sorted(genotype[f"{cell}_concat"]) != [2, 3, 4, 5]:
            return False
        if any(op not in ("skip_connect", "max_pool_3x3", "avg_pool_3x3") and "7x7" in op for op, _ in pairs):
            return False
        if any(pairs[2 * i][1] == pairs[2 * i + 1][1] for i in range(4)):
            return False
    return True


@pytest.mark.skipif(not GENOTYPES.exists(), reason=f"{GENOTYPES} is absent")
def test_evaluation_networks_of_all_published_genotypes_have_their_size() -> None:
    cases = closed_form_cases()
    assert len(cases) >= 100
    named = [case for case in cases if ":" not in case.id]
    assert len(named) >= 10
    for case in [*named, *cases[len(named) :: 20]]:
        network = DartsEvaluationNetwork(case.values[0], auxiliary=False)
        network.parse()
        assert size(network) == case.values[0]["params"], case.id


@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
@pytest.mark.parametrize("cells", [3, 5])
def test_sizes_agree_with_the_closed_form(stem: str, cells: int) -> None:
    network = DartsEvaluationNetwork(DARTS_V2, n_classes=7, in_channels=1, cells=cells, channels=6, stem=stem)
    network.parse()
    code = network.get_code()
    assert size(network) == count_parameters(code, 7, 6, cells, auxiliary=True, in_channels=1, stem=stem)


@pytest.mark.parametrize(("image", "stem"), [(8, "cifar"), (9, "cifar"), (32, "cifar"), (96, "imagenet")])
def test_evaluation_network_runs_with_auxiliary_logits_and_drop_path(image: int, stem: str) -> None:
    network = DartsEvaluationNetwork(DARTS_V2, 5, 1, cells=3, channels=4, image_size=image)
    network.parse()
    assert isinstance(network.edges[1, 2].op, ops.Stem) == (stem == "cifar")
    ops.set_drop_path_prob(network, 0.3)
    logits, auxiliary = network.forward_with_auxiliary(torch.randn(2, 1, image, image))
    assert logits.shape == auxiliary[7].shape == (2, 5) and torch.equal(network.auxiliary_logits(), auxiliary[7])
    assert (logits.sum() + auxiliary[7].sum()).backward() is None
    twin = pickle.loads(pickle.dumps(network)).eval()
    x = torch.randn(2, 1, image, image)
    torch.testing.assert_close(twin(x), network.eval()(x))
    assert twin.genotype()["normal"] == DartsEvaluationNetwork(DARTS_V2, cells=1, channels=4).genotype()["normal"]


def test_drop_path_is_on_every_operation_but_identity() -> None:
    network = DartsEvaluationNetwork(DARTS_V2, cells=3, channels=4)
    for graph in network.nested_graphs()[1:]:
        for source, target, data in graph.edges(data=True):
            if target != 7:
                assert isinstance(data.op, ops.Identity) != isinstance(data.op, ops.DropPath)
                if isinstance(data.op, ops.DropPath) and "Pool" in data.op.get_op_name:
                    assert data.op.op.bn is None, (source, target)


@pytest.mark.parametrize(("side", "window", "stride"), [(8, 5, 3), (7, 5, 2), (2, 1, 1), (3, 2, 1), (12, 8, 4)])
def test_auxiliary_head_pools_to_two_by_two_as_the_authors_do(side: int, window: int, stride: int) -> None:
    head = AuxiliaryHead(3, 4).double().eval()
    x = torch.randn(2, 3, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    pooled = nn.AvgPool2d(window, stride, count_include_pad=False)(x.relu())
    assert pooled.shape[-2:] == (2, 2)
    torch.testing.assert_close(head(x), head.auxiliary(pooled))
    assert head(torch.ones(1, 3, 1, 2, dtype=torch.float64)).shape == (1, 4)


def test_the_space_builds_its_evaluation_network_from_its_genotype() -> None:
    space = NasBench301SearchSpace(n_classes=3, in_channels=1, channels=4, cells=3)
    with pytest.raises(ArchitectureError):
        space.evaluation_network()
    space.set_spec(DARTS_V2)
    space.parse()
    assert space(torch.ones(2, 1, 8, 8)).shape == (2, 3)
    network = space.evaluation_network(cells=4, channels=6, auxiliary=False)
    assert (network.cells, network.channels, network.n_classes) == (4, 6, 3)
    assert network.genotype() == space.genotype() and 8 not in network
    default = space.evaluation_network()
    assert (default.cells, default.channels, default.auxiliary) == (20, 36, True)
    assert size(default, auxiliary=False) == count_parameters(space.get_code(), 3, in_channels=1)


def test_an_unknown_operation_is_named() -> None:
    with pytest.raises(ArchitectureError, match=r"sep_conv_9x9.*did you mean 'sep_conv_\dx\d'"):
        make_op("sep_conv_9x9", 4, 1)


def test_building_and_cloning_cost_the_same_for_every_cell() -> None:
    NasBench301SearchSpace()  # what is done once in a process
    counts = [count_calls(lambda cells=cells: NasBench301SearchSpace(cells=cells)) for cells in (4, 6, 8)]  # type: ignore[misc]
    assert counts[2] - counts[1] == pytest.approx(counts[1] - counts[0], rel=0.1)
    assert count_calls(NasBench301SearchSpace().clone) < 2 * counts[2] < 1_200_000
