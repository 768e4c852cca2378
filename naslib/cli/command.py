"""The command `naslib`: what needs no torch is answered, and refused, before torch is imported."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence

from naslib.config.cli import parse_cli
from naslib.config.editor_schema import json_schema_text
from naslib.config.find import list_shipped
from naslib.errors import ConfigError, NASLibError, SearchInterrupted, exit_code
from naslib.utils.log import get_logger

from .door import read_config, schema_extensions
from .subcommands import SUBCOMMANDS, overview, subcommand


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
        if words and words[0] in SUBCOMMANDS:
            return subcommand(words[0])(words[1:])
        if words and words[0] == "run":
            del words[0]
        if not words:
            raise ConfigError(f"give a config: naslib --config FILE (shipped: {list_shipped()}); --help shows more")
        command = parse_cli(words, f"\nother commands (each has --help):\n{overview()}\n")
        if command.print_schema:
            sys.stdout.write(json_schema_text(schema_extensions()) + "\n")
            return 0
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
        _complain("\n".join([str(error), *getattr(error, "__notes__", [])]))
        return 2
    return 0


def _let_print() -> None:
    """Let letters that the terminal lacks be written as codes: nobody loses a run for a ± in its table."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def _complain(message: str) -> None:
    get_logger().debug("stopped: %s", message)
    sys.stderr.write(f"naslib: {message}\n")
