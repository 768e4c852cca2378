"""NAS-Bench-201 networks have the sizes of the table."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from data_files import data_file
from torch import nn

from naslib.benchmarks import NasBench201Table
from naslib.errors import SpecAlreadySetError, UnsupportedBySpaceError
from naslib.optimizers import DARTSOptimizer
from naslib.search_spaces import NasBench201SearchSpace
from naslib.search_spaces.core.batch_norm import make_batch_norm_affine
from naslib.search_spaces.core.flops import count_macs
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.query_metrics import Metric
from naslib.search_spaces.nasbench201.codec import count_parameters
from naslib.training.space_record import describe_architecture, rebuild_architecture
from naslib.utils.meters import count_parameters_in_MB

TABLE = data_file("nb201.npz")
NAME_OF = {"Identity": "skip_connect", "Zero": "none", "ReLUConvBN3x3": "nor_conv_3x3", "ReLUConvBN1x1": "nor_conv_1x1",
           "AvgPool1x1": "avg_pool_3x3"}  # fmt: skip
EDGES_OF_TABLE = ((1, 2), (1, 3), (2, 3), (1, 4), (2, 4), (3, 4))


def size(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_the_makrograph_is_a_chain_of_stem_cells_blocks_and_classifier() -> None:
    space = NasBench201SearchSpace()
    assert sorted(space.edges) == [(i, i + 1) for i in range(1, 20)]
    kinds = [type(space.edges[i, i + 1].op).__name__ for i in range(1, 20)]
    cells = ["Graph"] * 5
    assert kinds == ["Stem", *cells, "ResNetBasicblock", *cells, "ResNetBasicblock", *cells, "Sequential"]
    assert [space.edges[i, i + 1].op.scope for i in (2, 8, 14)] == ["stage_1", "stage_2", "stage_3"]
    cell = space.edges[2, 3].op
    assert sorted(cell.edges) == [(1, 2), (1, 3), (1, 4), (2, 3), (2, 4), (3, 4)]
    assert [op.get_op_name for op in cell.edges[1, 2].op] == list(NAME_OF)


@pytest.mark.skipif(not TABLE.exists(), reason=f"{TABLE} is absent")
@pytest.mark.parametrize(("prefix", "n_classes", "image"), [("c10", 10, 32), ("c100", 100, 32), ("in16", 120, 16)])
def test_networks_have_the_parameters_and_macs_of_the_table(prefix: str, n_classes: int, image: int) -> None:
    table = np.load(TABLE)
    names = [str(name) for name in table["op_names"]]
    space = NasBench201SearchSpace(n_classes)
    candidates = [NAME_OF[op.get_op_name] for op in space.edges[2, 3].op.edges[1, 2].op]
    rows = random.Random(prefix).sample(range(15625), {"c10": 80, "c100": 40, "in16": 80}[prefix])
    space.set_spec((0,) * 6)
    space.parse()
    for row in rows:
        by_edge = dict(zip(EDGES_OF_TABLE, table["ops"][row], strict=True))
        code = [candidates.index(names[by_edge[edge]]) for edge in sorted(EDGES_OF_TABLE)]
        space.codec.apply(space, tuple(code))  # swaps the ops of the parsed network
        make_batch_norm_affine(space)
        assert size(space) == table[f"{prefix}_params"][row]
        assert round(count_macs(space, (3, image, image)) * 1e6) == table[f"{prefix}_macs"][row]


@pytest.mark.skipif(not TABLE.exists(), reason=f"{TABLE} is absent")
def test_a_graph_that_was_set_to_a_code_has_the_published_parameters() -> None:
    table = np.load(TABLE)
    api = NasBench201Table(TABLE)
    space = NasBench201SearchSpace()
    for row in (0, 1, 11472, 6111, 9930, 857, 15624):
        graph = space.clone()
        code = api.code_of(row)
        graph.set_spec(code)
        graph.parse()
        assert size(graph) == table["c10_params"][row] == count_parameters(code)
        assert count_parameters_in_MB(graph) == pytest.approx(api.query(code, Metric.PARAMETERS, "cifar10"), abs=1e-9)
    assert all(not norm.affine for norm in candidates_of(space))  # the space itself is as it was


def candidates_of(space: Graph) -> list[nn.BatchNorm2d]:
    ops = space.edges[2, 3].op.edges[1, 2].op
    return [module for op in ops for module in op.modules() if isinstance(module, nn.BatchNorm2d)]


def test_sampled_and_mutated_graphs_have_them_too() -> None:
    space = NasBench201SearchSpace(n_classes=7, channels=4, cells_per_stage=2)
    sampled, mutated = space.clone(), space.clone()
    sampled.sample_random_architecture(rng=3)
    mutated.mutate(sampled, rng=4)
    for graph in (sampled, mutated):
        graph.parse()
        assert size(graph) == count_parameters(graph.get_code(), 7, 4, 2)


def test_a_record_gives_back_norms_as_they_were() -> None:
    space = NasBench201SearchSpace(n_classes=3, channels=4, cells_per_stage=1)
    given = space.clone()
    given.set_spec((2, 3, 2, 3, 2, 3))
    optimizer = DARTSOptimizer()
    optimizer.adapt_search_space(space)
    for graph in (given, optimizer.get_final_architecture()):
        graph.parse()
        twin = rebuild_architecture(describe_architecture(graph))
        twin.load_state_dict(graph.state_dict())
        x = torch.randn(2, 3, 8, 8)
        torch.testing.assert_close(twin.eval()(x), graph.eval()(x), rtol=0, atol=0)


def test_the_evaluation_network_is_the_same_network_with_fresh_weights() -> None:
    torch.manual_seed(0)
    space = NasBench201SearchSpace(n_classes=7, in_channels=1, channels=4, cells_per_stage=1)
    code_only = space.clone()
    code_only.instantiate_model = False
    code_only.set_spec((0, 2, 3, 4, 1, 2))
    space.set_spec((0, 2, 3, 4, 1, 2))
    space.parse()
    expected = size(make_batch_norm_affine(space.clone()))
    for graph in (space, code_only):
        network = graph.evaluation_network()
        assert isinstance(network, Graph) and size(network) == expected
        assert network.get_code() == (0, 2, 3, 4, 1, 2) and network(torch.ones(2, 1, 8, 8)).shape == (2, 7)
        assert not torch.equal(network.edges[1, 2].op.seq[0].weight, space.edges[1, 2].op.seq[0].weight)
        with pytest.raises(SpecAlreadySetError):
            network.set_spec((0, 0, 0, 0, 0, 0))
    with pytest.raises(UnsupportedBySpaceError, match=r"evaluation\.cells=20"):
        space.evaluation_network(cells=20)
