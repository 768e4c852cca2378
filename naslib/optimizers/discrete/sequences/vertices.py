"""Vertices: decisions that are the edges of a DAG with operations on its vertices, and other numbers for these."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from naslib.search_spaces.core.decisions import Code
from naslib.search_spaces.core.schema import DecisionSpace


class Vertices:
    """The vertices of a DAG, 1 the input and v the output, and where the code says what enters them.

    Args:
        bits: By vertex from the second on, the genes that say which earlier vertices it reads, in their order.
        ops: By inner vertex, the gene of its operation.
    """

    def __init__(self, bits: Sequence[range], ops: Sequence[int]) -> None:
        self.bits, self.ops = list(bits), list(ops)

    @classmethod
    def of(cls, space: DecisionSpace) -> Vertices | None:
        """Return the vertices of a decision space; None where its decisions are none of these edges.

        They are where every vertex from the second on chooses any subset of all earlier ones, and all but the last
        have an operation that waits for it.
        """
        inputs = [decision for decision in space.decisions if decision.kind == "inputs"]
        others = [decision for decision in space.decisions if decision.kind != "inputs"]
        if len(inputs) < 2 or len(others) != len(inputs) - 1:
            return None
        if any(one.n_chosen is not None or one.candidates != (*range(1, n),) for n, one in enumerate(inputs, start=2)):
            return None
        if any(
            op.kind != "op" or op.condition is None or op.condition[0] != entered.name
            for op, entered in zip(others, inputs, strict=False)
        ):
            return None
        genes = [space.genes(one.name) for one in inputs]
        return cls([range(part.start, part.stop) for part in genes], [space.genes(op.name).start for op in others])

    def renumbered(self, genes: Code, rng: Random) -> Code:
        """Return the genes of the same graph with its inner vertices in a random order that every edge follows.

        Vertices that read nothing, which are not there, stay behind the others.
        """
        size = len(self.bits) + 1
        sources = [[], *([u for u, place in enumerate(part) if genes[place] == 1] for part in self.bits)]
        order, left = [0], [v for v in range(1, size - 1) if sources[v]]
        while left:
            ready = [v for v in left if all(u in order for u in sources[v])]
            order.append(ready[rng.randrange(len(ready))])
            left.remove(order[-1])
        order += [*(v for v in range(1, size - 1) if not sources[v]), size - 1]
        place_of = {v: place for place, v in enumerate(order)}
        found = list(genes)
        for now, (v, part) in enumerate(zip(order[1:], self.bits, strict=True), start=1):
            entering = {place_of[u] for u in sources[v]}
            for u, place in enumerate(part):
                found[place] = int(u in entering)
            if now < size - 1:
                found[self.ops[now - 1]] = genes[self.ops[v - 1]]
        return tuple(found)
