"""The search of a Trainer: on batches, or by evaluating one architecture after the other."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import torch

from naslib.config.run_folder import nearest_run
from naslib.errors import CheckpointError, ConfigError
from naslib.evaluators import Evaluator, TrialSearch
from naslib.history import FILE_NAME
from naslib.optimizers.discrete.base import DiscreteOptimizer
from naslib.tasks import Score
from naslib.training.arch_weights import record_of
from naslib.training.checkpoint import get_last_checkpoint, read_newest, read_on_all_ranks
from naslib.training.environment import describe_environment
from naslib.training.history import HistoryFile, SearchHistory
from naslib.training.loaders import BatchCursor, OnePass
from naslib.training.loop import EpochLoop, LoopSettings
from naslib.training.memory_hint import say_memory
from naslib.training.phase import Phase, resume
from naslib.training.plain import describe_values
from naslib.training.progress import describe_peak_memory, format_seconds
from naslib.training.same_state import agree_on_state
from naslib.training.schedule import Schedule
from naslib.training.search_loop import BlackBoxSearch, SearchOutputs, SearchTask, finish_search
from naslib.training.space_record import describe_search
from naslib.utils.attrdict import AttrDict
from naslib.utils.distributed import on_main
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
    _searched: bool
    _writer: Any

    @property
    def search_trajectory(self) -> AttrDict:
        """What the search measured so far, as lists by name."""
        return self._history.trajectory

    def _search(self, resume_from: str, after_epoch: Callable[[int], Any] | None, report_incumbent: bool) -> None:
        by_replay = Path(resume_from).name == FILE_NAME  # before the first checkpoint there is the history alone
        saved = read_on_all_ranks(resume_from) if resume_from and not by_replay else None
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

    def _require_search(self) -> None:
        if not self._flag("model_path") and not self._last_checkpoint():
            raise CheckpointError(
                f"--eval-only: there is no search in {self.folder}{nearest_run(self.config)}. "
                "Run it first, or give --model-path FILE"
            )

    def _search_to_continue(self) -> str:
        """Return the checkpoint that the command line of the config asks to go on from, "" for none."""
        if self._flag("model_path"):
            return str(self._flag("model_path"))
        last = self._last_checkpoint() if self._flag("resume") else ""
        if self._flag("resume") and not last:
            logger.info("--resume: no checkpoint was written yet, so the search starts at its beginning")
        return last

    def _last_checkpoint(self) -> str:
        """Return the newest checkpoint of the search, "" for none, as rank 0 sees it."""
        return on_main(partial(get_last_checkpoint, self.config))

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
        say_memory(self.optimizer, loaders, self.device)
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
        agree_on_state(phase)
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
                if saved is None:  # a checkpoint has the controller
                    self.take_controller()
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
        def loaders(dataset: str | None = None) -> tuple[Any, Any, Any]:
            if dataset in (None, self.config.dataset):
                return self._loaders(self.build_search_dataloaders, saved)
            return self._task_loaders(dataset, saved)

        return build_evaluator(optimizer, self.config, loaders, lambda: self.task, self.device, self._channels_last())

    def _task_loaders(self, dataset: str, saved: Any) -> tuple[Any, Any, Any]:
        """Return the loaders of another data set, for a search of several tasks.

        Raises:
            ConfigError: If it has other outputs than the data set of the run, or the loaders are somebody's own.
        """
        if self._own_loaders is not None:
            raise ConfigError(
                f"search.tasks: {dataset} is a data set of the config, and the loaders are a script's own"
            )

        def build(config: Any) -> Any:
            named = config.copy()
            named["dataset"], named["dataset_args"] = dataset, {}
            return self.build_search_dataloaders(named)

        found = self._loaders(build, saved)
        info, outputs = found[0].info, self.task.output_size
        others = getattr(info, "output_size", None) or info.num_classes
        if outputs != others:
            raise ConfigError(
                f"search.tasks: {dataset} has {others} outputs, and {self.config.dataset} {outputs}: the tasks of one "
                "controller are of one search space, with one number of outputs"
            )
        return found

    def take_controller(self) -> None:
        """Let a method that goes on with the controller of another run take it over, before the search begins.

        Raises:
            CheckpointError: If there is no checkpoint in the folder.
            ConfigError: If that controller does not fit.
        """
        source = getattr(self.optimizer, "transfer_from", None)
        take = getattr(self.optimizer, "take_controller", None)
        if source is None or take is None:
            return
        folder = Path(source)
        if not (folder / "config.yaml").is_file():
            raise CheckpointError(f"search.transfer_from: {source} is no run folder (it has no config.yaml)")
        used, state = read_newest(folder / "search")
        take(state, str(used))

    def check_trials(self) -> None:
        """Raise now, before there is a run folder, if the trials of the search could not be evaluated.

        Raises:
            ConfigError: If the evaluator or the executor cannot be had as the config says.
            DataError: If it lacks data.
        """
        if not isinstance(self.optimizer, DiscreteOptimizer):
            return
        evaluator = self._evaluator(self.optimizer, None)
        if not self._flag("resume"):
            self.take_controller()
        if not is_table(self.optimizer):
            self.optimizer.check_evaluator(evaluator)
        random_state = rng_snapshot()
        evaluator.check(self.optimizer.codec.random(Random(0)))
        rng_restore(random_state)
        build_executor(self.config, evaluator).close()
