"""Progress in a pseudo-terminal: what is measured stays in sight at any width, and Ctrl-C leaves a clean screen."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from terminal import Terminal, screen, states

import naslib

ROOT = Path(naslib.__file__).resolve().parents[1]
pytest.importorskip("pty")
TINY = ["search_space_args={cells: 2, nodes: 1, channels: 4}", "evaluation.channels=4", "evaluation.cells=2"]
SEARCH = ["--config", "darts.yaml", *TINY, "search.batch_size=64", "evaluation.epochs=1", "evaluation.batch_size=256"]
TABLE = ["--config", "random_search.yaml"]
SMALL = ["search_space_args.channels=4", "search.evaluator_args.epochs=1", "search.batch_size=256"]
BUILD = ["bench", "build", "digits_table.yaml", "--out", "mine.npz", *SMALL]
COMPARE = ["compare", "random_search.yaml", "--methods", "rs,re", "--out", "compared"]
CORRELATE = ["correlate", "--benchmark", "nasbench201", "--dataset", "digits", "--proxies", "synflow", "--seeds", "1"]
# What no line has that is none of a bar: cells of it, or its blank end; tables have short blanks between their lines
OF_A_BAR = r"[█▏▎▍▌▋▊▉]| {10,}\|"
# What a bar says of what is measured
MEASURED = {
    "search": r"loss \d\.\d{3}",
    "black box": r"best VAL_ACCURACY \d\d\.\d|best \d\d\.\d",
    "compare": r"accuracy \d\d\.\d",
    "build": r"last accuracy \d|training \d/\d \d",
    "proxies": r"last score \d|\d/\d+ \d",
}


def _environment() -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key != "COLUMNS"}
    return {**kept, "PYTHONPATH": str(ROOT), "TERM": "xterm", "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}


def _start(words: list[str], columns: int, folder: Path) -> Terminal:
    return Terminal([sys.executable, "-m", "naslib", *words], columns, folder, _environment())


def _bars(text: str) -> list[str]:
    return [state for state in states(text) if re.search(r"\|[█▏▎▍▌▋▊▉ ]{10,}\|", state)]


@pytest.mark.parametrize("columns", [60, 80, 200])
@pytest.mark.parametrize(
    ("name", "words"),
    [
        pytest.param("search", [*SEARCH, "search.epochs=4"], marks=pytest.mark.slow),
        pytest.param("black box", [*TABLE, "search.epochs=120000"], marks=pytest.mark.slow),
        pytest.param("compare", [*COMPARE, "--seeds", "1", "--evaluations", "20"], marks=pytest.mark.slow),
        pytest.param("build", [*BUILD, "--architectures", "3"], marks=pytest.mark.slow),
        pytest.param("proxies", [*CORRELATE, "--test", "40"], marks=pytest.mark.slow),
    ],
)
def test_bars_fit_and_say_what_is_measured(name, words, columns, tmp_path):
    terminal = _start(words, columns, tmp_path)
    assert terminal.end() == 0, terminal.text
    bars = _bars(terminal.text)
    assert bars and max(map(len, bars)) < columns
    told = [bar for bar in bars if re.search(MEASURED[name], bar)]
    assert told, bars
    if name == "search":
        assert columns < 80 or any("epoch" in bar for bar in told)
    # nothing of a bar stays on the screen
    assert not [line for line in screen(terminal.text) if re.search(OF_A_BAR, line)]


_STOPPED = {
    "search": ([*SEARCH, "search.epochs=500"], "/12", "naslib: stopped by SIGINT after the running step; saved "),
    "black box": ([*TABLE, "search.epochs=900000"], "best", "naslib: stopped by SIGINT"),
    "build": ([*BUILD, "--architectures", "90"], "1/90", "naslib: stopped; mine.build keeps what is trained"),
    "compare": ([*COMPARE, "--seeds", "1-9", "--evaluations", "20"], "1/18", "naslib: stopped by SIGINT; what is done"),
}


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("search", 80),
        *(pytest.param(name, columns, marks=pytest.mark.slow) for name in _STOPPED for columns in (60, 80)),
    ],
)
def test_ctrl_c_leaves_a_clean_line(name, columns, tmp_path):
    words, seen, said = _STOPPED[name]
    terminal = _start(words, columns, tmp_path)
    assert terminal.wait_for(seen), terminal.text
    terminal.interrupt()
    assert terminal.end() == 130, terminal.text
    shown = [line for line in screen(terminal.text) if line]
    (last,) = [line for line in shown if line.startswith("naslib: ")]
    assert last.startswith(said) and shown[-1] == last
    assert not [line for line in shown if re.search(OF_A_BAR, line) or "^C" in line]


@pytest.mark.slow
def test_without_a_terminal_there_is_a_line_for_each_epoch(tmp_path):
    words = [*SEARCH, "search.epochs=3"]
    command = [sys.executable, "-m", "naslib", *words]
    done = subprocess.run(command, cwd=tmp_path, env=_environment(), capture_output=True, text=True, check=True)
    text = done.stdout + done.stderr
    assert "\r" not in text and "█" not in text
    assert re.findall(r"search epoch (\d)/3: train loss \d\.\d+", text) == ["1", "2", "3"]
    assert re.findall(r"retrain epoch (\d)/1: train loss \d\.\d+", text) == ["1"]


@pytest.mark.slow
def test_without_a_terminal_there_is_a_line_for_each_run_of_a_comparison(tmp_path):
    command = [sys.executable, "-m", "naslib", *COMPARE, "--seeds", "1-2", "--evaluations", "5"]
    done = subprocess.run(command, cwd=tmp_path, env=_environment(), capture_output=True, text=True, check=True)
    assert "\r" not in done.stderr
    assert re.findall(r"compare: run (\d)/4 .*: accuracy [\d.]+ %\n", done.stderr) == ["1", "2", "3", "4"]
