"""Building a table: what is trained in which order, what is kept, and that nothing is lost when it is stopped."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from naslib.benchmarks import TrainedTable
from naslib.benchmarks.results import load_results, merged
from naslib.errors import ConfigError, DataError, HistoryError, RunFolderError
from naslib.evaluators import TrainEvaluator, TrainingOfTrials
from naslib.evaluators.building import plan_build
from naslib.evaluators.executors import SerialExecutor
from naslib.evaluators.latency import measure_latencies
from naslib.evaluators.recorded import RecordedTraining
from naslib.evaluators.table_builder import build_folder, build_table, collect
from naslib.history import State, Trial
from naslib.history.load import load
from naslib.search_spaces import ModuleSearchSpace, NasBench201SearchSpace, NasBench301SearchSpace
from naslib.search_spaces.core.query_metrics import Metric

CODEC = NasBench201SearchSpace.codec
EPOCHS = 2


def images(n: int, seed: int) -> TensorDataset:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 2, 8, 8, generator=generator)
    return TensorDataset(x, x.mean(dim=(2, 3)).sum(dim=1).gt(0).long())


def recorded(space=None, epochs: int = EPOCHS, rate: float = 0.05) -> RecordedTraining:
    space = space or NasBench201SearchSpace(n_classes=2, in_channels=2, channels=2, cells_per_stage=1)
    train, valid, tests = (DataLoader(images(n, seed), 8) for n, seed in ((16, 0), (8, 1), (8, 2)))
    training = TrainEvaluator(space, train, valid, TrainingOfTrials(learning_rate=rate), epochs=epochs)
    return RecordedTraining(training, tests, "cpu")


def build(out: Path, architectures: int = 2, evaluator: RecordedTraining | None = None, **kwargs):
    kwargs = {"name": "nasbench201", "dataset": "made", "seeds": (1, 2), **kwargs}
    return build_table(evaluator or recorded(), out, architectures=architectures, **kwargs)


def equal(first, second) -> bool:
    """Say whether two tables have the same, but for what took how long."""
    curves = all(np.array_equal(first.curves[n], second.curves[n], equal_nan=True) for n in first.curves)
    return curves and first.codes == second.codes and first.params.tolist() == second.params.tolist()


# the plan


def test_the_order_is_a_permutation_of_the_functions_and_a_prefix_a_sample():
    whole = plan_build(CODEC, None, (1, 2), 9)
    assert len(whole.codes) == len(set(whole.codes)) == whole.functions == 5_234
    assert len({CODEC.function_of(code) for code in whole.codes}) == 5_234
    assert sorted(c for members in whole.members.values() for c in members) == list(CODEC.iterate())
    few = plan_build(CODEC, 7, (1, 2), 9)
    assert few.codes == whole.codes[:7] and few.codes != tuple(sorted(few.codes))
    assert plan_build(CODEC, 7, (1, 2), 9, order_seed=1).codes != few.codes
    trials = list(few.trials())
    assert [t.number for t in trials] == list(range(14)) and [t.seed for t in trials[:4]] == [1, 2, 1, 2]
    assert [t.code for t in trials[::2]] == list(few.codes) and {t.fidelity for t in trials} == {9}


def test_shards_share_the_work():
    parts = [list(plan_build(CODEC, 7, (1, 2), 9, shard=(i, 3)).trials()) for i in range(3)]
    assert [len(part) for part in parts] == [6, 4, 4]
    assert sorted(t.number for part in parts for t in part) == list(range(14))


def test_a_large_space_is_drawn_from_and_never_all_of_it():
    codec = NasBench301SearchSpace(channels=4, cells=2).codec
    plan = plan_build(codec, 5, (0,), 1)
    assert len(set(plan.codes)) == 5 and plan.functions is None and plan.members[plan.codes[0]] == (plan.codes[0],)
    assert plan_build(codec, 3, (0,), 1).codes == plan.codes[:3]
    with pytest.raises(ConfigError, match="too large for all of its architectures"):
        plan_build(codec, None, (0,), 1)


def test_what_makes_no_plan():
    with pytest.raises(ConfigError, match=r"at least one architecture, not 0(.|\n)*seeds are(.|\n)*a shard is i/n"):
        plan_build(CODEC, 0, (1, 1), 9, shard=(3, 3))
    with pytest.raises(ConfigError, match="has 5,234 architectures that differ, fewer than 15,625"):
        plan_build(CODEC, 15_625, (1,), 9)


# one training


def test_what_is_recorded_is_what_a_trial_of_that_length_measures():
    evaluator, code = recorded(epochs=3), (2, 0, 3, 1, 2, 4)
    outcome = evaluator.evaluate(Trial(0, code, 3, seed=5))
    curves = outcome.user["curves"]
    assert sorted(curves) == sorted(f"{p}_{k}" for p in ("train", "valid", "test") for k in ("loss", "score"))
    assert all(len(values) == 3 for values in curves.values())
    plain = recorded(epochs=3).training.evaluate(Trial(0, code, 3, seed=5))  # nothing was disturbed by the recording
    assert outcome.values == plain.values == (curves["valid_score"][-1],)
    assert plain.user["train_loss"] == curves["train_loss"][-1] and plain.user["valid_loss"] == curves["valid_loss"][-1]
    assert outcome.user["train_seconds"] > 0
    swapped = RecordedTraining(evaluator.training, evaluator.training.valid, "wall")  # the test part is the validation
    again = swapped.evaluate(Trial(0, code, 3, seed=5)).user["curves"]
    assert again["test_loss"] == again["valid_loss"] == curves["valid_loss"]


def test_sizes_are_closed_forms_where_the_space_has_them_and_counted_elsewhere():
    evaluator, code = recorded(), (2, 0, 3, 1, 2, 4)
    closed = evaluator.sizes(code)
    evaluator.training.space.codec = type("Plain", (type(CODEC),), {"network_sizes": lambda *_: None})()
    assert evaluator.sizes(code) == closed
    network = evaluator.training.build_network(code)
    assert closed[0] == sum(parameter.numel() for parameter in network.parameters())


def test_no_test_part_and_no_such_clock():
    training = recorded().training
    with pytest.raises(DataError, match="there is no test part"):
        RecordedTraining(training, None)
    with pytest.raises(ConfigError, match="cpu or wall, not 'sun'"):
        RecordedTraining(training, training.valid, "sun")


# a table


def test_a_table_has_every_architecture_of_the_functions_that_were_trained(tmp_path: Path):
    results = build(tmp_path / "made.npz")
    plan = plan_build(CODEC, 2, (1, 2), EPOCHS)
    assert [results.codes[place] for place in results.trained] == list(plan.codes)
    assert results.codes == sorted(c for code in plan.codes for c in plan.members[code])
    table = TrainedTable(tmp_path / "made.npz")
    code = plan.codes[1]
    expected = recorded().evaluate(Trial(99, code, EPOCHS, seed=2)).user["curves"]
    assert table.query_seed(code, Metric.TEST_ACCURACY, "made", 1, seed=2) == pytest.approx(expected["test_score"][0])
    assert table.query(code, Metric.TRAIN_LOSS, full_lc=True, seed=2) == pytest.approx(expected["train_loss"], rel=1e-4)
    about = results.about
    assert about["functions"] == 5_234 and about["images"] == {"train": 16, "valid": 8, "test": 8}
    assert about["training"]["learning_rate"] == 0.05 and len(about["environments"]) == 1 and about["threads"] == 1


def test_more_architectures_go_on_and_shards_make_the_same_table(tmp_path: Path):
    whole = build(tmp_path / "whole.npz", 3)
    build(tmp_path / "grown.npz", 2)
    before = {t.number: t for t in load(build_folder(tmp_path / "grown.npz"))}
    assert equal(build(tmp_path / "grown.npz", 3), whole)
    after = {t.number: t for t in load(build_folder(tmp_path / "grown.npz"))}
    assert all(after[number] == trial for number, trial in before.items()) and len(after) == 6  # none trained twice
    for i in range(2):
        build(tmp_path / f"part{i}.npz", 3, shard=(i, 2))
    parts = [load_results(tmp_path / f"part{i}.npz") for i in range(2)]
    joined, stored = merged(parts), load_results(tmp_path / "whole.npz")
    order = [[table.codes[place] for place in table.trained] for table in (joined, stored)]
    rows = [order[0].index(code) for code in order[1]]
    assert all(np.array_equal(joined.curves[n][rows], stored.curves[n]) for n in stored.curves)
    assert joined.codes == stored.codes and sorted(order[0]) == sorted(order[1])


class Stopped(Exception):
    """What kills a build in a test."""


def test_killed_after_any_training_it_goes_on_with_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    whole = build(tmp_path / "whole.npz")
    finish, left = SerialExecutor.next_finished, [1]

    def dies(self, should_stop):
        if left[0] == 0:
            raise Stopped
        left[0] -= 1
        return finish(self, should_stop)

    monkeypatch.setattr(SerialExecutor, "next_finished", dies)
    with pytest.raises(Stopped):
        build(tmp_path / "killed.npz")
    assert not (tmp_path / "killed.npz").exists()
    states = [trial.state for trial in load(build_folder(tmp_path / "killed.npz"))]
    assert states == [State.COMPLETE, State.RUNNING]
    so_far = collect(build_folder(tmp_path / "killed.npz"), recorded())
    assert np.isfinite(so_far.seconds).tolist() == [[True, False]]
    monkeypatch.setattr(SerialExecutor, "next_finished", finish)
    assert equal(build(tmp_path / "killed.npz"), whole)


def test_ctrl_c_writes_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    finish = SerialExecutor.next_finished

    def interrupted(self, should_stop):
        done = finish(self, should_stop)
        os.kill(os.getpid(), signal.SIGINT)
        return done

    monkeypatch.setattr(SerialExecutor, "next_finished", interrupted)
    with pytest.raises(KeyboardInterrupt, match="keeps what is trained"):
        build(tmp_path / "made.npz")
    assert np.isfinite(load_results(tmp_path / "made.npz").seconds).sum() == 1


def test_a_training_that_fails_is_left_out_and_tried_again_on_demand(tmp_path: Path):
    diverging = recorded(rate=1e30)
    with pytest.raises(HistoryError, match="no training of this build is complete"):
        build(tmp_path / "made.npz", 1, diverging, seeds=(1,))
    failed = load(build_folder(tmp_path / "made.npz"))
    assert {t.state for t in failed} == {State.FAILED} and "became NaN" in failed[0].user["error"]
    with pytest.raises(HistoryError):
        build(tmp_path / "made.npz", 1, diverging, seeds=(1,), retry_failed=True)


# what is refused


def test_another_table_in_the_folder(tmp_path: Path):
    build(tmp_path / "made.npz", 1, seeds=(1,))
    with pytest.raises(HistoryError, match=r"of another table: .*learning_rate.* was 0\.05 and is 0\.1 now.*--out"):
        build(tmp_path / "made.npz", 1, recorded(rate=0.1), seeds=(1,))
    with pytest.raises(HistoryError, match=r"protocol\.seeds"):
        build(tmp_path / "made.npz", 1, seeds=(1, 2, 3))


def test_two_builds_in_one_folder(tmp_path: Path):
    folder = build_folder(tmp_path / "made.npz")
    folder.mkdir()
    hold = "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True); "
    command = [sys.executable, "-c", hold + "sys.stdin.read()", str(folder / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        with pytest.raises(RunFolderError, match=r"made\.build"):
            build(tmp_path / "made.npz", 1)
        other.kill()
    assert build(tmp_path / "made.npz", 1, seeds=(4,)).seeds == (4,)


def test_a_locked_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("naslib.history.sqlite._PATIENCE_SECONDS", 0.05)
    build(tmp_path / "made.npz", 1, seeds=(1,))
    database = sqlite3.connect(build_folder(tmp_path / "made.npz") / "history.sqlite", isolation_level=None)
    database.execute("BEGIN IMMEDIATE")
    with pytest.raises(HistoryError, match=r"history\.sqlite is locked by another process"):
        build(tmp_path / "made.npz", 2, seeds=(1,))
    database.execute("ROLLBACK")
    database.close()
    assert len(build(tmp_path / "made.npz", 2, seeds=(1,)).trained) == 2


def test_arguments_that_do_not_fit(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"a table is a \.npz file, not 'made\.csv'"):
        build(tmp_path / "made.csv")
    with pytest.raises(ConfigError, match="at least 1, not 0 and 1"):
        build(tmp_path / "made.npz", workers=0)
    assert not list(tmp_path.iterdir())


# other spaces, latencies, processes


def test_a_module_of_ones_own(tmp_path: Path):
    from functools import partial

    from own_modules import two_layers

    space = ModuleSearchSpace(partial(two_layers, 2, 2, 3))
    results = build(tmp_path / "own.npz", None, recorded(space), name="mine", seeds=(0,))
    assert len(results.codes) == 4 == results.about["functions"] and len(results.trained) == 4
    table = TrainedTable(tmp_path / "own.npz")
    small, large = (table.query(code, Metric.PARAMETERS) for code in ((0, 0), (1, 1)))
    # two 1x1 or 3x3 convolutions of 3 channels with biases, beside the stem and the classifier
    rest = (2 * 9 * 3 + 3) + (3 * 2 + 2)
    assert (round(small * 1e6), round(large * 1e6)) == (rest + 2 * (9 + 3), rest + 2 * (81 + 3))
    assert table.name == "mine" and table.knows("made")


def test_latencies_are_measured_once_and_kept(tmp_path: Path):
    results = build(tmp_path / "made.npz", seeds=(1,))
    assert measure_latencies(results, recorded(), tmp_path / "made.npz", repeats=2) == 2
    stored = load_results(tmp_path / "made.npz")
    assert (stored.latency > 0).all() and stored.about["latency"]["repeats"] == 2
    assert measure_latencies(stored, recorded(), tmp_path / "made.npz") == 0
    assert TrainedTable(tmp_path / "made.npz").query(stored.codes[0], Metric.LATENCY) > 0
    with pytest.raises(ConfigError, match="at least 1, not 0"):
        measure_latencies(stored, recorded(), tmp_path / "made.npz", repeats=0)


def test_latencies_of_one_table_are_measured_alike(tmp_path: Path):
    results = build(tmp_path / "made.npz", seeds=(1,))
    measure_latencies(results, recorded(), tmp_path / "made.npz", repeats=2)
    assert measure_latencies(results, recorded(), tmp_path / "made.npz", repeats=3) == 0
    assert results.about["latency"]["repeats"] == 2  # nothing was measured, so nothing is said
    results.latency[0] = np.nan
    with pytest.raises(ConfigError, match=r"measured alike: latency.repeats was 2 and is 3; measure all anew"):
        measure_latencies(results, recorded(), tmp_path / "made.npz", repeats=3)
    assert measure_latencies(results, recorded(), tmp_path / "made.npz", repeats=3, anew=True) == 2
    assert results.about["latency"]["repeats"] == 3


def test_what_is_collected_is_of_the_networks_that_were_trained(tmp_path: Path):
    made = build(tmp_path / "made.npz", seeds=(1,))
    assert equal(collect(build_folder(tmp_path / "made.npz"), recorded()), made)
    wider = NasBench201SearchSpace(n_classes=2, in_channels=2, channels=4, cells_per_stage=1)
    with pytest.raises(HistoryError, match=r"other networks: .*channels was 2 and is 4 now"):
        collect(build_folder(tmp_path / "made.npz"), recorded(wider))
    with pytest.raises(HistoryError, match=r"learning_rate was 0.05 and is 0.5 now"):
        collect(build_folder(tmp_path / "made.npz"), recorded(rate=0.5))


@pytest.mark.slow
def test_processes_make_the_same_table_and_a_kill_loses_no_training(tmp_path: Path):
    whole = build(tmp_path / "whole.npz", 4)
    assert equal(build(tmp_path / "two.npz", 4, workers=2), whole)
    script = tmp_path / "script.py"
    script.write_text(
        f"import sys\nsys.path[:0] = {[str(Path(__file__).parent)]!r}\nfrom pathlib import Path\n"
        "from test_build_table import build\n"
        "if __name__ == '__main__':\n    build(Path('killed.npz'), 4, workers=2)\n"
    )
    with subprocess.Popen([sys.executable, str(script)], cwd=tmp_path, start_new_session=True) as process:
        history = build_folder(tmp_path / "killed.npz") / "history.sqlite"
        for _ in range(1200):
            if history.is_file() and sum(t.state is State.COMPLETE for t in load(history.parent)) >= 2:
                break
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
    before = {t.number: t for t in load(history.parent) if t.state is State.COMPLETE}
    assert len(before) >= 2
    assert equal(build(tmp_path / "killed.npz", 4), whole)
    after = {t.number: t for t in load(history.parent)}
    assert all(after[number] == trial for number, trial in before.items())
