"""What `naslib correlate` does: draw architectures, score them, fit predictors, and keep what is known already."""

from __future__ import annotations

import csv
import functools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, cast

import numpy as np

from naslib.benchmarks.lookup import get_dataset_api
from naslib.config.loader import load_config
from naslib.defaults._trials import build_evaluator
from naslib.defaults.trainer import Trainer
from naslib.errors import BenchmarkError, ConfigError, PredictorError, RunFolderError
from naslib.evaluators.proxy import ProxyEvaluator
from naslib.optimizers.discrete.base import DiscreteOptimizer
from naslib.predictors import PREDICTORS
from naslib.predictors.measures import kendall_tau_b, ndcg, spearman
from naslib.predictors.proxies import ProxyScorer, log_rank_sum, maximizes
from naslib.predictors.proxies.scoring import parts_of
from naslib.search_spaces import SEARCH_SPACES
from naslib.search_spaces.core.query_metrics import Metric
from naslib.utils.bar import Progress, Said
from naslib.utils.files import atomic_write_text
from naslib.utils.log import get_logger
from naslib.utils.seeding import derive_seed

from .builders import build_trainer
from .correlation_report import MEASURES, report
from .door import schema_extensions

logger = get_logger(__name__)

_SIZES = {"params": Metric.PARAMETERS, "flops": Metric.FLOPS}
Code = tuple[int, ...]
Row = dict[str, str]


class Correlation:
    """Hold predictors and proxies against a benchmark.

    Args:
        space: Name of the search space.
        dataset: Name of the data set.
        out: The folder that results are kept in.
        data: Where table and data set are.
        metric: What is to be ordered by; if None the test accuracy, or where it is lacking the validation accuracy.
        label_metric: What predictors learn from; if None the validation accuracy, or where it is lacking `metric`.
        labels: How many architectures predictors learn from.
        test: How many others are ordered.
        k: Of nDCG@k.
        batch: Inputs that proxies see.
        source: Whether proxies are computed here, or those of a `table`.
        space_args: Arguments of the space.

    Raises:
        BenchmarkError: If there is no such benchmark, or it has too few architectures.
        RunFolderError: If the folder holds correlations of something else.
    """

    def __init__(
        self,
        space: str,
        dataset: str,
        out: Path,
        *,
        data: str | None = None,
        metric: str | None = None,
        label_metric: str | None = None,
        labels: int = 100,
        test: int = 100,
        k: int = 10,
        batch: int = 64,
        source: str = "computed",
        space_args: Mapping[str, Any] | None = None,
    ) -> None:
        self.dataset, self.out, self.data, self.batch = dataset, out, data, batch
        self.name, self.labels, self.test, self.k, self.source = space, labels, test, k, source
        self.api = get_dataset_api(space, dataset, data)
        self.metric = self._metric(metric, (Metric.TEST_ACCURACY, Metric.VAL_ACCURACY))
        self.label_metric = self._metric(label_metric, (Metric.VAL_ACCURACY, self.metric))
        about = getattr(getattr(self.api, "results", None), "about", {})
        self.space_args = {**about.get("space_args", {}), **(space_args or {})}
        self.proxy_api = get_dataset_api(space, dataset, data, kind="proxies") if source == "table" else None
        self.space = SEARCH_SPACES.get(space)(**self.space_args)
        self.codec = self.space._codec()
        self._candidates = self._known()
        self._scorers: dict[str, ProxyScorer] = {}
        self._scores = _Cache(out / "scores.csv")
        self._trainer: Trainer | None = None
        self._loaders: tuple[Any, Any, Any] = (None, None, None)

    def run(self, predictors: Sequence[str], proxies: Sequence[str], seeds: Sequence[int], with_proxies: bool) -> str:
        """Return the table of all rows, over the seeds; what the folder has is not computed again.

        Raises:
            ConfigError: For a predictor that needs what is not there, or proxies that make no sense for the task.
        """
        self._scores = _Cache(self.out / "scores.csv")  # as it is now that the folder is ours
        proxies = [*_SIZES, *(name for name in proxies if name not in _SIZES)]
        fitted = [f"{name} + proxies" for name in predictors] if with_proxies else []
        self._check(predictors)
        if with_proxies:
            self._check_readers(predictors)
        self._claim(proxies if with_proxies else None)
        names = [*proxies, *predictors, *fitted]
        runs = _read(self.out / "runs.csv")
        for seed in seeds:
            known = {row["row"] for row in runs if int(row["seed"]) == seed}
            missing = [name for name in names if name not in known]
            if missing:
                runs += [{"seed": str(seed), "row": n, **v} for n, v in self._of_seed(seed, missing, proxies)]
                _write(self.out / "runs.csv", ["seed", "row", "kind", *MEASURES], runs)
        wanted = [row for row in runs if row["row"] in names and int(row["seed"]) in seeds]
        title = f"{self.name}, {self.dataset}: {self.test} architectures ordered by {self.metric.name}, "
        title += f"{self.labels} labels of {self.label_metric.name}, {len(seeds)} seeds"
        return report(self.out, title, self.k, names, wanted)

    # rows

    def _of_seed(self, seed: int, missing: Sequence[str], proxies: Sequence[str]) -> Iterator[tuple[str, Row]]:
        labelled, tested = self._split(seed)
        truth = self._ask(self.api, tested, self.metric)
        for name in missing:
            if name in proxies:
                yield name, {"kind": "proxy", **self._measured(truth, self._by_proxy(name, tested))}
                continue
            known = None
            if name.endswith(" + proxies"):
                known = self._info(proxies, labelled), self._info(proxies, tested)
            values = self._by_predictor(name.removesuffix(" + proxies"), seed, labelled, tested, known)
            yield name, {"kind": "predictor", **self._measured(truth, values)}

    def _measured(self, truth: np.ndarray, values: np.ndarray) -> Row:
        found = (spearman(truth, values), kendall_tau_b(truth, values), ndcg(truth, values, self.k))
        return {name: repr(float(value)) for name, value in zip(MEASURES, found, strict=True)}

    def _by_proxy(self, name: str, codes: Sequence[Code]) -> np.ndarray:
        """Return the values of a proxy, larger is better; networks for which it is not defined come last."""
        columns = self._columns(name, codes)
        if columns.shape[1] > 1:
            return log_rank_sum(columns, [maximizes(part) for part in parts_of(name)])
        values = columns[:, 0] if maximizes(name) else -columns[:, 0]
        return _finite(values)

    def _by_predictor(
        self, name: str, seed: int, labelled: Sequence[Code], tested: Sequence[Code], known: Any
    ) -> np.ndarray:
        predictor = PREDICTORS.get(name)(space=self.space, seed=seed)
        info = known if known is not None else (None, None)
        predictor.fit(labelled, self._ask(self.api, labelled, self.label_metric), info[0])
        found: np.ndarray = np.asarray(predictor.query(tested, info[1]), dtype=np.float64)
        return found

    def _info(self, proxies: Sequence[str], codes: Sequence[Code]) -> list[dict[str, float]]:
        """Return the proxies of architectures as predictors take them."""
        columns: dict[str, np.ndarray] = {}
        for name in proxies:
            table = self._columns(name, codes)
            columns |= {part: _finite(table[:, place]) for place, part in enumerate(parts_of(name))}
        return [{part: float(column[row]) for part, column in columns.items()} for row in range(len(codes))]

    # scores

    def _columns(self, name: str, codes: Sequence[Code]) -> np.ndarray:
        """Return the scores of a proxy, `(n, parts)`; NaN where it is not defined."""
        if name in _SIZES and self.api.has(_SIZES[name], self.dataset):
            return self._ask(self.api, codes, _SIZES[name])[:, None]
        if self.proxy_api is not None:
            return self._ask(self.proxy_api, codes, self.proxy_api.metric_of(name))[:, None]
        rows = []
        with Progress(name, len(codes), unit="architecture") as progress:
            for code in codes:
                found = self._scores.get(code, name)
                if found is None:
                    found = self._computed(name, code)
                    self._scores.put(code, name, found)
                rows.append(found)
                progress.done += 1
                if progress.due():
                    progress.show(functools.partial(_scored, len(rows), len(codes), found))
        return np.asarray(rows, dtype=np.float64)

    def _computed(self, name: str, code: Code) -> list[float]:
        try:
            return list(self._scorer(name, code).scores(code).values())
        except PredictorError as error:
            logger.warning("%s is not defined for %s: %s", name, list(code), error)
            return [math.nan] * len(parts_of(name))

    def _scorer(self, name: str, code: Code) -> ProxyScorer:
        """Return what computes a proxy on a batch of the data set; it is tried on an architecture first.

        Raises:
            ConfigError: If the proxy makes no sense for the task.
        """
        if name not in self._scorers:
            evaluator = self._evaluator(name)
            evaluator.check(code)
            self._scorers[name] = evaluator.scorer
        return self._scorers[name]

    def _evaluator(self, name: str) -> ProxyEvaluator:
        """Return the evaluator of a proxy, as a search on this data set would have it."""
        if self._trainer is None:
            source: dict[str, Any] = {
                "dataset": self.dataset,
                "search_space": self.name,
                "search_space_args": self.space_args,
                "optimizer": "random_search",
                "seed": 0,
                "search": {"evaluator": "proxy", "batch_size": self.batch},
            }
            if self.data is not None:
                source["data"] = self.data
            self._trainer = build_trainer(load_config(source, [], extensions=schema_extensions()))
            self._loaders = self._trainer._loaders(self._trainer.build_search_dataloaders, None)
        trainer, config = self._trainer, self._trainer.config.copy()
        config.search["evaluator_args"] = {"proxy": name}
        optimizer = cast("DiscreteOptimizer", trainer.optimizer)  # random search
        evaluator = build_evaluator(
            optimizer,
            config,
            lambda task: self._loaders,
            lambda: trainer.task,
            trainer.device,
            trainer._channels_last(),
        )
        return cast("ProxyEvaluator", evaluator)

    # architectures

    def _known(self) -> list[Code] | None:
        """Return the architectures that everything is known of; None: all of the space.

        Raises:
            BenchmarkError: If there are too few.
        """
        lists = [self.api.known_codes(metric, self.dataset) for metric in (self.metric, self.label_metric)]
        if self.proxy_api is not None:
            first = self.proxy_api.figures[0]
            lists.append(self.proxy_api.known_codes(first, self.dataset))  # type: ignore[arg-type]
        given = [list(found) for found in lists if found is not None]
        if not given:
            return None
        others = [set(found) for found in given[1:]]
        found = [code for code in given[0] if all(code in other for other in others)]
        if len(found) < self.labels + self.test:
            raise BenchmarkError(
                f"--labels {self.labels} and --test {self.test} ask for {self.labels + self.test} architectures, and "
                f"the benchmark has {len(found):,}"
            )
        return found

    def _split(self, seed: int) -> tuple[list[Code], list[Code]]:
        """Return the architectures to learn from, and those to order, all different."""
        n = self.labels + self.test
        if self._candidates is not None:
            places = np.random.default_rng(seed).permutation(len(self._candidates))[:n]
            drawn = [self._candidates[place] for place in places]
            return drawn[: self.labels], drawn[self.labels :]
        rng, found = Random(derive_seed(seed, "correlate")), dict.fromkeys([self.codec.random(Random(seed))])
        for _ in range(100 * n):
            if len(found) == n:
                break
            found[self.codec.random(rng)] = None
        if len(found) < n:
            raise BenchmarkError(f"--labels and --test ask for {n} architectures, and the space has hardly as many")
        drawn = list(found)
        return drawn[: self.labels], drawn[self.labels :]

    def _ask(self, api: Any, codes: Sequence[Code], metric: Any) -> np.ndarray:
        same = len({len(code) for code in codes}) == 1
        found: np.ndarray = api.query_batch(np.asarray(codes) if same else list(codes), metric, self.dataset)
        return found

    # what is asked for

    def _metric(self, name: str | None, usual: Sequence[Metric]) -> Any:
        if name is not None:
            return self.api.metric_of(name)
        for metric in usual:
            if self.api.has(metric, self.dataset):
                return metric
        raise BenchmarkError(f"the benchmark has no accuracies on {self.dataset!r}: name a figure by --metric")

    def _check(self, predictors: Sequence[str]) -> None:
        for name in predictors:
            if PREDICTORS.get(name)(space=self.space, seed=0).get_data_reqs()["requires_partial_lc"]:
                raise ConfigError(f"--predictors: {name} reads learning curves, which this command does not give it")

    def _check_readers(self, predictors: Sequence[str]) -> None:
        """Raise a ConfigError that names the predictors which would not read the proxies."""
        blind = [name for name in predictors if not PREDICTORS.get(name)(space=self.space).reads_info()]
        if blind:
            raise ConfigError(
                f"--with-proxies gives predictors the proxies, and {', '.join(blind)} would not read them: leave out "
                "one or the other"
            )

    def _claim(self, with_proxies: Sequence[str] | None) -> None:
        """Write what the folder is about, or hold it against what is there.

        Raises:
            RunFolderError: If it is about something else.
        """
        path = self.out / "about.json"
        about: dict[str, Any] = {
            "benchmark": self.name, "dataset": self.dataset, "metric": self.metric.name,
            "label_metric": self.label_metric.name, "labels": self.labels, "test": self.test, "k": self.k,
            "batch": self.batch, "source": self.source, "space_args": self.space_args,
        }  # fmt: skip
        before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        now = {**about, "with_proxies": list(with_proxies or before.get("with_proxies") or [])}
        wrong = [key for key, value in about.items() if before and before.get(key) != value]
        if with_proxies and before.get("with_proxies") and before["with_proxies"] != now["with_proxies"]:
            wrong.append("with_proxies")
        if wrong:
            said = "; ".join(f"{key}: {before.get(key)!r} there, {now[key]!r} now" for key in wrong[:3])
            raise RunFolderError(f"{self.out} holds correlations of something else ({said}): choose another --out")
        self.out.mkdir(parents=True, exist_ok=True)
        atomic_write_text(path, json.dumps(now, indent=2) + "\n")


class _Cache:
    """Scores of architectures in a file that grows; a last line that was cut off is not read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        whole = [row for row in _read(path) if row.get("values", "").endswith(" .")]
        self._known = {(row["code"], row["proxy"]): _numbers(row["values"]) for row in whole}
        self._is_cut = path.is_file() and not path.read_bytes().endswith(b"\n")

    def get(self, code: Code, name: str) -> list[float] | None:
        """Return the scores, None where they are not known."""
        return self._known.get((_text(code), name))

    def put(self, code: Code, name: str, values: Sequence[float]) -> None:
        """Keep scores."""
        is_new = not self.path.exists()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            if is_new:
                file.write("code,proxy,values\n")
            if self._is_cut:
                file.write("\n")
                self._is_cut = False
            file.write(f"{_text(code)},{name},{' '.join(map(repr, map(float, values)))} .\n")
        self._known[_text(code), name] = list(values)


def _numbers(text: str) -> list[float]:
    """Return the numbers of a line, whose end is a dot."""
    return [float(word) for word in text.split()[:-1]]


def _text(code: Code) -> str:
    return " ".join(map(str, code))


def _finite(values: np.ndarray) -> np.ndarray:
    """Return values whose infinities and NaN are worse than the worst of the others."""
    good = np.isfinite(values)
    if good.all():
        return values
    worst = float(values[good].min()) if good.any() else 0.0
    found: np.ndarray = np.where(good, values, worst - max(abs(worst), 1.0))
    return found


def _read(path: Path) -> list[Row]:
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [{key: value or "" for key, value in row.items() if key} for row in csv.DictReader(file)]


def _write(path: Path, fields: Sequence[str], rows: Sequence[Row]) -> None:
    lines = [",".join(fields), *(",".join(row[field] for field in fields) for row in rows)]
    atomic_write_text(path, "\n".join(lines) + "\n")


def _scored(done: int, total: int, last: Sequence[float]) -> Said:
    value = ", ".join(f"{number:.4g}" for number in last[:3])
    return Said(f"last score {value}", (f"architecture {done}/{total}, last score {value}", f"{done}/{total} {value}"))
