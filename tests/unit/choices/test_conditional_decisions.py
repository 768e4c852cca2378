"""Decisions inside of candidates: one code for an architecture, sizes of what is kept, copies that decide together."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
import torch
from torch import Tensor, nn

from naslib.choices import InputChoice, LayerChoice, RepeatChoice, ValueChoice
from naslib.errors import ConfigError, GraphError
from naslib.optimizers import DARTSOptimizer, GDASOptimizer, SPOSOptimizer
from naslib.optimizers.oneshot.paths.sizes import parameter_table
from naslib.search_spaces import ModuleSearchSpace
from naslib.search_spaces.core.elastic import ElasticLinear
from naslib.search_spaces.core.graph import EdgeData, Graph
from naslib.search_spaces.core.primitives import Sequential
from tests.support.zoo import ENTRIES


class Both(nn.Module):
    """A choice of inputs and a size: `inner` and `width`, which are decided where this candidate is chosen."""

    def __init__(self) -> None:
        super().__init__()
        width = ValueChoice([1, 2, 3], "width")
        self.sized = nn.Sequential(ElasticLinear(3, width), nn.Tanh(), ElasticLinear(width, 3))
        self.inner = InputChoice(3, 2, "inner")

    def forward(self, x: Tensor) -> Tensor:
        return self.inner([x, x.sin(), self.sized(x)])


def space() -> ModuleSearchSpace:
    return ModuleSearchSpace(nn.Sequential(LayerChoice({"plain": nn.Linear(3, 3), "both": Both()}, "outer")))


def test_an_architecture_has_one_code() -> None:
    decisions = space().decision_space
    assert decisions.names == ("outer", "inner", "width")
    assert [d.condition for d in decisions.decisions] == [None, ("outer", 1), ("outer", 1)]
    assert decisions.size() == 1 + 3 * 3 == len(list(decisions.iterate()))
    assert decisions.canonical((0, 0, 1, 2)) == decisions.canonical((0, 1, 2, 0)) == (0, -1, -1, -1)
    assert decisions.choices((1, 2, 0, 1)) == {"outer": "both", "inner": (0, 2), "width": 2}
    counts = Counter(decisions.random(Random(seed)) for seed in range(2000))
    assert len(counts) == 10 and max(counts.values()) < 280  # each a tenth of the draws
    codes = set()
    for code in decisions.iterate():
        graph = space()
        graph.set_spec(code)
        again = space()
        again.set_spec(graph.genotype())
        assert graph.get_code() == again.get_code() == code and graph.get_hash() == again.get_hash()
        codes.add(graph.get_hash())
    assert len(codes) == 10


@pytest.mark.parametrize("optimizer", [DARTSOptimizer, GDASOptimizer])
def test_what_a_search_finds_has_a_canonical_code(optimizer: type) -> None:
    torch.manual_seed(0)
    search = optimizer(epochs=1)
    search.adapt_search_space(space())
    names = search.decision_names
    assert names == ["outer", "inner", "width"]
    for outer, code in ((0, (0, -1, -1, -1)), (1, (1, 1, 2, 0))):
        scores = [torch.eye(2)[outer], torch.tensor([0.1, 0.2, 0.7]), torch.tensor([0.5, 0.3, 0.2])]
        found = search.discretized(scores)
        assert found.get_code() == code and found.decision_space.is_valid(code)
        assert set(found.genotype()) == ({"outer"} if outer == 0 else {"outer", "inner", "width"})


def test_a_decision_in_a_block_depends_on_the_chain_being_so_long() -> None:
    def block(index: int) -> nn.Module:
        return nn.Sequential(LayerChoice([nn.Linear(3, 3), nn.Identity()], f"layer{index}"))

    space = ModuleSearchSpace(nn.Sequential(RepeatChoice(block, [1, 3, 2], "depth")))
    conditions = {d.name: d.condition for d in space.decision_space.decisions}
    assert conditions == {"depth": None, "layer0": None, "layer1": ("depth", (1, 2)), "layer2": ("depth", 1)}
    assert space.decision_space.size() == 2 + 4 + 8
    space.set_spec({"depth": 2, "layer0": "Linear", "layer1": "Identity"})
    names = space.decision_space.names
    code = dict(zip(names, space.get_code(), strict=True))
    assert code == {"depth": 2, "layer0": 0, "layer1": 1, "layer2": -1}
    assert len(space.module[0]) == 2


def test_a_chain_whose_length_is_computed() -> None:
    half = ValueChoice([1, 2], "half")
    layers = [LayerChoice([nn.Linear(3, 3), nn.Identity()], f"layer{index}") for index in range(4)]
    space = ModuleSearchSpace(nn.Sequential(RepeatChoice(lambda i: nn.Sequential(layers[i]), 2 * half)))
    conditions = [d.condition for d in space.decision_space.decisions]
    assert conditions == [None, None, ("half", 1), ("half", 1), None]
    space.set_spec({"half": 1, "layer0": "Linear", "layer1": "Identity"})
    assert len(space.module[0]) == 2


def test_what_several_candidates_decide_is_always_decided() -> None:
    def inner() -> LayerChoice:
        return LayerChoice([nn.Linear(3, 3), nn.Identity()], "inner")

    first = LayerChoice({"plain": nn.Linear(3, 3), "inside": nn.Sequential(inner())}, "first")
    second = LayerChoice({"plain": nn.Linear(3, 3), "inside": nn.Sequential(inner())}, "second")
    space = ModuleSearchSpace(nn.Sequential(first, second))
    assert {d.name: d.condition for d in space.decision_space.decisions}["inner"] is None
    optimizer = DARTSOptimizer(epochs=1)
    optimizer.adapt_search_space(space)
    scores = dict.fromkeys(optimizer.decision_names, torch.tensor([0.9, 0.1]))
    found = optimizer.discretized(list(scores.values()))
    assert found.genotype() == {"first": "plain", "second": "plain", "inner": "Linear"}  # which nothing reads
    space.set_spec(found.get_code())
    assert space.get_code() == found.get_code()


@pytest.mark.parametrize("name", ["own_layers", "own_module", "conditional_operations", "conditional_kinds"])
def test_limits_of_size_count_what_is_kept(name: str) -> None:
    torch.manual_seed(0)
    optimizer = SPOSOptimizer(epochs=1)
    entry = ENTRIES[name]
    optimizer.adapt_search_space(entry.make(n_classes=4, in_channels=3))
    table = parameter_table(optimizer)
    sizes = set()
    for seed in range(6):
        code = optimizer.random_path()
        graph = optimizer.discretized(optimizer.scores_of(code))
        expected = sum(parameter.numel() for parameter in graph.parameters())
        assert table.of(code) * 1e6 == pytest.approx(expected), seed
        sizes.add(expected)
    assert len(sizes) > 1


def test_copies_decide_together_what_modules_on_their_edges_hold() -> None:
    inner = Graph(name="inner")
    inner.add_edge(1, 2, EdgeData({"op": [nn.Linear(3, 3), nn.Identity()]}))
    cell = Graph(name="cell")
    cell.add_edge(1, 2, EdgeData({"op": [nn.Identity(), nn.Sequential(Sequential(inner), nn.Tanh())]}))
    net = Graph(name="net")
    net.add_edge(1, 2, EdgeData({"op": cell}))
    net.add_edge(2, 3, EdgeData({"op": cell.copy()}))
    assert net.decision_space.names == ("cell/1-2", "inner/1-2") and net.decision_space.size() == 3
    linears = [op for edge in ((1, 2), (2, 3)) for op in [net.edges[edge].op.edges[1, 2].op[1][0]]]
    assert linears[0] is not linears[1]


def test_latencies_and_narrow_candidates_do_not_go_with_decisions_inside() -> None:
    entry = ENTRIES["own_layers"]
    table = {"entries": {"Identity-input:8": 1.0}, "fixed": 0.0, "input_shape": [3, 8, 8]}
    for part, keywords, words in (
        ("partial_channels", {"k": 2}, "it would narrow what is inside of a narrowed candidate once more"),
        ("latency", {"table": table, "reference": 2.0}, "a table adds up all decisions"),
    ):
        optimizer = DARTSOptimizer(epochs=1, parts={part: keywords})
        with pytest.raises(ConfigError) as raised:
            optimizer.adapt_search_space(entry.make(n_classes=4, in_channels=3))
        assert words in str(raised.value)


def test_two_choices_of_one_label_in_a_graph_are_not_one_decision() -> None:
    net = Graph(name="net")
    for edge in ((1, 2), (2, 3)):
        of_edge = ModuleSearchSpace(nn.Sequential(LayerChoice([nn.Linear(3, 3), nn.Identity()], "layer")))
        net.add_edge(*edge, EdgeData({"op": of_edge.module}))
    with pytest.raises(GraphError, match="two choices are called 'layer' and are not one decision"):
        net.decision_space  # noqa: B018


def test_a_graph_with_choices_in_it_is_a_module_like_others() -> None:
    net = Graph(name="net")
    net.add_edge(1, 2, EdgeData({"op": nn.Sequential(LayerChoice([nn.Linear(3, 3), nn.Identity()], "layer"))}))
    net.add_edge(2, 3, EdgeData({"op": [nn.Linear(3, 3), nn.Sequential(LayerChoice([nn.ReLU(), nn.Tanh()], "act"))]}))
    space = ModuleSearchSpace(net)
    assert {d.name: d.condition for d in space.decision_space.decisions} == {
        "layer": None, "net/2-3": None, "act": ("net/2-3", 1)
    }  # fmt: skip
    space.set_spec({"layer": "Identity", "net/2-3": "Sequential", "act": "Tanh"})
    x = torch.randn(2, 3)
    torch.testing.assert_close(space(x), x.tanh())
