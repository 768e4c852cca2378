"""Optimizers by strategies: their architecture gradients through a network, rescaling, moving averages, REINFORCE."""

from __future__ import annotations

import io

import pytest
import torch
from small_spaces import batch, mlp_space
from torch import Tensor, nn

from naslib.errors import ConfigError, OptimizerStateError
from naslib.optimizers import (
    BinaryMaskedOptimizer,
    BinaryMovingAverageOptimizer,
    BinaryOptimizer,
    BinaryProxylessStyleOptimizer,
    DARTSOptimizer,
    MixedOpOptimizer,
    OneShotOptimizer,
)
from naslib.optimizers.oneshot.supernet.estimators import RULES
from naslib.optimizers.oneshot.supernet.relaxed_op import RelaxedMixedOp
from naslib.optimizers.oneshot.supernet.sampling import Draw, membership


def _adapted(cls: type[OneShotOptimizer], double: bool = True, **kwargs) -> OneShotOptimizer:
    torch.manual_seed(0)
    optimizer = cls(**{"arch_learning_rate": 0.05, **kwargs})
    optimizer.adapt_search_space(mlp_space(batch_norm=not double))
    optimizer.before_training()
    optimizer.new_epoch(0)
    if double:
        optimizer.graph.double()
        optimizer.architectural_weights.double()
    with torch.no_grad():
        for alpha in optimizer.architectural_weights:
            alpha.copy_(torch.randn(3, generator=torch.Generator().manual_seed(int(1e6 * abs(alpha[0])))))
    return optimizer


def _single(**kwargs) -> tuple[Tensor, Tensor]:
    return batch(dtype=torch.float32, **kwargs)


def _draws(optimizer: OneShotOptimizer, monkeypatch) -> dict[int, list[Draw]]:
    """Record the draws of each decision, one per copy of the cell."""
    found: dict[int, list[Draw]] = {}
    alphas = {
        id(edge.data.op): id(edge.data.alpha)
        for edge in optimizer.graph._edges_in_scope("cell", private_edge_data=True)
    }
    original = RelaxedMixedOp.apply_shared

    def spy(self, x, weights, work):
        found.setdefault(alphas[id(self)], []).append(weights)
        return original(self, x, weights, work)

    monkeypatch.setattr(RelaxedMixedOp, "apply_shared", spy)
    return found


def _gate_gradients(optimizer: OneShotOptimizer, draws: dict[int, list[Draw]], data: tuple[Tensor, Tensor]) -> Tensor:
    """Return dL/dgates per decision by autograd through the network written out densely; copies add up."""
    macro = optimizer.graph
    gates = {
        id(d.alpha): torch.zeros(3, dtype=torch.float64)
        .index_fill_(0, torch.tensor(draws[id(d.alpha)][0].on), 1.0)
        .requires_grad_()
        for d in optimizer.decisions
    }

    def edge(cell, u, v, value):
        gate = gates[id(cell.edges[u, v].alpha)]
        return sum(g * op(value) for g, op in zip(gate, cell.edges[u, v].op.primitives, strict=True))

    hidden = macro.edges[1, 2].op(data[0])
    for node in (2, 3):
        cell = macro.edges[node, node + 1].op
        hidden = edge(cell, 1, 3, hidden) + edge(cell, 2, 3, edge(cell, 1, 2, hidden))
    loss = nn.functional.cross_entropy(macro.edges[4, 5].op(hidden), data[1])
    return torch.stack(torch.autograd.grad(loss, list(gates.values())))


CASES = {
    "binary": (BinaryOptimizer, {}, "gates"),
    "binary two": (BinaryOptimizer, {"num_on_samples": 2}, "gates"),
    "masked": (BinaryMaskedOptimizer, {}, "masked_baseline"),
    "masked without baseline": (BinaryMaskedOptimizer, {"baseline": False}, "masked"),
    "proxyless style": (BinaryProxylessStyleOptimizer, {}, "renormalized"),
    "mixed_op": (MixedOpOptimizer, {"num_eval_samples": 2, "gradient": "masked_baseline"}, "masked_baseline"),
}


@pytest.mark.parametrize("case", CASES)
def test_architecture_gradient_through_a_network_with_shared_cells(case: str, monkeypatch):
    """One draw per decision for both copies; their gate gradients add up before the rule, as in straight-through."""
    cls, kwargs, rule = CASES[case]
    optimizer = _adapted(cls, **kwargs)
    draws = _draws(optimizer, monkeypatch)
    data = batch(seed=2)
    gradient, _, _ = optimizer.architecture_gradient(data, data)
    assert all(first[:1] == second[:1] and first.evaluated == second.evaluated for first, second in draws.values())
    a = _gate_gradients(optimizer, draws, data)
    for index, data_edge in enumerate(optimizer.decisions):
        draw = draws[id(data_edge.alpha)][0]
        mask = membership(torch.tensor([[*draw.on, *draw.evaluated]]), 3)
        expected = RULES[rule](data_edge.alpha.detach().unsqueeze(0), mask, a[index].unsqueeze(0) * mask)[0]
        torch.testing.assert_close(gradient[index], expected, rtol=0, atol=1e-13)
        if rule != "gates" and rule != "masked":
            assert (gradient[index][~mask[0]] == 0).all()


@pytest.mark.parametrize("kind", ["SGD", "Adam", "AdamW"])
def test_proxyless_style_keeps_the_probabilities_of_what_was_not_evaluated(kind: str):
    optimizer = _adapted(BinaryProxylessStyleOptimizer, double=False, arch_optimizer=kind, arch_weight_decay=0.1)
    for step in range(5):
        before = [alpha.detach().clone() for alpha in optimizer.architectural_weights]
        optimizer.step(_single(seed=step), _single(seed=step + 9))
        for alpha, old in zip(optimizer.architectural_weights, before, strict=True):
            untouched = alpha.grad == 0
            assert untouched.sum() == 1
            assert torch.equal(alpha[untouched], old[untouched])
            # float32: 4 ulps of a probability
            torch.testing.assert_close(alpha.softmax(-1)[untouched], old.softmax(-1)[untouched], rtol=0, atol=5e-7)
            assert not torch.equal(alpha[~untouched], old[~untouched])


def test_architecture_momentum_is_off_where_gates_train_it():
    for cls in (BinaryOptimizer, BinaryMaskedOptimizer, BinaryProxylessStyleOptimizer, BinaryMovingAverageOptimizer):
        assert _adapted(cls).arch_optimizer.param_groups[0]["betas"] == (0.0, 0.999)


def test_masked_leaves_what_was_not_evaluated_exactly_where_it_is():
    optimizer = _adapted(BinaryMaskedOptimizer, double=False, arch_weight_decay=0.0)
    for step in range(5):
        before = [alpha.detach().clone() for alpha in optimizer.architectural_weights]
        optimizer.step(_single(seed=step), _single(seed=step + 9))
        for alpha, old in zip(optimizer.architectural_weights, before, strict=True):
            assert torch.equal(alpha[alpha.grad == 0], old[alpha.grad == 0]) and (alpha.grad == 0).sum() == 1


# the moving average


def test_moving_average_moves_every_alpha_once_all_are_known():
    optimizer = _adapted(BinaryMovingAverageOptimizer, double=False, arch_weight_decay=0.0)
    for step in range(25):
        optimizer.step(_single(seed=step), _single(seed=step + 99))
    rules = [e.data.op.gate_rule for e in optimizer.graph._edges_in_scope("cell", private_edge_data=True)]
    assert len(rules) == 6 and all((rule.counts > 0).all() and rule.counts.sum() == 50 for rule in rules)
    assert all((alpha.grad != 0).all() for alpha in optimizer.architectural_weights)


def test_moving_average_survives_a_checkpoint_into_a_fresh_optimizer():
    first = _adapted(BinaryMovingAverageOptimizer, double=False)
    empty = first.graph.state_dict()
    first.step(_single(seed=0), _single(seed=1))
    buffer = io.BytesIO()
    torch.save(first.graph.state_dict(), buffer)
    buffer.seek(0)
    second = _adapted(BinaryMovingAverageOptimizer, double=False)
    second.graph.load_state_dict(torch.load(buffer, weights_only=True))
    torch.testing.assert_close(second.graph.state_dict(), first.graph.state_dict(), rtol=0, atol=0)
    second.graph.load_state_dict(empty)  # and one from before the first step
    assert all(e.data.op.gate_rule.mean is None for e in second.graph._edges_in_scope("cell", private_edge_data=True))


# the generic optimizer


def test_the_relaxation_of_darts_is_one_strategy():
    """All run, weights p, autodiff: bit by bit DARTS."""
    choices = {"sampler": "all", "forward": "p", "gradient": "autodiff"}
    first, second = _adapted(DARTSOptimizer, double=False), _adapted(MixedOpOptimizer, double=False, **choices)
    for step in range(3):
        results = [o.step(_single(seed=step), _single(seed=step + 9)) for o in (first, second)]
        assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
    assert all(map(torch.equal, first.architectural_weights, second.architectural_weights))


@pytest.mark.parametrize(
    "choices",
    [
        {"sampler": "uniform", "forward": "p", "gradient": "autodiff"},
        {"sampler": "top_k", "num_on_samples": 2, "gradient": "gates"},
        {"forward": "relaxed", "gradient": "autodiff", "tau": 0.5},
        {"sampler": "all", "forward": "sigmoid", "gradient": "autodiff"},
        {"sampler": "multinomial", "forward": "p", "gradient": "masked", "num_eval_samples": 2},
        {"gradient": "moving_average", "num_eval_samples": 2},
        {"gradient": "renormalized", "num_on_samples": 2, "num_eval_samples": 3},
        {"gradient": "reinforce", "num_on_samples": 2},
        {"gradient": "reinforce", "reward": "loss", "baseline_decay": 0.5},
    ],
    ids=lambda choices: "-".join(map(str, choices.values())),
)
def test_strategies_train_resume_and_discretize(choices: dict):
    def train(optimizer: OneShotOptimizer, steps: range) -> list[Tensor]:
        losses = []
        for step in steps:
            torch.manual_seed(step)
            losses += optimizer.step(_single(seed=step), _single(seed=step + 9))[2:]
        return losses

    first, second = (_adapted(MixedOpOptimizer, double=False, **choices) for _ in range(2))
    start = [alpha.detach().clone() for alpha in first.architectural_weights]
    train(first, range(3))
    assert any(not torch.equal(a, b) for a, b in zip(first.architectural_weights, start, strict=True))
    buffer = io.BytesIO()
    torch.save({name: item.state_dict() for name, item in first.get_checkpointables().items()}, buffer)
    buffer.seek(0)
    for name, state in torch.load(buffer, weights_only=True).items():
        second.get_checkpointables()[name].load_state_dict(state)
    assert all(torch.equal(a, b) for a, b in zip(*(train(o, range(3, 6)) for o in (first, second)), strict=True))
    assert all(map(torch.equal, first.architectural_weights, second.architectural_weights))
    assert first.get_final_architecture().genotype() == second.get_final_architecture().genotype()


def test_reinforce_gradient_is_the_advantage_times_the_score(monkeypatch):
    optimizer = _adapted(MixedOpOptimizer, gradient="reinforce", reward="loss", baseline_decay=0.5)
    draws = _draws(optimizer, monkeypatch)
    data, average = batch(seed=3), None
    for _ in range(3):
        draws.clear()
        gradient, logits, loss = optimizer.architecture_gradient(data, data)
        reward = -loss.item()
        average = reward if average is None else 0.5 * average + 0.5 * reward
        for index, edge in enumerate(optimizer.decisions):
            (on,) = draws[id(edge.alpha)][0].on
            p = edge.alpha.detach().softmax(-1)
            score = nn.functional.one_hot(torch.tensor(on), 3) - p
            torch.testing.assert_close(gradient[index], -(reward - average) * score, rtol=1e-10, atol=1e-13)
    assert optimizer.baseline.value == pytest.approx(average)
    assert not logits.requires_grad and all(w.grad is None and w.requires_grad for w in optimizer.weights)


def test_reinforce_prefers_what_is_rewarded():
    """On a network whose loss depends on one decision alone, its best operation wins."""
    optimizer = _adapted(
        MixedOpOptimizer, double=False, gradient="reinforce", reward="loss", baseline_decay=0.9, learning_rate=1e-9
    )
    edge = optimizer.decisions[0]
    monkey_loss = {"on": 0}
    original = type(edge.op).apply_shared

    def spy(self, x, weights, work):
        if self is edge.op:
            monkey_loss["on"] = weights.on[0]
        return original(self, x, weights, work)

    type(edge.op).apply_shared = spy
    optimizer.loss = lambda logits, targets: logits.sum() * 0 + (0.0 if monkey_loss["on"] == 2 else 1.0)
    try:
        for step in range(150):
            optimizer.step(_single(seed=step), _single(seed=step))
    finally:
        type(edge.op).apply_shared = original
    assert edge.alpha.argmax() == 2 and edge.alpha.softmax(-1)[2] > 0.9


def test_mixed_op_errors():
    with pytest.raises(ConfigError, match="edge_normalization, which has parameters of its own"):
        _adapted(MixedOpOptimizer, gradient="reinforce", parts={"edge_normalization": {}})
    with pytest.raises(ConfigError, match="reward must be one of"):
        MixedOpOptimizer(reward="f1")
    with pytest.raises(ConfigError, match="must not be smaller"):
        BinaryMaskedOptimizer(num_on_samples=3, num_eval_samples=2)
    with pytest.raises(ConfigError, match="larger than 1"):
        BinaryProxylessStyleOptimizer(num_eval_samples=1)
    with pytest.raises(ConfigError, match="4 operations are to run, but there are 3"):
        _adapted(BinaryOptimizer, num_on_samples=4)
    optimizer = _adapted(MixedOpOptimizer, gradient="reinforce")
    optimizer.graph.eval()
    with pytest.raises(OptimizerStateError, match="evaluation mode"):
        optimizer.step(batch(), batch())


@pytest.mark.parametrize("cls", [BinaryOptimizer, BinaryMovingAverageOptimizer])
def test_mixed_precision(cls: type[OneShotOptimizer]):
    optimizer = _adapted(cls, double=False, amp=True)
    losses = [optimizer.step(_single(seed=s), _single(seed=s + 9))[3] for s in range(2)]
    assert all(loss.isfinite() for loss in losses)
