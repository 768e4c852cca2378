"""widen and deepen on plain chains: the function, the exact weights, and what is refused."""

from __future__ import annotations

import pytest
import torch
from morphism_networks import largest_difference, with_random_statistics
from torch import nn

from naslib.errors import ConfigError, MorphismError
from naslib.morphism import deepenable, deepened, widen, widenable, widened


def _chain() -> nn.Module:
    torch.manual_seed(0)
    return with_random_statistics(
        nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(64, 5),
            nn.ReLU(),
            nn.Linear(5, 2),
        )
    ).double()


IMAGES = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_widening_a_linear_layer_is_equations_1_to_3():
    """By hand: columns of the first weight are copied, rows of the next are copied and divided by their number."""
    torch.manual_seed(3)
    network = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)).double()
    new, done = widened(network, "0", 7)
    source = done.changed["0.weight"].sources[0].tolist()
    assert source[:3] == [0, 1, 2] and len(source) == 7
    first, second = network[0], network[2]
    for place, old in enumerate(source):
        count = source.count(old)
        assert torch.equal(new[0].weight[place], first.weight[old]) and new[0].bias[place] == first.bias[old]
        assert torch.equal(new[2].weight[:, place], second.weight[:, old] / count)
    assert torch.equal(new[2].bias, second.bias)
    assert (new[0].out_features, new[2].in_features) == (7, 7)
    assert network[0].weight.shape == (3, 4)


@pytest.mark.parametrize(("layer", "width"), [("0", 5), ("0", 13), ("5", 9)])
def test_the_function_is_kept_in_both_modes(layer: str, width: int):
    network = _chain()
    new = widen(network, layer, width)
    assert largest_difference(network, new, IMAGES) < 1e-12
    assert largest_difference(network.train(), new.train(), IMAGES, training=True) < 1e-10


@pytest.mark.parametrize(("layer", "names"), [("0", ("1.conv", "1.norm")), ("5", ("5.linear", "5.norm"))])
def test_a_layer_more_is_the_identity_and_norm_undoes_itself(layer: str, names: tuple[str, str]):
    network = _chain()
    new, done = deepened(network, layer, inputs=IMAGES)
    assert (done.layer, done.norm) == names
    assert largest_difference(network, new, IMAGES) < 1e-12
    norm = new.get_submodule(done.norm)
    assert torch.equal(norm.bias, norm.running_mean)
    assert torch.equal(norm.weight, (norm.running_var + norm.eps).sqrt())
    weight = new.get_submodule(done.layer).weight.detach()
    assert float(weight.sum()) == weight.shape[0] == float((weight == 1).sum())
    assert largest_difference(network, new, 3 * IMAGES - 1) < 1e-12  # on what was not measured, too


def test_chains_of_transformations_keep_the_function():
    network = _chain()
    new, done = deepened(network, "0", inputs=IMAGES)
    new = widen(new, done.layer, 9)
    new, again = deepened(new, done.layer, inputs=IMAGES, kernel_size=5)
    new = widen(widen(new, "0", 6), again.layer, 12)
    assert largest_difference(network, new, IMAGES) < 1e-12
    assert new.get_submodule("0").out_channels == 6 and new.get_submodule(again.layer).out_channels == 12


def test_what_can_be_widened_and_why_not():
    found = widenable(_chain())
    assert [(name, row.width, row.reason) for name, row in found.items()][:2] == [("0", 4, None), ("5", 5, None)]
    assert "output" in found["7"].reason
    assert [row.reason is None for row in deepenable(_chain()).values()] == [True, True, False]


@pytest.mark.parametrize(
    ("layer", "width", "words"),
    [
        ("7", 3, "output"),
        ("0", 4, "the fewest are 5"),
        ("0", 2, "less than it has"),
        ("O", 8, "no module 'O'"),
        ("1", 8, "BatchNorm2d"),
        ("0", 8.0, "number of units"),
    ],
)
def test_what_does_not_fit_says_so(layer: str, width: int, words: str):
    with pytest.raises(MorphismError, match=words):
        widen(_chain(), layer, width)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"activation": "sigmoid"}, "sigmoid of sigmoid"),
        ({"activation": "rellu"}, "did you mean 'relu'"),
        ({"kernel_size": 4}, "3 or 5"),
        ({"noise": -1.0}, "at least 0"),
        ({"place": "behind"}, "after or before"),
    ],
)
def test_arguments_that_cannot_be(arguments: dict, words: str):
    with pytest.raises(ConfigError, match=words):
        deepened(_chain(), "0", **arguments)
