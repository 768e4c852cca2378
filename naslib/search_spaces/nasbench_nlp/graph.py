"""The search space of NAS-Bench-NLP."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from naslib.errors import ConfigError
from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.graph import Graph, Scope
from naslib.search_spaces.core.ops_words import WordDecoder, WordEmbedding
from naslib.search_spaces.core.recipes import LINEAR, Recipe, X
from naslib.search_spaces.core.schema import DecisionSpace
from naslib.search_spaces.core.undecided import Undecided

from .codec import RECIPES, NasBenchNLPCodec
from .layers import RecipeLayer

_SHARES = ("dropout", "dropout_hidden", "dropout_input", "dropout_words", "dropout_weights")


class NasBenchNLPSearchSpace(Graph):
    """The recurrent cells of NAS-Bench-NLP ([Klyuchnikov2022nasbenchnlp]): up to 24 nodes and 3 states.

    A language model of words as in [Merity2018awdlstm]: embedding, recurrent layers of one cell, and logits by the
    vectors of the embedding. A cell is a recipe of linear nodes, blends, products, sums and activations.

    Args:
        n_classes: Number of different words.
        in_channels: Not used: the inputs are words.
        embedding: Size of the vectors, and of the states of the last layer.
        hidden: Size of the states of the other layers.
        layers: Number of recurrent layers.
        dropout: Share of the last layer's channels that are dropped in training, the same at all positions of a row.
        dropout_hidden: Of the other layers, likewise.
        dropout_input: Of the vectors, likewise.
        dropout_words: Share of the vocabulary that is dropped for a batch.
        dropout_weights: Share of the weights of states that are dropped for a batch.
        task: `"language_modelling"`.

    Raises:
        ConfigError: If a size, a share or the task cannot be.
    """

    OPTIMIZER_SCOPE = ["cells"]
    TASKS = ("language_modelling",)
    INPUTS = ("tokens",)
    NO_SUPERNET = "its cells are recipes of any graph, and no network has them all"

    codec = NasBenchNLPCodec()

    def __init__(
        self,
        n_classes: int = 10000,
        in_channels: int = 1,
        embedding: int = 400,
        hidden: int = 600,
        layers: int = 3,
        dropout: float = 0.4,
        dropout_hidden: float = 0.25,
        dropout_input: float = 0.4,
        dropout_words: float = 0.1,
        dropout_weights: float = 0.5,
        task: str = "language_modelling",
    ) -> None:
        super().__init__("makrograph")
        self.sizes = {"embedding": embedding, "hidden": hidden, "layers": layers}
        shares = (dropout, dropout_hidden, dropout_input, dropout_words, dropout_weights)
        self.shares = dict(zip(_SHARES, shares, strict=True))
        wrong = [f"{name} must be at least 1, not {size}" for name, size in self.sizes.items() if size < 1]
        wrong += [f"n_classes must be at least 2, not {n_classes}"] * (n_classes < 2)
        wrong += [f"{name} must be in [0, 1), not {share}" for name, share in self.shares.items() if not 0 <= share < 1]
        if task not in self.TASKS:
            wrong.append(f"nasbench_nlp is for language_modelling, not for {task}")
        if wrong:
            raise ConfigError("; ".join(wrong))
        self.n_classes, self.in_channels, self.task = n_classes, in_channels, task
        words = WordEmbedding(n_classes, embedding, dropout_input, dropout_words)
        chain = [words, *(Undecided("nasbench_nlp") for _ in range(layers)), WordDecoder(words.embedding, dropout)]
        self.add_nodes_from(range(1, len(chain) + 2))
        for source, op in enumerate(chain, start=1):
            self.add_edge(source, source + 1, EdgeData({"op": op}))

    def state_decisions(self, scope: Scope = None) -> DecisionSpace:
        """State operation and inputs of every node, and the node that each state becomes."""
        return RECIPES

    def put_cell(self, recipe: Recipe) -> None:
        """Put a cell into all layers."""
        layers = self.sizes["layers"]
        for number, (inputs, hidden) in enumerate(self.layer_sizes()):
            dropout = self.shares["dropout_hidden"] if number < layers - 1 else 0.0
            layer = RecipeLayer(recipe, inputs, hidden, number, dropout, self.shares["dropout_weights"])
            self.edges[number + 2, number + 3].set("op", layer)

    def layer_sizes(self) -> list[tuple[int, int]]:
        """Return the sizes of input and states of each layer."""
        embedding, hidden, layers = self.sizes.values()
        ends = [embedding, *[hidden] * (layers - 1), embedding]
        return list(pairwise(ends))

    def count_parameters(self, recipe: Recipe) -> int:
        """Return the number of parameters of the network of a cell, in closed form."""
        total = self.n_classes * (self.sizes["embedding"] + 1)
        for inputs, hidden in self.layer_sizes():
            for op, sources in recipe.nodes:
                if op == LINEAR:
                    total += hidden * (1 + sum(inputs if source == X else hidden for source in sources))
        return total

    def evaluation_network(
        self,
        embedding: int | None = None,
        hidden: int | None = None,
        layers: int | None = None,
        dropout: float | None = None,
        dropout_hidden: float | None = None,
        dropout_input: float | None = None,
        dropout_words: float | None = None,
        dropout_weights: float | None = None,
    ) -> NasBenchNLPSearchSpace:
        """Return the network that is retrained for this cell, weights fresh; sizes and shares are as here if None.

        Args:
            embedding: Size of the vectors.
            hidden: Size of states.
            layers: Number of recurrent layers.
            dropout: See the class, and so the others.
            dropout_hidden: See there.
            dropout_input: See there.
            dropout_words: See there.
            dropout_weights: See there.

        Raises:
            ArchitectureError: If no architecture is set.
            ConfigError: If a size or a share cannot be.
        """
        given: dict[str, Any] = {"embedding": embedding, "hidden": hidden, "layers": layers, "dropout": dropout}
        given |= {"dropout_hidden": dropout_hidden, "dropout_input": dropout_input}
        given |= {"dropout_words": dropout_words, "dropout_weights": dropout_weights}
        now: dict[str, Any] = {**self.sizes, **self.shares}
        keywords = {name: now[name] if value is None else value for name, value in given.items()}
        network = NasBenchNLPSearchSpace(self.n_classes, self.in_channels, task=self.task, **keywords)
        network.set_spec(self.get_code())
        network.parse()
        return network.take_given(self)
