"""Parts see of an optimizer what `SupernetHost` lists, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from observed_search import train_batch, valid_batch
from part_figures import PARTS_KEYWORDS
from small_spaces import ConvSpace

from naslib.optimizers import DARTSOptimizer
from naslib.optimizers.oneshot.parts import PARTS
from naslib.optimizers.oneshot.supernet.host import StructureHandle, SupernetHost

# `partial_channels` is what the second stage of this part widens
COMPANIONS = {"progressive_shrinking": {"partial_channels": {"k": 2}}}

# Those that ask most; the others may do without it
LEAST = {"perturbation_selection": 8, "early_stopping": 4, "latency": 2}


def _members(protocol: type) -> set[str]:
    """Return the names that a protocol lists, those of its parents included."""
    parents = [cls for cls in protocol.__mro__ if cls.__module__ == protocol.__module__]
    names = {name for cls in parents for name in (*vars(cls), *vars(cls).get("__annotations__", {}))}
    return {name for name in names if not name.startswith("_")}


class _Narrow:
    """An object of which only the members of a protocol can be read and written."""

    def __init__(self, inner: Any, protocol: type, seen: set[str]) -> None:
        vars(self).update(_inner=inner, _protocol=protocol, _seen=seen)

    def _allowed(self, name: str) -> None:
        if name.startswith("_"):  # a copy asks for those of Python
            raise AttributeError(name)
        if name not in _members(self._protocol):
            raise AttributeError(f"{self._protocol.__name__} does not list {name!r}")
        self._seen.add(name)

    def __getattr__(self, name: str) -> Any:
        self._allowed(name)
        value = getattr(self._inner, name)
        return _Narrow(value, StructureHandle, self._seen) if name == "structure" else value

    def __setattr__(self, name: str, value: Any) -> None:
        self._allowed(name)
        setattr(self._inner, name, value)


def test_the_host_is_narrow() -> None:
    members = _members(SupernetHost)
    assert {"graph", "scope", "decisions", "forward_loss", "structure", "outcome"} <= members
    assert not members & {"adapt_search_space", "relaxation", "get_checkpointables", "build_supernet", "search_space"}
    assert len(members) < 30


@pytest.mark.parametrize("name", PARTS.names())
def test_a_part_touches_nothing_but_the_host(name: str) -> None:
    seen: set[str] = set()
    torch.manual_seed(0)
    parts = {**COMPANIONS.get(name, {}), name: PARTS_KEYWORDS[name]}
    if name == "progressive_shrinking":
        parts[name] = {"stages": [{"epochs": 1}, {"n_ops": 2, "k": 1}], "warm_up": 0}
    optimizer = DARTSOptimizer(epochs=2, parts=parts)
    for part in optimizer.parts.values():
        part.optimizer = _Narrow(optimizer, SupernetHost, seen)  # type: ignore[assignment]
    optimizer.adapt_search_space(ConvSpace())
    optimizer.before_training()
    optimizer.graph.train()
    for epoch in range(2):
        optimizer.new_epoch(epoch)
        losses = optimizer.step(train_batch(), valid_batch())[2:]
        assert all(loss.isfinite() for loss in losses)
    optimizer.select_architecture([train_batch()], [valid_batch()])
    assert optimizer.get_final_architecture().eval()(train_batch()[0]).isfinite().all()
    assert len(seen) >= LEAST.get(name, 0), sorted(seen)
