"""The same config file with another space or data set: what sized the old one is left behind."""

from __future__ import annotations

import inspect

import pytest

from naslib.config.extensions import SchemaExtensions
from naslib.config.loader import load_config
from naslib.errors import ConfigError


def _keywords(*names: str) -> dict[str, inspect.Parameter]:
    return {name: inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None) for name in names}


EXTENSIONS = SchemaExtensions(
    optimizers={"darts": {}},
    spaces={"big": _keywords("cells"), "alias": _keywords("cells"), "small": _keywords("width")},
    datasets={"digits": {}, "mnist": {}},
)
FILE = {
    "search_space": "big",
    "search_space_args": {"cells": 3},
    "dataset": "digits",
    "evaluation": {"cells": 3, "channels": 32, "epochs": 2},
}


def test_another_space_leaves_the_sizes_behind():
    config = load_config(FILE, ["search_space=small"], extensions=EXTENSIONS)
    assert config.search_space_args == {} and config.evaluation.cells is None and config.evaluation.channels is None
    assert config.evaluation.epochs == 2
    assert any("search_space_args" in note and "'big'" in note for note in config.notes)


OWN_ARGUMENTS = [
    ["search_space=small", "search_space_args={width: 4}"],
    ["search_space", "small", "search_space_args.width=4"],
]


@pytest.mark.parametrize("words", OWN_ARGUMENTS)
def test_what_the_command_line_says_stays(words: list[str]):
    assert load_config(FILE, words, extensions=EXTENSIONS).search_space_args == {"width": 4}


@pytest.mark.parametrize("words", [[], ["search_space=big"], ["search_space=alias"], ["dataset=mnist"]])
def test_the_same_space_keeps_its_sizes(words: list[str]):
    config = load_config(FILE, words, extensions=EXTENSIONS)
    assert config.search_space_args == {"cells": 3} and config.evaluation.channels == 32 and not config.notes


def test_a_file_as_data_set_is_no_unknown_name():
    assert load_config(FILE, ["dataset=some/where/own.npz"], extensions=EXTENSIONS).dataset == "some/where/own.npz"
    with pytest.raises(ConfigError, match="did you mean 'mnist'"):
        load_config(FILE, ["dataset=mnst"], extensions=EXTENSIONS)


def test_given_keys_are_known():
    config = load_config(FILE, ["search.cutout_length=16"], extensions=EXTENSIONS)
    assert {"search.cutout_length", "evaluation.epochs", "dataset"} <= config.given
    assert "evaluation.cutout_length" not in config.given
