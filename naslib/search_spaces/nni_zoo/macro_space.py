"""enas_macro: the network of ENAS's macro search, `ENASMacroGeneralModel`."""

from __future__ import annotations

from typing import Any

from naslib.errors import UnsupportedBySpaceError
from naslib.search_spaces.core import primitives as core_ops
from naslib.search_spaces.core.graph import Graph

from .arcs import macro_arc, macro_choices
from .enas_macro import ENASMacroLayer
from .enas_ops import FactorizedReduce
from .heads import check_space, classifier


class ENASMacroSearchSpace(Graph):
    """The network of ENAS's macro search ([Pham2018enas]), as NNI builds it: each layer is decided by itself.

    `ENASMacroLayer` says what is chosen in a layer: its operation, and which of the layers before the previous one (the
    stem among them) are added. After a third and two thirds of the layers a factorized reduction halves the outputs of
    all layers so far (one with the same weights for all of them). The average over pixels, dropout and a linear layer
    classify.

    Args:
        n_classes: Number of classes or of values.
        in_channels: Channels of the images.
        channels: Channels of every layer.
        layers: Number of layers; fewer than three halve nothing.
        dropout: Of the features that are classified.
        task: `"classification"` or `"regression"`.

    Raises:
        ConfigError: If a size is not positive, or there is no head for the task.
    """

    OPTIMIZER_SCOPE = "layers"
    TASKS = ("classification", "regression")
    INPUTS = ("image",)

    def __init__(
        self,
        n_classes: int = 10,
        in_channels: int = 3,
        channels: int = 24,
        layers: int = 12,
        dropout: float = 0.0,
        task: str = "classification",
    ) -> None:
        super().__init__("makrograph")
        sizes = {"channels": channels, "layers": layers}
        check_space("enas_macro", task, self.TASKS, dropout, n_classes=n_classes, in_channels=in_channels, **sizes)
        self.n_classes, self.in_channels, self.task = n_classes, in_channels, task
        self.channels, self.layers, self.dropout = channels, layers, dropout
        self.add_nodes_from((1, 2))
        self.add_edge(1, 2)
        self.edges[1, 2].set("op", core_ops.Stem(in_channels, channels))
        node, stored, labels = 2, [2], layer_names(layers)
        for index, name in enumerate(labels):
            node += 1
            layer = ENASMacroLayer(name, labels[:index], channels, channels).set_scope("layers").set_input(stored)
            self.add_node(node, subgraph=layer)
            self.add_edges_from((source, node) for source in stored)
            stored.append(node)
            if index in reductions(layers):
                pool = FactorizedReduce(channels, channels)
                for position, source in enumerate(stored):
                    node += 1
                    self.add_edge(source, node)
                    self.edges[source, node].set("op", pool)
                    stored[position] = node
        self.add_edge(stored[-1], node + 1)
        self.edges[stored[-1], node + 1].set("op", classifier(channels, n_classes, dropout))

    def put_architecture(self, spec: Any) -> None:
        """Make this graph the architecture `spec`, which may also be a list of numbers as the authors write it.

        Raises:
            SpecAlreadySetError: If the modules of an architecture are in place already (also an AssertionError).
            ArchitectureError: If `spec` is not of this space.
        """
        super().put_architecture(macro_choices(spec, layer_names(self.layers)))

    def check_spec(self, spec: Any, dataset_api: Any = None) -> Any:
        """Return the identity of the architecture that `set_spec` would make of `spec`; the graph is not changed.

        Raises:
            ArchitectureError: If `spec` is not of this space.
        """
        return super().check_spec(macro_choices(spec, layer_names(self.layers)), dataset_api)

    def genotype(self) -> dict[str, Any]:
        """Return the choices by the names of the decisions."""
        return self._codec().genotype(self.get_code())

    def arc(self) -> list[list[int]]:
        """Return the architecture as the authors write it: per layer its operation, then a 0 or 1 for each skip.

        Raises:
            ArchitectureError: If the graph is not discrete.
        """
        return macro_arc(self.genotype(), layer_names(self.layers))

    def evaluation_network(
        self, cells: int | None = None, channels: int | None = None, auxiliary: bool | None = None
    ) -> Graph:
        """Return the network to retrain: fresh weights, affine BN, drop-path on every operation but identity.

        Args:
            cells: The number of layers, which an architecture of this space has once and for all.
            channels: Channels of every layer, those of the search if None.
            auxiliary: There is no auxiliary head.

        Raises:
            UnsupportedBySpaceError: If another number of layers, or an auxiliary head, is asked for.
        """
        if cells not in (None, self.layers):
            raise UnsupportedBySpaceError(
                f"evaluation.cells={cells}: an architecture of enas_macro says what each of its {self.layers} layers "
                "is; leave the key out"
            )
        if auxiliary:
            raise UnsupportedBySpaceError("evaluation.auxiliary: the networks of enas_macro have no auxiliary head")
        width = channels or self.channels
        graph = ENASMacroSearchSpace(self.n_classes, self.in_channels, width, self.layers, self.dropout, self.task)
        graph.set_spec(self.genotype())
        return Graph.evaluation_network(graph).take_given(self)


class ENASMacroGeneralModel(ENASMacroSearchSpace):
    """`ENASMacroSearchSpace` by NNI's name and arguments.

    Args:
        num_layers: Number of layers.
        out_filters: Channels of every layer.
        in_channels: Channels of the images.
        num_classes: Number of classes.
        dropout_rate: Of the features that are classified.

    Raises:
        ConfigError: If a size is not positive.
    """

    def __init__(
        self,
        num_layers: int = 12,
        out_filters: int = 24,
        in_channels: int = 3,
        num_classes: int = 10,
        dropout_rate: float = 0.0,
    ) -> None:
        super().__init__(num_classes, in_channels, out_filters, num_layers, dropout_rate)
        self.num_layers, self.out_filters = num_layers, out_filters
        self.num_classes, self.dropout_rate = num_classes, dropout_rate


def reductions(layers: int) -> tuple[int, int]:
    """Return behind which layers everything is halved (-1: behind none)."""
    return layers // 3 - 1, 2 * (layers // 3) - 1


def layer_names(layers: int) -> list[str]:
    """Return `layer_0` and so on, with as many digits as the last one has, so that their order is that of the names."""
    digits = len(str(layers - 1))
    return [f"layer_{index:0{digits}d}" for index in range(layers)]
