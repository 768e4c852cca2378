"""Quiet runs on a cluster of Ray."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

from naslib.config.config import Config
from naslib.config.executor_options import OPTION
from naslib.errors import ConfigError
from naslib.utils.ray_options import ray_options

from .quiet_run import INTERRUPTED, QuietRun, do_quietly
from .ray_workers import on_ray
from .workers import Event


def runs_on_ray(works: Sequence[QuietRun], jobs: int, args: Mapping[str, Any] | None) -> Generator[Event, None, None]:
    """Do runs on Ray, and yield what happens; see `ray_workers.on_ray`.

    Args:
        works: The runs; with none no cluster is started.
        jobs: How many at a time.
        args: What else Ray is told.
    """
    if works:
        yield from on_ray(do_quietly, works, jobs, ray_options(args or {}, OPTION), _going_on, INTERRUPTED)


def check_not_nested(executor: str | None, config: Config) -> None:
    """Raise if both runs and their trials were on Ray: each would wait for what the other one holds.

    Raises:
        ConfigError: Naming both.
    """
    if executor == "ray" and config.search.get("executor") == "ray":
        raise ConfigError(
            "--executor ray has the runs on Ray, and search.executor=ray the trials of each: leave one of them out"
        )


def _going_on(work: QuietRun) -> QuietRun:
    """Return what is done for a run whose process died: it goes on with what it had saved."""
    return work._replace(keeps=True)
