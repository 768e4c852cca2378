"""GDAS: the sampler, the temperature, one draw per forward, and the three treatments of unselected operations."""

from __future__ import annotations

import math

import pytest
import torch
from small_spaces import batch, mlp_space
from torch import nn

from naslib.errors import ConfigError
from naslib.optimizers import GDASOptimizer
from naslib.optimizers.oneshot.methods.gdas import GDASMixedOp, GumbelRelaxation
from naslib.optimizers.oneshot.supernet.relaxations import gumbel_noise, linear_temperature, straight_through_gumbel
from naslib.optimizers.oneshot.supernet.sampling import Draw
from naslib.search_spaces.core.graph import EdgeData


def _adapted(**kwargs) -> GDASOptimizer:
    torch.manual_seed(0)
    optimizer = GDASOptimizer(epochs=5, **kwargs)
    optimizer.adapt_search_space(mlp_space())
    return optimizer


def test_sample_is_exactly_one_hot_with_the_gradient_of_the_soft_sample():
    logits = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    upstream = torch.randn(4, 5, dtype=torch.float64)
    tau = 0.7
    hard = straight_through_gumbel(logits, tau, generator=torch.Generator().manual_seed(3))
    assert torch.equal(hard.sort(-1).values, torch.tensor([0.0, 0, 0, 0, 1]).double().expand(4, 5))
    (found,) = torch.autograd.grad((hard * upstream).sum(), logits)
    noise = gumbel_noise(logits.detach(), generator=torch.Generator().manual_seed(3))
    noisy = (logits.detach().log_softmax(-1) + noise) / tau
    p = noisy.exp() / noisy.exp().sum(-1, keepdim=True)
    expected = p * (upstream - (p * upstream).sum(-1, keepdim=True)) / tau  # softmax VJP, written out
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    assert torch.equal(hard.argmax(-1), noisy.argmax(-1))


def test_samples_follow_the_softmax():
    logits = torch.tensor([1.0, 0.0, -1.0, 0.5]).expand(40_000, 4)
    counts = straight_through_gumbel(logits, 3.0, generator=torch.Generator().manual_seed(0)).sum(0)
    p = logits[0].softmax(-1)
    sigma = (40_000 * p * (1 - p)).sqrt()
    assert ((counts - 40_000 * p).abs() < 4 * sigma).all()


def test_noise_is_finite_and_gumbel():
    noise = gumbel_noise(torch.empty(200_000), generator=torch.Generator().manual_seed(1))
    assert noise.isfinite().all()
    assert abs(noise.mean().item() - 0.5772) < 0.02 and abs(noise.var().item() - math.pi**2 / 6) < 0.05


def test_temperature_is_linear_from_first_to_last_epoch():
    optimizer = _adapted(tau_max=10.0, tau_min=0.1)
    taus = []
    for epoch in range(5):
        optimizer.new_epoch(epoch)
        taus.append(optimizer.tau)
    assert taus == pytest.approx([10.0, 7.525, 5.05, 2.575, 0.1])
    assert all(e.op.relaxation.tau == pytest.approx(0.1) for e in optimizer.decisions)  # the one that is executed
    assert linear_temperature(0, 1, 10.0, 0.1) == 10.0
    with pytest.raises(ValueError, match="tau"):
        straight_through_gumbel(torch.zeros(3), 0.0)
    with pytest.raises(ConfigError, match="tau_min"):
        GDASOptimizer(tau_min=0.0)
    with pytest.raises(ConfigError, match="recompute"):
        GDASOptimizer(unselected="twos")


def test_temperature_survives_a_checkpoint():
    optimizer = _adapted()
    optimizer.new_epoch(3)
    state = optimizer.get_checkpointables()["schedule"].state_dict()
    other = _adapted()
    other.get_checkpointables()["schedule"].load_state_dict(state)
    assert other.tau == optimizer.tau


def test_one_draw_per_forward_for_all_copies_of_a_decision(monkeypatch):
    optimizer = _adapted()
    executed: dict[int, list[int]] = {}
    original = GDASMixedOp.apply_shared

    def spy(self, x, weights, work):
        executed.setdefault(id(self), []).append(weights.on[0])
        return original(self, x, weights, work)

    monkeypatch.setattr(GDASMixedOp, "apply_shared", spy)
    draws = 0
    drawing = GumbelRelaxation.__call__

    def count(self, logits, training):
        nonlocal draws
        draws += 1
        return drawing(self, logits, training)

    monkeypatch.setattr(GumbelRelaxation, "__call__", count)
    x, _ = batch(dtype=torch.float32)
    for _ in range(20):
        optimizer.graph(x)
    assert draws == 20
    by_decision: dict[int, list[list[int]]] = {}
    for edge in optimizer.graph._edges_in_scope("cell", private_edge_data=True):
        by_decision.setdefault(id(edge.data.alpha), []).append(executed[id(edge.data.op)])
    assert len(by_decision) == 3
    for first, second in by_decision.values():
        assert first == second and len(set(first)) > 1  # the same in both cells, different between forwards


def test_only_the_drawn_operation_runs():
    optimizer = _adapted()
    calls = []
    for module in optimizer.graph.modules():
        if isinstance(module, GDASMixedOp):
            for primitive in module.primitives:
                primitive.register_forward_hook(lambda *_: calls.append(1))
    optimizer.graph(batch(dtype=torch.float32)[0])
    assert len(calls) == 6


def test_evaluation_takes_the_most_likely_operation():
    optimizer = _adapted()
    with torch.no_grad():
        for alpha in optimizer.architectural_weights:
            alpha.copy_(torch.tensor([0.0, 5.0, 1.0]))
    graph = optimizer.graph.eval()
    x, _ = batch(dtype=torch.float32)
    assert torch.equal(graph(x), graph(x))
    torch.testing.assert_close(graph(x), optimizer.get_final_architecture().eval()(x))


@pytest.mark.parametrize("unselected", ["ones", "zero", "recompute"])
def test_gradient_of_unselected_operations(unselected: str):
    """`ones`: sum of dL/dy; `zero`: nothing; `recompute`: <dL/dy, o_k(x)>; the drawn one always <dL/dy, o_i(x)>."""
    torch.manual_seed(1)
    ops = [nn.Linear(4, 4).double(), nn.Tanh(), nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).double()]
    mixed = GDASMixedOp(ops)
    x = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    weights = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64, requires_grad=True)
    statistics = ops[2][1].running_mean.clone()
    evaluated = (0, 2) if unselected == "recompute" else ()
    y = mixed.apply_weights(x, Draw((1,), weights, evaluated, others="ones" if unselected == "ones" else "zero"))
    torch.testing.assert_close(y, x.tanh(), rtol=0, atol=0)
    upstream = torch.randn_like(y)
    grad_x, grad_w = torch.autograd.grad((y * upstream).sum(), [x, weights])
    assert torch.equal(ops[2][1].running_mean, statistics)
    with torch.no_grad():
        outputs = [op(x) for op in ops]
    expected = {
        "ones": torch.stack([upstream.sum(), (upstream * x.tanh()).sum(), upstream.sum()]),
        "zero": torch.stack([upstream.new_zeros(()), (upstream * x.tanh()).sum(), upstream.new_zeros(())]),
        "recompute": torch.stack([(upstream * out).sum() for out in outputs]),
    }[unselected]
    torch.testing.assert_close(grad_w, expected.detach(), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(grad_x, upstream * (1 - x.tanh() ** 2), rtol=1e-12, atol=1e-12)


def test_architecture_gradient_through_the_whole_step():
    """The gradient that reaches alpha is the soft sample's VJP of the gates' gradients, in the mode `ones`."""
    optimizer = _adapted()
    torch.set_default_dtype(torch.float64)
    try:
        optimizer.graph.double()
        optimizer.architectural_weights.double()
        x, y = batch(seed=2)
        optimizer.new_epoch(2)
        torch.manual_seed(5)
        gradient, _, _ = optimizer.architecture_gradient((x, y), (x, y))
        torch.manual_seed(5)
        logits = torch.stack([a.detach() for a in optimizer.architectural_weights]).requires_grad_()
        rows = straight_through_gumbel(logits, optimizer.tau)
        out = _forward_with(optimizer, x, rows)
        (expected,) = torch.autograd.grad(nn.functional.cross_entropy(out, y), logits)
        for index, g in enumerate(gradient):
            torch.testing.assert_close(g, expected[index], rtol=1e-10, atol=1e-12)
    finally:
        torch.set_default_dtype(torch.float32)


def _forward_with(optimizer: GDASOptimizer, x: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """The network written out by hand: linear, two cells of three edges, linear."""
    macro = optimizer.graph
    row_of = {id(data.alpha): rows[index] for index, data in enumerate(optimizer.decisions)}

    def edge(cell, u, v, value):
        data: EdgeData = cell.edges[u, v]
        row = row_of[id(data.alpha)]
        index = int(row.detach().argmax())
        total = row[index] * data.op.primitives[index](value)
        for k in range(3):
            if k != index:
                total = total + row[k]
        return total

    def run(cell, value):
        second = edge(cell, 1, 2, value)
        return edge(cell, 1, 3, value) + edge(cell, 2, 3, second)

    hidden = macro.edges[1, 2].op(x)
    hidden = run(macro.edges[2, 3].op, hidden)
    hidden = run(macro.edges[3, 4].op, hidden)
    return macro.edges[4, 5].op(hidden)


def test_step_and_final_architecture():
    optimizer = _adapted()
    optimizer.new_epoch(0)
    before = [a.detach().clone() for a in optimizer.architectural_weights]
    result = optimizer.step(batch(seed=1, dtype=torch.float32), batch(seed=2, dtype=torch.float32))
    assert [r.requires_grad for r in result] == [False] * 4
    assert any(not torch.equal(a, b) for a, b in zip(before, optimizer.architectural_weights, strict=True))
    final = optimizer.get_final_architecture()
    assert not any(isinstance(m, GDASMixedOp) for m in final.modules())
    assert final.number_of_edges() == 4
