"""RayCluster: a connection to Ray that leaves nothing behind, prints nothing, and changes nothing of this process."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from naslib.errors import ConfigError, NASLibError
from naslib.utils.extras import require
from naslib.utils.log import get_logger
from naslib.utils.ray_options import RayOptions

logger = get_logger(__name__)

# Seconds to wait for somebody to answer at an address
_PATIENCE = 5.0
# Bytes of a local cluster's object store beside what is put there: Ray wants 75 MiB at least
_STORE = 128 * 2**20
# For the time in which Ray starts: nothing is reported to anybody, and no variable of GPUs is emptied for work without
_ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}

# Whether all that is said within a cluster carries a token: Ray sets it for a cluster that it starts
_TOKEN_MODE = "RAY_AUTH_MODE"


class RayCluster:
    """A cluster of Ray; a context manager.

    A cluster of this machine is started when it is opened and ended when it is closed; its folder of logs and sockets
    is Ray's own, `/tmp/ray` where nobody says otherwise. An existing one is left alone, and so is a connection that
    the program has made before.

    Args:
        options: Which cluster, and what share of it each piece of work has.
        slots: How many pieces of work there are at a time.
        place: Where the options stand, for messages.
        asked: How Ray was asked for, for messages.

    Attributes:
        ray: The module (once it is open).

    Raises:
        ConfigError: If Ray is not installed, or nobody answers at the address.
    """

    def __init__(
        self,
        options: RayOptions,
        slots: int,
        place: str = "search.executor_args",
        asked: str = "search.executor=ray",
    ) -> None:
        self.options, self.slots, self.place = options, slots, place
        self.ray = require("ray", asked)
        self.num_gpus = 0.0 if options.num_gpus is None else float(options.num_gpus)
        self.is_open = False
        self._is_ours = False
        self._silenced: Callable[[], None] = lambda: None
        self._replaced: dict[str, str | None] = {}
        address = options.address
        if address is not None and address != "auto" and not self.ray.is_initialized():
            _check_reachable(address, place)

    def open(self, stored_bytes: int = 0) -> None:
        """Start a cluster, or connect to one; once.

        Args:
            stored_bytes: What will be put into its store.

        Raises:
            ConfigError: If there is no cluster at the address, or no node of it that the work fits on.
        """
        if self.is_open:
            return
        address = self.options.address
        if not self.ray.is_initialized():
            quiet = {"log_to_driver": False, "logging_level": logging.CRITICAL}  # what is raised is said by us
            with _as_before(), self._environment():
                if address is None:
                    cpus = max(1, math.ceil(self.slots * self.options.num_cpus))
                    self._start(
                        address="local", num_cpus=cpus, include_dashboard=False,
                        object_store_memory=_STORE + 2 * stored_bytes, **quiet,
                    )  # fmt: skip
                else:
                    self._start(address=address, **quiet)
            self._is_ours = True
            self._silenced = _silence_notices()
        self.is_open = True
        try:
            self._check_room()
        except BaseException:
            self.close()
            raise

    @contextlib.contextmanager
    def _environment(self) -> Iterator[None]:
        """Set variables for the processes that are started meanwhile, and note those that Ray sets for this one."""
        before = dict(os.environ)
        os.environ.update({name: value for name, value in _ENVIRONMENT.items() if name not in before})
        try:
            yield
        finally:
            for name in _ENVIRONMENT.keys() - before.keys():
                os.environ.pop(name, None)
            now = dict(os.environ)
            self._replaced = {n: before.get(n) for n in {*before, *now} if now.get(n) != before.get(n)}

    def _start(self, **how: Any) -> None:
        try:
            self.ray.init(**how)
        except (ConnectionError, OSError, RuntimeError, ValueError) as error:
            said = str(error).strip().splitlines() or [type(error).__name__]
            address = self.options.address
            if address is None:
                raise NASLibError(f"Ray could not start on this machine: {said[0]}") from error
            token = ""
            if address != "auto" and _TOKEN_MODE not in os.environ:
                token = f"; a cluster that wants a token (~/.ray/auth_token) answers with {_TOKEN_MODE}=token alone"
            raise ConfigError(
                f"{self.place}.address: no cluster of Ray answers at {address} ({said[0]}). `ray start --head` starts "
                f"one; null starts one of this machine for the work alone{token}"
            ) from error

    def _check_room(self) -> None:
        """Raise if no node could ever run a piece of work: Ray would wait without a word."""
        nodes = [node.get("Resources", {}) for node in self.ray.nodes() if node.get("Alive")]
        cpus, gpus = float(self.options.num_cpus), self.num_gpus
        room = sum(_room(node.get("CPU", 0.0), node.get("GPU", 0.0), cpus, gpus) for node in nodes)
        if room:
            if room < self.slots:
                logger.info("the cluster has room for %d of %d at a time; the others wait for it", room, self.slots)
            return
        shown = ", ".join(f"{node.get('CPU', 0.0):g} CPUs and {node.get('GPU', 0.0):g} GPUs" for node in nodes)
        raise ConfigError(
            f"{self.place}: each wants {cpus:g} CPUs and {gpus:g} GPUs (num_cpus, num_gpus), and no node of the "
            f"cluster has them (nodes: {shown or 'none'})"
        )

    def function(self, function: Callable[..., Any]) -> Any:
        """Return a function at the top of a module as one whose `.remote(...)` runs on the cluster, once.

        A process serves many calls; one that has a GPU serves one, as torch stays on the GPU that it began on while the
        next call may be given another.
        """
        cpus, gpus = self.options.num_cpus, self.num_gpus
        return self.ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=0)(function)

    def cancel(self, calls: Any, force: bool = True) -> None:
        """Give up calls: by the end of their processes, or else by what is SIGINT to them."""
        for call in calls:
            with contextlib.suppress(Exception):  # it is over, or the cluster is gone
                self.ray.cancel(call, force=force)

    def close(self) -> None:
        """Let go of the cluster; one that was started here ends."""
        if not self.is_open:
            return
        self.is_open = False
        if self._is_ours:
            with _as_before():
                self.ray.shutdown()
            self._silenced()
            for name, value in self._replaced.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
            _forget_token_mode()
            self._is_ours = False

    def __enter__(self) -> RayCluster:
        self.open()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class Here(NamedTuple):
    """What of this process holds in those of Ray as well.

    Attributes:
        folder: The working folder.
        path: Where modules are looked for.
    """

    folder: str
    path: tuple[str, ...]

    @classmethod
    def now(cls) -> Here:
        """Return that of this process."""
        return cls(str(Path.cwd()), tuple(sys.path))

    def settle(self) -> None:
        """Let it hold in this process; folders that this machine lacks are left out."""
        with contextlib.suppress(OSError):  # relative paths mean the same where there is such a folder
            os.chdir(self.folder)
        sys.path += [folder for folder in self.path if folder not in sys.path and Path(folder).exists()]


def cause_of_death(error: BaseException) -> str:
    """Return in a line why Ray has lost a piece of work."""
    text = " ".join(str(error).split())
    if "OutOfMemory" in type(error).__name__:
        return "Ray ended its process, as the memory of its node ran out"
    if "NodeDied" in type(error).__name__ or "node has died" in text:
        return "its node died"
    if "WorkerCrashed" in type(error).__name__:
        return "its process died"
    for mark in ("Worker exit detail: ", "Worker exit type: "):
        _, found, rest = text.partition(mark)
        if found:
            return f"its process ended: {rest.split('. ')[0]}"
    return f"{type(error).__name__}: {text.split('. ')[0]}"


def is_death(ray: Any, error: BaseException) -> bool:
    """Say whether an error means that the worker of a call is gone, and not that the call raised it."""
    kinds = ray.exceptions
    return isinstance(error, kinds.RayError) and not isinstance(
        error, kinds.RayTaskError | kinds.TaskCancelledError | kinds.RuntimeEnvSetupError
    )


def _room(cpu: float, gpu: float, cpus: float, gpus: float) -> int:
    """Return how many pieces of work a node can hold at a time; a part of a GPU is on one GPU."""
    by_cpu = math.inf if cpus == 0 else math.floor(cpu / cpus + 1e-9)
    if gpus == 0:
        return int(min(by_cpu, 2**31))
    by_gpu = math.floor(gpu) * math.floor(1 / gpus + 1e-9) if gpus < 1 else math.floor(gpu / gpus)
    return int(min(by_cpu, by_gpu))


def _check_reachable(address: str, place: str) -> None:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _PATIENCE).close()
    except OSError as error:
        raise ConfigError(
            f"{place}.address: nobody answers at {address} ({error.strerror or error}). `ray start --head` prints the "
            "address of a cluster; auto is the one that runs on this machine"
        ) from None


@contextlib.contextmanager
def _as_before() -> Iterator[None]:
    """Keep the handlers of signals of this process, which Ray replaces."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)


def _forget_token_mode() -> None:
    """Let Ray read the environment again: it keeps in this process whether tokens are wanted.

    A process that goes on from a cluster with a token to one without would refuse what the nodes of the second ask it
    for, and lose every evaluator that is sent to another machine. Ray without tokens has nothing to forget.
    """
    module = require("ray._raylet", "Ray", "ray")
    config, tokens = getattr(module, "Config", None), getattr(module, "AuthenticationTokenLoader", None)
    if config is not None and tokens is not None:
        config.initialize("")
        tokens.instance().reset_cache()


def _silence_notices() -> Callable[[], None]:
    """Let what Ray prints on stdout in a thread of its own (that a worker died, say) go to our log; return the undoing.

    `log_to_driver=False` keeps the output of workers back, and not these. Where another version of Ray has no such
    function, they are printed.
    """
    module = require("ray._private.worker", "Ray", "ray")
    before = getattr(module, "print_to_stdstream", None)
    if before is None:
        return lambda: None

    def keep(data: Any, *rest: Any, **more: Any) -> None:
        lines = data.get("lines", ()) if isinstance(data, dict) else (data,)
        logger.debug("Ray: %s", " ".join(map(str, lines)))

    module.print_to_stdstream = keep

    def undo() -> None:
        module.print_to_stdstream = before

    return undo
