"""Whether the native kernels pay on this machine: both ways timed on operations of a network's own sizes."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from naslib.utils.log import get_logger

from .ops_conv import DilConv, SepConv
from .ops_mixed import mix_outputs
from .shared_work import Passes, SharedWork

# Sides of the images that are timed: 16 pixels at 16 channels, half of CIFAR-10's, and fewer where there are more.
_PIXEL_ROWS = 16 * 16
_SIDES = (4, 16)
_BATCH = 4
_ROUNDS = 3

Operation = SepConv | DilConv


def is_native_faster(modules: Iterable[nn.Module]) -> bool:
    """Time a mixture of depthwise candidates, forward and backward, by the native kernels and by PyTorch.

    It takes some milliseconds per kind of edge, leaves modules and random state alone, and logs what it found.

    Args:
        modules: The operations of a network; each separable and dilated convolution among their parts is timed once.

    Returns:
        Whether the native kernels are the faster way; False where there are no such convolutions.
    """
    groups = _candidates(modules)
    if not groups:
        get_logger(__name__).info("native kernels are not used: the network has no separable or dilated convolutions")
        return False
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        steps = [_step_of(group) for group in groups]
    native, plain = _milliseconds(steps)
    chosen = native < plain
    get_logger(__name__).info(
        "native kernels %s used: %.1f ms with them and %.1f ms without, for the depthwise candidates of this network",
        "are" if chosen else "are not",
        native,
        plain,
    )
    return chosen


def _candidates(modules: Iterable[nn.Module]) -> list[list[Operation]]:
    """Return copies of the operations, one of each kind and size, those with the same input together."""
    found: dict[tuple[int, int], dict[tuple[object, ...], Operation]] = {}
    for module in modules:
        for op in module.modules():
            if not isinstance(op, (SepConv, DilConv)) or type(op) not in (SepConv, DilConv):
                continue
            first, last = _ends_of(op)
            group = found.setdefault((first.in_channels, first.stride[0]), {})
            group.setdefault((type(op), first.kernel_size, first.dilation, last.num_features), op)
    return [[copy.deepcopy(op).cpu().float().train() for op in group.values()] for group in found.values()]


def _ends_of(op: Operation) -> tuple[Any, Any]:
    """Return the first convolution and the last batch norm."""
    return op.op[1], op.op[-1]


def _step_of(ops: Sequence[Operation]) -> Callable[[bool], None]:
    """Return the forward and backward of a mixture, by the native kernels or not."""
    channels: int = _ends_of(ops[0])[0].in_channels
    side = max(_SIDES[0], min(_SIDES[1], _PIXEL_ROWS // channels))
    image = torch.randn(_BATCH, channels, side, side, dtype=torch.float32).contiguous(memory_format=torch.channels_last)
    weights = torch.full((len(ops),), 1 / len(ops), dtype=torch.float32, requires_grad=True)
    parameters: list[Tensor] = [weights, *(p for op in ops for p in op.parameters())]

    def step(native: bool) -> None:
        x = image.clone().requires_grad_()
        y = mix_outputs(ops, x, weights, SharedWork(replace(Passes(), native=native)))
        torch.autograd.grad(y, [x, *parameters], torch.ones_like(y))

    return step


def _milliseconds(steps: Sequence[Callable[[bool], None]]) -> tuple[float, float]:
    """Return the sums of the medians with the native kernels and without, in turns after one round of each."""
    totals = []
    for step in steps:
        seconds: dict[bool, list[float]] = {True: [], False: []}
        for number in range(_ROUNDS + 1):
            for native in (True, False):
                begin = time.perf_counter()
                step(native)
                if number:
                    seconds[native].append(time.perf_counter() - begin)
        totals.append([1e3 * statistics.median(seconds[native]) for native in (True, False)])
    return sum(native for native, _ in totals), sum(plain for _, plain in totals)
