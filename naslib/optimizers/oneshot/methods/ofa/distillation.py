"""Distillation: what a smaller network is told by a larger one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from naslib.tasks import Classification, LanguageModelling, Segmentation, Task


class Teacher:
    """The weights of a network at one time, which can be put into it for a forward.

    Args:
        network: The network.
    """

    def __init__(self, network: nn.Module | None = None) -> None:
        self.tensors: dict[str, Tensor] = {}
        if network is not None:
            self.tensors = {name: tensor.detach().clone() for name, tensor in _tensors(network)}

    @property
    def is_known(self) -> bool:
        """Whether there are weights."""
        return bool(self.tensors)

    @contextmanager
    def teaching(self, network: nn.Module) -> Iterator[None]:
        """Let a network have the teacher's weights and buffers inside; what it normalises stays with the teacher."""
        own = {name: tensor.data for name, tensor in _tensors(network)}
        try:
            for name, tensor in _tensors(network):
                self.tensors[name] = self.tensors[name].to(tensor.device)
                tensor.data = self.tensors[name]
            yield
        finally:
            for name, tensor in _tensors(network):
                tensor.data = own[name]

    def state_dict(self) -> dict[str, Any]:
        """Return the weights, none before there is a teacher."""
        return dict(self.tensors)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over weights."""
        self.tensors = {name: tensor.clone() for name, tensor in state_dict.items()}


def _tensors(network: nn.Module) -> list[tuple[str, Tensor]]:
    return [*network.named_parameters(), *network.named_buffers()]


def tells_classes(task: Task) -> bool:
    """Say whether the outputs of a task are logits of classes that exclude each other."""
    kinds = (Classification, Segmentation, LanguageModelling)
    return isinstance(task, kinds) and not getattr(task, "multi_label", False)


def soft_loss(outputs: Tensor, told: Tensor, of_classes: bool) -> Tensor:
    """Return how far outputs are from those of another network, which is a constant.

    Args:
        outputs: Of any shape; logits of classes are along axis 1, of sequences `(n, t, classes)` along the last.
        told: Those of the other network, of the same shape.
        of_classes: Whether they are logits: the cross entropy with the other's probabilities, else the mean square.

    Returns:
        A scalar.
    """
    outputs, told = _precise(outputs), _precise(told.detach())
    if not of_classes:
        return F.mse_loss(outputs, told)
    axis = -1 if outputs.dim() == 3 else 1
    return -(torch.softmax(told, axis) * torch.log_softmax(outputs, axis)).sum(axis).mean()


def _precise(outputs: Tensor) -> Tensor:
    return outputs.float() if outputs.dtype in (torch.bfloat16, torch.float16) else outputs
