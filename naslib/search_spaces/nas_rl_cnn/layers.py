"""The network of a list of layers: convolutions that concatenate what they read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from naslib.search_spaces.core.primitives import AbstractPrimitive
from naslib.search_spaces.core.types import EdgeLike


class FilterLayer(NamedTuple):
    """A convolution.

    Attributes:
        height: Of its filters, in pixels.
        width: Of its filters.
        filters: How many there are.
        inputs: The layers that it reads, from 1, ascending; none stands for the image.
        stride_height: Pixels from one filter to the next.
        stride_width: The same in the other direction.
    """

    height: int
    width: int
    filters: int
    inputs: tuple[int, ...] = ()
    stride_height: int = 1
    stride_width: int = 1

    def to_json(self) -> dict[str, Any]:
        """Return the layer as a mapping, to be written as JSON."""
        return {**self._asdict(), "inputs": list(self.inputs)}


def unread(layers: Sequence[FilterLayer]) -> list[int]:
    """Return the layers that no other reads, from 1."""
    read = {number for layer in layers for number in layer.inputs}
    return [number for number in range(1, len(layers) + 1) if number not in read]


def side_by_side(tensors: Sequence[Tensor]) -> Tensor:
    """Concatenate images along their channels; smaller ones get zeros around them ([Zoph2017nasrl], section 3.3).

    `(n, c_i, h_i, w_i)` each, to `(n, sum c_i, max h_i, max w_i)`. Of an odd number of missing rows or columns there is
    one more below or to the right.
    """
    if len(tensors) == 1:
        return tensors[0]
    height, width = (max(tensor.shape[axis] for tensor in tensors) for axis in (2, 3))
    return torch.cat([_padded(tensor, height, width) for tensor in tensors], dim=1)


def _padded(tensor: Tensor, height: int, width: int) -> Tensor:
    below, right = height - tensor.shape[2], width - tensor.shape[3]
    if not below and not right:
        return tensor
    return F.pad(tensor, (right // 2, right - right // 2, below // 2, below - below // 2))


class LayeredNetwork(AbstractPrimitive):
    """Run layers, each a convolution, batch norm and ReLU, then a classifier of what no layer reads.

    A layer reads the layers that it names, side by side, or the image. What no layer reads goes side by side to the
    mean over the image and a linear layer.

    Args:
        layers: In order; a layer reads earlier ones only.
        in_channels: Of the images.
        n_classes: Number of classes, or of values.
        pool_after: Layers behind which max pooling halves the image.
    """

    def __init__(
        self, layers: Sequence[FilterLayer], in_channels: int, n_classes: int, pool_after: Sequence[int] = ()
    ) -> None:
        super().__init__(locals())
        self.layers = tuple(layers)
        self.unread = unread(self.layers)
        self.pool_after = frozenset(pool_after)
        self.convolutions = nn.ModuleList()
        for layer in self.layers:
            read = sum(self.layers[number - 1].filters for number in layer.inputs) or in_channels
            kernel, stride = (layer.height, layer.width), (layer.stride_height, layer.stride_width)
            padding = (layer.height // 2, layer.width // 2)
            self.convolutions.append(
                nn.Sequential(
                    nn.Conv2d(read, layer.filters, kernel, stride, padding, bias=False),
                    nn.BatchNorm2d(layer.filters),
                    nn.ReLU(),
                )
            )
        self.classifier = nn.Linear(sum(self.layers[number - 1].filters for number in self.unread), n_classes)

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Return the logits.

        `(n, in_channels, h, w)` to `(n, n_classes)`.
        """
        outputs: list[Tensor] = []
        for number, (layer, convolution) in enumerate(zip(self.layers, self.convolutions, strict=True), start=1):
            read = side_by_side([outputs[source - 1] for source in layer.inputs]) if layer.inputs else x
            output = convolution(read)
            if number in self.pool_after:
                output = F.max_pool2d(output, 2, ceil_mode=True)
            outputs.append(output)
        last = side_by_side([outputs[number - 1] for number in self.unread])
        logits: Tensor = self.classifier(last.mean(dim=(2, 3)))
        return logits
