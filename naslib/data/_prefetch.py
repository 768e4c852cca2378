"""Make the next batches in a thread while the current one is in use."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def prefetched(items: Generator[T, None, None], depth: int = 2) -> Generator[T, None, None]:
    """Yield the items in their order, made up to `depth` ahead by a thread that ends with this generator.

    An error of the items is raised here, where they are used. Items are not None.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="naslib-prefetch") as pool:
        pending = deque(pool.submit(next, items, None) for _ in range(depth))
        try:
            while (item := pending.popleft().result()) is not None:
                pending.append(pool.submit(next, items, None))
                yield item
        finally:
            for future in pending:
                future.cancel()
            # after what is running: a generator cannot be closed while the thread is in it
            pool.shutdown()
            items.close()
