"""FittedEvaluator: values that a predictor says, fitted to the trials of a run or to rows of a table."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import yaml

from naslib.benchmarks.lookup import get_dataset_api
from naslib.errors import ArchitectureError, ConfigError, TrialFailed
from naslib.history import Objective, Outcome, State, Trial, load
from naslib.predictors import PREDICTORS, Predictor
from naslib.search_spaces import SEARCH_SPACES
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.query_metrics import Metric
from naslib.tasks import Task

from .base import Evaluator, ShouldStop, choose_objectives, never
from .train import TrainingOfTrials

Code = tuple[int, ...]


class FittedEvaluator(Evaluator):
    """Say of a trial what a predictor says of its architecture; nothing is trained, and no batch is read.

    The predictor is fitted once, to the complete trials of a run at their highest fidelity (by the run's first
    objective), or to architectures of a table drawn at random. The standard deviation of the prediction, where the
    predictor has one, is kept with the trial.

    Args:
        space: The search space; not changed.
        train: Not read.
        valid: Not read.
        how: Not read.
        task: Not read.
        objectives: The name of what is predicted, or None.
        seed: Of the predictor, and of the draw from a table.
        run: A run folder with a history of trials on the same space.
        table: How many architectures of the space's benchmark to fit to, in place of a run.
        dataset: Data set of the benchmark.
        data: Folder of the benchmark's file; where `get_dataset_api` looks if None.
        fidelity: Epochs at which the benchmark is asked, -1 for the longest.
        predictor_type: A name in `PREDICTORS`.
        encoding_type: How architectures become numbers; the predictor's own if None.
        predictor_args: Hyperparameters that are not the predictor's defaults.

    Raises:
        ConfigError: If neither or both of `run` and `table` are given, the run is of another space or has too few
            trials, or the predictor cannot be had.
        BenchmarkError: If the benchmark cannot answer.
        HistoryError: If the run has no history.
    """

    is_instant = True
    is_timed = True
    needs_batches = False
    fidelity = 0

    def __init__(
        self,
        space: Graph,
        train: Any = None,
        valid: Any = None,
        how: TrainingOfTrials | None = None,
        task: Task | None = None,
        objectives: Sequence[str] | None = None,
        seed: int = 0,
        *,
        run: str | None = None,
        table: int | None = None,
        dataset: str | None = None,
        data: str | None = None,
        fidelity: int = -1,
        predictor_type: str = "et",
        encoding_type: str | None = None,
        predictor_args: dict[str, Any] | None = None,
    ) -> None:
        if (run is None) == (table is None):
            raise ConfigError(
                "search.evaluator_args: give the evaluator `predictor` either run: FOLDER, to learn from its trials, "
                "or table: NUMBER (with dataset:), to learn from so many architectures of the space's benchmark"
            )
        self.predictor: Predictor = PREDICTORS.get(predictor_type)(space=space, encoding_type=encoding_type, seed=seed)
        self.predictor.set_hyperparams(predictor_args or {})
        self.space, self.run = space, None if run is None else str(run)
        self.table, self.dataset, self.data, self.table_fidelity = table, dataset, data, fidelity
        self.predictor_type, self.encoding_type = predictor_type, encoding_type
        self.predictor_args = dict(predictor_args or {})
        codes, values, known = self._of_run(Path(run)) if run is not None else self._of_table(int(table or 0), seed)
        self.n_labels = len(codes)
        fewest = max(2, self.predictor.MIN_LABELS)
        if self.n_labels < fewest:
            raise ConfigError(
                f"search.evaluator_args: {predictor_type} needs at least {fewest} architectures with values, and there "
                f"are {self.n_labels}"
            )
        self.objectives = choose_objectives(objectives, {known.name: known}, {})
        self.predictor.fit(codes, values)

    def evaluate(self, trial: Trial, should_stop: ShouldStop = never) -> Outcome:
        """Predict the value of a trial.

        Raises:
            TrialFailed: If the prediction is not finite.
        """
        began = time.perf_counter()
        mean, std = self.predictor.predict([trial.code])
        value = float(mean[0])
        if not np.isfinite(value):
            raise TrialFailed(f"{self.predictor_type} predicts {value}")
        user = {} if std is None else {"std": float(std[0])}
        return Outcome((value,), time.perf_counter() - began, user)

    def check(self, code: Code) -> None:
        """Raise now if an architecture cannot be predicted."""
        self.predictor.predict([code])

    def describe(self) -> dict[str, Any]:
        """Return what must be the same for values to be of the same evaluator."""
        names = ("run", "table", "dataset", "table_fidelity", "predictor_type", "encoding_type", "predictor_args")
        return {**super().describe(), **{name: getattr(self, name) for name in names}, "labels": self.n_labels}

    def _of_run(self, folder: Path) -> tuple[list[Code], list[float], Objective]:
        """Return the labels of a run, and what they are."""
        trials = load(folder)
        _check_space(folder, self.space)
        if not trials.objectives:
            raise ConfigError(f"search.evaluator_args.run: the history of {folder} does not say what its values are")
        found = [trial for trial in trials if trial.state is State.COMPLETE and trial.values]
        levels = {trial.fidelity for trial in found}
        highest = -1 if -1 in levels else max(levels, default=-1)
        labels: dict[Code, list[float]] = {}
        codec = self.space._codec()
        for trial in found:
            if trial.fidelity != highest or trial.values is None:
                continue
            if not codec.is_valid(trial.code):
                raise ConfigError(
                    f"search.evaluator_args.run: trial {trial.number} of {folder} is {trial.code}, which is no "
                    f"architecture of {self.space.get_type()}"
                )
            labels.setdefault(trial.code, []).append(trial.values[0])
        return list(labels), [float(np.mean(values)) for values in labels.values()], trials.objectives[0]

    def _of_table(self, count: int, seed: int) -> tuple[list[Code], list[float], Objective]:
        """Return rows of the benchmark, and what they are."""
        if self.dataset is None:
            raise ConfigError("search.evaluator_args: `table` needs `dataset`, the data set of the benchmark")
        api: Any = get_dataset_api(self.space.get_type(), self.dataset, self.data)
        metric = next(
            (m for m in (Metric.VAL_ACCURACY, Metric.TEST_ACCURACY) if api.has(m, self.dataset, self.table_fidelity)),
            Metric.VAL_ACCURACY,
        )
        rng, codec = Random(seed), self.space._codec()
        draw = getattr(api, "sample_code", codec.random)
        labels: dict[Code, float] = {}
        for _ in range(20 * count):
            if len(labels) == count:
                break
            code = draw(rng)
            if code not in labels:
                try:
                    labels[code] = float(api.query(code, metric, self.dataset, self.table_fidelity))
                except ArchitectureError:  # of a table that has only some of the space
                    continue
        if len(labels) < count:
            raise ConfigError(
                f"search.evaluator_args.table: {count} different architectures were not found in {20 * count} draws "
                f"from the benchmark; {len(labels)} were"
            )
        return list(labels), list(labels.values()), Objective(metric.name, metric.maximize, metric.unit)


def _check_space(folder: Path, space: Graph) -> None:
    """Raise if the config of a run names another space."""
    path = folder / "config.yaml"
    config: Mapping[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
    name = config.get("search_space")
    if name is None:
        return
    if name in SEARCH_SPACES and not issubclass(type(space), SEARCH_SPACES.get(name)):
        raise ConfigError(
            f"search.evaluator_args.run: {folder} is a search of {name}, this one of {space.get_type()}; a predictor "
            "learns on the space that it is asked about"
        )
