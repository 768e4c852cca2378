"""Published networks: as many parameters as the model zoos count, the codes they have, and torchvision's outputs."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision import models

from naslib.errors import UnknownNameError
from naslib.registry.catalogue import PUBLISHED
from naslib.search_spaces import published

# With 1,000 classes
PARAMETERS = {
    "efficientnet-b0": 5_288_548,
    "fbnet-c": 5_572_200,
    "mnasnet-a1": 3_887_038,
    "mnasnet-b1": 4_383_312,
    "mobilenetv2": 3_504_872,
    "mobilenetv3-large": 5_483_032,
    "mobilenetv3-small": 2_542_856,
    "proxylessnas-cpu": 4_361_648,
    "proxylessnas-gpu": 7_119_848,
    "proxylessnas-mobile": 4_080_512,
    "proxylessnas-mobile-14": 6_857_568,
}
TORCHVISION = {
    "mobilenetv2": models.mobilenet_v2,
    "mobilenetv3-large": models.mobilenet_v3_large,
    "mobilenetv3-small": models.mobilenet_v3_small,
    "efficientnet-b0": models.efficientnet_b0,
    "mnasnet-b1": models.mnasnet1_0,
}


def test_all_of_them_are_counted() -> None:
    assert set(PUBLISHED.names()) >= set(PARAMETERS)
    with pytest.raises(UnknownNameError, match="did you mean 'proxylessnas-cpu'"):
        published("proxylessnas-cpus")


@pytest.mark.parametrize("name", sorted(PARAMETERS))
def test_a_published_network_has_the_parameters_that_it_is_known_for(name: str) -> None:
    with torch.device("meta"):
        network = published(name)
    assert network.is_parsed and sum(parameter.numel() for parameter in network.parameters()) == PARAMETERS[name]
    network.check_image_size(224)
    if network.codec is not None:
        assert network.codec.canonical(network.genotype()) == network.get_code()


def test_a_published_network_is_built_for_other_data() -> None:
    with torch.device("meta"):
        network = published("proxylessnas-gpu", n_classes=10, in_channels=1, image_size=128, stem_stride=1)
    # 1,728 features and 40 channels of the stem
    fewer = (1728 + 1) * 990 + 40 * 9 * 2
    assert sum(parameter.numel() for parameter in network.parameters()) == PARAMETERS["proxylessnas-gpu"] - fewer


@pytest.mark.parametrize("name", sorted(TORCHVISION))
@torch.no_grad()
def test_a_published_network_computes_what_that_of_torchvision_does(name: str) -> None:
    theirs, ours = TORCHVISION[name](num_classes=7).double(), published(name, n_classes=7).double()
    generator = torch.Generator().manual_seed(0)
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5, generator=generator)
            nn.init.normal_(module.bias, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
            module.running_mean.normal_(generator=generator)
    pairs = list(zip(_layers(ours), _layers(theirs), strict=True))
    for mine, other in pairs:
        for value, given in zip(mine.state_dict().values(), other.state_dict().values(), strict=True):
            value.copy_(given.reshape(value.shape))  # a 1x1 convolution of the means is a linear layer there
        if isinstance(mine, nn.BatchNorm2d):
            assert name == "mnasnet-b1" or mine.momentum == other.momentum
            assert mine.eps == other.eps
    x = torch.randn(2, 3, 64, 64, dtype=torch.float64, generator=generator)
    expected = theirs.eval()(x)
    assert expected.std() > 1e-3
    torch.testing.assert_close(ours.eval()(x), expected, rtol=1e-10, atol=1e-10)


def _layers(network: nn.Module) -> list[nn.Module]:
    """Return the layers with weights in the order in which they run."""
    found: list[nn.Module] = []
    kinds = (nn.Conv2d, nn.BatchNorm2d, nn.Linear)
    layers = [module for module in network.modules() if isinstance(module, kinds)]
    hooks = [layer.register_forward_hook(lambda module, *_: found.append(module)) for layer in layers]
    network.eval()(torch.zeros(1, 3, 32, 32, dtype=torch.float64))
    for hook in hooks:
        hook.remove()
    return found
