"""CheckpointManager: names, pruning, atomicity, and what is said of damaged files."""

from __future__ import annotations

import errno
import logging
import os
import resource
import signal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from naslib.errors import CheckpointError
from naslib.training.checkpoint import CheckpointManager, get_last_checkpoint, read_checkpoint, read_newest
from naslib.training.plain import all_finite, to_plain


def _state(value: float = 0.0):
    return {"model": {"w": torch.full((3,), value)}, "run": {"epoch": 1}}


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_names_and_last_checkpoint(tmp_path):
    manager = CheckpointManager(tmp_path / "search")
    manager.save_epoch(_state(), 0)
    manager.save_step(_state(), 1, 20)
    assert _names(tmp_path / "search") == ["last_checkpoint", "model_0000000.pth", "model_0000001_step0000020.pth"]
    config = SimpleNamespace(save=str(tmp_path))
    assert get_last_checkpoint(config) == str(tmp_path / "search" / "model_0000001_step0000020.pth")
    assert get_last_checkpoint(config, search=False) == ""
    manager.save_final(_state())
    assert (tmp_path / "search" / "last_checkpoint").read_text() == "model_final.pth"


def test_keeps_epochs_and_the_last_two(tmp_path):
    manager = CheckpointManager(tmp_path)
    for epoch in range(2):
        for step in (5, 10, 15):
            manager.save_step(_state(), epoch, step)
        manager.save_epoch(_state(), epoch)
    assert [path.name for path in manager.candidates()] == [
        "model_0000001.pth",
        "model_0000001_step0000015.pth",
        "model_0000000.pth",
    ]


def test_leftovers_of_a_killed_process_are_removed(tmp_path):
    (tmp_path / ".model_0000000.pth.0123.tmp").write_bytes(b"half")
    CheckpointManager(tmp_path).save_epoch(_state(), 0)
    assert _names(tmp_path) == ["last_checkpoint", "model_0000000.pth"]


def test_falls_back_from_a_truncated_file_and_says_so(tmp_path, caplog):
    manager = CheckpointManager(tmp_path)
    manager.save_epoch(_state(1), 0)
    newest = manager.save_epoch(_state(2), 1)
    newest.write_bytes(newest.read_bytes()[:200])
    with caplog.at_level(logging.WARNING, "naslib"):
        path, state = read_newest(newest)
    assert path.name == "model_0000000.pth" and state["model"]["w"][0] == 1
    assert "truncated" in caplog.text and "model_0000000.pth" in caplog.text
    path.write_bytes(b"")
    with pytest.raises(CheckpointError, match="no other checkpoint"):
        read_newest(newest)


def test_missing_and_foreign_files(tmp_path):
    CheckpointManager(tmp_path).save_epoch(_state(), 3)
    with pytest.raises(CheckpointError, match=r"no checkpoint .*nothing.pth; .* has model_0000003.pth"):
        read_newest(tmp_path / "nothing.pth")
    torch.save({"weights": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match="not a checkpoint of naslib"):
        read_newest(tmp_path / "other.pth")


def test_reading_runs_no_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'ran'}",)

    torch.save({"model": {}, "run": {}, "x": Evil()}, tmp_path / "model_final.pth")
    with pytest.raises(CheckpointError):
        read_checkpoint(tmp_path / "model_final.pth")
    assert not (tmp_path / "ran").exists()


def test_full_disk_leaves_the_old_intact(tmp_path, monkeypatch):
    manager = CheckpointManager(tmp_path)
    path = manager.save_final(_state(1))
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(CheckpointError, match=r"No space left on device.*model_final.pth is intact.*--resume"):
            manager.save_final(_state(2))
    assert path.read_bytes() == before and _names(tmp_path) == ["last_checkpoint", "model_final.pth"]


def test_a_write_that_the_kernel_refuses_halfway(tmp_path):
    manager = CheckpointManager(tmp_path)
    manager.save_epoch(_state(1), 0)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(CheckpointError, match=r"model_0000001.pth: .*model_0000000.pth is intact"):
            manager.save_epoch(_state(2), 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert _names(tmp_path) == ["last_checkpoint", "model_0000000.pth"]
    assert read_newest(tmp_path)[1]["model"]["w"][0] == 1


def test_plain_values():
    plain = to_plain({"a": np.float64(1.5), "b": (np.int64(2), Path("x")), "c": torch.nn.Parameter(torch.ones(1))})
    assert type(plain["a"]) is float and type(plain["b"][0]) is int and plain["b"][1] == "x"
    assert type(plain["c"]) is torch.Tensor
    with pytest.raises(CheckpointError, match=r"state.model\[1\] holds a SimpleNamespace"):
        to_plain({"model": [0, SimpleNamespace()]})


def test_all_finite():
    assert all_finite({"a": [torch.ones(2)], "b": torch.tensor([1]), "c": "x"})
    assert not all_finite({"a": [torch.ones(2), {"deep": torch.tensor([0.0, float("nan")])}]})
