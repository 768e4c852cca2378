"""The zoo's modules against the same arithmetic written out, in float64; and their parameters, by formula."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.nni_zoo import (
    Calibration,
    ConvBranch,
    DartsCell,
    DartsCellSearchSpace,
    ENASMacroGeneralModel,
    ENASMacroLayer,
    ENASMacroSearchSpace,
    ENASMicroLayer,
    ENASMicroSearchSpace,
    PoolBN,
    PoolBranch,
    enas_ops,
)
from naslib.search_spaces.nni_zoo.arcs import micro_choices
from naslib.search_spaces.nni_zoo.enas_micro import branch_nodes

# Per node: input and operation of both branches. Node 3 takes node 2; the second input and node 3 are loose ends
MICRO_ARC = [0, 0, 0, 4, 2, 1, 0, 3]
MICRO_ARC_REDUCTION = [1, 2, 0, 1, 1, 0, 0, 2]


def bn(x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
    """Normalise by the batch."""
    mean = x.mean((0, 2, 3), keepdim=True)
    x = (x - mean) / ((x - mean).square().mean((0, 2, 3), keepdim=True) + 1e-5).sqrt()
    return x if weight is None else x * weight.view(1, -1, 1, 1) + bias.view(1, -1, 1, 1)


def weights(module: nn.Module) -> list[Tensor]:
    return list(module.parameters())


def conv(x: Tensor, weight: Tensor, stride: int = 1, dilation: int = 1, bias: Tensor | None = None) -> Tensor:
    groups = x.shape[1] if weight.shape[1] == 1 and x.shape[1] > 1 else 1
    padding = dilation * (weight.shape[-1] // 2)
    return F.conv2d(x, weight, bias, stride, padding, dilation, groups)


def max_pool(x: Tensor, stride: int = 1) -> Tensor:
    return F.max_pool2d(x, 3, stride, 1)


def avg_pool(x: Tensor, stride: int = 1) -> Tensor:
    ones = F.avg_pool2d(torch.ones_like(x), 3, stride, 1)
    return F.avg_pool2d(x, 3, stride, 1) / ones  # the padding is not counted


def halve(x: Tensor, first: Tensor, second: Tensor) -> Tensor:
    return bn(torch.cat([F.conv2d(x, first, stride=2), F.conv2d(x[:, :, 1:, 1:], second, stride=2)], 1))


def darts_operation(index: int, op: nn.Module, x: Tensor, stride: int) -> Tensor:
    w = weights(op)
    if index == 0:
        return bn(max_pool(x, stride))
    if index == 1:
        return bn(avg_pool(x, stride))
    if index == 2:
        return x if stride == 1 else halve(x.relu(), *w)
    if index in (3, 4):
        x = bn(conv(conv(x.relu(), w[0], stride), w[1]))
        return bn(conv(conv(x.relu(), w[2]), w[3]))
    return bn(conv(conv(x.relu(), w[0], stride, 2), w[1]))


def micro_operation(index: int, op: nn.Module, x: Tensor) -> Tensor:
    if index < 2:
        depthwise, pointwise, weight, bias = weights(op)
        return bn(conv(conv(x.relu(), depthwise), pointwise), weight, bias)
    return (avg_pool, max_pool, lambda x: x)[index - 2](x)


def macro_operation(index: int, op: nn.Module, x: Tensor) -> Tensor:
    first, *w = weights(op)
    x = bn(conv(x, first)).relu()
    if index in (0, 2):
        return bn(conv(x, w[0], bias=w[1])).relu()
    if index in (1, 3):
        return bn(conv(conv(x, w[0]), w[1])).relu()
    return bn((avg_pool if index == 4 else max_pool)(x))


@pytest.fixture
def double() -> Callable[..., Tensor]:
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    return lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)


def _close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("reduction_p", "reduction"), [(False, False), (True, False), (False, True)])
def test_a_darts_cell_is_what_it_says(double: Callable[..., Tensor], reduction_p: bool, reduction: bool) -> None:
    cell = DartsCell(2, 6, 5, 4, reduction_p, reduction).double()
    older, newer = double(3, 6, 16 if reduction_p else 8, 16 if reduction_p else 8), double(3, 5, 8, 8)
    choice = {(3, 5): 3, (4, 5): 2, (3, 6): 6, (5, 6): 1}  # operations on the edges that are kept
    ops = {edge: cell.edges[edge].op[index] for edge, index in choice.items()}
    bring = halve if reduction_p else lambda x, weight: bn(conv(x, weight))
    values = {
        3: bring(older.relu(), *weights(cell.edges[1, 3].op)),
        4: bn(conv(newer.relu(), *weights(cell.edges[2, 4].op))),
    }
    for node in (5, 6):
        terms = []
        for (source, target), index in choice.items():
            if target == node:
                stride = 2 if reduction and source < 5 else 1
                terms.append(darts_operation(index, ops[source, target], values[source], stride))
        values[node] = sum(terms)
    assert cell.decision_space.size() == 7**2 * 3 * 7**2
    skip = "FactorizedReduce" if reduction else "Identity"
    chosen = {"3-5": "SepConv3x3", "4-5": skip, "6": (3, 5), "3-6": "DilConv5x5", "5-6": "AvgPool3x3"}
    cell.set_spec({f"{cell.name}/{name}": choice for name, choice in chosen.items()})
    _close(cell(older, newer), torch.cat([values[5], values[6]], 1))


def _micro_reference(cell: Graph, inputs: Sequence[Tensor], arc: Sequence[int], ops: dict, final: Tensor) -> Tensor:
    """Return the output of a layer whose inputs are calibrated already."""
    values, used = [*inputs], set()
    for node in range(len(arc) // 4):
        total = 0
        for branch in range(2):
            source, op = arc[4 * node + 2 * branch : 4 * node + 2 * branch + 2]
            used.add(source)
            total = total + micro_operation(op, ops[node, branch], values[source])
        values.append(total)
    left = [index for index in range(len(values)) if index not in used]
    weight = torch.cat([final[:, index] for index in left], 1)[..., None, None]
    return bn(F.conv2d(torch.cat([values[index] for index in left], 1).relu(), weight))


def _ops_of(cell: Graph, arc: Sequence[int]) -> dict[tuple[int, int], nn.Module]:
    found = {}
    for node in range(len(arc) // 4):
        *branches, total = branch_nodes(node)
        for branch, at in enumerate(branches):
            found[node, branch] = cell.edges[at, total].op[arc[4 * node + 2 * branch + 1]]
    return found


@pytest.mark.parametrize("reduction", [False, True])
@pytest.mark.parametrize("pruned", [False, True])
def test_a_micro_layer_is_what_it_says(double: Callable[..., Tensor], reduction: bool, pruned: bool) -> None:
    layer = ENASMicroLayer(2, 6, 4, 4, reduction).double()
    older, newer = double(3, 6, 8, 8), double(3, 4, 8, 8)
    cell = layer.nodes[6]["subgraph"]
    ops, final = _ops_of(cell, MICRO_ARC), cell.nodes[11]["comb_op"].weight
    if reduction:
        expected_previous = halve(newer, *weights(layer.edges[2, 4].op))
        calibrated = [halve(older, *weights(layer.edges[1, 3].op)), expected_previous]
    else:
        expected_previous = newer
        calibrated = [bn(conv(older, *weights(cell.edges[1, 3].op))).relu(), newer]
    expected = _micro_reference(cell, calibrated, MICRO_ARC, ops, final)
    choices = micro_choices(MICRO_ARC * 2, 2)
    layer.set_spec({name: choice for name, choice in choices.items() if name.startswith(cell.name)})
    if pruned:
        layer.prepare_evaluation()
        layer.parse()
        assert not any(p is final for p in layer.parameters())
        kept = [p for p in layer.parameters() if p.shape[0] == 4 and p.shape[1:] == (8, 1, 1)]
        assert len(kept) == 1  # the slices of the two loose ends
    previous, output = layer(older, newer)
    _close(previous, expected_previous)
    _close(output, expected)
    assert output.shape == (3, 4, 4 if reduction else 8, 4 if reduction else 8)


def test_layers_in_a_row_are_the_ready_space(double: Callable[..., Tensor]) -> None:
    """The space holds what `ENASMicroLayer`s hold, in the same order."""
    space = ENASMicroSearchSpace(n_classes=5, channels=4, layers=2, nodes=2).double()
    layers = [ENASMicroLayer(2, 12, 12, 24, True), ENASMicroLayer(2, 24, 24, 48, True)]
    layers += [ENASMicroLayer(2, 48, 48, 48, False), ENASMicroLayer(2, 48, 48, 48, False)]
    arc = MICRO_ARC + MICRO_ARC_REDUCTION
    space.set_spec(arc)
    choices = micro_choices(arc, 2)
    for layer in layers:
        layer.double()
        name = layer.nodes[6]["subgraph"].name
        layer.set_spec({key: value for key, value in choices.items() if key.startswith(name)})
        layer.prepare_evaluation()
        layer.parse()
    space.parse()
    with torch.no_grad():
        for layer, node in zip(layers, space.layer_nodes, strict=True):
            cell = space.nodes[node]["subgraph"]
            layer.nodes[6]["subgraph"].load_state_dict(cell.state_dict())
            for edge, source in zip(((1, 3), (2, 4)), cell.input_node_idxs if layer.reduction else (), strict=False):
                (before,) = space._pred[source]
                layer.edges[edge].op.load_state_dict(space.edges[before, source].op.state_dict())
    x = double(3, 3, 16, 16)
    previous = current = space.edges[1, 2].op(x)
    for layer in layers:
        previous, current = layer(previous, current)
    expected = space.edges[list(space.edges)[-1]].op(current)
    _close(space(x), expected)


def test_a_macro_layer_adds_what_is_switched_on(double: Callable[..., Tensor]) -> None:
    layer = ENASMacroLayer("a", ["stem", "b"], 5, 4).double()
    outputs = [double(3, 4, 8, 8), double(3, 4, 8, 8), double(3, 5, 8, 8)]
    op = layer.edges[3, 4].op[3]
    layer.set_spec({"a/1-4": "Zero", "a/2-4": "Identity", "a/3-4": "SepConv5x5"})
    _close(layer(outputs), bn(macro_operation(3, op, outputs[2]) + outputs[1]))


def test_the_macro_model_halves_all_stored_layers(double: Callable[..., Tensor]) -> None:
    space = ENASMacroGeneralModel(6, 4, 3, 5).double()
    arc = [[0], [1, 1], [2, 0, 1], [3, 1, 0, 1], [4, 0, 1, 1, 0], [5, 1, 1, 0, 0, 1]]
    layers = [node["subgraph"] for _, node in sorted(space.nodes(data=True)) if "subgraph" in node]
    ops = [layer.edges[i + 1, i + 2].op[arc[i][0]] for i, layer in enumerate(layers)]
    pools = [op for _, _, data in space.edges(data=True) if isinstance(op := data.op, enas_ops.FactorizedReduce)]
    pools = list(dict.fromkeys(pools))
    assert len(layers) == 6 and len(pools) == 2
    x = double(3, 3, 8, 8)
    stored = [bn(conv(x, weights(space.edges[1, 2].op)[0]))]
    for index in range(6):
        out = macro_operation(arc[index][0], ops[index], stored[-1])
        out = out + sum(stored[j] for j in range(index) if arc[index][1 + j])
        stored.append(bn(out))
        if index in (1, 3):
            stored = [halve(value, *weights(pools[index // 2])) for value in stored]
    linear = space.edges[list(space.edges)[-1]].op.primitives[-1]
    expected = stored[-1].mean((2, 3)) @ linear.weight.T + linear.bias
    space.set_spec(arc)
    assert space.arc() == arc
    _close(space(x), expected)


# parameters


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _darts_edge(c: int, stride: int) -> int:
    separable = 2 * (9 * c + c * c) + 2 * (25 * c + c * c)
    return separable + (9 * c + c * c) + (25 * c + c * c) + (c * c if stride == 2 else 0)


@pytest.mark.parametrize("reduction", [False, True])
def test_parameters_of_a_darts_cell(reduction: bool) -> None:
    c, n = 16, 4
    with torch.device("meta"):
        cell = DartsCell(n, 48, 64, c, False, reduction)
    edges = 2 * n * _darts_edge(c, 2 if reduction else 1) + n * (n - 1) // 2 * _darts_edge(c, 1)
    expected = 48 * c + 64 * c + edges
    assert sum(count(op) for _, _, data in cell.edges(data=True) for op in _listed(data.op)) == expected


def _listed(op: nn.Module | list[nn.Module]) -> list[nn.Module]:
    return op if isinstance(op, list) else [op]


def _all_parameters(graph: Graph) -> int:
    """Count what stands on edges and at nodes of an undecided space, each module once."""
    modules: dict[int, nn.Module] = {}
    for nested in graph.nested_graphs():
        for _, _, data in nested.edges(data=True):
            modules |= {id(op): op for op in _listed(data.op)}
        for _, node in nested.nodes(data=True):
            combine = node.get("comb_op")
            if isinstance(combine, nn.Module):
                modules[id(combine)] = combine
    return sum(count(module) for module in modules.values())


def _micro_layer(c_pp: int, c_p: int, c: int, nodes: int) -> int:
    branch = (9 + 25) * c + 2 * c * c + 4 * c
    return sum(w * c for w in (c_pp, c_p) if w != c) + 2 * nodes * branch + (nodes + 2) * c * c


def test_parameters_of_the_micro_space() -> None:
    """Two layers of NNI's default sizes, and the two reductions, which come first: 72 -> 144 -> 288 channels."""
    with torch.device("meta"):
        space = ENASMicroSearchSpace(channels=24, layers=2, nodes=5)
    stem = 27 * 72 + 2 * 72
    layers = _micro_layer(144, 144, 144, 5) + _micro_layer(288, 288, 288, 5) + 2 * _micro_layer(288, 288, 288, 5)
    reductions = 2 * 72 * 144 + 2 * 144 * 288
    assert _all_parameters(space) == stem + layers + reductions + 288 * 10 + 10


def test_parameters_of_the_macro_model() -> None:
    with torch.device("meta"):
        space = ENASMacroGeneralModel()
    c = 24
    layer = (c * c + 9 * c * c + c) + (2 * c * c + 9 * c) + (c * c + 25 * c * c + c) + (2 * c * c + 25 * c) + 2 * c * c
    expected = (27 * c + 2 * c) + 12 * layer + 2 * c * c + 10 * c + 10
    assert _all_parameters(space) == expected


def test_parameters_of_what_is_retrained() -> None:
    """Affine BN everywhere; in each layer the slices of its loose ends only."""
    space = ENASMicroSearchSpace(channels=4, layers=2, nodes=2)
    space.set_spec(MICRO_ARC + MICRO_ARC_REDUCTION)
    network = space.evaluation_network()

    def layer(c: int, arc: Sequence[int]) -> int:
        own = {0: 9 * c + c * c + 2 * c, 1: 25 * c + c * c + 2 * c}
        loose = 4 - len({arc[k] for k in (0, 2, 4, 6)})
        return sum(own.get(arc[k], 0) for k in (1, 3, 5, 7)) + loose * c * c + 2 * c

    reductions = 2 * (12 * 24 + 2 * 24) + 2 * (24 * 48 + 2 * 48)
    layers = layer(24, MICRO_ARC_REDUCTION) + layer(48, MICRO_ARC_REDUCTION) + 2 * layer(48, MICRO_ARC)
    expected = 27 * 12 + 2 * 12 + reductions + layers + 48 * 10 + 10
    assert count(network) == expected


@pytest.mark.parametrize("make", [PoolBN, PoolBranch])
def test_a_type_of_pooling_that_there_is_not_is_named(make: type) -> None:
    with pytest.raises(ValueError, match="pool_type is one of max, avg, not 'maxx'; did you mean 'max'"):
        make("maxx", 4, 3, 1, 1) if make is PoolBN else make("maxx", 4, 4, 3, 1, 1)


def test_calibration_is_nothing_where_nothing_is_to_be_done() -> None:
    x = torch.randn(2, 4, 5, 5)
    assert Calibration(4, 4)(x) is x and Calibration(4, 6)(x).shape == (2, 6, 5, 5)
    assert count(ConvBranch(4, 4, 3, 1, 1, separable=False)) == 4 * 4 + 9 * 4 * 4 + 4


def test_the_spaces_refuse_sizes_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="cells - 1 must be at least 1"):
        DartsCellSearchSpace(cells=1)
    with pytest.raises(ValueError, match="enas_micro: nodes must be at least 1, not 0"):
        ENASMicroSearchSpace(nodes=0)
    with pytest.raises(ValueError, match=r"dropout is a probability in \[0, 1\), not 1.0"):
        ENASMacroSearchSpace(dropout=1.0)
    with pytest.raises(ValueError, match="no head for segmentation, only for classification, regression"):
        ENASMacroSearchSpace(task="segmentation")
    with pytest.raises(ValueError, match="channels_pp must be at least 1, not 0"):
        DartsCell(4, 0, 4, 4, False, False)
