"""A run folder belongs to one process: others are refused, and the folder is free as soon as that process is dead."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from training_runs import loaders, small_trainer

from naslib.build import main
from naslib.errors import RunFolderError
from naslib.training.checkpoint import get_last_checkpoint

ROOT = Path(__file__).resolve().parents[2]
TINY = [
    "dataset=digits", "search_space=nasbench201", "search_space_args={channels: 4, cells_per_stage: 1}", "seed=5",
    "device=cpu", "search.epochs=1", "search.batch_size=512", "evaluation.epochs=1", "evaluation.batch_size=512",
    "evaluation.mode=retrain", "optimizer=gdas",
]  # fmt: skip

# A search whose batches come from worker processes; waits in its first epoch until it is killed.
SEARCH = """
import sys, time
sys.path[:0] = ["tests/support"]
import torch
from torch.utils.data import DataLoader
from training_runs import loaders, small_trainer, tensors
torch.set_num_threads(1)
own = {**loaders(), "train_loader": DataLoader(tensors(40, 0), batch_size=8, shuffle=True, num_workers=2,
                                               persistent_workers=True, multiprocessing_context="fork")}

def wait(epoch):
    import multiprocessing
    print(*[child.pid for child in multiprocessing.active_children()], flush=True)
    time.sleep(120)

if __name__ == "__main__":
    small_trainer(sys.argv[1], own=own).search(after_epoch=wait)
"""


@pytest.fixture
def running(tmp_path):
    """Start such a search; return its process, its workers and its folder."""
    script = tmp_path / "search.py"
    script.write_text(SEARCH)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    folder = tmp_path / "nasbench201" / "digits" / "gdas" / "5"
    process = subprocess.Popen(
        [sys.executable, str(script), str(folder)], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )
    workers = [int(word) for word in process.stdout.readline().split()]
    yield process, workers, folder
    process.kill()
    process.wait(30)
    process.stdout.close()
    for worker in workers:
        _kill(worker)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def test_refused_while_it_runs_and_free_once_it_is_killed(running, tmp_path, capsys):
    process, workers, folder = running
    assert len(workers) == 2
    before = sorted(path for path in folder.rglob("*"))
    for option in ([], ["--overwrite"], ["--resume"], ["--eval-only"]):
        started = time.monotonic()
        assert main([*TINY, f"out_dir={tmp_path}", *option]) == 2
        message = capsys.readouterr().err
        assert f"a run is working in {folder} (process {process.pid} on {os.uname().nodename}, since " in message
        assert "Traceback" not in message and len(message) < 1000, time.monotonic() - started
    for use in ("search", "evaluate"):
        with pytest.raises(RunFolderError, match=f"process {process.pid} "):
            getattr(small_trainer(folder), use)()
    assert sorted(path for path in folder.rglob("*")) == before

    process.kill()
    process.wait(30)
    for worker in workers:
        os.kill(worker, 0)  # they outlive it for a while, and must not hold its folder
    trainer = small_trainer(folder, own=loaders())
    trainer.search(resume_from=get_last_checkpoint(trainer.config))
    assert (folder / "search" / "model_final.pth").is_file() and not (folder / ".lock").exists()
