"""Plain convolutional networks that grow: sizes, spellings, growth, and networks that take over a function."""

from __future__ import annotations

from random import Random

import pytest
import torch
from torch import nn

from naslib.errors import ArchitectureError, ConfigError, GraphError, MorphismError
from naslib.search_spaces import EASConvNetSearchSpace
from naslib.search_spaces.core.flops import count_macs
from naslib.search_spaces.core.fresh_network import fresh_network
from naslib.search_spaces.eas_cnn.layers import ChainLayer
from naslib.search_spaces.eas_cnn.morphs import growth_of

SMALLEST = "conv-4-3_pool_conv-4-3_pool_conv-4-3_pool_conv-4-3_pool_fc-8"


def space(**sizes) -> EASConvNetSearchSpace:
    return EASConvNetSearchSpace(**{"in_channels": 1, "image_size": 8, "blocks": 2, **sizes})


def chain(*blocks: str):
    """Return a chain of layers such as `8-3 8-3`, of linear ones `16`."""
    return tuple(tuple(ChainLayer(*map(int, word.split("-"))) for word in block.split()) for block in blocks)


def test_the_authors_start_network_has_their_layers_and_710_parameters() -> None:
    """Four convolutions of 4 filters and a linear layer of 8 units: 108 + 3 * 144 + 5 * 8 + 2 * 4 + 32 + 90."""
    made = EASConvNetSearchSpace(image_size=32)
    code = made.codec.growing.start()
    assert made.codec.genotype(code) == SMALLEST
    network = fresh_network(made, code)
    assert sum(parameter.numel() for parameter in network.parameters()) == 108 + 3 * 144 + 4 * 8 + 32 + 16 + 90 == 710
    kinds = [type(module).__name__ for module in made_layers(made, code)]
    block = ["Conv2d", "BatchNorm2d", "ReLU"]
    assert kinds == [*[*block, "MaxPool2d"] * 3, *block, "Mean", "Linear", "BatchNorm1d", "ReLU", "Linear"]
    assert network(torch.randn(2, 3, 32, 32)).shape == (2, 10)


def made_layers(made: EASConvNetSearchSpace, code) -> nn.Sequential:
    graph = made.clone()
    graph.set_spec(code)
    return graph.network()


def test_sizes_are_a_closed_form() -> None:
    made = space(blocks=3, in_channels=2, depth=3, dense=2)
    for seed in range(3):
        code = made.codec.random(Random(seed))
        network = fresh_network(made, code)
        found = made.codec.network_sizes(code, made, (2, 8, 8))
        assert found == (sum(p.numel() for p in network.parameters()), round(count_macs(network, (2, 8, 8)) * 1e6))


def test_the_number_of_architectures() -> None:
    """Sum over depths of (widths * kernels)^depth for each block, and of units^depth."""
    made = space(blocks=2, depth=3, widths=(2, 4), kernels=(1, 3, 5), dense=2, units=(8, 16, 24))
    assert made.decision_space.size() == (6 + 6**2 + 6**3) ** 2 * (3 + 3**2)


def test_strings_are_read_and_written() -> None:
    made = space(blocks=2)
    text = "conv-8-3_conv-8-5_pool_conv-4-1_pool_fc-16_fc-8"
    code = made.codec.canonical(text)
    assert made.codec.genotype(code) == text
    assert made.decision_space.choices(code) == {
        "block_1/depth": 2, "block_1/width_1": 8, "block_1/kernel_1": 3, "block_1/width_2": 8, "block_1/kernel_2": 5,
        "block_2/depth": 1, "block_2/width_1": 4, "block_2/kernel_1": 1,
        "dense/depth": 2, "dense/width_1": 16, "dense/width_2": 8,
    }  # fmt: skip
    assert made.codec.canonical(code) == code == made.codec.canonical({"genotype": text})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("conv-8-3_pool_fc-8", "2 blocks of convolutions and one of linear layers"),
        ("conv-8-3_pool_pool_fc-8", "a layer in each"),
        ("conv-8-3_pool_fc-8_pool_fc-8", "block_2 of .* has layers of another kind"),
        ("conv-8_pool_conv-8-3_pool_fc-8", "conv-FILTERS-KERNEL or fc-UNITS, not 'conv-8'"),
        ("conv-9-3_pool_conv-8-3_pool_fc-8", "'block_1/width_1' chooses 1 of 4, 8"),
        ("conv-8-3_pool_conv-8-3_pool_fc-8" + "_fc-8" * 5, "dense has at most 5 layers here, not 6"),
    ],
)
def test_strings_that_are_none(text: str, said: str) -> None:
    with pytest.raises(ArchitectureError, match=said):
        space().codec.canonical(text)


def test_networks_grow_step_by_step() -> None:
    growing = (codec := space().codec).growing
    code = codec.canonical("conv-4-3_conv-40-5_pool_conv-8-3_pool_fc-72")
    assert growing.words(code) == ("conv-4-3", "conv-40-5", "pool", "conv-8-3", "pool", "fc-72")
    assert growing.widenable(code) == (True, False, False, True, False, True)
    wider = growing.wider(code, (True, True, True, False, True, True))
    assert codec.genotype(wider) == "conv-8-3_conv-40-5_pool_conv-8-3_pool_fc-80"
    assert growing.layers(code) == (2, 1, 1) and growing.deepenable(code) == (True, True, True)
    assert codec.genotype(growing.deeper(code, 0, 0, 2)) == "conv-4-3_conv-4-5_conv-40-5_pool_conv-8-3_pool_fc-72"
    assert codec.genotype(growing.deeper(code, 2, 0, 0)) == "conv-4-3_conv-40-5_pool_conv-8-3_pool_fc-72_fc-72"
    assert [growing.has_kernels(block) for block in range(3)] == [True, True, False]
    assert len(growing.tokens) == 10 * 3 + 10 + 1 and growing.blocks == 3 and growing.longest == 10


def test_growth_that_cannot_be() -> None:
    growing = (codec := space(depth=2, dense=1).codec).growing
    code = codec.canonical("conv-4-3_conv-4-3_pool_conv-4-3_pool_fc-8")
    assert growing.deepenable(code) == (False, True, False)
    with pytest.raises(ArchitectureError, match="block 0 is full: it has 2 layers"):
        growing.deeper(code, 0, 1, 0)
    with pytest.raises(ArchitectureError, match="layers 0 to 0, and no layer 1"):
        growing.deeper(code, 1, 1, 0)


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({"blocks": 5, "image_size": 8}, "5 blocks halve the image 4 times, and images are 8x8"),
        ({"widths": (8, 4)}, "widths must ascend"),
        ({"kernels": (2, 3)}, "kernels are odd"),
        ({"units": ()}, "units are integers from 1, at least one"),
        ({"depth": 0}, "depth must be at least 1, not 0"),
        ({"task": "segmentation"}, "not for segmentation"),
    ],
)
def test_spaces_that_cannot_be(sizes, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        space(**sizes)


def test_without_an_architecture_there_is_no_network() -> None:
    with pytest.raises(GraphError, match="no architecture is set"):
        space().network()


def test_what_becomes_of_each_layer() -> None:
    before, after = chain("4-3 8-3", "8"), chain("8-3 8-5 8-3 12-3", "8 8")
    found = [(g.block, g.layer, g.target, g.new, g.narrow) for g in growth_of(before, after)]
    assert found == [
        (0, 0, ChainLayer(8, 3), (ChainLayer(8, 5),), 8),
        (0, 1, ChainLayer(8, 3), (ChainLayer(12, 3),), 8),
        (1, 0, ChainLayer(8), (ChainLayer(8),), 8),
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (("8-3", "8"), ("4-3", "8")),  # narrower
        (("8-3", "8"), ("8-5", "8")),  # another kernel
        (("8-3 8-3", "8"), ("8-3", "8")),  # a layer less
        (("8-3", "8"), ("8-3 4-3", "8")),  # a new layer that is narrower than the one before it
        (("8-3 4-3", "8"), ("8-3 4-5 4-3", "8")),
    ],
)
def test_what_has_not_grown(before, after) -> None:
    with pytest.raises(MorphismError, match=r"block 1: conv-.* does not grow from conv-"):
        growth_of(chain(*before), chain(*after))


def trained_a_little(made: EASConvNetSearchSpace, code, images: torch.Tensor) -> nn.Module:
    torch.manual_seed(3)
    network = fresh_network(made, code).double()
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    for step in range(5):
        optimizer.zero_grad()
        (network(images + 0.1 * step) - images.mean(dim=(1, 2, 3))[:, None]).square().mean().backward()
        optimizer.step()
    return network.eval()


@torch.no_grad()
def test_a_chain_of_transformations_keeps_the_function() -> None:
    made = space(n_classes=4)
    images = torch.randn(16, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    first = made.codec.growing.start()
    with torch.enable_grad():
        network = trained_a_little(made, first, images)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    expected = network(images)
    codes = [first]
    for text in (
        "conv-12-3_conv-12-5_conv-12-1_pool_conv-8-3_pool_fc-16_fc-16",
        "conv-16-3_conv-12-5_conv-12-1_conv-20-3_pool_conv-8-3_conv-8-3_pool_fc-16_fc-24_fc-24",
    ):
        codes.append(made.codec.canonical(text))
        grown = made.morphed(network, codes[-2], codes[-1], inputs=images)
        assert [*grown.state_dict()] == [*fresh_network(made, codes[-1]).state_dict()]
        torch.testing.assert_close(grown.eval()(images), expected, rtol=0, atol=1e-12)
        others = torch.randn(5, 1, 8, 8, dtype=torch.float64)
        torch.testing.assert_close(grown(others), network(others), rtol=0, atol=1e-12)
        if len(codes) == 2:
            assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
        network = grown
    noisy = made.morphed(network, codes[-1], codes[-1], inputs=images, noise=(0.01, 0.001))
    assert torch.equal(noisy.eval()(images), network(images))  # nothing is new


@torch.no_grad()
def test_the_noise_is_the_share_that_is_asked_for() -> None:
    """A kernel of a new layer is the identity and noise of 1e-3 of its standard deviation."""
    made = space()
    first, second = (made.codec.canonical(f"conv-40-3{more}_pool_conv-4-3_pool_fc-8") for more in ("", "_conv-40-3"))
    network = fresh_network(made, first)
    images = torch.randn(8, 1, 8, 8)
    generator = torch.Generator().manual_seed(1)
    grown = made.morphed(network, first, second, inputs=images, noise=(0, 1e-3), generator=generator)
    kernel = dict(grown.named_modules())["makrograph-edge(1,2).layers.conv_1_2"].weight
    identity = torch.zeros(40, 40, 3, 3)
    identity[range(40), range(40), 1, 1] = 1.0
    assert (kernel - identity).std().item() == pytest.approx(1e-3 * identity.std(correction=0).item(), rel=0.02)
