"""Networks that nobody wrote for this: torchvision's, and those of our spaces."""

from __future__ import annotations

import pytest
import torch
from morphism_networks import largest_difference, with_random_statistics
from torch import nn
from torchvision import models

from naslib.morphism import deepen, deepenable, widen, widenable
from naslib.search_spaces import NasBench201SearchSpace, NasBench301SearchSpace
from naslib.search_spaces.core.fresh_network import fresh_network

IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def _darts() -> nn.Module:
    space = NasBench301SearchSpace(n_classes=10)
    architecture = space.clone()
    torch.manual_seed(0)
    architecture.sample_random_architecture()
    return fresh_network(space, architecture.get_hash(), {"cells": 3, "channels": 4, "auxiliary": True})


def _vgg() -> nn.Module:
    """As torchvision's, with fewer channels: 16 channels of 7x7 pixels are flattened."""
    network = models.VGG(models.vgg.make_layers([8, "M", 16, "M", 16], batch_norm=True), init_weights=False)
    network.classifier = nn.Sequential(nn.Linear(784, 20), nn.ReLU(True), nn.Dropout(), nn.Linear(20, 10))
    return network


NETWORKS = {
    "resnet18": lambda: models.resnet18(num_classes=10),
    "vgg": _vgg,
    "densenet": lambda: models.DenseNet(8, (2, 3, 2), 16, num_classes=10),
    "mobilenet_v2": lambda: models.mobilenet_v2(num_classes=10, width_mult=0.25),
    "nasbench201": lambda: fresh_network(NasBench201SearchSpace(channels=4, cells_per_stage=1), (2, 3, 0, 2, 4, 2)),
    "darts": _darts,
}


def _network(name: str) -> nn.Module:
    torch.manual_seed(0)
    return with_random_statistics(NETWORKS[name]()).double()


def _groups(name: str, network: nn.Module) -> list[tuple[str, int]]:
    """Return one layer of each set that is widened together, with a width."""
    found = widenable(network, IMAGES)
    assert [layer for layer, row in found.items() if row.reason is not None] == [list(found)[-1]], name
    seen: set[str] = set()
    groups = []
    for layer, row in found.items():
        if row.reason is None and layer not in seen:
            seen |= {layer, *row.together}
            groups.append((layer, row.width + 3 * row.step))
    return groups


# Of ResNet-18: the channels that each of 4 stages adds up, and the inner ones of each of 8 blocks. Of MobileNetV2: 16
# blocks that expand, 6 stages (the first adds to the stem at this width), stem and last convolution. Of NAS-Bench-201:
# 3 stages, 2 inner convolutions of residual blocks, and per cell the edge (1,2), which the average pool alone reads.
_SETS = {"resnet18": 12, "vgg": 4, "densenet": 17, "mobilenet_v2": 24, "nasbench201": 8, "darts": None}


@pytest.mark.parametrize("name", NETWORKS)
def test_some_layers(name: str):
    network = _network(name)
    groups = _groups(name, network)
    assert _SETS[name] is None or len(groups) == _SETS[name]
    layer, width = groups[0]
    assert largest_difference(network, widen(network, layer, width, inputs=IMAGES), IMAGES) < 1e-9, layer
    deep = [layer for layer, row in deepenable(network, IMAGES).items() if row.reason is None]
    assert deep or name == "nasbench201"
    place = {"place": "before"} if name == "nasbench201" else {}
    layer = deep[0] if deep else groups[1][0]
    assert largest_difference(network, deepen(network, layer, inputs=IMAGES, **place), IMAGES) < 1e-9, layer


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer(name: str):
    network = _network(name)
    for layer, width in _groups(name, network):
        assert largest_difference(network, widen(network, layer, width, inputs=IMAGES), IMAGES) < 1e-9, layer
    for layer, row in deepenable(network, IMAGES).items():
        if row.reason is None:
            assert largest_difference(network, deepen(network, layer, inputs=IMAGES), IMAGES) < 1e-9, layer


def test_a_sequence_of_both_on_resnet18():
    network = _network("resnet18")
    new = network
    for step in (
        lambda n: widen(n, "layer1.0.conv1", 80, inputs=IMAGES),
        lambda n: deepen(n, "layer1.0.conv1", inputs=IMAGES),
        lambda n: widen(n, "layer1.0.bn1.conv", 96, inputs=IMAGES),
        lambda n: widen(n, "conv1", 72, inputs=IMAGES),
    ):
        new = step(new)
    assert largest_difference(network, new, IMAGES) < 1e-9
    assert new.layer1[1].conv2.out_channels == 72 and new.layer2[0].downsample[0].in_channels == 72
