"""Strided 1x1 convolutions: torch's values in every place, and no heap corruption on an AVX2 processor."""

from __future__ import annotations

import copy
import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from strided_convolutions import NETWORKS, build, channels_of, graph_of
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call, grad, jvp, vmap
from torch.nn import functional as F

from naslib.search_spaces.core.kernels import strided

PROGRAM = Path(__file__).parents[1] / "support" / "strided_convolutions.py"
FORMATS = {"last": torch.channels_last, "first": torch.contiguous_format}
GEOMETRY = [((2, 2), 8, 8), ((2, 2), 7, 9), ((3, 3), 9, 6), ((2, 1), 8, 5), ((1, 2), 5, 8), ((4, 4), 3, 3)]


def _draw(*shape: int, layout: str = "last", dtype: torch.dtype = torch.float64) -> Tensor:
    x = torch.randn(shape, dtype=dtype)
    return x.contiguous(memory_format=FORMATS[layout]) if len(shape) == 4 else x


def _tensors(bias: bool, layout: str = "last", channels: int = 4, size: tuple[int, int] = (8, 8)) -> list[Tensor]:
    torch.manual_seed(0)
    tensors = [_draw(3, channels, *size, layout=layout), _draw(5, channels, 1, 1, layout=layout)]
    return tensors + ([_draw(5)] if bias else [])


def _ours(stride: int | tuple[int, int]):
    def run(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        with strided.StridedConvolutions():
            return F.conv2d(x, weight, bias, stride)

    return run


def _theirs(stride: int | tuple[int, int]):
    return lambda x, weight, bias=None: F.conv2d(x, weight, bias, stride)


def test_an_avx2_processor_survives_every_network():
    # what oneDNN would choose on such a processor; where there is no AVX2 it runs all the same
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2", "MALLOC_CHECK_": "3", "OMP_NUM_THREADS": "1"}
    try:
        ctypes.CDLL("libc_malloc_debug.so.0")
        environment["LD_PRELOAD"] = "libc_malloc_debug.so.0"  # glibc's checks of the heap: it dies at once
    except OSError:
        pass
    command = [sys.executable, str(PROGRAM), *NETWORKS, "search"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stdout.split()[-1]) == (0, "fine"), done.stdout + done.stderr


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_has_torchs_values(name: str, monkeypatch: pytest.MonkeyPatch):
    torch.manual_seed(0)
    network = build(name).double().to(memory_format=torch.channels_last)
    x = _draw(3, channels_of(network), 8, 8)

    def outcome() -> list[Tensor]:
        source = x.clone().requires_grad_()
        network.zero_grad()
        out = network(source)
        out.square().sum().backward()
        return [out.detach(), source.grad, *(p.grad for p in network.parameters() if p.grad is not None)]

    calls: list[int] = []
    convolution = strided.convolution
    monkeypatch.setattr(strided, "convolution", lambda *args: (calls.append(1), convolution(*args))[1])
    found = outcome()
    assert calls  # it took the way that is safe
    monkeypatch.setattr(strided, "accepts", lambda *args: False)
    expected = outcome()
    assert len(found) == len(expected) > 1
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("layout", FORMATS)
@pytest.mark.parametrize(("stride", "height", "width"), GEOMETRY)
def test_output_gradients_and_layout(stride: tuple[int, int], height: int, width: int, layout: str, bias: bool):
    inputs = [t.requires_grad_() for t in _tensors(bias, layout, size=(height, width))]
    ours, theirs = _ours(stride)(*inputs), _theirs(stride)(*inputs)
    assert ours.is_contiguous(memory_format=FORMATS[layout])
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
    g = torch.randn_like(theirs)
    found = torch.autograd.grad(ours, inputs, g)
    torch.testing.assert_close(found, torch.autograd.grad(theirs, inputs, g), rtol=0, atol=1e-11)
    assert found[0].is_contiguous(memory_format=FORMATS[layout])


@pytest.mark.parametrize("channels", [1, 3])
def test_second_derivatives(channels: int):
    inputs = tuple(t.requires_grad_() for t in _tensors(True, channels=channels, size=(4, 5)))
    assert torch.autograd.gradgradcheck(_ours(2), inputs)

    def curvature(run):
        loss = run(*inputs).pow(3).sum()
        first = torch.autograd.grad(loss, inputs, create_graph=True)
        return torch.autograd.grad(sum(g.square().sum() for g in first), inputs)

    torch.testing.assert_close(curvature(_ours(2)), curvature(_theirs(2)), rtol=1e-11, atol=1e-9)


def test_forward_mode_and_transforms():
    inputs = tuple(_tensors(True))
    tangents = tuple(torch.randn_like(t) for t in inputs)
    torch.testing.assert_close(jvp(_ours(2), inputs, tangents), jvp(_theirs(2), inputs, tangents))
    with forward_ad.dual_level():
        duals = [forward_ad.make_dual(t.requires_grad_(), v) for t, v in zip(inputs, tangents, strict=True)]
        found, expected = (forward_ad.unpack_dual(run(2)(*duals)).tangent for run in (_ours, _theirs))
    torch.testing.assert_close(found, expected)

    def loss(run):
        return lambda weight, x: run(2)(x, weight).pow(3).sum()

    images = torch.randn(6, 2, 4, 8, 8, dtype=torch.float64)
    weight = inputs[1].detach()
    each = [vmap(grad(loss(run)), (None, 0))(weight, images) for run in (_ours, _theirs)]
    torch.testing.assert_close(*each)


def test_functional_weights_reach_the_convolution():
    graph = build("conv").double()
    x = _draw(2, 4, 8, 8)
    [(name, value)] = graph.named_parameters()
    torch.testing.assert_close(functional_call(graph, {name: value * 2}, (x,)), 2 * graph(x))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, w: (x[:, :3], w), "expected input"),
        (lambda x, w: (x.float(), w), "same type|should be the same|dtype"),
        (lambda x, w: (x[0, 0], w), "Expected 3D"),
    ],
)
def test_torchs_errors_stay(change, message: str):
    with pytest.raises(RuntimeError, match=message):
        _ours(2)(*change(*_tensors(False)))


def test_other_convolutions_are_torchs(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(strided, "convolution", None)
    x = torch.randn(2, 4, 9, 9)
    for conv in (
        nn.Conv2d(4, 4, 1),
        nn.Conv2d(4, 4, 3, stride=2),
        nn.Conv2d(4, 4, 1, stride=2, padding=1),
        nn.Conv2d(4, 4, 1, stride=2, groups=2),
    ):
        torch.testing.assert_close(strided.call(nn.Sequential(conv), x), conv(x), rtol=0, atol=0)
    assert strided.call(nn.Conv2d(4, 4, 1, stride=2), x[0]).shape == (4, 5, 5)


def test_autocast_gives_its_type():
    graph = graph_of(nn.Conv2d(4, 4, 1, stride=2)).to(memory_format=torch.channels_last)
    x = _draw(2, 4, 8, 8, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        out = graph(x)
        expected = graph.edges[2, 3].op(x)
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out, expected)


def test_what_a_user_sees_does_not_change():
    conv = nn.Conv2d(4, 4, 1, stride=2)
    seen: list[tuple[int, ...]] = []
    conv.register_forward_hook(lambda module, inputs, output: seen.append(tuple(output.shape)))
    graph = graph_of(nn.Sequential(conv))
    graph.parse()
    twin = copy.deepcopy(graph)
    graph(torch.randn(2, 4, 8, 8))
    assert seen == [(2, 4, 4, 4)]
    assert type(graph.edges[2, 3].op[0]) is nn.Conv2d and set(vars(conv)) == set(vars(nn.Conv2d(4, 4, 1)))
    assert list(twin.state_dict()) == list(graph.state_dict())
    exported = torch.export.export(graph_of(nn.Sequential(nn.Conv2d(4, 4, 1, stride=2))), (torch.randn(2, 4, 8, 8),))
    called = [node.target for node in exported.graph.nodes if node.op == "call_function"]
    assert called == [torch.ops.aten.conv2d.default]


@pytest.mark.parametrize("name", ["conv", "sequential", "combination", "mixture", "factorized_reduce"])
def test_compiled_networks(name: str):
    torch._dynamo.reset()
    torch.manual_seed(0)
    network = build(name).double()
    x = _draw(3, 4, 8, 8)
    seen: list[torch.fx.GraphModule] = []

    def backend(module: torch.fx.GraphModule, inputs):
        seen.append(module)
        return module

    out = torch.compile(network, fullgraph=True, backend=backend)(x)
    torch.testing.assert_close(out, network(x))
    convolutions = [node for node in seen[0].graph.nodes if node.target is torch.conv2d]
    assert convolutions and all(_stride(node) in (1, (1, 1)) for node in convolutions)


def _stride(node: torch.fx.Node) -> object:
    return node.kwargs.get("stride", node.args[3] if len(node.args) > 3 else 1)
