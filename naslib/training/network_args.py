"""What a space's `evaluation_network` is called with: the sizes of the config, held against its signature."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from naslib.errors import ConfigError, did_you_mean
from naslib.search_spaces.core.graph import Graph

# Names that a config has for the arguments of the spaces which take them
SIZES = ("cells", "channels", "auxiliary")


def network_arguments(evaluation: Mapping[str, Any], space: Graph) -> dict[str, Any]:
    """Return the arguments of the network to retrain: `network_args`, and `cells`, `channels`, `auxiliary`.

    Args:
        evaluation: The evaluation section of a config.
        space: The search space, or an architecture of it.

    Raises:
        ConfigError: If its `evaluation_network` has no such argument, or one is given twice; all problems at once.
    """
    name = space.get_type()
    parameters = inspect.signature(space.evaluation_network).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    known = [n for n, p in parameters.items() if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]
    given = dict(evaluation.get("network_args") or {})
    problems = [
        f"evaluation.network_args.{key}: no argument of the network of {name}{did_you_mean(key, known)} "
        f"(there are: {', '.join(known) or 'none'})"
        for key in given
        if not takes_any and key not in known
    ]
    sizes = {key: evaluation.get(key) for key in SIZES}
    for key, value in sizes.items():
        if value is not None and given.get(key) not in (None, value):
            problems.append(
                f"evaluation.{key} is {value!r}, evaluation.network_args.{key} {given[key]!r}: leave one out"
            )
        if value is not None and key not in known and not takes_any:
            problems.append(f"evaluation.{key}: the network of {name} has no such argument (there are: {known})")
    if problems:
        raise ConfigError(problems)
    taken = {key: value for key, value in sizes.items() if key in known or (takes_any and value is not None)}
    return {**taken, **given}


def without_auxiliary(space: Graph, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments of `evaluation_network` with no auxiliary head, where there can be one."""
    takes = "auxiliary" in inspect.signature(space.evaluation_network).parameters
    return {**arguments, "auxiliary": False} if takes else dict(arguments)
