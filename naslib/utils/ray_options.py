"""What a person may say of work on Ray: which cluster, what share of it, how often it is tried again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any

from naslib.errors import ConfigError, did_you_mean

# The smallest share of a resource that Ray knows
_UNIT = 0.0001
_CLIENT = "ray://"


@dataclass(frozen=True)
class RayOptions:
    """What work on Ray needs.

    Attributes:
        address: None for a cluster of this machine that ends with the work; `"auto"` for the one that runs on it
            already; `host:port` of its head.
        num_cpus: CPUs that Ray reserves for each piece of work, fractions below 1 too.
        num_gpus: GPUs, fractions below 1 too; None for what the work needs.
        retries: How often a piece of work is tried again whose worker died.
    """

    address: str | None = None
    num_cpus: float = 1.0
    num_gpus: float | None = None
    retries: int = 1


def option_problems(given: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return `(key, what is wrong with it)` for what cannot be an option of work on Ray."""
    known = [field.name for field in fields(RayOptions)]
    problems = []
    for key, value in given.items():
        if key not in known:
            text = f"no such option of Ray{did_you_mean(str(key), known)} (there are: {', '.join(known)})"
        elif key == "address":
            text = _address_problem(value)
        elif key == "retries":
            text = _count_problem(value)
        else:
            text = "" if value is None and key == "num_gpus" else _share_problem(value, key)
        if text:
            problems.append((str(key), text))
    return problems


def ray_options(given: Mapping[str, Any], place: str) -> RayOptions:
    """Return the options that a person gives.

    Args:
        given: By name.
        place: Where they stand, for the message.

    Raises:
        ConfigError: Naming all that is wrong.
    """
    problems = option_problems(given)
    if problems:
        raise ConfigError([f"{place}.{key}: {text}" for key, text in problems])
    return RayOptions(**given)


def _address_problem(value: Any) -> str:
    if value is None or value == "auto":
        return ""
    wanted = "expected null (a cluster of this machine), auto (the one that runs here) or host:port"
    if not isinstance(value, str):
        return f"{wanted}, got {value!r}"
    if value.startswith(_CLIENT):
        return f"{wanted}; {value} is of Ray's client, through which no search is driven: start it on a node of Ray"
    host, _, port = value.rpartition(":")
    return "" if host and port.isdecimal() and 0 < int(port) < 2**16 else f"{wanted}, got {value!r}"


def _count_problem(value: Any) -> str:
    is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return "" if is_count else f"expected a number of tries from 0, got {value!r}"


def _share_problem(value: Any, key: str) -> str:
    what = key.removeprefix("num_")
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value < 0:
        return f"expected a number of {what} from 0, got {value!r}"
    if 0 < value < _UNIT:
        return f"Ray knows no smaller share than {_UNIT:g}, got {value!r}"
    if value > 1 and value != int(value):
        return f"Ray gives one of {what} in parts, and more than one whole ({math.ceil(value)}, say), got {value!r}"
    return ""
