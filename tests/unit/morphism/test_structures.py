"""Everything that units can meet between the layer that makes them and those that read them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from morphism_networks import (
    IMAGES,
    Dense,
    Halves,
    Residual,
    Shuffle,
    Squeeze,
    Twice,
    image_network,
    largest_difference,
    with_random_statistics,
)
from torch import nn

from naslib.errors import MorphismError
from naslib.morphism import deepen, deepenable, widen, widenable

# Name -> network, and of the layers that can be widened the step, for those where it is not 1
NETWORKS: dict[str, tuple[Callable[[], nn.Module], dict[str, int]]] = {
    "residual": (lambda: image_network(Residual(8), Residual(8)), {}),
    "dense": (lambda: image_network(Dense(8, 4), nn.Conv2d(20, 8, 1)), {}),
    "depthwise": (lambda: image_network(nn.Conv2d(8, 8, 3, groups=8), nn.BatchNorm2d(8)), {}),
    "depthwise_twofold": (
        lambda: image_network(nn.Conv2d(8, 16, 3, groups=8), nn.PReLU(16), out=16),
        {"0": 8, "3": 8},
    ),
    "groups": (
        lambda: image_network(nn.Conv2d(8, 12, 3, groups=4), nn.ReLU6(), nn.Conv2d(12, 6, 1, groups=2), out=6),
        {"0": 4, "3": 4, "5": 2},
    ),
    "squeeze": (lambda: image_network(Squeeze(8)), {}),
    "shuffle": (lambda: image_network(Shuffle(), nn.Conv2d(8, 8, 1, groups=2), Shuffle()), {"0": 4, "4": 2}),
    "shuffled_by_torch": (lambda: image_network(nn.ChannelShuffle(2), nn.Conv2d(8, 8, 1, groups=2)), {"0": 4, "4": 2}),
    "halves": (lambda: image_network(nn.Conv2d(8, 12, 1), Halves(), nn.ELU(), out=6), {"3": 2}),
    "twice": (lambda: image_network(Twice(8)), {}),
    "transposed": (lambda: image_network(nn.ConvTranspose2d(8, 6, 3, stride=2), nn.Hardswish(), out=6), {}),
    "group_norm": (lambda: image_network(nn.Conv2d(8, 6, 3), nn.GroupNorm(3, 6), nn.GELU(), out=6), {"3": 6}),
    "bare_norm": (lambda: image_network(nn.BatchNorm2d(8, affine=False), nn.AvgPool2d(3, 1, padding=1)), {}),
    "padding": (lambda: image_network(nn.ZeroPad2d(2), nn.MaxPool2d(3, 2), nn.Upsample(scale_factor=2)), {}),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_widens_by_its_step(name: str):
    make, steps = NETWORKS[name]
    network = make()
    found = widenable(network)
    ready = {layer: row for layer, row in found.items() if row.reason is None}
    assert len(ready) == len(found) - 1  # all but the last
    for layer, row in ready.items():
        assert row.step == steps.get(layer, 1), layer
        new = widen(network, layer, row.width + 2 * row.step, generator=torch.Generator().manual_seed(5))
        module = new.get_submodule(layer)
        assert getattr(module, "out_channels", None) == row.width + 2 * row.step
        assert largest_difference(network, new, IMAGES) < 1e-12, layer
        assert largest_difference(network, new, IMAGES, training=True) < 1e-10, layer
        again = widenable(new)
        assert again[layer].width == row.width + 2 * row.step and again[layer].reason is None


def test_what_is_added_up_is_widened_together():
    found = widenable(image_network(Residual(8), Residual(8)))
    assert found["0"].together == ("3.b", "4.b") and found["3.a"].together == ()
    new = widen(image_network(Residual(8), Residual(8)), "4.b", 11)
    assert [new.get_submodule(name).out_channels for name in ("0", "3.b", "4.b", "3.a")] == [11, 11, 11, 8]
    assert new.get_submodule("3.norm_b").num_features == 11 and new.get_submodule("7").in_features == 44


def test_a_depthwise_convolution_follows_what_it_reads():
    new = widen(image_network(nn.Conv2d(8, 8, 3, groups=8)), "0", 10)
    conv = new.get_submodule("3")
    assert (conv.groups, conv.in_channels, conv.out_channels, tuple(conv.weight.shape)) == (10, 10, 10, (10, 1, 3, 3))


def test_units_in_groups_have_nearest_choices():
    network = NETWORKS["groups"][0]()
    with pytest.raises(MorphismError, match=r"steps of 4.*nearest choice is 12 or 16"):
        widen(network, "0", 13)
    with pytest.raises(MorphismError, match=r"nearest choice is 12$"):
        widen(network, "0", 9)


class _Block(nn.Module):
    def __init__(self, norm: type[nn.Module] = nn.LayerNorm) -> None:
        super().__init__()
        self.table, self.norm = nn.Embedding(11, 6), norm(6)
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
        self.up, self.down, self.head = nn.Linear(6, 10), nn.Linear(10, 6), nn.Linear(6, 4)

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        x = self.table(words)
        x = x + self.attention(self.norm(x), self.norm(x), self.norm(x), need_weights=False)[0]
        return self.head(x + self.down(torch.nn.functional.gelu(self.up(self.norm(x)))))


def test_of_a_transformer_the_hidden_units_are_widened_and_the_rest_is_refused():
    torch.manual_seed(0)
    network, words = _Block().double(), torch.arange(20).view(2, 10) % 11
    found = widenable(network, words)
    assert {name for name, row in found.items() if row.reason is None} == {"up"}
    assert largest_difference(network, widen(network, "up", 15, inputs=words), words) < 1e-12
    with pytest.raises(MorphismError, match="attention"):
        widen(network, "down", 12, inputs=words)


def test_layer_norm_keeps_its_mean_where_all_units_are_multiplied_alike():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(5, 6), nn.LayerNorm(6), nn.Tanh(), nn.Linear(6, 2)).double()
    with torch.no_grad():
        network[1].weight.normal_()
    rows = torch.randn(3, 5, dtype=torch.float64)
    new = widen(network, "0", 18, inputs=rows)
    assert new[1].normalized_shape == (18,) and largest_difference(network, new, rows) < 1e-12
    with pytest.raises(MorphismError, match="nearest choice is 12"):
        widen(network, "0", 8, inputs=rows)


def test_series_and_volumes():
    torch.manual_seed(0)
    series = with_random_statistics(
        nn.Sequential(nn.Conv1d(2, 4, 3), nn.BatchNorm1d(4), nn.ReLU(), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(28, 3))
    ).double()
    volumes = nn.Sequential(nn.Conv3d(1, 4, 3), nn.ReLU(), nn.AvgPool3d(2), nn.Flatten(), nn.Linear(32, 3)).double()
    for network, inputs in ((series, torch.randn(3, 2, 16)), (volumes, torch.randn(3, 1, 6, 6, 6))):
        inputs = inputs.double()
        for new in (widen(network, "0", 7, inputs=inputs), deepen(network, "0", inputs=inputs)):
            assert largest_difference(network, new, inputs) < 1e-12


@pytest.mark.parametrize("name", ["residual", "dense", "twice", "groups", "transposed"])
def test_layers_are_put_behind_every_relu_and_before_every_reader_of_one(name: str):
    network = NETWORKS[name][0]()
    made = 0
    for place in ("after", "before"):
        for layer in deepenable(network):
            try:
                new = deepen(network, layer, place=place, inputs=IMAGES)
            except MorphismError as error:
                assert "ReLU" in str(error)
                continue
            made += 1
            assert largest_difference(network, new, IMAGES) < 1e-12, (layer, place)
            assert sum(p.numel() for p in new.parameters()) > sum(p.numel() for p in network.parameters())
    assert made >= 2


def test_without_an_activation_a_layer_can_follow_any():
    network = image_network(Residual(8))
    with pytest.raises(MorphismError, match=r"goes to add in '3'.*activation=None"):
        deepen(network, "3.b", inputs=IMAGES)
    new = deepen(network, "3.b", activation=None, inputs=IMAGES, kernel_size=1)
    assert largest_difference(network, new, IMAGES) < 1e-12
    assert new.get_submodule("3.norm_b.conv").kernel_size == (1, 1)


def test_relu6_is_kept_by_relu6_and_by_relu():
    network = image_network(nn.Conv2d(8, 8, 1), nn.ReLU6())
    for activation in ("relu6", "relu"):
        new = deepen(network, "3", activation=activation, inputs=IMAGES)
        assert largest_difference(network, new, 9 * IMAGES) < 1e-12
    with pytest.raises(MorphismError, match="relu6"):
        deepen(network, "0", activation="relu6", inputs=IMAGES)


def test_rms_norm_is_told_its_size():
    network = nn.Sequential(nn.Linear(5, 4), nn.RMSNorm(4), nn.GELU(), nn.Linear(4, 2)).double()
    torch.nn.init.uniform_(network[1].weight, 0.3, 1.7)
    rows = torch.randn(3, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    new = widen(network, "0", 12, inputs=rows)
    assert tuple(new[1].normalized_shape) == (12,) and largest_difference(network, new, rows) < 1e-12


def test_new_weights_keep_the_order_in_memory_and_the_type_of_numbers():
    network = image_network(nn.Conv2d(8, 8, 3)).to(memory_format=torch.channels_last)
    wide = widen(network, "0", 11)
    assert all(wide.get_submodule(name).weight.is_contiguous(memory_format=torch.channels_last) for name in ("0", "3"))
    after = next(name for name, module in network.named_modules() if isinstance(module, nn.ReLU))
    new = deepen(network, after, inputs=IMAGES)  # a module without parameters, in a network of float64
    assert largest_difference(network, new, IMAGES) < 1e-12
