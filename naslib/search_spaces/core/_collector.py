"""Keep Python's cyclic garbage collector out of the way while many small objects are made."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused_garbage_collection() -> Iterator[None]:
    """Switch the collector off and back on.

    Building a supernet makes some 10^5 containers, all of which live on; the full collections this triggers walk the
    heap of torch each time and took half of the time of building and copying the DARTS space.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
