"""Predictors: what an architecture will reach, from its features, from short trainings, or from one batch of data.

The classes are imported when they are first asked for, under NASLib's names where it has them.
"""

from __future__ import annotations

import importlib
from typing import Any

from naslib.registry.catalogue import PREDICTORS as PREDICTORS
from naslib.registry.catalogue import PROXIES as PROXIES

from .base import Predictor as Predictor

_HERE = "naslib.predictors"
# Where names are that no entry of the registry is called by
_MORE = {
    "OmniNGBPredictor": f"{_HERE}.omni.ngb",
    "OmniSemiNASPredictor": f"{_HERE}.omni.seminas",
    "OneShotPredictor": f"{_HERE}.oneshot",
    "SemiNASPredictor": f"{_HERE}.neural.seminas",
    "SoLosspredictor": f"{_HERE}.curves.soloss",
    "EarlyStopping": f"{_HERE}.curves.early_stopping",
    "ZeroCost": f"{_HERE}.zerocost",
    "compute_proxy": f"{_HERE}.proxies.compute",
}


def _places() -> dict[str, str]:
    """Return the module of every class by its name."""
    registered = (PREDICTORS.place(name).split(":") for name in PREDICTORS.names())
    return {attribute: module for module, attribute in registered} | _MORE


def __getattr__(name: str) -> Any:
    """Return the predictor class called `name`."""
    places = _places()
    if name not in places:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(places[name]), name)


def __dir__() -> list[str]:
    """List the names of the module, the lazy ones included."""
    return sorted({*globals(), *_places()})
