"""A run as every file that there is: read where naslib is not, scored, and free of what is of this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import naslib
from naslib.data import load_data
from naslib.export.bundle import Bundle, export_network

pytestmark = pytest.mark.slow

# A process in which naslib cannot be imported, and what it finds in a folder
BLOCKED = """
import json, sys
sys.modules["naslib"] = None
import numpy as np, torch
x = torch.from_numpy(np.load("inputs.npy"))
found = {"pt2": torch.export.load("network.pt2").module()(x), "int8": torch.export.load("network_int8.pt2").module()(x)}
import onnxruntime
for name in ("network", "network_int8"):
    found[name] = onnxruntime.InferenceSession(name + ".onnx").run(["logits"], {"images": x.numpy()})[0]
np.savez("found.npz", **{name: np.asarray(value) for name, value in found.items()})
"""


@pytest.fixture(scope="module")
def bundle(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    return export_network(run_folder, tmp_path_factory.mktemp("out") / "net", quantize="int8")


def test_files_are_read_where_naslib_is_not(bundle: Bundle, run_folder: Path, tmp_path: Path) -> None:
    network = naslib.load_network(run_folder)
    inputs = network.preprocess(load_data("digits").test.images[:7])
    for path in bundle.folder.iterdir():
        os.link(path, tmp_path / path.name)
    np.save(tmp_path / "inputs.npy", inputs.numpy())
    done = subprocess.run([sys.executable, "-c", BLOCKED], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = np.load(tmp_path / "found.npz")
    expected = network(inputs).detach().numpy()
    scale = max(1.0, float(np.abs(expected).max()))
    for name in ("pt2", "network"):
        assert np.abs(found[name] - expected).max() <= 1e-5 * scale
    for name in ("int8", "network_int8"):  # a level is 1/255 of the range; errors of a few layers add up
        assert 0 < np.abs(found[name] - expected).max() <= 0.1 * scale


def test_files_hold_no_paths_of_this_machine(bundle: Bundle) -> None:
    for path in bundle.folder.glob("network*"):
        if path.suffix == ".pt2":
            with zipfile.ZipFile(path) as archive:
                content = b"".join(archive.read(name) for name in archive.namelist())
        else:
            content = path.read_bytes()
        assert b"conv" in content.lower() and b"site-packages" not in content and b"graph.py" not in content


def test_forms_are_scored_on_the_test_part(bundle: Bundle, run_folder: Path) -> None:
    accuracy = json.loads((run_folder / "summary.json").read_text())["test_accuracy"]
    scores = {row.file: row.score for row in bundle.forms}
    assert scores["network.pt2"] == pytest.approx(accuracy) and scores["network.onnx"] == pytest.approx(accuracy)
    assert abs(scores["network_int8.pt2"] - accuracy) < 5 and abs(scores["network_int8.onnx"] - accuracy) < 5
    assert bundle.table.count("\n") == 5 and f"{accuracy:.2f} %" in bundle.table
    assert all(row.latency.milliseconds > 0 and row.latency.runs >= 5 for row in bundle.forms)
