"""Codec of NAS-Bench-201: an architecture is six op indices, and its size is a closed form of them."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator, Sequence
from random import Random
from typing import Any

import numpy as np

from naslib.data.info import ImageSize, height_and_width
from naslib.search_spaces.core.codec import Code, Codec
from naslib.search_spaces.core.decisions import Decision
from naslib.search_spaces.core.encodings import FixedEdges, NestedGraphs
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.schema import DecisionSpace
from naslib.utils.encodings import EncodingType

from . import conversions
from .conversions import EDGE_LIST, OP_NAMES
from .encodings import encode, encode_batch, is_own
from .functions import function_of
from .widening import NodeWidening

_CONV3X3, _CONV1X1 = OP_NAMES.index("ReLUConvBN3x3"), OP_NAMES.index("ReLUConvBN1x1")
_N_EDGES, _N_OPS = len(EDGE_LIST), len(OP_NAMES)
_DECISIONS = DecisionSpace([Decision(f"cell/{u}-{v}", "op", OP_NAMES) for u, v in EDGE_LIST])
_ALL_CODES: tuple[Code, ...] = tuple(itertools.product(range(_N_OPS), repeat=_N_EDGES))


class NasBench201Codec(Codec[Graph]):
    """Code architectures of NAS-Bench-201 as six op indices, in the order of `EDGE_LIST` and `OP_NAMES`.

    Codes are those of the decision space; draws and mutations are written out for their speed.
    """

    name = "nasbench201"

    @property
    def decision_space(self) -> DecisionSpace:
        """One operation on each of the six edges."""
        return _DECISIONS

    def random(self, rng: Random) -> Code:
        """Draw one of the 15,625 codes uniformly."""
        return _ALL_CODES[int(rng.random() * len(_ALL_CODES))]  # one draw: six randrange calls cost 10 times as much

    def mutate(self, code: Code, rng: Random) -> Code:
        """Return a copy of `code` in which one edge, drawn uniformly, has one of the four other ops."""
        edge = int(rng.random() * _N_EDGES)
        op = int(rng.random() * (_N_OPS - 1))
        return (*code[:edge], op + (op >= code[edge]), *code[edge + 1 :])

    def iterate(self) -> Iterator[Code]:
        """Yield all 15,625 codes in lexicographic order."""
        return iter(_ALL_CODES)

    def widening(self) -> NodeWidening:
        """Return how cells grow by a node."""
        return NodeWidening()

    def fixed_edges(self) -> FixedEdges:
        """Every edge is decided."""
        return {}

    def encode(
        self,
        code: Code,
        encoding_type: EncodingType | str = EncodingType.ADJACENCY_ONE_HOT,
        graph: NestedGraphs | None = None,
    ) -> Any:
        """Return the encoding of `code` for a predictor."""
        return encode(code, encoding_type) if is_own(encoding_type) else super().encode(code, encoding_type, graph)

    def encode_batch(
        self,
        codes: Sequence[Code] | np.ndarray,
        encoding_type: EncodingType | str = EncodingType.ADJACENCY_ONE_HOT,
        graph: NestedGraphs | None = None,
    ) -> Any:
        """Return the encodings of n codes; see `Codec.encode_batch`."""
        if is_own(encoding_type):
            return encode_batch(_DECISIONS.as_genes(codes), encoding_type)
        return super().encode_batch(codes, encoding_type, graph)

    def canonical(self, spec: Any) -> Code:
        """Return the code of an architecture in any of the forms that `conversions.read_spec` reads.

        Raises:
            ArchitectureError: If `spec` is none.
        """
        return conversions.read_spec(spec)

    def function_of(self, code: Code) -> Hashable:
        """Return what architectures have in common that are one function of input and weights."""
        return function_of(code)

    def network_sizes(self, code: Code, graph: Any, input_shape: Sequence[int]) -> tuple[int, int] | None:
        """Return the parameters and multiply-accumulates of a network of the benchmark, in closed form."""
        arguments = (code, graph.n_classes, graph.channels, graph.cells_per_stage, graph.in_channels)
        height, width = input_shape[-2:]
        return count_parameters(*arguments), count_macs(*arguments, (height, width))

    def genotype(self, code: Code) -> str:
        """Return the benchmark's string."""
        return conversions.convert_op_indices_to_str(code)

    def from_graph(self, graph: Graph) -> Code:
        """Read the code off a discretized graph."""
        return tuple(conversions.convert_naslib_to_op_indices(graph))

    def apply(self, graph: Graph, code: Code) -> None:
        """Put the operations that `code` names on the edges of all cells of `graph`, in place."""
        conversions.convert_op_indices_to_naslib(code, graph)


def count_parameters(
    code: Code, n_classes: int = 10, channels: int = 16, cells_per_stage: int = 5, in_channels: int = 3
) -> int:
    """Return the number of parameters of the network of `code`, in closed form (BN affine, no pruning of dead edges).

    Args:
        code: Six op indices.
        n_classes: Number of classes.
        channels: Channels C of the first stage; the others have 2C and 4C.
        cells_per_stage: Number of cells in each of the three stages.
        in_channels: Channels of the images.
    """
    widths = [channels, 2 * channels, 4 * channels]
    total = in_channels * 9 * channels + 2 * channels  # stem
    for width in widths[1:]:  # residual blocks: two 3x3 ReLU-conv-BN, one 1x1 conv without BN on the shortcut
        total += 9 * (width // 2) * width + 9 * width * width + 4 * width + (width // 2) * width
    for width in widths:
        per_cell = code.count(_CONV3X3) * (9 * width * width + 2 * width)
        per_cell += code.count(_CONV1X1) * (width * width + 2 * width)
        total += cells_per_stage * per_cell
    return total + 2 * widths[-1] + (widths[-1] + 1) * n_classes


def count_macs(
    code: Code,
    n_classes: int = 10,
    channels: int = 16,
    cells_per_stage: int = 5,
    in_channels: int = 3,
    image_size: ImageSize = 32,
) -> int:
    """Return the multiply-accumulates of convolutions and the classifier of the network of `code`, in closed form.

    Args:
        code: Six op indices.
        n_classes: Number of classes.
        channels: Channels of the first stage.
        cells_per_stage: Number of cells in each of the three stages.
        in_channels: Channels of the images.
        image_size: Side of the images, or height and width; each residual block halves them, rounding up.
    """
    widths = [channels, 2 * channels, 4 * channels]
    height, length = height_and_width(image_size)
    total = in_channels * 9 * channels * height * length
    for width in widths:
        if width != channels:
            height, length = (height + 1) // 2, (length + 1) // 2
            total += (9 * (width // 2) * width + 9 * width * width + (width // 2) * width) * height * length
        per_cell = (9 * code.count(_CONV3X3) + code.count(_CONV1X1)) * width * width * height * length
        total += cells_per_stage * per_cell
    return total + widths[-1] * n_classes
