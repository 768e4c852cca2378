"""The official formats: what each is called, how a file is known to be one, and who reads it."""

from __future__ import annotations

import fnmatch
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from naslib.errors import BenchmarkDataMissing, BenchmarkError, ConfigError, NASLibError, did_you_mean
from naslib.utils.files import atomic_write

Progress = Callable[[int, int], None]
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Format:
    """A format of a benchmark's own files.

    Attributes:
        name: What it is called in `naslib data convert`.
        benchmark: The benchmark that answers from it, by its name in `BENCHMARKS`.
        output: Name of the compact file.
        names: What its files and folders are called, as patterns.
        reader: Where the function is that reads it: module and name.
        source: Where it is to be had.
        others: More benchmarks that answer from it.
    """

    name: str
    benchmark: str
    output: str
    names: tuple[str, ...]
    reader: str
    source: str
    others: tuple[str, ...] = ()

    def read(self, path: Path, progress: Progress) -> Arrays:
        """Return the arrays of the compact file.

        Raises:
            BenchmarkError: If it is another file, damaged, or names what is not data.
            BenchmarkDataMissing: If it is not there; the message says where it is to be had.
        """
        if not path.exists():
            raise BenchmarkDataMissing(
                f"there is no {path}; {self.name} is {' or '.join(self.names)}, to be had from {self.source}"
            )
        module, name = self.reader.split(":")
        read: Callable[[Path, Progress], Arrays] = getattr(
            importlib.import_module(f"naslib.benchmarks.official.{module}"), name
        )
        try:
            return read(path, progress)
        except BenchmarkError as error:
            raise type(error)(f"{error} (expected: {' or '.join(self.names)}, from {self.source})") from error

    def knows(self, path: Path) -> bool:
        """Say whether a file or folder is called as those of this format."""
        return any(fnmatch.fnmatchcase(path.name.lower(), pattern.lower()) for pattern in self.names)


_NATS = "https://github.com/D-X-Y/NATS-Bench"
_NB201 = "https://github.com/D-X-Y/NAS-Bench-201"
_NASLIB = "https://github.com/automl/NASLib (links in its README)"
_ALL = (
    Format(
        "nats-tss",
        "nasbench201",
        "nb201.npz",
        ("NATS-tss-*-simple", "NATS-tss-*-full", "NATS-tss-*.pickle.pbz2"),
        "nats:read_topology",
        _NATS,
    ),
    Format(
        "nats-sss",
        "nats_size",
        "nats_size.npz",
        ("NATS-sss-*-simple", "NATS-sss-*-full", "NATS-sss-*.pickle.pbz2"),
        "nats:read_size",
        _NATS,
    ),
    Format("nasbench201", "nasbench201", "nb201.npz", ("NAS-Bench-201-v1_*.pth",), "nats:read_topology", _NB201),
    Format(
        "naslib-nb201",
        "nasbench201",
        "nb201.npz",
        ("nb201_*_full_training.pickle",),
        "naslib_files:read_naslib_nb201",
        _NASLIB,
    ),
    Format(
        "nasbench101",
        "nasbench101",
        "nb101.npz",
        ("nasbench_*.tfrecord", "nasbench_*.pkl", "nasbench_*.pickle"),
        "nasbench101:read_nasbench101",
        "https://github.com/google-research/nasbench",
    ),
    Format(
        "nasbench301",
        "nasbench301",
        "nb301.npz",
        ("nb_models*", "xgb_v*", "lgb_v*"),
        "nasbench301:read_nasbench301",
        "https://github.com/automl/nasbench301",
    ),
    Format(
        "transnas-micro",
        "transbench101_micro",
        "tnb101_micro.npz",
        ("transnas-bench_v*.pth",),
        "transnas:read_micro",
        "https://github.com/yawen-d/TransNASBench",
    ),
    Format(
        "transnas-macro",
        "transbench101_macro",
        "tnb101_macro.npz",
        ("transnas-bench_v*.pth",),
        "transnas:read_macro",
        "https://github.com/yawen-d/TransNASBench",
    ),
    Format(
        "nasbench-macro",
        "nasbench_macro",
        "nb_macro.npz",
        ("nas-bench-macro_*.json",),
        "nasbench_macro:read_macro_table",
        "https://github.com/xiusu/NAS-Bench-Macro",
    ),
    Format(
        "hw-nas-bench",
        "nasbench201:hardware",
        "hw_nas_bench_nb201.npz",
        ("HW-NAS-Bench-*.pickle",),
        "hw_nas_bench:read_hardware",
        "https://github.com/GATECH-EIC/HW-NAS-Bench",
    ),
    Format(
        "nasbench-asr",
        "nasbench_asr",
        "nb_asr.npz",
        ("nb-asr*data*", "nasbench-asr*"),
        "nasbench_asr:read_nasbench_asr",
        "https://github.com/SamsungLabs/nb-asr/releases",
    ),
    Format(
        "naslib-nb301",
        "nasbench301:trained",
        "nb301_trained.npz",
        ("nb301_full_training.pickle",),
        "naslib_files:read_naslib_nb301",
        _NASLIB,
    ),
    Format(
        "naslib-zc",
        "nasbench201:proxies_naslib",
        "zc_naslib.npz",
        ("zc_nasbench*.json", "zc_transbench*.json"),
        "naslib_files:read_naslib_proxies",
        _NASLIB,
        ("nasbench301:proxies", "transbench101_micro:proxies_naslib", "transbench101_macro:proxies_naslib"),
    ),
)
FORMATS: dict[str, Format] = {one.name: one for one in _ALL}


def format_called(name: str) -> Format:
    """Return the format of that name.

    Raises:
        ConfigError: If there is none; the message names the nearest.
    """
    key = str(name).lower()
    if key not in FORMATS:
        raise ConfigError(f"there is no format {name!r}{did_you_mean(key, FORMATS)} (formats: {', '.join(FORMATS)})")
    return FORMATS[key]


def format_of(path: Path, benchmark: str) -> Format | None:
    """Return the format of a benchmark that a file or folder is of; None for a compact file, or another.

    It is known by its name; one of another name by its ending, a folder by what is in it.

    Args:
        path: The file or folder.
        benchmark: A name in `BENCHMARKS`.
    """
    ways = formats_of(benchmark)
    named = next((way for way in ways if way.knows(path)), None)
    if named is not None or not path.exists():
        return named
    if path.is_file():
        endings = {Path(pattern).suffix: way for way in reversed(ways) for pattern in way.names}
        return endings.get(path.suffix) if path.suffix != ".npz" else None
    marks = {"nats-tss": "meta.pickle.pbz2", "nats-sss": "meta.pickle.pbz2", "nasbench301": "*/surrogate_model.model"}
    marks["nasbench-asr"] = "nb-asr-e40-*.pickle"
    return next((way for way in ways if way.name in marks and next(path.glob(marks[way.name]), None)), None)


def official_in(folder: Path, benchmark: str) -> tuple[Path, Format] | None:
    """Return an official file of a benchmark that lies in a folder, with its format; None if there is none."""
    entries = sorted(folder.iterdir()) if folder.is_dir() else []
    for one in formats_of(benchmark):
        found = [entry for entry in entries if one.knows(entry)]
        if found:
            several = one.name in ("naslib-nb201", "naslib-zc") and len(found) > 1
            return (folder if several else found[0]), one
    return None


def formats_of(benchmark: str) -> list[Format]:
    """Return the formats that a benchmark can be made from."""
    place = _target(benchmark)
    return [one for one in _ALL if place and place in map(_target, (one.benchmark, *one.others))]


def _target(benchmark: str) -> str:
    """Return the class of a benchmark by its name: several names are of one."""
    from naslib.registry.catalogue import BENCHMARKS

    return BENCHMARKS.place(benchmark) if benchmark in BENCHMARKS else ""


def convert(name: str, path: Path, output: Path, progress: Progress = lambda done, total: None) -> Path:
    """Write the compact file of an official one.

    Args:
        name: The format.
        path: The official file or folder.
        output: The file to write, or a folder for it.
        progress: Called with what has been read, and all.

    Returns:
        The file.

    Raises:
        ConfigError: If there is no such format, or the output is there already.
        BenchmarkError: If the official file cannot be read.
    """
    form = format_called(name)
    target = output / form.output if output.is_dir() else output
    if target.exists():
        raise ConfigError(f"{target} is there already, and not overwritten: move it away, or name another file")
    if target.suffix != ".npz":
        raise ConfigError(f"the output is a .npz file, such as {form.output}, or a folder for it, not {output}")
    try:
        arrays = form.read(path, progress)
    except OSError as error:
        if isinstance(error, NASLibError):
            raise
        raise BenchmarkError(f"{path} cannot be read as {form.name}: {error.strerror or error}") from error
    atomic_write(target, lambda file: np.savez_compressed(file, **arrays))  # type: ignore[arg-type]
    return target
