"""Quote the results in the docs: `python -m benchmarks.quote` prints the tables, `--write` puts them into the pages.

A page says where with `<!-- measured: NAME -->` and `<!-- end -->`; what is between is made from `benchmarks/results`.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from . import (
    blackbox,
    cluster,
    compare,
    cost_target,
    early_termination,
    executors,
    export_int8,
    few_shot,
    growing,
    hardware_fronts,
    history_writers,
    inheritance,
    mepa,
    modnas,
    multi_fidelity,
    multi_objective,
    nas_rl,
    neural_searches,
    predictors,
    progressive,
    proposer,
    smash,
    te_nas,
    training_free,
    transfer,
)
from .harness import ROOT
from .records import RESULTS
from .row_files import read

PAGES = ("docs/performance.md", "docs/results.md")
_PLACE = re.compile(r"(<!-- measured: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
Record = dict[str, str]


def records(folder: Path = RESULTS) -> list[Record]:
    """Return every figure of every run, in the order of the runs; `run` is the number of its run, from 1."""
    paths = sorted(folder.glob("[0-9]*.csv"))
    return [{**row, "run": str(number)} for number, path in enumerate(paths, 1) for row in read(path)]


def runs_table(found: Sequence[Record]) -> str:
    """Return the runs: when, where, under which load."""
    lines = [
        "| run | begun | machine | threads | load | torch | rounds | commit |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for number in dict.fromkeys(row["run"] for row in found):
        row = next(row for row in found if row["run"] == number)
        machine = f"{row['cpu']}, {row['cores']} cores" if not row["gpu"] else row["gpu"]
        machine += f", {row['instructions']}" if row.get("instructions") else ""
        threads = f"{row['threads']}, CPU time" if row.get("clock") == "cpu" else row["threads"]
        lines.append(
            f"| {number} | {row['date'][:16].replace('T', ' ')} | {machine} | {threads} | {row['load_average']} "
            f"| {row['torch']} | {row['effort']} | {row['commit']} |"
        )
    return "\n".join(lines)


def bars_table(found: Sequence[Record]) -> str:
    """Return every figure that has a limit, in every run that measured it."""
    bars = [row for row in found if row["limit"]]
    lines = ["| bar | figure | wanted | run | measured | from, to (rounds) | |", "|---|---|---|---|---|---|---|"]
    for bar, name in dict.fromkeys(sorted(((row["bar"], row["name"]) for row in bars), key=lambda key: _order(key[0]))):
        for row in bars:
            if (row["bar"], row["name"]) != (bar, name):
                continue
            note = " (random values)" if "random values" in row["note"] else ""
            wanted = f"{row['sense']} {_figure(row['limit'], row['unit'])}"
            span = f"{_figure(row['low'])}, {_figure(row['high'])} ({row['rounds']})" if row["low"] else ""
            verdict = "**missed**" if row["verdict"] == "FAIL" else "met"
            measured = _figure(row["value"], row["unit"])
            lines.append(f"| {bar} | {name}{note} | {wanted} | {row['run']} | {measured} | {span} | {verdict} |")
    return "\n".join(lines)


def scaling_table(found: Sequence[Record]) -> str:
    """Return the exponents of the newest run that measured them."""
    rows = [row for row in found if row["bar"] == "scaling" and row["name"].startswith("exponent, ")]
    newest = rows[-1]["run"]
    lines = [f"| cost against (run {newest}) | exponent |", "|---|---|"]
    for row in rows:
        if row["run"] == newest:
            lines.append(f"| {row['name'].removeprefix('exponent, ')} | {float(row['value']):.2f} |")
    return "\n".join(lines)


def compare_table(found: Sequence[Record] = ()) -> str:
    """Return the comparison of methods on NAS-Bench-201."""
    path = RESULTS / "compare-nasbench201-scaled.csv"
    rows = read(path)
    numbers = ("test_accuracy", "skip_share", "none_share", "search_seconds", "peak_memory_mb")
    return compare.table(
        [
            compare.Found(
                method=row["method"],
                seed=int(row["seed"]),
                genotype=row["genotype"],
                **{key: float(row[key]) for key in numbers},
            )
            for row in rows
        ]
    )


def methods_table(found: Sequence[Record] = ()) -> str:
    """Return what the last run of `benchmarks.methods` wrote."""
    return (RESULTS / "methods.md").read_text(encoding="utf-8").strip()


TABLES: dict[str, Callable[[Sequence[Record]], str]] = {
    "runs": runs_table,
    "bars": bars_table,
    "scaling": scaling_table,
    "compare": compare_table,
    "methods": methods_table,
    "predictors": lambda found: predictors.table(read(predictors.FILE)),
    "blackbox_nb201": lambda found: blackbox.table("nb201"),
    "blackbox_seconds": lambda found: blackbox.table("seconds"),
    "blackbox_reinforce": lambda found: blackbox.table("reinforce"),
    "blackbox_strategies": lambda found: blackbox.table("strategies"),
    "early_termination_spikenas": lambda found: early_termination.table("spikenas"),
    "early_termination_darts": lambda found: early_termination.table("darts"),
    "progressive_nb101": lambda found: progressive.table("nb101"),
    "progressive_nb201": lambda found: progressive.table("nb201"),
    "cluster": lambda found: cluster.table_of(),
    "history_writers": lambda found: history_writers.table_of(),
    "hardware_fronts": lambda found: hardware_fronts.table(),
    "multi_objective": lambda found: multi_objective.table(),
    "modnas_nb201": lambda found: modnas.table("nasbench201"),
    "modnas_nb201_600": lambda found: modnas.table("nasbench201", evaluations=600),
    "modnas_ofa": lambda found: modnas.table("ofa"),
    "neural_searches": lambda found: neural_searches.table(blackbox.read(neural_searches.FILE)),
    "neural_searches_pairs": lambda found: neural_searches.pairs_table(blackbox.read(neural_searches.FILE)),
    "blackbox_nb101": lambda found: blackbox.table("nb101"),
    "nas_rl_digits": lambda found: nas_rl.table("digits"),
    "nas_rl_table": lambda found: nas_rl.table("table"),
    "mepa": lambda found: mepa.table(),
    "proposer": lambda found: proposer.table(),
    "growing": lambda found: growing.table(read(growing.RESULTS)),
    "few_shot": lambda found: few_shot.table(),
    "executors": lambda found: executors.table(),
    "export_int8": lambda found: export_int8.table(),
    "transfer": lambda found: transfer.table(),
    "fidelity_curves": lambda found: multi_fidelity.table("curves"),
    "training_free": lambda found: training_free.table(),
    "inheritance_epochs": lambda found: inheritance.table("epochs"),
    "inheritance_evolution": lambda found: inheritance.table("evolution"),
    "fidelity_seconds": lambda found: multi_fidelity.table("seconds"),
    "smash": lambda found: smash.table(),
    "cost_target": lambda found: cost_target.table(),
    "te_nas": lambda found: te_nas.table(),
}


def quoted(page: str, found: Sequence[Record]) -> str:
    """Return the text of a page with its tables made anew."""
    return _PLACE.sub(lambda match: f"{match[1]}{TABLES[match[2]](found)}\n{match[3]}", page)


def _order(bar: str) -> tuple[int, str]:
    number = bar.removeprefix("P")
    return (int(number), "") if number.isdigit() else (100, bar)


def _figure(value: str, unit: str = "") -> str:
    """Return a number with three digits, and its unit as it is written."""
    number = float(value)
    if number and (abs(number) < 1e-2 or abs(number) >= 1e6):
        text = f"{number:.2g}" if number < 1 else f"{number / 1e6:.3g} M"
    else:
        text = f"{number:.3g}" if abs(number) < 1000 else f"{number:,.0f}"
    return f"{text}{unit}" if unit == "x" else f"{text} {unit}".rstrip()


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables, or write them into the pages."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quote", description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the tables into the pages of docs")
    arguments = parser.parse_args(argv)
    found = records()
    for name in PAGES:
        path = ROOT / name
        text = quoted(path.read_text(encoding="utf-8"), found)
        if arguments.write:
            path.write_text(text, encoding="utf-8")
        else:
            print("\n\n".join(f"{match[2]}:\n\n{TABLES[match[2]](found)}" for match in _PLACE.finditer(text)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
