"""What is wrong with the keywords of the part `cost`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from naslib.hardware.metrics import METRICS, HardwareMetric
from naslib.hardware.table import HOW_TO


def problems_of_numbers(given: Mapping[str, float]) -> list[str]:
    """Return what is wrong with tolerance, penalty, growth, largest_penalty and calibrate, given by name."""
    rules = (
        ("tolerance", "in (0, 1)", 0 < given["tolerance"] < 1),
        ("penalty", "positive", 0 < given["penalty"] < math.inf),
        ("growth", "at least 1", 1 <= given["growth"] < math.inf),
        ("largest_penalty", "at least penalty", given["largest_penalty"] >= given["penalty"]),
        ("calibrate", "0, or 3 or more", given["calibrate"] == 0 or given["calibrate"] >= 3),
    )
    return [f"{name} must be {what}, got {given[name]}" for name, what, is_right in rules if not is_right]


def problems_of_method(acts_on: str, one_sided: bool, multiplier: float) -> list[str]:
    """Return what is wrong with acts_on, and with the multiplier of a one-sided target."""
    problems = []
    if acts_on not in ("architecture", "expectation"):
        problems.append(f"acts_on must be 'architecture' or 'expectation', not {acts_on!r}")
    if one_sided and multiplier < 0:
        problems.append(f"the multiplier of a one-sided target is not negative, got {multiplier}")
    return problems


def problems_of_target(target: float | None, weight: float | None, project: bool | None) -> list[str]:
    """Return what is wrong with target, weight and project."""
    problems = []
    if target is None and weight is None:
        problems.append("give target, what the architecture is to cost, or weight, of a plain penalty")
    if target is not None and not 0 < target < math.inf:
        problems.append(f"target must be positive, got {target}")
    if weight is not None and not 0 <= weight < math.inf:
        problems.append(f"weight must not be negative, got {weight}")
    if project and target is None:
        problems.append("project keeps to a target, and there is none")
    return problems


def problems_of_table(metric: HardwareMetric, table: Any, calibrate: int) -> list[str]:
    """Return what is wrong with a table and its calibration, for a metric."""
    if metric.of_network is not None:
        given = "table" if table is not None else "calibrate and verify" if calibrate else ""
        return [f"{metric.name} is counted on the network itself: leave {given} out"] if given else []
    if table is None:
        how = f"measure one: {HOW_TO}" if metric is METRICS["latency"] else "energies cannot be measured here"
        return [f"{metric.name} needs a table of what operations cost: {how}"]
    return (
        ["only latency can be measured: leave calibrate and verify out"]
        if calibrate and metric is not METRICS["latency"]
        else []
    )
