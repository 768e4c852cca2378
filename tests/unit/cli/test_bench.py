"""`naslib bench`: from a config to a table, and what it says of words that it cannot use."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from naslib.benchmarks import TrainedTable
from naslib.cli.command import main
from naslib.history.load import load
from naslib.search_spaces.core.query_metrics import Metric

CONFIG = """
dataset: digits
search_space: nasbench201
search_space_args: {channels: 1, cells_per_stage: 1}
optimizer: random_search
search:
  evaluator: train
  evaluator_args: {epochs: 1}
  batch_size: 256
"""


def summary(folder: str) -> dict[str, Any]:
    return json.loads((Path(folder) / "summary.json").read_text())


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    return tmp_path / "tiny.yaml"


def test_from_a_config_to_a_table_that_a_search_asks(config: Path, capsys: pytest.CaptureFixture[str]):
    build = ["bench", "build", "tiny.yaml", "--architectures", "2", "--out", "mine.npz"]
    assert main(build) == 0
    assert "2 of them trained" in capsys.readouterr().out
    assert main(["bench", "merge", "again.npz", "mine.build", "mine.npz"]) == 0
    assert main(["bench", "latency", "again.npz", "--repeats", "1"]) == 0
    assert "2 latencies measured" in capsys.readouterr().out
    assert main(["bench", "info", "again.npz"]) == 0
    text = capsys.readouterr().out
    assert "nasbench201 cells_per_stage 1, channels 1" in text and "(359 test, 719 train, 719 valid)" in text
    first, second = TrainedTable("mine.npz"), TrainedTable("again.npz")
    assert first.results.codes == second.results.codes
    for code in first.results.codes:
        assert first.query(code, Metric.VAL_ACCURACY) == second.query(code, Metric.VAL_ACCURACY)
    words = ["--config", "tiny.yaml", "search.epochs=5", "search.fidelity=-1", "search.evaluator=table"]
    assert main([*words, "data=mine.npz", "optimizer=regularized_evolution"]) == 0
    assert summary("run/nasbench201/digits/regularized_evolution/99")["evaluation_mode"] == "query"
    (config.parent / "tables").mkdir()
    Path("mine.npz").rename("tables/nasbench201_digits.npz")
    assert main([*words, "data=tables", "out_dir=other"]) == 0
    assert summary("other/nasbench201/digits/random_search/99")["test_accuracy"] in {
        second.query(code, Metric.TEST_ACCURACY) for code in second.results.codes
    }
    assert main(["data", "list", "--data", "tables"]) == 0
    listed = capsys.readouterr().out
    assert "  nasbench201_digits.npz: tables/nasbench201_digits.npz\n" in listed
    assert "of nasbench201 on digits, 1 epochs, seeds 1\n" in listed and "9 epochs, seeds 1, 2\n" in listed
    other = [*words, "data=again.npz", "out_dir=third", "search_space_args={channels: 2, cells_per_stage: 1}"]
    assert main(other) == 2
    assert "trained with channels 1, and the space has 2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["biuld"], "no command 'biuld'; did you mean 'build'? (it has: build, merge, latency, info)"),
        (["build", "tiny.yaml"], "--out"),
        (["build", "none.yaml", "--out", "a.npz"], "config file 'none.yaml' not found"),
        (["build", "tiny.yaml", "--out", "a.npz", "--executor", "rai"], "did you mean 'ray'"),
        (
            ["build", "tiny.yaml", "--out", "a.npz", "--executor", "process", "--executor-args", "{address: auto}"],
            "--executor-args address: it goes with --executor ray",
        ),
        (
            ["build", "tiny.yaml", "--out", "a.npz", "--executor", "ray", "--executor-args", "num_gpus=1.5"],
            "Ray gives one of gpus in parts, and more than one whole (2, say), got 1.5",
        ),
        (["build", "tiny.yaml", "--out", "a.npz", "--executor", "proces"], "did you mean 'process'"),
        (
            ["build", "tiny.yaml", "--out", "a.npz", "--executor", "serial", "--workers", "2"],
            "needs --executor process",
        ),
        (["build", "tiny.yaml", "--out", "a.npz", "--architectures", "many"], "is a number or all, not 'many'"),
        (["build", "tiny.yaml", "--out", "a.npz", "--seeds", "1,x"], "seeds are numbers and stretches"),
        (["build", "tiny.yaml", "--out", "a.npz", "--shard", "2"], "--shard is I/N, such as 1/4, not '2'"),
        (["build", "tiny.yaml", "--out", "a.npz", "--shard", "3/2"], "not 3/2"),
        (["build", "tiny.yaml", "--out", "a.csv"], "a table is a .npz file, not 'a.csv'"),
        (["build", "tiny.yaml", "--out", "a.npz", "search.evaluator=table"], "a table is built by training"),
        (["build", "tiny.yaml", "--out", "a.npz", "--write-now"], "there is no history.sqlite in"),
        (["merge", "out.npz", "none.npz"], "no table of `naslib bench build` at none.npz"),
        (["merge", "out.npz", "tiny.yaml"], "tiny.yaml is not a compact table"),
        (["info", "none.npz"], "no table of `naslib bench build` at none.npz"),
    ],
)
def test_what_it_cannot_use_is_said_before_anything_is_trained(
    words: list[str], message: str, config: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["bench", *words]) == 2
    assert message in capsys.readouterr().err
    assert not list(config.parent.rglob("*.npz"))


@pytest.mark.parametrize("action", ["build", "merge", "latency", "info"])
def test_each_has_its_help(action: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main(["bench", action, "--help"])
    assert f"usage: naslib bench {action}" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["random_search", "regularized_evolution"])
def test_the_black_box_examples_work_with_nothing_downloaded(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("NASLIB_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    assert main(["--config", f"{name}.yaml", "search.epochs=40"]) == 0
    found = summary(f"run/nasbench201/digits/{name}/1")
    assert found["evaluation_mode"] == "query" and found["test_accuracy"] > 90
    assert len(load(f"run/nasbench201/digits/{name}/1")) == 40


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], (None, 1, {})),
        (["--workers", "3"], (None, 3, {})),
        (
            ["search.executor=ray", "search.workers=4", "search.executor_args={num_cpus: 2}"],
            ("ray", 4, {"num_cpus": 2}),
        ),
        (["search.executor=ray", "search.workers=4", "--executor", "process", "--workers", "2"], ("process", 2, {})),
        (["--executor", "ray", "--executor-args", "address=auto"], ("ray", 1, {"address": "auto"})),
    ],
)
def test_where_trainings_are_made_is_said_by_options_or_by_the_config(words, expected, config, monkeypatch):
    """What is trained, the protocol, is the same everywhere."""
    seen: dict[str, Any] = {}

    def build(evaluator: Any, out: str, **given: Any) -> Any:
        seen.update(given)
        return SimpleNamespace(codes=[], trained=[])

    monkeypatch.setattr("naslib.evaluators.table_builder.build_table", build)
    assert main(["bench", "build", "tiny.yaml", "--architectures", "2", "--out", "mine.npz", *words]) == 0
    assert (seen["executor"], seen["workers"], seen["executor_args"]) == expected
    assert not {"executor", "workers", "executor_args", "tell"} & set(seen["about"]["config"]["search"])
