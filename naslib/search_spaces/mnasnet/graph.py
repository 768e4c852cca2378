"""MnasNet-style search spaces: a list of block strings with alternatives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from naslib.data.info import ImageSize
from naslib.errors import BenchmarkError, ConfigError, did_you_mean
from naslib.search_spaces.core.mobile.chain import MobileChain, check_sizes, check_task, layer_of
from naslib.search_spaces.core.mobile.codec import ChainCodec
from naslib.search_spaces.core.mobile.layers import (
    SQUEEZE_STYLES,
    MobileHead,
    MobileStem,
    activation_name,
    scaled_width,
)
from naslib.search_spaces.core.mobile.strings import BlockSpec, expand_alternatives, parse_block
from naslib.search_spaces.core.query_metrics import Metric

from .codec import BlockStringCodec
from .primitives import stage_of

# (channels, stride, most blocks) of each stage
_SKELETON = ((16, 1, 3), (24, 2, 3), (40, 2, 3), (80, 2, 3), (112, 1, 3), (192, 2, 4), (320, 1, 3))
# The stages of Accel-NASBench: 1 to 3 (or 4) blocks, kernel 3 or 5, expansion 1 (without the widening convolution), 4
# or 6, squeeze-and-excitation or not
ACCEL_STAGES = tuple(
    (
        f"ds_r{'|'.join(map(str, range(1, most + 1)))}_k3|5_s{stride}_e1_c{channels}_se0|0.25",
        f"ir_r{'|'.join(map(str, range(1, most + 1)))}_k3|5_s{stride}_e4|6_c{channels}_se0|0.25",
    )
    for channels, stride, most in _SKELETON
)
# MnasNet-B1 with a choice of kernel, expansion and squeeze-and-excitation for each stage but the first; the network
# itself is one of the architectures
MNASNET_STAGES = (
    "ds_r1_k3_s1_e1_c16_noskip",
    "ir_r3_k3|5_s2_e3|6_c24_se0|0.25",
    "ir_r3_k3|5_s2_e3|6_c40_se0|0.25",
    "ir_r3_k3|5_s2_e3|6_c80_se0|0.25",
    "ir_r2_k3|5_s1_e3|6_c96_se0|0.25",
    "ir_r4_k3|5_s2_e3|6_c192_se0|0.25",
    "ir_r1_k3|5_s1_e3|6_c320_se0|0.25",
)
# Lists of stages by name
STAGES = {"mnasnet": MNASNET_STAGES, "accel_nasbench": ACCEL_STAGES}
Stage = str | Sequence[str]


class MnasNetSearchSpace(MobileChain):
    """A chain of stages that are given by block strings ([Tan2019mnasnet]; the strings are timm's).

    Stem (3x3), stages, a 1x1 convolution, mean, classifier. A stage is a block string, whose values may be alternatives
    (`ir_r2|3_k3|5_s2_e3|6_c24_se0|0.25`), or a list of block strings; it is one decision, as in the paper, and each
    candidate has all blocks of the stage. A stage with one string is fixed. With `decide="block"` every block decides
    by itself; stages then have one number of repetitions.

    Args:
        n_classes: Number of classes or of values.
        in_channels: Channels of the images.
        image_size: Side of the images, or height and width; kernels are compared with it. None leaves that out.
        blocks: The stages; the alternatives of one have one stride and one number of channels. Or the name of a list:
            `mnasnet` (MnasNet-B1 with eight alternatives for six of its stages), `accel_nasbench`.
        decide: `"stage"` or `"block"`.
        stem_channels: Channels of the stem.
        stem_stride: Stride of the stem; 1 for small images.
        head_channels: Channels of the last convolution; 0 for none.
        activation: Of the blocks that do not say theirs, and of stem and head: `re`, `r6`, `sw`, `hs`.
        se_style: How squeeze-and-excitations are built: `mnasnet` or `mobilenetv3`.
        pooled_head: Whether the last convolution comes after the mean, as in MobileNetV3.
        width_mult: Factor of all widths, rounded to multiples of 8; the last convolution becomes only wider by it.
        dropout: Rate before the classifier.
        bn_eps: Of all BN.
        bn_momentum: Of all BN.
        task: What it is for.

    Raises:
        ConfigError: If a block string is none, alternatives of a stage differ in stride or channels, a size is not
            positive, or a kernel is larger than what it reads.
    """

    NAME = "mnasnet"
    QUERYABLE = True
    TASKS = ("classification", "regression")
    INPUTS = ("image",)

    def __init__(
        self,
        n_classes: int = 1000,
        in_channels: int = 3,
        image_size: ImageSize | None = None,
        blocks: str | Sequence[Stage] = "mnasnet",
        decide: str = "stage",
        stem_channels: int = 32,
        stem_stride: int = 2,
        head_channels: int = 1280,
        activation: str = "re",
        se_style: str = "mnasnet",
        pooled_head: bool = False,
        width_mult: float = 1.0,
        dropout: float = 0.0,
        bn_eps: float = 1e-5,
        bn_momentum: float = 0.1,
        task: str = "classification",
    ) -> None:
        super().__init__("makrograph")
        check_task(self.NAME, task, self.TASKS)
        check_sizes(
            self.NAME, n_classes=n_classes, in_channels=in_channels, stem_channels=stem_channels,
            stem_stride=stem_stride,
        )  # fmt: skip
        stages = _read(blocks, decide, se_style, width_mult)
        self.n_classes = n_classes
        self.in_channels = in_channels
        self.image_size = image_size
        self.blocks = blocks if isinstance(blocks, str) else [s if isinstance(s, str) else list(s) for s in blocks]
        self.decide = decide
        self.stem_channels = stem_channels
        self.stem_stride = stem_stride
        self.head_channels = head_channels
        self.activation = activation_name(activation)
        self.se_style = se_style
        self.pooled_head = pooled_head
        self.width_mult = width_mult
        self.dropout = dropout
        self.bn_eps = bn_eps
        self.bn_momentum = bn_momentum
        self.task = task
        self.QUERYABLE = self.is_benchmark
        self.build_chain(self._steps(stages), image_size)
        self.set_batch_norm(bn_eps, bn_momentum)

    def _steps(self, stages: list[list[BlockSpec]]) -> list[nn.Module]:
        C_in = scaled_width(self.stem_channels, self.width_mult)
        steps: list[nn.Module] = [MobileStem(self.in_channels, C_in, self.stem_stride, self.activation)]
        self._strings: list[list[str]] = []
        for number, specs in enumerate(stages, start=1):
            candidates = [stage_of(spec, C_in, self.activation, self.se_style, self.width_mult) for spec in specs]
            steps.append(layer_of(number, candidates, shortcut=False))
            if len(candidates) > 1:
                self._strings.append([str(spec) for spec in specs])
            C_in = scaled_width(specs[0].channels, self.width_mult)
        head = scaled_width(self.head_channels, max(1.0, self.width_mult)) if self.head_channels else 0
        last = MobileHead(C_in, head, self.n_classes, self.activation, self.dropout, self.pooled_head)
        return [*steps, last]

    def make_codec(self, names: dict[str, list[str]]) -> ChainCodec:
        """Return the codec of the space, whose genotypes are block strings."""
        return BlockStringCodec(self.get_type(), names, self._strings)

    def get_type(self) -> str:
        """Return the name of the space: `mnasnet`, or `accel_nasbench`, by which its benchmark is found."""
        return "accel_nasbench" if self.is_benchmark else self.NAME

    def query(
        self,
        metric: Metric,
        dataset: str | None = None,
        path: str | None = None,
        epoch: int = -1,
        full_lc: bool = False,
        dataset_api: Any = None,
    ) -> Any:
        """Ask Accel-NASBench about this architecture; see `Graph.query`.

        Raises:
            BenchmarkError: If the space is not that of the benchmark, `blocks="accel_nasbench"`, or the architecture is
                not among those that it has.
        """
        if not self.is_benchmark:
            raise BenchmarkError(
                f'the benchmark of {self.NAME} knows architectures of blocks="accel_nasbench", each stage one decision'
            )
        return super().query(metric, dataset, path, epoch, full_lc, dataset_api)

    @property
    def is_benchmark(self) -> bool:
        """Whether its codes are those of Accel-NASBench."""
        return self.blocks == "accel_nasbench" and self.decide == "stage"

    def block_strings(self) -> list[str]:
        """Return the block strings of all stages of a discrete architecture, those that are fixed included.

        Raises:
            ArchitectureError: If it is not discrete.
        """
        chosen = iter(self.genotype() if self.codec is not None else [])
        stages = _read(self.blocks, self.decide, self.se_style, self.width_mult)
        return [next(chosen) if len(specs) > 1 else str(specs[0]) for specs in stages]


def _read(blocks: Any, decide: str, se_style: str, width_mult: float) -> list[list[BlockSpec]]:
    """Return the alternatives of each decision."""
    name = MnasNetSearchSpace.NAME
    problems = []
    blocks = STAGES.get(blocks, blocks) if isinstance(blocks, str) else blocks
    if decide not in ("stage", "block"):
        problems.append(f'{name}: decide is "stage" or "block", not {decide!r}')
    if se_style not in SQUEEZE_STYLES:
        problems.append(f"{name}: se_style is one of {', '.join(SQUEEZE_STYLES)}, not {se_style!r}")
    if not width_mult > 0:
        problems.append(f"{name}: width_mult must be positive, not {width_mult}")
    if isinstance(blocks, str):
        hint = did_you_mean(blocks, STAGES)
        problems.append(f"{name}: no list of blocks is called {blocks!r}{hint} (there are: {', '.join(STAGES)})")
    elif not isinstance(blocks, Sequence) or not blocks:
        problems.append(f"{name}: blocks is a list with a block string, or a list of them, for each stage")
    if problems:
        raise ConfigError(problems)
    found = []
    for number, stage in enumerate(blocks, start=1):
        texts = [stage] if isinstance(stage, str) else list(stage)
        try:
            specs = [parse_block(text) for given in texts for text in expand_alternatives(given)]
        except ConfigError as error:
            raise ConfigError(f"{name}, stage {number}: {error}") from error
        if len({(spec.stride, spec.channels) for spec in specs}) != 1:
            raise ConfigError(
                f"{name}, stage {number}: its alternatives have one stride and one number of channels, and are "
                f"{', '.join(map(str, specs))}"
            )
        found += [specs] if decide == "stage" else _by_block(number, specs)
    return found


def _by_block(number: int, specs: list[BlockSpec]) -> list[list[BlockSpec]]:
    """Return the alternatives of each block of a stage, where blocks decide by themselves."""
    repeats = {spec.repeats for spec in specs}
    if len(repeats) != 1:
        raise ConfigError(
            f'{MnasNetSearchSpace.NAME}, stage {number}: with decide="block" a stage has one number of repetitions, '
            f"not {', '.join(map(str, sorted(repeats)))}"
        )
    first = [replace(spec, repeats=1) for spec in specs]
    later = [replace(spec, repeats=1, stride=1) for spec in specs]
    return [first, *[later] * (repeats.pop() - 1)]
