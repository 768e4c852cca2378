"""Constants that computations on a device read at every step: they go there once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Placed:
    """Tensors of the host, and their copies where they were asked for; a copy at every step would wait for the device.

    Args:
        tensors: Of any shapes; nobody changes them in place.
    """

    def __init__(self, tensors: Sequence[Tensor] = ()) -> None:
        self.tensors = list(tensors)
        self._copies: dict[tuple[torch.device, torch.dtype | None], list[Tensor]] = {}

    def on(self, device: torch.device, dtype: torch.dtype | None = None) -> list[Tensor]:
        """Return the tensors on a device; they have any shape.

        Args:
            device: Where they are needed.
            dtype: As what; None for their own types.
        """
        key = (device, dtype)
        if key not in self._copies:
            self._copies[key] = [tensor.to(device, dtype or tensor.dtype) for tensor in self.tensors]
        return self._copies[key]
