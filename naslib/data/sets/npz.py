"""Any `.npz` file of inputs and targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from naslib.data.any_arrays import any_data
from naslib.data.image_data import ImageData
from naslib.data.registry import DATASETS, locate
from naslib.data.sets._npz import choose_parts, read_arrays
from naslib.data.sets._test_sets import with_test_sets
from naslib.data.splits import TEST_SPLIT_SEED
from naslib.errors import ConfigError


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
    task: Literal[
        "classification", "regression", "segmentation", "sequence_classification", "language_modelling"
    ] = "classification",
    multi_label: bool = False,
    scale: float | None = None,
    layout: Literal["nchw", "nhwc", "nct", "ntc"] | None = None,
    kind: Literal["image", "sequence", "tokens"] | None = None,
    vocabulary: int | None = None,
    test_sets: Mapping[str, str] | None = None,
) -> ImageData:
    """Load `x`, `y` (or `x_train`, `y_train`, `train_images` ...), and `x_test`, `y_test` where the file has them.

    Args:
        data_dir: Where a relative path is looked for after the working directory.
        seed: Not used: the test split does not depend on the run.
        path: The file.
        class_names: Names of the classes in order; an array `class_names` or `classes` in the file does too.
        flip: Whether labels survive a horizontal flip.
        crop_padding: Padding of the random crop; an eighth of the side if None.
        test_portion: Stratified share that becomes the test part where the file has none.
        split_seed: Seed of that split.
        task: What y holds: classes, values `(n,)` or `(n, k)`, masks `(n, h, w)`, or next tokens `(n, t)`.
        multi_label: Whether y is `(n, k)` of 0 and 1, any number of classes for an item.
        scale: By what pixels are divided; see `ImageData.from_arrays`.
        layout: Where the channels of x are: of images with four axes, or of sequences with three.
        kind: What x holds, where its shape does not say it; see `naslib.data.any_arrays.kind_of`.
        vocabulary: Number of different tokens; if None, the largest and one.
        test_sets: More test sets by name, each an `.npz` file, or for images a folder or a table.

    Raises:
        ConfigError: If no path is given.
        DatasetMissing: If there is no such file.
        DataError: If keys, shapes or types are wrong.
    """
    if path is None:
        raise ConfigError("data set 'npz' needs the path of a file: dataset=my.npz, or the argument path")
    file = locate(path, data_dir, "file")
    arrays = read_arrays(file)
    parts = choose_parts(file, arrays, needs_targets=task != "language_modelling")
    names = class_names if class_names is not None else arrays.get("class_names", arrays.get("classes"))
    data = any_data(
        file.stem,
        parts,
        class_names=None if names is None else [str(name) for name in names],
        flip=flip,
        crop_padding=crop_padding,
        test_portion=test_portion,
        split_seed=split_seed,
        task=task,
        multi_label=multi_label,
        scale=scale,
        layout=layout,
        kind=kind,
        vocabulary=vocabulary,
    )
    return with_test_sets(data, test_sets, data_dir)
