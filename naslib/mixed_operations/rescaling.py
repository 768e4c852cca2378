"""What BinaryProxylessNASStyleMixedOp needs around a step of the optimizer of alpha."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from naslib.optimizers.oneshot.supernet.estimators import rescale_stepped

from .operations import BinaryProxylessNASStyleMixedOp


@contextmanager
def rescaled_step(model: nn.Module) -> Iterator[None]:
    """Let operations that were not evaluated keep their probabilities in an optimizer's step inside.

    They are recognised by their gradient, which is exactly 0: call `zero_grad` outside.

    Args:
        model: Holds the `BinaryProxylessNASStyleMixedOp`s; others in it are left alone.
    """
    ops = [op for op in model.modules() if isinstance(op, BinaryProxylessNASStyleMixedOp)]
    alphas = list({id(op.alpha): op.alpha for op in ops}.values())
    before = [alpha.detach().clone() for alpha in alphas]
    yield
    for alpha, old in zip(alphas, before, strict=True):
        rescale_stepped(alpha, old)


def rescale_after_steps(optimizer: torch.optim.Optimizer, model: nn.Module) -> tuple[RemovableHandle, RemovableHandle]:
    """Rescale after each `optimizer.step()` from now on.

    Args:
        optimizer: Trains the architecture variables of `model`.
        model: See `rescaled_step`.

    Returns:
        Handles, whose `remove()` ends it.
    """
    steps: list[Any] = []

    def begin(*_: Any) -> None:
        steps.append(rescaled_step(model))
        steps[-1].__enter__()

    def end(*_: Any) -> None:
        steps.pop().__exit__(None, None, None)

    return optimizer.register_step_pre_hook(begin), optimizer.register_step_post_hook(end)
