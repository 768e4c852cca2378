"""RunLock: one process per run folder, let go of however that process ends."""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from naslib.errors import RunFolderError
from naslib.utils import lock
from naslib.utils.lock import RunLock, check_unlocked

# Holds the folder until killed; with a second argument, beside a forked child that outlives it.
HOLDER = """
import os, sys, time
from naslib.utils.lock import RunLock
with RunLock(sys.argv[1]):
    child = os.fork() if len(sys.argv) > 2 else 1
    os.write(1, b"held\\n" if child else b"child %d\\n" % os.getpid())  # in one piece
    time.sleep(60)
"""


def _hold(folder: Path, *more: str) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", HOLDER, str(folder), *more], stdout=subprocess.PIPE, text=True)


def _end(process: subprocess.Popen, number: int = signal.SIGKILL) -> None:
    process.send_signal(number)
    process.wait(30)
    process.stdout.close()


def test_a_second_process_is_refused_and_told_who_holds_it(tmp_path):
    process = _hold(tmp_path / "run")
    try:
        assert process.stdout.readline() == "held\n"
        for attempt in (lambda: RunLock(tmp_path / "run").__enter__(), lambda: check_unlocked(tmp_path / "run")):
            with pytest.raises(
                RunFolderError, match=rf"process {process.pid} on .*, since \d+-\d+-\d+ .*out_dir="
            ) as e:
                attempt()
            assert os.uname().nodename in str(e.value)
    finally:
        _end(process)
    check_unlocked(tmp_path / "run")  # killed: free at once
    with RunLock(tmp_path / "run"):
        assert json.loads((tmp_path / "run" / ".lock").read_text())["pid"] == os.getpid()
    assert list((tmp_path / "run").iterdir()) == []


def test_a_child_that_outlives_its_killed_parent_holds_nothing(tmp_path):
    process = _hold(tmp_path, "fork")
    lines = sorted(process.stdout.readline().split() for _ in range(2))
    child = int(lines[0][1])
    try:
        with pytest.raises(RunFolderError, match=f"process {process.pid} "):
            check_unlocked(tmp_path)
        _end(process)
        os.kill(child, 0)  # lives
        with RunLock(tmp_path):
            pass
    finally:
        os.kill(child, signal.SIGKILL)


def test_the_end_of_a_forked_child_leaves_the_lock_of_its_parent(tmp_path):
    with RunLock(tmp_path):
        child = os.fork()
        if child == 0:
            try:
                RunLock(tmp_path).__exit__(None, None, None)
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        assert _is_refused(tmp_path)


def _is_refused(folder: Path) -> bool:
    """Say whether another process is refused."""
    code = "import sys; from naslib.utils.lock import check_unlocked; check_unlocked(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True)
    return done.returncode != 0 and f"process {os.getpid()} " in done.stderr


def test_copying_the_folder_or_asking_within_the_process_does_not_lose_it(tmp_path):
    with RunLock(tmp_path / "run"):
        with RunLock(tmp_path / "run"):
            check_unlocked(tmp_path / "run")
        shutil.copytree(tmp_path / "run", tmp_path / "copy")
        assert (tmp_path / "run" / ".lock").is_file() and _is_refused(tmp_path / "run")
        check_unlocked(tmp_path / "copy")  # a copied file locks nothing
    assert not _is_refused(tmp_path / "run")


def test_an_error_within_lets_go(tmp_path):
    with pytest.raises(KeyError), RunLock(tmp_path):
        raise KeyError
    assert not (tmp_path / ".lock").exists() and not _is_refused(tmp_path)


def test_a_file_left_behind_or_unreadable_locks_nothing(tmp_path):
    for content in (b"", b"\xff\x00", b"[]", b'{"pid": 1}'):
        (tmp_path / ".lock").write_bytes(content)
        with RunLock(tmp_path):
            assert json.loads((tmp_path / ".lock").read_text())["pid"] == os.getpid()


def test_a_file_replaced_while_it_is_opened_is_opened_again(tmp_path, monkeypatch):
    real, calls = lock._lock, []

    def replaced_once(descriptor: int) -> None:
        if not calls:
            (tmp_path / ".lock").unlink()
        calls.append(descriptor)
        real(descriptor)

    monkeypatch.setattr(lock, "_lock", replaced_once)
    with RunLock(tmp_path):
        assert len(calls) == 2 and _is_refused(tmp_path)


def test_a_file_system_without_locks_is_warned_of(tmp_path, monkeypatch, caplog):
    def unsupported(descriptor: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock, "_lock", unsupported)
    with caplog.at_level(logging.WARNING, "naslib"), RunLock(tmp_path):
        pass
    assert "No locks available" in caplog.text and str(tmp_path) in caplog.text


def test_many_processes_at_once_never_hold_it_together(tmp_path):
    code = """
import os, sys, time
from naslib.errors import RunFolderError
from naslib.utils.lock import RunLock
folder, wins, end = sys.argv[1], 0, time.monotonic() + 1.0
while time.monotonic() < end:
    try:
        with RunLock(folder):
            os.mkdir(folder + "/inside")  # fails if another is inside
            os.rmdir(folder + "/inside")
            wins += 1
    except RunFolderError:
        pass
print(wins)
"""
    started = time.monotonic()
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    wins = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], time.monotonic() - started
    assert sum(map(int, wins)) > 0


def test_folders_that_were_made_for_the_lock_alone_go_with_it(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with RunLock(tmp_path / "there" / "a" / "b"), RunLock(tmp_path / "there" / "a" / "b"):
        assert (tmp_path / "there" / "a" / "b" / ".lock").is_file()
    assert list((tmp_path / "there").iterdir()) == []
    with RunLock(tmp_path / "there"):  # was there before
        pass
    with RunLock(tmp_path / "kept" / "run"):
        (tmp_path / "kept" / "run" / "log.log").touch()
    assert {path.name for path in tmp_path.rglob("*")} == {"there", "kept", "run", "log.log"}


def test_a_folder_that_another_process_removes_meanwhile_is_made_again(tmp_path: Path, monkeypatch) -> None:
    really, times = lock._open, []

    def removed_at_first(path: Path) -> int | None:
        times.append(path)
        if len(times) < 3:
            path.parent.rmdir()
        return really(path)

    monkeypatch.setattr(lock, "_open", removed_at_first)
    with RunLock(tmp_path / "run"):
        assert (tmp_path / "run" / ".lock").is_file()
    assert len(times) == 3
