"""Graphs in which candidates have decisions of their own: operations, combinations at nodes, sizes, inputs."""

from __future__ import annotations

from torch import nn

from naslib.search_spaces.core.combine import channel_maxout, mean
from naslib.search_spaces.core.decisions import Code
from naslib.search_spaces.core.elastic import ElasticConv2d, Value
from naslib.search_spaces.core.graph import EdgeData, Graph
from naslib.search_spaces.core.primitives import AvgPool, Identity, ReLUConvBN, Sequential, Stem, Zero
from naslib.search_spaces.core.schema import DecisionSpace

from . import Entry

WIDTH = 4


def layer(kernel: int = 1) -> nn.Module:
    """Return a layer that keeps shapes."""
    return ReLUConvBN(WIDTH, WIDTH, kernel, affine=False)


class Operations(Graph):
    """Two cells of one form; a candidate of each edge is a graph whose edges have candidates, one of them again."""

    def __init__(self, n_classes: int = 4, in_channels: int = 3) -> None:
        super().__init__(name="net", scope="net")
        cell = Graph(name="cell", scope="cell")
        for u, v in ((1, 2), (2, 3), (1, 3)):
            deep = [Identity(), layer(3)] if (u, v) == (1, 2) else [Identity(), AvgPool(WIDTH, 3, 1)]
            inner = Graph(name=f"inner{u}{v}", scope="cell")
            inner.add_edge(1, 2, EdgeData({"op": [layer(), Sequential(self.innermost(f"{u}{v}", deep))]}))
            inner.add_edge(1, 3, EdgeData({"op": [Zero(stride=1), layer()]}))
            inner.add_edge(2, 3)
            cell.add_edge(u, v, EdgeData({"op": [Identity(), inner]}))
        self.add_edge(1, 2, EdgeData({"op": Stem(in_channels, WIDTH)}))
        self.add_edge(2, 3, EdgeData({"op": cell}))
        self.add_edge(3, 4, EdgeData({"op": cell.copy()}))
        head = Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(WIDTH, n_classes))
        self.add_edge(4, 5, EdgeData({"op": head}))

    @staticmethod
    def innermost(place: str, candidates: list[nn.Module]) -> Graph:
        """Return a graph of one edge."""
        graph = Graph(name=f"innermost{place}", scope="cell")
        graph.add_edge(1, 2, EdgeData({"op": candidates}))
        return graph


class EveryKind(Graph):
    """A candidate with a size in it, and one with a combination at a node and an operation."""

    def __init__(self, n_classes: int = 4, in_channels: int = 3) -> None:
        super().__init__(name="net", scope="net")
        width = Value((2, 4), "width")
        sized = nn.Sequential(ElasticConv2d(WIDTH, width, 1), nn.ReLU(), ElasticConv2d(width, WIDTH, 3))
        combines = Graph(name="combines", scope="net")
        combines.add_edge(1, 2, EdgeData({"op": layer()}))
        combines.add_edge(1, 3, EdgeData({"op": [Identity(), layer(3)]}))
        combines.add_edge(2, 3)
        combines.nodes[3]["comb_op"] = [sum, mean, channel_maxout]
        self.add_edge(1, 2, EdgeData({"op": Stem(in_channels, WIDTH)}))
        self.add_edge(2, 3, EdgeData({"op": [layer(), sized, combines]}))
        head = Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(WIDTH, n_classes))
        self.add_edge(3, 4, EdgeData({"op": head}))


def ways(space: DecisionSpace, code: Code) -> int:
    """Return how many neighbours there are, by counting what each other choice brings."""
    choices = space.choices(code)
    below = {"Sequential": 2, "inner": 2 * (1 + 2), "Graph": 2 * (1 + 2)}
    total = 0
    for decision in space.active(code):
        others = [name for name in decision.candidates if name != choices[decision.name]]
        total += sum(below.get(name, 1) for name in others)
    return total


def ways_of_every_kind(space: DecisionSpace, code: Code) -> int:
    """Return how many neighbours there are: a size brings 2 of them, the graph 2 operations times 3 combinations."""
    choices = space.choices(code)
    below = {"Sequential": 2, "Graph": 2 * 3}
    total = 0
    for decision in space.active(code):
        others = [name for name in decision.candidates if name != choices[decision.name]]
        total += sum(below.get(name, 1) if decision.name == "net/2-3" else 1 for name in others)
    return total


ENTRIES = {
    "conditional_operations": Entry(Operations, size=(1 + (1 + 2) * 2) ** 3, neighbours=ways,
        refused={
            "gsparsity": "takes each candidate for itself, and some have decisions of their own inside",
            "p_darts": "a decision inside of a candidate would leave the supernet with it",
            "pc_darts": "it would narrow what is inside of a narrowed candidate once more",
        },
    ),
    "conditional_kinds": Entry(EveryKind, size=1 + 2 + 2 * 3, neighbours=ways_of_every_kind,
        refused={
            "darts_pt": "a size that is taken out leaves its weights to the others",
            "gsparsity": "looks at operations, and the space decides sizes as well",
            "lambda_darts": "needs a cell that the network has at least twice",
            "one_shot": "a network has one of the sizes",
            "p_darts": "the values of a size share one weight and cannot leave the supernet",
            "pc_darts": "it would narrow what is inside of a narrowed candidate once more",
        },
    ),
}  # fmt: skip
