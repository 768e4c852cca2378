"""RestrictedCodec: the codes of a space of which only some may be searched."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from naslib.utils.encodings import EncodingType

from .codec import Code, Codec
from .encodings import NestedGraphs
from .schema import DecisionSpace
from .widening import CellWidening


class RestrictedCodec(Codec[Any]):
    """Vary architectures as another codec does, and return those alone that may be searched.

    Spelling, encodings and decisions are the other codec's, those of the whole space; a subclass says what is drawn.

    Args:
        codec: Of the whole space.
    """

    def __init__(self, codec: Codec[Any]) -> None:
        self.name, self.codec = codec.name, codec

    @property
    def decision_space(self) -> DecisionSpace | None:
        """The decisions of the whole space."""
        return self.codec.decision_space

    def decision_order(self) -> Sequence[str] | None:
        """Return the order of the whole space."""
        return self.codec.decision_order()

    def depth_decision(self) -> str | None:
        """Return the depth of the whole space."""
        return self.codec.depth_decision()

    def to_decisions(self, code: Code) -> Code:
        """Return the code of the decision space that stands for `code`."""
        return self.codec.to_decisions(code)

    def from_graph(self, graph: Any) -> Code:
        """Read the code off a discretized graph."""
        return self.codec.from_graph(graph)

    def apply(self, graph: Any, code: Code) -> None:
        """Put an architecture on a graph, in place."""
        self.codec.apply(graph, code)

    def fixed_edges(self) -> Any:
        """Return by cell the edges that every architecture has, where the codec knows them."""
        return self.codec.fixed_edges()

    def widening(self) -> CellWidening:
        """Return how cells of the whole space grow, the unknown ones too."""
        return self.codec.widening()

    def encode(
        self,
        code: Code,
        encoding_type: EncodingType | str = EncodingType.ADJACENCY_ONE_HOT,
        graph: NestedGraphs | None = None,
    ) -> Any:
        """Return the encoding of `code` for a predictor."""
        return self.codec.encode(code, encoding_type, graph)

    def encode_batch(
        self,
        codes: Sequence[Code] | np.ndarray,
        encoding_type: EncodingType | str = EncodingType.ADJACENCY_ONE_HOT,
        graph: NestedGraphs | None = None,
    ) -> Any:
        """Return the encodings of n canonical codes."""
        return self.codec.encode_batch(codes, encoding_type, graph)

    def decided_batch(self, codes: Sequence[Code] | np.ndarray) -> Sequence[Code] | np.ndarray:
        """Return the codes of the decision space that stand for canonical codes."""
        return self.codec.decided_batch(codes)

    def canonical(self, spec: Any) -> Code:
        """Return the code of a user's spec."""
        return self.codec.canonical(spec)

    def identity(self, code: Code) -> Any:
        """Return what is hashed as an architecture."""
        return self.codec.identity(code)

    def function_of(self, code: Code) -> Hashable:
        """Return what codes have in common that are one function."""
        return self.codec.function_of(code)

    def network_sizes(self, code: Code, graph: Any, input_shape: Sequence[int]) -> tuple[int, int] | None:
        """Return the parameters and multiply-accumulates of a network in closed form, where there is one."""
        return self.codec.network_sizes(code, graph, input_shape)

    def genotype(self, code: Code) -> Any:
        """Return the genotype that people of this space write."""
        return self.codec.genotype(code)
