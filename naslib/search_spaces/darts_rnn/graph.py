"""The recurrent cell of DARTS in a language model of words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from naslib.errors import ConfigError
from naslib.search_spaces.core import primitives as ops
from naslib.search_spaces.core._selection import keep_strongest_edge, select_without_zero
from naslib.search_spaces.core.codec import Codec
from naslib.search_spaces.core.combine import mean
from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.graph import Graph, Scope
from naslib.search_spaces.core.ops_words import WordDecoder, WordEmbedding
from naslib.search_spaces.core.schema import DecisionSpace
from naslib.search_spaces.core.statement import state

from .codec import CELL, RecurrentCodec, shape_of
from .layers import RecurrentLayer
from .primitives import ACTIVATIONS, Gates, Highway, NormedSum, StateDropout

# Of the network that the authors retrain
EVALUATION_HIDDEN = 850


class DartsRNNSearchSpace(Graph):
    """A recurrent cell for language models ([Liu2019darts], section 3.1 and appendix A.1.2, and the authors' code).

    Makrograph: 1 words, 2 vectors, 3 states after each step, 4 logits `(n, t, n_classes)`; the weights of the
    embedding are those of the classifier. Cell: node 1 is `s_0`, made of input and state; nodes 2 to `nodes + 1` read
    one of the nodes before by `none, tanh, relu, sigmoid, identity`; the last node is the mean of those in `concat`.
    The cell is called once per step of a sequence, with one sample of its decisions for the whole of it.

    Args:
        n_classes: Number of different words.
        in_channels: Not used: the inputs are words.
        hidden: Size of vectors and states.
        nodes: Nodes of the cell.
        concat: Which of them, counted from 1, make the output; all if None.
        dropout: Share of the outputs' channels that are dropped in training, the same at all positions of a row.
        dropout_hidden: Of the states, the same in all steps of a sequence.
        dropout_input: Of the inputs of the cell, likewise.
        dropout_embedding: Of the vectors, likewise.
        dropout_words: Share of the vocabulary that is dropped for a batch.
        batch_norm: Whether one batch norm without weights normalises `s_0` and all nodes, as in the authors' search.
        task: `"language_modelling"`.

    Raises:
        ConfigError: If a size, a share or the task cannot be.
    """

    OPTIMIZER_SCOPE = [CELL]

    TASKS = ("language_modelling",)
    INPUTS = ("tokens",)

    ALLOWS_ZERO = False

    codec: Codec[Any] | None = RecurrentCodec()

    def __init__(
        self,
        n_classes: int = 10000,
        in_channels: int = 1,
        hidden: int = 300,
        nodes: int = 8,
        concat: Sequence[int] | None = None,
        dropout: float = 0.75,
        dropout_hidden: float = 0.25,
        dropout_input: float = 0.75,
        dropout_embedding: float = 0.2,
        dropout_words: float = 0.0,
        batch_norm: bool = True,
        task: str = "language_modelling",
    ) -> None:
        super().__init__("makrograph")
        shares = {
            "dropout": dropout,
            "dropout_hidden": dropout_hidden,
            "dropout_input": dropout_input,
            "dropout_embedding": dropout_embedding,
            "dropout_words": dropout_words,
        }
        _check({"n_classes": n_classes, "hidden": hidden, "nodes": nodes}, shares, concat, task)
        self.n_classes, self.in_channels, self.task = n_classes, in_channels, task
        self.hidden, self.nodes_per_cell, self.batch_norm = hidden, nodes, batch_norm
        self.concat = list(range(1, nodes + 1)) if concat is None else sorted(concat)
        self.shares = shares
        if nodes != 8 or self.concat != list(range(1, 9)):
            self.codec = RecurrentCodec(nodes, self.concat)
        norm = nn.BatchNorm1d(hidden, affine=False) if batch_norm else None
        state_dropout = StateDropout(dropout_hidden)
        cell = make_cell(hidden, nodes, self.concat, state_dropout, norm)
        words = WordEmbedding(n_classes, hidden, dropout_embedding, dropout_words)
        self.add_nodes_from(range(1, 5))
        self.add_edge(1, 2, op=words)
        self.add_edge(2, 3, op=RecurrentLayer(cell, hidden, dropout_input, state_dropout, norm))
        self.add_edge(3, 4, op=WordDecoder(words.embedding, dropout))

    def arguments_for(self, spec: Any) -> dict[str, Any]:
        """Return number of nodes and output, where those of `spec` are others.

        Raises:
            ArchitectureError: If `spec` has the form of a genotype, and is invalid.
        """
        shape = shape_of(spec)
        if shape is None:
            return {}
        nodes, concat = shape
        given = list(range(1, nodes + 1)) if concat is None else concat
        if nodes == self.nodes_per_cell and (concat is None or concat == self.concat):
            return {}
        return {"nodes": nodes, "concat": given}

    def select_primitive(self, edge_data: EdgeData) -> int:
        """Return the index of the strongest candidate other than none."""
        return select_without_zero(edge_data)

    def state_decisions(self, scope: Scope = None) -> DecisionSpace:
        """State one input per node, and the operation on it."""
        return state(self, scope, kept_edges=1)

    def prepare_discretization(self) -> None:
        """Keep the strongest edge into every node, by its strongest operation other than none."""
        self.update_nodes(keep_strongest_edge, scope=self.OPTIMIZER_SCOPE, single_instances=True)

    def evaluation_network(
        self,
        hidden: int | None = None,
        dropout: float | None = None,
        dropout_hidden: float | None = None,
        dropout_input: float | None = None,
        dropout_embedding: float | None = None,
        dropout_words: float | None = None,
    ) -> DartsRNNSearchSpace:
        """Return the network that the authors retrain for this architecture: fresh weights, no batch norm.

        Args:
            hidden: Size of vectors and states, 850 if None.
            dropout: As in the search if None, and so the other shares.
            dropout_hidden: See there.
            dropout_input: See there.
            dropout_embedding: See there.
            dropout_words: See there.

        Raises:
            ArchitectureError: If this graph is not discretized.
            ConfigError: If a size or a share cannot be.
        """
        given = {
            "dropout": dropout,
            "dropout_hidden": dropout_hidden,
            "dropout_input": dropout_input,
            "dropout_embedding": dropout_embedding,
            "dropout_words": dropout_words,
        }
        shares = {name: self.shares[name] if share is None else share for name, share in given.items()}
        network = DartsRNNSearchSpace(
            self.n_classes,
            self.in_channels,
            hidden=EVALUATION_HIDDEN if hidden is None else hidden,
            nodes=self.nodes_per_cell,
            concat=self.concat,
            batch_norm=False,
            task=self.task,
            **shares,
        )
        network.set_spec(self.get_code())
        network.parse()
        return network.take_given(self)


def make_cell(hidden: int, nodes: int, concat: Sequence[int], dropout: StateDropout, norm: nn.Module | None) -> Graph:
    """Return a cell with all candidates.

    Args:
        hidden: Size of states.
        nodes: Number of nodes between input and output.
        concat: Which of them, from 1, make the output.
        dropout: Of states.
        norm: What normalises every node; None for nothing.
    """
    cell = Graph(name=CELL, scope=CELL)
    output = nodes + 2
    for node in range(1, output):
        cell.add_node(node, label=f"s_{node - 1}")
    cell.add_node(output, label="h_t")
    for target in range(2, output):
        gates = Gates(hidden, dropout)
        if norm is not None:
            cell.nodes[target]["comb_op"] = NormedSum(norm)
        for source in range(1, target):
            cell.add_edge(source, target)
            candidates = [ops.Zero(1), *(Highway(name, gates) for name in ACTIVATIONS)]
            cell.edges[source, target].set("op", candidates)
    cell.add_edges_from((node + 1, output, EdgeData().finalize()) for node in concat)
    cell.nodes[output]["comb_op"] = mean
    return cell


def _check(sizes: dict[str, int], shares: dict[str, float], concat: Sequence[int] | None, task: str) -> None:
    wrong = [f"{name} must be at least {least}, not {sizes[name]}" for name, least in _least(sizes)]
    wrong += [f"{name} must be in [0, 1), not {share}" for name, share in shares.items() if not 0 <= share < 1]
    nodes = sizes["nodes"]
    if concat is not None:
        named = list(concat)
        if not named or len(set(named)) < len(named) or not all(1 <= node <= nodes for node in named):
            wrong.append(f"concat must name some of the nodes 1 to {nodes}, each once, not {named}")
    if task not in DartsRNNSearchSpace.TASKS:
        wrong.append(f"darts_rnn is for language_modelling, not for {task}")
    if wrong:
        raise ConfigError("; ".join(wrong))


def _least(sizes: dict[str, int]) -> list[tuple[str, int]]:
    least = {"n_classes": 2, "hidden": 1, "nodes": 1}
    return [(name, least[name]) for name, size in sizes.items() if size < least[name]]
