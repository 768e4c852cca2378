"""Paths of a controller that keep to limits: drawn again until they do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from naslib.errors import ConfigError
from naslib.optimizers.core.costing import limits_of

# Draws for each path that is wanted, and at least so many altogether
_EACH, _LEAST = 20, 500
# Where every one is measured
_MEASURED = 50

Path = tuple[int, ...]


def drawn_paths(
    optimizer: Any, draw: Callable[[], Path], count: int, input_shape: Callable[[], Sequence[int]]
) -> list[Path]:
    """Return the different paths among those that a controller draws; within limits, among as many that keep to them.

    What a path costs is that of the architecture that it leads to (`discretized`), of the supernet's size.

    Args:
        optimizer: Has the controller, and perhaps limits.
        draw: Draws a path.
        count: How many are drawn.
        input_shape: Returns the shape of one input, without the batch.

    Raises:
        ConfigError: If none of many draws keeps to the limits; it says the smallest costs that were seen.
    """
    if not optimizer.limits:
        return list(dict.fromkeys(draw() for _ in range(count)))
    limits = limits_of(optimizer, optimizer.search_space, None, optimizer.dataset, input_shape=input_shape)
    most = max(_EACH * count, _LEAST) if limits.are_known else _MEASURED
    judged: dict[Path, bool] = {}
    kept = 0
    for _ in range(most):
        path = draw()
        if path not in judged:
            judged[path] = limits.allow(_code_of(optimizer, path))
        kept += judged[path]
        if kept == count:
            break
    found = [path for path, is_within in judged.items() if is_within]
    if not found:
        raise ConfigError(f"{limits.refusal()}, of {most} paths drawn from the controller")
    return found


def _code_of(optimizer: Any, path: Path) -> Path:
    code: Path = optimizer.discretized(optimizer.path_choices.scores(path)).get_code()
    return code
