"""Vision transformers whose depth, width, heads and MLP ratios are decisions, of entangled weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from naslib.data.info import ImageSize, height_and_width, plain_size
from naslib.errors import ConfigError, did_you_mean
from naslib.search_spaces.core.elastic import (
    BlockKind,
    BlockSizes,
    ElasticSequential,
    TransformerBlock,
    checked_dropout,
)
from naslib.search_spaces.core.elastic.choices import Given, choice, listed, preset_named
from naslib.search_spaces.core.transformer_space import TransformerSpace

from .presets import PRESETS, AutoFormerChoices
from .primitives import PatchStem, TokenClassifier
from .spellings import read_spec

_POOLINGS = ("mean", "token")


class AutoFormerSearchSpace(TransformerSpace):
    """The space of AutoFormer ([Chen2021autoformer]): one vision transformer, of which all others are slices.

    Makrograph: 1 images, 2 tokens (patches, a class token, positions), 3 tokens behind the layers, 4 outputs.
    Decisions: `embed`, features of a token; `depth`, how many layers; and for each layer `block_3/heads` and
    `block_3/mlp_ratio`, which are not decided for layers beyond the depth. Queries, keys and values have `head_dim`
    features per head, whatever `embed` is.

    Args:
        n_classes: Number of classes or of values.
        in_channels: Channels of the images.
        image_size: Side of the images, or height and width.
        preset: Choices by name: `"tiny"`, `"small"` and `"base"` are those of the paper for images of 224 x 224;
            `"cifar"` and `"mini"` are for smaller images. What follows replaces some of them:
        embed: Features of a token: a number, or those to choose from.
        depth: Numbers of layers, likewise.
        heads: Numbers of heads, likewise, the same for all layers.
        mlp_ratio: MLP ratios, likewise, the same for all layers.
        head_dim: Size of a head.
        patch_size: Side of a patch; 0 for a quarter of the image.
        relative: Largest distance of the relative positions that keys and values get; 0 for none.
        pooling: What is classified: `"mean"`, the average over patches, or `"token"`, the class token.
        dropout: Share of features and attention weights that is dropped in training.
        task: What it is for.
        mix: How sizes are mixed, `"weights"` or `"outputs"` (docs/elastic.md).

    Raises:
        ConfigError: If there is no head for the task, no such preset, or sizes do not go together.
    """

    OPTIMIZER_SCOPE = ["makrograph"]
    QUERYABLE = True
    TASKS = ("classification", "regression")
    INPUTS = ("image",)

    def __init__(
        self,
        n_classes: int = 10,
        in_channels: int = 3,
        image_size: ImageSize = 32,
        preset: str = "mini",
        embed: Given | None = None,
        depth: Given | None = None,
        heads: Given | None = None,
        mlp_ratio: Given | None = None,
        head_dim: int | None = None,
        patch_size: int | None = None,
        relative: int | None = None,
        pooling: str = "mean",
        dropout: float = 0.0,
        task: str = "classification",
        mix: str = "weights",
    ) -> None:
        super().__init__("makrograph")
        _check(task, pooling, dropout)
        self.n_classes, self.in_channels, self.image_size = n_classes, in_channels, plain_size(image_size)
        self.preset, self.embed, self.depth, self.heads, self.mlp_ratio = preset, embed, depth, heads, mlp_ratio
        self.head_dim, self.patch_size, self.relative = head_dim, patch_size, relative
        self.pooling, self.dropout, self.task, self.mix = pooling, dropout, task, mix
        given: dict[str, Any] = {"head_dim": head_dim, "patch_size": patch_size, "relative": relative}
        for name, values in (("embed", embed), ("depth", depth), ("heads", heads), ("mlp_ratio", mlp_ratio)):
            given[name] = None if values is None else listed(values, name)
        found = preset_named(PRESETS, preset, "autoformer")
        self.choices = found._replace(**{name: value for name, value in given.items() if value is not None})
        self._build()

    def _build(self) -> None:
        found, sides = self.choices, height_and_width(self.image_size)
        side = _checked_patch(found, sides)
        embed, depth = choice(found.embed, "embed"), choice(found.depth, "depth")
        kind = BlockKind(relative=found.relative, dropout=self.dropout, mix=self.mix)
        blocks = []
        for number in range(1, int(max(found.depth)) + 1):
            heads = choice(found.heads, f"block_{number}/heads")
            ratio = choice(found.mlp_ratio, f"block_{number}/mlp_ratio")
            blocks.append(TransformerBlock(BlockSizes(embed, heads, found.head_dim, embed * ratio), kind))
        self.add_nodes_from(range(1, 5))
        stem = PatchStem(self.in_channels, sides, side, embed, self.dropout, self.mix)
        self.add_edge(1, 2, op=stem)
        self.add_edge(2, 3, op=ElasticSequential(blocks, depth))
        self.add_edge(3, 4, op=TokenClassifier(embed, self.n_classes, self.pooling, self.mix))

    def get_type(self) -> str:
        """Return the name of the space: with the preset's where the choices are all those of a preset of the paper."""
        own = self.choices[:5]  # embed to head_dim; patches and positions may differ
        named = (name for name in ("tiny", "small", "base") if PRESETS[name][:5] == own)
        return next((f"autoformer_{name}" for name in named), "autoformer")

    def set_spec(self, spec: Any, dataset_api: Any = None) -> None:
        """Make this graph the architecture `spec`: a code, choices by decision, or a recipe (`spellings.read_spec`).

        Raises:
            SpecAlreadySetError: If the modules of an architecture are in place already (also an AssertionError).
            ArchitectureError: If `spec` is not of this space.
        """
        super().set_spec(read_spec(spec), dataset_api)

    def check_spec(self, spec: Any, dataset_api: Any = None) -> Any:
        """Return the identity of the architecture that `set_spec` would make of `spec`; the graph is not changed.

        Raises:
            ArchitectureError: If `spec` is not of this space.
        """
        return super().check_spec(read_spec(spec), dataset_api)

    def arguments_for(self, spec: Any) -> dict[str, Any]:
        """Return the choices that this space lacks to hold `spec`: AutoFormer-T has MLP ratios that its table has not.

        Raises:
            ArchitectureError: If `spec` has the form of an architecture, and is invalid.
        """
        spec = read_spec(spec)
        if not isinstance(spec, Mapping) or "embed" not in spec:
            return {}
        wanted: dict[str, set[Any]] = {"embed": set(), "depth": set(), "heads": set(), "mlp_ratio": set()}
        for name, value in spec.items():
            wanted.get(str(name).rpartition("/")[2], set()).add(value)
        more = {name: values - {*getattr(self.choices, name)} for name, values in wanted.items()}
        return {name: sorted({*getattr(self.choices, name)} | new) for name, new in more.items() if new}


def _check(task: str, pooling: str, dropout: float) -> None:
    problems = []
    if task not in AutoFormerSearchSpace.TASKS:
        problems.append(f"autoformer has no head for {task}, only for {', '.join(AutoFormerSearchSpace.TASKS)}")
    if pooling not in _POOLINGS:
        problems.append(f"pooling is {' or '.join(_POOLINGS)}, not {pooling!r}{did_you_mean(str(pooling), _POOLINGS)}")
    if problems:
        raise ConfigError(problems)
    checked_dropout(dropout)


def _checked_patch(found: AutoFormerChoices, sides: tuple[int, int]) -> int:
    """Return the side of a patch.

    Raises:
        ConfigError: If patches do not cover the image, or relative positions are asked for where it is no square.
    """
    side = found.patch_size or max(1, min(sides) // 4)
    if side < 1 or any(length % side for length in sides):
        fitting = [n for n in range(1, min(sides) + 1) if not any(length % n for length in sides)]
        nearest = min(fitting, key=lambda n: abs(n - side))
        raise ConfigError(
            f"patches of {side} x {side} do not cover images of {sides[0]} x {sides[1]}: patch_size divides both, the "
            f"nearest that does is {nearest}"
        )
    if found.relative < 0 or (found.relative and sides[0] != sides[1]):
        raise ConfigError(
            f"relative = {found.relative}: relative positions are those of a square of patches, not of {sides[0]} x "
            f"{sides[1]}; 0 has none"
        )
    return side
