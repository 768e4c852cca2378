"""NAS-Bench-301 ([Zela2022nb301]): its surrogate ensembles of boosted trees become one compact file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from naslib.benchmarks.nasbench301 import member_arrays
from naslib.errors import BenchmarkDataMissing, BenchmarkError

from .boosters import read_booster

Progress = Callable[[int, int], None]
Arrays = dict[str, np.ndarray]

_MODEL = "surrogate_model.model"
# What ensembles predict, and their kinds in order of preference: NASLib asks the first
_KINDS = {"valid": ("xgb", "lgb"), "time": ("lgb_time", "xgb_time")}


def read_nasbench301(path: Path, progress: Progress) -> Arrays:
    """Return the arrays of `nb301.npz` from the folder of ensembles, `nb_models_1.0` or `nb_models_0.9`, or of one.

    Of accuracies that of XGBoost is taken where it is there, else that of LightGBM; of times the other way round.

    Args:
        path: The folder; each member of an ensemble is a folder in it with `surrogate_model.model` and
            `model_config.json`.
        progress: Called with the members that were read, and all.

    Raises:
        BenchmarkError: If there is none, only graph networks are there, ensembles of several versions are, or one is
            damaged.
    """
    if not path.is_dir():
        raise BenchmarkError(f"{path} is not the folder of NAS-Bench-301's models; unpack the archive first")
    kinds = _members(path)
    chosen = {prefix: next((kind for kind in order if kind in kinds), None) for prefix, order in _KINDS.items()}
    if chosen["valid"] is None:
        raise BenchmarkError(
            f"{path} has ensembles of {', '.join(sorted(kinds))}, and none of boosted trees (xgb, lgb) that predicts "
            "accuracies. Graph networks need layers of torch-geometric and are not read: take xgb_v1.0 of the same "
            "archive"
        )
    for kind in filter(None, chosen.values()):
        ensembles = sorted({str(member.parent.parent) for member in kinds[kind]})
        if len(ensembles) > 1:
            raise BenchmarkError(
                f"{path} has {len(ensembles)} ensembles of {kind}, which do not predict alike: name the folder of one "
                f"version ({', '.join(ensembles)})"
            )
    todo = [(prefix, member) for prefix, kind in chosen.items() if kind for member in kinds[kind]]
    found: Arrays = {}
    numbers = dict.fromkeys(_KINDS, 0)
    for done, (prefix, member) in enumerate(todo, 1):
        found |= member_arrays(f"{prefix}_{numbers[prefix]}", read_booster(member))
        numbers[prefix] += 1
        progress(done, len(todo))
    return found | {"kinds": np.array([kind or "" for kind in chosen.values()])}


def _members(path: Path) -> dict[str, list[Path]]:
    """Return the files of the members by the kind of model that their configurations name."""
    kinds: dict[str, list[Path]] = {}
    for model in sorted(path.rglob(_MODEL)):
        config = model.parent / "model_config.json"
        try:
            kind = str(json.loads(config.read_text(encoding="utf-8"))["model"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BenchmarkError(
                f"{config}, which says what kind of model is beside it, cannot be read: {error}"
            ) from error
        kinds.setdefault(kind, []).append(model)
    if not kinds:
        raise BenchmarkDataMissing(f"{path} has no {_MODEL} in it, nor in its folders: it holds no surrogates")
    return kinds
