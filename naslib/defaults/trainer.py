"""Trainer: the face of search and evaluation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from naslib.errors import DataError
from naslib.optimizers.core.metaclasses import MetaOptimizer
from naslib.optimizers.discrete.base import DiscreteOptimizer
from naslib.search_spaces.core.batch_norm import use_running_statistics
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.query_metrics import Metric, as_dataset_api
from naslib.tasks import ClassCounts
from naslib.tasks.joined import joined
from naslib.training.checkpoint import read_on_all_ranks
from naslib.training.degenerate import degenerate_reasons, name_constant_output
from naslib.training.environment import describe_environment, resolve_device
from naslib.training.evaluate import RetrainSettings, test
from naslib.training.export import NetworkRecord
from naslib.training.front_picture import draw_fronts
from naslib.training.history import HistoryFile, SearchHistory
from naslib.training.loop import LoopSettings
from naslib.training.more_tests import test_others
from naslib.training.network_args import network_arguments
from naslib.training.phase import Phase, load_model_only
from naslib.training.plain import describe_values
from naslib.training.report import EvaluationResult
from naslib.training.retrain import Trainee, Workplace, measure_size, retrain
from naslib.training.run_record import RunRecord
from naslib.training.search_loop import SearchOutputs
from naslib.training.tensorboard import write_pictures
from naslib.utils.log import get_logger
from naslib.utils.process_group import join
from naslib.utils.seeding import rng_restore, rng_snapshot

from ._query import benchmark_for, queried
from ._ranks import check_ranks, on_ranks
from ._searching import SearchSide
from ._summary import remark_on, summarize, title_of
from .config_builders import make_schedule
from .given import given_architecture

logger = get_logger(__name__)


class Trainer(SearchSide):
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
        record: Writes what the run leaves.
        summary: What `summary.json` says, {} before anything was searched or evaluated.
        search_seconds: Time spent searching, over all resumptions.
        summary_writer: A TensorBoard writer of your own, None for one in the run folder; `search` keeps the one it is
            given.
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
        join(at_exit=True)  # a script that torchrun has started
        self.device = resolve_device(config.get("device", "auto"))
        self.folder = Path(config.save)
        self.search_seconds = 0.0
        self.result: EvaluationResult | None = None
        self.architecture: Graph | None = None
        self.degenerate: list[str] = []
        self._found: tuple[Graph | None, str] = (None, "")
        self.summary_writer: Any = None
        self.summary: dict[str, Any] = {}
        self._writer: Any = None
        self._history = SearchHistory(optimizer.get_model_size())
        self._given_task = task
        self._task = None
        self._seen = []
        self._own_loaders = None if train_loader is None else (train_loader, valid_loader, test_loader)
        self._searched = False
        self.record = RunRecord(config, remark_on(optimizer, config, self.has_own_loaders))

    @property
    def has_own_loaders(self) -> bool:
        """Whether it works on batches it was given, in place of those of the config's data set."""
        return self._own_loaders is not None

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
            resume_from: A checkpoint to continue from (see `get_last_checkpoint`), or the `history.sqlite` of a search
                that was killed before its first one; "" starts anew.
            summary_writer: A `torch.utils.tensorboard.SummaryWriter`.
            after_epoch: Called with the number of each finished epoch.
            report_incumbent: For black-box optimizers: record the best architecture so far, or the latest.

        Raises:
            CheckpointError: If the checkpoint is of another run or cannot be read.
            NonFiniteLossError: If the loss became NaN; the last good checkpoint is kept.
            SearchInterrupted: After SIGINT or SIGTERM; a checkpoint was written.
            RunFolderError: If another process works in the run folder.
            ConfigError: If `evaluation.network_args` do not fit the space.
        """
        if self._flag("eval_only"):
            self._require_search()
            with self._working():
                logger.info("--eval-only: the search that is there is evaluated, nothing is searched")
            return
        check_ranks(self.config, self.optimizer, own_loaders=self.has_own_loaders)
        if self.optimizer.is_adapted:
            network_arguments(self.config.get("evaluation") or {}, self.optimizer.graph)  # now, not after the search
        resume_from = resume_from or self._search_to_continue()
        self.summary_writer = summary_writer if summary_writer is not None else self.summary_writer
        if not resume_from and not self._flag("resume"):
            self.record.make_room(self.optimizer)
        with self._working():
            self._search(resume_from, after_epoch, report_incumbent)
            self._leave_outcome()

    @contextmanager
    def _working(self) -> Iterator[None]:
        """Hold the run folder, with its log and TensorBoard events; name a rank that is lost."""
        with (
            on_ranks(self.folder),
            self.record.working(self.device, title_of(self), self.summary_writer) as self._writer,
        ):
            yield

    def _leave_outcome(self) -> None:
        """Leave what the search found: genotype, pictures and summary, without a trace in the random state."""
        self.result, self.architecture = None, None
        random_state = rng_snapshot()
        try:
            architecture: Graph | None = self.found_architecture()
        except NotImplementedError as error:  # an optimizer that measures and finds nothing
            logger.warning("the search leaves no genotype: %s", str(error) or "the optimizer names no architecture")
            architecture = None
        rng_restore(random_state)
        if architecture is not None:
            self.record.write_architecture(architecture, is_found=True)
            self.record.begun_evaluation(architecture, keep=True)
        self._summarize(architecture, is_found=True)
        trials = self.summary["trials"] or {}
        if trials.get("front") and isinstance(self.optimizer, DiscreteOptimizer):
            write_pictures(self._writer, draw_fronts(self.folder, trials, self.optimizer.objectives))

    def _summarize(self, architecture: Graph | None, is_found: bool) -> None:
        self.summary = self.record.write_summary(summarize(self, architecture, is_found, self.record.seconds))

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
        with self._working():
            architecture = self._to_evaluate(best_arch, search_model, dataset_api)
            self.architecture = architecture
            found, undecided = self._found
            self.degenerate = degenerate_reasons(architecture, undecided if architecture is found else "")
            given = dataset_api if dataset_api is not None else self.optimizer.dataset_api
            api = benchmark_for(architecture, self.config, given)
            if api is not None and metric not in (None, Metric.TEST_ACCURACY):  # a question, not the result of the run
                self.result = queried(architecture, api, metric, self.config.dataset)
                return self.result.value
            self.record.write_architecture(architecture, is_found=architecture is found)
            resume_from = resume_from or self.record.begun_evaluation(architecture, keep=bool(self._flag("resume")))
            if api is not None:
                self.result = queried(architecture, api, Metric.TEST_ACCURACY, self.config.dataset)
            else:
                if self._is_outcome(architecture) and retrain:
                    self.result = self._test_supernet(architecture)
                elif retrain:
                    self.result = self._retrain(architecture, resume_from)
                else:
                    self.result = self._keep_weights(architecture)
                score = self.result.score
                logger.info("test %s %s", score.name.replace("_", " "), score.show(self.result.value))
            self._summarize(architecture, is_found=architecture is found)
        return self.result.value

    def _to_evaluate(self, best_arch: Graph | None, search_model: str, dataset_api: Any) -> Graph:
        """Return the architecture that is given, by the caller or the config, or else the one that was found."""
        genotype = self.config.evaluation.get("genotype")
        if best_arch is None and genotype is not None:
            best_arch = given_architecture(
                genotype, self.optimizer.space or self.optimizer.graph, dataset_api or self.optimizer.dataset_api
            )
        return best_arch if best_arch is not None else self.found_architecture(search_model)

    def found_architecture(self, search_model: str = "") -> Graph:
        """Return the discrete architecture that the search found.

        Args:
            search_model: The search checkpoint that holds it; "" for the search of this trainer, or else the newest
                checkpoint in the run folder.
        """
        path = search_model or ("" if self._searched else self._flag("model_path") or self._last_checkpoint())
        if path:
            used, state = read_on_all_ranks(path)
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
        check_ranks(self.config, self.optimizer, searches=False, own_loaders=self.has_own_loaders)
        evaluation, place = self.config.evaluation, self._place()
        sizes = network_arguments(evaluation, architecture)
        saved = read_on_all_ranks(resume_from) if resume_from else None
        self._settle_threads(saved)
        self.record.write_environment(self.device)
        train, valid, tests = self._loaders(self.build_eval_dataloaders, saved, int(evaluation.epochs), True)
        task = self._evaluation_task(architecture)
        record = NetworkRecord.of(architecture, sizes, tests, task)
        network = use_running_statistics(architecture.evaluation_network(**sizes)).to(self.device)
        if place.channels_last:
            network.to(memory_format=torch.channels_last)
        test_on = self._probe(network, tests)
        self.record.write_network(record)
        optimizer = self.build_eval_optimizer(network.parameters(), self.config)
        make = partial(make_schedule, self.build_eval_scheduler, optimizer, self.config, "evaluation", train)
        learned = task.smoothed(float(evaluation.get("label_smoothing", 0.0)), "evaluation.label_smoothing")
        settings = RetrainSettings.of(evaluation)
        checkpoints = LoopSettings(settings.epochs, int(evaluation.checkpoint_freq), self._steps())
        fingerprint = {"dataset": self.config.dataset, "architecture": record.architecture, **sizes}
        trainee = Trainee(network, optimizer, make(), learned, train, valid, make)
        seconds = retrain(trainee, settings, checkpoints, place, fingerprint, describe_values(evaluation), saved)
        return self._tested("retrain", network, architecture, sizes, test_on, seconds)

    def _is_outcome(self, architecture: Graph) -> bool:
        """Say whether the search network is tested in place of what it is discretized to."""
        is_found = architecture is self._found[0]
        return self.optimizer.is_outcome and is_found and self.config.evaluation.get("mode", "auto") == "auto"

    def _test_supernet(self, architecture: Graph) -> EvaluationResult:
        network = self.optimizer.graph
        _, _, tests = self._loaders(self.build_eval_dataloaders, None)
        self.optimizer.device = self.device
        self.optimizer.before_training()
        return self._tested("supernet", network, architecture, None, self._probe(network, tests), 0.0)

    def _keep_weights(self, architecture: Graph) -> EvaluationResult:
        place, network = self._place(), architecture.to(self.device)
        _, _, tests = self._loaders(self.build_eval_dataloaders, None)
        test_on = self._probe(network, tests)
        record = NetworkRecord.of(architecture, None, tests, self.task)
        self.record.write_network(record)
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
        how = self.device, self._channels_last(), bool(self.config.evaluation.get("amp", False))
        task = joined(self._evaluation_task(architecture).plain())
        by_class = ClassCounts(task)
        measured = test(network, loader, task, *how, by_class=by_class)
        value = math.nan if measured.deciding is None else measured.deciding
        scores, others = measured.by_name(), test_others(network, loader, task, *how)
        params, macs = measure_size(architecture, sizes, shape)
        classes = by_class.summary(getattr(getattr(loader, "info", None), "class_names", None))
        return EvaluationResult(mode, network, value, task.score, scores, seconds, params, macs, classes, others)

    def _place(self) -> Workplace:
        return Workplace(self.folder / "eval", self.device, self._channels_last(), self._seed(), self._writer)

    def evaluate_oneshot(self, resume_from: str = "", dataloader: Iterable[Any] | None = None) -> float:
        """Return the deciding score of the search network as it is: accuracy in percent, or that of another task.

        Args:
            resume_from: A search checkpoint to load; "" for the state of the optimizer.
            dataloader: What to test on; the validation part of the search if None.
        """
        if resume_from:
            used, state = read_on_all_ranks(resume_from)
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
