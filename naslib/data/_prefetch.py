"""Make the next batches in a thread while the current one is in use."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_END = object()


def prefetched(items: Iterator[T], depth: int = 2) -> Generator[T, None, None]:
    """Yield the items in their order, made up to `depth` ahead by one thread that ends with this generator.

    An error of the items is raised here, where they are used.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="naslib-prefetch") as pool:
        ahead: deque[Future[T | object]] = deque(pool.submit(next, items, _END) for _ in range(depth))
        while True:
            item = ahead.popleft().result()
            if item is _END:
                return
            ahead.append(pool.submit(next, items, _END))
            yield item  # type: ignore[misc]
