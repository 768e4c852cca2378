"""Calibrate sums of a latency table by whole networks: what a network takes is not quite the sum of its operations."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from naslib.errors import ConfigError

from .builder import _calls_for, _prepared, _time, clock_named
from .table import LatencyTable


class Calibration(NamedTuple):
    """What a network takes by the sum of a table: `scale * sum + shift`.

    Attributes:
        scale: Factor of the operations under search.
        shift: Milliseconds of all the rest.
        error: Largest relative error among the networks that it was fitted to.
        networks: How many they were.
    """

    scale: float
    shift: float
    error: float
    networks: int


def measure_networks(
    networks: Sequence[nn.Module],
    input_shape: Sequence[int],
    *,
    repeats: int = 15,
    device: str = "cpu",
    clock: str = "wall",
) -> list[float]:
    """Return the milliseconds of networks on a batch of one, in evaluation mode: medians of rounds over all of them.

    The rounds go over all networks (A B C A B C ...), so that a disturbance does not hit one of them alone.

    Args:
        networks: The networks; they stay in evaluation mode, on the device.
        input_shape: Of one input.
        repeats: Number of rounds.
        device: Where to measure.
        clock: `"wall"` or `"cpu"`, see `measure_table`.
    """
    place = torch.device(device)
    now = clock_named(clock, place)
    with torch.inference_mode():
        calls = [_prepared(network, tuple(input_shape), 1, place) for network in networks]
        counts = [_calls_for(call, place, now) for call in calls]
        rounds: list[list[float]] = [[] for _ in networks]
        for _ in range(repeats):
            for times, call, count in zip(rounds, calls, counts, strict=True):
                times.append(_time(call, count, place, now))
    return [1e3 * median(times) for times in rounds]


def fit_calibration(sums: Sequence[float], measured: Sequence[float]) -> Calibration:
    """Fit `measured = scale * sum + shift` by least squares of the relative errors.

    Args:
        sums: Of the operations under search, by the table, in ms.
        measured: Of whole networks, in ms.

    Raises:
        ConfigError: If there are fewer than three networks, their sums are all equal, or a larger sum takes less time.
    """
    x, y = np.asarray(sums, float), np.asarray(measured, float)
    if len(x) < 3 or np.ptp(x) <= 0:
        raise ConfigError(f"a table is calibrated by three networks or more with different sums, not {len(x)}")
    weights = 1 / y
    design = np.stack([x, np.ones_like(x)], axis=1) * weights[:, None]
    (scale, shift), *_ = np.linalg.lstsq(design, y * weights, rcond=None)
    if scale <= 0:
        raise ConfigError("networks whose sum by the table is larger take less time: the table is of another machine")
    error = np.abs((scale * x + shift) / y - 1).max()
    return Calibration(float(scale), float(shift), float(error), len(x))


def calibrated_table(table: LatencyTable, found: Calibration) -> LatencyTable:
    """Return the table whose sums are those of a calibration, with a note of it.

    Args:
        table: As it was measured.
        found: Fitted to it.
    """
    entries = {key: found.scale * milliseconds for key, milliseconds in table.entries.items()}
    info = {**table.info, "calibration": found._asdict()}
    return LatencyTable(entries, found.shift, table.n_edges, dict(table.kinds), info)
