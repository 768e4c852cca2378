"""The zoo: a tiny instance of every search space, and what the tests of all spaces expect of it."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from naslib.optimizers import OPTIMIZERS, OneShotOptimizer
from naslib.search_spaces.core.decisions import Code
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.schema import DecisionSpace

SIDE = 8
METHODS = sorted({OPTIMIZERS.get(name): name for name in reversed(OPTIMIZERS.names())}.values())
METHODS = [name for name in METHODS if issubclass(OPTIMIZERS.get(name), OneShotOptimizer)]
# Methods and the words that their refusal of a space has
Refusals = Mapping[str, str]


def all_methods(reason: str) -> Refusals:
    """Return the refusals of a space whose architectures share no weights (`NO_SUPERNET`), by every method."""
    return dict.fromkeys(METHODS, reason)


def images(n: int, seed: int, in_channels: int = 3, n_classes: int = 4) -> tuple[Tensor, Tensor]:
    """Return random images `(n, in_channels, 8, 8)` and labels `(n,)`."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(n, in_channels, SIDE, SIDE, generator=generator)
    return inputs, torch.randint(n_classes, (n,), generator=generator)


def sequences(n: int, seed: int, in_channels: int = 3, n_classes: int = 4) -> tuple[Tensor, Tensor]:
    """Return random signals `(n, in_channels, 32)` and labels `(n,)`."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(n, in_channels, 32, generator=generator)
    return inputs, torch.randint(n_classes, (n,), generator=generator)


def text(n: int, seed: int, in_channels: int = 3, n_classes: int = 4) -> tuple[Tensor, Tensor]:
    """Return random tokens `(n, 6)` out of `n_classes`, and what comes after each, `(n, 6)`."""
    tokens = torch.randint(n_classes, (n, 7), generator=torch.Generator().manual_seed(seed))
    return tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()


def one_decision_away(space: DecisionSpace, code: Code) -> int:
    """Return how many neighbours there are where no choice brings new ones with it.

    K - 1 for one of K candidates, k (K - k) for k of K inputs (a swapped input carries its operation along), K for any
    subset of K.
    """
    total = 0
    for decision in space.active(code):
        n = len(decision.candidates)
        total += n if decision.n_chosen is None else decision.n_chosen * (n - decision.n_chosen)
    return total


@dataclass(frozen=True)
class Entry:
    """A tiny instance of a space.

    Attributes:
        make: Called with `n_classes` and `in_channels`; returns a fresh space that steps in milliseconds.
        size: What `decision_space.size()` is: computed by hand from what the space is, not copied from what it says;
            None where nobody counts it.
        batch: Called with n, seed, `in_channels` and `n_classes`; returns inputs and targets.
        task: Of the batch.
        neighbours: How many neighbours an architecture has by a formula of its decisions; None where constraints
            leave no formula.
        refused: Methods that refuse the space before the search, each with words of the reason.
        evaluation: Keywords of `evaluation_network` that make the retrained network tiny.
        channels: Numbers of input channels that it is built with; `()` where it reads tokens.
        keywords: Of methods, what they need to be quick on this space.
        exports: Whether `torch.export` takes the discrete network; a space that says no says why beside it.
    """

    make: Callable[..., Graph]
    size: int | None
    batch: Callable[..., tuple[Tensor, Tensor]] = images
    task: str = "classification"
    neighbours: Callable[[DecisionSpace, Code], int] | None = one_decision_away
    refused: Refusals = field(default_factory=dict)
    evaluation: Mapping[str, Any] = field(default_factory=dict)
    channels: tuple[int, ...] = (1, 3)
    keywords: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    exports: bool = True


def _collect() -> dict[str, Entry]:
    """Return the entries of all families, `ENTRIES` of each file in this folder."""
    found: dict[str, Entry] = {}
    for module in sorted(info.name for info in pkgutil.iter_modules(__path__)):
        entries = importlib.import_module(f"{__name__}.{module}").ENTRIES
        assert not found.keys() & entries.keys(), f"{module} has entries of another family"
        found.update(entries)
    return {name: replace(entry, refused=_with_all(name, entry)) for name, entry in found.items()}


# What takes only operations on edges, each for itself, and rectifiers
_SIZES = "looks at operations, and the space decides sizes as well"
_NODES = "looks at operations on edges, and the space decides combinations at nodes as well"
_INSIDE = "takes each candidate for itself, and some have decisions of their own inside"
_SIZED = ("autoformer", "conditional_kinds", "gpt", "memory_bank", "nats_size", "ofa_mobilenetv3", "own_module")
_SIZED += ("ofa_mobilenetv3_at_resolutions", "own_sizes", "tanglenas_macro")
_AT_NODES = ("enas_micro", "nasbench1shot1_1", "nasbench1shot1_2", "nasbench1shot1_3", "nasnet_combined")
_AT_NODES += ("own_inputs", "own_nodes", "zoo_layers")
_TE_NAS = {
    **dict.fromkeys(_SIZED, _SIZES),
    **dict.fromkeys(_AT_NODES, _NODES),
    **dict.fromkeys(("conditional_operations", "hierarchical", "own_layers"), _INSIDE),
    **dict.fromkeys(("darts_rnn", "nasbench_asr"), "by rectifiers (nn.ReLU), and the network has none"),
}


def _with_all(name: str, entry: Entry) -> Refusals:
    """Return who refuses a space, methods of one other space and of operations alone included."""
    by_te_nas = {"te_nas": _TE_NAS[name]} if name in _TE_NAS else {}
    space = entry.make(n_classes=4, in_channels=3).get_type()
    own = {name: OPTIMIZERS.get(name).OWN_SPACE for name in METHODS}
    return {name: f"take the space {only}" for name, only in own.items() if only and only != space} | {
        **entry.refused,
        **by_te_nas,
    }


ENTRIES = _collect()
