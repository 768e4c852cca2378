"""Which folders are runs, what they hold, and how far they have come."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from report_runs import CODE, alphas, errors, summary, write_black_box, write_run

from naslib.cli.command import main
from naslib.config.cli import config_from_command_line, parse_cli
from naslib.errors import RunFolderError
from naslib.report import state
from naslib.report.finding import find_runs, is_run
from naslib.report.reading import SavedRun
from naslib.report.sections.found import found
from naslib.report.state import RunStage, command_line, stage_of

FILES = ["config.yaml", "summary.json", "environment.json", "errors.json", "arch_weights.json", "genotype.json"]
FILES += ["eval/history.json", "eval/network.json", "history.sqlite"]


def test_runs_below_a_folder_in_the_order_of_their_seeds(tmp_path: Path):
    runs = [write_run(tmp_path / "run", seed) for seed in (10, 2, 1)]
    runs[0].with_name("10.1").mkdir()
    (runs[0].with_name("10.1") / "summary.json").write_text("{}")  # moved aside by --overwrite
    assert find_runs([tmp_path]) == [runs[2], runs[1], runs[0]]
    assert find_runs([runs[1], tmp_path / "run"]) == [runs[1], runs[2], runs[0]]
    assert find_runs([runs[1] / "summary.json", f"{runs[1]}/"]) == [runs[1]]
    assert find_runs([runs[0].with_name("10.1")]) == [runs[0].with_name("10.1")]


def test_a_folder_of_configs_is_no_run(tmp_path: Path):
    (tmp_path / "config.yaml").write_text("dataset: digits\n")
    assert not is_run(tmp_path)
    (tmp_path / "search").mkdir()
    assert is_run(tmp_path)


@pytest.mark.parametrize(
    "given", ["nothing", "run/nasbench201/digits/dart/1", "empty", "run/nasbench201/digits/darts/1/search"]
)
def test_what_is_no_run_is_said_with_the_nearest(tmp_path: Path, given: str, capsys: pytest.CaptureFixture[str]):
    run = write_run(tmp_path / "run")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunFolderError, match="nearest run is") as caught:
        find_runs([tmp_path / given])
    assert str(run) in str(caught.value)
    assert main(["report", str(tmp_path / given), "--out", str(tmp_path / "page.html")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and str(run) in said and not (tmp_path / "page.html").exists()


@pytest.mark.parametrize(
    ("words", "expected"),
    [([], "RUN"), (["RUN", "--nothing"], "--nothing"), (["RUN", "--out"], "--out"),
     (["RUN", "--out", "FOLDER"], "is a folder"),
     (["RUN", "--out", "mine.html"], "not written by naslib report"),
     (["RUN", "--out", "mine.html/x.html"], "cannot write")],
)  # fmt: skip
def test_bad_words(tmp_path: Path, words: list[str], expected: str, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run = write_run(tmp_path / "run")
    (tmp_path / "mine.html").write_text("<p>mine</p>")
    (tmp_path / "FOLDER").mkdir()
    before = sorted(tmp_path.rglob("*"))
    assert main(["report", *(str(run) if word == "RUN" else word for word in words)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and expected in said, said
    assert (tmp_path / "mine.html").read_text() == "<p>mine</p>" and sorted(tmp_path.rglob("*")) == before


def test_the_command_writes_into_the_folder_and_replaces_its_own_page(tmp_path: Path, monkeypatch, capsys):
    run = write_run(tmp_path / "run")
    for _ in range(2):
        assert main(["report", str(run), "--no-measure"]) == 0
        assert capsys.readouterr().out == f"{run / 'report.html'}\n"
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "run", 2)
    assert main(["report", "run"]) == 0 and (tmp_path / "report.html").is_file()


@pytest.mark.parametrize(
    ("files", "stage"),
    [
        ({}, RunStage.FINISHED),
        ({"summary": summary(evaluation_mode=None, score=None), "history": None}, RunStage.SEARCHED),
        ({"summary": summary(evaluation_mode=None, score=None)}, RunStage.RETRAINING),
        ({"summary": None, "history": None, "genotype": None}, RunStage.SEARCHING),
        ({"summary": None, "history": None, "errors": None, "genotype": None}, RunStage.BEGUN),
    ],
)  # fmt: skip
def test_how_far_a_run_has_come(tmp_path: Path, files: dict, stage: RunStage):
    assert stage_of(SavedRun.read(write_run(tmp_path, **files))) is stage


def test_the_command_that_goes_on_leads_to_the_folder(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = write_run(Path("run with spaces"))
    for run in (folder, folder.resolve()):
        words = shlex.split(command_line(SavedRun.read(run), "--resume"))[1:]
        assert Path(config_from_command_line(parse_cli(words)).save).resolve() == folder.resolve()
    moved = tmp_path / "elsewhere"
    Path("run with spaces").rename(moved)
    words = shlex.split(command_line(SavedRun.read(moved / "nasbench201/digits/darts/1"), "--resume"))[1:]
    assert Path(config_from_command_line(parse_cli(words)).save) == moved / "nasbench201/digits/darts/1"
    renamed = (moved / "nasbench201/digits/darts/1").rename(moved / "best")
    assert command_line(SavedRun.read(renamed), "--resume") is None


def test_a_script_has_to_be_run_again(tmp_path: Path):
    folder = write_run(tmp_path)
    config = folder / "config.yaml"
    config.write_text(
        "# a script ran it with something else than is said below, so that only ...\n" + config.read_text()
    )
    run = SavedRun.read(folder)
    assert run.is_scripted and command_line(run, "--resume") is None


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("content", ["", "{", "[1, 2]", "null", '{"a": [{"b": 1}]}', "\ufffd\x00\x01", "7"])
def test_damaged_files_are_noted(tmp_path: Path, name: str, content: str):
    folder = write_black_box(tmp_path, trials=3) if name == "history.sqlite" else write_run(tmp_path)
    (folder / name).write_text(content)
    run = SavedRun.read(folder)
    run.network_record  # noqa: B018 - read when asked
    assert all("cannot be read" in trouble for trouble in run.troubles)
    if content in ("{", "\ufffd\x00\x01"):
        assert [trouble.split(" ")[0] for trouble in run.troubles] == [name]


def test_what_is_read(tmp_path: Path):
    folder = write_run(tmp_path, arch_weights=alphas(2, 1), errors=[{"config": 1}, errors(2)])
    run = SavedRun.read(folder)
    assert run.name == "darts on nasbench201, digits, seed 1" and run.troubles == []
    assert (run.score, run.score_name, run.unit, run.maximize, run.mode) == (83.25, "accuracy", "%", True, "retrain")
    assert run.search["train_acc"] == [50.0, 55.0] and "test_acc" not in run.search and run.searched == 2
    assert [len(row) for row in run.decisions[0].rows] == [3, 3, 3] and run.genotype["code"] == list(CODE)
    assert run.class_names == ["cat", "dog", "eel"] and not run.trials


def test_other_shapes_of_parameters(tmp_path: Path):
    told = [
        {"graph": "cell", "edge": [1, 2], "ops": ["a", "b"], "weights": [[[0.0, 1.0]], [[1.0, None]]]},
        {"name": "n", "graph": "cell", "edge": [1, 2], "ops": [], "weights": [[1, 2, 3]]},
        {"name": "none", "graph": "cell", "edge": [1, 2], "ops": ["a"], "weights": []},
    ]
    first, second, third = SavedRun.read(write_run(tmp_path, arch_weights=told)).decisions
    assert first.name == "cell/1-2" and first.rows == [[0.0, 1.0], [1.0, None]]
    assert second.ops == ("candidate 1", "candidate 2", "candidate 3") and third.rows == []


def test_a_run_that_waits_and_one_at_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = write_run(tmp_path, summary=None, history=None)
    said = [getattr(block, "text", "") for block in found(SavedRun.read(folder)).blocks]
    missing = "Missing is the rest of the search, the retraining and the test."
    assert f"The run has not ended: its search is not complete. {missing}" in said

    def refuse(folder: Path) -> None:
        raise RunFolderError("process 1 works there")

    monkeypatch.setattr(state, "check_unlocked", refuse)
    said = [getattr(block, "text", "") for block in found(SavedRun.read(folder)).blocks]
    assert "A process works on this run now: the page shows how far it has come." in said
