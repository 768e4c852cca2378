"""Which operations are candidates on the edges of the two cells: read from what a person gives as `primitives`.

Named lists: `darts` (eight operations, the default), `darts_7` (without `none`), and the four spaces of
[Zela2020robustdarts] in which DARTS fails: `s1` (two operations per edge, their own for every edge), `s2` (skip
connection and separable convolution), `s3` (those and `none`), `s4` (separable convolution and noise).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

from naslib.errors import ConfigError, did_you_mean
from naslib.search_spaces.core.literals import plain, shortened
from naslib.search_spaces.core.ops_named import NONE, Names, checked_names

from .spellings import CELL_KEYS, OPS

DARTS = (
    *("skip_connect", NONE, "max_pool_3x3", "avg_pool_3x3"),
    *("sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"),
)
_S1_NORMAL = (
    *("skip dil3", "skip dil5", "skip dil5", "skip sep3", "skip dil3", "max skip", "skip sep3"),
    *("skip sep3", "skip dil3", "skip sep3", "max skip", "skip dil3", "dil3 dil5", "dil3 dil5"),
)
_S1_REDUCE = (
    *("max avg", "max dil3", "max avg", "max avg", "skip dil5", "max avg", "max sep3"),
    *("skip dil3", "skip dil5", "max avg", "max avg", "skip dil5", "skip dil5", "skip dil5"),
)
_SHORT = {
    "skip": "skip_connect",
    "max": "max_pool_3x3",
    "avg": "avg_pool_3x3",
    "sep3": "sep_conv_3x3",
    "dil3": "dil_conv_3x3",
    "dil5": "dil_conv_5x5",
}
NAMED: dict[str, Any] = {
    "darts": DARTS,
    "darts_7": tuple(name for name in DARTS if name != NONE),
    "s1": {
        "normal": [[_SHORT[op] for op in edge.split()] for edge in _S1_NORMAL],
        "reduce": [[_SHORT[op] for op in edge.split()] for edge in _S1_REDUCE],
    },
    "s2": ("skip_connect", "sep_conv_3x3"),
    "s3": (NONE, "skip_connect", "sep_conv_3x3"),
    "s4": ("noise", "sep_conv_3x3"),
}


@dataclass(frozen=True)
class Primitives:
    """The candidates of every edge.

    Attributes:
        normal: Names by edge of the normal cell: into node 2 from 0 and 1, into node 3 from 0, 1 and 2, and so on.
        reduce: Those of the reduction cell.
    """

    normal: tuple[Names, ...]
    reduce: tuple[Names, ...]

    @property
    def operations(self) -> Names:
        """The operations by their numbers in codes: the seven of DARTS, then others in the order of the edges."""
        others = [name for edge in (*self.normal, *self.reduce) for name in edge if name not in (*OPS, NONE)]
        return (*OPS, *dict.fromkeys(others))

    @property
    def offered(self) -> Names:
        """The operations that some edge has, without `none`, in the order of `operations`."""
        names = {name for edge in (*self.normal, *self.reduce) for name in edge}
        return tuple(name for name in self.operations if name in names)

    def at(self, cell: int, source: int, node: int) -> Names:
        """Return the candidates of an edge, `none` included.

        Args:
            cell: 0 (normal) or 1 (reduction).
            source: Node of a genotype.
            node: Its target, from 2.
        """
        return (self.normal, self.reduce)[cell][edges_before(node) + source]

    def chosen_from(self, cell: int, source: int, node: int) -> Names:
        """Return what an architecture can have on an edge; see `at`."""
        return tuple(name for name in self.at(cell, source, node) if name != NONE)

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self  # nothing of it changes


def edges_before(node: int) -> int:
    """Return how many edges enter the nodes 2 to `node` - 1 of a cell."""
    return sum(range(2, node))


@lru_cache
def default_primitives(nodes: int) -> Primitives:
    """Return the eight operations of DARTS on every edge."""
    edges = (DARTS,) * edges_before(nodes + 2)
    return Primitives(edges, edges)


def read_primitives(given: Any, nodes: int) -> Primitives:
    """Return the candidates that a list, a name of lists, or a list per edge stands for.

    Args:
        given: None or a name of `NAMED`; names of operations for all edges; a list of such lists, one per edge; or a
            mapping with one of these for each of `normal` and `reduce`.
        nodes: Intermediate nodes of a cell.

    Raises:
        ConfigError: If a name is unknown or twice in a list, an edge has nothing but `none`, or there are too few or
            too many lists; all problems at once.
    """
    if given is None:
        return default_primitives(nodes)
    if isinstance(given, str):
        name = given.lower()
        if name not in NAMED:
            hint = did_you_mean(name, NAMED)
            raise ConfigError(
                f"primitives: there is no list of operations {given!r}{hint} (known: {', '.join(NAMED)}; or a list of "
                "operations itself)"
            )
        given = NAMED[name]
    problems: list[str] = []
    if isinstance(given, Mapping):
        cells = _cells(given, nodes, problems)
    else:
        edges = _edges(given, nodes, "primitives", problems)
        cells = [edges, edges]
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))
    return Primitives(*cells)


def _cells(given: Mapping[Any, Any], nodes: int, problems: list[str]) -> list[tuple[Names, ...]]:
    known = {key: cell for cell, keys in CELL_KEYS.items() for key in keys}
    problems += [
        f"primitives: there is no cell {key!r}{did_you_mean(str(key), known)}; expected normal and reduce"
        for key in given
        if key not in known
    ]
    by_cell = {known[key]: value for key, value in given.items() if key in known}
    problems += [f"primitives: the list of the cell {cell!r} is missing" for cell in CELL_KEYS if cell not in by_cell]
    return [_edges(by_cell[cell], nodes, f"primitives.{cell}", problems) for cell in CELL_KEYS if cell in by_cell]


def _edges(given: Any, nodes: int, where: str, problems: list[str]) -> tuple[Names, ...]:
    values, n_edges = plain(given), edges_before(nodes + 2)
    if not isinstance(values, list) or not values:
        problems.append(f"{where} is a list of operations, or of one such list per edge, not {shortened(given)}")
        return ()
    if not isinstance(values[0], list):
        return (checked_names(values, where, problems),) * n_edges
    if len(values) != n_edges:
        problems.append(f"{where} has {len(values)} lists; cells with {nodes} nodes have {n_edges} edges")
    return tuple(checked_names(edge, f"{where}[{index}]", problems) for index, edge in enumerate(values))
