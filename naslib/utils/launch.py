"""What `torchrun` tells a process in its environment: which of several it is. Nothing is joined; torch stays out."""

from __future__ import annotations

import os
from typing import NamedTuple

from naslib.errors import ConfigError

# Seconds that ranks wait for each other, at the start and in every exchange
TIMEOUT = "NASLIB_DIST_TIMEOUT"
USUAL_TIMEOUT = 300.0


class Launch(NamedTuple):
    """Which of several processes this one is.

    Attributes:
        rank: Its number, from 0.
        world: How many there are, at least 2.
        local_rank: Its number on this machine.
        local_world: How many there are on this machine.
    """

    rank: int
    world: int
    local_rank: int
    local_world: int


def launched() -> Launch | None:
    """Return what the environment says (RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE); None for a single process.

    Raises:
        ConfigError: If a variable is missing, no number, or out of range.
    """
    if not os.environ.get("WORLD_SIZE") and not os.environ.get("RANK"):
        return None
    world, rank = _number("WORLD_SIZE", 1), _number("RANK", 0)
    if rank >= world:
        raise ConfigError(f"RANK={rank} and WORLD_SIZE={world}: ranks are counted from 0, the last one is {world - 1}")
    if world == 1:
        return None
    local_world = _number("LOCAL_WORLD_SIZE", 1, 1 if "LOCAL_RANK" not in os.environ else world)
    return Launch(rank, world, _number("LOCAL_RANK", 0, 0), local_world)


def launched_rank() -> int:
    """Return the number of this process, 0 alone and where the environment cannot be read."""
    try:
        found = launched()
    except ConfigError:
        return 0
    return 0 if found is None else found.rank


def speaks_for_all() -> bool:
    """Say whether this process is the one that says what all ranks find out by themselves."""
    try:
        found = launched()
    except ConfigError:  # nobody knows its number; one per machine says so
        return not os.environ.get("LOCAL_RANK", "").strip("0").isdigit()
    return found is None or found.rank == 0


def seconds_to_wait() -> float:
    """Return how long ranks wait for each other: `NASLIB_DIST_TIMEOUT`, 300 seconds if that is not set.

    Raises:
        ConfigError: If it is no number above 0.
    """
    text = os.environ.get(TIMEOUT, "")
    try:
        seconds = float(text) if text else USUAL_TIMEOUT
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ConfigError(f"{TIMEOUT}={text} must be a number of seconds above 0")
    return seconds


def _number(name: str, least: int, default: int | None = None) -> int:
    text = os.environ.get(name, "")
    if not text and default is not None:
        return default
    if not text:
        raise ConfigError(
            f"the environment has {'RANK' if name == 'WORLD_SIZE' else 'WORLD_SIZE'} and no {name}: start several "
            "processes with torchrun, which sets both, or unset it for a single one"
        )
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least:
        raise ConfigError(
            f"{name}={text} in the environment must be a whole number from {least} on: start several processes with "
            "torchrun, which sets it, or unset it for a single one"
        )
    return number
