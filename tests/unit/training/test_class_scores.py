"""Scores by class in `summary.json`, in the log and as a picture, from the one pass that tests."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch
from PIL import Image
from training_runs import CLASSES, loaders, small_trainer

from naslib.tasks import ClassCounts, Segmentation
from naslib.training import run_record
from naslib.training.class_table import class_table
from naslib.training.confusion_picture import confusion_figure, draw_confusion, short_count
from naslib.training.evaluate import test as run_test


class Watched:
    """A loader that says how often it was gone through."""

    def __init__(self, loader):
        self.loader, self.passes = loader, 0

    def __len__(self):
        return len(self.loader)

    def __iter__(self):
        self.passes += 1
        return iter(self.loader)


def recount(network, loader):
    matrix = np.zeros((CLASSES, CLASSES), dtype=int)
    with torch.no_grad():
        for x, y in loader:
            for true, outputs in zip(y.tolist(), network(x), strict=True):
                matrix[true, int(np.argmax(outputs.numpy()))] += 1
    return matrix


@pytest.mark.parametrize("retrain", [True, False])
def test_the_summary_has_them_and_tests_once(tmp_path, retrain):
    own = loaders()
    watched = Watched(own["test_loader"])
    trainer = small_trainer(tmp_path, epochs=1, own={**own, "test_loader": watched})
    trainer.search()
    assert "per_class" not in json.loads((tmp_path / "summary.json").read_text())
    before = watched.passes
    trainer.evaluate(retrain=retrain)
    # one pass looks at the first batch before the training, one tests
    assert watched.passes - before <= 2
    told = json.loads((tmp_path / "summary.json").read_text())
    matrix = recount(trainer.result.network.eval(), own["test_loader"])
    assert told["confusion_matrix"] == matrix.tolist() and told["class_names"] == ["0", "1", "2"]
    assert told["test_accuracy"] == pytest.approx(100 * matrix.trace() / matrix.sum())
    assert [row["n"] for row in told["per_class"]] == matrix.sum(axis=1).tolist()
    found = [100 * matrix[i, i] / n if (n := matrix[i].sum()) else None for i in range(CLASSES)]
    assert [row["accuracy"] for row in told["per_class"]] == found
    assert [list(row) for row in told["per_class"]] == [["name", "n", "accuracy", "precision", "recall", "f1"]] * 3
    text = (tmp_path / "summary.json").read_text()
    assert "\n    [" + ", ".join(map(str, matrix[0])) + "]," in text  # a row of the matrix in a line
    assert "test scores by class\n" in (tmp_path / "log.log").read_text()
    if retrain:  # tested again from what the folder holds: the same
        again = small_trainer(tmp_path, epochs=1)
        again.evaluate(resume_from=str(tmp_path / "eval" / "model_final.pth"))
        assert again.summary["confusion_matrix"] == matrix.tolist()


def test_the_picture_of_an_old_evaluation_goes_aside_with_it(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(run_record, "draw_confusion", lambda folder, told: drawn.append(told) or [])
    trainer = small_trainer(tmp_path, epochs=1)
    trainer.search()
    trainer.evaluate()
    for kind in ("svg", "png"):
        (tmp_path / f"confusion_matrix.{kind}").write_text("of the first")
    trainer.evaluate(retrain=False)
    assert (tmp_path / "eval.1" / "confusion_matrix.png").read_text() == "of the first"
    assert not (tmp_path / "confusion_matrix.png").exists() and len(drawn) == 2
    assert (
        drawn[0]["confusion_matrix"] == json.loads((tmp_path / "eval.1/summary.json").read_text())["confusion_matrix"]
    )


def test_pixels_are_counted_in_the_same_pass():
    generator = torch.Generator().manual_seed(0)
    network = torch.nn.Conv2d(2, 3, 1)
    batches = [(torch.randn(2, 2, 4, 5, generator=generator), torch.randint(0, 3, (2, 4, 5), generator=generator))]
    batches[0][1][0, 0, :3] = 255
    counts = ClassCounts(Segmentation())
    measured = run_test(network, batches, Segmentation(), torch.device("cpu"), by_class=counts)
    matrix = np.array(counts.matrix())
    assert matrix.sum() == measured.count == 2 * 4 * 5 - 3
    assert measured.get("accuracy") == pytest.approx(100 * matrix.trace() / matrix.sum())
    unions = matrix.sum(axis=0) + matrix.sum(axis=1) - matrix.diagonal()
    assert measured.get("mean_iou") == pytest.approx(100 * np.mean(matrix.diagonal() / unions))


def _told(matrix, names):
    counts = np.array(matrix)
    return [
        {
            "name": name, "n": int(counts[i].sum()), "recall": None, "f1": None,
            "accuracy": 100 * counts[i, i] / counts[i].sum() if counts[i].sum() else None,
            "precision": counts[i, i] / counts[:, i].sum() if counts[:, i].sum() else None,
        }
        for i, name in enumerate(names)
    ]  # fmt: skip


def test_the_table_of_few_and_of_many_classes():
    matrix = [[8, 2], [0, 0]]
    lines = class_table(_told(matrix, ["cat", "d\no g"]), matrix).splitlines()
    assert lines[0].split() == ["class", "n", "accuracy", "precision", "f1", "most", "often", "taken", "for"]
    assert (
        lines[1] == "  cat    10   80.00 %     1.0000   -  d o g (2)"
        and lines[2] == "  d o g   0         -     0.0000   -"
    )
    many = np.diag(np.arange(1, 31))
    many[4, 7] = 95  # 5 of 100 are found
    lines = class_table(_told(many, [f"n{i}" for i in range(30)]), many.tolist()).splitlines()
    assert lines[0] == "the 10 of 30 classes that are found least" and len(lines) == 12
    assert re.match(r"  n4 +100 +5\.00 % .*  n7 \(95\)$", lines[2])


@pytest.mark.parametrize(("k", "counts", "ticks"), [(3, 4, 3), (40, 0, 40), (150, 0, 38)])
def test_a_picture_of_any_number_of_classes(k, counts, ticks):
    matrix = np.diag(np.full(k, 7))
    matrix[0, 1] = 3
    names = [f"$a_{i}$ {'long ' * 8}{i}" for i in range(k)]
    figure = confusion_figure(matrix.tolist(), names)
    axes = figure.axes[0]
    assert len(axes.get_xticks()) == len(axes.get_yticks()) == ticks
    assert [text.get_text() for text in axes.texts] == ["7", "3", "7", "7"][:counts]
    shares = axes.images[0].get_array()
    assert shares[0, 0] == pytest.approx(70) and shares[0, 1] == pytest.approx(30) and shares[1, 1] == 100
    assert axes.get_title() == f"test: {100 * 7 * k / (7 * k + 3):.2f} % of {7 * k + 3:,} right"
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert len(set(labels)) == ticks and all(len(label) <= 22 for label in labels)


def test_large_counts_are_short():
    told = {7: "7", 9999: "9999", 10_000: "10k", 118_501: "118k", 2_460_000: "2.5M", 999_999: "999k", 10**12: "1000G"}
    assert {count: short_count(count) for count in told} == told


def test_the_files(tmp_path):
    files = draw_confusion(tmp_path, {"confusion_matrix": [[1, 0], [1, 2]], "class_names": ["no", "yes"]})
    assert [path.name for path in files] == ["confusion_matrix.svg", "confusion_matrix.png"]
    with Image.open(files[1]) as picture:
        assert picture.width > 400 and np.asarray(picture.convert("L")).std() > 10
    assert files[0].read_text().startswith("<?xml")
    assert draw_confusion(tmp_path, {"per_class": [], "confusion_matrix": None}) == []
