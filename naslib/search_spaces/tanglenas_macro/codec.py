"""Codes of the TangleNAS macro space: channels and kernels of four convolutions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from naslib.errors import ArchitectureError
from naslib.search_spaces.core.literals import shortened
from naslib.search_spaces.core.spelled_codec import Spelling

LAYERS = 4
KERNELS = (3, 5, 7)
CHANNELS = tuple(f"channels_{layer}" for layer in range(1, LAYERS + 1))
SIDES = tuple(f"kernel_{layer}" for layer in range(1, LAYERS + 1))


def channel_values(layer: int, channels: int = 8) -> tuple[int, ...]:
    """Return the numbers of channels that a convolution chooses from.

    Args:
        layer: Which one, from 0.
        channels: The smallest of the first.
    """
    return tuple(channels * 2 ** (layer + step) for step in range(3))


class ChannelsAndKernels(Spelling):
    """`{channels: [32, 64, 128, 128], kernels: [3, 7, 5, 7]}`, or a list of both, as the authors' benchmark has it."""

    def read(self, spec: Any) -> Mapping[str, Any] | None:
        """Return the candidates by decision; see the parent.

        Raises:
            ArchitectureError: If it has the form, with other than four numbers.
        """
        if isinstance(spec, Mapping) and {*spec} == {"channels", "kernels"}:
            lists = [spec["channels"], spec["kernels"]]
        elif isinstance(spec, list) and len(spec) == 2 and all(isinstance(part, list) for part in spec):
            lists = spec
        else:
            return None
        if any(not isinstance(part, list) or len(part) != LAYERS for part in lists):
            raise ArchitectureError(
                f"an architecture of tanglenas_macro has the channels and the kernels of {LAYERS} convolutions, not "
                f"{shortened(spec)}"
            )
        return dict(zip((*CHANNELS, *SIDES), (*lists[0], *lists[1]), strict=True))

    def write(self, choices: Mapping[str, Any]) -> dict[str, Any]:
        """Return both lists."""
        return {"channels": [choices[name] for name in CHANNELS], "kernels": [choices[name] for name in SIDES]}


def count_parameters(
    code: Sequence[int], n_classes: int = 10, in_channels: int = 3, channels: int = 8, pixels: int = 36
) -> int:
    """Return the number of parameters of the network of `code`, in closed form.

    Args:
        code: Four indices of channels, then four of kernels.
        n_classes: Number of classes.
        in_channels: Channels of the images.
        channels: The smallest number of channels of the first convolution.
        pixels: Of the last convolution's output, 36 for images of side 32.
    """
    total, reads = 0, in_channels
    for layer, (width, kernel) in enumerate(zip(code[:LAYERS], code[LAYERS:], strict=True)):
        writes = channel_values(layer, channels)[width]
        total += (reads * KERNELS[kernel] ** 2 + 1) * writes
        reads = writes
    last = 32 * channels
    total += (reads * 7 * 7 + 1) * last
    for inputs, outputs in ((last * pixels, last), (last, last // 2), (last // 2, last // 4), (last // 4, n_classes)):
        total += (inputs + 1) * outputs
    return total
