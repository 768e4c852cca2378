"""Codecs and the statements of their graphs: one set of decisions, and the fast paths agree with it."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from random import Random

import pytest

from naslib.errors import ArchitectureError, UnsupportedBySpaceError
from naslib.search_spaces import NasBench201SearchSpace, NasBench301SearchSpace
from naslib.search_spaces.core import Graph
from naslib.search_spaces.core.codec import Codec
from naslib.search_spaces.core.decisions import Decision
from naslib.search_spaces.core.schema import DecisionSpace
from naslib.search_spaces.nasbench201.codec import NasBench201Codec
from naslib.search_spaces.nasbench301.codec import OPS, DartsCodec
from naslib.search_spaces.nasbench301.conversions import convert_compact_to_genotype

SPACES: dict[str, Callable[[], Graph]] = {
    "nasbench201": lambda: NasBench201SearchSpace(channels=4, cells_per_stage=1),
    "darts": lambda: NasBench301SearchSpace(channels=4, cells=3),
    "darts of 1 node": lambda: NasBench301SearchSpace(channels=4, cells=2, nodes=1),
    "darts of 3 nodes": lambda: NasBench301SearchSpace(channels=4, cells=2, nodes=3),
}


@pytest.mark.parametrize("space", SPACES)
def test_a_codec_states_what_its_graph_does(space: str) -> None:
    graph = SPACES[space]()
    assert graph.codec is not None and graph.codec.decision_space == graph.decision_space
    assert all(decision.sites for decision in graph.decision_space.decisions)
    graph.set_spec(graph.codec.random(Random(0)))
    assert graph.decision_space == SPACES[space]().decision_space  # of a discrete architecture, too


@pytest.mark.parametrize("codec", [NasBench201Codec(), DartsCodec(), DartsCodec(1), DartsCodec(3)])
def test_codes_are_written_as_decisions_and_back(codec: Codec) -> None:
    space, rng = codec.decision_space, Random(0)
    assert space is not None
    for _ in range(50):
        code = codec.random(rng)
        decided = codec.to_decisions(code)
        assert space.is_valid(decided) and codec.from_decisions(decided) == code
        drawn = space.random(rng)
        assert codec.is_valid(codec.from_decisions(drawn)) and codec.to_decisions(codec.from_decisions(drawn)) == drawn
        neighbours = codec.neighbours(code)
        assert {codec.to_decisions(n) for n in neighbours} == set(space.neighbours(decided))
        assert codec.mutate(code, rng) in neighbours and codec.is_valid(codec.crossover(code, neighbours[0], rng))


def test_a_darts_code_says_the_same_by_name() -> None:
    codec = DartsCodec(2)
    code = codec.random(Random(5))
    choices = codec.decision_space.choices(codec.to_decisions(code))
    genotype = convert_compact_to_genotype(codec.to_compact(code))
    for name, cell in (("normal_cell", genotype.normal), ("reduction_cell", genotype.reduce)):
        for position, (op, source) in enumerate(cell):
            target = position // 2 + 3
            assert choices[f"{name}/{source + 1}-{target}"] == op
            assert target == 3 or source + 1 in choices[f"{name}/{target}"]
    assert len(choices) == 2 * (4 + 1)
    assert set(codec.decision_space.decision("normal_cell/1-3").candidates) == set(OPS)


@pytest.mark.parametrize("codec", [NasBench201Codec(), DartsCodec(1)])
def test_fast_draws_are_uniform_over_the_decision_space(codec: Codec) -> None:
    rng, space = Random(1), codec.decision_space
    assert space is not None
    for draw in (codec.random, lambda rng: codec.from_decisions(space.random(rng))):
        drawn = [codec.to_decisions(draw(rng)) for _ in range(4000)]
        for gene in range(space.n_genes):
            counts = Counter(code[gene] for code in drawn)
            share = 4000 / len(space.decisions[gene].candidates)
            assert all(abs(count - share) < 5 * share**0.5 for count in counts.values())


def test_what_a_supernet_has_not_is_said() -> None:
    with pytest.raises(ArchitectureError, match="supernet"):
        DartsCodec(2).to_decisions((0, 0, 1, 0) * 4 + (1, 3))
    with pytest.raises(ArchitectureError, match="16 ints, not 6"):
        DartsCodec(2).to_decisions((0,) * 6)
    with pytest.raises(UnsupportedBySpaceError, match="too large"):
        DartsCodec().iterate()


class Mirrored(Codec[Graph]):
    """A codec that states its decisions, and writes them the other way round; nothing more."""

    name = "mirrored"
    space = DecisionSpace(
        [Decision("depth", "value", (1, 2)), Decision("op", "op", ("a", "b", "c"), condition=("depth", 1))]
    )

    @property
    def decision_space(self) -> DecisionSpace:
        return self.space

    def to_decisions(self, code):
        return code[::-1]

    def from_decisions(self, decided):
        return decided[::-1]

    def from_graph(self, graph):
        raise NotImplementedError

    def apply(self, graph, code):
        raise NotImplementedError


def test_all_variation_follows_from_the_statement() -> None:
    codec, rng = Mirrored(), Random(0)
    codes = [(-1, 0), (0, 1), (1, 1), (2, 1)]
    assert list(codec.iterate()) == codes and {codec.random(rng) for _ in range(100)} == set(codes)
    assert sorted(codec.neighbours((0, 1))) == [(-1, 0), (1, 1), (2, 1)] and codec.is_valid((-1, 0))
    assert not codec.is_valid((0, 0)) and not codec.is_valid((0,)) and not codec.is_valid((3, 1))
    for first, second in itertools.product(codes, codes):
        assert codec.crossover(first, second, rng) in codes and codec.perturb(first, 0.5, rng) in codes
        assert codec.mutate(first, rng) in codec.neighbours(first)
    assert codec.encode((1, 1), "adjacency_one_hot").tolist() == [0, 1, 0, 1, 0]
    with pytest.raises(UnsupportedBySpaceError, match="no encoding"):
        codec.encode((1, 1), "paths")


def test_a_codec_without_a_statement_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Mirrored, "decision_space", None)
    codec = Mirrored()
    calls = [
        lambda: codec.random(Random(0)),
        lambda: codec.mutate((0, 1), Random(0)),
        lambda: codec.neighbours((0, 1)),
        lambda: codec.perturb((0, 1), 0.1, Random(0)),
        lambda: codec.crossover((0, 1), (0, 1), Random(0)),
        lambda: codec.is_valid((0, 1)),
        lambda: codec.encode((0, 1), "adjacency_one_hot"),
    ]
    for call in calls:
        with pytest.raises(UnsupportedBySpaceError, match="mirrored does not define"):
            call()
    with pytest.raises(UnsupportedBySpaceError, match="too large"):
        codec.iterate()
