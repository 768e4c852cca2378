"""What 8 bits do to found networks: score, size and time of a batch of one, of every form that is exported.

    python -m benchmarks.export_int8 RUN...     # exports each run, and appends to benchmarks/results/export_int8.csv
    python -m benchmarks.export_int8 --show     # the table of what is there

A RUN is the folder of a finished run whose data is where it was. Sizes are of files, times the median of 50 runs with
one thread.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from naslib.export.bundle import export_network
from naslib.export.subject import subject_of

from .harness import ROOT
from .row_files import append, made_with, read

RESULTS = ROOT / "benchmarks" / "results" / "export_int8.csv"
FIELDS = ("dataset", "space", "score_name", "unit", "file", "score", "bytes", "milliseconds", "parameters")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, or show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", metavar="RUN", nargs="*", help="folders of finished runs")
    parser.add_argument("--csv", type=Path, default=RESULTS)
    parser.add_argument("--show", action="store_true", help="measure nothing")
    given = parser.parse_args(arguments)
    if not given.show:
        for run in given.runs:
            measure(given.csv, run)
    print(table(given.csv))


def measure(path: Path, run: str) -> None:
    """Export one run, and append a line per form."""
    torch.set_num_threads(1)
    subject = subject_of(run)
    if subject.task is None:
        raise SystemExit(f"{run} does not say what it learned")
    score, dataset = subject.task.score, str(subject.summary["dataset"])
    if made_with(read(path), {"dataset": dataset, "space": subject.space}):
        return
    parameters = sum(parameter.numel() for parameter in subject.network.parameters())
    with tempfile.TemporaryDirectory() as folder:
        forms = export_network(run, Path(folder) / "net", formats="pt2,onnx", quantize="int8").forms
    what = (dataset, subject.space, score.name, score.unit)
    rows = [(*what, f.file, f"{f.score:.6g}", f.size, f"{f.latency.milliseconds:.3f}", parameters) for f in forms]
    append(path, FIELDS, rows)


def table(path: Path = RESULTS) -> str:
    """Return the forms of each network, one a line."""
    lines = ["| data, space | parameters | file | test score | kB | ms |", "|---|---|---|---|---|---|"]
    for row in read(path):
        value = float(row["score"])
        shown = f"{value:.2f} %" if row["unit"] == "%" else f"{value:.4f} {row['unit']}".rstrip()
        lines.append(
            f"| {row['dataset']}, {row['space']} | {int(row['parameters']):,} | {row['file']} | {row['score_name']} "
            f"{shown} | {int(row['bytes']) / 1000:.0f} | {row['milliseconds']} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
