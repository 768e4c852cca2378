"""naslib: neural architecture search over PyTorch graphs."""

from __future__ import annotations

import importlib
from typing import Any

from ._aliases import install as _install_aliases

__version__ = "0.1.0"

# Resolved on first use, so that `import naslib` stays light (PEP 562).
_LAZY = {
    "export_network": "naslib.export.bundle:export_network",
    "load_network": "naslib.training.export:load_network",
    "run_seeds": "naslib.cli.seeds:run_seeds",
    "write_report": "naslib.report.write:write_report",
}


_install_aliases()


def __getattr__(name: str) -> Any:
    """Return a lazily imported public name."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _LAZY[name].split(":")
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    """List the names of the module, the lazy ones included."""
    return sorted({*globals(), *_LAZY})
