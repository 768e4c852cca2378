"""PredictorEvaluator: fit a predictor to architectures of a benchmark, and score how it ranks others, as NASLib."""

from __future__ import annotations

import copy
import json
import random
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from naslib.errors import BenchmarkApiMissing, ConfigError
from naslib.predictors.base import Predictor
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.query_metrics import Metric
from naslib.utils.files import atomic_write_text, to_jsonable
from naslib.utils.log import get_logger
from naslib.utils.scores import compute_scores

logger = get_logger(__name__)

FILE_NAME = "errors.json"
_FOLDS = 3
# Of the search for hyperparameters: rounds at most, seconds at least, and the training set that the time is told for
_ROUNDS, _LEAST_SECONDS, _USUAL_SIZE = 5000, 20, 1000
# Where architectures are not drawn uniformly: the best so many of a pool are mutated up to so many times
_POOL, _PARENTS, _MUTATIONS = 10, 5, 3


class Data(NamedTuple):
    """Architectures with what is known of each; unpacks as NASLib's lists do.

    Attributes:
        architectures: Graphs that hold a code.
        values: Validation accuracies in percent.
        info: What the predictor asks for beside them.
        seconds: What the training of each took.
    """

    architectures: list[Any]
    values: list[float]
    info: list[dict[str, Any]]
    seconds: list[float]


class PredictorEvaluator:
    """Evaluate a predictor by the benchmark of a space.

    Args:
        predictor: The predictor.
        config: With `experiment_type` (`single`, `vary_train_size`, `vary_fidelity`, `vary_both`), `test_size`,
            `train_size_single`, `train_size_list`, `fidelity_single`, `fidelity_list` (epochs of learning curves),
            `max_hpo_time` (seconds for hyperparameters, 0 for none), `uniform_random` (1; 0 mutates good ones),
            `dataset`, `seed`, `save`.

    Attributes:
        results: The config, then a dictionary of scores per fit.
    """

    def __init__(self, predictor: Predictor, config: Any = None) -> None:
        self.predictor, self.config = predictor, config
        self.results: list[Any] = [config]
        self.dataset, self.metric = config.dataset, Metric.VAL_ACCURACY
        self._rng = random.Random(int(config.seed))
        self._seen: set[Any] = set()

    def adapt_search_space(
        self, search_space: Graph, load_labeled: bool = False, scope: Any = None, dataset_api: Any = None
    ) -> None:
        """Take a space and a benchmark of it.

        Args:
            search_space: The space.
            load_labeled: Draw only architectures that the benchmark has.
            scope: Accepted for callers of NASLib.
            dataset_api: The benchmark; needed where architectures are drawn (`evaluate`).
        """
        self.search_space, self.dataset_api, self.load_labeled = search_space, dataset_api, load_labeled
        self.predictor.set_ss_type(search_space.get_type())

    def evaluate(self) -> list[Any]:
        """Draw architectures, fit and score as the config says, and write all to `errors.json` in its folder.

        Raises:
            BenchmarkApiMissing: Without a benchmark.
            ConfigError: For an unknown kind of experiment.
        """
        config, kind = self.config, self.config.experiment_type
        if self.dataset_api is None:
            raise BenchmarkApiMissing("a predictor is evaluated on a benchmark: give adapt_search_space a dataset_api")
        kinds = ("single", "vary_train_size", "vary_fidelity", "vary_both")
        if kind not in kinds:
            raise ConfigError(f"experiment_type is one of {', '.join(kinds)}, not {kind!r}")
        sizes = list(config.train_size_list) if kind in ("vary_train_size", "vary_both") else [config.train_size_single]
        fidelities = list(config.fidelity_list) if kind in ("vary_fidelity", "vary_both") else [config.fidelity_single]
        self.predictor.pre_process()
        test = self._draw(config.test_size) if config.uniform_random else self._mutations(config.test_size)
        train = self._draw(max(sizes)) if config.uniform_random else self._mutations(max(sizes), test)
        needs = self.predictor.get_data_reqs()
        unlabeled = None
        if needs["unlabeled"]:
            unlabeled = self._draw(int(max(sizes) * needs["unlabeled_factor"])).architectures
        self.predictor.pre_compute(train.architectures, test.architectures, unlabeled)
        for size in sizes:
            part = Data(train.architectures[:size], train.values[:size], train.info[:size], train.seconds[:size])
            for fidelity in fidelities:
                self.single_evaluate(part, test, fidelity)
        path = Path(config.save) / FILE_NAME
        path.parent.mkdir(parents=True, exist_ok=True)
        plain = [to_jsonable(dict(row) if isinstance(row, Mapping) else row) for row in self.results]
        atomic_write_text(path, json.dumps(plain) + "\n")
        return self.results

    def single_evaluate(self, train_data: Sequence[Any], test_data: Sequence[Any], fidelity: int) -> None:
        """Fit to one set and score on another; the scores go to `results`.

        Args:
            train_data: (architectures, values, info, seconds), as in `Data`.
            test_data: Likewise.
            fidelity: Epochs of learning curves that the predictor sees.
        """
        train, test = Data(*train_data), Data(*test_data)
        predictor, started = self.predictor, time.perf_counter()
        train_info, test_info = _cut(train.info, fidelity), _cut(test.info, fidelity)
        predictor.reset_hyperparams()
        score = 0.0
        if self.config.max_hpo_time > 0 and len(train.values) >= 10 and predictor.get_hpo_wrapper():
            chosen, score = self._search(train, train_info)
            predictor.set_hyperparams(chosen)
        predictor.fit(train.architectures, train.values, train_info)
        fitted = time.perf_counter()
        guess = np.asarray(predictor.query(test.architectures, test_info), dtype=np.float64)
        guess = guess.mean(0) if guess.ndim > 1 else guess
        found = compute_scores(np.asarray(test.values, dtype=np.float64), guess)
        found |= {
            "train_size": len(train.values), "fidelity": fidelity, "train_time": float(np.sum(train.seconds)),
            "fit_time": fitted - started, "query_time": (time.perf_counter() - fitted) / len(test.values),
            "cv_score": score, **{f"hp_{name}": value for name, value in predictor.get_hyperparams().items()},
        }  # fmt: skip
        logger.info(
            "dataset: %s, predictor: %s, %d labels, fidelity %d: kendalltau %.4f, spearman %.4f",
            self.dataset, type(predictor).__name__, len(train.values), fidelity, found["kendalltau"], found["spearman"],
        )  # fmt: skip
        self.results.append(found)

    def _search(self, train: Data, info: list[dict[str, Any]]) -> tuple[dict[str, Any], float]:
        """Return random hyperparameters that rank best in cross-validation, within the time there is, and their tau."""
        trial, rng = copy.deepcopy(self.predictor), np.random.default_rng(int(self.config.seed))
        n, started = len(train.values), time.perf_counter()
        folds = np.array_split(rng.permutation(n), _FOLDS)
        limit = self.config.max_hpo_time * n / _USUAL_SIZE + _LEAST_SECONDS
        best, chosen = -np.inf, self.predictor.get_hyperparams()
        for _ in range(_ROUNDS):
            drawn, taus = trial.set_random_hyperparams(rng), []
            for fold in folds:
                rest = np.setdiff1d(np.arange(n), fold)
                part = [[column[i] for i in rest] for column in (train.architectures, train.values, info)]
                trial.fit(*part)
                guess = trial.query([train.architectures[i] for i in fold], [info[i] for i in fold])
                taus.append(compute_scores([train.values[i] for i in fold], guess)["kendalltau"])
            score = float(np.nan_to_num(np.mean(taus), nan=0.0))
            if score > best:
                best, chosen = score, drawn
            if time.perf_counter() - started > limit:
                break
        return chosen, float(best)

    # architectures

    def _draw(self, count: int) -> Data:
        """Return random architectures."""
        codec, known = self.search_space._codec(), self._labeled()
        codes = [self._rng.choice(known) if known else codec.random(self._rng) for _ in range(count)]
        return self._with_values(codes)

    def _mutations(self, count: int, near: Data | None = None) -> Data:
        """Return different mutations of good architectures, of those of another set where there is one."""
        codec = self.search_space._codec()
        if near is None:
            pool = self._with_values([codec.random(self._rng) for _ in range(_POOL)])
            order = np.argsort(pool.values)[::-1][:_PARENTS]
            parents = [pool.architectures[i].get_code() for i in order]
        else:
            parents = [graph.get_code() for graph in near.architectures]
        codes: list[Any] = []
        for _ in range(1000 * count):
            if len(codes) == count:
                break
            code = self._rng.choice(parents)
            for _ in range(self._rng.randint(1, _MUTATIONS) if near is None else 1):
                code = codec.mutate(code, self._rng)
            if code not in self._seen:
                self._seen.add(code)
                codes.append(code)
        if len(codes) < count:
            logger.warning("%d different mutations are asked for, and %d were found", count, len(codes))
        return self._with_values(codes)

    def _labeled(self) -> list[Any]:
        """Return what to draw from where the benchmark does not have all of the space."""
        if not self.load_labeled:
            return []
        found = getattr(self.dataset_api, "known_codes", lambda *_: None)(self.metric, self.dataset, -1)
        return list(found or ())

    def _with_values(self, codes: Sequence[Any]) -> Data:
        graphs = [self.search_space._with_code_only(code) for code in codes]
        ask = self.dataset_api.query
        values = [float(ask(code, self.metric, self.dataset)) for code in codes]
        tells_time = getattr(self.dataset_api, "has", lambda *_: True)(Metric.TRAIN_TIME, self.dataset)
        seconds = [float(ask(code, Metric.TRAIN_TIME, self.dataset)) if tells_time else 0.0 for code in codes]
        return Data(graphs, values, [self._info(code) for code in codes], seconds)

    def _info(self, code: Any) -> dict[str, Any]:
        """Return the learning curves and hyperparameters that the predictor asks for."""
        needs, ask = self.predictor.get_data_reqs(), self.dataset_api.query
        info: dict[str, Any] = {}
        if needs["requires_partial_lc"]:
            metrics = needs["metric"] if isinstance(needs["metric"], list) else None
            if metrics is None:
                info["lc"] = ask(code, needs["metric"], self.dataset, full_lc=True)
            else:
                info |= {f"{metric.name}_lc": ask(code, metric, self.dataset, full_lc=True) for metric in metrics}
        if needs["requires_hyperparameters"]:
            known = ask(code, Metric.HP, self.dataset)
            info |= {name: known[name] for name in needs["hyperparams"]}
        return info


def _cut(info: Sequence[Mapping[str, Any]], fidelity: int) -> list[dict[str, Any]]:
    """Return info with learning curves up to an epoch, all of them for -1."""
    end = None if fidelity == -1 else fidelity
    return [{k: v[:end] if "lc" in k and not np.isscalar(v) else v for k, v in one.items()} for one in info]
