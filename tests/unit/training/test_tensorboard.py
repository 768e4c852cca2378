"""What TensorBoard shows of a run, read back from its event files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from training_runs import small_trainer

from naslib.build import build_trainer
from naslib.training import run_record
from naslib.training.pictures import save_figure
from naslib.training.tensorboard import flat_values, spaced, write_pictures, write_result
from naslib.utils import get_config_from_args
from naslib.utils.seeding import set_seed


def read(folder):
    events = EventAccumulator(str(folder / "tensorboard"), size_guidance={"scalars": 0, "images": 0})
    events.Reload()
    return events


def scalars(events, tag):
    return [(event.step, event.value) for event in events.Scalars(tag)]


def drawn(folder, name="cell"):
    from matplotlib.figure import Figure

    return save_figure(Figure(figsize=(1, 1)), folder / name)


def test_a_weight_sharing_search_and_its_retraining(tmp_path, monkeypatch):
    monkeypatch.setattr(run_record, "draw_cells", lambda architecture, folder: drawn(folder))
    monkeypatch.setattr(run_record, "draw_confusion", lambda folder, told: drawn(folder, "confusion_matrix"))
    trainer = small_trainer(tmp_path, epochs=3)
    trainer.search()
    score = trainer.evaluate()
    events, told = read(tmp_path), json.loads((tmp_path / "summary.json").read_text())
    trajectory = json.loads((tmp_path / "errors.json").read_text())
    for key in ("train_loss", "train_acc", "valid_loss", "valid_acc"):
        expected = [(epoch, pytest.approx(value, rel=1e-6)) for epoch, value in enumerate(trajectory[key])]
        assert scalars(events, f"search/{key}") == expected
    rows = json.loads((tmp_path / "eval" / "history.json").read_text())
    assert scalars(events, "evaluation/train_loss") == [
        (row["epoch"], pytest.approx(row["train_loss"], rel=1e-6)) for row in rows
    ]
    assert scalars(events, "evaluation/test_score") == [(2, pytest.approx(score))]
    assert scalars(events, "evaluation/test_top5") == [(2, pytest.approx(told["test_top5"]))]
    assert scalars(events, "evaluation/params_millions") == [(2, pytest.approx(told["params_millions"], rel=1e-6))]
    assert {"pictures/cell", "pictures/confusion_matrix"} <= set(events.Tags()["images"])
    picture = events.Images("pictures/confusion_matrix")[0]
    assert (picture.width, picture.height) == (150, 150)
    hparams = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    assert b"evaluation.epochs" in hparams and b"search.learning_rate" in hparams


def test_a_search_on_a_table(tmp_path):
    config = get_config_from_args(["--config", "random_search.yaml", "search.epochs=450", f"out_dir={tmp_path}"])
    set_seed(config.seed)
    trainer = build_trainer(config)
    trainer.search()
    score = trainer.evaluate()
    events = read(trainer.folder)
    curve = scalars(events, "search/valid_acc")
    best = json.loads((trainer.folder / "errors.json").read_text())["valid_acc"]
    assert len(curve) == 200 and curve[-1][0] == 449
    assert all(value == pytest.approx(best[step], rel=1e-6) for step, value in curve)
    assert scalars(events, "evaluation/test_score") == [(0, pytest.approx(score))]


def test_points_are_spaced_and_end_with_the_last():
    assert list(spaced(3, 8, 10)) == [3, 4, 5, 6, 7] and list(spaced(5, 5, 3)) == []
    assert list(spaced(0, 10, 4)) == [2, 4, 7, 9]
    assert len(spaced(0, 100_000, 200)) == 200 and spaced(0, 100_000, 200)[-1] == 99_999


def test_configs_are_flat_and_a_writer_that_knows_scalars_alone_gets_these():
    config = {"seed": 1, "out_dir": "run", "search": {"epochs": 2, "parts": {"a": {"k": [1, 2]}}, "x": None}}
    assert flat_values(config) == {"seed": 1, "search.epochs": 2, "search.parts.a.k": "[1, 2]"}
    seen = []

    class Writer:
        def add_scalar(self, tag, value, step):
            seen.append((tag, value, step))

    told = {"score": 91.5, "test_scores": {"accuracy": 91.5, "top5": None}, "evaluation_mode": "query"}
    write_result(Writer(), {**told, "evaluation_epochs": 600}, config)
    write_result(None, told, config)
    write_pictures(Writer(), [Path("none.png")])
    assert seen == [("evaluation/test_score", 91.5, 0), ("evaluation/test_accuracy", 91.5, 0)]
