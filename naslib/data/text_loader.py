"""Batches of a text that go on where the batch before ended, of one length or of many."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
import torch
from numpy.typing import NDArray

from naslib.data._draws import uniforms
from naslib.data.batch_loader import ImageBank
from naslib.data.epoch_loader import Batch, EpochLoader, Ranks
from naslib.data.info import DatasetInfo
from naslib.errors import DataError
from naslib.utils.passage import Passage

# [Merity2018awdlstm] and the authors' code of [Liu2019darts]: drawn around the usual length, seldom its half
_HALVED, _SPREAD, _SHORTEST, _LONGER = 0.05, 5.0, 5, 20


class TextLoader(EpochLoader):
    """Yield pieces of as many texts as a batch has rows, each piece after the one before.

    The windows of the set are put together again to one text, which is cut in `batch_size` parts of equal length; what
    is left at its end, less than a window per row, is left out. Batch k has the k-th piece of every part.

    Args:
        bank: Windows `(n, bptt)` and the words that follow.
        info: What the set is.
        batch_size: Number of parts.
        seed: Seed of the run.
        indices: The windows that belong to this loader, neighbours in the text; None for all.
        stream: Name within the run.
        varies: Whether the length of pieces is drawn: from a normal distribution (standard deviation 5) around `bptt`,
            with probability .05 around its half, at least 5 and at most `bptt + 20`; then all are scaled by one factor,
            so that an epoch has the whole text and the same number of batches each time.
        prefetch: Whether a thread makes batches ahead.

    Raises:
        DataError: If there are fewer windows than parts.
    """

    def __init__(
        self,
        bank: ImageBank,
        info: DatasetInfo,
        *,
        batch_size: int,
        seed: int = 0,
        indices: NDArray[np.int64] | None = None,
        stream: str = "train",
        varies: bool = False,
        prefetch: bool = False,
    ) -> None:
        self.bank, self.varies = bank, varies
        count = len(bank.label_array) if indices is None else len(indices)
        self._rows = count // batch_size if batch_size else 0
        if self._rows < 1:
            raise DataError(
                f"the {stream} loader of {info.name!r} has {count} windows of text, and a batch goes through "
                f"{batch_size} texts at once: set batch_size to {max(count, 1)} at most"
            )
        super().__init__(
            info,
            bank.label_array,
            indices=indices,
            batch_size=batch_size,
            seed=seed,
            stream=stream,
            shuffle=False,
            augmentation=None,
            drop_single=False,
            device=bank.device,
            memory_format=torch.contiguous_format,
            prefetch=prefetch,
        )
        if len(self.indices) > 1 and not (np.diff(self.indices) == 1).all():
            raise DataError(f"the {stream} loader of {info.name!r} needs windows that follow each other")

    @property
    def bptt(self) -> int:
        """The usual number of words of a piece."""
        return self.info.width

    def __len__(self) -> int:
        return self._rows

    def lengths(self, epoch: int) -> list[int]:
        """Return the lengths of the pieces of an epoch, as many as there are windows in a part."""
        if not self.varies or self._rows == 1:
            return [self.bptt] * self._rows
        which, radius, angle = uniforms(3, self._rows, self.seed, self.stream, "lengths", epoch)
        centres = np.where(which < _HALVED, self.bptt / 2, self.bptt)
        normal = np.sqrt(-2 * np.log1p(-radius)) * np.cos(2 * np.pi * angle)  # by Box and Muller
        drawn = np.clip(centres + _SPREAD * normal, min(_SHORTEST, self.bptt), self.bptt + _LONGER)
        ends = np.round(np.cumsum(drawn) / drawn.sum() * self._rows * self.bptt).astype(np.int64)
        found = np.diff(ends, prepend=0)
        return [int(length) for length in found]

    def _size(self, number: int) -> int:
        return self.batch_size

    def _batches(self, epoch: int, start: int, ranks: Ranks) -> Generator[Batch, None, None]:
        chosen = torch.from_numpy(self.indices[: self._rows * self.batch_size]).to(self.device)
        tokens, following = (
            part.index_select(0, chosen).view(self.batch_size, -1) for part in (self.bank.raw, self.bank.labels)
        )
        lengths = self.lengths(epoch)
        ends = np.cumsum(lengths)
        for number in range(start, len(self)):
            piece = slice(int(ends[number]) - lengths[number], int(ends[number]))
            rows = self._rows_of(number, ranks) or slice(None)
            pair = tokens[rows, piece].contiguous(), following[rows, piece].contiguous()
            yield Passage(pair, goes_on=True, share=lengths[number] / self.bptt)

    def as_eval(self) -> TextLoader:
        """Return a loader of the same text in pieces of one length."""
        return TextLoader(
            self.bank,
            self.info,
            batch_size=self.batch_size,
            seed=self.seed,
            indices=self.indices,
            stream=f"{self.stream}-eval",
            prefetch=self.prefetch,
        )
