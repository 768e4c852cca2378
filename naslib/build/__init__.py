"""From a config to a data set, a search space, an optimizer, a Trainer, and a run.

What needs torch is imported when it is asked for (PEP 562), so that the command line answers at once.
"""

from __future__ import annotations

import importlib
from typing import Any

from naslib.cli import main as main
from naslib.cli import schema_extensions as schema_extensions

_BUILDERS = ("build_benchmark", "build_dataset", "build_optimizer", "build_space", "build_trainer")
_PLACES = {**dict.fromkeys(_BUILDERS, "naslib.cli.builders"), "run": "naslib.cli.pipeline"}


def __getattr__(name: str) -> Any:
    """Return a lazily imported public name."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    """List the names of the module, the lazy ones included."""
    return sorted({*globals(), *_PLACES})
