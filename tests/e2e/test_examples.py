"""Every example runs, as a user would start it, on a tiny config, and logs no error."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import torch
from page_runner import run_page

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
    assert {path.name for path in (ROOT / "examples").glob("*.py")} == set(EXTRA)


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
