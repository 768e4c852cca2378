"""StatisticsEvaluator: what accuracies a space has, how large neighbourhoods are, how rugged the landscape is."""

from __future__ import annotations

import json
import random
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from naslib.errors import BenchmarkApiMissing
from naslib.search_spaces.core.codec import Code
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.query_metrics import Metric
from naslib.utils.files import atomic_write_text, to_jsonable
from naslib.utils.log import get_logger

logger = get_logger(__name__)

FILE_NAME = "statistics.json"
_BINS = (20, 30, 50)


class StatisticsEvaluator:
    """Describe a space by a benchmark of it, in the words of NASLib.

    Accuracies are those of validation, in percent. All draws come from one generator, seeded by `config.seed`.

    Args:
        config: With `dataset`, `save`, `seed`, and what is to be described: `run_acc_stats`, `max_set_size`
            (architectures); `run_nbhd_size`, `max_nbhd_trials`; `run_autocorr`, `max_autocorr_trials` (random walks),
            `autocorr_size` (largest lag, plus one), `walks` (steps of a walk).

    Attributes:
        results: What was found, as plain values.
    """

    def __init__(self, config: Any) -> None:
        self.config, self.dataset = config, config.dataset
        self.results: dict[str, Any] = {}
        self._rng = random.Random(int(config.seed))

    def adapt_search_space(
        self, search_space: Graph, load_labeled: bool = False, scope: Any = None, dataset_api: Any = None
    ) -> None:
        """Take a space and a benchmark of it.

        Args:
            search_space: The space.
            load_labeled: Take architectures that the benchmark has alone, for one that does not have all.
            scope: Accepted for callers of NASLib.
            dataset_api: The benchmark.

        Raises:
            BenchmarkApiMissing: Without a benchmark.
            BenchmarkError: If it has no validation accuracies of the data set.
        """
        if dataset_api is None:
            raise BenchmarkApiMissing(
                f"the statistics of {search_space.get_type()} are read from a benchmark: give dataset_api="
            )
        self.search_space, self.dataset_api, self.load_labeled = search_space, dataset_api, load_labeled
        self._codec = search_space._codec()
        known = getattr(dataset_api, "known_codes", lambda *_: None)(Metric.VAL_ACCURACY, self.dataset, -1)
        codes: list[Code] = list(known) if known is not None else list(search_space.get_arch_iterator(dataset_api))
        self._rng.shuffle(codes)
        self._codes, self._known = codes, None if known is None else set(known)
        logger.info("%d architectures", len(codes))

    def evaluate(self) -> dict[str, Any]:
        """Compute what the config asks for, write it to `statistics.json` in its folder, and return it."""
        config = self.config
        if config.run_acc_stats:
            self.evaluate_acc_stats(int(config.max_set_size))
        if config.run_nbhd_size:
            self.evaluate_nbhd_sizes(int(config.max_nbhd_trials))
        if config.run_autocorr:
            self.evaluate_autocorr(int(config.max_autocorr_trials), int(config.autocorr_size), int(config.walks))
        path = Path(config.save) / FILE_NAME
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write_text(path, json.dumps([to_jsonable(dict(config)), self.results]) + "\n")
        return self.results

    def evaluate_acc_stats(self, count: int) -> None:
        """Describe validation and test accuracies and training times of `count` architectures."""
        codes = self._codes[:count]
        valid, test, seconds = (self._values(codes, name) for name in ("VAL_ACCURACY", "TEST_ACCURACY", "TRAIN_TIME"))
        found = self.results
        found |= {
            "mean": valid.mean(), "std": valid.std(), "minimum": valid.min(), "maximum": valid.max(),
            "median": np.median(valid), "mean_test": test.mean(), "std_test": test.std(),
            "mean_time": seconds.mean(), "std_time": seconds.std(),
            "boxplot": np.percentile(valid, [25, 50, 75]).tolist(),
        }  # fmt: skip
        for bins in _BINS:
            counts, edges = np.histogram(valid, bins)
            found[f"hist_{bins}"] = [counts.tolist(), edges.tolist()]
        found |= {
            "pearson": stats.pearsonr(valid, test)[0], "spearman": stats.spearmanr(valid, test)[0],
            "kendalltau": stats.kendalltau(valid, test)[0],
            "val_accs_10": valid[:10].tolist(), "test_accs_10": test[:10].tolist(), "size": len(valid),
        }  # fmt: skip
        self.results = {key: value.item() if isinstance(value, np.generic) else value for key, value in found.items()}
        logger.info("mean: %.4f, std: %.4f, min: %.4f, max: %.4f", valid.mean(), valid.std(), valid.min(), valid.max())

    def evaluate_nbhd_sizes(self, count: int) -> None:
        """Describe how many neighbours `count` architectures have."""
        sizes = [len(self._codec.neighbours(code)) for code in self._codes[:count]]
        self.results |= {"nbhd_size_mean": float(np.mean(sizes)), "nbhd_size_std": float(np.std(sizes))}
        logger.info("nbhd mean: %.3f, std: %.3f", np.mean(sizes), np.std(sizes))

    def evaluate_autocorr(self, trials: int, size: int, steps: int) -> None:
        """Describe how alike accuracies are along random walks: correlations at lags from size - 1 down to 0."""
        correlations = [self._walk(code, size, steps) for code in self._codes[:trials]]
        self.results |= {
            "autocorr_mean": np.mean(correlations, axis=0).tolist(),
            "autocorr_std": np.std(correlations, axis=0).tolist(),
            "autocorr_x": [float(np.sqrt(size - lag - 1)) for lag in range(size)],
        }
        logger.info("autocorr mean: %s", self.results["autocorr_mean"][-5:])

    def _walk(self, code: Code, size: int, steps: int) -> list[float]:
        window: deque[float] = deque([self._value(code)], maxlen=size)
        rows = []
        for step in range(size - 1 + steps):
            code = self._step(code)
            window.append(self._value(code))
            if step >= size - 1:
                rows.append(list(window))
        table = np.array(rows)
        return [float(np.corrcoef(table[:, -1], column)[0, 1]) for column in table.T]

    def _step(self, code: Code) -> Code:
        """Return a mutation, one that the benchmark knows."""
        if self._known is None:
            return self._codec.mutate(code, self._rng)
        near = [other for other in self._codec.neighbours(code) if other in self._known]
        return self._rng.choice(near or self._codes)

    def _value(self, code: Code) -> float:
        return float(self.dataset_api.query(code, Metric.VAL_ACCURACY, self.dataset))

    def _values(self, codes: list[Code], name: str) -> np.ndarray:
        values = [float(self.dataset_api.query(code, Metric[name], self.dataset)) for code in codes]
        return np.array(values, dtype=np.float64)
