"""TransferController: one controller that searches for several tasks, and goes on with a new one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast, overload

import torch

from naslib.errors import ConfigError, OptimizerStateError, did_you_mean
from naslib.history import Trial
from naslib.optimizers.core.metaclasses import Stateful
from naslib.optimizers.discrete.policies.base import Policy
from naslib.optimizers.discrete.policies.optimizer import Drawn, PolicyOptimizer
from naslib.optimizers.discrete.proposal import Proposal
from naslib.optimizers.discrete.steps import Steps
from naslib.optimizers.registry import OPTIMIZERS
from naslib.search_spaces.core.codec import Code

from .advantage import TaskAdvantages
from .policy import TaskPolicy
from .record import TaskRecord, other_decisions

TRAINED = ("all", "embedding")


@OPTIMIZERS.register("transfer_controller")
class TransferController(PolicyOptimizer):
    """Search for several tasks at a time with one LSTM, and take it along to a new task ([Wong2018transfer]).

    The tasks are data sets with one search space, and trial n is of task `n mod number of tasks`, the run's own data
    set first. An architecture is drawn by `TaskPolicy`. After each trial a step of Adam goes along
    `A grad log p(architecture | task)` plus `entropy_weight` times the gradient of the entropy, with the advantage A of
    `TaskAdvantages`. What is reported is the best architecture of the run's own data set; the others are in
    `found_by_task`.

    With `transfer_from` the parameters that tasks have in common are those of another run of this method, and so are
    the vectors of the tasks that it had; a new task has a vector drawn like any other parameter. `transfer_train` says
    whether the search then trains all parameters, or the vectors of tasks alone.

    Args:
        tasks: The data sets, among them that of the run; None for that one alone.
        transfer_from: The run folder of a search by this method, whose controller is taken over; the Trainer reads it.
        transfer_train: `"all"` or `"embedding"`.
        task_embedding: Length of the vector of a task.
        controller_embedding: Length of the embedding of a word.
        skip_connection: Whether the logits read the input of the LSTM as well as its output.
        normalize_advantage: Whether the advantages of each task are divided by their root mean square.
        controller: Of several tasks it is `"lstm"`.
        controller_hidden: Units of the LSTM.
        softmax: It is `"shared"`: decisions with the same candidates have a vocabulary in common.
        arch_learning_rate: Of Adam.
        baseline_decay: In [0, 1): of the moving averages of rewards and of squared advantages.
        correct_bias: Whether these averages are corrected for their start.
        entropy_weight: Of the entropy of the policy, which is maximised; 0 for none.
        **kwargs: See `PolicyOptimizer`; an evaluator knows the task by `trial.task`.

    Attributes:
        tasks: The names of the tasks, the run's own first (after adapting).

    Raises:
        ConfigError: For an unknown keyword, or a value out of its range.
    """

    HELD_BY = {"baseline_decay": ("advantages", "decay")}

    def __init__(
        self,
        *,
        tasks: list[str] | None = None,
        transfer_from: str | None = None,
        transfer_train: str = "all",
        task_embedding: int = 8,
        controller_embedding: int = 32,
        skip_connection: bool = True,
        normalize_advantage: bool = True,
        controller: str = "lstm",
        controller_hidden: int = 100,
        softmax: str = "shared",
        arch_learning_rate: float = 0.0005,
        baseline_decay: float = 0.9,
        correct_bias: bool = True,
        entropy_weight: float = 0.1,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            controller=controller,
            controller_hidden=controller_hidden,
            softmax=softmax,
            arch_learning_rate=arch_learning_rate,
            baseline_decay=baseline_decay,
            correct_bias=correct_bias,
            entropy_weight=entropy_weight,
            **kwargs,
        )
        problems = []
        if controller != "lstm":
            problems.append(f"the controller of several tasks is an lstm, not {controller!r}")
        if softmax != "shared":
            problems.append(f"the controller of several tasks has softmax shared, not {softmax!r}")
        if transfer_train not in TRAINED:
            hint = did_you_mean(str(transfer_train), TRAINED)
            problems.append(f"transfer_train must be one of {', '.join(TRAINED)}, not {transfer_train!r}{hint}")
        elif transfer_train == "embedding" and transfer_from is None:
            problems.append("transfer_train=embedding keeps a controller as it is: name its run in transfer_from")
        if task_embedding < 1 or controller_embedding < 1:
            problems.append(
                f"task_embedding and controller_embedding must be at least 1, got {task_embedding}, "
                f"{controller_embedding}"
            )
        if tasks is not None and (not tasks or len(set(tasks)) != len(tasks)):
            problems.append(f"tasks must be names of data sets, each once, got {list(tasks)}")
        if problems:
            raise ConfigError(problems)
        if tasks is not None and len(tasks) > 1 and self.termination is not None:
            raise ConfigError(
                "search.parts.early_termination compares the curves of all trials, and those of different search.tasks "
                "do not compare: leave it out"
            )
        self.given_tasks = None if tasks is None else tuple(map(str, tasks))
        self.transfer_from, self.transfer_train = transfer_from, transfer_train
        self.skip_connection = skip_connection
        self._embedded = controller_embedding, task_embedding
        self._advantages_of = baseline_decay, correct_bias, normalize_advantage
        self.tasks: tuple[str, ...] = ()
        self.advantages = TaskAdvantages(())
        self._by_task: TaskRecord

    # the tasks

    def _datasets(self, dataset: str | None) -> Sequence[str | None]:
        """Return the data sets of the tasks, that of the run first.

        Raises:
            ConfigError: If it is none of them.
        """
        given = self.given_tasks
        if given is None or dataset is None:
            return given or (dataset,)
        if dataset not in given:
            raise ConfigError(
                f"search.tasks: {', '.join(given)} must contain the data set of the run, {dataset}"
                f"{did_you_mean(dataset, given)}: what is found for it is evaluated in the end"
            )
        return (dataset, *(name for name in given if name != dataset))

    def _take_metrics(self, codec: Any, dataset_api: Any, dataset: str | None) -> None:
        super()._take_metrics(codec, dataset_api, dataset)
        self._metric = None  # a trial says its data set

    def _compares(self, trial: Trial) -> bool:
        return trial.task in (None, self.tasks[0])

    def found_by_task(self) -> dict[str, dict[str, Any]] | None:
        """Return for each task the number of its trials, and number, code and values of the best; None for one task."""
        if len(self.tasks) < 2:
            return None
        found: dict[str, dict[str, Any]] = {}
        for name, count in self._by_task.counts.items():
            _, values, number, code = self._by_task.best.get(name, (0.0, (), None, None))
            found[name] = {"count": count, "best": number, "best_values": list(values), "code": code}
        return found

    # ask and tell

    @overload
    def ask(self) -> Code: ...

    @overload
    def ask(self, n: int) -> list[Trial]: ...

    def ask(self, n: int | None = None) -> Code | list[Trial]:
        """Return what to evaluate next; see `DiscreteOptimizer`.

        Raises:
            OptimizerStateError: If a code alone is asked for, and there are several tasks.
        """
        if n is not None:
            return super().ask(n)
        if len(self.tasks) > 1:
            raise OptimizerStateError(
                f"a code alone does not say for which of {', '.join(self.tasks)} it is: ask(n) returns trials"
            )
        return super().ask()

    def propose(self) -> Proposal:
        """Return an architecture drawn for the task whose turn it is."""
        _ = self.codec  # raises before there is a space
        turn = self.record.asked % len(self.tasks)
        with self._tasked.deciding_for(turn):
            code = self.draw()
        return Proposal(code, user={"task": self.tasks[turn]} if len(self.tasks) > 1 else {})

    def _take(self, trial: Trial, merit: float) -> None:
        self._by_task.add(trial.task or self.tasks[0], trial, merit)
        super()._take(trial, merit)

    def _learn(self, code: Code, merit: float, number: int | None) -> None:
        with self._tasked.deciding_for((number or 0) % len(self.tasks)):
            super()._learn(code, merit, number)

    def reinforce(self, drawn: Drawn, reward: float) -> None:
        """Take one step for the task that is decided for."""
        advantage = self.advantages.advantage(self.tasks[self._tasked.task], reward)
        found = self.policy.follow(drawn.decided)
        objective = advantage * found.log_probs.sum()
        if self.entropy_weight:
            objective = objective + self.entropy_weight * found.entropies.sum()
        self.ascend(objective)

    # the controller

    @property
    def _tasked(self) -> TaskPolicy:
        return cast(TaskPolicy, self.policy)

    def make_policy(self, steps: Steps) -> Policy:
        """Return the controller to begin with."""
        embedded, task_embedded = self._embedded
        hidden, n_tasks = self.controller_hidden, len(self.tasks)
        return TaskPolicy(steps, self.rng, n_tasks, hidden, embedded, task_embedded, self.skip_connection)

    def take_controller(self, checkpoint: Mapping[str, Any], source: str = "the run") -> None:
        """Take over the controller of another search of this method, before this one begins.

        Args:
            checkpoint: Its checkpoint: what `get_checkpointables` holds, as state dicts.
            source: Where it is from, for messages.

        Raises:
            OptimizerStateError: If this search has begun already.
            ConfigError: If it is of another method, makes other decisions, or has other sizes.
        """
        if self.record.asked or self.record.evaluations or self._drawn.by_code:
            raise OptimizerStateError("a controller is taken over before the first trial is asked for")
        if "by_task" not in checkpoint or "policy" not in checkpoint:
            raise ConfigError(f"search.transfer_from: {source} is no search of transfer_controller")
        difference = other_decisions(checkpoint["by_task"]["decisions"], self._by_task.decisions)
        if difference:
            raise ConfigError(f"search.transfer_from: the controller of {source} is of another space: {difference}")
        policy, state = self._tasked, checkpoint["policy"]
        common = policy.of_words()
        fits = {name for name in state if not name.startswith("tasks.")} == set(common)
        wrong = sorted(name for name, p in common.items() if name not in state or state[name].shape != p.shape)
        if not fits or wrong:
            raise ConfigError(
                f"search.transfer_from: the controller of {source} has other sizes ({', '.join(wrong) or 'layers'}): "
                "give controller_hidden, controller_embedding, task_embedding and skip_connection as they were there"
            )
        names = list(checkpoint["by_task"]["counts"])
        with torch.no_grad():
            for name, parameter in common.items():
                parameter.copy_(state[name])
            for name, vector in zip(self.tasks, policy.tasks, strict=True):
                if name in names:
                    vector.copy_(state[f"tasks.{names.index(name)}"])

    def _reset(self) -> None:
        self.tasks = tuple(str(name) for name in self._datasets(self.dataset))
        super()._reset()
        self.advantages = TaskAdvantages(self.tasks, *self._advantages_of)
        self._by_task = TaskRecord(self.tasks, self.policy.steps.space)
        for parameter in self._tasked.of_words().values():
            parameter.requires_grad_(self.transfer_train == "all")

    def get_checkpointables(self) -> dict[str, Stateful]:
        """Return everything stateful by name; what the tasks have of their own beside the policy."""
        found = super().get_checkpointables()
        del found["baseline"]
        return {**found, "advantages": self.advantages, "by_task": self._by_task}
