"""All sections of `benchmarks/gpu.sh`, each in a process of its own with a time limit; a summary at the end.

`python -m benchmarks.gpu FOLDER --device cuda` takes under ten minutes on one large GPU; `--device cpu --quick` runs
every section on tiny sizes, which shows that they run and measures nothing.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import torch

from naslib.data.registry import load_data
from naslib.errors import NASLibError
from naslib.utils.locations import without_downloads

from .harness import ROOT
from .row_files import append

BARS = "P1,P2,P3,P4,P5,P6,P7,P8"
# A section that was not asked to be quick; together they stay under ten minutes
MOST_SECONDS = 600


@dataclass(frozen=True)
class Run:
    """What the sections are told.

    Attributes:
        folder: Where logs and CSVs go.
        device: `"cuda"`, `"cuda:N"` or `"cpu"`.
        quick: Whether sizes are tiny.
        data: Folder of the data sets, None for the usual places.
    """

    folder: Path
    device: str
    quick: bool
    data: str | None = None

    def bars(self, only: str, name: str, dtype: str = "float32") -> list[str]:
        """Return the command that measures some of the bars."""
        effort = ["--smoke"] if self.quick else ["--quick"]
        where = ["--device", self.device, "--dtype", dtype, "--results", str(self.folder / name)]
        return ["-m", "benchmarks.run", "--only", only, *effort, *where]

    def checks(self) -> list[str]:
        """Return the command that compares steps with the CPU."""
        quick = ["--quick"] if self.quick else []
        return [
            "-m",
            "benchmarks.gpu_checks",
            "--device",
            self.device,
            "--csv",
            str(self.folder / "checks.csv"),
            *quick,
        ]

    def graphs(self) -> list[str]:
        """Return the command that compares steps with captured and compiled ones."""
        quick = ["--quick", "--backend", "aot_eager"] if self.quick else ["--cells", "3"]
        return [
            "-m",
            "benchmarks.gpu_graphs",
            "--device",
            self.device,
            "--csv",
            str(self.folder / "graphs.csv"),
            *quick,
        ]

    def search(self) -> list[str]:
        """Return the command of a shortened search and retraining, on CIFAR-10 where it is here."""
        there = not self.quick and is_here("cifar10", self.data)
        config = "darts_cifar10.yaml" if there else "darts.yaml"
        given = ["search.epochs=1", "evaluation.epochs=1", f"device={self.device}", f"out_dir={self.folder / 'search'}"]
        if there:
            given += ["dataset_args.train_images=12000", "evaluation.cells=8", "evaluation.channels=16"]
        if self.data is not None:
            given.append(f"data={self.data}")
        return ["runner.py", "--config", config, "--overwrite", *given]


@dataclass(frozen=True)
class Section:
    """One thing to run.

    Attributes:
        name: Its name, also of its files.
        seconds: Its time limit.
        command: What Python is told.
        may_miss: Whether status 1 with a CSV says that a bar was missed, which is no failure: bars are the CPU's.
    """

    name: str
    seconds: int
    command: Callable[[Run], list[str]]
    may_miss: bool = False


SECTIONS = (
    Section("checks", 120, Run.checks),
    Section("bars-float32", 110, lambda run: run.bars(BARS, "bars-float32"), may_miss=True),
    Section("bars-bf16", 80, lambda run: run.bars("P4" if run.quick else BARS, "bars-bf16", "bf16"), may_miss=True),
    Section("launches", 40, lambda run: run.bars("cuda", "launches"), may_miss=True),
    Section("graphs", 140, Run.graphs),
    Section("search", 80, Run.search),
    Section("loader", 30, lambda run: run.bars("loader", "loader"), may_miss=True),
)


@dataclass(frozen=True)
class Outcome:
    """How a section ended.

    Attributes:
        section: Its name.
        verdict: `"done"`, `"bars missed"`, `"FAILED"` or `"TOO LONG"`.
        seconds: It took.
        rows: In its CSV files.
        note: The last line of its log.
    """

    section: str
    verdict: str
    seconds: float
    rows: int
    note: str

    @property
    def is_bad(self) -> bool:
        """Whether something is to be looked at."""
        return self.verdict in ("FAILED", "TOO LONG")


def is_here(dataset: str, data: str | None) -> bool:
    """Return whether a data set can be loaded without a download."""
    try:
        with without_downloads():
            load_data(dataset, data)
    except (NASLibError, OSError):
        return False
    return True


def run_section(section: Section, run: Run) -> Outcome:
    """Run a section, with its output in a log of its own."""
    begun = time.perf_counter()
    log = run.folder / f"{section.name}.log"
    # tiny sizes say nothing of time, and the machine of a test may be busy
    limit = section.seconds * (10 if run.quick else 1)
    with log.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(
            [sys.executable, *section.command(run)], cwd=ROOT, stdout=file, stderr=subprocess.STDOUT,
            start_new_session=True, text=True,
        )  # fmt: skip
        try:
            status: int | None = process.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            status = None
    if section.name == "search" and status == 0:
        keep_summary(run.folder)
    rows = sum(count_rows(path) for path in csv_files(section, run.folder))
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    verdict = "TOO LONG" if status is None else "done" if status == 0 else "FAILED"
    if section.may_miss and status == 1 and rows:
        verdict = "bars missed"
    if verdict == "done" and not rows:
        verdict = "FAILED"
    return Outcome(section.name, verdict, round(time.perf_counter() - begun, 1), rows, (lines or [""])[-1][:160])


def csv_files(section: Section, folder: Path) -> list[Path]:
    """Return the CSV files of a section."""
    return [*folder.glob(f"{section.name}.csv"), *(folder / section.name).glob("*.csv")]


def count_rows(path: Path) -> int:
    """Return how many rows a CSV file has below the names of its columns; lines that begin with # are none."""
    with path.open(newline="", encoding="utf-8") as file:
        return max(0, sum(1 for row in csv.reader(file) if row and not row[0].startswith("#")) - 1)


def keep_summary(folder: Path) -> None:
    """Write what the search found to `search.csv`."""
    for path in sorted((folder / "search").rglob("summary.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        plain = {key: value for key, value in found.items() if isinstance(value, str | int | float | bool)}
        (folder / "search.csv").unlink(missing_ok=True)
        append(folder / "search.csv", [*plain], [plain])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sections, print and keep the summary, and return 1 if one of them failed."""
    parser = argparse.ArgumentParser(prog="bash benchmarks/gpu.sh", description=__doc__)
    parser.add_argument("folder", type=Path, help="where logs, CSVs and the summary go")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N, or cpu")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that everything runs")
    parser.add_argument("--only", default="", help=f"comma-separated, of {', '.join(s.name for s in SECTIONS)}")
    parser.add_argument("--data", help="folder of the data sets; NASLIB_DATA and ./data by default")
    given = parser.parse_args(arguments)
    names = [name.strip() for name in given.only.split(",") if name.strip()]
    if unknown := [name for name in names if name not in {section.name for section in SECTIONS}]:
        raise SystemExit(f"no section {', '.join(unknown)}; there are: {', '.join(s.name for s in SECTIONS)}")
    if torch.device(given.device).type == "cuda" and not torch.cuda.is_available():
        raise SystemExit("there is no CUDA device here; --device cpu --quick shows that the sections run")
    run = Run(given.folder.resolve(), given.device, given.quick, given.data)
    run.folder.mkdir(parents=True, exist_ok=True)
    print(f"torch {torch.__version__}, {_device_name(given.device)}, results in {run.folder}", flush=True)
    outcomes = []
    for section in SECTIONS:
        if names and section.name not in names:
            continue
        print(f"{section.name} ... (at most {section.seconds} s)", flush=True)
        outcomes.append(run_section(section, run))
        print(
            f"{section.name:14} {outcomes[-1].verdict:12} {outcomes[-1].seconds:6.1f} s  {outcomes[-1].note}",
            flush=True,
        )
    summary = run.folder / "summary.csv"
    summary.unlink(missing_ok=True)
    append(summary, [field.name for field in fields(Outcome)], [astuple(outcome) for outcome in outcomes])
    bad = [outcome.section for outcome in outcomes if outcome.is_bad]
    total = sum(outcome.seconds for outcome in outcomes)
    print(f"{len(outcomes)} sections in {total:.0f} s; {len(bad)} to look at{': ' + ', '.join(bad) if bad else ''}")
    print(f"kept in {summary}")
    return 1 if bad else 0


def _device_name(device: str) -> str:
    return torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else device


if __name__ == "__main__":
    sys.exit(main())
