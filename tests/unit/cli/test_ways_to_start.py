"""`naslib`, `python -m naslib`, `python -m naslib.build` and `runner.py` are one command."""

from __future__ import annotations

import re
import runpy
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
WORDS = [
    [],
    ["run"],
    ["--help"],
    ["--version"],
    ["--nonsense"],
    ["list"],
    ["list", "--help"],
    ["bench", "info", "nowhere.npz"],
    ["--config", "nowhere.yaml"],
    ["--config", "random_search.yaml", "search.epoch=2"],
    ["--config", "random_search.yaml", "--dry-run"],
    ["--config", "random_search.yaml", "--seeds", "1-2", "--dry-run"],
    ["run", "--config", "random_search.yaml", "--seeds", "2-1"],
]


def _script() -> None:
    """Do what the installed script does: the entry point that setup.py names."""
    found = re.search(r'"naslib = ([\w.]+):(\w+)"', (ROOT / "setup.py").read_text(encoding="utf-8"))
    assert found is not None
    sys.exit(getattr(import_module(found[1]), found[2])())


STARTS: dict[str, Callable[[], object]] = {
    "naslib": _script,
    "python -m naslib": lambda: runpy.run_module("naslib", run_name="__main__", alter_sys=False),
    "python -m naslib.build": lambda: runpy.run_module("naslib.build", run_name="__main__", alter_sys=False),
    "runner.py": lambda: runpy.run_path(str(ROOT / "runner.py"), run_name="__main__"),
}


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_all_ways_to_start_say_the_same(words: list[str], tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    found = {}
    for name, start in STARTS.items():
        monkeypatch.setattr(sys, "argv", [name, *words])
        with pytest.raises(SystemExit) as stopped:
            start()
        said = capsys.readouterr()
        found[name] = stopped.value.code, re.sub(r"\d\d:\d\d:\d\d", "", said.out), said.err
    first = found["naslib"]
    assert first[0] == (0 if {"--help", "--version", "list", "--dry-run"} & set(words) else 2)
    assert first[1] or first[2]
    assert {name: said for name, said in found.items() if said != first} == {}
    assert list(tmp_path.iterdir()) == []
