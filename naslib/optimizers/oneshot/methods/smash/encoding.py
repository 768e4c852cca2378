"""The encoding of a network of memory banks that the hypernetwork reads: a stack of planes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from naslib.search_spaces.memory_bank.primitives import MemoryOp
from naslib.search_spaces.memory_bank.shapes import OpShape, banks_of

# By block, the operations that run in it
Network = Sequence[Sequence[OpShape]]


class PlaneSpan(NamedTuple):
    """Where the weight of an operation is.

    Attributes:
        start: Its first slice.
        slices: How many it has.
        between: Units of its output: how many rows of the plane it has.
    """

    start: int
    slices: int
    between: int


class BankEncoding:
    """Write networks as `(channels, rows, slices)` of -1 and 1 ([Brock2018smash], section 3.2).

    A plane has the layout of the weights that are made of it: `compression` units that an operation reads are a slice,
    a unit of the output of its 1x1 convolution is a row. Operations come one after the other; the more a network reads,
    the longer its planes are. Where the weight of an operation is, these channels are 1, all others -1: the bank that
    the units come from; the banks that are written to; the block; units of a bank; width; kernel and dilation, height
    and width each; groups. One more is 1 in the first slice of an operation, so that no two networks have one encoding
    (the authors' code has neither this nor the units of a bank).

    Args:
        blocks: The operations of the supernet by block.
        compression: Units that are read per slice.

    Attributes:
        unit: Channels of a unit.
        rows: Height of a plane.
        channels: Number of planes.
    """

    def __init__(self, blocks: Sequence[Sequence[MemoryOp]], compression: int) -> None:
        first = blocks[0][0]
        self.compression, self.n_blocks = compression, len(blocks)
        self.unit, self.banks = first.of_all.unit, first.of_all.banks
        self._ratio, self._most = first.of_all.bottleneck, first.of_all.most
        every = [op for block in blocks for op in block]
        self._values = {name: _values(every, name) for name in OpShape._fields if name not in ("reads", "writes")}
        box = [max(op.sizes.box[i] for op in every) for i in range(len(OpShape._fields))]
        self.rows = min(self._most, box[0] * self.banks)
        self.channels = 2 * self.banks + self.n_blocks + sum(map(len, self._values.values())) + 1

    def spans(self, network: Network) -> list[list[PlaneSpan]]:
        """Return where the weights of the operations are, by block."""
        found, start = [], 0
        for block in network:
            spans = []
            for shape in block:
                slices = -(-shape.n_in // self.compression)
                spans.append(PlaneSpan(start, slices, shape.bottleneck(self._ratio, self._most)))
                start += slices
            found.append(spans)
        return found

    def encode(self, network: Network) -> Tensor:
        """Return the encoding of a network, `(channels, rows, slices)`."""
        spans = self.spans(network)
        length = sum(span.slices for block in spans for span in block)
        planes = torch.full((self.channels, self.rows, length), -1.0)
        for number, (block, of_block) in enumerate(zip(network, spans, strict=True)):
            for shape, span in zip(block, of_block, strict=True):
                self._write(planes[:, : span.between, span.start : span.start + span.slices], number, shape)
        return planes

    def _write(self, planes: Tensor, block: int, shape: OpShape) -> None:
        """Write an operation into its part of the planes, `(channels, between, slices)`."""
        for number, bank in enumerate(banks_of(shape.reads)):
            first, behind = number * shape.bank, (number + 1) * shape.bank
            planes[bank, :, first // self.compression : -(-behind // self.compression)] = 1
        for bank in banks_of(shape.writes):
            planes[self.banks + bank] = 1
        planes[2 * self.banks + block] = 1
        channel = 2 * self.banks + self.n_blocks
        for name, values in self._values.items():
            planes[channel + values.index(getattr(shape, name))] = 1
            channel += len(values)
        planes[channel, :, 0] = 1

    def weights(self, made: Tensor, network: Network) -> list[list[Tensor]]:
        """Return the weights of the operations by block, each `(c_out, c_in, 1, 1)`.

        Args:
            made: What the hypernetwork made of the encoding, `(unit, compression * unit, rows, slices)`: at each place
                the weights from the units of its slice to the unit of its row.
            network: The network.
        """
        side = self.compression * self.unit
        matrix = made.permute(2, 0, 3, 1).reshape(self.rows * self.unit, -1)
        return [
            [
                matrix[: span.between * self.unit, span.start * side : span.start * side + shape.n_in * self.unit]
                .unsqueeze(-1)
                .unsqueeze(-1)
                for shape, span in zip(block, of_block, strict=True)
            ]
            for block, of_block in zip(network, self.spans(network), strict=True)
        ]


def _values(ops: Sequence[MemoryOp], name: str) -> tuple[int, ...]:
    """Return all values that an entry of the operations' choices can have."""
    return tuple(sorted({value for op in ops for value in op.sizes.values(name)}))
