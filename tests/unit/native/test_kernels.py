"""Every native kernel against the PyTorch operations it stands for: outputs, all gradients, running statistics."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from naslib import native
from naslib.native.mixed_node import Branch, Stage, accepts_node, apply_branch
from naslib.native.shapes import accepts

pytestmark = pytest.mark.skipif(
    not native.available("auto"), reason="the native kernels cannot be built here (no compiler or no ninja)"
)

KERNELS = [(3, 1), (5, 1), (7, 1), (3, 2), (5, 2), (7, 2)]  # side, dilation
TOLERANCE = {torch.float64: 1e-10, torch.float32: 2e-3}


@pytest.fixture(params=[1, 2], ids=["1thread", "2threads"])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """Set the number of threads for one test."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def relative(ours: Tensor, reference: Tensor) -> float:
    """Return the largest difference, relative to the reference's largest entry."""
    assert ours.shape == reference.shape
    return float((ours - reference).abs().max() / reference.abs().max().clamp_min(1e-12))


def run(function: Callable[..., Tensor], inputs: Sequence[Tensor]) -> list[Tensor]:
    """Return the output and the gradients of a fixed linear functional of it."""
    leaves = [value.detach().clone().requires_grad_() for value in inputs]
    output = function(*leaves)
    grad = torch.randn(output.shape, generator=torch.Generator().manual_seed(7), dtype=output.dtype)
    return [output, *torch.autograd.grad(output, leaves, grad)]


def compare(ours: Callable[..., Tensor], reference: Callable[..., Tensor], inputs: Sequence[Tensor]) -> None:
    """Fail unless both functions have the same output and gradients in the inputs' precision."""
    tolerance = TOLERANCE[inputs[0].dtype]
    for a, b in zip(run(ours, inputs), run(reference, inputs), strict=True):
        assert relative(a.detach(), b.detach()) < tolerance


def draw(*shape: int, dtype: torch.dtype, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape)), dtype=dtype)


def reference_depthwise(x: Tensor, w: Tensor, stride: int, padding: int, dilation: int) -> Tensor:
    return F.conv2d(F.relu(x), w, None, stride, padding, dilation, groups=x.shape[1])


def is_native(output: Tensor, name: str) -> bool:
    return output.grad_fn is not None and name in type(output.grad_fn).__name__


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("side", "dilation"), KERNELS)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("channels", [16, 32, 5, 1, 24])
def test_depthwise_equals_pytorch(channels: int, stride: int, side: int, dilation: int, dtype: torch.dtype) -> None:
    pad = side // 2 * dilation
    inputs = [draw(3, channels, 9, 12, dtype=dtype), draw(channels, 1, side, side, dtype=dtype)]
    output = native.relu_depthwise(inputs[0].clone().requires_grad_(), inputs[1], stride, pad, dilation)
    assert is_native(output, "ReluDepthwise")
    assert output.is_contiguous(memory_format=torch.channels_last)
    compare(
        lambda x, w: native.relu_depthwise(x, w, stride, pad, dilation),
        lambda x, w: reference_depthwise(x, w, stride, pad, dilation),
        inputs,
    )


@pytest.mark.parametrize("size", range(1, 34))
def test_depthwise_every_size(size: int) -> None:
    other = 34 - size
    cases = 0
    for (side, dilation), stride in itertools.product(KERNELS, (1, 2)):
        for padding in {0, side // 2 * dilation, (side - 1) * dilation}:
            x = draw(1, 16, size, other, dtype=torch.float64)
            w = draw(16, 1, side, side, dtype=torch.float64)
            if not accepts(x, w, stride=stride, padding=padding, dilation=dilation):
                assert min(size, other) + 2 * padding <= (side - 1) * dilation
                continue
            cases += 1
            arguments = (stride, padding, dilation)
            compare(
                lambda x, w, a=arguments: native.relu_depthwise(x, w, *a),
                lambda x, w, a=arguments: reference_depthwise(x, w, *a),
                [x, w],
            )
    assert cases >= 24


def test_depthwise_takes_any_memory_format() -> None:
    x, w = draw(2, 16, 8, 8, dtype=torch.float64), draw(16, 1, 3, 3, dtype=torch.float64)
    expected = reference_depthwise(x, w, 1, 1, 1)
    strided = torch.cat([x, x], 3)[..., ::2]
    for layout in (x, x.contiguous(memory_format=torch.channels_last), x.transpose(2, 3).contiguous().transpose(2, 3)):
        torch.testing.assert_close(native.relu_depthwise(layout, w, 1, 1, 1), expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(
        native.relu_depthwise(strided, w, 1, 1, 1), reference_depthwise(strided, w, 1, 1, 1), rtol=0, atol=1e-12
    )


def test_depthwise_propagates_nan_and_infinity() -> None:
    x = draw(1, 16, 6, 6, dtype=torch.float32)
    x[0, 3, 2, 2], x[0, 5, 0, 0] = float("nan"), float("inf")
    w = draw(16, 1, 3, 3, dtype=torch.float32)
    ours = run(lambda x, w: native.relu_depthwise(x, w, 1, 1, 1), [x, w])
    reference = run(lambda x, w: reference_depthwise(x, w, 1, 1, 1), [x, w])
    assert reference[0].isnan().sum() >= 9
    for a, b in zip(ours, reference, strict=True):
        assert torch.equal(a.isnan(), b.isnan())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("shape", [(2, 16, 5, 7), (1, 3, 1, 1), (4, 16, 32, 32), (1, 1, 1, 3)])
def test_weighted_sum_equals_pytorch(shape: tuple[int, ...], layout: torch.memory_format, dtype: torch.dtype) -> None:
    tensors = [draw(*shape, dtype=dtype, seed=k).contiguous(memory_format=layout) for k in range(5)]
    weights = draw(5, dtype=dtype)
    leaves = [value.clone().requires_grad_() for value in tensors]
    assert is_native(native.weighted_sum(leaves, weights), "WeightedSum")
    compare(
        lambda w, *x: native.weighted_sum(x, w), lambda w, *x: sum(a * b for a, b in zip(x, w, strict=True)),
        [weights, *tensors],
    )  # fmt: skip


def test_weighted_sum_takes_scalars_and_mixed_layouts() -> None:
    a = draw(2, 3, 4, 5, dtype=torch.float64)
    b = draw(2, 3, 4, 5, dtype=torch.float64, seed=1).contiguous(memory_format=torch.channels_last)
    parts = [torch.tensor(0.25, dtype=torch.float64), torch.tensor(-2.0, dtype=torch.float64)]
    torch.testing.assert_close(native.weighted_sum([a, a], parts), -1.75 * a, rtol=0, atol=1e-14)
    torch.testing.assert_close(native.weighted_sum([a, b], parts), 0.25 * a - 2 * b, rtol=0, atol=1e-14)
    vectors = [draw(9, dtype=torch.float64, seed=k) for k in range(2)]
    torch.testing.assert_close(
        native.weighted_sum(vectors, parts), 0.25 * vectors[0] - 2 * vectors[1], rtol=0, atol=1e-14
    )


def make_stage(
    c_in: int,
    c_out: int,
    side: int,
    stride: int,
    dilation: int,
    dtype: torch.dtype,
    seed: int = 0,
    tracked: bool = True,
) -> Stage:
    """Return a stage with drawn kernels and running statistics."""
    return Stage(
        draw(c_in, 1, side, side, dtype=dtype, seed=seed) / side,
        draw(c_out, c_in, 1, 1, dtype=dtype, seed=seed) / c_in**0.5,
        stride,
        side // 2 * dilation,
        dilation,
        draw(c_out, dtype=dtype, seed=seed) if tracked else None,
        draw(c_out, dtype=dtype, seed=seed).abs() + 0.5 if tracked else None,
        0.3,
        1e-3,
    )


def with_kernels(stage: Stage, depthwise: Tensor, pointwise: Tensor) -> Stage:
    """Return the stage with other kernels and copies of the running statistics."""
    mean, var = (None if value is None else value.clone() for value in (stage.running_mean, stage.running_var))
    return Stage(
        depthwise, pointwise, stage.stride, stage.padding, stage.dilation, mean, var, stage.momentum, stage.eps
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("tracked", [True, False])
@pytest.mark.parametrize(
    ("shape", "c_out", "side", "stride", "dilation"),
    [
        ((3, 16, 9, 8), 16, 3, 1, 1), ((2, 16, 8, 8), 32, 5, 2, 1), ((1, 32, 5, 7), 16, 5, 1, 2),
        ((4, 6, 7, 7), 10, 3, 2, 2), ((2, 20, 3, 3), 20, 7, 1, 1), ((2, 1, 2, 2), 1, 3, 1, 1),
    ],
)  # fmt: skip
def test_sep_branch_equals_pytorch(
    shape: tuple[int, ...], c_out: int, side: int, stride: int, dilation: int, tracked: bool, training: bool,
    dtype: torch.dtype,
) -> None:  # fmt: skip
    base = make_stage(shape[1], c_out, side, stride, dilation, dtype, tracked=tracked)
    statistics: dict[str, list[Tensor | None]] = {}

    def ours(x: Tensor, d: Tensor, p: Tensor) -> Tensor:
        s = with_kernels(base, d, p)
        statistics["ours"] = [s.running_mean, s.running_var]
        y = native.sep_branch(
            x, d, p, s.running_mean, s.running_var, s.momentum, s.eps, training, s.stride, s.padding, s.dilation
        )
        assert is_native(y, "MixedNode")
        return y

    def reference(x: Tensor, d: Tensor, p: Tensor) -> Tensor:
        s = with_kernels(base, d, p)
        statistics["reference"] = [s.running_mean, s.running_var]
        return apply_branch(Branch(x, [s]), training)

    compare(ours, reference, [draw(*shape, dtype=dtype), base.depthwise, base.pointwise])
    if tracked:
        for a, b, before in zip(*statistics.values(), [base.running_mean, base.running_var], strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5 if dtype == torch.float32 else 1e-12, atol=1e-6)
            assert torch.equal(a, before) != training


def darts_node(
    shape: Sequence[int], c_out: int, stride: int, dtype: torch.dtype, count: int
) -> tuple[list, list, list]:
    """Return sources, the stages of (source, [stage]) chains as in a DARTS node, and two more tensors."""
    sources = [draw(*shape, dtype=dtype, seed=100 + k) for k in range(count)]
    chains = []
    for k in range(count):
        for side in (3, 5):
            first = make_stage(shape[1], shape[1], side, stride, 1, dtype, seed=10 * k + side)
            chains.append((k, [first, make_stage(shape[1], c_out, side, 1, 1, dtype, seed=50 + 10 * k + side)]))
            chains.append((k, [make_stage(shape[1], c_out, side, stride, 2, dtype, seed=80 + 10 * k + side)]))
    out = [shape[0], c_out, *(-(-size // stride) for size in shape[2:])]
    return sources, chains, [draw(*out, dtype=dtype, seed=200 + k) for k in range(2)]


def run_node(
    call: Callable[..., Tensor], sources: list, chains: list, extras: list, weights: Tensor
) -> tuple[list[Tensor], list[Tensor]]:
    """Return output and all gradients, and all running statistics."""
    kernels = [kernel for _, stages in chains for stage in stages for kernel in (stage.depthwise, stage.pointwise)]
    running: list[Tensor] = []

    def function(*flat: Tensor) -> Tensor:
        rest = iter(flat[len(sources) : len(sources) + len(kernels)])
        branches = []
        for source, stages in chains:
            built = [with_kernels(stage, next(rest), next(rest)) for stage in stages]
            running.extend(value for stage in built for value in (stage.running_mean, stage.running_var))
            branches.append(Branch(flat[source], built))
        return call(branches, flat[len(sources) + len(kernels) : -1], flat[-1])

    return run(function, [*sources, *kernels, *extras, weights]), running


def plain_node(branches: Sequence[Branch], tensors: Sequence[Tensor], weights: Tensor, training: bool = True) -> Tensor:
    terms = [*(apply_branch(branch, training) for branch in branches), *tensors]
    return sum(term * weight for term, weight in zip(terms, weights, strict=True))


NODES = [((2, 16, 8, 8), 16, 1, 2), ((3, 16, 7, 9), 32, 2, 2), ((1, 5, 6, 5), 9, 2, 1), ((2, 32, 4, 4), 32, 1, 3)]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("shape", "c_out", "stride", "count"), NODES)
def test_mixed_node_equals_pytorch(
    shape: Sequence[int], c_out: int, stride: int, count: int, dtype: torch.dtype, training: bool, threads: int
) -> None:
    sources, chains, extras = darts_node(shape, c_out, stride, dtype, count)
    weights = torch.softmax(draw(len(chains) + len(extras), dtype=dtype), 0)

    def ours(branches: Sequence[Branch], tensors: Sequence[Tensor], weights: Tensor) -> Tensor:
        output = native.mixed_node(branches, tensors, weights, training=training)
        assert is_native(output, "MixedNode")
        return output

    results, running = run_node(ours, sources, chains, extras, weights)
    expected, expected_running = run_node(
        lambda b, t, w: plain_node(b, t, w, training), sources, chains, extras, weights
    )
    for a, b in zip(results, expected, strict=True):
        assert relative(a.detach(), b.detach()) < TOLERANCE[dtype]
    for a, b in zip(running, expected_running, strict=True):
        assert relative(a, b) < (1e-5 if dtype == torch.float32 else 1e-12)


def test_mixed_node_does_not_depend_on_threads_or_repetition() -> None:
    sources, chains, extras = darts_node((4, 16, 8, 8), 16, 1, torch.float32, 2)
    weights = torch.softmax(draw(len(chains) + 2, dtype=torch.float32), 0)
    before = torch.get_num_threads()
    runs = []
    try:
        for count in (1, 2, 2):
            torch.set_num_threads(count)
            results, running = run_node(
                lambda b, t, w: native.mixed_node(b, t, w, training=True), sources, chains, extras, weights
            )
            runs.append([*results, *running])
    finally:
        torch.set_num_threads(before)
    for other in runs[1:]:
        assert all(torch.equal(a, b) for a, b in zip(runs[0], other, strict=True))


@pytest.mark.parametrize("threads_", [1, 2])
def test_weighted_sum_and_depthwise_do_not_depend_on_threads(threads_: int) -> None:
    tensors = [draw(3, 16, 32, 32, dtype=torch.float32, seed=k) for k in range(3)]
    kernel, weights = draw(16, 1, 5, 5, dtype=torch.float32), draw(3, dtype=torch.float32)

    def both() -> list[Tensor]:
        return [
            *run(lambda w, *x: native.weighted_sum(x, w), [weights, *tensors]),
            *run(lambda x, w: native.relu_depthwise(x, w, 2, 2, 1), [tensors[0], kernel]),
        ]

    expected, before = both(), torch.get_num_threads()
    torch.set_num_threads(threads_)
    try:
        assert all(torch.equal(a, b) for a, b in zip(both(), expected, strict=True))
    finally:
        torch.set_num_threads(before)


def test_batch_statistics_are_exact_far_from_zero() -> None:
    x = draw(4, 16, 8, 8, dtype=torch.float32).abs() + 1000
    stage = make_stage(16, 16, 3, 1, 1, torch.float32)
    branch = Branch(x, [with_kernels(stage, stage.depthwise, stage.pointwise)])
    double = Stage(stage.depthwise.double(), stage.pointwise.double(), 1, 1, 1, None, None, 0.1, stage.eps)
    exact = apply_branch(Branch(x.double(), [double]), True)
    ours = native.mixed_node([branch], [], torch.ones(1), training=True)
    plain = apply_branch(Branch(x, [with_kernels(stage, stage.depthwise, stage.pointwise)]), True)
    assert relative(ours.double(), exact) < max(2 * relative(plain.double(), exact), 1e-5)


def test_mixed_node_propagates_nan() -> None:
    sources, chains, extras = darts_node((2, 16, 6, 6), 16, 1, torch.float32, 1)
    sources[0][0, 4, 3, 3] = float("nan")
    weights = torch.ones(len(chains) + 2)
    results, running = run_node(
        lambda b, t, w: native.mixed_node(b, t, w, training=True), sources, chains, extras, weights
    )
    expected, expected_running = run_node(plain_node, sources, chains, extras, weights)
    assert results[0].isnan().all()
    assert expected[0].isnan().all()
    for a, b in zip([*results, *running], [*expected, *expected_running], strict=True):
        assert torch.equal(a.isnan(), b.isnan())


def test_only_the_wanted_gradients_are_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    sources, chains, extras = darts_node((2, 16, 6, 6), 16, 1, torch.float64, 1)
    alphas = draw(len(chains) + 2, dtype=torch.float64).requires_grad_()
    scale = torch.ones((), dtype=torch.float64, requires_grad=True)
    kernels = [value.requires_grad_() for _, chain in chains for s in chain for value in (s.depthwise, s.pointwise)]
    asked: list[tuple] = []
    real = torch.ops.naslib_native.mixed_node_backward

    class Spy:
        def __getattr__(self, name: str) -> object:
            def spy(*arguments: object) -> object:
                asked.append(arguments[-4:])
                return real(*arguments)

            return spy if name == "mixed_node_backward" else getattr(original, name)

    original = torch.ops.naslib_native
    monkeypatch.setattr(torch.ops, "naslib_native", Spy(), raising=False)

    def loss() -> Tensor:
        branches = [Branch(source, stages) for source, stages in ((sources[0] * scale, chain) for _, chain in chains)]
        return native.mixed_node(branches, extras, alphas.softmax(0), training=True).pow(3).sum()

    torch.autograd.grad(loss(), [alphas])
    _, need_parameters, need_extras, need_weights = asked[-1]
    assert (need_parameters, need_extras, need_weights) == (False, [False, False], True)
    assert not any(asked[-1][0])
    torch.autograd.grad(loss(), [alphas, scale])
    assert all(asked[-1][0])
    assert asked[-1][1] is False
    torch.autograd.grad(loss(), kernels)
    assert asked[-1][1] is True
    loss().backward()
    assert asked[-1][1] is True
    assert alphas.grad is not None
    assert all(kernel.grad is not None for kernel in kernels)


def test_torch_func_and_forward_mode_take_the_pytorch_path() -> None:
    x, w = draw(1, 16, 5, 5, dtype=torch.float64), draw(16, 1, 3, 3, dtype=torch.float64)

    def loss(w: Tensor) -> Tensor:
        return native.relu_depthwise(x, w, 1, 1, 1).pow(3).sum()

    def expected(w: Tensor) -> Tensor:
        return reference_depthwise(x, w, 1, 1, 1).pow(3).sum()

    v = draw(16, 1, 3, 3, dtype=torch.float64, seed=3)
    torch.testing.assert_close(torch.func.grad(loss)(w), torch.func.grad(expected)(w))
    product = torch.func.jvp(torch.func.grad(loss), (w,), (v,))[1]
    torch.testing.assert_close(product, torch.func.jvp(torch.func.grad(expected), (w,), (v,))[1])


def test_second_derivative_is_refused_clearly() -> None:
    x = draw(1, 16, 5, 5, dtype=torch.float64).requires_grad_()
    w = draw(16, 1, 3, 3, dtype=torch.float64).requires_grad_()
    (grad,) = torch.autograd.grad(native.relu_depthwise(x, w, 1, 1, 1).pow(3).sum(), w, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.sum().backward()


def test_what_is_not_accepted_takes_the_pytorch_path() -> None:
    x, w = draw(2, 16, 9, 9, dtype=torch.float32), draw(16, 1, 3, 3, dtype=torch.float32)
    assert accepts(x, w, stride=1, padding=1, dilation=1)
    refused = [
        (x.bfloat16(), w.bfloat16(), 1, 1, 1), (x, w, 3, 1, 1), (x, w, 1, 3, 3), (x, w, 1, 4, 1),
        (x, w[..., :2, :2], 1, 1, 1), (x, w[..., :1], 1, 1, 1), (x.double(), w.double(), 1, 4, 1), (x[:0], w, 1, 1, 1),
    ]  # fmt: skip
    for a, b, *geometry in refused:
        assert not accepts(a, b, stride=geometry[0], padding=geometry[1], dilation=geometry[2])
        torch.testing.assert_close(native.relu_depthwise(a, b, *geometry), reference_depthwise(a, b, *geometry))
    assert not accepts(x.to("meta"), w.to("meta"), stride=1, padding=1, dilation=1)
    with torch.autocast("cpu", torch.bfloat16):
        assert native.relu_depthwise(x, w, 1, 1, 1).dtype == torch.bfloat16


def test_one_value_per_channel_raises_as_pytorch_does() -> None:
    stage = make_stage(16, 16, 3, 1, 1, torch.float32)
    branch = Branch(draw(1, 16, 1, 1, dtype=torch.float32), [stage])
    assert not accepts_node([branch], [], True)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        native.mixed_node([branch], [], torch.ones(1), training=True)
    assert native.mixed_node([branch], [], torch.ones(1), training=False).isfinite().all()


def test_gradcheck_of_a_node() -> None:
    sources, chains, extras = darts_node((2, 2, 3, 4), 3, 2, torch.float64, 1)
    flat = [*sources, *extras, draw(len(chains) + 2, dtype=torch.float64)]

    def function(source: Tensor, a: Tensor, b: Tensor, weights: Tensor) -> Tensor:
        return native.mixed_node([Branch(source, s) for _, s in chains], [a, b], weights, training=False)

    assert torch.autograd.gradcheck(function, [value.requires_grad_() for value in flat], fast_mode=True)
