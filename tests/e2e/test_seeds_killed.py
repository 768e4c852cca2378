"""`--seeds` that is killed with SIGKILL and begun again ends as if it had run through."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from training_runs import differences, load

ROOT = Path(__file__).resolve().parents[2]
WORDS = [
    "dataset=digits", "device=cpu", "optimizer=gdas", "search_space=nasbench201",
    "search_space_args={channels: 4, cells_per_stage: 1}", "search.epochs=4", "search.batch_size=128",
    "search.checkpoint_freq=1", "search.checkpoint_steps=2", "evaluation.epochs=2", "evaluation.batch_size=256",
    "evaluation.mode=retrain", "evaluation.cutout=false", "--seeds", "1-3", "--jobs", "2",
]  # fmt: skip


def _start(out: Path, *more: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "naslib", *WORDS, f"out_dir={out}", *more]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _end(process: subprocess.Popen[str], status: int = 0) -> tuple[str, str]:
    out, error = process.communicate(timeout=300)
    assert process.returncode == status, error
    return out, error


def _wait_for(out: Path, pattern: str, process: subprocess.Popen[str]) -> None:
    while not list(out.rglob(pattern)):
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


@pytest.mark.slow
def test_killed_and_begun_again_it_ends_as_if_it_had_run_through(tmp_path):
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    assert "| mean ± std |" in _end(_start(straight))[0]
    process = _start(killed)
    _wait_for(killed, "search/model_*.pth", process)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    process = _start(killed, "--resume")
    _wait_for(killed, "eval/model_*.pth", process)
    process.send_signal(signal.SIGTERM)  # the runs save what they have
    error = _end(process, 143)[1]
    assert "stopped by SIGTERM; seeds not finished: " in error and "--resume" in error
    assert not list(killed.rglob("seeds.json"))
    _end(_start(killed, "--resume"))
    parents = [folder / "nasbench201" / "digits" / "gdas" for folder in (straight, killed)]
    for seed in "123":
        for name in ("search/model_final.pth", "eval/model_final.pth", "arch_weights.pt"):
            assert differences(*(load(parent / seed / name) for parent in parents)) == [], (seed, name)
    first, second = (json.loads((parent / "seeds.json").read_text()) for parent in parents)
    assert first["score"] == second["score"] and first["params_millions"] == second["params_millions"]
    assert first["score"]["n"] == 3
    error = _end(_start(killed, "--resume"))[1]
    assert error == "kept, as they are finished: seeds 1, 2, 3\n"
