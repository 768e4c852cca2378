"""EAS: what its controller says and learns against an independent computation, and how rounds of networks go."""

from __future__ import annotations

import math
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from black_box import restore, saved

from naslib.errors import ConfigError, OptimizerStateError, UnsupportedBySpaceError
from naslib.evaluators import Evaluator
from naslib.history import Objective, Outcome, State, Trial
from naslib.optimizers import EAS
from naslib.optimizers.discrete.eas.baseline import MeanBaseline
from naslib.optimizers.discrete.eas.controller import Deeper, MetaController, Wider
from naslib.search_spaces import EASConvNetSearchSpace, NasBench201SearchSpace, NATSBenchSizeSearchSpace

SPACE = EASConvNetSearchSpace(in_channels=1, blocks=2, depth=3, widths=(4, 8, 12), dense=2, units=(8, 16))
CODEC = SPACE.codec
NETWORKS = [
    CODEC.canonical("conv-4-3_conv-12-5_pool_conv-8-1_pool_fc-8"),
    CODEC.canonical("conv-4-3_pool_conv-8-1_conv-8-3_conv-8-3_pool_fc-16_fc-8"),
]


class Sizes(Evaluator):
    """An accuracy that grows with the widths of all layers."""

    fidelity = 2
    objectives = (Objective("accuracy", True, "%"),)

    def evaluate(self, trial: Trial, should_stop: Any = None) -> Outcome:
        return Outcome((accuracy(trial.code),), 1.0)


def accuracy(code: tuple[int, ...]) -> float:
    return 100 * (1 - math.exp(-sum(layer.width for block in CODEC.chain(code) for layer in block) / 40))


def adapted(seed: int = 0, space: Any = SPACE, evaluator: Evaluator | None = None, **kwargs: Any) -> EAS:
    small = {"networks": 4, "wider_steps": 2, "deeper_steps": 2, "controller_hidden": 8, "controller_embedding": 4}
    optimizer = EAS(**{**small, **kwargs})
    np.random.seed(seed)
    optimizer.adapt_search_space(space, evaluator=evaluator or Sizes())
    return optimizer


# an independent computation, in numpy


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def lstm(x: np.ndarray, h: np.ndarray, c: np.ndarray, w: dict[str, np.ndarray], end: str) -> tuple:
    gates = w[f"weight_ih{end}"] @ x + w[f"bias_ih{end}"] + w[f"weight_hh{end}"] @ h + w[f"bias_hh{end}"]
    i, f, g, o = np.split(gates, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max())
    return e / e.sum()


class ByHand:
    """The controller's probabilities of one network."""

    def __init__(self, controller: MetaController, code: tuple[int, ...]) -> None:
        self.w = {name: value.detach().numpy() for name, value in controller.state_dict().items()}
        self.growing, self.code = controller.growing, code
        tokens = list(controller.growing.tokens)
        xs = [self.w["words.weight"][tokens.index(word)] for word in controller.growing.words(code)]
        own = {name.removeprefix("encoder."): value for name, value in self.w.items() if name.startswith("encoder.")}
        size = own["weight_hh_l0"].shape[1]
        ends, outputs = [], []
        for end, order in (("_l0", xs), ("_l0_reverse", xs[::-1])):
            h = c = np.zeros(size)
            outputs.append([])
            for x in order:
                h, c = lstm(x, h, c, own, end)
                outputs[-1].append(h)
            ends.append((h, c))
        self.outputs = [np.concatenate(pair) for pair in zip(outputs[0], outputs[1][::-1], strict=True)]
        self.h, self.c = (np.concatenate([ends[0][k], ends[1][k]]) for k in (0, 1))

    def wider(self, step: Wider) -> tuple[float, float]:
        log_prob, entropies = 0.0, []
        able = self.growing.widenable(self.code)
        for output, can, chosen in zip(self.outputs, able, step.chosen, strict=True):
            p = sigmoid(self.w["wider_actor.weight"][0] @ output + self.w["wider_actor.bias"][0])
            if can:
                log_prob += math.log(p if chosen else 1 - p)
                entropies.append(-p * math.log(p) - (1 - p) * math.log(1 - p))
        return log_prob, float(np.mean(entropies))

    def deeper(self, step: Deeper) -> tuple[float, float]:
        own = {name.removeprefix("decoder."): value for name, value in self.w.items() if name.startswith("decoder.")}
        h, c = self.h, self.c
        log_prob, entropies = 0.0, []
        layers = self.growing.layers(self.code)[step.block]
        limits = [self.growing.deepenable(self.code), [k < layers for k in range(self.growing.longest)], [True] * 3]
        for place, (before, chosen) in enumerate(zip((0, *step[:2]), step, strict=True)):
            if place == 2 and not self.growing.has_kernels(step.block):
                break
            h, c = lstm(self.w[f"inputs.{place}.weight"][before], h, c, own, "")
            p = softmax(self.w[f"heads.{place}.weight"] @ h + self.w[f"heads.{place}.bias"]) * limits[place]
            p /= p.sum()
            log_prob += math.log(p[chosen])
            entropies.append(-sum(q * math.log(q) for q in p if q > 0))
        return log_prob, float(np.mean(entropies))


def controller(hidden: int = 5, embedding: int = 3) -> MetaController:
    made = MetaController(CODEC.growing, Random(4), hidden, embedding).double()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    return made


STEPS = [
    (NETWORKS[0], Wider((True, False, False, False, False, True))),
    (NETWORKS[1], Deeper(0, 0, 2)),
    (NETWORKS[1], Wider((True, False, True, True, False, False, False, True))),
    (NETWORKS[0], Deeper(2, 0, 0)),
    (NETWORKS[0], Deeper(0, 1, 1)),
]


@torch.no_grad()
def test_probabilities_are_those_of_a_computation_by_hand() -> None:
    made = controller()
    found = made.follow([code for code, _ in STEPS], [step for _, step in STEPS])
    for index, (code, step) in enumerate(STEPS):
        by_hand = ByHand(made, code)
        log_prob, entropy = by_hand.wider(step) if isinstance(step, Wider) else by_hand.deeper(step)
        assert found.log_probs[index].item() == pytest.approx(log_prob, abs=1e-12)
        assert found.entropies[index].item() == pytest.approx(entropy, abs=1e-12)


@torch.no_grad()
def test_the_probabilities_of_all_steps_sum_to_one() -> None:
    made, code = controller(), NETWORKS[1]
    able = CODEC.growing.widenable(code)
    places = [place for place, can in enumerate(able) if can]
    flags = [
        tuple(bool(bits >> places.index(p) & 1) if can else False for p, can in enumerate(able))
        for bits in range(2 ** len(places))
    ]
    assert len(places) == 5  # not the pools, nor the linear layer that has the largest width
    wider = made.follow_wider([code] * len(flags), [Wider(chosen) for chosen in flags])
    assert wider.log_probs.exp().sum().item() == pytest.approx(1.0, abs=1e-12)
    # the second block is full, and so are the linear layers
    steps = [Deeper(0, 0, kernel) for kernel in range(3)]
    deeper = made.follow_deeper([code] * 3, steps)
    assert deeper.log_probs.exp().sum().item() == pytest.approx(1.0, abs=1e-12)
    rng = Random(0)
    assert {made.sample_deeper([code], rng)[0] for _ in range(60)} == set(steps)


@torch.no_grad()
def test_steps_are_drawn_with_their_probabilities() -> None:
    made, rng, code = controller(), Random(2), NETWORKS[0]
    logits = made.wider_logits([code])[0]
    share = np.mean([made.sample_wider([code], rng)[0].chosen for _ in range(1000)], axis=0)
    able = np.array(CODEC.growing.widenable(code))
    assert np.abs(share - able * logits.sigmoid().numpy()).max() < 0.05
    full = CODEC.canonical("_".join(["conv-4-3"] * 3) + "_pool_" + "_".join(["conv-4-3"] * 3) + "_pool_fc-8_fc-8")
    assert made.sample_deeper([full, code], rng)[0] is None


def test_the_policy_gradient_is_that_of_the_formula() -> None:
    """Differences of the objective, which is computed by hand, in entries of every parameter."""
    optimizer = adapted(entropy_weight=0.1, controller_hidden=3, controller_embedding=2)
    made = optimizer.controller.double()
    start = optimizer.rounds.start
    paths = [
        [Wider((True, False, False, False, True)), Deeper(0, 0, 1)],
        [Wider((False, False, True, False, False)), Deeper(2, 0, 0), Deeper(1, 0, 2)],
    ]
    advantages = [0.7, -0.4]

    def by_hand() -> float:
        total, entropies = 0.0, []
        for path, advantage in zip(paths, advantages, strict=True):
            code = start
            for step in path:
                hand = ByHand(made, code)
                log_prob, entropy = hand.wider(step) if isinstance(step, Wider) else hand.deeper(step)
                total += advantage * log_prob / 2
                entropies.append(entropy)
                code = made.grown(code, step)
        return total + 0.1 * float(np.mean(entropies))

    objective = optimizer.objective(paths, advantages)
    assert objective.item() == pytest.approx(by_hand(), abs=1e-12)
    made.zero_grad()
    objective.backward()
    for name, parameter in made.named_parameters():
        flat, gradient = parameter.detach().view(-1), parameter.grad.view(-1)
        index = int(gradient.abs().argmax())
        values = []
        for shift in (1e-5, -1e-5):
            flat[index] += shift
            values.append(by_hand())
            flat[index] -= shift
        assert gradient[index].item() == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-5, abs=1e-9), name


def test_the_baseline_is_that_of_the_authors_code() -> None:
    """From 0, by .95 of the difference to the mean of the round, before it is subtracted."""
    baseline = MeanBaseline(0.95)
    assert baseline.advantages([1.0, 3.0]) == pytest.approx([1.0 - 1.9, 3.0 - 1.9])
    assert baseline.advantages([4.0]) == pytest.approx([4.0 - (1.9 + 0.95 * 2.1)])


def test_rewards_are_tangents_of_accuracies() -> None:
    reward = adapted()._reward
    assert reward(50.0) == pytest.approx(1.0) and reward(0.0) == 0.0
    assert reward(100.0) == reward(99.95) == pytest.approx(1 / math.tan(0.001 * math.pi / 2))
    assert adapted(reward="value")._reward(-3.0) == -3.0


def test_a_step_of_adam_is_taken_after_each_round() -> None:
    """The first step of Adam moves each parameter by the learning rate, with the sign of the gradient."""
    optimizer = adapted(seed=3)
    optimizer.new_epoch(0)
    before = [parameter.detach().clone() for parameter in optimizer.controller.parameters()]
    told = 0
    while optimizer.rounds.count == 0:
        optimizer.new_epoch(told)
        told += 1
        if optimizer.rounds.count == 0:
            now = [parameter.detach() for parameter in optimizer.controller.parameters()]
            assert all(torch.equal(one, other) for one, other in zip(before, now, strict=True))
    assert 1 <= told <= 4
    moved = torch.cat(
        [(p.detach() - b).abs().flatten() for p, b in zip(optimizer.controller.parameters(), before, strict=True)]
    )
    assert moved.max().item() == pytest.approx(0.002, rel=1e-3)


def test_what_a_step_reads_follows_a_schedule() -> None:
    values = {"arch_learning_rate": (0.002, 0.25), "baseline_rate": (0.5, 1.0), "entropy_weight": (0.0, 2.0)}
    given = {key: {"schedule": "piecewise", "values": list(v), "milestones": [2]} for key, v in values.items()}
    optimizer = adapted(**given)

    def read() -> tuple[float, float, float]:
        return optimizer._adam.param_groups[0]["lr"], optimizer.baseline.rate, optimizer.entropy_weight

    seen = []
    for _ in range(4):
        (trial,) = optimizer.ask(1)
        seen.append(read())
        optimizer.tell(trial, accuracy(trial.code))
    assert seen == [(0.002, 0.5, 0.0)] * 2 + [(0.25, 1.0, 2.0)] * 2


def test_the_start_comes_first_and_all_others_are_its_children() -> None:
    optimizer = adapted()
    (first,) = optimizer.ask(3)
    assert CODEC.genotype(first.code) == "conv-4-3_pool_conv-4-3_pool_fc-8" and first.parent is None
    assert optimizer.ask(1) == []
    optimizer.tell(first, [50.0])
    trials = optimizer.ask(9)
    assert 1 <= len(trials) <= 4 and {trial.parent for trial in trials} == {0}
    assert len({trial.code for trial in trials}) == len(trials) and optimizer.ask(1) == []
    assert all(sum(CODEC.growing.layers(trial.code)) == 3 + 2 for trial in trials)


def test_what_has_a_value_is_not_asked_for_again() -> None:
    optimizer = adapted(networks=3)
    asked: list[tuple[int, ...]] = []
    for _ in range(20):
        (trial,) = optimizer.ask(1)
        asked.append(trial.code)
        optimizer.tell(trial, [accuracy(trial.code)])
    assert len(set(asked)) == 20 and optimizer.rounds.count >= 6
    assert set(optimizer.rounds.values) == set(asked)
    before = dict(optimizer.rounds.values)
    optimizer.rounds.begin([], [asked[3], asked[3]], repeat=False)
    assert optimizer.rounds.to_ask == [] and optimizer.rounds.values == before
    optimizer.rounds.begin([], [asked[3], asked[3]], repeat=True)
    assert optimizer.rounds.to_ask == [asked[3]]


def test_it_finds_large_networks_sooner_than_a_controller_that_does_not_learn() -> None:
    means = []
    for rate in (0.02, 1e-12):
        optimizer = adapted(seed=1, networks=5, arch_learning_rate=rate)
        values = []
        for epoch in range(60):
            optimizer.new_epoch(epoch)
            values.append(accuracy(optimizer.record.latest))
        means.append(np.mean(values[-20:]))
    assert means[0] > means[1] + 3.0


def test_rounds_go_on_from_the_best_network() -> None:
    optimizer = adapted(networks=3, rounds_per_start=1)
    while optimizer.rounds.count < 2:
        optimizer.new_epoch(0)
    first, second, third = optimizer.rounds.starts
    assert accuracy(first) < accuracy(second) < accuracy(third) == accuracy(optimizer.record.incumbent)
    (trial,) = optimizer.ask(1)
    assert trial.parent == optimizer.record.incumbent_trial


def test_a_failed_network_is_left_out_and_a_failed_start_is_tried_again() -> None:
    optimizer = adapted(networks=2)
    for _ in range(2):
        (first,) = optimizer.ask(1)
        optimizer.tell(first, None, user={"error": "no memory"})
    (again,) = optimizer.ask(1)
    assert again.code == first.code and again.number == 2
    optimizer.tell(again, [50.0])
    trials = optimizer.ask(2)
    assert {trial.parent for trial in trials} == {2}
    for trial in trials:
        optimizer.tell(trial, None, state=State.FAILED)
    assert optimizer.rounds.count == 1 and optimizer.baseline.value == 0.0
    optimizer = adapted()
    for _ in range(2):
        optimizer.tell(optimizer.ask(1)[0], None, user={"error": "no memory"})
    with pytest.raises(OptimizerStateError, match=r"has failed 3 times \(trial 2: no memory\)"):
        optimizer.tell(optimizer.ask(1)[0], None, user={"error": "no memory"})


def test_a_network_that_was_stopped_early_counts_with_what_was_predicted_for_it() -> None:
    optimizer = adapted(networks=3)
    (start,) = optimizer.ask(1)
    optimizer.tell(start, accuracy(start.code))
    first, *others = optimizer.ask(3)
    optimizer.tell(first, [10.0], state=State.PRUNED, user={"predicted": 37.5})
    assert optimizer.rounds.values[first.code].merit == 37.5
    for trial in others:  # stopped by a rule that predicts nothing: left out, like those that have failed
        optimizer.tell(trial, [10.0], state=State.PRUNED)
    assert [optimizer.rounds.values[trial.code].merit for trial in others] == [None] * len(others)
    assert optimizer.rounds.count == 1 and optimizer.record.incumbent == start.code


def test_a_code_that_it_did_not_propose_is_refused() -> None:
    optimizer = adapted()
    with pytest.raises(OptimizerStateError, match="which it did not ask for"):
        optimizer.tell(NETWORKS[0], 50.0)
    code = optimizer.ask()
    optimizer.tell(code, 50.0)
    with pytest.raises(OptimizerStateError, match="which it did not ask for"):
        optimizer.tell(code, 60.0)
    assert optimizer.record.evaluations == 1
    for value in (float("nan"), float("inf")):  # infinite values have none either: the round goes on
        grown = optimizer.ask()
        optimizer.tell(list(grown), value)
        assert optimizer.rounds.values[grown].merit is None
    (trial,) = optimizer.ask(1)
    with pytest.raises(OptimizerStateError, match="this search proposed"):
        optimizer.tell(replace(trial, code=code), [60.0])
    optimizer.tell(trial, [60.0])
    assert optimizer.record.evaluations == 2


def test_it_goes_on_from_a_checkpoint_in_the_middle_of_a_round() -> None:
    whole = adapted(networks=3, rounds_per_start=2)
    for epoch in range(9):
        whole.new_epoch(epoch)
    pending = whole.ask(1)
    state = saved(whole)
    other = adapted(seed=8, networks=3, rounds_per_start=2)
    restore(other, state)
    assert other.pending() == pending == whole.pending()
    for optimizer in (whole, other):
        optimizer.tell(optimizer.pending()[0], [accuracy(pending[0].code)])
    for epoch in range(15):
        whole.new_epoch(epoch)
        other.new_epoch(epoch)
        assert whole.record.latest == other.record.latest
    assert whole.rounds.state_dict() == other.rounds.state_dict() and whole.rounds.count >= 6


def test_widths_alone_are_searched_too() -> None:
    """On the size space of NATS-Bench: five layers from 8 to 64 channels, four steps at most from the start."""
    space = NATSBenchSizeSearchSpace()

    class Channels(Sizes):
        def evaluate(self, trial: Trial, should_stop: Any = None) -> Outcome:
            return Outcome((float(sum(trial.code)),))

    optimizer = adapted(space=space, evaluator=Channels(), wider_steps=4, networks=5, arch_learning_rate=0.02)
    for epoch in range(60):
        optimizer.new_epoch(epoch)
    assert space._codec().genotype(optimizer.rounds.start) == "8:8:8:8:8"
    assert max(max(code) for code in optimizer.rounds.values) == 4
    assert sum(optimizer.record.incumbent) >= 17


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ({"networks": 0}, "networks must be at least 1"),
        ({"wider_steps": 0, "deeper_steps": 0}, "one of them more"),
        ({"reward": "tann"}, "not 'tann'; did you mean 'tan'"),
        ({"baseline_rate": 0.0}, r"baseline_rate must be in \(0, 1\]"),
        ({"arch_learning_rate": 0.0}, "arch_learning_rate must be positive"),
    ],
)
def test_keywords_that_cannot_be(keywords: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        EAS(**keywords)


def test_spaces_and_objectives_that_it_cannot_search() -> None:
    with pytest.raises(UnsupportedBySpaceError, match="take the space eas_cnn, or one that decides widths alone"):
        adapted(space=NasBench201SearchSpace(channels=4, cells_per_stage=1))
    with pytest.raises(UnsupportedBySpaceError, match="cannot grow by 2 wider and 0 deeper steps"):
        adapted(start="conv-12-3_pool_conv-12-3_pool_fc-16", deeper_steps=0)

    class Losses(Sizes):
        objectives = (Objective("loss", False),)

    with pytest.raises(ConfigError, match="reward=tan is of an accuracy in percent, and the first objective is loss"):
        adapted(evaluator=Losses())


def test_it_says_where_nobody_inherits(caplog: pytest.LogCaptureFixture) -> None:
    class Trained(Sizes):
        inheritance: object | None = None

    adapted(evaluator=Trained())
    assert "every network trains from scratch; search.evaluator_args={inherit: morphism}" in caplog.text
    caplog.clear()
    Trained.inheritance = object()
    adapted(evaluator=Trained())
    adapted()  # what trains nothing of its own
    assert not caplog.records
