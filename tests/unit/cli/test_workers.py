"""Processes that do works: one that dies loses its own work alone, all end with the parent, signals are handed on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from worker_acts import act

from naslib.cli import workers
from naslib.cli.workers import Stopped, in_processes, threads_each

ROOT = Path(__file__).resolve().parents[3]
WAIT = """
import sys
sys.path[:0] = ["tests/support"]
from worker_acts import act
from naslib.cli.workers import in_processes

if __name__ == "__main__":
    for event in in_processes(act, [("wait", sys.argv[1])], 1):
        pass
"""


def _ended(works, count):
    found = {}
    for kind, place, result in in_processes(act, works, count):
        if kind not in ("begun", "waiting"):
            found[place] = kind, result
    return found


def test_a_process_that_dies_loses_its_own_work_alone():
    found = _ended([("a", "1"), ("die", ""), ("raise", "no such thing"), ("b", "2")], 2)
    assert found == {
        0: ("done", "a 1"),
        1: ("died", "its process was ended by SIGKILL (is there enough memory?)"),
        2: ("crashed", "ValueError: no such thing"),
        3: ("done", "b 2"),
    }


def test_nothing_to_do_starts_nothing():
    assert list(in_processes(act, [], 4)) == []


def test_threads_are_a_share_of_the_cores(monkeypatch):
    monkeypatch.setattr(workers, "allowed_cores", lambda: 6)
    assert [threads_each(count) for count in (0, 1, 2, 4, 9)] == [6, 6, 3, 1, 1]


def test_a_signal_is_handed_on_and_nothing_else_begins(tmp_path):
    file = tmp_path / "pid"
    told = []
    with pytest.raises(Stopped, match="stopped by SIGTERM") as stopped:
        for event in in_processes(act, [("wait", str(file)), ("never", "")], 1):
            if event.kind == "waiting" and file.is_file() and not told:
                told.append(os.kill(os.getpid(), signal.SIGTERM))
            if event.kind == "done":
                told.append(event)
    assert stopped.value.signum == signal.SIGTERM
    assert [event for event in told if event is not None] == [("done", 0, "interrupted")]


def test_processes_end_with_a_parent_that_is_killed(tmp_path):
    file = tmp_path / "pid"
    (tmp_path / "wait.py").write_text(WAIT)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'support'}"}
    parent = subprocess.Popen([sys.executable, str(tmp_path / "wait.py"), str(file)], cwd=ROOT, env=environment)
    child = _number(file)
    parent.kill()
    parent.wait(30)
    for _ in range(300):
        if not _is_alive(child):
            return
        time.sleep(0.1)
    pytest.fail("the process outlived its parent")


def _number(file: Path) -> int:
    for _ in range(600):
        if file.is_file() and file.read_text():
            return int(file.read_text())
        time.sleep(0.1)
    pytest.fail("the process did not begin")


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")  # an orphan that nobody waits for is dead as well
    return not (status.is_file() and status.read_text().split()[2] == "Z")
