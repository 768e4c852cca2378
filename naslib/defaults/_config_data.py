"""The data that a config names, and the options of its loaders."""

from __future__ import annotations

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

_Key = tuple[str, str | None, int, str]
# The data sets that were read last, by what they were asked for with: search and evaluation read them once.
_kept: dict[_Key, ImageData] = {}
_MOST = 2


def load_config_data(config: Any) -> ImageData:
    """Return the data set of a config; the last two are kept, so that search and evaluation read it once.

    What was chosen for it where the config does not say it (`image_size` of a folder ...) is written into its
    `dataset_args`, so that the config that a run leaves says it.
    """
    key = _key_of(config)
    data = _kept.get(key)
    if data is None:
        name, data_dir, seed, arguments = key
        data = load_data(name, data_dir=data_dir, seed=seed, **json.loads(arguments))
        others = {kept: value for kept, value in _kept.items() if value is not data}
        last = list({id(value): value for value in others.values()}.values())[1 - _MOST :]
        _kept.clear()
        _kept.update({kept: value for kept, value in others.items() if any(value is one for one in last)})
        _kept[key] = data
    chosen = data.about.get("chosen")
    if chosen:
        given = {name: value for name, value in (config.get("dataset_args") or {}).items() if value is not None}
        config["dataset_args"] = {**chosen, **given}
        _kept[_key_of(config)] = data
    return data


def _key_of(config: Any) -> _Key:
    arguments = json.dumps(dict(config.get("dataset_args") or {}), sort_keys=True, default=str)
    return config.dataset, config.get("data"), int(config.get("seed", 0)), arguments


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

    Where no length is allowed, the config says `cutout: false`, which it can be read back with.

    Returns:
        Whether there was one.
    """
    given, found = vars(config).get("given", frozenset()), False
    for name in ("search", "evaluation"):
        section = config[name]
        if f"{name}.cutout_length" in given or section.get("cutout_length", 0) <= info.cutout_max:
            continue
        if info.cutout_max:
            section["cutout_length"], found = info.cutout_max, True
        elif section.get("cutout"):
            section["cutout"], found = False, True
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
