"""The command: what it leaves, what it refuses, and what it says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from naslib.build import build_space, main, schema_extensions
from naslib.config.loader import load_config
from naslib.data import load_data
from naslib.errors import ConfigError
from naslib.training.export import load_network

TINY = [
    "dataset=digits", "search_space=nasbench201", "search_space_args={channels: 4, cells_per_stage: 1}", "seed=5",
    "device=cpu", "search.epochs=1", "search.batch_size=256", "evaluation.epochs=1", "evaluation.batch_size=256",
    "evaluation.mode=retrain",
]  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """Return the folder of a finished run."""
    out = tmp_path_factory.mktemp("run")
    assert main([*TINY, "optimizer=darts", f"out_dir={out}"]) == 0
    return out / "nasbench201" / "digits" / "darts" / "5"


def test_run_folder(finished):
    names = {str(path.relative_to(finished)) for path in finished.rglob("*") if path.is_file()}
    assert {
        "config.yaml", "log.log", "errors.json", "summary.json", "genotype.json", "environment.json",
        "cell.svg", "cell.png",
        "arch_weights.pt", "arch_weights.json", "arch_weights.svg", "arch_weights.png", "search/last_checkpoint",
        "search/model_final.pth", "eval/last_checkpoint", "eval/model_final.pth", "eval/network.json",
        "eval/history.json",
    } <= names  # fmt: skip
    assert any(name.startswith("tensorboard/events") for name in names)
    summary = json.loads((finished / "summary.json").read_text())
    assert {
        "genotype", "params_millions", "flops_millions", "test_accuracy", "search_seconds", "total_seconds", "device",
        "seed",
    } <= set(summary)  # fmt: skip
    assert summary["seed"] == 5 and summary["device"] == "cpu" and 0 <= summary["test_accuracy"] <= 100
    assert summary["params_millions"] > 0 and summary["flops_millions"] > 0
    assert json.loads((finished / "genotype.json").read_text())["genotype"] == summary["genotype"]
    log = (finished / "log.log").read_text()
    assert "ERROR" not in log and "test accuracy" in log and str(finished) in log


def test_config_is_echoed_and_reads_back(finished):
    config = load_config(finished / "config.yaml", extensions=schema_extensions())
    assert config.search.epochs == 1 and config.save == str(finished)


def test_three_lines_give_the_network_back(finished):
    network = load_network(finished)
    test = load_data("digits").test
    accuracy = 100 * (network.predict(test.images) == test.labels).double().mean().item()
    assert accuracy == pytest.approx(json.loads((finished / "summary.json").read_text())["test_accuracy"])


def test_a_run_is_not_overwritten(finished, capsys):
    words = [*TINY, "optimizer=darts", f"out_dir={finished.parents[3]}"]
    before = (finished / "summary.json").read_bytes()
    assert main(words) == 2
    message = capsys.readouterr().err
    for way in ("--resume", "--overwrite", "--seed", "out_dir="):
        assert way in message
    assert "Traceback" not in message and (finished / "summary.json").read_bytes() == before


def test_dry_run_makes_no_folder(tmp_path, capsys):
    assert main([*TINY, "optimizer=gdas", f"out_dir={tmp_path / 'out'}", "--dry-run"]) == 0
    text = capsys.readouterr().out
    assert not (tmp_path / "out").exists()
    for part in (
        "search_space: nasbench201",
        "decisions      6",
        "parameters     0.0",
        "MB for a step on 256 images",
        "ReLUConvBN3x3",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["optimizer=dart"], "did you mean 'darts'"),
        (["search_space=nasbench2001"], "did you mean 'nasbench201'"),
        (["dataset=digit"], "did you mean 'digits'"),
        (["search.epoch=2"], "did you mean 'search.epochs'"),
        (["search.epochs=two"], "search.epochs"),
        (["search_space_args={n_classes: 7}"], "contradicts the data set"),
        (["search.cutout=true", "search.cutout_length=8"], "would erase"),
        (["search.batch_size=5000"], "batch"),
        (["--eval-only"], "no search in"),
        (["--model-path", "nowhere.pth"], "no checkpoint nowhere.pth"),
        (["device=cuda:99"], "CUDA devices"),
        (["evaluation.cells=3"], "evaluation.cells=3"),
    ],
)
def test_bad_input_is_one_clear_message(tmp_path, capsys, words, expected):
    given = [word for word in TINY if word.split("=")[0] not in {w.split("=")[0] for w in words}]
    assert main([*given, f"out_dir={tmp_path}", *words]) == 2
    message = capsys.readouterr().err
    assert expected in message and message.startswith("naslib: ") and "Traceback" not in message
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", [[], ["--dry-run"]])
def test_a_schedule_beside_that_of_the_method_is_refused_before_there_is_a_folder(tmp_path, capsys, words):
    out = tmp_path / "out"
    small = ["search_space=nasbench301", "search_space_args={channels: 8, cells: 3, nodes: 2}", "dataset=digits"]
    assert main(["optimizer=p_darts", *small, "search.scheduler=constant", f"out_dir={out}", *words]) == 2
    assert "search.scheduler: PDARTSOptimizer brings a schedule of its own" in capsys.readouterr().err
    assert not out.exists()


def test_all_problems_at_once(capsys):
    assert main(["optimizer=dart", "search.epoch=2", "evaluation.batch_size=0"]) == 2
    message = capsys.readouterr().err
    assert all(text in message for text in ("dart", "epoch", "evaluation.batch_size"))


def test_without_words_it_says_what_to_give(capsys):
    assert main([]) == 2
    assert "--config" in capsys.readouterr().err


def test_print_schema(capsys):
    assert main(["--print-schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert "darts" in schema["properties"]["optimizer"]["enum"]


def test_resume_of_a_finished_run_repeats_nothing(tmp_path):
    words = [*TINY, "optimizer=gdas", f"out_dir={tmp_path}"]
    assert main(words) == 0
    words.append("--resume")
    folder = tmp_path / "nasbench201" / "digits" / "gdas" / "5"
    weights = torch.load(folder / "eval" / "model_final.pth", weights_only=True)["model"]
    history = json.loads((folder / "errors.json").read_text())
    assert main(words) == 0
    again = torch.load(folder / "eval" / "model_final.pth", weights_only=True)["model"]
    assert all(torch.equal(weights[name], again[name]) for name in weights)
    assert json.loads((folder / "errors.json").read_text()) == history


def test_resume_of_nothing_names_the_nearest_run(finished, tmp_path, capsys):
    words = [*TINY, "optimizer=darts", f"out_dir={finished.parents[3]}"]
    for option, what in (("--resume", "run"), ("--eval-only", "search")):
        assert main([*words, "seed=6", option]) == 2
        message = capsys.readouterr().err
        assert f"{option}: there is no {what} in {finished.with_name('6')}" in message
        assert f"the nearest is {finished} (seed 5 instead of 6)" in message
    assert not finished.with_name("6").exists()
    assert main([*TINY, "optimizer=darts", f"out_dir={tmp_path / 'nowhere'}", "--resume"]) == 2
    assert f"nor any other below {tmp_path / 'nowhere'}" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_resume_of_a_run_killed_before_its_first_checkpoint_starts_at_the_beginning(tmp_path):
    folder = tmp_path / "nasbench201" / "digits" / "gdas" / "5"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("# written before the search\n")
    assert main([*TINY, "optimizer=gdas", f"out_dir={tmp_path}", "--resume"]) == 0
    assert (folder / "summary.json").is_file()


def test_overwrite_moves_the_old_run(tmp_path):
    words = [*TINY, "optimizer=gdas", f"out_dir={tmp_path}"]
    folder = tmp_path / "nasbench201" / "digits" / "gdas"
    assert main(words) == 0
    before = (folder / "5" / "summary.json").read_bytes()
    (folder / "5" / ".lock").write_text('{"pid": 1}')  # as a killed process leaves it
    assert main([*words, "--overwrite"]) == 0
    assert not list(tmp_path.rglob(".lock"))
    assert (folder / "5.1" / "summary.json").read_bytes() == before and (folder / "5" / "summary.json").is_file()


def test_what_is_said_of_the_data_stands_in_the_log_file(tmp_path):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 255, (60, 8, 8, 1), dtype=np.uint8), np.arange(60) % 3 + 1
    np.savez(tmp_path / "mine.npz", x=images, y=labels)
    words = [word for word in TINY if not word.startswith(("dataset=", "search.batch", "evaluation.batch"))]
    data = [f"dataset={tmp_path / 'mine.npz'}", "search.batch_size=12", "evaluation.batch_size=12"]
    assert main([*words, *data, "optimizer=gdas", f"out_dir={tmp_path / 'out'}"]) == 0
    (log,) = (tmp_path / "out").rglob("log.log")
    assert log.read_text().count("label 1 is class 0, label 2 is class 1, label 3 is class 2") == 1


def test_searched_on_images_and_queried(tmp_path, shared_data):
    words = [
        "dataset=cifar10", "search_space=nasbench201", "optimizer=random_search", "search.epochs=100",
        f"data={shared_data}",
        f"out_dir={tmp_path}",
    ]  # fmt: skip
    assert main(words) == 0
    summary = json.loads((tmp_path / "nasbench201" / "cifar10" / "random_search" / "99" / "summary.json").read_text())
    assert summary["evaluation_mode"] == "query" and summary["test_accuracy"] > 90
    assert not list(tmp_path.rglob("eval/*.pth"))


def test_black_box_search_without_its_table(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("NASLIB_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    words = ["dataset=cifar10", "search_space=nasbench201", "optimizer=random_search", f"data={tmp_path}"]
    assert main([*words, f"out_dir={tmp_path / 'out'}"]) == 2
    assert "nb201.npz" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_build_space_takes_its_sizes_from_the_data():
    info = load_data("digits").info
    config = load_config({"search_space": "nasbench301", "search_space_args": {"cells": 2}})
    space = build_space(config, info)
    assert (space.n_classes, space.in_channels, space.image_size, space.cells) == (10, 1, 8, 2)
    config.search_space_args = {"in_channels": 3}
    with pytest.raises(ConfigError, match="in_channels"):
        build_space(config, info)


@pytest.mark.parametrize("name", ["fashion_mnist", "mnist", "cifar10", "cifar100", "svhn"])
def test_dry_run_downloads_nothing(name, tmp_path, capsys, monkeypatch):
    """The sizes of a known data set are known without its files."""
    monkeypatch.chdir(tmp_path)
    for variable in ("NASLIB_DATA", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "nothing"))
    monkeypatch.setattr("naslib.data.sets.mnist._DEBIAN_FASHION", tmp_path / "nothing")
    monkeypatch.setattr("naslib.data.sets._known.download_directory", lambda folder: tmp_path / "target")
    words = [f"dataset={name}", *(word for word in TINY if not word.startswith("dataset="))]
    assert main([*words, "--dry-run"]) == 0
    text = capsys.readouterr().out
    channels, size = (1, 28) if "mnist" in name else (3, 32)
    assert f"{100 if name == 'cifar100' else 10} classes, images {channels}x{size}x{size}" in text
    assert f"{name!r} is in none of" in text and f"a run would download it to {tmp_path / 'target'}" in text
    assert not list(tmp_path.iterdir())


def test_dry_run_of_a_data_set_that_nobody_can_download_says_so(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NASLIB_DATA", str(tmp_path))
    assert main(["dataset=imagenet16-120", "evaluation.mode=retrain", "--dry-run"]) == 2
    assert "cannot be downloaded automatically" in capsys.readouterr().err
