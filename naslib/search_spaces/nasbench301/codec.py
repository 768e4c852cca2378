"""Codec of the DARTS space: an architecture is a flat tuple of (predecessor, op) pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import numpy as np

from naslib.errors import ArchitectureError
from naslib.search_spaces.core.codec import NO_EDGE, Code, Codec, Place
from naslib.search_spaces.core.graph import Graph
from naslib.utils.encodings import EncodingType

from . import conversions
from .encodings import encode
from .genotype import OPS, Genotype, as_genotype, to_json


class DartsCodec(Codec):
    """Code architectures of the DARTS space as `8 * nodes` ints.

    The code lists the normal cell, then the reduction cell; in a cell every intermediate node has two pairs
    (predecessor, op), the smaller predecessor first, so that one architecture has one code. Predecessors 0 and 1 are
    the cell's inputs; ops are in the order of `OPS`.

    Args:
        nodes: Number of intermediate nodes of a cell.
    """

    name = "nasbench301"

    def __init__(self, nodes: int = 4) -> None:
        if nodes < 1:
            raise ArchitectureError(f"a cell needs at least one node, not {nodes}")
        self.nodes = nodes

    def random(self, rng: Random) -> Code:
        """Draw per node two distinct predecessors uniformly, and all ops independently and uniformly."""
        code: list[int] = []
        for _ in range(2):
            for node in range(self.nodes):
                for source in sorted(rng.sample(range(node + 2), 2)):
                    code += (source, rng.randrange(len(OPS)))
        return tuple(code)

    def mutate(self, code: Code, rng: Random) -> Code:
        """Return a copy of `code` with one op or (with equal probability) one predecessor changed, drawn uniformly."""
        code = self.canonical(code)
        if self.nodes > 1 and rng.random() < 0.5:
            cell, node, slot = rng.randrange(2), rng.randrange(1, self.nodes), rng.randrange(2)
            position = 4 * (cell * self.nodes + node)
            others = [source for source in range(node + 2) if source not in (code[position], code[position + 2])]
            return self._replace(code, position + 2 * slot, rng.choice(others))
        position = 2 * rng.randrange(4 * self.nodes) + 1
        op = rng.randrange(len(OPS) - 1)
        return self._replace(code, position, op + (op >= code[position]))

    def neighbours(self, code: Code) -> list[Code]:
        """Return every code that differs from `code` in one op or in one predecessor."""
        code = self.canonical(code)
        found = []
        for position, value in enumerate(code):
            if position % 2:
                choices = [op for op in range(len(OPS)) if op != value]
            else:
                first = position - position % 4
                node = first // 4 % self.nodes
                choices = [source for source in range(node + 2) if source not in (code[first], code[first + 2])]
            found += [self._replace(code, position, choice) for choice in choices]
        return found

    def perturb(self, code: Code, rate: float, rng: Random) -> Code:
        """Return a copy of `code` in which each predecessor and each op is drawn anew with probability `rate`.

        An op is drawn uniformly from all, a predecessor from those that are not the node's other one.
        """
        genes = [*self.canonical(code)]
        for position in range(len(genes)):
            if rng.random() >= rate:
                continue
            if position % 2:
                genes[position] = rng.randrange(len(OPS))
            else:
                first = position - position % 4
                other = genes[first + 2 - position % 4]
                node = first // 4 % self.nodes
                genes[position] = rng.choice([source for source in range(node + 2) if source != other])
        return _ordered(genes)

    def crossover(self, first: Code, second: Code, rng: Random) -> Code:
        """Return a code that has each node, with its two predecessors and their ops, from one of two parents."""
        pairs = zip(self.canonical(first), self.canonical(second), strict=True)
        genes = [*pairs]
        code: list[int] = []
        for start in range(0, len(genes), 4):
            parent = rng.randrange(2)
            code += [gene[parent] for gene in genes[start : start + 4]]
        return tuple(code)

    def choices(self, code: Code, places: Sequence[Place]) -> tuple[int, ...]:
        """Return which candidate `code` has at each place of a supernet, `NO_EDGE` where it has not the edge."""
        ops: dict[tuple[str, int, int], str] = {}
        for name, pairs in zip(conversions.CELL_NAMES, self.to_compact(self.canonical(code)), strict=True):
            for position, (source, op) in enumerate(pairs):
                ops[name, source + 1, position // 2 + conversions.FIRST_INTERMEDIATE] = OPS[op]
        found = []
        for graph, head, tail, names in places:
            chosen = ops.get((graph, head, tail))
            known = [conversions.OP_OF_PRIMITIVE.get(name) for name in names]
            found.append(NO_EDGE if chosen is None else known.index(chosen))
        return tuple(found)

    def is_valid(self, code: Code) -> bool:
        """Say whether `code` belongs to the space and has the predecessors of each node in ascending order."""
        if len(code) != 8 * self.nodes or not all(isinstance(value, (int, np.integer)) for value in code):
            return False
        for position in range(0, len(code), 4):
            first, op_1, second, op_2 = code[position : position + 4]
            node = position // 4 % self.nodes
            if not (0 <= first < second < node + 2 and 0 <= op_1 < len(OPS) and 0 <= op_2 < len(OPS)):
                return False
        return True

    def encode(self, code: Code, encoding_type: EncodingType | str = EncodingType.ADJACENCY_ONE_HOT) -> Any:
        """Return the encoding of `code` for a predictor."""
        return encode(self.to_compact(self.canonical(code)), encoding_type)

    def canonical(self, spec: Any) -> Code:
        """Return the code of a flat code, a compact form, a genotype (tuple, mapping or text) or a configuration.

        Raises:
            ArchitectureError: If `spec` is no architecture with this number of nodes.
        """
        if isinstance(spec, Mapping) and any(str(key).startswith("NetworkSelector") for key in spec):
            compact = conversions.convert_config_to_compact(spec)
        elif isinstance(spec, (str, Mapping)) or hasattr(spec, "normal_concat"):
            compact = conversions.convert_genotype_to_compact(as_genotype(spec))
        elif isinstance(spec, (Sequence, np.ndarray)) and len(spec) == 2:
            genotype = conversions.convert_compact_to_genotype(list(spec))
            compact = conversions.convert_genotype_to_compact(genotype)
        else:
            return self._check_flat(spec)
        return self._check_flat([value for cell in compact for pair in cell for value in pair])

    def genotype(self, code: Code) -> dict[str, list[Any]]:
        """Return the genotype as lists, to be written as JSON."""
        return to_json(self.to_genotype(code))

    def to_genotype(self, code: Code) -> Genotype:
        """Return the `Genotype` of a code."""
        return conversions.convert_compact_to_genotype(self.to_compact(self.canonical(code)))

    def to_compact(self, code: Code) -> conversions.Compact:
        """Return the compact form of a code: two tuples of (predecessor, op)."""
        pairs = list(zip(code[::2], code[1::2], strict=True))
        return tuple(pairs[: 2 * self.nodes]), tuple(pairs[2 * self.nodes :])

    def from_graph(self, graph: Graph) -> Code:
        """Read the code off a discretized graph."""
        return self.canonical(conversions.convert_naslib_to_compact(graph))

    def apply(self, graph: Graph, code: Code) -> None:
        """Put the operations that `code` names on the edges of all cells of `graph`, and remove the other edges."""
        conversions.convert_genotype_to_naslib(self.to_genotype(code), graph)

    def _replace(self, code: Code, position: int, value: int) -> Code:
        changed = [*code]
        changed[position] = value
        return _ordered(changed)

    def _check_flat(self, spec: Any) -> Code:
        message = (
            f"not an architecture of the DARTS space with {self.nodes} nodes per cell "
            f"({8 * self.nodes} ints: predecessor, op, ...): {spec!r}"
        )
        try:
            values = [int(value) for value in spec]
        except (TypeError, ValueError) as error:
            raise ArchitectureError(message) from error
        if len(values) != 8 * self.nodes or values != list(spec) or not self.is_valid(_ordered(values)):
            raise ArchitectureError(message)
        return _ordered(values)


def _ordered(values: Sequence[int]) -> Code:
    """Return the values with the smaller predecessor of each node first."""
    code = [*values]
    for first in range(0, len(code) - 3, 4):
        if code[first] > code[first + 2]:
            code[first : first + 4] = [*code[first + 2 : first + 4], *code[first : first + 2]]
    return tuple(code)


def count_parameters(
    code: Code,
    n_classes: int = 10,
    channels: int = 36,
    cells: int = 20,
    auxiliary: bool = False,
    in_channels: int = 3,
    stem: str = "cifar",
) -> int:
    """Return the number of parameters of the evaluation network of `code`, in closed form (BN affine).

    Args:
        code: A code with any number of nodes.
        n_classes: Number of classes.
        channels: Channels of a node in the first stage.
        cells: Number of cells; those at a third and at two thirds of the depth are reduction cells, the first never.
        auxiliary: Whether the auxiliary head is counted.
        in_channels: Channels of the images.
        stem: `"cifar"` (one 3x3 convolution to three times the channels) or `"imagenet"` (three strided ones).

    Raises:
        ArchitectureError: If the stem is unknown.
    """
    if stem == "cifar":
        before_last = last = 3 * channels
        total = in_channels * 9 * last + 2 * last
    elif stem == "imagenet":
        before_last = last = channels
        half = channels // 2
        total = 9 * (in_channels * half + half * channels + channels * channels) + 2 * (half + 2 * channels)
    else:
        raise ArchitectureError(f"the stem is 'cifar' or 'imagenet', not {stem!r}")
    half_code = len(code) // 2
    nodes = half_code // 4
    auxiliary_channels = last
    for cell in range(cells):
        is_reduction = cell > 0 and cell in (cells // 3, 2 * cells // 3)
        channels *= 2 if is_reduction else 1
        total += (before_last + last + 4) * channels  # two 1x1 preprocessings (or a FactorizedReduce) with BN
        total += _cell_parameters(code[half_code:] if is_reduction else code[:half_code], channels, is_reduction)
        before_last, last = last, nodes * channels
        if cell == 2 * cells // 3:
            auxiliary_channels = last
    if auxiliary:
        total += 128 * auxiliary_channels + 2 * 128 + 4 * 128 * 768 + 2 * 768 + 769 * n_classes
    return total + (last + 1) * n_classes


def _cell_parameters(pairs: Code, channels: int, is_reduction: bool) -> int:
    pointwise = channels * channels + 2 * channels  # 1x1 convolution and BN
    size = {
        "sep_conv_3x3": 2 * (9 * channels + pointwise),
        "sep_conv_5x5": 2 * (25 * channels + pointwise),
        "dil_conv_3x3": 9 * channels + pointwise,
        "dil_conv_5x5": 25 * channels + pointwise,
    }
    total = 0
    for source, op in zip(pairs[::2], pairs[1::2], strict=True):
        if OPS[op] == "skip_connect" and is_reduction and source < 2:
            total += pointwise  # FactorizedReduce: two strided halves of a 1x1 convolution
        total += size.get(OPS[op], 0)
    return total
