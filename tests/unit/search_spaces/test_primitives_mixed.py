"""MixedOp: its hooks run in order, its candidates may be anything, nothing is computed for nothing."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from naslib.errors import GraphError
from naslib.search_spaces.core import primitives as ops
from naslib.search_spaces.core.graph import EdgeData, Graph


class Softmax(ops.MixedOp):
    """The mixture of DARTS."""

    def get_weights(self, edge_data: EdgeData) -> Tensor:
        return edge_data.alpha

    def process_weights(self, weights: Tensor) -> Tensor:
        return weights.softmax(0)

    def apply_weights(self, x: Tensor, weights: Tensor) -> Tensor:
        return ops.mix_outputs(self.primitives, x, weights)


class Scale(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.factor * x


def edge(*alpha: float) -> EdgeData:
    return EdgeData({"alpha": nn.Parameter(torch.tensor(alpha, dtype=torch.float64))})


def plus_one(weights: Tensor, edge_data: Any) -> Tensor:
    return weights + edge_data.shift


def sharpen(weights: Tensor, edge_data: Any) -> Tensor:
    return weights**2


def test_the_mixture_and_the_gradient_of_its_weights() -> None:
    data = edge(0.3, -0.1, 0.5)
    x = torch.arange(6.0, dtype=torch.float64).reshape(2, 3)
    op = Softmax([Scale(2.0), ops.Zero(stride=1), Scale(-1.0)])
    p = data.alpha.detach().exp() / data.alpha.detach().exp().sum()
    y = op(x, edge_data=data)
    torch.testing.assert_close(y, (2 * p[0] - p[2]) * x)
    y.sum().backward()
    g = torch.tensor([2.0, 0.0, -1.0], dtype=torch.float64) * x.sum()
    torch.testing.assert_close(data.alpha.grad, p * (g - (p * g).sum()), rtol=0, atol=1e-12)


def test_a_mixture_of_zeros_only_is_zero_with_a_gradient_of_zero() -> None:
    data = edge(0.3, -0.1)
    y = Softmax([ops.Zero(1), ops.Zero(1)])(torch.ones(2, 3), edge_data=data)
    y.sum().backward()
    assert not y.any() and torch.equal(data.alpha.grad, torch.zeros(2, dtype=torch.float64))


def test_hooks_really_run_before_and_after() -> None:
    data = edge(0.3, -0.1)
    data.set("shift", torch.tensor([1.0, 0.0], dtype=torch.float64))
    op = Softmax([Scale(1.0), Scale(10.0)])
    op.set_pre_process_hook(plus_one)
    op.set_post_process_hook(sharpen)
    p = torch.tensor([1.3, -0.1], dtype=torch.float64).softmax(0) ** 2
    x = torch.ones(1, dtype=torch.float64)
    torch.testing.assert_close(op(x, edge_data=data).item(), (p[0] + 10 * p[1]).item())
    op = pickle.loads(pickle.dumps(op))
    torch.testing.assert_close(op(x, edge_data=data).item(), (p[0] + 10 * p[1]).item())
    op.set_pre_process_hook(None)
    op.set_post_process_hook(None)
    p = data.alpha.detach().softmax(0)
    torch.testing.assert_close(op(x, edge_data=data).item(), (p[0] + 10 * p[1]).item())


def test_hooks_may_be_put_behind_others_for_a_while() -> None:
    data = edge(0.3, -0.1)
    data.set("shift", torch.tensor([1.0, 0.0], dtype=torch.float64))
    op = Softmax([Scale(1.0), Scale(10.0)])
    op.set_pre_process_hook(plus_one)
    x = torch.ones(1, dtype=torch.float64)

    def expected(logits: list[float], factor: float) -> float:
        p = torch.tensor(logits, dtype=torch.float64).softmax(0)
        return factor * float(p[0] + 10 * p[1])

    with op.processing(pre=lambda w, _: 2 * w, post=lambda w, _: 3 * w):
        assert op(x, edge_data=data).item() == pytest.approx(expected([2.6, -0.2], 3.0))
        with pytest.raises(RuntimeError, match="inside"), op.processing(post=lambda w, _: w / 2):
            assert op(x, edge_data=data).item() == pytest.approx(expected([2.6, -0.2], 1.5))
            raise RuntimeError("inside")
        assert op(x, edge_data=data).item() == pytest.approx(expected([2.6, -0.2], 3.0))
    assert op(x, edge_data=data).item() == pytest.approx(expected([1.3, -0.1], 1.0))
    assert op.pre_process_hook is plus_one and op.post_process_hook is None


def test_any_module_and_any_graph_may_be_a_candidate() -> None:
    graph = Graph("inner")
    graph.add_edges_from([(1, 2)])
    graph.edges[1, 2].set("op", nn.Linear(3, 3))
    graph.parse()
    op = Softmax([graph, nn.Linear(3, 3), ops.Identity()])
    assert op.get_embedded_ops() == op.primitives == [graph, op.primitives[1], op.primitives[2]]
    assert [name for name, _ in op.named_children()] == ["primitive-0", "primitive-1", "primitive-2"]
    assert op(torch.ones(2, 3), edge_data=EdgeData({"alpha": torch.zeros(3)})).shape == (2, 3)
    twin = copy.deepcopy(op)
    assert twin.primitives[0] is not graph and twin.primitives[0] is twin.get_submodule("primitive-0")


def test_candidates_can_be_replaced() -> None:
    op = Softmax([Scale(1.0), Scale(2.0), Scale(3.0)])
    op.set_embedded_ops(op.primitives[:2])
    assert [p.factor for p in op.primitives] == [1.0, 2.0] and len(op._modules) == 2
    op.primitives = [Scale(7.0)]
    assert [p.factor for p in op.primitives] == [7.0] and len(op._modules) == 1


@pytest.mark.parametrize(("candidates", "message"), [([], "at least one"), ([ops.Zero], "compile"), ([3], "modules")])
def test_bad_candidates_are_refused(candidates: list[Any], message: str) -> None:
    with pytest.raises(GraphError, match=message):
        Softmax(candidates)


def test_the_base_class_names_what_a_subclass_lacks() -> None:
    class Half(ops.MixedOp):
        def get_weights(self, edge_data: EdgeData) -> Tensor:
            return edge_data.alpha

    with pytest.raises(NotImplementedError, match="Half does not define apply_weights"):
        Half([ops.Identity()])(torch.ones(1), edge_data=edge(0.0))
    with pytest.raises(NotImplementedError, match="MixedOp does not define get_weights"):
        ops.MixedOp([ops.Identity()])(torch.ones(1), edge_data=edge(0.0))
