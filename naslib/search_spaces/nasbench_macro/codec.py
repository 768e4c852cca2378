"""Codec of NAS-Bench-Macro: an architecture is eight digits, and its size is a closed form of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from naslib.data.info import ImageSize, height_and_width
from naslib.errors import ArchitectureError
from naslib.search_spaces.core.codec import Code
from naslib.search_spaces.core.mobile.codec import EDGE, LAYER, ChainCodec

from .primitives import NAMES

# Layers of the three stages
STAGES = (2, 3, 3)
LAYERS = sum(STAGES)
HEAD = 1280
# (expansion, kernel) by digit
_BLOCKS = {1: (3, 3), 2: (6, 5)}


class NasBenchMacroCodec(ChainCodec):
    """Code architectures as eight digits: 0 Identity, 1 MB3_K3, 2 MB6_K5; the genotype is the benchmark's string."""

    def __init__(self) -> None:
        labels = [f"{LAYER}{number:02}/{EDGE[0]}-{EDGE[1]}" for number in range(1, LAYERS + 1)]
        super().__init__("nasbench_macro", dict.fromkeys(labels, NAMES))

    def read_text(self, text: str) -> Any:
        """Return what a text holds, also the benchmark's string of eight digits.

        Raises:
            ArchitectureError: If it is nothing of that.
        """
        word = text.strip()
        if not word.isdecimal():
            return super().read_text(word)
        if len(word) != LAYERS or set(word) - set("012"):
            raise ArchitectureError(f"a string of {self.name} is {LAYERS} digits 0, 1 or 2, not {word!r}")
        return [int(digit) for digit in word]

    def genotype(self, code: Code) -> str:
        """Return the benchmark's string."""
        return "".join(str(digit) for digit in code)

    def identity(self, code: Code) -> str:
        """Return the benchmark's string."""
        return self.genotype(code)


def count_parameters(code: Sequence[int], n_classes: int = 10, channels: int = 32, in_channels: int = 3) -> int:
    """Return the number of parameters of an architecture, in closed form.

    Args:
        code: Eight digits.
        n_classes: Number of classes.
        channels: Of the stem; the stages have 2, 4 and 8 times as many.
        in_channels: Channels of the images.
    """
    total = 9 * in_channels * channels + 2 * channels
    for digit, (C_in, C_out, _) in zip(code, shapes(channels), strict=True):
        if digit:
            expansion, kernel = _BLOCKS[digit]
            inner = expansion * C_in
            total += inner * (C_in + kernel * kernel + C_out) + 4 * inner + 2 * C_out
        elif C_in != C_out:
            total += C_in * C_out + 2 * C_out
    width = 8 * channels
    return total + width * HEAD + 2 * HEAD + (HEAD + 1) * n_classes


def count_macs(
    code: Sequence[int], n_classes: int = 10, channels: int = 32, in_channels: int = 3, image_size: ImageSize = 32
) -> int:
    """Return the multiply-accumulates of convolutions and the classifier of an architecture, in closed form.

    Args:
        code: Eight digits.
        n_classes: Number of classes.
        channels: Of the stem.
        in_channels: Channels of the images.
        image_size: Side of the images, or height and width.
    """
    height, width = height_and_width(image_size)
    total = 9 * in_channels * channels * height * width
    for digit, (C_in, C_out, stride) in zip(code, shapes(channels), strict=True):
        before = height * width
        height, width = -(-height // stride), -(-width // stride)
        if digit:
            expansion, kernel = _BLOCKS[digit]
            inner = expansion * C_in
            total += inner * C_in * before + inner * (kernel * kernel + C_out) * height * width
        elif C_in != C_out:
            total += C_in * C_out * height * width
    return total + 8 * channels * HEAD * height * width + HEAD * n_classes


def shapes(channels: int) -> list[tuple[int, int, int]]:
    """Return the channels in, the channels out and the stride of each layer, for a stem of so many channels."""
    found, C_in = [], channels
    for layers in STAGES:
        found.append((C_in, 2 * C_in, 2))
        C_in *= 2
        found += [(C_in, C_in, 1)] * (layers - 1)
    return found
