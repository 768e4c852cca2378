"""int8: the arithmetic by hand, batch norms folded, and every number of a weight within half a step."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, fx, nn

from naslib.errors import ExportError
from naslib.export.pt2 import program_of
from naslib.export.quantization import quantize


def _buffers(module: nn.Module) -> dict[str, Tensor]:
    return dict(module.named_buffers())


def _levels(module: fx.GraphModule) -> list[tuple[float, int]]:
    """Return step and zero of every rounding: clamp(round(x / step), -zero, 255 - zero) * step."""
    clamps = [node for node in module.graph.nodes if node.target is torch.ops.aten.clamp.default]
    return [(next(iter(node.users)).args[1], -node.args[1]) for node in clamps]


@torch.no_grad()
def test_a_linear_layer_by_hand() -> None:
    layer = nn.Linear(3, 2).requires_grad_(False)
    layer.weight.copy_(torch.tensor([[1.0, -0.5, 0.25], [0.1, 0.2, 0.127]]))
    layer.bias.copy_(torch.tensor([0.5, -0.5]))
    inputs = torch.tensor([[0.0, 1.0, 2.55], [1.0, 1.0, 1.0]])
    small = quantize(program_of(layer, inputs), [inputs])
    assert (small.layers, small.stored) == (1, 0)
    buffers = _buffers(small.module)
    # per output: round(w * 127 / max |w|)
    assert buffers["_weight_0_int8"].tolist() == [[127, -64, 32], [64, 127, 81]]
    torch.testing.assert_close(buffers["_weight_0_scale"], torch.tensor([1 / 127, 0.2 / 127]))
    weight = buffers["_weight_0_int8"].float() * buffers["_weight_0_scale"][:, None]
    (scale, zero) = _levels(small.module)[0]
    assert 2.55 / 255 * 0.9 < scale < 2.55 / 255 * 1.01 and zero == 0
    rounded = ((inputs / scale).round() + zero).clamp(0, 255).sub(zero) * scale
    torch.testing.assert_close(small.module(inputs), rounded @ weight.t() + layer.bias, rtol=0, atol=1e-5)


@torch.no_grad()
def test_inputs_are_rounded_to_256_levels_of_what_was_seen() -> None:
    layer = nn.Linear(1, 1, bias=False).requires_grad_(False)
    layer.weight.fill_(1.0)
    seen = torch.rand(4096, 1, generator=torch.Generator().manual_seed(0)) * 2.55 - 1
    small = quantize(program_of(layer, seen[:2]), [seen])
    scale, zero = _levels(small.module)[0]
    assert scale == pytest.approx(0.01, rel=0.05) and zero == pytest.approx(100, abs=4)
    inputs = torch.tensor([[0.0], [0.4 * scale], [0.6 * scale], [-5.0], [5.0]])
    expected = torch.tensor([[0.0], [0.0], [scale], [-zero * scale], [(255 - zero) * scale]])
    torch.testing.assert_close(small.module(inputs), expected, rtol=0, atol=1e-5)


@torch.no_grad()
def test_norms_are_folded_into_convolutions() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, groups=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=8),
        nn.BatchNorm2d(8, affine=False), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4),
    ).requires_grad_(False)  # fmt: skip
    for norm in (network[1], network[4]):
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
    network[1].weight.uniform_(0.5, 2)
    network[1].bias.normal_()
    network.eval()
    inputs = torch.randn(64, 3, 6, 6)
    small = quantize(program_of(network, inputs[:2]), [inputs])
    assert small.layers == 3
    assert not any("batch_norm" in str(node.target) for node in small.module.graph.nodes)
    expected = network(inputs)
    assert 0 < float((small.module(inputs) - expected).abs().max()) < 0.03 * float(expected.abs().max())
    # the depthwise convolution: its folded weight by hand, within half a step of its own scale
    factor = (network[4].running_var + network[4].eps).rsqrt()
    folded = network[3].weight * factor.view(-1, 1, 1, 1)
    buffers = _buffers(small.module)
    scale = buffers["_weight_1_scale"].view(-1, 1, 1, 1)
    assert bool(((buffers["_weight_1_int8"].float() * scale - folded).abs() <= scale / 2 + 1e-7).all())
    floats = [value for value in small.module.state_dict().values() if value.is_floating_point()]
    assert all(value.dim() == 1 for value in floats)  # scales and biases alone


class Tied(nn.Module):
    """A language model whose table of embeddings is its output layer."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(11, 6)
        self.cell = nn.LSTM(6, 6, batch_first=True)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return `(n, t, 11)` logits of `(n, t)` tokens."""
        return self.cell(self.table(tokens))[0] @ self.table.weight.t()


@torch.no_grad()
@pytest.mark.filterwarnings("ignore:The tensor attributes .*lstm")
def test_tables_and_recurrent_weights_are_stored_in_8_bits() -> None:
    torch.manual_seed(0)
    network = Tied().eval().requires_grad_(False)
    tokens = torch.randint(11, (16, 5))
    small = quantize(program_of(network, tokens[:2]), [tokens])
    bits = [value for value in _buffers(small.module).values() if value.dtype == torch.int8]
    assert small.stored == 3 and {tuple(value.shape) for value in bits} >= {(11, 6), (24, 6)}
    expected = network(tokens)
    assert float((small.module(tokens) - expected).abs().max()) < 0.05 * float(expected.abs().max())


def test_what_has_no_layer_is_refused() -> None:
    pool = nn.AdaptiveAvgPool2d(1)
    program = program_of(pool, torch.zeros(2, 1, 4, 4))
    with pytest.raises(ExportError, match="no convolution, linear layer or table"):
        quantize(program, [torch.zeros(2, 1, 4, 4)])
    layer = nn.Linear(2, 2).requires_grad_(False)
    with pytest.raises(ExportError, match="no inputs to calibrate on"):
        quantize(program_of(layer, torch.zeros(2, 2)), [])
