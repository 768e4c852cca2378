"""Writing: architectures as sequences of words, and sequences of words as architectures."""

from __future__ import annotations

import itertools
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from random import Random
from typing import Any

import torch
from torch import Tensor

from naslib.errors import ArchitectureError, UnsupportedBySpaceError
from naslib.search_spaces.core.codec import Code, Codec
from naslib.search_spaces.core.decisions import MASKED, Decision
from naslib.search_spaces.core.schema import DecisionSpace

from .vertices import Vertices

# Words: 0 begins a sequence, 1 stands for what is not decided, candidates follow by their kinds
_NOTHING, _FIRST = 1, 2
_KINDS = ("inputs", "op", "value")
_NODE = re.compile(r"(?P<graph>.*?)/?(?:(?P<source>\d+)-)?(?P<target>\d+)(?::\w+)?")


class WrittenPart(ABC):
    """Some neighbouring words of a sequence, and the genes that they say."""

    def __init__(self, words: Sequence[Sequence[int]]) -> None:
        self.words = [tuple(allowed) for allowed in words]  # by place, which words may stand there

    @abstractmethod
    def write(self, genes: Sequence[int], rng: Random | None) -> list[int]:
        """Return the words of the genes of an architecture; in a random order where several say the same."""

    @abstractmethod
    def read(self, words: Sequence[int], genes: list[int]) -> bool:
        """Put into `genes` what the words say; return whether they say anything."""


class Gene(WrittenPart):
    """One gene, one word.

    Args:
        gene: Its place in the code.
        decision: Whose gene it is.
        first: The word of its first candidate, or of an absent input.
    """

    def __init__(self, gene: int, decision: Decision, first: int) -> None:
        count = 2 if decision.n_chosen is None else len(decision.candidates)
        nothing = [_NOTHING] if decision.condition is not None else []
        super().__init__([[*nothing, *range(first, first + count)]])
        self.gene, self.first = gene, first

    def write(self, genes: Sequence[int], rng: Random | None) -> list[int]:
        """Return the word of the gene."""
        value = genes[self.gene]
        return [_NOTHING if value == MASKED else self.first + value]

    def read(self, words: Sequence[int], genes: list[int]) -> bool:
        """Put the gene."""
        genes[self.gene] = MASKED if words[0] == _NOTHING else words[0] - self.first
        return True


class Pairs(WrittenPart):
    """The inputs that a node has chosen, each with its operation: pairs of words whose order says nothing.

    This is how Luo et al. (2018), [Luo2018nao], write the nodes of a cell.

    Args:
        genes: Of the inputs.
        ops: The gene of the operation of each candidate.
        decision: Of the inputs.
        n_ops: How many operations there are.
        first_input: The word of the first candidate.
        first_op: The word of the first operation.
    """

    def __init__(
        self, genes: range, ops: Sequence[int], decision: Decision, n_ops: int, first_input: int, first_op: int
    ) -> None:
        nothing = [_NOTHING] if decision.condition is not None else []
        inputs = [*nothing, *range(first_input, first_input + len(decision.candidates))]
        operations = [*nothing, *range(first_op, first_op + n_ops)]
        super().__init__([inputs, operations] * len(genes))
        self.genes, self.ops, self.first_input, self.first_op = genes, tuple(ops), first_input, first_op

    def write(self, genes: Sequence[int], rng: Random | None) -> list[int]:
        """Return the pairs, ascending by the input or shuffled."""
        chosen = [genes[place] for place in self.genes]
        if chosen[0] == MASKED:
            return [_NOTHING] * len(self.words)
        if rng is not None:
            rng.shuffle(chosen)
        return [word for i in chosen for word in (self.first_input + i, self.first_op + genes[self.ops[i]])]

    def read(self, words: Sequence[int], genes: list[int]) -> bool:
        """Put inputs and operations; an input that is there twice says nothing."""
        if _NOTHING in words:
            return set(words) == {_NOTHING}
        pairs = sorted(zip(words[::2], words[1::2], strict=True))
        for place, (source, operation) in zip(self.genes, pairs, strict=True):
            genes[place] = source - self.first_input
            genes[self.ops[genes[place]]] = operation - self.first_op
        return len({source for source, _ in pairs}) == len(pairs)


class Writing:
    """Write the architectures of a space as sequences of one length, and read sequences.

    Node after node where the names of decisions say their nodes, what a node reads before its operation: chosen inputs
    with their operations as pairs (`Pairs`), everything else one word per gene. Sequences that read back as the same
    architecture are *spellings* of it: the pairs of a node in another order, and where decisions are the edges of a
    DAG with operations on its vertices (NAS-Bench-101), the vertices in another order. Other spaces have one spelling.

    Args:
        codec: Of the space, which states its decisions.

    Attributes:
        allowed: `(l, vocabulary)` bool: which words may stand at each place.

    Raises:
        UnsupportedBySpaceError: If the codec does not state its decisions.
    """

    def __init__(self, codec: Codec[Any]) -> None:
        space = codec.decision_space
        if space is None:
            raise UnsupportedBySpaceError(
                f"{codec.name} does not state its decisions, which are what a sequence is written of"
            )
        self.codec, self.space = codec, space
        self.passages = _passages(space)
        places = [words for passage in self.passages for words in passage.words]
        self.allowed = torch.zeros(len(places), 1 + max(max(words) for words in places), dtype=torch.bool)
        for place, words in enumerate(places):
            self.allowed[place, list(words)] = True
        self.vertices = Vertices.of(space)

    def write(self, codes: Sequence[Code], rng: Random | None = None) -> Tensor:
        """Return the sequences of n architectures, `(n, l)` int64.

        Args:
            codes: Canonical codes.
            rng: If given, another spelling is drawn for each, where it has several.
        """
        rows = [self._row(self.codec.to_decisions(code), rng) for code in codes]
        return torch.tensor(rows, dtype=torch.int64).reshape(len(rows), len(self.allowed))

    def read(self, sequences: Tensor) -> list[Code | None]:
        """Return the codes of sequences `(n, l)`, None for those that are no architecture of the space."""
        return [self._code(row) for row in sequences.tolist()]

    def _row(self, genes: Code, rng: Random | None) -> list[int]:
        if rng is not None and self.vertices is not None:
            other = self.vertices.renumbered(genes, rng)
            genes = other if self._decided(other) == genes else genes
        return [word for passage in self.passages for word in passage.write(genes, rng)]

    def _code(self, row: Sequence[int]) -> Code | None:
        genes, place = [MASKED] * self.space.n_genes, 0
        for passage in self.passages:
            stop = place + len(passage.words)
            if not passage.read(row[place:stop], genes):
                return None
            place = stop
        decided = self._decided(tuple(genes))
        return None if decided is None else self._coded(decided)

    def _decided(self, genes: Code) -> Code | None:
        try:
            return self.space.canonical(genes)
        except ArchitectureError:
            return None

    def _coded(self, decided: Code) -> Code | None:
        try:
            return self.codec.from_decisions(decided)
        except ArchitectureError:
            return None


def _passages(space: DecisionSpace) -> list[WrittenPart]:
    """Return the passages of a sequence, in their order."""
    firsts = dict.fromkeys(_KINDS, _FIRST)
    for kind, after in itertools.pairwise(_KINDS):
        firsts[after] = firsts[kind] + _widest(space, kind)
    taken: set[str] = set()
    found: dict[str, list[WrittenPart]] = {}
    for decision in space.decisions:
        ops = _paired(space, decision)
        if ops:
            genes = space.genes(decision.name)
            places = [space.genes(op.name).start for op in ops]
            count = len(ops[0].candidates)
            found[decision.name] = [
                Pairs(range(genes.start, genes.stop), places, decision, count, firsts["inputs"], firsts["op"])
            ]
            taken |= {op.name for op in ops}
    for decision in space.decisions:
        if decision.name not in found and decision.name not in taken:
            genes = space.genes(decision.name)
            first = firsts[decision.kind]
            found[decision.name] = [Gene(gene, decision, first) for gene in range(genes.start, genes.stop)]
    return [passage for name in _in_order(space) if name in found for passage in found[name]]


def _widest(space: DecisionSpace, kind: str) -> int:
    """Return how many words the decisions of a kind need."""
    of_kind = [decision for decision in space.decisions if decision.kind == kind]
    return max((2 if one.n_chosen is None else len(one.candidates) for one in of_kind), default=0)


def _paired(space: DecisionSpace, decision: Decision) -> list[Decision]:
    """Return the operation of each candidate of chosen inputs; nothing where that is not one each, all alike."""
    if decision.kind != "inputs" or decision.n_chosen is None:
        return []
    waiting = [one for one in space.decisions if one.condition is not None and one.condition[0] == decision.name]
    by_input = {tuple(one.condition_indices): one for one in waiting}
    ops = [by_input.get((place,)) for place in range(len(decision.candidates))]
    found = [op for op in ops if op is not None and op.kind == "op" and op.n_genes == 1]
    is_whole = len(found) == len(ops) == len(waiting) and len({op.candidates for op in found}) == 1
    return found if is_whole else []


def _in_order(space: DecisionSpace) -> list[str]:
    """Return the names of decisions: node after node where all say one, else as they are."""
    keys: dict[str, tuple[int, int, bool, int]] = {}
    graphs: dict[str, int] = {}
    for decision in space.decisions:
        said = _NODE.fullmatch(decision.name)
        if said is None:
            return list(space.names)
        graph = graphs.setdefault(said["graph"], len(graphs))
        keys[decision.name] = (graph, int(said["target"]), decision.kind != "inputs", int(said["source"] or 0))
    return sorted(space.names, key=keys.__getitem__)
