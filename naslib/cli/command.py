"""The command `naslib`: what needs no torch is answered, and refused, before torch is imported."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence

from naslib.config.cli import parse_cli
from naslib.config.compat import HOISTED, IGNORED
from naslib.config.editor_schema import json_schema_text
from naslib.config.find import list_shipped, shipped_configs
from naslib.config.schema import keys_of
from naslib.errors import ConfigError, NASLibError, SearchInterrupted, did_you_mean, exit_code
from naslib.utils.launch import launched, speaks_for_all
from naslib.utils.log import get_logger

from .door import read_config, schema_extensions
from .ranks import be_silent, main_of_rank
from .subcommands import HELP, SUBCOMMANDS, overview, subcommand

# The word for what needs none
_RUN = "run"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status.

    Args:
        argv: The words after the program's name; those of the process if None.

    Returns:
        0; 1 if one of several seeds failed; 2 for bad input or a failed run, whose reason is one message on stderr;
        130 or 143 after SIGINT or SIGTERM.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    _let_print()
    try:
        launch = launched()
        if launch is not None and launch.rank:
            be_silent()
        if words and words[0] == HELP[0]:
            words = _asked_for(words[1:])
        if words and words[0] in SUBCOMMANDS:
            if launch is not None:
                raise ConfigError(f"naslib {words[0]} is one process: start it without torchrun")
            return subcommand(words[0])(words[1:])
        if words and words[0] == _RUN:
            del words[0]
        if not words:
            raise ConfigError(f"give a config: naslib --config FILE (shipped: {list_shipped()}); --help shows more")
        _check_first(words[0])
        command = parse_cli(words, f"\nother commands (`naslib help COMMAND` explains one):\n{overview()}\n")
        if command.print_schema:
            sys.stdout.write(json_schema_text(schema_extensions()) + "\n")
            return 0
        if launch is not None:
            return main_of_rank(launch, command, read_config, _complain)
        if command.seeds:
            from .seeds import main_seeds

            return main_seeds(command)
        config = read_config(command)
        from .pipeline import run  # seconds of imports, for a run that can begin

        run(command, config)
    except (SearchInterrupted, KeyboardInterrupt) as error:
        _complain(str(error) or "interrupted")
        return exit_code(error)
    except NASLibError as error:
        if speaks_for_all():
            _complain("\n".join([str(error), *getattr(error, "__notes__", [])]))
        return 2
    return 0


def _let_print() -> None:
    """Let letters that the terminal lacks be written as codes: nobody loses a run for a ± in its table."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def _asked_for(words: Sequence[str]) -> list[str]:
    """Return the words that print the help of what follows `naslib help`."""
    names = [word for word in words if not word.startswith("-")]
    if not names or names[0] in (_RUN, HELP[0]):
        return ["--help"]
    if names[0] not in SUBCOMMANDS:
        raise ConfigError(_no_command(names[0]))
    return [*names, "--help"]


def _check_first(word: str) -> None:
    """Raise where the first word is neither an option nor an override: somebody meant a command.

    Raises:
        ConfigError: With the nearest command, or key of a config.
    """
    is_key = word in (*keys_of(""), *IGNORED, *HOISTED)
    if word.startswith("-") or is_key or not word.replace("_", "").replace("-", "").isalnum():
        return
    if word in [name.removesuffix(".yaml") for name in shipped_configs()]:
        raise ConfigError(f"there is no command {word!r}; a config is given as --config {word}.yaml")
    raise ConfigError(_no_command(word))


def _no_command(word: str) -> str:
    near = did_you_mean(word, [*SUBCOMMANDS, _RUN, HELP[0], *keys_of("")])
    return f"there is no command {word!r}{near} (commands: {', '.join([_RUN, *SUBCOMMANDS, HELP[0]])})"


def _complain(message: str) -> None:
    get_logger().debug("stopped: %s", message)
    sys.stderr.write(f"naslib: {message}\n")
