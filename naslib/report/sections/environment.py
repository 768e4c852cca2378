"""Section: on what a run ran."""

from __future__ import annotations

from ..amounts import plain
from ..blocks import Note, Section, Table
from ..reading import SavedRun
from .settings import shown

_WORDS = {
    "tf32": "TF32",
    "cpu": "CPU",
    "cpu_count": "CPU cores",
    "cpu_kernels": "CPU kernels",
    "git_commit": "commit of naslib",
}


def environment(run: SavedRun) -> Section:
    """Return the section of versions and machine."""
    if not run.environment:
        return Section(
            "environment",
            "Environment",
            [Note("There is no environment.json that could be read: versions and machine are unknown.", True)],
        )
    rows = [
        [_WORDS.get(key, plain(key)), "none" if value is None else shown(value)]
        for key, value in run.environment.items()
    ]
    return Section(
        "environment", "Environment", [Table("Versions, machine and settings of the run", ("what", "value"), rows)]
    )
