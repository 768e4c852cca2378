"""Keys of NASLib's own files: where they went, or why they do nothing here."""

from __future__ import annotations

from typing import Any

_ONE_PROCESS = "several processes are started with torchrun; a device is chosen with device="
_COMMAND_LINE = "it belongs on the command line"

# Accepted anywhere, with one warning.
IGNORED: dict[str, str] = {
    "warm_start_epochs": "it is read nowhere, the architecture is updated from the first epoch on",
    "data_size": "the size follows from the data set",
    "num_classes": "the number of classes follows from the data set",
    "report_freq": "progress is always shown",
    "output_weights": "checkpoints always hold the weights",
    "debug_predictor": "predictors always log their progress",
    "plot_arch_weights": "the weights over time are always drawn; save_arch_weights=false turns that off",
    "trial": "the seed names the run",
    "config_id": "the seed names the run",
    "config_type": "this is the only type",
    "criterion": "the criterion is search.loss_criteria",
    "working_dir": "the folder is out_dir",
    "save": "the folder follows from out_dir, search_space, dataset, optimizer and seed",
    "resume": f"{_COMMAND_LINE}: --resume",
    "eval_only": f"{_COMMAND_LINE}: --eval-only",
    "model_path": f"{_COMMAND_LINE}: --model-path",
    "budgets": "the budget is search.epochs",
    **dict.fromkeys(
        ("gpu", "world_size", "rank", "dist_url", "dist_backend", "multiprocessing_distributed", "ngpus_per_node"),
        _ONE_PROCESS,
    ),
}

# Accepted in one section only.
IGNORED_IN: dict[str, dict[str, str]] = {
    "search": {
        "drop_path_prob": "paths are dropped in evaluation only",
        "auxiliary_weight": "the auxiliary head is used in evaluation only",
    },
}

# Keywords of methods that NASLib's files mention and that not every installation has.
METHOD_KEYS = frozenset({"threshold", "normalization", "normalization_exponent"})

# Old files repeat these inside the sections.
HOISTED = ("seed", "dataset", "data")

# Keywords of data sets and tasks that may also be said at the top level, where no other key is called so.
LOWERED = {
    "image_size": "dataset_args",
    "skip_corrupt": "dataset_args",
    "test_sets": "dataset_args",
    "class_weights": "task_args",
}


def lower(raw: dict[str, Any]) -> list[str]:
    """Move keywords of the data set and the task that stand at the top level to where they belong, in place.

    Returns:
        One problem per value that contradicts another.
    """
    problems: list[str] = []
    for key, section in LOWERED.items():
        if key not in raw:
            continue
        value, place = raw.pop(key), raw.setdefault(section, {})
        if not isinstance(place, dict):
            problems.append(f"{key}: {section} is {place!r}, which has no keys of its own")
        elif place.setdefault(key, value) != value:
            problems.append(f"{key}: {value!r} contradicts {section}.{key}: {place[key]!r}; say one of them")
    return problems


def hoist(raw: dict[str, Any]) -> list[str]:
    """Move `seed`, `dataset` and `data` from the sections to the top level, in place.

    Returns:
        One problem per value that contradicts another.
    """
    problems: list[str] = []
    for section in ("search", "evaluation"):
        values = raw.get(section)
        if not isinstance(values, dict):
            continue
        for key in HOISTED:
            if key not in values:
                continue
            value = values.pop(key)
            if raw.setdefault(key, value) != value:
                problems.append(
                    f"{section}.{key}: {value!r} contradicts {key}: {raw[key]!r}; {key} is set once, at the top level"
                )
    return problems


def drop_ignored(raw: dict[str, Any]) -> list[str]:
    """Remove the keys that do nothing here, in place, and return `"key (why)"` for each."""
    notes: list[str] = []
    for section in ("", "search", "evaluation"):
        values = raw.get(section) if section else raw
        if isinstance(values, dict):
            reasons = {**IGNORED, **IGNORED_IN.get(section, {})}
            for key in [key for key in values if key in reasons]:
                del values[key]
                notes.append(f"{section}.{key} ({reasons[key]})" if section else f"{key} ({reasons[key]})")
    return notes
