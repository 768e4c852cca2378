"""The operations of the memory-bank space, elastic in the supernet and plain in an architecture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from naslib.errors import GraphError
from naslib.search_spaces.core.elastic import Elastic, Size
from naslib.search_spaces.core.elastic.in_force import Mixture, Point, Sizes
from naslib.search_spaces.core.elastic.layer import Extracted, checked_mix
from naslib.search_spaces.core.elastic.sizes import Number

from .shapes import OpShape, banks_of


class WeightSource(Protocol):
    """What gives operations the weights of their first convolutions in place of their own (a hypernetwork)."""

    def reduce_weight(self, place: tuple[int, int], training: bool) -> Tensor:
        """Return the weight of the operation at a place for the architecture in force, `(c_out, c_in, 1, 1)`.

        Args:
            place: Index of the block, and of the operation in it.
            training: Whether the forward is one of the training.
        """


class OpSizes(NamedTuple):
    """Sizes of all operations, whatever is chosen.

    Attributes:
        unit: Channels of a unit.
        banks: Number of banks of a block.
        bottleneck: Largest number of widths between the two convolutions.
        most: Largest number of units there.
    """

    unit: int
    banks: int
    bottleneck: int
    most: int


class BankConv2d(nn.Conv2d):
    """A convolution without bias that begins orthogonal; its weight may be divided by the norm of the whole tensor.

    Args:
        c_in: Input channels.
        c_out: Output channels.
        kernel: Height and width of the kernel.
        dilation: Along height and width.
        groups: Groups.
        normalized: Whether the weight is divided by its norm in every forward ([Brock2018smash], section 3.2).
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel: tuple[int, int] = (1, 1),
        dilation: tuple[int, int] = (1, 1),
        groups: int = 1,
        normalized: bool = False,
    ) -> None:
        padding = (dilation[0] * (kernel[0] - 1) // 2, dilation[1] * (kernel[1] - 1) // 2)
        super().__init__(c_in, c_out, kernel, padding=padding, dilation=dilation, groups=groups, bias=False)
        self.normalized = normalized

    def reset_parameters(self) -> None:
        """Draw an orthogonal weight."""
        nn.init.orthogonal_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(n, c_out, h, w)` for `(n, c_in, h, w)`."""
        weight = normalized(self.weight) if self.normalized else self.weight
        return F.conv2d(x, weight, None, 1, self.padding, self.dilation, self.groups)


def normalized(weight: Tensor) -> Tensor:
    """Return a weight of any shape divided by its Euclidean norm."""
    return weight / weight.norm()


class SharedKernels(nn.Module):
    """The freely learned convolution of a block, of which the main convolutions of all its operations are slices.

    Args:
        c_in: Largest number of input channels.
        c_out: Largest number of output channels.
        kernel: Largest side.
    """

    def __init__(self, c_in: int, c_out: int, kernel: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(c_out, c_in, kernel, kernel))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw an orthogonal weight."""
        nn.init.orthogonal_(self.weight)

    def slice_for(self, shape: OpShape, c_in: int, c_out: int) -> Tensor:
        """Return the first channels and the centre of the kernel.

        `(c_out, c_in / groups, kernel_height, kernel_width)`.
        """
        top = (self.weight.shape[2] - shape.kernel_height) // 2
        left = (self.weight.shape[3] - shape.kernel_width) // 2
        rows, columns = slice(top, top + shape.kernel_height), slice(left, left + shape.kernel_width)
        return self.weight[:c_out, : c_in // shape.groups, rows, columns]


class MemoryOp(Elastic):
    """An operation on the banks of a block: read some, convolve, write to some.

    What is read goes through a 1x1 convolution whose weight is divided by its norm, ReLU, and the main convolution; the
    output is cut into banks, and what the j-th bank that is written to gets is added to it. Where more banks are
    written to than there are pieces, it begins again with the first piece; where fewer, the last pieces are lost.

    A mixture of several choices is refused: its terms would be all combinations of nine numbers.

    Args:
        place: Index of its block, and its own in it.
        sizes: What is the same for all operations.
        shared: The convolution of the block.
        choices: The entries of `OpShape`, in order: numbers, decisions, or what is computed from some.
    """

    MIXES: ClassVar[bool] = False

    def __init__(
        self, place: tuple[int, int], sizes: OpSizes, shared: SharedKernels, choices: Sequence[Number | Size]
    ) -> None:
        super().__init__()
        self.place, self.of_all = place, sizes
        self.sizes, self.mix = Sizes(**dict(zip(OpShape._fields, choices, strict=True))), checked_mix("outputs")
        self.shared = shared
        box = self.sizes.box
        widest = min(sizes.most, box[0] * sizes.banks) * sizes.unit
        self.reduce: nn.Parameter | None = nn.Parameter(torch.empty(widest, box[0] * sizes.banks * sizes.unit, 1, 1))
        self._source: list[WeightSource] = []  # a list, so that it is registered in one place only
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weight of the first convolution anew, where it is the operation's own."""
        if self.reduce is not None:
            nn.init.orthogonal_(self.reduce)

    def take_weights_from(self, source: WeightSource) -> None:
        """Have the weights of the first convolution from elsewhere from now on."""
        self._source = [source]
        self.reduce = None

    def shape_of(self, sizes: Point) -> OpShape:
        """Return the choices of some sizes."""
        return OpShape(*sizes)

    def channels(self, shape: OpShape) -> tuple[int, int, int]:
        """Return the channels that are read, between the convolutions, and put out."""
        unit = self.of_all.unit
        between = shape.bottleneck(self.of_all.bottleneck, self.of_all.most)
        return shape.n_in * unit, between * unit, shape.width * unit

    def reduce_weight(self, shape: OpShape, training: bool) -> Tensor:
        """Return the weight of the first convolution before it is normalised, `(c_between, c_in, 1, 1)`."""
        c_in, between, _ = self.channels(shape)
        if self.reduce is None:
            return self._source[0].reduce_weight(self.place, training)
        return self.reduce[:between, :c_in]

    def run(self, x: Tensor, sizes: Point) -> Tensor:
        """Return the banks after the operation.

        `(n, banks * bank channels, h, w)` in and out.
        """
        shape = self.shape_of(sizes)
        _, between, out = self.channels(shape)
        y = F.relu(F.conv2d(read(x, shape, self.of_all.unit), normalized(self.reduce_weight(shape, self.training))))
        dilation = (shape.dilation_height, shape.dilation_width)
        padding = (
            shape.dilation_height * (shape.kernel_height - 1) // 2,
            shape.dilation_width * (shape.kernel_width - 1) // 2,
        )
        kernel = self.shared.slice_for(shape, between, out)
        y = F.conv2d(y, kernel, None, 1, padding, dilation, shape.groups)
        return written(x, y, shape, self.of_all.unit)

    def _mix_outputs(self, x: Tensor, mixture: Mixture) -> Tensor:
        raise GraphError(
            "an operation on memory banks runs one choice, not a mixture of several: search this space by a method "
            "that trains single paths (random_nas, spos, smash)"
        )

    def plain(self, sizes: Point, extracted: Extracted) -> nn.Module:
        """Return the operation of some sizes, with weights of its own."""
        shape = self.shape_of(sizes)
        with torch.device("cpu"):  # also where networks are only measured (on "meta"): the weights here are real
            layer = PlainMemoryOp(shape, self.of_all)
        _, between, out = self.channels(shape)
        with torch.no_grad():
            layer.reduce.weight.copy_(self.reduce_weight(shape, training=False))
            layer.main.weight.copy_(self.shared.slice_for(shape, between, out))
        return layer.to(self.shared.weight.device)

    def parameter_shapes(self, sizes: Point) -> Iterator[tuple[Any, tuple[int, ...]]]:
        """Yield what `extract` keeps at some sizes: two convolutions of its own."""
        shape = self.shape_of(sizes)
        c_in, between, out = self.channels(shape)
        yield (id(self), "reduce"), (between, c_in, 1, 1)
        yield (id(self), "main"), (out, between // shape.groups, shape.kernel_height, shape.kernel_width)

    def extra_repr(self) -> str:
        """Return what is printed of the layer."""
        return str(self.sizes)


class PlainMemoryOp(nn.Module):
    """An operation on memory banks whose choices are made.

    Args:
        shape: The choices.
        sizes: What is the same for all operations.
    """

    def __init__(self, shape: OpShape, sizes: OpSizes) -> None:
        super().__init__()
        self.shape, self.unit = shape, sizes.unit
        between = shape.bottleneck(sizes.bottleneck, sizes.most) * sizes.unit
        kernel = (shape.kernel_height, shape.kernel_width)
        dilation = (shape.dilation_height, shape.dilation_width)
        c_in, c_out = shape.n_in * sizes.unit, shape.width * sizes.unit
        self.before: nn.Module = nn.Identity()
        self.reduce = BankConv2d(c_in, between, normalized=True)
        self.between: nn.Module = nn.Identity()
        self.main = BankConv2d(between, c_out, kernel, dilation, shape.groups)

    def use_batch_norm(self) -> None:
        """Normalise before and behind the first convolution by the batch, and no longer its weight, in place.

        This is how the authors train an architecture ("sandwich"): batch norm, ReLU, 1x1 convolution, batch norm, ReLU,
        main convolution.
        """
        device = self.main.weight.device
        self.before = nn.Sequential(nn.BatchNorm2d(self.reduce.in_channels, device=device), nn.ReLU())
        self.between = nn.BatchNorm2d(self.reduce.out_channels, device=device)
        self.reduce.normalized = False

    def forward(self, x: Tensor) -> Tensor:
        """Return the banks after the operation.

        `(n, banks * bank channels, h, w)` in and out.
        """
        y = self.main(F.relu(self.between(self.reduce(self.before(read(x, self.shape, self.unit))))))
        return written(x, y, self.shape, self.unit)


def read(x: Tensor, shape: OpShape, unit: int) -> Tensor:
    """Return the channels of the banks that are read, `(n, c, h, w)`.

    Args:
        x: All banks, `(n, banks * bank channels, h, w)`.
        shape: The operation.
        unit: Channels of a unit.
    """
    size = shape.bank * unit
    return torch.cat([x[:, bank * size : (bank + 1) * size] for bank in banks_of(shape.reads)], 1)


def written(x: Tensor, y: Tensor, shape: OpShape, unit: int) -> Tensor:
    """Return all banks after the output of an operation was added to those that it writes to.

    Args:
        x: All banks, `(n, banks * bank channels, h, w)`.
        y: The output, `(n, width channels, h, w)`.
        shape: The operation.
        unit: Channels of a unit.
    """
    size, pieces = shape.bank * unit, shape.width // shape.bank
    found = list(x.split(size, 1))
    for number, bank in enumerate(banks_of(shape.writes)):
        piece = number % pieces
        found[bank] = found[bank] + y[:, piece * size : (piece + 1) * size]
    return torch.cat(found, 1)


class FillBanks(Elastic):
    """Put an image into the first banks of a block; the others begin with zeros.

    Args:
        total: Channels of all banks: a number, or what is computed from decisions.
    """

    OUTPUT: ClassVar[tuple[int, int]] = (1, 0)

    def __init__(self, total: Number | Size) -> None:
        super().__init__()
        self.sizes, self.mix = Sizes(total=total), checked_mix("outputs")

    def run(self, x: Tensor, sizes: Point) -> Tensor:
        """Return `(n, total, h, w)` for `(n, c, h, w)`."""
        return F.pad(x, (0, 0, 0, 0, 0, sizes[0] - x.shape[1]))

    def plain(self, sizes: Point, extracted: Extracted) -> nn.Module:
        """Return the padding of some size."""
        return PadChannels(sizes[0])


class PadChannels(nn.Module):
    """Append channels of zeros.

    Args:
        total: Channels of the output.
    """

    def __init__(self, total: int) -> None:
        super().__init__()
        self.total = total

    def forward(self, x: Tensor) -> Tensor:
        """Return `(n, total, h, w)` for `(n, c, h, w)`."""
        return F.pad(x, (0, 0, 0, 0, 0, self.total - x.shape[1]))

    def extra_repr(self) -> str:
        """Return what is printed of the layer."""
        return str(self.total)
