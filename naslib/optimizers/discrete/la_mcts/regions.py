"""Regions: a tree of splits of a space into what is good and what is not, learned from evaluated points."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

# Says of n points, `(n, d)`, which are on the good side: `(n,)` booleans
Split = Callable[[np.ndarray], np.ndarray]
PARTITIONS = ("svm", "linear")
# Weight of the squared norm in the ridge regression, whose points are zeros and ones
_RIDGE = 1.0


class Region(NamedTuple):
    """A region.

    Attributes:
        members: Indices of the points in it, ascending.
        split: What divides it; None for a leaf.
        children: The good part and the other one; none of a leaf.
    """

    members: np.ndarray
    split: Split | None = None
    children: tuple[Region, ...] = ()


class Chosen(NamedTuple):
    """A leaf.

    Attributes:
        members: Indices of the points in it.
        path: The splits on the way to it, each with the side that was taken: whether the good one.
    """

    members: np.ndarray
    path: tuple[tuple[Split, bool], ...]

    def contains(self, points: np.ndarray) -> np.ndarray:
        """Say which of n points `(n, d)` are in the region: `(n,)` booleans."""
        inside = np.ones(len(points), dtype=bool)
        for split, good in self.path:
            if inside.any():
                inside[inside] = split(points[inside]) == good
        return inside


def grow(points: np.ndarray, values: np.ndarray, leaf_size: int, partition: str, seed: int) -> Region:
    """Return the tree of regions of evaluated points.

    Args:
        points: `(n, d)`.
        values: `(n,)`, larger being better.
        leaf_size: A region of more points is split, where that leaves points on both sides.
        partition: `svm` or `linear`.
        seed: Of the clustering.
    """

    def grown(members: np.ndarray) -> Region:
        if len(members) <= leaf_size:
            return Region(members)
        make = svm_split if partition == "svm" else linear_split
        split = make(points[members], values[members], seed)
        good = np.zeros(0, dtype=bool) if split is None else split(points[members])
        if split is None or good.all() or not good.any():
            return Region(members)
        return Region(members, split, (grown(members[good]), grown(members[~good])))

    return grown(np.arange(len(points)))


def linear_split(points: np.ndarray, values: np.ndarray, seed: int = 0) -> Split | None:
    """Return the split at the mean of a ridge regression ([Wang2021lanas]): what it predicts above is good.

    Args:
        points: `(n, d)`.
        values: `(n,)`.
        seed: Of no effect.
    """
    weights = ridge(points, values)
    if not np.abs(weights).max() > 0:
        return None
    center = points.mean(0)
    return lambda others: (others - center) @ weights > 0


def ridge(points: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the weights `(d,)` of a ridge regression of values `(n,)` on points `(n, d)`, less their means."""
    shifted = points - points.mean(0)
    penalty = _RIDGE * np.eye(points.shape[1])
    weights: np.ndarray = np.linalg.solve(shifted.T @ shifted + penalty, shifted.T @ (values - values.mean()))
    return weights


def svm_split(points: np.ndarray, values: np.ndarray, seed: int = 0) -> Split | None:
    """Return the boundary of a support vector machine between two clusters ([Wang2020lamcts]).

    Two means divide the points with their values (each column scaled to unit deviation, the value as much as all
    others together); the cluster with the larger mean value is the good one, and the machine learns to tell them apart
    by the points alone.

    Args:
        points: `(n, d)`.
        values: `(n,)`.
        seed: Of the clustering.
    """
    from sklearn.cluster import KMeans
    from sklearn.svm import SVC

    deviation = values.std()
    if not deviation > 0 or len(np.unique(points, axis=0)) < 2:
        return None
    spread = points.std(0)
    scaled = (points - points.mean(0)) / np.where(spread > 0, spread, 1.0)
    value = (values - values.mean()) / deviation * math.sqrt(max(1, int((spread > 0).sum())))
    clusters = KMeans(2, n_init=4, random_state=seed).fit_predict(np.column_stack([scaled, value]))
    if len(np.unique(clusters)) < 2:
        return None
    best = int(values[clusters == 1].mean() > values[clusters == 0].mean())
    machine = SVC(kernel="rbf", gamma="scale").fit(points, clusters == best)

    def good(others: np.ndarray) -> np.ndarray:
        found: np.ndarray = machine.predict(others).astype(bool)
        return found

    return good


def upper_bounds(values: np.ndarray, parent: Region, exploration: float) -> list[float]:
    """Return `mean_j + 2 c sqrt(2 ln n / n_j)` of the children of a region ([Wang2020lamcts]).

    Args:
        values: Of all points, `(n,)`.
        parent: With its children.
        exploration: c.
    """
    n = len(parent.members)
    return [
        float(values[child.members].mean()) + 2 * exploration * math.sqrt(2 * math.log(n) / len(child.members))
        for child in parent.children
    ]


def choose(root: Region, values: np.ndarray, exploration: float) -> Chosen:
    """Return the leaf that is reached by the larger upper bound at every split; of equals by the good side."""
    path: list[tuple[Split, bool]] = []
    node = root
    while node.split is not None:
        good, other = upper_bounds(values, node, exploration)
        path.append((node.split, good >= other))
        node = node.children[0 if good >= other else 1]
    return Chosen(node.members, tuple(path))


def leaves(node: Region) -> Sequence[Region]:
    """Return the leaves below a region, the good side first."""
    if node.split is None:
        return [node]
    return [leaf for child in node.children for leaf in leaves(child)]
