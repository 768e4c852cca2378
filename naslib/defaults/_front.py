"""The front of a search for several objectives, as `summary.json` and the picture of it have it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from naslib.errors import ConfigError
from naslib.history.fronts import as_values, reference_point
from naslib.history.pareto import hypervolume
from naslib.optimizers.discrete.base import DiscreteOptimizer
from naslib.utils.files import to_jsonable
from naslib.utils.log import get_logger

logger = get_logger(__name__)


def front_of(optimizer: Any) -> dict[str, Any] | None:
    """Return the front, None for one objective or a method without trials.

    Returns:
        `members` from the best by the first objective, each with `trial`, `values`, `code` and `genotype`;
        `hypervolume` and the `reference_point` that it is above, in the units of the objectives: the one given to the
        search where it has one, else the worst value of each objective on the front with 5 % slack. The hypervolume is
        None where moocore is not installed.
    """
    if not isinstance(optimizer, DiscreteOptimizer) or not optimizer.record.front.members:
        return None
    front, objectives, codec = optimizer.record.front, optimizer.objectives, optimizer.codec
    reference = reference_point([front.merits()], objectives, getattr(optimizer, "reference_point", None))
    if reference is None:
        return None
    members = [
        {
            "trial": member.number,
            "values": as_values(member.merits, objectives),
            "code": list(member.code),
            "genotype": to_jsonable(codec.genotype(member.code)),
        }
        for member in front.in_order()
    ]
    volume = _volume(front.merits(), reference)
    return {"members": members, "hypervolume": volume, "reference_point": as_values(reference, objectives)}


def fronts_of_devices(optimizer: Any) -> dict[str, Any] | None:
    """Return what a search for several devices found for each, None for another search.

    Returns:
        By the name of a cost `learned`, `members` of the front of score and cost, from the best score on, `proposed`
        (what the method takes for a preference, whether or not it was looked up), `hypervolume` and the
        `reference_point` that it is above, the worst of this front with 5 % of its range as slack.
    """
    found = optimizer.found_by_device() if isinstance(optimizer, DiscreteOptimizer) else None
    if found is None:
        return None
    codec, objectives = optimizer.codec, {objective.name: objective for objective in optimizer.objectives}
    for name, of_device in found.items():
        for row in (*of_device["members"], *of_device.get("proposed", ())):
            code = row["code"]
            row |= {"code": list(code), "genotype": to_jsonable(codec.genotype(code))}
        pair = (optimizer.objectives[0], objectives[name])
        merits = np.array([as_values(member["values"], pair) for member in of_device["members"]])
        of_device["hypervolume"] = _volume(merits, as_values(of_device["reference_point"], pair))
    return found


def _volume(merits: np.ndarray, reference: Sequence[float]) -> float | None:
    """Return the hypervolume, None where moocore is not installed."""
    try:
        return hypervolume(merits, reference)
    except ConfigError as error:
        logger.info("the summary is without the hypervolume: %s", error)
        return None
