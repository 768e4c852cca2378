"""A run in a process of its own: what it would print is in its log, what goes wrong is returned."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

from naslib.config.cli import CommandLine
from naslib.config.run_folder import holds_run
from naslib.errors import NASLibError

# What is returned for a run that a signal has stopped
INTERRUPTED = "interrupted; what it had done is saved"


class QuietRun(NamedTuple):
    """One run among several.

    Attributes:
        command: Its command line; whether to go on with what is there is found out when it begins.
        folder: Its run folder.
        keeps: Whether a run that is in the folder goes on (or is evaluated again), in place of being moved away.
    """

    command: CommandLine
    folder: Path
    keeps: bool = True


def do_quietly(work: QuietRun) -> str:
    """Do one run, or go on with it, and return what went wrong, "" for nothing."""
    resume = work.keeps and not work.command.eval_only and holds_run(work.folder)
    try:
        from .pipeline import run

        run(dataclasses.replace(work.command, dry_run=False, resume=resume))
    except KeyboardInterrupt:  # SearchInterrupted is one
        return INTERRUPTED
    except NASLibError as error:
        return message_of(error)
    return ""


def message_of(error: Any) -> str:
    """Return what an error of naslib says, with its notes."""
    return "\n".join([str(error), *getattr(error, "__notes__", [])])
