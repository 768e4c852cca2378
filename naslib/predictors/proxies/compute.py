"""compute_proxy: a proxy by name, on any network and any task."""

from __future__ import annotations

import inspect
import math
import operator
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from naslib.errors import ConfigError, PredictorError, did_you_mean
from naslib.registry.catalogue import PROXIES
from naslib.tasks import Task

from .az_nas import AZ_PARTS, az_nas_parts
from .subject import observed

# Proxies of which less is better; of all others, more
_MINIMIZED = frozenset({"ntk"})


def compute_proxy(name: str, network: nn.Module, task: Task, batch: Any, seed: int = 0, **options: Any) -> float:
    """Return a zero-cost proxy of a network: a number by which it can be compared before it is trained.

    The network computes on its own device and in its own type; its weights are those that it has. Nothing of it is
    changed (weights, statistics of batch norm, gradients, modes, `requires_grad`, hooks), nor are the global
    generators, also where this raises.

    Args:
        name: One of `PROXIES` (any case).
        network: The network.
        task: What learning means: its `forward` and its `loss`.
        batch: One batch as a loader yields it, or a list of batches, of which all but `zico` use the first.
        seed: Of everything that a proxy draws.
        **options: Keywords of the proxy.

    Returns:
        The value, which is finite; `maximizes(name)` says whether more is better.

    Raises:
        UnknownNameError: If there is no such proxy.
        ConfigError: If it does not take the options.
        DataError: If the batch does not fit the task.
        PredictorError: If the proxy is not defined for this network, task or batch, or is NaN or infinite.
    """
    proxy = PROXIES.get(name)
    check_options(name, options)
    with observed(network, task, batch, operator.index(seed)) as subject:
        value = float(proxy(subject, **options))
    if not math.isfinite(value):
        raise PredictorError(f"{str(name).lower()} of this network is {value}")
    return value


def compute_parts(
    name: str, network: nn.Module, task: Task, batch: Any, seed: int = 0, **options: Any
) -> dict[str, float]:
    """Return the scores that a proxy is put together from when networks are ranked: four for `az_nas`, else itself.

    See `compute_proxy` for arguments and errors.
    """
    if str(name).lower() != "az_nas":
        return {str(name).lower(): compute_proxy(name, network, task, batch, seed, **options)}
    check_options(name, options)
    with observed(network, task, batch, operator.index(seed)) as subject:
        parts = az_nas_parts(subject, **options)
    bad = [part for part, value in parts.items() if not math.isfinite(value)]
    if bad:
        raise PredictorError(f"az_nas: the {bad[0]} of this network is {parts[bad[0]]}")
    return {f"az_nas.{part}": parts[part] for part in AZ_PARTS}


def maximizes(name: str) -> bool:
    """Return whether more of a proxy is better."""
    return str(name).lower() not in _MINIMIZED


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """Raise if a proxy does not take options.

    Raises:
        UnknownNameError: If there is no such proxy.
        ConfigError: Naming the option and what there is.
    """
    parameters: Sequence[inspect.Parameter] = list(inspect.signature(PROXIES.get(name)).parameters.values())[1:]
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    known = [parameter.name for parameter in parameters]
    for option in options:
        if option not in known:
            listed = ", ".join(known) or "none"
            raise ConfigError(f"{name} has no option {option!r}{did_you_mean(option, known)} (options: {listed})")
