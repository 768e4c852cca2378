"""1x1 convolutions as matrix products.

On the CPU and channels-last the pixels are the rows of a matrix already. The product has the convolution's arithmetic
and half its time for 16x16x32x32 (38 against 78 us on two threads), a sixth for 2x16x8x8 (8 against 48 us).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def accepts(module: nn.Module, x: Tensor) -> bool:
    """Say whether `pointwise(x, module.weight)` equals `module(x)` and is the faster of the two.

    `x` is `(n, c, h, w)`.
    """
    if type(module) is not nn.Conv2d or module.kernel_size != (1, 1) or module.stride != (1, 1):
        return False
    if module.groups != 1 or module.padding != (0, 0) or module.bias is not None:
        return False
    fits = x.dim() == 4 and x.shape[1] == module.in_channels and x.device.type == "cpu" and not x.is_mkldnn
    return fits and not torch.compiler.is_compiling() and x.stride(1) == 1


def pointwise(x: Tensor, weight: Tensor) -> Tensor:
    """Return the 1x1 convolution.

    Args:
        x: `(n, c, h, w)`, channels-last.
        weight: `(o, c, 1, 1)`.
    """
    n, c, h, w = x.shape
    out_channels: Any = weight.shape[0]
    rows = x.permute(0, 2, 3, 1).reshape(n * h * w, c)
    product = torch.mm(rows, weight.reshape(out_channels, c).t())
    return product.view(n, h, w, out_channels).permute(0, 3, 1, 2)
