"""The weighted sum of an edge's candidates, and 1x1 convolutions as matrix products."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from naslib.search_spaces.core.kernels import depthwise, pointwise
from naslib.search_spaces.core.kernels.weighted_sum import inner_product, mixture
from naslib.search_spaces.core.ops_conv import DilConv, FactorizedReduce, ReLUConvBN
from naslib.search_spaces.core.ops_mixed import mix_outputs
from naslib.search_spaces.core.primitives import AvgPool1x1, Identity, Zero
from naslib.search_spaces.core.shared_work import Passes, SharedWork

LAYOUTS = {"nchw": torch.contiguous_format, "nhwc": torch.channels_last}


@pytest.fixture(autouse=True)
def _double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(torch.float32)


def _norm(**settings: Any) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(3, affine=False, **settings)


def _plainly(weights: Tensor, candidates: Sequence[tuple[int, Tensor, nn.Module | None]]) -> Tensor:
    return sum(weights[place] * (x if norm is None else norm(x)) for place, x, norm in candidates)  # type: ignore[return-value]


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
@pytest.mark.parametrize("normed", [(False, False), (True, True), (False, True)], ids=["plain", "normed", "both"])
def test_value_gradients_and_statistics_are_those_of_the_plain_sum(normed: tuple[bool, ...], layout: str) -> None:
    terms = [torch.randn(4, 3, 5, 6).to(memory_format=LAYOUTS[layout]).requires_grad_() for _ in normed]
    weights = torch.randn(4, requires_grad=True)
    upstream = torch.randn(4, 3, 5, 6)
    found = []
    for function in (mixture, _plainly):
        norms = [_norm() if wanted else None for wanted in normed]
        total = function(weights, [(place, *pair) for place, *pair in zip((3, 1), terms, norms, strict=True)])
        gradients = torch.autograd.grad(total, [weights, *terms], upstream)
        found.append([total, *gradients, *(b for norm in norms if norm is not None for b in norm.buffers())])
    for fast, plain in zip(*found, strict=True):
        torch.testing.assert_close(fast, plain, rtol=1e-12, atol=1e-12)


def test_both_derivatives_are_those_of_finite_differences() -> None:
    terms = [torch.randn(2, 3, 2, 3).to(memory_format=torch.channels_last).requires_grad_() for _ in range(3)]
    weights = torch.rand(3, requires_grad=True)
    norms = [None, _norm(track_running_stats=False), _norm()]

    def run(weights: Tensor, *terms: Tensor) -> Tensor:
        return mixture(weights, [(place, *pair) for place, *pair in zip(range(3), terms, norms, strict=True)])

    assert torch.autograd.gradcheck(run, (weights, *terms))
    assert torch.autograd.gradgradcheck(run, (weights, *terms))
    assert torch.autograd.gradgradcheck(lambda *terms: run(weights.detach(), *terms), tuple(terms))


def test_second_derivatives_of_terms_that_depend_on_each_other() -> None:
    x, weights = torch.randn(4, 3, 2, 2, requires_grad=True), torch.rand(2, requires_grad=True)
    found = []
    for function in (mixture, _plainly):
        total = function(weights, [(0, x, None), (1, x.sin(), _norm())])
        first = torch.autograd.grad(total.square().sum(), [weights, x], create_graph=True)
        second = torch.autograd.grad(sum(g.square().sum() for g in first), [weights, x])
        found.append([*first, *second])
    for fast, plain in zip(*found, strict=True):
        torch.testing.assert_close(fast, plain, rtol=1e-11, atol=1e-11)


def test_constant_weights_keep_no_plain_term() -> None:
    terms = [torch.randn(2, 3, 4, 4, requires_grad=True) for _ in range(2)]
    shapes: list[torch.Size] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: shapes.append(t.shape) or t, lambda t: t):
        total = mixture(torch.tensor([0.25, 0.75]), [(0, terms[0], None), (1, terms[1], None)])
    assert terms[0].shape not in shapes
    total.sum().backward()
    assert torch.equal(terms[1].grad, torch.full_like(terms[1], 0.75))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["affine", "evaluation", "cumulative"])
def test_other_norms_run_by_themselves(kind: str) -> None:
    made = {"affine": nn.BatchNorm2d(3), "evaluation": _norm().eval(), "cumulative": _norm(momentum=None)}
    norm, twin = made[kind], copy.deepcopy(made[kind])
    x, weights = torch.randn(4, 3, 2, 2), torch.rand(1)
    torch.testing.assert_close(mixture(weights, [(0, x, norm)]), weights[0] * twin(x))
    assert all(torch.equal(value, other) for value, other in zip(norm.buffers(), twin.buffers(), strict=True))


def test_hooked_norms_are_called() -> None:
    norm, seen = _norm(), []
    norm.register_forward_hook(lambda *_: seen.append(1))
    mixture(torch.rand(1), [(0, torch.randn(4, 3, 2, 2), norm)])
    assert seen == [1] and norm.num_batches_tracked == 1


def test_one_value_per_channel_is_refused_as_by_torch() -> None:
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        mixture(torch.rand(1), [(0, torch.randn(1, 3, 1, 1), _norm())])


def test_terms_that_broadcast_are_broadcast() -> None:
    norm, twin = _norm(), _norm()
    wide, narrow, weights = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 1, 1), torch.rand(2)
    found = mixture(weights, [(0, narrow, None), (1, wide, norm)])
    torch.testing.assert_close(found, weights[0] * narrow + weights[1] * twin(wide))
    torch.testing.assert_close(norm.running_mean, twin.running_mean)


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
@pytest.mark.parametrize("drop_zero", [True, False])
def test_a_mixed_edge_equals_its_plain_sum(layout: str, drop_zero: bool) -> None:
    ops = [
        Identity(),
        Zero(1),
        ReLUConvBN(4, 4, 1, affine=False),
        DilConv(4, 4, 3, 1, 2, 2, affine=False),
        AvgPool1x1(3, 1),
    ]
    x = torch.randn(2, 4, 6, 6).to(memory_format=LAYOUTS[layout]).requires_grad_()
    weights = torch.randn(5, requires_grad=True)
    found = []
    for passes in (Passes(drop_zero=drop_zero), Passes.none()):
        total = mix_outputs(ops, x, weights, SharedWork(passes))
        found.append([total, *torch.autograd.grad(total.square().sum(), [x, weights])])
    for fast, plain in zip(*found, strict=True):
        torch.testing.assert_close(fast, plain, rtol=1e-11, atol=1e-11)


def test_a_subclass_that_changes_the_forward_keeps_its_norm() -> None:
    class Doubled(ReLUConvBN):
        def forward(self, x: Tensor, edge_data: Any = None) -> Tensor:
            return 2 * super().forward(x)

    x = torch.randn(2, 4, 6, 6)
    assert Doubled(4, 4, 1).split_norm(x, SharedWork()) is None
    assert FactorizedReduce(4, 4).split_norm(x, SharedWork()) is not None


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_inner_product(layout: str) -> None:
    first, second = (torch.randn(2, 3, 4, 5).to(memory_format=LAYOUTS[layout]) for _ in range(2))
    torch.testing.assert_close(inner_product(first, second), (first * second).sum(), rtol=1e-12, atol=1e-12)
    mixed = second.contiguous(memory_format=torch.channels_last if layout == "nchw" else torch.contiguous_format)
    torch.testing.assert_close(inner_product(first, mixed), (first * second).sum(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", [(2, 4, 5, 6), (1, 4, 1, 1), (3, 4, 1, 7)])
def test_a_1x1_convolution_is_a_matrix_product(shape: tuple[int, ...]) -> None:
    module = nn.Conv2d(4, 6, 1, bias=False).to(memory_format=torch.channels_last)
    x = torch.randn(shape).to(memory_format=torch.channels_last).requires_grad_()
    assert pointwise.accepts(module, x)
    upstream = torch.randn(shape[0], 6, *shape[2:])
    found = []
    for y in (pointwise.pointwise(x, module.weight), module(x)):
        found.append([y, *torch.autograd.grad(y, [x, module.weight], upstream)])
    assert found[0][0].is_contiguous(memory_format=torch.channels_last)
    for fast, plain in zip(*found, strict=True):
        torch.testing.assert_close(fast, plain, rtol=1e-12, atol=1e-12)
    assert torch.autograd.gradcheck(pointwise.pointwise, (x, module.weight), check_forward_ad=True)


@pytest.mark.parametrize(
    "module",
    [
        nn.Conv2d(4, 4, 1),
        nn.Conv2d(4, 4, 3, bias=False),
        nn.Conv2d(4, 4, 1, stride=2, bias=False),
        nn.Conv2d(4, 4, 1, padding=1, bias=False),
        nn.Conv2d(4, 4, 1, groups=2, bias=False),
        nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 4, 1, bias=False)),
        nn.ReLU(),
    ],
    ids=["bias", "3x3", "stride", "padding", "groups", "parametrized", "relu"],
)
def test_other_modules_are_called(module: nn.Module) -> None:
    module = module.double()
    x = torch.randn(2, 4, 5, 5).to(memory_format=torch.channels_last)
    assert not pointwise.accepts(module, x)
    assert torch.equal(SharedWork().convolve(module, x), module(x))


def test_wrong_channels_are_refused_by_the_module() -> None:
    with pytest.raises(RuntimeError, match="channels"):
        SharedWork().convolve(
            nn.Conv2d(4, 4, 1, bias=False), torch.randn(2, 8, 5, 5).to(memory_format=torch.channels_last)
        )


@pytest.mark.parametrize(("kernel", "dilation"), [(3, 1), (5, 1), (3, 2), (5, 2)])
def test_a_depthwise_convolution_and_its_gradients(kernel: int, dilation: int) -> None:
    padding = dilation * (kernel // 2)
    module = nn.Conv2d(16, 16, kernel, 1, padding, dilation, groups=16, bias=False).to(
        memory_format=torch.channels_last
    )
    x = torch.randn(2, 16, 6, 7).to(memory_format=torch.channels_last).requires_grad_()
    assert depthwise.accepts(module, x)
    upstream = torch.randn(2, 16, 6, 7)
    tangents = torch.randn_like(x), torch.randn_like(module.weight)

    def plain(x: Tensor, weight: Tensor) -> Tensor:
        return torch.conv2d(x, weight, None, 1, padding, dilation, 16)

    def fast(x: Tensor, weight: Tensor) -> Tensor:
        return depthwise.depthwise(x, weight, (dilation, dilation))

    found = []
    for function in (fast, plain):
        y = function(x, module.weight)
        first = torch.autograd.grad(y, [x, module.weight], upstream, create_graph=True)
        second = torch.autograd.grad(sum(g.square().sum() for g in first), [x, module.weight])
        (alone,) = torch.autograd.grad(function(x, module.weight), [x], upstream)
        loss = lambda x, w, function=function: function(x, w).sin().sum()  # noqa: E731
        product = torch.func.jvp(torch.func.grad(loss, argnums=(0, 1)), (x, module.weight), tangents)
        weights = torch.stack([module.weight, 2 * module.weight])
        mapped = torch.func.vmap(function, in_dims=(None, 0))(x, weights)
        found.append([y, *first, *second, alone, *product[0], *product[1], mapped])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-11)


def test_other_depthwise_convolutions_are_called() -> None:
    x = torch.randn(2, 16, 6, 6).to(memory_format=torch.channels_last)
    settings = {"padding": 1, "groups": 16, "bias": False}
    for changed in ({"stride": 2}, {"padding": 0}, {"padding": "same"}, {"groups": 8}, {"bias": True}):
        module = nn.Conv2d(16, 16, 3, **{**settings, **changed})
        assert not depthwise.accepts(module, x)
    assert not depthwise.accepts(nn.Conv2d(16, 16, 3, **settings), x.contiguous())
