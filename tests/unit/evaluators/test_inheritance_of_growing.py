"""Trials that begin with the weights of their parents: the same function, what is kept, and what is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from naslib.errors import ConfigError, HistoryError
from naslib.evaluators import TrainEvaluator, TrainingOfTrials, kept_network
from naslib.evaluators.inheritance import Kept, KeptNetworks
from naslib.history import Trial
from naslib.search_spaces import EASConvNetSearchSpace

SPACE = EASConvNetSearchSpace(n_classes=2, in_channels=1, image_size=8, blocks=2)
START = SPACE.codec.growing.start()
CHILD = SPACE.codec.canonical("conv-8-3_conv-8-5_pool_conv-4-3_pool_fc-16_fc-16")
OTHER = SPACE.codec.canonical("conv-4-5_pool_conv-4-3_pool_fc-8")
PLAIN = {"inherit": "morphism", "inherit_noise": (0.0, 0.0)}


def images(n: int, seed: int) -> TensorDataset:
    x = torch.randn(n, 1, 8, 8, generator=torch.Generator().manual_seed(seed))
    return TensorDataset(x, x[:, :, :4].mean(dim=(1, 2, 3)).gt(0).long())


def evaluator(**kwargs: Any) -> TrainEvaluator:
    train = DataLoader(images(64, 0), 32, shuffle=True, generator=torch.Generator().manual_seed(5))
    how = TrainingOfTrials(learning_rate=0.05)
    valid = DataLoader(images(40, 1), 20)
    return TrainEvaluator(SPACE, train, valid, how, objectives=["accuracy", "loss"], seed=2, **{"epochs": 3, **kwargs})


def trial(number: int, code: tuple[int, ...], parent: int | None = None) -> Trial:
    return Trial(number, code, 3, parent=parent)


class Watch:
    """Keep what a network says to the validation part before its training."""

    def __init__(self) -> None:
        self.before: torch.Tensor | None = None

    def __call__(self, network: nn.Module, done: int, measured: Any) -> None:
        if done == 0:
            network.eval()
            with torch.no_grad():
                self.before = network(images(40, 1).tensors[0])


def test_before_its_training_a_child_says_what_its_parent_said_after_it() -> None:
    made = evaluator(**PLAIN)
    parent = made.evaluate(trial(0, START))
    watch = Watch()
    child = made.evaluate(trial(1, CHILD, 0), watch=watch)
    kept = made.inheritance.networks.load(0)
    network = made.build_network(START)
    network.load_state_dict(kept.state)
    x, labels = images(40, 1).tensors
    with torch.no_grad():
        expected = network.eval()(x)
    torch.testing.assert_close(watch.before, expected, rtol=1e-5, atol=1e-6)
    right = 100 * watch.before.argmax(1).eq(labels).float().mean().item()
    assert right == pytest.approx(parent.values[0])
    assert nn.functional.cross_entropy(watch.before, labels).item() == pytest.approx(parent.values[1], rel=1e-5)
    assert parent.user["inherited"] is None and child.user["inherited"] == 0
    assert child.values[1] < parent.values[1]


def test_noise_is_a_small_change() -> None:
    made, noisy = evaluator(**PLAIN), evaluator(inherit="morphism")
    outputs = []
    for one in (made, noisy):
        one.evaluate(trial(0, START))
        watch = Watch()
        one.evaluate(trial(1, CHILD, 0), watch=watch)
        outputs.append(watch.before)
    change = (outputs[0] - outputs[1]).abs().mean() / outputs[0].abs().mean()
    assert 1e-5 < change < 0.1


def test_a_trial_is_a_function_of_itself_and_its_parent() -> None:
    first, second = evaluator(inherit="morphism"), evaluator(inherit="morphism")
    first.evaluate(trial(0, START))
    first.evaluate(trial(1, OTHER))
    found = first.evaluate(trial(2, CHILD, 0))
    second.evaluate(trial(0, START))
    torch.rand(3)
    again = second.evaluate(trial(2, CHILD, 0))
    assert again.values == found.values and again.user == found.user


def test_what_does_not_inherit_is_trained_as_ever() -> None:
    """A parent that is not kept, an architecture that has not grown from it, no parent: fresh weights."""
    plain, made = evaluator(), evaluator(inherit="morphism")
    assert plain.inheritance is None
    made.evaluate(trial(0, START))
    reasons = ("the network of trial 7 is not kept", "block 1: conv-4-5 does not grow from conv-4-3 by", "no parent")
    for one, reason in zip((trial(3, CHILD, 7), trial(4, OTHER, 0), trial(5, CHILD)), reasons, strict=True):
        found, expected = made.evaluate(one), plain.evaluate(dataclasses.replace(one, parent=None))
        assert found.values == expected.values
        how = found.user["inheritance"]
        assert how.startswith(reason) and found.user == {**expected.user, "inherited": None, "inheritance": how}


@pytest.mark.parametrize("in_memory", [True, False])
def test_so_many_networks_are_kept_and_the_best(in_memory: bool, tmp_path: Path) -> None:
    networks = KeptNetworks(None if in_memory else tmp_path / "weights", keep=3)
    values = [50.0, 90.0, 70.0, 60.0, 90.0]
    for number, value in enumerate(values):
        networks.save(number, Kept((number, 1), value, {"w": torch.full((2,), float(number))}))
        if number == 2:
            networks.use(0, by=2)  # now it is as young as 2
    assert networks.values() == {1: 90.0, 3: 60.0, 4: 90.0} and networks.best() == 1
    assert networks.load(0) is None and networks.load(2) is None and networks.uses() == {2: 0}
    assert torch.equal(networks.load(4).state["w"], torch.full((2,), 4.0))
    networks.save(4, Kept((4, 2), 95.0, {}))
    assert networks.values() == {1: 90.0, 3: 60.0, 4: 95.0} and networks.best() == 4
    networks.use(1, by=6)
    for number in (5, 6):
        networks.save(number, Kept((number, 1), 10.0, {}))
    assert networks.values() == {1: 90.0, 4: 95.0, 6: 10.0} and networks.uses() == {6: 1}
    assert KeptNetworks(networks.folder, maximize=False).best() == (None if in_memory else 6)


def test_the_network_that_was_found_is_in_the_run_folder(tmp_path: Path) -> None:
    made = evaluator(**PLAIN)
    made.inheritance.networks = KeptNetworks(tmp_path / "weights")
    values = [made.evaluate(one).values[0] for one in (trial(0, START), trial(1, CHILD, 0))]
    network = kept_network(tmp_path, SPACE)
    assert network.get_code() == (CHILD if values[1] > values[0] else START)
    x, labels = images(40, 1).tensors
    with torch.no_grad():
        right = 100 * network(x).argmax(1).eq(labels).float().mean().item()
    assert right == pytest.approx(max(values))
    assert kept_network(tmp_path, SPACE, number=0).get_code() == START
    with pytest.raises(HistoryError, match="no network of trial 9; there are those of: 0, 1"):
        kept_network(tmp_path, SPACE, number=9)
    (tmp_path / "weights" / f"0_{values[0]!r}.pth").write_bytes(b"cut off")
    with pytest.raises(HistoryError, match="no network of trial 0"):
        kept_network(tmp_path, SPACE, number=0)


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ({"inherit": "morphysm"}, "not 'morphysm'; did you mean 'morphism'"),
        ({"inherit": "morphism", "inherit_noise": (0.1,)}, "two shares from 0"),
        ({"inherit": "morphism", "inherit_noise": (0.1, -1)}, "two shares from 0"),
        ({"inherit": "morphism", "network_args": {}}, "do not go together"),
    ],
)
def test_keywords_that_cannot_be(keywords: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        evaluator(**keywords)


def test_values_of_inherited_weights_are_not_those_of_fresh_ones() -> None:
    assert "inherit" not in evaluator().describe()
    assert evaluator(**PLAIN).describe()["inherit"] == {"kind": "morphism", "noise": [0.0, 0.0], "keep": 128}


def test_a_network_that_all_others_grow_from_stays() -> None:
    """It is far back and not the best, and was inherited from all the while; one that was not is given up."""
    made = evaluator(**PLAIN, inherit_keep=8)
    networks = made.inheritance.networks
    state = made.build_network(START).state_dict()
    inherited = []
    for number in range(30):
        parent = 0 if number > 1 else None
        begun = made.inheritance.network(
            trial(number, START, parent), 0, lambda: images(4, 0).tensors[0], torch.device("cpu")
        )
        inherited.append(begun.network is not None)
        networks.save(number, Kept(START, 90.0 if number == 3 else 50.0, state))
    assert inherited == [False, False] + [True] * 28
    assert 0 in networks.values() and 3 in networks.values() and len(networks.values()) <= 8
    begun = made.inheritance.network(trial(30, START, 1), 0, lambda: images(4, 0).tensors[0], torch.device("cpu"))
    assert begun.network is None and begun.how == "the network of trial 1 is not kept"
