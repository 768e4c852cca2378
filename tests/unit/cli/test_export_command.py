"""`naslib export`: what it prints, its exit status, and that bad input writes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from naslib.build import main
from naslib.search_spaces import SimpleCellSearchSpace
from naslib.tasks import Classification
from naslib.training.checkpoint import FINAL
from naslib.training.export import NetworkRecord
from naslib.training.phase import Phase


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """Return a folder with a network, as a run leaves it, without the rest of a run."""
    folder = tmp_path / "run"
    torch.manual_seed(0)
    space = SimpleCellSearchSpace(4, 1, channels=4)
    space.sample_random_architecture()
    space.compile()
    space.parse()
    (folder / "eval").mkdir(parents=True)
    record = NetworkRecord.of(space, {}, None, Classification(output_size=4))
    preprocess = {"mean": [0.5], "std": [0.5], "in_channels": 1, "image_size": 8, "resize": 8, "scale": 255.0}
    NetworkRecord(record.architecture, {}, preprocess, list("abcd"), task=record.task).write(folder / "eval")
    network = NetworkRecord.read(folder / "eval").build()
    Phase(folder / "eval", lambda: {"model": network}, {}, {}, {}).save_final(0)
    return folder


def test_files_are_listed(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(run_folder), "--formats", "safetensors,pt2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == str(run_folder.resolve() / "export") or lines[0] == str(run_folder / "export")
    assert [line.split()[0] for line in lines[1:]] == [
        "README.md", "classes.json", "export.json", "network.pt2", "preprocessing.json", "weights.safetensors"
    ]  # fmt: skip
    assert json.loads((run_folder / "export" / "classes.json").read_text()) == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "the following arguments are required: RUN"),
        (["RUN", "--formats", "onx"], "there is no format 'onx'; did you mean 'onnx'"),
        (["RUN", "--formats", ","], "name a format"),
        (["RUN", "--quantize", "fp8"], "there is no quantisation 'fp8'"),
        (["RUN", "--quantise", "int8"], "unknown option '--quantise'"),
        (["RUNN"], "there is no run folder"),
        (["RUN/eval/none"], "there is no run folder"),
        (["EMPTY"], "holds no trained network"),
        (["RUN", "--out", "FILE"], "is a file"),
        (["RUN", "--out", "FILE/deep/net"], "is not a folder that can be written to"),
        (["RUN", "--out", "EMPTY/..", "--overwrite"], "is no exported network"),
        (["RUN", "--quantize", "int8"], "int8 needs the training data"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    run_folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    root = run_folder.parent
    (root / "empty").mkdir()
    (root / "file").write_text("")
    places = {"RUN": str(run_folder), "EMPTY": str(root / "empty"), "FILE": str(root / "file")}
    for name, place in places.items():
        words = [word.replace(name, place, 1) if word.startswith(name) else word for word in words]
    before = sorted(root.rglob("*"))
    assert main(["export", *words]) == 2
    printed = capsys.readouterr()
    assert message in printed.err and printed.err.count("\n") == 1 and printed.out == ""
    assert sorted(root.rglob("*")) == before


def test_damaged_runs_are_refused(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = run_folder / "eval" / FINAL
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], b"", content[:-200] + bytes(200)):
        path.write_bytes(damaged)
        assert main(["export", str(run_folder)]) == 2
        printed = capsys.readouterr()
        assert FINAL in printed.err and printed.err.count("\n") == 1 and printed.out == ""
        assert not (run_folder / "export").exists()
    path.unlink()
    assert main(["export", str(run_folder)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_format_that_failed_is_said_by_the_status(
    run_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from naslib.errors import ExportError

    def fails(*_: object) -> str:
        raise ExportError("torch.export cannot follow the network: aten.strange")

    monkeypatch.setattr("naslib.export.bundle.program_of", fails)
    assert main(["export", str(run_folder), "--formats", "pt2,safetensors"]) == 1
    assert "network.pt2 is not written: torch.export cannot follow the network: aten.strange" in capsys.readouterr().out
    assert (run_folder / "export" / "weights.safetensors").is_file()


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(["export", "--help"])
    assert done.value.code == 0
    printed = capsys.readouterr().out
    assert "naslib export RUN --quantize int8" in printed and "network.py,safetensors,onnx,pt2" in printed
