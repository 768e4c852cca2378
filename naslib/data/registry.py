"""The data sets by name."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from naslib.data.image_data import ImageData
from naslib.errors import ConfigError, DataError, DatasetMissing, UnknownNameError, did_you_mean
from naslib.registry import Registry, catalogue
from naslib.utils.locations import ENVIRONMENT_VARIABLE, data_directories, find_path

# A data set that ends like one of these is the path of a file.
FILE_SUFFIXES = (".npz", ".csv", ".tsv", ".tab", ".parquet", ".pq")
DATASETS: Registry[Callable[..., ImageData]] = catalogue.DATASETS


def is_dataset(name: str) -> bool:
    """Return whether `load_data` understands the name: a registered one, or a path (`my.npz`, `my.csv`, `folder/`)."""
    return name in DATASETS or _is_path(name)


def load_data(
    name: str, *, data_dir: str | os.PathLike[str] | None = None, seed: int = 0, **dataset_args: Any
) -> ImageData:
    """Load a data set.

    Args:
        name: A registered name, whatever its case, or a path: an `.npz` file, a table (`.csv`, `.tsv`,
            `.parquet`), or a folder of class folders.
        data_dir: Where its files lie; then `NASLIB_DATA`, `./data` and the user's cache are looked at.
        seed: Seed of the run, for data sets that draw (ours do not: their test splits are the same in every run).
        **dataset_args: Keywords of the data set's loader.

    Raises:
        UnknownNameError: If there is no such data set; the message names the nearest.
        ConfigError: If the data set does not take a keyword.
        DatasetMissing: If its files are not there; the message says what to do.
        DataError: If it cannot be trained on.
    """
    args = dict(dataset_args)
    if name not in DATASETS and _is_path(name):
        args.setdefault("path", name)
        name = _kind_of_path(name)
    if name not in DATASETS:
        known = ", ".join(DATASETS.names())
        raise UnknownNameError(
            f"unknown data set {name!r}{did_you_mean(name, DATASETS)} (known: {known}; or a path to an .npz file of "
            "x and y, to a table of paths and labels (.csv, .tsv, .parquet), or to a folder of class folders)"
        )
    loader = DATASETS.get(name)
    _check_keywords(name, loader, args)
    folder = data_dir or os.environ.get(ENVIRONMENT_VARIABLE)
    data = loader(None if folder is None else Path(folder).expanduser(), seed, **args)
    if not isinstance(data, ImageData):
        raise DataError(f"the loader of data set {name!r} must return ImageData, it returned {type(data).__name__}")
    return data


def locate(path: str | os.PathLike[str], data_dir: str | os.PathLike[str] | None, what: str) -> Path:
    """Return where a user's file or folder is.

    Raises:
        DatasetMissing: If it is neither there as given nor in a data directory.
    """
    found = find_path(path, data_dir)
    if found is None:
        folders = ", ".join(str(folder) for folder in data_directories(data_dir))
        raise DatasetMissing(f"no {what} at {path}, nor under that name in {folders}")
    return found


def _is_path(name: str) -> bool:
    if name.lower().endswith(FILE_SUFFIXES):
        return True
    # a bare word is a name: a folder "cifer10" in the working directory must not hide a typing error
    return (os.sep in name or name.startswith(("~", "."))) and Path(name).expanduser().is_dir()


def _kind_of_path(path: str) -> str:
    if Path(path).expanduser().is_dir():
        return "imagefolder"
    return "npz" if path.lower().endswith(".npz") else "table"


def _check_keywords(name: str, loader: Callable[..., ImageData], args: dict[str, Any]) -> None:
    parameters = list(inspect.signature(loader).parameters.values())
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
        return
    known = [parameter.name for parameter in parameters[2:]]
    unknown = [key for key in args if key not in known]
    takes = ", ".join(known) or "nothing"
    if unknown:
        raise ConfigError(
            [f"data set {name!r} takes no {key!r}{did_you_mean(key, known)} (it takes: {takes})" for key in unknown]
        )
