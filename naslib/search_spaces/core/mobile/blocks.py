"""The blocks of mobile networks: inverted residuals, depthwise separable, edge and plain convolutions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from naslib.errors import ConfigError, did_you_mean
from naslib.search_spaces.core.ops_base import AbstractPrimitive
from naslib.search_spaces.core.ops_basic import DropPath, Zero
from naslib.search_spaces.core.shared_work import SharedWork, scaled_batch_norm
from naslib.search_spaces.core.types import EdgeLike

from .layers import SQUEEZE_STYLES, ChannelShuffle, activation_name, conv_norm, make_squeeze


class MobileBlock(AbstractPrimitive):
    """Base of the blocks: a chain of layers in `op` that ends in a BN, and perhaps a residual connection around it.

    Args:
        arguments: Of the constructor, as a later copy with other channels is built from them; those that have their
            defaults are left out.
        layers: The chain.
        residual: Whether the input is added to what the chain returns.

    Attributes:
        kernel_size: Side of the largest kernel.
        stride: Of both spatial dimensions.
    """

    kernel_size: int
    stride: int

    def __init__(self, arguments: Mapping[str, Any], layers: Sequence[nn.Module], residual: bool) -> None:
        super().__init__(arguments)
        self.kernel_size = int(arguments["kernel_size"])
        self.stride = int(arguments.get("stride", 1))
        self.residual = residual
        self.op: nn.Module = nn.Sequential(*layers)

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Apply the block.

        `(n, c_in, h, w)` to `(n, c_out, h / stride, w / stride)`, rounded up.
        """
        return self.op(x) + x if self.residual else self.op(x)

    def forward_shared(self, x: Tensor, work: SharedWork, weight: Tensor | None = None) -> Tensor:
        """Apply the block; without a residual connection the last BN multiplies by the weight.

        `(n, c_in, h, w)` to `(n, c_out, h', w')`; the weight is a scalar.
        """
        split = self.split_norm(x, work)
        if split is None:
            output = self(x)
            return output if weight is None else output * weight
        x, norm = split
        return work.norm(norm, x) if weight is None else scaled_batch_norm(norm, x, weight, work)

    def split_norm(self, x: Tensor, work: SharedWork) -> tuple[Tensor, nn.Module] | None:
        """Apply all but the last BN; None where there is a residual connection or the chain does not end in a BN.

        `(n, c_in, h, w)` to `(n, c_out, h', w')`.
        """
        if self.residual or not isinstance(self.op, nn.Sequential) or not isinstance(self.op[-1], nn.BatchNorm2d):
            return None
        *layers, norm = self.op
        for layer in layers:
            x = work.convolve(layer, x)
        return x, norm

    def drop_residual_path(self) -> None:
        """Put a drop-path around the chain, where the residual connection carries what is dropped."""
        if self.residual and not isinstance(self.op, DropPath):
            self.op = DropPath(self.op)


class MBConv(MobileBlock):
    """An inverted residual block ([Sandler2018mobilenetv2]): widen by 1x1, depthwise convolution, narrow by 1x1.

    Each convolution is followed by BN, the first two by the activation as well; after the depthwise one there may be a
    squeeze-and-excitation ([Tan2019mnasnet]). With groups, both 1x1 convolutions have them, and the channels are
    shuffled after the first ([Wu2019fbnet]). There is a first 1x1 convolution at an expansion of 1, too: the block
    without it is `DepthwiseSeparable`.

    Args:
        C_in: Number of input channels.
        C_out: Number of output channels.
        kernel_size: Side of the depthwise kernel, odd.
        stride: Of the depthwise convolution.
        expansion: `round(expansion * C_in)` channels are in between.
        activation: `re`, `r6`, `sw` or `hs` (`activation_name`).
        se_ratio: Of the squeeze-and-excitation, 0 for none.
        se_style: What the ratio is one of, and the gate: a key of `SQUEEZE_STYLES`.
        groups: Of the 1x1 convolutions.
        residual: Whether the block adds its input.

    Raises:
        ConfigError: For an even kernel, a width below 1, groups that do not divide the channels, or a residual
            connection between different shapes.
    """

    def __init__(
        self,
        C_in: int,
        C_out: int,
        kernel_size: int,
        stride: int = 1,
        expansion: float = 6,
        activation: str = "re",
        se_ratio: float = 0.0,
        se_style: str = "mnasnet",
        groups: int = 1,
        residual: bool = False,
    ) -> None:
        expanded = round(C_in * expansion)
        _check(type(self).__name__, C_in, C_out, kernel_size, stride, expanded, groups, residual, se_ratio, se_style)
        layers = conv_norm(C_in, expanded, groups=groups, activation=activation)
        layers += [ChannelShuffle(groups)] if groups > 1 else []
        layers += conv_norm(expanded, expanded, kernel_size, stride, expanded, activation)
        layers += [make_squeeze(C_in, expanded, se_ratio, se_style, activation)] if se_ratio else []
        layers += conv_norm(expanded, C_out, groups=groups)
        arguments = {"C_in": C_in, "C_out": C_out, "expansion": expansion, "kernel_size": kernel_size, "stride": stride}
        arguments |= _unusual(activation=(activation, "re"), se_ratio=(se_ratio, 0), se_style=(se_style, "mnasnet"))
        arguments |= _unusual(groups=(groups, 1), residual=(residual, False))
        super().__init__(arguments, layers, residual)
        self.expansion, self.se_ratio, self.groups = expansion, se_ratio, groups

    @property
    def get_op_name(self) -> str:
        """As block strings have it: `ir_k3_e6`, `ir_k5_e3_se0.25`."""
        grouped = f"_gr{self.groups}" if self.groups > 1 else ""
        return f"ir_k{self.kernel_size}_e{self.expansion:g}{_squeeze_name(self.se_ratio)}{grouped}"


class DepthwiseSeparable(MobileBlock):
    """A depthwise convolution and a 1x1 convolution: BN after both, the activation after the first only.

    Args:
        C_in: Number of input channels.
        C_out: Number of output channels.
        kernel_size: Side of the depthwise kernel, odd.
        stride: Of the depthwise convolution.
        activation: `re`, `r6`, `sw` or `hs`.
        se_ratio: Of a squeeze-and-excitation between them, 0 for none.
        se_style: A key of `SQUEEZE_STYLES`.
        residual: Whether the block adds its input.

    Raises:
        ConfigError: As `MBConv` does.
    """

    def __init__(
        self,
        C_in: int,
        C_out: int,
        kernel_size: int,
        stride: int = 1,
        activation: str = "re",
        se_ratio: float = 0.0,
        se_style: str = "mnasnet",
        residual: bool = False,
    ) -> None:
        _check(type(self).__name__, C_in, C_out, kernel_size, stride, C_in, 1, residual, se_ratio, se_style)
        layers = conv_norm(C_in, C_in, kernel_size, stride, C_in, activation)
        layers += [make_squeeze(C_in, C_in, se_ratio, se_style, activation)] if se_ratio else []
        layers += conv_norm(C_in, C_out)
        arguments = {"C_in": C_in, "C_out": C_out, "kernel_size": kernel_size, "stride": stride}
        arguments |= _unusual(activation=(activation, "re"), se_ratio=(se_ratio, 0), se_style=(se_style, "mnasnet"))
        super().__init__(arguments | _unusual(residual=(residual, False)), layers, residual)
        self.se_ratio = se_ratio

    @property
    def get_op_name(self) -> str:
        """As block strings have it: `ds_k3`, `ds_k5_se0.25`."""
        return f"ds_k{self.kernel_size}{_squeeze_name(self.se_ratio)}"


class EdgeResidual(MobileBlock):
    """A full convolution that widens and a 1x1 convolution that narrows: BN after both, the activation between.

    Args:
        C_in: Number of input channels.
        C_out: Number of output channels.
        kernel_size: Side of the first kernel, odd.
        stride: Of the first convolution.
        expansion: `round(expansion * C_in)` channels are in between.
        activation: `re`, `r6`, `sw` or `hs`.
        se_ratio: Of a squeeze-and-excitation between them, 0 for none.
        se_style: A key of `SQUEEZE_STYLES`.
        residual: Whether the block adds its input.

    Raises:
        ConfigError: As `MBConv` does.
    """

    def __init__(
        self,
        C_in: int,
        C_out: int,
        kernel_size: int,
        stride: int = 1,
        expansion: float = 6,
        activation: str = "re",
        se_ratio: float = 0.0,
        se_style: str = "mnasnet",
        residual: bool = False,
    ) -> None:
        expanded = round(C_in * expansion)
        _check(type(self).__name__, C_in, C_out, kernel_size, stride, expanded, 1, residual, se_ratio, se_style)
        layers = conv_norm(C_in, expanded, kernel_size, stride, activation=activation)
        layers += [make_squeeze(C_in, expanded, se_ratio, se_style, activation)] if se_ratio else []
        layers += conv_norm(expanded, C_out)
        arguments = {"C_in": C_in, "C_out": C_out, "expansion": expansion, "kernel_size": kernel_size, "stride": stride}
        arguments |= _unusual(activation=(activation, "re"), se_ratio=(se_ratio, 0), se_style=(se_style, "mnasnet"))
        super().__init__(arguments | _unusual(residual=(residual, False)), layers, residual)
        self.expansion, self.se_ratio = expansion, se_ratio

    @property
    def get_op_name(self) -> str:
        """As block strings have it: `er_k3_e4`."""
        return f"er_k{self.kernel_size}_e{self.expansion:g}{_squeeze_name(self.se_ratio)}"


class ConvBlock(MobileBlock):
    """A convolution, BN and an activation.

    Args:
        C_in: Number of input channels.
        C_out: Number of output channels.
        kernel_size: Side of the kernel, odd.
        stride: Of both spatial dimensions.
        activation: `re`, `r6`, `sw` or `hs`; an empty string for none.
        residual: Whether the block adds its input.

    Raises:
        ConfigError: As `MBConv` does.
    """

    def __init__(
        self,
        C_in: int,
        C_out: int,
        kernel_size: int,
        stride: int = 1,
        activation: str = "re",
        residual: bool = False,
    ) -> None:
        _check(type(self).__name__, C_in, C_out, kernel_size, stride, C_out, 1, residual, 0.0, "mnasnet")
        layers = conv_norm(C_in, C_out, kernel_size, stride, activation=activation or None)
        arguments = {"C_in": C_in, "C_out": C_out, "kernel_size": kernel_size, "stride": stride}
        arguments |= _unusual(activation=(activation, "re"), residual=(residual, False))
        super().__init__(arguments, layers, residual)

    @property
    def get_op_name(self) -> str:
        """As block strings have it: `cn_k3`."""
        return f"cn_k{self.kernel_size}"


class Skip(Zero):
    """A block that is left out: zeros, beside the shortcut that carries the input on.

    Args:
        name: What the space calls it: `"Zero"`, `"skip"`, `"Identity"`.
    """

    def __init__(self, name: str = "Zero") -> None:
        super().__init__(stride=1)
        self.init_params = {"name": name}
        self.name = name

    @property
    def get_op_name(self) -> str:
        """The name that it was given."""
        return self.name


def _squeeze_name(ratio: float) -> str:
    return f"_se{ratio:g}" if ratio else ""


def _unusual(**settings: tuple[Any, Any]) -> dict[str, Any]:
    """Return the settings that are not at their defaults, given as (value, default)."""
    return {name: value for name, (value, default) in settings.items() if value != default}


def _check(
    name: str,
    C_in: int,
    C_out: int,
    kernel_size: int,
    stride: int,
    expanded: int,
    groups: int,
    residual: bool,
    se_ratio: float,
    se_style: str,
) -> None:
    problems = []
    if min(C_in, C_out, expanded) < 1:
        problems.append(f"{C_in} channels in, {expanded} between, {C_out} out: each must be at least 1")
    if kernel_size < 1 or kernel_size % 2 == 0:
        problems.append(f"kernel_size must be odd, not {kernel_size}")
    if stride < 1:
        problems.append(f"stride must be at least 1, not {stride}")
    if groups < 1 or any(width % groups for width in (C_in, expanded, C_out)):
        problems.append(f"{groups} groups do not divide {C_in}, {expanded} and {C_out} channels")
    if residual and (stride != 1 or C_in != C_out):
        problems.append(f"no residual connection from {C_in} to {C_out} channels at stride {stride}")
    if not 0 <= se_ratio <= 1:
        problems.append(f"se_ratio must be in [0, 1], not {se_ratio}")
    if se_style not in SQUEEZE_STYLES:
        problems.append(
            f"no squeeze-and-excitation is called {se_style!r}{did_you_mean(se_style, SQUEEZE_STYLES)} "
            f"(known: {', '.join(SQUEEZE_STYLES)})"
        )
    if problems:
        raise ConfigError([f"{name}: {problem}" for problem in problems])


def kernel_of(op: nn.Module) -> int:
    """Return the side of the largest kernel in an operation, 0 where there is none."""
    sides = [max(module.kernel_size) for module in op.modules() if isinstance(module, nn.Conv2d)]
    return max((int(side) for side in sides), default=0)


__all__ = [
    "ConvBlock",
    "DepthwiseSeparable",
    "EdgeResidual",
    "MBConv",
    "MobileBlock",
    "Skip",
    "activation_name",
    "kernel_of",
]
