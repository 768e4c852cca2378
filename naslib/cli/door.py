"""What is checked before torch is imported: the config against all that is registered, and the run folder."""

from __future__ import annotations

import inspect
from pathlib import Path

from naslib.config.cli import CommandLine, config_from_command_line
from naslib.config.config import Config
from naslib.config.extensions import SchemaExtensions
from naslib.config.run_folder import check_makeable, holds_run, prepare_run_folder, require_run
from naslib.errors import CheckpointError, ConfigError, DatasetMissing
from naslib.registry.catalogue import DATASETS, EVALUATORS, OPTIMIZERS, PARTS, SEARCH_SPACES, TASKS, TRIAL_PARTS
from naslib.registry.signatures import Parameters, keywords_through
from naslib.utils.locations import describe, find_path
from naslib.utils.lock import check_unlocked

from .serving import check_serves, declared_task

# What the data set tells a search space, by the names of the space's arguments.
_FROM_DATA = ("n_classes", "in_channels", "image_size")
# Data sets of ours whose keyword `path` names their file or folder
_READ_FROM_PATH = ("npz", "table", "imagefolder", "image_folder")


def schema_extensions() -> SchemaExtensions:
    """Return what the registries know: names, and the keywords of optimizers, their parts, spaces and data sets."""
    return SchemaExtensions(
        optimizers={name: keywords_through(OPTIMIZERS.signatures(name)) for name in OPTIMIZERS},
        spaces={name: _space_keywords(SEARCH_SPACES.signatures(name)) for name in SEARCH_SPACES},
        datasets={name: dict(list(DATASETS.signatures(name)[0].items())[2:]) for name in DATASETS},
        parts={name: keywords_through(PARTS.signatures(name)) for name in PARTS},
        trial_parts={name: keywords_through(TRIAL_PARTS.signatures(name)) for name in TRIAL_PARTS},
        tasks={name: keywords_through(TASKS.signatures(name)) for name in TASKS},
        evaluators={name: _evaluator_keywords(EVALUATORS.signatures(name)) for name in EVALUATORS},
    )


def _evaluator_keywords(chain: list[Parameters]) -> dict[str, inspect.Parameter]:
    """Return what a config gives an evaluator: its keyword-only parameters; the Trainer gives the others."""
    return {name: p for name, p in keywords_through(chain).items() if p.kind is p.KEYWORD_ONLY}


def _space_keywords(chain: list[Parameters]) -> dict[str, inspect.Parameter]:
    """Return the keywords of a space; what the data set gives is not required."""
    own = chain[0] if chain else {}
    return {name: p.replace(default=None) if name in _FROM_DATA else p for name, p in own.items()}


def read_config(command: CommandLine) -> Config:
    """Return the config of a command line, once it is clear that its run can begin in its folder.

    Raises:
        ConfigError: If the config cannot be used; lists all problems.
        RunFolderError: If the folder holds a run; names the ways on.
        CheckpointError: If there is no checkpoint where the command line names one.
        DatasetMissing: If the data set is a path, and nothing is there.
    """
    config = config_from_command_line(command, extensions=schema_extensions())
    check_makeable(config.save)
    _check_path_of_data(config)
    _check_space_serves(config)
    keeps = command.resume or command.eval_only
    needs_search = command.eval_only and config.evaluation.genotype is None
    if (command.resume or needs_search) and not command.model_path:
        require_run(config, "--resume" if command.resume else "--eval-only")
    if not command.dry_run:
        check_unlocked(config.save)
    if holds_run(config.save) and not (keeps or command.overwrite or command.dry_run):
        prepare_run_folder(config)  # refuses
    if command.model_path and config.evaluation.genotype is not None:
        raise ConfigError("--model-path is the checkpoint of a search, and evaluation.genotype replaces the search")
    if command.model_path and not Path(command.model_path).is_file():
        raise CheckpointError(f"there is no checkpoint {command.model_path} (--model-path)")
    return config


def _check_space_serves(config: Config) -> None:
    """Raise if the search space has no head for the task, as far as names tell; the rest is known with the data."""
    task, kind = declared_task(config.dataset, config.dataset_args)
    chosen = config.get("task")
    check_serves(config.search_space, chosen if isinstance(chosen, str) else task, kind, config.dataset)


def _check_path_of_data(config: Config) -> None:
    """Raise if the data set is named by a file or folder that is not there; what is in it is read later."""
    is_named = config.dataset in DATASETS
    given = config.dataset_args.get("path") if config.dataset.lower() in _READ_FROM_PATH else None
    path = given if is_named else config.dataset
    if isinstance(path, str) and find_path(path, config.data) is None:
        key = "dataset_args.path" if is_named else "dataset"
        raise DatasetMissing(f"{key}: there is nothing at {path}, nor under that name in {describe(config.data)}")
