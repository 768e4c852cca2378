"""Primitives against formulas and torch's functions, written out."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from naslib.errors import ConfigError
from naslib.search_spaces.core import primitives as ops
from naslib.search_spaces.core.query_metrics import Metric
from naslib.search_spaces.nasbench201.primitives import ResNetBasicblock

FACTORIES = {
    "identity": lambda: ops.Identity(),
    "zero": lambda: ops.Zero(stride=1),
    "zero_s2": lambda: ops.Zero(stride=2, C_in=4, C_out=6),
    "zero1x1": lambda: ops.Zero1x1(stride=2),
    "sep_conv": lambda: ops.SepConv(4, 6, 3, 2, 1, affine=False),
    "dil_conv": lambda: ops.DilConv(4, 6, 5, 1, 4, 2),
    "stem": lambda: ops.Stem(C_in=4, C_out=6),
    "sequential": lambda: ops.Sequential(ops.SepConv(4, 4, 3, 1, 1), nn.ReLU()),
    "max_pool": lambda: ops.MaxPool(4, 3, 2),
    "avg_pool": lambda: ops.AvgPool(4, 3, 1, use_bn=False),
    "max_pool1x1": lambda: ops.MaxPool1x1(3, 2, 4, 6),
    "avg_pool1x1": lambda: ops.AvgPool1x1(3, 1),
    "global_average": lambda: ops.GlobalAveragePooling(),
    "relu_conv_bn": lambda: ops.ReLUConvBN(4, 6, 3, stride=2),
    "conv_bn_relu": lambda: ops.ConvBnReLU(4, 6, 1),
    "factorized_reduce": lambda: ops.FactorizedReduce(4, 6),
    "drop_path": lambda: ops.DropPath(ops.ReLUConvBN(4, 4, 3), 0.3),
}


def image(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", FACTORIES)
def test_a_copy_equals_the_original_and_is_independent_of_it(name: str) -> None:
    op = FACTORIES[name]()
    x = image(2, 4, 9, 7)
    op(x)
    op.eval()
    for twin in (copy.deepcopy(op), pickle.loads(pickle.dumps(op))):
        torch.testing.assert_close(twin(x), op(x), rtol=0, atol=0)
        assert not {id(t) for t in twin.state_dict(keep_vars=True).values()} & {
            id(t) for t in op.state_dict(keep_vars=True).values()
        }
        assert [type(m) for m in twin.modules()] == [type(m) for m in op.modules()]
        assert not {id(m) for m in twin.modules()} & {id(m) for m in op.modules()}
        assert twin.init_params == op.init_params and not twin.training


@pytest.mark.parametrize("name", FACTORIES)
def test_a_stateless_op_has_neither_parameters_nor_buffers(name: str) -> None:
    op = FACTORIES[name]()
    has_state = bool(list(op.parameters()) + list(op.buffers())) or isinstance(op, ops.DropPath)
    assert op.stateless is not has_state


def test_copies_keep_shared_tensors_attributes_and_hooks() -> None:
    op = ops.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    op.op[1].weight = op.op[0].weight
    op.op[0].weight.grad = torch.ones(2, 2)
    op.op[0].weight.tag = [1]
    op.op[1].custom = {"nested": [1, 2]}
    op.op[0].register_forward_hook(_double)
    twin = copy.deepcopy(op)
    assert twin.op[1].weight is twin.op[0].weight is not op.op[0].weight
    assert twin.op[0].weight.grad is copy.deepcopy(op.op)[0].weight.grad is None and twin.op[0].weight.tag == [1]
    assert twin.op[1].custom == {"nested": [1, 2]} and twin.op[1].custom["nested"] is not op.op[1].custom["nested"]
    x = image(3, 2)
    torch.testing.assert_close(twin(x), op(x))
    torch.testing.assert_close(twin(x), 2 * x @ op.op[0].weight.T @ op.op[0].weight.T)


def _double(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:
    return 2 * output


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sep_conv", "SepConv3x3"), ("dil_conv", "DilConv5x5"), ("relu_conv_bn", "ReLUConvBN3x3"),
        ("conv_bn_relu", "ConvBnReLU1x1"), ("max_pool", "MaxPool"), ("avg_pool", "AvgPool"),
        ("max_pool1x1", "MaxPool1x1"), ("avg_pool1x1", "AvgPool1x1"), ("identity", "Identity"), ("zero", "Zero"),
        ("factorized_reduce", "FactorizedReduce"), ("drop_path", "ReLUConvBN3x3"), ("stem", "Stem"),
    ],
)  # fmt: skip
def test_names_carry_the_kernel_where_conversions_expect_it(name: str, expected: str) -> None:
    assert FACTORIES[name]().get_op_name == expected


def test_a_primitive_in_the_manner_of_naslib_keeps_its_arguments() -> None:
    class Mine(ops.AbstractPrimitive):
        def __init__(self, width: int, **kwargs: int) -> None:
            super().__init__(locals())

        def forward(self, x: Tensor, edge_data: object) -> Tensor:
            return x + 1

    class Bare(ops.AbstractPrimitive):
        def __init__(self) -> None:
            super().__init__()

    assert Mine(3, height=4).init_params == {"width": 3, "height": 4}
    assert Bare().init_params == {} and Bare().get_embedded_ops() is None and Bare().get_op_name == "Bare"
    assert ops.Sequential(Mine(3), nn.ReLU())(torch.zeros(1)).item() == 1.0
    assert ops.SepConv(4, 6, 3, 1, 1).init_params == {
        "C_in": 4, "C_out": 6, "kernel_size": 3, "stride": 1, "padding": 1, "affine": True
    }  # fmt: skip


@pytest.mark.parametrize("size", [(8, 8), (9, 9), (7, 8), (1, 1)])
@pytest.mark.parametrize("stride", [1, 2])
def test_zero_has_the_shape_of_a_convolution_and_stops_nan(size: tuple[int, int], stride: int) -> None:
    x = image(2, 4, *size).fill_(float("nan")).requires_grad_()
    like = nn.Conv2d(4, 6, 3, stride, 1)(x)
    for op, channels in ((ops.Zero(stride), 4), (ops.Zero(stride, 4, 6), 6)):
        y = op(x)
        assert y.shape == (2, channels, *like.shape[2:]) and not y.any()
    assert ops.Zero1x1(stride)(x).shape == (2, 4 * stride, *like.shape[2:])


def test_zero_keeps_dtype_and_memory_format_and_works_under_torch_func() -> None:
    x = image(2, 4, 8, 8).double().contiguous(memory_format=torch.channels_last)
    y = ops.Zero(1)(x)
    assert y.dtype == torch.float64 and y.is_contiguous(memory_format=torch.channels_last)
    assert not torch.func.vmap(ops.Zero(2))(image(3, 2, 4, 8, 8)).any()
    exported = torch.export.export(ops.Zero(2, 4, 8), (image(1, 4, 8, 8),))
    assert exported.module()(image(1, 4, 8, 8)).shape == (1, 8, 4, 4)


@pytest.mark.parametrize("size", [(8, 8), (9, 9), (7, 8), (2, 3), (1, 1)])
def test_factorized_reduce_samples_even_and_odd_pixels(size: tuple[int, int]) -> None:
    op = ops.FactorizedReduce(3, 5, affine=False).double()
    x = image(4, 3, *size).double()
    height, width = (size[0] + 1) // 2, (size[1] + 1) // 2
    padded = F.pad(x.relu(), (0, 2 * width - size[1], 0, 2 * height - size[0]))
    even = torch.einsum("nchw,oc->nohw", padded[:, :, 0::2, 0::2], op.conv_1.weight[:, :, 0, 0])
    odd = torch.einsum("nchw,oc->nohw", padded[:, :, 1::2, 1::2], op.conv_2.weight[:, :, 0, 0])
    expected = torch.cat([even, odd], 1)
    mean, var = expected.mean((0, 2, 3), keepdim=True), expected.var((0, 2, 3), keepdim=True, unbiased=False)
    torch.testing.assert_close(op(x), (expected - mean) / (var + 1e-5).sqrt())


def test_factorized_reduce_refuses_another_stride() -> None:
    with pytest.raises(ConfigError, match="stride 2"):
        ops.FactorizedReduce(4, 4, stride=1)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [8, 9])
def test_average_pooling_does_not_count_the_padding(size: int, stride: int) -> None:
    x = image(2, 3, size, size).double()
    weight = torch.ones(3, 1, 3, 3, dtype=torch.float64)
    total = F.conv2d(x, weight, stride=stride, padding=1, groups=3)
    count = F.conv2d(torch.ones_like(x), weight, stride=stride, padding=1, groups=3)
    torch.testing.assert_close(ops.AvgPool(3, 3, stride, use_bn=False)(x), total / count)
    if stride == 1:
        torch.testing.assert_close(ops.AvgPool1x1(3, 1)(x), total / count)


@pytest.mark.parametrize("kind", [ops.MaxPool, ops.AvgPool])
def test_pooling_is_followed_by_batch_norm_without_parameters(kind: type[nn.Module]) -> None:
    x = image(8, 3, 8, 8).double()
    with_bn, plain = kind(3, 3, 1).double(), kind(3, 3, 1, use_bn=False)
    pooled = plain(x)
    mean, var = pooled.mean((0, 2, 3), keepdim=True), pooled.var((0, 2, 3), keepdim=True, unbiased=False)
    torch.testing.assert_close(with_bn(x), (pooled - mean) / (var + 1e-5).sqrt())
    assert not list(with_bn.parameters())


@pytest.mark.parametrize("kind", [ops.MaxPool1x1, ops.AvgPool1x1])
def test_pool1x1_has_a_convolution_only_where_the_shape_changes(kind: type[nn.Module]) -> None:
    assert not list(kind(3, 1).parameters())
    assert not list(kind(kernel_size=3, stride=1, C_in=4, C_out=4).parameters())
    assert sum(p.numel() for p in kind(3, 2, 4, 8).parameters()) == 4 * 8 + 2 * 8
    assert sum(p.numel() for p in kind(3, 1, 4, 8, affine=False).parameters()) == 4 * 8
    assert kind(3, 2, 4, 8)(image(2, 4, 9, 9)).shape == (2, 8, 5, 5)
    with pytest.raises(ConfigError, match="C_in and C_out"):
        kind(3, 2)


@pytest.mark.parametrize(
    ("op", "depthwise", "pointwise", "bn"),
    [
        (ops.SepConv(4, 6, 5, 1, 2), 2 * 25 * 4, 4 * 4 + 4 * 6, 2 * 4 + 2 * 6),
        (ops.DilConv(4, 6, 3, 2, 2, 2), 9 * 4, 4 * 6, 2 * 6),
        (ops.ReLUConvBN(4, 6, 3), 0, 9 * 4 * 6, 2 * 6),
        (ops.ConvBnReLU(4, 6, 1), 0, 4 * 6, 2 * 6),
        (ops.Stem(3, 6), 0, 9 * 3 * 6, 2 * 6),
        (ops.Concat1x1(3, 6), 0, 18 * 6, 2 * 6),
    ],
)
def test_sizes_of_the_convolutions(op: nn.Module, depthwise: int, pointwise: int, bn: int) -> None:
    assert sum(p.numel() for p in op.parameters()) == depthwise + pointwise + bn


def test_residual_block_halves_odd_images_too() -> None:
    for size, half in ((8, 4), (9, 5), (1, 1)):
        assert ResNetBasicblock(4, 8, stride=2)(image(3, 4, size, size)).shape == (3, 8, half, half)
    block = ResNetBasicblock(4, 8, stride=2).double().eval()
    x = image(1, 4, 3, 3).double()
    means = torch.stack([x[..., :2, :2].mean((2, 3)), x[..., :2, 2:].mean((2, 3)),
                         x[..., 2:, :2].mean((2, 3)), x[..., 2:, 2:].mean((2, 3))], -1).reshape(1, 4, 2, 2)  # fmt: skip
    shortcut = torch.einsum("nchw,oc->nohw", means, block.downsample[1].weight[:, :, 0, 0])
    torch.testing.assert_close(block(x) - block.conv_b(block.conv_a(x)), shortcut)


def test_drop_path_drops_whole_samples_without_bias_and_only_in_training() -> None:
    torch.manual_seed(0)
    op = ops.DropPath(ops.Identity(), drop_prob=0.25)
    x = torch.ones(20000, 2, 3, 3)
    y = op(x)
    kept = y[:, 0, 0, 0]
    assert kept.unique().tolist() == pytest.approx([0.0, 1 / 0.75])
    assert torch.equal(y, kept[:, None, None, None].expand_as(y))
    assert abs(kept.mean().item() - 1.0) < 4 * (0.25 / 0.75 / 20000) ** 0.5
    assert op.eval()(x) is x
    assert op.get_embedded_ops() == [op.op]


def test_drop_path_probability_is_set_in_the_whole_network() -> None:
    net = nn.Sequential(ops.DropPath(ops.Identity()), nn.Sequential(ops.DropPath(ops.Identity())))
    x = torch.ones(4, 2)
    assert torch.equal(net(x), x)
    assert ops.set_drop_path_prob(net, 1.0) == 2
    assert not net(x).any()


def test_weighted_sum() -> None:
    tensors = [image(2, 3, seed=s).double() for s in range(3)]
    weights = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64, requires_grad=True)
    expected = 0.2 * tensors[0] + 0.3 * tensors[1] + 0.5 * tensors[2]
    torch.testing.assert_close(ops.weighted_sum(tensors, weights), expected)
    torch.testing.assert_close(ops.weighted_sum(tensors, [0.2, 0.3, 0.5]), expected)
    ops.weighted_sum(tensors, weights).sum().backward()
    torch.testing.assert_close(weights.grad, torch.stack([t.sum() for t in tensors]))
    with pytest.raises(ValueError):
        ops.weighted_sum([], [])


def test_metrics_are_those_of_the_contract() -> None:
    names = {f"{part}_{kind}" for part in ("TRAIN", "VAL", "TEST") for kind in ("ACCURACY", "LOSS", "TIME")}
    assert set(Metric.__members__) == names | {
        "RAW",
        "ALL",
        "FLOPS",
        "LATENCY",
        "PARAMETERS",
        "EPOCH",
        "HP",
        "PERPLEXITY",
        "MEMORY",
    }
