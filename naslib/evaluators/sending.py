"""What goes to other processes and comes back: evaluators, errors, trials whose workers die."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from naslib.errors import ConfigError, NASLibError
from naslib.history import Trial
from naslib.utils.log import get_logger

from .base import Evaluator

logger = get_logger(__name__)


@dataclass
class Attempts:
    """A trial that is evaluated elsewhere, and how its workers died.

    Attributes:
        trial: The trial.
        deaths: Why each of its workers died.
        worker: The number of the one that has it.
    """

    trial: Trial
    deaths: list[str] = field(default_factory=list)
    worker: int = 0

    def died(self, how: str, retries: int) -> Trial | None:
        """Take note that the worker died; return the trial as failed once that has happened too often.

        Args:
            how: Why it did.
            retries: How often a trial is tried again.
        """
        self.deaths.append(how)
        number, count = self.trial.number, len(self.deaths)
        if count <= retries:
            logger.warning("the worker of trial %d died (%s); the trial is tried once more", number, how)
            return None
        again = " again" if count > 1 else ""
        logger.warning("the worker of trial %d died%s (%s): the trial has failed", number, again, how)
        times = f" {count} times" if count > 1 else ""
        return self.trial.started(self.worker).failed(f"its worker died{times}: {', '.join(self.deaths)}")


def packed(evaluator: Evaluator, executor: str, dumps: Callable[[Any], bytes] = pickle.dumps) -> bytes:
    """Return an evaluator as bytes.

    Args:
        evaluator: What is sent.
        executor: The name of what sends it, for the message.
        dumps: What makes bytes of it.

    Raises:
        ConfigError: If it cannot be copied.
    """
    try:
        return dumps(evaluator)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"search.executor={executor} sends the evaluator to other processes, and it cannot be copied: {error}. Use "
            "loaders and losses that pickle knows (no lambda, nothing defined within a function), or executor=serial"
        ) from error


def portable(error: Exception) -> Exception:
    """Return an error that survives the way between processes, with all that it says."""
    try:
        copy: Any = pickle.loads(pickle.dumps(error))
    except (pickle.PickleError, TypeError, AttributeError, ValueError):
        copy = None
    if type(copy) is not type(error) or str(copy) != str(error):
        copy = NASLibError(f"{type(error).__name__}: {error}")
        for note in getattr(error, "__notes__", ()):
            copy.add_note(note)
    return copy
