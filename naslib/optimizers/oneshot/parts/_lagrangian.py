"""The multiplier method: a constraint as a term whose weight grows until it holds."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

# A constraint that is still violated by more than this share of what it was gets a larger penalty
_PROGRESS = 0.5


class AugmentedLagrangian:
    """Multiplier and penalty of a constraint `g = 0`, or `g <= 0` ([Bertsekas1982constrained], chapters 2 and 3).

    The gradient of `lambda g + rho / 2 g^2` is `(lambda + rho g)` times that of g, of a one-sided constraint not below
    0. After an epoch `lambda` becomes `lambda + rho g`, and `rho` grows where g has not halved.

    Args:
        one_sided: Whether the constraint is `g <= 0`.
        multiplier: First value of lambda.
        penalty: First value of rho, positive.
        growth: Factor of rho, at least 1.
        largest: Of rho.
        tolerance: A constraint that is violated by less leaves rho as it is.

    Attributes:
        multiplier: lambda.
        penalty: rho.
    """

    def __init__(
        self, one_sided: bool, multiplier: float, penalty: float, growth: float, largest: float, tolerance: float
    ) -> None:
        self.one_sided = one_sided
        self.multiplier = multiplier
        self.penalty = penalty
        self.growth = growth
        self.largest = largest
        self.tolerance = tolerance
        self._last: float | None = None

    def slope(self, violation: Tensor | float) -> Tensor:
        """Return `lambda + rho g`, by which the gradient of the constraint is multiplied.

        A scalar.

        Args:
            violation: g.
        """
        found = self.multiplier + self.penalty * torch.as_tensor(violation).detach()
        return found.clamp_min(0.0) if self.one_sided else found

    def update(self, violation: float) -> None:
        """Act after an epoch at whose end the constraint is violated by so much."""
        self.multiplier += self.penalty * violation
        if self.one_sided:
            self.multiplier = max(0.0, self.multiplier)
        excess = max(0.0, violation) if self.one_sided else abs(violation)
        if self._last is not None and excess > max(self.tolerance, _PROGRESS * self._last):
            self.penalty = min(self.largest, self.penalty * self.growth)
        self._last = excess

    def state_dict(self) -> dict[str, Any]:
        """Return what changes."""
        return {"multiplier": self.multiplier, "penalty": self.penalty, "last": self._last}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a state."""
        self.multiplier, self.penalty, self._last = state["multiplier"], state["penalty"], state["last"]
