"""Latency per operation, fitted to published latencies of whole networks: an estimate, with its error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from naslib.errors import ConfigError, did_you_mean
from naslib.search_spaces.core.primitives import AbstractPrimitive
from naslib.utils.files import atomic_write_json

from .trace import TracedEdge

FITTED = "naslib-latency-fit-1"


@dataclass
class FittedTable:
    """Milliseconds per decision and operation, from a linear least-squares fit to networks as a whole.

    Differences between operations mean something; a single figure does not, and may be negative: each is relative to
    the reference operation of its decision, whose share is in `fixed`.

    Attributes:
        positions: Names of the decisions (`"layer_03/1-2"`), or where in the cell they are (`"1>2"`: the edge from node
            1 to node 2).
        ops: Names of the operations.
        milliseconds: `(n_positions, n_ops)`; all copies of a cell together.
        fixed: Milliseconds of the network whose operations are all the reference one.
        r2: Share of the variance of held-out networks that is explained.
        mape: Their mean absolute error in percent.
        info: Device, number of networks, that this is a fit.
    """

    positions: list[str]
    ops: list[str]
    milliseconds: list[list[float]]
    fixed: float | None
    r2: float
    mape: float
    info: dict[str, Any] = field(default_factory=dict)

    def predict(self, choices: np.ndarray) -> np.ndarray:
        """Return the milliseconds of networks.

        Args:
            choices: `(n, n_positions)` indices of operations.
        """
        return _predict(np.asarray(self.milliseconds), float(self.fixed or 0.0), np.asarray(choices))

    def costs(self, edges: Sequence[TracedEdge]) -> list[list[float]]:
        """Return the milliseconds of every candidate of every edge: a decision's, divided among its copies.

        Raises:
            ConfigError: If an edge or an operation is not among those of the fit.
        """
        places = [self._position(edge) for edge in edges]
        copies = {place: places.count(place) for place in places}
        names = {_name(op) for edge in edges for op in edge.ops}
        problems = [
            f"the fit has no position {p!r} (it has {self.positions})" for p in copies if p not in self.positions
        ]
        problems += [
            f"the fit has no operation {n!r}{did_you_mean(n, self.ops)} (it has {', '.join(self.ops)})"
            for n in sorted(names)
            if n not in self.ops
        ]
        if problems:
            raise ConfigError(problems)
        return [
            [
                self.milliseconds[self.positions.index(place)][self.ops.index(_name(op))] / copies[place]
                for op in edge.ops
            ]
            for place, edge in zip(places, edges, strict=True)
        ]

    def _position(self, edge: TracedEdge) -> str:
        """Return the position of an edge: the name of its decision, or where in its cell it is."""
        name, _ = edge.place
        return name if name in self.positions else name.rpartition("/")[2].replace("-", ">")

    def write(self, path: str | Path) -> None:
        """Write the fit as JSON."""
        atomic_write_json(path, {"format": FITTED, "unit": "ms", **asdict(self)})

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> FittedTable:
        """Return the fit that `write` wrote."""
        return cls(**{name: record[name] for name in cls.__dataclass_fields__})


def _name(op: Any) -> str:
    return op.get_op_name if isinstance(op, AbstractPrimitive) else type(op).__name__


def fit_choices(
    choices: np.ndarray,
    latency_ms: np.ndarray,
    *,
    positions: Sequence[str],
    ops: Sequence[str],
    reference: int = 0,
    held_out: float = 0.2,
    seed: int = 0,
    info: Mapping[str, Any] | None = None,
) -> FittedTable:
    """Fit `latency = fixed + sum over positions of milliseconds[position][op]` by linear least squares.

    Args:
        choices: `(n, n_positions)` indices of operations.
        latency_ms: `(n,)` measured latencies.
        positions: Names of the decisions.
        ops: Names of the operations.
        reference: The operation whose milliseconds are 0 by definition: only differences can be told.
        held_out: Share of the networks on which the error is measured and which the fit does not see.
        seed: Of the split.
        info: What to note besides.

    Raises:
        ConfigError: If the shapes do not fit, or fewer networks than unknowns remain.
    """
    choices, latency_ms = np.asarray(choices, dtype=np.int64), np.asarray(latency_ms, dtype=np.float64)
    if choices.shape != (len(latency_ms), len(positions)) or choices.min() < 0 or choices.max() >= len(ops):
        raise ConfigError(
            f"choices must be (n, {len(positions)}) indices below {len(ops)} for {len(latency_ms)} latencies, "
            f"got shape {choices.shape} with values up to {choices.max()}"
        )
    order = np.random.default_rng(seed).permutation(len(latency_ms))
    test, train = np.split(order, [round(held_out * len(order))])
    unknowns = len(positions) * (len(ops) - 1) + 1
    if len(train) < unknowns or len(test) < 2:
        raise ConfigError(f"{len(train)} networks cannot fix {unknowns} unknowns, with {len(test)} to test them on")
    columns = np.eye(len(ops))[choices]  # (n, n_positions, n_ops)
    columns = np.delete(columns, reference, axis=2).reshape(len(choices), -1)
    design = np.column_stack([columns, np.ones(len(choices))])
    solution = np.linalg.lstsq(design[train], latency_ms[train], rcond=None)[0]
    found = np.insert(solution[:-1].reshape(len(positions), -1), reference, 0.0, axis=1)
    fixed, measured = float(solution[-1]), latency_ms[test]
    error = _predict(found, fixed, choices[test]) - measured
    r2 = 1.0 - float((error**2).sum() / ((measured - measured.mean()) ** 2).sum())
    mape = 100.0 * float(np.abs(error / measured).mean())
    noted = {"method": "linear least squares on whole networks", "n_train": len(train), "n_test": len(test)}
    return FittedTable(list(positions), list(ops), found.tolist(), fixed, r2, mape, {**noted, **(info or {})})


def _predict(milliseconds: np.ndarray, fixed: float, choices: np.ndarray) -> np.ndarray:
    return fixed + milliseconds[np.arange(milliseconds.shape[0]), choices].sum(1)


# Operations and edges of nb201.npz, in the space's names; nodes count from 1 here
_NB201_OPS = {
    "none": "Zero",
    "skip_connect": "Identity",
    "nor_conv_1x1": "ReLUConvBN1x1",
    "nor_conv_3x3": "ReLUConvBN3x3",
    "avg_pool_3x3": "AvgPool1x1",
}
_NB201_EDGES = ("1>2", "1>3", "2>3", "1>4", "2>4", "3>4")


def fit_nasbench201(latencies: str | Path, table: str | Path, device: str) -> FittedTable:
    """Fit a table for the space `nasbench201` to published latencies of all its networks.

    Args:
        latencies: `nb201_latency.npz`: `devices` and `latency_ms`, `(n_devices, 15625)`.
        table: `nb201.npz`: `op_names` and `ops`, `(15625, 6)`.
        device: One of the devices (`"pixel3"`, `"raspi4"` ...).

    Raises:
        ConfigError: For an unknown device.
    """
    row = _measured_on(latencies, device)
    with np.load(table) as file:
        ops, choices = [_NB201_OPS[str(name)] for name in file["op_names"]], file["ops"]
    return fit_choices(
        choices, row, positions=_NB201_EDGES, ops=ops, reference=ops.index("Zero"), info={"device": device}
    )


def fit_fbnet(latencies: str | Path, device: str) -> FittedTable:
    """Fit a table for the space `fbnet` with its published stages to latencies of 5,000 of its networks.

    Args:
        latencies: `fbnet_latency.npz`: `devices`, `latency_ms` `(n_devices, n)`, `op_names` and `op_idx` `(n, 22)`.
        device: One of the devices (`"pixel3"`, `"raspi4"` ...).

    Raises:
        ConfigError: For an unknown device.
    """
    row = _measured_on(latencies, device)
    with np.load(latencies) as file:
        ops, choices = [str(name) for name in file["op_names"]], file["op_idx"]
    labels = [f"layer_{number:02}/1-2" for number in range(1, choices.shape[1] + 1)]
    return fit_choices(choices, row, positions=labels, ops=ops, reference=ops.index("skip"), info={"device": device})


def _measured_on(latencies: str | Path, device: str) -> np.ndarray:
    """Return the latencies of all networks of a file on a device, `(n,)`."""
    with np.load(latencies) as file:
        devices, measured = [str(name) for name in file["devices"]], file["latency_ms"]
    if device not in devices:
        raise ConfigError(f"no latencies on {device!r}{did_you_mean(device, devices)} (known: {', '.join(devices)})")
    return measured[devices.index(device)]
