"""The controller of several tasks against float64 by hand; its transfer, and what it refuses."""

from __future__ import annotations

import math
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from black_box import SIZE, EveryKind, Scores, drive, restore, saved, values_of

from naslib.errors import CheckpointError, ConfigError, OptimizerStateError
from naslib.history import Outcome, Trial
from naslib.optimizers import TransferController
from naslib.optimizers.discrete.policies.optimizer import Drawn
from naslib.optimizers.discrete.steps import Steps
from naslib.optimizers.discrete.transfer.advantage import TaskAdvantages
from naslib.optimizers.discrete.transfer.policy import TaskPolicy
from naslib.search_spaces.core.decisions import Decision
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.schema import DecisionSpace

SMALL: dict[str, Any] = {"controller_hidden": 6, "controller_embedding": 4, "task_embedding": 3}


class ThreeOps(Graph):
    """Two operations of the same three, and a size."""

    def __init__(self, sizes: tuple[int, ...] = (8, 16)) -> None:
        super().__init__("three_ops")
        self.add_edges_from([(1, 2)])
        self.sizes = sizes

    def state_decisions(self, scope: Any = None) -> DecisionSpace:
        """Return the decisions."""
        ops = [Decision(f"cell/{n}", "op", ("a", "b", "c")) for n in (1, 2)]
        return DecisionSpace([*ops, Decision("cell/width", "value", self.sizes)])


class PerTask(Scores):
    """Scores that are ten times as far apart for the task `b`."""

    def evaluate(self, trial: Trial, should_stop: Any = None) -> Outcome:
        """Return the values."""
        scale = 10.0 if trial.task == "b" else 1.0
        return Outcome(tuple(scale * value for value in values_of(trial.code)[: len(self.objectives)]), 1.0)


def adapted(space: Graph | None = None, dataset: str | None = "a", seed: int = 0, **kwargs: Any) -> TransferController:
    optimizer = TransferController(**{**SMALL, **kwargs})
    np.random.seed(seed)
    optimizer.adapt_search_space(space or EveryKind(), dataset, evaluator=PerTask())
    return optimizer


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def log_probability(policy: TaskPolicy, task: int, words: list[tuple[int, int]]) -> float:
    """Return log p of a sequence of (vocabulary, word), from the equations alone."""
    values = {name: p.detach().numpy() for name, p in policy.named_parameters()}
    hidden = values["lstm.weight_hh"].shape[1]
    h, c, w, total = np.zeros(hidden), np.zeros(hidden), values["start"], 0.0
    for vocabulary, word in words:
        x = np.concatenate([w, values[f"tasks.{task}"]])
        gates = values["lstm.weight_ih"] @ x + values["lstm.bias_ih"] + values["lstm.weight_hh"] @ h
        i, f, g, o = np.split(gates + values["lstm.bias_hh"], 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        read = np.concatenate([h, x]) if policy.skip_connection else h
        logits = values[f"words.{vocabulary}.scores.weight"] @ read + values[f"words.{vocabulary}.scores.bias"]
        total += float(logits[word] - np.log(np.exp(logits).sum()))
        w = values[f"words.{vocabulary}.embedding"][word]
    return total


@pytest.mark.parametrize("skip_connection", [True, False])
def test_probabilities_are_those_of_the_equations_and_differ_between_tasks(skip_connection: bool):
    steps = Steps(ThreeOps().decision_space)
    policy = TaskPolicy(steps, Random(0), 2, 6, 4, 3, skip_connection).double()
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.mul_(20)
    sums = np.zeros(2)
    for code in steps.space.iterate():
        words = [(0, code[0]), (0, code[1]), (1, code[2])]
        for task in (0, 1):
            with policy.deciding_for(task):
                found = float(policy.follow(code).log_probs.detach().sum())
            assert found == pytest.approx(log_probability(policy, task, words), abs=1e-12)
            sums[task] += math.exp(found)
    np.testing.assert_allclose(sums, 1, atol=1e-12)
    with policy.deciding_for(1):
        other = policy.follow((0, 1, 0)).log_probs
    assert policy.task == 0 and not torch.allclose(other, policy.follow((0, 1, 0)).log_probs)


def test_every_architecture_of_every_kind_of_decision_has_a_probability():
    steps = Steps(EveryKind().decision_space)
    policy = TaskPolicy(steps, Random(1), 1, 5, 3, 2).double()
    with torch.no_grad():
        total = [float(policy.follow(code).log_probs.sum().exp()) for code in steps.space.iterate()]
    assert len(total) == SIZE and sum(total) == pytest.approx(1, abs=1e-12)


def test_the_step_is_the_gradient_by_differences_of_the_normalised_objective(monkeypatch: pytest.MonkeyPatch):
    optimizer = adapted(ThreeOps(), tasks=["a", "b"], entropy_weight=0.0)
    policy = optimizer.policy.double()
    assert isinstance(policy, TaskPolicy)
    found: dict[str, np.ndarray] = {}

    def keep(objective: torch.Tensor) -> None:
        names, parameters = zip(*policy.named_parameters(), strict=True)
        gradients = torch.autograd.grad(objective, parameters, allow_unused=True)
        found.clear()
        found.update({n: g.numpy().copy() for n, g in zip(names, gradients, strict=True) if g is not None})

    monkeypatch.setattr(optimizer, "ascend", keep)
    with policy.deciding_for(1):
        optimizer.reinforce(Drawn((0, 1, 0), ()), 60.0)
        optimizer.reinforce(Drawn((2, 0, 1), ()), 70.0)
    # b = (.9 * .1 * 60 + .1 * 70) / .19, a = 70 - b; of the first trial a = 0, so v = .1 a^2 / .19 and A = sqrt(1.9)
    advantage, words = math.sqrt(1.9), [(0, 2), (0, 0), (1, 1)]
    assert "tasks.1" in found and "tasks.0" not in found
    for name, gradient in found.items():
        parameter = dict(policy.named_parameters())[name]
        for place in {0, parameter.numel() // 2, parameter.numel() - 1}:
            values = []
            for step in (1e-5, -1e-5):
                with torch.no_grad():
                    parameter.view(-1)[place] += step
                    values.append(log_probability(policy, 1, words))
                    parameter.view(-1)[place] -= step
            expected = advantage * (values[0] - values[1]) / 2e-5
            assert gradient.reshape(-1)[place] == pytest.approx(expected, rel=1e-6, abs=1e-8), name


def test_advantages_by_hand_and_on_one_scale():
    advantages = TaskAdvantages(["a", "b"], 0.9)
    rewards = [50.0, 60.0, 40.0, 55.0]
    n = w = s = 0.0
    for reward in rewards:
        n, w = 0.9 * n + 0.1 * reward, 0.9 * w + 0.1
        a = reward - n / w
        s = 0.9 * s + 0.1 * a * a
        expected = 0.0 if s == 0 else a / math.sqrt(s / w)
        assert advantages.advantage("a", reward) == pytest.approx(expected, abs=1e-12)
        # ten times as far apart, elsewhere: the same advantages
        assert advantages.advantage("b", 10 * reward - 400) == pytest.approx(expected, abs=1e-9)
    again = TaskAdvantages(["a", "b"], 0.9)
    again.load_state_dict(advantages.state_dict())
    assert again.advantage("a", 47.0) == advantages.advantage("a", 47.0)
    plain = TaskAdvantages(["a"], 0.5, normalize=False)
    assert [plain.advantage("a", r) for r in (1.0, 4.0)] == [0.0, pytest.approx(1.0)]  # b = (.25 + 2) / .75 = 3


def test_tasks_take_turns_and_each_has_its_best():
    optimizer = adapted(tasks=["b", "a"])
    assert optimizer.tasks == ("a", "b")
    told: dict[str, list[tuple[float, int]]] = {"a": [], "b": []}
    for _ in range(30):
        (trial,) = optimizer.ask(1)
        assert trial.task == ("a", "b")[trial.number % 2]
        values = optimizer.evaluator.evaluate(trial).values
        told[str(trial.task)].append((values[0], -trial.number))
        optimizer.tell(trial, values)
    found = optimizer.found_by_task()
    assert found is not None and optimizer.record.evaluations == 30
    for name, rows in told.items():
        value, number = max(rows)
        assert (found[name]["count"], found[name]["best_values"], found[name]["best"]) == (15, [value], -number)
    assert optimizer.record.incumbent_values[0] == max(told["a"])[0] < max(told["b"])[0]


@pytest.mark.parametrize("workers", [1, 3])
def test_it_goes_on_from_a_checkpoint_in_the_middle_bit_for_bit(workers: int):
    whole, half = adapted(tasks=["a", "b"]), adapted(tasks=["a", "b"])
    codes = drive(whole, 40, workers)
    first = drive(half, 20, workers) if workers == 1 else _halfway(half, workers)
    resumed = adapted(tasks=["a", "b"], seed=7)
    restore(resumed, saved(half))
    assert first + drive(resumed, 40, workers) == codes
    assert resumed.found_by_task() == whole.found_by_task()
    for one, other in zip(whole.policy.parameters(), resumed.policy.parameters(), strict=True):
        assert torch.equal(one, other)


def _halfway(optimizer: TransferController, workers: int) -> list[Any]:
    """Stop with trials that are out."""
    asked: list[Any] = []
    for _ in range(18):
        asked += [t.code for t in optimizer.ask(workers - len(optimizer.record.pending))]
        first = optimizer.pending()[0]
        optimizer.tell(first, optimizer.evaluator.evaluate(first).values)
    assert len(optimizer.record.pending) == workers - 1
    return asked


def test_a_transfer_keeps_the_controller_and_draws_a_vector_for_the_new_task():
    before = adapted(tasks=["a", "b"])
    drive(before, 20)
    checkpoint = saved(before)
    fresh, after = adapted(dataset="c", seed=3), adapted(dataset="c", seed=3, transfer_from="somewhere")
    after.take_controller(checkpoint)
    for name, parameter in after.policy.state_dict().items():
        other = fresh.policy if name.startswith("tasks.") else before.policy
        assert torch.equal(parameter, other.state_dict()[name]), name
    known = adapted(dataset="b", transfer_from="somewhere")
    known.take_controller(checkpoint)
    assert torch.equal(known.policy.state_dict()["tasks.0"], before.policy.state_dict()["tasks.1"])
    with pytest.raises(OptimizerStateError, match="before the first trial"):
        before.take_controller(checkpoint)


def test_the_vector_alone_is_trained_where_that_is_asked_for():
    before = adapted(tasks=["a", "b"])
    after = adapted(dataset="c", transfer_from="somewhere", transfer_train="embedding", arch_learning_rate=0.05)
    after.take_controller(saved(before))
    start = {name: value.clone() for name, value in after.policy.state_dict().items()}
    drive(after, 6)
    moved = {name for name, value in after.policy.state_dict().items() if not torch.equal(value, start[name])}
    assert moved == {"tasks.0"}


def test_what_it_refuses():
    optimizer = adapted()
    code = optimizer.ask()
    other = next(c for c in EveryKind().decision_space.iterate() if c != code)
    with pytest.raises(OptimizerStateError, match="no architecture that this controller has proposed"):
        optimizer.tell(other, 50.0)
    optimizer.tell(code, 50.0)
    with pytest.raises(OptimizerStateError, match="no architecture that this controller has proposed"):
        optimizer.tell(code, 50.0)
    (trial,) = optimizer.ask(1)
    changed = Trial(trial.number, other, trial.fidelity)
    if trial.code != other:
        with pytest.raises(OptimizerStateError, match="this search proposed"):
            optimizer.tell(changed, [50.0])
    several = adapted(tasks=["a", "b"])
    (trial,) = several.ask(1)
    with pytest.raises(OptimizerStateError, match=r"of the task a for trial 0, and not .* of the task b"):
        several.tell(replace(trial, user={"task": "b"}), [50.0])
    with pytest.raises(OptimizerStateError, match="for which of a, b"):
        several.ask()
    with pytest.raises(ConfigError, match="must contain the data set of the run, c"):
        adapted(dataset="c", tasks=["a", "b"])
    for keywords, said in (
        ({"tasks": ["a", "a"]}, "each once"),
        ({"tasks": []}, "each once"),
        ({"transfer_train": "embeding"}, "did you mean 'embedding'"),
        ({"transfer_train": "embedding"}, "transfer_from"),
        ({"controller": "factorised"}, "lstm"),
        ({"softmax": "own"}, "softmax shared, not 'own'"),
        ({"task_embedding": 0}, "at least 1"),
        ({"tasks": ["a", "b"], "parts": {"early_termination": {}}}, "do not compare"),
    ):
        with pytest.raises(ConfigError, match=said):
            TransferController(**keywords)


def test_a_controller_of_another_space_or_of_other_sizes_is_refused():
    state = saved(adapted(ThreeOps()))
    with pytest.raises(ConfigError, match="another space: it makes 3 decisions, this space has 5"):
        adapted(EveryKind()).take_controller(state)
    wider = r"it decides cell/width: 1 of 8, 16; this space cell/width: 1 of 8, 16, 32"
    with pytest.raises(ConfigError, match=wider):
        adapted(ThreeOps((8, 16, 32))).take_controller(state)
    with pytest.raises(ConfigError, match=r"other sizes .*lstm\.weight_hh"):
        adapted(ThreeOps(), controller_hidden=7).take_controller(state)
    with pytest.raises(ConfigError, match="no search of transfer_controller"):
        adapted(ThreeOps()).take_controller({"policy": {}})
    with pytest.raises(CheckpointError, match="of the tasks a, b, not b, a"):
        adapted(dataset="b", tasks=["a", "b"])._by_task.load_state_dict(adapted(tasks=["a", "b"])._by_task.state_dict())
