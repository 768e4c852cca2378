"""The registry of search spaces."""

from __future__ import annotations

from typing import Any

from naslib.registry import Registry, catalogue

from .core.graph import Graph

SEARCH_SPACES: Registry[type[Graph]] = catalogue.SEARCH_SPACES


# Classes and channels of data sets, by NASLib's names of them
_DATA = {
    "cifar10": (10, 3), "cifar100": (100, 3), "imagenet16-120": (120, 3), "svhn": (10, 3), "mnist": (10, 1),
    "fashion_mnist": (10, 1), "digits": (10, 1),
}  # fmt: skip


def get_search_space(name: str, dataset: str | None = None, **kwargs: Any) -> Graph:
    """Return a fresh search space.

    Args:
        name: Its registered name.
        dataset: A data set that is known by name, whose classes and channels the space is made for; None, or one that
            is not known, leaves the defaults of the space.
        **kwargs: Arguments of its constructor.

    Raises:
        UnknownNameError: If there is none of that name.
    """
    found = _DATA.get(str(dataset).lower().replace("imagenet16120", "imagenet16-120"))
    sizes = dict(zip(("n_classes", "in_channels"), found, strict=True)) if found else {}
    return SEARCH_SPACES.build(name, **{**sizes, **kwargs})
