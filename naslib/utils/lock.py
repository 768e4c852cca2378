"""A lock on a run folder, which the system releases when its process dies, however it dies."""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from naslib.errors import RunFolderError
from naslib.utils.log import get_logger
from naslib.utils.text import shorten

NAME = ".lock"

logger = get_logger(__name__)

# Where Windows locks a byte: far behind the text, which others could not read otherwise.
_WINDOWS_BYTE = 1 << 30
_HELD_BY_ANOTHER = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK}
# A file that was replaced between opening and locking it is opened again; each time another process has come and gone.
_TRIES = 20

# The locks of this process by folder, with how often each was taken.
_held: dict[Path, _Held] = {}


class _Held:
    def __init__(self, descriptor: int, made: list[Path]) -> None:
        self.descriptor, self.count, self.made = descriptor, 1, made


class RunLock:
    """Hold a run folder for this process; a context manager.

    The lock is one of the system on `<folder>/.lock`: it ends with the process, also by SIGKILL, and a file that is
    left behind locks nothing. A process takes it as often as it likes: a command holds it, and the search within too.
    Forked children let go of it, so that loader workers which outlive their parent do not hold its folder.

    Args:
        folder: The run folder; made if missing, and removed again if nothing came into it.

    Raises:
        RunFolderError: On entering, if another process holds the folder; the message names it.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._key: Path | None = None

    def __enter__(self) -> RunLock:
        key = Path(os.path.realpath(self.folder))
        if key in _held:
            _held[key].count += 1
        else:
            made = [folder for folder in (key, *key.parents) if not folder.exists()]
            descriptor = _acquire(self.folder)
            if descriptor is None:
                return self
            _held[key] = _Held(descriptor, made)
        self._key = key
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        held = _held.get(self._key) if self._key is not None else None
        if held is None or self._key is None:  # none was taken, or this is a forked child
            return
        held.count -= 1
        if held.count == 0:
            _release(self._key, held.descriptor)
            del _held[self._key]
            with suppress(OSError):  # folders that were made for the lock alone, as what was to be done was refused
                for folder in held.made:
                    folder.rmdir()
        self._key = None


def check_unlocked(folder: str | Path) -> None:
    """Raise if another process holds `folder`; nothing but a file left behind by a dead one is removed.

    Raises:
        RunFolderError: Naming the process.
    """
    if (Path(folder) / NAME).is_file():
        with RunLock(folder):
            pass


def _acquire(folder: Path) -> int | None:
    """Return a descriptor of the locked file, None where the file system has no locks or cannot be written."""
    path = folder / NAME
    for _ in range(_TRIES):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            descriptor = _open(path)
        except OSError as error:
            logger.warning("no lock on the run folder %s: %s", folder, error.strerror or error)
            return None
        if descriptor is None:
            continue
        try:
            _lock(descriptor)
        except OSError as error:
            text = _read(descriptor)
            os.close(descriptor)
            if error.errno in _HELD_BY_ANOTHER:
                raise RunFolderError(_refusal(folder, text)) from None
            logger.warning(
                "the file system of %s has no locks (%s): nothing stops a second process there", folder, error.strerror
            )
            return None
        if _is_same(descriptor, path):
            _describe_me(descriptor)
            return descriptor
        os.close(descriptor)
    raise RunFolderError(f"{folder} is taken and left by other processes all the time; use another out_dir=")


def _open(path: Path) -> int | None:
    """Return a descriptor of the file; None if another process has just removed the folder, made for nothing."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)  # not inherited by programs that are started
    except FileNotFoundError:
        return None


def _release(folder: Path, descriptor: int) -> None:
    """Remove the file, if it is still there, and let go of it."""
    path = folder / NAME
    if sys.platform != "win32" and _is_same(descriptor, path):  # removed while it is locked: nobody else's is removed
        path.unlink(missing_ok=True)
    os.close(descriptor)
    if sys.platform == "win32":
        try:
            path.unlink(missing_ok=True)
        except PermissionError:  # another process has opened it meanwhile, and removes it
            return


def _is_same(descriptor: int, path: Path) -> bool:
    try:
        found = path.stat()
    except OSError:
        return False
    return os.path.samestat(os.fstat(descriptor), found)


def _describe_me(descriptor: int) -> None:
    record = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now().astimezone().isoformat(" ", "seconds"),
        "command": shorten(" ".join(sys.argv), 300),
    }
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, (json.dumps(record) + "\n").encode())
    except OSError as error:  # a full disk: the lock holds, it only cannot say whose it is
        logger.warning("cannot write %s: %s", NAME, error.strerror or error)


def _read(descriptor: int) -> dict[str, Any]:
    try:
        content = json.loads(os.read(descriptor, 4096))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _refusal(folder: Path, owner: dict[str, Any]) -> str:
    if "pid" in owner:
        who = f"process {owner['pid']} on {owner.get('host')}, since {owner.get('since')}: {owner.get('command')}"
    else:
        who = "another process"
    return (
        f"a run is working in {folder} ({who}). Wait for it or stop it first (Ctrl-C or SIGTERM let it save), "
        "or run elsewhere with --seed N or out_dir=PATH"
    )


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        os.lseek(descriptor, _WINDOWS_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)

else:
    try:
        import fcntl
    except ImportError:  # neither Windows nor Unix

        def _lock(descriptor: int) -> None:
            raise OSError(errno.ENOSYS, "this system has no locks on files")

    else:

        def _lock(descriptor: int) -> None:
            # flock, not lockf: a lock of lockf is lost as soon as this process closes any other descriptor of the file,
            # which copying the run folder does. A forked child shares it, hence `_forget`.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _forget() -> None:
        """Close this child's copies of the descriptors; the parent's lock stays, and ends with the parent."""
        for held in _held.values():
            os.close(held.descriptor)
        _held.clear()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_forget)
