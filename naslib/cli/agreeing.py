"""What ranks do at once before a run begins, so that what stops one of them stops all."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from naslib.errors import NASLibError
from naslib.utils.distributed import gather_objects, is_distributed
from naslib.utils.launch import launched

T = TypeVar("T")


def together(function: Callable[[], T]) -> T:
    """Do something on every rank, and raise on all of them where it failed on one; alone, just do it.

    Args:
        function: Calls nothing that ranks do together.

    Raises:
        NASLibError: What went wrong here; or else on the first rank where something did.
    """
    if not is_distributed():
        return function()
    nothing: str | None = None
    try:
        result = function()
    except Exception as error:
        gather_objects(str(error) or type(error).__name__)
        raise
    for number, text in enumerate(gather_objects(nothing)):
        if text is not None:
            raise NASLibError(f"rank {number}: {text}")
    return result


def in_turns(function: Callable[[], T]) -> T:
    """Do something on the first rank of every machine, then on the others, which find what was downloaded.

    Args:
        function: As for `together`.

    Raises:
        NASLibError: As `together` does.
    """
    launch = launched()
    if launch is None:
        return function()
    found: list[T] = []

    def act(is_first: bool) -> None:
        if is_first == (launch.local_rank == 0):
            found.append(function())

    together(partial(act, True))
    together(partial(act, False))
    return found[0]
