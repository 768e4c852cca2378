"""Accuracy and latency on six devices: how much of the true front's area 300 evaluations reach.

    python -m benchmarks.hardware_fronts --data DIR --write

DIR has `nb201.npz` and `nb201_latency.npz`. The objectives are the validation accuracy on CIFAR-10 after 200 epochs and
the latency on a device, of NAS-Bench-201. The devices are of six kinds: a GPU with batches of 256 (`titan_rtx_256`), a
server's processor (`gold_6226`), a phone (`pixel2`), a small computer (`raspi4`), an ASIC (`eyeriss`) and an FPGA
(`fpga`). A figure is the hypervolume of the front that a search has found over that of the front of all 15,625
architectures, both above the worst of the true front in each objective, with 5 % of the front's range below it.

Latencies are known of every architecture, so that what is spent are accuracies; `pareto_search` uses that unless
`known: []` says otherwise.

With `--write` every search is a row of `benchmarks/results/hardware-fronts.csv` as soon as it is over, and searches
that are there are not repeated; the picture of the fronts of 300 evaluations, of the seed that is the median, goes to
`docs/assets`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from naslib.benchmarks import get_dataset_api
from naslib.optimizers import OPTIMIZERS
from naslib.search_spaces import NasBench201SearchSpace
from naslib.search_spaces.core.query_metrics import Metric

from .best_front import BestFront
from .harness import ROOT
from .records import RESULTS
from .row_files import append, read

FILE = RESULTS / "hardware-fronts.csv"
FIELDS = ("device", "method", "evaluations", "seed", "share", "cpu_seconds", "front")
PICTURE = ROOT / "docs" / "assets" / "hardware_fronts.png"
DEVICES = {
    "titan_rtx_256": "GPU, batch 256",
    "gold_6226": "server processor",
    "pixel2": "phone",
    "raspi4": "Raspberry Pi 4",
    "eyeriss": "ASIC",
    "fpga": "FPGA",
}
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "random": ("rs", {}),
    "nsga2": ("nsga2", {}),
    "pareto_search, known: []": ("pareto_search", {"known": []}),
    "pareto_search": ("pareto_search", {}),
}
EVALUATIONS = 300
BAR = 0.97
_SIGNAL = "VAL_ACCURACY"
_COLOURS = {"random": "#999999", "nsga2": "#c77d1e", "pareto_search": "#1f5fa8"}


class Truth:
    """The table of accuracies, and the best front of a device.

    Args:
        data: Folder of the tables.
        device: Name of the device.
    """

    def __init__(self, data: str | None, device: str) -> None:
        self.data, self.device = data, device
        self.api: Any = get_dataset_api("nasbench201", "cifar10", data)
        latencies: Any = get_dataset_api("nasbench201", "cifar10", data, "latency")
        codes = np.array(list(np.ndindex((5,) * 6)))
        accuracy = self.api.query_batch(codes, Metric[_SIGNAL], "cifar10", 200)
        latency = latencies.query_batch(codes, latencies.metric_of(device), "cifar10")
        merits = np.stack([accuracy, -latency], axis=1)
        self.best = BestFront.of(merits)


def searched(truth: Truth, method: str, seed: int, evaluations: int) -> np.ndarray:
    """Return the merits `(n, 2)` of the front that a search has found."""
    name, keywords = METHODS[method]
    hardware = {"latency": truth.device}
    optimizer: Any = OPTIMIZERS.get(name)(objectives=[_SIGNAL, "latency"], hardware=hardware, **keywords)
    optimizer.data = truth.data
    np.random.seed(seed)
    optimizer.adapt_search_space(
        NasBench201SearchSpace(channels=4, cells_per_stage=1), "cifar10", dataset_api=truth.api
    )
    for epoch in range(evaluations):
        optimizer.new_epoch(epoch)
    merits: np.ndarray = optimizer.record.front.merits()
    return merits


def table(rows: Sequence[Mapping[str, str]] | None = None, evaluations: int = EVALUATIONS) -> str:
    """Return what searches of so many evaluations reached, one line per device: medians over seeds, and the worst."""
    rows = [row for row in (read(FILE) if rows is None else rows) if int(row["evaluations"]) == evaluations]
    lines = [
        f"| device | seeds | {' | '.join(METHODS)} |",
        f"|---|---|{'---|' * len(METHODS)}",
    ]
    for device, kind in DEVICES.items():
        cells, seeds = [], 0
        for method in METHODS:
            found = [float(row["share"]) for row in rows if (row["device"], row["method"]) == (device, method)]
            seeds = max(seeds, len(found))
            cells.append(f"{np.median(found):.4f} ({min(found):.4f})" if found else "")
        if seeds:
            lines.append(f"| `{device}`, {kind} | {seeds} | {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(rows: Sequence[Mapping[str, str]], truths: Mapping[str, Truth], path: Path) -> None:
    """Draw the true fronts, and of three methods the front of the seed with the median share."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.0, 7.0), layout="constrained")
    for place, (device, truth) in enumerate(truths.items()):
        axes = figure.add_subplot(2, 3, place + 1)
        front = truth.best.front[np.argsort(-truth.best.front[:, 1])]
        axes.step(-front[:, 1], front[:, 0], where="post", color="black", linewidth=1.0, label="true front")
        for method, colour in _COLOURS.items():
            found = [row for row in rows if (row["device"], row["method"]) == (device, method)]
            if not found:
                continue
            row = sorted(found, key=lambda row: float(row["share"]))[(len(found) - 1) // 2]
            points = np.array(json.loads(row["front"]))
            label = f"{method} {float(row['share']):.3f}"
            size = 5 if method == "pareto_search" else 4
            axes.plot(-points[:, 1], points[:, 0], "o", color=colour, markersize=size, alpha=0.75, label=label)
        axes.set_xlim(right=-float(truth.best.reference[1]))
        axes.set_ylim(bottom=float(truth.best.reference[0]))
        axes.set_title(f"{device} ({DEVICES[device]})", fontsize=10)
        axes.set_xlabel("latency [ms]")
        axes.set_ylabel("validation accuracy [%]")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8, loc="lower right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line says; fail if a median of `pareto_search` is below the bar."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.hardware_fronts",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", help="folder of the tables")
    parser.add_argument("--devices", nargs="+", choices=list(DEVICES), default=list(DEVICES))
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=7, help="how many")
    parser.add_argument("--evaluations", type=int, default=EVALUATIONS)
    parser.add_argument("--write", action="store_true", help="keep the searches, and draw the fronts")
    options = parser.parse_args(arguments)
    rows = read(FILE) if options.write and FILE.is_file() else []
    done = {(row["device"], row["method"], int(row["evaluations"]), int(row["seed"])) for row in rows}
    truths = {device: Truth(options.data, device) for device in options.devices}
    for device, truth in truths.items():
        low = truth.best.reference
        print(f"{device}: {len(truth.best.front)} on the true front, above {low[0]:.3f} % and below {-low[1]:.3f} ms")
        for method in options.methods:
            for seed in range(options.seeds):
                if (device, method, options.evaluations, seed) in done:
                    continue
                began = time.process_time()
                merits = searched(truth, method, seed, options.evaluations)
                row = {
                    "device": device,
                    "method": method,
                    "evaluations": str(options.evaluations),
                    "seed": str(seed),
                    "share": f"{truth.best.share(merits):.6f}",
                    "cpu_seconds": f"{time.process_time() - began:.2f}",
                    "front": json.dumps([[round(value, 4) for value in point] for point in merits.tolist()]),
                }
                rows.append(row)
                if options.write:
                    append(FILE, FIELDS, [row])
    print(table(rows, options.evaluations))
    asked = [row for row in rows if int(row["evaluations"]) == options.evaluations]
    if options.write and options.evaluations == EVALUATIONS:
        draw(asked, truths, PICTURE)
    reached = [
        np.median([float(row["share"]) for row in asked if (row["device"], row["method"]) == (device, "pareto_search")])
        for device in truths
        if "pareto_search" in options.methods
    ]
    return int(any(share < BAR for share in reached))


if __name__ == "__main__":
    raise SystemExit(main())
