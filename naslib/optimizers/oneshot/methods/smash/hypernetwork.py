"""The hypernetwork of SMASH, and how a supernet of memory banks gets its weights from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from naslib.errors import GraphError
from naslib.search_spaces.core.elastic.in_force import Mixture, Sizes
from naslib.search_spaces.memory_bank.primitives import MemoryOp, normalized
from naslib.search_spaces.memory_bank.shapes import OpShape

from .encoding import BankEncoding

# Slope of leaky ReLU, and channels of the first layer, as in the authors' code
_SLOPE, _FIRST = 0.02, 7


class _NormalizedConv(nn.Conv2d):
    """A 3x3 or 1x1 convolution that keeps the size, without bias, its weight divided by its norm."""

    def __init__(self, c_in: int, c_out: int, kernel: int) -> None:
        super().__init__(c_in, c_out, kernel, padding=kernel // 2, bias=False)

    def reset_parameters(self) -> None:
        nn.init.orthogonal_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, normalized(self.weight), None, 1, self.padding)


class HyperNetwork(nn.Module):
    """W = H(c): a densely connected network over the planes of an encoding ([Brock2018smash], section 3.2).

    A convolution to seven channels beside its input; then stages of layers, each a leaky ReLU (slope 0.02) and a 3x3
    convolution to `growth` channels beside its input; between stages a convolution to half of the channels; at last a
    1x1 convolution to the weights of a place. No stride, no bias, no batch norm; all weights are divided by their norm
    and begin orthogonal.

    Args:
        c_in: Planes of the encoding.
        c_out: Weights of a place.
        growth: Channels that a layer adds.
        layers: Layers of each stage.
    """

    def __init__(self, c_in: int, c_out: int, growth: int = 10, layers: Sequence[int] = (8, 10, 4)) -> None:
        super().__init__()
        self.first = _NormalizedConv(c_in, _FIRST, 3)
        width = c_in + _FIRST
        self.stages = nn.ModuleList()
        self.transitions = nn.ModuleList()
        for stage, depth in enumerate(layers):
            self.stages.append(nn.ModuleList(_NormalizedConv(width + i * growth, growth, 3) for i in range(depth)))
            width += depth * growth
            if stage + 1 < len(layers):
                self.transitions.append(_NormalizedConv(width, width // 2, 3))
                width //= 2
        self.last = _NormalizedConv(width, c_out, 1)

    def forward(self, planes: Tensor) -> Tensor:
        """Return the weights of every place.

        `(n, c_in, rows, slices)` to `(n, c_out, rows, slices)`.
        """
        x = torch.cat((planes, self.first(planes)), 1)
        for stage, layers in enumerate(self.stages):
            for layer in layers:  # type: ignore[attr-defined]
                x = torch.cat((x, layer(F.leaky_relu(x, _SLOPE))), 1)
            if stage < len(self.transitions):
                x = self.transitions[stage](F.leaky_relu(x, _SLOPE))
        return self.last(F.leaky_relu(x, _SLOPE))


class GeneratedWeights(nn.Module):
    """Give the operations of a supernet the weights that a hypernetwork makes of the architecture in force.

    One plane more than the encoding has is noise z ~ N(0, 1), as in the authors' code: in training another one in every
    step (`noise`), everywhere else always the same, so that the score of an architecture is a function of its code.

    Args:
        depths: Sizes of the chains of operations, by block.
        blocks: The operations by block.
        compression: See `BankEncoding`.
        growth: See `HyperNetwork`.
        layers: See `HyperNetwork`.

    Attributes:
        hypernetwork: H.
        encoding: c of an architecture.
        noise: Seed of z in training; 0 is that of everything else.
    """

    def __init__(
        self,
        depths: Sequence[Sizes],
        blocks: Sequence[Sequence[MemoryOp]],
        compression: int,
        growth: int,
        layers: Sequence[int],
    ) -> None:
        super().__init__()
        self.encoding = BankEncoding(blocks, compression)
        side = self.encoding.unit
        self.hypernetwork = HyperNetwork(1 + self.encoding.channels, compression * side * side, growth, layers)
        self._sizes = [(depth, [op.sizes for op in block]) for depth, block in zip(depths, blocks, strict=True)]
        self._ready: dict[tuple[int, int], Tensor] = {}
        self.noise = 0

    def network(self) -> list[list[OpShape]]:
        """Return the architecture that is in force.

        Raises:
            GraphError: If several are mixed.
        """
        return [[OpShape(*_point(op)) for op in ops[: _point(depth)[0]]] for depth, ops in self._sizes]

    def generate(self, training: bool) -> list[list[Tensor]]:
        """Return the weights for the architecture in force by block and operation, each `(c_out, c_in, 1, 1)`.

        Args:
            training: Whether z is that of the step.
        """
        network, weight = self.network(), self.hypernetwork.first.weight
        planes = self.encoding.encode(network)
        generator = torch.Generator().manual_seed(self.noise if training else 0)
        z = torch.randn(1, *planes.shape[1:], generator=generator)
        made = self.hypernetwork(torch.cat((z, planes)).unsqueeze(0).to(weight.device, weight.dtype))[0]
        return self.encoding.weights(made.unflatten(0, (self.encoding.unit, -1)), network)

    def reduce_weight(self, place: tuple[int, int], training: bool) -> Tensor:
        """Return the weight of an operation, `(c_out, c_in, 1, 1)`; the first operation of a forward makes them all.

        Args:
            place: Index of the block, and of the operation in it.
            training: Whether the forward is one of the training.
        """
        if place == (0, 0) or place not in self._ready:
            self._ready = {
                (block, number): weight
                for block, weights in enumerate(self.generate(training))
                for number, weight in enumerate(weights)
            }
        return self._ready.pop(place)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what a forward that was interrupted has left."""
        return {**vars(self), "_ready": {}}


def _point(sizes: Sizes) -> tuple[int, ...]:
    found = sizes.in_force()
    if isinstance(found, Mixture):
        raise GraphError("a hypernetwork makes the weights of one architecture, and the assignment mixes several")
    return found
