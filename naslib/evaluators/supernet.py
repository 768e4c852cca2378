"""SupernetEvaluator: values by the weights that a search of paths has trained for all architectures at once."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import yaml

from naslib.errors import CheckpointError, ConfigError, DataError, TrialFailed
from naslib.history import Outcome, Trial
from naslib.optimizers import OPTIMIZERS
from naslib.optimizers.oneshot.paths.scoring import evaluation_mode, recalibrated
from naslib.optimizers.oneshot.paths.weight_sharing import WeightSharingOptimizer
from naslib.search_spaces.core.assignment import assigned
from naslib.search_spaces.core.batch_norm import batch_norm_modules
from naslib.search_spaces.core.graph import Graph
from naslib.tasks import Classification, Task
from naslib.training.checkpoint import read_newest
from naslib.training.phase import load_model_only
from naslib.utils.seeding import rng_restore, rng_snapshot

from .base import Evaluator, ShouldStop, choose_objectives, never
from .batches import on_device
from .train import TrainingOfTrials, check_finite, go_on, measured_of

_ALIASES = {"VAL_ACCURACY": "accuracy", "VAL_LOSS": "loss"}


class SupernetEvaluator(Evaluator):
    """Score architectures on the validation part with the weights of a supernet that was trained path by path.

    The supernet is that of a finished or running search of `random_nas`, `spos`, `fair_nas`, `one_shot` or another
    method of paths, on the same space and sizes. Nothing is trained; all trials have the same fidelity.

    Args:
        space: The search space; not changed.
        train: Batches for the recalibration of batch norm.
        valid: Batches to score on.
        how: Device, memory format and autocast.
        task: What learning means; classification if None.
        objectives: Names of scores of the task, or `loss`; the first score if None.
        seed: Of no effect: nothing is drawn.
        run: The run folder of the search that trained the supernet.
        recalibration: On how many training batches the statistics of batch norm are estimated anew for every
            architecture; 0 keeps those of the supernet.

    Raises:
        DataError: Without a validation part.
        ConfigError: If the run is of a method that trains no paths.
        CheckpointError: If there is no checkpoint, or it is of another space.
    """

    fidelity = 0
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
        run: str,
        recalibration: int = 0,
    ) -> None:
        if valid is None:
            raise DataError("the evaluator `supernet` scores on a validation part: set search.train_portion below 1")
        if recalibration < 0:
            raise ConfigError(f"search.evaluator_args.recalibration must not be negative, got {recalibration}")
        as_eval = getattr(valid, "as_eval", None)
        self.space, self.train, self.valid = space, train, as_eval() if callable(as_eval) else valid
        self.how = how if how is not None else TrainingOfTrials()
        self.task = (task if task is not None else Classification()).plain()
        self.run, self.recalibration = Path(run), recalibration
        scores = {name: o for name, o in measured_of(self.task).items() if name not in ("params", "flops")}
        self.objectives = choose_objectives(objectives, scores, _ALIASES)
        self._supernet: WeightSharingOptimizer | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave the supernet out: a worker loads it by itself."""
        return {**vars(self), "_supernet": None}

    def supernet(self) -> WeightSharingOptimizer:
        """Return the supernet with the weights of the run's newest checkpoint."""
        if self._supernet is None:
            before = rng_snapshot()
            self._supernet = load_supernet(self.run, self.space, torch.device(self.how.device))
            rng_restore(before)
        return self._supernet

    def check(self, code: tuple[int, ...]) -> None:
        """Raise now if there is no supernet of this space in the run."""
        self.supernet().assignment_of(code)

    @torch.no_grad()
    def evaluate(self, trial: Trial, should_stop: ShouldStop = never) -> Outcome:
        """Score an architecture; the supernet is left as it was.

        Raises:
            TrialFailed: If the loss is not finite.
            TrialStopped: If it was given up.
        """
        started = time.perf_counter()
        supernet, how = self.supernet(), self.how
        device = torch.device(how.device)
        task, graph = self.task.to(device), supernet.graph
        meter = task.meter(device)
        norms = [norm for norm in batch_norm_modules(graph) if norm.track_running_stats] if self.recalibration else []
        amp = torch.autocast(device.type, torch.bfloat16, enabled=how.amp)
        path = assigned(supernet.assignment_of(trial.code))
        with path, amp, evaluation_mode(graph), recalibrated(norms) as anew:
            if anew:
                with _training(norms):
                    batches = on_device(self.train, "training", 0, task, device, how.channels_last)
                    for _, batch in zip(range(self.recalibration), batches, strict=False):
                        task.forward(graph, batch)
            for step, batch in enumerate(on_device(self.valid, "validation", 0, task, device, how.channels_last)):
                go_on(should_stop, step)
                outputs = task.forward(graph, batch)
                meter.update(outputs, batch, task.loss(outputs, batch), step)
        check_finite(meter, "the validation loss became NaN or infinite in")
        score = meter.read()
        found = {**score.by_name(), "loss": score.loss}
        values = [found[objective.name] for objective in self.objectives]
        if any(value is None for value in values):
            raise TrialFailed("the validation part measures nothing")
        numbers = tuple(float(value) for value in values if value is not None)
        return Outcome(numbers, time.perf_counter() - started, score.by_key("valid"))

    def describe(self) -> dict[str, Any]:
        """Return what must be the same for values to be of the same evaluator."""
        own = {"run": str(self.run), "recalibration": self.recalibration, "task": repr(self.task)}
        return {**super().describe(), **own}


def load_supernet(run: Path, space: Graph, device: torch.device) -> WeightSharingOptimizer:
    """Return the supernet of a run, adapted and with its weights.

    Args:
        run: The run folder.
        space: The space that the search is on.
        device: Where it goes.

    Raises:
        ConfigError: If the method of the run trains no paths.
        CheckpointError: If there is no checkpoint, or it is of another space.
    """
    path = run / "config.yaml"
    if not path.is_file():
        raise CheckpointError(f"search.evaluator_args.run: {run} is no run folder (it has no config.yaml)")
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    kind = OPTIMIZERS.get(config["optimizer"])
    if not issubclass(kind, WeightSharingOptimizer):
        able = sorted(name for name in OPTIMIZERS if issubclass(OPTIMIZERS.get(name), WeightSharingOptimizer))
        raise ConfigError(
            f"search.evaluator_args.run: {run} is a search of {config['optimizer']}, whose supernet is no set of "
            f"paths; the evaluator supernet takes one of {', '.join(able)}"
        )
    used, state = read_newest(run / "search")
    then = state["run"]["fingerprint"]
    if then["search_space"] != space.get_type():
        raise CheckpointError(
            f"search.evaluator_args.run: {used} is of the space {then['search_space']}, this search of "
            f"{space.get_type()}"
        )
    supernet = kind(**config["search"])
    supernet.adapt_search_space(type(space)(**then["space arguments"]), then["dataset"])
    supernet.device = device
    supernet.before_training()
    load_model_only(supernet.get_checkpointables(), state, used)
    return supernet


@contextmanager
def _training(norms: Sequence[Any]) -> Iterator[None]:
    """Let norms take the statistics of the batches inside."""
    for norm in norms:
        norm.train()
    try:
        yield
    finally:
        for norm in norms:
            norm.eval()
