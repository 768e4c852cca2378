"""What a run on several ranks asks of its config, and what is said when it loses one."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from naslib.errors import ConfigError
from naslib.training.checkpoint import CheckpointManager
from naslib.utils.distributed import world_size
from naslib.utils.process_group import losing_ranks


def check_ranks(config: Any, optimizer: Any, searches: bool = True, own_loaders: bool = False) -> None:
    """Raise if a run cannot be shared out among the ranks there are; alone, everything can.

    Args:
        config: The config.
        optimizer: Of the run.
        searches: Whether there is a search, rather than an evaluation alone.
        own_loaders: Whether batches are a script's own, of whatever size.

    Raises:
        ConfigError: Listing what is in the way.
    """
    world = world_size()
    if world == 1:
        return
    problems = []
    if searches and not optimizer.using_step_function:
        problems.append(
            f"{type(optimizer).__name__} evaluates one architecture after the other, which is not shared out among "
            f"{world} ranks: start one process, and let it have trials at a time with search.workers="
            f"{world} (search.executor: process on this machine, ray on several)"
        )
    mode = config.evaluation.get("mode", "auto")
    trains = mode == "retrain" or (mode == "auto" and getattr(optimizer, "dataset_api", None) is None)
    sections = [name for name, used in (("search", searches), ("evaluation", trains)) if used and not own_loaders]
    if not searches or optimizer.using_step_function:
        problems += [p for name in sections if (p := _size_problem(name, int(config[name].batch_size), world))]
    if problems:
        raise ConfigError(problems)


def _size_problem(section: str, size: int, world: int) -> str:
    if size % world == 0:
        return ""
    below, above = size // world * world, (size // world + 1) * world
    near = f"{above}" if not below else f"{below} or {above}"
    return (
        f"{section}.batch_size={size} is the batch of all ranks together, and {world} ranks cannot have equal shares "
        f"of it: set it to {near}"
    )


def on_ranks(folder: Path) -> Any:
    """Return a context in which a rank that is lost is named, with the last checkpoint; see `losing_ranks`."""
    return losing_ranks(partial(_how_to_go_on, folder))


def _how_to_go_on(folder: Path) -> str:
    for name in ("eval", "search"):
        found = CheckpointManager(folder / name).newest_good()
        if found is not None:
            return f"The last checkpoint, {found}, is intact: the same command with --resume goes on from it"
    return f"No checkpoint was written yet in {folder} (as this rank sees it): start again"
