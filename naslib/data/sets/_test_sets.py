"""More test sets of a data set: folders, tables and `.npz` files that are read as its own images were."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from naslib.data.any_arrays import read_part
from naslib.data.headers import ImageKind
from naslib.data.image_data import ImageData, ImageSet
from naslib.data.image_files import FileOptions, Files, read_files, with_targets
from naslib.data.info import DatasetInfo
from naslib.data.labels import assign_classes
from naslib.data.registry import locate
from naslib.data.sets._class_folders import scan_class_folders
from naslib.data.sets._npz import choose_parts, read_arrays
from naslib.data.sets._tables import TableColumns, is_table, read_rows
from naslib.data.stream_set import StreamSet
from naslib.data.targets import read_label_sets, read_values
from naslib.errors import DataError

_logger = logging.getLogger("naslib.data")


def with_test_sets(
    data: ImageData,
    paths: Mapping[str, str] | None,
    data_dir: Path | None,
    options: FileOptions | None = None,
    columns: TableColumns | None = None,
) -> ImageData:
    """Return a data set with more test sets, whose classes, sizes and levels are those of its training part.

    Args:
        data: The data set.
        paths: Where each is: a folder of class folders, a table, or an `.npz` file (its test part, or its only one).
        data_dir: Where relative paths are looked for after the working directory.
        options: How its own image files were read; None where it has none.
        columns: What the columns of its own table hold; those of others are called the same, or guessed.

    Raises:
        DatasetMissing: If there is nothing at a path.
        DataError: If a test set does not fit; the message names it.
    """
    if not paths:
        return data
    if not isinstance(paths, Mapping) or not all(isinstance(path, str) for path in paths.values()):
        raise DataError(f"test_sets must be a mapping of names to paths, got {paths!r}")
    found: dict[str, ImageSet | StreamSet] = {}
    left_out = dict(data.about.get("left_out", {}))
    for name, path in paths.items():
        place = locate(path, data_dir, f"test set {name!r}")
        if place.suffix.lower() == ".npz":
            parts = choose_parts(place, read_arrays(place), data.info.task != "language_modelling")
            found[str(name)] = read_part(f"test set {name!r}", *parts.get("test", parts["train"]), data.info)
            continue
        if data.info.kind != "image" or data.info.task == "segmentation" or data.info.in_channels not in (1, 3):
            raise DataError(f"test set {name!r}: {place} holds image files, and {data.info.describe()} does not")
        files, targets = _read_images(name, place, data.info, options or FileOptions(), columns or TableColumns())
        found[str(name)] = with_targets(files.images, targets)
        left_out |= files.left_out
    for name, images in found.items():
        _logger.info("data set %r: test set %r has %d items", data.info.name, name, len(images))
    return replace(data, test_sets=found, about={**data.about, "left_out": left_out})


def _read_images(
    name: str, place: Path, info: DatasetInfo, options: FileOptions, columns: TableColumns
) -> tuple[Files, torch.Tensor]:
    """Return image files, read as those of a data set were, and their targets."""
    what = f"test set {name!r}"
    given: NDArray[Any]
    if place.is_dir():
        if info.task != "classification" or info.multi_label:
            raise DataError(f"{what}: {place} is a folder of class folders, and {info.describe()} has no classes")
        classes, samples = scan_class_folders(place)
        paths, given = [file for file, _ in samples], np.array([classes[label] for _, label in samples])
    elif is_table(place):
        rows = read_rows(place, columns, "values" if info.task == "regression" or info.multi_label else "classes")
        chosen = [
            i
            for i in range(len(rows.paths))
            if rows.parts is None or "test" not in rows.parts or rows.parts[i] == "test"
        ]
        paths, given = [rows.paths[index] for index in chosen], rows.targets[chosen]
    else:
        raise DataError(f"{what}: {place} is neither a folder, nor a table (.csv, .tsv, .parquet), nor an .npz file")
    choice = ImageKind(info.image_size, info.in_channels, info.scale, info.deep)
    files = read_files(
        f"{info.name}, test set {name}", paths, np.arange(len(paths)), replace(options, resized_crop=False), choice
    )
    return files, _targets(what, given[files.kept], info)


def _targets(what: str, given: NDArray[Any], info: DatasetInfo) -> torch.Tensor:
    """Return targets as those of a data set are: classes by their names, or rows of numbers."""
    if given.ndim == 2:
        read = read_label_sets if info.multi_label else read_values
        rows = read(given, len(given), what)
        if rows.shape[1] != info.num_classes:
            raise DataError(f"{what} has {rows.shape[1]} columns of values, {info.name!r} has {info.num_classes}")
        return torch.from_numpy(rows)
    texts = np.array([str(label) for label in given.tolist()])
    (numbers,), _ = assign_classes(info.name, [(what, texts)], info.class_names)
    return torch.from_numpy(numbers)
