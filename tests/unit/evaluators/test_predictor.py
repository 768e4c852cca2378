"""FittedEvaluator: values by a predictor that is fitted to a run or to a table."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from data_files import data_file

from naslib.benchmarks import NasBench201Table
from naslib.build import main
from naslib.errors import ConfigError, HistoryError
from naslib.evaluators import FittedEvaluator
from naslib.history import FILE_NAME, Objective, SqliteHistory, Trial, load
from naslib.optimizers import RandomSearch
from naslib.predictors import PREDICTORS
from naslib.search_spaces import NasBench201SearchSpace, SimpleCellSearchSpace
from naslib.search_spaces.core.query_metrics import Metric

SPACE = NasBench201SearchSpace(channels=4, cells_per_stage=1)
FILE = data_file("nb201.npz")
needs_file = pytest.mark.skipif(not FILE.is_file(), reason=f"no {FILE.name} in the shared data directory")
GP = {"predictor_type": "grid_gp", "encoding_type": "adjacency_one_hot"}


def value_of(code: tuple[int, ...]) -> float:
    return float(sum(code) - 3 * code.count(1))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder with 40 complete trials at fidelity 9, some at fidelity 3, one that has failed."""
    folder, rng = tmp_path / "run", random.Random(0)
    folder.mkdir()
    (folder / "config.yaml").write_text("search_space: nasbench201\n")
    with SqliteHistory(folder / FILE_NAME) as history:
        history.describe((Objective("loss", maximize=False), Objective("size")), {})
        for number in range(50):
            trial = Trial(number, SPACE.codec.random(rng), 9 if number < 41 else 3)
            value = value_of(trial.code) if number < 41 else 1e6
            history.add(trial.failed("no memory") if number == 40 else trial.completed((value, 1.0)))
    return folder


def test_it_says_what_a_predictor_fitted_to_the_run_says(run: Path) -> None:
    evaluator = FittedEvaluator(SPACE, run=str(run), **GP)
    assert evaluator.objectives == (Objective("loss", maximize=False),) and evaluator.n_labels == 40
    trials = [trial for trial in load(run) if trial.fidelity == 9 and trial.values]
    predictor = PREDICTORS.get("grid_gp")(space=SPACE, encoding_type="adjacency_one_hot", seed=0)
    predictor.fit([trial.code for trial in trials], [value_of(trial.code) for trial in trials])
    rng = random.Random(1)
    for number in range(5):
        code = SPACE.codec.random(rng)
        outcome = evaluator.evaluate(Trial(number, code, 0))
        mean, std = predictor.predict([code])
        assert std is not None
        assert outcome.values == (mean[0],) and outcome.user == {"std": std[0]}
        assert abs(outcome.values[0] - value_of(code)) < 3  # the values are 0 to 24 and additive


def test_architectures_evaluated_twice_count_once_with_their_mean(tmp_path: Path) -> None:
    codes = [(0,) * 6, (1,) * 6, (2,) * 6, (0,) * 6]
    with SqliteHistory(tmp_path / FILE_NAME) as history:
        history.describe((Objective("accuracy"),), {})
        for number, (code, value) in enumerate(zip(codes, (1.0, 2.0, 3.0, 5.0), strict=True)):
            history.add(Trial(number, code, 1).completed((value,)))
    evaluator = FittedEvaluator(SPACE, run=str(tmp_path), predictor_type="grid_gp", predictor_args={"noises": [1e-9]})
    assert evaluator.n_labels == 3
    found = [evaluator.evaluate(Trial(0, code, 0)).values[0] for code in codes[:3]]
    assert found == pytest.approx([3.0, 2.0, 3.0], abs=1e-4)


@needs_file
def test_it_is_fitted_to_a_table() -> None:
    keywords = {"dataset": "cifar10", "data": str(FILE.parent), "predictor_type": "et", "encoding_type": "graf"}
    evaluator = FittedEvaluator(SPACE, seed=3, table=150, **keywords)
    assert evaluator.objectives == (Objective("VAL_ACCURACY", True, "%"),) and evaluator.n_labels == 150
    rng, table = random.Random(5), NasBench201Table(FILE)
    codes = [SPACE.codec.random(rng) for _ in range(300)]
    said = evaluator.predictor.query(codes)
    assert evaluator.evaluate(Trial(0, codes[7], 0)).values == pytest.approx((said[7],), rel=1e-12)
    truth = table.query_batch(np.array(codes), Metric.VAL_ACCURACY, "cifar10")
    ranks = [np.argsort(np.argsort(values)) for values in (said, truth)]
    assert np.corrcoef(*ranks)[0, 1] > 0.8


def test_a_search_by_a_predictor(run: Path) -> None:
    optimizer = RandomSearch()
    np.random.seed(0)
    optimizer.adapt_search_space(SPACE, evaluator=FittedEvaluator(SPACE, run=str(run), **GP))
    for epoch in range(60):
        optimizer.new_epoch(epoch)
    assert optimizer.record.incumbent is not None
    assert value_of(optimizer.record.incumbent) < 0  # it is minimised


def test_a_run_of_the_command_reads_no_image(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it: search by the predictor, report, history; the data set is not there."""
    monkeypatch.setenv("NASLIB_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    words = [
        "dataset=digits",
        "search_space=nasbench201",
        "optimizer=re",
        "search.epochs=40",
        "search.population_size=10",
    ]
    words += ["search_space_args={channels: 4, cells_per_stage: 1}", "device=cpu", "threads=1", "seed=1"]
    words += ["search.evaluator=predictor", f"search.evaluator_args={{run: {run}, predictor_type: grid_gp}}"]
    words += [
        "evaluation.epochs=1",
        "evaluation.batch_size=512",
        "evaluation.cutout=false",
        f"out_dir={tmp_path / 'out'}",
    ]
    assert main(words) == 0
    (folder,) = {path.parent for path in (tmp_path / "out").rglob("summary.json")}
    trials = load(folder)
    assert len(trials) == 40 and trials.objectives == (Objective("loss", maximize=False),)
    best = trials.best()
    assert (
        best is not None and best.values is not None and best.values[0] == min(t.values[0] for t in trials if t.values)
    )
    assert set(best.user) == {"std"}
    assert json.loads((folder / "summary.json").read_text())["trials"]["best"] == best.number


def test_what_cannot_work_is_said(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="either run: FOLDER"):
        FittedEvaluator(SPACE)
    with pytest.raises(ConfigError, match="either run: FOLDER"):
        FittedEvaluator(SPACE, run=str(run), table=3)
    with pytest.raises(ConfigError, match="`table` needs `dataset`"):
        FittedEvaluator(SPACE, table=3)
    with pytest.raises(ConfigError, match="is a search of nasbench201, this one of SimpleCellSearchSpace"):
        FittedEvaluator(SimpleCellSearchSpace(), run=str(run))
    with pytest.raises(ConfigError, match="did you mean 'grid_gp'"):
        FittedEvaluator(SPACE, run=str(run), predictor_type="grid_pg")
    with pytest.raises(ConfigError, match="no 'accuracy' is measured"):
        FittedEvaluator(SPACE, run=str(run), objectives=["accuracy"], **GP)
    with pytest.raises(HistoryError):
        FittedEvaluator(SPACE, run=str(tmp_path / "nothing"), **GP)
    (run / "config.yaml").unlink()
    with pytest.raises(ConfigError, match="which is no architecture of SimpleCellSearchSpace"):
        FittedEvaluator(SimpleCellSearchSpace(), run=str(run), **GP)


def test_too_few_trials(tmp_path: Path) -> None:
    with SqliteHistory(tmp_path / FILE_NAME) as history:
        history.describe((Objective("accuracy"),), {})
        history.add(Trial(0, (0,) * 6, 1).completed((50.0,)))
    with pytest.raises(ConfigError, match="at least 2 architectures with values, and there are 1"):
        FittedEvaluator(SPACE, run=str(tmp_path), **GP)
