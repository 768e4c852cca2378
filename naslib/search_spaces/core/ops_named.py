"""The operations of cell spaces by the names that genotypes use: what a list of primitives in a config stands for.

Each is a function `(C_in, C_out, stride, search)`. In a search network (`search`) BN has no weight and bias, and pools
are followed by BN, as in [Liu2019darts]; in one that is retrained BN is affine, and pools have none. Where the number
of channels changes, a pool is followed by a 1x1 convolution with BN, and a skip connection is ReLU, a 1x1 convolution
and BN, as in the published code of [Zoph2018nasnet].

An operation of one's own is registered in the same way and is a candidate by its name from then on:

    @OPERATIONS.register("my_conv")
    def my_conv(C_in, C_out, stride, search):
        return MyConv(C_in, C_out, stride, affine=not search)
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import nn

from naslib.errors import ConfigError, did_you_mean
from naslib.registry import Registry, catalogue

from . import primitives as ops
from ._ops_by_name import op_name
from .literals import shortened

Names = tuple[str, ...]
NONE = "none"

OPERATIONS: Registry[Any] = catalogue.OPERATIONS


def make_operation(name: str, C_in: int, C_out: int, stride: int, search: bool) -> nn.Module:
    """Return a fresh operation.

    Args:
        name: Its name in `OPERATIONS`.
        C_in: Channels of what it reads.
        C_out: Channels of what it gives.
        stride: 1 or 2.
        search: Whether it stands in a search network.

    Raises:
        UnknownNameError: If there is none of that name; the message has the nearest one.
    """
    op: nn.Module = OPERATIONS.get(name)(C_in, C_out, stride, search)
    return op


def checked_names(given: Any, where: str, problems: list[str]) -> Names:
    """Return the names of operations in a list that a person gave.

    Args:
        given: The list.
        where: What it is, for messages.
        problems: What is wrong with it is added here: a name that is unknown or there twice, nothing but `none`.
    """
    if not isinstance(given, list | tuple) or not all(isinstance(name, str) for name in given):
        problems.append(f"{where} must be a list of names of operations, not {shortened(given)}")
        return ()
    names = tuple(name.lower() for name in given)
    for name in names:
        if name not in OPERATIONS:
            hint = did_you_mean(name, OPERATIONS.names()) or f" (known: {', '.join(OPERATIONS.names())})"
            problems.append(f"{where}: there is no operation {name!r}{hint}")
    twice = sorted({name for name in names if names.count(name) > 1})
    problems += [f"{where} has {name!r} twice" for name in twice]
    if not set(names) - {NONE}:
        problems.append(f"{where} needs an operation other than {NONE}")
    return names


@lru_cache
def names_by_op(operations: Names, make: Callable[..., nn.Module] = make_operation) -> dict[str, str]:
    """Return the names of operations by those that they have on edges, at stride 1 and at stride 2.

    Args:
        operations: Names, as a genotype writes them.
        make: Makes them: `make_operation`, or what a space has in its place.

    Raises:
        ConfigError: If two go by one name on edges, or one cannot be made.
    """
    found: dict[str, str] = {}
    for name in operations:
        for stride in (1, 2):
            try:
                with torch.device("meta"):
                    op = make(name, 8, 8, stride, search=True)
            except TypeError as error:
                message = f"the operation {name!r} is not made by (C_in, C_out, stride, search): {error}"
                raise ConfigError(message) from error
            other = found.setdefault(op_name(op), name)
            if other != name:
                raise ConfigError(
                    f"the operations {other!r} and {name!r} are both {op_name(op)} on an edge: an architecture could "
                    "not be told from another; give one of them a get_op_name of its own"
                )
    return found


@OPERATIONS.register("none")
def none(C_in: int, C_out: int, stride: int, search: bool) -> nn.Module:
    """Return zeros: no connection."""
    return ops.Zero(stride) if C_in == C_out else ops.Zero(stride, C_in, C_out)


@OPERATIONS.register("skip_connect")
def skip_connect(C_in: int, C_out: int, stride: int, search: bool) -> nn.Module:
    """Return the identity, or where that does not fit a factorized reduction or a 1x1 convolution."""
    if stride > 1:
        return ops.FactorizedReduce(C_in, C_out, affine=not search)
    return ops.Identity() if C_in == C_out else ops.ReLUConvBN(C_in, C_out, 1, affine=not search)


@OPERATIONS.register("noise")
def noise(C_in: int, C_out: int, stride: int, search: bool) -> nn.Module:
    """Return Gaussian noise, of the channels of the input, in place of features."""
    return ops.Noise(stride)


@OPERATIONS.register("max_pool_3x3")
def max_pool_3x3(C_in: int, C_out: int, stride: int, search: bool) -> nn.Module:
    """Return max pooling in windows of 3 x 3."""
    if C_in == C_out:
        return ops.MaxPool(C_in, 3, stride, use_bn=search)
    return ops.MaxPool1x1(3, stride, C_in, C_out, affine=not search)


@OPERATIONS.register("max_pool_5x5")
def max_pool_5x5(C_in: int, C_out: int, stride: int, search: bool) -> nn.Module:
    """Return max pooling in windows of 5 x 5."""
    if C_in == C_out:
        return ops.MaxPool(C_in, 5, stride, use_bn=search)
    return ops.MaxPool1x1(5, stride, C_in, C_out, affine=not search)


@OPERATIONS.register("max_pool_7x7")
def max_pool_7x7(C_in: int, C_out: int, stride: int, search: bool) -> nn.Module:
    """Return max pooling in windows of 7 x 7."""
    if C_in == C_out:
        return ops.MaxPool(C_in, 7, stride, use_bn=search)
    return ops.MaxPool1x1(7, stride, C_in, C_out, affine=not search)


@OPERATIONS.register("avg_pool_3x3")
def avg_pool_3x3(C_in: int, C_out: int, stride: int, search: bool) -> nn.Module:
    """Return average pooling in windows of 3 x 3, the padding not counted."""
    if C_in == C_out:
        return ops.AvgPool(C_in, 3, stride, use_bn=search)
    return ops.AvgPool1x1(3, stride, C_in, C_out, affine=not search)


@OPERATIONS.register("sep_conv_3x3")
def sep_conv_3x3(C_in: int, C_out: int, stride: int, search: bool) -> nn.Module:
    """Return a 3 x 3 depthwise-separable convolution, twice."""
    return _sep_conv(3, C_in, C_out, stride, search)


@OPERATIONS.register("sep_conv_5x5")
def sep_conv_5x5(C_in: int, C_out: int, stride: int, search: bool) -> nn.Module:
    """Return a 5 x 5 depthwise-separable convolution, twice."""
    return _sep_conv(5, C_in, C_out, stride, search)


@OPERATIONS.register("sep_conv_7x7")
def sep_conv_7x7(C_in: int, C_out: int, stride: int, search: bool) -> nn.Module:
    """Return a 7 x 7 depthwise-separable convolution, twice."""
    return _sep_conv(7, C_in, C_out, stride, search)


@OPERATIONS.register("dil_conv_3x3")
def dil_conv_3x3(C_in: int, C_out: int, stride: int, search: bool) -> nn.Module:
    """Return a 3 x 3 dilated depthwise-separable convolution."""
    return ops.DilConv(C_in, C_out, 3, stride, 2, dilation=2, affine=not search)


@OPERATIONS.register("dil_conv_5x5")
def dil_conv_5x5(C_in: int, C_out: int, stride: int, search: bool) -> nn.Module:
    """Return a 5 x 5 dilated depthwise-separable convolution."""
    return ops.DilConv(C_in, C_out, 5, stride, 4, dilation=2, affine=not search)


@OPERATIONS.register("conv_1x1")
def conv_1x1(C_in: int, C_out: int, stride: int, search: bool) -> nn.Module:
    """Return a 1 x 1 convolution."""
    return ops.ReLUConvBN(C_in, C_out, 1, stride, affine=not search)


@OPERATIONS.register("conv_3x3")
def conv_3x3(C_in: int, C_out: int, stride: int, search: bool) -> nn.Module:
    """Return a 3 x 3 convolution."""
    return ops.ReLUConvBN(C_in, C_out, 3, stride, affine=not search)


@OPERATIONS.register("conv_3x1_1x3")
def conv_3x1_1x3(C_in: int, C_out: int, stride: int, search: bool) -> nn.Module:
    """Return a 1 x 3 and a 3 x 1 convolution, one after the other."""
    return ops.FactorizedConv(C_in, C_out, 3, stride, affine=not search)


@OPERATIONS.register("conv_7x1_1x7")
def conv_7x1_1x7(C_in: int, C_out: int, stride: int, search: bool) -> nn.Module:
    """Return a 1 x 7 and a 7 x 1 convolution, one after the other."""
    return ops.FactorizedConv(C_in, C_out, 7, stride, affine=not search)


def _sep_conv(kernel: int, C_in: int, C_out: int, stride: int, search: bool) -> nn.Module:
    middle = None if C_in == C_out else C_out
    return ops.SepConv(C_in, C_out, kernel, stride, kernel // 2, affine=not search, C_mid=middle)
