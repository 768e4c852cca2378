"""The rewrites of dilated depthwise convolutions against torch's own in float64, twice differentiated and forward."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from naslib.search_spaces.core.kernels import depthwise
from naslib.search_spaces.core.kernels.depthwise import Rewrites
from naslib.search_spaces.core.shared_work import Passes, SharedWork

ALL = [Rewrites(flip, phases) for flip in (True, False) for phases in (True, False)]


@pytest.fixture(params=["AVX512", "AVX2"], autouse=True)
def capability(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Choose as on either kind of processor."""
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: request.param)
    return request.param


def _draw(height: int, width: int, kernel: tuple[int, int]) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    x = torch.randn(2, 16, height, width, dtype=torch.float64).to(memory_format=torch.channels_last)
    return x.requires_grad_(), torch.randn(16, 1, *kernel, dtype=torch.float64, requires_grad=True)


def _everything(function: Callable[[Tensor, Tensor], Tensor], x: Tensor, weight: Tensor) -> list[Tensor]:
    """Return the output and derivatives of every kind."""
    generator = torch.Generator().manual_seed(1)
    y = function(x, weight)
    upstream = torch.randn(y.shape, generator=generator, dtype=y.dtype)
    tangents = tuple(torch.randn(t.shape, generator=generator, dtype=t.dtype) for t in (x, weight))
    plain = [*torch.autograd.grad(y, [x, weight], upstream, retain_graph=True)]
    plain += [torch.autograd.grad(y, [t], upstream, retain_graph=True)[0] for t in (x, weight)]
    first = torch.autograd.grad(y, [x, weight], upstream, create_graph=True)
    second = torch.autograd.grad(sum(g.square().sum() for g in first), [x, weight])

    def loss(x: Tensor, weight: Tensor) -> Tensor:
        return function(x, weight).sin().sum()

    value, product = torch.func.jvp(torch.func.grad(loss, argnums=(0, 1)), (x, weight), tangents)
    weights = torch.stack([weight, 2 * weight])
    mapped = torch.func.vmap(torch.func.grad(loss, argnums=1), in_dims=(None, 0))(x, weights)
    return [y, *plain, *first, *second, *value, *product, mapped]


def _compare(ours: list[Tensor], theirs: list[Tensor]) -> None:
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("rewrites", ALL)
@pytest.mark.parametrize(
    ("height", "width", "kernel", "dilation"),
    [
        (6, 8, (3, 3), (2, 2)),
        (8, 4, (5, 5), (2, 2)),
        (5, 6, (3, 3), (2, 2)),
        (18, 18, (3, 5), (2, 2)),
        (6, 6, (4, 4), (2, 2)),
        (6, 6, (3, 3), (1, 1)),
        (6, 6, (3, 3), (2, 1)),
    ],
)
def test_stride_one(height: int, width: int, kernel: tuple[int, int], dilation: tuple[int, int], rewrites: Rewrites):
    x, weight = _draw(height, width, kernel)
    padding = [d * (k - 1) // 2 for d, k in zip(dilation, kernel, strict=True)]
    ours = _everything(lambda x, w: depthwise.depthwise(x, w, dilation, rewrites), x, weight)
    _compare(ours, _everything(lambda x, w: torch.conv2d(x, w, None, 1, padding, dilation, 16), x, weight))


@pytest.mark.parametrize("rewrites", ALL)
@pytest.mark.parametrize(
    ("height", "width", "kernel", "padding"),
    [(8, 8, (3, 3), (2, 2)), (7, 10, (5, 5), (4, 4)), (9, 9, (5, 3), (2, 0)), (9, 12, (4, 4), (2, 2))],
)
def test_stride_two(height: int, width: int, kernel: tuple[int, int], padding: tuple[int, int], rewrites: Rewrites):
    x, weight = _draw(height, width, kernel)
    ours = _everything(lambda x, w: depthwise.subsampled(x, w, padding, rewrites), x, weight)
    _compare(ours, _everything(lambda x, w: torch.conv2d(x, w, None, 2, padding, 2, 16), x, weight))
    y = depthwise.subsampled(x, weight, padding, rewrites)
    assert torch.autograd.grad(y.sum(), x)[0].is_contiguous(memory_format=torch.channels_last)


def _conv(kernel: int, stride: int, padding: int, dilation: int, **kwargs) -> nn.Conv2d:
    settings = {"groups": 16, "bias": False, **kwargs}
    return nn.Conv2d(16, 16, kernel, stride, padding, dilation, **settings)


def test_which_pass_takes_which_convolution(monkeypatch: pytest.MonkeyPatch, capability: str):
    taken: list[str] = []
    for name in ("depthwise", "subsampled", "_phases"):
        function = getattr(depthwise, name)
        monkeypatch.setattr(
            depthwise, name, lambda *args, name=name, function=function: (taken.append(name), function(*args))[1]
        )

    def run(module: nn.Conv2d, size: int = 8, **passes: bool) -> list[str]:
        taken.clear()
        x = torch.randn(2, 16, size, size).to(memory_format=torch.channels_last).requires_grad_()
        y = SharedWork(Passes(**passes)).convolve(module, x)
        torch.testing.assert_close(y, module(x))
        y.sum().backward()
        return list(taken)

    assert run(_conv(3, 1, 2, 2)) == ["depthwise", "_phases", "_phases"]
    assert run(_conv(3, 1, 2, 2), phases=False) == ["depthwise"]
    assert run(_conv(3, 1, 2, 2), phases=False, flip=False) == []
    large = ["depthwise"] if capability == "AVX512" else ["depthwise", "_phases", "_phases"]
    assert run(_conv(5, 1, 4, 2), size=16) == large
    assert run(_conv(3, 1, 1, 1)) == ["depthwise"]
    assert run(_conv(5, 2, 4, 2)) == ["subsampled", "depthwise"]
    assert run(_conv(5, 2, 4, 2), flip=False, phases=False) == ["subsampled"]
    assert run(_conv(5, 2, 4, 2), subsample=False) == []
    for other in (_conv(3, 2, 1, 1), _conv(3, 2, 1, 2), _conv(3, 2, 2, 2, bias=True), _conv(3, 2, 2, 2, groups=8)):
        assert run(other) == []


def test_a_block_under_autocast_has_a_backward():
    """Regression: the backward is outside of autocast, and its rewrite refused a weight of another type."""
    torch.manual_seed(0)
    conv = nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False)
    x = torch.randn(2, 16, 8, 8).to(memory_format=torch.channels_last).requires_grad_()
    work = SharedWork(Passes(), guarded=True)
    gradients = []
    for convolve in (lambda: work.convolve(conv, x), lambda: conv(x)):
        with torch.autocast("cpu", torch.bfloat16):
            y = convolve()
        assert y.dtype == torch.bfloat16
        gradients.append(torch.autograd.grad(y.float().square().sum(), [x, conv.weight]))
    _compare(*gradients)
