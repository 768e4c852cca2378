"""ProxSGD: stochastic gradient descent with a proximal step for groups of weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from naslib.errors import ConfigError

NORMALIZATIONS: dict[str, Callable[[float, int, float], float]] = {
    "none": lambda mu, size, exponent: mu,
    "mul": lambda mu, size, exponent: mu * size**exponent,
    "div": lambda mu, size, exponent: mu / size**exponent,
}


def group_norm(tensors: Sequence[Tensor]) -> Tensor:
    """Return the Euclidean norm of all entries of several tensors together, a scalar."""
    return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(list(tensors))))


def soft_threshold(tensors: Sequence[Tensor], amount: float) -> list[Tensor]:
    """Return the proximal point of `amount` times the norm of a group: `max(0, 1 - amount / |b|) b`.

    Every tensor keeps its shape, which may be any shape.

    It minimises `amount |w| + |w - b|^2 / 2` over w.

    Args:
        tensors: The group b.
        amount: How much its norm is to shrink, not negative.
    """
    norm = group_norm(tensors)
    shrink = (1 - amount / norm.clamp_min(torch.finfo(norm.dtype).tiny)).clamp_min(0)
    return [tensor * shrink for tensor in tensors]


class ProxSGD(torch.optim.Optimizer):
    """Minimise a loss plus `sum_G a_G |w_G|` over groups G of weights ([Chatzimichailidis2022gsparsity] and code).

    With the gradient g: `v <- (1 - rho) v + rho g`, `b = w - v`, `w <- w + lr (prox(b) - w)`, where `prox` is
    `soft_threshold` of the whole group by `a_G`; a group without a `mu` is not shrunk (`prox(b) = b`). A weight of a
    shrunk group that has no gradient counts as one whose gradient is zero.

    Args:
        params: Weights, or groups of them: mappings with `params` and, for those that are shrunk, `mu`; `is_scale`
            marks weights that are kept between 0 and 1.
        lr: Learning rate.
        rho: Weight of the new gradient in the average v, in (0, 1].
        mu: Strength of the penalty where a group says nothing; None for none.
        normalization: a_G from mu and the size of the group: `"none"` mu, `"mul"` mu |G|^e, `"div"` mu / |G|^e.
        exponent: e.

    Raises:
        ConfigError: For a value out of range.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 0.001,
        rho: float = 0.8,
        mu: float | None = None,
        normalization: str = "div",
        exponent: float = 0.5,
    ) -> None:
        problems = []
        if normalization not in NORMALIZATIONS:
            problems.append(f"normalization must be one of {', '.join(NORMALIZATIONS)}, not {normalization!r}")
        if not 0 < rho <= 1:
            problems.append(f"rho must be in (0, 1], got {rho}")
        if lr < 0 or exponent < 0 or (mu is not None and mu < 0):
            problems.append(f"lr, exponent and mu must not be negative, got {lr}, {exponent} and {mu}")
        if problems:
            raise ConfigError(problems)
        self.normalization, self.exponent = normalization, exponent
        super().__init__(params, {"lr": lr, "rho": rho, "mu": mu, "is_scale": False})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take a step.

        Args:
            closure: Evaluates the loss again and returns it.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            shrinks = group["mu"] is not None
            weights = [w for w in group["params"] if shrinks or w.grad is not None]
            if weights:
                self._step_group(group, weights)
        return loss

    def _step_group(self, group: dict[str, Any], weights: list[Tensor]) -> None:
        for weight in weights:
            if "average" not in self.state[weight]:
                self.state[weight]["average"] = torch.zeros_like(weight)
        averages = [self.state[weight]["average"] for weight in weights]
        gradients = [torch.zeros_like(w) if w.grad is None else w.grad for w in weights]
        torch._foreach_mul_(averages, 1 - group["rho"])
        torch._foreach_add_(averages, gradients, alpha=group["rho"])
        moved = list(torch._foreach_sub(weights, averages))
        if group["mu"] is not None:
            size = sum(weight.numel() for weight in group["params"])
            moved = soft_threshold(moved, NORMALIZATIONS[self.normalization](group["mu"], size, self.exponent))
        if group["is_scale"]:
            moved = [tensor.clamp(0, 1) for tensor in moved]
        torch._foreach_lerp_(weights, moved, group["lr"])
