"""ZeroCostPredictorEvaluator: how well a zero-cost proxy ranks the architectures of a benchmark, as NASLib asks it."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from naslib.errors import BenchmarkApiMissing
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.query_metrics import Metric
from naslib.utils.files import atomic_write_text, to_jsonable
from naslib.utils.log import get_logger
from naslib.utils.scores import compute_scores

logger = get_logger(__name__)

FILE_NAME = "scores.json"
# In place of an infinite score, which correlations do not know
_LARGEST = 1e9


class ZeroCostPredictorEvaluator:
    """Score architectures of a benchmark by a proxy, from a table of proxies or by computing it.

    Args:
        predictor: A `ZeroCost`.
        zc_api: What is known of proxies (`get_zc_benchmark_api`).
        use_zc_api: Whether scores come from there; others are computed.
        config: With `dataset`, `test_size`, `seed` and `save`.
        log_results: Whether the scores are written to `scores.json` in the folder of the config.

    Attributes:
        results: The config, then a dictionary of scores.
    """

    def __init__(
        self, predictor: Any, zc_api: Any = None, use_zc_api: bool = False, config: Any = None, log_results: bool = True
    ) -> None:
        self.predictor, self.zc_api, self.use_zc_api, self.config = predictor, zc_api, bool(use_zc_api), config
        self.log_results, self.results, self.dataset = log_results, [config], config.dataset

    def adapt_search_space(
        self, search_space: Graph, load_labeled: bool = False, scope: Any = None, dataset_api: Any = None
    ) -> None:
        """Take a space, whose `labeled_archs` are drawn from where it has some, and a benchmark of it."""
        self.search_space, self.dataset_api, self.load_labeled = search_space.clone(), dataset_api, load_labeled
        self.search_space.labeled_archs = search_space.labeled_archs
        self.predictor.set_ss_type(search_space.get_type())

    def evaluate(self, zc_api: Any = None) -> list[Any]:
        """Draw `test_size` architectures, score them, and compare the ranks.

        Args:
            zc_api: What is known of proxies, in place of what the constructor was given.
        """
        api = zc_api if zc_api is not None else self.zc_api
        self.predictor.pre_process()
        rng = random.Random(int(self.config.seed))
        codes = [self._code(rng) for _ in range(int(self.config.test_size))]
        truth = [self._accuracy(code, api) for code in codes]
        started = time.perf_counter()
        scores = np.clip(np.nan_to_num([self._score(code, api) for code in codes]), -_LARGEST, _LARGEST)
        found = compute_scores(truth, scores)
        found["query_time"] = (time.perf_counter() - started) / len(codes)
        logger.info(
            "dataset: %s, predictor: %s, kendalltau %.4f, spearman %.4f",
            self.dataset, self.predictor.method_type, found["kendalltau"], found["spearman"],
        )  # fmt: skip
        self.results.append(found)
        if self.log_results:
            path = Path(self.config.save) / FILE_NAME
            path.parent.mkdir(parents=True, exist_ok=True)
            plain = [to_jsonable(dict(row) if isinstance(row, Mapping) else row) for row in self.results]
            atomic_write_text(path, json.dumps(plain) + "\n")
        return self.results

    def _code(self, rng: random.Random) -> tuple[int, ...]:
        known: Sequence[Any] | None = self.search_space.labeled_archs
        codec = self.search_space._codec()
        return codec.canonical(rng.choice(known)) if known else codec.random(rng)

    def _accuracy(self, code: tuple[int, ...], api: Any) -> float:
        entry = api.get(str(code)) if self.use_zc_api and api is not None else None
        if entry is not None and "val_accuracy" in entry:
            return float(entry["val_accuracy"])
        if self.dataset_api is None:
            raise BenchmarkApiMissing(
                f"the validation accuracy of {code} is not known: give adapt_search_space a dataset_api, or the "
                "evaluator a zc_api that has it, with use_zc_api=True"
            )
        return float(self.dataset_api.query(code, Metric.VAL_ACCURACY, self.dataset))

    def _score(self, code: tuple[int, ...], api: Any) -> float:
        entry = api.get(str(code)) if self.use_zc_api and api is not None else None
        if entry is not None and self.predictor.method_type in entry:
            return float(entry[self.predictor.method_type]["score"])
        graph = self.search_space.clone()
        graph.set_spec(code)
        return float(np.asarray(self.predictor.query([graph])).reshape(-1)[0])
