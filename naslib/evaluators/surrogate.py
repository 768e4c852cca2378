"""Surrogate steps: a few steps of gradient descent on a copy of shared weights, and what they teach these weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

Weights = Mapping[str, Tensor]
# The loss of a network with these weights on a batch
Loss = Callable[[Weights, Any], Tensor]
Rate = Callable[[str, int], float | Tensor]


class SurrogateRates:
    """The learning rates of surrogate steps: one number, or one for each weight and step that is learned.

    A learned rate is `r exp(l)`, with an l for each weight and step, from 0, as in the code of aw_nas.

    Args:
        names: Of the weights.
        steps: How many steps have rates of their own; later ones have that of the last.
        rate: r, positive.
        learning_rate: Of Adam, by which the l are learned; None: they stay 0.
        like: A tensor of the device and type that they are to have.
    """

    def __init__(
        self, names: Iterable[str], steps: int, rate: float, learning_rate: float | None, like: Tensor
    ) -> None:
        self.rate, self.steps = rate, max(1, steps)
        self.logs: dict[str, Tensor] = {}
        self._adam: torch.optim.Adam | None = None
        if learning_rate is not None:
            self.logs = {name: like.new_zeros(self.steps).requires_grad_() for name in names}
            self._adam = torch.optim.Adam(self.logs.values(), lr=learning_rate)

    def of(self, name: str, step: int) -> float | Tensor:
        """Return the rate of a weight in a step, from 0; a scalar with a graph where it is learned."""
        if name not in self.logs:
            return self.rate
        return self.rate * self.logs[name][min(step, self.steps - 1)].exp()

    def learn(self, gradient: Sequence[Tensor | None]) -> None:
        """Take a step of Adam.

        Args:
            gradient: By l, `(steps,)` each, in the order of `logs`; None where the loss does not depend on it.
        """
        if self._adam is None:
            return
        for log, value in zip(self.logs.values(), gradient, strict=True):
            log.grad = value
        self._adam.step()

    def state_dict(self) -> dict[str, Any]:
        """Return the l, and the state of Adam."""
        logs = {name: log.detach().clone() for name, log in self.logs.items()}
        return {"logs": logs, "adam": None if self._adam is None else self._adam.state_dict()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state."""
        with torch.no_grad():
            for name, log in self.logs.items():
                log.copy_(state_dict["logs"][name])
        if self._adam is not None:
            self._adam.load_state_dict(state_dict["adam"])


def after_surrogate_steps(
    loss: Loss, weights: Weights, batches: Iterable[Any], rate: Rate, *, second_order: bool = False
) -> dict[str, Tensor]:
    """Return weights after a step of gradient descent on each batch: `w_(s+1) = w_s - r_s dL(w_s)/dw_s`.

    Weights of any shape. The gradients are constants to whoever differentiates the result, so that its derivative in
    `weights` is 1 and that in a rate -dL/dw; with `second_order` they are functions of the weights, too.

    Args:
        loss: Of weights on a batch, a scalar.
        weights: By name; they are not changed.
        batches: One per step.
        rate: Of a weight in a step.
        second_order: Whether the derivative goes through the gradients.
    """
    now = dict(weights)
    for step, batch in enumerate(batches):
        names = [name for name, weight in now.items() if weight.requires_grad]
        value = loss(now, batch)
        found = torch.autograd.grad(value, [now[n] for n in names], create_graph=second_order, allow_unused=True)
        for name, gradient in zip(names, found, strict=True):
            if gradient is not None:
                now[name] = now[name] - rate(name, step) * gradient
    return now


def mepa_gradient(
    loss: Loss,
    weights: Weights,
    surrogate: Iterable[Any],
    batch: Any,
    rates: SurrogateRates,
    *,
    second_order: bool = False,
) -> tuple[list[Tensor | None], list[Tensor | None], Tensor]:
    """Return the gradient of the loss after surrogate steps, in the weights before them and in the learned rates.

    With first order (aw_nas without `high_order`, and first-order MAML) that of the weights is the gradient where the
    steps end. Weights of any shape, and gradients that of theirs; the loss is a scalar.

    Args:
        loss: Of weights on a batch.
        weights: By name; leaves that require gradients.
        surrogate: The batches of the steps.
        batch: That of the loss.
        rates: The learning rates.
        second_order: Whether the derivative goes through the gradients of the steps.

    Returns:
        By weight, by l in the order of `rates.logs` (None for what the loss does not depend on), and the loss.
    """
    adapted = after_surrogate_steps(loss, weights, surrogate, rates.of, second_order=second_order)
    value = loss(adapted, batch)
    leaves = [*weights.values(), *rates.logs.values()]
    found = torch.autograd.grad(value, leaves, allow_unused=True)
    return list(found[: len(weights)]), list(found[len(weights) :]), value.detach()
