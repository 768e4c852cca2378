"""Find the benchmark of a search space in the data directory."""

from __future__ import annotations

import functools
import os
from pathlib import Path

from naslib.errors import BenchmarkDataMissing, BenchmarkError, did_you_mean
from naslib.registry.catalogue import BENCHMARKS
from naslib.utils.locations import table_directories

from .base import Benchmark
from .figure_table import FigureTable
from .official.cache import compact_of
from .official.formats import format_of, formats_of, official_in
from .own import find_table
from .results import is_results
from .trained import TrainedTable


def get_dataset_api(
    search_space: str,
    dataset: str | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    kind: str = "accuracy",
    device: str | None = None,
) -> Benchmark:
    """Return the benchmark of a search space.

    Its file is looked for in `data_dir`, in the directory that the environment variable `NASLIB_DATA` names, and in
    `./data`; it is opened once per process. A benchmark's own file, as its authors published it, is read too: it is
    converted once, into the user's cache. A table of one's own (`naslib bench build`) is that file, or is called
    `<space>_<dataset>.npz`; such a table of NAS-Bench-201 and the digits comes with naslib.

    Args:
        search_space: Name of the space, such as `"nasbench201"`.
        dataset: Data set that will be asked for; not checked if None.
        data_dir: A directory, or the file itself: the compact one, or the official file or folder.
        kind: What it is asked about: `"accuracy"`, or one of `kinds(search_space)`, such as `"latency"`, `"energy"`,
            `"robustness"`, `"proxies"` or `"curves"`.
        device: Whose latency `LATENCY` is, where there are several.

    Raises:
        BenchmarkError: If there is no benchmark of the space, or it lacks the kind, the data set or the device.
        BenchmarkDataMissing: If the benchmark's file is not there; the message says where it is expected.
    """
    own = own_table(search_space, dataset, data_dir) if kind == "accuracy" and device is None else None
    if own is not None:
        return own
    benchmark = _opened(search_space, data_dir, kind)
    if dataset is not None and not benchmark.knows(dataset):
        raise BenchmarkError(
            f"the {benchmark.name} benchmark has no data set {dataset!r}{did_you_mean(dataset, benchmark.datasets)} "
            f"(it has: {', '.join(benchmark.datasets)})"
        )
    return benchmark if device is None else _on(benchmark, device)


def kinds(search_space: str) -> list[str]:
    """Return what benchmarks of a space are about, `"accuracy"` first where there is one."""
    name = str(search_space).lower()
    found = [key.partition(":")[2] or "accuracy" for key in BENCHMARKS if key.partition(":")[0] == name]
    return sorted(found, key=lambda kind: (kind != "accuracy", kind))


def find_figure(
    search_space: str, name: str, dataset: str | None = None, data_dir: str | os.PathLike[str] | None = None
) -> Benchmark | None:
    """Return the benchmark of a space that has a figure of that name, of those whose files are here.

    Raises:
        BenchmarkError: If a file is here, and cannot be read.
    """
    for kind in kinds(search_space):
        own = own_table(search_space, dataset, data_dir) if kind == "accuracy" else None
        try:
            benchmark = own or _opened(search_space, data_dir, kind)
        except BenchmarkDataMissing:
            continue
        if (dataset is None or benchmark.knows(dataset)) and any(
            figure.name.lower() == name.lower() for figure in benchmark.figures
        ):
            return benchmark
    return None


def figure_names(
    search_space: str, dataset: str | None = None, data_dir: str | os.PathLike[str] | None = None
) -> list[str]:
    """Return the names of the figures of a space's tables whose files are here, in any order.

    Raises:
        BenchmarkError: If a file is here, and cannot be read.
    """
    names: dict[str, None] = {}
    for kind in kinds(search_space):
        try:
            benchmark = _opened(search_space, data_dir, kind)
        except BenchmarkDataMissing:
            continue
        if dataset is None or benchmark.knows(dataset):
            names |= dict.fromkeys(figure.name for figure in benchmark.figures)
    return list(names)


def _opened(search_space: str, data_dir: str | os.PathLike[str] | None, kind: str) -> Benchmark:
    key = _key(search_space, kind)
    path = _find(key, data_dir)
    return _open(key, path, path.stat().st_mtime_ns if path.exists() else 0)


def _key(search_space: str, kind: str) -> str:
    name, kind = str(search_space).lower(), str(kind).lower()
    spaces = sorted({key.partition(":")[0] for key in BENCHMARKS})
    there = kinds(name)
    if not there:
        raise BenchmarkError(
            f"there is no benchmark of the search space {search_space!r}{did_you_mean(name, spaces)} "
            f"(there are: {', '.join(spaces)})"
        )
    if kind not in there:
        raise BenchmarkError(
            f"the benchmarks of {name} do not tell {kind!r}{did_you_mean(kind, there)} (they tell: {', '.join(there)})"
        )
    return name if kind == "accuracy" else f"{name}:{kind}"


def _on(benchmark: Benchmark, device: str) -> Benchmark:
    if not isinstance(benchmark, FigureTable):
        raise BenchmarkError(f"the {benchmark.name} benchmark has one latency: leave device={device!r} out")
    return benchmark.on(device)


def covers(search_space: str, dataset: str) -> bool:
    """Say whether there is a benchmark of a space that has the data set, whether or not its file is here."""
    key = str(search_space).lower()
    return key in BENCHMARKS and BENCHMARKS.get(key).covers(dataset)


def own_table(
    search_space: str, dataset: str | None = None, data_dir: str | os.PathLike[str] | None = None
) -> TrainedTable | None:
    """Return the table of a space that was built by `naslib bench build`; None where there is none.

    A benchmark that somebody has published goes first where it has the data set, unless the file of a table is named.

    Raises:
        BenchmarkError: If the file that is named is a table of something else.
    """
    named = Path(data_dir) if data_dir and Path(data_dir).is_file() else None
    if search_space in BENCHMARKS and named is not None and not is_results(named):
        return None  # a published one's file
    if search_space in BENCHMARKS and (dataset is None or covers(search_space, dataset)):
        return find_table(search_space, dataset, [named]) if named is not None else None
    try:
        return find_table(search_space, dataset, table_directories(data_dir))
    except BenchmarkError as error:
        if named is None or search_space in BENCHMARKS:
            raise
        raise BenchmarkError(f"there is no benchmark of the search space {search_space!r}, and {error}") from error


def _find(key: str, data_dir: str | os.PathLike[str] | None) -> Path:
    """Return the compact file of a benchmark, of an official one that is converted where there is no other."""
    kind = BENCHMARKS.get(key)
    names = getattr(kind, "file_names", (kind.file_name,))
    places = table_directories(data_dir)
    for place in places:
        official = format_of(place, key)
        if official is not None and place.exists():
            return compact_of(place, official)
        for candidate in [place] if place.is_file() else [place / name for name in names]:
            if candidate.is_file():
                return candidate.resolve()
        found = official_in(place, key)
        if found is not None:
            return compact_of(*found)
    looked = ", ".join(str(place / kind.file_name) for place in places)
    raise BenchmarkDataMissing(
        f"no benchmark file {kind.file_name}; looked for {looked}. Put it there, or name its directory with `data:` in "
        f"the config or the environment variable NASLIB_DATA{_made_from(key)}"
    )


def _made_from(key: str) -> str:
    """Return, of a benchmark whose official files are read, what they are called and where they are to be had."""
    ways = formats_of(key)
    if not ways:
        return ""
    named = "; ".join(f"{' or '.join(way.names)} from {way.source}" for way in ways)
    return f". The official file may lie there too: {named} (`naslib data list` tells more)"


@functools.lru_cache(maxsize=8)
def _open(key: str, path: Path, modified: int) -> Benchmark:
    return BENCHMARKS.build(key, path)
