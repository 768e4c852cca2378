"""The second-order architecture gradient of DARTS, on functional weights: the model is never copied or changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

Weights = dict[str, Tensor]
Loss = Callable[[Mapping[str, Tensor]], Tensor]

# Radius of the finite difference relative to the gradient's norm ([Liu2019darts], footnote to Eq. 8)
FINITE_DIFFERENCE_RADIUS = 0.01


@contextmanager
def at_weights(module: nn.Module, weights: Mapping[str, Tensor]) -> Iterator[None]:
    """Let a module compute with other tensors in place of some of its parameters.

    A parameter that several modules hold, or a module that is reached in several ways, is replaced wherever it is. (Of
    such modules `torch.func.functional_call` does not give the parameters back.)

    Args:
        module: The module.
        weights: By the names of `module.named_parameters()`, of their shapes; a matrix is `(n, m)`.
    """
    own = dict(module.named_parameters())
    others = {id(own[name]): tensor for name, tensor in weights.items()}
    places = [
        (owner._parameters, name, parameter)
        for owner in module.modules()
        for name, parameter in owner._parameters.items()
        if id(parameter) in others
    ]
    try:
        for held, name, parameter in places:
            held[name] = others[id(parameter)]  # type: ignore[assignment]
        yield
    finally:
        for held, name, parameter in places:
            held[name] = parameter


def virtual_step(
    weights: Mapping[str, Tensor],
    gradient: Sequence[Tensor],
    *,
    learning_rate: float,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    buffers: Sequence[Tensor | None] | None = None,
) -> Weights:
    """Return the weights after one SGD step, `w' = w - lr (m v + g + wd w)` ([Liu2019darts], Eq. 7 and code).

    Weights may have any shape; gradients and buffers have that of their weight.

    Args:
        weights: By name.
        gradient: Of the training loss, in the order of `weights`.
        learning_rate: The virtual step's xi.
        momentum: m.
        weight_decay: wd.
        nesterov: Whether the weights' optimizer looks ahead: `g + wd w + m (m v + g + wd w)` replaces the bracket.
        buffers: Momentum buffers v; None, or None for one of them, is zero.

    Returns:
        New tensors by name, leaves that require gradients.
    """
    stepped: Weights = {}
    velocity = buffers if buffers is not None else [None] * len(gradient)
    with torch.no_grad():
        for (name, weight), grad, buffer in zip(weights.items(), gradient, velocity, strict=True):
            decayed = grad.add(weight, alpha=weight_decay) if weight_decay else grad
            update = decayed if buffer is None else decayed.add(buffer, alpha=momentum)
            if nesterov:
                update = decayed.add(update, alpha=momentum)
            stepped[name] = weight.sub(update, alpha=learning_rate).requires_grad_()
    return stepped


def finite_difference_product(
    loss: Loss, weights: Mapping[str, Tensor], vector: Sequence[Tensor], alphas: Sequence[Tensor]
) -> list[Tensor]:
    """Approximate `d2L / (dalpha dw) v` by central differences around `weights` ([Liu2019darts], Eq. 8).

    Vectors have the shapes of the weights, products those of the alphas: any shape.

    Args:
        loss: Training loss as a function of the weights.
        weights: By name.
        vector: v, in the order of `weights`.
        alphas: Architecture parameters.

    Returns:
        One tensor per alpha; zero where v is zero.
    """
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(v) for v in vector]))
    # where v is 0 both sides are equal, and the quotient is 0 for any finite radius
    radius = FINITE_DIFFERENCE_RADIUS / norm.clamp_min(torch.finfo(norm.dtype).tiny ** 0.5)
    sides = []
    for sign in (1.0, -1.0):
        with torch.no_grad():
            moved = {name: w + sign * radius * v for (name, w), v in zip(weights.items(), vector, strict=True)}
        sides.append(gradient_of(loss(moved), alphas))
    return [(plus - minus) / (2.0 * radius) for plus, minus in zip(*sides, strict=True)]


def exact_product(
    loss: Loss, weights: Mapping[str, Tensor], vector: Sequence[Tensor], alphas: Sequence[Tensor]
) -> list[Tensor]:
    """Compute `d2L / (dalpha dw) v` exactly: the derivative along v of the gradient (forward over reverse).

    Vectors have the shapes of the weights, products those of the alphas: any shape.

    Arguments and result as in `finite_difference_product`.
    """
    with forward_ad.dual_level():
        dual = {
            name: forward_ad.make_dual(weight.detach(), direction.detach())
            for (name, weight), direction in zip(weights.items(), vector, strict=True)
        }
        gradient = gradient_of(loss(dual), alphas)
        tangents = [forward_ad.unpack_dual(g).tangent for g in gradient]
    return [torch.zeros_like(a) if t is None else t.detach() for a, t in zip(alphas, tangents, strict=True)]


def gradient_of(loss: Tensor, inputs: Sequence[Tensor]) -> list[Tensor]:
    """Return the gradient of `loss`, zero for inputs it does not depend on.

    The loss is a scalar; each gradient has the shape of its input.
    """
    found = torch.autograd.grad(loss, list(inputs), allow_unused=True)
    return [torch.zeros_like(x) if g is None else g for x, g in zip(inputs, found, strict=True)]
