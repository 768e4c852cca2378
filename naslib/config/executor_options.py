"""`--executor` and `--executor-args`: where runs or trainings of a command are made."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from naslib.config.trials import EXECUTORS
from naslib.config.yaml_reader import parse_value
from naslib.errors import ConfigError, did_you_mean
from naslib.utils.ray_options import ray_options

OPTION = "--executor-args"
# Where whole runs may be
RUN_EXECUTORS = ("process", "ray")


def add_executor_options(parser: ArgumentParser, names: str, default: str) -> None:
    """Add both options.

    Args:
        parser: The parser of the command.
        names: What `--executor` may be, in words.
        default: What it is where nobody says, in words.
    """
    parser.add_argument("--executor", metavar="NAME", help=f"{names} (default: {default})")
    parser.add_argument(
        OPTION, metavar="ARGS", help="of ray: address, num_cpus, num_gpus, retries, as '{address: auto, num_gpus: 0.5}'"
    )


def check_executor(
    name: str | None, said: str | Mapping[str, Any] | None, known: tuple[str, ...] = EXECUTORS
) -> dict[str, Any] | None:
    """Return what `--executor-args` says, None where it is not given.

    Args:
        name: What `--executor` says.
        said: A mapping, as YAML or as `key=value` words with commas where it is a text.
        known: What `--executor` may be.

    Raises:
        ConfigError: For another executor, arguments that cannot be read, or such as nobody takes.
    """
    if name is not None and name not in known:
        raise ConfigError(f"--executor is one of {', '.join(known)}, not {name!r}{did_you_mean(name, known)}")
    if said is None:
        return None
    found: Any = said
    if isinstance(said, str):
        text = said.strip()
        found = parse_value(text if text.startswith("{") else "{" + text.replace("=", ": ") + "}")
    if not isinstance(found, Mapping):
        raise ConfigError(f"{OPTION} is a mapping, such as '{{address: auto}}', not {said!r}")
    given = {str(key): value for key, value in found.items()}
    ray_options(given, OPTION)
    others = [key for key in given if key != "retries" or name == "serial" or known is RUN_EXECUTORS]
    if others and (name in ("process", "serial") or (name is None and known is RUN_EXECUTORS)):
        raise ConfigError(f"{OPTION} {', '.join(others)}: it goes with --executor ray")
    return given
