"""Gate gradients: the rules, the draws and the mixture of what was drawn, against autograd and closed forms."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor, nn

from naslib.optimizers.oneshot.supernet.estimators import (
    RULES,
    baseline_rule,
    estimated_rule,
    gates_rule,
    masked_rule,
    renormalized_rule,
    rescale,
    rescale_stepped,
)
from naslib.optimizers.oneshot.supernet.relaxed_op import RelaxedMixedOp
from naslib.optimizers.oneshot.supernet.sampling import RANKINGS, Draw, log_probability, membership, ranked
from naslib.optimizers.oneshot.supernet.strategy import Strategy, StrategyRelaxation

K = 5


def _problem(seed: int = 0, rows: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """Return logits, a mask of two evaluated operations per row, and gate gradients."""
    generator = torch.Generator().manual_seed(seed)
    logits, a = (torch.randn(rows, K, generator=generator, dtype=torch.float64) for _ in range(2))
    mask = membership(ranked(torch.rand(rows, K, generator=generator), 2), K)
    return logits, mask, a


# the rules


def test_gates_rule_is_the_vjp_of_the_softmax():
    logits, mask, a = _problem()
    logits.requires_grad_()
    (expected,) = torch.autograd.grad((logits.softmax(-1) * a).sum(), logits)
    torch.testing.assert_close(gates_rule(logits.detach(), mask, a), expected, rtol=0, atol=1e-14)


def test_masked_rule_drifts_and_the_p_weighted_baseline_does_not():
    """The bug of the public masked variant: nobody looked at an operation, and it moves all the same."""
    logits, mask, a = _problem()
    a = a + 2.0  # a mean that is not zero
    p = logits.softmax(-1)
    drift = -p * (p * a * mask).sum(-1, keepdim=True)
    torch.testing.assert_close(masked_rule(logits, mask, a)[~mask], drift[~mask], rtol=0, atol=1e-14)
    assert (drift[~mask].abs() > 0.01).all()
    found = baseline_rule(logits, mask, a)
    assert (found[~mask] == 0).all()
    inside = (p * mask).sum(-1, keepdim=True)
    torch.testing.assert_close(found, inside * renormalized_rule(logits, mask, a), rtol=0, atol=1e-14)
    plain = masked_rule(logits, mask, a - (a * mask).sum(-1, keepdim=True) / 2)
    assert (plain[~mask].abs() > 1e-3).any()  # a plain mean is not the cure


def test_baseline_changes_nothing_where_all_are_evaluated():
    logits, _, a = _problem()
    everything = torch.ones_like(logits, dtype=torch.bool)
    expected = gates_rule(logits, everything, a)
    for rule in (masked_rule, baseline_rule, renormalized_rule, estimated_rule):
        torch.testing.assert_close(rule(logits, everything, a), expected, rtol=0, atol=1e-14)


def test_renormalized_rule_is_autograd_through_the_softmax_of_the_evaluated():
    logits, mask, a = _problem()
    logits.requires_grad_()
    total = sum((row[m].softmax(-1) * g[m]).sum() for row, m, g in zip(logits, mask, a, strict=True))
    (expected,) = torch.autograd.grad(total, logits)
    found = renormalized_rule(logits.detach(), mask, a)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-14)
    assert (found[~mask] == 0).all() and found.sum(-1).abs().max() < 1e-14


def test_estimated_rule_leaves_out_what_has_no_estimate():
    logits, mask, a = _problem()
    found = estimated_rule(logits, torch.zeros_like(mask), a.masked_fill(~mask, -torch.inf))
    torch.testing.assert_close(found, baseline_rule(logits, mask, a), rtol=0, atol=0)
    a[0] = torch.nan  # a broken loss is not hidden
    assert estimated_rule(logits, mask, a)[0].isnan().all()


@pytest.mark.parametrize("kind", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"])
def test_rescale_keeps_probabilities_with_any_optimizer(kind: str):
    torch.manual_seed(0)
    alpha = nn.Parameter(torch.randn(K, dtype=torch.float64))
    kwargs = {"momentum": 0.9, "weight_decay": 0.1} if kind == "SGD" else {"weight_decay": 0.1}
    optimizer = getattr(torch.optim, kind)([alpha], lr=0.1, **kwargs)
    without = 0.0
    for step in range(6):
        pair = ranked(torch.rand(1, K), 2)
        mask = membership(pair, K)
        alpha.grad = renormalized_rule(alpha.detach().unsqueeze(0), mask, torch.randn(1, K, dtype=torch.float64))[0]
        before = alpha.detach().clone()
        optimizer.step()
        moved = alpha.detach().softmax(-1) - before.softmax(-1)
        without = max(without, moved[~mask[0]].abs().max().item())
        updated = alpha.detach().clone()
        rescale_stepped(alpha, before)
        kept = alpha.detach().softmax(-1) - before.softmax(-1)
        assert kept[~mask[0]].abs().max() <= 1e-14, step  # some ulps of a probability in float64
        assert torch.equal(alpha[~mask[0]], before[~mask[0]])
        ratio = (alpha - updated)[mask[0]]  # the pair is shifted together
        torch.testing.assert_close(ratio[0], ratio[1], rtol=0, atol=1e-14)
    assert without > 1e-3


def test_rescale_divides_by_the_evaluated_alone():
    """The public offset log(sum_S e^new / sum_all e^old) is wrong: its denominator runs over all operations."""
    before = torch.tensor([[0.3, -0.2, 0.5, 0.1]], dtype=torch.float64)
    mask = torch.tensor([[True, False, True, False]])
    after = before + torch.tensor([[0.4, 0.0, -0.1, 0.0]], dtype=torch.float64)
    found = rescale(before, after, mask)
    total = found[mask].exp().sum() / before[mask].exp().sum()
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-14)
    wrong = after.clone()
    wrong[mask] -= (after[mask].exp().sum() / before.exp().sum()).log()
    assert (wrong.softmax(-1) - before.softmax(-1))[~mask].abs().max() > 0.05


def test_rescale_without_a_gradient_does_nothing():
    alpha = nn.Parameter(torch.randn(K))
    before = alpha.detach().clone()
    rescale_stepped(alpha, before + 1)
    assert torch.equal(alpha, before)
    alpha.grad = torch.zeros(K)
    rescale_stepped(alpha, before)
    assert torch.equal(alpha, before)


# draws


def test_log_probability_is_that_of_drawing_without_replacement():
    logits = torch.randn(1, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    p = logits.softmax(-1)[0].tolist()
    total = 0.0
    for order in itertools.permutations(range(4), 2):
        expected = p[order[0]] * p[order[1]] / (1 - p[order[0]])
        found = log_probability(logits, torch.tensor([order])).exp().item()
        assert found == pytest.approx(expected, rel=1e-12)
        total += found
    assert total == pytest.approx(1.0, abs=1e-12)
    assert torch.autograd.gradcheck(
        lambda z: log_probability(z, torch.tensor([[2, 0, 1, 3]])), logits.clone().requires_grad_()
    )


def test_gumbel_top_k_draws_without_replacement_from_the_softmax():
    n, logits = 40_000, torch.tensor([1.0, 0.0, -1.0, 0.5])
    torch.manual_seed(0)
    order = ranked(RANKINGS["gumbel_top_k"](logits.expand(n, 4)), 2)
    for pair in itertools.permutations(range(4), 2):
        p = log_probability(logits.unsqueeze(0), torch.tensor([pair])).exp().item()
        count = (order == torch.tensor(pair)).all(-1).sum().item()
        assert abs(count - n * p) < 4 * (n * p * (1 - p)) ** 0.5


def test_uniform_and_top_k_rankings():
    torch.manual_seed(0)
    logits = torch.tensor([5.0, 0.0, -5.0]).expand(30_000, 3)
    first = ranked(RANKINGS["uniform"](logits), 1).flatten().bincount(minlength=3)
    assert (first - 10_000).abs().max() < 4 * (30_000 * 2 / 9) ** 0.5
    assert ranked(RANKINGS["top_k"](torch.tensor([[0.0, 2.0, 2.0, 1.0]])), 3).tolist() == [[1, 2, 3]]


# the mixture of what was drawn


def _operations() -> list[nn.Module]:
    torch.manual_seed(3)
    layers = [nn.Linear(4, 4), nn.Tanh(), nn.Sequential(nn.Linear(4, 4), nn.Sigmoid()), nn.Identity(), nn.ReLU()]
    return [layer.double() for layer in layers]


def _straight_through(ops: list[nn.Module], x: Tensor, logits: Tensor, on: tuple[int, ...]) -> Tensor:
    """Return the gated sum with multi-hot gates that have the gradient of the softmax, written densely."""
    p = logits.softmax(-1)
    hot = torch.zeros_like(p).index_fill_(0, torch.tensor(on), 1.0)
    gates = hot + (p - p.detach())
    return sum(gate * op(x) for gate, op in zip(gates, ops, strict=True))


@pytest.mark.parametrize("n_on", [1, 2, 5])
def test_gate_gradients_equal_autograd_of_the_straight_through_sum(n_on: int):
    ops = _operations()
    mixed = RelaxedMixedOp(ops)
    logits = torch.randn(K, dtype=torch.float64, requires_grad=True)
    x = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    upstream = torch.randn(6, 4, dtype=torch.float64)
    (draw,) = StrategyRelaxation(Strategy(n_on=n_on))(logits.unsqueeze(0), True)
    assert len(draw.on) == n_on and set(draw.on) | set(draw.evaluated) == set(range(K))
    y = mixed.apply_weights(x, draw)
    expected_y = _straight_through(ops, x, logits, draw.on)
    torch.testing.assert_close(y, expected_y, rtol=0, atol=1e-14)
    on_parameters = [p for index in draw.on for p in ops[index].parameters()]
    inputs = [logits, *on_parameters]
    found = torch.autograd.grad((y * upstream).sum(), [*inputs, x])
    expected = torch.autograd.grad((expected_y * upstream).sum(), inputs)
    for a, b in zip(found, expected, strict=False):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-14)
    (to_x,) = torch.autograd.grad((sum(ops[k](x) for k in draw.on) * upstream).sum(), x)
    torch.testing.assert_close(found[-1], to_x, rtol=0, atol=1e-14)  # through what runs alone


@pytest.mark.parametrize("gradient", ["gates", "autodiff"])
def test_forward_weights_p_scale_outputs_and_their_gradients(gradient: str):
    ops = _operations()
    mixed = RelaxedMixedOp(ops)
    logits = torch.randn(K, dtype=torch.float64, requires_grad=True)
    x = torch.randn(6, 4, dtype=torch.float64)
    upstream = torch.randn(6, 4, dtype=torch.float64)
    (draw,) = StrategyRelaxation(Strategy(n_on=3, forward="p", gradient=gradient))(logits.unsqueeze(0), True)
    y = mixed.apply_weights(x, draw)
    p = logits.softmax(-1)
    included = draw.on if gradient == "autodiff" else range(K)  # by gates, every operation has a say
    dense = sum(p[k] * ops[k](x) for k in draw.on)
    torch.testing.assert_close(y, dense, rtol=0, atol=1e-14)
    parameters = [q for index in draw.on for q in ops[index].parameters()]
    found = torch.autograd.grad((y * upstream).sum(), [logits, *parameters])
    (to_logits,) = torch.autograd.grad((sum(p[k] * ops[k](x) for k in included) * upstream).sum(), logits)
    to_parameters = torch.autograd.grad((sum(p[k] * ops[k](x) for k in draw.on) * upstream).sum(), parameters)
    for a, b in zip(found, (to_logits, *to_parameters), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-14)


@pytest.mark.parametrize("gradient", ["masked", "masked_baseline", "renormalized"])
def test_partly_evaluated_gradients_reach_the_logits_by_their_rule(gradient: str):
    ops = _operations()
    logits = torch.randn(K, dtype=torch.float64, requires_grad=True)
    x, upstream = torch.randn(6, 4, dtype=torch.float64), torch.randn(6, 4, dtype=torch.float64)
    relaxation = StrategyRelaxation(Strategy(n_on=2, n_eval=3, gradient=gradient))
    (draw,) = relaxation(logits.unsqueeze(0), True)
    assert len(draw.evaluated) == 1 and not set(draw.on) & set(draw.evaluated)
    (found,) = torch.autograd.grad((RelaxedMixedOp(ops).apply_weights(x, draw) * upstream).sum(), logits)
    a = torch.stack([(op(x) * upstream).sum() for op in ops]).detach()
    mask = membership(torch.tensor([[*draw.on, *draw.evaluated]]), K)
    assert torch.equal(mask, relaxation.masks[K])
    expected = RULES[gradient](logits.detach().unsqueeze(0), mask, a.unsqueeze(0) * mask)[0]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-14)


def test_evaluating_leaves_no_trace():
    """Batch-norm statistics, the random state, modes and gradients of weights are as if only the drawn op had run."""
    torch.manual_seed(0)
    off = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
    mixed = RelaxedMixedOp([nn.Linear(4, 4), off])
    weights = torch.tensor([1.0, 0.0], requires_grad=True)
    y = mixed.apply_weights(torch.randn(8, 4), Draw((0,), weights, (1,)))
    before, state = {k: v.clone() for k, v in mixed.state_dict().items()}, torch.get_rng_state()
    y.sum().backward()
    assert weights.grad is not None and weights.grad[1] != 0
    assert torch.equal(torch.get_rng_state(), state)
    for key, value in mixed.state_dict().items():
        assert torch.equal(value, before[key]), key
    assert all(p.grad is None for p in off.parameters()) and off[1].training and off[1].track_running_stats
    assert mixed.primitives[0].weight.grad is not None


def test_an_error_in_an_evaluated_operation_is_raised_and_still_leaves_no_trace():
    class Broken(nn.Module):
        def forward(self, x):
            raise RuntimeError("broken operation")

    off = nn.Sequential(nn.BatchNorm1d(4), Broken())
    mixed = RelaxedMixedOp([nn.Linear(4, 4), off])
    weights = torch.tensor([1.0, 0.0], requires_grad=True)
    y = mixed.apply_weights(torch.randn(8, 4), Draw((0,), weights, (1,)))
    with pytest.raises(RuntimeError, match="broken operation"):
        y.sum().backward()
    assert off[0].track_running_stats and off[0].num_batches_tracked == 0


def test_evaluation_under_autocast_runs_as_the_forward_did():
    """Regression: the backward is outside of autocast, and an off convolution refused its bfloat16 input."""
    torch.manual_seed(0)
    mixed = RelaxedMixedOp([nn.Linear(4, 4), nn.Linear(4, 4)])
    weights = torch.tensor([1.0, 0.0], requires_grad=True)
    x = torch.randn(8, 4)
    with torch.autocast("cpu", torch.bfloat16):
        y = mixed.apply_weights(x.bfloat16(), Draw((0,), weights, (1,)))
        expected = mixed.primitives[1](x.bfloat16()).float().sum()
    y.float().sum().backward()
    torch.testing.assert_close(weights.grad[1], expected.detach(), rtol=1e-2, atol=1e-2)


def test_all_decisions_of_a_forward_are_drawn_independently():
    torch.manual_seed(0)
    draws = StrategyRelaxation(Strategy())(torch.zeros(200, 4), True)
    counts = torch.tensor([draw.on[0] for draw in draws]).bincount(minlength=4)
    assert (counts - 50).abs().max() < 4 * (200 * 3 / 16) ** 0.5


def test_in_evaluation_the_most_likely_run():
    logits = torch.tensor([[0.0, 3.0, 1.0, 2.0]], requires_grad=True)
    for strategy in (Strategy(n_on=2), Strategy(n_on=2, sampler="uniform", n_eval=3, gradient="masked")):
        (draw,) = StrategyRelaxation(strategy)(logits, False)
        assert draw.on == (1, 3)


def test_relaxed_weights_belong_to_the_sample():
    """The operation with the largest relaxed weight is the one that was drawn: one noise for both."""
    torch.manual_seed(0)
    logits = torch.randn(300, 4, dtype=torch.float64, requires_grad=True)
    relaxation = StrategyRelaxation(Strategy(forward="relaxed", gradient="autodiff", tau=0.5))
    draws = relaxation(logits, True)
    weights = torch.stack([draw.weights for draw in draws])
    assert weights.argmax(-1).tolist() == [draw.on[0] for draw in draws] and not draws[0].unit
    torch.testing.assert_close(weights.sum(-1), torch.ones(300, dtype=torch.float64))
    torch.manual_seed(0)
    dense = torch.stack(StrategyRelaxation(Strategy("all", forward="relaxed", gradient="autodiff"))(logits, True))
    torch.testing.assert_close(dense.sum(-1), torch.ones(300, dtype=torch.float64))
