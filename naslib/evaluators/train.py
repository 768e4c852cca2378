"""TrainEvaluator: values by training the architecture for some epochs and scoring it on the validation part."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import torch
from torch import nn

from naslib.errors import ConfigError, DataError, TrialFailed, TrialStopped
from naslib.history import Objective, Outcome, State, Trial
from naslib.search_spaces.core.flops import count_macs
from naslib.search_spaces.core.fresh_network import fresh_network
from naslib.search_spaces.core.graph import Graph
from naslib.tasks import Classification, Measured, Meter, Task
from naslib.training.lengths import length_of
from naslib.training.loaders import image_shape
from naslib.training.named_schedules import build_schedule
from naslib.training.randomness import LoaderState
from naslib.training.schedule import Schedule, scaled_rate
from naslib.utils.meters import count_parameters_in_MB
from naslib.utils.seeding import derive_seed, rng_restore, rng_snapshot, set_seed

from .base import Evaluator, ShouldStop, choose_objectives, never
from .batches import on_device
from .inheritance import KEEP, NOISE, Inheritance
from .paused import PausedTrainings
from .training import Training
from .training import TrainingOfTrials as TrainingOfTrials

# Whether something asks to stop is looked up after as many steps: it may be a system call.
_STEPS_BETWEEN_QUESTIONS = 4
# Told of a training: the network, how many epochs are over (first 0), and what the last of them measured
Watch = Callable[[nn.Module, int, Measured | None], None]


class TrainEvaluator(Evaluator):
    """Train the network of a trial and score it on the validation part.

    A trial is a function of its code, fidelity and seed, and of the loaders as they were given: whatever they draw
    from, every trial begins with the same. Interrupted, it begins anew with the same values. The schedule of the
    learning rate is that of the longest training, so that a shorter one is the beginning of a longer; a trial that
    continues another one goes on from its weights, where these were kept, with the same outcome as without.

    Args:
        space: The search space; not changed.
        train: Batches to train on.
        valid: Batches to score on.
        how: How to train.
        task: What learning means; classification if None.
        objectives: Names of what is measured on the validation part: scores of the task, `loss`, and `params` and
            `flops` of the network in millions, also by the names of `Metric`; the first score of the task if None.
        seed: Seed of the run, for trials that have none of their own.
        epochs: Epochs of the longest training (the fidelity of a trial, where the method does not say another).
        curve: Whether to score after every epoch, and to keep the first objective as `user["curve"]`. It is done
            anyway for a trial that may be stopped early.
        network_args: Arguments of the space's `evaluation_network`, for a network of another size; None for the network
            of the space itself, with fresh weights and affine norms.
        inherit: `"morphism"` or `"names"`: the network of a trial begins with the weights of its parent's
            (`Inheritance`); None for fresh ones.
        inherit_noise: On new weights; see `Inheritance`.
        inherit_keep: How many trained networks are kept at most.

    Attributes:
        paused: Where trainings that may go on are kept; None for nowhere.
        inheritance: What lets trials inherit; None for nothing.

    Raises:
        DataError: Without a validation part.
        ConfigError: For unknown objectives, or a loss that knows no label smoothing.
    """

    can_continue = True
    is_timed = True
    own_costs = ("params", "parameters", "flops")
    has_curves = True

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
        epochs: int = 3,
        network_args: dict[str, Any] | None = None,
        curve: bool = False,
        inherit: str | None = None,
        inherit_noise: Sequence[float] = NOISE,
        inherit_keep: int = KEEP,
    ) -> None:
        if valid is None:
            raise DataError(
                "the evaluator `train` scores trials on a validation part, and there is none: set search.train_portion "
                "below 1, or give the Trainer a valid_loader"
            )
        if epochs < 1:
            raise ConfigError(f"search.evaluator_args.epochs must be at least 1, not {epochs}")
        as_eval = getattr(valid, "as_eval", None)
        self.space, self.train, self.valid = space, train, as_eval() if callable(as_eval) else valid
        self.how = how if how is not None else TrainingOfTrials()
        self.seed, self.fidelity, self.network_args, self.curve = seed, int(epochs), network_args, curve
        self.paused: PausedTrainings | None = None
        given = task if task is not None else Classification()
        self.task = given.plain()
        self.training_task = given.smoothed(self.how.label_smoothing)
        self.objectives = choose_objectives(objectives, measured_of(self.task), _ALIASES)
        self.inheritance: Inheritance | None = None
        if inherit is not None:
            if network_args is not None:
                raise ConfigError("search.evaluator_args: inherit and network_args do not go together")
            maximize = self.objectives[0].maximize
            self.inheritance = Inheritance(space, inherit, inherit_noise, maximize, inherit_keep)
        self._device = torch.device(self.how.device)
        self._carried = [LoaderState(self.train), LoaderState(self.valid)]
        self._opening = [state.capture() for state in self._carried]

    def evaluate(self, trial: Trial, should_stop: ShouldStop = never, watch: Watch | None = None) -> Outcome:
        """Train and score the network of a trial; the global generators are left as they were.

        Args:
            trial: The trial.
            should_stop: Asked now and then; once it says yes, the evaluation is given up.
            watch: Called before the first epoch and after each. It changes nothing: not the weights, no generator.

        Raises:
            TrialFailed: If a loss became NaN or infinite, or memory ran out.
            TrialStopped: If it was given up.
            DataError: If the batches do not fit the task or the network.
        """
        started = time.perf_counter()
        seed = trial.seed if trial.seed is not None else derive_seed(self.seed, "trial", trial.root)
        with self._as_at_first(seed), _memory_is_limited():
            network, inherited = self._first_network(trial, seed)
            training = self._begin(network, trial)
            why = self._train(training, trial, should_stop, watch)
            score = training.score if training.score is not None else self._score(network, should_stop)
            measured = self._measure(network, score)
        user: dict[str, Any] = {**training.trained.by_key("train"), **score.by_key("valid")}
        user["params"] = measured["params"]
        if self.inheritance is not None:
            self.inheritance.keep(trial, network, measured[self.objectives[0].name])
            user.update(inherited)
        if training.curve:
            user["curve"] = training.curve
        values = tuple(measured[objective.name] for objective in self.objectives)
        state = State.COMPLETE
        if why is not None:
            state, user = State.PRUNED, {**user, **why, "epochs": training.epoch}
        return Outcome(values, time.perf_counter() - started, user, state)

    @contextmanager
    def _as_at_first(self, seed: int) -> Iterator[None]:
        """Seed everything, put the loaders back to where they began, and leave the global generators untouched."""
        before = rng_snapshot()
        self._rewind(seed)
        try:
            yield
        finally:
            rng_restore(before)

    def _rewind(self, seed: int) -> None:
        for state, opening in zip(self._carried, self._opening, strict=True):
            state.restore(opening)
        set_seed(seed)

    def _first_network(self, trial: Trial, seed: int) -> tuple[nn.Module, dict[str, Any]]:
        """Return the network of a trial before its training, and what is said of what it has inherited."""
        if self.inheritance is None:
            return self.build_network(trial.code).to(self._device), {}

        def run() -> Callable[[nn.Module], Any]:
            batch = next(self._batches(self.train, "training", 0))
            return lambda network: self.task.forward(network, batch)

        begun = self.inheritance.network(trial, seed, run, self._device)
        self._rewind(seed)
        if begun.network is None:
            return self.build_network(trial.code).to(self._device), {"inherited": None, "inheritance": begun.how}
        if self.how.channels_last:
            begun.network.to(memory_format=torch.channels_last)
        return begun.network, {"inherited": trial.parent, "inheritance": begun.how}

    def check(self, code: tuple[int, ...]) -> None:
        """Raise now if a network cannot have the size asked for.

        Raises:
            ConfigError: If `network_args` do not fit the space.
            UnsupportedBySpaceError: If its networks have one size.
        """
        try:
            self.build_network(code)
        except TypeError as error:
            if self.network_args is None:
                raise
            raise ConfigError(
                f"search.evaluator_args.network_args do not fit {self.space.get_type()}: {error}"
            ) from error

    def build_network(self, code: tuple[int, ...]) -> nn.Module:
        """Return the network of an architecture, with fresh weights."""
        network = fresh_network(self.space, code, self.network_args)
        if self.how.channels_last:
            network.to(memory_format=torch.channels_last)
        return network

    def _begin(self, network: nn.Module, trial: Trial) -> Training:
        """Return the training of a trial as it is when it begins, or where the one ended that it continues."""
        how = self.how
        optimizer = torch.optim.SGD(
            network.parameters(),
            lr=how.learning_rate,
            momentum=how.momentum,
            weight_decay=how.weight_decay,
            nesterov=how.nesterov,
        )
        schedule = self._schedule(optimizer, max(trial.fidelity, self.fidelity))
        training = Training(network, optimizer, schedule, self.training_task.to(self._device), self._carried)
        before = self.paused.load(trial, self._device) if self.paused is not None and trial.from_epoch else None
        if before is not None and (not self._is_watched(trial) or len(before["curve"]) == before["epoch"]):
            training.load_state_dict(before)
        return training

    def _train(
        self, training: Training, trial: Trial, should_stop: ShouldStop, watch: Watch | None
    ) -> Mapping[str, Any] | None:
        """Train up to the fidelity of the trial, and return why not if it was stopped early."""
        why = None
        if watch is not None and training.epoch == 0:
            watch(training.network, 0, None)
        while training.epoch < trial.fidelity and why is None:
            self._train_epoch(training, should_stop)
            if watch is not None:
                watch(training.network, training.epoch, training.trained)
            if self._is_watched(trial):
                training.score = self._score_aside(training.network, should_stop)
                training.curve.append(self._first_objective(training.network, training.score))
                if trial.stopping is not None and training.epoch < trial.fidelity:
                    why = trial.stopping(training.curve)
        if self.paused is not None:
            if why is None and trial.fidelity < self.fidelity:
                self.paused.save(trial, training.state_dict())
            self.paused.drop(trial)
        return why

    def _is_watched(self, trial: Trial) -> bool:
        return self.curve or trial.stopping is not None

    def _train_epoch(self, training: Training, should_stop: ShouldStop) -> None:
        how, task, network, optimizer = self.how, training.task, training.network, training.optimizer
        meter = task.meter(self._device)
        parameters = list(network.parameters())
        epoch = training.epoch
        network.train()
        for step, batch in enumerate(self._batches(self.train, "training", epoch)):
            go_on(should_stop, step)
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast(self._device.type, torch.bfloat16, enabled=how.amp):
                outputs = task.forward(network, batch)
                if epoch == step == 0:
                    _check_fit(task, outputs, batch)
                loss = task.weight_loss(outputs, batch)
            loss.backward()
            if how.grad_clip:
                nn.utils.clip_grad_norm_(parameters, how.grad_clip)
            with scaled_rate(optimizer, task.rate_share(batch)):
                optimizer.step()
            meter.update(outputs, batch, loss.detach(), step)
            training.schedule.after_step()
        check_finite(meter, f"the training loss became NaN or infinite in epoch {epoch},")
        training.trained = meter.read()
        training.schedule.after_epoch(training.trained, training.trained)
        training.epoch += 1

    def _score_aside(self, network: nn.Module, should_stop: ShouldStop) -> Measured:
        """Score in the middle of a training, which goes on as if nothing had happened."""
        drawn, loaded = rng_snapshot(), [state.capture() for state in self._carried]
        score = self._score(network, should_stop)
        for state, now in zip(self._carried, loaded, strict=True):
            state.restore(now)
        rng_restore(drawn)
        return score

    def _first_objective(self, network: nn.Module, score: Measured) -> float:
        name = self.objectives[0].name
        found: dict[str, float | None] = {**score.by_name(), "loss": score.loss}
        value = found[name] if name in found else self._measure(network, score)[name]
        return float("nan") if value is None else float(value)

    def _batches(self, loader: Any, name: str, epoch: int) -> Iterator[Any]:
        return on_device(loader, name, epoch, self.task, self._device, self.how.channels_last)

    def _schedule(self, optimizer: torch.optim.Optimizer, epochs: int) -> Schedule:
        how = self.how
        scheduler = build_schedule(
            optimizer,
            how.scheduler,
            max(epochs, 1),
            rate_min=how.learning_rate_min,
            arguments=how.scheduler_args,
            warmup_epochs=how.warmup_epochs,
            steps_per_epoch=length_of(self.train),
        )
        return Schedule(scheduler, optimizer, max(epochs, 1), validates=True)

    @torch.no_grad()
    def _score(self, network: nn.Module, should_stop: ShouldStop) -> Measured:
        """Return what the validation part says."""
        task = self.task.to(self._device)
        meter = task.meter(self._device)
        network.eval()
        for step, batch in enumerate(self._batches(self.valid, "validation", 0)):
            go_on(should_stop, step)
            with torch.autocast(self._device.type, torch.bfloat16, enabled=self.how.amp):
                outputs = task.forward(network, batch)
                loss = task.loss(outputs, batch)
            meter.update(outputs, batch, loss, step)
        check_finite(meter, "the validation loss became NaN or infinite in")
        return meter.read()

    def _measure(self, network: nn.Module, score: Measured) -> dict[str, float]:
        """Return everything that is measured, by name; FLOPs only where they are asked for."""
        found: dict[str, float | None] = {**score.by_name(), "loss": score.loss}
        found["params"] = count_parameters_in_MB(network)
        if any(objective.name == "flops" for objective in self.objectives):
            found["flops"] = count_macs(network, image_shape(self.valid))
        return {name: float("nan") if value is None else float(value) for name, value in found.items()}

    def describe(self) -> dict[str, Any]:
        """Return what must be the same for values to be of the same evaluator."""
        how = {key: value for key, value in asdict(self.how).items() if key != "device"}
        own = {"epochs": self.fidelity, "network_args": self.network_args, "task": repr(self.task)}
        if self.inheritance is not None:  # left out otherwise, so that earlier runs go on
            own["inherit"] = self.inheritance.describe()
        return {**super().describe(), **own, **how}


_ALIASES = {"VAL_ACCURACY": "accuracy", "VAL_LOSS": "loss", "PARAMETERS": "params"}


def measured_of(task: Task) -> dict[str, Objective]:
    """Return what can be measured, the deciding score of the task first."""
    sizes = (Objective("loss", False), Objective("params", False, "M"), Objective("flops", False, "M"))
    scores = [Objective(score.name, score.maximize, score.unit) for score in task.scores]
    return {objective.name: objective for objective in (*scores, *sizes)}


@contextmanager
def _memory_is_limited() -> Iterator[None]:
    """Turn the errors of torch and Python for memory that ran out into that of a trial."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        text = (str(error) or type(error).__name__).splitlines()[0]
        is_memory = isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in text
        if not is_memory:
            raise
        raise TrialFailed(f"out of memory: {text}") from error


def go_on(should_stop: ShouldStop, step: int) -> None:
    """Raise at some steps, of which the first is one, if something asks to stop.

    Raises:
        TrialStopped: If it does.
    """
    if step % _STEPS_BETWEEN_QUESTIONS == 0 and should_stop():
        raise TrialStopped("the evaluation was given up; it begins anew when the search goes on")


def _check_fit(task: Task, outputs: Any, batch: Any) -> None:
    problems = task.batch_problems(batch) or task.output_problems(outputs, batch)
    if problems:
        raise DataError(f"the training batches do not fit the task {type(task).__name__}: {'; '.join(problems)}")


def check_finite(meter: Meter, what: str) -> None:
    """Raise if a loss that a meter saw was not finite.

    Raises:
        TrialFailed: Naming the step.
    """
    step = meter.first_bad_step()
    if step is not None:
        raise TrialFailed(f"{what} step {step} (counted from 0)")
