"""The mixed operations as plain modules: outputs, gradients, what they keep in memory, and what they leave alone."""

from __future__ import annotations

import copy

import pytest
import torch
from mixed_layers import KINDS, layers, made
from torch import Tensor, nn

from naslib.errors import ConfigError
from naslib.mixed_operations import (
    BinaryMaskedMixedOp,
    BinaryMixedOp,
    BinaryMovingAverageMixedOp,
    BinaryProxylessNASStyleMixedOp,
    ContinuousMixedOp,
    MixedOp,
    rescale_after_steps,
    rescaled_step,
    trainable_architecture_variables,
)
from naslib.optimizers.oneshot.supernet.estimators import RULES
from naslib.optimizers.oneshot.supernet.sampling import membership


def _watch(op: MixedOp) -> list[set[int]]:
    """Record what is evaluated, on operations included, at each backward."""
    found: list[set[int]] = []
    rule = op.mixture.gate_rule

    def watching(grad: Tensor, outputs: dict[int, Tensor], gradient: Tensor) -> None:
        found.append(set(outputs))
        rule(grad, outputs, gradient)

    op.mixture.__dict__["gate_rule"] = watching
    op.mixture._modules.pop("gate_rule", None)
    return found


# construction


def test_alpha_is_a_small_normal_draw():
    torch.manual_seed(1)
    ops = [nn.Identity() for _ in range(2000)]
    op = BinaryMixedOp(ops, 1)
    assert op.alpha.shape == (2000,) and abs(op.alpha.std().item() - 1e-3) < 1e-4 and op.alpha.requires_grad
    assert op.operations == ops and op.name is None


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: BinaryMixedOp([nn.Identity()], 2), "num_on_samples is 2, but BinaryMixedOp has 1 operations"),
        (lambda: BinaryMixedOp([], 1), "at least one operation"),
        (lambda: ContinuousMixedOp([nn.Identity()], 0), "at least 1, not 0"),
        (lambda: BinaryMixedOp([nn.Identity], 1), "takes modules, not .*Identity.*: call it"),
        (lambda: BinaryMixedOp([torch.tanh, nn.Identity()], 1), "takes modules, not .*tanh"),
        (lambda: BinaryMaskedMixedOp(layers(), 1, 2), r"num_eval_samples \(1\) must not be smaller"),
        (lambda: BinaryMaskedMixedOp(layers(), 1, 1), "larger than 1"),
        (lambda: BinaryProxylessNASStyleMixedOp(layers(), 1, 1), "must be larger than 1, not 1"),
        (lambda: BinaryMovingAverageMixedOp(layers(), 1, 2, 0.1), "must not be smaller"),
        (lambda: BinaryMovingAverageMixedOp(layers(), 2, 1, 0.0), "rate of a moving average"),
    ],
)
def test_errors(build, message: str):
    with pytest.raises(ConfigError, match=message):
        build()


def test_names_and_positions_of_arguments():
    ops = layers()
    assert ContinuousMixedOp(ops, 1, "a").name == BinaryMixedOp(ops, 1, name="a").name == "a"
    for cls in (BinaryMaskedMixedOp, BinaryProxylessNASStyleMixedOp):
        assert (cls(ops, 3, 2, "a").num_eval_samples, cls(ops, 3, 2, name="a").name) == (3, "a")
    assert BinaryMovingAverageMixedOp(ops, 3, 2, 0.5, "a").mixture.gate_rule.rate == 0.5
    BinaryMaskedMixedOp(ops, 1, 1, baseline=False)
    BinaryMaskedMixedOp(ops, 99, 1)
    with pytest.raises(TypeError, match="abstract"):
        MixedOp(ops, 1)


# outputs


@pytest.mark.parametrize("n_on", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_deterministic_calls_sum_the_operations_with_the_largest_logits(kind: str, n_on: int):
    op = made(kind, n_on)
    x = torch.randn(5, 4, dtype=torch.float64)
    expected = sum(layer(x) for layer in op.operations[-n_on:])
    assert op.chosen == tuple(range(4 - n_on, 4))
    torch.testing.assert_close(op.eval()(x), expected, rtol=0, atol=0)
    torch.testing.assert_close(op.discretized()(x), expected, rtol=0, atol=0)
    op.train().stochastic = False  # the weights of the chosen operations are trained on
    torch.testing.assert_close(op(x), expected, rtol=0, atol=0)
    op(x).sum().backward()
    assert op.alpha.grad is None and op.operations[-1][0].weight.grad is not None
    op.eval().stochastic = True
    sampled = {round(op(x).sum().item(), 9) for _ in range(300)}
    assert len(sampled) == (1 if kind == "continuous" else {1: 4, 2: 6}[n_on])


def test_continuous_is_the_softmax_mixture():
    op = made("continuous")
    x = torch.randn(5, 4, dtype=torch.float64)
    y, p = op(x), op.alpha.softmax(-1)
    expected = sum(w * layer(x) for w, layer in zip(p, op.operations, strict=True))
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-14)
    parameters = list(op.parameters())
    for a, b in zip(
        torch.autograd.grad(y.square().sum(), parameters),
        torch.autograd.grad(expected.square().sum(), parameters),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-14)


# gradients of alpha


@pytest.mark.parametrize("n_on", [1, 2])
@pytest.mark.parametrize(
    ("kind", "rule"), [("binary", "gates"), ("masked", "masked_baseline"), ("proxyless", "renormalized")]
)
def test_gradients_follow_the_rule(kind: str, rule: str, n_on: int):
    op = made(kind, n_on)
    seen = _watch(op)
    x, upstream = torch.randn(5, 4, dtype=torch.float64), torch.randn(5, 4, dtype=torch.float64)
    (op(x) * upstream).sum().backward()
    a = torch.stack([(layer(x) * upstream).sum() for layer in op.operations]).detach()
    assert len(seen[0]) == (4 if kind == "binary" else n_on + 1)
    mask = membership(torch.tensor([sorted(seen[0])]), 4)
    expected = RULES[rule](op.alpha.detach().unsqueeze(0), mask, a.unsqueeze(0) * mask)[0]
    torch.testing.assert_close(op.alpha.grad, expected, rtol=0, atol=1e-14)
    trained = [layer[0].weight.grad is not None for layer in op.operations]
    assert sum(trained) == n_on  # and only those that ran


def test_masked_without_baseline_drifts():
    op = BinaryMaskedMixedOp(layers(), 2, 1, baseline=False).double()
    seen = _watch(op)
    op(torch.randn(5, 4, dtype=torch.float64)).sum().backward()
    unseen = [k for k in range(4) if k not in seen[0]]
    assert (op.alpha.grad[unseen] != 0).all()


def test_the_expected_masked_gradient_points_where_the_full_one_does():
    """Averaged over draws, with the baseline: an unevaluated operation does not move, so nothing drifts in between."""
    op = made("masked")
    with torch.no_grad():
        op.alpha.zero_()
        for layer in op.operations:  # outputs that are all the same: there is nothing to prefer
            layer[0].load_state_dict(op.operations[0][0].state_dict())
    x = torch.randn(5, 4, dtype=torch.float64)
    for _ in range(20):
        op(x).sum().backward()
    torch.testing.assert_close(op.alpha.grad, torch.zeros(4, dtype=torch.float64), rtol=0, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_two_calls_before_the_backward_add_up(kind: str):
    """A layer that is called twice keeps a draw per call: the public code overwrote the first one's."""
    op = made(kind)
    x, z = torch.randn(5, 4, dtype=torch.float64), torch.randn(5, 4, dtype=torch.float64)
    separate = torch.zeros_like(op.alpha)
    if kind == "moving_average":
        _fill(op)
    reference = copy.deepcopy(op)
    torch.manual_seed(11)
    outputs = [op(x), op(z)]
    sum(y.square().sum() for y in outputs).backward()
    torch.manual_seed(11)
    repeated = [reference(x), reference(z)]
    for y, again in reversed(list(zip(outputs, repeated, strict=True))):  # in the order of the backward
        torch.testing.assert_close(again, y, rtol=0, atol=0)
        (gradient,) = torch.autograd.grad(again.square().sum(), reference.alpha)
        separate += gradient
    torch.testing.assert_close(op.alpha.grad, separate, rtol=0, atol=1e-13)


def _fill(op: MixedOp) -> None:
    """Give every operation an estimate."""
    outputs = {k: torch.randn(5, 4, dtype=torch.float64) for k in range(4)}
    op.mixture.gate_rule(torch.randn(5, 4, dtype=torch.float64), outputs, torch.zeros(4, dtype=torch.float64))


def test_two_layers_with_one_alpha_add_up():
    first, second = made("binary"), made("binary")
    x = torch.randn(5, 4, dtype=torch.float64)
    torch.manual_seed(2)
    (first(x) + second(x)).square().sum().backward()
    expected = first.alpha.grad + second.alpha.grad
    second.alpha = first.alpha
    first.alpha.grad = None
    torch.manual_seed(2)
    (first(x) + second(x)).square().sum().backward()
    torch.testing.assert_close(first.alpha.grad, expected, rtol=0, atol=1e-13)
    model = nn.ModuleList([first, second])
    assert [id(a) for a in trainable_architecture_variables(model)] == [id(first.alpha)]


# rescaling


@pytest.mark.parametrize("kind", ["SGD", "Adam", "AdamW", "RMSprop"])
@pytest.mark.parametrize("hooked", [True, False])
def test_probabilities_of_what_was_not_evaluated_stay(kind: str, hooked: bool):
    """In the usual alternation, whose weight steps also reach alpha, with any optimizer and weight decay."""
    op = made("proxyless", double=False).float()
    kwargs = {"momentum": 0.9} if kind == "SGD" else {}
    arch = getattr(torch.optim, kind)([op.alpha], lr=0.1, weight_decay=0.1, **kwargs)
    weights = torch.optim.SGD([p for p in op.parameters() if p is not op.alpha], lr=0.1)
    if hooked:
        handles = rescale_after_steps(arch, op)
    seen = _watch(op)
    for _ in range(6):
        arch.zero_grad()
        op(torch.randn(8, 4)).square().sum().backward()
        before, others = op.alpha.detach().softmax(-1), [k for k in range(4) if k not in seen[-1]]
        if hooked:
            arch.step()
        else:
            with rescaled_step(op):
                arch.step()
        # an update of float32 logits: 4 ulps of a probability
        torch.testing.assert_close(op.alpha.detach().softmax(-1)[others], before[others], rtol=0, atol=5e-7)
        assert (op.alpha.detach().softmax(-1) - before)[sorted(seen[-1])].abs().max() > 1e-4
        weights.zero_grad()
        op(torch.randn(8, 4)).square().sum().backward()
        weights.step()
    if hooked:
        for handle in handles:
            handle.remove()
        old = op.alpha.detach().clone()
        op.alpha.grad = torch.tensor([1.0, 0.0, 0.0, -1.0])
        arch.step()
        assert not torch.equal(op.alpha[1:3], old[1:3])  # weight decay moves them again


def test_rescaling_leaves_other_layers_alone():
    model = nn.ModuleList([made("masked", double=False), made("proxyless", double=False)])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.5)
    rescale_after_steps(optimizer, model)
    before = model[0].alpha.detach().clone()
    model[0].alpha.grad = torch.zeros(4)
    optimizer.step()  # and a layer without gradient is no problem
    torch.testing.assert_close(model[0].alpha.detach(), before * 0.95)


# the moving average


def test_moving_average_gradient_is_that_of_fresh_and_remembered_outputs():
    op = made("moving_average")
    _fill(op)
    rule = copy.deepcopy(op.mixture.gate_rule)
    x, upstream = torch.randn(5, 4, dtype=torch.float64), torch.randn(5, 4, dtype=torch.float64)
    (op(x) * upstream).sum().backward()
    evaluated = (op.mixture.gate_rule.counts == 2).nonzero().flatten().tolist()
    assert len(evaluated) == 2
    s = upstream.sum(0)
    a = torch.stack(
        [
            s @ (layer(x).mean(0) if k in evaluated else rule.mean[k] / 0.1)  # 1 - (1 - 0.1)^1
            for k, layer in enumerate(op.operations)
        ]
    )
    p = op.alpha.detach().softmax(-1)
    torch.testing.assert_close(op.alpha.grad, p * (a - (p * a).sum()).detach(), rtol=0, atol=1e-12)
    assert (op.alpha.grad != 0).all()


def test_moving_average_needs_inputs_of_one_size():
    op = BinaryMovingAverageMixedOp([nn.ReLU(), nn.Identity()], 2, 1, 0.1)
    op(torch.ones(2, 3, requires_grad=True)).sum().backward()
    op(torch.ones(9, 3, requires_grad=True)).sum().backward()
    with pytest.raises(ConfigError, match="inputs of one size"):
        op(torch.ones(2, 5, requires_grad=True)).sum().backward()
