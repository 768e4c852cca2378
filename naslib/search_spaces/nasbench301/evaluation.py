"""The evaluation network of the DARTS space: what the authors retrain for a genotype."""

from __future__ import annotations

from typing import Any

from torch import nn

from naslib.data.info import ImageSize, plain_size
from naslib.search_spaces.core import primitives as ops
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.ops_named import NONE, OPERATIONS

from .codec import DartsCodec
from .genotype import OPS, Genotype, as_genotype
from .listed_codec import WrittenCodec
from .macro import CellSpec, MacroSpec, attach_auxiliary, build_macro, make_cell, resolve_stem
from .outputs import set_outputs
from .primitives import make_op


class DartsEvaluationNetwork(Graph):
    """The network of a genotype with affine BN, drop-path on every operation but identity, and an auxiliary head.

    The auxiliary logits are the output of node 4 + `cells` (`forward_with_auxiliary`), in every mode.

    Args:
        genotype: A genotype, as tuple, mapping or text, of any registered operations (`OPERATIONS`); a node may take
            one node twice, as in the cells of [Zoph2018nasnet].
        n_classes: Number of classes.
        in_channels: Channels of the images.
        cells: Number of cells.
        channels: Channels of a node in the first stage.
        auxiliary: Whether there is an auxiliary head.
        stem: `"cifar"`, `"imagenet"`, or `"auto"`: the latter from 96 pixels on.
        image_size: Side of the images, or height and width, for `stem="auto"`.

    Raises:
        ArchitectureError: If the genotype is invalid.
    """

    def __init__(
        self,
        genotype: Any,
        n_classes: int = 10,
        in_channels: int = 3,
        cells: int = 20,
        channels: int = 36,
        auxiliary: bool = True,
        stem: str = "auto",
        image_size: ImageSize = 32,
    ) -> None:
        super().__init__("makrograph")
        operations = (*OPS, *(name for name in OPERATIONS.names() if name not in (*OPS, NONE)))
        parsed = as_genotype(genotype, operations, doubled=True)
        self.n_classes = n_classes
        self.in_channels = in_channels
        self.cells = cells
        self.channels = channels
        self.auxiliary = auxiliary
        self.stem = stem
        self.image_size = plain_size(image_size)
        nodes = len(parsed.normal) // 2
        plain = DartsCodec(nodes)
        self.codec = plain if _is_of_space(parsed) else WrittenCodec(nodes, operations)
        self._code = self.codec.canonical(parsed)
        outputs = (len(parsed.normal_concat), len(parsed.reduce_concat))
        stem = resolve_stem(stem, image_size)
        spec = MacroSpec(cells, channels, nodes, in_channels, n_classes, stem, affine=True, outputs=outputs)
        build_macro(self, spec, _CellMaker(parsed))
        if auxiliary:
            attach_auxiliary(self, spec)


def _is_of_space(genotype: Genotype) -> bool:
    """Say whether a genotype has operations of DARTS only, and two predecessors at each node."""
    edges = (*genotype.normal, *genotype.reduce)
    twice = any(first[1] == second[1] for first, second in zip(edges[::2], edges[1::2], strict=True))
    return not twice and all(name in OPS for name, _ in edges)


class _CellMaker:
    """Make the cells of a genotype."""

    def __init__(self, genotype: Genotype) -> None:
        self.genotype = genotype

    def __call__(self, place: CellSpec) -> Graph:
        genotype = self.genotype
        pairs = genotype.reduce if place.is_reduction else genotype.normal
        cell = make_cell("reduction_cell" if place.is_reduction else "normal_cell", len(pairs) // 2)
        cell.set_scope(f"{'r' if place.is_reduction else 'n'}_stage_{place.stage}")
        for position, (name, predecessor) in enumerate(pairs):
            source, target = predecessor + 1, position // 2 + 3
            op: nn.Module = make_op(name, place.channels, 2 if place.is_reduction and source <= 2 else 1)
            op = op if isinstance(op, ops.Identity) else ops.DropPath(op)
            if cell.has_edge(source, target):  # the node takes it twice
                op = ops.Added(cell.edges[source, target].op, op)
            else:
                cell.add_edge(source, target)
            cell.edges[source, target].set("op", op)
        set_outputs(cell, genotype.reduce_concat if place.is_reduction else genotype.normal_concat)
        return cell
