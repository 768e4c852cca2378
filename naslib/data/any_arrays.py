"""Arrays of any rank as data sets: images, vectors, sequences, tokens; what no space reads is refused."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from naslib.data.arrays import Layout, as_array, to_images
from naslib.data.image_data import ImageData, ImageSet, split_off_test
from naslib.data.info import DatasetInfo, Kind, default_class_names
from naslib.data.labels import assign_classes, read_labels
from naslib.data.sequences import read_sequences, sequence_data, sequence_info
from naslib.data.splits import TEST_SPLIT_SEED
from naslib.data.targets import has_one_class, read_label_sets, read_masks, read_values
from naslib.errors import DataError

_logger = logging.getLogger("naslib.data")
_LAYOUTS = {"image": ("nchw", "nhwc"), "sequence": ("nct", "ntc"), "tokens": ()}
_WINDOW = 35


def kind_of(x: NDArray[Any], what: str, task: str, kind: str | None = None, vocabulary: int | None = None) -> Kind:
    """Return what an array holds.

    * `"tokens"` where there is a vocabulary, of a language model, and of `(n, t)` integers of more than 8 bits.
    * `"sequence"` of other `(n, f)`: vectors, read as sequences of one channel; of `(n, t, c)` where the task is
      `sequence_classification`.
    * `"image"` of `(n, h, w)`, `(n, c, h, w)` and `(n, h, w, c)`.

    Args:
        x: The array.
        what: Its name, for messages.
        task: What is learned.
        kind: What was said; it goes before these rules.
        vocabulary: Number of different tokens, where it was said.

    Raises:
        DataError: If it has one axis, or more than four.
    """
    axes = x.ndim - (task == "language_modelling" and x.ndim == 1)
    if x.ndim >= 5:
        raise DataError(
            f"{what} has {x.ndim} axes, {x.shape}: volumes and videos are read by no search space; slices as channels, "
            "(n, d, h, w) with layout: nchw, are images to all spaces that read images"
        )
    if axes == 1:
        raise DataError(f"{what} has one number for each item, {x.shape}: expected (n, f), (n, t), (n, h, w) or more")
    if kind is not None:
        return kind  # type: ignore[return-value]
    if vocabulary or task == "language_modelling":
        return "tokens"
    if x.ndim == 2:
        is_tokens = x.dtype.kind in "iu" and x.dtype.itemsize > 1 and x.min(initial=0) >= 0
        found: Kind = "tokens" if is_tokens else "sequence"
        words = "integers (n, t) are taken as tokens" if is_tokens else "(n, f) is taken as vectors of f numbers"
        _logger.info("%s of shape %s: %s; kind: says it otherwise", what, x.shape, words)
        return found
    return "sequence" if task == "sequence_classification" and x.ndim == 3 else "image"


def any_data(
    name: str,
    parts: Mapping[str, tuple[Any, Any]],
    *,
    task: str = "classification",
    kind: str | None = None,
    vocabulary: int | None = None,
    layout: str | None = None,
    class_names: Sequence[str] | None = None,
    multi_label: bool = False,
    test_portion: float = 0.2,
    split_seed: int = TEST_SPLIT_SEED,
    **of_images: Any,
) -> ImageData:
    """Build a data set from arrays of any rank.

    Args:
        name: What to call it.
        parts: Inputs and targets of `train`, and of `test` where there is one.
        task: What is learned.
        kind: What the inputs are, where their shape does not say it (see `kind_of`).
        vocabulary: Number of different tokens; the largest and one if None.
        layout: Where channels are: `nchw` or `nhwc` of images, `nct` or `ntc` of sequences (the shorter axis if None).
        class_names: Names of classes or values.
        multi_label: Whether an item has any number of classes.
        test_portion: Share that becomes the test part where there is none.
        split_seed: Seed of that split.
        **of_images: Keywords of `ImageData.from_arrays` that are for images alone.

    Raises:
        DataError: If shapes, types or targets cannot be used.
    """
    given = {part: (as_array(x, f"{name!r} x_{part}"), y) for part, (x, y) in parts.items()}
    first = given["train"][0]
    what = kind_of(first, f"{name!r} x", task, kind, vocabulary)
    if layout is not None and layout not in _LAYOUTS[what]:
        choices = " or ".join(_LAYOUTS[what]) or "none"
        raise DataError(f"data set {name!r}: layout of {what} data is {choices}, got {layout!r}")
    split: dict[str, Any] = {"test_portion": test_portion, "split_seed": split_seed}
    (x, y), (x_test, y_test) = given["train"], given.get("test", (None, None))
    if what == "image":
        if task in ("sequence_classification", "language_modelling"):
            raise DataError(f"data set {name!r}: {task} is not learned of images, {first.shape}")
        more = {**split, **of_images, "class_names": class_names, "multi_label": multi_label}
        return ImageData.from_arrays(name, x, y, x_test, y_test, task=task, layout=layout, **more)  # type: ignore[arg-type]
    if task == "segmentation":
        raise DataError(f"data set {name!r}: segmentation has a class per pixel of images, x is {first.shape}")
    if what == "tokens":
        vocabulary = vocabulary or 1 + max(int(np.max(part, initial=0)) for part, _ in given.values())
    if task == "language_modelling":
        return _language(name, given, vocabulary or 0, class_names, split)
    task = "sequence_classification" if task == "classification" else task
    if what == "sequence":
        x = to_nct(x, f"{name!r} x", layout)
        x_test = None if x_test is None else to_nct(x_test, f"{name!r} x_test", layout)
    more = {**split, "class_names": class_names, "multi_label": multi_label, "vocabulary": vocabulary or 0}
    return sequence_data(name, x, y, x_test, y_test, task=task, **more)


def to_nct(x: NDArray[Any], what: str, layout: str | None = None) -> NDArray[Any]:
    """Return sequences as `(n, c, t)`: of `(n, t)` one channel; of three axes the shorter of the last two if None."""
    if x.ndim == 2:
        return x[:, None]
    if x.ndim != 3:
        raise DataError(f"{what} must be sequences (n, t), (n, c, t) or (n, t, c), got shape {x.shape}")
    found = layout or ("nct" if x.shape[1] <= x.shape[2] else "ntc")
    if layout is None:
        _logger.info("%s of shape %s: taken as %s; layout: nct or ntc says it otherwise", what, x.shape, found)
    return x if found == "nct" else x.transpose(0, 2, 1)


def _language(
    name: str,
    given: Mapping[str, tuple[NDArray[Any], Any]],
    vocabulary: int,
    class_names: Sequence[str] | None,
    split: Mapping[str, Any],
) -> ImageData:
    """Return windows of tokens, whose targets are the next tokens."""
    if class_names is not None and len(class_names) != vocabulary:
        raise DataError(f"data set {name!r}: {len(class_names)} class_names for a vocabulary of {vocabulary}")
    parts = [_windows(x, y, f"{name!r} {part}", vocabulary) for part, (x, y) in given.items()]
    if len(parts) == 1:
        parts = [*split_off_test(parts[0], split["test_portion"], split["split_seed"])]
    names = class_names or default_class_names(vocabulary)
    return ImageData(sequence_info(name, parts[0].images, names, "language_modelling", vocabulary), *parts)


def _windows(x: NDArray[Any], y: Any, what: str, vocabulary: int) -> ImageSet:
    if x.ndim == 1:  # one text
        count = (len(x) - 1) // _WINDOW
        if count < 1:
            raise DataError(f"{what} has {len(x)} tokens, fewer than a window of {_WINDOW} and the next")
        cut = x[: count * _WINDOW + 1]
        x, y = cut[:-1].reshape(count, _WINDOW), cut[1:].reshape(count, _WINDOW)
    elif y is None:
        x, y = x[:, :-1], x[:, 1:]
    inputs = read_sequences(x, f"{what} x", vocabulary)
    targets = read_sequences(y, f"{what} y", vocabulary)
    if targets.shape != inputs.shape:
        raise DataError(f"{what}: next tokens must be {tuple(inputs.shape)} as the tokens, got {tuple(targets.shape)}")
    return ImageSet(inputs, targets)


def read_part(what: str, x: ArrayLike, y: Any, info: DatasetInfo) -> ImageSet:
    """Return arrays as one more part of a data set.

    Args:
        what: What they are, for messages.
        x: Inputs, of the shape and scale of those of the data set.
        y: Targets: classes by the labels or names of the data set, values, or masks.
        info: The data set.

    Raises:
        DataError: If they are of another kind, shape or scale.
    """
    array = as_array(x, what)
    if info.task == "language_modelling":
        return _windows(array, y, what, info.vocabulary)
    if info.kind == "image":
        layouts: dict[tuple[int, ...], Layout] = {(info.height, info.width, info.in_channels): "nhwc"}
        layouts[info.input_shape] = "nchw"
        images = to_images([(what, array)], what, None, layouts.get(array.shape[1:]))
        inputs = images.parts[0]
        if images.scale != info.scale and info.scale == 255.0:
            raise DataError(f"{what}: its pixels are {array.dtype}, those of {info.name!r} bytes; give bytes")
        if images.scale != info.scale and inputs.dtype == torch.uint8 and array.dtype.kind in "bf":
            inputs = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32)).reshape(inputs.shape)
    elif info.kind == "tokens":
        inputs = read_sequences(array, what, info.vocabulary)
    else:
        swapped = array.ndim == 3 and array.shape[1:] == (info.width, info.in_channels)
        inputs = read_sequences(array.transpose(0, 2, 1) if swapped else array, what, 0)
    return ImageSet(inputs, _read_targets(what, y, inputs, info))


def _read_targets(what: str, y: Any, inputs: torch.Tensor, info: DatasetInfo) -> torch.Tensor:
    if has_one_class(info):
        labels = read_labels(y, len(inputs), what)
        if as_array(y, what).ndim != 2 or as_array(y, what).shape[1] == 1:  # one-hot rows are class numbers already
            labels = np.array([str(label) for label in labels.tolist()])
        (numbers,), _ = assign_classes(info.name, [(what, labels)], info.class_names)
        return torch.from_numpy(numbers)
    if info.task == "segmentation":
        masks = read_masks(y, tuple(inputs.shape), what)
        places = {name: index for index, name in enumerate(info.class_names)}
        unknown = sorted({str(value) for value in np.unique(masks).tolist() if value != 255} - set(places))
        if unknown and int(masks[masks != 255].max()) < len(places):  # numbers of named classes
            return torch.from_numpy(masks.astype(np.uint8))
        if unknown:
            raise DataError(f"{what} has classes of pixels that {info.name!r} lacks: {unknown[:10]}")
        table = np.full(int(masks.max()) + 1, 255, dtype=np.uint8)
        for value in np.unique(masks).tolist():
            table[value] = places.get(str(value), 255)
        return torch.from_numpy(table[masks])
    rows = read_label_sets(y, len(inputs), what) if info.multi_label else read_values(y, len(inputs), what)
    return torch.from_numpy(rows)
