"""MobileChain: a search space that is a chain of layers, each of which is one of several blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from naslib.data.info import ImageSize, height_and_width, size_text
from naslib.errors import ConfigError
from naslib.search_spaces.core._ops_by_name import op_name
from naslib.search_spaces.core.arguments import constructor_arguments
from naslib.search_spaces.core.batch_norm import make_batch_norm_affine
from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.ops_basic import DropPath, Zero
from naslib.search_spaces.core.ops_mixed import MixedOp

from .blocks import MobileBlock, kernel_of
from .codec import EDGE, LAYER, ChainCodec, label_of_layer, searched_layers

# The scope of the layers
SCOPE = "layer"
# Layers that a message names, and blocks of each
_TOLD, _NAMED = 3, 6


class MobileChain(Graph):
    """Base of the spaces that are chains: stem, layers, head.

    A layer is a graph of its own, called `layer_01`, `layer_02` and so on: its candidates are on the edge from node 1
    to node 2, and where there is a shortcut, node 3 adds the input to what they give. So a drop-path, or a block that
    is left out (`Skip`), leaves the shortcut alone.

    A space calls `build_chain` at the end of its constructor, and keeps the arguments of its constructor as attributes.

    Attributes:
        NAME: What messages and `get_type` call the space.
        SPARE: By how much a kernel may be larger than the features that it reads.
    """

    OPTIMIZER_SCOPE: str | list[str] = [SCOPE]
    NAME = "chain"
    SPARE = 0

    def build_chain(self, steps: Sequence[nn.Module], image_size: ImageSize | None) -> None:
        """Put the steps on the edges of this graph, one after the other, and compare kernels with the image.

        Args:
            steps: Modules, and layers that `searched_layer` made.
            image_size: Of the images, None where it is not known.

        Raises:
            ConfigError: If a kernel is larger than the features that it reads.
        """
        self.add_nodes_from(range(1, len(steps) + 2))
        for source, step in enumerate(steps, start=1):
            self.add_edge(source, source + 1)
            self.edges[source, source + 1].set("op", step)
        layers = searched_layers(self)
        if layers:
            self.codec = self.make_codec(
                {label_of_layer(layer): [op_name(op) for op in layer.edges[EDGE].op] for layer in layers}
            )
        if image_size is not None:
            self.check_image_size(image_size)

    def make_codec(self, names: dict[str, list[str]]) -> ChainCodec:
        """Return the codec of the space, by the names of the candidates of each layer."""
        return ChainCodec(self.NAME, names)

    def get_type(self) -> str:
        """Return the name of the space."""
        return self.NAME

    def set_batch_norm(self, eps: float, momentum: float) -> None:
        """Give all BN a constant below the root and a momentum other than torch's."""
        for nested in self.nested_graphs():
            for _, _, data in nested.edges(data=True):
                for op in data.op if isinstance(data.op, list) else [data.op]:
                    for module in op.modules():
                        if isinstance(module, nn.BatchNorm2d):
                            module.eps, module.momentum = eps, momentum

    def check_image_size(self, image_size: ImageSize) -> None:
        """Compare the kernels with the features that they read.

        Args:
            image_size: Side of the images, or height and width.

        Raises:
            ConfigError: If a kernel is larger; names the decision.
        """
        size = height_and_width(image_size)
        problems: list[str] = []
        for source in range(1, len(self)):
            op = self.edges[source, source + 1].op
            given = op.edges[EDGE].op if isinstance(op, Graph) else op
            if isinstance(given, MixedOp):
                given = list(given.primitives)
            label = label_of_layer(op) if isinstance(op, Graph) else f"{self.NAME}, the step from node {source}"
            candidates = given if isinstance(given, list) else [given]
            passed = [self._pass(candidate, size) for candidate in candidates]
            wrong = [op_name(candidate) for candidate, (_, fits) in zip(candidates, passed, strict=True) if not fits]
            if wrong:
                told = wrong if len(wrong) <= _NAMED else [*wrong[:_NAMED], f"and {len(wrong) - _NAMED} more"]
                problems.append(
                    f"{label}: kernels larger than the features they read, {size_text(size)}: {', '.join(told)}"
                )
            size = passed[0][0]
        if problems:
            more = [f"and {len(problems) - _TOLD} more layers"] if len(problems) > _TOLD else []
            advice = f"images are {size_text(image_size)}: take smaller kernels, or less stride before them"
            raise ConfigError([*problems[:_TOLD], *more, advice])

    def _pass(self, op: nn.Module, size: tuple[int, int]) -> tuple[tuple[int, int], bool]:
        """Return the size of what an operation returns, and whether its kernels fit into what they read."""
        fits = True
        blocks: list[nn.Module] = [block for block in op.modules() if isinstance(block, MobileBlock)]
        for block in blocks or [op]:
            kernel = kernel_of(block)
            fits = fits and (kernel <= 1 or kernel <= min(size) + self.SPARE)
            stride = int(getattr(block, "stride", 1))
            size = -(-size[0] // stride), -(-size[1] // stride)
        return size, fits

    def evaluation_network(
        self, width_mult: float | None = None, dropout: float | None = None, auxiliary: bool | None = None
    ) -> Graph:
        """Return the network that is retrained for this architecture: fresh weights, drop-path beside the shortcuts.

        Args:
            width_mult: Factor of the widths, where it is to be another than that of the search.
            dropout: Rate before the classifier, where it is to be another.
            auxiliary: Not used: there is no auxiliary head.

        Raises:
            ConfigError: If the space has no such argument.
        """
        given = {"width_mult": width_mult, "dropout": dropout}
        wanted = {name: value for name, value in given.items() if value is not None}
        own = constructor_arguments(self)
        unknown = [name for name in wanted if name not in own]
        if unknown:
            raise ConfigError(f"evaluation.network_args.{unknown[0]}: {self.NAME} has no such argument")
        if any(own[name] != value for name, value in wanted.items()):
            graph: Graph = type(self)(**{**own, **wanted})
            if graph.codec is not None:
                graph.put_architecture(self.get_code())
            graph.parse()
            graph.take_given(self)
        else:
            graph = self.clone()
        graph.parse()
        for block in [module for module in graph.modules() if isinstance(module, MobileBlock)]:
            block.drop_residual_path()
        for layer in searched_layers(graph):
            data = layer.edges[EDGE]
            if len(layer) > len(EDGE) and not isinstance(data.op, Zero | DropPath):
                data.set("op", DropPath(data.op))
        graph.parse()
        make_batch_norm_affine(graph)
        return graph.reset_weights(inplace=True)


def layer_of(number: int, candidates: Sequence[nn.Module], shortcut: bool) -> Graph:
    """Return a layer of a chain: `layer_03` with its candidates, or `fixed_03` where there is one block only.

    Args:
        number: Counted from 1.
        candidates: Its blocks.
        shortcut: Whether the input is added to what the block gives.

    Raises:
        ConfigError: If there is no candidate, or two have one name.
    """
    names = [op_name(op) for op in candidates]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not names:
        found = f"two candidates called {twice[0]}" if twice else "no candidate"
        raise ConfigError(f"{LAYER}{number:02}/{EDGE[0]}-{EDGE[1]} has {found}")
    is_fixed = len(names) == 1
    layer = Graph(name=f"fixed_{number:02}") if is_fixed else Graph(name=f"{LAYER}{number:02}", scope=SCOPE)
    layer.add_nodes_from((1, 2, 3) if shortcut else (1, 2))
    layer.add_edge(*EDGE)
    layer.edges[EDGE].set("op", candidates[0] if is_fixed else list(candidates))
    if shortcut:
        layer.add_edges_from([(1, 3, EdgeData().finalize()), (2, 3, EdgeData().finalize())])
    return layer


def check_sizes(name: str, **sizes: Any) -> None:
    """Raise `ConfigError` naming every size that is no whole number of at least 1, or no list of such numbers."""
    problems = []
    for key, value in sizes.items():
        numbers = value if isinstance(value, list | tuple) else [value]
        wrong = [number for number in numbers if isinstance(number, bool) or not isinstance(number, int) or number < 1]
        if wrong or not numbers:
            problems.append(f"{name}: {key} must be at least 1, not {value!r}")
    if problems:
        raise ConfigError(problems)


def check_task(name: str, task: str, tasks: Sequence[str]) -> None:
    """Raise `ConfigError` where a space has no head for a task."""
    if task not in tasks:
        raise ConfigError(f"{name} has no head for {task}, only for {', '.join(tasks)}")
