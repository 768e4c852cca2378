"""Schedules in place of numbers: their formulas, what is wrong with one, and what a config makes of it."""

from __future__ import annotations

import math
from typing import Any

import pytest

from naslib.build import schema_extensions
from naslib.config.attribute_schedules import is_numeric, parse_schedule, takes_integers
from naslib.config.config import config_to_yaml
from naslib.config.loader import load_config
from naslib.errors import ConfigError
from naslib.optimizers.oneshot.supernet.relaxations import linear_temperature


def values(total: int, integer: bool = False, **given: Any) -> list[float]:
    schedule, problems = parse_schedule(given, integer)
    assert schedule is not None, problems
    return [schedule.at(position, total) for position in range(total)]


def test_the_values_are_those_of_the_formulas() -> None:
    assert values(5, schedule="linear", **{"from": 10, "to": 2}) == [10, 8, 6, 4, 2]
    assert values(1, schedule="linear", **{"from": 10, "to": 2}) == [10]
    assert values(6, schedule="linear", over=3, **{"from": 0, "to": 4}) == [0, 2, 4, 4, 4, 4]
    found = values(5, schedule="cosine", **{"from": 1, "to": 0})
    assert found == pytest.approx([1, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2, 0], abs=1e-15)
    assert values(4, schedule="exponential", **{"from": 8, "to": 1}) == pytest.approx([8, 4, 2, 1], rel=1e-15)
    # multiplied by .9 every 2, as aw_nas's `mul`, and no further than `to`
    found = values(7, schedule="step", factor=0.5, size=2, to=0.2, **{"from": 1})
    assert found == [1, 1, 0.5, 0.5, 0.25, 0.25, 0.2]
    assert values(5, schedule="step", factor=2, size=1, to=5, **{"from": 1}) == [1, 2, 4, 5, 5]
    assert values(6, schedule="piecewise", values=[3, 1, 2], milestones=[2, 5]) == [3, 3, 1, 1, 1, 2]
    assert values(5, True, schedule="linear", **{"from": 1, "to": 3}) == [1, 2, 2, 2, 3]


@pytest.mark.parametrize("epochs", [1, 2, 7, 50])
def test_a_linear_schedule_is_the_one_that_gdas_and_snas_have(epochs: int) -> None:
    found = values(epochs, schedule="linear", **{"from": 10, "to": 0.1})
    assert found == [linear_temperature(epoch, epochs, 10.0, 0.1) for epoch in range(epochs)]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"schedule": "liner", "from": 1, "to": 2}, "unknown schedule 'liner'; did you mean 'linear'"),
        ({"schedule": ["linear"], "from": 1, "to": 2}, r"unknown schedule \['linear'\]"),
        ({"schedule": "linear", "from": 1}, "a linear schedule needs 'to'"),
        ({"schedule": "linear", "from": 1, "too": 2}, r"no 'too'; did you mean 'to'"),
        ({"schedule": "linear", "from": "a", "to": 2}, "from: expected a number, got 'a'"),
        ({"schedule": "linear", "from": 1, "to": 2, "over": 0}, "over: expected an integer >= 1, got 0"),
        ({"schedule": "linear", "from": 1, "to": 2, "every": "batch"}, "every must be one of epoch, trial, step"),
        ({"schedule": "exponential", "from": 1, "to": 0}, "between numbers of one sign"),
        ({"schedule": "step", "from": 1, "factor": -1, "size": 2}, "factor must be positive"),
        ({"schedule": "piecewise", "values": [1, 2], "milestones": []}, "2 values have 1 milestones between them"),
        ({"schedule": "piecewise", "values": [1, 2, 3], "milestones": [4, 2]}, "milestones ascend from 1 on"),
        ({"schedule": "piecewise", "values": 3, "milestones": [1]}, "values: expected a list of numbers"),
        ({"schedule": "piecewise", "values": [1, 2], "milestones": [0.5]}, "milestones: expected a list of integers"),
    ],
)
def test_what_is_no_schedule_says_why(given: dict[str, Any], text: str) -> None:
    schedule, problems = parse_schedule(given)
    assert schedule is None
    with pytest.raises(ConfigError, match=text):
        raise ConfigError(problems)


def test_which_keywords_take_numbers() -> None:
    assert [is_numeric(a) for a in ("int", "float | None", "float | str | None", int)] == [True] * 4
    assert [is_numeric(a) for a in ("str", "Sequence[int]", "bool", "dict | None", "int | Sequence[int]")] == [
        False
    ] * 5
    assert [takes_integers(a) for a in ("int", "int | None", "float", "float | str | None")] == [
        True,
        True,
        False,
        False,
    ]


TAU = {"schedule": "linear", "from": 10, "to": 0.1}


def load(**search: Any) -> Any:
    optimizer = search.pop("optimizer", "gdas")
    return load_config({"optimizer": optimizer, "search": search}, extensions=schema_extensions())


def test_a_config_keeps_the_schedule_and_reads_it_back() -> None:
    config = load(tau=dict(TAU), epochs=5, momentum={"schedule": "cosine", "from": 0.5, "to": 0.9})
    assert config.search.tau == TAU and config.search.momentum == {"schedule": "cosine", "from": 0.5, "to": 0.9}
    assert config.notes == [] and config.search.epochs == 5
    again = load_config({**config, "search": dict(config.search)}, extensions=schema_extensions())
    assert again.search.tau == TAU
    assert "schedule: linear" in config_to_yaml(config)
    words = ["search.tau={schedule: linear, from: 3, to: 1}"]
    assert load_config({"optimizer": "gdas"}, words, extensions=schema_extensions()).search.tau["from"] == 3


@pytest.mark.parametrize(
    ("search", "text"),
    [
        ({"tau": {"schedule": "linear", "from": 10}}, r"search.tau: a linear schedule needs 'to'"),
        ({"batch_size": {"schedule": "linear", "from": 8, "to": 64}}, "search.batch_size: gdas does not read it"),
        ({"sample_size": {"schedule": "linear", "from": 8, "to": 64}}, "search.sample_size: gdas does not read it"),
        ({"unselected": dict(TAU)}, "search.unselected: it takes no number"),
        (
            {"momentum": {"schedule": "linear", "from": 0.5, "to": 1.5}},
            r"search.momentum: expected a number < 1, got 1.5",
        ),
        (
            {"epochs": 9, "momentum": {"schedule": "step", "from": 0.5, "factor": 1.2, "size": 2}},  # .5 1.2^4
            r"search.momentum: expected a number < 1, got 1.03",
        ),
        ({"tau": {**TAU, "every": "trial"}}, "search.tau: every: a search on batches has no trials"),
        (
            {"optimizer": "re", "sample_size": {**TAU, "every": "step"}},
            "search.sample_size: every: a search of trials has no steps",
        ),
        (
            {"parts": {"drop_path": {"drop_prob": {"schedule": "linear", "from": 0}}}},
            "search.parts.drop_path.drop_prob: a linear schedule needs 'to'",
        ),
    ],
)
def test_what_a_config_refuses(search: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        load(**search)
