"""The controllers' configs run from the command line to a network, at the smallest sizes; one is killed and goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from data_files import data_folders

from naslib import history
from naslib.build import main

TINY = [
    "evaluation.epochs=1",
    "evaluation.batch_size=256",
    "search.batch_size=256",
    "search.evaluator_args={epochs: 1}",
]


def summary_in(folder: Path) -> dict[str, Any]:
    path = min(folder.glob("run/**/summary.json"), key=lambda found: len(found.parts))
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


@pytest.mark.slow
def test_nas_rl_grows_its_networks_and_goes_on_where_it_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    curve = "search.evaluator_args={epochs: 1, curve: true}"
    words = ["--config", "nas_rl.yaml", *TINY[:-1], curve, "search.depth_interval=2", "search.policy_batch=2"]
    codes = []
    for name, parts in (("whole", [8]), ("twice", [3, 8])):
        folder = tmp_path / name
        folder.mkdir()
        monkeypatch.chdir(folder)
        for number, trials in enumerate(parts):
            assert main([*words, f"search.epochs={trials}", *(["--resume"] if number else [])]) == 0
        (run,) = {path.parent for path in folder.glob("run/**/config.yaml")}
        trials_told = history.load(run)
        assert len(trials_told) == 8 and all(len(trial.user["curve"]) == 1 for trial in trials_told)
        codes.append([(trial.code, trial.values) for trial in trials_told])
        assert len(summary_in(folder)["genotype"]) in (2, 3, 4, 5)
    assert [code[0] for code, _ in codes[0]] == [0, 0, 1, 1, 2, 2, 3, 3]  # depths, as indices
    assert codes[0] == codes[1]


@pytest.mark.slow
def test_nasnets_search_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert main(["--config", "ppo_nasnet.yaml", *TINY, "search.epochs=3", "search.policy_batch=2"]) == 0
    assert summary_in(tmp_path)["score"] > 0


@pytest.mark.slow
def test_recurrent_cells_are_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    data = next((folder for folder in data_folders() if (folder / "wikitext2").is_dir()), None)
    if data is None:
        pytest.skip("wikitext2 is not here")
    monkeypatch.chdir(tmp_path)
    small = ["dataset_args={vocabulary_size: 100, train_tokens: 8000, goes_on: true}", "evaluation.epochs=1"]
    words = ["--config", "nas_rl_rnn.yaml", f"data={data}", *small, "search.epochs=3", "search.accumulate=2"]
    assert main(words) == 0
    assert 1 < summary_in(tmp_path)["score"] < 200
