"""LatencyTable: milliseconds by key, from a file, with what it was measured on."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from naslib.config.yaml_reader import read_yaml
from naslib.errors import ConfigError
from naslib.search_spaces.core.primitives import Zero
from naslib.utils.files import atomic_write_json
from naslib.utils.locations import find_path

from .fit import FITTED, FittedTable
from .keys import operation_key
from .trace import TracedEdge

FORMAT = "naslib-latency-1"
HOW_TO = "python -m naslib.hardware.measure --search-space NAME --output table.json"


class CostTable(Protocol):
    """What tells the latency of candidates.

    Attributes:
        fixed: Milliseconds of the rest of the network, None if unknown.
        info: What the figures are.
    """

    fixed: float | None
    info: dict[str, Any]

    def costs(self, edges: Sequence[TracedEdge]) -> list[list[float]]:
        """Return the milliseconds of every candidate of every edge."""


@dataclass
class LatencyTable:
    """Latency of operations, each measured on its own.

    `Zero` is no connection and costs 0 whatever the table says; everything else must be in the table.

    Attributes:
        entries: Milliseconds by key (`naslib.hardware.keys`).
        fixed: Milliseconds of what is not under search; None where the table does not say.
        n_edges: Number of edges under search of the network that `fixed` belongs to; None if unknown.
        kinds: Type in the table by name of the class, where they differ.
        info: Device, torch version, threads, date, batch, shape of the input and whatever else was noted.
    """

    entries: dict[str, float]
    fixed: float | None = None
    n_edges: int | None = None
    kinds: dict[str, str] = field(default_factory=dict)
    info: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        wrong = [f"{key}: {ms!r}" for key, ms in self.entries.items() if not _is_milliseconds(ms)]
        if not self.entries or wrong:
            found = f"it has {', '.join(wrong[:5])}" if wrong else "it is empty"
            raise ConfigError(f"a latency table gives milliseconds >= 0 by key, but {found}")

    def lookup(self, key: str) -> float:
        """Return the milliseconds of a key.

        Raises:
            ConfigError: If the table lacks it; the message names the nearest keys.
        """
        if key not in self.entries:
            raise ConfigError(self._missing([key]))
        return self.entries[key]

    def costs(self, edges: Sequence[TracedEdge]) -> list[list[float]]:
        """Return the milliseconds of every candidate of every edge.

        Raises:
            ConfigError: If the table lacks some, or its `fixed` is of a network with another number of edges.
        """
        if self.n_edges not in (None, len(edges)):
            raise ConfigError(
                f"the latency table was measured for a network with {self.n_edges} edges under search, this one has "
                f"{len(edges)}: its fixed part does not fit; measure the table for this network ({HOW_TO})"
            )
        missing: dict[str, None] = {}
        found: list[list[float]] = []
        for edge in edges:
            row = []
            for op, output_shape in zip(edge.ops, edge.output_shapes, strict=True):
                if isinstance(op, Zero):
                    row.append(0.0)
                    continue
                key = operation_key(op, edge.input_shape, output_shape, self.kinds)
                if key not in self.entries:
                    missing[key] = None
                row.append(self.entries.get(key, float("nan")))
            found.append(row)
        if missing:
            raise ConfigError(self._missing(list(missing)))
        return found

    def _missing(self, keys: Sequence[str]) -> str:
        near = {key: difflib.get_close_matches(key, self.entries, n=2, cutoff=0.5) for key in keys[:5]}
        lines = [f"  {key} (nearest: {', '.join(found) or 'none like it'})" for key, found in near.items()]
        more = f"\n  and {len(keys) - 5} more" if len(keys) > 5 else ""
        return (
            f"the latency table lacks {len(keys)} of the operations:\n" + "\n".join(lines) + more + "\n"
            f"measure the table for this space and input shape: {HOW_TO}"
        )

    def write(self, path: str | Path) -> None:
        """Write the table as JSON."""
        record = {"format": FORMAT, "unit": "ms", **self.info, "fixed": self.fixed, "n_edges": self.n_edges}
        atomic_write_json(path, {**record, "kinds": self.kinds, "entries": self.entries})


def read_table(source: Any, kinds: Mapping[str, str] | None = None) -> CostTable:
    """Return a table.

    Args:
        source: A table; the path of a JSON or YAML file, here or in the data directories; or what is in such a file, as
            a mapping. It may be what `LatencyTable.write` or `FittedTable.write` wrote, or just milliseconds by key,
            each a number or a mapping with the entry `mean`, as the authors of ProxylessNAS publish them.
        kinds: Type in the table by name of the class, where they differ (`{"MyBlock": "expanded_conv"}`).

    Raises:
        ConfigError: If the file cannot be read or has another form.
    """
    if isinstance(source, (LatencyTable, FittedTable)):
        return source
    record = source if isinstance(source, Mapping) else _read(Path(source))
    if record.get("format") == FITTED:
        return FittedTable.from_record(record)
    if record.get("format", FORMAT) != FORMAT:
        raise ConfigError(f"unknown format {record['format']!r} of a latency table (known: {FORMAT}, {FITTED})")
    if "entries" not in record:
        return LatencyTable({key: _milliseconds(value) for key, value in record.items()}, kinds=dict(kinds or {}))
    own = ("format", "unit", "entries", "fixed", "n_edges", "kinds")
    return LatencyTable(
        {key: _milliseconds(value) for key, value in record["entries"].items()},
        record.get("fixed"),
        record.get("n_edges"),
        {**record.get("kinds", {}), **(kinds or {})},
        {key: value for key, value in record.items() if key not in own},
    )


def _read(path: Path) -> Mapping[str, Any]:
    found = find_path(path)
    if found is None or not found.is_file():
        raise ConfigError(f"there is no latency table {path}, here or in the data directories; measure one: {HOW_TO}")
    path = found
    if path.suffix != ".json":
        return read_yaml(path)[0]
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{path} is no JSON: {error}") from error
    if not isinstance(record, dict):
        raise ConfigError(f"{path}: expected a mapping, got {type(record).__name__}")
    return record


def _milliseconds(value: Any) -> Any:
    return value["mean"] if isinstance(value, Mapping) and "mean" in value else value


def _is_milliseconds(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < float("inf")
