"""The command that a run records can be typed again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from naslib.training.environment import write_environment


@pytest.mark.parametrize(
    ("given", "command"),
    [
        (["/opt/a venv/bin/naslib", "--config", "a b.yaml"], "naslib --config 'a b.yaml'"),
        (["/site-packages/naslib/__main__.py", "--seed", "3"], "python -m naslib --seed 3"),
        (["examples/own_data.py", "search={epochs: 2}"], "examples/own_data.py 'search={epochs: 2}'"),
        (["-c"], "-c"),
    ],
)
def test_the_command_as_a_shell_reads_it(
    given: list[str], command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", given)
    write_environment(tmp_path / "environment.json", torch.device("cpu"), seed=5)
    written = json.loads((tmp_path / "environment.json").read_text())
    assert (written["command"], written["seed"]) == (command, 5)
