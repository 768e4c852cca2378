"""The command line: `--config FILE`, a few options, then overrides."""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from naslib import __version__
from naslib.config.config import Config
from naslib.config.executor_options import RUN_EXECUTORS, add_executor_options, check_executor
from naslib.config.experiments import experiment_config
from naslib.config.extensions import SchemaExtensions
from naslib.config.loader import load_config
from naslib.config.overrides import split_overrides
from naslib.config.parser import CommandParser
from naslib.config.reference_point import HELP, parse_reference
from naslib.config.run_folder import prepare_run_folder, require_run
from naslib.config.schema import SECTIONS, keys_of
from naslib.config.seeds import parse_seeds
from naslib.errors import ConfigError
from naslib.utils.log import get_logger

logger = get_logger(__name__)

_DESCRIPTION = "Search a neural architecture, train what was found, and test it."
_EPILOG = """\
examples:
  naslib --config darts.yaml                          search, retrain, test: everything the file says
  naslib --config darts.yaml optimizer=gdas           the same with another method
  naslib --config darts.yaml search_space=nasbench201 dataset=fashion_mnist
  naslib --config darts.yaml search.epochs=2 evaluation.epochs=1 out_dir=try
  naslib --config darts.yaml search.epochs 2          NASLib's way of writing an override
  naslib --config darts.yaml --seed 3                 another seed, another run folder
  naslib --config darts.yaml --seeds 1-5 --jobs 2     five seeds, two at a time, mean and standard deviation
  naslib --config darts.yaml --dry-run                check everything, train nothing
  naslib --config darts.yaml --resume                 continue after a crash or Ctrl-C
  naslib --config darts.yaml --eval-only              discretize and evaluate a finished search again
  naslib --config darts.yaml evaluation.genotype=FILE  retrain a given architecture, search none
  naslib --print-schema > schema.json                 lets an editor complete and check configs

Every key of the config can be overridden. Results go to out_dir/search_space/dataset/optimizer/seed.
"""
# Options of NASLib's command line that have no meaning here, and how many words follow them.
_NASLIB_OPTIONS = {
    "gpu": 1,
    "world-size": 1,
    "rank": 1,
    "dist-url": 1,
    "dist-backend": 1,
    "multiprocessing-distributed": 0,
}


@dataclass(frozen=True)
class CommandLine:
    """What a command line says.

    Attributes:
        config_file: As given; see `find_config_file`.
        resume: Continue from the last checkpoint.
        eval_only: Discretize and evaluate a finished search.
        dry_run: Validate and report, train nothing.
        overwrite: Move an existing run away.
        seed: Overrides the config's.
        model_path: A checkpoint to start from.
        overrides: The remaining words.
        print_schema: Print the JSON schema of configs.
        seeds: Several seeds, each a run of its own; None for one run.
        jobs: How many of them at a time, None for one.
        executor: Where they run: `"process"` or `"ray"`; None for processes of this machine.
        executor_args: What else Ray is told, None for nothing.
        reference: What the hypervolumes of their fronts are above, None for what the fronts say.
    """

    config_file: str | None = None
    resume: bool = False
    eval_only: bool = False
    dry_run: bool = False
    overwrite: bool = False
    seed: int | None = None
    model_path: str | None = None
    overrides: tuple[str, ...] = ()
    print_schema: bool = False
    seeds: tuple[int, ...] | None = None
    jobs: int | None = None
    executor: str | None = None
    executor_args: Mapping[str, Any] | None = None
    reference: tuple[float | None, ...] | None = None

    @property
    def opts(self) -> list[str]:
        """Return the overrides under NASLib's name."""
        return list(self.overrides)

    def check(self) -> None:
        """Raise if options contradict each other.

        Raises:
            ConfigError: Naming them.
        """
        if self.overwrite and (self.resume or self.eval_only):
            raise ConfigError("--overwrite starts anew and cannot be combined with --resume or --eval-only")
        if self.seeds is None:
            if self.jobs is not None:
                raise ConfigError("--jobs says how many of --seeds run at a time; give --seeds 1-5, say")
            if self.executor is not None or self.executor_args is not None:
                raise ConfigError(
                    "--executor says where the runs of --seeds are; where trials are evaluated is search.executor"
                )
            if self.reference is not None:
                raise ConfigError(
                    "--reference compares the fronts of --seeds; one search has its own key, search.reference_point"
                )
            return
        if self.jobs is not None and self.jobs < 1:
            raise ConfigError(f"--jobs must be 1 or more, not {self.jobs}")
        single = [key for key, _ in split_overrides(self.overrides)[0] if key == "seed"]
        if self.seed is not None or single:
            raise ConfigError(f"--seeds names all seeds: leave {'--seed' if self.seed is not None else 'seed='} out")
        if self.model_path:
            raise ConfigError("--model-path is the checkpoint of one seed and cannot be combined with --seeds")


def default_argument_parser(epilog: str = "") -> CommandParser:
    """Return the parser of the command line.

    Args:
        epilog: What its help ends with, beside the examples.
    """
    parser = CommandParser(prog="naslib", description=_DESCRIPTION, epilog=_EPILOG + epilog)
    add = parser.add_argument
    add(
        "--config",
        "--config-file",
        dest="config_file",
        metavar="FILE",
        help="YAML config; bare names are also looked for under configs/",
    )
    add("--resume", action="store_true", help="continue the run in its folder from the last checkpoint")
    add("--eval-only", action="store_true", help="skip the search: discretize the last checkpoint and evaluate")
    add("--dry-run", action="store_true", help="validate everything, print config, space and sizes, train nothing")
    add("--overwrite", action="store_true", help="move an existing run to <folder>.1 and start anew")
    add("--seed", type=int, metavar="N", help="random seed; part of the run folder's name")
    add("--seeds", metavar="1-5", help="run several seeds (1-5, or 1,3,7-9) and say mean and standard deviation")
    add("--jobs", type=int, metavar="N", help="of --seeds: runs at a time, each in a process of its own (default 1)")
    add_executor_options(parser, "of --seeds: process or ray", "process")
    add("--reference", metavar="85,null", help=HELP)
    add("--model-path", metavar="FILE", help="checkpoint to start from instead of the last one")
    add("--print-schema", action="store_true", help="print the JSON schema of configs and stop")
    add("--version", action="version", version=_versions(), help="print the versions of naslib, Python, torch and stop")
    add("overrides", nargs="*", metavar="key=value", help="overrides of config keys, also as KEY VALUE")
    add("--datapath", help=argparse.SUPPRESS)
    for option, words in _NASLIB_OPTIONS.items():
        if words:
            add(f"--{option}", help=argparse.SUPPRESS)
        else:
            add(f"--{option}", action="store_true", help=argparse.SUPPRESS)
    return parser


def _versions() -> str:
    """Return what `--version` prints; torch is not imported for it."""
    try:
        torch = metadata.version("torch")
    except metadata.PackageNotFoundError:
        torch = "not installed"
    return f"naslib {__version__}\nPython {platform.python_version()}\ntorch {torch}"


def parse_cli(argv: Sequence[str], epilog: str = "") -> CommandLine:
    """Parse the words of a command line (without the program's name).

    Options and overrides may come in any order. `--help` prints examples and exits.

    Args:
        argv: The words.
        epilog: What the help ends with.

    Raises:
        ConfigError: If an option is unknown, lacks its value, or contradicts another.
    """
    parser = default_argument_parser(epilog)
    found, unknown = parser.parse_known_intermixed_args([str(word) for word in argv])
    if unknown:
        raise ConfigError(
            [_unknown_option(parser, word) for word in unknown if word.startswith("-")] or _stray(unknown)
        )
    overrides = [*found.overrides, *([f"data={found.datapath}"] if found.datapath else [])]
    ignored = [f"--{o}" for o in _NASLIB_OPTIONS if getattr(found, o.replace("-", "_")) not in (None, False)]
    if ignored:
        logger.warning(
            "command line: %s: without effect; torchrun starts several processes, device= chooses where they compute",
            ", ".join(ignored),
        )
    names = ("config_file", "resume", "eval_only", "dry_run", "overwrite", "seed", "model_path", "print_schema", "jobs")
    seeds = None if found.seeds is None else tuple(parse_seeds(found.seeds))
    reference = parse_reference(found.reference)
    where = {
        "executor": found.executor,
        "executor_args": check_executor(found.executor, found.executor_args, RUN_EXECUTORS),
    }
    given = {name: getattr(found, name) for name in names} | where
    command = CommandLine(overrides=tuple(overrides), seeds=seeds, reference=reference, **given)
    command.check()
    return command


def _stray(words: Sequence[str]) -> str:
    """Return what to say about words that belong to nothing."""
    return f"command line: cannot place {' '.join(words)!r} (see --help)"


def _unknown_option(parser: CommandParser, word: str) -> str:
    """Return what to say about an option that does not exist."""
    name = word.partition("=")[0]
    key = name.lstrip("-").replace("-", "_")
    places = [f"{section}.{key}" if section else key for section in ("", *SECTIONS) if key in keys_of(section)]
    if places or "." in key:
        written = " or ".join(f"{place}=VALUE" for place in places or [key])
        return f"unknown option {name!r}; overrides of config keys are written without dashes: {written}"
    return parser.unknown_option(word)


def parse_args(parser: argparse.ArgumentParser | None = None, args: Sequence[str] | None = None) -> Any:
    """Parse a command line, by default that of this process.

    Args:
        parser: A parser of your own, whose namespace is returned as it is; ours if None.
        args: The words; those of the process if None.
    """
    words = _process_words() if args is None else list(args)
    return parse_cli(words) if parser is None else parser.parse_args(words)


def _process_words() -> list[str]:
    """Return the words of this process, without those a notebook kernel was started with."""
    words = sys.argv[1:]
    if len(words) >= 2 and words[0] == "-f" and words[1].endswith(".json"):
        return words[2:]
    return words


def config_from_command_line(command: Any, *, extensions: SchemaExtensions | None = None) -> Config:
    """Return the validated config that a command line means, without touching the disk.

    Args:
        command: A CommandLine, or a namespace with NASLib's fields.
        extensions: As for `load_config`.

    Raises:
        ConfigError: If anything is wrong; lists all problems.
    """
    if getattr(command, "seeds", None):
        raise ConfigError("--seeds is several runs, and a script has one config: naslib.run_seeds does them in Python")
    words = getattr(command, "overrides", None) or getattr(command, "opts", None) or ()
    overrides = [str(word) for word in words]
    seed = getattr(command, "seed", None)
    if seed is not None:
        overrides.append(f"seed={seed}")
    config = load_config(getattr(command, "config_file", None), overrides, extensions=extensions)
    config.set_hidden("resume", bool(getattr(command, "resume", False)))
    config.set_hidden("eval_only", bool(getattr(command, "eval_only", False)))
    config.set_hidden("model_path", getattr(command, "model_path", None))
    return config


def get_config_from_args(
    args: Any = None, config_type: str = "nas", *, extensions: SchemaExtensions | None = None
) -> Config:
    """Return the config of a command line, and make its run folder.

    Args:
        args: A list of words, a CommandLine or namespace; the words of this process if None.
        config_type: `"nas"`, or one of NASLib's other experiments (`naslib.config.experiments.TYPES`).
        extensions: As for `load_config`.

    Raises:
        ConfigError: If anything is wrong; lists all problems.
        RunFolderError: If the folder holds a run that is not resumed, evaluated or moved away, or another process
            works there.
        CheckpointError: If there is no run to resume.
    """
    words = args is None or (isinstance(args, Sequence) and not isinstance(args, str))
    command = parse_args(args=args) if words else args
    if config_type != "nas":
        return _experiment(command, config_type, extensions)
    config = config_from_command_line(command, extensions=extensions)
    if not getattr(command, "dry_run", False):
        keep = config.resume or config.eval_only
        if config.resume and not config.model_path:
            require_run(config, "--resume")
        prepare_run_folder(config, resume=keep, overwrite=bool(getattr(command, "overwrite", False)))
    return config


def _experiment(command: Any, config_type: str, extensions: SchemaExtensions | None) -> Config:
    """Return the config of one of NASLib's other experiments, and make its folder."""
    words = [str(word) for word in getattr(command, "overrides", None) or getattr(command, "opts", None) or ()]
    seed = getattr(command, "seed", None)
    words += [] if seed is None else [f"seed={seed}"]
    config = experiment_config(getattr(command, "config_file", None), words, config_type, extensions)
    for key, default in (("resume", False), ("eval_only", False), ("model_path", None)):
        config.set_hidden(key, getattr(command, key, default))
    Path(config.save).mkdir(parents=True, exist_ok=True)
    return config


def log_args(args: Any) -> None:
    """Log every key of a config, a mapping or a namespace, one per line."""
    for key, value in _flat(args if isinstance(args, Mapping) else vars(args), ""):
        logger.info("%s: %s", key, value)


def _flat(values: Mapping[str, Any], prefix: str) -> list[tuple[str, Any]]:
    """Return `(dotted key, value)` for every leaf."""
    rows: list[tuple[str, Any]] = []
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            rows += _flat(value, f"{prefix}{key}.")
        else:
            rows.append((f"{prefix}{key}", value))
    return rows
