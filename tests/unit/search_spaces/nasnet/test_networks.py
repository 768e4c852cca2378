"""The networks of blocks: published sizes, wiring against a reference, and the rule of the output."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from naslib.errors import ConfigError
from naslib.optimizers import DARTSOptimizer
from naslib.search_spaces import NASNetSearchSpace, PNASSearchSpace
from naslib.search_spaces.core.fresh_network import fresh_network
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.primitives import ConcatWithZeros, DropPath, set_drop_path_prob
from naslib.search_spaces.nasnet import network as networks
from naslib.search_spaces.nasnet.cells import block_node, branch_node, node_of_state
from naslib.search_spaces.nasnet.genotype import BlockCell
from naslib.search_spaces.nasnet.macro import BlockMacro, places
from naslib.search_spaces.nasnet.network import BlockNetwork
from naslib.search_spaces.nasnet.primitives import ProjectedSkip, make
from naslib.search_spaces.nasnet.published import NASNET_A, PNASNET_5


def _size(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(
    ("build", "size"),
    [
        (networks.nasnet_a_mobile, 5_289_978),
        (networks.nasnet_a_large, 88_753_150),
        (networks.nasnet_a_cifar, 3_346_538),  # 3.3 M in the paper
        (networks.pnasnet_5_large, 86_057_668),
        (networks.pnasnet_5_cifar, 3_189_082),  # 3.2 M in the paper
    ],
)
def test_published_networks_count_exactly(build: Callable[..., BlockNetwork], size: int) -> None:
    with torch.device("meta"):
        network = build()
        network.parse()
    assert _size(network) == size


def test_which_cells_there_are() -> None:
    added = places(BlockMacro(2, 8, 3, 10, "cifar", skips_reduction=True))
    assert [(p.is_reduction, p.channels, p.inputs) for p in added] == [
        (False, 8, (2, 3)),
        (False, 8, (3, 4)),
        (True, 16, (4, 5)),
        (False, 16, (4, 6)),  # skips the reduction cell
        (False, 16, (6, 7)),
        (True, 32, (7, 8)),
        (False, 32, (7, 9)),
        (False, 32, (9, 10)),
    ]
    first = places(BlockMacro(2, 8, 3, 10, "imagenet", reductions="first"))
    assert [(p.is_reduction, p.channels, p.scope) for p in first] == [
        (True, 2, "stem"),
        (True, 4, "stem"),
        (False, 8, "n_stage_1"),
        (False, 8, "n_stage_1"),
        (True, 16, "r_stage_1"),
        (False, 16, "n_stage_2"),
        (True, 32, "r_stage_2"),
        (False, 32, "n_stage_3"),
    ]
    with pytest.raises(ConfigError, match="two cells at least"):
        BlockMacro(1, 8, 3, 10, "cifar", skips_reduction=True)


def _by_hand(graph: Graph, cell: BlockCell, older: Tensor, newer: Tensor) -> Tensor:
    """Compute a cell from its genotype, with the modules on the edges."""
    states = [older, newer]
    for block in range(cell.blocks):
        halves = []
        for branch in range(2):
            _, state = cell.edges[2 * block + branch]
            op = graph.edges[node_of_state(state), branch_node(block, branch)].op
            halves.append(op(states[state]))
        states.append(halves[0] + halves[1])
    output = block_node(cell.blocks - 1) + 1
    given = [graph.edges[node_of_state(s), output].op(states[s]) if s < 2 else states[s] for s in cell.concat]
    return torch.cat(given, 1)


@pytest.mark.parametrize(("genotype", "reductions"), [(NASNET_A, "added"), (PNASNET_5, "first")])
@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
@torch.no_grad()
def test_a_network_is_wired_as_its_genotype_says(genotype: Any, reductions: str, stem: str) -> None:
    torch.manual_seed(0)
    network = BlockNetwork(
        genotype, 5, cells_per_stage=2, channels=8, stem=stem, stem_channels=6, auxiliary=False, reductions=reductions
    )
    network.parse()
    network.double().eval()
    x = torch.randn(2, 3, 33, 33, dtype=torch.float64)
    values = {1: x, 2: network.edges[1, 2].op(x)}
    values[3] = values[2]
    macro = BlockMacro(2, 8, 3, 5, stem, reductions=reductions)
    for place in places(macro):
        older, newer = place.inputs
        before = [network.edges[node, place.node].op(values[node]) for node in (older, newer)]
        cell = genotype.reduce if place.is_reduction else genotype.normal
        values[place.node] = _by_hand(network.nodes[place.node]["subgraph"], cell, before[0], before[1])
        assert values[place.node].shape[1] == place.channels * len(cell.concat)
    last = max(values)
    linear = network.edges[last, last + 2].op.op[-1]
    expected = linear(values[last].relu().mean((2, 3)))
    assert torch.allclose(network(x), expected, rtol=0, atol=1e-12)
    assert all(m.eps == 1e-3 for m in network.modules() if isinstance(m, nn.BatchNorm2d))


def test_an_identity_of_stride_two_is_a_convolution() -> None:
    op = make("skip_connect", 4, 6, 2, search=False)
    assert isinstance(op, ProjectedSkip) and op.get_op_name == "ProjectedSkip"
    assert _size(op) == 4 * 6 + 2 * 6 and op(torch.randn(1, 4, 7, 7)).shape == (1, 6, 4, 4)
    assert type(op)(**op.init_params)(torch.randn(1, 4, 8, 8)).shape == (1, 6, 4, 4)


def test_deeper_cells_drop_more_paths() -> None:
    network = BlockNetwork(NASNET_A, cells_per_stage=1, channels=4, stem="cifar")
    network.parse()
    assert set_drop_path_prob(network, 0.4) > 0
    for index, node in enumerate(range(4, 9)):  # normal, reduction, normal, reduction, normal
        cell = network.nodes[node]["subgraph"]
        found = {op.drop_prob for op in cell.modules() if isinstance(op, DropPath)}
        # keep' = 1 - (cell + 1) / total (1 - keep), version 3 of the published code
        assert [*found] == [pytest.approx(0.4 * (index + 1) / 5)]
    alike = BlockNetwork(NASNET_A, cells_per_stage=1, channels=4, stem="cifar", drop_path="uniform")
    alike.parse()
    set_drop_path_prob(alike, 0.4)
    assert {op.drop_prob for op in alike.modules() if isinstance(op, DropPath)} == {0.4}
    with pytest.raises(ConfigError, match="drop_path is scheduled or uniform"):
        BlockNetwork(NASNET_A, drop_path="none")


def test_the_auxiliary_head_is_before_the_last_reduction() -> None:
    network = BlockNetwork(NASNET_A, 7, cells_per_stage=1, channels=4, stem="cifar", auxiliary=True)
    network.parse()
    assert list(network.predecessors(9)) == [6]  # 4 normal, 5 reduction, 6 normal, 7 reduction, 8 normal, 10 output
    out, others = network.forward_with_auxiliary(torch.randn(2, 3, 32, 32))
    assert out.shape == (2, 7) and {key: value.shape for key, value in others.items()} == {9: (2, 7)}


SKIPS = {"normal": [("skip_connect", 1)] * 2 + [("conv_1x1", 1), ("skip_connect", 2)]}


@torch.no_grad()
def test_a_discrete_cell_of_the_search_network_gives_out_what_is_unused() -> None:
    torch.manual_seed(1)
    space = NASNetSearchSpace(channels=4, cells_per_stage=1, blocks=2, primitives=("skip_connect", "conv_1x1"))
    space.set_spec({**SKIPS, "reduce": SKIPS["normal"]})
    space.parse()
    space.double().eval()
    cell = space.nodes[4]["subgraph"]
    assert isinstance(cell.nodes[9]["comb_op"], ConcatWithZeros)
    older, newer = (torch.randn(2, 4, 8, 8, dtype=torch.float64) for _ in range(2))
    state_2 = 2 * newer
    expected = cell.edges[2, 6].op(newer) + state_2
    # block 0 is read by block 1, so zeros stand for it; the older input is read by nothing
    assert torch.equal(_run(cell, older, newer), torch.cat([torch.zeros_like(expected), expected], 1))


def _run(cell: Graph, older: Tensor, newer: Tensor) -> Tensor:
    states = {1: older, 2: newer}
    for block in range(2):
        halves = [
            cell.edges[next(iter(cell.predecessors(node))), node].op(states[next(iter(cell.predecessors(node)))])
            for node in (branch_node(block, 0), branch_node(block, 1))
        ]
        states[block_node(block)] = halves[0] + halves[1]
    output = max(cell.nodes)
    sources = sorted(cell.predecessors(output))
    return cell.nodes[output]["comb_op"]([states[source] for source in sources], [])


def test_no_input_of_a_cell_becomes_an_output_of_the_network() -> None:
    for kind in (NASNetSearchSpace, PNASSearchSpace):
        space = kind(channels=4, cells_per_stage=1, blocks=2, primitives=("skip_connect", "conv_1x1"))
        edges = [("skip_connect", 0)] * 4  # nothing reads the last cell
        space.set_spec({"normal": edges, "reduce": edges})
        space.parse()
        out, others = space.forward_with_auxiliary(torch.randn(2, 3, 16, 16))
        assert out.shape == (2, 10) and others == {}
        network = space.evaluation_network(cells_per_stage=1, channels=4, auxiliary=False)
        out, others = network.forward_with_auxiliary(torch.randn(2, 3, 16, 16))
        assert out.shape == (2, 10) and others == {}


@torch.no_grad()
def test_what_a_search_finds_follows_the_rule_with_the_weights_of_the_supernet() -> None:
    torch.manual_seed(2)
    optimizer = DARTSOptimizer(epochs=1)
    optimizer.adapt_search_space(
        NASNetSearchSpace(channels=4, cells_per_stage=1, blocks=2, primitives=("skip_connect", "conv_1x1"))
    )
    optimizer.before_training()
    found = optimizer.get_final_architecture().eval()
    again = NASNetSearchSpace(channels=4, cells_per_stage=1, blocks=2, primitives=("skip_connect", "conv_1x1"))
    again.set_spec(found.genotype())
    again.parse()
    again.eval()
    again.load_state_dict(found.state_dict())
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(found(x), again(x))
    concat = found.genotype()["normal_concat"]
    combine = found.nodes[4]["subgraph"].nodes[9]["comb_op"]
    n_given = len(combine.positions) if isinstance(combine, ConcatWithZeros) else 2
    assert n_given == len(concat)


def test_large_images_have_the_stem_of_imagenet() -> None:
    space = NASNetSearchSpace(
        channels=8, cells_per_stage=1, blocks=1, primitives=("skip_connect", "conv_1x1"), image_size=96
    )
    assert "stem" in space.OPTIMIZER_SCOPE
    names = {space.nodes[node]["subgraph"].name for node in (4, 5)}
    assert names == {"reduction_cell"}
    space.sample_random_architecture(rng=0)
    space.parse()
    assert space(torch.randn(1, 3, 96, 96)).shape == (1, 10)


def test_the_rule_of_the_output_may_be_followed_again() -> None:
    space = NASNetSearchSpace(channels=4, cells_per_stage=1, blocks=2, primitives=["skip_connect", "conv_1x1"])
    # nothing reads the older input, so that the output gives a place to it
    cell = [("conv_1x1", 1), ("skip_connect", 1), ("conv_1x1", 1), ("conv_1x1", 2)]
    space.set_spec({"normal": cell, "reduce": cell})
    space.prepare_evaluation()
    space.parse()
    assert fresh_network(space, None)(torch.randn(2, 3, 8, 8)).shape == (2, 10)
