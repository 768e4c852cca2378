"""Trials that begin with the weights of their parents: which do, with which function, and how many are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from naslib.choices import RepeatChoice, ValueChoice
from naslib.errors import ConfigError
from naslib.evaluators import SerialExecutor, TrainEvaluator, TrainingOfTrials, TrialSearch
from naslib.evaluators.base import never
from naslib.evaluators.inheritance import Inheritance, Kept, KeptNetworks
from naslib.history import MemoryHistory, State, Trial
from naslib.optimizers import RegularizedEvolution
from naslib.search_spaces import ModuleSearchSpace, NasBench201SearchSpace
from naslib.search_spaces.core.elastic import ElasticBatchNorm2d, ElasticConv2d, ElasticLinear


class Net(nn.Module):
    """Decisions in this order: width, depth."""

    def __init__(self) -> None:
        super().__init__()
        width = ValueChoice([2, 4, 6], label="width")

        def block(index: int) -> nn.Module:
            return nn.Sequential(ElasticConv2d(width, width, 3), ElasticBatchNorm2d(width), nn.ReLU())

        self.stem = nn.Sequential(ElasticConv2d(2, width, 3), ElasticBatchNorm2d(width), nn.ReLU())
        self.body = RepeatChoice(block, [1, 2, 3], label="depth")
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), ElasticLinear(width * 4, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(self.stem(x)))


def images(n: int, seed: int) -> TensorDataset:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 2, 4, 4, generator=generator)
    return TensorDataset(x, x.mean(dim=(2, 3)).sum(dim=1).gt(0).long())


SPACE = ModuleSearchSpace(Net)


def evaluator(folder: Path | None = None, space: Any = SPACE, **kwargs: Any) -> TrainEvaluator:
    train = DataLoader(images(32, 0), 16, shuffle=True, generator=torch.Generator().manual_seed(5))
    how = TrainingOfTrials(learning_rate=0.1, learning_rate_min=0.01)
    keywords = {"epochs": 1, "inherit": "morphism", "inherit_noise": (0, 0), "seed": 11, **kwargs}
    found = TrainEvaluator(space, train, DataLoader(images(24, 1), 8), how, **keywords)
    if folder is not None and found.inheritance is not None:
        found.inheritance.keep_in(folder)
    return found


def score_before_training(found: TrainEvaluator, trial: Trial) -> float:
    """Return what the network of a trial scores with the weights that it begins with."""
    losses: list[float] = []

    def watch(network: nn.Module, epoch: int, measured: Any) -> None:
        if epoch == 0:
            x, y = images(24, 1).tensors
            with torch.no_grad():
                losses.append(float(nn.functional.cross_entropy(network.eval()(x), y)))

    found.evaluate(trial, never, watch)
    return losses[0]


def test_a_child_begins_where_its_parent_ended(tmp_path):
    found = evaluator(tmp_path, objectives=["loss"])
    parent = found.evaluate(Trial(0, (0, 0), 1))
    assert parent.user["inherited"] is None and parent.user["inheritance"] == "no parent"
    grown = Trial(1, (2, 1), 1, parent=0)
    assert score_before_training(found, grown) == pytest.approx(parent.values[0], abs=1e-5)
    outcome = found.evaluate(grown)
    assert outcome.user["inherited"] == 0
    assert "2 -> 6 units" in outcome.user["inheritance"] and "body.1: new" in outcome.user["inheritance"]
    assert outcome.values == evaluator(tmp_path, objectives=["loss"]).evaluate(grown).values  # also elsewhere


def test_what_has_shrunk_trains_from_scratch_and_says_so(tmp_path):
    found, fresh = evaluator(tmp_path), evaluator(None, inherit=None)
    found.evaluate(Trial(0, (2, 1), 1))
    for code, words in (((0, 1), "Units can be added"), ((2, 0), "Layers can be added")):
        child = Trial(1, code, 1, parent=0)
        outcome = found.evaluate(child)
        assert outcome.user["inherited"] is None and words in outcome.user["inheritance"]
        assert outcome.values == fresh.evaluate(child).values
    lost = found.evaluate(Trial(9, (2, 1), 1, parent=7))
    assert lost.user["inheritance"] == "the network of trial 7 is not kept"


def test_by_names_all_that_has_the_same_shape_is_copied(tmp_path):
    found = evaluator(tmp_path, inherit="names")
    found.evaluate(Trial(0, (1, 0), 1))
    same, grown = (found.evaluate(Trial(1, code, 1, parent=0)) for code in ((1, 0), (1, 1)))
    assert same.user["inheritance"] == "16 of 16 tensors by name"
    assert grown.user["inheritance"] == "16 of 23 tensors by name"


def test_cells_of_other_operations_inherit_by_names_alone(tmp_path):
    space = NasBench201SearchSpace(n_classes=2, in_channels=2, channels=4, cells_per_stage=1)
    outcomes = {}
    for kind in ("morphism", "names"):
        found = evaluator(tmp_path / kind, space, inherit=kind)
        found.evaluate(Trial(0, (2, 0, 3, 1, 2, 4), 1))
        outcomes[kind] = found.evaluate(Trial(1, (2, 0, 3, 1, 2, 0), 1, parent=0)).user
    assert outcomes["morphism"]["inherited"] is None and outcomes["names"]["inherited"] == 0


def test_so_many_are_kept_and_the_best_stays(tmp_path):
    for folder in (None, tmp_path):
        kept = KeptNetworks(folder, keep=4)
        for number, value in enumerate([1.0, 5.0, 2.0, 3.0, 1.0, 2.0, 4.0, 0.0]):
            kept.save(number, Kept((number,), value, {"w": torch.tensor([float(number)])}))
        assert list(kept.values()) == [1, 5, 6, 7] and kept.best() == 1 and kept.best(0) is None
        assert kept.load(1).state["w"].item() == 1.0 and kept.load(2) is None
    assert not list(tmp_path.glob(".*"))
    (tmp_path / "7_0.0.pth").write_bytes(b"cut off")
    assert KeptNetworks(tmp_path).load(7) is None


def test_a_parent_far_back_counts_where_it_is_the_best_one(tmp_path):
    found = evaluator(tmp_path, inherit_keep=6)
    networks = found.inheritance.networks
    found.evaluate(Trial(0, (0, 0), 1))
    state = networks.load(0).state
    for number, value in ((1, 200.0), (2, 0.0)):
        networks.save(number, Kept((0, 0), value, state))
    said = {parent: found.evaluate(Trial(6, (0, 0), 1, parent=parent)).user["inherited"] for parent in (1, 2)}
    assert said == {1: 1, 2: None}
    assert found.evaluate(Trial(5, (0, 0), 1, parent=2)).user["inherited"] == 2  # three back, of six


def search(found: TrainEvaluator, numbers: range, history: MemoryHistory, state: Any = None) -> dict[str, Any]:
    """Run a search of ten trials for those of the numbers, and return its state."""
    optimizer = RegularizedEvolution(population_size=3, sample_size=2)
    np.random.seed(4)
    optimizer.adapt_search_space(SPACE, "x", evaluator=found)
    for name, part in optimizer.get_checkpointables().items():
        if state is not None:
            part.load_state_dict(state[name])
    with SerialExecutor(found) as running:
        driver = TrialSearch(optimizer, running, history, seed=3, epochs=10)
        for done in numbers:
            driver.advance(done, never)
    return {name: part.state_dict() for name, part in optimizer.get_checkpointables().items()}


def test_evolution_with_inheritance_goes_on_as_if_never_stopped(tmp_path):
    whole, first, second = MemoryHistory(), MemoryHistory(), MemoryHistory()
    search(evaluator(tmp_path / "whole"), range(10), whole)
    state = search(evaluator(tmp_path / "killed"), range(6), first)
    known = whole.trials()[6]
    evaluator(tmp_path / "killed").evaluate(known)  # killed after its network was kept, before it was told
    search(evaluator(tmp_path / "killed"), range(6, 10), second, state)
    plain = [
        [(t.number, t.code, t.values, t.user["inherited"]) for t in history.trials() if t.state is State.COMPLETE]
        for history in (whole, first, second)
    ]
    assert plain[0] == plain[1] + plain[2] and len(plain[0]) == 10
    assert sum(inherited is not None for *_, inherited in plain[0]) >= 2


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"inherit": "morphisms"}, "did you mean 'morphism'"),
        ({"inherit_noise": (0.1,)}, "two shares"),
        ({"inherit_noise": -1}, "two shares"),
        ({"inherit_keep": 1}, "at least 4"),
        ({"network_args": {"channels": 4}}, "do not go together"),
    ],
)
def test_arguments_that_cannot_be(keywords, words):
    with pytest.raises(ConfigError, match=words):
        evaluator(None, **keywords)


def test_a_parent_far_back_counts_by_those_who_inherited_long_enough_ago():
    found = Inheritance(SPACE, "morphism", keep=8)
    found.networks.save(0, Kept((0, 0), 9.0, {}))
    found.networks.save(3, Kept((0, 0), 1.0, {}))
    counted = {}
    for user in (15, 16, 18, 19):
        found.networks._uses = {user: 3}
        counted[user] = found._counts(3, 20)
    assert counted == {15: False, 16: True, 18: True, 19: False}  # between a half and a quarter of eight back
