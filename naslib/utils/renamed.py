"""Names of a module that were renamed, and are found under the old name for one release more."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any


def renamed(module: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a module that finds what it has renamed, with a FutureWarning.

    Assign it where type checkers do not look (`if not TYPE_CHECKING:`): they would take every name for known.

    Args:
        module: Its `__name__`.
        names: The new name by the old one.
    """

    def find(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        warnings.warn(
            f"{module}.{name} is now called {names[name]}; the old name goes with release 0.3",
            FutureWarning,
            stacklevel=2,
        )
        return getattr(sys.modules[module], names[name])

    return find
