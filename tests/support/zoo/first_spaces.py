"""The spaces that were there first."""

from __future__ import annotations

from math import comb

from naslib.search_spaces import (
    NasBench201SearchSpace,
    NasBench301SearchSpace,
    ResNetDagSearchSpace,
    SimpleCellSearchSpace,
    SimpleSequenceSearchSpace,
)

from . import Entry, sequences, text


def _two_of(earlier: list[int], n_ops: int) -> int:
    """Return how many cells there are whose nodes keep two of the earlier ones, with an operation on each."""
    size = 1
    for n in earlier:
        size *= comb(n, 2) * n_ops**2
    return size


ENTRIES = {
    "nasbench201": Entry(
        lambda **sizes: NasBench201SearchSpace(channels=4, cells_per_stage=1, **sizes), size=5**6
    ),
    "nasbench301": Entry(
        lambda **sizes: NasBench301SearchSpace(channels=4, cells=3, nodes=2, **sizes),
        size=_two_of([2, 3], 7) ** 2,
        evaluation={"cells": 3, "channels": 4, "auxiliary": False},
    ),
    "resnet_dag": Entry(
        lambda **sizes: ResNetDagSearchSpace(channels=2, blocks=2, nodes=3, **sizes), size=6 * _two_of([2, 3], 6),
        refused={"lambda_darts": "needs a cell that the network has at least twice"},
    ),
    "simple_cell": Entry(
        lambda **sizes: SimpleCellSearchSpace(channels=4, **sizes), size=_two_of([2, 3], 4) ** 2,
    ),
    "simple_sequence": Entry(
        lambda **sizes: SimpleSequenceSearchSpace(channels=8, cells=2, **sizes),
        size=_two_of([2, 3], 5),
        batch=sequences,
        task="sequence_classification",
    ),
    "simple_sequence_text": Entry(
        lambda n_classes, in_channels: SimpleSequenceSearchSpace(
            n_classes, channels=8, cells=1, task="language_modelling"
        ),
        size=_two_of([2, 3], 5),
        batch=text,
        task="language_modelling",
        refused={"lambda_darts": "needs a cell that the network has at least twice"},
        channels=(),
    ),
}  # fmt: skip
