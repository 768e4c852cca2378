"""Recurrent cells: their codes and genotypes, the published ones, and what is refused."""

from __future__ import annotations

from math import factorial
from random import Random

import pytest
import torch

from naslib.errors import ArchitectureError, ConfigError
from naslib.optimizers import DARTSOptimizer
from naslib.search_spaces import DartsRNNSearchSpace
from naslib.search_spaces.darts_rnn import DARTS_V1, DARTS_V2, ENAS, RecurrentGenotype
from naslib.search_spaces.darts_rnn.codec import RecurrentCodec, recurrent_cell
from naslib.search_spaces.darts_rnn.genotype import as_genotype

# Words of the Penn Treebank, and the size of the network that the authors retrain
PTB, SIZE = 10_000, 850


def tiny(**kwargs: object) -> DartsRNNSearchSpace:
    return DartsRNNSearchSpace(5, hidden=2, **kwargs)


@pytest.mark.parametrize(("genotype", "millions"), [(DARTS_V1, 22.96), (DARTS_V2, 22.96), (ENAS, 27.295)])
def test_published_cells_build_with_the_published_size(genotype: RecurrentGenotype, millions: float) -> None:
    """23 M parameters ([Liu2019darts], Table 2)."""
    nodes = len(genotype.recurrent)
    with torch.device("meta"):
        space = DartsRNNSearchSpace(PTB, hidden=SIZE, **tiny().arguments_for(genotype))
        space.set_spec(genotype)
        network = space.evaluation_network()
    formula = PTB * SIZE + PTB + 2 * SIZE * 2 * SIZE + nodes * SIZE * 2 * SIZE
    assert sum(p.numel() for p in network.parameters()) == formula == round(millions * 1e6)
    assert as_genotype(network.genotype()) == as_genotype(genotype)


@pytest.mark.parametrize("genotype", [DARTS_V1, DARTS_V2])
def test_a_genotype_is_read_in_any_spelling(genotype: RecurrentGenotype) -> None:
    codec = RecurrentCodec()
    code = codec.canonical(genotype)
    text = f"Genotype(recurrent={list(genotype.recurrent)}, concat=range(1, 9))"
    spellings = [
        text,
        f"DARTS = {text}",
        {"recurrent": [list(pair) for pair in genotype.recurrent], "concat": list(range(1, 9))},
        {"genotype": {"recurrent": genotype.recurrent}},
        (list(genotype.recurrent), range(1, 9)),
        [(source, op) for op, source in genotype.recurrent],
        code,
        str(code),
        codec.genotype(code),
    ]
    assert [codec.canonical(spec) for spec in spellings] == [code] * len(spellings)
    assert codec.from_decisions(codec.to_decisions(code)) == code
    assert codec.to_genotype(code) == RecurrentGenotype(list(genotype.recurrent), list(range(1, 9)))


def test_the_first_cell_has_this_code() -> None:
    # (state, operation) with tanh 0, relu 1, sigmoid 2, identity 3
    expected = (0, 1, 1, 1, 2, 0, 3, 1, 4, 1, 1, 3, 5, 1, 1, 1)
    assert RecurrentCodec().canonical(DARTS_V1) == expected


@pytest.mark.parametrize("nodes", [1, 2, 8])
def test_the_codec_states_what_the_graph_states(nodes: int) -> None:
    space = tiny(nodes=nodes)
    stated, known = space.decision_space, RecurrentCodec(nodes).decision_space
    assert stated.names == known.names
    for name in stated.names:
        mine, other = known.decision(name), stated.decision(name)
        assert (mine.kind, mine.candidates, mine.n_chosen, mine.condition) == (
            other.kind, other.candidates, other.n_chosen, other.condition,
        )  # fmt: skip
    assert stated.size() == known.size() == factorial(nodes) * 4**nodes
    rng = Random(nodes)
    for _ in range(20):
        code = RecurrentCodec(nodes).random(rng)
        assert RecurrentCodec(nodes).is_valid(code)
        assert stated.is_valid(RecurrentCodec(nodes).to_decisions(code))


def test_a_node_keeps_the_edge_with_the_best_operation_but_none() -> None:
    optimizer = DARTSOptimizer()
    optimizer.adapt_search_space(tiny(nodes=3))
    # none, tanh, relu, sigmoid, identity; edges 1-2, 1-3, 1-4, 2-3, 2-4, 3-4
    rows = [
        [9, 0, 0, 1, 0],
        [9, 0, 2, 0, 0],
        [0, 0, 0, 0, 3],
        [0, 1, 0, 0, 1],
        [9, 2, 0, 0, 0],
        [9, 0, 0, 0, 0],
    ]
    with torch.no_grad():
        for alpha, row in zip(optimizer.architectural_weights, rows, strict=True):
            alpha.copy_(torch.tensor(row, dtype=torch.float32))
    found = optimizer.get_final_architecture()
    # by softmaxed weights, as the authors rank edges, or by logits: the same for these
    assert found.genotype()["recurrent"][0] == ["sigmoid", 0]
    assert found.genotype()["recurrent"][2] == ["identity", 0]
    cell = recurrent_cell(found)
    assert [cell.in_degree(node) for node in (2, 3, 4)] == [1, 1, 1]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("Genotype(recurrent=[('relu', 1)], concat=[1])", "node 1 reads state 1, but it can read 0 to 0 only"),
        ({"recurrent": [("swish", 0)] * 8}, "node 1 has the unknown operation 'swish'"),
        ({"recurrent": [("rleu", 0)] * 8}, "did you mean 'relu'"),
        ({"recurrent": [("relu", 0)] * 8, "concat": [9]}, "concat is"),
        ({"recurrent": [("relu", 0)] * 8, "concat": [2, 2]}, "concat names a node twice"),
        ({"recurrent": [("relu", 0)] * 3}, "the genotype has 3 nodes, the cells of this space 8"),
        ({"recurrent": [("relu", 0)] * 8, "concat": [1, 2]}, "search_space_args={concat: [1, 2]}"),
        ({"normal": [("relu", 0)], "reduce": []}, "has the entries recurrent and concat"),
        ((0, 1) * 7, "16 ints"),
        ((0, 4) * 8, "operations 0 to 3"),
        ((1, 0) * 8, "states before the node"),
        ("relu(", "cannot read"),
        ([], "16 ints"),
    ],
)
def test_what_is_no_cell_is_refused(spec: object, words: str) -> None:
    with pytest.raises(ArchitectureError) as raised:
        tiny().set_spec(spec)
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"hidden": 0}, "hidden must be at least 1, not 0"),
        ({"n_classes": 1}, "n_classes must be at least 2, not 1"),
        ({"nodes": 0}, "nodes must be at least 1"),
        ({"dropout_input": 1.0}, "dropout_input must be in [0, 1), not 1.0"),
        ({"concat": [0, 1]}, "concat must name some of the nodes 1 to 8, each once, not [0, 1]"),
        ({"task": "classification"}, "darts_rnn is for language_modelling, not for classification"),
    ],
)
def test_what_cannot_be_built_is_refused(given: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError) as raised:
        DartsRNNSearchSpace(**given)
    assert words in str(raised.value)


def test_a_supernet_is_no_architecture() -> None:
    with pytest.raises(ArchitectureError, match="the operation into node 2 of recurrent_cell is not decided yet"):
        tiny().get_code()
    with pytest.raises(ArchitectureError, match="not decided yet"):
        tiny().evaluation_network()
