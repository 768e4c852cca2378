"""make_executor: the executor that a config or a command names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from naslib.errors import ConfigError, did_you_mean
from naslib.utils.cores import allowed_cores
from naslib.utils.ray_options import ray_options

from .base import Evaluator
from .executors import Executor, SerialExecutor
from .processes import ProcessExecutor
from .ray_executor import RayExecutor

NAMES = ("process", "ray", "serial")


def make_executor(
    evaluator: Evaluator,
    name: str | None,
    workers: int,
    threads: int | str | None = "auto",
    args: Mapping[str, Any] | None = None,
) -> Executor:
    """Return what runs the evaluations.

    Args:
        evaluator: What evaluates.
        name: `"serial"`, `"process"` or `"ray"`; None for processes where there are several workers.
        workers: How many trials at a time.
        threads: Of each, where they have processes of their own; `"auto"` for the cores divided by the workers, on Ray
            as many as it reserves CPUs for a trial; None for torch's own number.
        args: What else it is told; see `naslib.utils.ray_options.RayOptions`.

    Raises:
        ConfigError: If it cannot be made.
    """
    if workers < 1:
        raise ConfigError(f"search.workers must be at least 1, not {workers}")
    if name not in (None, *NAMES):
        raise ConfigError(f"the executor is one of {', '.join(NAMES)}, not {name!r}{did_you_mean(str(name), NAMES)}")
    if name is None:
        name = "process" if workers > 1 else "serial"
    if name == "serial":
        if workers > 1:
            raise ConfigError(f"search.workers={workers} needs search.executor=process; serial has one")
        return SerialExecutor(evaluator)
    options = ray_options(args or {}, "search.executor_args")
    if name == "ray":
        return RayExecutor(evaluator, workers, None if isinstance(threads, str) else threads, options)
    count = max(1, allowed_cores() // workers) if isinstance(threads, str) else threads
    return ProcessExecutor(evaluator, workers, count, options.retries)
