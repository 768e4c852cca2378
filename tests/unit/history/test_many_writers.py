"""Many connections to one history: made once, no trial lost, none twice, and what a writer that waits too long gets."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import threading
from pathlib import Path

import pytest

from naslib.errors import HistoryError
from naslib.history import FILE_NAME, Objective, SqliteHistory, State, Trial, sqlite
from naslib.history.load import load

WRITERS, EACH = 32, 20


def trial(number: int, value: float = 0.5) -> Trial:
    return Trial(number, (number % 5, 1), 12, State.COMPLETE, (value,), 1.5, number, number % WRITERS)


def write(path: Path, writer: int, ready: threading.Barrier, troubles: list[str]) -> None:
    """Open the file with all others, and append: by itself, and several at once."""
    try:
        ready.wait()
        with SqliteHistory(path) as history:
            ready.wait()
            first = writer * EACH
            for number in range(first, first + EACH // 2):
                history.add(trial(number))
            assert isinstance(history, SqliteHistory)
            history.add_all(map(trial, range(first + EACH // 2, first + EACH)))
    except Exception as error:
        troubles.append(repr(error))
        ready.abort()


def write_in_threads(path: Path, writers: range, troubles: list[str]) -> None:
    ready = threading.Barrier(len(writers))
    threads = [threading.Thread(target=write, args=(path, writer, ready, troubles)) for writer in writers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("is_there", [False, True], ids=["nobody has made the file", "it is there"])
def test_no_trial_of_32_writers_is_lost_and_none_is_there_twice(tmp_path: Path, is_there: bool):
    path = tmp_path / FILE_NAME
    if is_there:
        with SqliteHistory(path) as history:
            history.describe([Objective("accuracy")])
    troubles: list[str] = []
    write_in_threads(path, range(WRITERS), troubles)
    assert troubles == []
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]  # nothing temporary is left
    assert list(load(path)) == [trial(number) for number in range(WRITERS * EACH)]


def _process(path: Path, writers: range, results: object) -> None:
    troubles: list[str] = []
    write_in_threads(path, writers, troubles)
    results.put(troubles)  # type: ignore[attr-defined]


@pytest.mark.slow
def test_no_trial_of_four_processes_is_lost(tmp_path: Path):
    path = tmp_path / FILE_NAME
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    shares = [range(start, start + WRITERS // 4) for start in range(0, WRITERS, WRITERS // 4)]
    processes = [context.Process(target=_process, args=(path, share, results)) for share in shares]
    for process in processes:
        process.start()
    assert [results.get(timeout=120) for _ in processes] == [[]] * 4
    for process in processes:
        process.join()
    assert list(load(path)) == [trial(number) for number in range(WRITERS * EACH)]


def test_readers_see_whole_groups_while_others_write(tmp_path: Path):
    path = tmp_path / FILE_NAME
    with SqliteHistory(path) as history:
        history.describe([Objective("accuracy")])
    troubles: list[str] = []
    writing = threading.Thread(target=write_in_threads, args=(path, range(8), troubles))
    counts = []
    writing.start()
    while writing.is_alive():
        there = {one.number for one in load(path)}
        counts.append(len(there))
        for writer in range(8):  # what is added at once is there as a whole or not at all
            group = set(range(writer * EACH + EACH // 2, (writer + 1) * EACH))
            assert group <= there or not group & there
    writing.join()
    assert troubles == [] and counts == sorted(counts) and len(load(path)) == 8 * EACH


def test_a_writer_that_waits_too_long_is_told_so_and_its_trial_is_not_there(tmp_path: Path, monkeypatch):
    path = tmp_path / FILE_NAME
    with SqliteHistory(path) as history:
        history.add(trial(0))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr(sqlite, "_PATIENCE_SECONDS", 0.05)
    with SqliteHistory(path) as history:
        with pytest.raises(HistoryError, match=r"is locked by another process, and was for 0\.05 seconds.*one driver"):
            history.add(trial(1))
        with pytest.raises(HistoryError, match="is locked"):
            history.add_all([trial(1), trial(2)])
        assert [one.number for one in history] == [0]
        other.execute("COMMIT")
        other.close()
        history.add_all([trial(1), trial(2)])
        assert [one.number for one in history] == [0, 1, 2]


def test_a_process_that_may_open_no_more_files_is_told_so(tmp_path: Path):
    resource = pytest.importorskip("resource", reason="no limits of files here")
    path = tmp_path / FILE_NAME
    SqliteHistory(path).close()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    troubles = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        SqliteHistory(path)
    except HistoryError as error:
        troubles.append(str(error))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(troubles) == 1 and "as many files open as it may (`ulimit -n`" in troubles[0]
    with SqliteHistory(path) as history:
        assert history.count() == 0


def test_a_file_that_is_being_made_has_another_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who looks for histories in a folder and those below finds none before it is whole."""
    link, found = os.link, []

    def linked(source: Path, target: Path) -> None:
        found.append((list(tmp_path.rglob(FILE_NAME)), source.is_file()))
        link(source, target)

    monkeypatch.setattr(os, "link", linked)
    SqliteHistory(tmp_path / "run" / FILE_NAME).close()
    assert found == [([], True)]
    assert list((tmp_path / "run").iterdir()) == [tmp_path / "run" / FILE_NAME]
