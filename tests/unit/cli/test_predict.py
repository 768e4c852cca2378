"""`naslib predict`: files in, a table, CSV or JSON out; what cannot be read is listed; bad words are one line."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
import torch
from PIL import Image
from training_runs import config_for

from naslib.cli import main
from naslib.data import load_data
from naslib.defaults.trainer import Trainer
from naslib.optimizers import DARTSOptimizer
from naslib.search_spaces import SimpleCellSearchSpace
from naslib.training import run_record
from naslib.training.export import load_network
from naslib.utils.seeding import set_seed


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return the folder of a run whose network was trained for an epoch."""
    folder = tmp_path_factory.mktemp("run")
    set_seed(3)
    config = config_for(folder, epochs=0)
    config.evaluation.update({"epochs": 1, "batch_size": 128, "mode": "retrain"})
    optimizer = DARTSOptimizer()
    optimizer.adapt_search_space(SimpleCellSearchSpace(10, 1, channels=4), "digits")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("draw_cells", "draw_arch_weights", "draw_confusion"):
            patch.setattr(run_record, name, lambda *_: [])
        trainer = Trainer(optimizer, config)
        trainer.search()
        trainer.evaluate()
    return folder


@pytest.fixture(scope="module")
def digits():
    return load_data("digits").test.images[:6, 0].numpy()


@pytest.fixture
def pictures(tmp_path, digits):
    """Return a folder with six pictures, two of them in folders of odd names, and what is no picture."""
    folder = tmp_path / "pictures"
    (folder / "größe 2" / "b").mkdir(parents=True)
    for number, place in enumerate(("", "", "", "", "größe 2", "größe 2/b")):
        Image.fromarray(digits[number]).save(folder / place / f"{number}, {number}.PNG")
    (folder / ".hidden.png").write_bytes(b"hidden")
    (folder / "notes.txt").write_text("no picture")
    return folder


def said(capsys, *words):
    status = main(["predict", *map(str, words)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_json_says_what_python_says(run, pictures, digits, capsys):
    status, out, err = said(capsys, run, pictures, "--format", "json", "--top", 3, "--batch-size", 4)
    told = json.loads(out)
    assert (status, err) == (0, "") and list(told) == ["run", "task", "classes", "predictions", "failed"]
    assert told["run"] == str(run) and told["task"] == "classification" and told["classes"] == list("0123456789")
    assert told["failed"] == [] and len(told["predictions"]) == 6
    network = load_network(run)
    shares = network.predict_proba(digits)
    assert [row["class"] for row in told["predictions"]] == network.predict(digits).tolist()
    for row, expected, number in zip(told["predictions"], shares.tolist(), range(6), strict=True):
        assert row["input"].endswith(f"{number}, {number}.PNG") and row["index"] is None
        assert row["label"] == str(row["class"]) and row["probability"] == pytest.approx(max(expected), rel=1e-6)
        best = sorted(range(10), key=lambda k: -expected[k])[:3]
        assert [entry["class"] for entry in row["top"]] == best
        assert [entry["probability"] for entry in row["top"]] == pytest.approx([expected[k] for k in best], rel=1e-6)


def test_csv_and_table(run, pictures, digits, capsys):
    status, out, _ = said(capsys, run, pictures, "--format", "csv", "--top", 2)
    rows = list(csv.DictReader(io.StringIO(out)))
    assert status == 0 and list(rows[0]) == ["input", "index", "label", "probability", "label_2", "probability_2"]
    names = load_network(run).predict_names(digits)
    assert [row["label"] for row in rows] == names and rows[0]["input"] == str(pictures / "0, 0.PNG")
    status, out, _ = said(capsys, run, pictures)
    lines = out.splitlines()
    assert lines[0].split() == ["input", "label", "probability"] and len(lines) == 7
    place = lines[0].index("label")
    assert [line[place] for line in lines[1:]] == names and {len(line) for line in lines} == {len(lines[0])}
    assert all(f"{float(row['probability']):.4f}" in line for row, line in zip(rows, lines[1:], strict=True))


def test_arrays_standard_input_and_files_that_cannot_be_read(run, tmp_path, digits, capsys, monkeypatch):
    np.savez(tmp_path / "many.npz", x=digits[:3], y=np.arange(3))
    np.savez(tmp_path / "two.npz", a=digits[:1], b=digits[3:5])
    np.save(tmp_path / "one.npy", digits[5])
    np.savez(tmp_path / "objects.npz", x=np.array([{}], dtype=object))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "many.npz").read_bytes()[:100])
    (tmp_path / "empty.png").touch()
    (tmp_path / "folder").mkdir()
    names = ["many.npz", "empty.png", "two.npz:b", "one.npy", "cut.npz", "objects.npz", "folder", "two.npz", "none.png"]
    names += ["n" * 300, "n" * 300 + ".npy"]
    lines = "\r\n".join(str(tmp_path / name) for name in names)
    monkeypatch.setattr("sys.stdin", io.StringIO(f"\n{lines}\n"))
    status, out, err = said(capsys, run, "-", "--format", "json", "--batch-size", 2)
    told = json.loads(out)
    assert status == 1
    assert [(row["input"].rpartition("/")[2], row["index"]) for row in told["predictions"]] == [
        ("many.npz", 0), ("many.npz", 1), ("many.npz", 2), ("two.npz:b", 0), ("two.npz:b", 1), ("one.npy", None)
    ]  # fmt: skip
    assert [row["label"] for row in told["predictions"]] == load_network(run).predict_names(digits)
    reasons = {entry["input"].rpartition("/")[2]: entry["reason"] for entry in told["failed"]}
    assert list(reasons) == [
        "empty.png",
        "cut.npz",
        "objects.npz",
        "folder",
        "two.npz",
        "none.png",
        "n" * 300,
        "n" * 300 + ".npy",
    ]
    assert {reasons[name] for name in list(reasons)[-3:]} == {"there is no such file"}
    assert "cannot be read as an array" in reasons["cut.npz"] and "pickled objects" in reasons["objects.npz"]
    assert "holds no file" in reasons["folder"] and reasons["none.png"] == "there is no such file"
    assert "it holds a and b: say which one" in reasons["two.npz"] or "it holds a, b: say which" in reasons["two.npz"]
    assert err.count("\n") == 9 and err.endswith("naslib: 8 of 14 inputs could not be predicted\n")


def test_to_a_file_and_never_over_one(run, pictures, tmp_path, capsys):
    target = tmp_path / "found.csv"
    status, out, _ = said(capsys, run, pictures, "--format", "csv", "--out", target)
    text = target.read_text()
    assert status == 0 and out == "" and len(text.splitlines()) == 7
    status, out, err = said(capsys, run, pictures, "--out", target)
    assert status == 2 and err.count("\n") == 1 and "is there already, and nothing is overwritten" in err
    assert target.read_text() == text and sorted(path.name for path in tmp_path.iterdir()) == ["found.csv", "pictures"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["RUN"], "the following arguments are required: INPUT"),
        (["RUN", "a.png", "--top", "0"], "--top must be at least 1, got 0"),
        (["RUN", "a.png", "--batch-size", "-1"], "--batch-size must be at least 1, got -1"),
        (["RUN", "a.png", "--format", "xml"], "invalid choice: 'xml'"),
        (["RUN", "a.png", "--device", "gpu"], "--device must be auto, cpu, cuda, cuda:N or mps, got 'gpu'"),
        (["RUN", "a.png", "--out", "no/such/folder/a.csv"], "--out: cannot write no/such/folder/a.csv"),
        (["nowhere", "a.png"], "there is no folder nowhere"),
        (["EMPTY", "a.png"], "holds no trained network"),
        (["EXPORTED", "a.png"], "was exported from /gone, which is not there: give the run folder"),
    ],
)
def test_bad_words_are_one_line_and_status_two(run, tmp_path, words, message, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "exported").mkdir()
    (tmp_path / "exported" / "export.json").write_text('{"run": "/gone"}')
    places = {"RUN": str(run), "EMPTY": "empty", "EXPORTED": "exported"}
    status, out, err = said(capsys, *(places.get(word, word) for word in words))
    assert status == 2 and out == "" and err.count("\n") == 1 and message in err


@pytest.mark.parametrize("named", ["beside", "inside", "moved"])
def test_an_exported_folder_stands_for_its_run(run, tmp_path, pictures, named, capsys):
    exported = tmp_path / "elsewhere" if named == "beside" else run / "export"
    exported.mkdir()
    try:
        (exported / "export.json").write_text(
            json.dumps({"format": 1, "run": "/gone" if named == "moved" else str(run)})
        )
        status, out, _ = said(capsys, exported, pictures, "--format", "json")
        assert status == 0 and json.loads(out)["run"] == str(run)
    finally:
        (exported / "export.json").unlink()
        exported.rmdir()


def test_a_long_list_is_predicted_as_it_comes(run, digits, tmp_path, monkeypatch, capsys):
    path = tmp_path / "a.png"
    Image.fromarray(digits[0]).save(path)
    asked = []

    class Lines:
        def __iter__(self):
            for number in range(40):
                asked.append(number)
                yield f"{path}\n"

    largest = []
    outputs = torch.nn.Module.__call__
    monkeypatch.setattr("sys.stdin", Lines())
    monkeypatch.setattr(
        "naslib.training.export.TrainedNetwork.outputs",
        lambda self, inputs: (largest.append((len(inputs), len(asked))), outputs(self, inputs))[1],
    )
    status, out, _ = said(capsys, run, "-", "--batch-size", 8, "--format", "csv")
    assert status == 0 and out.count("\n") == 41
    assert largest == [(8, 8 * batch) for batch in range(1, 6)]  # no path is read before the batch before is done


def test_help_has_examples(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["predict", "--help"])
    text = capsys.readouterr().out
    assert stopped.value.code == 0 and "naslib predict run/nasbench301/digits/darts/1 pictures/ --top 3" in text
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "naslib predict" in capsys.readouterr().out
