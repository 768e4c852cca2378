"""State of an optimizer, carried over to a network that was widened or deepened."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from naslib.errors import MorphismError

from .deepening import Deepening
from .widening import Widening

# What a state holds that is a mean of gradients, or of their squares
_GRADIENTS = ("momentum_buffer", "exp_avg")
_SQUARES = ("exp_avg_sq", "max_exp_avg_sq", "square_avg")


def carry_state(
    optimizer: torch.optim.Optimizer,
    network: nn.Module,
    new_optimizer: torch.optim.Optimizer,
    new_network: nn.Module,
    change: Widening | Deepening,
) -> list[str]:
    """Give the optimizer of a new network what that of the old one remembers.

    Without noise, a copied unit has the gradient of its original divided by the number of copies, and a weight that
    reads a copy that of the weight that reads the original. Means of gradients are carried over so, means of squares by
    the squares: what an optimizer remembers is then what it would remember had the network been wide from the start,
    with those weights.

    Args:
        optimizer: Of the old network: SGD, Adam, or another that remembers what these do.
        network: The old network.
        new_optimizer: Of the new network, which has made no step; changed.
        new_network: What `widened` or `deepened` returned.
        change: What it said was done.

    Returns:
        Names, in the new network, of the parameters whose state was carried over; the others start anew.

    Raises:
        MorphismError: If a state holds something else, of which nobody can say what becomes of it.
    """
    new_parameters = dict(new_network.named_parameters())
    carried = []
    for name, parameter in network.named_parameters():
        state = optimizer.state.get(parameter)
        if not state:
            continue
        new_name = name
        if isinstance(change, Deepening) and name.startswith(f"{change.at}."):
            new_name = change.inner + name[len(change.at) :]
        new_optimizer.state[new_parameters[new_name]] = {
            key: _carried(key, value, parameter, name, change) for key, value in state.items()
        }
        carried.append(new_name)
    return carried


def _carried(key: str, value: Any, parameter: nn.Parameter, name: str, change: Widening | Deepening) -> Any:
    if not isinstance(value, torch.Tensor) or value.shape != parameter.shape:
        return copy.deepcopy(value)
    rearranged = change.changed.get(name) if isinstance(change, Widening) else None
    if rearranged is None:
        return value.clone()
    if key in _GRADIENTS:
        return rearranged.gradients(value)
    if key in _SQUARES:
        return rearranged.gradients(value, power=2)
    raise MorphismError(
        f"the optimizer remembers {key!r} of {name!r}, and what becomes of it when units are copied is not known "
        f"(it is of {', '.join((*_GRADIENTS, *_SQUARES))}): let it start anew"
    )
