"""Noise is the authors' share of the spread; what optimizers remember becomes what they would remember."""

from __future__ import annotations

import pytest
import torch
from morphism_networks import IMAGES, Residual, image_network
from torch import nn

from naslib.errors import ConfigError, MorphismError
from naslib.morphism import carry_state, deepen, deepened, widen, widened


def test_noise_of_a_wider_layer_is_on_the_copies_alone():
    network = nn.Sequential(nn.Linear(50, 40), nn.ReLU(), nn.Linear(40, 2))
    quiet = widen(network, "0", 90)
    loud = widen(network, "0", 90, noise=0.01)
    difference = (loud[0].weight - quiet[0].weight).detach()
    assert torch.equal(difference[:40], torch.zeros(40, 50)) and torch.equal(loud[2].weight, quiet[2].weight)
    spread = float(quiet[0].weight.detach()[40:].std(correction=0))
    assert float(difference[40:].std()) == pytest.approx(0.01 * spread, rel=0.05)
    assert float((loud[0].bias - quiet[0].bias)[40:].detach().abs().min()) > 0


def test_noise_of_a_deeper_layer_is_on_the_whole_identity():
    network = image_network(channels=16)
    weight = deepen(network, "0", noise=0.001, inputs=IMAGES).get_submodule("1.conv").weight.detach()
    identity = torch.zeros_like(weight)
    identity[range(16), range(16), 1, 1] = 1
    noise = weight - identity
    share = 1 / (16 * 9)  # of ones; the standard deviation of the identity is that of a coin
    assert float(noise.std()) == pytest.approx(0.001 * (share * (1 - share)) ** 0.5, rel=0.05)
    assert int((noise == 0).sum()) == 0


def test_one_generator_gives_one_network():
    network = image_network()

    def weights(seed: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        return widen(network, "0", 30, noise=0.01, generator=generator).get_submodule("0").weight

    state = torch.random.get_rng_state()
    assert torch.equal(weights(3), weights(3)) and not torch.equal(weights(3), weights(4))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_noise_is_a_share():
    with pytest.raises(MorphismError, match="at least 0"):
        widen(image_network(), "0", 9, noise=-0.1)
    with pytest.raises(ConfigError, match="at least 0"):
        deepen(image_network(), "0", noise=float("nan"))


@pytest.mark.parametrize("kind", ["sgd", "adam"])
def test_carried_state_is_that_of_the_first_step_of_the_wide_network(kind: str):
    """The gradient of the wide network, by autograd, is what the carried momentum says it is."""

    def optimizer_of(network: nn.Module) -> torch.optim.Optimizer:
        if kind == "sgd":
            return torch.optim.SGD(network.parameters(), lr=0.0, momentum=0.9)
        return torch.optim.Adam(network.parameters(), lr=0.0)

    def step(network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        network.eval()(IMAGES).square().mean().backward()
        optimizer.step()

    network = image_network(Residual(8), nn.Conv2d(8, 6, 3), nn.PReLU(6), out=6)
    old = optimizer_of(network)
    step(network, old)
    for layer in ("0", "3.a", "4", "3.b"):
        wide, change = widened(network, layer, 13)
        mine, carried = optimizer_of(wide), optimizer_of(wide)
        step(wide, mine)
        names = carry_state(old, network, carried, wide, change)
        assert names == [name for name, _ in network.named_parameters()]
        for parameter in wide.parameters():
            for key, value in mine.state[parameter].items():
                assert torch.allclose(carried.state[parameter][key], value, rtol=1e-9, atol=1e-18), (layer, key)


def test_state_of_a_deeper_network_keeps_its_parameters_by_their_new_names():
    network = image_network()
    old = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    network(IMAGES).mean().backward()
    old.step()
    deep, change = deepened(network, "0", inputs=IMAGES)
    new = torch.optim.SGD(deep.parameters(), lr=0.1, momentum=0.9)
    names = carry_state(old, network, new, deep, change)
    assert "1.inner.weight" in names and "1.conv.weight" not in names
    momentum = new.state[deep.get_parameter("1.inner.weight")]["momentum_buffer"]
    assert torch.equal(momentum, old.state[network[1].weight]["momentum_buffer"])


def test_state_that_nobody_can_carry_says_so():
    network = image_network()
    old = torch.optim.Rprop(network.parameters())
    network(IMAGES).mean().backward()
    old.step()
    wide, change = widened(network, "0", 9)
    with pytest.raises(MorphismError, match="let it start anew"):
        carry_state(old, network, torch.optim.Rprop(wide.parameters()), wide, change)


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_copies_stay_equal_without_noise_and_part_with_it(noise: float):
    network = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)).double()
    wide = widen(network, "0", 5, noise=noise)
    source = next(i for i in range(4) if torch.equal(wide[2].weight[:, i], wide[2].weight[:, 4]))
    optimizer = torch.optim.SGD(wide.parameters(), lr=0.1)
    rows = torch.randn(6, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for _ in range(3):
        optimizer.zero_grad()
        wide(rows).square().sum().backward()
        assert all(float(parameter.grad.abs().min()) > 0 for parameter in wide.parameters())
        optimizer.step()
    apart = float((wide[0].weight[source] - wide[0].weight[4]).detach().abs().max())
    assert apart < 1e-14 if noise == 0 else apart > 1e-4


def test_new_modules_are_in_the_mode_of_those_beside_them():
    for training in (True, False):
        network = deepen(image_network().train(training), "0", inputs=IMAGES)
        assert {module.training for module in network.modules()} == {training}
