"""The loose ends of a micro layer: the rule, its relaxation, its gradients, and what a draw runs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from naslib.errors import GraphError
from naslib.optimizers import DARTSOptimizer, GDASOptimizer, SPOSOptimizer
from naslib.search_spaces.core.assignment import Assignment, Draw
from naslib.search_spaces.core.combine import selections
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.ops_base import AbstractCombOp
from naslib.search_spaces.nni_zoo import ENASMicroSearchSpace
from naslib.search_spaces.nni_zoo.loose_ends import LooseEnds, flat, unused_probability


def _tensors(n: int, channels: int = 3) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(2, channels, 4, 4, generator=generator, dtype=torch.float64) for _ in range(n)]


def _ends(n: int) -> LooseEnds:
    torch.manual_seed(0)
    return LooseEnds((5, 6, 8, 9), n, 3).double()


def _rule(ends: LooseEnds, tensors: Sequence[Tensor], taken: Sequence[int]) -> Tensor:
    left = [index for index in range(len(tensors)) if index not in taken]
    return sum(F.conv2d(tensors[index].relu(), ends.weight[:, index, :, None, None]) for index in left)


def test_what_nobody_takes_is_projected_by_its_slices() -> None:
    ends, tensors = _ends(4), _tensors(4)
    for taken in itertools.product(range(2), range(2), range(3), range(3)):
        found = ends(tensors, [], taken)
        torch.testing.assert_close(found, _rule(ends, tensors, taken), rtol=0, atol=1e-12)


def test_at_one_hot_weights_the_relaxation_is_the_rule() -> None:
    ends, tensors = _ends(4), _tensors(4)
    for taken in itertools.product(range(2), range(2), range(3), range(3)):
        rows = [F.one_hot(torch.tensor(j), n).double() for j, n in zip(taken, (2, 2, 3, 3), strict=True)]
        torch.testing.assert_close(ends(tensors, [], rows), ends(tensors, [], taken), rtol=0, atol=1e-12)


def test_weights_give_the_expected_projection_of_independent_draws() -> None:
    """The mean of the rule over all ways to choose, by their probabilities."""
    ends, tensors = _ends(4), _tensors(4)
    rows = [torch.randn(n, dtype=torch.float64).softmax(0) for n in (2, 2, 3, 3)]
    expected = torch.zeros_like(tensors[0])
    for taken in itertools.product(range(2), range(2), range(3), range(3)):
        probability = torch.stack([row[j] for row, j in zip(rows, taken, strict=True)]).prod()
        expected = expected + probability * _rule(ends, tensors, taken)
    torch.testing.assert_close(ends(tensors, [], rows), expected, rtol=0, atol=1e-12)
    assert unused_probability(rows, 4)[3] == 1.0  # the last node, which nobody can take


def test_the_relaxation_has_the_gradient_of_its_formula() -> None:
    ends, tensors = _ends(3), _tensors(3)
    rows = [torch.tensor([0.7, 0.3], dtype=torch.float64, requires_grad=True) for _ in range(2)]
    assert torch.autograd.gradcheck(lambda a, b: ends(tensors, [], [a, b]), rows)


def _adapted(kind: type, **keywords: object) -> tuple[object, Graph]:
    torch.manual_seed(0)
    optimizer = kind(epochs=2, **keywords)
    optimizer.adapt_search_space(ENASMicroSearchSpace(n_classes=4, channels=4, layers=1, nodes=2))
    optimizer.before_training()
    optimizer.graph.double().train()
    return optimizer, optimizer.graph


def test_the_path_of_a_supernet_is_the_discrete_network_to_the_last_bit() -> None:
    """In evaluation: the same slices, concatenated in the same order."""
    optimizer, graph = _adapted(SPOSOptimizer)
    graph.eval()
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    for seed in range(3):
        torch.manual_seed(seed)
        code = optimizer.random_path()
        optimizer.use(code)
        with torch.no_grad():
            expected = graph(x)
            found = optimizer.discretized(optimizer.scores_of(code)).eval()(x)
        assert torch.equal(found, expected)


def test_darts_mixes_by_the_choices_and_differentiates_through_the_loose_ends() -> None:
    """The gradient of a choice of inputs, against differences."""
    optimizer, graph = _adapted(DARTSOptimizer)
    x = torch.randn(4, 3, 8, 8, dtype=torch.float64)
    names = [name for name in optimizer.decision_names if name.endswith(":comb_op")]
    index = optimizer.decision_names.index(names[2])
    alpha = optimizer.architectural_weights[index]
    loss = graph(x).square().sum()
    (gradient,) = torch.autograd.grad(loss, alpha)
    step = torch.zeros_like(alpha)
    step[0] = 1e-6
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            alpha.add_(sign * step)
            values.append(graph(x).square().sum())
            alpha.sub_(sign * step)
    torch.testing.assert_close(gradient[0], (values[0] - values[1]) / 2e-6, rtol=1e-5, atol=1e-6)
    assert gradient[0].abs() > 1e-6


def test_a_draw_with_gradients_has_the_value_of_the_rule() -> None:
    optimizer, graph = _adapted(GDASOptimizer)
    x = torch.randn(4, 3, 8, 8, dtype=torch.float64)
    drawn = optimizer.sample()
    assert any(isinstance(value, Draw) and value.weights.requires_grad for value in drawn.values())
    with optimizer.assigned(drawn):
        soft = graph(x)
    with optimizer.assigned(Assignment({name: value.on[0] for name, value in drawn.items()})):
        hard = graph(x)
    torch.testing.assert_close(soft, hard, rtol=0, atol=1e-9)


def test_a_path_runs_what_is_drawn_and_nothing_else() -> None:
    """Two operations per node and layer, and the projections; no slice of a node that is used."""
    optimizer, graph = _adapted(SPOSOptimizer)
    called: list[nn.Module] = []
    for module in graph.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda module, *_: called.append(module))
    code = optimizer.paths.supernet.space.code_of(
        {name: ("node_3" if name.endswith("comb_op") else "Identity") for name in optimizer.paths.supernet.space.names}
    )
    optimizer.use(code)
    graph(torch.randn(2, 3, 8, 8, dtype=torch.float64))
    operations = {id(op) for _, _, data in _cell_edges(graph) for op in data.op.modules()}
    assert not [module for module in called if id(module) in operations]  # identities have no convolution
    assert len(called) == 1 + 2 * 4  # the stem, and two factorized reductions of two convolutions for two layers


def _cell_edges(graph: Graph) -> list:
    cells = [nested for nested in graph.nested_graphs() if nested.name.endswith("_cell")]
    return [edge for cell in cells for edge in cell.edges(data=True) if hasattr(edge[2].op, "primitives")]


# reading choices, as any space can


class _Scaled(AbstractCombOp):
    """The sum, multiplied by one more than what another node chose."""

    reads_choices = (3,)

    def forward(self, tensors: list[Tensor], edges_data: Sequence[object], choices: Sequence[int | Tensor] = ()):  # type: ignore[override]
        (choice,) = choices
        weight = choice + 1 if isinstance(choice, int) else choice @ torch.arange(1.0, choice.numel() + 1)
        return sum(tensors) * weight


def _reading(combine: AbstractCombOp) -> Graph:
    graph = Graph(name="reading")
    graph.add_edges_from([(1, 2), (1, 3), (2, 3), (3, 4), (1, 4)])
    graph.edges[1, 2].set("op", nn.Conv2d(2, 2, 1, bias=False))
    graph.nodes[3]["comb_op"] = selections([1, 2])
    graph.nodes[4]["comb_op"] = combine
    return graph


def test_a_combination_can_read_what_was_chosen_elsewhere() -> None:
    torch.manual_seed(0)
    optimizer = DARTSOptimizer(epochs=1)
    optimizer.adapt_search_space(_reading(_Scaled()))
    graph = optimizer.graph
    conv, x = graph.edges[1, 2].op, torch.randn(2, 2, 3, 3)
    w = optimizer.architectural_weights[0].softmax(0)
    expected = (w[0] * x + w[1] * conv(x) + x) * (w[0] + 2 * w[1])
    torch.testing.assert_close(graph(x), expected)
    with optimizer.assigned(Assignment({"reading/3:comb_op": 1})):
        torch.testing.assert_close(graph(x), (conv(x) + x) * 2)
    found = _reading(_Scaled())
    found.set_spec({"reading/3:comb_op": "node_2"})
    x = torch.randn(2, 2, 3, 3)
    torch.testing.assert_close(found(x), (found.edges[1, 2].op(x) + x) * 2)
    found.parse()
    torch.testing.assert_close(found.plan.to_fx()(x), found(x))


def test_a_choice_that_is_not_there_is_named() -> None:
    combine = _Scaled()
    combine.reads_choices = (5,)
    with pytest.raises(GraphError, match="reads the choice at node 5, which is not computed before it"):
        DARTSOptimizer(epochs=1).adapt_search_space(_reading(combine))
    combine.reads_choices = (2,)
    optimizer = DARTSOptimizer(epochs=1)
    optimizer.adapt_search_space(_reading(combine))
    with pytest.raises(GraphError, match="reads the choice at a node that has no list of combinations"):
        optimizer.graph(torch.randn(2, 2, 3, 3))


def test_the_flat_weight_is_that_of_a_concatenation() -> None:
    weight = torch.randn(3, 2, 3)
    assert torch.equal(flat(weight), torch.cat([weight[:, 0], weight[:, 1]], 1)[..., None, None])
    ends = LooseEnds((5, 6), 4, 3).to(memory_format=torch.channels_last)
    assert torch.equal(ends.convolution([1, 3]).weight, flat(ends.weight[:, [1, 3]]))
