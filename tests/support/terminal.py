"""A program in a pseudo-terminal: what it writes, and what stands on the screen after that."""

from __future__ import annotations

import os
import select
import signal
import struct
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

_STEP = 0.05


class Terminal:
    """A program with a terminal of its own as input and outputs.

    Args:
        command: The program and its words.
        columns: Of the terminal.
        cwd: Where it runs.
        env: Its environment.
    """

    def __init__(self, command: Sequence[str], columns: int, cwd: Path, env: dict[str, str]) -> None:
        import fcntl
        import pty
        import termios

        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))

        def own_terminal() -> None:
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            command, cwd=cwd, env=env, stdin=slave, stdout=slave, stderr=slave, preexec_fn=own_terminal, close_fds=True
        )
        os.close(slave)
        self.text = ""

    def wait_for(self, what: str, rounds: int = 2400) -> bool:
        """Read until something has been written after what was read before; False where it never is."""
        start = len(self.text)
        for _ in range(rounds):
            if what in self.text[start:]:
                return True
            if not self._read() and self.process.poll() is not None:
                return what in self.text[start:]
        return False

    def type(self, text: str) -> None:
        """Type a text."""
        os.write(self._master, text.encode())

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.type("\x03")

    def end(self, rounds: int = 2400) -> int:
        """Read until the program ends, and return its exit status; it is killed where it does not end."""
        for _ in range(rounds):
            if not self._read() and self.process.poll() is not None:
                break
        else:
            os.killpg(self.process.pid, signal.SIGKILL)
        os.close(self._master)
        return self.process.wait()

    def _read(self) -> bool:
        ready, _, _ = select.select([self._master], [], [], _STEP)
        if not ready:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError:  # the other end is closed
            time.sleep(_STEP)
            return False
        self.text += data.decode(errors="replace")
        return bool(data)


def states(text: str) -> list[str]:
    """Return every state that a line of the screen had: what stood between carriage returns and line breaks."""
    plain = text.replace("\r\n", "\n").replace("\x1b[A", "").replace("\x1b[K", "")
    return [state for line in plain.split("\n") for state in line.split("\r")]


def screen(text: str) -> list[str]:
    """Return the lines that stand on the screen in the end."""
    lines = []
    for line in text.replace("\r\n", "\n").replace("\x1b[A", "").replace("\x1b[K", "").split("\n"):
        shown = ""
        for part in line.split("\r"):
            shown = part + shown[len(part) :]
        lines.append(shown.rstrip())
    return lines
