"""The search space of FBNet: a chain of 22 layers, each one of nine blocks."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from naslib.data.info import ImageSize
from naslib.errors import ConfigError
from naslib.search_spaces.core.mobile.chain import MobileChain, check_sizes, check_task, layer_of
from naslib.search_spaces.core.mobile.layers import MobileHead, MobileStem, scaled_width

from .primitives import candidates


class FBNetSearchSpace(MobileChain):
    """The layer-wise space of FBNet ([Wu2019fbnet], Tables 1 and 2): 9^22 architectures with the published stages.

    Stem (3x3, stride 2), stages of layers, a 1x1 convolution, mean, classifier. A layer that keeps the shape has a
    shortcut. `skip` leaves only that; in the first layer of a stage, which changes the shape, it is a 1x1 convolution
    with BN and ReLU, as in the authors' code.

    Args:
        n_classes: Number of classes or of values.
        in_channels: Channels of the images.
        image_size: Side of the images, or height and width; kernels are compared with it. None leaves that out.
        widths: Channels of each stage, even.
        n_cells: Layers of each stage.
        strides: Of each stage.
        kernels: Of the blocks to choose among: 3, 5 or both.
        stem_channels: Channels of the stem, even.
        stem_stride: Stride of the stem; 1 for small images.
        head_channels: Channels of the last convolution; 0 for none.
        width_mult: Factor of all widths, rounded to multiples of 8; the last convolution becomes only wider by it.
        dropout: Rate before the classifier.
        task: What it is for.

    Raises:
        ConfigError: If a size is not positive, a width is odd (two blocks have two groups), there are other kernels,
            the stages do not agree in number, or a kernel is larger than what it reads.
    """

    NAME = "fbnet"
    TASKS = ("classification", "regression")
    INPUTS = ("image",)

    def __init__(
        self,
        n_classes: int = 1000,
        in_channels: int = 3,
        image_size: ImageSize | None = None,
        widths: Sequence[int] = (16, 24, 32, 64, 112, 184, 352),
        n_cells: Sequence[int] = (1, 4, 4, 4, 4, 4, 1),
        strides: Sequence[int] = (1, 2, 2, 2, 1, 2, 1),
        kernels: Sequence[int] = (3, 5),
        stem_channels: int = 16,
        stem_stride: int = 2,
        head_channels: int = 1984,
        width_mult: float = 1.0,
        dropout: float = 0.0,
        task: str = "classification",
    ) -> None:
        super().__init__("makrograph")
        check_task(self.NAME, task, self.TASKS)
        _check(widths, n_cells, strides, stem_channels, kernels, width_mult)
        check_sizes(self.NAME, n_classes=n_classes, in_channels=in_channels, stem_stride=stem_stride)
        self.n_classes = n_classes
        self.in_channels = in_channels
        self.image_size = image_size
        self.widths, self.n_cells, self.strides = tuple(widths), tuple(n_cells), tuple(strides)
        self.kernels = tuple(kernels)
        self.stem_channels = stem_channels
        self.stem_stride = stem_stride
        self.head_channels = head_channels
        self.width_mult = width_mult
        self.dropout = dropout
        self.task = task
        self.build_chain(self._steps(), image_size)

    def _steps(self) -> list[nn.Module]:
        C_in, number = scaled_width(self.stem_channels, self.width_mult), 0
        steps: list[nn.Module] = [MobileStem(self.in_channels, C_in, self.stem_stride, "re")]
        for width, cells, stride in zip(self.widths, self.n_cells, self.strides, strict=True):
            C_out = scaled_width(width, self.width_mult)
            for cell in range(cells):
                number += 1
                strided = stride if cell == 0 else 1
                shortcut = strided == 1 and C_in == C_out
                steps.append(layer_of(number, candidates(C_in, C_out, strided, shortcut, self.kernels), shortcut))
                C_in = C_out
        head = scaled_width(self.head_channels, max(1.0, self.width_mult)) if self.head_channels else 0
        return [*steps, MobileHead(C_in, head, self.n_classes, "re", self.dropout)]


def _check(
    widths: Sequence[int],
    n_cells: Sequence[int],
    strides: Sequence[int],
    stem_channels: int,
    kernels: Sequence[int],
    width_mult: float,
) -> None:
    name = FBNetSearchSpace.NAME
    check_sizes(name, widths=widths, n_cells=n_cells, strides=strides, stem_channels=stem_channels)
    problems = []
    if not len(widths) == len(n_cells) == len(strides):
        problems.append(
            f"{name}: widths, n_cells and strides have one number for each stage, and have {len(widths)}, "
            f"{len(n_cells)} and {len(strides)}"
        )
    odd = [width for width in (stem_channels, *widths) if width % 2]
    if odd:
        problems.append(f"{name}: widths are even, since two of the blocks have two groups, not {odd[0]}")
    if not kernels or set(kernels) - {3, 5}:
        problems.append(f"{name}: kernels are 3, 5 or both, not {kernels!r}")
    if not width_mult > 0:
        problems.append(f"{name}: width_mult must be positive, not {width_mult}")
    if problems:
        raise ConfigError(problems)
