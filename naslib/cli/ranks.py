"""The command in one of several processes that `torchrun` started: all do the run together, and one of them speaks."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType

from naslib.config.cli import CommandLine, config_from_command_line
from naslib.config.config import Config
from naslib.config.run_folder import holds_run
from naslib.errors import ConfigError, NASLibError, RankError, exit_code
from naslib.utils.launch import Launch
from naslib.utils.process_group import Terminated, join, leave, leave_word, losing_ranks, may_speak

_SEEDS = (
    "--seeds is several runs, and torchrun starts several processes for one: start it without torchrun, with --jobs N "
    "for N runs at a time"
)


def main_of_rank(
    launch: Launch,
    command: CommandLine,
    read: Callable[[CommandLine], Config],
    complain: Callable[[str], None],
) -> int:
    """Do what a command line says, together with the other ranks.

    What all ranks find wrong, or rank 0 for all of them, rank 0 says once; what only one of the others finds, it says
    itself, with its number.

    Args:
        launch: Which process this is.
        command: The command line.
        read: Reads its config and looks at the run folder; rank 0 does that for all.
        complain: Writes a message.

    Returns:
        The exit status: 0; 2 for bad input or a failed run; 130 or 143 after SIGINT or SIGTERM.
    """
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # what it would say of a lost rank is said below
    try:
        if command.seeds is not None:
            raise ConfigError(_SEEDS)
        with _telling_signals():
            join()
            with losing_ranks(_nothing_yet):
                _run(command, read)
    except RankError as error:
        if error.speaks:
            complain(str(error))
        return 2
    except KeyboardInterrupt as error:  # also SearchInterrupted
        if launch.rank == 0:
            complain(str(error) or "interrupted")
        return exit_code(error)
    except NASLibError as error:
        leave_word(error)
        if may_speak():
            text = "\n".join([str(error), *getattr(error, "__notes__", [])])
            complain(text if launch.rank == 0 else f"rank {launch.rank}: {text}")
        return 2
    except Exception as error:
        leave_word(error)
        if may_speak():
            raise
        return 1
    finally:
        leave()
    return 0


def _nothing_yet() -> str:
    return "The run had not begun to train: start it again, with --resume if it was one to go on with"


def _run(command: CommandLine, read: Callable[[CommandLine], Config]) -> None:
    from naslib.utils.distributed import on_main

    if int(os.environ.get("TORCHELASTIC_RESTART_COUNT") or 0):
        command = on_main(partial(_once_more, command))
    config = on_main(partial(read, command))
    from .pipeline import run  # seconds of imports, for a run that can begin

    run(command, config)


def _once_more(command: CommandLine) -> CommandLine:
    """Return the command of a job that torchrun has started once more (`--max-restarts`): it goes on with its run."""
    config = config_from_command_line(command)
    is_begun = holds_run(config.save)
    return replace(command, resume=is_begun and not command.eval_only, overwrite=command.overwrite and not is_begun)


def be_silent() -> None:
    """Let this rank print nothing but why it ends: rank 0 says what all have to say."""
    warnings.simplefilter("ignore")
    sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - it is open as long as the process


@contextmanager
def _telling_signals() -> Iterator[None]:
    """Let SIGTERM end what is done inside as an error does, so that what this rank holds is left in order.

    While a search or a retraining runs, `InterruptGuard` has the signals. torchrun sends one to all ranks that are left
    when one of them has died.
    """

    def tell(number: int, frame: FrameType | None) -> None:
        raise Terminated(number)

    before = signal.signal(signal.SIGTERM, tell)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before if before is not None else signal.SIG_DFL)
