"""Say whether the native kernels can be used, building them when first asked."""

from __future__ import annotations

import threading

from naslib.errors import ConfigError, did_you_mean
from naslib.utils.log import get_logger

from .build import NativeKernelError, load_library

MODES = ("off", "auto", "on")


class _Library:
    """The outcome of the one attempt to load the kernels in this process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.loaded = False
        self.error: NativeKernelError | None = None
        self.reported = False

    def try_load(self) -> bool:
        """Load the kernels unless that was tried before; say whether they are there."""
        if not self.loaded and self.error is None:
            with self.lock:
                if not self.loaded and self.error is None:
                    try:
                        load_library()
                        self.loaded = True
                    except NativeKernelError as err:
                        self.error = err
        return self.loaded


_LIBRARY = _Library()


def available(mode: str = "auto") -> bool:
    """Say whether the native kernels are to be used.

    The first call with "auto" or "on" compiles them unless this machine has done so before (half a minute).

    Args:
        mode: "off": no, and nothing is compiled; "auto": if they can be built, else one log line says why not;
            "on": yes, or an error.

    Raises:
        NativeKernelError: With "on", if they cannot be built or loaded.
        ConfigError: If `mode` is none of these.
    """
    if mode not in MODES:
        raise ConfigError(f"native must be one of {', '.join(MODES)}, not {mode!r}{did_you_mean(mode, MODES)}")
    if mode == "off":
        return False
    if _LIBRARY.try_load():
        return True
    if mode == "on":
        raise NativeKernelError(
            f"native=on, but {_LIBRARY.error}; use native=auto to go on without"
        ) from _LIBRARY.error
    if not _LIBRARY.reported:
        _LIBRARY.reported = True
        get_logger(__name__).info("native kernels are not used: %s", _LIBRARY.error)
    return False
