"""Searches on small spaces: an optimizer that is ready to step, batches, and what a discrete architecture chose."""

from __future__ import annotations

import random
from typing import Any

import torch
from small_spaces import images

from naslib.optimizers.oneshot.supernet.abilities import Ability
from naslib.optimizers.oneshot.supernet.base import OneShotOptimizer
from naslib.optimizers.registry import OPTIMIZERS
from naslib.search_spaces.core.assignment import Assignment
from naslib.search_spaces.core.codec import NO_EDGE
from naslib.search_spaces.core.graph import Graph

# Every weight-sharing method, by one of its names
ALL = sorted({OPTIMIZERS.get(n): n for n in reversed(OPTIMIZERS.names())}.values())
ALL = [name for name in ALL if issubclass(OPTIMIZERS.get(name), OneShotOptimizer)]
# Those that take any space; the others have tests of their own
METHODS = [name for name in ALL if not OPTIMIZERS.get(name).OWN_SPACE]
# Those that train nothing
UNTRAINED = {name for name in ALL if Ability.TRAINED_WEIGHTS in OPTIMIZERS.get(name)().removes()}


# Of methods that sample architectures behind the last epoch, few
FEW: dict[str, dict[str, Any]] = {
    **{n: {"num_samples": 50, "num_finalists": 3} for n in ("random_nas", "rsws", "rs_ws", "one_shot", "oneshot")},
    **{n: {"population": 10, "generations": 3, "mutations": 5, "crossovers": 5} for n in ("spos", "fair_nas")},
}


def ready(name: str, space: Graph, seed: int = 0, dtype: torch.dtype = torch.float32, **keys: Any) -> Any:
    """Return an optimizer by name that has adapted a space and begun its first epoch, all of one type."""
    torch.manual_seed(seed)
    random.seed(seed)
    optimizer: Any = OPTIMIZERS.get(name)(**{"epochs": 2, **FEW.get(name, {}), **keys})
    optimizer.adapt_search_space(space)
    optimizer.before_training()
    optimizer.graph.to(dtype)
    for parameter in optimizer.architecture_parameters:
        parameter.data = parameter.data.to(dtype)
    optimizer.new_epoch(0)
    return optimizer


def batches(dtype: torch.dtype = torch.float32) -> tuple[Any, Any]:
    """Return a training and a validation batch of images."""
    return images(dtype=dtype), images(seed=1, dtype=dtype)


def chosen(optimizer: Any, discrete: Graph) -> Assignment:
    """Return the assignment of what is in a discrete architecture."""
    genotype = discrete.genotype()
    return Assignment(
        {d.name: d.candidates.index(genotype[d.name]) if d.name in genotype else NO_EDGE for d in optimizer.decisions}
    )
