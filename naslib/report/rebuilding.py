"""The architecture of a run as a graph again, from whichever of its records allows it."""

from __future__ import annotations

import inspect
from typing import Any

from naslib.errors import NASLibError
from naslib.registry.catalogue import SEARCH_SPACES
from naslib.search_spaces.core.graph import Graph
from naslib.training.space_record import rebuild_architecture
from naslib.utils.seeding import rng_restore, rng_snapshot

from .reading import SavedRun

# What a record of another version, a damaged one, or a network of one's own may raise where it is built or run
FAILURES = (
    NASLibError, ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, OSError, RuntimeError,
    SyntaxError, TypeError, ValueError,
)  # fmt: skip
# What a space is built with where nothing says it: its cells do not depend on it
_ANY = {"n_classes": 10, "in_channels": 3, "image_size": 32}


def rebuild(run: SavedRun) -> tuple[Graph | None, str]:
    """Return the architecture of a run, and "" or why there is none.

    It is built from the record of its trained network, else from its code and the arguments of its space. No random
    number is drawn from the global generators.
    """
    snapshot = rng_snapshot()
    try:
        return _rebuild(run)
    finally:
        rng_restore(snapshot)


def _rebuild(run: SavedRun) -> tuple[Graph | None, str]:
    reasons = []
    for name, record in (
        ("eval/network.json", run.network_record.get("architecture")),
        ("genotype.json", _by_code(run)),
    ):
        if not isinstance(record, dict):
            continue
        try:
            return rebuild_architecture(record), ""
        except FAILURES as error:
            reasons.append(f"{name}: {type(error).__name__}: {' '.join(str(error).split())[:160]}")
    return None, "; ".join(reasons) or "no record of the run says how its network is built"


def _by_code(run: SavedRun) -> dict[str, Any] | None:
    """Return a record as `describe_architecture` writes it, made of the code and the arguments of the space."""
    code, name = run.genotype.get("code"), run.of("search_space")
    if not isinstance(code, list) or name not in SEARCH_SPACES:
        return None
    space = SEARCH_SPACES.get(name)
    said = run.trials.about.get("space arguments")
    if not isinstance(said, dict):
        said = run.config.get("search_space_args")
    takes = inspect.signature(space.__init__).parameters
    needed = {
        key: value for key, value in _ANY.items() if key in takes and takes[key].default is inspect.Parameter.empty
    }
    arguments = {**needed, **(said if isinstance(said, dict) else {})}
    return {"class": f"{space.__module__}:{space.__qualname__}", "arguments": arguments, "code": code}
