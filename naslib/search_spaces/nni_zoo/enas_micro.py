"""ENASMicroLayer: the layer of ENAS's micro search, as NNI's search-space zoo has it."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from naslib.errors import ConfigError
from naslib.search_spaces.core import primitives as core_ops
from naslib.search_spaces.core.combine import selections
from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.graph import Graph

from .enas_ops import Calibration, FactorizedReduce, Pool, SepConvBN
from .loose_ends import LooseEnds, drop_unread

# Nodes of a cell: the two inputs, what they are brought to the cell's channels as, then three for each of ENAS's nodes
INPUTS, CALIBRATED = (1, 2), (3, 4)


def branch_nodes(index: int) -> tuple[int, int, int]:
    """Return where a node of a layer is in its graph: the inputs of its two branches, and their sum."""
    first = 5 + 3 * index
    return first, first + 1, first + 2


def candidates(channels: int) -> list[nn.Module]:
    """Return the five operations of a branch, in the order of the authors' codes."""
    return [
        SepConvBN(channels, channels, 3, 1),
        SepConvBN(channels, channels, 5, 2),
        Pool("avg", 3, 1, 1),
        Pool("max", 3, 1, 1),
        core_ops.Identity(),
    ]


def micro_cell(num_nodes: int, channels_pp: int, channels_p: int, channels: int, name: str) -> Graph:
    """Return what is searched in a layer: calibrated inputs, nodes, loose ends.

    Each node is the sum of two branches, and each branch takes one of all earlier nodes (a choice at a node of the
    graph) and one of five operations (on the edge behind it).

    Args:
        num_nodes: Nodes beside the two inputs.
        channels_pp: Channels of the first input.
        channels_p: Channels of the second.
        channels: Channels of every node and of the output.
        name: Of the graph.
    """
    cell = Graph(name=name)
    collect, output = 5 + 3 * num_nodes, 6 + 3 * num_nodes
    cell.add_nodes_from(range(1, output + 1))
    for source, target, width in zip(INPUTS, CALIBRATED, (channels_pp, channels_p), strict=True):
        cell.add_edge(source, target, EdgeData({"op": Calibration(width, channels)}).finalize())
    known, readers = [*CALIBRATED], []
    for index in range(num_nodes):
        *branches, total = branch_nodes(index)
        for branch in branches:
            cell.add_edges_from((source, branch, EdgeData().finalize()) for source in known)
            cell.nodes[branch]["comb_op"] = selections(known)
            cell.add_edge(branch, total)
            cell.edges[branch, total].set("op", candidates(channels))
        readers += branches
        known.append(total)
    cell.add_edges_from((source, collect, EdgeData().finalize()) for source in known)
    cell.nodes[collect]["comb_op"] = LooseEnds(readers, len(known), channels)
    cell.add_edge(collect, output, EdgeData({"op": nn.BatchNorm2d(channels, affine=False)}).finalize())
    return cell


def check_sizes(**sizes: int) -> None:
    """Raise `ConfigError` naming all sizes that are not positive."""
    if problems := [f"{name} must be at least 1, not {value}" for name, value in sizes.items() if value < 1]:
        raise ConfigError(problems)


class ENASMicroLayer(Graph):
    """A layer whose nodes choose two inputs and an operation for each ([Pham2018enas], in NNI's form).

    Called with the outputs of the two layers before, `prev, cur = layer(prev, cur)`, it gives what the next layer
    takes: the newer of its inputs, halved where this is a reduction layer, and its own output `(n, out_channels, h / s,
    w / s)`. Node = sum of two branches, a branch = one of all earlier nodes and one of five operations (separable
    convolution of 3 or 5, average or max pooling, identity). Nodes that no branch takes, the inputs among them, are
    concatenated; ReLU, a 1x1 convolution by the matching slices of one weight (`LooseEnds`), and BN follow.

    It is a graph: it stands in anyone's module, and is a search space by itself. Layers that are to be alike share
    their decisions by `decide_like`.

    Args:
        num_nodes: Nodes beside the two inputs.
        in_channels_pp: Channels of the output of the layer before the previous one.
        in_channels_p: Channels of the output of the previous layer.
        out_channels: Channels of every node and of the output.
        reduction: Whether both inputs are halved by a factorized reduction first.

    Raises:
        ConfigError: If a size is not positive.
    """

    def __init__(
        self, num_nodes: int, in_channels_pp: int, in_channels_p: int, out_channels: int, reduction: bool
    ) -> None:
        super().__init__("reduction_layer" if reduction else "normal_layer")
        check_sizes(
            num_nodes=num_nodes,
            in_channels_pp=in_channels_pp,
            in_channels_p=in_channels_p,
            out_channels=out_channels,
        )
        self.num_nodes, self.reduction = num_nodes, reduction
        self.in_channels_pp, self.in_channels_p, self.out_channels = in_channels_pp, in_channels_p, out_channels
        self.add_nodes_from(range(1, 6))
        widths = (in_channels_pp, in_channels_p)
        for source, target, width in zip((1, 2), (3, 4), widths, strict=True):
            op: nn.Module = FactorizedReduce(width, out_channels) if reduction else core_ops.Identity()
            self.add_edge(source, target, EdgeData({"op": op}).finalize())
            self.add_edge(target, 6, EdgeData().finalize())
        self.add_edge(4, 5, EdgeData().finalize())  # the other output: what the next layer takes beside this one's
        if reduction:
            widths = (out_channels, out_channels)
        name = "reduction_cell" if reduction else "normal_cell"
        self.add_node(6, subgraph=micro_cell(num_nodes, widths[0], widths[1], out_channels, name))
        self.set_input((1, 2))

    def forward(self, x: Any, *more: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Return what the next layer takes.

        `(n, in_channels_pp, h, w)` and `(n, in_channels_p, h, w)` to `(n, c, h', w')` and `(n, out_channels, h', w')`.

        Args:
            x: The output of the layer before the previous one, or both in a list.
            *more: The output of the previous layer.
        """
        output, others = self.forward_with_auxiliary(x, *more)
        return others[5], output

    def prepare_evaluation(self) -> None:
        """Leave out of a discrete layer what passes nothing on."""
        drop_unread(self)

    def genotype(self) -> dict[str, Any]:
        """Return the choices by the names of the decisions."""
        return self._codec().genotype(self.get_code())
