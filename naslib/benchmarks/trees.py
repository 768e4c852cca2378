"""Trees: an ensemble of regression trees as arrays, evaluated without the library that made it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# The feature, and the children, of a leaf
LEAF = -1


class Trees(NamedTuple):
    """Trees one after the other: nodes as flat arrays, children by their place there.

    Attributes:
        feature: `(nodes,)` what a node asks for; -1 at leaves.
        threshold: `(nodes,)` float64.
        left: `(nodes,)` child of smaller values; -1 at leaves.
        right: `(nodes,)` the other child.
        value: `(nodes,)` what a leaf adds.
        root: `(trees,)` first node of each tree.
        base: What is added to the sum.
        inclusive: Whether a value that equals the threshold goes left, as in LightGBM.
    """

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray
    root: np.ndarray
    base: float
    inclusive: bool

    def checked(self) -> Trees:
        """Return itself, where its nodes are trees: each has one parent at most, and a root none.

        Raises:
            ValueError: If they are not, so that a walk might not end.
        """
        inner = self.feature >= 0
        children = np.concatenate([self.left[inner], self.right[inner]])
        nodes = len(self.feature)
        lengths = {len(column) for column in (self.threshold, self.left, self.right, self.value)}
        if lengths != {nodes} or not len(self.root) or self.root.min() < 0 or self.root.max() >= nodes:
            raise ValueError("the nodes of the trees have different numbers of figures")
        if children.size and (children.min() < 0 or children.max() >= nodes):
            raise ValueError("a node has a child that is not there")
        if len(np.unique(children)) != len(children) or np.isin(self.root, children).any():
            raise ValueError("a node has two parents")
        return self

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Return the sums of the trees, `(n, features)` to `(n,)` float64; features without NaN."""
        if not self.inclusive:  # XGBoost compares numbers of single precision
            features = features.astype(np.float32).astype(np.float64)
        found = np.full(len(features), self.base)
        rows = np.arange(len(features))[:, None]
        node = np.broadcast_to(self.root, (len(features), len(self.root))).copy()
        while True:
            asked = self.feature[node]
            inner = asked >= 0
            if not inner.any():
                return found + self.value[node].sum(1)
            values, threshold = features[rows, np.maximum(asked, 0)], self.threshold[node]
            smaller = values <= threshold if self.inclusive else values < threshold
            node = np.where(inner, np.where(smaller, self.left[node], self.right[node]), node)
