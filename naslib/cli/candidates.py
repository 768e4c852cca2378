"""What the next word of a command line may be: what shells are told when somebody presses the tab key."""

from __future__ import annotations

import argparse
import itertools
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from naslib.config.cli import default_argument_parser
from naslib.config.find import find_config_file, shipped_configs
from naslib.config.parser import CommandParser, parser_of
from naslib.config.schema import SECTIONS, ConfigKeys, keys_of
from naslib.errors import NASLibError
from naslib.registry import catalogue
from naslib.registry.signatures import keywords_through

from .listed import KINDS
from .subcommands import HELP, SUBCOMMANDS, subcommand

_RUN = "run"
# Folders that are looked through for runs, and how deep
_MOST_FOLDERS, _DEPTH = 2000, 6
# Options whose values are names, and lists of names
_NAMES = {"--benchmark": "benchmarks", "--dataset": "datasets"}
_LISTS = {"--methods": "optimizers", "--predictors": "predictors", "--proxies": "proxies"}
# Keys of a config whose values are names
_VALUES = {"optimizer": "optimizers", "search_space": "spaces", "dataset": "datasets", "task": "tasks"}
_VALUES |= {"search.evaluator": "evaluators"}
# Keys whose keywords are those of what another key names: the kind, and that key
_ARGUMENTS = {
    "search_space_args": ("spaces", "search_space"),
    "dataset_args": ("datasets", "dataset"),
    "task_args": ("tasks", "task"),
    "search.evaluator_args": ("evaluators", "search.evaluator"),
}


def candidates(words: Sequence[str]) -> list[str]:
    """Return what the last word may become; a word that is whole ends in a blank.

    Args:
        words: Those after `naslib`; the last one is what has been written of the next, "" for nothing.
    """
    *before, current = words or [""]
    try:
        found = _candidates(list(before), current)
    except NASLibError:
        found = []
    return [word for word in dict.fromkeys(found) if word.startswith(current)]


def _candidates(before: list[str], current: str) -> Iterable[str]:
    if not before:
        names = [f"{name} " for name in (_RUN, *SUBCOMMANDS, HELP[0])]
        return [*names, *(_of_run(before, current) if current else [])]
    if before[0] == HELP[0]:
        return [f"{name} " for name in (_RUN, *SUBCOMMANDS)] if len(before) == 1 else _of_command(before[1:], "")
    if before[0] in SUBCOMMANDS:
        return _of_command(before, current)
    return _of_run(before[before[0] == _RUN :], current)


def _of_run(before: list[str], current: str) -> list[str]:
    """Return what may follow in the command that runs a search."""
    return _of_parser(default_argument_parser(), before, current, before)


def _of_command(before: list[str], current: str) -> list[str]:
    """Return what may follow a subcommand."""
    main = subcommand(before[0])
    parser = parser_of(main, before[1:]) or parser_of(main, ["--help"])  # one that needs more words has a help
    if parser is None:
        return []
    rest = before[1:]
    while rest and parser.subparsers():
        word = rest.pop(0)
        if word in parser.subparsers():
            parser = parser.subparsers()[word]
    if len(parser.prog.split()) == 3:  # naslib bench build: the second word has been read
        rest = rest[1:] if rest[:1] == [parser.prog.split()[2]] else rest
    return _of_parser(parser, rest, current, before)


def _of_parser(parser: CommandParser, rest: list[str], current: str, before: list[str]) -> list[str]:
    """Return what may follow words that a parser reads.

    Args:
        parser: The parser.
        rest: The words that it reads, without the current one.
        current: What has been written of the current one.
        before: All words of the command.
    """
    last = rest[-1] if rest else ""
    if last.startswith("-") and parser.takes_value(last):
        return _option_values(parser, last, current)
    if current.startswith("-"):
        return [f"{option} " for option in parser.options() if option.startswith("--")]
    if parser.subparsers() and not rest:
        return [f"{name} " for name in parser.subparsers()]
    action = _positional(parser, rest)
    if action is None:
        return []
    found = [f"{choice} " for choice in action.choices or ()]
    return found or _by_meaning(action, current, before)


def _positional(parser: CommandParser, rest: Sequence[str]) -> argparse.Action | None:
    """Return the positional argument that the next word belongs to."""
    actions = [action for action in parser._actions if not action.option_strings]
    count, words = 0, iter(rest)
    for word in words:
        if word.startswith("-"):
            if parser.takes_value(word):
                next(words, None)
        else:
            count += 1
    for action in actions:
        if action.nargs in ("*", "+") or count == 0:
            return action
        count -= 1
    return None


def _option_values(parser: CommandParser, option: str, current: str) -> list[str]:
    choices = parser.choices_of(option)
    if choices:
        return [f"{choice} " for choice in choices]
    if option in ("--config", "--config-file"):
        return _configs(current)
    if option in _NAMES:
        return [f"{name} " for name in _names(_NAMES[option])]
    if option in _LISTS:
        begun, comma, _ = current.rpartition(",")
        return [f"{begun}{comma}{name}" for name in _names(_LISTS[option]) if name not in begun.split(",")]
    action = next(action for action in parser._actions if option in action.option_strings)
    if action.type in (int, float):
        return []
    return _paths(current)


def _by_meaning(action: argparse.Action, current: str, before: Sequence[str]) -> list[str]:
    """Return what a positional argument may be, by its name."""
    meaning = str(action.metavar or action.dest).upper()
    if before[:1] == ["list"]:
        return [f"{name} " for name in _names(before[1])] if len(before) > 1 else []
    if meaning == "CONFIG":
        return _configs(current)
    if meaning == "TARGET":
        return [*(f"{name} " for name in _names("spaces")), *_runs_or_paths(current)]
    if meaning.startswith("RUN"):
        return _runs_or_paths(current, folders_only=True)
    if meaning == "KEY=VALUE":
        return _overrides(before, current)
    return _paths(current)


def _names(kind: str) -> list[str]:
    if kind in KINDS:
        return KINDS[kind][0].names()
    return [name.removesuffix(".yaml") for name in shipped_configs()] if kind == "configs" else []


def _configs(current: str) -> list[str]:
    """Return the shipped configs, and what is here."""
    return [f"{name} " for name in shipped_configs()] + _paths(current, (".yaml", ".yml"))


def _overrides(before: Sequence[str], current: str) -> list[str]:
    """Return keys of a config, and after `=` the values of one."""
    key, sign, value = current.partition("=")
    if sign:
        return [f"{key}={found}" for found in _values(key, value)]
    section = key.rpartition(".")[0]
    if section in _ARGUMENTS:
        kind, named_by = _ARGUMENTS[section]
        return [f"{section}.{name}=" for name in _keywords(kind, _value_of(before, named_by))]
    if section in SECTIONS:
        own = _keywords("optimizers", _value_of(before, "optimizer")) if section == "search" else []
        names = dict.fromkeys([*keys_of(section), *own])
        return [_key(f"{section}.{name}") for name in names]
    if section == "search.parts":
        return [f"search.parts.{name}" for name in catalogue.PARTS.names()]
    if section.startswith("search.parts."):
        part = section.removeprefix("search.parts.")
        return [f"{section}.{name}=" for name in _keywords("parts", part)]
    return [_key(name) for name in keys_of("")] if not section else []


def _key(name: str) -> str:
    """Return a key with what follows it: a dot where it is a section or holds keywords."""
    return f"{name}." if name in SECTIONS or name in _ARGUMENTS or name == "search.parts" else f"{name}="


def _values(key: str, value: str) -> list[str]:
    if key in _VALUES:
        own = _paths(value) if key == "dataset" and value else []
        return [*(f"{name} " for name in _names(_VALUES[key])), *own]
    if key == "evaluation.genotype":
        return _runs_or_paths(value)
    if key in ("data", "out_dir"):
        return _paths(value, folders_only=key == "out_dir")
    section, _, name = key.rpartition(".")
    model = SECTIONS.get(section) if section else ConfigKeys
    field = model.model_fields.get(name) if model is not None else None
    return [f"{choice} " for choice in _literals(field.annotation)] if field is not None else []


def _literals(annotation: Any) -> list[str]:
    """Return the values that a type lists."""
    if annotation is bool:
        return ["true", "false"]
    if get_origin(annotation) is Literal:
        return [str(value) for value in get_args(annotation)]
    return [value for part in get_args(annotation) for value in _literals(part)]


def _keywords(kind: str, name: str) -> list[str]:
    registry = KINDS[kind][0]
    if name not in registry:
        return []
    parameters = keywords_through(registry.signatures(name))
    # what follows the data directory and the seed is a person's to say
    return list(parameters)[2:] if kind == "datasets" else list(parameters)


def _value_of(before: Sequence[str], key: str) -> str:
    """Return what a key was set to on the command line, in its config, or its default."""
    for word in reversed(before):
        if word.startswith(f"{key}="):
            return word.partition("=")[2].lower()
    for option, name in itertools.pairwise(before):
        if option in ("--config", "--config-file"):
            text = find_config_file(name).read_text(encoding="utf-8")
            written = re.search(rf"^{re.escape(key)}: *([\w-]+)", text, re.MULTILINE)
            if written:
                return written[1].lower()
    field = ConfigKeys.model_fields.get(key)
    return str(field.default) if field is not None else ""


def _paths(current: str, endings: tuple[str, ...] = (), folders_only: bool = False) -> list[str]:
    """Return the files and folders that a path may become; a folder ends in a slash."""
    head, _, tail = current.rpartition("/")
    folder = Path(head or ("/" if current.startswith("/") else ".")).expanduser()
    try:
        names = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return []
    found = []
    for entry in names:
        if not entry.name.startswith(tail) or (entry.name.startswith(".") and not tail.startswith(".")):
            continue
        path = f"{current[: len(current) - len(tail)]}{entry.name}"
        if entry.is_dir():
            found.append(f"{path}/")
        elif not folders_only and (not endings or entry.name.endswith(endings)):
            found.append(f"{path} ")
    return found


def _runs_or_paths(current: str, folders_only: bool = False) -> list[str]:
    """Return the run folders that a path may become; where there are none, what else it may."""
    return _runs(current) or _paths(current, folders_only=folders_only)


def _runs(current: str) -> list[str]:
    """Return the run folders that a path may become: those below the folder that has been written so far."""
    head = current.rpartition("/")[0]
    folders = itertools.islice(_below(Path(head or ".").expanduser(), _DEPTH), _MOST_FOLDERS)
    runs = [path.as_posix() for path in folders if (path / "config.yaml").is_file()]
    return [f"{run} " for run in runs if run.startswith(current)]


def _below(folder: Path, depth: int) -> Iterable[Path]:
    """Yield the folders below one, those at the top first."""
    level = [folder]
    for _ in range(depth):
        below = []
        for parent in level:
            try:
                inside = sorted(entry for entry in parent.iterdir() if entry.is_dir() and entry.name[:1] != ".")
            except OSError:
                continue
            yield from inside
            below += inside
        level = below
