"""Logging to console and file, once each."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from naslib.utils import log


@pytest.fixture(autouse=True)
def clean_logger() -> Iterator[None]:
    logger = logging.getLogger("naslib")
    before, level = list(logger.handlers), logger.level
    yield
    for handler in [handler for handler in logger.handlers if handler not in before]:
        logger.removeHandler(handler)
        handler.close()
    logger.setLevel(level)
    log._last_time.clear()
    log._counts.clear()


def test_writes_to_console_and_file_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "sub" / "log.log"
    for _ in range(3):
        logger = log.setup_logger(path)
    assert logger.name == "naslib"
    log.get_logger("naslib.some.module").info("hello %d", 7)
    log.get_logger("mine").warning("careful")
    out = capsys.readouterr().out
    assert out.count("hello 7") == 1
    assert "WARNING: careful" in out
    assert "INFO" not in out
    text = path.read_text()
    assert text.count("hello 7") == 1
    assert "INFO naslib.some.module] hello 7" in text
    assert "WARNING naslib.mine] careful" in text


def test_another_path_moves_the_file(tmp_path: Path) -> None:
    logger = log.setup_logger(str(tmp_path / "a.log"))
    logger.info("one")
    log.setup_logger(tmp_path / "b.log")
    logger.info("two")
    log.setup_logger(None)
    logger.info("three")
    assert "one" in (tmp_path / "a.log").read_text()
    assert "two" not in (tmp_path / "a.log").read_text()
    assert "three" in (tmp_path / "b.log").read_text()


def test_a_file_that_was_moved_away_is_opened_anew(tmp_path: Path) -> None:
    path = tmp_path / "run" / "log.log"
    log.setup_logger(path).info("one")
    path.parent.rename(tmp_path / "run.1")
    log.setup_logger(path).info("two")
    assert "two" in path.read_text()
    assert "two" not in (tmp_path / "run.1" / "log.log").read_text()


def test_console_survives_progress_bars(capsys: pytest.CaptureFixture[str]) -> None:
    from tqdm import tqdm

    logger = log.setup_logger(None)
    with tqdm(total=2) as bar:
        bar.update()
        logger.info("between")
    assert "between\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "expected"), [(None, "naslib"), ("naslib", "naslib"), ("naslib.a", "naslib.a"), ("x", "naslib.x")]
)
def test_logger_names(name: str | None, expected: str) -> None:
    assert log.get_logger(name).name == expected


def test_every_n_seconds(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    now = [100.0]
    monkeypatch.setattr(log.time, "monotonic", lambda: now[0])
    caplog.set_level(logging.INFO, "naslib")
    written = []
    for step in range(6):
        now[0] = 100.0 + step
        written.append(log.log_every_n_seconds(logging.INFO, "tick", 2.5))
    assert written == [True, False, False, True, False, False]
    assert log.log_every_n_seconds(logging.INFO, "other", 2.5)
    assert log.log_every_n_seconds(logging.INFO, "changes", key="k")
    assert not log.log_every_n_seconds(logging.INFO, "changed", key="k")
    assert [record.message for record in caplog.records] == ["tick", "tick", "other", "changes"]


def test_first_n(caplog: pytest.LogCaptureFixture) -> None:
    assert [log.log_first_n(logging.WARNING, "again", 2, name="naslib.m") for _ in range(4)] == [
        True,
        True,
        False,
        False,
    ]
    assert [record.name for record in caplog.records] == ["naslib.m"] * 2


def test_what_was_said_before_there_was_a_file_is_written_to_it(tmp_path: Path) -> None:
    log.setup_logger(None)
    with log.remembering() as said:
        log.get_logger("data").warning("label 1 is class 0")
    log.get_logger("data").info("not remembered")
    log.setup_logger(tmp_path / "log.log").info("begun")
    log.write_remembered(said)
    log.write_remembered(said)
    lines = (tmp_path / "log.log").read_text().splitlines()
    assert [line.split("] ")[1] for line in lines] == ["begun", "label 1 is class 0"]
    assert not [handler for handler in logging.getLogger("naslib").handlers if handler is said]
