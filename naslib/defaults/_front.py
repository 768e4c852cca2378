"""The front of a search for several objectives, as `summary.json` and the picture of it have it."""

from __future__ import annotations

from typing import Any

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
    try:
        volume: float | None = hypervolume(front.merits(), reference)
    except ConfigError as error:
        logger.info("the summary is without the hypervolume: %s", error)
        volume = None
    return {"members": members, "hypervolume": volume, "reference_point": as_values(reference, objectives)}
