"""Any `.npz` file of images x and labels y."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from naslib.data.image_data import ImageData
from naslib.data.registry import DATASETS, locate
from naslib.data.splits import TEST_SPLIT_SEED
from naslib.data.verify import read_each
from naslib.errors import ConfigError, DataError, did_you_mean

_LAYOUTS = (("x", "y"), ("x_train", "y_train"))
# What numpy and the zip reader raise for damaged files: the last three for damaged headers within.
_UNREADABLE = (
    OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, SyntaxError,
)  # fmt: skip


@DATASETS.register("npz")
def load_npz(
    data_dir: Path | None,
    seed: int,
    *,
    path: str | None = None,
    class_names: Sequence[str] | None = None,
    flip: bool = False,
    crop_padding: int | None = None,
    test_portion: float = 0.2,
    split_seed: int = TEST_SPLIT_SEED,
    task: Literal["classification", "regression", "segmentation"] = "classification",
    multi_label: bool = False,
    scale: float | None = None,
    layout: Literal["nchw", "nhwc"] | None = None,
) -> ImageData:
    """Load `x`, `y` (or `x_train`, `y_train`), and `x_test`, `y_test` where the file has them.

    Args:
        data_dir: Where a relative path is looked for after the working directory.
        seed: Not used: the test split does not depend on the run.
        path: The file.
        class_names: Names of the classes in order; an array `class_names` or `classes` in the file does too.
        flip: Whether labels survive a horizontal flip.
        crop_padding: Padding of the random crop; an eighth of the side if None.
        test_portion: Stratified share that becomes the test part where the file has none.
        split_seed: Seed of that split.
        task: What y holds: classes, values `(n,)` or `(n, k)`, or masks `(n, h, w)`.
        multi_label: Whether y is `(n, k)` of 0 and 1, any number of classes for an image.
        scale: By what pixels are divided; see `ImageData.from_arrays`.
        layout: Where the channels of x are, if it has four axes.

    Raises:
        ConfigError: If no path is given.
        DatasetMissing: If there is no such file.
        DataError: If keys, shapes or types are wrong.
    """
    if path is None:
        raise ConfigError("data set 'npz' needs the path of a file: dataset=my.npz, or the argument path")
    file = locate(path, data_dir, "file")
    arrays = read_arrays(file)
    x_key, y_key = _choose_keys(file, arrays)
    names = class_names if class_names is not None else arrays.get("class_names", arrays.get("classes"))
    return ImageData.from_arrays(
        file.stem,
        arrays[x_key],
        arrays[y_key],
        arrays.get("x_test"),
        arrays.get("y_test"),
        class_names=None if names is None else [str(name) for name in names],
        flip=flip,
        crop_padding=crop_padding,
        test_portion=test_portion,
        split_seed=split_seed,
        task=task,
        multi_label=multi_label,
        scale=scale,
        layout=layout,
    )


def read_arrays(file: Path) -> dict[str, Any]:
    """Return the arrays of a file by name.

    Raises:
        DataError: If it, or some of its arrays, cannot be read; the message lists all of these.
    """
    try:
        stream = file.open("rb")  # numpy leaves a file open whose zip directory it cannot read
    except OSError as err:
        raise DataError(f"cannot read {file}: {err}") from err
    with stream:
        try:
            archive = np.load(stream, allow_pickle=False)
        except _UNREADABLE as err:
            raise DataError(f"cannot read {file} as an .npz file of plain arrays: {err}") from err
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise DataError(f"{file} holds a single array, expected an .npz file of x and y")

        def read(key: str) -> Any:
            try:
                return archive[key]
            except _UNREADABLE as err:
                raise DataError(f"cannot read {key} in {file} as a plain array: {err}") from err

        with archive:
            return dict(zip(archive.files, read_each(read, archive.files, "arrays"), strict=True))


def _choose_keys(file: Path, arrays: dict[str, Any]) -> tuple[str, str]:
    for x_key, y_key in _LAYOUTS:
        if x_key in arrays and y_key in arrays:
            return x_key, y_key
    hints = [did_you_mean(key, arrays) for key in ("x", "y")]
    raise DataError(
        f"{file} must hold x and y (or x_train and y_train; x_test and y_test if it has a test part), it holds "
        f"{', '.join(sorted(arrays)) or 'nothing'}{next((hint for hint in hints if hint), '')}"
    )
