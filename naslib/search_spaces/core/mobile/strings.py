"""Block strings: a stage of a mobile network in a few letters, as the model zoo timm writes them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from naslib.errors import ConfigError, did_you_mean

from .blocks import ConvBlock, DepthwiseSeparable, EdgeResidual, MBConv, MobileBlock
from .layers import ACTIVATIONS, scaled_width

# By type: what it is, which settings it has beside the common ones, and whether it adds its input where it can
BLOCK_TYPES: dict[str, str] = {
    "ir": "inverted residual",
    "ds": "depthwise separable",
    "er": "edge residual",
    "cn": "convolution",
}
_MOST = 64


class _Setting(NamedTuple):
    """A setting of a block string.

    Attributes:
        field: Of `BlockSpec`.
        read: From the text behind its letters.
        types: Block types that have it.
        wanted: What the text must be, for messages.
    """

    field: str
    read: Callable[[str], Any]
    types: tuple[str, ...]
    wanted: str


def _whole(text: str) -> int:
    if not re.fullmatch(r"[1-9]\d*", text):
        raise ValueError
    return int(text)


def _odd(text: str) -> int:
    if not _whole(text) % 2:
        raise ValueError
    return int(text)


def _positive(text: str) -> float:
    if not re.fullmatch(r"\d+(\.\d+)?", text) or not float(text) > 0:
        raise ValueError
    return float(text)


def _ratio(text: str) -> float:
    if text == "0":
        return 0.0
    if not 0 < _positive(text) <= 1:
        raise ValueError
    return float(text)


def _activation(text: str) -> str:
    if text not in ACTIVATIONS:
        raise ValueError
    return text


_ALL = tuple(BLOCK_TYPES)
_SETTINGS = {
    "r": _Setting("repeats", _whole, _ALL, "a number of blocks, at least 1"),
    "k": _Setting("kernel_size", _odd, _ALL, "an odd number"),
    "s": _Setting("stride", _whole, _ALL, "a number, at least 1"),
    "e": _Setting("expansion", _positive, ("ir", "er", "ds"), "a positive number"),
    "c": _Setting("channels", _whole, _ALL, "a number of channels, at least 1"),
    "gr": _Setting("groups", _whole, ("ir",), "a number of groups, at least 1"),
    "se": _Setting("se_ratio", _ratio, ("ir", "ds", "er"), "a ratio in [0, 1]"),
    "n": _Setting("activation", _activation, _ALL, f"one of {', '.join(ACTIVATIONS)}"),
}
# Longer letters first: `se` is no `s`
_LETTERS = sorted(_SETTINGS, key=len, reverse=True)
_NEEDED = ("k", "s", "c")
FORM = "TYPE_rREPEATS_kKERNEL_sSTRIDE_eEXPANSION_cCHANNELS[_seRATIO][_nACTIVATION][_noskip], such as ir_r2_k3_s2_e6_c24"


@dataclass(frozen=True)
class BlockSpec:
    """A stage: blocks of one kind, the first with the stride.

    Attributes:
        kind: `ir`, `ds`, `er` or `cn` (`BLOCK_TYPES`).
        kernel_size: Side of the (depthwise) kernels.
        stride: Of the first block; the others have 1.
        channels: Output channels.
        repeats: Number of blocks.
        expansion: Channels inside, as a multiple of those that enter; only `ir` and `er`.
        se_ratio: Of a squeeze-and-excitation; 0 for none.
        activation: `re`, `r6`, `sw`, `hs`; None for the network's.
        groups: Of the 1x1 convolutions of `ir`.
        skip: Whether blocks that keep the shape add their input; None for what the kind does by itself: `cn` does not.
    """

    kind: str
    kernel_size: int
    stride: int
    channels: int
    repeats: int = 1
    expansion: float = 1.0
    se_ratio: float = 0.0
    activation: str | None = None
    groups: int = 1
    skip: bool | None = None

    @property
    def adds_input(self) -> bool:
        """Whether blocks that keep the shape add their input."""
        return self.kind != "cn" if self.skip is None else self.skip

    def __str__(self) -> str:
        return format_block(self)


def parse_block(text: str) -> BlockSpec:
    """Return the stage that a block string describes.

    The type comes first, all else in any order; what is left out is 1 block, an expansion of 1, no
    squeeze-and-excitation and the network's activation.

    Args:
        text: Such as `ds_r1_k3_s1_e1_c16`, `ir_r3_k5_s2_e3_c40_se0.25_nre`, `ir_r1_k3_s1_e6_c320_noskip`.

    Raises:
        ConfigError: If it is none; all problems at once, each with what was expected.
    """
    kind, *parts = str(text).split("_")
    problems: list[str] = []
    if kind not in BLOCK_TYPES:
        kinds = ", ".join(f"{name} ({what})" for name, what in BLOCK_TYPES.items())
        problems.append(f"no block type {kind!r}{did_you_mean(kind, BLOCK_TYPES)} (there are: {kinds})")
    found: dict[str, Any] = {}
    for part in parts:
        name, value, problem = _read(part, kind)
        if problem is None and name in found:
            problem = f"{part!r} says again what was said before"
        if problem is not None:
            problems.append(problem)
        else:
            found[name] = value
    missing = [letters for letters in _NEEDED if _SETTINGS[letters].field not in found and not problems]
    if missing:
        problems.append(f"{', '.join(f'{letters} ({_SETTINGS[letters].field})' for letters in missing)} is missing")
    if kind == "ds" and found.get("expansion", 1.0) != 1.0:
        problems.append(f"ds does not widen: e must be 1, not {found['expansion']:g}; ir does")
    if problems:
        raise ConfigError([f"block string {text!r}: {problem}; the form is {FORM}" for problem in problems])
    return BlockSpec(kind, **found)


def _read(part: str, kind: str) -> tuple[str, Any, str | None]:
    """Return the field and the value of a part of a block string, and what is wrong with it."""
    if part in ("skip", "noskip"):
        return "skip", part == "skip", None
    letters = next((known for known in _LETTERS if part.startswith(known)), None)
    if letters is None:
        hint = did_you_mean(part, ["noskip", "skip"])
        known = ", ".join(f"{name} ({setting.field})" for name, setting in _SETTINGS.items())
        return "", None, f"{part!r} is no setting{hint} (there are: {known}, skip, noskip)"
    setting = _SETTINGS[letters]
    if kind in BLOCK_TYPES and kind not in setting.types:
        return "", None, f"{part!r}: {kind} ({BLOCK_TYPES[kind]}) has no {setting.field}"
    try:
        return setting.field, setting.read(part[len(letters) :]), None
    except ValueError:
        return "", None, f"{part!r}: {letters} is {setting.field}, {setting.wanted}"


def format_block(spec: BlockSpec) -> str:
    """Return the block string of a stage; `parse_block` reads it back."""
    parts = [spec.kind, f"r{spec.repeats}", f"k{spec.kernel_size}", f"s{spec.stride}"]
    parts += [f"e{spec.expansion:g}"] if spec.kind != "cn" else []
    parts += [f"c{spec.channels}"]
    parts += [f"gr{spec.groups}"] if spec.groups > 1 else []
    parts += [f"se{spec.se_ratio:g}"] if spec.se_ratio else []
    parts += [f"n{spec.activation}"] if spec.activation is not None else []
    parts += {None: [], True: ["skip"], False: ["noskip"]}[spec.skip]
    return "_".join(parts)


def canonical_block(text: str) -> str:
    """Return the spelling of a block string that `format_block` has."""
    return format_block(parse_block(text))


def expand_alternatives(text: str) -> list[str]:
    """Return the block strings that one with alternatives stands for, in the order of its parts.

    `ir_r2_k3|5_s2_e3|6_c24` stands for four: kernel 3 or 5, expansion 3 or 6. `se0|0.25` is without or with, and
    `noskip|skip` either.

    Args:
        text: A block string, whose values may be alternatives separated by `|`.

    Raises:
        ConfigError: If one of them is none, two are the same, or there are more than 64.
    """
    parts = []
    for part in str(text).split("_"):
        first, *others = part.split("|")
        letters = re.match(r"[a-z]*", first)
        prefix = letters[0] if letters is not None and first not in BLOCK_TYPES else ""
        if first.startswith("n") and first not in ("noskip",):
            prefix = "n"
        whole = ("noskip", "skip")
        parts.append(
            [first, *(other if other in whole or _has_letters(other, prefix) else prefix + other for other in others)]
        )
    count = 1
    for choices in parts:
        count *= len(choices)
    if count > _MOST:
        raise ConfigError(f"block string {text!r} stands for {count} blocks, more than {_MOST}")
    found = [canonical_block("_".join(choice)) for choice in itertools.product(*parts)]
    twice = sorted({block for block in found if found.count(block) > 1})
    if twice:
        raise ConfigError(f"block string {text!r} stands for {twice[0]} more than once")
    return found


def _has_letters(text: str, prefix: str) -> bool:
    """Say whether an alternative repeats the letters of its setting, as in `k3|k5`; block types have none."""
    return not prefix or (text.startswith(prefix) and text != prefix)


def build_blocks(
    spec: BlockSpec, C_in: int, activation: str = "re", se_style: str = "mnasnet", width_mult: float = 1.0
) -> list[MobileBlock]:
    """Return the blocks of a stage.

    Args:
        spec: The stage.
        C_in: Channels that enter it.
        activation: Of blocks that do not say theirs.
        se_style: A key of `SQUEEZE_STYLES`.
        width_mult: Factor of the output channels, rounded by `make_divisible`.
    """
    C_out = scaled_width(spec.channels, width_mult)
    found = []
    for number in range(spec.repeats):
        stride = spec.stride if number == 0 else 1
        found.append(_build(spec, C_in, C_out, stride, spec.activation or activation, se_style))
        C_in = C_out
    return found


def _build(spec: BlockSpec, C_in: int, C_out: int, stride: int, activation: str, se_style: str) -> MobileBlock:
    residual = spec.adds_input and stride == 1 and C_in == C_out
    common: dict[str, Any] = {"stride": stride, "activation": activation, "residual": residual}
    if spec.kind == "cn":
        return ConvBlock(C_in, C_out, spec.kernel_size, **common)
    common |= {"se_ratio": spec.se_ratio, "se_style": se_style}
    if spec.kind == "ds":
        return DepthwiseSeparable(C_in, C_out, spec.kernel_size, **common)
    if spec.kind == "er":
        return EdgeResidual(C_in, C_out, spec.kernel_size, expansion=spec.expansion, **common)
    return MBConv(C_in, C_out, spec.kernel_size, expansion=spec.expansion, groups=spec.groups, **common)


def spec_of(blocks: list[MobileBlock], activation: str = "re") -> BlockSpec:
    """Return the stage that blocks are, the inverse of `build_blocks`.

    Args:
        blocks: Of one stage, in order.
        activation: Of the network, which the string then does not name.

    Raises:
        ConfigError: If they do not differ as the blocks of one stage do: only the first may have a stride and other
            channels.
    """
    specs = [_spec_of_one(block, activation) for block in blocks]
    if not specs:
        raise ConfigError("a stage has at least one block")
    first, *later = specs
    for number, spec in enumerate(later, start=2):
        alike = replace(spec, stride=first.stride, skip=first.skip if spec.stride == 1 else spec.skip)
        if spec.stride != 1 or alike != first:
            raise ConfigError(f"block {number}, {spec}, does not repeat the first one, {first}")
    skips = {spec.skip for spec in specs if spec.skip is not None}
    if len(skips) > 1:
        raise ConfigError("some of the blocks add their input and some do not")
    skip = skips.pop() if skips else None
    return replace(first, repeats=len(specs), skip=None if skip is (first.kind != "cn") else skip)


def _spec_of_one(block: MobileBlock, activation: str) -> BlockSpec:
    kinds = {MBConv: "ir", DepthwiseSeparable: "ds", EdgeResidual: "er", ConvBlock: "cn"}
    kind = kinds.get(type(block))
    if kind is None:
        raise ConfigError(f"{type(block).__name__} has no block string")
    arguments = block.init_params
    own = arguments.get("activation", "re")
    fits = block.stride == 1 and arguments["C_in"] == arguments["C_out"]
    return BlockSpec(
        kind,
        block.kernel_size,
        block.stride,
        int(arguments["C_out"]),
        expansion=float(arguments.get("expansion", 1.0)),
        se_ratio=float(arguments.get("se_ratio", 0.0)),
        activation=None if own == activation else own,
        groups=int(arguments.get("groups", 1)),
        skip=block.residual if fits else None,
    )
