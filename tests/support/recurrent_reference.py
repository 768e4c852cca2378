"""The recurrent network of DARTS written out, as the equations of the paper and the authors' code say it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu, "sigmoid": torch.sigmoid, "identity": lambda x: x}
EPS = 1e-5


def normalised(x: Tensor) -> Tensor:
    """Return rows with mean 0 and variance 1 per channel over the batch."""
    return (x - x.mean(0)) / (x.var(0, unbiased=False) + EPS).sqrt()


def first_state(x: Tensor, h: Tensor, w0: Tensor, x_mask: Tensor | float, h_mask: Tensor | float) -> Tensor:
    """Return s_0 of an input and a state, before it is normalised."""
    c, inner = (torch.cat([x * x_mask, h * h_mask], 1) @ w0).chunk(2, 1)
    return h + c.sigmoid() * (inner.tanh() - h)


def mixed_cell(s0: Tensor, ws: Sequence[Tensor], probs: Mapping[tuple[int, int], Tensor], h_mask: Tensor | float):
    """Return the mean of all states but s_0.

    Args:
        s0: The first state.
        ws: W_1, W_2 ...
        probs: By (j, i), the weights of none, tanh, relu, sigmoid, identity for s_j in s_i.
        h_mask: Of states.
    """
    states = [normalised(s0)]
    for i, w in enumerate(ws, start=1):
        total = torch.zeros_like(s0)
        for j, s in enumerate(states):
            c, h = ((s * h_mask) @ w).chunk(2, 1)
            for k, f in enumerate(ACTIVATIONS.values(), start=1):
                total = total + probs[j, i][k] * (s + c.sigmoid() * (f(h) - s))
        states.append(normalised(total))
    return torch.stack(states[1:]).mean(0)


def discrete_cell(
    s0: Tensor, ws: Sequence[Tensor], recurrent: Sequence[tuple[str, int]], concat: Sequence[int], h_mask
):
    """Return the mean of the states that `concat` names."""
    states = [s0]
    for (name, j), w in zip(recurrent, ws, strict=True):
        c, h = ((states[j] * h_mask) @ w).chunk(2, 1)
        states.append(states[j] + c.sigmoid() * (ACTIVATIONS[name](h) - states[j]))
    return torch.stack([states[i] for i in concat]).mean(0)


def unroll(
    x: Tensor, h: Tensor, w0: Tensor, cell, x_mask: Tensor | float = 1.0, h_mask: Tensor | float = 1.0
) -> Tensor:
    """Return the states of all steps, `(n, t, hidden)`."""
    found = []
    for step in x.unbind(1):
        h = cell(first_state(step, h, w0, x_mask, h_mask))
        found.append(h)
    return torch.stack(found, 1)
