"""The memory-bank space of SMASH."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from naslib.errors import ConfigError, did_you_mean
from naslib.search_spaces.core import primitives as ops
from naslib.search_spaces.core.elastic import (
    ElasticBatchNorm2d,
    ElasticConv2d,
    ElasticLinear,
    ElasticSequential,
    Size,
)
from naslib.search_spaces.core.elastic.choices import Given, choice, listed
from naslib.search_spaces.core.elastic.sizes import Listed, Number, Value
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.spelled_codec import SpelledCodec

from .primitives import FillBanks, MemoryOp, OpSizes, PlainMemoryOp, SharedKernels
from .spellings import BankLists

NORMS = ("sandwich", "weight")
# Banks are told apart by the bits of one number, all of whose values are candidates
_MOST_BANKS = 8


def _of_blocks(channels: Any) -> tuple[int, ...]:
    """Return the channels of the blocks.

    Raises:
        ConfigError: If they are no integers.
    """
    given = channels if isinstance(channels, list | tuple) else ()
    if not given or any(type(number) is not int or number < 1 for number in given):
        raise ConfigError(
            f"memory_bank: channels has one number for each block, integers from 1 such as [16, 32], not {channels!r}"
        )
    return tuple(given)


class MemoryBankSearchSpace(Graph):
    """Networks as operations that read from and write to banks of memory ([Brock2018smash]).

    A stem, then blocks; between two of them a transition (batch norm, ReLU, 1x1 convolution, average over 2x2), behind
    the last one batch norm, ReLU, average, classifier. A block has `banks` banks, tensors of equal size: the first ones
    hold its input, the others zeros. Its operations come one after the other; each reads some banks and adds to some.
    The output of a block is all its banks. Decisions, for block b and its operation o:

    * `block_b/bank`: units of a bank; `block_b/ops`: how many operations it has;
    * `block_b/op_o/reads` and `/writes`: which banks, as a number whose bit i is bank i;
    * `block_b/op_o/units`: how many banks' worth of channels it puts out;
    * `block_b/op_o/rows` and `/columns`: kernel and dilation along the height and along the width, as an index into the
      pairs that are in use (`fields`);
    * `block_b/op_o/groups`: groups of its main convolution.

    Args:
        n_classes: Number of classes.
        in_channels: Channels of the images.
        unit: Channels of a unit, by which all widths are counted.
        channels: Channels that each block gets; as many as there are blocks.
        banks: Number of banks of a block.
        bank: Units of a bank: a number, or those to choose from, the same for all blocks.
        ops: Numbers of operations of a block, likewise.
        units: Banks' worth of channels that an operation puts out, likewise.
        kernels: Sides of kernels, odd.
        dilations: Largest dilation of a kernel of 3; each next kernel has one less, down to 1.
        groups: Numbers of groups, likewise; they divide `unit`.
        bottleneck: Widths that an operation has between its two convolutions at most.
        stem_kernel: Side of the stem's kernel, odd.

    Attributes:
        fields: Pairs of kernel and dilation, in the order of `rows` and `columns`.

    Raises:
        ConfigError: If sizes do not go together.
    """

    TASKS = ("classification", "regression")
    INPUTS = ("image",)

    def __init__(
        self,
        n_classes: int = 10,
        in_channels: int = 3,
        unit: int = 8,
        channels: Sequence[int] = (16, 32),
        banks: int = 4,
        bank: Given = (1, 2),
        ops: Given = (1, 2, 3, 4),
        units: Given = (1, 2),
        kernels: Given = (3, 5, 7),
        dilations: int = 3,
        groups: Given = (1, 2, 4, 8),
        bottleneck: int = 4,
        stem_kernel: int = 3,
    ) -> None:
        super().__init__("makrograph")
        self.n_classes, self.in_channels, self.unit, self.channels = n_classes, in_channels, unit, _of_blocks(channels)
        self.banks, self.bank, self.ops, self.units = banks, bank, ops, units
        self.kernels, self.dilations, self.groups = kernels, dilations, groups
        self.bottleneck, self.stem_kernel = bottleneck, stem_kernel
        self.fields = fields_of([int(kernel) for kernel in listed(kernels, "kernels")], dilations)
        self._check()
        self._build()

    def _check(self) -> None:
        problems = []
        for name in ("unit", "banks", "bottleneck", "stem_kernel", "dilations"):
            if type(getattr(self, name)) is not int or getattr(self, name) < 1:
                problems.append(f"{name} is an integer from 1, not {getattr(self, name)!r}")
        for name in ("bank", "ops", "units", "groups"):
            wrong = [v for v in listed(getattr(self, name), name) if type(v) is not int or v < 1]
            problems += [f"{name} is made of integers from 1, not {value!r}" for value in wrong]
        if not problems:
            problems = self._misfits()
        if problems:
            raise ConfigError([f"memory_bank: {problem}" for problem in problems])

    def _misfits(self) -> list[str]:
        problems = []
        if self.banks > _MOST_BANKS:
            problems.append(f"a block has at most {_MOST_BANKS} banks, not {self.banks}")
        if self.stem_kernel % 2 == 0:
            problems.append(f"stem_kernel is odd, not {self.stem_kernel}")
        for count in listed(self.groups, "groups"):
            if self.unit % count:
                fitting = [n for n in range(1, self.unit + 1) if self.unit % n == 0]
                nearest = min(fitting, key=lambda n: abs(n - count))
                problems.append(f"groups divide a unit of {self.unit} channels; {count} does not, {nearest} does")
        for number in self.channels:
            for size in listed(self.bank, "bank"):
                bank_channels = int(size) * self.unit
                if number % bank_channels or not 0 < number // bank_channels <= self.banks:
                    problems.append(
                        f"a block of {number} channels does not fill 1 to {self.banks} banks of {bank_channels} of them"
                    )
        return problems

    def _build(self) -> None:
        unit, edge_ops = self.unit, list[nn.Module]()
        edge_ops.append(_stem(self.in_channels, self.channels[0], self.stem_kernel))
        for block in range(len(self.channels)):
            bank = choice(self.bank, f"block_{block + 1}/bank")
            total = bank * (self.banks * unit)
            edge_ops += [FillBanks(total), self._block(block, bank)]
            if block + 1 < len(self.channels):
                edge_ops.append(_transition(total, self.channels[block + 1]))
            else:
                edge_ops.append(_classifier(total, self.n_classes))
        self.add_nodes_from(range(1, len(edge_ops) + 2))
        for source, op in enumerate(edge_ops, start=1):
            self.add_edge(source, source + 1)
            self.edges[source, source + 1].set("op", op)

    def _block(self, block: int, bank: Size) -> ElasticSequential:
        """Return the operations of a block."""
        widest = int(max(listed(self.bank, "bank"))) * int(max(listed(self.units, "units")))
        sizes = OpSizes(self.unit, self.banks, self.bottleneck, self.most_between)
        largest = min(self.most_between, int(max(listed(self.bank, "bank"))) * self.banks)
        kernel = max(side for side, _ in self.fields)
        shared = SharedKernels(largest * self.unit, widest * self.unit, kernel)
        masks = [*range(1, 2**self.banks)]
        chain = []
        for number in range(int(max(listed(self.ops, "ops")))):
            name = f"block_{block + 1}/op_{number + 1}"
            rows, columns = (self._field(f"{name}/{axis}") for axis in ("rows", "columns"))
            width = bank * choice(self.units, f"{name}/units")
            reads, writes = choice(masks, f"{name}/reads"), choice(masks, f"{name}/writes")
            choices = [bank, reads, writes, width, *rows, *columns, choice(self.groups, f"{name}/groups")]
            chain.append(MemoryOp((block, number), sizes, shared, choices))
        return ElasticSequential(chain, choice(self.ops, f"block_{block + 1}/ops"))

    @property
    def most_between(self) -> int:
        """Units between the two convolutions of an operation at most: `bottleneck` of the largest width."""
        widest = int(max(listed(self.bank, "bank"))) * int(max(listed(self.units, "units")))
        return self.bottleneck * widest

    def _field(self, label: str) -> tuple[Number | Size, Number | Size]:
        """Return kernel and dilation along an axis, both by one decision."""
        if len(self.fields) == 1:
            return self.fields[0]
        leaf = Value(range(len(self.fields)), label)
        kernels, dilations = zip(*self.fields, strict=True)
        return Listed(leaf, kernels), Listed(leaf, dilations)

    def get_type(self) -> str:
        """Return the name of the space."""
        return "memory_bank"

    def _codec(self) -> SpelledCodec:
        return SpelledCodec(
            self.get_type(), self.decision_space, BankLists(len(self.channels), self.fields, self.fixed)
        )

    @property
    def fixed(self) -> dict[str, int]:
        """What is not decided, by the name that the decision would have."""
        found: dict[str, int] = {}
        numbers = range(1, int(max(listed(self.ops, "ops"))) + 1)
        for block in range(1, len(self.channels) + 1):
            places = [f"block_{block}/op_{number}" for number in numbers]
            given: list[tuple[str, Sequence[Number]]] = [
                (f"block_{block}/bank", listed(self.bank, "bank")),
                (f"block_{block}/ops", listed(self.ops, "ops")),
            ]
            for place in places:
                given += [
                    (f"{place}/units", listed(self.units, "units")),
                    (f"{place}/groups", listed(self.groups, "g")),
                ]
                given += [(f"{place}/{axis}", range(len(self.fields))) for axis in ("rows", "columns")]
                given += [(f"{place}/{what}", range(1, 2**self.banks)) for what in ("reads", "writes")]
            found |= {name: int(values[0]) for name, values in given if len(values) == 1}
        return found

    def evaluation_network(
        self,
        cells: int | None = None,
        channels: int | None = None,
        auxiliary: bool | None = None,
        norm: str = "sandwich",
    ) -> Graph:
        """Return the network that is retrained for this architecture: fresh weights, batch norm in its operations.

        Args:
            cells: Not taken: an architecture has its operations.
            channels: Not taken: an architecture has its widths.
            auxiliary: Not used; there is no auxiliary head.
            norm: `"sandwich"` as the authors: batch norm before and behind the 1x1 convolution of an operation;
                `"weight"`: its weight is normalised, as in the search.

        Raises:
            UnsupportedBySpaceError: If `cells` or `channels` are given.
            ConfigError: If the norm is another.
        """
        if norm not in NORMS:
            hint = did_you_mean(str(norm), NORMS)
            raise ConfigError(f"evaluation.network_args.norm is {' or '.join(NORMS)}, not {norm!r}{hint}")
        network = super().evaluation_network(cells, channels, auxiliary)
        if norm == "sandwich":
            for module in list(network.modules()):
                if isinstance(module, PlainMemoryOp):
                    module.use_batch_norm()
        return network


def fields_of(kernels: Sequence[int], dilations: int) -> tuple[tuple[int, int], ...]:
    """Return the pairs of kernel and dilation: kernel k has dilations 1 to `dilations` - (k - 3) / 2, at least 1.

    With kernels of 3, 5 and 7 and 3 dilations these are the authors' six.

    Raises:
        ConfigError: If a kernel is no odd number from 1.
    """
    wrong = [kernel for kernel in kernels if kernel < 1 or kernel % 2 == 0]
    if wrong:
        raise ConfigError(f"memory_bank: kernels are odd numbers from 1, not {wrong[0]}")
    return tuple(
        (kernel, dilation)
        for kernel in kernels
        for dilation in range(1, 1 + (1 if kernel == 1 else max(1, dilations - (kernel - 3) // 2)))
    )


def _stem(in_channels: int, channels: int, kernel: int) -> nn.Module:
    conv = nn.Conv2d(in_channels, channels, kernel, padding=kernel // 2, bias=False)
    return ops.Sequential(conv, nn.ReLU())


def _transition(total: Size, channels: int) -> nn.Module:
    pool: Any = nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False)
    return ops.Sequential(ElasticBatchNorm2d(total), nn.ReLU(), ElasticConv2d(total, channels, 1, bias=False), pool)


def _classifier(total: Size, n_outputs: int) -> nn.Module:
    return ops.Sequential(
        ElasticBatchNorm2d(total), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), ElasticLinear(total, n_outputs)
    )
