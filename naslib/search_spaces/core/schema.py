"""DecisionSpace: everything that follows from the statement of a space's decisions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from random import Random
from typing import Any

import numpy as np

from naslib.errors import ArchitectureError, DecisionError, UnsupportedBySpaceError, did_you_mean

from ._code_vectors import CodeVectors
from ._decision_tree import Node, changed, draw_into, every_way, grow
from .decisions import MASKED, Code, Decision, as_random
from .literals import shortened

# What an architecture is by name: the candidate, or a tuple of them for inputs; without what is not decided
Choices = Mapping[str, Any]
Constraint = Callable[[dict[str, Any]], bool]

# Draws that constraints may refuse before the space is enumerated, and how large it may be then
_ATTEMPTS, _ENUMERABLE = 200, 1_000_000


class DecisionSpace:
    """The architectures that consist of some decisions.

    An architecture is a *code*, a flat tuple of ints: one gene for an operation or a value (the index of the
    candidate), `n_chosen` ascending indices for inputs, one bit per candidate for any subset. Genes of decisions that
    are not made, by their condition, are -1 in the *canonical* code, so that an architecture has one code; methods
    take any spelling and return canonical codes. A decision space is immutable, and equal to one of the same
    decisions, wherever those are.

    Args:
        decisions: In the order of the genes.
        constraints: Each says of an architecture, given as `choices(code)`, whether it belongs to the space.

    Attributes:
        decisions: The decisions.
        constraints: The constraints.
        n_genes: Length of a code.
        width: Length of a vector.

    Raises:
        DecisionError: If there are no decisions, labels clash, or a condition names no decision, no candidate, or goes
            in a circle.
    """

    def __init__(self, decisions: Sequence[Decision], constraints: Sequence[Constraint] = ()) -> None:
        self.decisions = tuple(decisions)
        self.constraints = tuple(constraints)
        if not self.decisions:
            raise DecisionError("a decision space needs at least one decision")
        self._nodes, self._roots = grow(self.decisions)
        self._by_name = {node.decision.name: node for node in self._nodes}
        self.n_genes = self._nodes[-1].stop
        self._vectors = CodeVectors(self._nodes)
        self.width = self._vectors.width
        self._count = 1
        for node in self._roots:
            self._count *= node.count

    # what there is

    @property
    def names(self) -> tuple[str, ...]:
        """The labels of all decisions."""
        return tuple(self._by_name)

    def decision(self, name: str) -> Decision:
        """Return the decision of a name.

        Raises:
            DecisionError: If there is none.
        """
        return self._node(name).decision

    def genes(self, name: str) -> slice:
        """Return where the genes of a decision are in a code; see `decision`."""
        node = self._node(name)
        return slice(node.start, node.stop)

    def _node(self, name: str) -> Node:
        if name not in self._by_name:
            raise DecisionError(f"there is no decision {name!r}{did_you_mean(str(name), self._by_name)}")
        return self._by_name[name]

    def size(self) -> int | None:
        """Return the number of architectures; None if constraints leave it unknown, in a space too large to count."""
        if not self.constraints:
            return self._count
        return sum(1 for _ in self.iterate()) if self._count <= _ENUMERABLE else None

    def iterate(self) -> Iterator[Code]:
        """Yield the canonical code of every architecture once, in a fixed order, however many there are."""
        for genes in every_way([MASKED] * self.n_genes, self._roots):
            code = tuple(genes)
            if self._allows(code):
                yield code

    def describe(self) -> str:
        """Return a table for people: every decision with its candidates and condition, and the number of all codes."""
        size = self.size()
        n_architectures = f"{size:,} architectures" if size is not None else "architectures under constraints"
        column = max(len(name) for name in self._by_name)
        lines = [f"{len(self.decisions)} decisions, {n_architectures}"]
        for decision in self.decisions:
            several = decision.kind == "inputs"
            number = "" if not several else f"{decision.n_chosen if decision.n_chosen else 'any'} of "
            text = f"{decision.name:{column}}  {decision.kind:6}  {number}{', '.join(map(str, decision.candidates))}"
            if decision.condition is not None:
                other = self._by_name[decision.condition[0]].decision
                wanted = " or ".join(str(other.candidates[index]) for index in decision.condition_indices)
                text += f"  (if {other.name} has {wanted})"
            lines.append(text)
        return "\n".join(lines)

    # one architecture

    def canonical(self, code: Sequence[int]) -> Code:
        """Return the code with inputs in ascending order, and what is not decided masked.

        Raises:
            ArchitectureError: If it is no code of this space.
        """
        genes = self._genes_of(code)
        for node in self._nodes:
            if node.decision.kind == "inputs" and node.decision.n_chosen is not None:
                genes[node.start : node.stop] = sorted(genes[node.start : node.stop])
        stack, active = [*self._roots], set()
        while stack:
            node = stack.pop()
            active.add(node.index)
            self._check(node, genes)
            stack += node.activated(node.chosen(genes))
        for node in self._nodes:
            if node.index not in active:
                genes[node.start : node.stop] = [MASKED] * (node.stop - node.start)
        canonical = tuple(genes)
        if not self._allows(canonical):
            raise ArchitectureError(f"a constraint of the space excludes {self._named(canonical)}")
        return canonical

    def is_valid(self, code: Sequence[int]) -> bool:
        """Say whether `code` is the canonical code of an architecture of the space."""
        try:
            return self.canonical(code) == tuple(code)
        except (ArchitectureError, TypeError):
            return False

    def active(self, code: Sequence[int]) -> tuple[Decision, ...]:
        """Return the decisions that an architecture makes."""
        return tuple(node.decision for node in self._active(self.canonical(code)))

    def chosen(self, code: Sequence[int]) -> tuple[tuple[int, ...] | None, ...]:
        """Return per decision the indices of the candidates that an architecture has, None where it is not made."""
        code = self.canonical(code)
        return tuple(node.chosen(code) if self._is_active(node, code) else None for node in self._nodes)

    def choices(self, code: Sequence[int]) -> dict[str, Any]:
        """Return by name what is chosen: the candidate, for inputs a tuple; without what is not decided."""
        return self._named(self.canonical(code))

    def _named(self, code: Code) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for node in self._active(code):
            picked = tuple(node.decision.candidates[index] for index in node.chosen(code))
            found[node.decision.name] = picked if node.decision.kind == "inputs" else picked[0]
        return found

    def code_of(self, choices: Choices) -> Code:
        """Return the code of an architecture that is given by name, as `choices` returns it; of the rest, nothing.

        Raises:
            ArchitectureError: If a name, a candidate or a decision that must be made is missing.
        """
        unknown = [name for name in choices if name not in self._by_name]
        if unknown:
            hint = did_you_mean(str(unknown[0]), self._by_name)
            raise ArchitectureError(f"there is no decision {shortened(unknown[0])}{hint}")
        genes = [MASKED] * self.n_genes
        stack = self._roots[::-1]
        while stack:
            node = stack.pop()
            if node.decision.name not in choices:
                raise ArchitectureError(f"the decision {node.decision.name!r} is not made")
            node.write(genes, node.decision.indices_of(choices[node.decision.name]))
            stack += node.activated(node.chosen(genes))
        return self.canonical(genes)

    # variation

    def random(self, rng: Any = None) -> Code:
        """Draw a code uniformly over all canonical codes of the space.

        So a candidate under which more remains to be decided is drawn more often than its siblings.

        Args:
            rng: Generator of `random` or numpy, or a seed; numpy's global generator if None.

        Raises:
            UnsupportedBySpaceError: If the constraints leave too little to be found.
        """
        rng = as_random(rng)
        code = self._drawn(rng)
        if not self.constraints:
            return code
        for _ in range(_ATTEMPTS):
            if self._allows(code):
                return code
            code = self._drawn(rng)
        found = list(self.iterate()) if self._count <= _ENUMERABLE else []
        if not found:
            raise UnsupportedBySpaceError(f"none of {_ATTEMPTS} draws satisfies the constraints of the space")
        return rng.choice(found)

    def _drawn(self, rng: Random) -> Code:
        genes = [MASKED] * self.n_genes
        draw_into(genes, self._roots, rng)
        return tuple(genes)

    def neighbours(self, code: Sequence[int]) -> list[Code]:
        """Return every code that differs in one decision: another candidate, or one input swapped, added or removed.

        What becomes active by that takes over what ceases to be, where both have as many candidates (a swapped input
        carries its operation along), and has every way to be decided otherwise.

        Raises:
            ArchitectureError: If it is no code of this space.
            UnsupportedBySpaceError: If there are more than a million.
        """
        code = self.canonical(code)
        steps = [
            changed(code, node, other)
            for node in self._active(code)
            for other in node.selection.others(node.chosen(code))
        ]
        total = 0
        for _, undecided in steps:
            ways = 1
            for node in undecided:
                ways *= node.count
            total += ways
        if total > _ENUMERABLE:
            raise UnsupportedBySpaceError(f"the architecture has {total:,} neighbours; draw some by mutate")
        found = [tuple(way) for genes, undecided in steps for way in every_way(genes, undecided)]
        return [neighbour for neighbour in found if self._allows(neighbour)]

    def mutate(self, code: Sequence[int], rng: Any = None) -> Code:
        """Return a neighbour of `code`: a decision that can change, drawn uniformly, takes another choice, likewise.

        Args:
            code: An architecture.
            rng: See `random`.

        Raises:
            ArchitectureError: If it is no code of this space.
            UnsupportedBySpaceError: If it has no neighbour.
        """
        rng, code = as_random(rng), self.canonical(code)
        steps = [(node, node.selection.others(node.chosen(code))) for node in self._active(code)]
        steps = [(node, others) for node, others in steps if others]
        for _ in range(_ATTEMPTS if steps else 0):
            node, others = rng.choice(steps)
            genes, undecided = changed(code, node, rng.choice(others))
            draw_into(genes, undecided, rng)
            if self._allows(found := tuple(genes)):
                return found
        neighbours = self.neighbours(code) if steps else []
        if not neighbours:
            raise UnsupportedBySpaceError("the architecture has no neighbour in its space")
        return rng.choice(neighbours)

    def perturb(self, code: Sequence[int], rate: float | Sequence[float], rng: Any = None) -> Code:
        """Return a copy of `code` in which each gene is drawn anew, uniformly, with probability `rate`.

        `rate` may also be one probability per gene; the genes of one decision then have the largest of theirs.
        A gene of inputs is drawn from what the others are not. What becomes active is as in `neighbours`, drawn
        uniformly where it takes over nothing. Where constraints refuse all attempts, `code` itself is returned.
        """
        rng, code = as_random(rng), self.canonical(code)
        for _ in range(_ATTEMPTS if self.constraints else 1):
            found = self._perturbed(code, rate, rng)
            if self._allows(found):
                return found
        return code

    def _perturbed(self, code: Code, rate: float | Sequence[float], rng: Random) -> Code:
        genes, stack = [*code], [*self._roots]
        while stack:
            node = stack.pop()
            now = node.chosen(genes)
            own = max(rate[node.start : node.stop]) if isinstance(rate, Sequence) else rate
            for after in node.selection.redraw(now, own, rng):
                if after != now:
                    genes, undecided = changed(genes, node, after)
                    draw_into(genes, undecided, rng)
                    now = after
            stack += node.activated(now)
        return tuple(genes)

    def crossover(self, first: Sequence[int], second: Sequence[int], rng: Any = None) -> Code:
        """Return a code that has each decision from one of two parents that make it, with equal probability.

        Where constraints refuse all attempts, it is one of the parents.
        """
        rng, parents = as_random(rng), (self.canonical(first), self.canonical(second))
        for _ in range(_ATTEMPTS if self.constraints else 1):
            found = self._crossed(parents, rng)
            if self._allows(found):
                return found
        return rng.choice(parents)

    def _crossed(self, parents: Sequence[Code], rng: Random) -> Code:
        genes, stack = [MASKED] * self.n_genes, [*self._roots]
        while stack:
            node = stack.pop()
            having = [parent for parent in parents if self._is_active(node, parent)]
            chosen = node.chosen(having[int(rng.random() * len(having))])
            node.write(genes, chosen)
            stack += node.activated(chosen)
        return tuple(genes)

    # features

    def vector(self, code: Sequence[int]) -> np.ndarray:
        """Return an architecture as `(width,)` zeros and ones; see `vectors`."""
        return self.vectors([code])[0]

    def as_genes(self, codes: Sequence[Sequence[int]] | np.ndarray) -> np.ndarray:
        """Return canonical codes as ints, `(n, n_genes)`; what is none raises as in `vectors`."""
        return self._vectors.checked(codes)

    def vectors(self, codes: Sequence[Sequence[int]] | np.ndarray) -> np.ndarray:
        """Return canonical codes as rows of zeros and ones, float32 `(n, width)`, different for different codes.

        A decision has one entry per candidate, 1 where that is chosen; all are 0 where it is not made.

        Raises:
            ArchitectureError: If a code has another length, or a gene that is no candidate.
        """
        return self._vectors.of(codes)

    # details

    def _allows(self, code: Code) -> bool:
        return not self.constraints or all(constraint(self._named(code)) for constraint in self.constraints)

    def _is_active(self, node: Node, code: Code) -> bool:
        return code[node.start] != MASKED

    def _active(self, code: Code) -> list[Node]:
        return [node for node in self._nodes if code[node.start] != MASKED]

    def _genes_of(self, code: Sequence[int]) -> list[int]:
        message = f"a code of this space is {self.n_genes} ints, not {shortened(code)}"
        if isinstance(code, str | bytes | Mapping | Set):
            raise ArchitectureError(message)
        try:
            genes = [int(gene) for gene in code]
            same = all(bool(gene == given) for gene, given in zip(genes, code, strict=True))
        except (TypeError, ValueError, OverflowError) as error:
            raise ArchitectureError(message) from error
        if len(genes) != self.n_genes or not same:
            raise ArchitectureError(message)
        return genes

    def _check(self, node: Node, genes: Sequence[int]) -> None:
        own = genes[node.start : node.stop]
        number = node.decision.n_chosen
        bound = 2 if number is None else node.width
        if not all(0 <= gene < bound for gene in own) or (number is not None and len({*own}) != number):
            what = "a bit per candidate" if number is None else f"{number} of the indices 0 to {node.width - 1}"
            raise ArchitectureError(
                f"decision {node.decision.name!r} takes {what}, not {tuple(own)}; is the code of another space?"
            )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DecisionSpace):
            return NotImplemented
        return self.decisions == other.decisions and self.constraints == other.constraints

    def __hash__(self) -> int:
        return hash((self.names, self.n_genes))

    def __len__(self) -> int:
        return len(self.decisions)

    def __repr__(self) -> str:
        return f"DecisionSpace({len(self.decisions)} decisions, {self.n_genes} genes)"

    def __reduce__(self) -> tuple[Any, ...]:
        return DecisionSpace, (self.decisions, self.constraints)

    def __copy__(self) -> DecisionSpace:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> DecisionSpace:
        return self
