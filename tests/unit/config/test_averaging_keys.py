"""What `evaluation.averaging` needs of other keys."""

from __future__ import annotations

from typing import Any

import pytest

from naslib.config.loader import load_config
from naslib.errors import ConfigError

RIGHT: dict[str, Any] = {"averaging": 5, "momentum": 0.0, "train_portion": 0.9}


def test_it_needs_a_validation_part_and_no_momentum() -> None:
    assert load_config({"evaluation": RIGHT}).evaluation.averaging == 5
    assert load_config({}).evaluation.averaging is None
    assert load_config({"evaluation": {**RIGHT, "momentum": 0.9, "op_optimizer": "Adam"}}).evaluation.averaging == 5
    with pytest.raises(ConfigError) as raised:
        load_config({"evaluation": {"averaging": 5}})
    assert "averaged SGD has no momentum: set evaluation.momentum: 0.0" in str(raised.value)
    assert "set evaluation.train_portion below 1" in str(raised.value)
