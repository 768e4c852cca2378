"""MepaEvaluator: a few steps of training from shared weights before an architecture is scored."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor, nn

from naslib.errors import CheckpointError, ConfigError, DataError, TrialFailed, TrialStopped
from naslib.history import Outcome, Trial
from naslib.optimizers import OPTIMIZERS
from naslib.optimizers.oneshot.paths.weight_sharing import WeightSharingOptimizer
from naslib.optimizers.oneshot.supernet.bilevel import at_weights
from naslib.search_spaces.core.assignment import assigned
from naslib.search_spaces.core.batch_norm import frozen_batch_norm_statistics, measurement_mode
from naslib.search_spaces.core.codec import Code
from naslib.search_spaces.core.graph import Graph
from naslib.tasks import Classification, Task
from naslib.training.loaders import BatchCursor
from naslib.utils.seeding import derive_seed, rng_restore, rng_snapshot, set_seed

from .base import Evaluator, ShouldStop, choose_objectives, never
from .batches import on_device
from .supernet import load_supernet
from .surrogate import SurrogateRates, after_surrogate_steps, mepa_gradient
from .train import TrainingOfTrials, check_finite, go_on, measured_of

_ALIASES = {"VAL_ACCURACY": "accuracy", "VAL_LOSS": "loss"}
PATHS = ("trial", "uniform")
# The key under which checkpoints have what belongs to the shared weights
_STATE = ("graph", "sgd", "rates", "train", "valid", "steps", "warmed")


class MepaEvaluator(Evaluator):
    """Score an architecture after surrogate steps from shared weights, and train these weights between the trials.

    The scheme is that of the evaluator `mepa` of aw_nas (meta parameter sharing): for a trial, the weights w of its
    path are copied, take `surrogate_steps` steps of gradient descent on training batches, and are scored on validation
    batches. The shared weights take `shared_steps` steps of SGD after each trial, on a path p and with the gradient of
    the loss after surrogate steps: `g = dL(w_k(p))/dw`, where w_k are the weights after the steps; on first order it is
    taken where the steps end. Without surrogate steps, this is the training of ENAS. Each step has training batches of
    its own, one for every surrogate step and one for the gradient.

    Batch norm normalises by the batch everywhere, and its running statistics, which no path could share, stay as they
    are. A value thus depends on the trials before it: the shared weights are part of the checkpoint, trials are
    evaluated in this process one after the other, and what was evaluated after a checkpoint is evaluated again.

    Args:
        space: The search space; not changed.
        train: Batches of the surrogate steps and of the shared weights.
        valid: Batches to score on.
        how: Learning rate (constant), momentum, weight decay and clipping of the shared weights; device, memory format.
        task: What learning means; classification if None.
        objectives: Names of scores of the task, or `loss`; the first score if None.
        seed: Of the run: of uniform paths, and of trials without a seed.
        run: The run folder of a search whose supernet the weights are at first; None for
            those that the space was made with.
        surrogate_steps: Before the score.
        surrogate_lr: Of these steps, positive.
        learn_rates: Whether each weight learns its own rate for each step, `surrogate_lr exp(l)`.
        rate_lr: Of Adam, by which they are learned.
        second_order: Whether the gradient of the shared weights goes through those of the surrogate steps.
        shared_surrogate_steps: Surrogate steps in a step of the shared weights; None: `surrogate_steps`.
        shared_steps: Of the shared weights after each trial; 0 leaves them as they are.
        shared_paths: Which paths these train: `trial`, that of the trial, which comes from the method as in aw_nas;
            or `uniform`.
        warm_up: Steps of the shared weights on uniform paths before the first trial.
        valid_batches: On how many validation batches a trial is scored, the next ones each time (aw_nas: 1); None for
            all of them.

    Raises:
        DataError: Without a validation part.
        ConfigError: For a number out of range, or shared weights that nobody trains.
        CheckpointError: If there is no supernet in the run, or it is of another space.
    """

    fidelity = 0
    carries_state = True
    is_timed = True

    def __init__(
        self,
        space: Graph,
        train: Any,
        valid: Any,
        how: TrainingOfTrials | None = None,
        task: Task | None = None,
        objectives: Sequence[str] | None = None,
        seed: int = 0,
        *,
        run: str | None = None,
        surrogate_steps: int = 1,
        surrogate_lr: float = 0.01,
        learn_rates: bool = False,
        rate_lr: float = 0.001,
        second_order: bool = False,
        shared_surrogate_steps: int | None = None,
        shared_steps: int = 4,
        shared_paths: str = "trial",
        warm_up: int = 0,
        valid_batches: int | None = None,
    ) -> None:
        if valid is None:
            raise DataError("the evaluator `mepa` scores on a validation part: set search.train_portion below 1")
        for_shared = surrogate_steps if shared_surrogate_steps is None else shared_surrogate_steps
        counts = {"surrogate_steps": surrogate_steps, "shared_surrogate_steps": for_shared, "warm_up": warm_up}
        counts["shared_steps"] = shared_steps
        problems = [f"{name} must not be negative, got {count}" for name, count in counts.items() if count < 0]
        rates = {"surrogate_lr": surrogate_lr, "rate_lr": rate_lr}
        problems += [f"{name} must be positive, got {rate}" for name, rate in rates.items() if not rate > 0]
        if valid_batches is not None and valid_batches < 1:
            problems.append(f"valid_batches must be at least 1, got {valid_batches}")
        if shared_paths not in PATHS:
            problems.append(f"shared_paths must be one of {', '.join(PATHS)}, not {shared_paths!r}")
        if run is None and not (shared_steps or warm_up):
            problems.append("nobody trains the shared weights: give `run`, `shared_steps` or `warm_up`")
        if learn_rates and not (for_shared and (shared_steps or warm_up)):
            problems.append(
                "learn_rates: rates are learned in steps of the shared weights, with surrogate steps in them"
            )
        if problems:
            raise ConfigError([f"search.evaluator_args: {text}" for text in problems])
        as_eval = getattr(valid, "as_eval", None)
        self.space, self.train, self.valid = space, train, as_eval() if callable(as_eval) else valid
        self.how = how if how is not None else TrainingOfTrials()
        given = task if task is not None else Classification()
        self.task, self.training_task = given.plain(), given.smoothed(self.how.label_smoothing)
        scores = {name: o for name, o in measured_of(self.task).items() if name not in ("params", "flops")}
        self.objectives = choose_objectives(objectives, scores, _ALIASES)
        self.seed, self.run = seed, None if run is None else Path(run)
        self.surrogate_steps, self.shared_surrogate_steps = surrogate_steps, for_shared
        self.surrogate_lr, self.rate_lr = surrogate_lr, rate_lr if learn_rates else None
        self.second_order, self.shared_steps, self.shared_paths = second_order, shared_steps, shared_paths
        self.warm_up, self.valid_batches = warm_up, valid_batches
        self.steps = self.warmed = 0
        self._shared: _Shared | None = None

    # the shared weights

    @property
    def shared(self) -> _Shared:
        """The shared weights and what trains them, made when they are asked for first; nothing else is drawn."""
        if self._shared is None:
            before = rng_snapshot()
            self._shared = _Shared(self)
            rng_restore(before)
        return self._shared

    def check(self, code: tuple[int, ...]) -> None:
        """Raise now if there is no supernet of this space."""
        self.shared.supernet.assignment_of(code)

    def loss_of(self, code: Code) -> Any:
        """Return the training loss of an architecture as a function of weights and a batch."""
        shared, task = self.shared, self.training_task.to(torch.device(self.how.device))
        graph, path = shared.graph, shared.supernet.assignment_of(code)

        def loss(weights: Mapping[str, Tensor], batch: Any) -> Tensor:
            with assigned(path), at_weights(graph, weights):
                outputs = task.forward(graph, batch)
            return task.weight_loss(outputs, batch)

        return loss

    def shared_step(self, code: Code) -> None:
        """Let the shared weights take a step on a path.

        Raises:
            TrialFailed: If the loss is not finite; the weights stay as they are.
        """
        shared, how = self.shared, self.how
        weights = shared.weights
        with training_mode(shared.graph):
            batches = [shared.train.next_cycling() for _ in range(self.shared_surrogate_steps)]
            of_weights, of_rates, loss = mepa_gradient(
                self.loss_of(code),
                weights,
                batches,
                shared.train.next_cycling(),
                shared.rates,
                second_order=self.second_order,
            )
        if not torch.isfinite(loss):
            raise TrialFailed("the loss of the shared weights became NaN or infinite; a smaller rate may help")
        for weight, gradient in zip(weights.values(), of_weights, strict=True):
            weight.grad = gradient
        if how.grad_clip:
            nn.utils.clip_grad_norm_(weights.values(), how.grad_clip)
        shared.sgd.step()
        shared.sgd.zero_grad(set_to_none=True)
        shared.rates.learn(of_rates)
        self.steps += 1

    def uniform_path(self, number: int) -> Code:
        """Return the uniform path of step `number` of the shared weights: a function of the seed of the run."""
        return self.shared.supernet.paths.random(Random(derive_seed(self.seed, "mepa path", number)))

    # a trial

    def evaluate(self, trial: Trial, should_stop: ShouldStop = never) -> Outcome:
        """Score an architecture, then train the shared weights; the global generators are left as they were.

        Raises:
            TrialFailed: If a loss is not finite.
            TrialStopped: If it was given up; the shared weights are as before the trial, and keep their warm-up.
        """
        started = time.perf_counter()
        before, shared = rng_snapshot(), self.shared
        try:
            self._warm_up(should_stop)
            set_seed(trial.seed if trial.seed is not None else derive_seed(self.seed, "trial", trial.number))
            places = shared.places()
            try:
                score = self._score(trial.code, should_stop)
            except TrialStopped:
                shared.go_to(places)
                raise
            for _ in range(self.shared_steps):
                self.shared_step(trial.code if self.shared_paths == "trial" else self.uniform_path(self.steps))
        finally:
            rng_restore(before)
        found = {**score.by_name(), "loss": score.loss}
        values = [found[objective.name] for objective in self.objectives]
        if any(value is None for value in values):
            raise TrialFailed("the validation part measures nothing")
        user = {**score.by_key("valid"), "shared_steps": self.steps}
        return Outcome(tuple(float(v) for v in values if v is not None), time.perf_counter() - started, user)

    def _warm_up(self, should_stop: ShouldStop) -> None:
        while self.warmed < self.warm_up:
            go_on(should_stop, self.warmed)
            set_seed(derive_seed(self.seed, "mepa warm-up", self.warmed))
            self.shared_step(self.uniform_path(self.steps))
            self.warmed += 1

    def adapted(self, code: Code, should_stop: ShouldStop = never) -> dict[str, Tensor]:
        """Return the weights of an architecture after surrogate steps on the next training batches.

        By name, of any shape `(...)`.
        """
        shared = self.shared
        with training_mode(shared.graph):
            batches = (shared.train.next_cycling() for _ in range(self.surrogate_steps))
            found = after_surrogate_steps(
                self.loss_of(code), shared.weights, _asking(batches, should_stop), shared.rates.of
            )
        return {name: weight.detach() for name, weight in found.items()}

    def _score(self, code: Code, should_stop: ShouldStop) -> Any:
        weights, shared = self.adapted(code, should_stop), self.shared
        device = torch.device(self.how.device)
        task, meter = self.task.to(device), self.task.meter(device)
        amp = torch.autocast(device.type, torch.bfloat16, enabled=self.how.amp)
        path = assigned(shared.supernet.assignment_of(code))
        with torch.no_grad(), path, at_weights(shared.graph, weights), amp, measurement_mode(shared.graph):
            for step, batch in enumerate(self._to_score_on()):
                go_on(should_stop, step)
                outputs = task.forward(shared.graph, batch)
                meter.update(outputs, batch, task.loss(outputs, batch), step)
        check_finite(meter, "the validation loss became NaN or infinite in")
        return meter.read()

    def _to_score_on(self) -> Iterator[Any]:
        if self.valid_batches is None:
            device = torch.device(self.how.device)
            return on_device(self.valid, "validation", 0, self.task, device, self.how.channels_last)
        return (self.shared.valid.next_cycling() for _ in range(self.valid_batches))

    # checkpoints

    def state_dict(self) -> dict[str, Any]:
        """Return the shared weights, what trains them, and the place in the batches."""
        shared = self.shared
        return {
            "graph": shared.graph.state_dict(),
            "sgd": shared.sgd.state_dict(),
            "rates": shared.rates.state_dict(),
            "train": shared.train.state_dict(),
            "valid": shared.valid.state_dict(),
            "steps": self.steps,
            "warmed": self.warmed,
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state.

        Raises:
            CheckpointError: If something is missing.
        """
        missing = [name for name in _STATE if name not in state_dict]
        if missing:
            raise CheckpointError(f"the checkpoint lacks {', '.join(missing)} of the evaluator mepa")
        shared = self.shared
        shared.graph.load_state_dict(state_dict["graph"])
        shared.sgd.load_state_dict(state_dict["sgd"])
        shared.rates.load_state_dict(state_dict["rates"])
        shared.go_to((state_dict["train"], state_dict["valid"]))
        self.steps, self.warmed = int(state_dict["steps"]), int(state_dict["warmed"])

    def describe(self) -> dict[str, Any]:
        """Return what must be the same for values to be of the same evaluator."""
        names = (
            *("surrogate_steps", "surrogate_lr", "rate_lr", "second_order", "shared_surrogate_steps"),
            *("shared_steps", "shared_paths", "warm_up", "valid_batches"),
        )
        own = {name: getattr(self, name) for name in names}
        return {**super().describe(), **own, "run": str(self.run), "task": repr(self.task)}


class _Shared:
    """The weights that all architectures share, what trains them, and the place in the batches."""

    def __init__(self, evaluator: MepaEvaluator) -> None:
        how, device = evaluator.how, torch.device(evaluator.how.device)
        if evaluator.run is None:
            set_seed(derive_seed(evaluator.seed, "mepa weights"))
            kind: Any = OPTIMIZERS.get("random_nas")
            supernet: WeightSharingOptimizer = kind()
            supernet.adapt_search_space(evaluator.space)
            supernet.device = device
            supernet.before_training()
        else:
            supernet = load_supernet(evaluator.run, evaluator.space, device)
        self.supernet, self.graph = supernet, supernet.graph
        if how.channels_last:
            self.graph.to(memory_format=torch.channels_last)
        self.weights = {name: weight for name, weight in self.graph.named_parameters() if weight.requires_grad}
        self.sgd = torch.optim.SGD(
            self.weights.values(),
            lr=how.learning_rate,
            momentum=how.momentum,
            weight_decay=how.weight_decay,
            nesterov=how.nesterov,
        )
        steps = max(evaluator.surrogate_steps, evaluator.shared_surrogate_steps)
        like = next(iter(self.weights.values()))
        self.rates = SurrogateRates(self.weights, steps, evaluator.surrogate_lr, evaluator.rate_lr, like.detach())
        arguments = (device, how.channels_last)
        self.train = BatchCursor(evaluator.train, *arguments, "training", evaluator.task)
        self.valid = BatchCursor(evaluator.valid, *arguments, "validation", evaluator.task)

    def places(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return self.train.state_dict(), self.valid.state_dict()

    def go_to(self, places: tuple[Mapping[str, Any], Mapping[str, Any]]) -> None:
        self.train.load_state_dict(dict(places[0]))
        self.valid.load_state_dict(dict(places[1]))


@contextmanager
def training_mode(graph: Graph) -> Iterator[None]:
    """Let a network train with the statistics of the batch, and leave the running ones alone."""
    was = graph.training
    graph.train()
    try:
        with frozen_batch_norm_statistics(graph):
            yield
    finally:
        graph.train(was)


def _asking(batches: Iterator[Any], should_stop: ShouldStop) -> Iterator[Any]:
    for step, batch in enumerate(batches):
        go_on(should_stop, step)
        yield batch
