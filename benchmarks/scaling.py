"""Cost of a step, and of building and adapting, against cells, nodes, operations, channels and batch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch

from naslib.optimizers import DARTSOptimizer
from naslib.search_spaces.core.primitives import SepConv

from . import subjects
from .harness import interleave, peak_memory
from .records import RESULTS, Row
from .settings import Options, Setting

# (name of the axis, what it is expected to be linear in)
AXES = ("cells", "edges per cell", "operations", "channels", "batch")
# What must fit: 20 cells of 7 nodes with 12 operations
LARGEST = {"cells": 20, "nodes": 7, "operations": 12}


@dataclass
class Series:
    """Figures along one axis.

    Attributes:
        axis: Name of the axis.
        quantity: `"step"`, `"build + adapt"` or `"memory of build + adapt"`.
        unit: Of the figures.
        points: `(x, figure)`.
    """

    axis: str
    quantity: str
    unit: str
    points: list[tuple[float, float]]

    @property
    def slope(self) -> float:
        """Exponent of the power law through the points: the least-squares slope on logarithmic axes."""
        xs, ys = ([math.log(point[k]) for point in self.points] for k in (0, 1))
        mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
        spread = sum((x - mean_x) ** 2 for x in xs)
        return sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread if spread else math.nan


def measure(options: Options, folder: Path = RESULTS) -> list[Row]:
    """Return one row per point and the slope of every series; draw them to `scaling-<device>-<dtype>-<effort>.png`."""
    series = [*(_steps(axis, options) for axis in AXES), *_builds(options)]
    rows = []
    for one in series:
        name = f"{one.quantity} against {one.axis}"
        rows += [Row("scaling", f"{name} = {x:g}", y, one.unit) for x, y in one.points]
        rows.append(Row("scaling", f"exponent, {name}", one.slope, "", rounds=len(one.points)))
    rows.append(_largest(options))
    folder.mkdir(parents=True, exist_ok=True)
    plot(series, folder / f"scaling-{options.device.replace(':', '')}-{options.dtype}-{options.effort}.png")
    return rows


def _sweep(axis: str, options: Options) -> Sequence[int]:
    if options.smoke:
        return (3, 4) if axis == "cells" else (2, 3) if axis != "channels" else (4, 8)
    short = {
        "cells": (4, 8, 16),
        "edges per cell": (2, 4, 6),
        "operations": (2, 4, 8),
        "channels": (16, 32, 64),
        "batch": (4, 8, 16),
    }
    long = {
        "cells": (4, 8, 12, 16, 20),
        "edges per cell": (2, 3, 4, 5, 6, 7),
        "operations": (1, 2, 4, 8, 12),
        "channels": (16, 32, 48, 64),
        "batch": (4, 8, 16, 32),
    }
    return (short if options.quick else long)[axis]


def _subject(axis: str, value: int, setting: Setting) -> tuple[float, subjects.Subject]:
    """Return the place on the axis and a network there; where the axis is not its own, it has the base's size."""
    key = {"cells": "cells", "edges per cell": "nodes", "channels": "channels", "batch": "batch"}.get(axis)
    if key is None:
        return value, adapted_with_operations(setting, value)
    subject = subjects.darts(setting.but(**{key: value}))
    return (value * (value + 3) / 2 if key == "nodes" else value), subject


def adapted_with_operations(setting: Setting, n_operations: int) -> subjects.Subject:
    """Return DARTS on a space with so many 3x3 separable convolutions on every edge, all of one cost."""
    torch.manual_seed(setting.seed)
    return subjects.adapted(DARTSOptimizer(amp=setting.amp), space_with_operations(setting, n_operations), setting)


def space_with_operations(setting: Setting, n_operations: int) -> Any:
    """Return the DARTS space with other candidates, put there by `update_edges` as a user would."""
    space = subjects.darts_space(setting)

    def replace(edge: Any) -> None:
        if isinstance(edge.data.op, list):
            model = next(op for op in edge.data.op if isinstance(op, SepConv))
            C, stride = model.init_params["C_in"], model.init_params["stride"]
            fresh = [SepConv(C, C, 3, stride, padding=1, affine=False) for _ in range(n_operations)]
            edge.data.set("op", fresh)

    space.update_edges(replace, scope=space.OPTIMIZER_SCOPE, private_edge_data=True)
    return space


def _steps(axis: str, options: Options) -> Series:
    base = options.setting(image=16, cells=4, batch=options.batch or (4 if options.quick else 8))
    places = [_subject(axis, value, base) for value in _sweep(axis, options)]
    calls = [(x, subject.step) for x, subject in places]
    return Series(axis, "step", "ms", _timed(calls, options.n_rounds(5, 3), options.device))


def _builds(options: Options) -> list[Series]:
    """Return time and memory of build + adapt by cells, and time by edges and operations."""
    base = options.setting(cells=8)
    found = []
    for axis, make in (
        ("cells", lambda value: (value, lambda: _build(base.but(cells=value)))),
        ("edges per cell", lambda value: (value * (value + 3) / 2, lambda: _build(base.but(nodes=value)))),
        ("operations", lambda value: (value, lambda: _build(base, value))),
    ):
        calls = [make(value) for value in _sweep(axis, options)]
        found.append(Series(axis, "build + adapt", "ms", _timed(calls, options.n_rounds(5, 3))))
    cells = _sweep("cells", options)
    host = base.but(device="cpu")
    memory = [(float(n), peak_memory("darts", host.but(cells=n), mode="build").extra) for n in cells]
    return [*found, Series("cells", "memory of build + adapt", "MB", memory)]


def _timed(
    calls: Sequence[tuple[float, Callable[[], object]]], rounds: int, device: str = "cpu"
) -> list[tuple[float, float]]:
    """Return the places and milliseconds of calls that take turns, so that a machine's drift bends no curve."""
    timings = interleave({str(x): call for x, call in calls}, rounds=rounds, device=device)
    return [(x, 1e3 * timings.median(str(x))) for x, _ in calls]


def _build(setting: Setting, n_operations: int | None = None) -> object:
    optimizer = DARTSOptimizer()
    space = subjects.darts_space(setting) if n_operations is None else space_with_operations(setting, n_operations)
    optimizer.adapt_search_space(space)
    return optimizer


def _largest(options: Options) -> Row:
    sizes = {"cells": 4, "nodes": 3, "operations": 3} if options.smoke else LARGEST
    setting = options.setting().but(cells=sizes["cells"], nodes=sizes["nodes"])
    seconds = []
    for _ in range(options.n_rounds(3, 1)):
        begin = time.perf_counter()
        _build(setting, sizes["operations"])
        seconds.append(time.perf_counter() - begin)
    name = "build + adapt of {cells} cells x {nodes} nodes x {operations} ops".format(**sizes)
    return Row("scaling", name, median(seconds), "s", min(seconds), max(seconds), len(seconds))


def plot(series: Sequence[Series], path: Path) -> None:
    """Draw all series on logarithmic axes, a line of slope 1 through the first point beside each."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    columns = 3
    figure, axes = pyplot.subplots(
        -(-len(series) // columns), columns, figsize=(4.2 * columns, 3.4 * -(-len(series) // columns))
    )
    for axis, one in zip(axes.flat, series, strict=False):
        xs, ys = zip(*one.points, strict=True)
        axis.loglog(xs, ys, "o-", label="measured")
        axis.loglog(xs, [ys[0] * x / xs[0] for x in xs], ":", color="gray", label="linear")
        axis.set(title=f"{one.quantity}: exponent {one.slope:.2f}", xlabel=one.axis, ylabel=one.unit)
        axis.legend()
    for axis in list(axes.flat)[len(series) :]:
        axis.set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
