"""The blocks: against the same written by hand, in float64, and what they refuse."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from naslib.errors import ConfigError
from naslib.search_spaces.core.mobile import (
    ConvBlock,
    DepthwiseSeparable,
    EdgeResidual,
    MBConv,
    MobileBlock,
    MobileHead,
    Skip,
    make_divisible,
)
from naslib.search_spaces.core.mobile.blocks import kernel_of
from naslib.search_spaces.core.mobile.layers import activation_name
from naslib.search_spaces.core.shared_work import Passes, SharedWork


def _with_statistics(block: nn.Module) -> nn.Module:
    """Return the block in float64 and evaluation mode, its BN with statistics that are not 0 and 1."""
    generator = torch.Generator().manual_seed(3)
    for module in block.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.copy_(torch.randn(module.num_features, generator=generator))
            module.running_var.copy_(torch.rand(module.num_features, generator=generator) + 0.5)
            nn.init.normal_(module.weight, generator=generator)
            nn.init.normal_(module.bias, generator=generator)
    return block.double().eval()


def _norm(x: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    shape = (1, -1, 1, 1)
    centred = (x - norm.running_mean.view(shape)) / torch.sqrt(norm.running_var.view(shape) + norm.eps)
    return centred * norm.weight.view(shape) + norm.bias.view(shape)


@pytest.fixture
def x() -> Tensor:
    return torch.randn(2, 4, 7, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def test_an_inverted_residual_with_squeeze_and_excitation_is_what_it_is_by_hand(x: Tensor) -> None:
    block = _with_statistics(MBConv(4, 4, 5, expansion=3, activation="r6", se_ratio=0.5, residual=True))
    widen, bn1, _, depthwise, bn2, _, squeeze, narrow, bn3 = block.op
    y = F.relu6(_norm(torch.einsum("nchw,dc->ndhw", x, widen.weight[:, :, 0, 0]), bn1))
    y = F.relu6(_norm(F.conv2d(y, depthwise.weight, padding=2, groups=12), bn2))
    means = y.mean((2, 3))
    inner = F.relu6(means @ squeeze.reduce.weight[:, :, 0, 0].T + squeeze.reduce.bias)
    assert inner.shape == (2, 2)  # half of the 4 channels that enter the block
    gate = torch.sigmoid(inner @ squeeze.expand.weight[:, :, 0, 0].T + squeeze.expand.bias)
    y = y * gate[:, :, None, None]
    y = _norm(torch.einsum("nchw,dc->ndhw", y, narrow.weight[:, :, 0, 0]), bn3)
    torch.testing.assert_close(block(x), y + x, rtol=1e-12, atol=1e-12)


@torch.no_grad()
def test_groups_are_shuffled_between_the_convolutions(x: Tensor) -> None:
    block = _with_statistics(MBConv(4, 6, 3, stride=2, expansion=1, groups=2))
    widen, bn1, _, _, depthwise, bn2, _, narrow, bn3 = block.op
    y = F.relu(_norm(F.conv2d(x, widen.weight, groups=2), bn1))
    y = y[:, [0, 2, 1, 3]]  # channel i of group g comes to place 2 i + g
    y = F.relu(_norm(F.conv2d(y, depthwise.weight, stride=2, padding=1, groups=4), bn2))
    y = _norm(F.conv2d(y, narrow.weight, groups=2), bn3)
    assert y.shape == (2, 6, 4, 3)
    torch.testing.assert_close(block(x), y, rtol=1e-12, atol=1e-12)


@torch.no_grad()
def test_the_other_blocks_are_what_they_are_by_hand(x: Tensor) -> None:
    separable = _with_statistics(DepthwiseSeparable(4, 4, 3, activation="hs", residual=True))
    depthwise, bn1, _, narrow, bn2 = separable.op
    y = F.hardswish(_norm(F.conv2d(x, depthwise.weight, padding=1, groups=4), bn1))
    torch.testing.assert_close(separable(x), _norm(F.conv2d(y, narrow.weight), bn2) + x, rtol=1e-12, atol=1e-12)

    edge = _with_statistics(EdgeResidual(4, 8, 3, stride=2, expansion=2, activation="sw"))
    widen, bn1, _, narrow, bn2 = edge.op
    y = F.silu(_norm(F.conv2d(x, widen.weight, stride=2, padding=1), bn1))
    torch.testing.assert_close(edge(x), _norm(F.conv2d(y, narrow.weight), bn2), rtol=1e-12, atol=1e-12)

    plain = _with_statistics(ConvBlock(4, 4, 3, residual=True))
    conv, bn, _ = plain.op
    y = F.relu(_norm(F.conv2d(x, conv.weight, padding=1), bn))
    torch.testing.assert_close(plain(x), y + x, rtol=1e-12, atol=1e-12)


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_parameters_are_as_many_as_a_formula_says() -> None:
    # 1x1: 8*48, depthwise 25*48, 1x1: 48*16; BN 2 * (48 + 48 + 16)
    assert _parameters(MBConv(8, 16, 5, expansion=6)) == 8 * 48 + 25 * 48 + 48 * 16 + 2 * 112
    grouped = MBConv(8, 16, 5, expansion=6, groups=2)
    assert _parameters(grouped) == (8 * 48 + 48 * 16) // 2 + 25 * 48 + 2 * 112
    # a quarter of the 8 channels that enter; in MobileNetV3 of the 48 inside, rounded to 16 (12 -> 16)
    squeezed = _parameters(MBConv(8, 16, 5, expansion=6, se_ratio=0.25)) - _parameters(MBConv(8, 16, 5, expansion=6))
    assert squeezed == 48 * 2 + 2 + 2 * 48 + 48
    v3 = MBConv(8, 16, 5, expansion=6, se_ratio=0.25, se_style="mobilenetv3")
    assert _parameters(v3) - _parameters(MBConv(8, 16, 5, expansion=6)) == 2 * 48 * 16 + 16 + 48
    assert _parameters(MobileHead(8, 32, 10)) == 8 * 32 + 64 + 32 * 10 + 10
    assert _parameters(MobileHead(8, 32, 10, pooled_first=True)) == 8 * 32 + 32 + 32 * 10 + 10
    assert _parameters(MobileHead(8, 0, 10)) == 8 * 10 + 10


def test_widths_are_rounded_as_mobilenets_do() -> None:
    assert [make_divisible(width) for width in (1, 8, 11, 12, 18, 19.9, 22.4, 44.8)] == [8, 8, 16, 16, 24, 24, 24, 48]
    # 11 -> 8 would lose more than a tenth; 18 -> 16 too


@pytest.mark.parametrize(
    "block",
    [
        MBConv(8, 16, 5, 2, 3, activation="hs", se_ratio=0.25, se_style="mobilenetv3", groups=2),
        MBConv(8, 8, 3, residual=True),
        DepthwiseSeparable(8, 8, 3, residual=True, se_ratio=0.5),
        EdgeResidual(8, 16, 3, 2, 4, "sw"),
        ConvBlock(8, 16, 1, 2, ""),
        Skip("skip"),
    ],
    ids=lambda block: type(block).__name__,
)
def test_a_block_is_built_again_from_what_it_keeps(block: nn.Module) -> None:
    again = type(block)(**block.init_params)
    assert repr(again) == repr(block) and again.get_op_name == block.get_op_name
    assert [(key, value.shape) for key, value in again.state_dict().items()] == [
        (key, value.shape) for key, value in block.state_dict().items()
    ]


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_shared_work_changes_nothing(x: Tensor, residual: bool, training: bool) -> None:
    torch.manual_seed(0)
    block = MBConv(4, 4, 3, expansion=2, residual=residual).double().train(training)
    weight = torch.tensor(0.3, dtype=torch.float64)
    work = SharedWork(Passes(), guarded=True)
    assert torch.equal(block.forward_shared(x, work), block(x))
    torch.testing.assert_close(block.forward_shared(x, work, weight), block(x) * weight, rtol=1e-12, atol=1e-12)
    assert (block.split_norm(x, work) is None) == residual


def test_only_the_residual_branch_is_dropped(x: Tensor) -> None:
    alone, beside = MBConv(4, 4, 3).double(), MBConv(4, 4, 3, residual=True).double()
    for block in (alone, beside):
        block.drop_residual_path()
        block.drop_residual_path()
    assert not hasattr(alone.op, "drop_prob")
    beside.op.drop_prob = 1 - 1e-12
    torch.manual_seed(0)
    assert torch.equal(beside.train()(x), x)


def test_kernels_and_names() -> None:
    assert kernel_of(MBConv(4, 4, 7)) == 7 and kernel_of(Skip()) == 0
    names = [
        MBConv(4, 4, 5, expansion=2.5, se_ratio=0.25).get_op_name,
        MBConv(4, 4, 3, expansion=1, groups=2).get_op_name,
        DepthwiseSeparable(4, 4, 3).get_op_name,
        EdgeResidual(4, 4, 3, expansion=4).get_op_name,
        ConvBlock(4, 4, 1).get_op_name,
        Skip("skip").get_op_name,
    ]
    assert names == ["ir_k5_e2.5_se0.25", "ir_k3_e1_gr2", "ds_k3", "er_k3_e4", "cn_k1", "skip"]
    assert [activation_name(name) for name in ("relu6", "RE", "hard_swish", "silu")] == ["r6", "re", "hs", "sw"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: MBConv(4, 4, 4), "kernel_size must be odd, not 4"),
        (lambda: MBConv(4, 8, 3, residual=True), "no residual connection from 4 to 8 channels at stride 1"),
        (lambda: MBConv(4, 4, 3, 2, residual=True), "at stride 2"),
        (lambda: MBConv(3, 4, 3, groups=2), "2 groups do not divide 3, 18 and 4 channels"),
        (lambda: MBConv(0, 4, 3), "each must be at least 1"),
        (lambda: MBConv(4, 4, 3, se_ratio=1.5), r"se_ratio must be in \[0, 1\], not 1.5"),
        (lambda: MBConv(4, 4, 3, se_style="mobilenet"), "did you mean 'mobilenetv3'"),
        (lambda: ConvBlock(4, 4, 3, 0), "stride must be at least 1, not 0"),
        (lambda: DepthwiseSeparable(4, 4, 3, activation="relu7"), "no activation is called 'relu7'"),
    ],
)
def test_a_block_that_cannot_be_is_refused(make, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make()


def test_a_block_of_ones_own_takes_part() -> None:
    class Own(MobileBlock):
        def __init__(self, C_in: int, C_out: int, kernel_size: int = 3) -> None:
            arguments = {"C_in": C_in, "C_out": C_out, "kernel_size": kernel_size}
            super().__init__(arguments, [nn.Conv2d(C_in, C_out, 3, padding=1), nn.BatchNorm2d(C_out)], False)

    assert Own(4, 8)(torch.rand(1, 4, 5, 5)).shape == (1, 8, 5, 5)
