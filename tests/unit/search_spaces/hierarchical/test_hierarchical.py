"""The hierarchical space: three levels, its codes and mutations, and the networks of an architecture."""

from __future__ import annotations

import json
from collections import Counter
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from naslib.errors import ArchitectureError, ConfigError
from naslib.optimizers import SPOSOptimizer
from naslib.search_spaces import HierarchicalSearchSpace
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.hierarchical.genotype import HierarchySizes, as_hierarchy, edges, to_json, trivial
from naslib.search_spaces.hierarchical.network import HierarchicalNetwork, on_the_way
from naslib.search_spaces.hierarchical.primitives import OPERATIONS

TINY: dict[str, Any] = {"channels": 4, "motifs": 2, "motif_nodes": 3, "cell_nodes": 3}
SMALL = HierarchySizes(2, 3, 3)
GENOTYPE = {
    "motifs": [
        {"1-2": "conv_1x1", "1-3": "identity", "2-3": "dw_conv_3x3"},
        {"1-2": "max_pool_3x3", "2-3": "sep_conv_3x3"},
    ],
    "cell": {"1-2": "motif_1", "1-3": "motif_2", "2-3": "motif_1"},
}


@pytest.fixture(scope="module")
def whole() -> HierarchicalSearchSpace:
    return HierarchicalSearchSpace(channels=2)


def test_the_space_of_the_paper(whole: HierarchicalSearchSpace) -> None:
    decisions = whole.decision_space
    # six motifs of six edges with six operations or none, ten edges of the cell with six motifs or none
    assert decisions.size() == 7 ** (6 * 6) * 7**10 and len(decisions) == 46
    assert decisions.decision("motif_6/3-4").candidates == OPERATIONS and len(OPERATIONS) == 7
    assert decisions.decision("cell/4-5").candidates == ("none", *(f"motif_{k}" for k in range(1, 7)))
    # all uses of a motif decide together: one on each of the ten edges of three cells
    assert len(decisions.decision("motif_1/1-2").sites) == 3 * 10
    assert len(decisions.decision("cell/1-2").sites) == 3
    assert all(decision.condition is None for decision in decisions.decisions)


def test_evolution_starts_from_chains_of_identities(whole: HierarchicalSearchSpace) -> None:
    codec = whole.codec
    code = codec.trivial()
    chain = {"1-2": "identity", "2-3": "identity", "3-4": "identity"}
    cell = {f"{i}-{i + 1}": "motif_1" for i in range(1, 5)}
    assert codec.genotype(code) == {"motifs": [chain] * 6, "cell": cell}
    assert codec.initial(Random(0), mutations=0) == code
    drawn = codec.initial(Random(0))
    assert codec.is_valid(drawn) and drawn == codec.initial(Random(0))
    assert sum(a != b for a, b in zip(code, drawn, strict=True)) > 30  # of 46, after 1,000 mutations


def test_a_mutation_draws_level_motif_edge_and_operation(whole: HierarchicalSearchSpace) -> None:
    codec, rng = whole.codec, Random(1)
    code = codec.trivial()
    names = codec.decision_space.names
    changed: Counter[str] = Counter()
    for _ in range(3000):
        child = codec.mutate(code, rng)
        places = [name for name, a, b in zip(names, code, child, strict=True) if a != b]
        assert len(places) == 1 and codec.is_valid(child)
        changed[places[0]] += 1
    # half of them in the cell, over ten edges; the others over six edges of each of six motifs
    in_cell = sum(count for name, count in changed.items() if name.startswith("cell/"))
    assert abs(in_cell - 1500) < 5 * (3000 * 0.25) ** 0.5
    for name in names:
        p = 0.5 / 10 if name.startswith("cell/") else 0.5 / 36
        assert abs(changed[name] - 3000 * p) < 5 * (3000 * p) ** 0.5, name
    gene = codec.decision_space.genes("motif_1/1-2").start
    drawn = {codec.mutate(code, Random(seed))[gene] for seed in range(1500)}
    assert drawn == set(range(7))  # another operation, or none; unchanged where another edge was drawn


def test_motifs_that_the_cell_does_not_have_are_no_part_of_the_hash() -> None:
    codec = HierarchicalSearchSpace(**TINY).codec
    one = {**GENOTYPE, "cell": {"1-3": "motif_2"}}
    other = {"motifs": [{"1-2": "identity"}, GENOTYPE["motifs"][1]], "cell": {"1-3": "motif_2"}}
    first, second = codec.canonical(one), codec.canonical(other)
    assert first != second and codec.identity(first) == codec.identity(second)
    assert codec.genotype(codec.identity(first))["motifs"] == [{}, GENOTYPE["motifs"][1]]
    assert codec.identity(codec.canonical(GENOTYPE)) == codec.canonical(GENOTYPE)


def test_every_spelling_is_one_architecture() -> None:
    codec = HierarchicalSearchSpace(**TINY).codec
    code = codec.canonical(GENOTYPE)
    tuples = {
        "motifs": [{tuple(map(int, k.split("-"))): op for k, op in table.items()} for table in GENOTYPE["motifs"]],
        "cell": {**GENOTYPE["cell"]},
    }
    spellings = [json.dumps(GENOTYPE), tuples, {"genotype": GENOTYPE}, as_hierarchy(GENOTYPE, SMALL), list(code)]
    spellings += [codec.decision_space.choices(code), repr(code)]
    assert [codec.canonical(spec) for spec in spellings] == [code] * len(spellings)
    assert codec.genotype(code) == GENOTYPE == to_json(as_hierarchy(GENOTYPE, SMALL))
    with_none = {"motifs": GENOTYPE["motifs"], "cell": {**GENOTYPE["cell"], "1-2": "none"}}
    assert codec.genotype(codec.canonical(with_none))["cell"] == {"1-3": "motif_2", "2-3": "motif_1"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cell": {"1-2": "motif_3"}}, r"cell has the operation 'motif_3' on 1-2, .*did you mean 'motif_\d'"),
        ({"cell": {"1-4": "motif_1"}}, "cell has no edge '1-4'"),
        ({"cell": {"2-1": "motif_1"}}, "cell has no edge '2-1'"),
        ({"motifs": GENOTYPE["motifs"][:1]}, "motifs must be 2 tables"),
        ({"motifs": [{"1-2": "conv_3x3"}, {}]}, r"motifs\[0\] has the operation 'conv_3x3'.*did you mean"),
        ({"motifs": [[], {}]}, r"motifs\[0\] is a table"),
        ({"extra": 1}, "has motifs and cell"),
    ],
)
def test_what_is_no_architecture(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        as_hierarchy({**GENOTYPE, **change}, SMALL)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"motifs": 0}, "motifs must be at least 1"),
        ({"cell_nodes": 1}, "cell_nodes must be at least 2"),
        ({"channels": 0}, "channels must be at least 1"),
        ({"task": "segmentation"}, "hierarchical has no head for segmentation"),
    ],
)
def test_wrong_arguments(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        HierarchicalSearchSpace(**{**TINY, **given})
    with pytest.raises(ConfigError, match="merge is concat or project"):
        HierarchicalNetwork(GENOTYPE, SMALL, merge="sum")


def test_edges_that_lead_nowhere() -> None:
    table = {(1, 2): "a", (3, 4): "a", (2, 4): "a", (1, 3): "a", (2, 3): "a"}
    assert on_the_way(table, 4) == [(1, 2), (1, 3), (2, 3), (2, 4), (3, 4)]
    assert on_the_way({(1, 2): "a", (3, 4): "a"}, 4) == []
    assert on_the_way({(1, 2): "a", (1, 4): "a", (3, 4): "a"}, 4) == [(1, 4)]
    assert edges(3) == [(1, 2), (1, 3), (2, 3)]


def _by_hand(graph: Graph, nodes: int, x: Tensor) -> Tensor:
    """Compute a graph of edges: what enters a node is concatenated."""
    values = {1: x}
    for node in sorted(graph.nodes)[1:]:
        entering = []
        for source in sorted(graph.predecessors(node)):
            op = graph.edges[source, node].op
            entering.append(_by_hand(op, 3, values[source]) if isinstance(op, Graph) else op(values[source]))
        values[node] = torch.cat(entering, 1)
    return values[nodes]


@torch.no_grad()
def test_the_network_concatenates_as_the_paper_has_it() -> None:
    torch.manual_seed(0)
    network = HierarchicalNetwork(GENOTYPE, SMALL, n_classes=5, cells_per_stage=1, channels=4)
    network.parse()
    network.double().eval()
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    cell = network.nodes[3]["subgraph"]
    stem = network.edges[1, 2].op(x)
    # motif_1: a depthwise convolution of 4 channels, and the input; motif_2: a separable convolution to 4
    # node 2 has motif_1 of the input, 4 + c channels of c; node 3 has motif_2 of the input, and motif_1 of node 2
    value = _by_hand(cell, 3, stem)
    assert value.shape[1] == 4 + (4 + (4 + 4))
    for node in range(3, 9, 2):
        value = network.edges[node, node + 1].op(_by_hand(network.nodes[node]["subgraph"], 3, stem))
        stem = value
    pooled = value.mean((2, 3))
    assert torch.allclose(network(x), network.edges[8, 9].op.op[-1](pooled), rtol=0, atol=1e-12)
    size = sum(p.numel() for p in network.parameters())
    assert size == sum(_counted(C, last=C == 16) for C in (4, 8, 16)) + 3 * 9 * 4 + 8 + 17 * 5


def _counted(C: int, last: bool) -> int:
    """Count the parameters of one cell of GENOTYPE, and of the separable convolution behind it."""

    def motif_1(c: int) -> int:
        return c * C + 2 * C + 9 * C + 2 * C  # a 1x1 convolution to C, a depthwise one; c + C channels

    cell = motif_1(C) + (9 * C + C * C + 2 * C) + motif_1(2 * C)
    width, C_out = C + 3 * C, C if last else 2 * C
    return cell + 9 * width + width * C_out + 2 * C_out


@torch.no_grad()
def test_none_is_the_slice_of_a_projection() -> None:
    """With projections, the network that is retrained is a slice of the search network."""
    torch.manual_seed(3)
    space = HierarchicalSearchSpace(**TINY)
    space.set_spec(GENOTYPE)
    space.parse()
    motif = space.nodes[3]["subgraph"].edges[1, 3].op
    assert motif.name == "motif_2"
    x = torch.randn(2, 4, 8, 8)
    pooled = motif.edges[1, 2].op(x)
    separable = motif.edges[2, 3].op(pooled)
    combine = motif.nodes[3]["comb_op"].eval()
    # the edge from 1 to 3 is none: zeros
    expected = combine.bn(nn.functional.conv2d(separable, combine.conv.weight[:, 4:]))
    assert torch.allclose(combine([torch.zeros_like(x), separable]), expected, atol=1e-5)
    network = space.evaluation_network(cells_per_stage=1, channels=4, merge="project")
    assert network(torch.randn(2, 3, 8, 8)).shape == (2, 10) and network.genotype() == space.genotype() == GENOTYPE


def test_a_cell_that_leads_nowhere_is_a_constant(caplog: pytest.LogCaptureFixture) -> None:
    nowhere = {"motifs": [{"1-2": "identity"}, {}], "cell": {"1-3": "motif_1", "1-2": "motif_2"}}
    network = HierarchicalNetwork(nowhere, SMALL, cells_per_stage=1, channels=4)
    network.parse()
    first, second = network.eval()(torch.randn(2, 3, 8, 8)), network(torch.randn(2, 3, 8, 8))
    assert torch.equal(first, second) and first.isfinite().all()
    space = HierarchicalSearchSpace(**TINY)
    space.set_spec(nowhere)
    space.parse()
    assert space(torch.randn(2, 3, 8, 8)).isfinite().all()


def test_what_a_search_finds_has_the_motifs_of_its_cell() -> None:
    torch.manual_seed(0)
    optimizer = SPOSOptimizer(epochs=1)
    optimizer.adapt_search_space(HierarchicalSearchSpace(**TINY))
    optimizer.before_training()
    code = optimizer.graph.codec.canonical({**GENOTYPE, "cell": {"1-3": "motif_2"}})
    optimizer.use(code)
    found = optimizer.discretized(optimizer.scores_of(code))
    assert found.get_code() == optimizer.graph.codec.identity(code)
    assert found.genotype() == {"motifs": [{}, GENOTYPE["motifs"][1]], "cell": {"1-3": "motif_2"}}
    x = torch.randn(2, 3, 8, 8)
    optimizer.graph.eval()
    with torch.no_grad():
        assert torch.equal(found.eval()(x), optimizer.graph(x))


def test_the_trivial_architecture_builds_at_the_size_of_the_paper() -> None:
    with torch.device("meta"):
        network = HierarchicalNetwork(trivial(HierarchySizes()), cells_per_stage=2, channels=16)
        network.parse()
    # nothing but stem, six separable convolutions and a linear layer has weights
    between = [(16, 16), (16, 32), (32, 32), (32, 64), (64, 64), (64, 64)]
    expected = 27 * 16 + 32 + sum(9 * a + a * b + 2 * b for a, b in between) + 65 * 10
    assert sum(p.numel() for p in network.parameters()) == expected
