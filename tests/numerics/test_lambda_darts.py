"""Lambda-DARTS: the alignment of layers, its gradient in the weights against autograd, what the step leaves alone."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from small_spaces import batch, mlp_space
from torch import nn

from naslib.errors import ConfigError
from naslib.optimizers import DARTSOptimizer, GDASOptimizer, LambdaDARTSOptimizer
from naslib.optimizers.oneshot.parts import PARTS
from naslib.optimizers.oneshot.parts.layer_alignment import alignment, alignment_gradient
from naslib.search_spaces import NasBench201SearchSpace, NasBench301SearchSpace
from naslib.search_spaces.core.batch_norm import frozen_batch_norm_statistics


def _adapted(space=None, cls: type = LambdaDARTSOptimizer, **part):
    torch.manual_seed(0)
    parts = {"layer_alignment": {"strength": 0.5, **part}}
    optimizer = cls(epochs=3, learning_rate=0.1, arch_learning_rate=0.05, parts=parts)
    optimizer.adapt_search_space(mlp_space(batch_norm=True) if space is None else space)
    optimizer.graph.double().train()
    for alpha in optimizer.architectural_weights:
        alpha.data = torch.randn_like(alpha, dtype=torch.float64)
    return optimizer


def _images(n: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n, 3, 8, 8, generator=generator).double(), torch.randint(4, (n,), generator=generator)


@pytest.mark.parametrize("layers", [2, 5])
def test_gradient_of_the_alignment(layers: int):
    generator = torch.Generator().manual_seed(1)
    g = [torch.randn(7, generator=generator, dtype=torch.float64, requires_grad=True) for _ in range(layers)]
    value = alignment(g)
    pairs = [
        float(nn.functional.cosine_similarity(g[i].detach(), g[j].detach(), dim=0))
        for i in range(layers)
        for j in range(i)
    ]
    assert float(value.detach()) == pytest.approx(sum(pairs) / len(pairs))
    expected = torch.autograd.grad(value, g)
    for found, e in zip(alignment_gradient([x.detach() for x in g]), expected, strict=True):
        torch.testing.assert_close(found, e, rtol=0, atol=1e-14)


def test_a_layer_without_gradient_divides_nothing_by_zero():
    g = [torch.tensor([1.0, 2.0]), torch.zeros(2), torch.tensor([2.0, -1.0])]
    found = alignment_gradient(g)
    assert all(t.isfinite().all() for t in found) and torch.equal(found[1], torch.zeros(2))
    torch.testing.assert_close(found[0], g[2] / g[2].norm() / g[0].norm() / 3)  # orthogonal: nothing is projected out


def _by_autograd(optimizer, data, cells: list[list[nn.Module]]) -> list[torch.Tensor]:
    """dLambda/dw by two backwards, with a leaf of the relaxed weights on every edge of every copy."""
    leaves: dict[int, torch.Tensor] = {}

    def leaf(op, weights, edge):
        leaves[id(op)] = weights.detach().requires_grad_()
        return leaves[id(op)]

    ops = [op for cell in cells for op in cell]
    for op in ops:
        op.set_post_process_hook(partial(leaf, op))
    with frozen_batch_norm_statistics(optimizer.graph):
        loss = nn.functional.cross_entropy(optimizer.graph(data[0]), data[1])
    for op in ops:
        op.set_post_process_hook(None)
    gradients = torch.autograd.grad(loss, [leaves[id(op)] for op in ops], create_graph=True)
    vectors = [torch.cat(list(gradients[i : i + len(cells[0])])) for i in range(0, len(ops), len(cells[0]))]
    weights = optimizer.weights
    found = torch.autograd.grad(alignment(vectors), weights, allow_unused=True)
    return [torch.zeros_like(w) if g is None else g for w, g in zip(weights, found, strict=True)]


def _cells_by_hand(optimizer, name: str) -> list[list[nn.Module]]:
    graphs = [g for g in optimizer.graph._graphs_in_scope(optimizer.scope) if g.name == name]
    return [[data.op for _, _, data in g.edges(data=True) if data.has("alpha")] for g in graphs]


@pytest.mark.parametrize(
    ("space", "data", "cell", "copies", "radius"),
    [  # tanh is smooth; the step must not cross a kink of a ReLU where the reference is the derivative at a point
        (None, batch(8), "cell", 2, 1e-4),
        (lambda: NasBench201SearchSpace(n_classes=4, channels=4, cells_per_stage=1), _images(), "cell", 3, 1e-7),
        (lambda: NasBench301SearchSpace(n_classes=4, channels=4, cells=4, nodes=2), _images(), "normal_cell", 2, 1e-7),
    ],
)
def test_the_weights_get_minus_lambda_times_the_gradient_of_the_alignment(space, data, cell, copies, radius):
    optimizer = _adapted(None if space is None else space(), radius=radius)
    cells = _cells_by_hand(optimizer, cell)
    assert len(cells) == copies
    expected = _by_autograd(optimizer, data, cells)
    assert max(float(e.abs().max()) for e in expected) > 1e-3
    part = optimizer.parts["layer_alignment"]
    optimizer.new_epoch(1)  # half of the strength, as epoch 2 is the last
    found: list[torch.Tensor] = []
    original = part.weight_gradient

    def spy(batch_):
        before = [torch.zeros_like(w) if w.grad is None else w.grad.clone() for w in optimizer.weights]
        original(batch_)
        found.extend(w.grad - b if w.grad is not None else -b for w, b in zip(optimizer.weights, before, strict=True))

    part.weight_gradient = spy
    optimizer.grad_clip = None
    optimizer.weight_step(data)
    for name, f, e in zip(dict(optimizer.graph.named_parameters()), found, expected, strict=True):
        torch.testing.assert_close(f, -0.25 * e, rtol=1e-4, atol=1e-7, msg=lambda m, n=name: f"{n}: {m}")


def test_the_two_passes_update_nothing_and_the_first_epoch_has_none():
    """Running statistics, random numbers and the first epoch are those of a search without the part."""
    data = batch(8)
    with_part, without = _adapted(), _adapted(cls=DARTSOptimizer)
    without.parts.clear()
    for optimizer in (with_part, without):
        torch.manual_seed(3)
        optimizer.new_epoch(0)
        optimizer.step(data, data)
    torch.testing.assert_close(with_part.graph.state_dict(), without.graph.state_dict(), rtol=0, atol=0)
    for optimizer in (with_part, without):
        optimizer.new_epoch(2)
        optimizer.weight_step(data)
    buffers = dict(without.graph.named_buffers())
    for name, buffer in with_part.graph.named_buffers():
        assert torch.equal(buffer, buffers[name])
    pairs = zip(with_part.weights, without.weights, strict=True)
    assert any(not torch.equal(a, b) for a, b in pairs)
    assert not any(data.op.on_weights for data in with_part.decisions)


def test_copies_of_a_decision_are_still_relaxed_at_once():
    """A random relaxation draws once for all copies of a cell, with the part as without it."""
    optimizer = _adapted()
    calls = []

    class Spy:
        def __call__(self, logits, training):
            calls.append(len(logits))
            return logits.softmax(-1).unbind(0)

    spy = Spy()
    optimizer.graph.unparse()
    for edge in optimizer.graph._edges_in_scope("cell", private_edge_data=True):
        edge.data.op.relaxation = spy
    optimizer.graph.parse()
    optimizer.new_epoch(2)
    optimizer.weight_step(batch(8))
    assert calls == [3, 3, 3]  # the step and the two passes of the difference


def test_the_whole_gradient_is_clipped():
    optimizer = _adapted(strength=1e6)
    optimizer.grad_clip = 0.5
    optimizer.new_epoch(2)
    optimizer.weight_step(batch(8))
    total = torch.cat([w.grad.flatten() for w in optimizer.weights]).norm()
    assert float(total) == pytest.approx(0.5, rel=1e-5)


def test_what_cannot_be_raises():
    with pytest.raises(ConfigError, match="radius"):
        PARTS.build("layer_alignment", radius=0)
    single = mlp_space()
    single.edges[3, 4].set("op", nn.Identity())
    with pytest.raises(ConfigError, match="twice"):
        LambdaDARTSOptimizer().adapt_search_space(single)
    with pytest.raises(ConfigError, match="draws"):
        GDASOptimizer(parts={"layer_alignment": {}}).adapt_search_space(mlp_space())
