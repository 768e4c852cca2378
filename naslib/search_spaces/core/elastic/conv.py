"""ElasticConv2d: a convolution whose channels, kernel and groups are decisions."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from naslib.errors import ConfigError

from .in_force import Mixture, Point, Sizes
from .layer import Elastic, Extracted, checked_mix
from .sizes import Number, Size, as_size
from .weights import Axes, mixed, sliced

_OUT, _IN, _KERNEL, _GROUPS, _PER_GROUP = range(5)


class ElasticConv2d(Elastic, nn.Conv2d):
    """A square 2-D convolution; smaller ones have its first channels, and the centre of its kernel.

    Args:
        in_channels: Number of input channels: a number, a value decision, or what is computed from some.
        out_channels: Number of output channels, likewise.
        kernel_size: Side of the kernel, likewise; all odd or all even, so that the smaller are centred.
        stride: Stride.
        padding: Padding of the largest kernel; smaller kernels have less, so that the output's size does not depend on
            the choice. None keeps the size of the image for odd kernels and stride 1.
        dilation: Dilation.
        groups: Number of groups. Where it is more than 1, each group has the same channels for every choice: give the
            size that the channels have for a depthwise convolution.
        bias: Whether there is a bias.
        kernel_transform: Whether smaller kernels are linear maps of the centre of the next larger one, learned with the
            weights and the same for all channels ([Cai2020ofa]); they begin as the identity. The extracted layer has
            the result as its kernel.
        mix: See `Elastic`.

    Raises:
        ConfigError: If a size is no positive integer, kernels are both odd and even, or groups do not fit the channels.
    """

    SLICES: ClassVar[dict[str, Axes]] = {"weight": {0: _OUT, 1: _PER_GROUP, 2: _KERNEL, 3: _KERNEL}, "bias": {0: _OUT}}
    CENTRED: ClassVar[dict[str, tuple[int, ...]]] = {"weight": (2, 3)}
    OUTPUT: ClassVar[tuple[int, int]] = (1, _OUT)
    INPUT: ClassVar[tuple[int, int] | None] = (1, _IN)

    def __init__(
        self,
        in_channels: int | Size,
        out_channels: int | Size,
        kernel_size: int | Size,
        stride: int = 1,
        padding: int | None = None,
        dilation: int = 1,
        groups: int | Size = 1,
        bias: bool = True,
        kernel_transform: bool = False,
        mix: str = "weights",
    ) -> None:
        sizes = conv_sizes(in_channels, out_channels, kernel_size, groups)
        out, into, kernel, n_groups, _ = sizes.box
        padding = dilation * (kernel - 1) // 2 if padding is None else padding
        least = dilation * (kernel - sizes.values("kernel_size")[0]) // 2
        if padding < least:
            raise ConfigError(
                f"padding {padding} is too small for kernels {list(sizes.values('kernel_size'))}: the smallest one has "
                f"{least} less than the largest; take {least} or more, or None"
            )
        super().__init__(into, out, kernel, stride, padding, dilation, n_groups, bias)
        self.mix = checked_mix(mix)
        self.sizes = sizes
        self.transforms = nn.ParameterDict()
        kernels = sizes.values("kernel_size")
        if kernel_transform:
            for large, small in zip(kernels[:0:-1], kernels[-2::-1], strict=True):
                self.transforms[f"{large}to{small}"] = nn.Parameter(torch.eye(small * small))

    def reset_parameters(self) -> None:
        """Draw the weights anew; kernel transforms begin as the identity."""
        super().reset_parameters()
        for transform in getattr(self, "transforms", {}).values():
            nn.init.eye_(transform)

    def padding_of(self, kernel: int) -> int:
        """Return the padding of a kernel."""
        return int(self.padding[0]) - self.dilation[0] * (self.kernel_size[0] - kernel) // 2

    def slice_of(self, name: str, sizes: Point) -> Tensor | None:
        """Return the slice of a parameter; of the weight with its kernel transformed.

        A weight is `(c_out, c_in / groups, k, k)`, a bias `(c_out,)`.
        """
        if name != "weight" or not self.transforms:
            return super().slice_of(name, sizes)
        return self._transformed(sizes)[sizes[_KERNEL]]

    def _transformed(self, sizes: Point) -> dict[int, Tensor]:
        """Return the kernels of all sides from the largest down to that of some sizes, each `(c_out, c_in, k, k)`."""
        kernel, largest = sizes[_KERNEL], self.kernel_size[0]
        weight = sliced(self.weight, (sizes[_OUT], sizes[_PER_GROUP], largest, largest))
        found = {largest: weight}
        for size in [size for size in reversed(self.sizes.values("kernel_size")) if kernel <= size < largest]:
            centre = sliced(weight, (*weight.shape[:2], size, size), (2, 3))
            matrix = self.transforms[f"{weight.shape[2]}to{size}"]
            # by einsum: a product with `F.linear` would count as work per image (`count_macs`)
            weight = torch.einsum("oik,jk->oij", centre.flatten(2), matrix).unflatten(2, (size, size))
            found[size] = weight
        return found

    def source(self, name: str) -> Any:
        """Return what a parameter's slices are told apart by: for transformed kernels also by whose transforms."""
        return (super().source(name), id(self)) if name == "weight" and self.transforms else super().source(name)

    def run(self, x: Tensor, sizes: Point) -> Tensor:
        """Apply the slice of some sizes.

        `(n, c_in, h, w)` to `(n, c_out, h', w')`.
        """
        weight, bias = self.slice_of("weight", sizes), self.slice_of("bias", sizes)
        padding = self.padding_of(sizes[_KERNEL])
        return F.conv2d(x, weight, bias, self.stride, padding, self.dilation, sizes[_GROUPS])  # type: ignore[arg-type]

    def run_mixed(self, x: Tensor, mixture: Mixture) -> Tensor:
        """Apply the weighted sum of slices: one convolution.

        `(n, c_in, h, w)` to `(n, c_out, h', w')`.
        """
        weight, bias = self.mixed_weight(mixture), self.mixed_slices("bias", mixture)
        padding = self.padding_of(mixture.box[_KERNEL])
        return F.conv2d(x, weight, bias, self.stride, padding, self.dilation, mixture.box[_GROUPS])

    def mixed_weight(self, mixture: Mixture) -> Tensor:
        """Return the weighted sum of the kernels, each transformed.

        `(c_out, c_in / groups, k, k)`, as large as the largest.
        """
        axes, centred = self.SLICES["weight"], self.CENTRED["weight"]
        if not self.transforms:
            return self.mixed_slices("weight", mixture)  # type: ignore[return-value]
        kernels = _sizes_in(mixture, _KERNEL)
        side = mixture.box[_KERNEL]
        found = self._transformed((*mixture.box[:_KERNEL], min(kernels), *mixture.box[_KERNEL + 1 :]))
        own = next(group for group in mixture.groups if _KERNEL in group.dims)
        total: Tensor | None = None
        if own.weights is not None and own.dims == (_KERNEL,):  # by kernels alone: the other sizes once for all of them
            row = own.weights.to(self.weight.dtype)
            for (kernel,), weight in zip(own.points, row.unbind(), strict=True):
                term = F.pad(found[kernel], [(side - kernel) // 2] * 4) * weight
                total = term if total is None else total + term
            others = mixture._replace(groups=tuple(group for group in mixture.groups if group is not own))
            return mixed(total, others, axes, centred)  # type: ignore[arg-type]
        for kernel in kernels:
            term = F.pad(found[kernel], [(side - kernel) // 2] * 4)
            term = mixed(term, mixture.where(_KERNEL, kernel), axes, centred)
            total = term if total is None else total + term
        return total  # type: ignore[return-value]

    def plain(self, sizes: Point, extracted: Extracted) -> nn.Module:
        """Return the `nn.Conv2d` of some sizes."""
        out, into, kernel, groups, _ = sizes
        with torch.device("meta"):
            conv = nn.Conv2d(
                into,
                out,
                kernel,
                self.stride,  # type: ignore[arg-type]
                self.padding_of(kernel),
                self.dilation,  # type: ignore[arg-type]
                groups,
                self.bias is not None,
            )
        conv.weight = self.kept("weight", sizes, extracted)  # type: ignore[assignment]
        conv.bias = self.kept("bias", sizes, extracted)
        return conv

    def extra_repr(self) -> str:
        """Return what is printed of the layer."""
        return f"{super().extra_repr()}, sizes=({self.sizes})"


def conv_sizes(
    in_channels: Number | Size, out_channels: Number | Size, kernel_size: Number | Size, groups: Number | Size
) -> Sizes:
    """Return the sizes of a convolution, checked.

    Raises:
        ConfigError: See `ElasticConv2d`.
    """
    per_group = as_size(in_channels) // as_size(groups)
    # before the division: a group without a channel has its own message
    plain = Sizes(out_channels=out_channels, in_channels=in_channels, kernel_size=kernel_size, groups=groups)
    shapes = set()
    for out, into, _, n_groups in plain.points():
        if into % n_groups or out % n_groups:
            raise ConfigError(
                f"{n_groups} groups do not divide {into} input and {out} output channels evenly; where the channels "
                "are decisions, the groups have to follow them (groups=in_channels for a depthwise convolution)"
            )
        shapes.add((into // n_groups, out // n_groups))
    if len(shapes) > 1 and plain.box[_GROUPS] > 1:
        raise ConfigError(
            f"with groups={as_size(groups)} the channels of a group depend on the choice, so that smaller layers are "
            "not slices of the largest: let the groups follow the channels (groups=in_channels // channels per group)"
        )
    sizes = Sizes(
        out_channels=out_channels, in_channels=in_channels, kernel_size=kernel_size, groups=groups, per_group=per_group
    )
    if len({kernel % 2 for kernel in sizes.values("kernel_size")}) > 1:
        raise ConfigError(
            f"kernel sizes {list(sizes.values('kernel_size'))} are odd and even: a smaller kernel is the centre of a "
            "larger one, so all are odd or all even"
        )
    return sizes


def _sizes_in(mixture: Mixture, dim: int) -> list[int]:
    found: dict[Any, None] = {}
    for group in mixture.groups:
        if dim in group.dims:
            found.update(dict.fromkeys(point[group.dims.index(dim)] for point in group.points))
    return list(found)
