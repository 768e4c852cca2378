"""What a loader of a user's own carries from epoch to epoch: found, kept in checkpoints, and put back."""

from __future__ import annotations

import functools
import io
import itertools
import operator
import random
import types
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from naslib.utils.generators import is_generator, set_state, state_of

from .plain import to_plain

# A loader is looked through this far: objects in all, entries of one container, entries of an order that is copied.
_OBJECTS, _ENTRIES, _ORDER = 5000, 50, 1 << 22
# Packages whose classes keep no random numbers in their modules.
_LIBRARIES = (
    "torch", "torchvision", "numpy", "PIL", "builtins", "collections", "abc", "typing", "random", "functools",
    "multiprocessing", "threading",
)  # fmt: skip
_PLAIN = (
    str, bytes, bytearray, bool, complex, type(None), type, types.ModuleType, io.IOBase, torch.dtype, torch.device,
)  # fmt: skip


@dataclass
class _Found:
    """What is in a loader, by its place ("sampler.generator").

    Attributes:
        generators: Generators of torch, numpy and Python.
        stateful: Objects with `state_dict` and `load_state_dict`.
        numbers: The object and the attribute of each number.
        orders: Lists and one-dimensional arrays, which may be shuffled in place.
        opaque: What nobody can look into, with the reason.
    """

    generators: dict[str, Any] = field(default_factory=dict)
    stateful: dict[str, Any] = field(default_factory=dict)
    numbers: dict[str, tuple[Any, str]] = field(default_factory=dict)
    orders: dict[str, Any] = field(default_factory=dict)
    opaque: list[str] = field(default_factory=list)


class LoaderState:
    """The state of a loader, as far as it can be known from outside.

    Generators wherever they hang (loader, samplers, dataset, transforms, closures, module variables that their code
    reads), `state_dict` of what has one, counters of epochs, and lists that were shuffled in place. Attributes that
    change otherwise are named in `unknown`, as are iterators and workers that live through epochs: with those a
    resumed run cannot be known to equal an uninterrupted one.

    Args:
        loader: Any iterable of batches.
    """

    def __init__(self, loader: Any) -> None:
        self.loader = loader
        found = _look_through(loader)
        self._numbers = {place: getattr(*where) for place, where in found.numbers.items()}
        self._orders = {place: _copy_of(order) for place, order in found.orders.items()}

    def capture(self, stateful: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the state as plain values, with `unknown`: phrases that say what is not in it.

        `workers` says whether worker processes wait for the next epoch.

        Args:
            stateful: The states of what has `state_dict`, if they are known; None asks for them.
        """
        found = _look_through(self.loader)
        if stateful is None:
            stateful = {place: to_plain(item.state_dict(), place) for place, item in found.stateful.items()}
        state: dict[str, Any] = {
            "generators": {place: state_of(item) for place, item in found.generators.items()},
            "stateful": dict(stateful),
            "epochs": {},
            "orders": {},
        }
        unknown = list(found.opaque)
        for place, (owner, name) in found.numbers.items():
            before, now = self._numbers.get(place), getattr(owner, name)
            if type(before) is not type(now) or before == now:
                continue
            if "epoch" in name.lower():
                state["epochs"][place] = now
            else:
                unknown.append(f"{place} has changed")
        for place, order in found.orders.items():
            changed = _change_of(self._orders.get(place), order)
            if changed is None:
                unknown.append(f"{place} has changed")
            elif len(changed):
                state["orders"][place] = changed
        workers = keeps_workers(self.loader)
        if workers:
            unknown.append("its worker processes live through the epochs (persistent_workers), with what they draw")
        return {**state, "workers": workers, "unknown": unknown}

    def restore(self, state: Mapping[str, Any], stateful: bool = True) -> list[str]:
        """Take a captured state.

        Args:
            state: What `capture` returned.
            stateful: Whether objects with `load_state_dict` get their state, too.

        Returns:
            Phrases that say what does not fit.
        """
        found = _look_through(self.loader)
        problems = _compare_places(state["generators"], found.generators)
        for place, item in found.generators.items():
            if place in state["generators"] and not set_state(item, state["generators"][place]):
                problems.append(f"{place} is another kind of generator than it was")
        if stateful:
            problems += _compare_places(state["stateful"], found.stateful)
            for place, item in found.stateful.items():
                if place in state["stateful"]:
                    item.load_state_dict(state["stateful"][place])
        return problems + self._restore_epochs(state["epochs"], found) + self._restore_orders(state["orders"], found)

    def _restore_epochs(self, saved: Mapping[str, Any], found: _Found) -> list[str]:
        for place, (owner, name) in found.numbers.items():
            before = self._numbers.get(place)
            value = saved.get(place, before)
            if "epoch" in name.lower() and before is not None and getattr(owner, name) != value:
                setattr(owner, name, value)
        return [f"{place} is not there" for place in saved if place not in found.numbers]

    def _restore_orders(self, saved: Mapping[str, Any], found: _Found) -> list[str]:
        problems = [f"{place} is not there" for place in saved if place not in found.orders]
        for place, order in found.orders.items():
            before = self._orders.get(place)
            changed = _change_of(before, order)
            differs = place in saved or (changed is not None and len(changed))
            if differs and not _put_back(order, before, saved.get(place)):
                problems.append(f"{place} is another list than it was")
        return problems


def keeps_workers(loader: Any) -> bool:
    """Return whether worker processes of the epoch before wait for the next one."""
    return isinstance(loader, DataLoader) and loader.persistent_workers and loader._iterator is not None


def _compare_places(saved: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    gone = [f"the checkpoint holds the state of {place}, which is not there" for place in saved if place not in found]
    return gone + [f"the checkpoint lacks the state of {place}" for place in found if place not in saved]


# looking through


def _look_through(loader: Any) -> _Found:
    """Visit what hangs on a loader, the nearest first, each object once.

    Within what gives its own state only generators count: should its state lack them, they are kept all the same.
    """
    found, seen = _Found(), {id(loader)}
    queue: deque[tuple[str, Any, bool]] = deque([("", loader, False)])
    for _ in range(_OBJECTS):
        if not queue:
            return found
        place, item, within = queue.popleft()
        for name, child in _visit(place, item, _Found(generators=found.generators) if within else found):
            if isinstance(child, _PLAIN) or id(child) in seen:
                continue
            seen.add(id(child))
            queue.append((f"{place}.{name}" if place else name, child, within or _is_stateful(item)))
    found.opaque.append("it holds too many objects to look through")
    return found


def _visit(place: str, item: Any, found: _Found) -> list[tuple[str, Any]]:
    """Note what one object is, and return what hangs on it."""
    if is_generator(item):
        found.generators[place] = item
    elif isinstance(item, random.SystemRandom):
        found.opaque.append(f"{place} draws from the operating system")
    elif _is_stateful(item):
        found.stateful[place or "the loader"] = item
        return _attributes(place, item, _Found())
    elif isinstance(item, Tensor | np.ndarray | list) and _is_order(item):
        found.orders[place or "the loader"] = item
        return [*_entries(item), *_attributes(place, item, found)] if isinstance(item, list) else []
    elif isinstance(item, Tensor | np.ndarray):
        return []
    elif isinstance(item, dict | list | tuple | set | frozenset):  # other mappings may load what is asked for
        return [*_entries(item), *_attributes(place, item, found)]
    elif isinstance(item, types.FunctionType | types.MethodType | functools.partial):
        return _parts_of_function(item)
    elif isinstance(item, Iterator) and not hasattr(item, "__dict__"):
        found.opaque.append(f"{place or 'it'} is a {type(item).__name__}, which cannot be copied or rewound")
    else:
        return _attributes(place, item, found)
    return []


def _is_stateful(item: Any) -> bool:
    cls = type(item)
    both = all(callable(getattr(cls, name, None)) for name in ("state_dict", "load_state_dict"))
    if not both or isinstance(item, torch.nn.Module):
        return False
    giver = next((base for base in cls.__mro__ if "state_dict" in vars(base)), cls)
    # torchdata's own loader draws numbers when it is asked for its state, and other ones once that is loaded. All that
    # it carries is visible, and so it is taken for what it is besides, a DataLoader.
    return not (isinstance(item, DataLoader) and giver.__module__.split(".")[0] == "torchdata")


def _is_order(item: Any) -> bool:
    if isinstance(item, list):
        return len(item) <= _ORDER
    if isinstance(item, Tensor) and (
        item.device.type != "cpu" or item.layout != torch.strided or item.dtype == torch.bfloat16
    ):
        return False
    return item.ndim == 1 and item.shape[0] <= _ORDER


def _entries(container: Any) -> list[tuple[str, Any]]:
    if isinstance(container, dict):
        return [(str(key), value) for key, value in itertools.islice(container.items(), _ENTRIES)]
    return [(str(index), value) for index, value in enumerate(itertools.islice(container, _ENTRIES))]


def _attributes(place: str, item: Any, found: _Found) -> list[tuple[str, Any]]:
    """Note the numbers of an object, and return its other attributes and the generators its class reads."""
    values = dict(getattr(item, "__dict__", {}))
    for cls in type(item).__mro__:
        slots = cls.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(item, name):
                values.setdefault(name, getattr(item, name))
    values.pop("_iterator", None)  # what a loader goes through now
    for name in [name for name, value in values.items() if type(value) in (int, float)]:
        found.numbers[f"{place}.{name}" if place else name] = (item, name)
        del values[name]
    return [*sorted(values.items()), *_class_generators(type(item))]


def _class_generators(cls: type) -> list[tuple[str, Any]]:
    """Return the generators that are attributes of a class, or variables of the module that its methods read."""
    result: list[tuple[str, Any]] = []
    for base in cls.__mro__:
        if base.__module__.split(".")[0] in _LIBRARIES:
            continue
        for name, value in vars(base).items():
            function = getattr(value, "__func__", value)  # a static or class method
            if is_generator(value):
                result.append((f"{base.__name__}.{name}", value))
            elif isinstance(function, types.FunctionType):
                result += _read_globals(function)
    return result


def _parts_of_function(item: Any) -> list[tuple[str, Any]]:
    if isinstance(item, functools.partial):
        return [("func", item.func), *_entries(item.args), *_entries(item.keywords)]
    if isinstance(item, types.MethodType):
        return [("self", item.__self__), ("func", item.__func__)]
    cells = zip(item.__code__.co_freevars, item.__closure__ or (), strict=False)
    held = [(name, value) for name, cell in cells for value in _content(cell)]
    return [*held, *_entries(item.__defaults__ or ()), *_entries(item.__kwdefaults__ or {}), *_read_globals(item)]


def _content(cell: Any) -> list[Any]:
    try:
        return [cell.cell_contents]
    except ValueError:  # not assigned yet
        return []


def _read_globals(function: types.FunctionType) -> list[tuple[str, Any]]:
    """Return the generators among the module variables that a function names."""
    names: set[str] = set()
    codes = [function.__code__]
    while codes:
        code = codes.pop()
        names.update(code.co_names)
        codes += [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
    module = function.__globals__
    return [(f"{function.__module__}:{name}", module[name]) for name in sorted(names) if is_generator(module.get(name))]


# orders


def _copy_of(order: Any) -> Any:
    if isinstance(order, Tensor):
        return order.detach().clone()
    return order.copy()


def _change_of(before: Any, now: Any) -> Any:
    """Return what puts `before` into the order of `now`: [] for no change, None if that is more than another order."""
    if before is None or type(before) is not type(now):
        return []
    if isinstance(now, list):
        return _permutation(before, now)
    if before.shape != now.shape or before.dtype != now.dtype:
        return None
    old, new = (np.asarray(value.detach().cpu() if isinstance(value, Tensor) else value) for value in (before, now))
    if new.dtype == object or np.array_equal(old, new, equal_nan=new.dtype.kind == "f"):
        return []
    return torch.from_numpy(new.copy()) if np.array_equal(np.sort(old), np.sort(new)) else None


def _permutation(before: Sequence[Any], now: Sequence[Any]) -> Tensor | list[Any] | None:
    if len(before) != len(now):
        return None
    if all(map(operator.is_, before, now)):
        return []
    places: dict[int, list[int]] = defaultdict(list)
    for index in reversed(range(len(before))):
        places[id(before[index])].append(index)
    if any(id(value) not in places for value in now):
        return [] if before == now else None
    order = [places[id(value)].pop() if places[id(value)] else -1 for value in now]
    return torch.tensor(order) if min(order) >= 0 else None


def _put_back(order: Any, before: Any, changed: Tensor | None) -> bool:
    """Bring a list or an array of a new process into an order of before, None for the first; return whether it fits."""
    if before is None or len(order) != len(before) or (changed is not None and len(order) != len(changed)):
        return False
    if isinstance(order, list):
        order[:] = before if changed is None else [before[index] for index in changed.tolist()]
    elif isinstance(order, Tensor):
        order.detach().copy_(before if changed is None else changed)
    else:
        order[...] = before if changed is None else changed.numpy()
    return True
