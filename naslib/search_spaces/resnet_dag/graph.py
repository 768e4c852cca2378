"""A residual network whose last block is searched: a fully connected DAG of operations."""

from __future__ import annotations

from torch import Tensor, nn

from naslib.data.info import ImageSize, height_and_width, size_text
from naslib.errors import ConfigError
from naslib.search_spaces.core import primitives as ops
from naslib.search_spaces.core._selection import keep_strongest_edges, select_without_zero
from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.graph import Graph


class ResNetDagSearchSpace(Graph):
    """Residual blocks and then one block that is a fully connected DAG of operations ([Doveh2019metadapt]).

    Makrograph: 1 input, 2 the fixed blocks, 3 the block under search, 4 output. In the block node 1 is the input, each
    further node is the sum of the edges from all before it, seven operations on each, and the last is the output. A
    discrete block keeps the two strongest edges into each node. How many blocks, channels and nodes there are, and
    where the image is halved, are arguments, whose defaults are small.

    Args:
        n_classes: Number of outputs: classes, values, or the length of an embedding.
        in_channels: Channels of the images.
        channels: Of the first fixed block; each further one has twice as many, and so has the block under search as the
            last of them.
        blocks: Fixed blocks.
        nodes: Nodes of the block under search besides its input.
        halvings: After how many of the fixed blocks, from the first on, the image is halved.
        image_size: Side of the images, or height and width; compared with the halvings. None leaves that out.

    Raises:
        ConfigError: If there is no block, fewer than two nodes, more halvings than blocks, or images are too small.
    """

    OPTIMIZER_SCOPE = ["block"]
    TASKS = ("classification", "regression")
    INPUTS = ("image",)
    ALLOWS_ZERO = False

    def __init__(
        self,
        n_classes: int = 10,
        in_channels: int = 3,
        channels: int = 16,
        blocks: int = 2,
        nodes: int = 3,
        halvings: int = 1,
        image_size: ImageSize | None = None,
    ) -> None:
        super().__init__("makrograph")
        if channels < 1 or blocks < 1 or nodes < 2 or not 0 <= halvings <= blocks:
            raise ConfigError(
                "resnet_dag needs at least 1 of channels and blocks, 2 of nodes, and halvings from 0 to blocks, got "
                f"{channels}, {blocks}, {nodes}, {halvings}"
            )
        if image_size is not None and min(height_and_width(image_size)) < 2**halvings:
            raise ConfigError(
                f"resnet_dag halves the image {halvings} times, and images are {size_text(image_size)}: take fewer "
                "halvings"
            )
        self.n_classes, self.in_channels, self.channels, self.image_size = n_classes, in_channels, channels, image_size
        self.blocks, self.nodes_per_cell, self.halvings = blocks, nodes, halvings
        self.add_nodes_from((1, 2))
        widths = [in_channels, *(channels * 2**block for block in range(blocks))]
        fixed = [ResidualBlock(widths[b], widths[b + 1], halves=b < halvings) for b in range(blocks)]
        block = _make_block(nodes, widths[-1])
        self.add_node(3, subgraph=block.set_scope("block").set_input([2]))
        self.add_edges_from([(1, 2), (2, 3), (3, 4)])
        self.edges[1, 2].set("op", ops.Sequential(*fixed))
        head = ops.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], n_classes))
        self.edges[3, 4].set("op", head)

    def select_primitive(self, edge_data: EdgeData) -> int:
        """Return the index of the strongest candidate other than Zero."""
        return select_without_zero(edge_data)

    def prepare_discretization(self) -> None:
        """Keep the two strongest edges into every node, by their strongest operation other than Zero."""
        self.update_nodes(keep_strongest_edges, scope=self.OPTIMIZER_SCOPE, single_instances=True)


class ResidualBlock(nn.Module):
    """Two convolutions of three by three and a connection past them; then the image may be halved.

    Args:
        C_in: Channels of the input.
        C_out: Channels of the output.
        halves: Whether the largest of two by two pixels is taken.
    """

    def __init__(self, C_in: int, C_out: int, halves: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(C_in, C_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(C_out),
            nn.ReLU(),
            nn.Conv2d(C_out, C_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(C_out),
        )
        self.past = nn.Sequential(nn.Conv2d(C_in, C_out, 1, bias=False), nn.BatchNorm2d(C_out))
        self.halves = halves

    def forward(self, x: Tensor) -> Tensor:
        """Return the features.

        `(n, c, h, w)` in, `(n, C_out, h, w)` or half of the sides out.
        """
        found = nn.functional.relu(self.body(x) + self.past(x))
        return nn.functional.max_pool2d(found, 2) if self.halves else found


def candidates(C: int) -> list[nn.Module]:
    """Return the seven operations of an edge, all of stride 1."""
    return [
        ops.Identity(),
        ops.Zero(1, C, C),
        ops.MaxPool1x1(3, 1, C, C, affine=False),
        ops.AvgPool1x1(3, 1, C, C, affine=False),
        ops.ReLUConvBN(C, C, kernel_size=3, affine=False),
        ops.SepConv(C, C, kernel_size=3, stride=1, padding=1, affine=False),
        ops.DilConv(C, C, kernel_size=3, stride=1, padding=2, dilation=2, affine=False),
    ]


def _make_block(nodes: int, channels: int) -> Graph:
    block = Graph(name="block")
    block.add_nodes_from(range(1, nodes + 2))
    block.add_edges_from((i, j) for j in range(2, nodes + 2) for i in range(1, j))
    for _, _, data in block.edges(data=True):
        data.set("op", candidates(channels))
    return block
