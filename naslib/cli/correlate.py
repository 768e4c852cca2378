"""`naslib correlate`: how well predictors and zero-cost proxies order the architectures of a benchmark."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from naslib.config.parser import CommandParser
from naslib.config.run_folder import check_makeable
from naslib.config.seeds import parse_seeds
from naslib.errors import ConfigError
from naslib.registry.catalogue import PREDICTORS, PROXIES
from naslib.utils.lock import RunLock

_EPILOG = """\
Architectures are drawn by each seed: --labels of them, whose values predictors are fitted to, and --test others, which
are ordered. The number of parameters and of multiply-accumulates are always rows. Proxies are those of networks built
here, on one batch of the data set; with --source table, those that a table has (the architectures are then drawn from
the ones it has).

examples:
  naslib correlate --benchmark nasbench201 --dataset digits --proxies synflow,nwot --test 40 --seeds 1-2
  naslib correlate --benchmark nasbench201 --dataset cifar10 --data DIR --predictors et,graf --labels 100 --seeds 1-8
  naslib correlate --benchmark nasbench201 --dataset cifar10 --data DIR --predictors graf --proxies nwot,jacov \\
      --source table --with-proxies

What is left in the folder: table.md, runs.csv (one line per seed and row), correlations.png and .svg, and scores.csv,
the proxies of every architecture. What is there is not computed again: the same command goes on where one was stopped.
"""


def main(words: Sequence[str]) -> int:
    """Print the table of correlations.

    Raises:
        NASLibError: If it cannot; the message says what to do.
    """
    asked = _parser().parse_args(list(words))
    seeds = parse_seeds(asked.seeds)
    predictors, proxies = _names(asked.predictors, PREDICTORS), _names(asked.proxies, PROXIES)
    for option, least in (("labels", 2), ("test", 3), ("k", 1), ("batch", 2)):
        if getattr(asked, option) < least:
            raise ConfigError(f"--{option} must be at least {least}, not {getattr(asked, option)}")
    if asked.with_proxies and not (proxies and predictors):
        raise ConfigError("--with-proxies gives predictors the proxies: name some of both (--predictors, --proxies)")
    out = Path(asked.out or Path("correlate") / f"{asked.benchmark}-{asked.dataset}")
    check_makeable(out, "--out")
    from .correlating import Correlation  # torch, for a command that can begin

    found = Correlation(
        asked.benchmark, asked.dataset, out, data=asked.data, metric=asked.metric, label_metric=asked.label_metric,
        labels=asked.labels, test=asked.test, k=asked.k, batch=asked.batch, source=asked.source,
        space_args=_pairs(asked.space_args),
    )  # fmt: skip
    with RunLock(out):
        sys.stdout.write(found.run(predictors, proxies, seeds, asked.with_proxies))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog="naslib correlate", description="Rank correlations of predictors and zero-cost proxies.", epilog=_EPILOG
    )
    add = parser.add_argument
    add(
        "--benchmark",
        required=True,
        metavar="SPACE",
        help="the search space of the benchmark (`naslib list benchmarks`)",
    )
    add("--dataset", required=True, help="the data set")
    add("--data", metavar="DIR", help="where the table and the data set are")
    add("--predictors", default="", metavar="A,B", help="predictors by name (`naslib list predictors`)")
    add("--proxies", default="", metavar="A,B", help="zero-cost proxies by name (`naslib list proxies`)")
    add("--labels", type=int, default=100, help="architectures that predictors learn from (default 100)")
    add("--test", type=int, default=100, help="architectures that are ordered (default 100)")
    add("--seeds", default="1-3", metavar="1-3", help="seeds: numbers and stretches (default 1-3)")
    add("--k", type=int, default=10, help="of nDCG@k: how many of the best count (default 10)")
    add("--metric", help="what is to be ordered by (default: TEST_ACCURACY, else VAL_ACCURACY)")
    add("--label-metric", help="what predictors learn from (default: VAL_ACCURACY, else what is ordered by)")
    add(
        "--source", choices=("computed", "table"), default="computed", help="where proxies come from (default computed)"
    )
    add("--with-proxies", action="store_true", help="give each predictor the proxies as well, in a row of its own")
    add("--batch", type=int, default=64, help="inputs that proxies see (default 64)")
    add("--space-args", default="", metavar="KEY=V,...", help="arguments of the space, for networks of another size")
    add("--out", metavar="FOLDER", help="where it is left (default correlate/SPACE-DATASET)")
    return parser


def _names(text: str, registry: Any) -> list[str]:
    """Return the names in a text, all known.

    Raises:
        UnknownNameError: For one that is not.
        ConfigError: For one twice.
    """
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    for name in names:
        registry.place(name)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"{twice[0]} is named twice in {text!r}")
    return names


def _pairs(text: str) -> dict[str, Any]:
    """Return what `channels=4,cells_per_stage=1` says.

    Raises:
        ConfigError: For something else.
    """
    from naslib.config.yaml_reader import parse_value

    found = {}
    for word in filter(None, text.split(",")):
        key, sign, value = word.partition("=")
        if not sign or not key.strip():
            raise ConfigError(f"--space-args is KEY=VALUE, separated by commas, not {text!r}")
        found[key.strip()] = parse_value(value)
    return found
