"""Reference points of hypervolumes as a command line writes them."""

from __future__ import annotations

import math
from typing import Any

from naslib.errors import ConfigError

HELP = (
    "of searches for several objectives: the point that hypervolumes are above, a value per objective in its unit, "
    "null for the worst of all fronts with 5 %% slack (the default of each)"
)


def parse_reference(text: str | None) -> tuple[float | None, ...] | None:
    """Return the values that a text names: `85,null` is 85 and what the fronts say; None of None.

    Raises:
        ConfigError: If one is neither a finite number nor null.
    """
    if text is None:
        return None
    found: list[float | None] = []
    for word in text.split(","):
        if word.strip().lower() == "null":
            found.append(None)
            continue
        try:
            value = float(word)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise ConfigError(f"--reference is a number or null per objective, such as 85,null; not {text!r}")
        found.append(value)
    return tuple(found)


def check_reference(reference: tuple[float | None, ...] | None, config: Any) -> None:
    """Raise if a reference point does not go with the objectives of a config.

    Args:
        reference: What `parse_reference` has returned.
        config: The config of a run.

    Raises:
        ConfigError: If there is one objective alone, or another number of them.
    """
    if reference is None:
        return
    names = [str(getattr(name, "name", name)) for name in config.search.get("objectives") or ()]
    if len(names) < 2:
        raise ConfigError(
            "--reference is the point that the hypervolume of a search for several objectives is above, and "
            "search.objectives does not name several"
        )
    if len(names) != len(reference):
        raise ConfigError(
            f"--reference has {len(reference)} values; the objectives are {len(names)}: {', '.join(names)}"
        )
