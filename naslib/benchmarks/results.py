"""Results: what trainings of architectures of one space gave, as one compact file, and several of them as one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from naslib.errors import BenchmarkError
from naslib.utils.files import atomic_write, to_jsonable
from naslib.utils.log import get_logger
from naslib.utils.text import differences, listed, show

from .base import Code
from .opened import opened

logger = get_logger(__name__)

FORMAT = "naslib results"
VERSION = 1
CURVES = ("train_loss", "train_score", "valid_loss", "valid_score", "test_loss", "test_score")
# Scores are kept to the 24 bits of a float32, everything else to so many
_BITS = 13
# What may differ between parts of one table
_OF_A_PART = ("seeds", "failures", "environments", "latency", "architectures")


@dataclass
class Results:
    """Trainings of architectures, with one row for each function that was trained.

    Attributes:
        codes: The n architectures of the table. Those that are one function share a row.
        rows: `(n,)` which row each has.
        params: `(n,)` parameters of each.
        macs: `(n,)` multiply-accumulates of each.
        trained: `(r,)` which architecture was trained for each row.
        seeds: The s seeds.
        curves: By name (`CURVES`) `(r, s, epochs)` floats; NaN where an architecture was not trained with a seed.
        seconds: `(r, s)` of training, without any evaluation; NaN likewise.
        latency: `(r,)` milliseconds, NaN where none was measured.
        about: The protocol, and what else there is to say, as plain values.
    """

    codes: list[Code]
    rows: np.ndarray
    params: np.ndarray
    macs: np.ndarray
    trained: np.ndarray
    seeds: tuple[int, ...]
    curves: dict[str, np.ndarray]
    seconds: np.ndarray
    latency: np.ndarray
    about: dict[str, Any]

    @property
    def epochs(self) -> int:
        """Number of points of a learning curve."""
        return int(self.curves["valid_score"].shape[2])

    def check(self) -> None:
        """Raise `ValueError` if the arrays do not belong together."""
        n, r, s = len(self.codes), len(self.trained), len(self.seeds)
        shapes = {"rows": (n,), "params": (n,), "macs": (n,), "seconds": (r, s), "latency": (r,)}
        wrong = [name for name, shape in shapes.items() if getattr(self, name).shape != shape]
        wrong += [name for name in CURVES if self.curves[name].shape != (r, s, self.epochs)]
        if wrong or not n or not self.epochs:
            raise ValueError(f"the arrays {', '.join(wrong) or 'codes'} have not the sizes that belong together")
        if len(set(self.codes)) != n:
            raise ValueError("an architecture is in it twice")
        if self.rows.min() < 0 or self.rows.max() >= r or self.trained.min() < 0 or self.trained.max() >= n:
            raise ValueError("an architecture has a row that is not there")
        if not np.array_equal(self.rows[self.trained], np.arange(r)):
            raise ValueError("a row is not that of the architecture trained for it")


def save_results(results: Results, path: str | Path) -> None:
    """Write a file, all or nothing.

    Raises:
        ValueError: If the arrays do not belong together.
    """
    results.check()
    width = max(map(len, results.codes))
    codes = np.zeros((len(results.codes), width), np.int32)
    for row, code in enumerate(results.codes):
        codes[row, : len(code)] = code
    arrays: dict[str, Any] = {
        "format": np.array([FORMAT, str(VERSION)]),
        "about": np.array(json.dumps(to_jsonable(results.about), sort_keys=True)),
        "codes": codes.astype(np.int8) if np.abs(codes).max(initial=0) < 128 else codes,
        "lengths": np.array([len(code) for code in results.codes], np.int16),
        "rows": results.rows.astype(np.int32),
        "params": results.params.astype(np.int64),
        "macs": results.macs.astype(np.int64),
        "trained": results.trained.astype(np.int32),
        "seeds": np.array(results.seeds, np.int64),
        "seconds": _rounded(results.seconds),
        "latency_ms": _rounded(results.latency),
    }
    for name in CURVES:
        values = results.curves[name]
        arrays[name] = values.astype(np.float32) if name.endswith("_score") else _rounded(values)
    atomic_write(path, lambda stream: np.savez_compressed(stream, **arrays))


def is_results(path: str | Path) -> bool:
    """Say whether a file has this format; what is no file of arrays has not."""
    try:
        with opened(Path(path), "results") as file:
            return "format" in file.files and str(file["format"][0]) == FORMAT
    except BenchmarkError:
        return False


def load_results(path: str | Path) -> Results:
    """Read a file; nothing in it is executed.

    Raises:
        BenchmarkDataMissing: If there is no such file.
        BenchmarkError: If it is damaged, or another file.
    """
    with opened(Path(path), "table of `naslib bench build`") as file:
        if "format" not in file.files or str(file["format"][0]) != FORMAT:
            raise ValueError(f"it has no entry `format` that says {FORMAT!r}")
        version = int(file["format"][1])
        if version > VERSION:
            raise ValueError(f"its version is {version}, and this version of naslib reads up to {VERSION}")
        lengths, codes = file["lengths"].tolist(), file["codes"].tolist()
        results = Results(
            codes=[tuple(code[:length]) for code, length in zip(codes, lengths, strict=True)],
            rows=file["rows"].astype(np.intp),
            params=file["params"],
            macs=file["macs"],
            trained=file["trained"].astype(np.intp),
            seeds=tuple(file["seeds"].tolist()),
            curves={name: file[name].astype(np.float64) for name in CURVES},
            seconds=file["seconds"].astype(np.float64),
            latency=file["latency_ms"].astype(np.float64),
            about=json.loads(str(file["about"])),
        )
        results.check()
        return results


def merged(parts: Sequence[Results]) -> Results:
    """Return one table of several of the same protocol: shards, other seeds, more architectures.

    Where two parts have trained one architecture with one seed, the first counts.

    Raises:
        BenchmarkError: If they have not the same protocol, or there is none.
    """
    if not parts:
        raise BenchmarkError("there is nothing to merge")
    for part in parts[1:]:
        _check_same_protocol(parts[0].about, part.about)
    seeds = tuple(sorted({seed for part in parts for seed in part.seeds}))
    row_of: dict[Code, int] = {}
    for part in parts:
        for place in part.trained:
            row_of.setdefault(part.codes[place], len(row_of))
    shape = (len(row_of), len(seeds), max(part.epochs for part in parts))
    joined = Results(
        codes=[], rows=np.zeros(0, np.intp), params=np.zeros(0), macs=np.zeros(0),
        trained=np.zeros(len(row_of), np.intp), seeds=seeds,
        curves={name: np.full(shape, np.nan) for name in CURVES},
        seconds=np.full(shape[:2], np.nan), latency=np.full(shape[0], np.nan), about=dict(parts[0].about),
    )  # fmt: skip
    repeated = sum(_take(joined, part, row_of) for part in parts)
    _take_architectures(joined, parts, row_of)
    joined.about |= _joined_about(parts, seeds, joined)
    if repeated:
        logger.warning("%d trainings are in more than one part; the first counts", repeated)
    return joined


def _take(joined: Results, part: Results, row_of: Mapping[Code, int]) -> int:
    """Copy the rows of a part to where nothing is yet; return how many trainings were there."""
    repeated = 0
    rows = np.array([row_of[part.codes[place]] for place in part.trained], np.intp)
    for column, seed in enumerate(part.seeds):
        target = joined.seeds.index(seed)
        given = np.isfinite(part.seconds[:, column])
        is_new = given & ~np.isfinite(joined.seconds[rows, target])
        repeated += int((given & ~is_new).sum())
        for name in CURVES:
            joined.curves[name][rows[is_new], target] = part.curves[name][is_new, column]
        joined.seconds[rows[is_new], target] = part.seconds[is_new, column]
    unmeasured = ~np.isfinite(joined.latency[rows])
    joined.latency[rows[unmeasured]] = part.latency[unmeasured]
    return repeated


def _take_architectures(joined: Results, parts: Sequence[Results], row_of: Mapping[Code, int]) -> None:
    found: dict[Code, tuple[int, int, int]] = {}
    for part in parts:
        for code, row, params, macs in zip(part.codes, part.rows, part.params, part.macs, strict=True):
            found.setdefault(code, (row_of[part.codes[part.trained[row]]], int(params), int(macs)))
    joined.codes = sorted(found)
    columns = np.array([found[code] for code in joined.codes], np.int64)
    joined.rows, joined.params, joined.macs = columns[:, 0].astype(np.intp), columns[:, 1], columns[:, 2]
    place = {code: index for index, code in enumerate(joined.codes)}
    for code, row in row_of.items():
        joined.trained[row] = place[code]


def _joined_about(parts: Sequence[Results], seeds: tuple[int, ...], joined: Results) -> dict[str, Any]:
    environments: list[Any] = []
    failures: list[Any] = []
    for part in parts:
        environments += [found for found in part.about.get("environments", []) if found not in environments]
        failures += [found for found in part.about.get("failures", []) if found not in failures]
    latencies = [part.about["latency"] for part in parts if part.about.get("latency")]
    if any(one != latencies[0] for one in latencies):
        logger.warning("the parts were measured on different machines or in different ways: measure the latencies anew")
    return {
        "seeds": list(seeds),
        "environments": environments,
        "failures": failures,
        "latency": latencies[0] if latencies else None,
        "architectures": len(joined.trained),
    }


def _check_same_protocol(first: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    """Raise if two parts were not made in the same way.

    Raises:
        BenchmarkError: Naming what differs.
    """
    ours, theirs = ({k: v for k, v in about.items() if k not in _OF_A_PART} for about in (first, other))
    found = differences(ours, theirs, "protocol")
    if found:
        phrases = [f"{place} is {show(one)} in the first and {show(two)} in another" for place, one, two in found]
        raise BenchmarkError(f"these are parts of different tables: {listed(phrases, 4)}")


def _rounded(values: np.ndarray) -> np.ndarray:
    """Return float32 with 13 bits of mantissa (a relative error below 2**-14), which compress well; NaN stays."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    shift = np.uint32(23 - _BITS)
    half = np.uint32(1) << (shift - np.uint32(1))
    cut = ((bits + half) >> shift) << shift
    return np.where(np.isfinite(values), cut.view(np.float32), np.float32("nan")).astype(np.float32)
