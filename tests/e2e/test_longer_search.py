"""A finished run that is continued with more epochs: the search goes on, and what it finds then is evaluated."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import pytest
from training_runs import load

from naslib.build import main
from naslib.training.export import load_network

TINY = [
    "dataset=digits", "search_space=nasbench201", "search_space_args={channels: 4, cells_per_stage: 1}", "seed=5",
    "device=cpu", "search.batch_size=512", "search.arch_learning_rate=1.0", "evaluation.epochs=1",
    "evaluation.batch_size=512", "evaluation.mode=retrain", "evaluation.checkpoint_freq=1", "optimizer=darts",
]  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """Return the folder of a finished run of one epoch."""
    out = tmp_path_factory.mktemp("run")
    assert main([*TINY, "search.epochs=1", f"out_dir={out}"]) == 0
    return out / "nasbench201" / "digits" / "darts" / "5"


def _copy(finished: Path, out: Path) -> Path:
    folder = out / "nasbench201" / "digits" / "darts" / "5"
    shutil.copytree(finished, folder)
    return folder


@pytest.mark.slow
def test_another_architecture_is_retrained_and_the_old_evaluation_kept(finished, tmp_path, caplog):
    folder = _copy(finished, tmp_path)
    old = json.loads((folder / "summary.json").read_text())
    with caplog.at_level(logging.INFO, "naslib"):
        assert main([*TINY, "search.epochs=3", f"out_dir={tmp_path}", "--resume"]) == 0
    new = json.loads((folder / "summary.json").read_text())
    assert new["genotype"] != old["genotype"] and new["search_epochs"] == 3
    assert f"the previous evaluation was moved to {folder / 'eval.1'}, as it is of another architecture" in caplog.text
    assert json.loads((folder / "eval.1" / "summary.json").read_text()) == old
    for name, summary in (("eval.1", old), ("eval", new)):
        record = load(folder / name / "model_final.pth")["run"]["fingerprint"]["architecture"]
        assert record == json.loads((folder / name / "network.json").read_text())["architecture"], summary
    assert json.loads((folder / "genotype.json").read_text())["genotype"] == new["genotype"]
    assert len(json.loads((folder / "errors.json").read_text())["train_acc"]) == 3
    load_network(folder)

    # the result is that of a fresh evaluation of the same architecture
    weights = load(folder / "eval" / "model_final.pth")["model"]
    assert main([*TINY, "search.epochs=3", f"out_dir={tmp_path}", "--eval-only"]) == 0
    again = load(folder / "eval" / "model_final.pth")["model"]
    assert all(bool((weights[key] == again[key]).all()) for key in weights) and (folder / "eval.2").is_dir()


def test_an_evaluation_that_cannot_be_read_is_made_again(finished, tmp_path, caplog):
    folder = _copy(finished, tmp_path)
    weights = load(folder / "eval" / "model_final.pth")["model"]
    for path in (folder / "eval").glob("*.pth"):
        path.write_bytes(path.read_bytes()[:1000])
    with caplog.at_level(logging.INFO, "naslib"):
        assert main([*TINY, "search.epochs=1", f"out_dir={tmp_path}", "--resume"]) == 0
    assert "as none of its checkpoints can be read" in caplog.text and (folder / "eval.1").is_dir()
    again = load(folder / "eval" / "model_final.pth")["model"]
    assert all(bool((weights[key] == again[key]).all()) for key in weights)
