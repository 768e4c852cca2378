"""Optimizers and criteria by name."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from naslib.errors import ConfigError, UnknownNameError
from naslib.utils.pytorch_helper import create_criterion, create_optimizer, criterion_names, optimizer_names


def parameters(dtype: torch.dtype = torch.float32) -> list[nn.Parameter]:
    return [nn.Parameter(torch.ones(2, dtype=dtype)), nn.Parameter(torch.ones(3, dtype=dtype))]


def test_there_are_names() -> None:
    assert {"SGD", "Adam", "AdamW", "RMSprop", "LBFGS"} <= set(optimizer_names())
    assert {"CrossEntropyLoss", "MSELoss", "BCEWithLogitsLoss"} <= set(criterion_names())
    assert "Optimizer" not in optimizer_names()


# Muon takes matrices only
@pytest.mark.parametrize("name", [name for name in optimizer_names() if name != "Muon"])
def test_every_optimizer_by_its_name(name: str) -> None:
    for spelling in (name, name.lower(), name.upper()):
        made = create_optimizer(spelling, parameters(), lr=0.01, weight_decay=0.0, momentum=0.9)
        assert type(made) is optimizer_names()[name]
        assert made.param_groups[0]["lr"] == 0.01


def test_keywords_arrive_and_surplus_is_dropped() -> None:
    sgd = create_optimizer("sgd", iter(parameters()), 0.1, 0.01, momentum=0.8, betas=(0.5, 0.999), nesterov=True)
    group = sgd.param_groups[0]
    assert (group["lr"], group["weight_decay"], group["momentum"], group["nesterov"]) == (0.1, 0.01, 0.8, True)
    adam = create_optimizer("Adam", parameters(), 3e-4, 1e-3, momentum=0.9, betas=(0.5, 0.999))
    assert adam.param_groups[0]["betas"] == (0.5, 0.999)
    assert "momentum" not in adam.param_groups[0]


def test_order_and_groups_are_kept() -> None:
    params = parameters()
    made = create_optimizer("SGD", params, 0.1)
    assert [id(p) for p in made.param_groups[0]["params"]] == [id(p) for p in params]
    grouped = create_optimizer("SGD", [{"params": params[:1], "lr": 1.0}, {"params": params[1:]}], 0.1)
    assert [group["lr"] for group in grouped.param_groups] == [1.0, 0.1]


def test_sgd_step_is_the_formula() -> None:
    params = parameters(torch.float64)
    made = create_optimizer("SGD", params, 0.1, 0.5, momentum=0.9)
    w, velocity = 1.0, 0.0
    for _ in range(3):
        for p in params:
            p.grad = torch.full_like(p, 2.0)
        made.step()
        velocity = 0.9 * velocity + 2.0 + 0.5 * w
        w -= 0.1 * velocity
    torch.testing.assert_close(params[0].detach(), torch.full((2,), w, dtype=torch.float64), rtol=0, atol=1e-12)


class Own(torch.optim.SGD):
    def __init__(self, params: Iterator[Any], lr: float, speed: int = 1) -> None:
        super().__init__(params, lr=lr)
        self.speed = speed


def test_classes_and_callables(caplog: pytest.LogCaptureFixture) -> None:
    assert type(create_optimizer(torch.optim.Adam, parameters(), 0.1)) is torch.optim.Adam
    made = create_optimizer(functools.partial(torch.optim.SGD, momentum=0.5), parameters(), 0.1, 0.2)
    assert made.param_groups[0]["momentum"] == 0.5
    assert not caplog.records
    own = create_optimizer(Own, parameters(), 0.1, 0.2, speed=4, momentum=0.9)
    assert isinstance(own, Own)
    assert own.speed == 4
    assert [r.levelno for r in caplog.records] == [logging.WARNING]
    assert "weight_decay=0.2 has no effect" in caplog.text


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: create_optimizer("Adm", parameters(), 0.1), ["'Adm'", "did you mean 'Adam'"]),
        (lambda: create_optimizer("SGD", parameters(), 0.1, momentun=0.9), ["'momentun'", "did you mean 'momentum'"]),
        (lambda: create_optimizer("SGD", parameters(), -1.0), ["SGD", "learning rate"]),
        (lambda: create_optimizer("SGD", [], 0.1), ["empty parameter list"]),
        (lambda: create_optimizer(3, parameters(), 0.1), ["expected the name", "3"]),  # type: ignore[arg-type]
        (lambda: create_criterion("CrossEntropyLos"), ["did you mean 'CrossEntropyLoss'"]),
        (lambda: create_criterion("mse", reductoin="sum"), ["MSELoss", "did you mean 'reduction'"]),
        (lambda: create_criterion(nn.MSELoss(), reduction="sum"), ["ready-made", "reduction"]),
        (lambda: create_criterion(None), ["expected the name"]),  # type: ignore[arg-type]
    ],
)
def test_bad_input_is_a_config_error(call: Any, words: list[str]) -> None:
    with pytest.raises(ConfigError) as info:
        call()
    for word in words:
        assert word in str(info.value)


def test_unknown_name_is_also_a_key_error() -> None:
    with pytest.raises(UnknownNameError):
        create_optimizer("nothing like it", parameters(), 0.1)
    with pytest.raises(KeyError):
        create_criterion("nothing like it")


def needs_nothing(cls: type) -> bool:
    """Whether a criterion can be made without arguments (those with a layer inside cannot)."""
    return all(p.default is not p.empty or p.kind is p.VAR_KEYWORD for p in inspect.signature(cls).parameters.values())


@pytest.mark.parametrize("name", [name for name, cls in criterion_names().items() if needs_nothing(cls)])
def test_every_criterion_by_its_name(name: str) -> None:
    for spelling in (name, name.lower()):
        assert type(create_criterion(spelling)) is criterion_names()[name]


@pytest.mark.parametrize(
    ("alias", "expected"),
    [
        ("cross_entropy", nn.CrossEntropyLoss),
        ("CE", nn.CrossEntropyLoss),
        ("mse", nn.MSELoss),
        ("bce", nn.BCELoss),
        ("bce_with_logits", nn.BCEWithLogitsLoss),
        ("l1", nn.L1Loss),
        ("mae", nn.L1Loss),
        ("huber", nn.HuberLoss),
        ("kl-div", nn.KLDivLoss),
    ],
)
def test_criterion_aliases(alias: str, expected: type) -> None:
    assert type(create_criterion(alias)) is expected


def test_criterion_forms() -> None:
    smooth = create_criterion("CrossEntropyLoss", label_smoothing=0.1, reduction="sum")
    assert (smooth.label_smoothing, smooth.reduction) == (0.1, "sum")  # type: ignore[attr-defined]
    ready = nn.MSELoss()
    assert create_criterion(ready) is ready
    assert create_criterion(torch.nn.functional.mse_loss) is torch.nn.functional.mse_loss
    assert isinstance(create_criterion(nn.L1Loss), nn.L1Loss)
