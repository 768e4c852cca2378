"""DARTS's architecture gradients against exact differentiation in float64 (methods.md, oracles 1, 2, 11, 12, 16)."""

from __future__ import annotations

import copy

import pytest
import torch
from small_spaces import batch, mlp_space
from torch import nn
from torch.func import functional_call

from naslib.optimizers import DARTSOptimizer


@pytest.fixture(autouse=True)
def _double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def _adapted(seed: int = 0, batch_norm: bool = False, warm_steps: int = 2, **kwargs) -> DARTSOptimizer:
    torch.manual_seed(seed)
    optimizer = DARTSOptimizer(**{"learning_rate": 0.1, "arch_learning_rate": 0.5, **kwargs})
    optimizer.adapt_search_space(mlp_space(batch_norm=batch_norm))
    with torch.no_grad():
        for alpha in optimizer.architectural_weights:
            alpha.copy_(torch.randn_like(alpha))
    for index in range(warm_steps):  # so that there are momentum buffers
        optimizer.weight_step(batch(seed=100 + index))
    return optimizer


def _exact(optimizer: DARTSOptimizer, train, val, xi: float) -> list[torch.Tensor]:
    """d/dalpha L_val(w - xi (m v + dL_train/dw + wd w), alpha), by one differentiation through the virtual step."""
    weights = {name: p.detach().requires_grad_() for name, p in optimizer.graph.named_parameters()}
    alphas = list(optimizer.architectural_weights)
    loss = nn.functional.cross_entropy(functional_call(optimizer.graph, weights, (train[0],)), train[1])
    gradient = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
    group = optimizer.op_optimizer.param_groups[0]
    stepped = {}
    for (name, w), g, p in zip(weights.items(), gradient, optimizer.graph.parameters(), strict=True):
        v = optimizer.op_optimizer.state[p].get("momentum_buffer", 0)
        stepped[name] = w - xi * (group["momentum"] * v + g + group["weight_decay"] * w)
    val_loss = nn.functional.cross_entropy(functional_call(optimizer.graph, stepped, (val[0],)), val[1])
    return list(torch.autograd.grad(val_loss, alphas))


def _flat(tensors) -> torch.Tensor:
    return torch.cat([t.reshape(-1) for t in tensors])


def _relative(found, expected) -> float:
    return float((_flat(found) - _flat(expected)).norm() / _flat(expected).norm())


@pytest.mark.parametrize(("hessian", "tolerance"), [("finite_difference", 1e-3), ("exact", 1e-12)])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_second_order_gradient_at_xi_one(hessian: str, tolerance: float, weight_decay: float):
    optimizer = _adapted(unrolled=True, hessian=hessian, weight_decay=weight_decay)
    optimizer.op_optimizer.param_groups[0]["lr"] = 1.0  # xi is the *current* learning rate
    train, val = batch(seed=1), batch(seed=2)
    gradient, logits, loss = optimizer.architecture_gradient(train, val)
    assert _relative(gradient, _exact(optimizer, train, val, xi=1.0)) < tolerance
    assert not logits.requires_grad and not loss.requires_grad


def test_the_test_would_catch_first_order_and_the_scaling_bug():
    """At xi = 1 the implicit term matters: without it, or with eps instead of 1/eps, the tolerance is far exceeded."""
    optimizer = _adapted(unrolled=True)
    optimizer.op_optimizer.param_groups[0]["lr"] = 1.0
    train, val = batch(seed=1), batch(seed=2)
    expected = _exact(optimizer, train, val, xi=1.0)
    weights = {name: p.detach() for name, p in optimizer.graph.named_parameters()}
    first = _exact(optimizer, train, val, xi=0.0)
    assert _relative(first, expected) > 0.05
    # the direct term alone (what the eps^2 bug leaves): dL_val/dalpha at w', w' a constant
    alphas = list(optimizer.architectural_weights)
    with optimizer.fixed_architecture():
        loss = nn.functional.cross_entropy(optimizer.graph(train[0]), train[1])
    gradient = torch.autograd.grad(loss, list(optimizer.graph.parameters()))
    stepped = {}
    for (name, w), g, p in zip(weights.items(), gradient, optimizer.graph.parameters(), strict=True):
        v = optimizer.op_optimizer.state[p]["momentum_buffer"]
        stepped[name] = w - (0.9 * v + g + 0.0003 * w)
    direct = torch.autograd.grad(
        nn.functional.cross_entropy(functional_call(optimizer.graph, stepped, (val[0],)), val[1]), alphas
    )
    assert _relative(direct, expected) > 0.05


def test_hessian_product_alone():
    """Finite difference and exact product agree, and scale linearly in the vector (oracle 2)."""
    from naslib.optimizers.oneshot.supernet.bilevel import exact_product, finite_difference_product

    optimizer = _adapted()
    alphas = list(optimizer.architectural_weights)
    weights = {name: p.detach() for name, p in optimizer.graph.named_parameters()}
    x, y = batch(seed=3)

    def loss(w):
        return nn.functional.cross_entropy(functional_call(optimizer.graph, dict(w), (x,)), y)

    vector = [torch.randn_like(w) for w in weights.values()]
    leaves = {k: w.clone().requires_grad_() for k, w in weights.items()}
    gradient = torch.autograd.grad(loss(leaves), list(leaves.values()), create_graph=True)
    reference = torch.autograd.grad(sum((g * v).sum() for g, v in zip(gradient, vector, strict=True)), alphas)
    exact = exact_product(loss, weights, vector, alphas)
    assert _relative(exact, reference) < 1e-12
    assert _relative(finite_difference_product(loss, weights, vector, alphas), reference) < 1e-4
    large = [5.0 * v for v in vector]
    assert _relative(finite_difference_product(loss, weights, large, alphas), [5.0 * r for r in reference]) < 1e-4
    zero = finite_difference_product(loss, weights, [0 * v for v in vector], alphas)
    assert all(torch.isfinite(z).all() and not z.any() for z in zero)


@pytest.mark.parametrize("nesterov", [False, True])
def test_virtual_step_is_what_sgd_does(nesterov: bool):
    optimizer = _adapted(unrolled=True, nesterov=nesterov, weight_decay=0.05, grad_clip=0)
    train = batch(seed=1)
    from naslib.optimizers.oneshot.supernet.bilevel import gradient_of, virtual_step

    parameters = dict(optimizer.graph.named_parameters())
    with optimizer.fixed_architecture():
        loss = nn.functional.cross_entropy(optimizer.graph(train[0]), train[1])
    gradient = gradient_of(loss, list(parameters.values()))
    stepped = virtual_step(parameters, gradient, **optimizer._virtual_step_settings(list(parameters.values())))
    before = {k: p.detach().clone() for k, p in parameters.items()}
    optimizer.weight_step(train)
    for name, p in parameters.items():
        torch.testing.assert_close(stepped[name].detach(), p.detach(), rtol=1e-13, atol=1e-13)
        assert not torch.equal(stepped[name], before[name])


@pytest.mark.parametrize("settings", [{}, {"unrolled": True}, {"unrolled": True, "hessian": "exact"}], ids=str)
def test_architecture_step_touches_only_the_architecture(settings: dict):
    optimizer = _adapted(batch_norm=True, **settings)
    optimizer.op_optimizer.zero_grad()
    state = copy.deepcopy(optimizer.graph.state_dict())
    momentum = copy.deepcopy(optimizer.op_optimizer.state_dict())
    before = [a.detach().clone() for a in optimizer.architectural_weights]
    optimizer.architecture_step(batch(seed=1), batch(seed=2))
    after = optimizer.graph.state_dict()
    assert any("running_mean" in key for key in after)
    for key, value in state.items():
        assert torch.equal(value, after[key]), key
    for old, new in zip(momentum["state"].values(), optimizer.op_optimizer.state_dict()["state"].values(), strict=True):
        assert torch.equal(old["momentum_buffer"], new["momentum_buffer"])
    assert all(p.grad is None for p in optimizer.graph.parameters())
    assert all(not torch.equal(b, a) for b, a in zip(before, optimizer.architectural_weights, strict=True))


def test_weight_step_touches_only_the_weights():
    optimizer = _adapted(batch_norm=True)
    optimizer.architecture_step(batch(seed=1), batch(seed=2))
    kept = [(a.detach().clone(), a.grad.clone()) for a in optimizer.architectural_weights]
    statistics = {k: v.clone() for k, v in optimizer.graph.state_dict().items() if "running" in k}
    optimizer.weight_step(batch(seed=3))
    for (value, gradient), alpha in zip(kept, optimizer.architectural_weights, strict=True):
        assert torch.equal(value, alpha) and torch.equal(gradient, alpha.grad) and alpha.requires_grad
    assert any(not torch.equal(v, optimizer.graph.state_dict()[k]) for k, v in statistics.items())
    assert all(p.grad is not None for p in optimizer.graph.parameters())


def test_first_order_gradient_is_the_sum_over_both_copies_of_the_cell():
    """Closed form: dL/dalpha = p (a - <p, a>), a_k summed over the edges that share the decision."""
    optimizer = _adapted()
    x, y = batch(seed=4)
    gradient, _, _ = optimizer.architecture_gradient(batch(seed=9), (x, y))
    assert len(optimizer.architectural_weights) == 3
    copies: list[dict[int, torch.Tensor]] = [{}, {}]
    separate = optimizer.graph.clone()
    per_edge = []
    for edge in separate._edges_in_scope("cell", private_edge_data=True):
        alpha = nn.Parameter(edge.data.alpha.detach().clone())
        op = edge.data.op
        op.relaxation = None
        op.get_weights = lambda edge_data, alpha=alpha: alpha
        per_edge.append(((edge.head, edge.tail), alpha))
    loss = nn.functional.cross_entropy(separate(x), y)
    found = torch.autograd.grad(loss, [alpha for _, alpha in per_edge])
    by_edge: dict = {}
    for (key, _), g in zip(per_edge, found, strict=True):
        by_edge[key] = by_edge.get(key, 0) + g
    assert len(per_edge) == 6 and len(copies) == 2
    for data, g in zip(optimizer.decisions, gradient, strict=True):
        key = next(k for k, _ in per_edge if optimizer_edge(optimizer, data) == k)
        torch.testing.assert_close(g, by_edge[key], rtol=1e-12, atol=1e-14)


def optimizer_edge(optimizer: DARTSOptimizer, data) -> tuple[int, int]:
    for edge in optimizer.graph._edges_in_scope("cell", private_edge_data=False):
        if edge.data.alpha is data.alpha:
            return edge.head, edge.tail
    raise KeyError


def test_architecture_parameters_are_not_weights():
    optimizer = _adapted()
    alphas = {id(a) for a in optimizer.architectural_weights}
    weights = [id(p) for p in optimizer.graph.parameters()]
    assert not alphas & set(weights)
    assert len(weights) == len(set(weights))
    assert {id(p) for group in optimizer.op_optimizer.param_groups for p in group["params"]} == set(weights)
    assert {id(p) for group in optimizer.arch_optimizer.param_groups for p in group["params"]} == alphas
    assert not any("alpha" in key for key in optimizer.graph.state_dict())
    saved = optimizer.get_checkpointables()["architectural_weights"].state_dict()
    assert len(saved) == len(alphas)
