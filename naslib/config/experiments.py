"""Configs of NASLib's other experiments: predictors, zero-cost proxies, statistics, searches on benchmarks."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from naslib.errors import ConfigError, did_you_mean
from naslib.utils.attrdict import AttrDict

from .config import Config
from .extensions import SchemaExtensions
from .find import find_config_file
from .loader import load_config
from .overrides import split_overrides
from .yaml_reader import parse_value, read_yaml

_LOADING = {
    "batch_size": 256,
    "data_size": 25000,
    "cutout": False,
    "cutout_length": 16,
    "cutout_prob": 1.0,
    "train_portion": 0.7,
}
_SIZES = {
    "experiment_type": "single",
    "train_size_single": 10,
    "train_size_list": [5, 8, 14, 24, 42, 71, 121, 205],
    "fidelity_single": 5,
    "fidelity_list": [1, 2, 3, 5, 7, 9, 13, 19, 26, 37, 52, 73],
    "max_hpo_time": 0,
    "uniform_random": 1,
}
_PLACE = {"search_space": "nasbench201", "dataset": "cifar10", "out_dir": "run", "data": None}
# Keys and defaults of the experiments that are no search
_DEFAULTS: dict[str, dict[str, Any]] = {
    "predictor": {
        **_PLACE, **_SIZES,
        "seed": 1000, "predictor": "mlp", "test_size": 200, "hparams_from_file": None, "search": _LOADING,
    },
    "zc": {
        **_PLACE,
        "seed": 0, "predictor": "synflow", "config_type": "zc", "test_size": 200, "train_size": 400,
        "optimizer": "npenas", "train_portion": 0.7, "batch_size": 32, "cutout": False, "cutout_length": 16,
        "cutout_prob": 1.0, "train_data_file": None, "test_data_file": None, "search": {**_LOADING, "seed": 0},
    },
    "statistics": {
        **_PLACE,
        "seed": 1000, "run_acc_stats": 1, "max_set_size": 1000, "run_nbhd_size": 1, "max_nbhd_trials": 500,
        "run_autocorr": 1, "max_autocorr_trials": 10, "autocorr_size": 36, "walks": 500,
    },
    "oneshot": {
        **_PLACE, **_SIZES,
        "seed": 0, "optimizer": "oneshot", "predictor": "oneshot", "test_size": 200,
        "search": {**_LOADING, "epochs": 50, "predictor_type": "oneshot"},
    },
}  # fmt: skip
# Of the searches: what NASLib's files say of them beside what every search has
_SEARCHES: dict[str, dict[str, Any]] = {
    "bbo-bs": {
        "seed": 0, "optimizer": "re", "search_space": "nasbench201", "dataset": "cifar10", "out_dir": "run",
        "search": {
            "checkpoint_freq": 1000, "fidelity": -1, "epochs": 10, "predictor_type": "var_sparse_gp", "num_init": 10,
            "k": 10, "num_ensemble": 3, "acq_fn_type": "its", "acq_fn_optimization": "mutation",
            "encoding_type": "adjacency_one_hot", "num_arches_to_mutate": 1, "max_mutations": 1, "num_candidates": 50,
            "sample_size": 10, "population_size": 30,
        },
    },
    "nas_predictor": {
        "seed": 0, "optimizer": "bananas", "search_space": "nasbench201", "dataset": "cifar10", "out_dir": "run",
        "search": {
            "checkpoint_freq": 1000, "fidelity": -1, "epochs": 100, "predictor_type": "var_sparse_gp", "num_init": 10,
            "k": 10, "num_ensemble": 3, "acq_fn_type": "its", "acq_fn_optimization": "random_sampling",
            "encoding_type": "adjacency_one_hot", "num_arches_to_mutate": 2, "max_mutations": 1, "num_candidates": 20,
            "sample_size": 10, "population_size": 30,
        },
    },
}  # fmt: skip
# Keys of the section search that a method of NASLib reads elsewhere: attributes of it, not keys
_ASIDE = {"use_zc_api": False, "zc_names": None, "zc_ensemble": False, "zc_only": False}
TYPES = ("nas", *_SEARCHES, *_DEFAULTS)


def experiment_config(
    source: str | None, words: Sequence[str], config_type: str, extensions: SchemaExtensions | None = None
) -> Config:
    """Return the config of one of NASLib's experiments, with its folder in `save`.

    Args:
        source: A YAML file; None for the defaults alone.
        words: Overrides, as `key=value` words or pairs of words.
        config_type: `bbo-bs` or `nas_predictor`, which are searches and have all keys of one; `predictor`, `zc`,
            `statistics` or `oneshot`, which have their own.
        extensions: As for `load_config`.

    Raises:
        ConfigError: For an unknown type, or a key or value that there is not.
    """
    if config_type in _SEARCHES:
        return _search_config(source, words, config_type, extensions)
    if config_type not in _DEFAULTS:
        raise ConfigError(f"unknown config_type {config_type!r}{did_you_mean(config_type, TYPES)} ({', '.join(TYPES)})")
    config = Config(copy.deepcopy(_DEFAULTS[config_type]))
    given = read_yaml(find_config_file(source))[0] if source else {}
    _merge(config, given, "")
    _merge(config, _nested(words), "")
    config["data"] = config["data"] or os.environ.get("NASLIB_DATA", "data")
    config.save = _folder(config, config_type)
    if "search" in config:
        config.search.set_hidden("seed", config.seed)
    return config


def _search_config(
    source: str | None, words: Sequence[str], config_type: str, extensions: SchemaExtensions | None
) -> Config:
    raw = copy.deepcopy(_SEARCHES[config_type])
    given = read_yaml(find_config_file(source))[0] if source else {}
    overrides, _ = split_overrides(words)
    aside = dict(_ASIDE)
    for key, value in (given.get("search") or {}).items():
        if key in aside:
            aside[key] = value
    aside |= {k.split(".")[1]: parse_value(v) for k, v in overrides if k.startswith("search.") and k[7:] in aside}
    number = dict(overrides).get("config_id", given.get("config_id", 0))
    kept = [
        f"{key}={value}" for key, value in overrides if key != "config_id" and key.removeprefix("search.") not in aside
    ]
    _update(raw, {key: value for key, value in given.items() if key != "config_id"})
    raw["search"] = {key: value for key, value in raw["search"].items() if key not in aside}
    if aside["zc_only"]:
        raise ConfigError("search.zc_only: predictors read proxies beside the encoding, not alone; leave it out")
    method = str(dict(overrides).get("optimizer", raw["optimizer"])).lower()
    takes = (extensions.optimizers or {}).get(method, {}) if extensions is not None else {}
    # of a method that reads proxies they are keys, of another one NASLib's runner looks at them
    raw["search"] |= {key: value for key, value in aside.items() if key in takes and value is not None}
    config = load_config(raw, kept, extensions=extensions)
    for key, value in aside.items():
        if key not in config.search:
            config.search.set_hidden(key, value)
    config.set_hidden("config_id", int(number))
    names = (config.search_space, config.dataset, config.optimizer, f"config_{number}", str(config.seed))
    if config_type == "nas_predictor":
        names = (config.dataset, "nas_predictors", config.search_space, config.search.predictor_type, str(config.seed))
    config.save = Path(config.out_dir).joinpath(*names)
    return config


def _folder(config: Config, config_type: str) -> Path:
    out, seed = Path(config.out_dir), str(config.seed)
    if config_type == "statistics":
        return out / config.search_space / config.dataset / "statistics" / seed
    if config_type == "zc":
        return out / config.config_type / config.search_space / config.dataset / config.predictor / seed
    if config_type == "oneshot":
        return out / config.dataset / "nas_predictors" / config.search_space / config.search.predictor_type / seed
    varied = {"vary_train_size": "_train", "vary_fidelity": "_fidelity"}.get(config.experiment_type, "")
    tail = varied if config.predictor == "lcsvr" else ""
    return out / config.dataset / "predictors" / f"{config.predictor}{tail}" / seed


def _update(target: dict[str, Any], given: Mapping[str, Any]) -> None:
    for key, value in given.items():
        if isinstance(value, Mapping) and isinstance(target.get(key), dict):
            _update(target[key], value)
        else:
            target[key] = value


def _merge(config: Any, given: Mapping[str, Any], place: str) -> None:
    """Put what is given over the defaults, in place.

    Raises:
        ConfigError: For a key that is none of the experiment's, or a value of another kind.
    """
    problems = []
    for key, value in given.items():
        name = f"{place}{key}"
        if key in _ASIDE:
            config.set_hidden(key, value)
        elif key not in config and not _is_of_search(place, key):
            problems.append(f"{name}: unknown key{did_you_mean(key, list(config))} (known: {', '.join(config)})")
        elif isinstance(config.get(key), AttrDict):
            if not isinstance(value, Mapping):
                problems.append(f"{name}: expected a section with keys, not {value!r}")
            else:
                _merge(config[key], value, f"{name}.")
        elif not _is_like(config.get(key), value):
            problems.append(f"{name}: expected {_kind(config.get(key))}, not {value!r}")
        else:
            config[key] = value
    if problems:
        raise ConfigError(problems)


def _is_of_search(place: str, key: str) -> bool:
    """Say whether a key is one that a file of NASLib has in its section search, whatever the experiment makes of it."""
    from .compat import IGNORED
    from .schema import SEARCH_KEYS

    return place == "search." and (key in SEARCH_KEYS or key in IGNORED or key == "seed")


def _is_like(default: Any, value: Any) -> bool:
    if default is None or value is None:
        return True
    if isinstance(default, bool):
        return isinstance(value, (bool, int))
    if isinstance(default, (int, float)):
        return isinstance(value, (int, float))
    return isinstance(value, type(default))


def _kind(default: Any) -> str:
    return {bool: "true or false", int: "a number", float: "a number", str: "a name", list: "a list"}[type(default)]


def _nested(words: Sequence[str]) -> dict[str, Any]:
    """Return overrides as nested keys, their values read as YAML."""
    pairs, _ = split_overrides(words)
    found: dict[str, Any] = {}
    for key, text in pairs:
        *way, leaf = key.split(".")
        place = found
        for part in way:
            place = place.setdefault(part, {})
        place[leaf] = parse_value(text)
    return found
