"""REINFORCE and PPO against closed forms in float64; what a policy says of every architecture of a space."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from random import Random
from typing import Any

import pytest
import torch
from black_box import SIZE, EveryKind, Scores, adapted, drive

from naslib.errors import ConfigError, UnsupportedBySpaceError
from naslib.optimizers.core.reward_baseline import RewardBaseline
from naslib.optimizers.discrete.policies.base import Policy
from naslib.optimizers.discrete.policies.factorised import FactorisedPolicy
from naslib.optimizers.discrete.policies.optimizer import Drawn
from naslib.optimizers.discrete.policies.recurrent import RecurrentPolicy
from naslib.optimizers.discrete.ppo import PPOController
from naslib.optimizers.discrete.ppo.optimizer import clipped_objective
from naslib.optimizers.discrete.reinforce import ReinforceController
from naslib.optimizers.discrete.steps import Steps
from naslib.search_spaces.core.decisions import Decision
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.schema import DecisionSpace


class TwoDecisions(Graph):
    """An operation of three, and a size of two."""

    def __init__(self) -> None:
        super().__init__("two")
        self.add_edges_from([(1, 2)])

    def state_decisions(self, scope: Any = None) -> DecisionSpace:
        """Return the decisions."""
        return DecisionSpace([Decision("two/1-2", "op", ("a", "b", "c")), Decision("two/width", "value", (8, 16))])


def controller(**kwargs: Any) -> ReinforceController:
    optimizer = ReinforceController(**kwargs)
    optimizer.adapt_search_space(TwoDecisions(), evaluator=Scores())
    optimizer.policy.double()
    return optimizer


def gradient_of(optimizer: Any, objective: torch.Tensor) -> torch.Tensor:
    (found,) = torch.autograd.grad(objective, [optimizer.policy.scores])
    return found


@pytest.mark.parametrize("entropy_weight", [0.0, 0.3])
def test_the_gradient_of_reinforce_is_that_of_the_closed_form(entropy_weight: float, monkeypatch: pytest.MonkeyPatch):
    optimizer = controller(entropy_weight=entropy_weight)
    scores = torch.tensor([[0.3, -0.5, 0.9], [0.2, -0.1, 7.0]], dtype=torch.float64)  # the last is no candidate
    optimizer.policy.scores.data.copy_(scores)
    found: list[torch.Tensor] = []
    monkeypatch.setattr(optimizer, "ascend", lambda objective: found.append(gradient_of(optimizer, objective)))
    rewards, numerator, weight = [91.0, 89.5, 93.25], 0.0, 0.0
    for reward, code in zip(rewards, [(2, 0), (0, 1), (1, 1)], strict=True):
        optimizer.reinforce(Drawn(code, ()), reward)
        numerator, weight = 0.9 * numerator + 0.1 * reward, 0.9 * weight + 0.1
        advantage = reward - numerator / weight
        expected = torch.zeros(2, 3, dtype=torch.float64)
        for row, width in ((0, 3), (1, 2)):
            p = [math.exp(float(s)) for s in scores[row, :width]]
            p = [value / sum(p) for value in p]
            entropy = -sum(value * math.log(value) for value in p)
            for k in range(width):
                expected[row, k] = advantage * ((k == code[row]) - p[k])
                expected[row, k] -= entropy_weight * p[k] * (math.log(p[k]) + entropy)
        torch.testing.assert_close(found[-1], expected, rtol=1e-12, atol=1e-12)
    assert len(found) == 3


def test_a_step_of_reinforce_is_a_step_of_adam_uphill():
    optimizer = controller(arch_learning_rate=0.05, baseline_decay=0.0)
    before = optimizer.policy.scores.detach().clone()
    optimizer.baseline.advantage(1.0)
    optimizer.baseline.decay = 0.5
    optimizer.reinforce(Drawn((1, 0), ()), 5.0)
    moved = optimizer.policy.scores.detach() - before
    # the first step of Adam is the learning rate along the sign of the gradient
    expected = torch.tensor([[-0.05, 0.05, -0.05], [0.05, -0.05, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(moved, expected, rtol=1e-6, atol=1e-7)


def test_the_corrected_average_is_the_quotient_of_two_averages():
    baseline, numerator, denominator = RewardBaseline(0.9, correct_bias=True), 0.0, 0.0
    for reward in (90.0, 10.0, 93.5, 91.25):
        numerator, denominator = 0.9 * numerator + 0.1 * reward, 0.9 * denominator + 0.1
        assert baseline.advantage(reward) == pytest.approx(reward - numerator / denominator, abs=1e-12)
    again = RewardBaseline(0.9, correct_bias=True)
    again.load_state_dict(baseline.state_dict())
    assert again.advantage(50.0) == baseline.advantage(50.0)


def test_the_clipped_objective_by_hand():
    before = torch.tensor([0.5, 0.2, 0.4], dtype=torch.float64).log()
    now = torch.tensor([0.55, 0.3, 0.2], dtype=torch.float64).log()  # ratios 1.1, 1.5, 0.5
    up, down = clipped_objective(now, before, 2.0, 0.2), clipped_objective(now, before, -2.0, 0.2)
    assert float(up) == pytest.approx(2.0 * (1.1 + 1.2 + 0.5), abs=1e-12)
    assert float(down) == pytest.approx(-2.0 * (1.1 + 1.5 + 0.8), abs=1e-12)


def test_ppo_updates_after_every_batch_and_not_before():
    optimizer = adapted(PPOController, policy_batch=5, passes=2, controller_hidden=8, arch_learning_rate=0.01)
    states = []
    for count in range(1, 11):
        drive(optimizer, count)
        states.append(optimizer.policy.start.detach().clone())
    changed = [not torch.equal(one, other) for one, other in itertools.pairwise(states)]
    assert changed == [False, False, False, True, False, False, False, False, True]


def policies() -> list[Policy]:
    steps = Steps(EveryKind().decision_space)
    factorised = FactorisedPolicy(steps, Random(0)).double()
    with torch.no_grad():
        factorised.scores.normal_(generator=torch.Generator().manual_seed(1))
    return [factorised, RecurrentPolicy(steps, Random(0), hidden=6).double()]


@pytest.mark.parametrize("policy", policies(), ids=["factorised", "recurrent"])
def test_the_probabilities_of_all_architectures_sum_to_one(policy: Policy):
    codes = list(policy.steps.space.iterate())
    assert len(codes) == SIZE
    with torch.no_grad():
        total = sum(float(policy.follow(code).log_probs.sum().exp()) for code in codes)
    assert total == pytest.approx(1.0, abs=1e-12)
    rng = Random(3)
    for _ in range(20):
        drawn = policy.sample(rng)
        again = policy.follow(drawn.code)
        assert policy.steps.space.is_valid(drawn.code) and torch.equal(drawn.log_probs, again.log_probs.detach())


def test_equal_scores_draw_every_set_of_inputs_equally_often():
    policy = FactorisedPolicy(Steps(EveryKind().decision_space), Random(0)).double()
    with torch.no_grad():
        policy.scores.zero_()
        # op 1/3 x width 1/3 x size 1/2 x two of four 1/6 x three bits 1/8
        assert float(policy.follow((0, 2, 1, 1, 3, 1, 0, 1)).log_probs.sum().exp()) == pytest.approx(1 / 864, rel=1e-12)
        # op 1/3 x sets x bits: what is not decided has no probability
        assert float(policy.follow((2, -1, -1, 0, 1, 0, 0, 0)).log_probs.sum().exp()) == pytest.approx(1 / 144)
    rng = Random(0)
    pairs = Counter(policy.sample(rng).code[3:5] for _ in range(1500))
    assert len(pairs) == 6 and all(abs(count - 250) < 4 * 14.4 for count in pairs.values())


def test_wrong_values_are_said_together():
    with pytest.raises(ConfigError, match=r"not 'lsmt'; did you mean 'lstm'(.|\n)*entropy_weight must not be negative"):
        ReinforceController(controller="lsmt", entropy_weight=-1.0)
    with pytest.raises(ConfigError, match=r"policy_batch and passes(.|\n)*clip must be in \(0, 1\)"):
        PPOController(policy_batch=0, clip=1.0)


class Excluded(TwoDecisions):
    """A space whose constraint leaves one architecture, or none."""

    allowed: tuple[str, ...] = ("b",)

    def state_decisions(self, scope: Any = None) -> DecisionSpace:
        """Return the decisions."""
        stated = super().state_decisions(scope)
        return DecisionSpace(stated.decisions, [lambda c: c["two/1-2"] in self.allowed and c["two/width"] == 8])


def test_what_constraints_exclude_is_drawn_again_and_an_end_is_made():
    optimizer = ReinforceController()
    optimizer.adapt_search_space(Excluded(), evaluator=Scores())
    assert {optimizer.propose()[0] for _ in range(10)} == {(1, 0)}
    with torch.no_grad():
        optimizer.policy.scores[0, 1] = -1e4
    with pytest.raises(UnsupportedBySpaceError, match="refused 1000 draws"):
        optimizer.propose()
