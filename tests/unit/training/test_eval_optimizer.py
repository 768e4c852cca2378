"""The optimizer of the retraining, by name."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from naslib.defaults.trainer import Trainer
from naslib.errors import ConfigError
from naslib.utils import get_config_from_args


def _built(**evaluation: object) -> torch.optim.Optimizer:
    config = get_config_from_args([])
    config.evaluation.update(**evaluation)
    return Trainer.build_eval_optimizer(nn.Linear(2, 2).parameters(), config)


def test_the_retraining_has_sgd_or_what_it_is_told() -> None:
    sgd = _built(learning_rate=0.5, momentum=0.8, weight_decay=0.25)
    assert type(sgd) is torch.optim.SGD
    group = sgd.param_groups[0]
    assert (group["lr"], group["momentum"], group["weight_decay"], group["nesterov"]) == (0.5, 0.8, 0.25, False)
    adam = _built(op_optimizer="adamw", learning_rate=0.5, weight_decay=0.25)
    assert type(adam) is torch.optim.AdamW
    assert (adam.param_groups[0]["lr"], adam.param_groups[0]["weight_decay"]) == (0.5, 0.25)


def test_an_unknown_name_is_said_with_the_config() -> None:
    with pytest.raises(ConfigError, match=r"evaluation.op_optimizer.*'AdmW'.*did you mean 'AdamW'"):
        get_config_from_args(["evaluation.op_optimizer=AdmW"])
