"""Which programs draw random numbers, so that no other runtime repeats them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from naslib.export.onnx_file import _drawing
from naslib.export.pt2 import program_of


class Attends(nn.Module):
    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(x, x, x, dropout_p=self.share)


class AlwaysDrops(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x, 0.5, training=True)


class Noisy(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.randn_like(x)


@pytest.mark.parametrize(
    ("network", "drawn"),
    [
        (nn.LSTM(4, 3, num_layers=2, dropout=0.5, batch_first=True).eval(), []),
        (nn.RReLU().eval(), []),
        (nn.Dropout(0.5).eval(), []),
        (Attends(0.0), []),
        (Attends(0.5), ["aten.scaled_dot_product_attention.default"]),
        (AlwaysDrops(), ["aten.dropout.default"]),
        (Noisy(), ["aten.randn_like.default"]),
    ],
)
def test_what_draws_is_named(network: nn.Module, drawn: list[str]) -> None:
    assert _drawing(program_of(network, torch.zeros(2, 5, 4))) == drawn
