"""NAS-RL: probabilities, gradients and updates against what is worked out by hand in float64; the depth; the reward."""

from __future__ import annotations

import math
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from black_box import EveryKind, Scores, adapted, drive, restore, saved

from naslib.errors import ArchitectureError, ConfigError, OptimizerStateError
from naslib.evaluators import Evaluator
from naslib.history import Objective, Outcome, State, Trial
from naslib.optimizers import NASRL, PPOController, ReinforceController
from naslib.optimizers.core.reward_baseline import RewardBaseline
from naslib.optimizers.discrete.nas_rl.reward import best_of_last, reward_of
from naslib.optimizers.discrete.policies.anchors import anchor_decisions
from naslib.optimizers.discrete.policies.drawn import Drawn
from naslib.optimizers.discrete.policies.recurrent import RecurrentPolicy
from naslib.optimizers.discrete.steps import Steps
from naslib.search_spaces import NASNetSearchSpace, NASRLCNNSearchSpace, NASRLRNNSearchSpace, PNASSearchSpace

SMALL: dict[str, Any] = {"heights": (1, 3), "widths": (1, 3, 5), "filters": (4, 6)}


def space(**kwargs: Any) -> NASRLCNNSearchSpace:
    return NASRLCNNSearchSpace(**{"min_layers": 2, "max_layers": 4, **SMALL, **kwargs})


class Filters(Evaluator):
    """The number of filters of all layers, as a share of what there can be, in percent."""

    fidelity = 1
    fail: frozenset[int] = frozenset()
    objectives = (Objective("score", True, "%"),)

    def __init__(self, found: NASRLCNNSearchSpace) -> None:
        self.codec = found.codec

    def evaluate(self, trial: Trial, should_stop: Any = None) -> Outcome:
        layers = self.codec.layers(trial.code)
        return Outcome((100.0 * sum(layer.filters for layer in layers) / (6 * len(layers)),), 1.0)


def on_layers(seed: int = 0, small: dict[str, Any] | None = None, **kwargs: Any) -> NASRL:
    found = space(**(small or {}))
    optimizer = NASRL(**{"initial_depth": 2, **kwargs})
    np.random.seed(seed)
    optimizer.adapt_search_space(found, evaluator=Filters(found))
    return optimizer


# an LSTM by its equations, on plain arrays

Arrays = dict[str, np.ndarray]


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def arrays(policy: RecurrentPolicy) -> Arrays:
    return {name: parameter.detach().numpy().copy() for name, parameter in policy.named_parameters()}


class ByHand:
    """The controller of two layers, as the paper describes it."""

    def __init__(self, weights: Arrays) -> None:
        self.w = weights
        size = weights["start"].shape[1]
        self.h, self.c = np.zeros((2, size)), np.zeros((2, size))
        self.x = weights["start"][0]

    def step(self) -> np.ndarray:
        x = self.x
        for layer, name in enumerate(("lstm", "above.0")):
            gates = self.w[f"{name}.weight_ih"] @ x + self.w[f"{name}.bias_ih"]
            gates = gates + self.w[f"{name}.weight_hh"] @ self.h[layer] + self.w[f"{name}.bias_hh"]
            i, f, g, o = np.split(gates, 4)
            self.c[layer] = sigmoid(f) * self.c[layer] + sigmoid(i) * np.tanh(g)
            self.h[layer] = x = sigmoid(o) * np.tanh(self.c[layer])
        return x.copy()

    def softmax(self, number: int, word: int) -> float:
        scores = self.w[f"words.{number}.scores.weight"] @ self.step() + self.w[f"words.{number}.scores.bias"]
        self.x = self.w[f"words.{number}.embedding"][word]
        return float(scores[word] - np.log(np.exp(scores).sum()))

    def anchor(self, before: list[np.ndarray], chosen: tuple[int, ...]) -> float:
        here, total = self.step(), 0.0
        for j, other in enumerate(before):
            inner = self.w["anchors.previous"] @ other + self.w["anchors.current"] @ here
            p = sigmoid(self.w["anchors.v"] @ np.tanh(inner))
            total += math.log(p if j + 1 in chosen else 1 - p)
        before.append(here)
        self.x = np.mean([before[j - 1] for j in chosen], axis=0) if chosen else self.w["start"][0]
        return total


def log_probability(weights: Arrays, found: NASRLCNNSearchSpace, code: Any) -> float:
    """Return the log-probability of a network whose depth is given."""
    hand, anchors, total = ByHand(weights), [], 0.0
    for layer in found.codec.layers(code):
        total += hand.anchor(anchors, layer.inputs)
        for role, word in (
            (2, SMALL["heights"].index(layer.height)),
            (3, SMALL["widths"].index(layer.width)),
            (4, SMALL["filters"].index(layer.filters)),
        ):
            total += hand.softmax(ROLES[role], word)
    return total


# roles in the order in which decisions of the space come: depth, height, width, filters, inputs
ROLES = {2: 1, 3: 2, 4: 3}


def double(optimizer: NASRL) -> RecurrentPolicy:
    policy = optimizer.policy.double()
    assert isinstance(policy, RecurrentPolicy)
    with torch.no_grad():
        generator = torch.Generator().manual_seed(5)
        for parameter in policy.parameters():
            parameter.uniform_(-0.9, 0.9, generator=generator)
    return policy


def test_the_log_probability_of_a_network_is_that_of_the_equations() -> None:
    optimizer, found = on_layers(controller_hidden=7), space()
    policy = double(optimizer)
    weights, rng = arrays(policy), Random(0)
    for depth in (2, 3, 4):
        policy.given = {0: depth - 2}
        for _ in range(4):
            drawn = policy.sample(rng)
            assert found.codec.decision_space.depth_of(drawn.code) == depth
            expected = log_probability(weights, found, drawn.code)
            assert float(drawn.log_probs.sum()) == pytest.approx(expected, abs=1e-12)
            assert float(policy.follow(drawn.code).log_probs.sum().detach()) == pytest.approx(expected, abs=1e-12)
            # a word for each layer's height, width and filters, and a yes or no for each pair of layers
            assert len(drawn.log_probs) == 3 * depth + depth * (depth - 1) // 2


def test_the_gradient_of_an_update_is_the_quotient_of_differences_of_the_equations(monkeypatch: Any) -> None:
    optimizer, found = on_layers(controller_hidden=5, policy_batch=3, baseline_decay=0.8, reward="cube"), space()
    policy = double(optimizer)
    codes = [policy.sample(Random(seed)).code for seed in range(3)]
    gradients: list[dict[str, torch.Tensor]] = []

    def keep(objective: torch.Tensor) -> None:
        found = torch.autograd.grad(objective, list(policy.parameters()), allow_unused=True)
        named = zip(policy.named_parameters(), found, strict=True)
        gradients.append({name: torch.zeros_like(p) if g is None else g for (name, p), g in named})

    monkeypatch.setattr(optimizer, "ascend", keep)
    merits = (90.0, 50.0, 70.0)
    for code, merit in zip(codes, merits, strict=True):
        optimizer.reinforce(Drawn(code, ()), merit)
    assert len(gradients) == 1
    rewards = [(merit / 100) ** 3 for merit in merits]
    b = [rewards[0], rewards[0], 0.8 * rewards[0] + 0.2 * rewards[1]]  # of the rewards before

    def expected_objective(weights: Arrays) -> float:
        terms = [
            (r - base) * log_probability(weights, found, code) for r, base, code in zip(rewards, b, codes, strict=True)
        ]
        return sum(terms) / 3

    weights, step, checked = arrays(policy), 1e-6, 0
    for name, array in weights.items():
        for index in list(np.ndindex(array.shape))[:: max(1, array.size // 3)]:
            value, slope = array[index], 0.0
            for sign in (1, -1):
                array[index] = value + sign * step
                slope += sign * expected_objective(weights) / (2 * step)
            array[index] = value
            assert float(gradients[0][name][index]) == pytest.approx(slope, abs=2e-9), (name, index)
            checked += 1
    assert checked > 60


def test_the_probabilities_of_all_networks_of_a_depth_sum_to_one() -> None:
    optimizer = on_layers(controller_hidden=4, small={"max_layers": 2, "widths": (1, 3)})
    policy = double(optimizer)
    codes = list(policy.steps.space.iterate())
    assert len(codes) == 2**7  # two layers with three decisions of two, and one of the first layer as an input
    with torch.no_grad():
        total = sum(float(policy.follow(code).log_probs.sum().exp()) for code in codes)
    assert total == pytest.approx(1.0, abs=1e-12)


def test_the_controller_is_that_of_the_paper() -> None:
    optimizer = on_layers()
    policy = optimizer.policy
    assert isinstance(policy, RecurrentPolicy)
    shapes = {name: tuple(parameter.shape) for name, parameter in policy.named_parameters()}
    assert shapes["lstm.weight_ih"] == shapes["above.0.weight_hh"] == (4 * 35, 35) and "above.1.weight_ih" not in shapes
    assert shapes["anchors.previous"] == shapes["anchors.current"] == (35, 35) and shapes["anchors.v"] == (35,)
    values = torch.cat([parameter.detach().flatten() for parameter in policy.parameters()])
    assert float(values.abs().max()) <= 0.08 and float(values.std()) == pytest.approx(0.08 / math.sqrt(3), rel=0.02)
    assert (optimizer.arch_learning_rate, optimizer.policy_batch, optimizer.depth_interval) == (6e-4, 8, 1600)


def test_anchor_points_are_where_layers_read_all_before_them() -> None:
    steps = Steps(NASRLCNNSearchSpace(min_layers=2, max_layers=5).decision_space)
    names = [steps.space.decisions[index].name for index in anchor_decisions(steps)]
    assert names == ["layer_2/inputs", "layer_3/inputs", "layer_4/inputs", "layer_5/inputs"]
    assert list(anchor_decisions(steps).values()) == [1, 2, 3, 4]
    assert anchor_decisions(Steps(EveryKind().decision_space)) == {}  # three bits, and no layer with one


def test_the_depth_grows_on_schedule_and_stops_at_that_of_the_space() -> None:
    optimizer = on_layers(depth_interval=6, depth_step=1, policy_batch=2, controller_hidden=4)
    codes = drive(optimizer, 24, workers=3)
    depth_of = optimizer.codec.decision_space.depth_of  # type: ignore[union-attr]
    assert [depth_of(code) for code in codes] == [2] * 6 + [3] * 6 + [4] * 12
    whole = NASRL(initial_depth=6)
    whole.adapt_search_space(NASRLCNNSearchSpace(), evaluator=Filters(space()))
    depths = []
    for asked in (0, 1599, 1600, 3200, 12_799, 10**6):
        whole.record.asked = asked
        depths.append(whole.depth)
    assert depths == [6, 6, 8, 10, 20, 20]
    free = on_layers(initial_depth=None, controller_hidden=4)
    assert free.depth is None and len({depth_of(code) for code in drive(free, 20)}) > 1


def test_a_depth_that_the_space_lacks_is_an_error() -> None:
    with pytest.raises(ConfigError, match="initial_depth is 1, and the architectures of nas_rl_cnn have 2 to 4 layers"):
        on_layers(initial_depth=1)


def test_the_reward_is_that_of_the_paper() -> None:
    accuracy, share = Objective("accuracy", True, "%"), Objective("score")
    perplexity = Objective("perplexity", False)
    assert reward_of(None, 80.0, accuracy)(80.0) == pytest.approx(0.512, abs=1e-15)
    assert reward_of("cube", 80.0, share)(0.5) == 0.125
    assert reward_of(None, 80.0, perplexity)(-100.0) == 0.008  # the merit of what is minimised is negative
    assert reward_of(None, 80.0, share)(0.5) == 0.5 == reward_of("value", 80.0, accuracy)(0.5)
    assert best_of_last([99.0, 1.0, 5.0, 3.0, 2.0, 4.0], 5, accuracy) == 5.0
    assert best_of_last([9.0, 7.0, 8.0], 5, perplexity) == -7.0
    with pytest.raises(ConfigError, match="reward=inverse_square does not fit accuracy, which is maximised"):
        reward_of("inverse_square", 80.0, accuracy)
    with pytest.raises(ConfigError, match="inverse_square does not fit score, which is maximised"):
        adapted(NASRL, reward="inverse_square")


def test_the_best_of_the_last_epochs_of_a_curve_is_rewarded(monkeypatch: Any) -> None:
    optimizer = on_layers(controller_hidden=4, policy_batch=3, last_epochs=2)
    told: list[float] = []
    monkeypatch.setattr(optimizer, "reinforce", lambda drawn, reward: told.append(reward))
    trials = optimizer.ask(3)
    optimizer.tell(trials[0], [60.0], user={"curve": [90.0, 70.0, 60.0]})
    optimizer.tell(trials[1], [61.0])
    optimizer.tell(trials[2], None, state=State.FAILED)
    assert told == [70.0, 61.0] and optimizer.record.incumbent_value == 61.0


def test_the_average_before_a_reward_is_subtracted() -> None:
    baseline = RewardBaseline(0.9, previous=True)
    assert [baseline.advantage(r) for r in (1.0, 3.0, 2.0)] == pytest.approx([0.0, 2.0, 2.0 - 1.2], abs=1e-15)
    again = RewardBaseline(0.9, previous=True)
    again.load_state_dict(baseline.state_dict())
    assert again.advantage(0.0) == baseline.advantage(0.0) == pytest.approx(-(0.9 * 1.2 + 0.1 * 2.0), abs=1e-15)


def test_the_average_may_be_corrected_for_its_start() -> None:
    baseline = on_layers(controller_hidden=4, baseline_decay=0.9, correct_bias=True).baseline
    # after 1 and 3 the average is (.9 * 1 + 3) / 1.9
    assert [baseline.advantage(r) for r in (1.0, 3.0, 2.0)] == pytest.approx([0.0, 2.0, 2.0 - 3.9 / 1.9], abs=1e-15)


def test_gradients_are_accumulated_before_a_step() -> None:
    optimizer = on_layers(controller_hidden=4, policy_batch=2, accumulate=3)
    states = [optimizer.policy.start.detach().clone()]
    for count in range(1, 13):
        drive(optimizer, count)
        states.append(optimizer.policy.start.detach().clone())
    changed = [count for count in range(1, 13) if not torch.equal(states[count - 1], states[count])]
    assert changed == [6, 12]


def test_accumulated_gradients_are_added_and_not_averaged(monkeypatch: Any) -> None:
    """A step is along the sum of `accumulate` gradients, each a mean over `policy_batch` architectures."""
    optimizer = on_layers(controller_hidden=4, policy_batch=2, accumulate=3)
    objectives: list[float] = []
    monkeypatch.setattr(optimizer, "ascend", lambda objective: objectives.append(objective.item()))
    baseline, terms = RewardBaseline(0.95, previous=True), []
    for number in range(6):
        (trial,) = optimizer.ask(1)
        log_probs = optimizer._drawn.by_number[trial.number].log_probs
        value = 50.0 + 5 * number
        optimizer.tell(trial, value)
        terms.append(baseline.advantage((value / 100) ** 3) * sum(log_probs))
    assert objectives == pytest.approx([sum(terms) / 2], rel=1e-5)


def test_a_bandit_is_solved() -> None:
    optimizer = on_layers(controller_hidden=16, arch_learning_rate=0.02, policy_batch=4, depth_interval=10**6)
    codes = drive(optimizer, 160)
    filters = [Filters(space()).evaluate(Trial(0, code, 1)).values[0] for code in codes]
    assert np.mean(filters[:24]) < 92.0 and np.mean(filters[-32:]) > 97.0  # 83.3 by chance


@pytest.mark.parametrize("stop", [3, 13])
def test_a_killed_search_goes_on_as_it_would_have(stop: int) -> None:
    kwargs = {
        "controller_hidden": 5,
        "policy_batch": 4,
        "accumulate": 2,
        "depth_interval": 7,
        "arch_learning_rate": 0.05,
    }
    whole, first, second = (on_layers(seed, **kwargs) for seed in (3, 3, 8))
    codes = drive(whole, 24)
    assert drive(first, stop) == codes[:stop]
    restore(second, saved(first))
    assert drive(second, 24) == codes[stop:]
    for one, other in zip(whole.policy.parameters(), second.policy.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("kind", [NASRL, ReinforceController, PPOController])
def test_a_controller_is_told_what_it_has_proposed_and_nothing_else(kind: Any) -> None:
    optimizer = adapted(kind)
    first, second = optimizer.ask(), optimizer.ask()
    optimizer.tell(second, 50.0)
    other = next(code for code in optimizer.codec.decision_space.iterate() if code not in (first, second))
    for code in (other, second) if first != second else (other,):
        with pytest.raises(OptimizerStateError, match="no architecture that this controller has proposed"):
            optimizer.tell(code, 40.0)
    with pytest.raises(ArchitectureError):
        optimizer.tell((0,), 40.0)
    assert optimizer.record.evaluations == 1
    (trial,) = optimizer.ask(1)
    changed = next(code for code in optimizer.codec.decision_space.iterate() if code != trial.code)
    with pytest.raises(OptimizerStateError, match=r"this search proposed .* for trial 0, and not"):
        optimizer.tell(replace(trial, code=changed), [40.0])
    assert optimizer.record.evaluations == 1 and list(optimizer.record.pending) == [0]
    state = saved(optimizer)
    again = adapted(kind, 5)
    restore(again, state)
    again.tell(first, 60.0)
    assert again.record.evaluations == 2


def test_it_searches_trees_in_the_order_of_the_paper() -> None:
    found = NASRLRNNSearchSpace(n_classes=10, base=2, hidden=4)
    optimizer = NASRL(controller_hidden=4)
    optimizer.adapt_search_space(found, evaluator=Scores())
    steps = optimizer.policy.steps
    names = [decision.name for decision in steps.in_order()]
    nodes = [
        f"{where}/{what}" for where in ("tree_0", "tree_1", "tree_2", "inject") for what in ("combine", "activation")
    ]
    assert names == [*nodes, "cell/out", "cell/in"]
    assert optimizer.policy.anchors is None and steps.n_roles == 4
    policy = double(optimizer)
    total = sum(
        float(policy.follow(code).log_probs.sum().exp().detach()) for code in Random(0).sample(codes(found), 50)
    )
    assert 0 < total < 1


def codes(found: NASRLRNNSearchSpace) -> list[Any]:
    return list(found.decision_space.iterate())


def test_wrong_values_are_said_together() -> None:
    with pytest.raises(
        ConfigError, match=r"policy_batch must be at least 1(.|\n)*depth_step(.|\n)*reward must be one of"
    ):
        NASRL(policy_batch=0, depth_step=-1, reward="square")
    with pytest.raises(ConfigError, match="softmax must be one of shared, role, own, not 'onw'; did you mean 'own'"):
        NASRL(softmax="onw")


# NASNet's controller over blocks

BLOCKS: dict[str, Any] = {"channels": 4, "cells_per_stage": 1, "primitives": ("skip_connect", "conv_1x1", "conv_3x3")}


def controller_of(found: Any, **kwargs: Any) -> PPOController:
    optimizer = PPOController(**{"softmax": "own", **kwargs})
    np.random.seed(0)
    optimizer.adapt_search_space(found, evaluator=Scores())
    return optimizer


def test_a_controller_of_nasnet_has_a_softmax_for_each_of_its_predictions() -> None:
    found = NASNetSearchSpace(blocks=2, combine=("add", "concat"), **BLOCKS)
    optimizer = controller_of(found, controller_hidden=6)
    policy = optimizer.policy
    assert isinstance(policy, RecurrentPolicy)
    assert policy.steps.n_places == len(policy.words) == 2 * 5 * 2  # 10 B: two cells, B blocks, five decisions
    assert policy.steps.n_vocabularies == 4  # one of two states, one of three, operations, combinations
    drawn = policy.sample(Random(0))
    assert len(drawn.log_probs) == 20
    places = []
    policy.steps.follow(drawn.code, lambda slot, *_: places.append(policy.steps.slots[slot].place))
    assert len(set(places)) == 20
    chosen = []
    policy.steps.follow(drawn.code, lambda slot, *_: chosen.append(policy.steps.slots[slot].decision))
    kinds = [policy.steps.space.decisions[index] for index in chosen]
    assert [decision.kind for decision in kinds] == ["inputs", "inputs", "op", "op", "op"] * 4
    assert [decision.name.split("/")[0] for decision in kinds] == ["normal_cell"] * 10 + ["reduction_cell"] * 10
    assert kinds[4].name == "normal_cell/5:comb_op" and kinds[9].name == "normal_cell/8:comb_op"
    pnas = controller_of(PNASSearchSpace(blocks=2, **BLOCKS), controller_hidden=6).policy
    assert pnas.steps.n_places == 4 * 2  # one cell, and its blocks add


def test_the_log_probability_over_blocks_is_that_of_the_equations() -> None:
    optimizer = controller_of(NASNetSearchSpace(blocks=1, combine=("add", "concat"), **BLOCKS), controller_hidden=6)
    policy = optimizer.policy.double()
    assert isinstance(policy, RecurrentPolicy)
    values = torch.cat([parameter.detach().flatten() for parameter in policy.parameters()])
    assert float(values.abs().max()) <= 0.1 and float(values.std()) == pytest.approx(0.1 / math.sqrt(3), rel=0.05)
    weights, drawn = arrays(policy), policy.sample(Random(1))
    words: list[tuple[int, int]] = []
    policy.steps.follow(drawn.code, lambda slot, a, w, word: words.append((policy.steps.slots[slot].place, word)))
    h = c = np.zeros(6)
    x, total = weights["start"][0], 0.0
    for place, word in words:
        gates = weights["lstm.weight_ih"] @ x + weights["lstm.bias_ih"]
        i, f, g, o = np.split(gates + weights["lstm.weight_hh"] @ h + weights["lstm.bias_hh"], 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        scores = weights[f"words.{place}.scores.weight"] @ h + weights[f"words.{place}.scores.bias"]
        total += scores[word] - np.log(np.exp(scores).sum())
        x = weights[f"words.{place}.embedding"][word]
    assert len(words) == 10 and float(drawn.log_probs.sum()) == pytest.approx(total, abs=1e-12)


def test_nasnets_settings_are_the_defaults() -> None:
    optimizer = PPOController()
    assert (optimizer.arch_learning_rate, optimizer.entropy_weight, optimizer.policy_batch) == (3.5e-4, 1e-5, 20)
    assert (optimizer.baseline.decay, optimizer.controller, optimizer.controller_hidden) == (0.95, "lstm", 100)
