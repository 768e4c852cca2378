"""What autograd really asks of a backward pass."""

from __future__ import annotations

from typing import Any

import torch


def wanted_gradients(ctx: Any, count: int) -> list[bool]:
    """Say for each of the last `count` inputs whether this backward pass uses its gradient.

    `ctx.needs_input_grad` says what requires a gradient; `autograd.grad(loss, alphas)` wants far fewer, and built-in
    operations compute only those.
    """
    needs = list(ctx.needs_input_grad[-count:])
    following = ctx.next_functions[-count:]
    if len(following) != count:
        return needs
    return [need and _will_execute(node) for need, (node, _) in zip(needs, following, strict=True)]


def _will_execute(node: Any) -> bool:
    """Say whether the running backward pass reaches `node`."""
    ask = getattr(torch._C, "_will_engine_execute_node", None)
    if ask is None or node is None:
        return node is not None
    try:
        return bool(ask(node))
    except RuntimeError:  # a leaf that is itself an input of autograd.grad cannot be asked about: it is wanted
        return True
