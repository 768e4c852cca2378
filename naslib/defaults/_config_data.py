"""The data that a config names, and the options of its loaders."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any

import torch

from naslib.data.augment import AugmentOptions
from naslib.data.facade import augment_options
from naslib.data.image_data import ImageData
from naslib.data.info import DatasetInfo
from naslib.data.registry import load_data
from naslib.training.environment import resolve_device


def load_config_data(config: Any) -> ImageData:
    """Return the data set of a config; the last two are kept, so that search and evaluation read it once."""
    arguments = json.dumps(dict(config.get("dataset_args") or {}), sort_keys=True, default=str)
    return _load(config.dataset, config.get("data"), int(config.get("seed", 0)), arguments)


@functools.lru_cache(maxsize=2)
def _load(name: str, data_dir: str | None, seed: int, arguments: str) -> ImageData:
    return load_data(name, data_dir=data_dir, seed=seed, **json.loads(arguments))


def loader_options(config: Any, section_name: str) -> dict[str, Any]:
    """Return the keywords for `build_search_loaders` or `build_eval_loaders`."""
    section: Mapping[str, Any] = config[section_name]
    device = resolve_device(config.get("device", "auto"))
    last = uses_channels_last(device, config.search.get("channels_last", "auto"))
    return {
        "batch_size": int(section["batch_size"]),
        "train_portion": float(section["train_portion"]),
        "seed": int(config.get("seed", 0)),
        "device": device,
        "workers": int(config.get("workers", 0)),
        "augmentation": _augmentation(config, section_name),
        "memory_format": torch.channels_last if last else torch.contiguous_format,
    }


def settle_cutout(config: Any, info: DatasetInfo) -> bool:
    """Reduce a cutout length that nobody gave to what the images allow, so that the echoed config says what is done.

    Returns:
        Whether there was one.
    """
    given, found = vars(config).get("given", frozenset()), False
    for name in ("search", "evaluation"):
        section = config[name]
        if f"{name}.cutout_length" not in given and section.get("cutout_length", 0) > info.cutout_max:
            section["cutout_length"], found = info.cutout_max, True
    return found


def uses_channels_last(device: torch.device, chosen: Any) -> bool:
    """Return whether images are channels-last: as chosen, or where it is faster, which is on the CPU."""
    return device.type == "cpu" if chosen == "auto" else bool(chosen)


def _augmentation(config: Any, section_name: str) -> AugmentOptions:
    """Return the augmentation; a cutout length that the user gave is taken as it is."""
    section = config[section_name]
    options = augment_options(section)
    if f"{section_name}.cutout_length" in vars(config).get("given", ()):
        return AugmentOptions(
            cutout=options.cutout, cutout_length=int(section["cutout_length"]), cutout_prob=options.cutout_prob
        )
    return options
