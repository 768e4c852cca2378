"""The tree of errors: every error of naslib is a `NASLibError`, and each leaf also a builtin that callers expect."""

from __future__ import annotations

import difflib
import signal
from collections.abc import Iterable, Sequence
from typing import Any


class NASLibError(Exception):
    """Base of every error raised by naslib."""


class ConfigError(NASLibError, ValueError):
    """A configuration, keyword or command line that cannot be used.

    Attributes:
        problems: One sentence per problem; the message lists them all.
    """

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems: list[str] = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


class UnknownNameError(ConfigError, KeyError):
    """A name that is not in a registry; the message names the nearest one."""

    def __str__(self) -> str:  # KeyError would print the repr of the message
        return "\n".join(self.problems)


class GraphError(NASLibError, ValueError):
    """A graph that cannot be executed: a cycle, an unreachable node, an op list nobody adapted."""


class DecisionError(NASLibError, ValueError):
    """A decision, or a set of decisions, that cannot be: no candidates, labels that clash, a condition in a circle."""


class ArchitectureError(NASLibError, ValueError):
    """An architecture code, string or genotype that the space does not contain."""


class SpecAlreadySetError(ArchitectureError, AssertionError):
    """A second architecture was set on a graph that already is one."""


class UnsupportedBySpaceError(NASLibError, NotImplementedError):
    """An architecture operation that this search space does not offer."""


class MorphismError(NASLibError, ValueError):
    """A function-preserving transformation that does not fit a layer; the message says what would."""


class OptimizerStateError(NASLibError, RuntimeError):
    """An optimizer was used before `adapt_search_space` or otherwise out of order."""


class BenchmarkError(NASLibError, ValueError):
    """A benchmark query that has no answer (metric, data set or epoch not in the table)."""


class BenchmarkApiMissing(BenchmarkError, NotImplementedError):
    """A query without a benchmark api to answer it."""


class BenchmarkDataMissing(BenchmarkError, FileNotFoundError):
    """The benchmark's data file is not in the data directory."""


class PredictorError(NASLibError, ValueError):
    """A predictor that is asked before it is fitted, or fitted to what it cannot learn from."""


class DataError(NASLibError, ValueError):
    """A data set that cannot be trained on."""


class DatasetMissing(DataError, FileNotFoundError):
    """A data set's files are neither here nor downloadable."""


class DatasetNotDownloaded(DatasetMissing):
    """A data set that is not here, and that may not be downloaded now (`--dry-run`).

    Attributes:
        info: What is known of it without its files (a `DatasetInfo`).
    """

    def __init__(self, message: str, info: Any) -> None:
        super().__init__(message)
        self.info = info


class CheckpointError(NASLibError, RuntimeError):
    """A checkpoint that is unreadable, incomplete or of another run."""


class ExportError(NASLibError, ValueError):
    """A network that cannot be written in a form, or a file that does not compute what it computes; names the part."""


class HistoryError(NASLibError, RuntimeError):
    """A history of trials that is missing, damaged, locked, or of another search."""


class TrialFailed(NASLibError, RuntimeError):
    """A trial has no values (its training diverged, memory ran out, its worker died); others may have."""


class TrialStopped(NASLibError, RuntimeError):
    """The evaluation of a trial was given up because somebody asked to stop; it begins anew."""


class RunFolderError(NASLibError, FileExistsError):
    """The run folder already holds a run, or cannot be written."""


class NonFiniteLossError(NASLibError, FloatingPointError):
    """The loss became NaN or infinite."""


class RankError(NASLibError, ConnectionError):
    """One of several processes that work together is missing or gone; the message says which, and how to go on.

    Attributes:
        speaks: Whether this process is the one that prints it, of all those that notice.
    """

    def __init__(self, message: str, speaks: bool = True) -> None:
        super().__init__(message)
        self.speaks = speaks


class SearchInterrupted(NASLibError, KeyboardInterrupt):
    """SIGINT or SIGTERM arrived; the running step was finished and a checkpoint written."""


def exit_code(error: BaseException) -> int:
    """Return the exit status of a process that a signal stopped: 130 for SIGINT, 143 for SIGTERM."""
    return 128 + int(getattr(error, "signum", signal.SIGINT))


# Options that undo or redo what is there: whoever means one writes it out, nobody is led to it
DESTRUCTIVE = frozenset({"--anew", "--delete", "--force", "--overwrite", "--remove", "--replace", "--retry-failed"})


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """Return `"; did you mean 'x'?"` for the closest of `choices`, or an empty string.

    Nothing is said where the closest is an option that is `DESTRUCTIVE`.
    """
    lower = {str(choice).lower(): str(choice) for choice in choices}
    close = difflib.get_close_matches(str(name).lower(), list(lower), n=1, cutoff=0.5)
    return f"; did you mean {lower[close[0]]!r}?" if close and close[0] not in DESTRUCTIVE else ""
