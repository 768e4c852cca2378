"""What drawing an architecture costs, and setting it on the supernet, in spaces with and without a codec."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from torch import nn

from naslib.optimizers import RandomNASOptimizer
from naslib.search_spaces import NasBench201SearchSpace, NasBench301SearchSpace, SimpleCellSearchSpace
from naslib.search_spaces.core import Graph
from naslib.search_spaces.core.edge import EdgeData

from .harness import interleave
from .records import Row
from .settings import Options

LIMIT = 0.2  # ms
N_DRAWS = 200


def measure(options: Options) -> list[Row]:
    """Return the milliseconds of a draw by space, of one set on the supernet, and of the statement being read."""
    rows = []
    for name, make in SPACES.items():
        optimizer = RandomNASOptimizer()
        space = make()
        optimizer.adapt_search_space(space)
        stated, rng = space.decision_space, Random(0)
        drawn, path, read = f"draw, {name}", f"path drawn and set, {name}", f"read the statement, {name}"
        calls: dict[str, Callable[[], object]] = {
            drawn: lambda stated=stated, rng=rng: stated.random(rng),  # type: ignore[misc]
            path: optimizer.prepare_step,
            read: space.present_decisions,
        }
        many = {drawn: N_DRAWS, path: N_DRAWS, read: 1}
        timings = interleave(calls, rounds=options.n_rounds(9, 5), warmup=2, calls=many, clock="cpu")
        for label in calls:
            low, high = timings.span(label)
            values = (1e3 * timings.median(label), "ms", 1e3 * low, 1e3 * high, len(timings.seconds[label]))
            limit = LIMIT if label == path else None
            note = "" if space.codec is None else "has a codec"
            rows.append(Row("paths", label, *values, limit=limit, sense="<=", note=note))
    return rows


class OwnSpace(Graph):
    """A cell of eight nodes, each edge with five candidates and all of them kept."""

    def __init__(self) -> None:
        super().__init__(name="own")
        self.add_nodes_from(range(1, 9))
        self.add_edges_densly()
        for _, _, data in self.edges(data=True):
            data.set("op", [nn.Identity(), nn.Tanh(), nn.ReLU(), nn.Linear(4, 4), nn.Sigmoid()])
        self.add_edge(8, 9, EdgeData({"op": nn.Linear(4, 2)}).finalize())


SPACES: dict[str, Callable[[], Graph]] = {
    "simple_cell": lambda: SimpleCellSearchSpace(channels=4),
    "NB201": lambda: NasBench201SearchSpace(channels=4),
    "DARTS": lambda: NasBench301SearchSpace(channels=4),
    "own graph": OwnSpace,
}
