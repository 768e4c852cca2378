"""EdgeData: what an edge carries, part of it private to the edge, part of it shared by all copies of the edge."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import torch
from torch import nn

from ._module_copy import Memo, detach_activations
from .primitives import Identity


class EdgeOwner(Protocol):
    """A parsed graph, which hears of an op that is swapped on one of its edges."""

    def op_changed(self, name: str, old: Any, new: Any) -> None:
        """Take note that the op registered as `name` was replaced."""


class EdgeData:
    """Data of one edge.

    Private entries belong to this edge; shared entries are one object for all edges made from it by `copy()` (the same
    edge in every copy of a cell). Where a key is private here and shared by another copy, the private entry is what
    this edge has, however it is read. `op` is always private and `Identity()` unless given. Keys with a leading
    underscore are reserved. Entries are read as `edge.key`, `edge[key]` or `edge.get(key)` and written by `set` only.

    Args:
        data: Initial private entries.
    """

    __slots__ = ("__weakref__", "_owners", "_private", "_shared")

    _private: dict[str, Any]
    _shared: dict[str, Any]
    _owners: list[tuple[weakref.ref[Any], str]]

    def __init__(self, data: Mapping[str, Any] | None = None) -> None:
        object.__setattr__(self, "_owners", [])
        object.__setattr__(self, "_private", {"_final": False})
        object.__setattr__(self, "_shared", {"_deleted": False})
        data = dict(data or {})
        self._private["op"] = data.pop("op") if "op" in data else Identity()
        for key, value in data.items():
            self.set(key, value)

    # reading

    def has(self, key: str) -> bool:
        """Say whether there is an entry called `key`."""
        self._check_key(key)
        return key in self._private or key in self._shared

    def get(self, key: str, default: Any = None) -> Any:
        """Return the entry called `key`, or `default`."""
        self._check_key(key)
        if key in self._private:
            return self._private[key]
        return self._shared.get(key, default)

    def __getattr__(self, key: str) -> Any:
        if key.startswith("_"):
            raise AttributeError(key)
        if key in self._private:
            return self._private[key]
        if key in self._shared:
            return self._shared[key]
        raise AttributeError(f"the edge has no entry {key!r} (it has: {', '.join(self.keys())})")

    def __getitem__(self, key: str) -> Any:
        self._check_key(key)
        if key in self._private:
            return self._private[key]
        if key in self._shared:
            return self._shared[key]
        raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and not key.startswith("_") and (key in self._private or key in self._shared)

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())

    def __bool__(self) -> bool:
        return True

    def keys(self) -> list[str]:
        """Return the names of all entries, private ones first."""
        return list(self.to_dict())

    def items(self) -> list[tuple[str, Any]]:
        """Return all entries as pairs."""
        return list(self.to_dict().items())

    def to_dict(self, subset: str = "all") -> dict[str, Any]:
        """Return the entries as a new dictionary.

        Args:
            subset: `"all"`, `"private"` or `"shared"`.

        Raises:
            ValueError: For another subset.
        """
        if subset not in ("all", "private", "shared"):
            raise ValueError(f"subset must be 'all', 'private' or 'shared', not {subset!r}")
        # a private entry hides a shared one of its name, which another copy of the edge may have set
        hiding = {**self._private, **{k: v for k, v in self._shared.items() if k not in self._private}}
        chosen = {"private": self._private, "shared": self._shared, "all": hiding}[subset]
        return {key: value for key, value in chosen.items() if not key.startswith("_")}

    # writing

    def set(self, key: str, value: Any, shared: bool = False) -> None:
        """Write an entry.

        Args:
            key: Its name, without leading underscore.
            value: Anything.
            shared: Whether all copies of the edge see the entry.

        Raises:
            ValueError: If the edge is final, if the key is on the other side already, or if `op` should be shared.
        """
        self._check_key(key)
        if self._private["_final"]:
            raise ValueError(f"cannot set {key!r}: the edge is final")
        if key == "op" and shared:
            raise ValueError("the entry 'op' is always private: copies of an edge have weights of their own")
        if self._is_shared(key, default=shared) is not shared:
            now = "private" if shared else "shared"
            raise ValueError(f"the entry {key!r} is {now} and cannot change sides; remove it first")
        if key == "op":
            self._set_op(value)
        else:
            (self._shared if shared else self._private)[key] = value

    def _is_shared(self, key: str, default: bool) -> bool:
        """Say on which side the entry is that a reader of `key` sees; `default` where there is none."""
        return False if key in self._private else True if key in self._shared else default

    def _set_op(self, op: Any) -> None:
        old = self._private.get("op")
        self._private["op"] = op
        for reference, name in self._owners:
            owner = reference()
            if owner is not None:
                owner.op_changed(name, old, op)

    def __setitem__(self, key: str, value: Any) -> None:
        self.set(key, value, shared=self._is_shared(key, default=False))

    def __setattr__(self, name: str, value: Any) -> None:
        if name in EdgeData.__slots__:
            object.__setattr__(self, name, value)
        else:
            raise ValueError(f"write `edge.set({name!r}, value)` instead of assigning an attribute")

    def update(self, data: Mapping[str, Any] | EdgeData) -> None:
        """Take over entries: those of a mapping as private ones, those of another EdgeData in place of all own ones.

        Raises:
            ValueError: If the edge is final.
        """
        if isinstance(data, EdgeData):
            if self._private["_final"]:
                raise ValueError("cannot update: the edge is final")
            op = data._private["op"]
            self._private = {**data._private, "op": self._private["op"]}
            self._shared = data._shared
            self._set_op(op)
            return
        for key, value in data.items():
            self.set(key, value)

    def remove(self, key: str) -> None:
        """Remove an entry.

        Raises:
            KeyError: If there is none of that name.
            ValueError: If the edge is final or `key` is `op`.
        """
        self._check_key(key)
        if self._private["_final"]:
            raise ValueError(f"cannot remove {key!r}: the edge is final")
        if key == "op":
            raise ValueError("an edge always has an op; set Identity() to remove the operation")
        if key in self._private:
            del self._private[key]
        else:
            del self._shared[key]

    def apply_to_tensors(self, convert: Callable[[torch.Tensor], torch.Tensor]) -> None:
        """Convert the tensors among the entries (a final edge's too), as `torch.nn.Module` converts its own.

        Tensors of any shape.

        A parameter stays the object that it is wherever torch can do so: optimizers hold it. Modules are left alone.

        Args:
            convert: What `Module.to` and its like apply to each tensor.
        """
        for side in (self._private, self._shared):
            for key, value in side.items():
                side[key] = _converted(value, convert)

    # life of the edge

    def copy(self) -> EdgeData:
        """Return a copy with private entries deep-copied and shared entries the same object."""
        new = EdgeData.__new__(EdgeData)
        memo: Memo = {}
        detach_activations(self._private.values(), memo)
        new._owners = []
        new._private = {key: _copy_private(value, memo) for key, value in self._private.items()}
        new._shared = self._shared
        return new

    def share_with(self, other: EdgeData) -> None:
        """Become a copy of another edge: the shared entries of `other` take the place of its own; private ones stay."""
        self._shared = other._shared

    def clone(self) -> EdgeData:
        """Return an independent deep copy, shared entries included."""
        return copy.deepcopy(self)

    def __deepcopy__(self, memo: Memo) -> EdgeData:
        new = memo[id(self)] = EdgeData.__new__(EdgeData)
        detach_activations([*self._private.values(), *self._shared.values()], memo)
        new.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        return new

    def delete(self) -> None:
        """Flag the edge, and every copy of it, for removal by the next `update_edges` or `update_nodes`."""
        self._shared["_deleted"] = True

    def is_deleted(self) -> bool:
        """Say whether the edge is flagged for removal."""
        return bool(self._shared["_deleted"])

    def finalize(self) -> EdgeData:
        """Make the edge final: it cannot be changed any more, and update functions do not see it."""
        self._private["_final"] = True
        return self

    def is_final(self) -> bool:
        """Say whether the edge is final."""
        return bool(self._private["_final"])

    # ownership by parsed graphs

    def add_owner(self, owner: EdgeOwner, name: str) -> None:
        """Tell `owner` from now on when the op is swapped; it registered the op under `name`."""
        self._owners = [(ref, n) for ref, n in self._owners if ref() is not None and ref() is not owner]
        self._owners.append((weakref.ref(owner), name))

    def remove_owner(self, owner: EdgeOwner) -> None:
        """Stop telling `owner`."""
        self._owners = [(ref, n) for ref, n in self._owners if ref() is not None and ref() is not owner]

    def __getstate__(self) -> dict[str, Any]:
        return {"private": self._private, "shared": self._shared}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._owners = []
        self._private = state["private"]
        self._shared = state["shared"]

    def __repr__(self) -> str:
        return f"EdgeData(private: {self.to_dict('private')}, shared: {self.to_dict('shared')})"

    @staticmethod
    def _check_key(key: str) -> None:
        if not isinstance(key, str):
            raise TypeError(f"keys of an edge are strings, not {type(key).__name__}")
        if key.startswith("_"):
            raise ValueError(f"keys with a leading underscore are reserved: {key!r}")


def _converted(value: Any, convert: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """Return an entry with its tensors converted, those in lists, tuples and dictionaries too."""
    if isinstance(value, torch.Tensor):
        holder = nn.Module()
        if isinstance(value, nn.Parameter):
            holder.register_parameter("value", value)
        else:
            holder.register_buffer("value", value)
        return holder._apply(convert).value
    if type(value) is dict:
        return {key: _converted(item, convert) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_converted(item, convert) for item in value)
    return value


def _copy_private(value: Any, memo: dict[int, Any]) -> Any:
    """Deep-copy a private entry, except that graphs in it are copied in the manner of `Graph.copy`."""
    if hasattr(value, "copy_sharing_edges"):
        return value.copy_sharing_edges()
    if type(value) is list:
        return [_copy_private(item, memo) for item in value]
    if isinstance(value, nn.Module):
        _copy_graphs_in(value, memo)
    return copy.deepcopy(value, memo)


def _copy_graphs_in(module: nn.Module, memo: dict[int, Any]) -> None:
    """Copy the outermost graphs in a module in the manner of `Graph.copy`, for what copies the module."""
    for child in module._modules.values():
        if child is None or id(child) in memo:
            continue
        copy_graph: Any = getattr(child, "copy_sharing_edges", None)
        if copy_graph is not None:
            memo[id(child)] = copy_graph()
        else:
            _copy_graphs_in(child, memo)
