"""FairDARTS: the sigmoid mixture, the zero-one loss, and who stays in the architecture."""

from __future__ import annotations

import pytest
import torch
from small_spaces import batch, mlp_space
from torch import nn

from naslib.errors import ConfigError
from naslib.optimizers import DARTSOptimizer, FairDARTSOptimizer
from naslib.search_spaces import NasBench201SearchSpace, NasBench301SearchSpace, SimpleCellSearchSpace
from naslib.search_spaces.core.primitives import MixedOp, Zero


@pytest.fixture(autouse=True)
def _double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def _adapted(space=None, cls=FairDARTSOptimizer, *, random: bool = True, **kwargs):
    torch.manual_seed(0)
    optimizer = cls(**kwargs)
    optimizer.adapt_search_space(mlp_space() if space is None else space)
    if random:
        with torch.no_grad():
            for alpha in optimizer.architectural_weights:
                alpha.copy_(torch.randn_like(alpha))
    return optimizer


def test_the_mixture_is_the_sum_by_sigmoids_that_start_at_one_half():
    optimizer = _adapted(random=False)
    assert all((a == 0).all() for a in optimizer.architectural_weights)
    optimizer = _adapted()
    data = optimizer.graph.edges[2, 3].op.edges[1, 2]
    x = torch.randn(4, 6)
    weights = 1 / (1 + (-data.alpha.detach()).exp())
    expected = sum(w * op(x) for w, op in zip(weights, data.op.primitives, strict=True))
    torch.testing.assert_close(data.op(x, edge_data=data), expected, rtol=0, atol=1e-12)
    assert optimizer.arch_optimizer.param_groups[0]["betas"] == (0.9, 0.999)


@pytest.mark.parametrize("norm", ["l2", "l1"])
def test_the_gradient_of_the_loss(norm: str):
    """`-w (2 / n) (s - 1/2) s (1 - s)` for L2, `-w sign(s - 1/2) s (1 - s) / n` for L1, n entries in all."""
    parts = {"zero_one_loss": {"weight": 7.0, "norm": norm}}
    optimizer, plain = _adapted(parts=parts), _adapted(parts={"zero_one_loss": False})
    data = batch(seed=1), batch(seed=2)
    found, _, loss = optimizer.architecture_gradient(*data)
    reference, _, plain_loss = plain.architecture_gradient(*data)
    assert torch.equal(loss, plain_loss)  # what is reported is the loss of the data
    for alpha, a, b in zip(optimizer.architectural_weights, found, reference, strict=True):
        s = torch.sigmoid(alpha.detach())
        distance = 2 * (s - 0.5) if norm == "l2" else (s - 0.5).sign()
        torch.testing.assert_close(a - b, -7.0 * distance * s * (1 - s) / 9, rtol=0, atol=1e-12)


@pytest.mark.parametrize("norm", ["l2", "l1"])
@pytest.mark.parametrize("shrunk", [False, True])
def test_none_neither_gets_the_loss_nor_dilutes_it(norm: str, shrunk: bool):
    """Per operation it is `w / n` times its own term, n counting operations: 10 is not 8.75 where one of 8 is none."""
    space = NasBench301SearchSpace(n_classes=4, channels=4, cells=3, nodes=1)
    parts = {"zero_one_loss": {"weight": 10.0, "norm": norm}}
    if shrunk:
        parts["progressive_shrinking"] = {"stages": [{"epochs": 1}, {"n_ops": 4}], "warm_up": 0}
    optimizer = _adapted(space, parts=parts, epochs=2)
    none = [isinstance(op, Zero) for op in optimizer.decisions[0].op.primitives].index(True)
    with torch.no_grad():  # one decision keeps its none, the others may lose theirs
        for index, alpha in enumerate(optimizer.architectural_weights):
            alpha[none] = -5.0 if index else 5.0
    optimizer.architecture_loss(torch.tensor(0.0))  # whatever is remembered is of the old candidates
    for epoch in range(2 if shrunk else 1):
        optimizer.new_epoch(epoch)
    alphas = list(optimizer.architectural_weights)
    zeros = [[isinstance(op, Zero) for op in data.op.primitives] for data in optimizer.decisions]
    assert sum(map(sum, zeros)) == (1 if shrunk else len(alphas))
    assert sum(map(len, zeros)) == (4 if shrunk else 8) * len(alphas)
    operations = sum(not zero for row in zeros for zero in row)
    found = torch.autograd.grad(optimizer.architecture_loss(torch.tensor(0.0)), alphas)
    total = 0.0
    for alpha, gradient, row in zip(alphas, found, zeros, strict=True):
        s = torch.sigmoid(alpha.detach())
        distance = 2 * (s - 0.5) if norm == "l2" else (s - 0.5).sign()
        expected = -10.0 * distance * s * (1 - s) / operations
        expected[torch.tensor(row)] = 0
        torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-12)
        kept = (s - 0.5)[~torch.tensor(row)]
        total += float((kept.square() if norm == "l2" else kept.abs()).sum())
    value = float(optimizer.architecture_loss(torch.tensor(0.0)).detach())
    assert value == pytest.approx(-10.0 * total / operations, abs=1e-12)


def test_the_weight_step_does_not_see_the_loss():
    optimizer, plain = _adapted(), _adapted(parts={"zero_one_loss": False})
    for method in (optimizer, plain):
        method.weight_step(batch(seed=1))
    assert all(torch.equal(a, b) for a, b in zip(optimizer.weights, plain.weights, strict=True))
    assert all(a.grad is None for a in optimizer.architectural_weights)


def test_it_goes_with_softmax_and_second_order():
    optimizer = _adapted(cls=DARTSOptimizer, unrolled=True, parts={"zero_one_loss": {"weight": 7.0}})
    plain = _adapted(cls=DARTSOptimizer, unrolled=True)
    data = batch(seed=1), batch(seed=2)
    found, reference = optimizer.architecture_gradient(*data)[0], plain.architecture_gradient(*data)[0]
    for alpha, a, b in zip(optimizer.architectural_weights, found, reference, strict=True):
        s = torch.sigmoid(alpha.detach())
        torch.testing.assert_close(a - b, -7.0 * 2 * (s - 0.5) * s * (1 - s) / 9, rtol=0, atol=1e-12)


def _chosen(final) -> dict[tuple[str, int, int], tuple[nn.Module, torch.Tensor]]:
    return {
        (graph.name, u, v): (data.op, data.op_weights)
        for graph in final.nested_graphs()
        for u, v, data in graph.edges(data=True)
        if data.has("op_index")
    }


def test_operations_below_the_threshold_are_zero():
    optimizer = _adapted(NasBench201SearchSpace(cells_per_stage=1), threshold=0.7)
    final = optimizer.get_final_architecture()
    kept = [op for op, _ in _chosen(final).values() if not isinstance(op, Zero)]
    dropped = [weights for op, weights in _chosen(final).values() if isinstance(op, Zero)]
    assert kept and dropped
    for op, weights in _chosen(final).values():
        others = weights.clone()
        others[1] = 0  # Zero is the second candidate
        assert isinstance(op, Zero) == bool(others.max() < 0.7) or weights.argmax() == 1
    assert final(torch.randn(2, 3, 8, 8)).isfinite().all()


def test_a_space_whose_architectures_have_no_zero_keeps_its_operations():
    chosen = [_chosen(_adapted(SimpleCellSearchSpace(), threshold=t).get_final_architecture()) for t in (0.7, None)]
    assert {edge: type(op) for edge, (op, _) in chosen[0].items()} == {e: type(op) for e, (op, _) in chosen[1].items()}
    assert not any(isinstance(op, Zero) for op, _ in chosen[0].values())
    assert any(float(weights.max()) < 0.7 for _, weights in chosen[0].values())


def test_codes_without_zero_keep_their_edges():
    optimizer = _adapted(NasBench301SearchSpace(cells=3, nodes=2, channels=8), threshold=0.99)
    final = optimizer.get_final_architecture()
    assert not any(isinstance(op, Zero) for op, _ in _chosen(final).values())
    assert final.get_code() == optimizer.get_final_architecture().get_code()
    assert not any(isinstance(m, MixedOp) for m in final.modules())


def test_an_empty_architecture_is_said(caplog):
    optimizer = _adapted(NasBench201SearchSpace(cells_per_stage=1), random=False)
    with caplog.at_level("WARNING"):
        final = optimizer.get_final_architecture()
    assert "no operation has reached the threshold 0.85" in caplog.text and "0.500" in caplog.text
    assert all(isinstance(op, Zero) for op, _ in _chosen(final).values())


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"threshold": 1.5}, "threshold"),
        ({"parts": {"zero_one_loss": {"norm": "l3"}}}, "norm"),
        ({"parts": {"zero_one_loss": {"weight": -1.0}}}, "weight"),
    ],
)
def test_bad_keywords(keywords, message: str):
    with pytest.raises(ConfigError, match=message):
        FairDARTSOptimizer(**keywords)
