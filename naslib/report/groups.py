"""Runs that differ in their seeds alone, and what stands in the way of comparing those that differ in more."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .amounts import listed
from .defaults import flat
from .reading import SavedRun
from .sections.settings import shown

# What makes no other experiment
_FREE = ("seed", "out_dir", "data", "device", "workers", "threads")
# Keys whose difference is what a comparison is about, rather than what spoils it
_COMPARED = ("optimizer",)
# What must be the same for scores to be comparable, and why
_PROTOCOL = {
    "dataset": "scores of different data cannot be compared",
    "dataset_args": "the data are not the same, or are split otherwise",
    "task": "other tasks have other scores",
    "task_args": "the loss or the scores are others",
    "search_space": "each chose among other networks",
    "search_space_args": "each chose among other networks",
    "search.epochs": "the searches had different budgets",
    "search.budget": "the searches had different budgets",
    "search.train_portion": "the searches had other shares of the data to train on and to choose by",
    "search.evaluator": "the values that the searches looked at are not of the same kind",
    "search.evaluator_args": "the trials were evaluated otherwise",
    "search.objectives": "they searched for different things",
}
_ENVIRONMENT = {
    "naslib": "another version may compute or train otherwise",
    "torch": "another version may compute otherwise, and times differ",
    "device": "times differ, and the last bits of results",
    "cpu": "times differ",
    "threads": "times differ",
}


@dataclass
class RunGroup:
    """Runs that differ in their seeds alone.

    Attributes:
        name: Short, and unlike the names of the others.
        runs: The runs.
    """

    name: str
    runs: list[SavedRun] = field(default_factory=list)

    @property
    def first(self) -> SavedRun:
        """One of the runs, for what they share."""
        return self.runs[0]


def grouped(runs: Sequence[SavedRun]) -> list[RunGroup]:
    """Return runs by what they have in common beside their seeds, each group named by what sets it off.

    Args:
        runs: The runs.
    """
    by_key: dict[str, RunGroup] = {}
    for run in runs:
        by_key.setdefault(_key(run), RunGroup(run.method)).runs.append(run)
    groups = list(by_key.values())
    _name(groups)
    return groups


def settings_of(run: SavedRun) -> dict[str, Any]:
    """Return the settings that make an experiment; of a run without a config what its summary says."""
    found = {key: value for key, value in flat(run.config) if key not in _FREE}
    for key in ("optimizer", "search_space", "dataset"):
        found.setdefault(key, run.of(key))
    return found


def _key(run: SavedRun) -> str:
    told = {**settings_of(run), "own_loaders": bool(run.summary.get("own_loaders")), "method": run.method}
    return json.dumps(told, sort_keys=True, default=str)


def _name(groups: Sequence[RunGroup]) -> None:
    """Name groups by their methods, and those of one method by the settings in which they differ."""
    by_method: dict[str, list[RunGroup]] = {}
    for group in groups:
        by_method.setdefault(group.first.method, []).append(group)
    for method, alike in by_method.items():
        if len(alike) == 1:
            alike[0].name = method
            continue
        keys = different_keys(alike)
        for number, group in enumerate(alike, 1):
            settings = settings_of(group.first)
            said = [f"{key.removeprefix('search.')}={shown(settings.get(key))[:40]}" for key in keys[:2]]
            more = f" ({number})" if len(keys) > 2 or not keys else ""
            group.name = f"{method}, {', '.join(said)}{more}" if said else f"{method}{more}"


def different_keys(groups: Sequence[RunGroup]) -> list[str]:
    """Return the keys of the settings in which groups differ, in the order of the config."""
    all_settings = [settings_of(group.first) for group in groups]
    keys = dict.fromkeys(key for settings in all_settings for key in settings)
    return [key for key in keys if len({json.dumps(s.get(key), sort_keys=True, default=str) for s in all_settings}) > 1]


def obstacles(groups: Sequence[RunGroup]) -> list[str]:
    """Return a sentence for everything that makes scores of groups not comparable, or not fairly so."""
    found = []
    firsts = [group.first for group in groups]
    for key, why in _PROTOCOL.items():
        values = {group.name: settings_of(group.first).get(key) for group in groups}
        found += _difference(key, values, why)
    evaluation = [key for key in different_keys(groups) if key.startswith("evaluation.")]
    if evaluation:
        found.append(f"{listed(evaluation)} differ: what was found is not trained and tested in the same way.")
    names = {run.score_name for run in firsts if run.score is not None}
    if len(names) > 1:
        found.append(f"The scores are of different kinds ({listed(sorted(names))}): they cannot be ranked.")
    modes = {run.mode for group in groups for run in group.runs if run.mode is not None}
    if len(modes) > 1:
        found.append(
            f"Scores come from different evaluations ({listed(sorted(modes))}): a table's number is not that of a "
            "training here."
        )
    if len({bool(run.summary.get("own_loaders")) for run in firsts}) > 1:
        found.append("Some ran on loaders of a script's own: whether their data are the same, no record says.")
    seeds = [sorted({run.seed for run in group.runs}) for group in groups]
    if len({tuple(one) for one in seeds}) > 1:
        found.append(
            "The groups have different seeds, so that runs cannot be compared in pairs, and counts of runs may differ."
        )
    for key, why in _ENVIRONMENT.items():
        values = {run.name: run.environment.get(key) for group in groups for run in group.runs if run.environment}
        found += _difference(key, values, why)
    return found


def _difference(key: str, values: Mapping[str, Any], why: str) -> list[str]:
    by_value: dict[str, list[str]] = {}
    for name, value in values.items():
        by_value.setdefault(shown(value), []).append(name)
    if len(by_value) < 2:
        return []
    said = "; ".join(f"{value} in {listed(names, 2)}" for value, names in list(by_value.items())[:4])
    return [f"{key} differs ({said}): {why}."]
