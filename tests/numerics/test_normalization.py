"""Forward-mode derivatives of batch norm: those of torch's own, in float64, alone and through a search network."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.autograd import forward_ad

from naslib.search_spaces.core.batch_norm import frozen_batch_norm_statistics
from naslib.search_spaces.core.kernels import normalization


def _inputs(channels_last: bool) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    x = 3 + 2 * torch.randn(4, 5, 3, 2, generator=generator, dtype=torch.float64)
    others = [torch.randn(x.shape, generator=generator, dtype=torch.float64) for _ in range(3)]
    return tuple(t.contiguous(memory_format=layout) for t in (x, *others))


def _forward_over_reverse(function, x, tangent, grad, grad_tangent):
    """Return the value, its tangent, the vector-Jacobian product and its tangent."""
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x.clone().requires_grad_(), tangent)
        y = function(dual)
        upstream = grad if grad_tangent is None else forward_ad.make_dual(grad, grad_tangent)
        (pulled,) = torch.autograd.grad(y, dual, upstream)
        return [*forward_ad.unpack_dual(y), *forward_ad.unpack_dual(pulled)]


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("moving_gradient", [False, True])
def test_derivatives_are_those_of_torch(channels_last: bool, moving_gradient: bool):
    x, tangent, grad, grad_tangent = _inputs(channels_last)
    moving = grad_tangent if moving_gradient else None
    eps = 0.1  # large: an error in its place would show

    def plain(t: torch.Tensor) -> torch.Tensor:
        centred = t - t.mean((0, 2, 3), keepdim=True)
        return centred * (centred.square().mean((0, 2, 3), keepdim=True) + eps).rsqrt()

    expected = _forward_over_reverse(plain, x, tangent, grad, moving)
    found = _forward_over_reverse(lambda t: normalization.normalized(t, eps), x, tangent, grad, moving)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-12)


def test_it_is_taken_only_in_forward_mode_and_where_nothing_is_updated():
    x = torch.randn(4, 5, 3, 2)
    norm = nn.BatchNorm2d(5, affine=False)
    assert not normalization.accepts(norm, x)
    with forward_ad.dual_level():
        assert not normalization.accepts(norm, x)  # would have to update its statistics
        with frozen_batch_norm_statistics(norm):
            assert normalization.accepts(norm, x)
            assert not normalization.accepts(nn.BatchNorm2d(5), x)
            assert not normalization.accepts(norm.eval(), x)


@pytest.mark.parametrize("space", ["nasbench201", "simple_cell"])
def test_the_exact_product_is_that_of_torch_alone(space: str):
    from naslib.optimizers import DARTSOptimizer
    from naslib.optimizers.oneshot.supernet.bilevel import exact_product
    from naslib.search_spaces import NasBench201SearchSpace, SimpleCellSearchSpace

    torch.manual_seed(0)
    spaces = {
        "nasbench201": lambda: NasBench201SearchSpace(n_classes=3, channels=4, cells_per_stage=1),
        "simple_cell": lambda: SimpleCellSearchSpace(n_classes=3, channels=4),
    }
    optimizer = DARTSOptimizer(unrolled=True)
    optimizer.adapt_search_space(spaces[space]())
    optimizer.graph.double().train()
    optimizer.architectural_weights.double()
    batch = torch.randn(4, 3, 8, 8, dtype=torch.float64), torch.tensor([0, 1, 2, 1])
    weights = dict(optimizer.graph.named_parameters())
    vector = [torch.randn_like(weight) for weight in weights.values()]
    found = []
    for tangent in (True, False):
        optimizer.graph.set_passes(tangent=tangent)
        loss = optimizer._loss_at(batch)
        with frozen_batch_norm_statistics(optimizer.graph):
            found.append(exact_product(lambda w, of=loss: of(w)[1], weights, vector, optimizer.architecture_parameters))
    assert sum(float(value.abs().sum()) for value in found[1]) > 1e-3
    for ours, reference in zip(*found, strict=True):
        torch.testing.assert_close(ours, reference, rtol=1e-9, atol=1e-11)
