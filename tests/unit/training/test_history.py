"""SearchHistory: series, JSON, state."""

from __future__ import annotations

import json
import math

from naslib.training.history import SERIES, HistoryFile, SearchHistory

KEYS = {
    "train_acc", "train_loss", "valid_acc", "valid_loss", "test_acc", "test_loss", "runtime", "train_time", "arch_eval",
    "params",
}  # fmt: skip


def _filled() -> SearchHistory:
    history = SearchHistory(params=1.5)
    history.append(train_acc=50.0, train_loss=float("nan"), valid_acc=float("inf"), runtime=1)
    history.append_row((60.0, 0.5, None, 0.25, math.nan, None, 2.0, 1.0, 90))
    return history


def test_keys_and_values():
    trajectory = _filled().trajectory
    assert set(trajectory) == KEYS and trajectory.train_acc == [50.0, 60.0] and trajectory["params"] == 1.5
    assert trajectory.train_loss == [None, 0.5] and trajectory.valid_acc == [None, None]
    assert trajectory.test_acc == [None, None] and trajectory.arch_eval == [None, 90.0]
    assert {len(trajectory[key]) for key in SERIES} == {2}


def test_file(tmp_path):
    path = tmp_path / "errors.json"
    HistoryFile(path, _filled()).write()

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    content = json.loads(path.read_text(), parse_constant=refuse)
    assert set(content) == KEYS and content["valid_loss"] == [None, 0.25]


def test_lightweight_file(tmp_path):
    path = tmp_path / "errors.json"
    HistoryFile(path, _filled(), {"seed": 1}, lightweight=True).write()
    config, light = json.loads(path.read_text())
    assert config == {"seed": 1}
    assert set(light) == {"train_acc", "valid_acc", "test_acc", "runtime", "train_time", "params"}


def test_is_written_at_most_once_a_second(tmp_path):
    history = _filled()
    file = HistoryFile(tmp_path / "errors.json", history)
    file.write_if_due()
    history.append(train_acc=70.0)
    file.write_if_due()
    assert len(json.loads(file.path.read_text())["train_acc"]) == 2


def test_state_round_trip():
    history = _filled()
    other = SearchHistory()
    trajectory = other.trajectory
    other.load_state_dict(history.state_dict())
    assert other.trajectory == history.trajectory and trajectory is other.trajectory
    other.append(train_acc=1.0)
    assert len(history.trajectory.train_acc) == 2
