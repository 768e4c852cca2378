"""Works on a cluster of Ray: the machine behind `--executor ray` of `--seeds` and `naslib compare`."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Generator, Sequence
from typing import Any

from naslib.training.signals import InterruptGuard
from naslib.utils.log import get_logger
from naslib.utils.ray_cluster import Here, RayCluster, cause_of_death, is_death
from naslib.utils.ray_options import RayOptions

from .workers import Event, Stopped

logger = get_logger(__name__)

# Seconds between two looks at signals, and between two events "waiting"
_TICK = 0.5


def on_ray(
    act: Callable[[Any], Any],
    works: Sequence[Any],
    workers: int,
    options: RayOptions,
    again: Callable[[Any], Any] = lambda work: work,
    interrupted: Any = None,
) -> Generator[Event, None, None]:
    """Do works on Ray, and yield what happens, as `workers.in_processes` does.

    A work whose worker or node died is done again, as often as the options say. The first SIGINT or SIGTERM is handed
    on to the works that are being done, and no other begins; the second one ends everything at once.

    Args:
        act: A function at the top of a module; what it returns, and what it is given, can be pickled.
        works: What is to be done, in this order.
        workers: How many at a time.
        options: Which cluster, and what share of it each work has.
        again: Returns what is done in place of a work that died.
        interrupted: What a work came to that ended by the signal alone.

    Raises:
        ConfigError: If there is no such cluster, or no room in it.
        Stopped: After a signal, when the works that were being done have ended.
    """
    waiting = deque(enumerate(works))
    count = max(1, min(workers, len(works)))
    deaths: dict[int, list[str]] = {}
    here = Here.now()
    with (
        RayCluster(options, count, "--executor-args", "--executor ray") as cluster,
        InterruptGuard() as guard,
        contextlib.ExitStack() as stack,
    ):
        running: dict[Any, tuple[int, Any]] = {}
        stack.callback(cluster.cancel, running)
        call = cluster.function(_do)
        is_told = False
        while True:
            while waiting and not guard.requested and len(running) < count:
                place, work = waiting.popleft()
                running[call.remote(act, work, here)] = place, work
                if place not in deaths:
                    yield Event("begun", place)
            if guard.requested and not is_told:
                is_told = True
                cluster.cancel(running, force=False)
            if not running:
                break
            ready, _ = cluster.ray.wait(list(running), num_returns=1, timeout=_TICK)
            for one in ready:
                place, work = running.pop(one)
                event = _event(cluster, one, place, interrupted)
                if event.kind != "died" or guard.requested:
                    yield event
                    continue
                causes = deaths.setdefault(place, [])
                causes.append(event.result)
                if len(causes) <= options.retries:
                    logger.debug("work %d died (%s); it is done once more", place, event.result)
                    waiting.appendleft((place, again(work)))
                else:
                    yield Event("died", place, "; ".join(dict.fromkeys(causes)))
            if not ready:
                yield Event("waiting")
    if guard.signum is not None:
        raise Stopped(guard.signum)


def _event(cluster: RayCluster, call: Any, place: int, interrupted: Any) -> Event:
    """Return what became of a call that is over."""
    ray = cluster.ray
    try:
        return Event("done", place, ray.get(call))
    except ray.exceptions.TaskCancelledError:
        return Event("done", place, interrupted)
    except ray.exceptions.RayError as error:
        if is_death(ray, error):
            return Event("died", place, cause_of_death(error))
        cause = getattr(error, "cause", None) or error
        return Event("crashed", place, f"{type(cause).__name__}: {cause}".splitlines()[0])


def _do(act: Callable[[Any], Any], work: Any, here: Here) -> Any:
    """Do one work in a process of Ray."""
    here.settle()
    return act(work)
