"""Find the table of a space that was built by `naslib bench build`: a file that is named, in a folder, or shipped."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from pathlib import Path

from naslib.errors import BenchmarkError

from .results import is_results
from .trained import TrainedTable

# Tables that come with naslib
SHIPPED = Path(__file__).parent / "tables"


def table_name(search_space: str, dataset: str) -> str:
    """Return the file name under which a table is found in a folder: `nasbench201_digits.npz`."""
    return f"{search_space}_{dataset}.npz".lower()


def find_table(search_space: str, dataset: str | None, places: Sequence[str | os.PathLike[str]]) -> TrainedTable | None:
    """Return the table of a space and a data set; None where there is none.

    Args:
        search_space: Name of the space.
        dataset: Name of the data set; None for that of a file that is named.
        places: Folders, of which the first that has the table counts, before the shipped ones; or the file itself.

    Raises:
        BenchmarkError: If a file that is named is a table of another space or data set, or is damaged.
    """
    for place in [*map(Path, places), SHIPPED]:
        path = place if place.is_file() else place / table_name(search_space, dataset or "")
        if path == place or (dataset is not None and path.is_file()):
            return _checked(_open(path.resolve()), search_space, dataset)
    return None


def own_tables(places: Sequence[str | os.PathLike[str]]) -> list[Path]:
    """Return the tables of `naslib bench build` that are in folders, and those that come with naslib first."""
    folders = [SHIPPED, *(Path(place) for place in places if Path(place).is_dir())]
    return [path for folder in folders for path in sorted(folder.glob("*.npz")) if is_results(path)]


def _checked(table: TrainedTable, search_space: str, dataset: str | None) -> TrainedTable:
    if table.name.lower() != search_space.lower():
        raise BenchmarkError(f"{table.path} is a table of the search space {table.name!r}, not of {search_space!r}")
    if dataset is not None and not table.knows(dataset):
        raise BenchmarkError(f"{table.path} is a table of the data set {table.datasets[0]!r}, not of {dataset!r}")
    return table


def _open(path: Path) -> TrainedTable:
    return _opened(path, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=4)
def _opened(path: Path, modified: int) -> TrainedTable:
    return TrainedTable(path)
