"""Make the next batches in a thread while the current one is in use."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import TypeVar, cast

T = TypeVar("T")

_POLL_SECONDS = 0.1


class _End:
    """Mark the end of the items, and carry the error that ended them."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def prefetched(items: Iterator[T], depth: int = 2) -> Iterator[T]:
    """Yield the items in their order, made up to `depth` ahead by a thread that ends with this generator.

    An error of the items is raised here, where they are used.
    """
    ready: queue.Queue[T | _End] = queue.Queue(maxsize=depth)
    stop = threading.Event()

    def put(item: T | _End) -> None:
        while not stop.is_set():
            try:
                ready.put(item, timeout=_POLL_SECONDS)
                return
            except queue.Full:
                continue

    def work() -> None:
        error: BaseException | None = None
        try:
            for item in items:
                put(item)
                if stop.is_set():
                    return
        except BaseException as err:  # not swallowed: the consumer raises it
            error = err
        put(_End(error))

    thread = threading.Thread(target=work, name="naslib-prefetch", daemon=True)
    thread.start()
    try:
        while True:
            item = ready.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield cast(T, item)
    finally:
        stop.set()
        thread.join()
