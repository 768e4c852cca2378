"""Weight-sharing searches through the Trainer: the selection phase, its checkpoint, resuming, and evaluating only."""

from __future__ import annotations

from pathlib import Path

import pytest
from training_runs import differences, load, small_trainer

from naslib.optimizers import (
    FairNASOptimizer,
    OneShotNASOptimizer,
    RandomNASOptimizer,
    SETNOptimizer,
    SPOSOptimizer,
)
from naslib.optimizers.oneshot.paths.scoring import PathScorer
from naslib.training.checkpoint import get_last_checkpoint

EVOLUTION = {"population": 5, "generations": 2, "parents": 2, "mutations": 2, "crossovers": 1}
METHODS = {
    "random_nas": lambda: RandomNASOptimizer(num_samples=6, sample_batches=1, num_finalists=2),
    "spos": lambda: SPOSOptimizer(recalibration_batches=2, **EVOLUTION),
    "fair_nas": lambda: FairNASOptimizer(**EVOLUTION),
    "one_shot": lambda: OneShotNASOptimizer(epochs=3, num_samples=6, sample_batches=1, num_finalists=2),
    "setn": lambda: SETNOptimizer(num_samples=4, pool=20),
}


@pytest.mark.parametrize("name", METHODS)
def test_selection_checkpoint_resume_and_evaluation(tmp_path: Path, name: str, monkeypatch):
    straight = small_trainer(tmp_path / "a", optimizer=METHODS[name]())
    straight.search()
    outcome, path = straight.optimizer.outcome, straight.optimizer.path
    assert outcome is not None and path is not None
    chosen = straight.optimizer.get_final_architecture()

    # stopped after an epoch and taken up again: the same search and the same choice
    first = small_trainer(tmp_path / "b", optimizer=METHODS[name]())

    def stop(epoch: int) -> None:
        if epoch == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        first.search(after_epoch=stop)
    second = small_trainer(tmp_path / "b", optimizer=METHODS[name](), seed=5)
    second.search(resume_from=get_last_checkpoint(second.config))
    final = [load(tmp_path / folder / "search" / "model_final.pth") for folder in "ab"]
    found = differences(*final)
    assert not [where for where in found if ".settings" not in where and ".fingerprint" not in where], found

    # a finished run keeps its choice: nothing is measured again
    monkeypatch.setattr(PathScorer, "_quality", lambda *_: pytest.fail("measured again"))
    resumed = small_trainer(tmp_path / "a", optimizer=METHODS[name](), seed=6)
    resumed.search(resume_from=get_last_checkpoint(resumed.config))
    assert not differences(resumed.optimizer.outcome, outcome) and resumed.optimizer.path == path
    only = small_trainer(tmp_path / "a", optimizer=METHODS[name](), seed=7)
    for architecture in (only.found_architecture(), resumed.optimizer.get_final_architecture()):
        assert architecture.genotype() == chosen.genotype()
        assert not differences(dict(architecture.state_dict()), dict(chosen.state_dict()))
    assert only.evaluate(retrain=False) == straight.evaluate(retrain=False)
