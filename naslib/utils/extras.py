"""Libraries that only some classes need: imported where they are used, and named by the error that misses them."""

from __future__ import annotations

import importlib
from typing import Any

from naslib.errors import ConfigError


def require(module: str, what: str, extra: str = "") -> Any:
    """Return a module of an optional library.

    Args:
        module: What to import.
        what: What needs it, for the message.
        extra: The extra of naslib that brings it; the module's first name if empty.

    Raises:
        ConfigError: If it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        raise ConfigError(
            f"{what} needs {name}, which cannot be imported ({error}): pip install 'naslib[{extra or name}]'"
        ) from error
