"""SNAS: the concrete relaxation, its temperature, and the one step that trains weights and architecture."""

from __future__ import annotations

import pytest
import torch
from small_spaces import batch, mlp_by_hand, mlp_space
from torch import nn

from naslib.errors import ConfigError
from naslib.optimizers import SNASOptimizer
from naslib.optimizers.oneshot.parts import Part
from naslib.optimizers.oneshot.supernet.relaxations import gumbel_noise
from naslib.search_spaces.core.batch_norm import batch_norm_modules


@pytest.fixture(autouse=True)
def _double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def _adapted(*, batch_norm: bool = False, **kwargs) -> SNASOptimizer:
    torch.manual_seed(0)
    optimizer = SNASOptimizer(**{"epochs": 5, "weight_decay": 0.0, "arch_weight_decay": 0.0, **kwargs})
    optimizer.adapt_search_space(mlp_space(batch_norm=batch_norm))
    optimizer.new_epoch(0)
    return optimizer


def _rows(logits: torch.Tensor, tau: float) -> torch.Tensor:
    noisy = (logits + gumbel_noise(logits)) / tau
    return noisy.exp() / noisy.exp().sum(-1, keepdim=True)


def test_the_relaxation_is_the_concrete_distribution():
    optimizer = _adapted()
    optimizer.tau = 0.4
    logits = torch.randn(4, 5, requires_grad=True)
    torch.manual_seed(2)
    found = torch.stack(tuple(optimizer.relaxation()(logits, True)))
    torch.manual_seed(2)
    expected = _rows(logits.detach(), 0.4)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    upstream = torch.randn(4, 5)
    (gradient,) = torch.autograd.grad((found * upstream).sum(), logits)
    by_hand = expected * (upstream - (expected * upstream).sum(-1, keepdim=True)) / 0.4
    torch.testing.assert_close(gradient, by_hand, rtol=0, atol=1e-12)
    torch.testing.assert_close(torch.stack(tuple(optimizer.relaxation()(logits, False))), logits.softmax(-1))


def test_the_largest_entry_follows_the_softmax():
    optimizer = _adapted()
    optimizer.tau = 0.5
    logits = torch.tensor([1.0, 0.0, -1.0, 0.5]).expand(40_000, 4)
    torch.manual_seed(0)
    rows = torch.stack(tuple(optimizer.relaxation()(logits, True)))
    counts = torch.bincount(rows.argmax(-1), minlength=4)
    p = logits[0].softmax(-1)
    assert ((counts - 40_000 * p).abs() < 4 * (40_000 * p * (1 - p)).sqrt()).all()


@pytest.mark.parametrize("scale", [1.0, 60.0])
def test_small_temperatures_are_finite_in_float32(scale: float):
    optimizer = _adapted()
    optimizer.tau = 0.03
    logits = (scale * torch.randn(2000, 8)).float().requires_grad_()
    rows = torch.stack(tuple(optimizer.relaxation()(logits, True)))
    (gradient,) = torch.autograd.grad((rows * torch.randn(2000, 8).float()).sum(), logits)
    assert rows.isfinite().all() and gradient.isfinite().all()
    torch.testing.assert_close(rows.sum(-1), torch.ones(2000).float())


def test_temperature_and_initial_parameters():
    optimizer = _adapted()
    taus = []
    for epoch in range(5):
        optimizer.new_epoch(epoch)
        taus.append(optimizer.tau)
    assert taus == pytest.approx([1.0, 0.7575, 0.515, 0.2725, 0.03])
    other = _adapted()
    other.get_checkpointables()["schedule"].load_state_dict(optimizer.get_checkpointables()["schedule"].state_dict())
    assert other.tau == pytest.approx(0.03)

    class Edge:
        data = mlp_space().edges[2, 3].op.edges[1, 2]

    Edge.data.set("op", [nn.Identity()] * 20_000)
    SNASOptimizer.add_alphas(Edge)
    assert abs(Edge.data.alpha.mean() - 1) < 1e-3 and abs(Edge.data.alpha.std() / 0.01 - 1) < 0.03


def test_one_step_trains_both_on_the_training_batch():
    optimizer = _adapted(arch_optimizer="SGD", arch_learning_rate=0.5, learning_rate=0.1, grad_clip=0)
    train, parameters = batch(seed=1), [*optimizer.weights, *optimizer.architectural_weights]
    before = [p.detach().clone() for p in parameters]
    logits = torch.stack(list(optimizer.architectural_weights))
    torch.manual_seed(4)
    gumbel_noise(logits)  # the draw of the validation forward
    out = mlp_by_hand(optimizer, train[0], _rows(logits, 1.0))
    loss = nn.functional.cross_entropy(out, train[1])
    expected = torch.autograd.grad(loss, parameters)
    torch.manual_seed(4)
    logits_train, _, train_loss, _ = optimizer.step(train, batch(seed=2))
    torch.testing.assert_close(logits_train, out.detach(), rtol=0, atol=1e-12)
    torch.testing.assert_close(train_loss, loss.detach(), rtol=0, atol=1e-12)
    n = len(optimizer.weights)
    for index, (old, new, gradient) in enumerate(zip(before, parameters, expected, strict=True)):
        rate = 0.1 if index < n else 0.5
        torch.testing.assert_close(new.detach(), old - rate * gradient, rtol=0, atol=1e-12)
        assert gradient.abs().max() > 1e-6


def test_the_validation_batch_teaches_nothing_and_norms_see_one_batch():
    first, second = _adapted(batch_norm=True), _adapted(batch_norm=True)
    for optimizer, seed in ((first, 2), (second, 3)):
        torch.manual_seed(4)
        optimizer.step(batch(seed=1), batch(seed=seed))
    parameters = [*first.weights, *first.architectural_weights], [*second.weights, *second.architectural_weights]
    assert all(torch.equal(a, b) for a, b in zip(*parameters, strict=True))
    assert all(int(norm.num_batches_tracked) == 1 for norm in batch_norm_modules(first.graph))


def test_the_architecture_gradient_is_clipped():
    optimizer = _adapted(arch_optimizer="SGD", arch_learning_rate=1.0, arch_grad_clip=1e-3)
    before = torch.cat([a.detach().clone() for a in optimizer.architectural_weights])
    optimizer.step(batch(seed=1), batch(seed=2))
    moved = torch.cat(list(optimizer.architectural_weights)) - before
    assert moved.norm().item() == pytest.approx(1e-3, rel=1e-2)


def test_one_sample_for_all_copies_of_a_cell(monkeypatch):
    optimizer = _adapted()
    seen = {}
    kind = type(optimizer.decisions[0].op)
    original = kind.apply_shared

    def spy(self, x, weights, work):
        seen[id(self)] = weights.detach()
        return original(self, x, weights, work)

    monkeypatch.setattr(kind, "apply_shared", spy)
    optimizer.graph(batch()[0])
    first, second = optimizer.graph.edges[2, 3].op, optimizer.graph.edges[3, 4].op
    for edge in first.edges:
        assert torch.equal(seen[id(first.edges[edge].op)], seen[id(second.edges[edge].op)])
    assert len({float(v[0]) for v in seen.values()}) == 3


def test_warm_up_and_losses_of_parts():
    optimizer = _adapted(parts={"warm_up": {"epochs": 1}, "zero_one_loss": {"weight": 1000.0}}, arch_learning_rate=0.1)
    before = [a.detach().clone() for a in optimizer.architectural_weights]
    optimizer.step(batch(seed=1), batch(seed=2))
    assert all(torch.equal(a, b) for a, b in zip(before, optimizer.architectural_weights, strict=True))
    optimizer.new_epoch(1)
    optimizer.step(batch(seed=1), batch(seed=2))
    assert all((a > b).all() for a, b in zip(optimizer.architectural_weights, before, strict=True))  # away from 1/2


def test_errors():
    with pytest.raises(ConfigError, match="temperatures must be positive"):
        SNASOptimizer(tau_last=0.0)

    class Watching(Part):
        def watched(self):
            return [torch.zeros(1)]

    optimizer = SNASOptimizer()
    optimizer.parts["watching"] = Watching()
    with pytest.raises(ConfigError, match="the part watching"):
        optimizer.adapt_search_space(mlp_space())
