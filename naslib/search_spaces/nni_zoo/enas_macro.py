"""ENASMacroLayer: the layer of ENAS's macro search, as NNI's search-space zoo has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from naslib.errors import ConfigError
from naslib.search_spaces.core import primitives as core_ops
from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.graph import Graph

from .enas_ops import ConvBranch, PoolBranch


def candidates(in_filters: int, out_filters: int) -> list[nn.Module]:
    """Return the six operations of a layer, in the order of the authors' codes."""
    return [
        ConvBranch(in_filters, out_filters, 3, 1, 1, separable=False),
        ConvBranch(in_filters, out_filters, 3, 1, 1, separable=True),
        ConvBranch(in_filters, out_filters, 5, 1, 2, separable=False),
        ConvBranch(in_filters, out_filters, 5, 1, 2, separable=True),
        PoolBranch("avg", in_filters, out_filters, 3, 1, 1),
        PoolBranch("max", in_filters, out_filters, 3, 1, 1),
    ]


def layer_nodes(n_skips: int) -> tuple[int, int]:
    """Return where the previous layer enters in the graph of a layer, and where everything is added."""
    return n_skips + 1, n_skips + 2


class ENASMacroLayer(Graph):
    """A layer that chooses its operation, and any subset of earlier layers to add ([Pham2018enas], in NNI's form).

    Called with the outputs of all layers before, `layer(outputs)`, it applies one of six operations (a 1x1 convolution,
    then a convolution or a separable one of 3 or 5, or average or max pooling) to the last of them, adds those of the
    others that are switched on, and applies BN without weight and bias: `(n, out_filters, h, w)`.

    It is a graph: it stands in anyone's module, and is a search space by itself.

    Args:
        key: Name of the layer, by which its decisions go.
        prev_labels: Names of the layers that may be added; as many tensors and one more are passed.
        in_filters: Channels of the last one.
        out_filters: Channels of the others, and of the output.

    Raises:
        ConfigError: If a size is not positive.
    """

    def __init__(self, key: str, prev_labels: Sequence[str], in_filters: int, out_filters: int) -> None:
        super().__init__(key)
        sizes = {"in_filters": in_filters, "out_filters": out_filters}
        if problems := [f"{name} must be at least 1, not {value}" for name, value in sizes.items() if value < 1]:
            raise ConfigError(problems)
        self.key, self.prev_labels = key, list(prev_labels)
        self.in_filters, self.out_filters = in_filters, out_filters
        previous, total = layer_nodes(len(prev_labels))
        self.add_nodes_from(range(1, total + 2))
        for skip in range(1, previous):
            self.add_edge(skip, total)
            self.edges[skip, total].set("op", [core_ops.Zero(1), core_ops.Identity()])
        self.add_edge(previous, total)
        self.edges[previous, total].set("op", candidates(in_filters, out_filters))
        self.add_edge(total, total + 1, EdgeData({"op": nn.BatchNorm2d(out_filters, affine=False)}).finalize())
        self.set_input(range(1, previous + 1))

    def genotype(self) -> dict[str, Any]:
        """Return the choices by the names of the decisions."""
        return self._codec().genotype(self.get_code())
