"""A table of made-up trainings of three architectures, whose figures can be checked by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from naslib.benchmarks.results import CURVES, Results

# The second and third are one function, of which the third was trained
CODES = [(0, 0, 2, 0, 0, 0), (1, 1, 2, 1, 1, 1), (2, 1, 1, 1, 0, 1)]


def small_results(seeds: tuple[int, ...] = (1, 2), **about: Any) -> Results:
    """Return two rows, seeds 1 and 2, three epochs; the second row lacks seed 2."""
    curves = {name: np.full((2, 2, 3), np.nan) for name in CURVES}
    for number, name in enumerate(CURVES):
        curves[name][0, 0] = np.array([10.0, 20.0, 30.0]) + number
        curves[name][0, 1] = np.array([20.0, 40.0, 50.0]) + number
        curves[name][1, 0] = np.array([11.0, 21.0, 31.0]) + number
    protocol = {
        "space": "nasbench201",
        "space_args": {"n_classes": 10, "in_channels": 1, "channels": 8, "cells_per_stage": 1},
        "decisions": [],
        "dataset": "digits",
        "images": {"train": 10, "valid": 5, "test": 5},
        "score": {"name": "accuracy", "maximize": True, "unit": "%"},
        "epochs": 3,
        "seeds": list(seeds),
        "order_seed": 0,
        "functions": 5234,
        "training": {"clock": "cpu"},
        "environments": [],
        "failures": [],
        "latency": None,
        "architectures": 2,
    }
    return Results(
        codes=list(CODES),
        rows=np.array([0, 1, 1]),
        params=np.array([1_000, 2_500, 3_000]),
        macs=np.array([10_000, 20_000, 30_000]),
        trained=np.array([0, 2]),
        seeds=seeds,
        curves=curves,
        seconds=np.array([[3.0, 6.0], [4.5, np.nan]]),
        latency=np.array([0.5, np.nan]),
        about={**protocol, **about},
    )
