"""A child begins with the function of its parent wherever its architecture has grown from it, and nowhere else."""

from __future__ import annotations

import pytest
import torch
from morphism_networks import IMAGES, Residual, largest_difference, with_random_statistics
from torch import nn

from naslib.choices import RepeatChoice, ValueChoice
from naslib.errors import MorphismError
from naslib.morphism import inherit, inherited
from naslib.search_spaces import ModuleSearchSpace, NasBench201SearchSpace
from naslib.search_spaces.core.elastic import ElasticBatchNorm2d, ElasticConv2d, ElasticLinear
from naslib.search_spaces.core.fresh_network import fresh_network


class Net(nn.Module):
    """Widths, kernels and a depth to choose: three decisions, in this order width, kernel, depth."""

    def __init__(self) -> None:
        super().__init__()
        width, kernel = ValueChoice([4, 8, 12], label="width"), ValueChoice([3, 5], label="kernel")

        def block(index: int) -> nn.Module:
            return nn.Sequential(ElasticConv2d(width, width, kernel), ElasticBatchNorm2d(width), nn.ReLU())

        self.stem = nn.Sequential(ElasticConv2d(3, width, 3), ElasticBatchNorm2d(width), nn.ReLU())
        self.body = RepeatChoice(block, [1, 2, 3], label="depth")
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), ElasticLinear(width * 4, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(self.stem(x)))


@pytest.fixture(scope="module")
def space() -> ModuleSearchSpace:
    return ModuleSearchSpace(Net)


def _network(space: ModuleSearchSpace, **choices: int) -> nn.Module:
    decisions = [decision.name for decision in space.decision_space.decisions]
    return fresh_network(space, tuple(choices.get(name, 0) for name in decisions)).double()


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({}, []),
        ({"width": 2}, ["4 -> 12 units"]),
        ({"depth": 2}, ["body.1: new, the identity", "body.2: new, the identity"]),
        ({"kernel": 1}, ["kernel [3, 3] -> [5, 5]"]),
        ({"width": 1, "kernel": 1, "depth": 1}, ["4 -> 8 units", "[5, 5]", "body.1: new"]),
    ],
)
def test_a_grown_architecture_computes_the_same(space: ModuleSearchSpace, choices: dict, words: list[str]):
    parent = with_random_statistics(_network(space))
    child = _network(space, **choices)
    before = {name: value.clone() for name, value in child.state_dict().items()}
    new, said = inherited(parent, child, inputs=IMAGES)
    assert largest_difference(parent, new, IMAGES) < 1e-12
    assert {name: value.shape for name, value in new.state_dict().items()} == {n: v.shape for n, v in before.items()}
    assert all(any(word in line for line in said) for word in words) and (words or not said)
    assert all(torch.equal(value, before[name]) for name, value in child.state_dict().items())


def test_new_norms_are_measured_and_undo_themselves(space: ModuleSearchSpace):
    parent = with_random_statistics(_network(space))
    new = inherit(parent, _network(space, depth=1), inputs=IMAGES)
    norm = dict(new.named_modules())["module-edge(1,2).body.1.1"]
    assert torch.equal(norm.bias, norm.running_mean) and float(norm.running_mean.abs().max()) > 0
    assert torch.equal(norm.weight, (norm.running_var + norm.eps).sqrt())


@pytest.mark.parametrize(
    ("parent", "child", "words"),
    [
        ({"width": 1}, {"width": 0}, "would have 4 units, and has 8"),
        ({"depth": 1}, {"depth": 0}, "Layers can be added, not removed"),
        ({"kernel": 1}, {"kernel": 0}, "of shape"),
    ],
)
def test_what_has_shrunk_is_no_morphism(space: ModuleSearchSpace, parent: dict, child: dict, words: str):
    with pytest.raises(MorphismError, match=words):
        inherit(_network(space, **parent), _network(space, **child), inputs=IMAGES)


def test_an_operation_that_is_another_one_is_no_morphism():
    space = NasBench201SearchSpace(channels=4, cells_per_stage=1)
    parent = with_random_statistics(fresh_network(space, (2, 1, 0, 2, 4, 2))).double()
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    same = inherit(parent, fresh_network(space, (2, 1, 0, 2, 4, 2)).double(), inputs=images)
    assert largest_difference(parent, same, images) < 1e-12
    for code, words in (((2, 1, 0, 2, 0, 2), "grow"), ((2, 1, 0, 2, 4, 3), "shape"), ((2, 1, 0, 2, 2, 2), "grow")):
        with pytest.raises(MorphismError, match=words):
            inherit(parent, fresh_network(space, code).double(), inputs=images)
    grown = inherit(parent, fresh_network(space, (2, 2, 0, 2, 4, 2)).double(), inputs=images)  # none -> convolution
    assert largest_difference(parent, grown, images) < 1e-12


def test_a_new_residual_block_ends_in_zero():
    torch.manual_seed(0)

    def network(blocks: int) -> nn.Module:
        body = nn.Sequential(*(Residual(6) for _ in range(blocks)))
        return nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), body, nn.Flatten(), nn.Linear(216, 2)).double()

    parent = with_random_statistics(network(1))
    new, said = inherited(parent, network(3), inputs=IMAGES)
    assert largest_difference(parent, new, IMAGES) < 1e-12
    assert said == ("2.1: new, zero, added to what was there", "2.2: new, zero, added to what was there")
    assert float(new[2][2].norm_b.weight.detach().abs().max()) == 0 < float(new[2][2].a.weight.detach().abs().max())


def test_noise_is_on_new_weights_alone(space: ModuleSearchSpace):
    parent = with_random_statistics(_network(space))
    deep = _network(space, depth=1)
    quiet, loud = (inherit(parent, deep, inputs=IMAGES, noise=noise) for noise in ((0, 0), (0.01, 0.001)))
    pairs = zip(quiet.named_parameters(), loud.parameters(), strict=True)
    changed = [name for (name, one), other in pairs if not torch.equal(one, other)]
    assert changed == ["module-edge(1,2).body.1.0.weight"]
    wide = inherit(parent, _network(space, width=1), inputs=IMAGES, noise=(0.01, 0))
    assert 0 < largest_difference(parent, wide, IMAGES) < 0.1
    with pytest.raises(MorphismError, match="two shares"):
        inherit(parent, deep, noise=(0.1,))


@pytest.mark.parametrize("noise", [0.1, (0.1,), (0.1, -1.0), ("a", 0.0), (0.1, float("inf"))])
def test_noise_of_both_kinds_is_two_shares(noise: object):
    network = nn.Linear(3, 2)
    with pytest.raises(MorphismError, match="noise is two shares from 0"):
        inherit(network, network, noise=noise)
