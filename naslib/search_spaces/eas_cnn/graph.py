"""The search space of EAS: plain convolutional networks that grow."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from naslib.data.info import ImageSize, height_and_width, size_text
from naslib.errors import ConfigError, GraphError
from naslib.morphism import NoiseShares
from naslib.search_spaces.core import primitives as ops
from naslib.search_spaces.core.decisions import Code
from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.fresh_network import fresh_network
from naslib.search_spaces.core.graph import Graph, Scope
from naslib.search_spaces.core.schema import DecisionSpace
from naslib.search_spaces.core.types import EdgeLike
from naslib.search_spaces.core.undecided import Undecided

from .codec import EASCodec
from .layers import NAME, Chain, Limits
from .morphs import grown_layers, take_weights

WIDTHS = tuple(range(4, 44, 4))
UNITS = tuple(range(8, 88, 8))


class Mean(nn.Module):
    """The mean of each channel over the image."""

    def forward(self, x: Tensor) -> Tensor:
        """Return `(n, channels)` for `(n, channels, h, w)`."""
        return x.mean(dim=(2, 3))


class ConvChain(ops.AbstractPrimitive):
    """Blocks of convolution, norm and ReLU with max-pooling between them, their mean, linear layers, classifier.

    Args:
        chain: The layers.
        in_channels: Channels of the images.
        n_classes: Number of outputs.
    """

    def __init__(self, chain: Chain, in_channels: int, n_classes: int) -> None:
        super().__init__(locals())
        self.layers = chain_module(chain, in_channels, n_classes)

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Return `(n, n_classes)` for images `(n, in_channels, h, w)`."""
        outputs: Tensor = self.layers(x)
        return outputs


def chain_module(chain: Chain, in_channels: int, n_classes: int) -> nn.Sequential:
    """Return the layers of an architecture as torch's own, by names such as `conv_1_2`, `norm_1_2`, `linear_1`.

    Args:
        chain: The architecture.
        in_channels: Channels of the images.
        n_classes: Number of outputs.
    """
    found: OrderedDict[str, nn.Module] = OrderedDict()
    channels = in_channels
    *blocks, dense = chain
    for number, block in enumerate(blocks, start=1):
        if number > 1:
            found[f"pool_{number - 1}"] = nn.MaxPool2d(2)
        for place, layer in enumerate(block, start=1):
            name = f"{number}_{place}"
            found[f"conv_{name}"] = nn.Conv2d(
                channels, layer.width, layer.kernel, padding=layer.kernel // 2, bias=False
            )
            found[f"norm_{name}"] = nn.BatchNorm2d(layer.width)
            found[f"relu_{name}"] = nn.ReLU()
            channels = layer.width
    found["mean"] = Mean()
    for place, layer in enumerate(dense, start=1):
        found[f"linear_{place}"] = nn.Linear(channels, layer.width, bias=False)
        found[f"norm_{place}"] = nn.BatchNorm1d(layer.width)
        found[f"relu_{place}"] = nn.ReLU()
        channels = layer.width
    found["classifier"] = nn.Linear(channels, n_classes)
    return nn.Sequential(found)


class EASConvNetSearchSpace(Graph):
    """Plain convolutional networks of any depth and width ([Cai2018eas]): blocks with max-pooling between them.

    A layer is a convolution without bias, batch norm and ReLU; behind the last block the mean over the image, linear
    layers with batch norm and ReLU, and the classifier. Depth, widths and kernels are decided for each block. The
    defaults are those of the authors' code (its small setting).

    Args:
        n_classes: Number of classes or of values.
        in_channels: Channels of the images.
        image_size: Side of the images, or height and width; compared with the number of blocks. None leaves that out.
        blocks: Number of blocks of convolutions.
        depth: Largest number of convolutions in a block.
        widths: Filters of a convolution, ascending.
        kernels: Sides of kernels, odd, ascending.
        dense: Largest number of linear layers before the classifier.
        units: Of a linear layer, ascending.
        task: What it is for.

    Raises:
        ConfigError: If a size cannot be, or images are too small for the pooling between the blocks.
    """

    OPTIMIZER_SCOPE = ["makrograph"]
    TASKS = ("classification", "regression")
    INPUTS = ("image",)
    NO_SUPERNET = "its networks grow one from another, and no network has them all"

    def __init__(
        self,
        n_classes: int = 10,
        in_channels: int = 3,
        image_size: ImageSize | None = None,
        blocks: int = 4,
        depth: int = 10,
        widths: Sequence[int] = WIDTHS,
        kernels: Sequence[int] = (1, 3, 5),
        dense: int = 5,
        units: Sequence[int] = UNITS,
        task: str = "classification",
    ) -> None:
        super().__init__("makrograph")
        problems = [
            f"{name} must be at least 1, not {size}"
            for name, size in (
                *(("n_classes", n_classes), ("in_channels", in_channels), ("blocks", blocks), ("depth", depth)),
                ("dense", dense),
            )
            if type(size) is not int or size < 1
        ]
        for name, ladder in (("widths", widths), ("kernels", kernels), ("units", units)):
            problems += _problems_of(name, ladder)
        if task not in self.TASKS:
            problems.append(f"{NAME} is for {' and '.join(self.TASKS)}, not for {task}")
        if not problems and image_size is not None and min(height_and_width(image_size)) < 2 ** (blocks - 1):
            problems.append(
                f"{blocks} blocks halve the image {blocks - 1} times, and images are {size_text(image_size)}: take "
                "fewer blocks"
            )
        if problems:
            raise ConfigError(problems)
        self.n_classes, self.in_channels, self.image_size, self.task = n_classes, in_channels, image_size, task
        self.blocks, self.depth, self.dense = blocks, depth, dense
        self.widths, self.kernels, self.units = tuple(widths), tuple(kernels), tuple(units)
        self._limits = Limits(blocks, depth, self.widths, self.kernels, dense, self.units)
        self.codec = EASCodec(self._limits)
        self.add_nodes_from((1, 2))
        self.add_edge(1, 2, EdgeData({"op": Undecided(NAME)}))

    def state_decisions(self, scope: Scope = None) -> DecisionSpace:
        """State the depth of every block, and width and kernel of every layer that it then has."""
        return self._limits.decision_space()

    def put_chain(self, chain: Chain) -> None:
        """Put the network of these layers in place."""
        self.edges[1, 2].set("op", ConvChain(chain, self.in_channels, self.n_classes))

    def morphed(
        self,
        network: nn.Module,
        before: Code,
        after: Code,
        *,
        inputs: Any,
        noise: Sequence[float] = (0.0, 0.0),
        generator: torch.Generator | None = None,
    ) -> nn.Module:
        """Return the network of an architecture with the function of one that it has grown from.

        Args:
            network: Of the architecture before, with its weights; not changed.
            before: Its code.
            after: The code of what it becomes: wider layers, and layers more.
            inputs: Images `(n, channels, h, w)`: batch norm of new layers is measured on them.
            noise: On the weights of copied units, and of new layers, as shares of a tensor's standard deviation; the
                function is the same without.
            generator: Of copies and noise; one with seed 0 if None.

        Raises:
            MorphismError: If the one does not grow from the other.
            ArchitectureError: If a code is none of this space.
        """
        codec = EASCodec(self._limits)
        chains = codec.chain(before), codec.chain(after)
        generator = torch.Generator().manual_seed(0) if generator is None else generator
        found = fresh_network(self, after)
        like = next(network.parameters())
        found.to(like.device, like.dtype)
        grown = grown_layers(layers_of(network), *chains, inputs, NoiseShares(*noise), generator)
        take_weights(layers_of(found), grown)
        return found

    def network(self) -> nn.Sequential:
        """Return the layers of the architecture that is set.

        Raises:
            GraphError: If none is.
        """
        return layers_of(self)


def layers_of(network: nn.Module) -> nn.Sequential:
    """Return the layers of a network of this space, as `chain_module` makes them.

    Raises:
        GraphError: If it has none.
    """
    op: Any = network.edges[1, 2].op if isinstance(network, EASConvNetSearchSpace) else network
    if not isinstance(op, ConvChain):
        raise GraphError(f"no architecture is set on this {NAME}: use set_spec or sample_random_architecture")
    return op.layers


def _problems_of(name: str, ladder: Sequence[int]) -> list[str]:
    """Return what is wrong with a list of sizes."""
    good = isinstance(ladder, Sequence) and not isinstance(ladder, str) and len(ladder) > 0
    if not good or any(type(size) is not int or size < 1 for size in ladder):
        return [f"{name} are integers from 1, at least one, not {ladder!r}"]
    if list(ladder) != sorted(set(ladder)):
        return [f"{name} must ascend, and are {list(ladder)}"]
    if name == "kernels" and any(size % 2 == 0 for size in ladder):
        return [f"kernels are odd, so that a layer keeps the size of the image, not {list(ladder)}"]
    return []
