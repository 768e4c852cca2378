"""edge-popup: top-k masks, straight-through scores, frozen weights."""

from __future__ import annotations

import pytest
import torch
from small_spaces import batch, mlp_by_hand, mlp_space
from torch import nn

from naslib.errors import ConfigError
from naslib.optimizers import EdgePopupOptimizer
from naslib.search_spaces.core.batch_norm import batch_norm_modules


@pytest.fixture(autouse=True)
def _double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def _adapted(*, batch_norm: bool = False, **kwargs) -> EdgePopupOptimizer:
    torch.manual_seed(0)
    optimizer = EdgePopupOptimizer(**kwargs)
    optimizer.adapt_search_space(mlp_space(batch_norm=batch_norm))
    with torch.no_grad():
        for alpha in optimizer.architectural_weights:
            alpha.copy_(torch.randn_like(alpha))
    return optimizer


@pytest.mark.parametrize("n_on", [1, 2])
@pytest.mark.parametrize("gradient", ["straight_through", "gates"])
def test_masks_and_gradients(n_on: int, gradient: str):
    optimizer = _adapted(n_on=n_on, gradient=gradient)
    x, y = batch(seed=2)
    found, logits, _ = optimizer.architecture_gradient((x, y), (x, y))
    scores = torch.stack([a.detach() for a in optimizer.architectural_weights]).requires_grad_()
    mask = torch.zeros_like(scores).scatter_(1, scores.topk(n_on, dim=-1).indices, 1.0)
    passing = scores if gradient == "straight_through" else scores.softmax(-1)
    out = mlp_by_hand(optimizer, x, mask + passing - passing.detach())
    torch.testing.assert_close(logits, out.detach(), rtol=0, atol=1e-12)
    (expected,) = torch.autograd.grad(nn.functional.cross_entropy(out, y), scores)
    torch.testing.assert_close(torch.stack(found), expected, rtol=0, atol=1e-12)
    assert (expected != 0).all()  # also of what did not run
    assert torch.equal(optimizer.graph(x), optimizer.graph(x))


def test_frozen_weights_stay_and_scores_move():
    optimizer = _adapted(batch_norm=True, train_weights=False, arch_optimizer="SGD", arch_learning_rate=0.1)
    weights = [w.detach().clone() for w in optimizer.weights]
    scores = [a.detach().clone() for a in optimizer.architectural_weights]
    logits, _, loss, _ = optimizer.step(batch(seed=1), batch(seed=2))
    torch.testing.assert_close(loss, nn.functional.cross_entropy(logits, batch(seed=1)[1]))
    assert all(torch.equal(a, b) for a, b in zip(weights, optimizer.weights, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(scores, optimizer.architectural_weights, strict=True))
    assert all(w.grad is None for w in optimizer.weights)
    seen = [int(norm.num_batches_tracked) for norm in batch_norm_modules(optimizer.graph)]
    assert set(seen) <= {0, 1} and sum(seen) > 0  # of what ran on the training batch
    trained = _adapted(batch_norm=True)
    trained.step(batch(seed=1), batch(seed=2))
    assert not all(torch.equal(a, b) for a, b in zip(weights, trained.weights, strict=True))


def test_scores_decide():
    optimizer = _adapted()
    final = optimizer.get_final_architecture()
    for node in (2, 3):
        net, cell = optimizer.graph.edges[node, node + 1].op, final.edges[node, node + 1].op
        for edge in cell.edges:
            assert cell.edges[edge].op_index == int(net.edges[edge].alpha.argmax())
    x, _ = batch()
    torch.testing.assert_close(final.eval()(x), optimizer.graph.eval()(x))


@pytest.mark.parametrize(("keywords", "message"), [({"gradient": "st"}, "gradient"), ({"n_on": 0}, "n_on")])
def test_bad_keywords(keywords, message: str):
    with pytest.raises(ConfigError, match=message):
        EdgePopupOptimizer(**keywords)
    with pytest.raises(ConfigError, match="4 operations are to run"):
        _adapted(n_on=4)
