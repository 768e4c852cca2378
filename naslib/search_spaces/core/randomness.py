"""Run a forward again with what it drew at random."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


class Randomness:
    """The state of torch's generators at a moment; one function of the weights is then evaluated several times.

    A loss under dropout or drop-path is another function in each forward. Differences and derivatives of one of them
    need every forward to draw the same.

    Args:
        device: Where the forwards run.
    """

    def __init__(self, device: torch.device) -> None:
        self._devices = [device] if device.type == "cuda" else []
        self._cpu = torch.get_rng_state()
        self._cuda = [torch.cuda.get_rng_state(device) for device in self._devices]

    @contextmanager
    def again(self) -> Iterator[None]:
        """Let what is inside draw what was drawn from that moment on; the generators go on as if nothing had been."""
        with torch.random.fork_rng(self._devices):
            torch.set_rng_state(self._cpu)
            for device, state in zip(self._devices, self._cuda, strict=True):
                torch.cuda.set_rng_state(state, device)
            yield
