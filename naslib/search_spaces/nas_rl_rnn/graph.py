"""The space of recurrent cells of [Zoph2017nasrl]."""

from __future__ import annotations

from typing import Any

from naslib.errors import ConfigError
from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.graph import Graph, Scope
from naslib.search_spaces.core.ops_words import WordDecoder, WordEmbedding
from naslib.search_spaces.core.schema import DecisionSpace
from naslib.search_spaces.core.undecided import Undecided

from .codec import TreeCodec
from .decisions import n_nodes
from .genotype import TreeCell
from .layers import TreeLayer

_SHARES = ("dropout", "dropout_hidden", "dropout_input", "dropout_words")


class NASRLRNNSearchSpace(Graph):
    """Recurrent cells that are binary trees, in a language model of words ([Zoph2017nasrl], section 3.4).

    The leaves combine input and state, the nodes above their two children: by a sum or a product, then an activation.
    A state of the cell enters at one node and leaves from another. The network is an embedding, recurrent layers of
    one cell, and logits by the vectors of the embedding.

    Args:
        n_classes: Number of different words.
        in_channels: Not used: the inputs are words.
        base: Leaves of the tree, a power of two: 8 in the paper's search.
        hidden: Size of vectors and states.
        layers: Number of recurrent layers.
        dropout: Share of the last layer's channels that are dropped in training, the same at all positions of a row.
        dropout_hidden: Of the other layers, likewise.
        dropout_input: Of the vectors, likewise.
        dropout_words: Share of the vocabulary that is dropped for a batch.
        task: `"language_modelling"`.

    Raises:
        ConfigError: If a size, a share or the task cannot be.
    """

    OPTIMIZER_SCOPE = ["cells"]
    TASKS = ("language_modelling",)
    INPUTS = ("tokens",)
    NO_SUPERNET = "its cells are trees whose leaves have weights of their own, and no network has them all"

    codec: TreeCodec

    def __init__(
        self,
        n_classes: int = 10000,
        in_channels: int = 1,
        base: int = 8,
        hidden: int = 200,
        layers: int = 2,
        dropout: float = 0.0,
        dropout_hidden: float = 0.0,
        dropout_input: float = 0.0,
        dropout_words: float = 0.0,
        task: str = "language_modelling",
    ) -> None:
        super().__init__("makrograph")
        n_nodes(base)
        sizes = {"hidden": hidden, "layers": layers}
        self.dropout, self.dropout_hidden = dropout, dropout_hidden
        self.dropout_input, self.dropout_words = dropout_input, dropout_words
        shares = self.shares
        wrong = [f"{name} must be at least 1, not {size}" for name, size in sizes.items() if size < 1]
        wrong += [f"n_classes must be at least 2, not {n_classes}"] * (n_classes < 2)
        wrong += [f"{name} must be in [0, 1), not {share}" for name, share in shares.items() if not 0 <= share < 1]
        if task not in self.TASKS:
            wrong.append(f"nas_rl_rnn is for language_modelling, not for {task}")
        if wrong:
            raise ConfigError(wrong)
        self.n_classes, self.in_channels, self.task = n_classes, in_channels, task
        self.base, self.hidden, self.layers = base, hidden, layers
        self.codec = TreeCodec(base)
        words = WordEmbedding(n_classes, hidden, dropout_input, dropout_words)
        chain = [words, *(Undecided("nas_rl_rnn") for _ in range(layers)), WordDecoder(words.embedding, dropout)]
        self.add_nodes_from(range(1, len(chain) + 2))
        for source, op in enumerate(chain, start=1):
            self.add_edge(source, source + 1, EdgeData({"op": op}))

    @property
    def shares(self) -> dict[str, float]:
        """The shares that are dropped, by the names of their arguments."""
        return {name: getattr(self, name) for name in _SHARES}

    def state_decisions(self, scope: Scope = None) -> DecisionSpace:
        """State combination and activation of every node and of the injection, and both cell indices."""
        return self.codec.decision_space

    def put_cell(self, cell: TreeCell) -> None:
        """Put a cell into all layers."""
        for number in range(self.layers):
            dropout = self.dropout_hidden if number < self.layers - 1 else 0.0
            layer = TreeLayer(cell, self.hidden, self.hidden, number, dropout)
            self.edges[number + 2, number + 3].set("op", layer)

    def count_parameters(self) -> int:
        """Return the number of parameters of the network of any cell: `V H + V + 2 base L H^2`."""
        return self.n_classes * (self.hidden + 1) + 2 * self.base * self.layers * self.hidden**2

    def evaluation_network(
        self,
        hidden: int | None = None,
        layers: int | None = None,
        dropout: float | None = None,
        dropout_hidden: float | None = None,
        dropout_input: float | None = None,
        dropout_words: float | None = None,
    ) -> NASRLRNNSearchSpace:
        """Return the network that is retrained for this cell, weights fresh; sizes and shares are as here if None.

        Args:
            hidden: Size of vectors and states.
            layers: Number of recurrent layers.
            dropout: See the class, and so the others.
            dropout_hidden: See there.
            dropout_input: See there.
            dropout_words: See there.

        Raises:
            ArchitectureError: If no architecture is set.
            ConfigError: If a size or a share cannot be.
        """
        given: dict[str, Any] = {"hidden": hidden, "layers": layers, "dropout": dropout}
        given |= {"dropout_hidden": dropout_hidden, "dropout_input": dropout_input, "dropout_words": dropout_words}
        now: dict[str, Any] = {"hidden": self.hidden, "layers": self.layers, **self.shares}
        keywords = {name: now[name] if value is None else value for name, value in given.items()}
        network = NASRLRNNSearchSpace(self.n_classes, self.in_channels, self.base, task=self.task, **keywords)
        network.set_spec(self.get_code())
        network.parse()
        return network.take_given(self)
