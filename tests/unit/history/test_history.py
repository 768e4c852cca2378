"""Histories of trials: what is kept, by whom it can be read meanwhile, and what no kill can take."""

from __future__ import annotations

import csv
import json
import math
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from naslib.errors import HistoryError
from naslib.history import FILE_NAME, History, MemoryHistory, Objective, SqliteHistory, State, Trial, load

OBJECTIVES = (Objective("accuracy", True, "%"), Objective("params", False, "M"))


def _trial(number: int, **more) -> Trial:
    return Trial(number, (number % 3, 1, 2), fidelity=5, seed=100 + number, **more)


def _done(number: int) -> Trial:
    values = (50.0 + number / 3, 0.1 * number)
    return _trial(number, parent=number - 1).started(1).completed(values, 0.25 * number, {"loss": number / 7})


@pytest.fixture(params=["memory", "sqlite"])
def history(request, tmp_path):
    made: History = MemoryHistory() if request.param == "memory" else SqliteHistory(tmp_path / FILE_NAME)
    with made:
        yield made


def test_what_is_added_is_found_again_exactly(history: History):
    trials = [_done(3), _trial(1).started(0), _trial(0).failed("it diverged", 2.5), _trial(2)]
    for trial in trials:
        history.add(trial)
    assert list(history) == sorted(trials, key=lambda trial: trial.number)
    assert history.get(3) == trials[0] and history.get(7) is None
    assert history.trials(State.FAILED) == [trials[2]]
    assert [history.count(), history.count(State.COMPLETE), history.count(State.PRUNED), len(history)] == [4, 1, 0, 4]
    history.add(trials[3].started(1).completed(1.5))
    assert history.get(2).values == (1.5,) and len(history) == 4


def test_objectives_and_what_a_search_is(history: History):
    assert history.objectives == () and history
    history.describe(OBJECTIVES, {"seed": 3})
    assert history.objectives == OBJECTIVES and history.about == {"seed": 3}


def test_a_trial_that_is_not_finite_has_failed_and_says_why():
    for bad in (math.nan, math.inf, (1.0, -math.inf)):
        trial = _trial(0).completed(bad, 2.0)
        assert trial.state is State.FAILED and trial.values is None and trial.seconds == 2.0
        assert "not finite" in trial.user["error"]
    assert [state.is_over for state in State] == [False, False, True, True, True]


def test_a_second_reader_sees_what_is_there_while_the_search_writes(tmp_path):
    with SqliteHistory(tmp_path / FILE_NAME) as writer:
        writer.describe(OBJECTIVES)
        writer.add(_done(0))
        writer.add(_trial(1).started(0))
        with SqliteHistory(tmp_path / FILE_NAME, readonly=True) as reader:
            assert [trial.state for trial in reader] == [State.COMPLETE, State.RUNNING]
            writer.add(_done(1))
            assert reader.get(1) == _done(1)
            with pytest.raises(HistoryError, match="cannot read or write"):
                reader.add(_done(2))
        assert load(tmp_path) == [_done(0), _done(1)] and load(tmp_path).objectives == OBJECTIVES
    assert load(tmp_path / FILE_NAME) == [_done(0), _done(1)]


_WRITER = """
import sys
from naslib.history import SqliteHistory, Trial
history = SqliteHistory(sys.argv[1])
for number in range(100_000):
    history.add(Trial(number, (1, 2)).completed(number / 3))
    print(number, flush=True)
"""


def test_a_kill_at_any_moment_loses_no_trial_that_was_added(tmp_path):
    path = tmp_path / FILE_NAME
    for patience in (1, 57, 400):
        words = [sys.executable, "-c", _WRITER, str(path)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            seen = -1
            while seen < patience:
                seen = int(process.stdout.readline())
            os.kill(process.pid, signal.SIGKILL)
            rest = process.stdout.read().split()
        last = int(rest[-1]) if rest else seen  # the last one that the writer said
        found = load(tmp_path)
        assert len(found) >= last + 1 and all(trial.values == (trial.number / 3,) for trial in found)
        path.unlink()
        for left in tmp_path.glob(f"{FILE_NAME}-*"):
            left.unlink()


def test_many_at_once_are_all_or_none(tmp_path):
    with SqliteHistory(tmp_path / FILE_NAME) as history:
        history.add_all(map(_done, range(500)))
        assert len(history) == 500

        def broken():
            yield _done(500)
            raise KeyError("a caller's own")

        with pytest.raises(KeyError):
            history.add_all(broken())
        assert len(history) == 500
        history.add(_done(500))
        assert len(history) == 501


# files that cannot be used


def _write(path: Path) -> None:
    with SqliteHistory(path) as history:
        history.describe(OBJECTIVES)
        history.add_all(map(_done, range(300)))


@pytest.mark.parametrize("kind", ["text", "empty_middle", "other_database", "newer", "no_table"])
def test_a_file_that_is_no_history_is_one_clear_error(tmp_path, kind):
    path = tmp_path / FILE_NAME
    if kind == "text":
        path.write_text("what somebody wrote here, and it is longer than a header of SQLite\n" * 50)
    elif kind == "other_database":
        with sqlite3.connect(path) as database:
            database.execute("CREATE TABLE mine (x)")
        database.close()
    else:
        _write(path)
    if kind == "empty_middle":
        content = bytearray(path.read_bytes())
        content[4096 * 2 : 4096 * 3] = b"\x00" * 4096
        path.write_bytes(bytes(content))
    if kind in ("newer", "no_table"):
        with sqlite3.connect(path) as database:
            database.execute("PRAGMA user_version=99" if kind == "newer" else "DROP TABLE trials")
        database.close()
    words = {"other_database": "database of something else", "newer": "newer"}.get(kind, "damaged")
    with pytest.raises(HistoryError, match=words) as raised:
        load(tmp_path)
    assert str(path) in str(raised.value)
    with pytest.raises(HistoryError), SqliteHistory(path) as history:
        history.trials()


def test_a_locked_file_is_one_clear_error(tmp_path, monkeypatch):
    monkeypatch.setattr("naslib.history.sqlite._PATIENCE_SECONDS", 0.05)
    path = tmp_path / FILE_NAME
    with SqliteHistory(path) as history:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(HistoryError, match=r"locked by another process.*--resume"):
            history.add(_done(0))
        assert load(tmp_path) == []  # readers do not wait
        other.execute("ROLLBACK")
        other.close()
        history.add(_done(0))


def test_a_history_that_is_not_there_says_what_is(tmp_path):
    with pytest.raises(HistoryError, match="no run folder of a black-box search"):
        load(tmp_path)
    (tmp_path / "errors.json").write_text("{}")
    with pytest.raises(HistoryError, match=r"errors\.json has what it measured"):
        load(tmp_path)
    with pytest.raises(HistoryError, match="no folder"):
        load(tmp_path / "nowhere")


# tables and the best


def test_a_table_for_other_programs(tmp_path):
    with SqliteHistory(tmp_path / FILE_NAME) as history:
        history.describe(OBJECTIVES)
        history.add_all([_done(1), _trial(2).failed("worker died, twice"), _done(3), _trial(4).started(0)])
    path = load(tmp_path).to_csv(tmp_path / "trials.csv")
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [row["state"] for row in rows] == ["COMPLETE", "FAILED", "COMPLETE", "RUNNING"]
    assert float(rows[0]["accuracy"]) == 50.0 + 1 / 3 and float(rows[2]["params"]) == 0.1 * 3
    assert json.loads(rows[2]["code"]) == [0, 1, 2] and json.loads(rows[1]["user"])["error"] == "worker died, twice"
    assert rows[1]["accuracy"] == rows[3]["accuracy"] == "" and rows[0]["parent"] == "0"


def test_the_best_follows_the_direction_of_the_first_objective():
    from naslib.history import Trials

    trials = [_done(1), _trial(2).failed("no"), _done(3)]
    assert Trials(trials, OBJECTIVES).best() == trials[2]
    assert Trials(trials, (Objective("loss", False),)).best() == trials[0]
    assert Trials(trials[1:2], OBJECTIVES).best() is None
