"""enas_micro: the network of ENAS's micro search."""

from __future__ import annotations

from typing import Any

from torch import nn

from naslib.search_spaces.core import primitives as core_ops
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.ops_heads import AuxiliaryHead

from .arcs import micro_arc, micro_choices
from .enas_micro import micro_cell
from .enas_ops import FactorizedReduce
from .heads import check_space, classifier, discrete_of_size
from .loose_ends import drop_unread

STEM_MULTIPLIER = 3


class ENASMicroSearchSpace(Graph):
    """The network of ENAS's micro search ([Pham2018enas]), as NNI builds it: layers of two kinds, normal and reduction.

    `layers` normal layers and two reduction layers, the latter at `layers // 3` and `2 * (layers // 3) + 1`. A
    reduction layer halves its two inputs by factorized reductions and doubles the channels. All normal layers are
    alike, and all reduction layers (`ENASMicroLayer` says what is chosen in them). ReLU, the average over pixels,
    dropout and a linear layer classify.

    Args:
        n_classes: Number of classes or of values.
        in_channels: Channels of the images.
        channels: Channels of the first layers; the stem has three times as many.
        layers: Number of normal layers.
        nodes: Nodes of a layer.
        dropout: Of the features that are classified.
        auxiliary: Whether the network to retrain has an auxiliary head, after the layer behind the second reduction.
        task: `"classification"` or `"regression"`.

    Raises:
        ConfigError: If a size is not positive, or there is no head for the task.
    """

    OPTIMIZER_SCOPE = ["normal_cell", "reduction_cell"]
    TASKS = ("classification", "regression")
    INPUTS = ("image",)

    def __init__(
        self,
        n_classes: int = 10,
        in_channels: int = 3,
        channels: int = 20,
        layers: int = 6,
        nodes: int = 5,
        dropout: float = 0.0,
        auxiliary: bool = False,
        task: str = "classification",
    ) -> None:
        super().__init__("makrograph")
        sizes = {"channels": channels, "layers": layers, "nodes": nodes}
        check_space("enas_micro", task, self.TASKS, dropout, n_classes=n_classes, in_channels=in_channels, **sizes)
        self.n_classes, self.in_channels, self.task = n_classes, in_channels, task
        self.channels, self.layers, self.nodes_per_cell = channels, layers, nodes
        self.dropout, self.auxiliary = dropout, auxiliary
        self.add_nodes_from((1, 2))
        self.add_edge(1, 2)
        self.edges[1, 2].set("op", core_ops.Stem(in_channels, STEM_MULTIPLIER * channels))
        self.layer_nodes: list[int] = []
        self.layer_channels: list[int] = []
        last = self._add_layers(channels)
        self.add_edge(last, last + 2)
        self.edges[last, last + 2].set("op", classifier(self.layer_channels[-1], n_classes, dropout, relu=True))

    def _add_layers(self, channels: int) -> int:
        """Add all layers; return the node of the last one."""
        node, inputs, widths = 2, [2, 2], [STEM_MULTIPLIER * channels] * 2
        kinds: dict[bool, Graph] = {}
        for index in range(self.layers + 2):
            reduction = index in reductions(self.layers)
            if reduction:
                channels = 2 * widths[1]
                for position, source in enumerate(inputs):
                    node += 1
                    self.add_edge(source, node)
                    self.edges[source, node].set("op", FactorizedReduce(widths[position], channels))
                    inputs[position], widths[position] = node, channels
            node += 1
            name = "reduction_cell" if reduction else "normal_cell"
            cell = (
                micro_cell(self.nodes_per_cell, widths[0], widths[1], channels, name).set_scope(name).set_input(inputs)
            )
            cell.decide_like(kinds.setdefault(reduction, cell))
            self.add_node(node, subgraph=cell)
            self.add_edges_from((source, node) for source in sorted(set(inputs)))
            inputs, widths = [inputs[1], node], [widths[1], channels]
            self.layer_nodes.append(node)
            self.layer_channels.append(channels)
        return node

    def put_architecture(self, spec: Any) -> None:
        """Make this graph the architecture `spec`, which may also be a list of numbers as the authors write it.

        Raises:
            SpecAlreadySetError: If the modules of an architecture are in place already (also an AssertionError).
            ArchitectureError: If `spec` is not of this space.
        """
        super().put_architecture(micro_choices(spec, self.nodes_per_cell))
        if self.instantiate_model:
            drop_unread(self)

    def check_spec(self, spec: Any, dataset_api: Any = None) -> Any:
        """Return the identity of the architecture that `set_spec` would make of `spec`; the graph is not changed.

        Raises:
            ArchitectureError: If `spec` is not of this space.
        """
        return super().check_spec(micro_choices(spec, self.nodes_per_cell), dataset_api)

    def genotype(self) -> dict[str, Any]:
        """Return the choices by the names of the decisions."""
        return self._codec().genotype(self.get_code())

    def arc(self) -> list[int]:
        """Return the architecture as the authors write it: input and operation of each branch, the normal layer first.

        Raises:
            ArchitectureError: If the graph is not discrete.
        """
        return micro_arc(self.genotype(), self.nodes_per_cell)

    def prepare_evaluation(self) -> None:
        """Leave out of a discrete network what passes nothing on."""
        drop_unread(self)

    def evaluation_network(
        self, cells: int | None = None, channels: int | None = None, auxiliary: bool | None = None
    ) -> Graph:
        """Return the network to retrain: fresh weights, affine BN, drop-path on every operation but identity.

        Args:
            cells: Number of normal layers, that of the search if None.
            channels: Channels of the first layers, those of the search if None.
            auxiliary: Whether there is an auxiliary head, as the space was told if None.
        """
        graph = discrete_of_size(self, layers=cells or self.layers, channels=channels or self.channels)
        if self.auxiliary if auxiliary is None else auxiliary:
            position = min(reductions(graph.layers)[1] + 1, graph.layers + 1)
            head: nn.Module = AuxiliaryHead(graph.layer_channels[position], self.n_classes)
            graph.add_edge(graph.layer_nodes[position], graph.layer_nodes[-1] + 1, op=head)
        return Graph.evaluation_network(graph).take_given(self)


def reductions(layers: int) -> tuple[int, int]:
    """Return the positions of the two reduction layers among all `layers + 2`."""
    return layers // 3, 2 * (layers // 3) + 1
