"""The initialisations that proxies are defined at."""

from __future__ import annotations

import math

import torch
from torch import nn

from .subject import LAYERS, Subject

_NORMS = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm)


def initialise(subject: Subject, *, kaiming: bool) -> None:
    """Draw the weights of convolutions and linear layers anew; biases become 0, the weights of norms 1.

    Args:
        subject: The network, which is given back as it was.
        kaiming: Whether the standard deviation is `sqrt(2 / fan_in)` (Kaiming); it is 1 else.
    """
    with torch.no_grad():
        for module in subject.network.modules():
            if isinstance(module, LAYERS):
                fan_in = module.weight[0].numel()
                module.weight.copy_(subject.noise(module.weight) * (math.sqrt(2 / fan_in) if kaiming else 1.0))
                if module.bias is not None:
                    module.bias.zero_()
            elif isinstance(module, _NORMS) and module.weight is not None:
                module.weight.fill_(1.0)
                module.bias.zero_()
