"""Every weight-sharing method on three spaces: adapt, step, checkpoint, resume bit-identically, discretize."""

from __future__ import annotations

import io

import pytest
import torch

from naslib.optimizers import OPTIMIZERS, OneShotOptimizer
from naslib.search_spaces import NasBench201SearchSpace, NasBench301SearchSpace, SimpleCellSearchSpace
from naslib.search_spaces.core.primitives import MixedOp

METHODS = sorted({OPTIMIZERS.get(name): name for name in reversed(OPTIMIZERS.names())}.values())
METHODS = [name for name in METHODS if issubclass(OPTIMIZERS.get(name), OneShotOptimizer)]
SPACES = {
    "simple_cell": lambda: SimpleCellSearchSpace(n_classes=4, channels=8),
    "nasbench201": lambda: NasBench201SearchSpace(n_classes=4, channels=8, cells_per_stage=1),
    "nasbench301": lambda: NasBench301SearchSpace(n_classes=4, channels=8, cells=3, nodes=2),
}
EPOCHS = 3
# What would take long for its own sake: one Hessian is enough
KEYWORDS = {"robust_darts": {"parts": {"early_stopping": {"interval": 3}}}}


def test_the_registry_is_as_large_as_it_is_said_to_be():
    assert len(METHODS) >= 30


def _batch(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(8, 3, 8, 8, generator=generator), torch.randint(4, (8,), generator=generator)


def _adapted(name: str, space: str, seed: int = 0) -> OneShotOptimizer:
    torch.manual_seed(seed)
    optimizer = OPTIMIZERS.get(name)(
        epochs=EPOCHS, learning_rate=0.05, arch_learning_rate=0.05, **KEYWORDS.get(name, {})
    )
    optimizer.adapt_search_space(SPACES[space](), "digits")
    optimizer.before_training()
    optimizer.graph.train()
    return optimizer


def _train(optimizer: OneShotOptimizer, epochs: range) -> list[torch.Tensor]:
    """Take two steps per epoch; return all losses."""
    losses: list[torch.Tensor] = []
    for epoch in epochs:
        torch.manual_seed(100 + epoch)  # the checkpoint of a run also holds the random state
        optimizer.new_epoch(epoch)
        for index in (2 * epoch, 2 * epoch + 1):
            losses += optimizer.step(_batch(index), _batch(50 + index))[2:]
    return losses


def _assert_equal(first: object, second: object, where: str = "") -> None:
    if isinstance(first, torch.Tensor):
        assert torch.equal(first.nan_to_num(7.25), second.nan_to_num(7.25)), where
    elif isinstance(first, dict):
        assert list(first) == list(second), where
        for key, value in first.items():
            _assert_equal(value, second[key], f"{where}.{key}")
    elif isinstance(first, list | tuple):
        assert len(first) == len(second), where
        for index, (a, b) in enumerate(zip(first, second, strict=True)):
            _assert_equal(a, b, f"{where}[{index}]")
    else:
        assert first == second, where


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("name", METHODS)
def test_a_resumed_search_is_the_same_search(name: str, space: str):
    straight = _adapted(name, space)
    losses = _train(straight, range(1))
    assert all(loss.isfinite() for loss in losses) and len(losses) == 4
    buffer = io.BytesIO()
    torch.save({key: part.state_dict() for key, part in straight.get_checkpointables().items()}, buffer)
    expected = _train(straight, range(1, EPOCHS))

    resumed = _adapted(name, space, seed=77)
    buffer.seek(0)
    state = torch.load(buffer, weights_only=True)
    assert set(resumed.get_checkpointables()) == set(state)
    for key, part in resumed.get_checkpointables().items():
        part.load_state_dict(state[key])
    _assert_equal(_train(resumed, range(1, EPOCHS)), expected)
    for key, part in straight.get_checkpointables().items():
        _assert_equal(resumed.get_checkpointables()[key].state_dict(), part.state_dict(), key)

    torch.manual_seed(5)
    first = straight.get_final_architecture()
    torch.manual_seed(5)
    second = resumed.get_final_architecture()
    assert first.genotype() == second.genotype()
    assert first.is_parsed and not any(isinstance(module, MixedOp) for module in first.modules())
    logits = first.eval()(_batch(0)[0])
    assert logits.shape == (8, 4) and logits.isfinite().all()
    first.evaluation_network() if space != "nasbench301" else first.evaluation_network(cells=3, channels=8)
