"""Every weight-sharing method on every space: it works, and bit-identically through a checkpoint, or it is refused.

All methods run on one space, and every space is run by some methods; what is left of the product is slow.
"""

from __future__ import annotations

import io
from typing import Any

import pytest
import torch
from small_searches import UNTRAINED
from torch import Tensor

from naslib.errors import NASLibError
from naslib.optimizers import OPTIMIZERS, OneShotOptimizer
from naslib.search_spaces.core.primitives import MixedOp
from naslib.tasks import build_task
from tests.support.zoo import ENTRIES, METHODS

EPOCHS = 3
CLASSES = 4
# What would take long for its own sake: one Hessian is enough
KEYWORDS: dict[str, dict[str, Any]] = {"robust_darts": {"parts": {"early_stopping": {"interval": 3}}}}
# What these find may have nodes with fewer inputs than the space says
LEAVES_EDGES_OUT = {"fair_darts"}
# Every method that trains weights runs on this one (others measure for long); of the other spaces, one in so many pairs
# runs where slow tests do not
ALWAYS = ("nasbench201",)
STRIDE = 40


def _pairs() -> list[Any]:
    pairs = []
    for row, space in enumerate(sorted(ENTRIES)):
        for column, name in enumerate(METHODS):
            often = name not in UNTRAINED and (space in ALWAYS or (row + column) % STRIDE == 0)
            pairs.append(pytest.param(space, name, marks=() if often else pytest.mark.slow, id=f"{space}-{name}"))
    return pairs


def test_the_product_is_as_large_as_it_is_said_to_be() -> None:
    assert len(METHODS) >= 30
    assert len(_pairs()) == len(METHODS) * len(ENTRIES) >= 150


def _adapted(space: str, name: str, seed: int = 0) -> OneShotOptimizer:
    entry = ENTRIES[space]
    torch.manual_seed(seed)
    keywords = {**KEYWORDS.get(name, {}), **entry.keywords.get(name, {})}
    optimizer = OPTIMIZERS.get(name)(
        epochs=EPOCHS, learning_rate=0.05, arch_learning_rate=0.05, task=build_task(entry.task), **keywords
    )
    optimizer.adapt_search_space(entry.make(n_classes=CLASSES, in_channels=3))
    optimizer.before_training()
    optimizer.graph.train()
    return optimizer


def _batch(space: str, seed: int) -> tuple[Tensor, Tensor]:
    return ENTRIES[space].batch(4, seed, in_channels=3, n_classes=CLASSES)


def _train(optimizer: OneShotOptimizer, space: str, epochs: range) -> list[Tensor]:
    """Take two steps per epoch; return all losses."""
    losses: list[Tensor] = []
    for epoch in epochs:
        torch.manual_seed(100 + epoch)  # the checkpoint of a run also holds the random state
        optimizer.new_epoch(epoch)
        for index in (2 * epoch, 2 * epoch + 1):
            losses += optimizer.step(_batch(space, index), _batch(space, 50 + index))[2:]
    return losses


def _assert_equal(first: object, second: object, where: str = "") -> None:
    if isinstance(first, Tensor):
        assert isinstance(second, Tensor)
        assert torch.equal(first.nan_to_num(7.25), second.nan_to_num(7.25)), where
    elif isinstance(first, dict):
        assert isinstance(second, dict) and list(first) == list(second), where
        for key, value in first.items():
            _assert_equal(value, second[key], f"{where}.{key}")
    elif isinstance(first, list | tuple):
        assert isinstance(second, list | tuple) and len(first) == len(second), where
        for index, (a, b) in enumerate(zip(first, second, strict=True)):
            _assert_equal(a, b, f"{where}[{index}]")
    else:
        assert first == second, where


@pytest.mark.parametrize(("space", "name"), _pairs())
def test_a_pair_works_through_a_checkpoint_or_is_refused(space: str, name: str) -> None:
    entry = ENTRIES[space]
    if name in entry.refused:
        with pytest.raises(NASLibError) as raised:
            _adapted(space, name)
        assert entry.refused[name] in str(raised.value)
        return
    straight = _adapted(space, name)
    weights = [parameter.detach().clone() for parameter in straight.graph.parameters()]
    losses = _train(straight, space, range(1))
    assert all(loss.isfinite() for loss in losses) and len(losses) == 4
    after = [*straight.graph.parameters()]
    assert len(after) != len(weights) or any(not torch.equal(a, b) for a, b in zip(weights, after, strict=True))
    buffer = io.BytesIO()
    torch.save({key: part.state_dict() for key, part in straight.get_checkpointables().items()}, buffer)
    expected = _train(straight, space, range(1, EPOCHS))

    resumed = _adapted(space, name, seed=77)
    buffer.seek(0)
    state = torch.load(buffer, weights_only=True)
    assert set(resumed.get_checkpointables()) == set(state)
    for key, part in resumed.get_checkpointables().items():
        part.load_state_dict(state[key])
    _assert_equal(_train(resumed, space, range(1, EPOCHS)), expected)
    for key, part in straight.get_checkpointables().items():
        _assert_equal(resumed.get_checkpointables()[key].state_dict(), part.state_dict(), key)

    torch.manual_seed(5)
    first = straight.get_final_architecture()
    torch.manual_seed(5)
    second = resumed.get_final_architecture()
    assert first.genotype() == second.genotype()
    assert first.is_parsed and not any(isinstance(module, MixedOp) for module in first.modules())
    again = entry.make(n_classes=CLASSES, in_channels=3)
    again.set_spec(first.genotype())
    assert again.genotype() == first.genotype()
    if name not in LEAVES_EDGES_OUT:
        assert again.get_hash() == first.get_hash()
    outputs = build_task(entry.task).forward(first.eval(), _batch(space, 0))
    logits = outputs[0] if isinstance(outputs, tuple) else outputs
    assert CLASSES in logits.shape and logits.isfinite().all()
    first.evaluation_network(**entry.evaluation)
