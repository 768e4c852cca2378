"""NAS-Bench-201 ([Dong2020nasbench201]) and NATS-Bench ([Dong2021nats]): their files become compact tables."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from naslib.errors import BenchmarkDataMissing, BenchmarkError

from .pickles import read_guarded, read_pickle
from .torch_files import read_torch_file
from .trials import PREFIXES, TrialColumns

Progress = Callable[[int, int], None]
Arrays = dict[str, np.ndarray]

_OPS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
_EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
_SEEDS = (777, 888, 999)
_N_TOPOLOGIES, _N_SIZES = 5**6, 8**5
_CHANNELS = tuple(range(8, 65, 8))
_STRING = re.compile(r"\|(\w+)~0\|\+\|(\w+)~0\|(\w+)~1\|\+\|(\w+)~0\|(\w+)~1\|(\w+)~2\|")

# Multiply-accumulates and parameters of a network of 3 x 5 cells of 16, 32 and 64 channels: a convolution of a cell is
# C x C x H x W of them at 32, 16 and 8 pixels, which is one number at every width
_WIDTHS, _CELLS = (16, 32, 64), 5


def read_topology(path: Path, progress: Progress) -> Arrays:
    """Return the arrays of `nb201.npz` from NATS-Bench's topology file or folder, or from NAS-Bench-201's.

    Parameters and multiply-accumulates are counted in closed form: in the file they are, of 150 architectures, those
    of an equivalent that had been trained in their place.

    Args:
        path: `NATS-tss-v1_0-3ffb9-simple`, `NATS-tss-v1_0-3ffb9.pickle.pbz2` or `NAS-Bench-201-v1_1-096897.pth`.
        progress: Called with the architectures that were read, and all.

    Raises:
        BenchmarkError: If it is another file, or damaged.
    """
    columns = TrialColumns(_N_TOPOLOGIES, (12, 200), _SEEDS, by_seed=(200,), timed=(200,))
    names, rows = _architectures(path, "a NATS-Bench topology file", _N_TOPOLOGIES)
    ops = read_guarded(path, "a NATS-Bench topology file", lambda: topology_ops(names))
    _fill(path, "a NATS-Bench topology file", columns, rows, progress, len(names))
    known = columns.measured()
    seeds = np.isfinite(known["c10_valid_200_seeds"]).sum(1) if "c10_valid_200_seeds" in known else np.zeros(len(ops))
    return {
        **topology_arrays(ops),
        "seeds": np.array(_SEEDS, dtype=np.int16),
        "n_seeds": seeds.astype(np.uint8),
        **known,
    }


def read_size(path: Path, progress: Progress) -> Arrays:
    """Return the arrays of `nats_size.npz` from NATS-Bench's size file or folder.

    Multiply-accumulates are the file's less the additions of the biases, one for every class, as elsewhere here.

    Args:
        path: `NATS-sss-v1_0-50262-simple` or `NATS-sss-v1_0-50262.pickle.pbz2`.
        progress: Called with the architectures that were read, and all.

    Raises:
        BenchmarkError: If it is another file, or damaged.
    """
    content = "a NATS-Bench size file"
    columns = TrialColumns(_N_SIZES, (1, 12, 90), _SEEDS, by_seed=(12, 90), timed=(90,))
    counts: Arrays = {}
    names, rows = _architectures(path, content, _N_SIZES)
    channels = read_guarded(path, content, lambda: size_channels(names))

    def with_counts() -> Iterator[tuple[int, Mapping[str, Any]]]:
        for row, results in rows:
            _count(counts, row, results)
            yield row, results

    _fill(path, content, columns, with_counts(), progress, len(names))
    return {"channels": channels, "seeds": np.array(_SEEDS, dtype=np.int16), **columns.measured(), **counts}


def _fill(
    path: Path,
    content: str,
    columns: TrialColumns,
    rows: Iterator[tuple[int, Mapping[str, Any]]],
    progress: Progress,
    total: int,
) -> None:
    def run() -> None:
        for done, (row, results) in enumerate(rows, 1):
            try:
                columns.add(row, results)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise ValueError(f"architecture {row}: {type(error).__name__}: {error}") from error
            progress(done, total)

    read_guarded(path, content, run)


def _architectures(path: Path, content: str, expected: int) -> tuple[list[str], Iterator[tuple[int, Any]]]:
    """Return the names of all architectures, and their results by row, read one after the other.

    Raises:
        BenchmarkError: If there are not as many as expected.
    """
    if path.is_dir():
        names = _names_of(path, content, _read_one(_meta(path), content), expected)
        files = {row: _file_of(path, row) for row in range(expected)}
        missing = [row for row, file in files.items() if file is None]
        if missing:
            raise BenchmarkDataMissing(
                f"{path} lacks {len(missing):,} of the {expected:,} files of {content}, the first of them "
                f"{missing[0]:06d}.pickle.pbz2"
            )
        return names, ((row, _read_one(file, content)) for row, file in files.items() if file is not None)
    data = read_torch_file(path, content) if _is_torch(path) else read_pickle(path, content)
    names = _names_of(path, content, data, expected)
    found = data.get("arch2infos")
    if not isinstance(found, Mapping) or sorted(found) != list(range(expected)):
        raise BenchmarkError(f"{path} is not {content}: it has no results of each of its {expected:,} architectures")
    return names, ((row, found[row]) for row in range(expected))


def _names_of(path: Path, content: str, data: Any, expected: int) -> list[str]:
    names = data.get("meta_archs") if isinstance(data, Mapping) else None
    if not isinstance(names, (list, tuple)) or len(set(names)) != expected:
        many = f"{len(names):,}" if isinstance(names, (list, tuple)) else "no"
        raise BenchmarkError(f"{path} is not {content}: it names {many} architectures (meta_archs), not {expected:,}")
    return [str(name) for name in names]


def _meta(folder: Path) -> Path:
    for name in ("meta.pickle.pbz2", "meta.pickle"):
        if (folder / name).is_file():
            return folder / name
    raise BenchmarkDataMissing(f"{folder} has no meta.pickle.pbz2, which names the architectures")


def _file_of(folder: Path, row: int) -> Path | None:
    places = (folder / f"{row:06d}.{ending}" for ending in ("pickle.pbz2", "pickle"))
    return next((place for place in places if place.is_file()), None)


def _read_one(path: Path, content: str) -> Any:
    return read_pickle(path, f"part of {content}")


def _is_torch(path: Path) -> bool:
    """Say whether a file is of `torch.save`: a zip archive, or the pickle of its magic number, by any name."""
    with path.open("rb") as file:
        start = file.read(32)
    return start[:4] == b"PK\x03\x04" or b"\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19" in start


def topology_ops(names: list[str]) -> np.ndarray:
    """Return the operations of the benchmark's strings, `(n, 6)`, in the order of the edges into nodes 1, 2 and 3.

    Raises:
        ValueError: If a string is none, or one stands there twice.
    """
    found = np.empty((len(names), len(_EDGES)), dtype=np.uint8)
    for row, name in enumerate(names):
        matched = _STRING.fullmatch(name)
        if matched is None or not set(matched.groups()) <= set(_OPS):
            raise ValueError(f"{name!r} is no cell of NAS-Bench-201")
        found[row] = [_OPS.index(op) for op in matched.groups()]
    return found


def size_channels(names: list[str]) -> np.ndarray:
    """Return the channels of the benchmark's strings, `(n, 5)`.

    Raises:
        ValueError: If a string is none.
    """
    found = [[int(number) for number in name.split(":")] for name in names]
    if any(len(row) != 5 or not set(row) <= set(_CHANNELS) for row in found):
        raise ValueError("an architecture of the size space is five of 8, 16 ... 64")
    return np.array(found, dtype=np.uint8)


def topology_arrays(ops: np.ndarray) -> Arrays:
    """Return what is known of architectures without training: their operations, parameters, multiply-accumulates.

    The last two are those of stem, two residual blocks and head, and of the convolutions of the cells.

    Args:
        ops: `(n, 6)`, as `topology_ops` returns them.
    """
    ones, threes = ((ops == _OPS.index(name)).sum(1) for name in ("nor_conv_1x1", "nor_conv_3x3"))
    squares, widths = sum(width**2 for width in _WIDTHS), sum(_WIDTHS)
    found: Arrays = {"op_names": np.array(_OPS), "edges": np.array(_EDGES, dtype=np.uint8), "ops": ops}
    for dataset, (prefix, classes) in PREFIXES.items():
        side = 16 if dataset == "ImageNet16-120" else 32
        pixels = [(side // 2**stage) ** 2 for stage in range(len(_WIDTHS))]
        per_one = _CELLS * sum(width**2 * area for width, area in zip(_WIDTHS, pixels, strict=True))
        params, macs = 27 * 16 + 2 * 16, 27 * 16 * pixels[0]
        for before, after, area in zip(_WIDTHS, _WIDTHS[1:], pixels[1:], strict=False):
            block = 9 * before * after + 9 * after * after + before * after
            params += block + 4 * after
            macs += block * area
        params += 2 * 64 + 65 * classes
        macs += 64 * classes
        found[f"{prefix}_params"] = (
            params + (_CELLS * (squares + 2 * widths)) * ones + (_CELLS * (9 * squares + 2 * widths)) * threes
        ).astype(np.int32)
        found[f"{prefix}_macs"] = (macs + per_one * ones + 9 * per_one * threes).astype(np.int32)
    return found


def _count(counts: Arrays, row: int, results: Mapping[str, Any]) -> None:
    """Put the file's own parameters and multiply-accumulates of an architecture into its row."""
    for record in results.values():
        for (dataset, _), trial in record["all_results"].items():
            if dataset in PREFIXES:
                prefix, classes = PREFIXES[dataset]
                for column, value in (
                    ("params", trial["params"] * 1e6),
                    ("macs", trial["flop"] * 1e6 - classes),
                ):
                    values = counts.setdefault(f"{prefix}_{column}", np.zeros(_N_SIZES, dtype=np.int32))
                    values[row] = round(float(value))
