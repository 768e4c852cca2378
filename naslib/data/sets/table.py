"""Any table of image files and their classes or values."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from naslib.data.image_data import ImageData, ImageSet
from naslib.data.image_files import FileOptions, Files, read_files, with_targets
from naslib.data.info import ImageSize
from naslib.data.labels import assign_classes, check_enough_images, listed
from naslib.data.mask_files import read_mask_files
from naslib.data.registry import DATASETS, locate
from naslib.data.sets._tables import Kind, Rows, TableColumns, read_rows
from naslib.data.sets._test_sets import with_test_sets
from naslib.data.splits import TEST_SPLIT_SEED, split_test
from naslib.data.targets import number_masks, read_label_sets, read_values
from naslib.data.verify import raise_together
from naslib.errors import ConfigError, DataError

_logger = logging.getLogger("naslib.data")
_KINDS: dict[str, Kind] = {"regression": "values", "segmentation": "masks"}


@DATASETS.register("table")
def load_table(
    data_dir: Path | None,
    seed: int,
    *,
    path: str | None = None,
    paths: str | None = None,
    labels: str | Sequence[str] | None = None,
    split: str | None = None,
    task: Literal["classification", "regression", "segmentation"] = "classification",
    multi_label: bool = False,
    class_names: Sequence[str] | None = None,
    image_size: ImageSize | None = None,
    channels: int | None = None,
    in_memory: bool | None = None,
    flip: bool = False,
    resized_crop: bool | None = None,
    test_portion: float = 0.2,
    split_seed: int = TEST_SPLIT_SEED,
    scale: float | None = None,
    skip_corrupt: bool = False,
    test_sets: Mapping[str, str] | None = None,
) -> ImageData:
    """Load a table of paths and labels: CSV or TSV with a line of column names, or Parquet.

    Args:
        data_dir: Where a relative path is looked for after the working directory.
        seed: Not used: the test split does not depend on the run.
        path: The table; relative paths in it are relative to its folder.
        paths: The column of paths; if None, the one that is called `path`, `file`, `filename`, `image` ...
        labels: The column of classes; of values one or several. If None, the one that is called `label`, `class`,
            `target` ..., else the only other one, or all that hold numbers.
        split: The column that says `train`, `test` or `val`; if None, the one that is called `split` ..., if there is
            one. Rows of `val` are the test part where no row says `test`, and are not used otherwise.
        task: Whether labels are classes, numbers, or paths of masks (one class number a pixel; in memory only).
        multi_label: Whether several columns of 0 and 1 say which classes an image has.
        class_names: Names of the classes in order, or of the values.
        image_size: As for a folder of images.
        channels: Likewise.
        in_memory: Likewise.
        flip: Whether labels survive a horizontal flip.
        resized_crop: As for a folder of images; no areas are taken where labels are numbers.
        test_portion: Share that becomes the test part where the table has no column of parts.
        split_seed: Seed of that split.
        scale: As for a folder of images.
        skip_corrupt: Whether files that are missing or cannot be read are left out, in place of an error.
        test_sets: More test sets by name, each a folder, a table or an `.npz` file.

    Raises:
        ConfigError: If no path is given.
        DatasetMissing: If there is no such table.
        DataError: If columns, cells or files are wrong; missing and damaged files are listed together.
    """
    if path is None:
        raise ConfigError("data set 'table' needs the path of a table: dataset=my/table.csv, or the argument path")
    if task == "regression" and resized_crop is None:
        resized_crop = False
    if task == "segmentation" and in_memory is None:
        in_memory = True
    file, columns = locate(path, data_dir, "table"), TableColumns(paths, labels, split)
    options = FileOptions(image_size, channels, in_memory, resized_crop, scale, bool(skip_corrupt))
    rows = read_rows(file, columns, _KINDS.get(task, "values" if multi_label else "classes"))
    used = _used(file, rows)
    files = read_files(file.stem, [rows.paths[row] for row in used], np.arange(len(used)), options)
    masks = None
    if task == "segmentation":
        files, masks = _with_masks(file.stem, files, rows, used, options)
    kept = used[files.kept]
    places = _split(file, rows, kept, test_portion, split_seed)
    parts: Sequence[Any]
    if masks is None:
        chosen = [kept[place] for place in places]
        parts, names = _targets(file.stem, rows, chosen, task, multi_label, class_names)
    else:
        parts, names = _masks(file.stem, masks, places, class_names)
    train, test = (
        with_targets(files.images.take(place), torch.as_tensor(part)) for place, part in zip(places, parts, strict=True)
    )
    info = replace(files.info(file.stem, train, task, names, flip), multi_label=multi_label)
    data = ImageData(info, train, test, about=files.about())
    return with_test_sets(data, test_sets, data_dir, options, columns)


def _with_masks(
    name: str, files: Files, rows: Rows, used: NDArray[np.int64], options: FileOptions
) -> tuple[Files, NDArray[np.int64]]:
    """Return the files whose masks can be read, and these masks.

    Raises:
        DataError: If some cannot be read and are not left out, or images are to be streamed.
    """
    if not isinstance(files.images, ImageSet):
        raise DataError(f"data set {name!r}: images with masks are kept in memory; leave in_memory out")
    kept = used[files.kept]
    images, paths = [rows.paths[row] for row in kept], [str(rows.targets[row]) for row in kept]
    masks, errors = read_mask_files(name, paths, images, files.choice.size)
    if errors and (not options.skip_corrupt or len(errors) == len(paths)):
        raise_together(list(errors.values()), len(paths), "masks")
    if not errors:
        return files, masks
    _logger.warning(
        "data set %r: %d of %d masks cannot be read and are left out with their images (skip_corrupt): %s",
        name, len(errors), len(paths), listed((str(error) for error in errors.values()), "{}"),
    )  # fmt: skip
    good = np.array([place for place in range(len(paths)) if place not in errors], dtype=np.int64)
    left_out = {**files.left_out, **{paths[place]: str(error) for place, error in errors.items()}}
    return Files(files.images.take(good), files.kept[good], files.choice, left_out), masks[good]


def _masks(
    name: str,
    masks: NDArray[np.int64],
    places: Sequence[NDArray[np.int64]],
    class_names: Sequence[str] | None,
) -> tuple[list[torch.Tensor], tuple[str, ...]]:
    """Return the masks of both parts, numbered as those of arrays are, and the names of classes."""
    pairs = list(zip(("the training masks", "the test masks"), (masks[place] for place in places), strict=True))
    found = number_masks(name, class_names, pairs)
    return found.parts, found.names


def _targets(
    name: str,
    rows: Rows,
    chosen: Sequence[NDArray[np.int64]],
    task: str,
    multi_label: bool,
    class_names: Sequence[str] | None,
) -> tuple[list[NDArray[np.int64]] | list[NDArray[np.float32]], tuple[str, ...]]:
    """Return the targets of both parts, and the names of classes or values."""
    given = [rows.targets[part] for part in chosen]
    if task == "regression" or multi_label:
        read = read_label_sets if multi_label else read_values
        names = rows.names if class_names is None else tuple(str(label) for label in class_names)
        if len(names) != given[0].shape[1]:
            raise DataError(f"data set {name!r}: {len(names)} class_names for {given[0].shape[1]} columns")
        return [read(part, len(part), f"{name!r} {listed(rows.names)}") for part in given], names
    pairs = list(zip(("the training rows", "the test rows"), given, strict=True))
    numbers, names = assign_classes(name, pairs, class_names)
    check_enough_images(name, len(np.unique(numbers[0])), len(numbers[0]))
    return numbers, names


def _used(file: Path, rows: Rows) -> NDArray[np.int64]:
    """Return which rows are used: all, but those of `val` where there is a test part."""
    if rows.parts is None:
        return np.arange(len(rows.paths))
    parts = np.array(rows.parts)
    if not (parts == "train").any():
        raise DataError(f"the table {file} has no row of the training part (train)")
    if (parts == "test").any() and (parts == "val").any():
        _logger.info(
            "%s: the test part are the rows of test; %d of val are not used", file.name, (parts == "val").sum()
        )
        return np.flatnonzero(parts != "val")
    return np.arange(len(parts))


def _split(
    file: Path, rows: Rows, kept: NDArray[np.int64], portion: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the places of the training part and of the test part among the rows that are kept."""
    if rows.parts is not None:
        is_train = np.array(rows.parts)[kept] == "train"
        if is_train.all() and set(rows.parts) != {"train"}:
            raise DataError(f"the table {file}: no image of the test part can be read")
        if not is_train.any():
            raise DataError(f"the table {file}: no image of the training part can be read")
        if not is_train.all():
            return np.flatnonzero(is_train), np.flatnonzero(~is_train)
    classes = np.zeros(len(kept), dtype=np.int64)
    if rows.targets.ndim == 1 and len(np.unique(rows.targets)) < len(rows.targets):  # paths of masks are no classes
        classes = np.unique(rows.targets[kept], return_inverse=True)[1].astype(np.int64)
    return split_test(classes, portion, seed)
