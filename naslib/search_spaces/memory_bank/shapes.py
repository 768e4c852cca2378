"""What an operation on memory banks is, as numbers: which banks, how many channels, which kernel."""

from __future__ import annotations

from typing import NamedTuple


class OpShape(NamedTuple):
    """The choices of one operation; widths are in units (of some channels, the same in the whole network).

    Attributes:
        bank: Units of a bank of its block.
        reads: The banks that are read, bit i for bank i; at least one.
        writes: The banks that are written to, likewise.
        width: Units that the operation puts out: a multiple of `bank`.
        kernel_height: Of its main convolution, odd.
        dilation_height: Dilation along the height, from 1.
        kernel_width: As the height.
        dilation_width: As the height.
        groups: Groups of the main convolution; they divide a unit.
    """

    bank: int
    reads: int
    writes: int
    width: int
    kernel_height: int
    dilation_height: int
    kernel_width: int
    dilation_width: int
    groups: int

    @property
    def n_in(self) -> int:
        """Units that are read."""
        return self.bank * self.reads.bit_count()

    def bottleneck(self, ratio: int, most: int) -> int:
        """Return the units between the two convolutions, as the authors' code has them.

        The largest multiple of the width that is not more than what is read and not more than `ratio` widths; where
        less is read than the width, as much as is read.

        Args:
            ratio: Largest number of widths.
            most: Largest number of units.
        """
        return min(max(self.n_in // self.width, 1) * self.width, ratio * self.width, self.n_in, most)


def banks_of(mask: int) -> tuple[int, ...]:
    """Return the banks of a mask, ascending: `0b101` is banks 0 and 2."""
    return tuple(bank for bank in range(mask.bit_length()) if mask >> bank & 1)


def mask_of(banks: tuple[int, ...] | list[int]) -> int:
    """Return the mask of some banks, the inverse of `banks_of`."""
    return sum(1 << bank for bank in banks)
