"""What a module with choices computes in a supernet and in an architecture, against formulas in float64."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
import torch.utils.checkpoint
from torch import Tensor, nn

from naslib.choices import InputChoice, LayerChoice, RepeatChoice, ValueChoice
from naslib.errors import GraphError
from naslib.optimizers import DARTSOptimizer, GDASOptimizer
from naslib.search_spaces import ModuleSearchSpace
from naslib.search_spaces.core.assignment import Assignment, assigned
from naslib.search_spaces.core.elastic import ElasticLinear
from naslib.search_spaces.nni_zoo import DartsCell


class Net(nn.Module):
    """A choice of layers with a choice inside, a sum of inputs of each kind, a chain, a width."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = LayerChoice([nn.Linear(3, 3), nn.Tanh()], "inner")
        self.outer = LayerChoice([nn.Linear(3, 3), nn.Sequential(nn.Sigmoid(), self.inner)], "outer")
        self.any = InputChoice(3, None, "any")
        self.two = InputChoice(3, 2, "two")
        self.one = InputChoice(3, 1, "one")
        self.chain = RepeatChoice(lambda i: nn.Linear(3, 3), [0, 1, 3], "depth")
        width = ValueChoice([1, 2], "width")
        self.narrow, self.wide = ElasticLinear(3, width), ElasticLinear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Rows `(n, 3)` in and out."""
        a = self.outer(x)
        b = self.chain(a.sin())
        c = self.wide(self.narrow(b))
        return self.any([a, b, c]) * self.two([a, b, c]) + self.one([a, b, c])


@pytest.fixture
def optimizer() -> DARTSOptimizer:
    torch.manual_seed(0)
    optimizer = DARTSOptimizer(epochs=1)
    optimizer.adapt_search_space(ModuleSearchSpace(Net))
    optimizer.graph.double()
    generator = torch.Generator().manual_seed(1)
    for alpha in optimizer.architectural_weights:
        alpha.data = torch.randn(alpha.shape, generator=generator, dtype=torch.float64)
    return optimizer


def rows() -> Tensor:
    """Return inputs `(5, 3)`."""
    return torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def by_hand(optimizer: DARTSOptimizer, x: Tensor, weights: Callable[[str], Tensor]) -> Tensor:
    """Compute the mixture from the weights of each decision, by formulas."""
    net = optimizer.graph.module
    outer = net.outer.edges[1, 2].op.primitives
    inner = outer[1][1].edges[1, 2].op.primitives
    p, q = weights("outer"), weights("inner")
    s = x.sigmoid()
    a = p[0] * outer[0](x) + p[1] * (q[0] * inner[0](s) + q[1] * s.tanh())
    d = weights("depth")
    zero = a.sin()
    first = net.chain.blocks[0](zero)
    third = net.chain.blocks[2](net.chain.blocks[1](first))
    b = d[0] * zero + d[1] * first + d[2] * third
    w = weights("width")
    share = torch.stack([w[0] + w[1], w[1]])  # of the channels
    hidden = share * (b @ net.narrow.weight.T + net.narrow.bias)
    c = (share * hidden) @ net.wide.weight.T + net.wide.bias
    abc = torch.stack([a, b, c])
    gates = torch.stack([weights(f"any/{i}")[1] for i in range(3)])
    pairs = list(itertools.combinations(range(3), 2))
    two = sum(weight * (abc[i] + abc[j]) for weight, (i, j) in zip(weights("two"), pairs, strict=True))
    one = torch.einsum("i,inc->nc", weights("one"), abc)
    return torch.einsum("i,inc->nc", gates, abc) * two + one


def test_the_mixture_is_that_of_the_formulas_and_so_are_its_gradients(optimizer: DARTSOptimizer) -> None:
    x = rows()
    alphas = dict(zip(optimizer.decision_names, optimizer.architectural_weights, strict=True))
    assert set(alphas) == {"outer", "inner", "any/0", "any/1", "any/2", "two", "one", "depth", "width"}
    found = optimizer.graph(x)
    expected = by_hand(optimizer, x, lambda name: alphas[name].softmax(-1))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    parameters = list(alphas.values())
    of_found = torch.autograd.grad(found.sin().sum(), parameters)
    of_expected = torch.autograd.grad(expected.sin().sum(), parameters)
    for gradient, other in zip(of_found, of_expected, strict=True):
        assert gradient.abs().sum() > 0
        torch.testing.assert_close(gradient, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "code",
    [
        (0, 0, 1, 1, 0, 1, 2, 2, 1),
        (1, 1, 0, 0, 0, 0, 0, 0, 0),
        (1, 0, 1, 1, 1, 2, 1, 1, 1),
        (0, 1, 0, 1, 1, 2, 2, 0, 1),
    ],
)
def test_a_path_is_the_formula_of_its_choices_and_the_plain_module_is_the_path(
    optimizer: DARTSOptimizer, code: tuple[int, ...]
) -> None:
    x = rows()
    names = optimizer.decision_names
    chosen = dict(zip(names, code, strict=True))
    widths = {name: alpha.numel() for name, alpha in zip(names, optimizer.architectural_weights, strict=True)}

    def weights(name: str) -> Tensor:
        return torch.eye(widths[name], dtype=torch.float64)[chosen[name]]

    with optimizer.assigned(Assignment(chosen)):
        found = optimizer.graph(x)
    torch.testing.assert_close(found, by_hand(optimizer, x, weights), rtol=0, atol=1e-12)
    plain = optimizer.discretized([weights(name) for name in names]).get_final_architecture()
    assert not any(type(module).__module__.startswith("naslib.choices") for module in plain.modules())
    torch.testing.assert_close(plain(x), found, rtol=0, atol=1e-12)
    assert type(plain) is Net


def test_what_was_not_chosen_does_not_run(optimizer: DARTSOptimizer) -> None:
    ran = []
    outer = optimizer.graph.module.outer.edges[1, 2].op.primitives
    outer[1][0].register_forward_hook(lambda *_: ran.append("second"))
    outer[0].register_forward_hook(lambda *_: ran.append("first"))
    names = optimizer.decision_names
    with optimizer.assigned(Assignment(dict.fromkeys(names, 0))):
        optimizer.graph(rows())
    assert ran == ["first"]


def test_the_output_of_a_choice_may_be_changed_in_place() -> None:
    """Where the identity is chosen, what else reads the input sees it as it was: in a mixture, a path and the end."""

    class Reads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = LayerChoice([nn.Identity(), nn.Linear(3, 3)], "layer")
            self.inputs = InputChoice(2, 1, "inputs")
            self.chain = RepeatChoice(lambda: nn.Linear(3, 3), [0, 1], "chain")

        def forward(self, x: Tensor) -> Tensor:
            a = self.layer(x).relu_()
            b = self.inputs([x, a]).relu_()
            c = self.chain(x).relu_()
            return x + a + b + c

    torch.manual_seed(0)
    space = ModuleSearchSpace(Reads)
    optimizer = DARTSOptimizer(epochs=1)
    optimizer.adapt_search_space(space)
    x = torch.randn(4, 3)
    expected = x + 3 * x.relu()
    given = x.clone()
    with optimizer.assigned(Assignment({"layer": 0, "inputs": 0, "chain": 0})):
        torch.testing.assert_close(optimizer.graph(given), expected)
    assert torch.equal(given, x)
    space.set_spec({"layer": "Identity", "inputs": (0,), "chain": 0})
    torch.testing.assert_close(space.get_final_architecture()(given), expected)
    assert torch.equal(given, x)


def test_equal_labels_are_one_decision_with_weights_of_their_own() -> None:
    def layer() -> LayerChoice:
        return LayerChoice({"big": nn.Linear(3, 3), "none": nn.Identity()}, label="shared")

    space = ModuleSearchSpace(nn.Sequential(layer(), nn.Sequential(layer(), layer())))
    assert space.decision_space.size() == 2 and space.decision_space.names == ("shared",)
    optimizer = DARTSOptimizer(epochs=1)
    optimizer.adapt_search_space(space)
    assert len(optimizer.architectural_weights) == 1
    with torch.no_grad():
        optimizer.architectural_weights[0].copy_(torch.tensor([1.0, 0.0]))
    network = optimizer.get_final_architecture().get_final_architecture()
    layers = [network[0], network[1][0], network[1][1]]
    assert [type(layer) for layer in layers] == [nn.Linear] * 3
    assert len({layer.weight.data_ptr() for layer in layers}) == 3


def test_a_choice_called_twice_draws_once() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = LayerChoice([nn.Identity(), nn.Tanh(), nn.Linear(3, 3)], "layer")

        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([self.layer(x), self.layer(x)])

    torch.manual_seed(0)
    optimizer = GDASOptimizer(epochs=1)
    optimizer.adapt_search_space(ModuleSearchSpace(Twice))
    x, drawn = rows().float(), set()
    for _ in range(20):
        first, second = optimizer.graph(x)
        assert torch.equal(first, second)
        drawn.add(first.sum().item())
    assert len(drawn) == 3


def test_what_is_computed_again_in_the_backward_is_not_drawn_anew() -> None:
    class Frugal(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = LayerChoice([nn.Linear(3, 3), nn.Tanh()], "layer")

        def forward(self, x: Tensor) -> Tensor:
            return torch.utils.checkpoint.checkpoint(self.layer, x.requires_grad_(), use_reentrant=False)

    torch.manual_seed(0)
    optimizer = GDASOptimizer(epochs=1)
    optimizer.adapt_search_space(ModuleSearchSpace(Frugal))
    with pytest.raises(GraphError, match="decision 'layer' is computed again in the backward"):
        optimizer.graph(rows().float()).sum().backward()


def test_cells_of_the_zoo_are_layers_of_a_module() -> None:
    class Cells(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act = LayerChoice({"relu": nn.ReLU(), "conv": nn.Conv2d(4, 4, 1)})
            self.cells = nn.ModuleList(DartsCell(2, 4, last, 4, False, False) for last in (4, 8))
            self.head = nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = self.act(x)
            return self.head(self.cells[1](x, self.cells[0](x, x)).mean((2, 3)))

    space = ModuleSearchSpace(Cells)
    # each cell: two operations of 7 on the first node, two of three edges on the second
    assert space.decision_space.size() == 2 * (7**2 * 3 * 7**2) ** 2
    torch.manual_seed(0)
    optimizer = DARTSOptimizer(epochs=1)
    optimizer.adapt_search_space(space)
    x = torch.randn(2, 4, 8, 8)
    assert optimizer.graph(x).shape == (2, 3)
    found = optimizer.get_final_architecture()
    assert len(found.genotype()["normal_cell/6"]) == len(found.genotype()["normal_cell#2/6"]) == 2
    space.set_spec(found.genotype())
    assert space.get_code() == found.get_code() and space(x).shape == (2, 3)
    assert found.evaluation_network()(x).shape == (2, 3)


def test_an_assignment_outside_of_an_optimizer_sizes_elastic_layers() -> None:
    chain = RepeatChoice(lambda i: nn.Linear(3, 3), [1, 2], "depth")
    x = rows().float()
    with assigned(Assignment({"depth": 0})):
        assert torch.equal(chain(x), chain.blocks[0](x))
    assert torch.equal(chain(x), chain.blocks[1](chain.blocks[0](x)))
