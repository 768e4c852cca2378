"""Every example runs, as a user would start it, on a tiny config, and logs no error."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from page_runner import run_page
from PIL import Image

from naslib.optimizers import OPTIMIZERS
from naslib.search_spaces import SimpleCellSearchSpace

ROOT = Path(__file__).resolve().parents[2]
SHORT = ["search.epochs=1", "evaluation.epochs=1"]
TINY = [*SHORT, "search_space_args={cells: 2, nodes: 1, channels: 4}", "evaluation.channels=4", "evaluation.cells=2"]
EXTRA = {
    "darts_cell.py": SHORT,
    "enas_macro.py": [*SHORT, "search_space_args={layers: 3, channels: 4}", "search.n_samples=2"],
    "enas_micro.py": [*SHORT, "search_space_args={layers: 1, nodes: 1, channels: 4}", "search.n_samples=2"],
    "readme_flow.py": [],
    "own_search_space.py": [],
    "own_module.py": [],
    "own_transformer.py": [],
    "own_data.py": ["dataset=shapes", "dataset_args.n_images=200"],
    "mixed_operations.py": [],
    "own_optimizer.py": ["optimizer=sigmoid_darts", "search.start=0.4"],
    "own_task.py": ["task=ordinal", "task_args.distance_weight=1.0"],
}
# Examples that have a config of their own, and sizes in it
CONFIGS = {name: name.replace(".py", ".yaml") for name in ("darts_cell.py", "enas_macro.py", "enas_micro.py")}
# What an example ends with, where that is not the accuracy
LAST = {"own_task.py": "% within one"}


def test_every_example_is_tested():
    assert {path.name for path in (ROOT / "examples").glob("*.py")} == {*EXTRA, "onnx_inference.py"}


def test_an_exported_network_without_naslib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    """On a network that is known by hand: logits are the means of the upper and of the lower half."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    make, floats = onnx.helper, onnx.TensorProto.FLOAT
    weights = np.zeros((16, 2), np.float32)
    weights[:8, 0] = weights[8:, 1] = 1 / 8
    nodes = [
        make.make_node("Flatten", ["images"], ["flat"]), make.make_node("MatMul", ["flat", "weights"], ["logits"])
    ]  # fmt: skip
    ends = (
        make.make_tensor_value_info("images", floats, ["n", 1, 4, 4]),
        make.make_tensor_value_info("logits", floats, ["n", 2]),
    )
    graph = make.make_graph(nodes, "halves", [ends[0]], [ends[1]], [onnx.numpy_helper.from_array(weights, "weights")])
    onnx.save(
        make.make_model(graph, opset_imports=[make.make_opsetid("", 20)], ir_version=9), tmp_path / "network.onnx"
    )
    rules = {"input": {"name": "images"}, "mode": "L", "size": [4, 4], "box": [4, 4], "of_bytes": 1.0}
    rules |= {"multiply": [1 / 255], "add": [0.0]}
    (tmp_path / "preprocessing.json").write_text(json.dumps(rules), encoding="utf-8")
    (tmp_path / "classes.json").write_text('["öben", "unten"]', encoding="utf-8")
    pixels = np.zeros((4, 4, 3), np.uint8)
    pixels[2:] = 255
    Image.fromarray(pixels).save(tmp_path / "neu ü.png")
    monkeypatch.setattr(sys, "argv", ["x", str(tmp_path), str(tmp_path / "neu ü.png")])
    runpy.run_path(str(ROOT / "examples" / "onnx_inference.py"), run_name="__main__")
    chance = np.e / (1 + np.e)
    assert capsys.readouterr().out == f"{tmp_path / 'neu ü.png'}: unten ({chance:.4f})\n"


# What takes longer than the others: networks of a size of their own, and one of two that are alike
LONG = {"darts_cell.py", "enas_micro.py", "own_module.py"}


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n in LONG)) for n in sorted(EXTRA)])
def test_example_runs(name: str, tmp_path: Path):
    words = EXTRA[name] if name in CONFIGS else [*TINY, *EXTRA[name]]
    words = ["--config", CONFIGS.get(name, "darts.yaml"), *words, f"out_dir={tmp_path / 'run'}"]
    status, output = run_page(tmp_path, words, script=ROOT / "examples" / name)
    assert status == 0, output
    assert LAST.get(name, "test accuracy") in output and "ERROR" not in output and "Traceback" not in output


def test_two_optimizers_of_the_example_keep_their_own_keywords(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(OPTIMIZERS, "_entries", dict(OPTIMIZERS._entries))  # what the example registers is its own
    module = runpy.run_path(str(ROOT / "examples" / "own_optimizer.py"))
    optimizers = [module["SigmoidDARTS"](start=start) for start in (0.2, 0.7)]
    for optimizer, start in zip(optimizers, (0.2, 0.7), strict=True):
        optimizer.adapt_search_space(SimpleCellSearchSpace(in_channels=1, channels=4))
        for alpha in optimizer.architectural_weights:
            torch.testing.assert_close(optimizer.decision_weights(alpha), torch.full_like(alpha, start))
