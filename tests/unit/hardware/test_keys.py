"""Keys of latency tables."""

from __future__ import annotations

import pytest
from torch import nn

from naslib.hardware import layer_key, operation_key
from naslib.search_spaces.core import primitives as ops


def test_the_published_form():
    """The keys of the authors' table for a mobile phone, among them those of its first and last layers."""
    block = layer_key("expanded_conv", (112, 112, 16), (56, 56, 24), expand=3, kernel=5, stride=2, idskip=0)
    assert block == "expanded_conv-input:112x112x16-output:56x56x24-expand:3-kernel:5-stride:2-idskip:0"
    assert layer_key("Conv", "224x224x3", [112, 112, 32]) == "Conv-input:224x224x3-output:112x112x32"
    assert layer_key("Logits", (7, 7, 1280), (1000,)) == "Logits-input:7x7x1280-output:1000"


def test_operations_say_what_they_are():
    conv = ops.ReLUConvBN(8, 16, kernel_size=3, stride=2, affine=False)
    expected = "ReLUConvBN-input:32x24x8-output:16x12x16-kernel:3-stride:2"
    assert operation_key(conv, (8, 32, 24), (16, 16, 12)) == expected
    assert operation_key(ops.ReLUConvBN(8, 16, 3, 2), (8, 32, 24), (16, 16, 12)) == expected  # affine: no difference
    dilated = operation_key(ops.DilConv(8, 8, 3, 1, 2, 2), (8, 4, 4), (8, 4, 4))
    assert dilated == "DilConv-input:4x4x8-output:4x4x8-kernel:3-stride:1-dilation:2"
    assert operation_key(ops.Identity(), (6,), (6,)) == "Identity-input:6-output:6"


class Block(ops.AbstractPrimitive):
    def __init__(self, C_in, C_out, expand_ratio, kernel_size, stride, idskip=False):
        super().__init__(locals())


def test_classes_may_go_by_another_name():
    op = Block(16, 24, 3, 5, 2)
    key = operation_key(op, (16, 112, 112), (24, 56, 56), {"Block": "expanded_conv"})
    assert key == "expanded_conv-input:112x112x16-output:56x56x24-expand:3-kernel:5-stride:2-idskip:0"


@pytest.mark.parametrize(
    "other",
    [nn.Sequential(nn.Linear(6, 6), nn.ReLU()), nn.Sequential(nn.Linear(6, 9), nn.Linear(9, 6))],
)
def test_any_module_is_told_by_its_structure(other: nn.Module):
    first = nn.Sequential(nn.Linear(6, 6), nn.Tanh())
    key = operation_key(first, (6,), (6,))
    assert key == operation_key(nn.Sequential(nn.Linear(6, 6), nn.Tanh()), (6,), (6,))
    assert key != operation_key(other, (6,), (6,))
