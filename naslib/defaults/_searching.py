"""The search of a Trainer: on batches, or by evaluating one architecture after the other."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import torch

from naslib.evaluators import Evaluator, TrialSearch
from naslib.history import FILE_NAME
from naslib.optimizers.discrete.base import DiscreteOptimizer
from naslib.tasks import Score
from naslib.training.arch_weights import record_of
from naslib.training.checkpoint import read_newest
from naslib.training.environment import describe_environment
from naslib.training.history import HistoryFile, SearchHistory
from naslib.training.loaders import BatchCursor, OnePass
from naslib.training.loop import EpochLoop, LoopSettings
from naslib.training.phase import Phase, resume
from naslib.training.plain import describe_values
from naslib.training.progress import describe_peak_memory, format_seconds
from naslib.training.run_record import RunRecord
from naslib.training.schedule import Schedule
from naslib.training.search_loop import BlackBoxSearch, SearchOutputs, SearchTask, finish_search
from naslib.training.space_record import describe_search
from naslib.utils.attrdict import AttrDict
from naslib.utils.log import get_logger
from naslib.utils.seeding import rng_restore, rng_snapshot

from ._settings import TrainerSettings
from ._trials import build_evaluator, build_executor, is_table, trial_search
from .config_builders import make_schedule, search_schedule

logger = get_logger(__name__)


class SearchSide(TrainerSettings):
    """What a Trainer does to search."""

    folder: Path
    epochs: int
    lightweight_output: bool
    search_seconds: float
    _history: SearchHistory
    record: RunRecord
    _searched: bool
    _writer: Any

    @property
    def search_trajectory(self) -> AttrDict:
        """What the search measured so far, as lists by name."""
        return self._history.trajectory

    def _search(self, resume_from: str, after_epoch: Callable[[int], Any] | None, report_incumbent: bool) -> None:
        by_replay = Path(resume_from).name == FILE_NAME  # before the first checkpoint there is the history alone
        saved = read_newest(resume_from) if resume_from and not by_replay else None
        self.optimizer.device = self.device
        scores: tuple[Score, ...] = ()
        loaders = None
        if self.optimizer.using_step_function:
            self._settle_threads(saved)
            loaders = self._loaders(self.build_search_dataloaders, saved, self.epochs)
            self._seen += loaders[:2]  # the search compares their first batches itself, before a step
            scores = self.settle_task().scores
        self._history = SearchHistory(self.optimizer.get_model_size(), scores)
        self.optimizer.before_training()
        self.record.write_environment(self.device)
        outputs = self._search_outputs()
        if loaders is not None:
            self._search_on_batches(outputs, saved, after_epoch, loaders)
        else:
            self._search_black_box(outputs, saved, after_epoch, report_incumbent)
        self.optimizer.after_training()
        self._searched = True
        self.search_trajectory["params"] = self.optimizer.get_model_size()
        finish_search(outputs, self.folder)
        logger.info(
            "searched %d %ss in %s%s",
            len(self._history), self._unit(), format_seconds(self.search_seconds), describe_peak_memory(self.device),
        )  # fmt: skip

    def _search_outputs(self) -> SearchOutputs:
        plain = describe_values(self.config)
        file = HistoryFile(self.folder / "errors.json", self._history, plain, self.lightweight_output)
        recorded = record_of(self.optimizer) if self.config.search.get("save_arch_weights", True) else None
        return SearchOutputs(self._history, file, recorded, self._writer)

    def _search_phase(self, outputs: SearchOutputs, scheduler: Any = None) -> Phase:
        def checkpointables() -> dict[str, Any]:
            found = dict(self.optimizer.get_checkpointables())
            return {**found, "scheduler": scheduler} if scheduler is not None else found

        parts: dict[str, Any] = {"history": outputs.history}
        if outputs.arch_weights is not None:
            parts["arch_weights"] = outputs.arch_weights
        if self.optimizer.task.state_dict():
            parts["task"] = self.optimizer.task
        return Phase(
            folder=self.folder / "search",
            checkpointables=checkpointables,
            parts=parts,
            fingerprint=describe_search(self.optimizer, self.config.dataset),
            environment=describe_environment(self.device, self._seed()),
            settings={"seed": self._seed(), **describe_values(self.config.search)},
            unit=self._unit(),
        )

    def _search_on_batches(
        self,
        outputs: SearchOutputs,
        saved: Any,
        after_epoch: Callable[[int], Any] | None,
        loaders: tuple[Any, Any, Any],
    ) -> None:
        channels_last, task = self._channels_last(), self.optimizer.task
        if channels_last and self.optimizer.is_adapted:
            self.optimizer.graph.to(memory_format=torch.channels_last)
        weights = getattr(self.optimizer, "op_optimizer", None)
        make = partial(make_schedule, self.build_search_scheduler, weights, self.config, "search", loaders[0])
        scheduler, remake = search_schedule(self.optimizer, self.config.search, make)
        schedule = Schedule(scheduler, weights, self.epochs, validates=loaders[1] is not None)
        phase = self._search_phase(outputs, scheduler)
        train = BatchCursor(loaders[0], self.device, channels_last, "training", task)
        valid = None
        if loaders[1] is not None:
            arguments = (loaders[1], self.device, channels_last, "validation", task)
            valid = phase.parts["valid_batches"] = BatchCursor(*arguments)
        chosen_on = loaders[0] if loaders[1] is None else loaders[1]
        passes = [OnePass(loader, self.device, channels_last, task=task) for loader in (loaders[0], chosen_on)]
        steps = SearchTask(self.optimizer, valid, schedule, outputs, self.epochs, (passes[0], passes[1]))
        settings = LoopSettings(self.epochs, int(self.config.search.checkpoint_freq), self._steps())
        loop = EpochLoop(steps, phase, train, settings, after_epoch)
        self.optimizer.expect_steps(train.length)
        start = resume(phase, saved, steps.begin_epoch)
        before = saved[1]["run"]["settings"] if saved is not None else {}
        schedule.refit(before, phase.settings, start, train.length, remake)
        try:
            loop.run(start)
        finally:
            self.search_seconds = phase.seconds

    def _search_black_box(
        self, outputs: SearchOutputs, saved: Any, after_epoch: Callable[[int], Any] | None, report_incumbent: bool
    ) -> None:
        phase = self._search_phase(outputs)
        settings = LoopSettings(self.epochs, int(self.config.search.checkpoint_freq))
        with ExitStack() as stack:
            trials = None
            if isinstance(self.optimizer, DiscreteOptimizer):
                evaluator = self._evaluator_of(self.optimizer, saved)
                if evaluator.carries_state:
                    phase.parts["evaluator"] = evaluator  # type: ignore[assignment]
                trials = stack.enter_context(self._trial_search(self.optimizer, evaluator, phase.fingerprint))
            search = BlackBoxSearch(self.optimizer, phase, outputs, settings, report_incumbent, after_epoch, trials)
            start = resume(phase, saved, lambda epoch: None)
            try:
                search.run(start)
            finally:
                self.search_seconds = phase.seconds

    def _trial_search(
        self, optimizer: DiscreteOptimizer, evaluator: Evaluator, fingerprint: dict[str, Any]
    ) -> AbstractContextManager[TrialSearch]:
        """Return the search of a method that evaluates trials."""
        about = {**fingerprint, "seed": self._seed()}
        return trial_search(optimizer, self.config, self.folder, about, evaluator)

    def _evaluator_of(self, optimizer: DiscreteOptimizer, saved: Any) -> Evaluator:
        """Return the evaluator, once the number of threads is settled."""
        if not is_table(optimizer):
            self._settle_threads(saved)
        return self._evaluator(optimizer, saved)

    def _evaluator(self, optimizer: DiscreteOptimizer, saved: Any) -> Evaluator:
        loaders = partial(self._loaders, self.build_search_dataloaders, saved)
        return build_evaluator(optimizer, self.config, loaders, lambda: self.task, self.device, self._channels_last())

    def check_trials(self) -> None:
        """Raise now, before there is a run folder, if the trials of the search could not be evaluated.

        Raises:
            ConfigError: If the evaluator or the executor cannot be had as the config says.
            DataError: If it lacks data.
        """
        if not isinstance(self.optimizer, DiscreteOptimizer):
            return
        evaluator = self._evaluator(self.optimizer, None)
        if not is_table(self.optimizer):
            self.optimizer.check_evaluator(evaluator)
        random_state = rng_snapshot()
        evaluator.check(self.optimizer.codec.random(Random(0)))
        rng_restore(random_state)
        build_executor(self.config, evaluator).close()
