"""PC-DARTS: partial channels and edge normalization against the formulas, and what becomes of them in the end."""

from __future__ import annotations

import builtins

import pytest
import torch
from small_spaces import batch, mlp_space
from torch import nn
from torch.nn import functional as F

from naslib.errors import ConfigError
from naslib.native import available
from naslib.optimizers import DARTSOptimizer, GDASOptimizer, PCDARTSOptimizer
from naslib.optimizers.oneshot.parts import PartialChannels, WeightedEdges
from naslib.optimizers.oneshot.parts._resize import common_shape, resized, shape_of
from naslib.optimizers.oneshot.supernet.relaxed_op import RelaxedMixedOp
from naslib.search_spaces import NasBench201SearchSpace, NasBench301SearchSpace, SimpleCellSearchSpace
from naslib.search_spaces.core import primitives as ops
from naslib.search_spaces.core.graph import EdgeData, Graph
from naslib.search_spaces.core.primitives import AbstractPrimitive, MixedOp
from naslib.search_spaces.core.shared_work import Passes, SharedWork

SPACES = {
    "simple_cell": lambda: SimpleCellSearchSpace(n_classes=4, channels=8),
    "nasbench201": lambda: NasBench201SearchSpace(n_classes=4, channels=8, cells_per_stage=1),
    "nasbench301": lambda: NasBench301SearchSpace(n_classes=4, channels=8, cells=3, nodes=2),
}


@pytest.fixture(autouse=True)
def _double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def _adapted(space, cls=PCDARTSOptimizer, **kwargs):
    torch.manual_seed(0)
    kwargs.setdefault("parts", {"warm_up": False} if cls is PCDARTSOptimizer else None)
    optimizer = cls(**kwargs)
    optimizer.adapt_search_space(space)
    with torch.no_grad():
        for parameter in optimizer.architecture_parameters:
            parameter.copy_(torch.randn_like(parameter))
    return optimizer


def _images(n: int = 3, side: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(n, 3, side, side, generator=generator), torch.arange(n)


# partial channels


def _shuffled(x: torch.Tensor, groups: int) -> torch.Tensor:
    width = x.shape[1] // groups
    return x[:, [group * width + j for j in range(width) for group in range(groups)]]


@pytest.mark.parametrize("k", [2, 4])
@pytest.mark.parametrize("side", [8, 7])
def test_the_edge_computes_the_formula(k: int, side: int):
    optimizer = _adapted(SPACES["nasbench301"](), parts={"partial_channels": {"k": k}, "warm_up": False})
    generator = torch.Generator().manual_seed(1)
    strides = set()
    for edge in optimizer.graph._edges_in_scope(optimizer.scope, private_edge_data=True):
        op = edge.data.op
        if not isinstance(op, MixedOp):
            continue
        width = k * next(shape.C_in for p in op.primitives if (shape := shape_of(p)).C_in)
        x = torch.randn(2, width, side, side, generator=generator)
        weights = edge.data.alpha.detach().softmax(-1)
        op.train()
        mixed = sum(w * primitive(x[:, : width // k]) for w, primitive in zip(weights, op.primitives, strict=True))
        passed = x[:, width // k :]
        if mixed.shape[-1] < side:
            passed = F.max_pool2d(F.pad(passed, (0, side % 2, 0, side % 2), value=-torch.inf), 2)
        strides.add(common_shape(op.primitives).stride)
        expected = _shuffled(torch.cat([mixed, passed], 1), k)
        torch.testing.assert_close(op(x, edge_data=edge.data), expected, rtol=0, atol=1e-12)
    assert strides == {1, 2}


def test_one_slice_and_one_shared_work_for_the_edges_of_one_source():
    x = torch.randn(2, 8, 6, 6)
    seen, poolings = [], []

    class Probe(ops.Identity):
        def forward_shared(self, x, work, weight=None):
            seen.append((x, work))
            return x if weight is None else x * weight

    mixed = [RelaxedMixedOp([Probe(), ops.AvgPool1x1(3, 1)]) for _ in range(3)]
    for op in mixed:
        op.surround(PartialChannels(4))
        op.primitives[1].pool.register_forward_hook(lambda *_: poolings.append(1))
    work = SharedWork()
    for op in mixed:
        op.apply_shared(x, torch.tensor([0.25, 0.75]), work)
    assert len(seen) == 3 and all(a is seen[0][0] and b is seen[0][1] for a, b in seen)
    assert seen[0][0].shape == (2, 2, 6, 6) and torch.equal(seen[0][0], x[:, :2])
    seen.clear()
    for op in mixed:
        op.apply_shared(x, torch.tensor([0.25, 0.75]), SharedWork(Passes.none()))
    assert len({id(b) for _, b in seen}) == 3


@pytest.mark.parametrize("cls", [PCDARTSOptimizer, GDASOptimizer])
@pytest.mark.parametrize("space", SPACES)
def test_all_passes_equal_the_reference(space: str, cls):
    parts = {"partial_channels": {"k": 4}, "edge_normalization": {}}
    optimizer = _adapted(SPACES[space](), cls, parts=parts if cls is GDASOptimizer else {"warm_up": False})
    x, y = _images()
    results = []
    passes = [Passes(), Passes.none(), Passes(checkpoint=True)]
    if cls is PCDARTSOptimizer and available("auto"):
        passes.append(Passes(native=True))
    for chosen in passes:
        graph = optimizer.graph.clone().set_passes(**{name: name in chosen.names() for name in Passes().names()})
        graph.set_passes(native=chosen.native, checkpoint=chosen.checkpoint)
        graph.train().to(memory_format=torch.channels_last)
        alphas = list(dict.fromkeys(graph.get_all_edge_data("alpha") + graph.get_all_edge_data("betas")))
        torch.manual_seed(2)
        out = graph(x.to(memory_format=torch.channels_last))
        parameters = dict(graph.named_parameters())
        loss = F.cross_entropy(out, y)
        gradients = torch.autograd.grad(
            loss, [*alphas, *parameters.values()], allow_unused=True, materialize_grads=True
        )
        results.append((out.detach(), gradients, dict(graph.named_buffers())))
    for other in results[1:]:
        torch.testing.assert_close(other, results[0], rtol=1e-9, atol=1e-9)


def test_edges_that_change_the_channels_keep_the_full_mixture():
    optimizer = _adapted(SPACES["simple_cell"]())
    kept = partial = 0
    for edge in optimizer.graph._edges_in_scope(optimizer.scope, private_edge_data=True):
        if isinstance(edge.data.op, MixedOp):
            keeps = common_shape(edge.data.op.primitives).keeps_channels
            assert keeps == any(isinstance(s, PartialChannels) for s in edge.data.op.surroundings)
            partial, kept = partial + keeps, kept + (not keeps)
    assert (partial, kept) == (11, 4)


@pytest.mark.parametrize("space", SPACES)
def test_the_discrete_architecture_has_full_width_and_plain_sums(space: str):
    optimizer = _adapted(SPACES[space]())
    optimizer.step(_images(), _images())
    rng = torch.get_rng_state()
    final = optimizer.get_final_architecture()
    assert torch.equal(torch.get_rng_state(), rng)
    reference = DARTSOptimizer()
    reference.adapt_search_space(SPACES[space]())
    found = 0
    for graph, full in zip(final.nested_graphs(), reference.graph.nested_graphs(), strict=True):
        for u, v, data in graph.edges(data=True):
            if data.has("op_index"):
                assert shape_of(data.op) == shape_of(full.edges[u, v].op.primitives[data.op_index])
                assert not data.has("betas")
                found += 1
    assert found >= 6
    nodes = [graph.nodes[node] for graph in final.nested_graphs() for node in graph.nodes]
    assert not any(isinstance(node.get("comb_op"), WeightedEdges) for node in nodes)
    assert not any(isinstance(module, WeightedEdges | PartialChannels | MixedOp) for module in final.modules())
    torch.set_rng_state(rng)
    again = optimizer.get_final_architecture()
    torch.testing.assert_close(again.state_dict(), final.state_dict(), rtol=0, atol=0)
    assert final(_images()[0]).shape == (3, 4)


def test_rebuilt_operations_of_equal_kind_have_weights_of_their_own():
    optimizer = _adapted(SPACES["nasbench201"]())
    with torch.no_grad():
        for alpha in optimizer.architectural_weights:
            alpha.copy_(torch.tensor([0.0, 0, 5, 0, 0]))
    final = optimizer.get_final_architecture()
    weights = [m.weight for m in final.modules() if isinstance(m, nn.Conv2d) and m.weight.shape == (8, 8, 3, 3)]
    assert len(weights) >= 6 and len({w.sum().item() for w in weights}) == len(weights)


# candidates with another number of channels


@pytest.mark.parametrize(
    "op",
    [
        ops.Identity(),
        ops.Zero(1),
        ops.Zero(2, 8, 16),
        ops.SepConv(8, 8, 3, 1, 1, affine=False),
        ops.DilConv(8, 8, 3, 2, 2, 2, affine=False),
        ops.MaxPool(8, 3, 1),
        ops.AvgPool(8, 3, 2, use_bn=False),
        ops.AvgPool1x1(3, 1),
        ops.MaxPool1x1(3, 2, 8, 8, affine=False),
        ops.ReLUConvBN(8, 8, 3, affine=False),
        ops.ConvBnReLU(8, 8, 1),
        ops.FactorizedReduce(8, 8, affine=False),
        ops.Sequential(ops.ReLUConvBN(8, 4, 1), nn.ReLU(), ops.ReLUConvBN(4, 8, 3)),
        nn.ReLU(),
    ],
    ids=lambda op: type(op).__name__,
)
def test_resized_operations(op: nn.Module):
    op.double().eval()
    half, double = resized(op, 1, 2), resized(op, 2, 1)
    assert type(half) is type(op) and not half.training
    assert not {id(p) for p in half.parameters()} & {id(p) for p in op.parameters()}
    x = torch.randn(2, 16, 6, 6)
    expected = op(x[:, :8]).shape
    assert half(x[:, :4]).shape == (2, expected[1] // 2, *expected[2:])
    assert double(x).shape == (2, expected[1] * 2, *expected[2:])
    assert [type(m) for m in half.modules()] == [type(m) for m in op.modules()]
    assert all(p.dtype == torch.float64 for p in half.parameters())
    if isinstance(op, AbstractPrimitive):
        assert half.get_op_name == op.get_op_name


class _Forgetful(AbstractPrimitive):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1)


class _Renamed(AbstractPrimitive):
    def __init__(self, width: int) -> None:
        super().__init__(locals())
        self.conv = nn.Conv2d(width, width, 1)


@pytest.mark.parametrize(
    ("op", "message"),
    [
        (nn.Conv2d(8, 8, 1), "Conv2d.*keeps no arguments"),
        (_Forgetful(), "_Forgetful.*keeps no arguments"),
        (_Renamed(8), r"_Renamed.*\(width\).*C_in"),
        (ops.SepConv(6, 6, 3, 1, 1), "C_in = 6 channels cannot be divided by 4"),
    ],
)
def test_what_cannot_be_resized_is_said(op: nn.Module, message: str):
    with pytest.raises(ConfigError, match=message):
        resized(op, 1, 4)


def test_config_errors_of_the_parts():
    with pytest.raises(ConfigError, match=r"partial_channels, edge \(1, 2\).*cannot be built"):
        _adapted(mlp_space(), parts={"partial_channels": {"k": 2}}, cls=DARTSOptimizer)
    with pytest.raises(ConfigError, match=r"partial_channels.*6.*divided by 4"):
        _adapted(NasBench201SearchSpace(channels=6, cells_per_stage=1))
    with pytest.raises(ConfigError, match="k must be at least 1"):
        PCDARTSOptimizer(parts={"partial_channels": {"k": 0}})
    chain = mlp_space()
    chain.OPTIMIZER_SCOPE = "cell"
    for node in (2, 3):
        chain.edges[node, node + 1].op.remove_edge(1, 3)
    with pytest.raises(ConfigError, match=r"edge_normalization.*no node sums"):
        _adapted(chain, parts={"edge_normalization": {}}, cls=DARTSOptimizer)


# edge normalization


def _dense_space(width: int = 4, nodes: int = 6) -> Graph:
    """Return a graph of two copies of a dense cell: its nodes have 1, 2, ..., nodes - 1 inputs."""
    cell = Graph(name="cell", scope="cell")
    cell.add_nodes_from(range(1, nodes + 1))
    cell.add_edges_densly()
    graph = Graph(name="macro")
    graph.add_nodes_from([1, 2, 3])
    graph.add_edge(1, 2, EdgeData({"op": cell}))
    graph.add_edge(2, 3, EdgeData({"op": cell.copy()}))
    graph.update_edges(
        lambda edge: edge.data.set("op", [nn.Linear(width, width), nn.Tanh()]), scope="cell", private_edge_data=True
    )
    graph.OPTIMIZER_SCOPE = "cell"
    return graph


def test_every_beta_gets_the_gradient_of_the_formula():
    """NASLib's beta never reached the output, and the slices of aw_nas overlapped for more than three inputs."""
    optimizer = _adapted(_dense_space(), DARTSOptimizer, parts={"edge_normalization": {}})
    betas = optimizer.parts["edge_normalization"].betas
    assert sorted(len(b) for b in betas) == [2, 3, 4, 5]
    x = torch.randn(3, 4)
    captured = {}
    for graph in optimizer.graph.nested_graphs()[1:]:
        for node in (3, 4, 5, 6):
            combine = graph.nodes[node]["comb_op"]

            def keep(module, arguments, output, graph=graph, node=node):
                captured[id(graph), node] = arguments[0], output

            combine.register_forward_hook(keep)
    out = optimizer.graph(x)
    upstream = torch.randn_like(out)
    outputs = [output for _, output in captured.values()]
    found = torch.autograd.grad((out * upstream).sum(), [*betas, *outputs])
    to_beta, to_output = found[: len(betas)], dict(zip(captured, found[len(betas) :], strict=True))
    for graph in optimizer.graph.nested_graphs()[1:2]:
        for node in (3, 4, 5, 6):
            shared = graph.edges[1, node].betas
            expected = torch.zeros(node - 1)
            p = shared.detach().softmax(-1)
            for key, (inputs, output) in captured.items():
                if key[1] == node:
                    value = sum(w * y for w, y in zip(p, inputs, strict=True))
                    torch.testing.assert_close(output, value, rtol=0, atol=1e-12)
                    a = torch.stack([(to_output[key] * y).sum() for y in inputs]).detach()
                    expected += p * (a - (p * a).sum())
            index = next(i for i, b in enumerate(betas) if b is shared)
            torch.testing.assert_close(to_beta[index], expected, rtol=0, atol=1e-12)
            assert (to_beta[index].abs() > 1e-8).all()
            assert [graph.edges[u, node].beta_index for u in range(1, node)] == list(range(node - 1))


def test_betas_are_shared_by_copies_and_small_at_first():
    torch.manual_seed(0)
    optimizer = DARTSOptimizer(parts={"edge_normalization": {}})
    optimizer.adapt_search_space(_dense_space(nodes=30))
    first, second = optimizer.graph.nested_graphs()[1:]
    betas = optimizer.parts["edge_normalization"].betas
    assert len(betas) == 28 and len({id(b) for b in betas}) == 28
    for edge in first.edges:
        assert first.edges[edge].get("betas") is second.edges[edge].get("betas")
        assert first.edges[edge].has("betas") == (edge[1] > 2)
    values = torch.cat([b.detach() for b in betas])
    assert abs(values.std() / 1e-3 - 1) < 0.1 and abs(values.mean()) < 2e-4
    ids = {id(p) for p in optimizer.graph.parameters()}
    assert not ids & {id(b) for b in betas}
    assert [id(p) for p in optimizer.architecture_parameters[-28:]] == [id(b) for b in betas]


def test_edges_that_are_not_searched_count_as_they_are():
    space = mlp_space()
    for node in (2, 3):
        cell = space.edges[node, node + 1].op
        cell.add_node(4)
        cell.add_edge(3, 4)
        cell.add_edge(1, 4, op=nn.Identity())
        cell.add_edge(2, 4, op=[nn.Tanh(), nn.Identity()])
        cell.edges[3, 4].set("op", [nn.Tanh(), nn.Identity()])
    optimizer = _adapted(space, DARTSOptimizer, parts={"edge_normalization": {}})
    cell = optimizer.graph.edges[2, 3].op
    x = torch.randn(2, 6)
    combine = cell.nodes[4]["comb_op"]
    edges = [cell.edges[u, 4] for u in (1, 2, 3)]
    weights = edges[1].betas.detach().softmax(-1)
    torch.testing.assert_close(combine([x, 2 * x, 3 * x], edges), x + weights[0] * 2 * x + weights[1] * 3 * x)


def test_scores_are_alpha_times_beta():
    optimizer = _adapted(_dense_space(), DARTSOptimizer, parts={"edge_normalization": {}})
    cell = optimizer.graph.edges[1, 2].op
    with torch.no_grad():
        cell.edges[1, 4].betas.copy_(torch.tensor([0.0, 2.0, -1.0]))
    final = optimizer.graph.clone()
    final.update_edges(optimizer._show_weights, "cell")
    for source in (1, 2, 3):
        data = cell.edges[source, 4]
        expected = data.alpha.softmax(-1) * torch.tensor([0.0, 2.0, -1.0]).softmax(-1)[source - 1]
        torch.testing.assert_close(final.edges[1, 2].op.edges[source, 4].op_weights, expected.detach())
    assert torch.equal(
        final.edges[1, 2].op.edges[1, 2].op_weights, cell.edges[1, 2].alpha.detach().softmax(-1)
    )  # the only input of its node


def test_betas_move_in_the_architecture_step_alone_and_are_saved():
    optimizer = _adapted(mlp_space(), DARTSOptimizer, parts={"edge_normalization": {}}, arch_learning_rate=0.1)
    betas = optimizer.parts["edge_normalization"].betas[0]
    before = betas.detach().clone()
    optimizer.weight_step(batch(seed=1))
    assert torch.equal(betas, before) and betas.grad is None
    optimizer.architecture_step(batch(seed=1), batch(seed=2))
    assert (betas != before).all()
    state = optimizer.get_checkpointables()["parts"].state_dict()
    other = _adapted(mlp_space(), DARTSOptimizer, parts={"edge_normalization": {}})
    other.get_checkpointables()["parts"].load_state_dict(state)
    assert torch.equal(other.parts["edge_normalization"].betas[0], betas)
    assert other.graph.edges[2, 3].op.edges[1, 3].betas is other.parts["edge_normalization"].betas[0]


def test_the_preset():
    optimizer = PCDARTSOptimizer()
    assert list(optimizer.parts) == ["partial_channels", "edge_normalization", "warm_up"]
    assert optimizer.parts["partial_channels"].k == 4 and optimizer.parts["warm_up"].epochs == 15
    optimizer.adapt_search_space(SPACES["nasbench201"]())
    optimizer.new_epoch(14)
    before = [p.detach().clone() for p in optimizer.architecture_parameters]
    optimizer.step(_images(), _images())
    assert all(torch.equal(a, b) for a, b in zip(before, optimizer.architecture_parameters, strict=True))
    optimizer.new_epoch(15)
    optimizer.step(_images(), _images())
    assert not any(torch.equal(a, b) for a, b in zip(before, optimizer.architecture_parameters, strict=True))
    assert all(node.get("comb_op") is builtins.sum for node in SPACES["nasbench201"]().nodes.values())
