"""Results: rows with limits and verdicts, the table on the screen, and the CSV with the machine in it."""

from __future__ import annotations

import csv
import datetime
import os
import platform
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import naslib
from naslib.native.build import EXTRA_FLAGS

from .harness import ROOT, Timings
from .settings import Options

RESULTS = ROOT / "benchmarks" / "results"


@dataclass(frozen=True)
class Row:
    """One measured figure.

    Attributes:
        bar: Of which bar of the table, or `"scaling"`, `"loader"`.
        name: What was measured.
        value: The median.
        unit: Its unit.
        low: Smallest of the rounds, None where there is one.
        high: Largest of the rounds.
        rounds: How many.
        limit: What must be reached; None for a figure that is only reported.
        stretch: What should be.
        sense: `">="` or `"<="`.
        note: Setting and remarks.
    """

    bar: str
    name: str
    value: float
    unit: str
    low: float | None = None
    high: float | None = None
    rounds: int = 1
    limit: float | None = None
    stretch: float | None = None
    sense: str = ">="
    note: str = ""

    @property
    def verdict(self) -> str:
        """`stretch`, `pass` or `FAIL`; empty where there is no limit, `pending` where there is no measurement."""
        if self.value != self.value:
            return "pending"
        if self.limit is None:
            return ""
        if self.stretch is not None and self._reaches(self.stretch):
            return "stretch"
        return "pass" if self._reaches(self.limit) else "FAIL"

    def _reaches(self, limit: float) -> bool:
        return self.value >= limit if self.sense == ">=" else self.value <= limit


def pending(bar: str, name: str, note: str) -> Row:
    """Return the row of what cannot be measured yet."""
    return Row(bar, name, float("nan"), "", rounds=0, note=note)


def seconds_row(bar: str, name: str, timings: Timings, note: str = "", **limits: Any) -> Row:
    """Return the milliseconds of a candidate."""
    low, high = timings.span(name)
    values = (1e3 * timings.median(name), "ms", 1e3 * low, 1e3 * high, len(timings.seconds[name]))
    return Row(bar, name, *values, note=note, **limits)


def ratio_row(bar: str, name: str, timings: Timings, over: tuple[str, str], **limits: Any) -> Row:
    """Return the ratio of two candidates, the median of the rounds' ratios."""
    ratios = timings.ratios(*over)
    return Row(bar, name, timings.ratio(*over), "x", min(ratios), max(ratios), len(ratios), **limits)


COLUMNS = ("bar", "measured", "value", "[min, max]", "n", "required", "stretch", "verdict", "note")


def table(rows: Iterable[Row]) -> str:
    """Return the rows as a table of text."""
    lines: list[Sequence[str]] = [COLUMNS]
    for row in rows:
        span = "" if row.low is None or row.high is None else f"[{_short(row.low)}, {_short(row.high)}]"
        limit, stretch = (f"{row.sense} {_short(x)}" if x is not None else "" for x in (row.limit, row.stretch))
        value = "-" if row.value != row.value else f"{_short(row.value)} {row.unit}"
        lines.append((row.bar, row.name, value, span, str(row.rounds), limit, stretch, row.verdict, row.note))
    widths = [max(len(line[column]) for line in lines) for column in range(len(COLUMNS))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([text[0], "-" * len(text[0]), *text[1:]])


def _short(value: float) -> str:
    if value != 0 and (abs(value) < 1e-2 or abs(value) >= 1e6):
        return f"{value:.2e}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def environment(options: Options) -> dict[str, Any]:
    """Return what a figure depends on: machine, versions, date, commit."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "effort": options.effort,
        "device": options.device,
        "dtype": options.dtype,
        "channels_last": options.channels_last,
        "threads": torch.get_num_threads(),
        "clock": options.clock,
        "instructions": instructions(),
        "load_average": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else "",
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name(options.device) if options.device.startswith("cuda") else "",
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "naslib": naslib.__version__,
    }


def instructions() -> str:
    """Return the instruction set of torch's kernels, and what limits those of oneDNN and of our own."""
    limits = [f"{name}={os.environ[name]}" for name in ("ONEDNN_MAX_CPU_ISA", EXTRA_FLAGS) if os.environ.get(name)]
    return " ".join([torch.backends.cpu.get_cpu_capability(), *limits])


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor()
    )


def _commit() -> str:
    """Return the commit, with `+` where the working tree differs; empty outside a repository."""
    command = ["git", "describe", "--always", "--dirty=+", "--abbrev=10"]
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def write_csv(rows: Sequence[Row], options: Options, folder: Path = RESULTS) -> Path:
    """Write the rows, each with the environment, to a new file; return its path.

    Args:
        rows: Results.
        options: How they were found.
        folder: Where to put the file, `<date>-<device>-<dtype>-<effort>.csv`.
    """
    facts = environment(options)
    folder.mkdir(parents=True, exist_ok=True)
    stamp = facts["date"].partition("+")[0].replace(":", "").replace("T", "-")
    path = folder / f"{stamp}-{options.device.replace(':', '')}-{options.dtype}-{options.effort}.csv"
    fields = ("bar", "name", "value", "unit", "low", "high", "rounds", "limit", "stretch", "sense", "verdict", "note")
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, [*fields, *facts])
        writer.writeheader()
        for row in rows:
            writer.writerow({**{field: getattr(row, field) for field in fields}, **facts})
    return path
