"""The search space of ProxylessNAS: MobileNetV2 with a choice of kernel and expansion for each block."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from naslib.data.info import ImageSize
from naslib.errors import ConfigError
from naslib.search_spaces.core.mobile.blocks import DepthwiseSeparable
from naslib.search_spaces.core.mobile.chain import MobileChain, check_sizes, check_task, layer_of
from naslib.search_spaces.core.mobile.codec import ChainCodec
from naslib.search_spaces.core.mobile.layers import MobileHead, MobileStem, scaled_width

from .codec import ProxylessCodec
from .primitives import MBInvertedConv, zero


class ProxylessNASSearchSpace(MobileChain):
    """A chain of MobileNetV2 blocks with kernel 3, 5 or 7 and expansion 3 or 6 ([Cai2019proxylessnas], Sec. 4.2).

    Stem (3x3, stride 2), a fixed depthwise separable block, stages of layers, a 1x1 convolution, mean, classifier. The
    first layer of a stage has its stride and widens; the others have a shortcut and may be left out (`Zero`). With the
    published stages there are 21 layers, six of which cannot be left out: 6^6 * 7^15 architectures.

    Args:
        n_classes: Number of classes or of values.
        in_channels: Channels of the images.
        image_size: Side of the images, or height and width; kernels are compared with it. None leaves that out.
        widths: Channels of each stage.
        n_cells: Layers of each stage.
        strides: Of each stage.
        kernels: Kernels to choose among.
        expansions: Expansions to choose among.
        stem_channels: Channels of the stem.
        stem_stride: Stride of the stem; 1 for small images.
        first_channels: Channels of the fixed block.
        head_channels: Channels of the last convolution; 0 for none.
        width_mult: Factor of all widths, rounded to multiples of 8; the last convolution becomes only wider by it.
        dropout: Rate before the classifier.
        bn_eps: Of all BN; the authors' 1e-3.
        bn_momentum: Of all BN.
        task: What it is for.

    Raises:
        ConfigError: If a size is not positive, the stages do not agree in number, or a kernel is larger than what it
            reads.
    """

    NAME = "proxylessnas"
    TASKS = ("classification", "regression")
    INPUTS = ("image",)

    def __init__(
        self,
        n_classes: int = 1000,
        in_channels: int = 3,
        image_size: ImageSize | None = None,
        widths: Sequence[int] = (24, 40, 80, 96, 192, 320),
        n_cells: Sequence[int] = (4, 4, 4, 4, 4, 1),
        strides: Sequence[int] = (2, 2, 2, 1, 2, 1),
        kernels: Sequence[int] = (3, 5, 7),
        expansions: Sequence[int] = (3, 6),
        stem_channels: int = 32,
        stem_stride: int = 2,
        first_channels: int = 16,
        head_channels: int = 1280,
        width_mult: float = 1.0,
        dropout: float = 0.0,
        bn_eps: float = 1e-3,
        bn_momentum: float = 0.1,
        task: str = "classification",
    ) -> None:
        super().__init__("makrograph")
        check_task(self.NAME, task, self.TASKS)
        _check(widths, n_cells, strides, kernels, expansions, width_mult)
        check_sizes(
            self.NAME, n_classes=n_classes, in_channels=in_channels, stem_channels=stem_channels,
            stem_stride=stem_stride, first_channels=first_channels,
        )  # fmt: skip
        self.n_classes = n_classes
        self.in_channels = in_channels
        self.image_size = image_size
        self.widths, self.n_cells, self.strides = tuple(widths), tuple(n_cells), tuple(strides)
        self.kernels, self.expansions = tuple(kernels), tuple(expansions)
        self.stem_channels = stem_channels
        self.stem_stride = stem_stride
        self.first_channels = first_channels
        self.head_channels = head_channels
        self.width_mult = width_mult
        self.dropout = dropout
        self.bn_eps = bn_eps
        self.bn_momentum = bn_momentum
        self.task = task
        self.build_chain(self._steps(), image_size)
        self.set_batch_norm(bn_eps, bn_momentum)

    def _steps(self) -> list[nn.Module]:
        stem, first = (
            scaled_width(self.stem_channels, self.width_mult),
            scaled_width(self.first_channels, self.width_mult),
        )
        steps: list[nn.Module] = [
            MobileStem(self.in_channels, stem, self.stem_stride, "r6"),
            DepthwiseSeparable(stem, first, 3, activation="r6"),
        ]
        C_in, number = first, 0
        for width, cells, stride in zip(self.widths, self.n_cells, self.strides, strict=True):
            C_out = scaled_width(width, self.width_mult)
            for cell in range(cells):
                number += 1
                strided = stride if cell == 0 else 1
                shortcut = strided == 1 and C_in == C_out
                steps.append(layer_of(number, self._candidates(C_in, C_out, strided, shortcut), shortcut))
                C_in = C_out
        head = scaled_width(self.head_channels, max(1.0, self.width_mult)) if self.head_channels else 0
        steps.append(MobileHead(C_in, head, self.n_classes, "r6", self.dropout))
        return steps

    def _candidates(self, C_in: int, C_out: int, stride: int, shortcut: bool) -> list[nn.Module]:
        found: list[nn.Module] = [
            MBInvertedConv(C_in, C_out, kernel, stride, expansion, shortcut)
            for kernel in self.kernels
            for expansion in self.expansions
        ]
        return [*found, zero()] if shortcut else found

    def make_codec(self, names: dict[str, list[str]]) -> ChainCodec:
        """Return the codec of the space, which reads the authors' net configs as well."""
        return ProxylessCodec(self.NAME, names)


def _check(
    widths: Sequence[int],
    n_cells: Sequence[int],
    strides: Sequence[int],
    kernels: Sequence[int],
    expansions: Sequence[int],
    width_mult: float,
) -> None:
    name = ProxylessNASSearchSpace.NAME
    check_sizes(name, widths=widths, n_cells=n_cells, strides=strides, kernels=kernels, expansions=expansions)
    problems = []
    if not len(widths) == len(n_cells) == len(strides):
        problems.append(
            f"{name}: widths, n_cells and strides have one number for each stage, and have {len(widths)}, "
            f"{len(n_cells)} and {len(strides)}"
        )
    problems += [f"{name}: kernels are odd, not {kernel}" for kernel in kernels if kernel % 2 == 0]
    if not width_mult > 0:
        problems.append(f"{name}: width_mult must be positive, not {width_mult}")
    if problems:
        raise ConfigError(problems)
