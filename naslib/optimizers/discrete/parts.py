"""The parts of a search of trials, made from what a config says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from naslib.errors import ConfigError, did_you_mean
from naslib.registry.catalogue import TRIAL_PARTS

from .early_termination.part import EarlyTermination as EarlyTermination


def build_trial_parts(given: Mapping[str, Any] | None) -> EarlyTermination | None:
    """Return the part that lets trials stop early, None without one.

    Args:
        given: Keywords by the names of parts; None, true or `{}` takes a part as it is, false leaves it out.

    Raises:
        ConfigError: For an unknown part, or keywords that it does not take.
    """
    for name in given or {}:
        if name not in TRIAL_PARTS:
            raise ConfigError(
                f"search.parts: a search of trials has no part {name!r}{did_you_mean(name, TRIAL_PARTS)} "
                f"(known: {', '.join(TRIAL_PARTS.names())})"
            )
    said = (given or {}).get("early_termination", False)
    if said is False:
        return None
    keywords = dict(said) if isinstance(said, Mapping) else {}
    try:
        return EarlyTermination(**keywords)
    except TypeError as error:
        raise ConfigError(f"search.parts.early_termination: {error}") from error
