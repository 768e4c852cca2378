"""NASLib's function: config in, queues and transforms out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from naslib.data.augment import DEFAULT_CUTOUT_LENGTH, AugmentOptions
from naslib.data.epoch_loader import EpochLoader
from naslib.data.loaders import build_eval_loaders, build_search_loaders
from naslib.data.registry import load_data
from naslib.data.transforms import build_transforms
from naslib.errors import ConfigError

_MODES = {"train": "search", "search": "search", "val": "evaluation", "eval": "evaluation", "evaluation": "evaluation"}


def get_train_val_loaders(
    config: Any, mode: str = "train"
) -> tuple[EpochLoader, EpochLoader | None, EpochLoader, Callable[..., Any], Callable[..., Any]]:
    """Return `(train_queue, valid_queue, test_queue, train_transform, valid_transform)`.

    The queues yield batches on the CPU, already augmented and normalised. The transforms do the same to single PIL
    images. With a train portion of 1 the valid queue is None (in NASLib it is an empty one).

    Args:
        config: A config; read are `dataset`, `dataset_args`, `data`, `seed`, `workers` and of the section of the mode
            `batch_size, train_portion, seed, cutout, cutout_length, cutout_prob`.
        mode: `"train"` for the `search` section, `"val"` for the `evaluation` section.

    Raises:
        ConfigError: If the mode is another, or the config does not fit the data set.
    """
    if mode not in _MODES:
        raise ConfigError(f"unknown mode {mode!r}: 'train' reads config.search, 'val' reads config.evaluation")
    section = getattr(config, _MODES[mode])
    seed = _first("seed", None, config, section)
    arguments = dict(_first("dataset_args", {}, config))
    data = load_data(config.dataset, data_dir=_first("data", None, config), seed=int(seed or 0), **arguments)
    # our own config records which keys the user gave; another object does not
    given = f"{_MODES[mode]}.cutout_length" in getattr(config, "__dict__", {}).get("given", ())
    options = augment_options(section, length_given=given)
    build = build_search_loaders if _MODES[mode] == "search" else build_eval_loaders
    loaders = build(
        data,
        batch_size=int(_first("batch_size", None, section, config)),
        train_portion=float(_first("train_portion", 1.0, section, config)),
        seed=int(seed or 0),
        workers=int(_first("workers", 0, config)),
        augmentation=options,
    )
    train_transform, valid_transform = build_transforms(data.info, options)
    return loaders.train, loaders.valid, loaders.test, train_transform, valid_transform


def augment_options(section: Any, *, length_given: bool = False) -> AugmentOptions:
    """Read the augmentation of a config section.

    Args:
        section: What has `cutout`, `cutout_length` and `cutout_prob`.
        length_given: Whether the user gave the cutout length. If unknown, 16, the default of the schema, counts as not
            given, and small images take what their data set allows; any other number was chosen, and raises later if it
            would erase the image.
    """
    length = _first("cutout_length", None, section)
    chosen = length is not None and (length_given or int(length) != DEFAULT_CUTOUT_LENGTH)
    return AugmentOptions(
        cutout=bool(_first("cutout", False, section)),
        cutout_length=int(length) if chosen else None,
        cutout_prob=float(_first("cutout_prob", 1.0, section)),
    )


def _first(key: str, default: Any, *places: Any) -> Any:
    """Return the first value of `key` that is given."""
    for place in places:
        value = getattr(place, key, None)
        if value is not None:
            return value
    return default
