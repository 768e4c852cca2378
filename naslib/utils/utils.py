"""NASLib's module path `naslib.utils.utils`: the same helpers as `naslib.utils`."""

from __future__ import annotations

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    """Return the public helper called `name`."""
    return getattr(importlib.import_module("naslib.utils"), name)
