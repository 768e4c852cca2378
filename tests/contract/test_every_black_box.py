"""Every black-box search on several spaces, with an evaluator that answers at once and with one that trains.

It asks, is told, minimises and maximises, takes failures, keeps the front of two objectives, goes on from a checkpoint
bit for bit, and refuses what it cannot do. Methods come from the registry, so that a new one is in the product at once.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pytest
import torch
from every_black_box import KEYWORDS, METHODS, OWN_SPACES
from torch.utils.data import DataLoader, TensorDataset

from naslib.errors import ConfigError, OptimizerStateError, UnsupportedBySpaceError
from naslib.evaluators import Evaluator, TrainEvaluator, TrainingOfTrials
from naslib.history import Objective, Outcome, State, Trial
from naslib.history.pareto import dominates
from naslib.optimizers import OPTIMIZERS
from naslib.optimizers.discrete.base import DiscreteOptimizer
from tests.support.zoo import ENTRIES

# A cell of edges, cells with chosen inputs, a labelled DAG with canonical codes, a chain of sizes
SPACES = ("nasbench201", "nasbench301", "nasbench101", "ofa_mobilenetv3")
TRIALS = 14
# Spaces that a method refuses, with the reason
REFUSED = {"pnas": {"nasbench301": "do not grow", "ofa_mobilenetv3": "do not grow"}}


class Genes(Evaluator):
    """A value that follows from the code, and a second one."""

    fidelity = 9
    objectives = (Objective("genes"), Objective("zeros", maximize=False))

    def evaluate(self, trial: Trial, should_stop: Any = None) -> Outcome:
        return Outcome(values_of(trial))


def values_of(trial: Trial) -> tuple[float, float]:
    weights = np.linspace(1.0, 2.0, len(trial.code))
    return float(np.sin(weights * np.array(trial.code)).sum()) + 0.01 * trial.fidelity, float(trial.code.count(0))


def adapted(name: str, space: Any, evaluator: Any, seed: int = 0) -> Any:
    optimizer = OPTIMIZERS.get(name)(**KEYWORDS.get(name, {}))
    np.random.seed(seed)
    optimizer.adapt_search_space(space, evaluator=evaluator)
    return optimizer


def saved(optimizer: DiscreteOptimizer) -> Any:
    file = BytesIO()
    torch.save({key: part.state_dict() for key, part in optimizer.get_checkpointables().items()}, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def assert_equal(first: object, second: object) -> None:
    """Compare states, which may hold tensors."""
    if isinstance(first, torch.Tensor):
        assert isinstance(second, torch.Tensor) and torch.equal(first, second)
    elif isinstance(first, dict):
        assert isinstance(second, dict) and list(first) == list(second)
        for key, value in first.items():
            assert_equal(value, second[key])
    elif isinstance(first, list | tuple):
        assert isinstance(second, list | tuple) and len(first) == len(second)
        for one, other in zip(first, second, strict=True):
            assert_equal(one, other)
    else:
        assert first == second


def step(optimizer: DiscreteOptimizer, workers: int, failing: int = -1) -> list[Trial]:
    """Ask until so many trials are out, tell the first of them, and return what was asked for."""
    room = workers - len(optimizer.record.pending)
    asked = optimizer.ask(room) if room > 0 else []
    first = optimizer.pending()[0]
    if first.number == failing:
        optimizer.tell(first, None, user={"error": "no memory"})
    else:
        optimizer.tell(first, values_of(first), seconds=1.0)
    return asked


def test_the_product_is_as_large_as_it_is_said_to_be() -> None:
    assert len(METHODS) >= 18 and set(KEYWORDS) < set(METHODS)
    assert len(SPACES) == 4 and set(SPACES) <= set(ENTRIES)


@pytest.fixture(scope="module")
def spaces() -> dict[str, Any]:
    names = {*SPACES, *(name for own in OWN_SPACES.values() for name in own)}
    return {name: ENTRIES[name].make(n_classes=4, in_channels=3) for name in sorted(names)}


PAIRS = [(name, space) for name in METHODS for space in OWN_SPACES.get(name, SPACES)]


@pytest.mark.parametrize(("name", "space"), [(name, space) for name in REFUSED for space in REFUSED[name]])
def test_it_refuses_a_space(name: str, space: str, spaces: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedBySpaceError, match=REFUSED[name][space]):
        adapted(name, spaces[space], Genes())


@pytest.mark.parametrize(("name", "space"), PAIRS)
def test_it_asks_is_told_and_goes_on_from_a_checkpoint(name: str, space: str, spaces: dict[str, Any]) -> None:
    codec = spaces[space]._codec()
    whole = adapted(name, spaces[space], Genes())
    told: list[Trial] = []
    for number in range(TRIALS // 2):
        told += step(whole, 1 + number % 3, failing=2)
    state = saved(whole)
    resumed = adapted(name, spaces[space], Genes(), seed=9)
    for key, part in resumed.get_checkpointables().items():
        part.load_state_dict(state[key])
    assert resumed.pending() == whole.pending()
    for number in range(TRIALS // 2, TRIALS):
        again = [step(optimizer, 1 + number % 3) for optimizer in (whole, resumed)]
        assert again[0] == again[1]
        told += again[0]
    assert_equal(saved(whole), saved(resumed))

    assert [trial.number for trial in told] == list(range(len(told)))
    assert all(codec.is_valid(trial.code) for trial in told)
    assert all(trial.state is State.WAITING and trial.parent in (None, *range(trial.number)) for trial in told)
    record = whole.record
    assert (record.failed, record.evaluations, record.asked) == (1, TRIALS - 1, len(told))
    assert record.seconds == TRIALS - 1
    done = [trial for trial in told if trial.number != 2 and trial.number not in record.pending]
    top = max(trial.fidelity for trial in done)
    best = max((trial for trial in done if trial.fidelity == top), key=lambda trial: values_of(trial)[0])
    if name == "az_nas":  # compares by the ranks of all objectives (tests/unit/discrete/test_az_nas.py)
        best = next(trial for trial in done if trial.number == record.incumbent_trial)
    assert record.incumbent_values[0] == values_of(best)[0]
    assert whole.get_final_architecture().get_code() == record.incumbent
    merits = {trial.number: (values_of(trial)[0], -values_of(trial)[1]) for trial in done if trial.fidelity == top}
    best_ones = {one for one in merits.values() if not any(dominates(other, one) for other in merits.values())}
    assert {member.merits for member in record.front.members} == best_ones
    assert all(merits[member.number] == member.merits for member in record.front.members)


@pytest.mark.parametrize("name", METHODS)
def test_it_trains_what_it_asks_for(name: str) -> None:
    entry = ENTRIES[OWN_SPACES.get(name, SPACES)[0]]
    images, labels = entry.batch(24, 0, in_channels=3, n_classes=4)
    train = DataLoader(TensorDataset(images[:16], labels[:16]), batch_size=8)
    valid = DataLoader(TensorDataset(images[16:], labels[16:]), batch_size=8)
    space = entry.make(n_classes=4, in_channels=3)
    evaluator = TrainEvaluator(space, train, valid, TrainingOfTrials(), seed=3, epochs=3)
    optimizer = adapted(name, space, evaluator)
    for epoch in range(3):
        optimizer.new_epoch(epoch)
    assert optimizer.record.evaluations == 3 and optimizer.record.failed == 0
    assert optimizer.record.incumbent_values[0] in [100 * hits / 8 for hits in range(9)]  # of 8 images
    assert optimizer.objectives == (Objective("accuracy", True, "%"),)


@pytest.mark.parametrize("name", METHODS)
def test_it_refuses(name: str, spaces: dict[str, Any]) -> None:
    optimizer = OPTIMIZERS.get(name)(**KEYWORDS.get(name, {}))
    with pytest.raises(OptimizerStateError, match="adapt_search_space"):
        optimizer.ask(1)
    with pytest.raises(ConfigError, match="did you mean 'fidelity'"):
        OPTIMIZERS.get(name)(fidelty=3)
    optimizer = adapted(name, spaces[OWN_SPACES.get(name, SPACES)[0]], Genes())
    with pytest.raises(ConfigError, match="at least one trial"):
        optimizer.ask(0)
    (trial,) = optimizer.ask(1)
    with pytest.raises(ConfigError, match="has 1 values"):
        optimizer.tell(trial, [1.0])
    optimizer.tell(trial, values_of(trial))
    with pytest.raises(OptimizerStateError, match="not pending"):
        optimizer.tell(trial, values_of(trial))
