"""Every weight-sharing method that trains learns by the weights of classes that its task has."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_searches import METHODS, UNTRAINED, batches, ready
from small_spaces import ConvSpace
from torch import Tensor

from naslib.tasks import Classification

TRAINED = [name for name in METHODS if name not in UNTRAINED]


def weights_after_a_step(name: str, class_weights: list[float]) -> list[Tensor]:
    torch.manual_seed(0)  # the space draws its weights before the optimizer is there
    np.random.seed(0)
    optimizer = ready(name, ConvSpace(), task=Classification(class_weights=class_weights), epochs=4)
    optimizer.step(*batches())
    return [value.detach().clone() for value in (*optimizer.graph.parameters(), *optimizer.architecture_parameters)]


def distance(one: list[Tensor], other: list[Tensor]) -> float:
    return max((a - b).abs().max().item() for a, b in zip(one, other, strict=True))


def test_there_are_as_many_as_it_is_said() -> None:
    assert len(TRAINED) == 32


@pytest.mark.parametrize("name", TRAINED)
def test_a_step_follows_the_weights_of_classes(name: str) -> None:
    alike = weights_after_a_step(name, [1.0, 1.0, 1.0])
    # the mean is weighted: what all classes have in common does not count
    assert distance(alike, weights_after_a_step(name, [4.0, 4.0, 4.0])) < 1e-5
    # every batch has items of the last two classes
    assert distance(alike, weights_after_a_step(name, [30.0, 1.0, 7.0])) > 1e-4
