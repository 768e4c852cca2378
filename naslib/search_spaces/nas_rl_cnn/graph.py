"""The space of convolutional networks of [Zoph2017nasrl]."""

from __future__ import annotations

from collections.abc import Sequence

from naslib.errors import ConfigError
from naslib.search_spaces.core.arguments import constructor_arguments
from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.graph import Graph, Scope
from naslib.search_spaces.core.literals import plain
from naslib.search_spaces.core.undecided import Undecided

from .codec import LayerCodec
from .decisions import LayerDecisions, LayerSizes
from .layers import FilterLayer, LayeredNetwork, unread


class NASRLCNNSearchSpace(Graph):
    """Convolutional networks of any depth whose layers read any layers before them ([Zoph2017nasrl], section 3.3).

    A layer is a convolution with a height, a width and a number of filters, and strides where there are several to
    choose from; batch norm and ReLU follow. It reads any subset of the layers before it, concatenated along the
    channels, smaller images with zeros around them; where it is none, the image. What no layer reads is concatenated
    likewise and goes to the classifier: the mean over the image and a linear layer, which the paper does not describe.

    Args:
        n_classes: Number of classes, or of values.
        in_channels: Channels of the images.
        min_layers: Fewest layers.
        max_layers: Most layers.
        heights: Of filters, in pixels, odd.
        widths: Of filters.
        filters: How many filters a layer may have.
        strides: In height and in width, each a decision of each layer: `[1, 2, 3]` in one of the paper's searches. One
            alone is that of all layers.
        pool_after: Layers behind which max pooling halves the image, where they are there: 13 and 24 in the paper's
            third search.
        task: What it is for.

    Raises:
        ConfigError: If a value cannot be, or there is no head for the task.
    """

    OPTIMIZER_SCOPE = ["network"]
    TASKS = ("classification", "regression")
    INPUTS = ("image",)
    NO_SUPERNET = "its layers concatenate what they read, and no network has them all"

    codec: LayerCodec

    def __init__(
        self,
        n_classes: int = 10,
        in_channels: int = 3,
        min_layers: int = 6,
        max_layers: int = 20,
        heights: Sequence[int] = (1, 3, 5, 7),
        widths: Sequence[int] = (1, 3, 5, 7),
        filters: Sequence[int] = (24, 36, 48, 64),
        strides: Sequence[int] = (1,),
        pool_after: Sequence[int] = (),
        task: str = "classification",
    ) -> None:
        super().__init__("makrograph")
        values = (tuple(plain(given)) for given in (heights, widths, filters, strides))
        sizes = LayerSizes(min_layers, max_layers, *values)
        problems = (
            [] if task in self.TASKS else [f"nas_rl_cnn has no head for {task}, only for classification, regression"]
        )
        if not all(type(layer) is int and layer >= 1 for layer in plain(pool_after)):
            problems.append(f"pool_after has numbers of layers, from 1, not {plain(pool_after)}")
        if problems:
            raise ConfigError(problems)
        self.n_classes, self.in_channels, self.task = n_classes, in_channels, task
        self.pool_after = plain(pool_after)
        self.min_layers, self.max_layers = min_layers, max_layers  # what a record of the space is made of
        self.heights, self.widths = sizes.heights, sizes.widths
        self.filters, self.strides = sizes.filters, sizes.strides
        self.codec = LayerCodec(sizes)
        self.add_edge(1, 2, EdgeData({"op": Undecided("nas_rl_cnn")}))

    def state_decisions(self, scope: Scope = None) -> LayerDecisions:
        """State the depth, and for every layer what it reads and what it is."""
        return self.codec.decision_space

    def put_layers(self, layers: Sequence[FilterLayer]) -> None:
        """Put a network in its place."""
        network = LayeredNetwork(layers, self.in_channels, self.n_classes, self.pool_after)
        self.edges[1, 2].set("op", network)

    def count_parameters(self, layers: Sequence[FilterLayer]) -> int:
        """Return the number of parameters of the network of some layers, in closed form."""
        filters = [layer.filters for layer in layers]
        total = (sum(filters[number - 1] for number in unread(layers)) + 1) * self.n_classes
        for layer, own in zip(layers, filters, strict=True):
            read = sum(filters[number - 1] for number in layer.inputs) or self.in_channels
            total += layer.height * layer.width * read * own + 2 * own
        return total

    def evaluation_network(self, more_filters: int = 0) -> NASRLCNNSearchSpace:  # type: ignore[override]
        """Return the network that is retrained for this architecture, weights fresh.

        Args:
            more_filters: Of every layer; 40 for the paper's largest network.

        Raises:
            ArchitectureError: If no architecture is set.
            ConfigError: If `more_filters` is negative.
        """
        if more_filters < 0:
            raise ConfigError(f"more_filters must not be negative, got {more_filters}")
        wider = {"filters": [filters + more_filters for filters in self.filters]}
        network = NASRLCNNSearchSpace(**{**constructor_arguments(self), **wider})
        network.set_spec(self.get_code())
        network.parse()
        return network.take_given(self)
