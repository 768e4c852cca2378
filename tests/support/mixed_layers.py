"""One mixed operation of each kind, over small layers."""

from __future__ import annotations

import torch
from torch import nn

from naslib.mixed_operations import (
    BinaryMaskedMixedOp,
    BinaryMixedOp,
    BinaryMovingAverageMixedOp,
    BinaryProxylessNASStyleMixedOp,
    ContinuousMixedOp,
    MixedOp,
)

KINDS = {
    "continuous": lambda ops, n_on=1: ContinuousMixedOp(ops, n_on),
    "binary": lambda ops, n_on=1: BinaryMixedOp(ops, n_on),
    "masked": lambda ops, n_on=1: BinaryMaskedMixedOp(ops, n_on + 1, n_on),
    "proxyless": lambda ops, n_on=1: BinaryProxylessNASStyleMixedOp(ops, n_on + 1, n_on),
    "moving_average": lambda ops, n_on=1: BinaryMovingAverageMixedOp(ops, n_on + 1, n_on, 0.1),
}


def layers(n: int = 4, width: int = 4, double: bool = True) -> list[nn.Module]:
    torch.manual_seed(3)
    layers = [nn.Sequential(nn.Linear(width, width), nn.Tanh()) for _ in range(n)]
    return [layer.double() if double else layer for layer in layers]


def made(kind: str, n_on: int = 1, **kwargs) -> MixedOp:
    op = KINDS[kind](layers(**kwargs), n_on)
    if kwargs.get("double", True):
        op.double()
    with torch.no_grad():
        op.alpha.copy_(torch.linspace(-1, 1, len(op.operations)))
    return op
