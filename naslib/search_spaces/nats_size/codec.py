"""Codes of the size space of NATS-Bench: the channels of five layers, `64:48:32:16:8`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from naslib.errors import ArchitectureError
from naslib.search_spaces.core.literals import shortened
from naslib.search_spaces.core.spelled_codec import Spelling

LAYERS = 5
CHANNELS = (8, 16, 24, 32, 40, 48, 56, 64)
LABELS = tuple(f"channels_{layer}" for layer in range(1, LAYERS + 1))

_STRING = re.compile(r"\s*\d+(\s*:\s*\d+)+\s*")


class ChannelString(Spelling):
    """The benchmark's string: channels of the layers with colons between them."""

    def read(self, spec: Any) -> Mapping[str, Any] | None:
        """Return the channels by decision; see the parent.

        Raises:
            ArchitectureError: If it has the form, and not five numbers.
        """
        if not isinstance(spec, str) or not _STRING.fullmatch(spec):
            return None
        found = [int(number) for number in spec.split(":")]
        if len(found) != LAYERS:
            raise ArchitectureError(
                f"an architecture of nats_size is the channels of {LAYERS} layers, such as 64:48:32:16:8, not "
                f"{shortened(spec)}"
            )
        return dict(zip(LABELS, found, strict=True))

    def write(self, choices: Mapping[str, Any]) -> str:
        """Return the string."""
        return ":".join(str(choices[label]) for label in LABELS)


def count_parameters(channels: Sequence[int], n_classes: int = 10, in_channels: int = 3) -> int:
    """Return the number of parameters of a network, in closed form.

    Args:
        channels: Of the five layers.
        n_classes: Number of classes.
        in_channels: Channels of the images.
    """
    first = channels[0]
    total = in_channels * 9 * first + 2 * first + _of_cell(first, first)
    for before, strided, after in (channels[0:3], channels[2:5]):
        total += 9 * before * strided + 9 * strided * strided + 4 * strided + before * strided  # the residual block
        total += _of_cell(strided, after)
    return total + 2 * channels[-1] + (channels[-1] + 1) * n_classes


def _of_cell(reads: int, writes: int) -> int:
    """Return the parameters of a cell: two convolutions of its input, three of its nodes, and a shortcut."""
    total = 2 * 9 * reads * writes + 3 * 9 * writes * writes + 5 * 2 * writes
    return total + (0 if reads == writes else reads * writes + 2 * writes)
