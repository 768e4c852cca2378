"""Atomic writes: the old content or the new, never a part, no left-overs."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
import torch

from naslib.utils.files import atomic_write, atomic_write_json, atomic_write_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_writes_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    atomic_write_text(path, "eins")
    atomic_write_text(path, "zwei - ü")
    assert path.read_text(encoding="utf-8") == "zwei - ü"
    assert names(path.parent) == ["a.txt"]


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), ValueError("writer"), KeyboardInterrupt()]
)
def test_failing_writer_leaves_old_file_and_no_temporary(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "model.pth"
    path.write_bytes(b"old")

    def writer(file: BinaryIO) -> None:
        file.write(b"half of the new")
        file.flush()
        raise error

    with pytest.raises(type(error)):
        atomic_write(path, writer)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["model.pth"]


@pytest.mark.parametrize("call", ["os.fsync", "Path.replace"])
def test_full_disk_at_sync_or_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    path = tmp_path / "model.pth"
    path.write_bytes(b"old")

    def fail(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(f"naslib.utils.files.{call}", fail)
    with pytest.raises(OSError, match="No space left") as info:
        atomic_write_text(path, "new")
    assert info.value.errno == errno.ENOSPC
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["model.pth"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_torch_save_on_a_full_device(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    atomic_write(path, lambda file: torch.save({"a": 1}, file))

    def writer(file: BinaryIO) -> None:
        with Path("/dev/full").open("wb", buffering=0) as full:
            full.write(b"x" * 10)

    with pytest.raises(OSError, match="No space left"):
        atomic_write(path, writer)
    assert torch.load(path, weights_only=True) == {"a": 1}


def test_is_synced_before_and_after_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr("naslib.utils.files.os.fsync", lambda fd: (calls.append("fsync"), fsync(fd)))
    monkeypatch.setattr("naslib.utils.files.Path.replace", lambda a, b: (calls.append("replace"), replace(a, b)))
    atomic_write_text(tmp_path / "a", "x")
    assert calls == ["fsync", "replace", "fsync"]


def test_folder_that_cannot_be_synced_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def fail(path: object, flags: int, *rest: int) -> int:
        if path == tmp_path:
            raise OSError(errno.EACCES, "folders cannot be opened here")
        return real(path, flags, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr("naslib.utils.files.os.open", fail)
    atomic_write_text(tmp_path / "a", "x")
    assert (tmp_path / "a").read_text() == "x"


def test_follows_links_and_umask(tmp_path: Path) -> None:
    target = tmp_path / "target"
    link = tmp_path / "link"
    link.symlink_to(target)
    atomic_write_text(link, "x")
    assert link.is_symlink()
    assert target.read_text() == "x"
    plain = tmp_path / "plain"
    plain.touch()
    assert target.stat().st_mode == plain.stat().st_mode


def test_json_is_standard(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    value = {
        "nan": float("nan"),
        "inf": [float("inf"), -float("inf"), 1.5],
        "np": np.float32(0.5),
        "np64": np.float64("nan"),
        "int": np.int64(3),
        "array": np.array([[1.0, np.nan]]),
        "tensor": torch.tensor([1, 2]),
        "tuple": (1, None, True),
        "path": Path("a") / "b",
        3: "int key",
    }
    atomic_write_json(path, value)

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    assert json.loads(path.read_text(), parse_constant=refuse) == {
        "nan": None,
        "inf": [None, None, 1.5],
        "np": 0.5,
        "np64": None,
        "int": 3,
        "array": [[1.0, None]],
        "tensor": [1, 2],
        "tuple": [1, None, True],
        "path": "a/b",
        "3": "int key",
    }


def test_json_of_something_else_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    atomic_write_json(path, [1])
    with pytest.raises(TypeError):
        atomic_write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == [1]
