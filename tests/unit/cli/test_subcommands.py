"""Every subcommand has a help with an example, and answers without the rest of the library where it can."""

from __future__ import annotations

import pytest

from naslib.cli.command import main
from naslib.cli.subcommands import SUBCOMMANDS, subcommand


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_each_has_a_help_with_examples(name, capsys):
    with pytest.raises(SystemExit) as stopped:
        subcommand(name)(["--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    assert f"usage: naslib {name}" in text and f"\n  naslib {name} " in text


def test_the_help_of_the_command_names_them(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    assert all(f"naslib {name} " in text for name in SUBCOMMANDS)


def test_list_says_how_many_there_are_and_their_names(capsys):
    assert main(["list"]) == 0
    assert "optimizers" in capsys.readouterr().out
    assert main(["list", "optimizers"]) == 0
    assert "random_nas, rs_ws, rsws   Random search with weight sharing.\n" in capsys.readouterr().out


def test_an_unknown_kind_is_named_with_the_nearest(capsys):
    assert main(["list", "optimisers"]) == 2
    assert "did you mean 'optimizers'" in capsys.readouterr().err


def test_run_is_the_word_for_what_needs_none(capsys):
    assert main(["run"]) == 2
    assert "give a config" in capsys.readouterr().err
