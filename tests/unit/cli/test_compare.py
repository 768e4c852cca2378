"""`naslib compare`: runs over methods and seeds, what it leaves, going on, and what it refuses."""

from __future__ import annotations

import csv
import json

import pytest
from data_files import data_file
from worker_acts import here

import naslib.cli.compare as compare
from naslib.benchmarks import get_dataset_api
from naslib.cli.command import main
from naslib.cli.door import read_config
from naslib.config.cli import CommandLine
from naslib.config.seeds import parse_seeds
from naslib.errors import ConfigError
from naslib.search_spaces.core.query_metrics import Metric

TABLE = data_file("nb201.npz")
needs_table = pytest.mark.skipif(not TABLE.is_file(), reason="no nb201.npz in the shared data directory")


def _rows(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def _words(out, *more):
    common = ["compare", "random_search.yaml", "--methods", "rs,re", "--seeds", "1-3", "--out", str(out)]
    return [*common, f"data={TABLE.parent}", "dataset=cifar10", "search_space_args={}", *more]


@needs_table
def test_a_comparison_leaves_tables_curves_and_pictures_and_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(compare, "in_processes", here)
    out = tmp_path / "compared"
    settings = ["--with", "re", "search.population_size=5", "--with", "re", "search.sample_size=3"]
    assert main(_words(out, "--evaluations", "40", *settings)) == 0
    said = capsys.readouterr().out
    assert "| rs | 3 |" in said and "| re | 3 |" in said and (out / "table.md").read_text() in said
    rows = _rows(out / "runs.csv")
    assert [(row["method"], row["seed"]) for row in rows] == [(m, s) for m in ("rs", "re") for s in "123"]
    table = get_dataset_api("nasbench201", "cifar10", TABLE.parent)
    for row in rows:
        summary = json.loads((tmp_path / row["folder"] / "summary.json").read_text())
        assert float(row["score"]) == summary["score"] and row["evaluations"] == "40"
    steps = _rows(out / "curves.csv")
    tests = _rows(out / "curves_test.csv")
    assert len(steps) == len(tests) > 6
    last = {(row["method"], row["seed"]): float(row["best"]) for row in tests}
    assert last == {(row["method"], row["seed"]): float(row["score"]) for row in rows}
    assert table.has(Metric.TEST_ACCURACY, "cifar10") and (out / "curves.png").is_file()
    # once more: nothing is run again; another seed is added; another budget is refused
    monkeypatch.setattr(compare, "do_quietly", lambda *_: pytest.fail("a finished run was repeated"))
    assert main(_words(out, "--evaluations", "40", *settings)) == 0
    capsys.readouterr()
    assert main(_words(out, "--evaluations", "50", *settings)) == 2
    assert "a comparison of something else (evaluations: 40 there, 50 now" in capsys.readouterr().err


@needs_table
def test_every_method_spends_the_same_simulated_time(tmp_path, monkeypatch):
    monkeypatch.setattr(compare, "in_processes", here)
    assert main(_words(tmp_path, "--budget", "40000", "search.fidelity=12")) == 0
    rows = _rows(tmp_path / "runs.csv")
    longest = 1000  # seconds of twelve epochs
    assert all(40_000 <= float(row["seconds"]) < 40_000 + longest for row in rows)


def _config(path, **search):
    config = {"dataset": "digits", "search_space": "nasbench201", "optimizer": "random_search", "search": search}
    config["search_space_args"] = {"channels": 8, "cells_per_stage": 1}
    path.write_text(json.dumps(config))
    return ["compare", str(path), "--methods", "rs,re", "--seeds", "1", "--out", str(path.parent / "c")]


def test_evaluations_count_whatever_budget_a_config_has(tmp_path, monkeypatch):
    monkeypatch.setattr(compare, "in_processes", here)
    words = _config(tmp_path / "own.yaml", budget=20.0, fidelity=-1)
    assert main([*words, "--evaluations", "30"]) == 0
    assert {row["evaluations"] for row in _rows(tmp_path / "c" / "runs.csv")} == {"30"}


def test_a_config_that_has_changed_since_is_another_comparison(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(compare, "in_processes", here)
    words = _config(tmp_path / "own.yaml", fidelity=-1)
    assert main([*words, "--evaluations", "8"]) == 0
    _config(tmp_path / "own.yaml", fidelity=-1, objectives=["TEST_ACCURACY"])
    capsys.readouterr()
    assert main([*words, "--evaluations", "8"]) == 2
    assert "search.objectives of rs: None there, ['TEST_ACCURACY'] now" in capsys.readouterr().err


def test_curves_of_trained_networks_are_not_those_of_a_table_of_others(tmp_path):
    trained = _config(tmp_path / "own.yaml", fidelity=-1)
    command = ["search_space_args={channels: 4, cells_per_stage: 1}"]
    for overrides, has in (([], True), (command, False), (["search.evaluator=train"], False)):
        asked = CommandLine(config_file=trained[1], overrides=tuple(overrides), dry_run=True)
        assert (compare._test_of(read_config(asked)) is not None) is has


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--methods", "rs,nsga5"], "unknown optimizer 'nsga5'"),
        (["--methods", "rs,rs"], "names each method once"),
        (["--methods", "rs,random_search"], "names each method once"),
        (["--evaluations", "5", "search.budget=9"], "search.budget is what --evaluations says"),
        (["--budget", "5", "search.epochs=9"], "search.epochs is what --budget says"),
        (["seed=3"], "seed is what --seeds says"),
        (["--with", "re", "search.epochs=9"], "all methods have the same search.epochs"),
        (["--with", "re", "dataset=mnist"], "all methods have the same dataset"),
        (["--seeds", "5-1"], "goes backwards; write 1-5"),
        (["--budget", "0"], "--budget must be above 0"),
        (["--budget", "5", "--evaluations", "5"], "not both"),
        (["--with", "ls", "search.k=1"], "no such method in --methods"),
        (["search.epoch=3"], "did you mean 'search.epochs'"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_any_run(tmp_path, capsys, words, message):
    given = ["compare", "random_search.yaml", "--out", str(tmp_path / "c"), *words]
    given += [] if "--methods" in words else ["--methods", "rs,re"]
    assert main(given) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "c" / "runs").exists()


def test_seeds_are_numbers_and_stretches():
    assert parse_seeds("1-3, 7,9-9") == [1, 2, 3, 7, 9]
    for text in ("", "a", "1-", "1,,2"):
        with pytest.raises(ConfigError, match="such as 1-5"):
            parse_seeds(text)
    with pytest.raises(ConfigError, match="named twice"):
        parse_seeds("1-3,2")


def test_trained_runs_have_no_test_curve_of_a_table_of_other_networks(tmp_path, monkeypatch):
    """The table that comes along knows the codes, and is of other networks than those that were trained."""
    monkeypatch.setattr(compare, "in_processes", here)
    words = ["compare", "random_search.yaml", "--methods", "rs", "--seeds", "1", "--evaluations", "1"]
    words += ["search_space_args={channels: 4, cells_per_stage: 1}", "evaluation.epochs=1"]
    words += ["evaluation.mode=retrain", "evaluation.cutout=false"]
    assert main([*words, "--out", str(tmp_path / "c")]) == 0
    assert (tmp_path / "c" / "curves.csv").is_file() and not (tmp_path / "c" / "curves_test.csv").exists()
