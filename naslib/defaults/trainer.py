"""Trainer: the face of search and evaluation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from naslib.errors import DataError
from naslib.optimizers.core.metaclasses import MetaOptimizer
from naslib.search_spaces.core.batch_norm import use_running_statistics
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.query_metrics import Metric, as_dataset_api
from naslib.tasks import Score, Task
from naslib.training.arch_weights import record_of
from naslib.training.checkpoint import get_last_checkpoint, read_newest
from naslib.training.degenerate import degenerate_reasons, name_constant_output
from naslib.training.environment import describe_environment, resolve_device, write_environment
from naslib.training.evaluate import RetrainSettings, test
from naslib.training.export import NetworkRecord
from naslib.training.fit import check_fits
from naslib.training.history import HistoryFile, SearchHistory
from naslib.training.lengths import check_batches
from naslib.training.loaders import BatchCursor, OnePass, look_at
from naslib.training.loop import EpochLoop, LoopSettings
from naslib.training.phase import Phase, load_model_only, resume
from naslib.training.plain import describe_values
from naslib.training.progress import describe_peak_memory, format_seconds
from naslib.training.report import EvaluationResult
from naslib.training.retrain import Place, Trainee, measure_size, retrain
from naslib.training.schedule import Schedule
from naslib.training.search_loop import BlackBoxSearch, SearchOutputs, SearchTask, finish_search
from naslib.training.space_record import describe_search
from naslib.training.threads import settle_threads
from naslib.utils.attrdict import AttrDict
from naslib.utils.lock import RunLock
from naslib.utils.log import get_logger

from ._config_data import uses_channels_last
from ._config_task import config_task, evaluation_task
from ._query import benchmark_for, queried
from .config_builders import ConfigBuilders, make_schedule, search_schedule
from .given import given_architecture

logger = get_logger(__name__)


class Trainer(ConfigBuilders):
    """Run a search with checkpoints and statistics, and evaluate what it found.

    Args:
        optimizer: An optimizer that has adapted its search space.
        config: The config; read here and in the static methods only.
        lightweight_output: Whether `errors.json` holds the config and fewer series.
        train_loader: Your own batches to train on, instead of the config's data set: `(images, labels)`, or what the
            task understands.
        valid_loader: Your own batches for the architecture; without them it is trained on the training batches.
        test_loader: Your own batches to test the final network on.
        task: What learning means, a `naslib.tasks.Task` or the name of one. None: the optimizer's, else `task` of the
            config, else what the data set declares, else what goes with the loss.

    Attributes:
        task: What learning means, once search or evaluation have begun.
        search_trajectory: What the search measured so far (see `SearchHistory`).
        result: What the last `evaluate` found, None before.
        architecture: The architecture it evaluated, None before.
        degenerate: In which ways that is degenerate (no path from input to output, decisions that are all tied ...).
        search_seconds: Time spent searching, over all resumptions.
        summary_writer: A TensorBoard writer that evaluation writes to; `search` keeps the one it is given.
    """

    def __init__(
        self,
        optimizer: MetaOptimizer,
        config: Any,
        lightweight_output: bool = False,
        *,
        train_loader: Iterable[Any] | None = None,
        valid_loader: Iterable[Any] | None = None,
        test_loader: Iterable[Any] | None = None,
        task: Any = None,
    ) -> None:
        if train_loader is None and (valid_loader is not None or test_loader is not None):
            raise DataError("valid_loader and test_loader are used together with train_loader; give that as well")
        self.optimizer = optimizer
        self.config = config
        self.lightweight_output = lightweight_output
        self.epochs = int(config.search.epochs)
        self.device = resolve_device(config.get("device", "auto"))
        self.folder = Path(config.save)
        self.search_seconds = 0.0
        self.result: EvaluationResult | None = None
        self.architecture: Graph | None = None
        self.degenerate: list[str] = []
        self._found: tuple[Graph | None, str] = (None, "")
        self.summary_writer: Any = None
        self._history = SearchHistory(optimizer.get_model_size())
        self._given_task = task
        self._task: Task | None = None
        self._own_loaders = None if train_loader is None else (train_loader, valid_loader, test_loader)
        self._seen: list[Any] = []
        self._searched = False

    @property
    def task(self) -> Task:
        """What learning means; what the data set declares is known once its loaders were built."""
        return self._task if self._task is not None else config_task(self.config, self.optimizer, self._given_task)

    def settle_task(self, info: Any = None) -> Task:
        """Settle which task the run has, and let the optimizer search for what does it best; return the task.

        Args:
            info: The data set (`DatasetInfo`), None where nothing is known of it.

        Raises:
            ConfigError: If the task and the loss do not go together.
        """
        if self._task is None:
            self._task = config_task(self.config, self.optimizer, self._given_task, info)
            self._task.to(self.device)
            self.optimizer.use_task(self._task)
        return self._task

    @property
    def search_trajectory(self) -> AttrDict:
        """What the search measured so far, as lists by name."""
        return self._history.trajectory

    # search

    def search(
        self,
        resume_from: str = "",
        summary_writer: Any = None,
        after_epoch: Callable[[int], Any] | None = None,
        report_incumbent: bool = True,
    ) -> None:
        """Search.

        Args:
            resume_from: A checkpoint to continue from (see `get_last_checkpoint`); "" starts anew.
            summary_writer: A `torch.utils.tensorboard.SummaryWriter`.
            after_epoch: Called with the number of each finished epoch.
            report_incumbent: For black-box optimizers: record the best architecture so far, or the latest.

        Raises:
            CheckpointError: If the checkpoint is of another run or cannot be read.
            NonFiniteLossError: If the loss became NaN; the last good checkpoint is kept.
            SearchInterrupted: After SIGINT or SIGTERM; a checkpoint was written.
            RunFolderError: If another process works in the run folder.
        """
        self.summary_writer = summary_writer if summary_writer is not None else self.summary_writer
        with RunLock(self.folder):
            self._search(resume_from, after_epoch, report_incumbent)

    def _search(self, resume_from: str, after_epoch: Callable[[int], Any] | None, report_incumbent: bool) -> None:
        saved = read_newest(resume_from) if resume_from else None
        self.optimizer.device = self.device
        scores: tuple[Score, ...] = ()
        loaders = None
        if self.optimizer.using_step_function:
            self._settle_threads(saved)
            loaders = self._loaders(self.build_search_dataloaders, saved, self.epochs)
            scores = self.settle_task().scores
            self._seen += loaders[:2]  # the search compares their first batches itself, before a step
        self._history = SearchHistory(self.optimizer.get_model_size(), scores)
        self.optimizer.before_training()
        write_environment(self.folder / "environment.json", self.device, self._seed())
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
        return SearchOutputs(self._history, file, recorded, self.summary_writer)

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
        if channels_last and isinstance(self.optimizer.graph, nn.Module):
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
        search = BlackBoxSearch(self.optimizer, phase, outputs, settings, report_incumbent, after_epoch)
        start = resume(phase, saved, lambda epoch: None)
        try:
            search.run(start)
        finally:
            self.search_seconds = phase.seconds

    # evaluation

    def evaluate(
        self,
        retrain: bool = True,
        search_model: str = "",
        resume_from: str = "",
        best_arch: Graph | None = None,
        dataset_api: Any = None,
        metric: Metric | None = None,
    ) -> float:
        """Evaluate the architecture found: by a benchmark where it answers, else by training it.

        `evaluation.mode` decides: `query`, `retrain`, or `auto`, which queries exactly if the space is queryable, the
        data set is in the table, and an api was given or is found in the data directory.

        Args:
            retrain: Whether to train the network of `evaluation.{cells, channels, auxiliary}` from scratch; False tests
                the weights that the search left.
            search_model: The search checkpoint that holds the architecture; "" for the search of this trainer, or else
                the newest one in the run folder.
            resume_from: A checkpoint of the retraining to continue from.
            best_arch: An architecture to evaluate instead; that of `evaluation.genotype` where the config names one.
            dataset_api: A benchmark.
            metric: What to query; the test accuracy if None.

        Returns:
            The test accuracy in percent, or the deciding score of another task (or the metric asked for).
        """
        dataset_api = as_dataset_api(dataset_api)
        genotype = self.config.evaluation.get("genotype")
        if best_arch is None and genotype is not None:
            space = self.optimizer.search_space if self.optimizer.search_space is not None else self.optimizer.graph
            best_arch = given_architecture(genotype, space, dataset_api or self.optimizer.dataset_api)
        architecture = best_arch if best_arch is not None else self.found_architecture(search_model)
        self.architecture = architecture
        found, undecided = self._found
        self.degenerate = degenerate_reasons(architecture, undecided if architecture is found else "")
        given = dataset_api if dataset_api is not None else self.optimizer.dataset_api
        api = benchmark_for(architecture, self.config, given)
        if api is not None:
            self.result = queried(architecture, api, metric or Metric.TEST_ACCURACY, self.config.dataset)
            return self.result.value
        with RunLock(self.folder):
            self.result = self._retrain(architecture, resume_from) if retrain else self._keep_weights(architecture)
        score = self.result.score
        logger.info("test %s %s", score.name.replace("_", " "), score.show(self.result.value))
        return self.result.value

    def found_architecture(self, search_model: str = "") -> Graph:
        """Return the discrete architecture that the search found.

        Args:
            search_model: The search checkpoint that holds it; "" for the search of this trainer, or else the newest
                checkpoint in the run folder.
        """
        path = search_model or ("" if self._searched else get_last_checkpoint(self.config))
        if path:
            used, state = read_newest(path)
            phase = self._search_phase(SearchOutputs(self._history, HistoryFile(used, self._history)))
            phase.check_run(state, used)
            if self.optimizer.using_step_function:  # a search on a table is as it is with any number of threads
                self._settle_threads((used, state))
            objects = {name: item for name, item in self.optimizer.get_checkpointables().items() if item is not None}
            load_model_only(objects, state, used)
            self.search_seconds = float(state["run"]["seconds"])
            self._history.load_state_dict(state["run"]["parts"]["history"])
            logger.info("discretizing the search checkpoint %s", used)
        elif not self._searched:
            logger.warning(
                "no search was run and %s holds no checkpoint: evaluating an untrained choice", self.folder / "search"
            )
        architecture = self.optimizer.get_final_architecture()
        self._found = architecture, self.optimizer.undecided()
        return architecture

    def _retrain(self, architecture: Graph, resume_from: str) -> EvaluationResult:
        evaluation, place = self.config.evaluation, self._place()
        sizes = {key: evaluation.get(key) for key in ("cells", "channels", "auxiliary")}
        saved = read_newest(resume_from) if resume_from else None
        self._settle_threads(saved)
        write_environment(self.folder / "environment.json", self.device, place.seed)
        train, valid, tests = self._loaders(self.build_eval_dataloaders, saved, int(evaluation.epochs), True)
        task = self._evaluation_task(architecture)
        record = NetworkRecord.of(architecture, sizes, tests, task)
        network = use_running_statistics(architecture.evaluation_network(**sizes)).to(self.device)
        if place.channels_last:
            network.to(memory_format=torch.channels_last)
        test_on = self._probe(network, tests)
        record.write(place.folder)
        optimizer = self.build_eval_optimizer(network.parameters(), self.config)
        make = partial(make_schedule, self.build_eval_scheduler, optimizer, self.config, "evaluation", train)
        smoothing = float(evaluation.get("label_smoothing", 0.0))
        settings = RetrainSettings(
            epochs=int(evaluation.epochs),
            grad_clip=evaluation.grad_clip,
            auxiliary_weight=evaluation.auxiliary_weight,
            drop_path_prob=evaluation.drop_path_prob,
            amp=bool(evaluation.get("amp", False)),
        )
        checkpoints = LoopSettings(settings.epochs, int(evaluation.checkpoint_freq), self._steps())
        fingerprint = {"dataset": self.config.dataset, "architecture": record.architecture, **sizes}
        learned = task.smoothed(smoothing, "evaluation.label_smoothing")
        trainee = Trainee(network, optimizer, make(), learned, train, valid, make)
        seconds = retrain(trainee, settings, checkpoints, place, fingerprint, describe_values(evaluation), saved)
        return self._tested("retrain", network, architecture, sizes, test_on, seconds)

    def _evaluation_task(self, architecture: Graph) -> Task:
        """Return the task of the retraining: that of the search, or with a loss of its own."""
        found = evaluation_task(self.settle_task(), self.config, self.optimizer, architecture, self._given_task)
        return found.to(self.device)

    def _keep_weights(self, architecture: Graph) -> EvaluationResult:
        place, network = self._place(), architecture.to(self.device)
        _, _, tests = self._loaders(self.build_eval_dataloaders, None)
        test_on = self._probe(network, tests)
        record = NetworkRecord.of(architecture, None, tests, self.settle_task())
        record.write(place.folder)
        fingerprint = {"dataset": self.config.dataset, "architecture": record.architecture}
        environment = describe_environment(self.device, place.seed)
        Phase(place.folder, lambda: {"model": network}, {}, fingerprint, environment).save_final(0)
        return self._tested("keep", network, architecture, None, test_on, 0.0)

    def _probe(self, network: nn.Module, loader: Any) -> tuple[Any, tuple[int, ...]]:
        """Return what to test on and the shape of its images; name a network that answers all of them alike."""
        if loader is None:
            raise DataError("there is no test loader; give Trainer(..., test_loader=...)")
        shape = self.task.input_shape or ()
        name_constant_output(self.degenerate, network, shape)
        return loader, shape

    def _tested(
        self, mode: str, network: nn.Module, architecture: Graph, sizes: Any, test_on: Any, seconds: float
    ) -> EvaluationResult:
        loader, shape = test_on
        amp = bool(self.config.evaluation.get("amp", False))
        task = self._evaluation_task(architecture).plain()
        measured = test(network, loader, task, self.device, self._channels_last(), amp)
        value = math.nan if measured.deciding is None else measured.deciding
        params, macs = measure_size(architecture, sizes, shape)
        return EvaluationResult(mode, network, value, task.score, measured.by_name(), seconds, params, macs)

    def _place(self) -> Place:
        return Place(self.folder / "eval", self.device, self._channels_last(), self._seed(), self.summary_writer)

    def evaluate_oneshot(self, resume_from: str = "", dataloader: Iterable[Any] | None = None) -> float:
        """Return the deciding score of the search network as it is: accuracy in percent, or that of another task.

        Args:
            resume_from: A search checkpoint to load; "" for the state of the optimizer.
            dataloader: What to test on; the validation part of the search if None.
        """
        if resume_from:
            used, state = read_newest(resume_from)
            load_model_only(self.optimizer.get_checkpointables(), state, used)
        self.optimizer.device = self.device
        self.optimizer.before_training()
        if dataloader is not None:
            self.settle_task(getattr(dataloader, "info", None))
        else:
            train, valid, _ = self._loaders(self.build_search_dataloaders, None)
            if valid is None:
                logger.warning("there is no validation part (search.train_portion 1.0): testing on the training part")
            dataloader = valid if valid is not None else train
        as_eval = getattr(dataloader, "as_eval", None)
        loader = as_eval() if callable(as_eval) else dataloader
        graph = self.optimizer.graph
        task = self.optimizer.task.plain()
        value = test(graph, loader, task, self.device, self._channels_last()).deciding
        logger.info("one-shot %s %s", task.score.name.replace("_", " "), task.score.show(value))
        return math.nan if value is None else value

    def _unit(self) -> str:
        """Return what an entry of the history is: an epoch of training, or the evaluation of an architecture."""
        return "epoch" if self.optimizer.using_step_function else "evaluation"

    # what a config says

    def _settle_threads(self, saved: Any) -> None:
        """Set the number of threads: the config's, that of the checkpoint that is continued, or what is fastest."""
        recorded = saved[1]["run"]["environment"].get("threads") if saved is not None else None
        settle_threads(self.config.get("threads", "auto"), recorded, self.device)

    def _seed(self) -> int:
        return int(self.config.get("seed", 0))

    def _steps(self) -> int:
        return int(self.config.search.get("checkpoint_steps", 0))

    def _channels_last(self) -> bool:
        return uses_channels_last(self.device, self.config.search.get("channels_last", "auto"))

    def _loaders(
        self, build: Callable[[Any], Any], saved: Any, epochs: int = 1, retrains: bool = False
    ) -> tuple[Any, Any, Any]:
        """Return (train, valid, test): the user's, or those of the config with the seed of the checkpoint.

        The task is settled, and the first batches that are needed last are compared with it now.
        """
        if self._own_loaders is not None:
            train, valid, tests = self._own_loaders
        else:
            config = self.config
            seed = self._seed() if saved is None else saved[1]["run"]["settings"].get("seed", self._seed())
            if seed != self._seed():
                config = config.copy()
                config["seed"] = seed
            train, valid, tests = tuple(build(config))[:3]
        info = getattr(train, "info", None)
        task = self.settle_task(info)
        if self._own_loaders is None:
            check_fits(self.optimizer.graph, info, task)
        check_batches({"training": train, "validation": valid, "test": tests}, epochs)
        tests = self._looked_at(tests, "test")
        if retrains:  # the search looks at its own before it takes a step
            valid = self._looked_at(valid, "validation")
        if self._own_loaders is not None:
            self._own_loaders = (train, valid, tests)
        return train, valid, tests

    def _looked_at(self, loader: Any, name: str) -> Any:
        """Return a loader whose first batch was compared with the task; ours, which were made for it, are not asked."""
        if loader is None or getattr(loader, "info", None) is not None or any(loader is seen for seen in self._seen):
            return loader
        batch, loader = look_at(loader, self.task, name)
        self._seen.append(loader)
        if self.task.input_shape is None:
            self.task.input_shape = self.task.shape_of(batch)
        return loader
