"""A small cell space for sequences: text, signals, spectra."""

from __future__ import annotations

from torch import nn

from naslib.errors import ConfigError
from naslib.search_spaces.core import primitives as ops
from naslib.search_spaces.core._selection import keep_strongest_edges, select_without_zero
from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.graph import Graph

from .primitives import GatedConv1d, SelfAttention1d, SepConv1d, SequenceConcat, SequenceStem, TokenStem

_OUTPUT = 5


class SimpleSequenceSearchSpace(Graph):
    """Cells of two nodes each, alike, on sequences `(n, channels, t)`; six operations per edge.

    Makrograph: 1 input, 2 stem, then the cells, then the output. Cells: nodes 1 and 2 are the inputs (the outputs of
    the two cells before), 3 and 4 intermediate, 5 the output (concatenation and a convolution of kernel 1). All cells
    share their decisions.

    A language model reads tokens and gives logits for the next token at each position, `(n, t, n_classes)`; no position
    reads what comes after it. The other tasks read vectors `(n, in_channels, t)`, or tokens where there is a
    vocabulary, and give `(n, n_classes)` from the average over positions.

    Args:
        n_classes: Number of classes, of values, or of tokens of a language model.
        in_channels: Channels of the vectors; not used with a vocabulary.
        channels: Channels of all cells.
        cells: Number of cells.
        task: What it is for.
        vocabulary: Number of different tokens; 0 for vectors. A language model without one takes `n_classes`.
        stem_stride: Positions of a signal that become one; 1 for language models.

    Raises:
        ConfigError: If there is no head for the task, or a size is not positive.
    """

    OPTIMIZER_SCOPE = ["cell"]
    TASKS = ("sequence_classification", "language_modelling", "regression", "classification")
    INPUTS = ("sequence", "tokens")

    def __init__(
        self,
        n_classes: int = 10,
        in_channels: int = 1,
        channels: int = 32,
        cells: int = 2,
        task: str = "sequence_classification",
        vocabulary: int = 0,
        stem_stride: int = 1,
    ) -> None:
        super().__init__("makrograph")
        _check(task, cells, channels, stem_stride)
        self.n_classes = n_classes
        self.in_channels = in_channels
        self.channels = channels
        self.cells = cells
        self.task = task
        is_language = task == "language_modelling"
        self.vocabulary = n_classes if is_language and not vocabulary else vocabulary
        cell = _make_cell()
        self.add_nodes_from((1, 2))
        self.add_edge(1, 2)
        for node in range(3, cells + 3):
            copy = cell.copy()
            _fill_cell(copy, channels, is_language)
            sources = [node - 1, node - 1] if node == 3 else [node - 2, node - 1]
            self.add_node(node, subgraph=copy.set_scope("cell").set_input(sources))
            self.add_edges_from((source, node) for source in dict.fromkeys(sources))
        last = cells + 2
        self.add_edge(last, last + 1)
        self.edges[1, 2].set("op", _make_stem(self.vocabulary, in_channels, channels, stem_stride))
        head = ops.TokenHead if is_language else ops.PooledHead
        self.edges[last, last + 1].set("op", head(channels, n_classes))

    def select_primitive(self, edge_data: EdgeData) -> int:
        """Return the index of the strongest candidate other than Zero."""
        return select_without_zero(edge_data)

    def prepare_discretization(self) -> None:
        """Keep the two strongest edges into every intermediate node, by their strongest operation other than Zero."""
        self.update_nodes(keep_strongest_edges, scope=self.OPTIMIZER_SCOPE, single_instances=True)


def candidates(channels: int, causal: bool) -> list[nn.Module]:
    """Return the six operations of an edge."""
    return [
        ops.Identity(),
        ops.Zero(1, channels, channels),
        SepConv1d(channels, channels, 3, causal=causal, affine=False),
        SepConv1d(channels, channels, 5, dilation=2, causal=causal, affine=False),
        GatedConv1d(channels, channels, 3, causal=causal, affine=False),
        SelfAttention1d(channels, channels, causal=causal, affine=False),
    ]


def _check(task: str, cells: int, channels: int, stem_stride: int) -> None:
    if task not in SimpleSequenceSearchSpace.TASKS:
        raise ConfigError(
            f"simple_sequence has no head for {task}, only for {', '.join(SimpleSequenceSearchSpace.TASKS)}"
        )
    if min(cells, channels, stem_stride) < 1:
        raise ConfigError(f"cells, channels and stem_stride must be at least 1, not {cells}, {channels}, {stem_stride}")
    if task == "language_modelling" and stem_stride > 1:
        raise ConfigError(
            f"stem_stride must be 1 for language_modelling, a prediction for each token, not {stem_stride}"
        )


def _make_stem(vocabulary: int, in_channels: int, channels: int, stride: int) -> nn.Module:
    if not vocabulary:
        return SequenceStem(in_channels, channels, stride)
    if stride > 1:
        raise ConfigError(f"stem_stride must be 1 for tokens, not {stride}")
    return TokenStem(vocabulary, channels)


def _make_cell() -> Graph:
    cell = Graph(name="cell")
    cell.add_nodes_from(range(1, _OUTPUT + 1))
    cell.add_edges_from([(1, 3), (1, 4), (2, 3), (2, 4), (3, 4)])
    cell.add_edges_from((source, _OUTPUT, EdgeData().finalize()) for source in (3, 4))
    return cell


def _fill_cell(cell: Graph, channels: int, causal: bool) -> None:
    for _, _, data in cell.edges(data=True):
        if not data.is_final():
            data.set("op", candidates(channels, causal))
    cell.nodes[_OUTPUT]["comb_op"] = SequenceConcat(2, channels)
