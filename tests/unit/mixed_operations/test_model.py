"""Models with mixed operations: two groups of parameters, the summary, and the model that is chosen."""

from __future__ import annotations

import pytest
import torch
from small_spaces import batch, mlp_space
from torch import Tensor, nn

from naslib.mixed_operations import (
    ArchitectureSearchModel,
    BinaryMaskedMixedOp,
    BinaryMixedOp,
    ContinuousMixedOp,
    SumOfOperations,
    architecture_summary,
    discretize,
    fixed_architecture,
    set_stochastic,
    trainable_architecture_variables,
    trainable_operational_variables,
)
from naslib.optimizers import BinaryMaskedOptimizer
from naslib.search_spaces.core.graph import Graph


class Block(ArchitectureSearchModel, nn.Module):
    def __init__(self, name: str | None = None) -> None:
        super().__init__()
        self.choice = BinaryMixedOp([nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4)], 1, name)

    def forward(self, x: Tensor) -> Tensor:
        return self.choice(x)


class Net(ArchitectureSearchModel, nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(4, 4)
        inner = ContinuousMixedOp([nn.Linear(4, 4), nn.Identity()], 1)
        self.nested = BinaryMaskedMixedOp([inner, nn.ReLU(), nn.Linear(4, 4)], 3, 2, name="outer")
        self.blocks = nn.ModuleList([Block(), Block("second")])
        self.same = self.blocks[0]

    def forward(self, x: Tensor) -> Tensor:
        x = self.nested(self.stem(x))
        return self.same(self.blocks[1](self.blocks[0](x)))


def _net() -> Net:
    torch.manual_seed(0)
    return Net()


def test_parameters_are_partitioned_by_identity():
    net = _net()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.fill_(1.0)  # by `==`, every parameter would be every other one of its shape
        net.blocks[0].choice.operations[0].bias.requires_grad_(False)
    architecture, operational = net.trainable_architecture_variables, net.trainable_operational_variables
    assert len(architecture) == 4 and {id(a) for a in architecture} == {
        id(op.alpha) for op in (net.nested, net.nested.operations[0], net.blocks[0].choice, net.blocks[1].choice)
    }
    expected = {id(p) for p in net.parameters() if p.requires_grad} - {id(a) for a in architecture}
    assert {id(p) for p in operational} == expected and len(operational) == len(expected)
    assert [id(p) for p in trainable_architecture_variables(net)] == [id(p) for p in architecture]
    assert len(net.blocks[1].trainable_operational_variables) == 4


def test_frozen_variables_are_in_neither_group():
    net = _net()
    alphas = net.trainable_architecture_variables
    with net.fixed_architecture():
        assert net.trainable_architecture_variables == []
        assert not {id(p) for p in trainable_operational_variables(net)} & {id(a) for a in alphas}
        net(torch.randn(3, 4)).sum().backward()
    assert all(a.grad is None and a.requires_grad for a in alphas)
    with pytest.raises(RuntimeError, match="inside"), fixed_architecture(net):
        raise RuntimeError("inside")
    assert all(a.requires_grad for a in alphas)


def test_nothing_is_evaluated_while_the_architecture_is_fixed():
    op = BinaryMixedOp([nn.Tanh(), nn.ReLU()], 1)
    calls: list[str] = []
    for layer in op.operations:
        layer.register_forward_hook(lambda module, *_: calls.append(type(module).__name__))
    x = torch.randn(3, 4, requires_grad=True)
    with fixed_architecture(op):
        op(x).sum().backward()
    assert len(calls) == 1
    op(x).sum().backward()
    assert len(calls) == 3


def test_summary_has_a_line_per_mixed_operation():
    net = _net()
    with torch.no_grad():
        net.nested.alpha.copy_(torch.tensor([0.25, 0.25, 0.5]).log())
    lines = net.architecture_summary().splitlines()
    assert lines[0] == "outer: [0.2500, 0.2500, 0.5000]"
    names = [line.split(":")[0] for line in lines]
    assert names == ["outer", "nested.mixture.primitive-0", "blocks.0.choice", "second"]
    assert architecture_summary(BinaryMixedOp([nn.Tanh()], 1)) == "BinaryMixedOp: [1.0000]"
    assert architecture_summary(nn.Linear(2, 2)) == ""


def test_the_mix_in_wants_a_module():
    with pytest.raises(TypeError, match=r"must be a torch\.nn\.Module"):
        ArchitectureSearchModel().architecture_summary()


def test_stochastic_is_set_for_all():
    net = _net()
    x = torch.randn(3, 4)
    net.set_stochastic(False)
    assert torch.equal(net.train()(x), net(x))
    set_stochastic(net, None)
    assert len({net(x).sum().item() for _ in range(30)}) > 1
    assert torch.equal(net.eval()(x), net(x))


def test_the_chosen_model_computes_what_the_search_model_does_in_evaluation():
    net = _net()
    with torch.no_grad():
        for index, alpha in enumerate(net.trainable_architecture_variables):
            alpha[index % len(alpha)] += 1.0
    chosen = net.discretized().eval()
    x = torch.randn(3, 4)
    torch.testing.assert_close(chosen(x), net.eval()(x), rtol=0, atol=0)
    assert chosen.architecture_summary() == "" and chosen.trainable_architecture_variables == []
    assert chosen.same is chosen.blocks[0] and isinstance(chosen.nested, SumOfOperations)
    assert not {id(p) for p in chosen.parameters()} & {id(p) for p in net.parameters()}
    assert isinstance(discretize(BinaryMixedOp([nn.Tanh()], 1)), nn.Tanh)
    assert "outer" in repr(net) and "num_on_samples=2" in repr(net)


# on edges of a graph


def _graph() -> Graph:
    torch.manual_seed(0)
    graph = Graph(name="g")
    graph.add_nodes_from([1, 2, 3])
    graph.add_edge(1, 2, op=nn.Linear(6, 6))
    layers = [nn.Sequential(nn.Linear(6, 3), nn.Tanh()), nn.Linear(6, 3), nn.Linear(6, 3)]
    graph.add_edge(2, 3, op=BinaryMixedOp(layers, 1, "edge"))
    graph.parse()
    return graph


def test_a_mixed_operation_on_an_edge():
    graph = _graph()
    op = graph.edges[2, 3].op
    x, y = batch(dtype=torch.float32)
    nn.functional.cross_entropy(graph(x), y).backward()
    assert op.alpha.grad is not None and op.alpha.grad.abs().sum() > 0 and op.alpha.grad.sum().abs() < 1e-6
    assert [id(a) for a in trainable_architecture_variables(graph)] == [id(op.alpha)]
    assert architecture_summary(graph).startswith("edge: [0.33")
    torch.testing.assert_close(graph.clone().eval()(x), graph.eval()(x), rtol=0, atol=0)
    chosen = discretize(graph)
    assert chosen.edges[2, 3].op in list(chosen.modules()) and not isinstance(chosen.edges[2, 3].op, BinaryMixedOp)
    torch.testing.assert_close(chosen.eval()(x), graph.eval()(x), rtol=0, atol=0)
    assert isinstance(graph.edges[2, 3].op, BinaryMixedOp)


def test_beside_decisions_of_an_optimizer_it_is_a_module_like_others():
    space = mlp_space()
    space.edges[1, 2].set("op", BinaryMixedOp([nn.Linear(6, 6), nn.Linear(6, 6)], 1))
    optimizer = BinaryMaskedOptimizer()
    optimizer.adapt_search_space(space)
    assert len(optimizer.architectural_weights) == 3 and len(trainable_architecture_variables(optimizer.graph)) == 1
    before = optimizer.graph.edges[1, 2].op.alpha.detach().clone()
    optimizer.step(batch(seed=1, dtype=torch.float32), batch(seed=2, dtype=torch.float32))
    assert not torch.equal(optimizer.graph.edges[1, 2].op.alpha, before)  # trained with the weights
