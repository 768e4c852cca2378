"""BlockNetwork: the network that is trained from scratch for cells of blocks, as published networks are built."""

from __future__ import annotations

from typing import Any

from torch import nn

from naslib.data.info import ImageSize, plain_size
from naslib.errors import ConfigError
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.ops_named import NONE, OPERATIONS

from .cells import discrete_cell
from .codec import WrittenBlockCodec
from .genotype import as_cells
from .macro import BlockMacro, Place, attach_auxiliary, build, resolve_stem
from .published import NASNET_A, PNASNET_5

# Of the published code of both papers
NORM_EPS = 1e-3
DROP_PATHS = ("scheduled", "uniform")


class BlockNetwork(Graph):
    """The network of a genotype: affine BN, drop-path on all but identities, an auxiliary head if wanted.

    The auxiliary logits are the output of the node before the last (`forward_with_auxiliary`), in every mode.

    Args:
        genotype: The cells, as `as_cells` reads them, of any registered operations.
        n_classes: Number of classes, or of values.
        in_channels: Channels of the images.
        cells_per_stage: N of the papers.
        channels: Channels of a block in the first stage; the published names have those of the output of the last one.
        auxiliary: Whether there is an auxiliary head.
        stem: `"cifar"`, `"imagenet"`, or `"auto"`: the latter from 96 pixels on.
        image_size: Side of the images, or height and width, for `stem="auto"`.
        stem_channels: Channels of the first convolution of the stem for large images.
        reductions: `"added"` or `"first"`: see `BlockMacro`.
        skips_reduction: See `BlockMacro`.
        raw_first_input: See `BlockMacro`.
        drop_path: `"scheduled"`: a cell at depth l of L drops `l / L` of the probability that its steps have reached,
            version 3 of the published ScheduledDropPath; `"uniform"`: all drop alike, by epochs. `evaluation.drop_path`
            goes before it.

    Raises:
        ArchitectureError: If the genotype is invalid.
        ConfigError: If a size is not positive, or a name is unknown.
    """

    def __init__(
        self,
        genotype: Any,
        n_classes: int = 10,
        in_channels: int = 3,
        cells_per_stage: int = 6,
        channels: int = 32,
        auxiliary: bool = True,
        stem: str = "auto",
        image_size: ImageSize = 32,
        stem_channels: int = 32,
        reductions: str = "added",
        skips_reduction: bool = False,
        raw_first_input: bool = True,
        drop_path: str = "scheduled",
    ) -> None:
        super().__init__("makrograph")
        if drop_path not in DROP_PATHS:
            raise ConfigError(f"drop_path is {' or '.join(DROP_PATHS)}, not {drop_path!r}")
        operations = tuple(name for name in OPERATIONS.names() if name != NONE)
        cells = as_cells(genotype, operations, one_cell=True)
        self.n_classes = n_classes
        self.in_channels = in_channels
        self.cells_per_stage = cells_per_stage
        self.channels = channels
        self.auxiliary = auxiliary
        self.stem = stem
        self.image_size = plain_size(image_size)
        self.stem_channels = stem_channels
        self.reductions = reductions
        self.skips_reduction = skips_reduction
        self.raw_first_input = raw_first_input
        self.drop_path = drop_path
        self.drop_path_schedule = "v3" if drop_path == "scheduled" else "epochs"
        self.codec = WrittenBlockCodec(cells.normal.blocks, operations)
        self._code = self.codec.canonical(cells)
        macro = BlockMacro(
            cells_per_stage,
            channels,
            in_channels,
            n_classes,
            resolve_stem(stem, image_size),
            stem_channels,
            reductions,
            skips_reduction,
            raw_first_input,
        )

        def width_of(place: Place) -> int:
            return place.channels * len((cells.reduce if place.is_reduction else cells.normal).concat)

        def cell_at(place: Place) -> Graph:
            cell = discrete_cell(cells.reduce if place.is_reduction else cells.normal, place, drop_path)
            return cell.set_scope(place.scope)

        build(self, macro, cell_at, width_of)
        if auxiliary:
            attach_auxiliary(self, macro, width_of)
        for nested in self.nested_graphs():
            for _, _, data in nested.edges(data=True):
                _set_eps(data.op)
            for node in nested.nodes:
                _set_eps(nested.nodes[node].get("comb_op"))


def _set_eps(part: Any) -> None:
    if isinstance(part, nn.Module):
        for module in part.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps = NORM_EPS


def nasnet_a_mobile(n_classes: int = 1000, in_channels: int = 3, **sizes: Any) -> BlockNetwork:
    """Return NASNet-A (4 @ 1056) of [Zoph2018nasnet], for images of 224 pixels: 5,289,978 parameters."""
    given = {"cells_per_stage": 4, "channels": 44, "stem": "imagenet", "stem_channels": 32, "auxiliary": False}
    return BlockNetwork(NASNET_A, n_classes, in_channels, **{**given, **sizes})


def nasnet_a_large(n_classes: int = 1000, in_channels: int = 3, **sizes: Any) -> BlockNetwork:
    """Return NASNet-A (6 @ 4032) of [Zoph2018nasnet], for images of 331 pixels: 88,753,150 parameters."""
    given = {"cells_per_stage": 6, "channels": 168, "stem": "imagenet", "stem_channels": 96, "auxiliary": False}
    return BlockNetwork(NASNET_A, n_classes, in_channels, **{**given, "skips_reduction": True, **sizes})


def nasnet_a_cifar(n_classes: int = 10, in_channels: int = 3, **sizes: Any) -> BlockNetwork:
    """Return NASNet-A (6 @ 768) of [Zoph2018nasnet], for images of 32 pixels: 3,346,538 parameters."""
    given = {"cells_per_stage": 6, "channels": 32, "stem": "cifar", "auxiliary": False}
    return BlockNetwork(NASNET_A, n_classes, in_channels, **{**given, **sizes})


def pnasnet_5_large(n_classes: int = 1000, in_channels: int = 3, **sizes: Any) -> BlockNetwork:
    """Return PNASNet-5 (4, 216) of [Liu2018pnas], for images of 331 pixels: 86,057,668 parameters."""
    given = {"cells_per_stage": 4, "channels": 216, "stem": "imagenet", "stem_channels": 96, "auxiliary": False}
    return BlockNetwork(PNASNET_5, n_classes, in_channels, **{**given, "reductions": "first", **sizes})


def pnasnet_5_cifar(n_classes: int = 10, in_channels: int = 3, **sizes: Any) -> BlockNetwork:
    """Return PNASNet-5 (3, 48) of [Liu2018pnas], for images of 32 pixels: 3,189,082 parameters."""
    given = {"cells_per_stage": 3, "channels": 48, "stem": "cifar", "auxiliary": False}
    return BlockNetwork(PNASNET_5, n_classes, in_channels, **{**given, "reductions": "first", **sizes})
