"""Lengths: how many batches a loader has, and what is said where it has none."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from naslib.errors import DataError

# What never ends, as far as that can be known
_ENDLESS = (itertools.cycle, itertools.count)


def length_of(loader: Any) -> int | None:
    """Return the number of batches of an epoch, None if the loader does not tell."""
    if not hasattr(loader, "__len__"):
        return None
    try:
        return len(loader)
    except (TypeError, NotImplementedError):  # a DataLoader of an IterableDataset without a length
        return None


def explain_no_batches(loader: Any, name: str, epoch: int = 0) -> str:
    """Return why an epoch of a loader has no batches, and what to change."""
    text = f"the {name} loader has no batches" + (f" in epoch {epoch} (counted from 0)" if epoch else "")
    if iter_is_once(loader):
        kind = type(loader).__name__
        return f"{text}: a {kind} can be gone through once only; give a list, a DataLoader or what else starts anew"
    size, images = getattr(loader, "batch_size", None), length_of(getattr(loader, "dataset", None))
    if images and size and getattr(loader, "drop_last", False) and images < size:
        return (
            f"{text}: its {images} images make no batch of {size}, and drop_last=True leaves out the rest; "
            "use a smaller batch_size or drop_last=False"
        )
    if images == 0:
        return f"{text}: its data set is empty; give it at least one image"
    return f"{text}; give it at least one, or are there fewer images than a batch with drop_last=True?"


def iter_is_once(loader: Any) -> bool:
    """Return whether a loader is an iterator of Python's own, such as a generator, which never starts anew."""
    return isinstance(loader, Iterator) and not hasattr(loader, "__dict__")


def check_batches(loaders: Mapping[str, Any], epochs: int = 1) -> None:
    """Raise now, not after the training, where a loader is known to have too few batches.

    Args:
        loaders: By their names; None where there is none.
        epochs: How often the training batches are gone through.

    Raises:
        DataError: Saying what to change.
    """
    for name, loader in loaders.items():
        if isinstance(loader, _ENDLESS):
            raise DataError(
                f"the {name} loader, an itertools.{type(loader).__name__}, never ends, and so does no epoch; say how "
                "many batches are one: naslib.data.FixedEpochs(loader, steps)"
            )
        if length_of(loader) == 0:
            raise DataError(explain_no_batches(loader, name))
        if name == "training" and epochs > 1 and iter_is_once(loader):
            raise DataError(
                f"the training loader is a {type(loader).__name__}, which can be gone through once only, but there are "
                f"{epochs} epochs; give a list, a DataLoader or what else starts anew"
            )
