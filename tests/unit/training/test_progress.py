"""The line of a terminal: every number uncut, a bar where there is room; log lines elsewhere."""

from __future__ import annotations

import io
import logging
import re
import sys

import pytest

from naslib.tasks import Classification, Measured
from naslib.training.progress import Progress, format_clock
from naslib.training.status import MIN_BAR, Status, lay_out, terminal_width


def _measured(loss: float, accuracy: float, count: int) -> Measured:
    return Measured(loss, (accuracy, None), count, Classification().scores)


SMALL = Status.of_epochs(
    2, 50, 12, 391, [("training", _measured(1.2344, 55.123, 96)), ("validation", _measured(1.3, 50.2, 96))]
)
LARGE = Status.of_epochs(
    99, 600, 1234, 1563, [("training", _measured(12.3456, 55.123, 9)), ("validation", _measured(12.3, 100.0, 9))]
)
RETRAIN = Status.of_epochs(0, 600, 1, 521, [("training", _measured(2.25, 9.5, 96))])
TABLE = Status.of_evaluations(120, 2000, 91.234, None)
ALL = {"small": SMALL, "large": LARGE, "retrain": RETRAIN, "table": TABLE}
NUMBERS = {
    "small": ["3/50", "12/391", "1.234/1.300"],
    "large": ["100/600", "1234/1563", "12.346/12.300"],
    "retrain": ["1/600", "1/521", "2.250"],
    "table": ["120/2000", "91.23"],
}


class Terminal(io.StringIO):
    """A terminal that remembers its lines."""

    def isatty(self) -> bool:
        return True

    def lines(self) -> list[str]:
        return [line for line in re.split(r"[\r\n]", self.getvalue().replace("\x1b[A", "")) if line.strip()]


def drawn(monkeypatch: pytest.MonkeyPatch, status: Status, columns: int, total: int | None = 1000) -> str:
    """Return the last line that a terminal of so many columns shows."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", str(columns))
    with Progress("search", total) as progress:
        progress.done = 470
        progress.show(lambda: status)
    return terminal.lines()[-1]


def bar_of(line: str) -> str:
    found = re.search(r"\|([^|]*)\|", line)
    return found.group(1) if found else ""


@pytest.mark.parametrize("columns", [80, 100, 120, 200])
@pytest.mark.parametrize("name", ALL)
def test_eighty_columns_show_numbers_and_a_bar(monkeypatch: pytest.MonkeyPatch, name: str, columns: int) -> None:
    line = drawn(monkeypatch, ALL[name], columns)
    assert len(line.rstrip()) < columns
    bar = bar_of(line)
    assert len(bar) >= MIN_BAR and 0.3 < len(bar.rstrip()) / len(bar) < 0.6  # 47 % of it
    assert "loss" in line or name == "table"
    assert "epoch" in line or name == "table"
    if columns <= 100:
        assert all(number in line for number in NUMBERS[name]) or "training loss" in line or "valid acc" in line


def test_wide_terminals_spell_it_out(monkeypatch: pytest.MonkeyPatch) -> None:
    line = drawn(monkeypatch, SMALL, 150)
    assert line.startswith("search  47% |")
    assert "| epoch 3/50, batch 12/391, training loss 1.234 acc 55.12 %, validation loss 1.300 acc 50.20 %" in line


@pytest.mark.parametrize("columns", [34, 40, 45, 50, 57, 66, 73, 79])
@pytest.mark.parametrize("name", ALL)
def test_narrow_terminals_lose_the_bar_not_the_numbers(
    monkeypatch: pytest.MonkeyPatch, name: str, columns: int
) -> None:
    line = drawn(monkeypatch, ALL[name], columns)
    assert len(line.rstrip()) < columns
    assert all(number in line for number in NUMBERS[name])
    assert not bar_of(line) or len(bar_of(line)) >= MIN_BAR
    if columns < 45 and name == "large":
        assert not bar_of(line)


def test_sixty_columns_name_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    line = drawn(monkeypatch, SMALL, 60)
    assert "3/50 12/391 loss 1.234/1.300" in line and len(bar_of(line)) >= MIN_BAR


def test_unknown_length_has_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    line = drawn(monkeypatch, Status.of_epochs(0, 3, 12, None, []), 80, total=None)
    assert line.strip() == "search epoch 1/3, batch 12"


def test_before_the_first_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with Progress("search", 10):
        pass
    assert terminal.lines()[0].startswith("search |")


def test_layout_gives_way_in_order() -> None:
    wordings = ["epoch 1/2 batch 3/4 loss 1.234", "1/2 3/4 1.234"]
    full = "search  10% |{bar}| epoch 1/2 batch 3/4 loss 1.234, 2:05 left"
    room = len(full) - len("{bar}") + MIN_BAR
    assert lay_out("search", 10.0, wordings, "2:05", room) == full
    assert lay_out("search", 10.0, wordings, "2:05", room - 1) == "search |{bar}| epoch 1/2 batch 3/4 loss 1.234 2:05"
    assert lay_out("search", 10.0, wordings, "2:05", 50) == "|{bar}| epoch 1/2 batch 3/4 loss 1.234 2:05"
    assert lay_out("search", 10.0, wordings, "2:05", 40) == "search |{bar}| 1/2 3/4 1.234 2:05"
    assert lay_out("search", 10.0, wordings, "2:05", 26) == "|{bar}| 1/2 3/4 1.234"
    assert lay_out("search", 10.0, wordings, "2:05", 25) == "search 1/2 3/4 1.234 2:05"
    assert lay_out("search", 10.0, wordings, "2:05", 13) == "1/2 3/4 1.234"
    assert lay_out("search", 10.0, wordings, "2:05", 9) == "1/2 3/4 1"
    assert lay_out("{x}", None, ["{y}"], "", 20) == "{{x}} {{y}}"


def test_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "123")
    assert terminal_width(io.StringIO()) == 123
    for text in ("", "0", "wide"):
        monkeypatch.setenv("COLUMNS", text)
        assert terminal_width(io.StringIO()) > 0
    monkeypatch.setattr("os.get_terminal_size", lambda *_: (_ for _ in ()).throw(OSError()))
    assert terminal_width(io.StringIO()) == 80


def test_width_of_a_pseudo_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    pty = pytest.importorskip("pty")
    fcntl, termios = pytest.importorskip("fcntl"), pytest.importorskip("termios")
    import os
    import struct

    monkeypatch.delenv("COLUMNS", raising=False)
    master, slave = pty.openpty()
    with os.fdopen(master, "wb"), os.fdopen(slave, "w") as stream:
        for columns in (57, 132):
            fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            assert terminal_width(stream) == columns
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 0, 0, 0, 0))
        assert terminal_width(stream) > 0


def test_log_lines(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with caplog.at_level(logging.INFO, "naslib"), Progress("search", 1000, unit="evaluation") as progress:
        progress.done = 470
        progress.show(lambda: TABLE)
        progress.show(lambda: SMALL)
    first, second = caplog.messages
    assert re.fullmatch(r"search: evaluation 470/1000 \(47 %\), .* left, valid acc 91\.23, test acc -", first)
    assert "training loss 1.234 acc 55.12 %, validation loss 1.300 acc 50.20 %" in second


def test_clock() -> None:
    assert [format_clock(seconds) for seconds in (7.6, 125, 3599.7, 11520)] == ["0:08", "2:05", "1:00:00", "3:12:00"]
