"""Hooks are a stack, and parts that train the weights leave each other their effects: right values in float64."""

from __future__ import annotations

import pytest
import torch
from observed_search import adapted, flat
from small_spaces import ConvSpace, batch, images, mlp_by_copy, mlp_by_hand
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from naslib.optimizers import OneShotOptimizer
from naslib.optimizers.oneshot.parts import Part
from naslib.optimizers.oneshot.supernet.mixed_edges import mixed_edges
from naslib.optimizers.oneshot.supernet.relaxed_op import RelaxedMixedOp, watching_weights


@pytest.fixture(autouse=True)
def _double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def _weight_gradient(optimizer: OneShotOptimizer, data, seed: int = 3) -> Tensor:
    """Return the gradient that a weight step gives the weights; the weights are put back."""
    before = [weight.detach().clone() for weight in optimizer.weights]
    torch.manual_seed(seed)
    optimizer.weight_step(data)
    found = flat(torch.zeros_like(w) if w.grad is None else w.grad for w in optimizer.weights)
    with torch.no_grad():
        for weight, value in zip(optimizer.weights, before, strict=True):
            weight.copy_(value)
    optimizer.op_optimizer.state.clear()
    return found


def _regularizer(optimizer: OneShotOptimizer, data, gradient=_weight_gradient) -> Tensor:
    """Return what layer_alignment adds to the weights' gradient: with it, minus without it."""
    part = optimizer.parts["layer_alignment"]
    with_it, part._now = gradient(optimizer, data), 0.0
    without = gradient(optimizer, data)
    part.new_epoch(2)
    return with_it - without


def _lambda(optimizer: OneShotOptimizer, data, rows: dict) -> Tensor:
    """Return -strength times the gradient of the mean cosine, by a double backward through a network written out."""
    loss = cross_entropy(mlp_by_copy(optimizer, data[0], rows), data[1])
    by_copy = [[rows[copy, k] for k in range(3)] for copy in (0, 1)]
    first, second = (torch.cat(torch.autograd.grad(loss, row, create_graph=True)) for row in by_copy)
    cosine = first @ second / (first.norm() * second.norm())
    strength = optimizer.parts["layer_alignment"].strength
    return -strength * flat(torch.autograd.grad(cosine, optimizer.weights, materialize_grads=True))


def _rows(weights) -> dict:
    return {(copy, k): row.detach().clone().requires_grad_() for copy in (0, 1) for k, row in enumerate(weights)}


# hooks are a stack


def test_changes_of_weights_are_a_stack():
    op = RelaxedMixedOp([nn.Identity(), nn.Identity()])
    x, weights = torch.ones(2, 3), torch.tensor([0.25, 0.5])

    def run() -> float:
        return float(op.apply_weights(x, weights)[0, 0])

    assert run() == 0.75
    with watching_weights([op], lambda _, w: w + 1):
        with watching_weights([op], lambda _, w: 10 * w):  # gets what the outer one has made
            assert run() == 27.5
        assert run() == 2.75
        with pytest.raises(RuntimeError, match="inside"), watching_weights([op], lambda _, w: 0 * w):
            assert run() == 0.0
            raise RuntimeError("inside")
        assert run() == 2.75
    assert run() == 0.75 and op.on_weights == ()
    first, second = watching_weights([op], lambda _, w: w + 1), watching_weights([op], lambda _, w: 2 * w)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)  # not in the order of a stack: each takes away its own
    assert run() == 1.5
    second.__exit__(None, None, None)
    assert run() == 0.75


@pytest.mark.parametrize("name", ["darts_pt", "lambda_darts", "drnas"])
def test_selection_with_layer_alignment_is_what_the_mathematics_says(name: str):
    """With learning rates of 0 the tuning between decisions, with its regularizer, must change nothing."""
    parts = {
        "layer_alignment": {},
        "perturbation_selection": {"tune_epochs": 1, "criterion": "loss", "learning_rate_min": 0.0},
    }
    optimizer = adapted(name, parts=parts, learning_rate=0.0, arch_learning_rate=0.0, arch_weight_decay=0.0)
    train, valid = [batch(seed=1)], [batch(32, seed=seed) for seed in (2, 3)]
    torch.manual_seed(7)
    seed = int(torch.randint(2**62, ()))
    chosen: dict[int, int] = {}
    for index in torch.randperm(3, generator=torch.Generator().manual_seed(seed)).tolist():
        losses = []
        for taken_out in range(3):
            rows = []
            for k, alpha in enumerate(optimizer.architectural_weights):
                row = optimizer.relaxation()(alpha.detach().unsqueeze(0), False)[0].clone()
                if k in chosen:
                    row = torch.eye(3)[chosen[k]]
                elif k == index:
                    row[taken_out] = 0.0
                rows.append(row)
            losses.append(sum(cross_entropy(mlp_by_hand(optimizer, x, torch.stack(rows)), y) for x, y in valid))
        chosen[index] = int(torch.stack(losses).argmax())
    torch.manual_seed(7)
    optimizer.select_architecture(train, valid)
    assert [int(scores.argmax()) for scores in optimizer.outcome] == [chosen[k] for k in range(3)]
    assert len(set(chosen.values())) > 1 or 0 not in chosen.values()  # not what a lost projection gives
    assert all(data.op.on_weights == () for data in mixed_edges(optimizer.graph, "cell"))


# layer alignment


def test_the_regularizer_is_a_double_backward():
    optimizer = adapted("lambda_darts")
    data = batch(seed=4)
    expected = _lambda(optimizer, data, _rows([a.softmax(-1) for a in optimizer.architectural_weights]))
    found = _regularizer(optimizer, data)
    assert expected.norm() > 1e-3
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("extra", [{}, {"drop_path": {"drop_prob": 0.5}}, {"auxiliary_skip": {}}], ids=str)
def test_the_regularizer_survives_checkpointing(extra: dict):
    found = []
    for checkpoint in (False, True):
        optimizer = adapted("lambda_darts", ConvSpace, extra, checkpoint_cells=checkpoint)
        found.append(_regularizer(optimizer, images(seed=5)))
    assert found[0].norm() > 1e-4
    torch.testing.assert_close(found[1], found[0], rtol=1e-8, atol=1e-11)


def test_the_regularizer_sees_the_paths_that_the_step_dropped():
    """Lambda is of the loss whose gradients are compared: the same samples are dropped in all three passes."""
    optimizer = adapted("lambda_darts", parts={"drop_path": {"drop_prob": 0.6}})
    data = batch(seed=4)
    masks: list[Tensor] = []
    kept = torch.bernoulli

    def recording(*args, **kwargs):
        masks.append(kept(*args, **kwargs))
        return masks[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "bernoulli", recording)
        _weight_gradient(optimizer, data)
    assert len(masks) == 18  # six edges in each pass
    for first, second, third in zip(masks[:6], masks[6:12], masks[12:], strict=True):
        assert torch.equal(first, second) and torch.equal(first, third)
    assert 0 < sum(float(mask.mean()) for mask in masks) < 18


@pytest.mark.parametrize("order", [("perturbation", "layer_alignment"), ("layer_alignment", "perturbation")])
def test_the_ascent_of_the_adversary_is_the_same_in_both_orders(order: tuple[str, str]):
    keywords = {"perturbation": {"kind": "adversarial", "steps": 3, "radius_max": 0.2}, "layer_alignment": {}}
    optimizer = adapted("darts", parts={name: keywords[name] for name in order})
    data = batch(seed=6)
    part = optimizer.parts["perturbation"]
    torch.manual_seed(3)
    part._relaxation.radius = None
    start = torch.stack([a.detach().softmax(-1) for a in optimizer.architectural_weights])
    # the ascent, written out
    point = _simplex(start + torch.empty_like(start).uniform_(-part.radius, part.radius))
    for _ in range(3):
        rows = point.clone().requires_grad_()
        loss = cross_entropy(mlp_by_hand(optimizer, data[0], rows), data[1])
        step = point + 2 * part.radius / 3 * torch.autograd.grad(loss, rows)[0].sign()
        point = _simplex(start + (step - start).clamp(-part.radius, part.radius))
    expected = cross_entropy(mlp_by_hand(optimizer, data[0], point), data[1])
    assert expected > cross_entropy(mlp_by_hand(optimizer, data[0], start), data[1]) + 1e-3
    torch.manual_seed(3)
    loss = optimizer.weight_step(data)[1]
    torch.testing.assert_close(loss, expected.detach(), rtol=0, atol=1e-12)


def _simplex(rows: Tensor) -> Tensor:
    clipped = rows.clamp(0, 1)
    return clipped / clipped.sum(-1, keepdim=True)


@pytest.mark.parametrize("order", [("perturbation", "layer_alignment"), ("layer_alignment", "perturbation")])
def test_the_regularizer_is_that_of_the_perturbed_weights(order: tuple[str, str]):
    keywords = {"perturbation": {"kind": "adversarial", "steps": 2}, "layer_alignment": {}}
    optimizer = adapted("darts", parts={name: keywords[name] for name in order})
    data = batch(seed=6)
    torch.manual_seed(3)
    optimizer.parts["perturbation"].before_weight_step(data)
    (worst,) = optimizer.parts["perturbation"]._worst.values()
    torch.testing.assert_close(
        _regularizer(optimizer, data), _lambda(optimizer, data, _rows(worst)), rtol=1e-5, atol=1e-8
    )


# snas


def _joint_gradients(optimizer: OneShotOptimizer, data, seed: int = 3) -> tuple[Tensor, Tensor]:
    """Return the gradients of weights and alphas of a joint step; both optimizers stand still."""
    for group in (*optimizer.op_optimizer.param_groups, *optimizer.arch_optimizer.param_groups):
        group["lr"] = 0.0
    torch.manual_seed(seed)
    optimizer.joint_step(data, batch(seed=77))
    weights, alphas = optimizer.weights, optimizer.architectural_weights
    return flat(w.grad for w in weights), flat(a.grad for a in alphas)


def _sampled_rows(optimizer: OneShotOptimizer, seed: int = 3) -> Tensor:
    torch.manual_seed(seed)
    return torch.stack(tuple(optimizer.relaxation()(torch.stack(list(optimizer.architectural_weights)), True)))


def test_snas_with_layer_alignment_trains_alpha_and_aligns():
    optimizer = adapted("snas", parts={"layer_alignment": {}}, arch_grad_clip=0, tau_last=1.0)
    data = batch(seed=8)
    sampled = _sampled_rows(optimizer)
    loss = cross_entropy(mlp_by_hand(optimizer, data[0], sampled), data[1])
    expected = flat(torch.autograd.grad(loss, list(optimizer.architectural_weights)))
    _, alphas = _joint_gradients(optimizer, data)
    assert expected.norm() > 1e-3
    torch.testing.assert_close(alphas, expected, rtol=0, atol=1e-12)
    regularizer = _regularizer(optimizer, data, lambda o, d: _joint_gradients(o, d)[0])
    expected = _lambda(optimizer, data, _rows(sampled))
    torch.testing.assert_close(regularizer, expected, rtol=1e-5, atol=1e-8)


class _Scaling(Part):
    @property
    def scales_loss(self) -> bool:
        return True

    def architecture_loss(self, loss: Tensor) -> Tensor:
        return 5.0 * loss.square() + self.optimizer.architectural_weights[0].sum()


def test_what_is_added_to_the_architecture_loss_leaves_the_weights_of_snas_alone():
    optimizer = adapted("snas", arch_grad_clip=0, tau_last=1.0)
    data = batch(seed=8)
    plain, alphas = _joint_gradients(optimizer, data)
    loss = cross_entropy(mlp_by_hand(optimizer, data[0], _sampled_rows(optimizer)), data[1]).detach()
    optimizer.parts["scaling"] = _Scaling()
    optimizer.parts["scaling"].optimizer = optimizer
    weights, scaled = _joint_gradients(optimizer, data)
    assert torch.equal(weights, plain)
    expected = 10.0 * loss * alphas
    expected[:3] += 1.0
    torch.testing.assert_close(scaled, expected, rtol=1e-10, atol=1e-12)


# terms of the architecture loss


@pytest.mark.parametrize("reverse", [False, True])
def test_what_multiplies_the_loss_multiplies_no_other_term(reverse: bool):
    optimizer = adapted("darts", parts={"zero_one_loss": {"weight": 2.0}})
    optimizer.parts["scaling"] = _Scaling()
    optimizer.parts["scaling"].optimizer = optimizer
    if reverse:
        optimizer.parts = dict(reversed(optimizer.parts.items()))
    alphas = list(optimizer.architectural_weights)
    sigmoids = torch.sigmoid(torch.cat(alphas))
    loss = torch.tensor(0.7)
    expected = 5 * 0.7**2 + alphas[0].sum() - 2.0 * (sigmoids - 0.5).square().mean()
    torch.testing.assert_close(optimizer.architecture_loss(loss), expected, rtol=0, atol=1e-12)


def test_what_a_part_watches_is_the_gradient_of_the_validation_loss_itself():
    seen: list[Tensor] = []

    class Watching(Part):
        def watched(self):
            return [self.optimizer.weights[0]]

        def watch(self, gradients):
            seen.extend(gradients)

    optimizer = adapted("darts")
    valid = batch(seed=2)
    (expected,) = torch.autograd.grad(optimizer.forward_loss(valid)[1], optimizer.weights[:1])
    plain, _, loss = optimizer.architecture_gradient(batch(), valid)
    for name, part in (("scaling", _Scaling()), ("watching", Watching())):
        optimizer.parts[name] = part
        part.optimizer = optimizer
    found, _, _ = optimizer.architecture_gradient(batch(), valid)
    torch.testing.assert_close(seen[0], expected, rtol=0, atol=1e-12)
    for index, (a, b) in enumerate(zip(found, plain, strict=True)):
        torch.testing.assert_close(a, 10 * loss * b + float(index == 0), rtol=1e-10, atol=1e-12)


def test_a_step_of_a_methods_own_that_knows_only_the_contexts_has_every_effect():
    optimizer = adapted(
        "darts", parts={"perturbation": {"kind": "adversarial", "steps": 3}, "early_stopping": {}}, epoch=1
    )
    data, part = batch(seed=6), optimizer.parts["perturbation"]
    clean = torch.stack([a.detach().softmax(-1) for a in optimizer.architectural_weights])
    for _ in range(2):  # nothing is left from one step to the next
        torch.manual_seed(3)
        with part.during_weight_step(data):
            (used,) = part._relaxation.replacing.values()
        assert (used - clean).abs().max() > 0.01 and part._relaxation.replacing is None
        torch.manual_seed(3)
        part.before_weight_step(data)
        assert torch.equal(used, next(iter(part._worst.values())))
        with torch.no_grad():
            for alpha in optimizer.architectural_weights:
                alpha.add_(0.3 * torch.randn_like(alpha))
        clean = torch.stack([a.detach().softmax(-1) for a in optimizer.architectural_weights])
        part._worst = None
    for _ in range(2):
        with optimizer.parts["early_stopping"].during_architecture_step(data):
            pass
    assert len(optimizer.parts["early_stopping"].eigenvalues) == 1
