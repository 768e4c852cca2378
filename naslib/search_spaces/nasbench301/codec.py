"""Codec of the DARTS space: an architecture is a flat tuple of (predecessor, op) pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from random import Random
from typing import Any

import numpy as np
import torch

from naslib.errors import ArchitectureError, UnsupportedBySpaceError
from naslib.search_spaces.core.codec import Code, Codec
from naslib.search_spaces.core.encodings import FixedEdges, NestedGraphs
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.literals import Call, plain, shortened
from naslib.search_spaces.core.schema import DecisionSpace
from naslib.utils.encodings import EncodingType

from . import conversions
from .conversions import CELL_NAMES, FIRST_INTERMEDIATE
from .decisions import decision_table
from .encodings import encode, is_own
from .genotype import OPS, Genotype, as_genotype, read_text, to_json
from .primitives import make_op


class DartsCodec(Codec[Graph]):
    """Code architectures of the DARTS space as `8 * nodes` ints.

    The code lists the normal cell, then the reduction cell; in a cell every intermediate node has two pairs
    (predecessor, op), the smaller predecessor first, so that one architecture has one code. Predecessors 0 and 1 are
    the cell's inputs; ops are in the order of `OPS`. Where the output of a cell does not concatenate all intermediate
    nodes, two more ints follow, one per cell, whose bit k says whether node 2 + k is in the output. The space itself
    has full outputs: none is drawn, and mutations and neighbours keep what an architecture that was given has.

    Args:
        nodes: Number of intermediate nodes of a cell.

    Attributes:
        operations: What the ops of a code stand for.
    """

    name = "nasbench301"
    operations: tuple[str, ...] = OPS
    _doubled = False  # whether a node may take one node twice

    def __init__(self, nodes: int = 4) -> None:
        if nodes < 1:
            raise ArchitectureError(f"a cell needs at least one node, not {nodes}")
        self.nodes = nodes
        self._table = decision_table(nodes)

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
        edges, outputs = self._split(self.canonical(code))
        return (*self._mutated(edges, rng), *outputs)

    def _mutated(self, code: Code, rng: Random) -> Code:
        if self.nodes > 1 and rng.random() < 0.5:
            cell, node, slot = rng.randrange(2), rng.randrange(1, self.nodes), rng.randrange(2)
            position = 4 * (cell * self.nodes + node)
            others = [source for source in range(node + 2) if source not in (code[position], code[position + 2])]
            return self._replace(code, position + 2 * slot, rng.choice(others))
        position = 2 * rng.randrange(4 * self.nodes) + 1
        op = rng.randrange(len(OPS) - 1)
        return self._replace(code, position, op + (op >= code[position]))

    def neighbours(self, code: Code) -> list[Code]:
        """Return every code that differs from `code` in one op or in one predecessor, which keeps its op."""
        edges, outputs = self._split(self.canonical(code))
        return [(*neighbour, *outputs) for neighbour in super().neighbours(edges)]

    def perturb(self, code: Code, rate: float, rng: Random) -> Code:
        """Return a copy of `code` in which each predecessor and each op is drawn anew with probability `rate`.

        An op is drawn uniformly from all, a predecessor from those that are not the node's other one.
        """
        edges, outputs = self._split(self.canonical(code))
        return (*super().perturb(edges, rate, rng), *outputs)

    def crossover(self, first: Code, second: Code, rng: Random) -> Code:
        """Return a code that has each node, with its two predecessors and their ops, from one of two parents.

        So it is with the output of each cell, where the parents differ in it.
        """
        parents = [self._split(self.canonical(parent)) for parent in (first, second)]
        code: list[int] = []
        for start in range(0, 8 * self.nodes, 4):
            code += parents[rng.randrange(2)][0][start : start + 4]
        outputs = [self._masks(mask) for _, mask in parents]
        if outputs[0] == outputs[1]:
            return (*code, *parents[0][1])
        return (*code, *self._suffix([outputs[rng.randrange(2)][cell] for cell in range(2)]))

    @property
    def decision_space(self) -> DecisionSpace:
        """Two inputs per node, and the operations on them."""
        return self._table.space

    def to_decisions(self, code: Code) -> Code:
        """Return the code of the decision space that stands for `code`.

        Raises:
            ArchitectureError: If the output of a cell does not concatenate all nodes, as it does in a supernet.
        """
        edges, outputs = self._split(code)
        if outputs:
            raise ArchitectureError(
                "the cells of a supernet give out all nodes; this architecture has a partial concat"
            )
        if len(edges) != 8 * self.nodes:
            raise ArchitectureError(f"a code has {8 * self.nodes} ints, not {len(edges)}")
        return self._table.decide(edges)

    def from_decisions(self, decided: Code) -> Code:
        """Return the code that a code of the decision space stands for."""
        return self._table.flatten(decided)

    def is_valid(self, code: Code) -> bool:
        """Say whether `code` belongs to the space and has the predecessors of each node in ascending order."""
        return self._is_well_formed(code)

    def _is_well_formed(self, code: Code) -> bool:
        edges, outputs = self._split(code)
        if len(edges) != 8 * self.nodes or not all(isinstance(value, (int, np.integer)) for value in code):
            return False
        if outputs and (len(outputs) != 2 or not all(0 < mask < 2**self.nodes for mask in outputs)):
            return False
        if outputs and not self._suffix(outputs):  # which is said by saying nothing
            return False
        for position in range(0, len(edges), 4):
            first, op_1, second, op_2 = edges[position : position + 4]
            node = position // 4 % self.nodes
            if not (0 <= first < second + self._doubled and second < node + 2):
                return False
            if not all(0 <= op < len(self.operations) for op in (op_1, op_2)):
                return False
        return True

    def fixed_edges(self) -> FixedEdges:
        """From every intermediate node to the output of its cell."""
        last = FIRST_INTERMEDIATE + self.nodes
        return {name: tuple((node, last) for node in range(FIRST_INTERMEDIATE, last)) for name in CELL_NAMES}

    def encode(
        self,
        code: Code,
        encoding_type: EncodingType | str = EncodingType.ADJACENCY_ONE_HOT,
        graph: NestedGraphs | None = None,
    ) -> Any:
        """Return the encoding of `code` for a predictor."""
        if not is_own(encoding_type):
            return super().encode(code, encoding_type, graph)
        return encode(self.to_compact(self.canonical(code)), encoding_type, len(self.operations))

    def encode_batch(
        self,
        codes: Sequence[Code] | np.ndarray,
        encoding_type: EncodingType | str = EncodingType.ADJACENCY_ONE_HOT,
        graph: NestedGraphs | None = None,
    ) -> Any:
        """Return the encodings of n codes; see `Codec.encode_batch`. Compact are the codes themselves."""
        if not is_own(encoding_type):
            return super().encode_batch(codes, encoding_type, graph)
        given = [tuple(code) for code in (codes.tolist() if isinstance(codes, np.ndarray) else codes)]
        if getattr(encoding_type, "value", encoding_type) == EncodingType.COMPACT.value or not given:
            if len({len(code) for code in given}) > 1:
                raise UnsupportedBySpaceError(
                    "some of these architectures have partial concats, so that their codes differ in length: use "
                    "adjacency_one_hot or path"
                )
            return np.array(given, dtype=np.int64).reshape(len(given), -1)
        rows = [self.encode(code, encoding_type) for code in given]
        if isinstance(rows[0], dict):
            return {name: np.stack([np.asarray(row[name]) for row in rows]) for name in rows[0]}
        return np.stack(rows)

    def canonical(self, spec: Any) -> Code:
        """Return the code of a flat code, a compact form, a genotype or a configuration, each as value or as text.

        Raises:
            ArchitectureError: If `spec` is no architecture with this number of nodes.
        """
        return self._check_flat(flat_code(spec, self.operations, self._doubled))

    def genotype(self, code: Code) -> dict[str, list[Any]]:
        """Return the genotype as lists, to be written as JSON."""
        return to_json(self.to_genotype(code))

    def to_genotype(self, code: Code) -> Genotype:
        """Return the `Genotype` of a code."""
        compact = self.to_compact(self.canonical(code))
        return conversions.convert_compact_to_genotype(compact, self.operations, self._doubled)

    def to_compact(self, code: Code) -> conversions.Compact:
        """Return the compact form of a code: two tuples of (predecessor, op), and a third for a partial concat."""
        edges, outputs = self._split(code)
        pairs = list(zip(edges[::2], edges[1::2], strict=True))
        cells = tuple(pairs[: 2 * self.nodes]), tuple(pairs[2 * self.nodes :])
        if not outputs:
            return cells
        return (*cells, tuple(tuple(2 + k for k in range(self.nodes) if mask >> k & 1) for mask in outputs))

    def identity(self, code: Code) -> conversions.Compact:
        """Return the compact form: what NASLib has as the hash of an architecture of this space."""
        return self.to_compact(code)

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
            f"not an architecture of the DARTS space with {self.nodes} nodes per cell, a genotype or "
            f"{8 * self.nodes} ints (predecessor, op, ...): {shortened(spec)}"
        )
        try:
            values = [int(value) for value in spec]
        except (TypeError, ValueError, OverflowError) as error:
            raise ArchitectureError(message) from error
        edges, outputs = self._split(values)
        code = (*_ordered(edges), *(self._suffix(outputs) if len(outputs) == 2 else outputs))
        if values != list(spec) or not self._is_well_formed(code):
            raise ArchitectureError(message)
        return code

    def _split(self, code: Sequence[int]) -> tuple[Code, Code]:
        """Return the edges, and what a code says about outputs: nothing, or a mask per cell."""
        return tuple(code[: 8 * self.nodes]), tuple(code[8 * self.nodes :])

    def _masks(self, outputs: Code) -> Code:
        """Return a mask per cell."""
        return outputs or (2**self.nodes - 1,) * 2

    def _suffix(self, masks: Sequence[int]) -> Code:
        """Return the masks as they stand at the end of a code: not at all where all nodes are in both outputs."""
        return () if all(mask == 2**self.nodes - 1 for mask in masks) else tuple(masks)


def flat_code(spec: Any, operations: Sequence[str] = OPS, doubled: bool = False) -> Any:
    """Return an architecture of any number of nodes as a flat list of ints; what is in no other form, as it is.

    Args:
        spec: The architecture.
        operations: What the ops of a code stand for.
        doubled: Whether a node may take one node twice.

    Raises:
        ArchitectureError: If `spec` is invalid in its form.
    """
    if isinstance(spec, str | Call):
        spec = read_text(spec)
    if isinstance(spec, Mapping) and any(str(key).startswith("NetworkSelector") for key in spec):
        genotype = conversions.convert_config_to_genotype(spec)
    elif isinstance(spec, Mapping) or hasattr(spec, "normal_concat"):
        genotype = as_genotype(spec, operations, doubled)
    else:
        spec = plain(spec)
        if not isinstance(spec, list) or len(spec) not in (2, 3, 4):
            return spec
        read = as_genotype if len(spec) == 4 else conversions.convert_compact_to_genotype
        genotype = read(spec, operations, doubled)
    cells, concats = (genotype.normal, genotype.reduce), (genotype.normal_concat, genotype.reduce_concat)
    edges = [value for cell in cells for op, source in cell for value in (source, operations.index(op))]
    if conversions.is_full(genotype):
        return edges
    return [*edges, *(sum(1 << (node - 2) for node in concat) for concat in concats)]


def nodes_of(spec: Any, operations: Sequence[str] = OPS) -> int | None:
    """Return how many intermediate nodes the cells of an architecture have, None for what is no architecture.

    Args:
        spec: The architecture.
        operations: See `flat_code`.

    Raises:
        ArchitectureError: If `spec` has the form of an architecture, and is invalid.
    """
    code = flat_code(spec, operations)
    nodes = len(code) // 8 if isinstance(code, list) else 0
    if nodes < 1:
        return None
    codec = DartsCodec(nodes)
    codec.operations = tuple(operations)
    codec.canonical(code)
    return nodes


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
    operations: Sequence[str] = OPS,
) -> int:
    """Return the number of parameters of the evaluation network of `code`, in closed form (BN affine).

    Operations other than the seven of DARTS are counted by making one of each.

    Args:
        code: A code with any number of nodes, full outputs or partial ones.
        n_classes: Number of classes.
        channels: Channels of a node in the first stage.
        cells: Number of cells; those at a third and at two thirds of the depth are reduction cells, the first never.
        auxiliary: Whether the auxiliary head is counted.
        in_channels: Channels of the images.
        stem: `"cifar"` (one 3x3 convolution to three times the channels) or `"imagenet"` (three strided ones).
        operations: What the ops of the code stand for.

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
    n_outputs = len(code) % 8  # two masks, or nothing
    code, masks = code[: len(code) - n_outputs], code[len(code) - n_outputs :]
    half_code = len(code) // 2
    nodes = half_code // 4
    outputs = [mask.bit_count() for mask in masks] or [nodes, nodes]
    auxiliary_channels = last
    for cell in range(cells):
        is_reduction = cell > 0 and cell in (cells // 3, 2 * cells // 3)
        channels *= 2 if is_reduction else 1
        total += (before_last + last + 4) * channels  # two 1x1 preprocessings (or a FactorizedReduce) with BN
        pairs = code[half_code:] if is_reduction else code[:half_code]
        total += _cell_parameters(pairs, channels, is_reduction, operations)
        before_last, last = last, outputs[is_reduction] * channels
        if cell == 2 * cells // 3:
            auxiliary_channels = last
    if auxiliary:
        total += 128 * auxiliary_channels + 2 * 128 + 4 * 128 * 768 + 2 * 768 + 769 * n_classes
    return total + (last + 1) * n_classes


def _cell_parameters(pairs: Code, channels: int, is_reduction: bool, operations: Sequence[str]) -> int:
    pointwise = channels * channels + 2 * channels  # 1x1 convolution and BN
    size = {
        "sep_conv_3x3": 2 * (9 * channels + pointwise),
        "sep_conv_5x5": 2 * (25 * channels + pointwise),
        "dil_conv_3x3": 9 * channels + pointwise,
        "dil_conv_5x5": 25 * channels + pointwise,
    }
    total = 0
    for source, op in zip(pairs[::2], pairs[1::2], strict=True):
        name, strided = operations[op], is_reduction and source < 2
        if name == "skip_connect" and strided:
            total += pointwise  # FactorizedReduce: two strided halves of a 1x1 convolution
        elif name in OPS:
            total += size.get(name, 0)
        else:
            total += _counted(name, channels, 2 if strided else 1)
    return total


@lru_cache
def _counted(name: str, channels: int, stride: int) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in make_op(name, channels, stride).parameters())
