"""What the ready spaces have in common: the classifier, and the network that is retrained."""

from __future__ import annotations

from typing import Any, TypeVar

from torch import nn

from naslib.errors import ConfigError
from naslib.search_spaces.core import primitives as core_ops
from naslib.search_spaces.core.arguments import constructor_arguments
from naslib.search_spaces.core.graph import Graph

G = TypeVar("G", bound=Graph)


def check_space(name: str, task: str, tasks: tuple[str, ...], dropout: float = 0.0, **sizes: int) -> None:
    """Raise `ConfigError` naming all arguments of a space that cannot be.

    Args:
        name: Of the space.
        task: What it is for.
        tasks: What it has a head for.
        dropout: A probability below 1.
        **sizes: Positive numbers.
    """
    problems = [f"{name}: {key} must be at least 1, not {value}" for key, value in sizes.items() if value < 1]
    if task not in tasks:
        problems.append(f"{name} has no head for {task}, only for {', '.join(tasks)}")
    if not 0.0 <= dropout < 1.0:
        problems.append(f"{name}: dropout is a probability in [0, 1), not {dropout}")
    if problems:
        raise ConfigError(problems)


def classifier(channels: int, n_outputs: int, dropout: float = 0.0, relu: bool = False) -> nn.Module:
    """Return ReLU (if asked for), the average over all pixels, dropout and a linear layer.

    Args:
        channels: Of the last features.
        n_outputs: Number of outputs.
        dropout: Probability.
        relu: Whether ReLU comes first.
    """
    first = [nn.ReLU()] if relu else []
    return core_ops.Sequential(
        *first, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(channels, n_outputs)
    )


def discrete_of_size(graph: G, **changed: Any) -> G:
    """Return the architecture of a discrete graph with other sizes, as a fresh graph of its space.

    Args:
        graph: The architecture.
        **changed: Arguments of the constructor.
    """
    fresh = type(graph)(**{**constructor_arguments(graph), **changed})
    fresh.set_spec(graph.genotype())
    return fresh
