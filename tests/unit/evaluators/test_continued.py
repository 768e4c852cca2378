"""Trainings that go on where a trial ended, and trainings that are stopped early."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_spaces import ConvSpace
from torch.utils.data import DataLoader, TensorDataset

from naslib.evaluators import ProcessExecutor, SerialExecutor, TrainEvaluator, TrainingOfTrials, TrialSearch
from naslib.evaluators.base import never
from naslib.evaluators.paused import PausedTrainings
from naslib.history import MemoryHistory, State, Trial
from naslib.optimizers import Hyperband, RandomSearch, SuccessiveHalving

CODE = (1, 0, 1)


def images(n: int, seed: int) -> TensorDataset:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 2, 4, 4, generator=generator)
    return TensorDataset(x, x.mean(dim=(2, 3)).sum(dim=1).gt(0).long())


def evaluator(folder: Path | None = None, epochs: int = 9, generator: bool = True, **kwargs: Any) -> TrainEvaluator:
    own = torch.Generator().manual_seed(5) if generator else None
    train = DataLoader(images(32, 0), 16, shuffle=True, generator=own)
    space = ConvSpace(2, classes=2)
    how = kwargs.pop("how", TrainingOfTrials(learning_rate=0.1, learning_rate_min=0.01))
    found = TrainEvaluator(space, train, DataLoader(images(24, 1), 8), how, seed=11, epochs=epochs, **kwargs)
    found.paused = None if folder is None else PausedTrainings(folder)
    return found


def rungs(levels: tuple[int, ...]) -> list[Trial]:
    """One architecture at ascending levels, each going on from the one before."""
    found = [Trial(0, CODE, levels[0], seed=3)]
    for number, (before, level) in enumerate(pairwise(levels), start=1):
        user = {"root": 0, "from_epoch": before}
        found.append(Trial(number, CODE, level, seed=3, parent=number - 1, user=user))
    return found


def plain(outcome: Any) -> Any:
    return outcome.values, dict(outcome.user), outcome.state


@pytest.mark.parametrize("generator", [True, False], ids=["own generator", "global generator"])
@pytest.mark.parametrize("how", [TrainingOfTrials(learning_rate=0.1), TrainingOfTrials(scheduler="plateau")])
def test_to_go_on_is_to_have_trained_without_a_break(tmp_path, monkeypatch, generator, how):
    begun: list[int] = []
    train_epoch = TrainEvaluator._train_epoch
    monkeypatch.setattr(
        TrainEvaluator, "_train_epoch", lambda self, t, s: (begun.append(t.epoch), train_epoch(self, t, s))[1]
    )
    trials = rungs((1, 2, 4))
    names = ["loss", "accuracy"]
    warm = evaluator(tmp_path, 4, generator, how=how, objectives=names)
    outcomes = [plain(warm.evaluate(trial)) for trial in trials]
    assert begun == [0, 1, 2, 3]  # no epoch is trained twice
    assert not list(tmp_path.glob("*.pth"))  # the last one is not to be continued, and has used up the others
    begun.clear()
    cold = evaluator(None, 4, generator, how=how, objectives=names)
    assert [plain(cold.evaluate(trial)) for trial in trials] == outcomes
    assert begun == [0, 0, 1, 0, 1, 2, 3]
    assert len({outcome[0] for outcome in outcomes}) == 3


def test_the_curve_changes_nothing_and_ends_with_the_value(tmp_path):
    for generator in (True, False):
        without = evaluator(None, 3, generator).evaluate(Trial(0, CODE, 3, seed=3))
        watched = evaluator(None, 3, generator, curve=True).evaluate(Trial(0, CODE, 3, seed=3))
        curve = watched.user["curve"]
        assert watched.values == without.values and len(curve) == 3 and curve[-1] == watched.values[0]
        assert {k: v for k, v in watched.user.items() if k != "curve"} == without.user
        parts = [evaluator(None, 3, generator).evaluate(Trial(0, CODE, e, seed=3)).values[0] for e in (1, 2)]
        assert curve[:2] == parts  # one schedule: a shorter training is the beginning of a longer one
        on = evaluator(tmp_path / str(generator), 3, generator, curve=True)
        assert [on.evaluate(trial).user["curve"] for trial in rungs((1, 3))] == [curve[:1], curve]


class Stop:
    """Stop after some epochs; a class, so that it reaches other processes."""

    def __init__(self, after: int) -> None:
        self.after, self.asked = after, []  # type: ignore[var-annotated]

    def __call__(self, curve: Any) -> dict[str, Any] | None:
        self.asked.append(list(curve))
        return {"stopped": "on purpose"} if len(curve) == self.after else None


def test_a_trial_that_is_stopped(tmp_path):
    stop = Stop(2)
    found = evaluator(tmp_path, 5).evaluate(Trial(0, CODE, 5, seed=3, stopping=stop))
    whole = evaluator(None, 5, curve=True).evaluate(Trial(0, CODE, 5, seed=3))
    assert found.state is State.PRUNED and found.user["epochs"] == 2 and found.user["stopped"] == "on purpose"
    assert found.user["curve"] == whole.user["curve"][:2] and found.values == (whole.user["curve"][1],)
    assert stop.asked == [whole.user["curve"][:1], whole.user["curve"][:2]]
    assert not list(tmp_path.glob("*.pth"))
    late = evaluator(None, 5).evaluate(Trial(0, CODE, 5, seed=3, stopping=Stop(5)))
    assert (
        late.state is State.COMPLETE and late.user["curve"] == whole.user["curve"]
    )  # after the last epoch nobody asks


def test_paused_trainings_are_bounded_and_may_be_gone(tmp_path, caplog):
    store = PausedTrainings(tmp_path / "paused", keep=3)
    for number in range(6):
        store.save(Trial(number, CODE, 1, seed=number), {"epoch": 1})
    assert len(list(store.folder.iterdir())) == 3
    third = Trial(9, CODE, 3, seed=5, user={"root": 5, "from_epoch": 1})
    device = torch.device("cpu")
    assert store.load(third, device) == {"epoch": 1}
    assert store.load(Trial(9, CODE, 3, seed=0, user={"root": 0, "from_epoch": 1}), device) is None
    assert not caplog.records
    other = Trial(9, CODE, 3, seed=6, user={"root": 5, "from_epoch": 1})
    assert store.load(other, device) is None and "it is of another trial" in caplog.text
    (store.folder / "5-1.pth").write_bytes(b"PK\x03\x04 cut off")
    assert store.load(third, device) is None and "trial 9 is trained from its beginning" in caplog.text
    store.clear()
    assert not store.folder.exists()
    store.clear()


def run(folder: Path | None, kind: type, count: int, executor: Any = SerialExecutor, **kwargs: Any) -> list[Trial]:
    np.random.seed(4)
    rules = kwargs.pop("evaluator", {})
    ours = evaluator(folder, **{"epochs": 9, **rules})
    optimizer = kind(**kwargs)
    optimizer.adapt_search_space(ours.space, "x", evaluator=ours)
    with executor(ours) as running:
        search = TrialSearch(optimizer, running, MemoryHistory(), seed=7, epochs=count)
        for done in range(count):
            search.advance(done, never)
    return search.history.trials()


def same(trials: list[Trial]) -> list[Any]:
    return [(t.number, t.code, t.fidelity, t.state, t.values, t.seed, t.parent, t.user) for t in trials]


def test_fidelities_of_a_training(tmp_path):
    """1, 3, 9 epochs: the promoted ones go on, with the values of trainings without a break."""
    warm = run(tmp_path / "paused", SuccessiveHalving, 13)
    assert [trial.fidelity for trial in warm] == [1] * 9 + [3] * 3 + [9]
    assert [trial.seed for trial in warm[9:]] == [warm[trial.root].seed for trial in warm[9:]]
    assert same(run(None, SuccessiveHalving, 13)) == same(warm)
    assert len(list((tmp_path / "paused").glob("*.pth"))) == 8  # those that were not promoted


@pytest.mark.slow
def test_workers_share_the_folder(tmp_path):
    def two(ours: Any) -> ProcessExecutor:
        return ProcessExecutor(ours, 2)

    first = run(tmp_path / "a", Hyperband, 22, two)
    assert same(run(None, Hyperband, 22, two)) == same(first)
    assert all(trial.state is State.COMPLETE for trial in first)


def test_early_termination_of_trainings(tmp_path):
    rule = {"early_termination": {"rule": "median", "min_trials": 3, "min_epochs": 1, "every": 1}}
    trials = run(None, RandomSearch, 12, evaluator={"epochs": 4, "curve": True}, parts=rule)
    states = [trial.state for trial in trials]
    assert states[:3] == [State.COMPLETE] * 3 and 1 <= states.count(State.PRUNED) <= 9
    whole = run(None, RandomSearch, 12, evaluator={"epochs": 4, "curve": True})
    for trial, full in zip(trials, whole, strict=True):
        assert trial.code == full.code and trial.user["curve"] == full.user["curve"][: len(trial.user["curve"])]
        if trial.state is not State.PRUNED:
            assert trial.values == full.values
            continue
        epochs = trial.user["epochs"]
        known = [t.user["curve"] for t in trials[: trial.number] if t.state is State.COMPLETE]
        averages = sorted(sum(curve[:epochs]) / epochs for curve in known)
        middle = len(averages) // 2
        median = averages[middle] if len(averages) % 2 else (averages[middle - 1] + averages[middle]) / 2
        assert max(trial.user["curve"]) < median and epochs == len(trial.user["curve"])
