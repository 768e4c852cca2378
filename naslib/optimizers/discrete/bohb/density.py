"""Density: how likely an architecture is among some, gene by gene (a product kernel over categories)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from naslib.search_spaces.core.schema import DecisionSpace


def number_of_values(space: DecisionSpace) -> np.ndarray:
    """Return how many values each gene of a code has, `(genes,)` ints; not being decided is one of them."""
    counts: list[int] = []
    for decision in space.decisions:
        values = 2 if decision.n_chosen is None else len(decision.candidates)
        counts += [values + (decision.condition is not None)] * decision.n_genes
    return np.array(counts)


def bandwidths(genes: np.ndarray, values: np.ndarray, minimum: float) -> np.ndarray:
    """Return the bandwidth of each gene, `(d,)`: the rule for a normal density, in what categories have for a spread.

    `h = 1.06 s n^(-1 / (4 + d))` with `s^2 = 1 - sum_k p_k^2`, p the shares of the values; at least `minimum`, and at
    most `(c - 1) / c` for c values, where the kernel is uniform. [Falkner2018bohb] takes the standard deviation of the
    numbers that the values happen to have, which depends on their order, and has no upper limit.

    Args:
        genes: Codes, `(n, d)` ints.
        values: How many values each gene has, `(d,)`.
        minimum: Least bandwidth.
    """
    count, width = genes.shape
    spread = np.empty(width)
    for gene in range(width):
        shares = np.unique(genes[:, gene], return_counts=True)[1] / count
        spread[gene] = np.sqrt(1.0 - np.sum(shares**2))
    limit = np.maximum(values - 1, 0) / values
    found: np.ndarray = np.clip(1.06 * spread * count ** (-1.0 / (4 + width)), minimum, None)
    return np.minimum(found, limit)


class Density:
    """The kernel density of some architectures.

    The kernel of a gene with bandwidth h and c values is `1 - h` where two values are equal and `h / (c - 1)` where
    they are not; that of a code is the product over its genes, and the density the mean over the architectures.

    Args:
        genes: Codes, `(n, d)` ints.
        values: How many values each gene has, `(d,)`.
        minimum: Least bandwidth.

    Attributes:
        genes: The codes.
        bandwidths: One per gene, `(d,)`.
    """

    def __init__(self, genes: np.ndarray, values: np.ndarray, minimum: float) -> None:
        self.genes, self.values = genes, values
        self.bandwidths = bandwidths(genes, values, minimum)

    def of(self, codes: Sequence[Sequence[int]] | np.ndarray) -> np.ndarray:
        """Return the density of codes, `(m, d)` to `(m,)`."""
        other = self.bandwidths / np.maximum(self.values - 1, 1)
        equal = np.asarray(codes)[:, None, :] == self.genes[None, :, :]
        kernels = np.where(equal, 1.0 - self.bandwidths, other)
        found: np.ndarray = kernels.prod(axis=2).mean(axis=1)
        return found
