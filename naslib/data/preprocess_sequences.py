"""What must be done to a sequence before a trained network can see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from naslib.data.arrays import as_array
from naslib.data.info import DatasetInfo
from naslib.data.pipeline import scale_and_shift
from naslib.data.preprocess import Preprocess
from naslib.errors import DataError


class SequencePreprocess(nn.Module):
    """Turn arrays or tensors of sequences into normalised batches, as the evaluation loaders do.

    Args:
        mean: Per channel.
        std: Likewise.
        in_channels: Channels of the vectors; 1 for tokens.
        vocabulary: Number of different tokens; 0 for vectors.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, *, mean: Sequence[float], std: Sequence[float], in_channels: int, vocabulary: int = 0) -> None:
        super().__init__()
        self.mean = tuple(float(value) for value in mean)
        self.std = tuple(float(value) for value in std)
        self.in_channels = in_channels
        self.vocabulary = vocabulary
        scale, shift = scale_and_shift(self.mean, self.std, 1.0)
        self.register_buffer("scale", scale.view(-1, 1), persistent=False)
        self.register_buffer("shift", shift.view(-1, 1), persistent=False)

    @classmethod
    def from_info(cls, info: DatasetInfo) -> SequencePreprocess:
        """Build the preprocessing of a data set."""
        return cls(mean=info.mean, std=info.std, in_channels=info.in_channels, vocabulary=info.vocabulary)

    def to_dict(self) -> dict[str, Any]:
        """Return plain Python values that `preprocess_from_dict` reads back."""
        return {
            "kind": "tokens" if self.vocabulary else "sequence",
            "mean": list(self.mean),
            "std": list(self.std),
            "in_channels": self.in_channels,
            "vocabulary": self.vocabulary,
        }

    def forward(self, sequences: Any) -> Tensor:
        """Return the batch for the network.

        Args:
            sequences: An array or tensor of one sequence, `(c, t)` numbers or `(t,)` tokens, or of several, `(n, c, t)`
                or `(n, t)`; numbers of one channel may lack its axis. Or a list of sequences of one length.

        Returns:
            float32 `(n, c, t)`, or int64 `(n, t)`, on the device of this module.

        Raises:
            DataError: If shape, type or range is something else.
        """
        if isinstance(sequences, list | tuple) and len(sequences) == 0:
            shape = (0, 0) if self.vocabulary else (0, self.in_channels, 0)
            return self.scale.new_zeros(shape, dtype=torch.int64 if self.vocabulary else torch.float32)
        if isinstance(sequences, list | tuple) and all(isinstance(item, Tensor | np.ndarray) for item in sequences):
            return torch.cat([self(item) for item in sequences])
        array = as_array(sequences, "sequences")
        return self._tokens(array) if self.vocabulary else self._vectors(array)

    def extra_repr(self) -> str:
        """Say what comes out."""
        return f"tokens of {self.vocabulary}" if self.vocabulary else f"{self.in_channels} channel(s)"

    def _tokens(self, array: Any) -> Tensor:
        if array.ndim == 1:
            array = array[None]
        if array.ndim != 2 or array.dtype.kind not in "iu":
            raise DataError(f"expected tokens, integers (t,) or (n, t), got {array.dtype} of shape {array.shape}")
        if array.size and not 0 <= array.min() <= array.max() < self.vocabulary:
            raise DataError(f"tokens must lie in 0..{self.vocabulary - 1}, found {array.min()}..{array.max()}")
        return torch.from_numpy(array.astype(np.int64)).to(self.scale.device)

    def _vectors(self, array: Any) -> Tensor:
        if self.in_channels == 1 and array.ndim in (1, 2):
            array = array.reshape(-1, 1, array.shape[-1])
        elif array.ndim == 2:
            array = array[None]
        if array.ndim != 3 or array.shape[1] != self.in_channels or array.dtype.kind not in "biuf":
            raise DataError(
                f"expected numbers (c, t) or (n, c, t) of {self.in_channels} channel(s), got {array.dtype} of shape "
                f"{array.shape}"
            )
        if not np.isfinite(array).all():
            raise DataError("sequences must be finite, found NaN or infinity")
        values = torch.from_numpy(np.ascontiguousarray(array.astype(np.float32))).to(self.scale.device)
        return values * self.scale + self.shift


def preprocess_of(info: DatasetInfo) -> Preprocess | SequencePreprocess:
    """Return the preprocessing of a data set, by what it holds."""
    return Preprocess.from_info(info) if info.kind == "image" else SequencePreprocess.from_info(info)


def preprocess_from_dict(values: Mapping[str, Any]) -> Preprocess | SequencePreprocess:
    """Return the preprocessing that `to_dict` described."""
    if "kind" not in values:  # of images
        return Preprocess.from_dict(values)
    return SequencePreprocess(**{key: value for key, value in values.items() if key != "kind"})
