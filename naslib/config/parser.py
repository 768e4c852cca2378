"""CommandParser: an argument parser whose errors are those of naslib."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from naslib.errors import ConfigError, did_you_mean

_UNKNOWN = "unrecognized arguments: "
# "argument command: ..." names a placeholder of ours that nobody has written
_SUBCOMMAND = re.compile(r"^argument [^-:][^:]*: (?=there is no )")
# Whether parsers tell what they take instead of parsing
_asking = False


class _Asked(Exception):
    """Carries the parser that was about to parse."""

    def __init__(self, parser: CommandParser) -> None:
        super().__init__()
        self.parser = parser


class CommandParser(argparse.ArgumentParser):
    """An ArgumentParser that raises instead of exiting, keeps the layout of its texts, and takes no abbreviations.

    Args:
        **kwargs: Those of `argparse.ArgumentParser`.
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(**{"allow_abbrev": False, **kwargs})
        self._given: list[str] = []

    def error(self, message: str) -> NoReturn:
        """Raise the message as a ConfigError; an unknown option with the nearest one."""
        if message.startswith(_UNKNOWN):
            words = message.removeprefix(_UNKNOWN).split(" ")
            unknown = [self.unknown_option(word) for word in words if word.startswith("-")]
            raise ConfigError(unknown or f"command line: cannot place {' '.join(words)!r} (see --help)")
        # a misspelled option is why another one seems to be missing
        unknown = [self.unknown_option(word) for word in self._given if self._is_unknown(word)]
        raise ConfigError(unknown or f"command line: {_SUBCOMMAND.sub('', message)} (see --help)")

    def _is_unknown(self, word: str) -> bool:
        return word.startswith("--") and word != "--" and word.partition("=")[0] not in self._option_string_actions

    def unknown_option(self, word: str) -> str:
        """Return what to say about an option that does not exist."""
        name = word.partition("=")[0]
        near = did_you_mean(name, [option for option in self.options() if option.startswith("--")])
        return f"unknown option {name!r}{near or ' (see --help)'}"

    def options(self) -> list[str]:
        """Return the options that the help shows, those of subcommands included."""
        shown = [action for action in self._actions if action.help != argparse.SUPPRESS]
        found = [option for action in shown for option in action.option_strings]
        for parser in self.subparsers().values():
            found += parser.options()
        return list(dict.fromkeys(found))

    def choices_of(self, option: str) -> list[str]:
        """Return the values that an option takes, none where it takes any."""
        actions = [action for action in self._actions if option in action.option_strings]
        return [str(choice) for action in actions for choice in action.choices or ()]

    def takes_value(self, option: str) -> bool:
        """Say whether a word follows an option."""
        return any(option in action.option_strings and action.nargs != 0 for action in self._actions)

    def subparsers(self) -> dict[str, CommandParser]:
        """Return the parsers of the subcommands that this one has."""
        tables = [action.choices for action in self._actions if isinstance(action, argparse._SubParsersAction)]
        return {name: parser for table in tables for name, parser in table.items() if isinstance(parser, CommandParser)}

    def words(self) -> list[str]:
        """Return the words that may stand first: subcommands, and the choices of the first positional argument."""
        positional = [action for action in self._actions if not action.option_strings]
        return [str(choice) for choice in (positional[0].choices or ())] if positional else []

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse as `argparse` does; see `parser_of` for when nothing is parsed."""
        if _asking:
            raise _Asked(self)
        self._given = [str(word) for word in args or ()]
        return super().parse_known_args(args, namespace)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        choices = [str(choice) for choice in action.choices]
        what = f"there is no {value!r}" if not action.option_strings else f"invalid choice: {value!r}"
        raise argparse.ArgumentError(action, f"{what}{did_you_mean(str(value), choices)} (one of {', '.join(choices)})")


def parser_of(main: Callable[[Sequence[str]], Any], words: Sequence[str]) -> CommandParser | None:
    """Return the parser that a command would parse with; nothing is parsed, and nothing is done.

    Args:
        main: The function of a subcommand.
        words: Those after its name: they lead to the parser of a subcommand's subcommand.

    Returns:
        None where the command stops before it has a parser.
    """
    try:
        with _asked():
            main(words)
    except _Asked as answer:
        return answer.parser
    except ConfigError:
        return None
    return None


@contextmanager
def _asked() -> Iterator[None]:
    global _asking
    _asking = True
    try:
        yield
    finally:
        _asking = False
