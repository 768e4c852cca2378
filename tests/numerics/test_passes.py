"""Every rewrite of the plan against the plain reference in float64: outputs, all gradients, running statistics."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from naslib.errors import GraphError
from naslib.native import available
from naslib.optimizers import DARTSOptimizer, GDASOptimizer
from naslib.search_spaces import NasBench201SearchSpace, NasBench301SearchSpace, SimpleCellSearchSpace
from naslib.search_spaces.core.kernels import average_pool as pooling
from naslib.search_spaces.core.shared_work import Passes

SPACES = {
    "simple_cell": lambda: SimpleCellSearchSpace(channels=4),
    "nasbench201": lambda: NasBench201SearchSpace(channels=4, cells_per_stage=1),
    "nasbench201_wide": lambda: NasBench201SearchSpace(channels=16, cells_per_stage=1),
    "nasbench301": lambda: NasBench301SearchSpace(channels=4, cells=3),
    "nasbench301_wide": lambda: NasBench301SearchSpace(channels=16, cells=2, nodes=2),
}
NAMES = Passes().names()


@pytest.fixture(autouse=True)
def _double(monkeypatch):
    monkeypatch.setattr(pooling, "_LARGE", 0)  # the images are small
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def _run(optimizer, training: bool, memory_format: torch.memory_format):
    graph = optimizer.graph.clone().train(training).to(memory_format=memory_format)
    alphas = list(dict.fromkeys(graph.get_all_edge_data("alpha", optimizer.scope)))
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(3, 3, 16, 16, generator=generator).to(memory_format=memory_format)
    torch.manual_seed(2)
    out = graph(x)
    loss = nn.functional.cross_entropy(out, torch.tensor([0, 1, 2]))
    parameters = dict(graph.named_parameters())
    gradients = torch.autograd.grad(loss, [*alphas, *parameters.values()], allow_unused=True)
    return out.detach(), gradients, dict(graph.named_buffers())


def _compare(first, second) -> None:
    torch.testing.assert_close(first[0], second[0], rtol=1e-10, atol=1e-10)
    for a, b in zip(first[1], second[1], strict=True):
        a = torch.zeros_like(b) if a is None and b is not None else a
        b = torch.zeros_like(a) if b is None and a is not None else b
        if a is not None:
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)
    assert first[2].keys() == second[2].keys()
    for name, value in first[2].items():
        torch.testing.assert_close(value, second[2][name], rtol=1e-12, atol=1e-12)


def _adapted(space: str, optimizer_class):
    torch.manual_seed(0)
    optimizer = optimizer_class()
    optimizer.adapt_search_space(SPACES[space]())
    with torch.no_grad():
        for alpha in optimizer.architectural_weights:
            alpha.copy_(torch.randn_like(alpha))
    return optimizer


@pytest.mark.parametrize("optimizer_class", [DARTSOptimizer, GDASOptimizer])
@pytest.mark.parametrize("space", sorted(SPACES))
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_all_passes_equal_the_reference(space: str, optimizer_class, training: bool):
    optimizer = _adapted(space, optimizer_class)
    for memory_format in (torch.contiguous_format, torch.channels_last):
        optimizer.graph.passes = Passes()
        fast = _run(optimizer, training, memory_format)
        optimizer.graph.passes = Passes.none()
        _compare(fast, _run(optimizer, training, memory_format))
        again = _run(optimizer, training, memory_format)
        assert torch.equal(again[0], _run(optimizer, training, memory_format)[0])


@pytest.mark.parametrize("space", ["nasbench201_wide", "nasbench301"])
def test_a_forward_without_gradients_equals_the_reference(space: str):
    optimizer = _adapted(space, DARTSOptimizer)
    x = torch.randn(3, 3, 16, 16).to(memory_format=torch.channels_last)
    found = []
    for passes in (Passes(), Passes.none()):
        optimizer.graph.passes = passes
        graph = optimizer.graph.clone().to(memory_format=torch.channels_last)
        with torch.no_grad():
            found.append((graph(x), dict(graph.named_buffers())))
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-10, atol=1e-10)
    for name, value in found[0][1].items():
        torch.testing.assert_close(value, found[1][1][name], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("space", ["nasbench201_wide", "nasbench301_wide"])
def test_each_pass_alone_equals_the_reference(space: str, name: str):
    optimizer = _adapted(space, DARTSOptimizer)
    optimizer.graph.passes = Passes.none()
    reference = _run(optimizer, True, torch.channels_last)
    optimizer.graph.set_passes(**{name: True})
    assert optimizer.graph.passes.names() == [name]
    _compare(_run(optimizer, True, torch.channels_last), reference)


@pytest.mark.parametrize("space", ["nasbench201_wide", "nasbench301"])
def test_two_runs_are_bit_identical(space: str):
    optimizer = _adapted(space, DARTSOptimizer)
    first, second = (_run(optimizer, True, torch.channels_last) for _ in range(2))
    assert torch.equal(first[0], second[0])
    assert all(torch.equal(a, b) for a, b in zip(first[1], second[1], strict=True) if a is not None)


def test_sharing_computes_less():
    optimizer = _adapted("nasbench301", DARTSOptimizer)
    counts = []
    for passes in (Passes(), Passes.none()):
        optimizer.graph.passes = passes
        graph = optimizer.graph.clone()
        calls = {nn.ReLU: 0, nn.MaxPool2d: 0, nn.AvgPool2d: 0}
        forwards = {kind: kind.forward for kind in calls}
        try:
            for kind in calls:

                def counted(self, x, kind=kind, calls=calls, forwards=forwards):
                    calls[kind] += 1
                    return forwards[kind](self, x)

                kind.forward = counted
            graph(torch.randn(2, 3, 16, 16))
        finally:
            for kind, forward in forwards.items():
                kind.forward = forward
        counts.append(calls)
    fast, plain = counts
    # per cell 14 edges from 5 sources; nodes of a reduction cell read their inputs at two strides only at its inputs
    assert plain[nn.MaxPool2d] == 3 * 14 and fast[nn.MaxPool2d] == 3 * 5
    assert fast[nn.ReLU] < plain[nn.ReLU] - 60


def test_hooked_operations_run_by_themselves():
    optimizer = _adapted("nasbench301", DARTSOptimizer)
    seen = []
    op = optimizer.graph.nodes[4]["subgraph"].edges[1, 3].op.primitives[4]
    op.register_forward_hook(lambda module, inputs, output: seen.append(output.shape))
    relu = optimizer.graph.nodes[4]["subgraph"].edges[1, 4].op.primitives[4].op[0]
    relu.register_forward_hook(lambda module, inputs, output: seen.append("relu"))
    optimizer.graph(torch.randn(2, 3, 16, 16))
    assert len(seen) == 2 and "relu" in seen


def test_a_subclass_with_its_own_forward_is_respected():
    from naslib.search_spaces.core.primitives import SepConv
    from naslib.search_spaces.core.shared_work import SharedWork

    class Doubled(SepConv):
        def forward(self, x, edge_data=None):
            return 2 * super().forward(x)

    op = Doubled(4, 4, 3, 1, 1, affine=False).eval()
    x = torch.randn(1, 4, 8, 8)
    torch.testing.assert_close(op.forward_shared(x, SharedWork(), torch.tensor(3.0)), 3 * op(x))


def test_passes_are_listed_and_checked():
    graph = _adapted("simple_cell", DARTSOptimizer).graph
    assert "share, fold, mix, drop_zero, accumulate, pool, matmul, flip, tangent" in graph.plan.explain()
    assert "none (the plain reference)" in graph.set_passes(**dict.fromkeys(NAMES, False)).plan.explain()
    assert graph.clone().passes == graph.passes
    with pytest.raises(GraphError, match="did you mean 'share'"):
        graph.set_passes(shared=True)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=["nchw", "nhwc"])
@pytest.mark.parametrize("space", ["simple_cell", "nasbench301"])
def test_native_kernels_equal_the_reference(space: str, memory_format: torch.memory_format):
    if not available("auto"):
        pytest.skip("the native kernels cannot be built here (no compiler, or no ninja)")
    optimizer = _adapted(space, DARTSOptimizer)
    for training in (True, False):
        optimizer.graph.passes = Passes(native=True)
        fast = _run(optimizer, training, memory_format)
        optimizer.graph.passes = Passes.none()
        _compare(fast, _run(optimizer, training, memory_format))


@pytest.mark.parametrize("space", sorted(SPACES))
def test_checkpointing_equals_the_reference(space: str):
    optimizer = _adapted(space, DARTSOptimizer)
    optimizer.graph.passes = Passes(checkpoint=True)
    assert "checkpoint of" in optimizer.graph.plan.explain()
    fast = _run(optimizer, True, torch.channels_last)
    optimizer.graph.passes = Passes.none()
    _compare(fast, _run(optimizer, True, torch.channels_last))


def test_checkpointing_repeats_the_draws_of_gdas():
    optimizer = _adapted("nasbench201", GDASOptimizer)
    fast, plain = [], []
    for passes, found in ((Passes(checkpoint=True), fast), (Passes.none(), plain)):
        optimizer.graph.passes = passes
        found.append(_run(optimizer, True, torch.contiguous_format))
    _compare(fast[0], plain[0])


def test_checkpointing_keeps_less():
    optimizer = _adapted("nasbench301", DARTSOptimizer)
    kept = []
    for passes in (Passes(checkpoint=True), Passes()):
        optimizer.graph.passes = passes
        sizes: dict[int, int] = {}

        def pack(tensor, sizes=sizes):
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
            optimizer.graph(torch.randn(2, 3, 16, 16))
        kept.append(sum(sizes.values()))
    assert kept[0] < 0.4 * kept[1]


@pytest.mark.parametrize("keywords", [{"checkpoint_cells": True}, {"native": "auto"}], ids=str)
def test_switches_of_the_optimizer(keywords: dict):
    torch.manual_seed(0)
    optimizer = DARTSOptimizer(**keywords)
    optimizer.adapt_search_space(SPACES["nasbench301"]())
    x, y = torch.randn(2, 3, 16, 16), torch.tensor([0, 1])
    optimizer.step((x, y), (x, y))
    final = optimizer.get_final_architecture()
    assert not final.passes.native and not final.passes.checkpoint
    assert optimizer.graph.passes.checkpoint == bool(keywords.get("checkpoint_cells"))


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (8, 8), (7, 9)])
def test_average_pool_equals_torch(size: tuple[int, int]):
    from naslib.search_spaces.core.kernels.average_pool import accepts, average_pool

    module = nn.AvgPool2d(3, 1, 1, count_include_pad=False)
    x = torch.randn(2, 16, *size).to(memory_format=torch.channels_last).requires_grad_()
    assert accepts(module, x)
    assert not accepts(nn.AvgPool2d(3, 1, 1), x) and not accepts(nn.AvgPool2d(3, 2, 1, count_include_pad=False), x)
    upstream = torch.randn(2, 16, *size)
    for y in (module(x), average_pool(x)):
        (gradient,) = torch.autograd.grad(y, x, upstream)
        if y.grad_fn.name().startswith("AvgPool"):
            expected = y, gradient
    torch.testing.assert_close(average_pool(x), expected[0], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradient, expected[1], rtol=1e-12, atol=1e-12)
    small = torch.randn(1, 16, 2, 3).to(memory_format=torch.channels_last).requires_grad_()
    assert torch.autograd.gradcheck(average_pool, (small,), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(average_pool, (small,))


def test_passes_under_vmap():
    """Weights that differ by example: nothing may be added in place into a tensor that is not mapped."""
    optimizer = _adapted("simple_cell", DARTSOptimizer)
    graph = optimizer.graph.eval()
    x = torch.randn(2, 3, 16, 16)
    parameters = {name: p.detach() for name, p in graph.named_parameters()}
    mapped = {name: torch.stack([p, 2 * p]) for name, p in parameters.items() if "edge(1,3)" in name}

    def run(chosen):
        return torch.func.functional_call(graph, {**parameters, **chosen}, (x,))

    found = torch.func.vmap(run)(mapped)
    for index in range(2):
        expected = run({name: p[index] for name, p in mapped.items()})
        torch.testing.assert_close(found[index], expected, rtol=1e-9, atol=1e-9)
