"""The decisions of networks of any number of layers: how many, what each is, and which layers it reads."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from naslib.errors import ConfigError, UnsupportedBySpaceError
from naslib.search_spaces.core._decision_tree import Node, changed, draw_into
from naslib.search_spaces.core.decisions import MASKED, Code, Decision, as_random
from naslib.search_spaces.core.schema import DecisionSpace

DEPTH = "depth"
# More neighbours than this are not listed
_MOST = 1_000_000


@dataclass(frozen=True)
class LayerSizes:
    """What a layer may be, and how many there are.

    Attributes:
        min_layers: Fewest layers, at least 1.
        max_layers: Most layers.
        heights: Of filters, odd.
        widths: Of filters, odd.
        filters: Numbers of filters.
        strides: Of filters, in height and in width; one alone is no decision.

    Raises:
        ConfigError: If a value cannot be; all problems at once.
    """

    min_layers: int
    max_layers: int
    heights: tuple[int, ...]
    widths: tuple[int, ...]
    filters: tuple[int, ...]
    strides: tuple[int, ...]

    def __post_init__(self) -> None:
        problems = []
        if not 1 <= self.min_layers <= self.max_layers:
            problems.append(f"there are 1 <= min_layers <= max_layers, not {self.min_layers} and {self.max_layers}")
        for name in ("heights", "widths", "filters", "strides"):
            values = getattr(self, name)
            is_odd = name in ("heights", "widths")
            right = all(type(value) is int and value >= 1 and (value % 2 or not is_odd) for value in values)
            if not values or not right or len(set(values)) < len(values):
                kind = "odd numbers" if is_odd else "numbers from 1"
                problems.append(f"{name} are different {kind}, not {list(values)}")
        if problems:
            raise ConfigError(problems)

    @property
    def values(self) -> dict[str, tuple[int, ...]]:
        """What is decided of a layer beside its inputs, in the order of [Zoph2017nasrl], figure 2."""
        strides = {} if len(self.strides) == 1 else {"stride_height": self.strides, "stride_width": self.strides}
        return {"height": self.heights, "width": self.widths, **strides, "filters": self.filters}


def layer_decisions(sizes: LayerSizes) -> list[Decision]:
    """Return the depth, and for every layer the layers that it reads and what it is."""
    depths = tuple(range(sizes.min_layers, sizes.max_layers + 1))
    found = [Decision(DEPTH, "value", depths)]
    for layer in range(1, sizes.max_layers + 1):
        deep = tuple(index for index, depth in enumerate(depths) if depth >= layer)
        condition = None if len(deep) == len(depths) else (DEPTH, deep)
        if layer > 1:
            found.append(Decision(f"layer_{layer}/inputs", "inputs", tuple(range(1, layer)), None, condition))
        found += [
            Decision(f"layer_{layer}/{name}", "value", candidates, condition=condition)
            for name, candidates in sizes.values.items()
        ]
    return found


class LayerDecisions(DecisionSpace):
    """Networks of layers, whose draws and neighbours respect that deeper ones are many more.

    A draw is uniform over depths, then over the networks of that depth. Neighbours are of one depth and differ in one
    decision, or one of them has a layer more at its end, of any size, that reads the layer before it and no other.

    Args:
        decisions: As `layer_decisions` returns them.
        constraints: Further ones.
    """

    def __init__(self, decisions: Sequence[Decision], constraints: Sequence[Any] = ()) -> None:
        super().__init__(decisions, constraints)
        self._depth = self._by_name[DEPTH]
        self._depths = self._depth.decision.candidates

    def depth_of(self, code: Sequence[int]) -> int:
        """Return the number of layers of a canonical code."""
        return int(self._depths[code[self._depth.start]])

    def neighbours(self, code: Sequence[int]) -> list[Code]:
        """Return every neighbour; see the class.

        Raises:
            ArchitectureError: If it is no code of this space.
            UnsupportedBySpaceError: If there are more than a million.
        """
        code = self.canonical(code)
        steps = [(node, node.selection.others(node.chosen(code))) for node in self._within(code)]
        found = [tuple(changed(code, node, other)[0]) for node, others in steps for other in others]
        if self._can_shrink(code):
            found.append(self._shrunk(code))
        if self._can_grow(code):
            nodes = self._of_layer(self.depth_of(code) + 1)
            ways = [range(node.width) for node in nodes if node.decision.kind == "value"]
            if len(found) + self._ways(nodes) > _MOST:
                raise UnsupportedBySpaceError(
                    f"a layer can be added in {self._ways(nodes):,} ways; draw some by mutate"
                )
            found += [self._grown(code, nodes, way) for way in itertools.product(*ways)]
        return [neighbour for neighbour in found if self._allows(neighbour)]

    def mutate(self, code: Sequence[int], rng: Any = None) -> Code:
        """Return a neighbour: a decision is drawn, the depth as likely as any other, then its change, both uniformly.

        Raises:
            ArchitectureError: If it is no code of this space.
            UnsupportedBySpaceError: If it has no neighbour.
        """
        rng, code = as_random(rng), self.canonical(code)
        steps: list[Node | None] = [node for node in self._within(code) if node.selection.others(node.chosen(code))]
        ways = [self._shrunk] * self._can_shrink(code) + [self._grown_at_random(rng)] * self._can_grow(code)
        steps += [None] * bool(ways)
        if not steps:
            raise UnsupportedBySpaceError("the architecture has no neighbour in its space")
        while True:
            node = rng.choice(steps)
            if node is None:
                found = rng.choice(ways)(code)
            else:
                found = tuple(changed(code, node, rng.choice(node.selection.others(node.chosen(code))))[0])
            if self._allows(found):
                return found

    def _drawn(self, rng: Random) -> Code:
        genes = [MASKED] * self.n_genes
        index = int(rng.random() * len(self._depths))
        self._depth.write(genes, (index,))
        draw_into(genes, [*(node for node in self._roots if node is not self._depth)], rng)
        draw_into(genes, self._depth.activated((index,)), rng)
        return tuple(genes)

    # a layer more or less

    def _within(self, code: Code) -> list[Node]:
        return [node for node in self._active(code) if node is not self._depth]

    def _of_layer(self, layer: int) -> list[Node]:
        return [node for node in self._nodes if node.decision.name.startswith(f"layer_{layer}/")]

    def _ways(self, nodes: Sequence[Node]) -> int:
        total = 1
        for node in nodes:
            total *= node.width if node.decision.kind == "value" else 1
        return total

    def _can_shrink(self, code: Code) -> bool:
        depth = self.depth_of(code)
        return depth > min(self._depths) and self._by_name[f"layer_{depth}/inputs"].chosen(code) == (depth - 2,)

    def _can_grow(self, code: Code) -> bool:
        return self.depth_of(code) < max(self._depths)

    def _shrunk(self, code: Code) -> Code:
        genes = [*code]
        for node in self._of_layer(self.depth_of(code)):
            genes[node.start : node.stop] = [MASKED] * (node.stop - node.start)
        self._depth.write(genes, (code[self._depth.start] - 1,))
        return tuple(genes)

    def _grown(self, code: Code, nodes: Sequence[Node], way: Sequence[int]) -> Code:
        genes, rest = [*code], iter(way)
        for node in nodes:
            of_inputs = (self.depth_of(code) - 1,)
            node.write(genes, of_inputs if node.decision.kind == "inputs" else (next(rest),))
        self._depth.write(genes, (code[self._depth.start] + 1,))
        return tuple(genes)

    def _grown_at_random(self, rng: Random) -> Any:
        def grown(code: Code) -> Code:
            nodes = self._of_layer(self.depth_of(code) + 1)
            values = [node for node in nodes if node.decision.kind == "value"]
            return self._grown(code, nodes, [int(rng.random() * node.width) for node in values])

        return grown

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.decisions, self.constraints)
