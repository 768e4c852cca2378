"""A run: search, retrain and test what the search found or somebody gave, and leave it all in the run folder."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from naslib.config.cli import CommandLine
from naslib.config.config import Config, config_to_yaml
from naslib.config.run_folder import nearest_run, prepare_run_folder
from naslib.defaults._ranks import check_ranks, on_ranks
from naslib.defaults.config_builders import search_schedule
from naslib.defaults.trainer import Trainer
from naslib.errors import BenchmarkDataMissing, CheckpointError, DatasetNotDownloaded
from naslib.search_spaces import SEARCH_SPACES
from naslib.search_spaces.core.graph import Graph
from naslib.training.checkpoint import get_last_checkpoint, read_newest
from naslib.training.describe import describe_memory, describe_space
from naslib.training.drop_path import check_paths
from naslib.training.network_args import network_arguments, without_auxiliary
from naslib.training.report import format_genotype
from naslib.training.space_record import constructor_arguments
from naslib.utils.distributed import on_main
from naslib.utils.locations import without_downloads
from naslib.utils.lock import RunLock
from naslib.utils.log import get_logger, remembering, setup_logger, write_remembered
from naslib.utils.meters import count_parameters_in_MB
from naslib.utils.seeding import derive_seed, rng_restore, rng_snapshot, set_seed

from .agreeing import in_turns, together
from .builders import build_given, build_space, build_trainer, describe_dataset
from .door import read_config

logger = get_logger(__name__)


def run(command: CommandLine, config: Config | None = None) -> dict[str, Any]:
    """Do what a command line says, and return the summary.

    Args:
        command: The command line.
        config: Its config, where it was read already.

    Raises:
        NASLibError: If anything is wrong; the message says what to do.
    """
    started = time.perf_counter()
    config = read_config(command) if config is None else config
    keep = command.resume or command.eval_only
    setup_logger(None)
    set_seed(config.seed)
    if command.dry_run:
        with without_downloads():
            on_main(lambda: _write(_dry_run(config)))
        return {}
    with remembering() as said:  # what there is to say of the data, before there is a folder to write it to
        trainer, given = in_turns(lambda: _build(config))
        check_ranks(config, trainer.optimizer, searches=given is None and not command.eval_only)
        together(lambda: _check_loaders(config, trainer, given))
        together(lambda: _check_sizes(config, trainer, given))
        last = on_main(lambda: _search_checkpoint(command, config)) if given is None else ""
        on_main(lambda: prepare_run_folder(config, resume=keep, overwrite=command.overwrite))
    with ExitStack() as stack:
        on_main(lambda: _hold(stack, config.save))
        setup_logger(Path(config.save) / "log.log")
        write_remembered(said)
        trainer.record.prelude = time.perf_counter() - started
        stack.enter_context(on_ranks(Path(config.save)))
        _search_and_evaluate(command, config, trainer, last, given)
    return trainer.summary


def _hold(stack: ExitStack, folder: str) -> None:
    stack.enter_context(RunLock(folder))


def _build(config: Any) -> tuple[Trainer, Graph | None]:
    """Return the Trainer of a config, and the architecture where one is given in place of a search."""
    return (build_trainer(config), None) if config.evaluation.genotype is None else build_given(config)


def _check_loaders(config: Any, trainer: Trainer, given: Graph | None) -> None:
    """Raise before there is a run folder if images, or the method, do not fit what is asked for."""
    searches_on_images = given is None and trainer.optimizer.using_step_function
    if searches_on_images:
        trainer.optimizer.check_device(trainer.device)
        search_schedule(trainer.optimizer, config.search, lambda: None)  # a method may bring its own
        trainer.build_search_dataloaders(config)
    if given is None:
        trainer.check_trials()
    is_trained = config.evaluation.mode == "retrain" or (given is not None and trainer.optimizer.dataset_api is None)
    if searches_on_images or is_trained:
        trainer.build_eval_dataloaders(config)


def _check_sizes(config: Any, trainer: Trainer, given: Graph | None) -> None:
    """Raise now, not after the search, if the network to retrain cannot be as it was asked for."""
    optimizer, mode = trainer.optimizer, config.evaluation.mode
    is_queried = mode == "query" or (mode == "auto" and optimizer.dataset_api is not None)
    graph = given if given is not None else optimizer.graph
    sizes = network_arguments(config.evaluation, graph)
    chances = str(config.evaluation.drop_path), float(config.evaluation.drop_path_prob)
    has_none = all(v is None for name, v in sizes.items() if name != "auxiliary")
    if is_queried or (has_none and chances[0] in ("auto", "epochs")):
        return
    random_state = rng_snapshot()
    try:
        probe = SEARCH_SPACES.get(config.search_space)(**constructor_arguments(graph))
    except TypeError:
        return  # a space of one's own that does not keep its arguments
    probe.sample_random_architecture(rng=0)
    with torch.device("meta"):
        check_paths(probe.evaluation_network(**sizes), *chances)
    rng_restore(random_state)


def _search_checkpoint(command: CommandLine, config: Any) -> str:
    """Return the search checkpoint to start from, "" for none."""
    if command.model_path:
        read_newest(command.model_path)  # now, while there is no folder
        return command.model_path
    last = get_last_checkpoint(config) if command.resume or command.eval_only else ""
    if command.eval_only and not last:
        raise CheckpointError(
            f"--eval-only: there is no search in {config.save}{nearest_run(config)}. "
            "Run it first, or give --model-path FILE"
        )
    return last


def _search_and_evaluate(command: CommandLine, config: Any, trainer: Trainer, last: str, given: Graph | None) -> None:
    if given is None and not command.eval_only:
        trainer.search(resume_from=last)
    architecture = given if given is not None else trainer.found_architecture(last if command.eval_only else "")
    # From here on nothing depends on what the search drew, so that --eval-only repeats the evaluation.
    set_seed(derive_seed(config.seed, "evaluation"))
    trainer.evaluate(best_arch=architecture)


def _dry_run(config: Any) -> str:
    """Check all that can be checked without training, and return config, space, sizes and the memory estimate."""
    try:
        trainer, given = _build(config)
    except BenchmarkDataMissing as missing:
        return _dry_run_without_table(config, missing)
    optimizer, notes = trainer.optimizer, []
    check_ranks(config, optimizer, searches=given is None)
    try:
        _check_loaders(config, trainer, given)
    except DatasetNotDownloaded as missing:
        notes = [f"not checked    the images: {missing}"]
    _check_sizes(config, trainer, given)
    lines = [config_to_yaml(config).rstrip(), ""]
    lines.append(describe_space(optimizer) if given is None else _describe_given(config, given))
    if given is None and optimizer.using_step_function:
        info = describe_dataset(config)
        shape = info.input_shape
        lines.append(f"data set       {info.describe()}")
        lines.append(describe_memory(optimizer, shape, config.search.batch_size))
    lines += notes
    lines.append(f"run folder     {config.save} (not created: --dry-run trains nothing)")
    return "\n".join(lines) + "\n"


def _dry_run_without_table(config: Any, missing: BenchmarkDataMissing) -> str:
    """Return config and space of a search on a table that is not here."""
    space = build_space(config)
    lines = [config_to_yaml(config).rstrip(), ""]
    lines.append(f"search space   {space.get_type()}: decisions made on codes; no module is built during the search")
    lines.append(f"not checked    the table, without which a run stops here: {missing}")
    lines.append(f"run folder     {config.save} (not created: --dry-run trains nothing)")
    return "\n".join(lines) + "\n"


def _describe_given(config: Any, given: Graph) -> str:
    network = given.evaluation_network(**without_auxiliary(given, network_arguments(config.evaluation, given)))
    return (
        f"architecture   given\n{format_genotype(given.genotype())}\n"
        f"parameters     {count_parameters_in_MB(network):.6f} M in the network to evaluate, without auxiliary head"
    )


def _write(text: str) -> None:
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
