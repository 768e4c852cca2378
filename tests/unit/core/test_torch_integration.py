"""torch.compile, torch.export, torch.func, hooks: what torch offers for modules works on graphs."""

from __future__ import annotations

import copy
import io

import pytest
import torch
from graph_classes import chain, two_sinks
from small_spaces import batch, mlp_space
from torch import nn
from torch.func import functional_call, grad, stack_module_state, vmap

from naslib.optimizers import OPTIMIZERS, DARTSOptimizer
from naslib.search_spaces.core.assignment import Assignment
from naslib.search_spaces.core.graph import Graph

X, Y = batch(dtype=torch.float32)


def _optimizer(**kwargs) -> DARTSOptimizer:
    torch.manual_seed(0)
    optimizer = DARTSOptimizer(**kwargs)
    optimizer.adapt_search_space(mlp_space(batch_norm=True))
    return optimizer


def _outputs_and_gradients(run, parameters: list[torch.Tensor]):
    out = run(X)
    return out.detach(), torch.autograd.grad(nn.functional.cross_entropy(out, Y), parameters, allow_unused=True)


@pytest.fixture(autouse=True)
def _fresh_compiler():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.parametrize("kind", ["supernet", "discrete", "deepcopy", "unparsed"])
def test_compile_fullgraph(kind: str):
    optimizer = _optimizer()
    alphas: list[torch.Tensor] = []
    if kind == "supernet":
        graph, alphas = optimizer.graph, list(optimizer.architectural_weights)
    else:
        graph = optimizer.get_final_architecture()
    if kind == "deepcopy":
        graph = copy.deepcopy(graph)
    parameters = [*graph.parameters(), *alphas]
    if kind == "unparsed":  # the plan is built while torch looks on
        graph = graph.unparse()
    compiled = torch.compile(graph, fullgraph=True, backend="aot_eager")
    found = _outputs_and_gradients(compiled, parameters)
    expected = _outputs_and_gradients(graph, parameters)
    torch.testing.assert_close(found, expected)
    assert any(g is not None and bool(g.any()) for g in expected[1])


@pytest.mark.parametrize("method", ["gdas", "snas", "spos", "proxyless"])
def test_a_sample_is_drawn_outside_of_what_is_compiled_or_exported(method: str):
    torch.manual_seed(0)
    optimizer = OPTIMIZERS.get(method)()
    optimizer.adapt_search_space(mlp_space())
    x = batch(dtype=torch.float32)[0]
    compiled = torch.compile(optimizer.graph, fullgraph=True, backend="eager")
    first, second = Assignment(dict.fromkeys(optimizer.decision_names, 0)), optimizer.sample().detached()
    for sample in (first, second, first):
        with optimizer.assigned(sample), torch.no_grad():
            torch.testing.assert_close(compiled(x), optimizer.graph(x))
    with optimizer.assigned(second), torch.no_grad():
        exported = torch.export.export(optimizer.graph, (x,)).module()
        expected = optimizer.graph(x)
    torch.testing.assert_close(exported(x), expected)  # what it was exported with, assigned or not


def test_a_compiled_graph_follows_a_swapped_op_and_a_new_node():
    graph = _optimizer().get_final_architecture()
    compiled = torch.compile(graph, fullgraph=True, backend="eager")
    compiled(X)
    graph.edges[1, 2].set("op", nn.Linear(6, 6))
    torch.testing.assert_close(compiled(X), graph(X))
    graph.add_edge(5, 6, op=nn.Linear(3, 2))
    assert compiled(X).shape == (8, 2)
    torch.testing.assert_close(compiled(X), graph(X))


def test_compiled_auxiliary_outputs():
    graph = two_sinks(6)
    graph.parse()
    run = torch.compile(graph.forward_with_auxiliary, fullgraph=True, backend="eager")
    torch.testing.assert_close(run(X), graph.forward_with_auxiliary(X))


class _WithAuxiliary(nn.Module):
    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.net = graph  # `graph` is taken in what torch.export returns

    def forward(self, x):
        return self.net.forward_with_auxiliary(x)


@pytest.mark.parametrize("strict", [False, True])
def test_export_of_a_discrete_graph_saved_and_loaded(strict: bool):
    graph = _optimizer().get_final_architecture().eval()
    buffer = io.BytesIO()
    torch.export.save(torch.export.export(graph, (X,), strict=strict), buffer)
    buffer.seek(0)
    torch.testing.assert_close(torch.export.load(buffer).module()(X), graph(X))


@pytest.mark.parametrize("strict", [False, True])
def test_export_with_auxiliary_outputs(strict: bool):
    graph = Graph(name="g")
    graph.add_edge(1, 2, op=two_sinks(6))
    graph.add_edge(1, 3, op=nn.Linear(6, 3))
    graph.add_edge(2, 4, op=nn.Tanh())
    graph.parse()
    expected = graph.forward_with_auxiliary(X)
    out, auxiliary = torch.export.export(_WithAuxiliary(graph), (X,), strict=strict).module()(X)
    assert set(auxiliary) == set(expected[1]) == {3, ((1, 2), 2)}
    torch.testing.assert_close((out, auxiliary), expected)


def test_functional_call_grad_and_vmap():
    graph = _optimizer().graph.eval()
    parameters = {name: p.detach() for name, p in graph.named_parameters()}
    buffers = dict(graph.named_buffers())

    def loss(weights, x, y):
        return nn.functional.cross_entropy(functional_call(graph, (weights, buffers), (x,)), y)

    found = grad(loss)(parameters, X, Y)
    expected = torch.autograd.grad(nn.functional.cross_entropy(graph(X), Y), list(graph.parameters()))
    torch.testing.assert_close(list(found.values()), list(expected))
    per_sample = vmap(grad(lambda w, x, y: loss(w, x[None], y[None])), (None, 0, 0))(parameters, X, Y)
    torch.testing.assert_close({k: v.mean(0) for k, v in per_sample.items()}, found)


def test_vmap_over_an_ensemble():
    graphs = [_optimizer().get_final_architecture().eval() for _ in range(3)]
    for index, graph in enumerate(graphs):
        for p in graph.parameters():
            p.data.mul_(index + 1)
    stacked = stack_module_state(graphs)
    out = vmap(lambda p, b: functional_call(graphs[0], (p, b), (X,)))(*stacked)
    torch.testing.assert_close(out, torch.stack([g(X) for g in graphs]))


@pytest.mark.parametrize("where", ["node", "edge"])
def test_hooks_on_nested_graphs_fire(where: str):
    inner = chain(nn.Linear(6, 6), nn.Tanh(), name="inner")
    graph = chain(inner if where == "edge" else nn.Identity(), name="outer")
    if where == "node":
        graph.nodes[2]["subgraph"] = inner
    graph.parse()
    expected = graph(X)  # compiled inline
    seen: list[str] = []
    handles = [
        inner.register_forward_pre_hook(lambda m, args: seen.append("pre")),
        inner.register_forward_hook(lambda m, args, out: seen.append("forward")),
        inner.register_full_backward_hook(lambda m, grad_in, grad_out: seen.append("backward")),
    ]
    out = graph(X.clone().requires_grad_())
    torch.testing.assert_close(out, expected)
    out.sum().backward()
    assert seen == ["pre", "forward", "backward"]
    compiled = torch.compile(graph, backend="eager")
    for handle in handles[1:]:
        handle.remove()
    graph(X)
    assert seen == ["pre", "forward", "backward", "pre"]
    torch.testing.assert_close(compiled(X), expected)


def test_hooks_on_ops_fire_and_modules_move_together():
    graph = _optimizer().get_final_architecture()
    seen: list[str] = []
    for name, module in graph.named_modules():
        if isinstance(module, nn.Linear):
            module.register_forward_hook(lambda m, args, out, name=name: seen.append(name))
    graph(X)
    assert seen == [name for name, module in graph.named_modules() if isinstance(module, nn.Linear)]
    graph.double()
    assert graph(X.double()).dtype == torch.float64
    assert not graph.eval().edges[2, 3].op.training


MOVES = {
    "to": lambda graph: graph.to(torch.float64),
    "to like": lambda graph: graph.to(torch.ones(1, dtype=torch.float64)),
    "double": lambda graph: graph.double(),
    "type": lambda graph: graph.type(torch.float64),
    "inside": lambda graph: nn.ModuleDict({"net": graph}).to(torch.float64),
    "_apply": lambda graph: graph._apply(lambda t: t.double() if t.is_floating_point() else t),
}


@pytest.mark.parametrize("move", sorted(MOVES))
def test_conversions_reach_the_architecture_parameters(move: str):
    optimizer = _optimizer(parts={"edge_normalization": {}})
    alphas = list(optimizer.architecture_parameters)
    values = [alpha.detach().double() for alpha in alphas]
    MOVES[move](optimizer.graph)
    assert all(now is then for now, then in zip(optimizer.architecture_parameters, alphas, strict=True))
    assert {alpha.dtype for alpha in [*alphas, *optimizer.graph.parameters()]} == {torch.float64}
    for alpha, value in zip(alphas, values, strict=True):
        torch.testing.assert_close(alpha.detach(), value, rtol=0, atol=0)
    x, y = batch(dtype=torch.float64)
    before = [alpha.detach().clone() for alpha in alphas]
    optimizer.step((x, y), (x, y))  # the optimizers hold what was converted
    assert not any(torch.equal(now, then) for now, then in zip(alphas, before, strict=True))
    assert all(data.alpha is alpha for data, alpha in zip(optimizer.decisions, alphas, strict=False))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_reaches_the_architecture_parameters(dtype: torch.dtype):
    optimizer = _optimizer()
    graph = optimizer.graph.half() if dtype is torch.float16 else optimizer.graph.bfloat16()
    assert {alpha.dtype for alpha in optimizer.architectural_weights} == {dtype}
    assert {data.alpha.dtype for data in optimizer.decisions} == {dtype}
    assert {parameter.dtype for parameter in graph.parameters()} == {dtype}


def test_a_graph_moves_to_another_device_with_everything_on_its_edges():
    optimizer = _optimizer()
    optimizer.graph.edges[1, 2].set("scale", torch.ones(2))
    optimizer.graph.to("meta")
    assert {data.alpha.device.type for data in optimizer.decisions} == {"meta"}
    assert optimizer.graph.edges[1, 2].scale.device.type == "meta"


def test_a_graph_that_is_not_parsed_is_converted_too():
    space = mlp_space(batch_norm=True).to(torch.float64)
    assert not space.is_parsed
    optimizer = DARTSOptimizer()
    optimizer.adapt_search_space(space)
    assert {p.dtype for p in [*optimizer.graph.parameters(), *optimizer.graph.buffers()]} == {
        torch.float64, torch.int64
    }  # fmt: skip


def test_state_dict_round_trip_through_a_file():
    graph, other = _optimizer().get_final_architecture(), _optimizer().get_final_architecture()
    graph(X)
    graph.edges[1, 2].op.weight.data.mul_(2)
    buffer = io.BytesIO()
    torch.save(graph.state_dict(), buffer)
    buffer.seek(0)
    other.load_state_dict(torch.load(buffer, weights_only=True))
    torch.testing.assert_close(other.eval()(X), graph.eval()(X), rtol=0, atol=0)
