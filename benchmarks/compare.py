"""Run several methods over several seeds by one config and tabulate what they find: `python -m benchmarks.compare -h`.

Every run is the command `runner.py` in a process of its own, so that its peak memory is its own. A finished run is kept
and not repeated; an unfinished one is resumed.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from .harness import ROOT

# What a method needs besides its name in the protocol of the config, `name: (optimizer, further words)`
METHODS: dict[str, tuple[str, tuple[str, ...]]] = {
    "random search (10 evaluations)": ("random_search", ("search.epochs=10", "search.fidelity=12")),
    "DARTS, first order": ("darts", ()),
    "GDAS": ("gdas", ()),
    "DrNAS": ("drnas", ()),
    "PC-DARTS": ("pc_darts", ("search.parts.warm_up.epochs=9",)),
    "RSWS": ("random_nas", ("search.batch_norm=batch",)),
    # the decay that the others have, with which the figures in docs/results.md were taken
    "ProxylessNAS, gates": ("proxylessnas", ("search.arch_weight_decay=1e-3",)),
    "binary masked": ("binary_masked", ("search.arch_weight_decay=1e-3",)),
}


@dataclass(frozen=True)
class Found:
    """What one run found.

    Attributes:
        method: Name of the method.
        seed: Its seed.
        test_accuracy: What the benchmark says, in percent.
        skip_share: Share of skip connections among the edges.
        none_share: Share of edges without a connection.
        search_seconds: Time of the search.
        peak_memory_mb: Largest resident memory of the process.
        genotype: The architecture.
    """

    method: str
    seed: int
    test_accuracy: float
    skip_share: float
    none_share: float
    search_seconds: float
    peak_memory_mb: float
    genotype: str


def run(method: str, seed: int, config: str, out_dir: Path, words: Sequence[str], threads: int) -> Found:
    """Run one search, or read what it left.

    Raises:
        RuntimeError: If the run fails; the message ends with what it wrote.
    """
    optimizer, further = METHODS[method]
    place = out_dir / "".join(c if c.isalnum() else "_" for c in method)
    command = [sys.executable, "runner.py", "--config", config, "--seed", str(seed), f"optimizer={optimizer}"]
    command += [f"out_dir={place}", "device=cpu", *further, *words]
    summaries = list(place.glob(f"*/*/{optimizer}/{seed}/summary.json"))
    record = place / f"memory-{seed}.json"
    if not summaries:
        begun = list(place.glob(f"*/*/{optimizer}/{seed}/config.yaml"))
        peak = _run_process([*command, *(["--resume"] if begun else [])], threads)
        record.write_text(json.dumps({"peak_memory_mb": peak}), encoding="utf-8")
        summaries = list(place.glob(f"*/*/{optimizer}/{seed}/summary.json"))
    summary = json.loads(summaries[0].read_text(encoding="utf-8"))
    genotype = str(summary["genotype"])
    edges = [part for part in genotype.replace("+", "").split("|") if "~" in part]
    return Found(
        method,
        seed,
        float(summary["test_accuracy"]),
        sum(edge.startswith("skip_connect") for edge in edges) / len(edges),
        sum(edge.startswith("none") for edge in edges) / len(edges),
        float(summary["search_seconds"]),
        float(json.loads(record.read_text(encoding="utf-8"))["peak_memory_mb"]),
        genotype,
    )


def _run_process(command: list[str], threads: int) -> float:
    """Run a command and return its peak memory in MB."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        output = process.stdout.read() if process.stdout else ""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{output[-3000:]}")
    return usage.ru_maxrss / 1000.0


def table(found: Sequence[Found]) -> str:
    """Return the results as a Markdown table: mean and standard deviation over the seeds, of times the median."""
    lines = [
        "| method | test accuracy, % | skip connections | no connection | search, s (median) "
        "| peak memory of the process, MB (least) |",
        "|---|---|---|---|---|---|",
    ]
    for method in dict.fromkeys(f.method for f in found):
        runs = [f for f in found if f.method == method]
        accuracies = [f.test_accuracy for f in runs]
        spread = f" ± {statistics.stdev(accuracies):.2f}" if len(runs) > 1 else ""
        each = ", ".join(f"{a:.2f}" for a in accuracies)
        mean = {key: statistics.mean(getattr(f, key) for f in runs) for key in ("skip_share", "none_share")}
        seconds = statistics.median(f.search_seconds for f in runs)
        memory = min(f.peak_memory_mb for f in runs)
        lines.append(
            f"| {method} | {statistics.mean(accuracies):.2f}{spread} ({each}) | {mean['skip_share']:.0%} "
            f"| {mean['none_share']:.0%} | {seconds:.1f} | {memory:.0f} |"
        )
    return "\n".join(lines)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    parser.add_argument("--config", default="nasbench201_scaled.yaml", help="the protocol that all methods share")
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS), help="default: all")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--out-dir", type=Path, default=Path("run/compare"), help="run folders; finished ones are kept")
    parser.add_argument("--csv", type=Path, default=None, help="also write every run here")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time; timings are cleanest with 1")
    parser.add_argument("--threads", type=int, default=1, help="threads of each run")
    parser.add_argument("words", nargs="*", help="overrides for all runs, such as data=DIR search.epochs=2")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print the table and write the CSV."""
    options = parse(argv)
    out_dir = options.out_dir.absolute()
    tasks = [(method, seed) for seed in options.seeds for method in options.methods]
    with ThreadPoolExecutor(options.jobs) as pool:
        futures = [
            pool.submit(run, method, seed, options.config, out_dir, options.words, options.threads)
            for method, seed in tasks
        ]
        results = []
        for future, (method, seed) in zip(futures, tasks, strict=True):
            found = future.result()
            results.append(found)
            print(f"{method}, seed {seed}: {found.test_accuracy:.2f} % {found.genotype}", flush=True)
    results.sort(key=lambda f: list(METHODS).index(f.method))
    print(table(results))
    if options.csv:
        with options.csv.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, [field.name for field in fields(Found)])
            writer.writeheader()
            writer.writerows(asdict(f) for f in results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
