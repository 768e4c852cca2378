"""What every `--help` shows can be typed: each example is read by its parser, and its config is one."""

from __future__ import annotations

import dataclasses
import itertools
import re
import shlex
from string import ascii_lowercase

import pytest

from naslib.cli.command import main
from naslib.cli.door import schema_extensions
from naslib.cli.subcommands import GROUPS, SUBCOMMANDS, grouped, subcommand
from naslib.config.cli import config_from_command_line, default_argument_parser, parse_cli
from naslib.config.find import find_config_file
from naslib.config.parser import CommandParser, parser_of
from naslib.errors import DESTRUCTIVE, did_you_mean

PLACEHOLDERS = {"FILE": "{}", "RUN": "run/1", "DIR": "."}
BENCH = ("build", "merge", "latency", "info")


def help_of(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        main([*words, "--help"])
    assert stopped.value.code == 0
    return capsys.readouterr().out


def examples_in(text: str) -> list[list[str]]:
    """Return the words of each example: a line `  naslib ...`, what follows two blanks explains it."""
    joined = text.replace("\\\n", " ")
    lines = re.findall(r"^  naslib (?! )(.+)$", joined.partition("examples:")[2], re.MULTILINE)
    parts = [re.split(r"\s{2,}(?!--)", line)[0] if "\\" not in line else line for line in lines]
    return [list(shlex.split(part.partition(" > ")[0])) for part in parts]


def _parsers() -> dict[str, CommandParser]:
    found = {"": default_argument_parser()}
    for name in SUBCOMMANDS:
        for action in BENCH if name == "bench" else ("",):
            parser = parser_of(subcommand(name), [action] if action else [])
            assert parser is not None, name
            found[f"{name} {action}".strip()] = parser
    return found


@pytest.mark.parametrize("name", ["", *SUBCOMMANDS])
def test_every_example_is_read(name, capsys):
    examples = examples_in(help_of(capsys, *([name] if name else [])))
    assert len(examples) >= (10 if not name else 3)
    extensions = schema_extensions() if not name else None
    for words in examples:
        given = [PLACEHOLDERS.get(word, word) for word in words]
        if not name:
            command = parse_cli([word.replace("=FILE", "=x") for word in given])
            one = dataclasses.replace(command, seeds=None)  # several seeds are several configs
            assert command.print_schema or config_from_command_line(one, extensions=extensions)
            continue
        assert given[0] == name
        parser = parser_of(subcommand(name), given[1:])
        assert parser is not None
        rest = given[2:] if name == "bench" else given[1:]
        if parser.subparsers():
            parser.parse_args(rest)
        else:
            parser.parse_intermixed_args(rest)
        for config in [word for word in rest if word.endswith(".yaml")]:
            assert find_config_file(config).is_file()


def test_commands_stand_in_groups_and_no_group_names_what_is_not_there(capsys):
    text = help_of(capsys)
    names = [name for members in grouped().values() for name in members]
    assert sorted(names) == sorted([*SUBCOMMANDS, "help"])
    assert {name for members in GROUPS.values() for name in members} == set(names)
    for title, members in grouped().items():
        block = text.partition(f"  {title}\n")[2]
        assert [line.split()[1] for line in block.splitlines()[: len(members)]] == members


@pytest.mark.parametrize(
    "words", [["help", "list"], ["help", "bench", "build"], ["help"], ["help", "run"], ["help", "help"]]
)
def test_help_is_the_help_of_a_command(words, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 0
    usage = " ".join(["usage: naslib", *(word for word in words[1:] if word not in ("run", "help"))])
    assert capsys.readouterr().out.startswith(f"{usage} ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["lst"], "there is no command 'lst'; did you mean 'list'? (commands: run, data, "),
        (["help", "drwa"], "there is no command 'drwa'; did you mean 'draw'?"),
        (["optimzer"], "there is no command 'optimzer'; did you mean 'optimizer'?"),
        (["darts"], "there is no command 'darts'; a config is given as --config darts.yaml"),
        (["darts.yaml"], "'darts.yaml': a config file is given as --config darts.yaml"),
        (["--verison"], "unknown option '--verison'; did you mean '--version'?"),
        (["--seed", "x"], "argument --seed: invalid int value: 'x'"),
        (["compare", "--methds", "rs"], "unknown option '--methds'; did you mean '--methods'?"),
        (["compare", "x.yaml", "--methods", "rs", "--jobs", "two"], "argument --jobs: invalid int value: 'two'"),
        (["correlate", "--source", "tabel"], "invalid choice: 'tabel'; did you mean 'table'? (one of computed, table)"),
        (["data", "lsit"], "there is no 'lsit'; did you mean 'list'? (one of list, convert)"),
        (["bench", "bild"], "naslib bench has no command 'bild'; did you mean 'build'?"),
        (["bench", "--nothing"], "unknown option '--nothing'"),
        (["list", "spaces", "--jsn=1"], "unknown option '--jsn'; did you mean '--json'?"),
    ],
)
def test_what_is_not_there_is_one_line_with_the_nearest(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def _misspelt(option: str) -> set[str]:
    """Return what is one slip away from an option: a letter more, less, another, or two in the other order."""
    name = option.removeprefix("--")
    splits = [(name[:at], name[at:]) for at in range(len(name) + 1)]
    found = {a + b[1:] for a, b in splits if b} | {a + b[1] + b[0] + b[2:] for a, b in splits if len(b) > 1}
    letters = f"{ascii_lowercase}-_"
    found |= {a + letter + b[1:] for (a, b), letter in itertools.product(splits, letters) if b}
    found |= {a + letter + b for (a, b), letter in itertools.product(splits, letters)}
    found |= {name[:at] for at in range(1, len(name))} | {f"{name}s", name.replace("-", ""), name.replace("-", "_")}
    return {f"--{word}" for word in found - {name}}


def test_no_slip_leads_to_a_destructive_option():
    for option in DESTRUCTIVE:
        for word in _misspelt(option):
            assert not did_you_mean(word, [option]), word


@pytest.mark.parametrize("name", ["", "bench build", "bench latency", "predict", "export", "report", "draw", "compare"])
def test_no_parser_suggests_a_destructive_option(name):
    parser = _parsers()[name]
    destructive = DESTRUCTIVE & set(parser.options())
    for option in destructive:
        for word in [*sorted(_misspelt(option))[::7], option[:-1], f"{option}e", option.replace("e", "", 1)]:
            said = parser.unknown_option(word)
            assert not any(f"'{one}'" in said.partition("; ")[2] for one in DESTRUCTIVE), said


def test_options_that_undo_or_repeat_are_known_as_destructive():
    verbs = re.compile(r"\b(overwrite|replace|remove|delete|move an existing|anew what|also those that have been)\b")
    for name, parser in _parsers().items():
        for action in parser._actions:
            if action.nargs == 0 and verbs.search(str(action.help)):
                assert set(action.option_strings) & DESTRUCTIVE, (name, action.option_strings, action.help)
    assert {"--overwrite", "--anew", "--retry-failed"} <= {
        option for parser in _parsers().values() for option in parser.options() if option in DESTRUCTIVE
    }
