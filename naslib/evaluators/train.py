"""TrainEvaluator: values by training the architecture for some epochs and scoring it on the validation part."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import nn

from naslib.errors import DataError, TrialFailed, TrialStopped
from naslib.history import Objective, Outcome, Trial
from naslib.search_spaces.core.batch_norm import use_running_statistics
from naslib.search_spaces.core.flops import count_macs
from naslib.search_spaces.core.graph import Graph
from naslib.training.evaluate import forward_with_auxiliary, test, with_label_smoothing
from naslib.training.lengths import length_of
from naslib.training.loaders import BatchCursor, image_shape
from naslib.training.metrics import Meter, Score
from naslib.training.named_schedules import build_schedule
from naslib.training.randomness import LoaderState
from naslib.training.schedule import Schedule
from naslib.utils.meters import count_parameters_in_MB
from naslib.utils.seeding import derive_seed, rng_restore, rng_snapshot, set_seed

from .base import Evaluator, ShouldStop, choose_objectives, never

# Whether something asks to stop is looked up after as many steps: it may be a system call.
_STEPS_BETWEEN_QUESTIONS = 4


@dataclass(frozen=True)
class TrainingOfTrials:
    """How the network of a trial is trained.

    Attributes:
        learning_rate: Of SGD, at the first epoch.
        learning_rate_min: At the last, by a cosine.
        momentum: Of SGD.
        weight_decay: Of SGD.
        nesterov: Whether the momentum is Nesterov's.
        grad_clip: Largest norm of the gradient; 0 or None for no clipping.
        label_smoothing: Share of each label that the training loss spreads over all classes.
        scheduler: Learning-rate schedule by name.
        scheduler_args: Its arguments.
        warmup_epochs: Epochs in which the rate rises linearly.
        amp: Whether forwards run under bfloat16 autocast.
        device: Where it is trained.
        channels_last: Memory format of images.
    """

    learning_rate: float = 0.025
    learning_rate_min: float = 0.001
    momentum: float = 0.9
    weight_decay: float = 3e-4
    nesterov: bool = False
    grad_clip: float | None = 5.0
    label_smoothing: float = 0.0
    scheduler: str = "cosine"
    scheduler_args: Mapping[str, Any] = field(default_factory=dict)
    warmup_epochs: int = 0
    amp: bool = False
    device: str = "cpu"
    channels_last: bool = False


class TrainEvaluator(Evaluator):
    """Train the network of a trial from scratch and score it on the validation part.

    A trial is a function of its code, fidelity and seed, and of the loaders as they were given: whatever they draw
    from, every trial begins with the same. Interrupted, it begins anew with the same values.

    Args:
        space: The search space; not changed.
        train: Batches to train on.
        valid: Batches to score on.
        how: How to train.
        objectives: Names of what is measured: `accuracy`, `loss` (both of the validation part), `params`, `flops` (both
            in millions), also by the names of `Metric`; the accuracy if None.
        seed: Seed of the run, for trials that have none of their own.
        epochs: Epochs of training (the fidelity of a trial, where the method does not say another).
        network_args: Arguments of the space's `evaluation_network`, for a network of another size; None for the network
            of the space itself, with fresh weights and affine norms.

    Raises:
        DataError: Without a validation part.
        ConfigError: For unknown objectives, or a loss that knows no label smoothing.
    """

    def __init__(
        self,
        space: Graph,
        train: Any,
        valid: Any,
        how: TrainingOfTrials | None = None,
        objectives: Sequence[str] | None = None,
        seed: int = 0,
        *,
        epochs: int = 3,
        network_args: dict[str, Any] | None = None,
    ) -> None:
        if valid is None:
            raise DataError(
                "the evaluator `train` scores trials on a validation part, and there is none: set search.train_portion "
                "below 1, or give the Trainer a valid_loader"
            )
        as_eval = getattr(valid, "as_eval", None)
        self.space, self.train, self.valid = space, train, as_eval() if callable(as_eval) else valid
        self.how = how if how is not None else TrainingOfTrials()
        self.seed, self.fidelity, self.network_args = seed, int(epochs), network_args
        self.loss = space.get_loss_fn()
        self._training_loss = with_label_smoothing(self.loss, self.how.label_smoothing)
        self.objectives = choose_objectives(objectives, _MEASURED, _ALIASES)
        self._device = torch.device(self.how.device)
        self._carried = [LoaderState(self.train), LoaderState(self.valid)]
        self._opening = [state.capture() for state in self._carried]

    def evaluate(self, trial: Trial, should_stop: ShouldStop = never) -> Outcome:
        """Train and score the network of a trial; the global generators are left as they were.

        Raises:
            TrialFailed: If the loss became NaN or infinite, or memory ran out.
            TrialStopped: If it was given up.
        """
        started = time.perf_counter()
        seed = trial.seed if trial.seed is not None else derive_seed(self.seed, "trial", trial.number)
        with self._as_at_first(seed):
            try:
                network = self.build_network(trial.code).to(self._device)
                trained = self._train(network, trial.fidelity, should_stop)
                score = self._test(network, should_stop)
            except torch.OutOfMemoryError as error:
                raise TrialFailed(f"out of memory: {str(error).splitlines()[0]}") from error
            measured = self._measure(network, score)
        user = {"train_loss": trained.loss, "train_accuracy": trained.top1, "valid_loss": score.loss}
        values = tuple(measured[objective.name] for objective in self.objectives)
        return Outcome(values, time.perf_counter() - started, {**user, "params": measured["params"]})

    @contextmanager
    def _as_at_first(self, seed: int) -> Iterator[None]:
        """Seed everything, put the loaders back to where they began, and leave the global generators untouched."""
        before = rng_snapshot()
        for state, opening in zip(self._carried, self._opening, strict=True):
            state.restore(opening)
        set_seed(seed)
        try:
            yield
        finally:
            rng_restore(before)

    def build_network(self, code: tuple[int, ...]) -> nn.Module:
        """Return the network of an architecture, with fresh weights."""
        architecture = self.space.clone()
        architecture.set_spec(code)
        architecture.prepare_evaluation()
        architecture.parse()
        if self.network_args is not None:
            network = architecture.evaluation_network(**self.network_args)
        else:
            network = Graph.evaluation_network(architecture)
        if self.how.channels_last:
            network.to(memory_format=torch.channels_last)
        return use_running_statistics(network)

    def _train(self, network: nn.Module, epochs: int, should_stop: ShouldStop) -> Score:
        how, meter = self.how, Meter(self._device)
        optimizer = torch.optim.SGD(
            network.parameters(),
            lr=how.learning_rate,
            momentum=how.momentum,
            weight_decay=how.weight_decay,
            nesterov=how.nesterov,
        )
        schedule = self._schedule(optimizer, epochs)
        cursor = BatchCursor(self.train, self._device, how.channels_last, "training")
        step = self._make_step(network, optimizer)
        for epoch in range(epochs):
            network.train()
            meter.reset()
            cursor.begin(epoch)
            number = 0
            while (batch := cursor.next_in_epoch()) is not None:
                if number % _STEPS_BETWEEN_QUESTIONS == 0:
                    _go_on(should_stop)
                meter.update(*step(*batch), number)
                schedule.after_step()
                number += 1
            _check_finite(meter, epoch)
            schedule.after_epoch(meter.read(), Score(None, None, None, 0))
        return meter.read()

    def _make_step(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> Callable[..., tuple[Any, Any, Any]]:
        how, loss, parameters = self.how, self._training_loss, list(network.parameters())

        def step(images: torch.Tensor, labels: torch.Tensor) -> tuple[Any, Any, Any]:
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast(self._device.type, torch.bfloat16, enabled=how.amp):
                logits, _ = forward_with_auxiliary(network, images)
                objective = loss(logits, labels)
            objective.backward()
            if how.grad_clip:
                nn.utils.clip_grad_norm_(parameters, how.grad_clip)
            optimizer.step()
            return logits.detach(), labels, objective.detach()

        return step

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

    def _test(self, network: nn.Module, should_stop: ShouldStop) -> Score:
        _go_on(should_stop)
        how = self.how
        score = test(network, self.valid, self.loss, self._device, how.channels_last, how.amp, "validation")
        if score.loss is None or score.loss != score.loss:
            raise TrialFailed("the validation loss is NaN")
        return score

    def _measure(self, network: nn.Module, score: Score) -> dict[str, float]:
        """Return everything that is measured, by name; FLOPs only where they are asked for."""
        measured = {"accuracy": float(score.top1 or 0.0), "loss": float(score.loss or 0.0)}
        measured["params"] = count_parameters_in_MB(network)
        if any(objective.name == "flops" for objective in self.objectives):
            measured["flops"] = count_macs(network, image_shape(self.valid))
        return measured

    def describe(self) -> dict[str, Any]:
        """Return what must be the same for values to be of the same evaluator."""
        how = {key: value for key, value in asdict(self.how).items() if key != "device"}
        own = {"epochs": self.fidelity, "network_args": self.network_args}
        return {**super().describe(), **own, **how}


_MEASURED = {
    objective.name: objective
    for objective in (
        Objective("accuracy", True, "%"),
        Objective("loss", False),
        Objective("params", False, "M"),
        Objective("flops", False, "M"),
    )
}
_ALIASES = {"VAL_ACCURACY": "accuracy", "VAL_LOSS": "loss", "PARAMETERS": "params"}


def _go_on(should_stop: ShouldStop) -> None:
    if should_stop():
        raise TrialStopped("the evaluation was given up; it begins anew when the search goes on")


def _check_finite(meter: Meter, epoch: int) -> None:
    step = meter.first_bad_step()
    if step is not None:
        raise TrialFailed(f"the training loss became NaN or infinite in epoch {epoch}, step {step} (counted from 0)")
