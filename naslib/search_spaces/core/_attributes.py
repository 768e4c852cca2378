"""The dictionaries inside a Graph: node attributes report changes, graph attributes show auxiliary outputs."""

from __future__ import annotations

import threading
import weakref
from typing import Any, Protocol

from torch import Tensor


class Compiled(Protocol):
    """A graph that hears of changes behind one of its nodes."""

    def structure_changed(self) -> None:
        """Compile anew before the next forward."""


# Auxiliary outputs of the calling thread's last eager forward, outside the modules: never pickled, copied or shared.
_LAST_FORWARD = threading.local()


def remember_auxiliary(graph: object, outputs: dict[int, Tensor]) -> None:
    """Keep `outputs` (node -> tensor) as what the calling thread's last forward of `graph` left at its other sinks."""
    if not hasattr(_LAST_FORWARD, "outputs"):
        _LAST_FORWARD.outputs = weakref.WeakKeyDictionary()
    _LAST_FORWARD.outputs[graph] = outputs


def recall_auxiliary(graph: object | None) -> dict[int, Tensor]:
    """Return what `remember_auxiliary` kept for `graph` in this thread; empty where there was nothing."""
    if graph is None or not hasattr(_LAST_FORWARD, "outputs"):
        return {}
    return _LAST_FORWARD.outputs.get(graph, {})


def forget_auxiliary(graph: object) -> None:
    """Drop what `remember_auxiliary` kept for `graph` in this thread."""
    if hasattr(_LAST_FORWARD, "outputs"):
        _LAST_FORWARD.outputs.pop(graph, None)


class GraphAttributes(dict[str, Any]):
    """`graph.graph`: networkx's attribute dictionary, in which `out_from_N` is a view of the last eager forward."""

    PREFIX = "out_from_"

    def __init__(self, *args: Any, owner: object | None = None) -> None:
        super().__init__(*args)
        self._owner = weakref.ref(owner) if owner is not None else lambda: None

    def _auxiliary(self, key: object) -> Tensor | None:
        if isinstance(key, str) and key.startswith(self.PREFIX) and key[len(self.PREFIX) :].isdigit():
            return recall_auxiliary(self._owner()).get(int(key[len(self.PREFIX) :]))
        return None

    def __missing__(self, key: str) -> Tensor:
        value = self._auxiliary(key)
        if value is None:
            raise KeyError(key)
        return value

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or self._auxiliary(key) is not None

    def get(self, key: str, default: Any = None) -> Any:
        """Return the attribute or auxiliary output called `key`, or `default`."""
        value = super().get(key)
        if value is None:
            value = self._auxiliary(key)
        return default if value is None else value

    def __reduce__(self) -> tuple[Any, ...]:
        return GraphAttributes, (dict(self),)


class NodeAttributes(dict[str, Any]):
    """Attributes of one node; replacing its subgraph or comb_op is reported to the graphs that compiled it."""

    REPORTED = ("subgraph", "comb_op")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._owners: weakref.WeakSet[Compiled] = weakref.WeakSet()

    def add_owner(self, graph: Compiled) -> None:
        """Tell `graph` from now on when the structure behind the node changes."""
        self._owners.add(graph)

    def _report(self, key: object) -> None:
        if key in self.REPORTED:
            for graph in list(self._owners):
                graph.structure_changed()

    def __setitem__(self, key: str, value: Any) -> None:
        changed = key not in self or self[key] is not value
        super().__setitem__(key, value)
        if changed:
            self._report(key)

    def __delitem__(self, key: str) -> None:
        super().__delitem__(key)
        self._report(key)

    def pop(self, key: str, *default: Any) -> Any:
        """Remove an attribute and return it, as `dict.pop`."""
        value = super().pop(key, *default)
        self._report(key)
        return value

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Write several attributes, as `dict.update`."""
        for key, value in dict(*args, **kwargs).items():
            self[key] = value

    def copy(self) -> NodeAttributes:
        """Return a shallow copy that nobody owns."""
        return NodeAttributes(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return NodeAttributes, (), None, None, iter(self.items())
