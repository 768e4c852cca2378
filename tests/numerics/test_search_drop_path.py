"""Drop-path in the search: what is dropped, how often, when, and that nothing of it stays."""

from __future__ import annotations

import pytest
import torch
from small_spaces import batch, mlp_space

from naslib.errors import ConfigError
from naslib.optimizers import DARTSOptimizer, GDASOptimizer
from naslib.optimizers.oneshot.parts import PARTS


def _adapted(cls: type = DARTSOptimizer, drop_prob: float = 0.4):
    torch.manual_seed(0)
    optimizer = cls(epochs=5, parts={"drop_path": {"drop_prob": drop_prob}})
    optimizer.adapt_search_space(mlp_space())
    return optimizer


def test_samples_are_dropped_whole_and_the_others_scaled():
    optimizer = _adapted()
    op = optimizer.decisions[0].op
    x = torch.randn(20_000, 6)
    weights = torch.tensor([0.2, 0.3, 0.5])
    expected = sum(w * o(x) for w, o in zip(weights, op.primitives, strict=True))
    optimizer.new_epoch(4)
    out = op.apply_weights(x, weights)
    dropped = (out == 0).all(1)
    torch.testing.assert_close(out[~dropped], expected[~dropped] / 0.6)
    assert not ((out == 0).any(1) & ~dropped).any()
    assert abs(dropped.float().mean().item() - 0.4) < 4 * (0.24 / 20_000) ** 0.5
    torch.testing.assert_close(op.eval().apply_weights(x, weights), expected)


@pytest.mark.parametrize("cls", [DARTSOptimizer, GDASOptimizer])
def test_the_probability_is_linear_and_nothing_stays(cls: type):
    optimizer = _adapted(cls)
    state = []
    for epoch in range(5):
        optimizer.new_epoch(epoch)
        state.append(optimizer.parts["drop_path"].state_dict()["now"])
        optimizer.step(batch(dtype=torch.float32), batch(seed=1, dtype=torch.float32))
    assert state == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    final = optimizer.get_final_architecture()
    assert "DropEdge" not in " ".join(type(module).__name__ for module in final.modules())
    other = _adapted(cls)
    other.parts["drop_path"].load_state_dict({"now": 0.25})
    assert other.parts["drop_path"].state_dict() == {"now": 0.25}


def test_bad_values_raise():
    with pytest.raises(ConfigError, match="drop_prob"):
        PARTS.build("drop_path", drop_prob=1.0)
