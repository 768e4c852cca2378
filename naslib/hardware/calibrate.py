"""Calibrate sums of a latency table by whole networks: what a network takes is not quite the sum of its operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from naslib.errors import ConfigError

from .builder import _calls_for, _prepared, _time, clock_named, typical
from .table import LatencyTable


class TableCalibration(NamedTuple):
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
    """Return the milliseconds of networks on a batch of one, in evaluation mode, over rounds of all of them.

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
    return [1e3 * typical(times, clock) for times in rounds]


def fit_calibration(sums: Sequence[float], measured: Sequence[float]) -> TableCalibration:
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
    return TableCalibration(float(scale), float(shift), float(error), len(x))


def calibrated_table(table: LatencyTable, found: TableCalibration) -> LatencyTable:
    """Return the table whose sums are those of a calibration, with a note of it.

    Args:
        table: As it was measured.
        found: Fitted to it.
    """
    entries = {key: found.scale * milliseconds for key, milliseconds in table.entries.items()}
    info = {**table.info, "calibration": found._asdict()}
    return LatencyTable(entries, found.shift, table.n_edges, dict(table.kinds), info)


# A measured network is off by about a hundredth, an operation that was measured alone by about an eighth
_NETWORK_ERROR, _OPERATION_ERROR = 0.01, 0.12


def corrected_table(
    table: LatencyTable, uses: Sequence[Mapping[str, float]], measured: Sequence[float]
) -> tuple[LatencyTable, float]:
    """Return the table with each entry corrected by whole networks, and the error that is left.

    What an operation takes within a network is not what it takes alone. With x the milliseconds that networks spend in
    an entry by the table, `measured = sum_k c_k x_k + shift` is fitted with a normal prior of every `c_k` around the
    common scale of `fit_calibration` (ridge regression of the relative errors). The error is that of each network by a
    fit to all others.

    Args:
        table: As it was measured.
        uses: Of every network, the milliseconds by the table, by key.
        measured: What the networks take, in ms.

    Returns:
        The table, and the root of the mean squared relative error.

    Raises:
        ConfigError: As `fit_calibration`.
    """
    keys = sorted({key for of_network in uses for key in of_network})
    x = np.array([[of_network.get(key, 0.0) for key in keys] for of_network in uses])
    y = np.asarray(measured, float)
    common = fit_calibration(x.sum(axis=1).tolist(), measured)
    factors, shift = _ridge(x, y, common)
    errors = []
    for left_out in range(len(y)):
        rest = np.arange(len(y)) != left_out
        others, constant = _ridge(x[rest], y[rest], common)
        errors.append((x[left_out] @ others + constant) / y[left_out] - 1)
    error = float(np.sqrt(np.mean(np.square(errors))))
    by_key = dict(zip(keys, factors.tolist(), strict=True))
    entries = {key: max(0.0, by_key.get(key, common.scale)) * ms for key, ms in table.entries.items()}
    info = {**table.info, "calibration": {"networks": len(y), "error": error}}
    return LatencyTable(entries, shift, table.n_edges, dict(table.kinds), info), error


def _ridge(x: np.ndarray, y: np.ndarray, common: TableCalibration) -> tuple[np.ndarray, float]:
    """Return the factors of the entries and the constant."""
    n_keys = x.shape[1]
    design = np.hstack([x, np.ones((len(y), 1))]) / y[:, None] / _NETWORK_ERROR
    prior = np.hstack([np.eye(n_keys), np.zeros((n_keys, 1))]) / (_OPERATION_ERROR * common.scale)
    wanted = np.concatenate([np.full(len(y), 1 / _NETWORK_ERROR), np.full(n_keys, 1 / _OPERATION_ERROR)])
    found, *_ = np.linalg.lstsq(np.vstack([design, prior]), wanted, rcond=None)
    return found[:-1], float(found[-1])
