"""From a config to a data set, a search space, an optimizer and a Trainer."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from naslib.benchmarks.base import Benchmark
from naslib.benchmarks.joined import JoinedBenchmark
from naslib.benchmarks.lookup import covers, figure_names, find_figure, get_dataset_api, own_table
from naslib.config.method_defaults import settle_method
from naslib.data import DatasetInfo, ImageData
from naslib.defaults._config_data import load_config_data, settle_cutout
from naslib.defaults._config_task import config_task
from naslib.defaults._query import check_networks
from naslib.defaults._trials import is_table
from naslib.defaults.given import find_given, given_architecture
from naslib.defaults.trainer import Trainer
from naslib.errors import BenchmarkError, ConfigError, DatasetNotDownloaded, did_you_mean
from naslib.optimizers import OPTIMIZERS, MetaOptimizer, OneShotOptimizer
from naslib.optimizers.core.costing import names_costs
from naslib.optimizers.core.metaclasses import accepted_keywords
from naslib.optimizers.discrete.base import DiscreteOptimizer
from naslib.search_spaces import SEARCH_SPACES
from naslib.search_spaces.core.graph import Graph
from naslib.tasks import Task, check_weights
from naslib.utils.files import to_jsonable
from naslib.utils.log import get_logger

from .serving import check_serves, kind_of_task

logger = get_logger(__name__)

# What a space is built with where no data set says it, by the names of the space's arguments.
_ANY_DATA = {"n_classes": 10, "in_channels": 3, "image_size": 32}


def build_dataset(config: Any) -> ImageData:
    """Return the data set of a config."""
    return load_config_data(config)


def describe_dataset(config: Any) -> DatasetInfo:
    """Return what the data set of a config is, also of one that may not be downloaded now (`without_downloads`)."""
    try:
        return build_dataset(config).info
    except DatasetNotDownloaded as missing:
        return missing.info


def build_space(config: Any, info: DatasetInfo | None = None, task: Task | None = None) -> Graph:
    """Return the search space of a config, made for a data set.

    Args:
        config: The config.
        info: The data set; None leaves the space's own defaults for classes and channels, and CIFAR-10's for others.
        task: What is learned, where its outputs are others than the classes of the data set.

    Raises:
        ConfigError: If `search_space_args` contradicts the data set, or the space does not take an argument.
    """
    space = SEARCH_SPACES.get(config.search_space)
    arguments = dict(config.get("search_space_args") or {})
    takes = _parameters(space.__init__)
    given = _described(info, task) if info is not None else _required(takes)
    for name, value in given.items():
        if name in takes and arguments.setdefault(name, value) != value:
            raise ConfigError(
                f"search_space_args.{name}: {arguments[name]} contradicts the data set {config.dataset!r}, "
                f"which has {name} {value}; leave it out"
            )
    try:
        return space(**{**_by_task(config, info, takes), **arguments})
    except TypeError as error:
        raise ConfigError(f"search_space_args do not fit {config.search_space!r}: {error}") from error


def _by_task(config: Any, info: DatasetInfo | None, takes: dict[str, inspect.Parameter]) -> dict[str, Any]:
    """Return what a space is told of the task and the tokens of a data set, where it takes that.

    Raises:
        ConfigError: If it has no head for them.
    """
    if info is None:
        return {}
    task = config.get("task") or info.task
    kind = kind_of_task(task if isinstance(task, str) else getattr(task, "name", ""), info.kind)
    check_serves(config.search_space, kind, info.kind, info.name)
    return {key: value for key, value in (("task", kind), ("vocabulary", info.vocabulary)) if key in takes}


def _required(takes: dict[str, inspect.Parameter]) -> dict[str, int]:
    """Return what a space that has no default for it can be built with where no data set says it."""
    return {
        name: value
        for name, value in _ANY_DATA.items()
        if name in takes and takes[name].default is inspect.Parameter.empty
    }


def _described(info: DatasetInfo, task: Task | None = None) -> dict[str, Any]:
    outputs = task.output_size if task is not None and task.output_size else info.num_classes
    return {"n_classes": outputs, "in_channels": info.in_channels, "image_size": info.image_size}


def build_benchmark(config: Any, space: Graph, required: bool) -> Benchmark | None:
    """Return the benchmark of a space, None where there is none for it or its data is not here.

    Args:
        config: The config.
        space: The search space.
        required: Whether its absence is an error.

    Raises:
        BenchmarkError: If it is required and cannot answer; the message says where its file is expected.
    """
    name, where = space.get_type(), (config.dataset, config.get("data"))
    try:
        if not space.QUERYABLE and not required and own_table(name, *where) is None:
            return None
        api = get_dataset_api(name, *where)
        check_networks(api, space)
        return _with_figures(api, config.search.get("objectives") or (), name, where, required)
    except BenchmarkError:
        if required:
            raise
        return None


def _with_figures(first: Benchmark, objectives: Any, space: str, where: tuple[Any, ...], required: bool) -> Benchmark:
    """Return a benchmark that also answers for objectives that other tables of the space have by name.

    Raises:
        BenchmarkError: If it is required, and an objective is none, but nearly the name of a figure of another table.
    """
    others = []
    for name in objectives:
        try:
            first.metric_of(name)
        except BenchmarkError:
            wanted = str(getattr(name, "name", name))
            table = find_figure(space, wanted, *where)
            near = did_you_mean(wanted, figure_names(space, *where)) if table is None and required else ""
            if near:
                raise BenchmarkError(f"search.objectives: no table here has {wanted!r}{near}") from None
            others += [table] if table is not None and table not in others else []
    return JoinedBenchmark(first, others) if others else first


def build_optimizer(config: Any) -> MetaOptimizer:
    """Return the optimizer of a config, not yet adapted to a space.

    Keys of `search` that nobody gave get the optimizer's own defaults, in place, also where it was named after loading.
    """
    optimizer = OPTIMIZERS.get(config.optimizer)
    settle_method(config, accepted_keywords(optimizer))
    return optimizer(**config.search)


def build_trainer(config: Any) -> Trainer:
    """Return a Trainer of the config's optimizer on its space and data set."""
    optimizer = build_optimizer(config)
    if isinstance(optimizer, OneShotOptimizer):
        optimizer.check_combination()  # before any data is read
    asks_table = not optimizer.using_step_function
    if isinstance(optimizer, DiscreteOptimizer):
        optimizer.evaluator = optimizer.evaluator or usual_evaluator(config)
        asks_table = is_table(optimizer)
    # A search on a table needs no images, unless what it finds is to be trained.
    needs_images = not asks_table or config.evaluation.mode == "retrain"
    info = describe_dataset(config) if needs_images else None
    if info is not None:
        settle_cutout(config, info)
    task = config_task(config, optimizer, info=info) if needs_images else None  # before a space is made for it
    if task is not None and info is not None and info.multi_label:
        check_weights(task)  # of other data they are counted
    described = info if info is not None or not names_costs(optimizer) else describe_dataset(config)
    space = build_space(config, described, task)
    api = None
    if asks_table:
        api = _required_table(config, space)
    elif optimizer.using_step_function:
        api = build_benchmark(config, space, required=False)
    optimizer.data = config.get("data")
    optimizer.input_shape = lambda: (described or describe_dataset(config)).input_shape
    optimizer.adapt_search_space(space, config.dataset, dataset_api=api)
    if task is not None and optimizer.using_step_function:
        optimizer.check_task(task)
    return Trainer(optimizer, config)


def usual_evaluator(config: Any) -> str:
    """Return what gives trials their values where the config does not say: a table where there is one, else training.

    A table whose file is not here is one: training thousands of architectures in its place is nobody's wish.
    """
    space = SEARCH_SPACES.get(config.search_space)
    name = getattr(getattr(space, "codec", None), "name", None)
    if space.QUERYABLE and covers(name or config.search_space, config.dataset):
        return "table"
    own = own_table(name or space.__name__, config.dataset, config.get("data"))
    if own is None:
        return "train"
    takes = _parameters(space.__init__)
    defaults = {key: p.default for key, p in takes.items() if p.default is not p.empty}
    try:
        own.check_space(to_jsonable({**defaults, **(config.get("search_space_args") or {})}))
    except BenchmarkError as other:
        if config.get("data") and Path(config.data).is_file():  # the table that is meant
            raise
        logger.warning("the trials are trained: %s", other)
        return "train"
    return "table"


def _required_table(config: Any, space: Graph) -> Benchmark | None:
    """Return the benchmark of a space; without it there is no search.

    Raises:
        BenchmarkError: Naming the other ways.
    """
    try:
        return build_benchmark(config, space, required=True)
    except BenchmarkError as error:
        error.add_note("(search.evaluator=train trains the architectures instead)")
        raise


def build_given(config: Any) -> tuple[Trainer, Graph]:
    """Return a Trainer and the architecture of `evaluation.genotype`, to be evaluated without a search.

    Whether there is such an architecture is found before any data is read.

    Raises:
        ConfigError: If it is none of the space.
    """
    value, mode = config.evaluation.genotype, config.evaluation.mode
    probe = build_space(config, None)
    api = None if mode == "retrain" else build_benchmark(config, probe, required=mode == "query")
    table = _table(config, probe)
    find_given(value, probe, table)
    optimizer = build_optimizer(config)
    optimizer.dataset, optimizer.dataset_api = config.dataset, api
    info = describe_dataset(config) if api is None else None
    if info is not None:
        settle_cutout(config, info)
    task = config_task(config, optimizer, info=info)
    return Trainer(optimizer, config), given_architecture(value, build_space(config, info, task), table)


def _table(config: Any, space: Graph) -> Benchmark | None:
    """Return the benchmark of a space, whatever data sets it has, None where it is not here."""
    try:
        return get_dataset_api(space.get_type(), None, config.get("data")) if space.QUERYABLE else None
    except BenchmarkError:
        return None


def _parameters(function: Any) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(function).parameters)
