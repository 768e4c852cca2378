"""Operations that work in place: every method computes what it computes with their copies that do not."""

from __future__ import annotations

import copy

import pytest
import torch
from small_searches import METHODS
from torch import Tensor, nn
from torch.nn import functional as F

from naslib.errors import GraphError
from naslib.mixed_operations import BinaryMixedOp, ContinuousMixedOp
from naslib.optimizers import OPTIMIZERS, DARTSOptimizer, OneShotOptimizer
from naslib.search_spaces.core.graph import EdgeData, Graph
from naslib.search_spaces.core.in_place import changes_input
from naslib.search_spaces.core.primitives import AbstractCombOp, Identity

WIDTH, CLASSES = 6, 3
# Linear layers cannot be built with fewer channels, and no edges compete at a node
KEYWORDS = {"pc_darts": {"parts": {"partial_channels": False, "edge_normalization": False}}}
OPTIONS = [{"checkpoint_cells": True}, {"unrolled": True}, {"unrolled": True, "hessian": "exact"}]


class AddOne(nn.Module):
    """A user's own module, which may write into its input."""

    def __init__(self, inplace: bool) -> None:
        super().__init__()
        self.in_place = inplace

    def forward(self, x: Tensor) -> Tensor:
        if not self.in_place:
            return x + 1
        x += 1
        return x


class FirstTakesAll(AbstractCombOp):
    """A combination that adds into the first tensor."""

    def __init__(self, inplace: bool) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, tensors: list[Tensor], edges_data: list[EdgeData]) -> Tensor:
        if not self.inplace:
            return sum(tensors[1:], start=tensors[0])
        for tensor in tensors[1:]:
            tensors[0].add_(tensor)
        return tensors[0]


def space(inplace: bool) -> Graph:
    """Return a graph with writers after mixed edges, beside them, among their candidates, and at a node."""
    torch.manual_seed(3)
    cell = Graph(name="cell", scope="cell")
    cell.add_nodes_from([1, 2, 3, 4, 5])
    cell.add_edges_from([(1, 2), (2, 3), (2, 5), (1, 4), (3, 4), (4, 5)])
    graph = Graph(name="macro")
    graph.add_nodes_from([1, 2, 3, 4, 5])
    graph.add_edge(1, 2, op=nn.Linear(WIDTH, WIDTH))
    graph.add_edge(2, 3, EdgeData({"op": cell}))
    graph.add_edge(4, 5, op=nn.Sequential(AddOne(inplace), nn.Linear(WIDTH, CLASSES)))
    for edge in ((1, 2), (1, 4), (2, 5)):
        candidates = [
            nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh()),
            Identity(),
            nn.ReLU(inplace=inplace),
            nn.Sequential(AddOne(inplace), nn.Linear(WIDTH, WIDTH)),
        ]
        cell.edges[edge].set("op", candidates)
    cell.edges[2, 3].set("op", nn.LeakyReLU(0.1, inplace=inplace))
    cell.edges[3, 4].set("op", AddOne(inplace))
    cell.edges[4, 5].set("op", nn.Sequential(nn.Identity(), nn.ReLU(inplace=inplace)))
    cell.nodes[5]["comb_op"] = FirstTakesAll(inplace)
    graph.add_edge(3, 4, EdgeData({"op": cell.copy()}))
    graph.OPTIMIZER_SCOPE = "cell"
    return graph


def _batch(seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(8, WIDTH, generator=generator, dtype=torch.float64)
    return x, torch.randint(CLASSES, (8,), generator=generator)


def _searched(name: str, inplace: bool, **keywords) -> OneShotOptimizer:
    optimizer = OPTIMIZERS.get(name)(
        epochs=2, learning_rate=0.1, arch_learning_rate=0.1, arch_weight_decay=0.0, **keywords
    )
    graph = space(inplace)
    torch.manual_seed(1)
    optimizer.adapt_search_space(graph)
    optimizer.graph.double()
    for parameter in optimizer.architecture_parameters:
        parameter.data = parameter.data.double()
    optimizer.before_training()
    optimizer.graph.train()
    for epoch in range(2):
        optimizer.new_epoch(epoch)
        for step in range(3):
            torch.manual_seed(10 * epoch + step)
            optimizer.step(_batch(step), _batch(50 + step))
    return optimizer


@pytest.mark.parametrize("name", METHODS)
def test_a_search_is_the_same_with_operations_that_work_in_place(name: str):
    plain, written = (_searched(name, inplace, **KEYWORDS.get(name, {})) for inplace in (False, True))
    assert sum(p.numel() for p in plain.weights) > 100
    for first, second in zip(plain.weights, written.weights, strict=True):
        assert torch.equal(first, second)
    for first, second in zip(plain.architectural_weights, written.architectural_weights, strict=True):
        assert torch.equal(first, second)


@pytest.mark.parametrize("keywords", OPTIONS)
def test_options_of_darts(keywords: dict):
    plain, written = _searched("darts", False, **keywords), _searched("darts", True, **keywords)
    for first, second in zip(plain.architectural_weights, written.architectural_weights, strict=True):
        torch.testing.assert_close(first, second, rtol=0, atol=1e-12)


def test_discrete_graphs_and_their_inputs():
    """An identity before a writer: the source of both keeps its value, and so does what the user passes in."""
    graphs = {}
    for inplace in (False, True):
        torch.manual_seed(0)
        graph = space(inplace)
        for cell in (graph.edges[2, 3].op, graph.edges[3, 4].op):
            for edge, candidate in (((1, 2), 1), ((1, 4), 2), ((2, 5), 3)):
                cell.edges[edge].set("op", cell.edges[edge].op[candidate])
        graph.parse()
        graphs[inplace] = graph.double()
    x = _batch(0)[0]
    before = x.clone()
    expected = graphs[False](x)
    for _ in range(2):
        assert torch.equal(graphs[True](x), expected)
    with torch.no_grad():
        assert torch.equal(graphs[True].eval()(x), expected)
    with torch.inference_mode():
        assert torch.equal(graphs[True](x), expected)
    assert torch.equal(graphs[True].plan.to_fx()(x), expected)
    exported = torch.export.export(graphs[True], (x,)).module()
    torch.testing.assert_close(exported(x), expected)
    assert torch.equal(x, before)

    first = Graph(name="first")
    first.add_nodes_from([1, 2])
    first.add_edge(1, 2, op=nn.ReLU(inplace=True))
    assert torch.equal(first(x), x.relu()) and torch.equal(x, before)


def test_equal_poolings_share_a_result_that_one_of_them_feeds_to_a_writer():
    from naslib.search_spaces.core.primitives import MaxPool

    graph = Graph(name="g")
    graph.add_nodes_from([1, 2, 3, 4])
    graph.add_edges_from([(1, 2), (1, 3), (2, 4), (3, 4)])
    for edge in ((1, 2), (1, 3)):
        graph.edges[edge].set("op", MaxPool(2, 3, 1, use_bn=False))
    graph.edges[2, 4].set("op", AddOne(True))
    x = torch.randn(2, 2, 5, 5)
    torch.testing.assert_close(graph(x), 2 * F.max_pool2d(x, 3, 1, 1) + 1)


def test_the_output_of_a_drawn_edge_may_be_changed_by_the_caller():
    """A loss that works in place on the logits of a graph that ends in a mixed edge."""
    gradients = []
    for inplace in (False, True):
        graph = Graph(name="g", scope="g")
        graph.add_nodes_from([1, 2])
        torch.manual_seed(0)
        graph.add_edge(1, 2, op=[nn.Linear(WIDTH, WIDTH), Identity()])
        graph.OPTIMIZER_SCOPE = "g"
        optimizer = OPTIMIZERS.get("gdas")()
        optimizer.adapt_search_space(graph)
        optimizer.graph.double()
        optimizer.architectural_weights[0].data = torch.tensor([0.2, 0.1], dtype=torch.float64)
        optimizer.before_training()
        optimizer.new_epoch(0)
        torch.manual_seed(4)
        x = _batch(0)[0]
        out = optimizer.graph(x)
        out = out.mul_(2) if inplace else out * 2
        gradients.append(torch.autograd.grad(out.square().sum(), list(optimizer.architectural_weights)))
    assert gradients[0][0].abs().max() > 1e-3
    assert torch.equal(gradients[0][0], gradients[1][0])


@pytest.mark.parametrize("n_on", [1, 2])
@pytest.mark.parametrize("kind", [BinaryMixedOp, ContinuousMixedOp])
def test_mixed_operations_in_a_model_that_works_in_place(kind: type, n_on: int):
    """`y += x` and an in-place ReLU after the layer, writers among the operations: the gradients of the plain model."""

    def gradients(inplace: bool, draw: int) -> list[Tensor]:
        torch.manual_seed(0)
        operations = [nn.Linear(4, 4), nn.Identity(), nn.ReLU(inplace=inplace), AddOne(inplace)]
        layer = kind(operations, n_on).double()
        torch.manual_seed(draw)
        x = torch.randn(5, 4, dtype=torch.float64).requires_grad_()
        y = layer(x)
        if inplace:
            y += x
            y = F.relu_(y)
        else:
            y = F.relu(y + x)
        return list(torch.autograd.grad((y * x.detach()).sum(), [x, layer.alpha]))

    different = set()
    for draw in range(12):
        plain, written = gradients(False, draw), gradients(True, draw)
        for first, second in zip(plain, written, strict=True):
            torch.testing.assert_close(first, second, rtol=0, atol=1e-14)
        different.add(round(float(plain[1][0]), 12))
    assert len(different) > 1


def test_what_is_known_of_an_operation():
    assert changes_input(nn.ReLU()) is False and changes_input(nn.ReLU(inplace=True)) is True
    assert changes_input(Identity()) is False
    own = AddOne(True)
    assert changes_input(own) is None
    graph = Graph(name="g")
    graph.add_nodes_from([1, 2])
    graph.add_edge(1, 2, op=own)
    graph(torch.zeros(1))
    assert changes_input(own) is True and changes_input(copy.deepcopy(own)) is None


def test_a_module_that_begins_to_write_later_is_named():
    own = AddOne(False)
    graph = Graph(name="g")
    graph.add_nodes_from([1, 2, 3])
    graph.add_edge(1, 2, op=nn.Linear(2, 2))
    graph.add_edge(2, 3, op=own)
    graph(torch.zeros(1, 2))
    own.in_place = True
    with pytest.raises(GraphError, match="AddOne changed its input in place"):
        graph(torch.zeros(1, 2))
    assert torch.isfinite(graph(torch.zeros(1, 2))).all()  # and is given a copy from then on


def test_darts_adds_no_copy_where_nothing_works_in_place(monkeypatch):
    copies = []
    plain = Tensor.clone
    monkeypatch.setattr(Tensor, "clone", lambda self, **keywords: copies.append(1) or plain(self, **keywords))
    optimizer = DARTSOptimizer()
    graph = Graph(name="g", scope="g")
    graph.add_nodes_from([1, 2, 3])
    graph.add_edge(1, 2, op=[Identity(), nn.Linear(3, 3)])
    graph.add_edge(2, 3, op=nn.Tanh())
    graph.OPTIMIZER_SCOPE = "g"
    optimizer.adapt_search_space(graph)
    copies.clear()
    optimizer.graph(torch.randn(2, 3))
    assert not copies
