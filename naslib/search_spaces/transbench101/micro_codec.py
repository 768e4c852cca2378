"""Codes of the micro space of TransNAS-Bench-101: six digits of the benchmark's string."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from naslib.errors import ArchitectureError
from naslib.search_spaces.core.codec import Code
from naslib.search_spaces.core.edge_codec import Edge, EdgeCodec

# What a digit of the string means
OP_NAMES = ("Zero", "Identity", "ReLUConvBN1x1", "ReLUConvBN3x3")
# The edges in the order of the string: node by node, from the first source on
EDGE_LIST = ((1, 2), (1, 3), (2, 3), (1, 4), (2, 4), (3, 4))
MACRO = "64-41414"
_STRING = re.compile(r"(?:(?P<macro>\d+-[1-4]+)-)?(?P<digits>\d_\d\d_\d\d\d)")


class TransBench101MicroCodec(EdgeCodec):
    """Code cells as the six digits of `64-41414-a_bc_def`: the operations into node 2, then 3, then 4.

    0 is none, 1 skip, 2 a 1x1 and 3 a 3x3 convolution, as in the benchmark's own networks.
    """

    name = "transbench101_micro"
    edges: ClassVar[tuple[Edge, ...]] = EDGE_LIST
    candidates: ClassVar[tuple[tuple[str, ...], ...]] = (OP_NAMES,) * len(EDGE_LIST)

    def canonical(self, spec: Any) -> Code:
        """Return the code of six ints, of the benchmark's string, or of its last part.

        Raises:
            ArchitectureError: If it is none of these, or a string of networks that are built otherwise.
        """
        if isinstance(spec, str):
            found = _STRING.fullmatch(spec.strip().strip("'\""))
            if found is None:
                raise ArchitectureError(f"{spec!r} is not written like {MACRO}-3_32_132 or 3_32_132")
            if found["macro"] not in (None, MACRO):
                raise ArchitectureError(f"the networks of the micro space begin with {MACRO}, not {found['macro']}")
            spec = [int(digit) for digit in found["digits"] if digit != "_"]
        return super().canonical(spec)

    def genotype(self, code: Code) -> str:
        """Return the benchmark's string."""
        return "{}-{}_{}{}_{}{}{}".format(MACRO, *code)
