"""A Gaussian process whose kernel counts the subtrees that two architectures share ([Ru2021wlkernel])."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch

from naslib.errors import ConfigError
from naslib.utils.encodings import EncodingType

from .base import Codes, Predictor
from .features import ScaledValues, zero_categories
from .kernels import log_density, maximized, posterior

_NAMES = ("scale", "noise")
_STARTS = ((0.0, -2.0), (1.0, -5.0))


def wl_labels(
    labels: Sequence[Any], readers: Sequence[Sequence[int]], sources: Sequence[Sequence[int]], iterations: int
) -> list[list[Any]]:
    """Return the labels of the vertices of a directed graph after 0, 1 ... iterations of Weisfeiler and Lehman.

    A new label is the old one with the sorted labels of the vertices that the vertex reads, and of those that read it.

    Args:
        labels: Of the vertices, at first.
        readers: By vertex those that read it.
        sources: By vertex those that it reads.
        iterations: How many times labels are renewed.
    """
    found = [list(labels)]
    for _ in range(iterations):
        now = found[-1]
        read, read_by = (
            [tuple(sorted((now[u] for u in near[v]), key=repr)) for v in range(len(now))] for near in (sources, readers)
        )
        found.append(list(zip(now, read, read_by, strict=True)))
    return found


class Subtrees:
    """Numbers subtrees, and counts them in graphs.

    Args:
        iterations: Depth of the largest subtrees.
    """

    def __init__(self, iterations: int) -> None:
        self.iterations = iterations
        self._numbers: dict[Any, int] = {}

    def count(self, graphs: Mapping[str, np.ndarray], dropped: Sequence[int] = ()) -> list[list[Counter[int]]]:
        """Return by graph and depth how often each subtree is in it.

        Args:
            graphs: What the GCN encoding returns of n architectures.
            dropped: Categories of operations whose vertices are left out.
        """
        found = []
        for matrix, one_hot, mask in zip(graphs["adjacency"], graphs["operations"], graphs["mask"], strict=True):
            kinds = one_hot.argmax(1)
            kept = [v for v in np.flatnonzero(mask) if kinds[v] not in dropped]
            edges = matrix[np.ix_(kept, kept)] > 0
            readers = [np.flatnonzero(row).tolist() for row in edges]
            sources = [np.flatnonzero(column).tolist() for column in edges.T]
            labels = [self._number((0, int(kinds[v]))) for v in kept]
            depths = [Counter(labels)]
            for depth in range(1, self.iterations + 1):
                renewed = wl_labels(labels, readers, sources, 1)[1]
                labels = [self._number((depth, label)) for label in renewed]
                depths.append(Counter(labels))
            found.append(depths)
        return found

    def _number(self, label: Any) -> int:
        return self._numbers.setdefault(label, len(self._numbers))


def shared(first: Sequence[Counter[int]], second: Sequence[Counter[int]]) -> np.ndarray:
    """Return the sums over subtrees of the product of their counts, `(n, m)` float64."""
    columns = {label: column for column, label in enumerate(sorted(set().union(*second)))} if second else {}
    left, right = np.zeros((len(first), len(columns))), np.zeros((len(second), len(columns)))
    for rows, counters in ((left, first), (right, second)):
        for row, counter in enumerate(counters):
            for label, number in counter.items():
                if label in columns:
                    rows[row, columns[label]] = number
    return left @ right.T


class GPWLPredictor(Predictor):
    """A Gaussian process with the Weisfeiler-Lehman subtree kernel ([Ru2021wlkernel], section 3) on the cells' graphs.

    Vertices are operations; those that pass nothing on are left out. The kernel is the sum over depths up to `h` of the
    shared subtrees, normalized so that an architecture has 1 with itself. Scale and noise maximize the evidence, as
    does the depth among 0 to the hyperparameter `h`. Values become normal scores (`features.ScaledValues`).

    Args:
        space: See `Predictor`.
        encoding_type: Without effect: it reads graphs.
        seed: Without effect: nothing is random.
    """

    DEFAULTS: ClassVar[Mapping[str, Any]] = {"h": 3}
    DEFAULT_ENCODING: ClassVar[EncodingType] = EncodingType.GCN
    READS_INFO = False

    def _fit(self, codes: Codes, values: np.ndarray, info: Any) -> Any:
        most = int(self.hyperparams["h"])
        if most < 0:
            raise ConfigError(f"h is a number of iterations from 0, not {most}")
        self._targets = ScaledValues(values, warp=True)
        self._y = torch.tensor(self._targets.scaled)
        self._subtrees = Subtrees(most)
        self._known = self._count(codes)
        best = -np.inf
        for depth in range(most + 1):
            own = torch.tensor(_normalized(self._known, self._known, depth))
            eye = torch.eye(len(own), dtype=own.dtype)

            def evidence(logs: torch.Tensor, own: torch.Tensor = own, eye: torch.Tensor = eye) -> torch.Tensor:
                scale, noise = logs.exp()
                return log_density(scale * own + noise * eye, self._y)

            found, reached = maximized(evidence, _STARTS, _NAMES)
            if reached > best:
                best, self._parameters, self.depth, self._own = reached, np.exp(found), depth, own

    def _predict(self, codes: Codes, info: Any) -> tuple[np.ndarray, np.ndarray | None]:
        if not codes:
            return np.zeros(0), np.zeros(0)
        scale, noise = map(float, self._parameters)
        across = scale * torch.tensor(_normalized(self._count(codes), self._known, self.depth))
        own_new = torch.full((len(codes),), scale, dtype=torch.float64)
        mean, variance = posterior(scale * self._own, across, own_new, noise, self._y)
        return self._targets.back(mean.numpy(), variance.sqrt().numpy())

    def _count(self, codes: Codes) -> list[list[Counter[int]]]:
        graphs = self.codec.encode_batch(codes, EncodingType.GCN, self.space)
        return self._subtrees.count(graphs, zero_categories(self.codec, self.space))

    def _draw(self, rng: np.random.Generator) -> dict[str, Any]:
        return {"h": int(rng.integers(1, 5))}


def _normalized(first: Sequence[Any], second: Sequence[Any], depth: int) -> np.ndarray:
    """Return the kernel with subtrees up to a depth, normalized, `(n, m)`."""
    flat = [[_up_to(depths, depth) for depths in graphs] for graphs in (first, second)]
    norms = [np.array([np.sqrt(sum(n * n for n in counter.values())) for counter in counters]) for counters in flat]
    return shared(flat[0], flat[1]) / np.maximum(norms[0][:, None] * norms[1][None], 1e-300)


def _up_to(depths: Sequence[Counter[int]], depth: int) -> Counter[int]:
    found: Counter[int] = Counter()
    for counter in depths[: depth + 1]:
        found.update(counter)
    return found
