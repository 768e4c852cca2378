"""Join the processes that `torchrun` starts, and say which of them is gone when one dies."""

from __future__ import annotations

import atexit
import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

from naslib.errors import ConfigError, NASLibError, RankError, SearchInterrupted
from naslib.utils.launch import TIMEOUT, Launch, launched, seconds_to_wait, speaks_for_all
from naslib.utils.text import listed, shorten

# Seconds between two looks into the store
_TICK = 0.05
# Seconds in which ranks on other machines say that they are still there, once one is lost
_PATIENCE = 5.0
# Seconds in which rank 0 says why it ended, before another rank speaks
_GRACE = 3.0
# What the backends say when another process has closed its end, or does not answer
_LOST = (
    *("connection closed by peer", "connection reset by peer", "connection refused", "broken pipe", "socket closed"),
    *("socket error", "timed out waiting", "wait timeout", "recv, connection", "failed to recv", "failed to connect"),
    *("application timeout caused pair closure", "remote process exited", "gloo/", "nccl communicator was aborted"),
)  # fmt: skip


class Terminated(KeyboardInterrupt):
    """SIGTERM came while nobody was there to finish a step and save.

    Attributes:
        signum: Which signal.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.signum = signum


class _Joined:
    """What this process knows of the others, once it has joined them."""

    store: Any = None
    launch: Launch | None = None
    at_exit = False


@contextmanager
def process_group(timeout: float | None = None) -> Iterator[None]:
    """Join the ranks of `torchrun` for what is done inside; alone, or where they are joined already, do nothing.

    Args:
        timeout: Seconds that ranks wait for each other; None for `NASLIB_DIST_TIMEOUT`, or else 300.

    Raises:
        ConfigError: If the environment of torchrun cannot be read.
        RankError: If a rank does not come, or the port is taken.
    """
    joined = join(timeout)
    try:
        yield
    finally:
        if joined:
            leave()


def join(timeout: float | None = None, at_exit: bool = False) -> bool:
    """Join the ranks of `torchrun`; see `process_group`.

    Args:
        timeout: Seconds, or None.
        at_exit: Whether the ranks part when this process ends.

    Returns:
        Whether they were joined now.
    """
    launch = launched()
    if launch is None:
        return False
    import torch
    import torch.distributed as dist

    if not dist.is_available():
        raise ConfigError("this torch has no torch.distributed: run one process, without torchrun")
    if dist.is_initialized():
        return False
    seconds = seconds_to_wait() if timeout is None else float(timeout)
    store = _open_store(launch, seconds)
    _meet(store, launch, seconds)
    has_nccl = torch.cuda.is_available() and dist.is_nccl_available()
    backend = "cpu:gloo,cuda:nccl" if has_nccl else "gloo"
    if has_nccl and launch.local_rank < torch.cuda.device_count():
        torch.cuda.set_device(launch.local_rank)
    dist.init_process_group(
        backend,
        store=dist.PrefixStore("naslib-group", store),
        rank=launch.rank,
        world_size=launch.world,
        timeout=timedelta(seconds=seconds),
    )
    _Joined.store, _Joined.launch = store, launch
    if launch.rank:
        logging.getLogger("naslib").setLevel(logging.CRITICAL + 1)  # rank 0 says what all do
    if at_exit and not _Joined.at_exit:
        _Joined.at_exit = True
        atexit.register(leave)
        _speak_once(launch)
    return True


def _speak_once(launch: Launch) -> None:
    """Let an error that ends a script be printed by one rank, where all have it."""
    before = sys.excepthook

    def show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        leave_word(error)
        is_said = not error.speaks if isinstance(error, RankError) else launch.rank > 0 and not may_speak()
        if not is_said:
            before(kind, error, trace)

    sys.excepthook = show


def leave() -> None:
    """Part from the other ranks."""
    import torch.distributed as dist

    if _Joined.launch is not None and dist.is_initialized():
        with suppress(RuntimeError):
            _wait_to_be_heard(_Joined.store, _Joined.launch)
            dist.destroy_process_group()
    _Joined.store = _Joined.launch = None


def _wait_to_be_heard(store: Any, launch: Launch) -> None:
    """Let rank 0, whose store may end with it, wait for the others to have read why it ends."""
    if launch.rank or not store.check(["naslib/word/0"]):
        return
    deadline = time.monotonic() + _GRACE
    left = [rank for rank in range(1, launch.world) if not _is_dead(store.get(f"naslib/here/{rank}"))]
    while time.monotonic() < deadline and not store.check([f"naslib/heard/{rank}" for rank in left]):
        time.sleep(_TICK)


def _open_store(launch: Launch, seconds: float) -> Any:
    """Return the store in which ranks find each other: that of torchrun, or one that rank 0 holds."""
    import torch.distributed as dist

    host, port = os.environ.get("MASTER_ADDR", ""), os.environ.get("MASTER_PORT", "")
    if not host or not port.isdigit() or not 0 < int(port) < 2**16:
        raise ConfigError(
            f"MASTER_ADDR={host or '(not set)'} and MASTER_PORT={port or '(not set)'} must be a machine and a port of "
            "it, on which ranks meet; torchrun sets both"
        )
    holds = launch.rank == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
    # torchrun's store outlives the ranks that it starts once more
    attempt = f"naslib-{os.environ.get('TORCHELASTIC_RESTART_COUNT') or 0}"
    wait = timedelta(seconds=seconds)
    try:
        return dist.PrefixStore(
            attempt, dist.TCPStore(host, int(port), launch.world, holds, wait, wait_for_workers=False)
        )
    except (RuntimeError, ValueError) as error:  # torch's DistError is a RuntimeError
        if holds:
            taken = "is taken by another program" if "EADDRINUSE" in str(error) else "cannot be opened"
            said = "" if "EADDRINUSE" in str(error) else f": {_line(error)}"
            raise RankError(
                f"port {port} of {host}, on which the ranks meet, {taken}{said}; choose another one with torchrun "
                "--master-port PORT, or --standalone, which finds a free one"
            ) from error
        raise RankError(
            f"rank {launch.rank} of {launch.world} finds no rank 0 at {host}:{port} within {seconds:g} seconds "
            f"({_line(error)})",
            speaks=launch.rank == 1,
        ) from error


def _meet(store: Any, launch: Launch, seconds: float) -> None:
    """Wait until all ranks are here.

    Raises:
        RankError: If one does not come, or a number is given twice.
    """
    me = json.dumps({"host": socket.gethostname(), "pid": os.getpid()})
    try:
        if store.add(f"naslib/number/{launch.rank}", 1) > 1:
            raise RankError(f"two processes are rank {launch.rank} of {launch.world}: each needs a RANK of its own")
        store.set(f"naslib/here/{launch.rank}", me)
        deadline = time.monotonic() + seconds
        keys = [f"naslib/here/{rank}" for rank in range(launch.world)]
        while not store.check(keys):
            if time.monotonic() > deadline:
                here = [rank for rank in range(launch.world) if store.check([keys[rank]])]
                raise RankError(_who_is_missing(here, launch.world, seconds), speaks=launch.rank == min(here))
            time.sleep(_TICK)
    except RuntimeError as error:
        if isinstance(error, NASLibError):
            raise
        raise RankError(
            f"rank {launch.rank} cannot meet the others at {os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}: "
            f"{_line(error)}",
            speaks=launch.rank == 0,  # which holds the store, or is seen by who does; the others see it end
        ) from error


def _who_is_missing(here: list[int], world: int, seconds: float) -> str:
    missing = [str(rank) for rank in range(world) if rank not in here]
    return (
        f"{len(here)} of {world} ranks came within {seconds:g} seconds, {_numbered(missing)} did not: start as many "
        f"processes as WORLD_SIZE says, on every machine; {TIMEOUT}=SECONDS waits longer"
    )


# when a rank is lost


@contextmanager
def losing_ranks(how_to_go_on: Callable[[], str]) -> Iterator[None]:
    """Turn what torch says of a dead rank into one error that names it; leave word of any other error for the others.

    Args:
        how_to_go_on: Returns what is said of the last checkpoint.

    Raises:
        RankError: If a rank is gone.
    """
    try:
        yield
    except (RankError, SearchInterrupted):
        raise
    except Exception as error:
        if _Joined.launch is None:
            raise
        if not is_loss(error):
            leave_word(error)
            raise
        raise _lost(_Joined.launch, error, how_to_go_on()) from error
    except Terminated as error:  # by torchrun, as another rank has died, or by whoever wants all to stop
        words, gone = ({}, []) if _Joined.launch is None else _look_around(_Joined.launch)
        if _Joined.launch is None or not (words or gone):
            raise
        raise _lost(_Joined.launch, error, how_to_go_on(), (words, gone)) from error
    except KeyboardInterrupt as error:
        leave_word(error)
        raise


def is_loss(error: BaseException) -> bool:
    """Say whether an error is what the backends raise when another process has gone."""
    import torch.distributed as dist

    if isinstance(error, NASLibError):
        return False
    text = str(error).lower()
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and any(s in text for s in _LOST))


def leave_word(error: BaseException) -> None:
    """Tell the other ranks why this one ends, if it has joined any."""
    if _Joined.launch is not None:
        with suppress(RuntimeError):
            _Joined.store.set(f"naslib/word/{_Joined.launch.rank}", shorten(str(error) or type(error).__name__, 2000))


def may_speak() -> bool:
    """Say whether this rank is to say why it ends: rank 0 does, others where rank 0 has not done so in some seconds."""
    launch = _Joined.launch
    if launch is None or launch.rank == 0:
        return speaks_for_all()
    deadline = time.monotonic() + _GRACE
    with suppress(RuntimeError):
        while time.monotonic() < deadline:
            if _Joined.store.check(["naslib/word/0"]):
                _Joined.store.set(f"naslib/heard/{launch.rank}", "")
                return False
            time.sleep(_TICK)
    return True


def _lost(
    launch: Launch, error: BaseException, how_to_go_on: str, seen: tuple[dict[int, str], list[int]] | None = None
) -> RankError:
    words, gone = _look_around(launch) if seen is None else seen
    alive = [rank for rank in range(launch.world) if rank not in gone and rank not in words]
    found = [f"rank {rank} has ended with an error: {word}" for rank, word in sorted(words.items())]
    if gone:
        found.append(
            f"rank {launch.rank} has lost {_numbered([str(rank) for rank in gone])}"
            f"{'' if words else ' (killed? is there enough memory?)'}"
        )
    if not found:
        found.append(f"rank {launch.rank} does not hear from the other ranks any more: {_line(error)}")
    return RankError(f"{'; '.join(found)}. {how_to_go_on}", speaks=launch.rank == min(alive, default=launch.rank))


def _look_around(launch: Launch) -> tuple[dict[int, str], list[int]]:
    """Return what ranks have said before they ended, and which are gone without a word."""
    others = [rank for rank in range(launch.world) if rank != launch.rank]
    words: dict[int, str] = {}
    gone: list[int] = []
    try:
        store = _Joined.store
        store.set(f"naslib/alive/{launch.rank}", "")
        deadline = time.monotonic() + _PATIENCE
        left = list(others)
        while left and time.monotonic() < deadline:
            for rank in list(left):
                if store.check([f"naslib/word/{rank}"]):
                    words[rank] = store.get(f"naslib/word/{rank}").decode()
                elif _is_dead(store.get(f"naslib/here/{rank}")):
                    if store.check([f"naslib/word/{rank}"]):  # it came between the two looks
                        continue
                    gone.append(rank)
                elif not store.check([f"naslib/alive/{rank}"]):
                    continue
                left.remove(rank)
            time.sleep(_TICK)
        gone += left
    except RuntimeError:  # the store has gone with the process that held it: torchrun's, or rank 0
        gone = [0] if launch.rank != 0 else others
    return words, sorted(gone)


def _is_dead(place: bytes) -> bool:
    """Say whether a process is known to be gone: only those of this machine are."""
    told = json.loads(place)
    if told["host"] != socket.gethostname() or sys.platform == "win32":  # where signal 0 is Ctrl-C
        return False
    try:
        os.kill(told["pid"], 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    try:
        status = Path(f"/proc/{told['pid']}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] in "ZX"  # ended, and its parent has not looked yet


def _numbered(ranks: list[str]) -> str:
    return f"rank{'' if len(ranks) == 1 else 's'} {listed(ranks)}"


def _line(error: BaseException) -> str:
    return shorten((str(error) or type(error).__name__).splitlines()[0], 200)
