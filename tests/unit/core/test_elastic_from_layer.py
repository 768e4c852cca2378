"""Elastic layers with the weights of torch's own."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from naslib.errors import ConfigError
from naslib.search_spaces.core.assignment import Assignment, assigned
from naslib.search_spaces.core.elastic import Value, elastic

KERNEL, WIDTH = Value((3, 5), "kernel"), Value((2, 4), "width")
LAYERS = [
    (nn.Conv2d(4, 8, 5, stride=2, padding=4, dilation=2, bias=False), {"kernel_size": KERNEL, "in_channels": WIDTH}),
    (nn.Conv2d(4, 4, 3, padding=1, groups=4), {"in_channels": WIDTH, "out_channels": WIDTH, "groups": WIDTH}),
    (nn.BatchNorm2d(4, momentum=None), {"num_features": WIDTH}),
    (nn.BatchNorm2d(4, affine=False, track_running_stats=False), {"num_features": WIDTH}),
    (nn.Linear(4, 3), {"in_features": WIDTH}),
    (nn.LayerNorm(4, bias=False), {"normalized_shape": WIDTH}),
    (nn.Embedding(7, 4, padding_idx=1), {"embedding_dim": WIDTH}),
]


def _input(layer: nn.Module) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    if isinstance(layer, nn.Embedding):
        return torch.tensor([0, 1, 6])
    shape = (2, 4, 9, 9) if isinstance(layer, nn.Conv2d | nn.BatchNorm2d) else (2, 4)
    return torch.randn(shape, generator=generator)


@pytest.mark.parametrize(("layer", "sizes"), LAYERS, ids=lambda value: type(value).__name__)
def test_the_largest_is_the_layer_and_what_is_extracted_from_it(layer: nn.Module, sizes: dict):
    layer = copy.deepcopy(layer).train()
    made = elastic(copy.deepcopy(layer), **sizes)
    x = _input(layer)
    for _ in range(2):
        assert torch.equal(made(x), layer(x))
    layer.eval(), made.eval()
    assert torch.equal(made(x), layer(x))
    plain = made.extract()
    assert type(plain) is type(layer) and repr(plain) == repr(layer)
    assert {name: value.shape for name, value in plain.state_dict().items()} == {
        name: value.shape for name, value in layer.state_dict().items()
    }
    assert all(torch.equal(value, layer.state_dict()[name]) for name, value in plain.state_dict().items())


def test_a_smaller_one_has_a_part_of_the_weights():
    conv = nn.Conv2d(6, 8, 7, padding=3)
    made = elastic(conv, out_channels=WIDTH, kernel_size=KERNEL)
    assert torch.equal(made.weight, conv.weight[:4, :, 1:6, 1:6]) and torch.equal(made.bias, conv.bias[:4])
    assert made.padding == (2, 2)
    with assigned(Assignment({"kernel": 0, "width": 0})):
        assert torch.equal(made.extract().weight, conv.weight[:2, :, 2:5, 2:5])


@pytest.mark.parametrize(
    ("layer", "sizes", "message"),
    [
        (nn.Linear(3, 3), {"in_features": WIDTH}, "in_features = width can be 4, and Linear has 3"),
        (nn.Conv2d(4, 4, 3, padding=1), {"kernel_size": KERNEL}, "kernel_size = kernel can be 5, and Conv2d has 3"),
        (nn.Linear(4, 4), {"in_channels": WIDTH}, "the sizes in_features, out_features, not 'in_channels'"),
        (nn.Conv1d(4, 4, 3), {}, "Conv1d has no elastic layer; there is one for Conv2d, BatchNorm2d"),
        (nn.Conv2d(4, 4, (3, 1)), {}, "an elastic convolution is square"),
        (nn.Conv2d(4, 4, 3, padding="same"), {}, "an elastic convolution is square"),
        (nn.Conv2d(4, 4, 3, padding_mode="reflect"), {}, "an elastic convolution is square"),
        (nn.LayerNorm((2, 4)), {}, "the last axis"),
        (nn.Embedding(4, 4, max_norm=1.0), {}, "no max_norm"),
    ],
)
def test_what_does_not_become_elastic(layer: nn.Module, sizes: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        elastic(layer, **sizes)
