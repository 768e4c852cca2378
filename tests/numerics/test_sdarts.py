"""SmoothDARTS: the projection, the radius, the ascent against a loop written out, and that nothing stays perturbed."""

from __future__ import annotations

import pytest
import torch
from small_spaces import batch, mlp_by_hand, mlp_space
from torch import nn

from naslib.errors import ConfigError
from naslib.optimizers import (
    DARTSOptimizer,
    GDASOptimizer,
    OneShotOptimizer,
    SDARTSAdversarialOptimizer,
    SDARTSRandomOptimizer,
)
from naslib.optimizers.oneshot.parts.perturbation import PerturbedRelaxation, ascend, random_point, to_simplex
from naslib.optimizers.oneshot.supernet.mixed_edges import mixed_edges
from naslib.optimizers.oneshot.supernet.relaxed_op import SoftmaxRelaxation
from naslib.optimizers.oneshot.supernet.strategy import Strategy, StrategyRelaxation
from naslib.search_spaces.core.batch_norm import batch_norm_modules


@pytest.fixture(autouse=True)
def _double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def _adapted(cls=SDARTSAdversarialOptimizer, epoch: int = 5, *, batch_norm: bool = True, **kwargs) -> OneShotOptimizer:
    torch.manual_seed(0)
    optimizer = cls(epochs=10, learning_rate=0.1, arch_learning_rate=0.1, **kwargs)
    optimizer.adapt_search_space(mlp_space(batch_norm=batch_norm))
    with torch.no_grad():
        for alpha in optimizer.architectural_weights:
            alpha.copy_(torch.randn_like(alpha))
    optimizer.new_epoch(epoch)
    return optimizer


# the projection


def test_rows_on_the_simplex():
    rows = torch.tensor([[0.5, -0.2, 0.7], [1.3, 0.5, -1.0], [-0.3, -0.1, -0.2], [0.2, 0.3, 0.5]])
    expected = torch.tensor([[0.5 / 1.2, 0.0, 0.7 / 1.2], [1 / 1.5, 0.5 / 1.5, 0.0], [0.0, 1.0, 0.0], [0.2, 0.3, 0.5]])
    torch.testing.assert_close(to_simplex(rows), expected, rtol=0, atol=1e-14)


def test_noise_is_uniform_in_the_box():
    center = torch.full((20_000, 2), 0.5)
    torch.manual_seed(0)
    found = random_point(center, 0.1)
    torch.testing.assert_close(found.sum(-1), torch.ones(20_000))
    # x / (x + y) of two uniforms on [.4, .6]: within [.4, .6], symmetric, of the variance found by integration
    assert found.min() >= 0.4 and found.max() <= 0.6 and abs(found[:, 0].mean() - 0.5) < 1e-3
    grid = torch.linspace(0.4, 0.6, 801)
    variance = ((grid[:, None] / (grid[:, None] + grid[None]) - 0.5) ** 2).mean()
    assert abs(found[:, 0].var() / variance - 1) < 0.05


def test_a_step_of_the_ascent_stays_in_the_box():
    center, point = torch.tensor([[0.5, 0.3, 0.2]]), torch.tensor([[0.58, 0.22, 0.2]])
    moved = ascend(point, torch.tensor([[2.0, -1.0, 0.0]]), center, radius=0.1, size=0.05)
    torch.testing.assert_close(moved, torch.tensor([[0.6, 0.2, 0.2]]), rtol=0, atol=1e-14)


def test_radius_grows_linearly():
    optimizer = _adapted(SDARTSRandomOptimizer)
    part = optimizer.parts["perturbation"]
    radii = []
    for epoch in range(10):
        optimizer.new_epoch(epoch)
        radii.append(part.radius)
    assert radii == pytest.approx([0.03 + 0.27 * epoch / 10 for epoch in range(10)])
    other = _adapted(SDARTSRandomOptimizer)
    other.get_checkpointables()["parts"].load_state_dict(optimizer.get_checkpointables()["parts"].state_dict())
    assert other.parts["perturbation"].radius == part.radius


# the weight step


def _spied(optimizer, monkeypatch) -> list[tuple[torch.Tensor, bool, bool]]:
    """Record what the network is given: rows, whether in training mode, whether gradients are taken."""
    seen = []
    original = PerturbedRelaxation.__call__

    def call(self, logits, training):
        rows = original(self, logits, training)
        seen.append((torch.stack(tuple(rows)).detach().clone(), training, torch.is_grad_enabled()))
        return rows

    monkeypatch.setattr(PerturbedRelaxation, "__call__", call)
    return seen


@pytest.mark.parametrize("cls", [SDARTSRandomOptimizer, SDARTSAdversarialOptimizer])
def test_only_the_weight_step_is_perturbed_and_alpha_is_bit_identical(cls, monkeypatch):
    optimizer = _adapted(cls)
    seen = _spied(optimizer, monkeypatch)
    clean = torch.stack([a.detach().softmax(-1) for a in optimizer.architectural_weights])
    alphas = [a.detach().clone() for a in optimizer.architectural_weights]
    optimizer.weight_step(batch(seed=1))
    rows, training, grad = seen[-1]
    assert training and grad
    torch.testing.assert_close(rows.sum(-1), torch.ones(3), rtol=0, atol=1e-14)
    assert (rows - clean).abs().amax() > 0.02 and (rows >= 0).all()
    assert all(torch.equal(a, b) for a, b in zip(alphas, optimizer.architectural_weights, strict=True))
    assert all(a.grad is None and a.requires_grad for a in optimizer.architectural_weights)
    assert len(seen) == (1 if cls is SDARTSRandomOptimizer else 10)
    seen.clear()
    optimizer.architecture_step(batch(seed=1), batch(seed=2))
    optimizer.validation_forward(batch(seed=2))
    assert len(seen) == 2
    torch.testing.assert_close(seen[0][0], clean, rtol=0, atol=1e-14)


@pytest.mark.parametrize("cls", [SDARTSRandomOptimizer, SDARTSAdversarialOptimizer])
def test_batch_norm_and_modes_are_as_after_one_forward(cls):
    optimizer = _adapted(cls)
    graph = optimizer.graph
    frozen = next(m for m in graph.modules() if isinstance(m, nn.Tanh))
    frozen.eval()  # a module with a mode of its own
    modes = [m.training for m in graph.modules()]
    means = [n.running_mean.clone() for n in batch_norm_modules(graph)]
    optimizer.weight_step(batch(seed=1))
    assert [m.training for m in graph.modules()] == modes and not frozen.training
    norms = batch_norm_modules(graph)
    assert all(int(norm.num_batches_tracked) == 1 for norm in norms)
    assert not any(torch.equal(a, n.running_mean) for a, n in zip(means, norms, strict=True))
    means = [n.running_mean.clone() for n in norms]
    with optimizer.parts["perturbation"].during_weight_step(batch(seed=1)):
        pass
    assert all(torch.equal(a, n.running_mean) for a, n in zip(means, norms, strict=True))
    assert [m.training for m in graph.modules()] == modes


def _loss_by_hand(optimizer, rows, data) -> torch.Tensor:
    return nn.functional.cross_entropy(mlp_by_hand(optimizer, data[0], rows), data[1])


def test_the_ascent_equals_the_loop_written_out():
    optimizer = _adapted()
    part, data = optimizer.parts["perturbation"], batch(seed=4)
    radius = part.radius
    torch.manual_seed(9)
    found = part._worst_case(part._relaxation, data)[3, None]

    clean = torch.stack([a.detach().softmax(-1) for a in optimizer.architectural_weights])
    optimizer.graph.eval()
    torch.manual_seed(9)
    p = clean + torch.empty_like(clean).uniform_(-radius, radius)
    p = p.clamp(0, 1) / p.clamp(0, 1).sum(-1, keepdim=True)
    for _ in range(7):
        p.requires_grad_()
        (gradient,) = torch.autograd.grad(_loss_by_hand(optimizer, p, data), p)
        p = p.detach() + 2 * radius / 7 * gradient.sign()
        p = torch.maximum(torch.minimum(p, clean + radius), clean - radius)
        p = p.clamp(0, 1) / p.clamp(0, 1).sum(-1, keepdim=True)
    assert _loss_by_hand(optimizer, p, data) > _loss_by_hand(optimizer, clean, data)
    torch.testing.assert_close(found, p, rtol=0, atol=1e-12)
    optimizer.graph.train()


def test_where_the_loss_does_not_rise_the_weights_stay(monkeypatch):
    from naslib.optimizers.oneshot.parts import perturbation

    optimizer = _adapted()
    part = optimizer.parts["perturbation"]
    clean = torch.stack([a.detach().softmax(-1) for a in optimizer.architectural_weights])
    descend = perturbation.ascend
    monkeypatch.setattr(perturbation, "ascend", lambda p, g, c, radius, size: descend(p, -g, c, radius, size))
    torch.testing.assert_close(part._worst_case(part._relaxation, batch(seed=4))[3, None], clean, rtol=0, atol=0)


def test_the_weight_gradient_is_that_at_the_perturbed_weights():
    optimizer = _adapted(SDARTSRandomOptimizer, batch_norm=False, grad_clip=0, weight_decay=0.0)
    data = batch(seed=1)
    weights = [p.detach().clone() for p in optimizer.weights]
    torch.manual_seed(3)
    rows = torch.stack([a.detach().softmax(-1) for a in optimizer.architectural_weights])
    rows = random_point(rows, optimizer.parts["perturbation"].radius)
    expected = torch.autograd.grad(_loss_by_hand(optimizer, rows, data), optimizer.weights)
    torch.manual_seed(3)
    optimizer.weight_step(data)
    for before, after, gradient in zip(weights, optimizer.weights, expected, strict=True):
        torch.testing.assert_close(after, before - 0.1 * gradient, rtol=0, atol=1e-12)


# combinations


class _Sigmoid(OneShotOptimizer):
    def relaxation(self):
        return StrategyRelaxation(Strategy(sampler="all", forward="sigmoid", gradient="autodiff"))


class _Concrete(OneShotOptimizer):
    def relaxation(self):
        return StrategyRelaxation(Strategy(sampler="all", forward="relaxed", gradient="autodiff"))


@pytest.mark.parametrize(
    ("cls", "message"),
    [(GDASOptimizer, "runs only the candidates"), (_Sigmoid, "do not sum to 1"), (_Concrete, "samples its weights")],
)
def test_methods_that_it_does_not_fit(cls, message: str):
    with pytest.raises(ConfigError, match=f"perturbation does not fit {cls.__name__}: .*{message}"):
        _adapted(cls, parts={"perturbation": {}})


@pytest.mark.parametrize(
    ("keywords", "message"),
    [({"kind": "advers"}, "kind"), ({"radius_min": 0.5}, "radius_min <= radius_max"), ({"steps": 0}, "steps")],
)
def test_bad_keywords(keywords, message: str):
    with pytest.raises(ConfigError, match=message):
        DARTSOptimizer(parts={"perturbation": keywords})


def test_calls_that_cannot_be_told_apart_are_refused():
    relaxation = PerturbedRelaxation(SoftmaxRelaxation())
    relaxation.recorded = {}
    relaxation(torch.zeros(1, 3), True)
    with pytest.raises(ConfigError, match="several calls"):
        relaxation(torch.zeros(1, 3), True)


def test_decisions_that_are_relaxed_one_by_one_are_perturbed_alike():
    """A hook on a MixedOp takes its decision out of the batch, as the selection of DARTS-PT does."""
    optimizer = _adapted()
    part = optimizer.parts["perturbation"]
    for data in mixed_edges(optimizer.graph, "cell"):
        data.op.set_post_process_hook(lambda weights, edge: weights)
    torch.manual_seed(2)
    weights = part._worst_case(part._relaxation, batch(seed=4))
    rows = torch.cat([weights[3, id(data.alpha)] for data in optimizer.decisions])
    clean = torch.stack([a.detach().softmax(-1) for a in optimizer.architectural_weights])
    assert (rows - clean).abs().amax(-1).min() > 0.01
    optimizer.graph.eval()
    assert _loss_by_hand(optimizer, rows, batch(seed=4)) > _loss_by_hand(optimizer, clean, batch(seed=4))


def test_it_goes_with_second_order_darts():
    optimizer = _adapted(DARTSOptimizer, unrolled=True, parts={"perturbation": {"kind": "adversarial", "steps": 2}})
    losses = optimizer.step(batch(seed=1), batch(seed=2))[2:]
    assert all(loss.isfinite() for loss in losses)
