"""Official files against the compact tables: `python -m benchmarks.official_files --official DIR --data DIR`.

Every architecture whose official results are in DIR (a folder of NATS-Bench may lack most of its files, as the sample
in its repository does) is read and compared, figure by figure, with its row in the compact table, and timed.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from naslib.benchmarks.official import FORMATS, nats
from naslib.benchmarks.official.pickles import read_pickle
from naslib.benchmarks.official.trials import TrialColumns

from .records import RESULTS

FILE = RESULTS / "official_files.csv"
_FIELDS = ("file", "architectures", "figures", "equal", "largest_difference", "ms_each")


def main(words: Sequence[str] | None = None) -> None:
    """Print and write what was compared."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.official_files", description=__doc__)
    parser.add_argument("--official", type=Path, required=True, help="folder in which the official files are")
    parser.add_argument("--data", type=Path, required=True, help="folder of the compact tables")
    parser.add_argument("--write", action="store_true", help=f"write {FILE.relative_to(RESULTS.parents[1])}")
    args = parser.parse_args(words)
    rows = list(compared(args.official, args.data))
    for row in rows:
        print(" | ".join(str(row[field]) for field in _FIELDS))
    if args.write:
        with FILE.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, _FIELDS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def compared(official: Path, data: Path) -> Iterator[dict[str, object]]:
    """Yield, for every official file in a folder, how many of its figures equal those of the compact table.

    Args:
        official: The folder, or one in which it is.
        data: Folder of the compact tables.
    """
    yield from _topology(official, data)
    yield from _whole(official, data)


def _topology(official: Path, data: Path) -> Iterator[dict[str, object]]:
    """Yield the comparison of each folder of NATS-Bench's topology space, one row for each column of accuracies etc."""
    for folder in sorted(official.rglob("NATS-tss-*-simple")):
        files = sorted(folder.glob("[0-9]*.pickle.pbz2"))
        columns = TrialColumns(5**6, (12, 200), (777, 888, 999), by_seed=(200,), timed=(200,))
        begun = time.process_time()
        for file in files:
            columns.add(int(file.name[:6]), read_pickle(file, "an architecture"))
        each = 1000 * (time.process_time() - begun) / len(files)
        names = nats.topology_ops(read_pickle(folder / "meta.pickle.pbz2", "names")["meta_archs"])
        found = columns.measured() | nats.topology_arrays(names)
        with np.load(data / "nb201.npz") as table:
            same = (found["ops"] == table["ops"]).all()
            rows = np.array([int(file.name[:6]) for file in files])
            shared = [name for name in table.files if name in found and "_" in name and name not in ("op_names",)]
            latency = [name for name in shared if name.endswith("latency_ms")]
            for label, some in (("", sorted(set(shared) - set(latency))), (", latency", latency)):
                values = [(found[name][rows].astype(float), table[name][rows].astype(float)) for name in some]
                yield _row(f"{folder.name}{label}" if same else "other architectures", len(files), values, each)


def _whole(official: Path, data: Path) -> Iterator[dict[str, object]]:
    """Yield the comparison of the files that are read in one."""
    for pattern, name, table in (
        ("nas-bench-macro_*.json", "nasbench-macro", "nb_macro.npz"),
        ("HW-NAS-Bench-*.pickle", "hw-nas-bench", "hw_nas_bench_nb201.npz"),
    ):
        for file in sorted(official.rglob(pattern)):
            begun = time.process_time()
            found = FORMATS[name].read(file, lambda done, total: None)
            seconds = time.process_time() - begun
            with np.load(data / table) as compact:
                shared = [key for key in compact.files if key in found and compact[key].dtype.kind in "iuf"]
                values = [(found[key].astype(float), compact[key].astype(float)) for key in shared]
            yield _row(file.name, len(values[0][0]), values, 1000 * seconds / len(values[0][0]))


def _row(file: str, n: int, values: Sequence[tuple[np.ndarray, np.ndarray]], each: float) -> dict[str, object]:
    differences = np.concatenate([np.abs(found - table).reshape(-1) for found, table in values])
    differences = differences[np.isfinite(differences)]
    return {
        "file": file,
        "architectures": n,
        "figures": len(differences),
        "equal": int((differences == 0).sum()),
        "largest_difference": f"{differences.max():.3g}",
        "ms_each": f"{each:.2f}",
    }


if __name__ == "__main__":
    main()
