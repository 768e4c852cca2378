"""Rank correlation of predictors on the architectures of NAS-Bench-201 (CIFAR-10) that they were not fitted to.

    python -m benchmarks.predictors --data DIR --write

Trained on the validation accuracy of 100 or 400 architectures, each predictor ranks 1,000 others, and is compared with
their test accuracy: of the 9,445 architectures without dead branches, with 13 zero-cost proxies beside the encoding and
without, and of all 15,625. Seeds 0 to 7 are those of the published figures; features and hyperparameters were chosen on
seeds from 100.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.stats import kendalltau, spearmanr

from naslib.benchmarks.nasbench201 import NasBench201Table
from naslib.predictors import PREDICTORS, Predictor
from naslib.search_spaces.core.query_metrics import Metric
from naslib.search_spaces.nasbench201.codec import NasBench201Codec

from .records import RESULTS
from .row_files import append

N_TEST = 1000
FILE = RESULTS / "predictors-nasbench201.csv"
FIELDS = ("setting", "labels", "predictor", "seed", "spearman", "kendall", "seconds")
# What is fitted where nothing else is said
DEFAULT = ("graf", "et:graf", "lgb:graf", "gp:graf", "bayes_lin_reg:graf", "gpwl", "et", "rf", "bayes_lin_reg")


class Data(NamedTuple):
    """The table, architecture by architecture.

    Attributes:
        codes: All 15,625.
        valid: Validation accuracy in %, `(15625,)`.
        test: Test accuracy in %, likewise.
        pools: By setting the architectures that are drawn from.
        proxies: 13 zero-cost proxies, `(15625, 13)`, NaN where they are not known.
    """

    codes: list[tuple[int, ...]]
    valid: np.ndarray
    test: np.ndarray
    pools: dict[str, np.ndarray]
    proxies: np.ndarray


def load(folder: Path) -> Data:
    """Return the data in a folder with `nb201.npz` and `nb201_proxies_full.npz`."""
    table = NasBench201Table(folder / "nb201.npz")
    codes = [table.code_of(index) for index in range(15625)]
    rows = np.array(codes)
    with np.load(folder / "nb201_proxies_full.npz", allow_pickle=False) as file:
        index, own = file["cifar10_index"], file["cifar10"].astype(np.float64)
    proxies = np.full((len(codes), own.shape[1]), np.nan)
    proxies[index] = own
    return Data(
        codes,
        table.query_batch(rows, Metric.VAL_ACCURACY, "cifar10", 200),
        table.query_batch(rows, Metric.TEST_ACCURACY, "cifar10", 200),
        {"proxies": index, "live": index, "all": np.arange(len(codes))},
        proxies,
    )


def measured(data: Data, setting: str, labels: int, name: str, seed: int) -> dict[str, object]:
    """Return one row of the results.

    Args:
        data: The table.
        setting: `proxies`, `live` or `all`.
        labels: How many architectures it is fitted to.
        name: Of the predictor, with an encoding as `gp:graf`; an ensemble as `graf+gp:graf`.
        seed: Of the split, and of the predictor.
    """
    drawn = np.random.default_rng(seed).permutation(data.pools[setting])
    train, test = drawn[:labels], drawn[labels : labels + N_TEST]
    info = data.proxies if setting == "proxies" else None
    begun = time.process_time()
    predictor = made(name, seed)
    train_info, test_info = (None, None) if info is None else (info[train], info[test])
    predictor.fit([data.codes[i] for i in train], data.valid[train], train_info)
    found = predictor.query([data.codes[i] for i in test], test_info)
    return {
        "setting": setting,
        "labels": labels,
        "predictor": name,
        "seed": seed,
        "spearman": round(float(spearmanr(found, data.test[test]).statistic), 5),
        "kendall": round(float(kendalltau(found, data.test[test]).statistic), 5),
        "seconds": round(time.process_time() - begun, 2),
    }


def made(name: str, seed: int) -> Predictor:
    """Return the predictor of a name; see `measured`."""
    codec = NasBench201Codec()
    members = [dict(zip(("predictor", "encoding_type"), part.split(":"), strict=False)) for part in name.split("+")]
    if len(members) > 1:
        return PREDICTORS.get("ensemble")(space=codec, seed=seed, members=members)
    return PREDICTORS.get(members[0].pop("predictor"))(space=codec, seed=seed, **members[0])


def table(rows: Sequence[Mapping[str, object]]) -> str:
    """Return mean and standard deviation over seeds, in Markdown, the best first."""
    lines = [
        "| architectures | labels | predictor | Spearman | Kendall | seconds | seeds |",
        "|---|---|---|---|---|---|---|",
    ]
    words = {"proxies": "9,445, with proxies", "live": "9,445", "all": "15,625"}
    by_key: dict[tuple[str, ...], list[Mapping[str, object]]] = {}
    for row in rows:
        by_key.setdefault((str(row["setting"]), str(row["labels"]), str(row["predictor"])), []).append(row)
    order = {key: (list(words).index(key[0]), int(key[1]), -_mean(own, "spearman")) for key, own in by_key.items()}
    for key in sorted(by_key, key=order.__getitem__):
        own, cells = by_key[key], [words[key[0]], key[1], f"`{key[2]}`"]
        for field in ("spearman", "kendall"):
            cells.append(f"{_mean(own, field):.4f} ± {np.std([float(str(row[field])) for row in own]):.4f}")
        lines.append(f"| {' | '.join(cells)} | {_mean(own, 'seconds'):.1f} | {len(own)} |")
    return "\n".join(lines)


def _mean(rows: Sequence[Mapping[str, object]], field: str) -> float:
    return float(np.mean([float(str(row[field])) for row in rows]))


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the table, and with `--write` leave the rows in `benchmarks/results`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.predictors", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with nb201.npz and nb201_proxies_full.npz")
    parser.add_argument("--predictors", default=",".join(DEFAULT), help="names, separated by commas")
    parser.add_argument("--settings", default="proxies,live,all", help="proxies, live, all")
    parser.add_argument("--labels", default="100,400", help="numbers of labels, separated by commas")
    parser.add_argument("--seeds", type=int, default=8, help="number of splits")
    parser.add_argument("--first-seed", type=int, default=0, help="the first of them")
    parser.add_argument("--write", action="store_true", help=f"add the rows to {FILE.name}")
    given = parser.parse_args(argv)
    data = load(given.data)
    rows = []
    for setting in given.settings.split(","):
        for labels in map(int, given.labels.split(",")):
            for name in given.predictors.split(","):
                if setting == "proxies" and not made(name, 0).reads_info():
                    continue
                for seed in range(given.first_seed, given.first_seed + given.seeds):
                    rows.append(measured(data, setting, labels, name, seed))
                print(table(rows[-given.seeds :]).splitlines()[-1], file=sys.stderr)
                if given.write:
                    append(FILE, FIELDS, rows[-given.seeds :])
    print(table(rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
