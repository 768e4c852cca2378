"""Which runs are meant by the folders that somebody names."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from naslib.errors import RunFolderError

# What a run leaves first, and what it leaves at its end: one of them makes a folder one of a run
_MARKS = ("config.yaml", "summary.json")
# Beside a config, one of these: a folder of configs is none of runs
_LEFT = ("environment.json", "errors.json", "genotype.json", "history.sqlite", "search", "eval", "log.log")
# Folders within a run hold no runs, and deeper ones are not looked through
_DEEPEST = 8
# For a hint no more folders than these are looked into
_FEW = 2000
# Runs moved aside by --overwrite
_ASIDE = re.compile(r"\.\d+$")


def is_run(folder: Path) -> bool:
    """Say whether a folder is one of a run: it has a config or a summary, and anything else that runs leave."""
    marks = [name for name in _MARKS if (folder / name).is_file()]
    return "summary.json" in marks or bool(marks and any((folder / name).exists() for name in _LEFT))


def find_runs(paths: Sequence[str | Path]) -> list[Path]:
    """Return the run folders that paths name, each once, in order; those below a folder that is none itself.

    A file in a run folder (its `summary.json`, say) names the run. Runs that `--overwrite` moved aside (`1.1`) and
    evaluations moved aside are taken only where they are named.

    Args:
        paths: Run folders, or folders with runs at any depth below.

    Raises:
        RunFolderError: Where there is no run; names the nearest folder that has one.
    """
    found: dict[Path, Path] = {}
    for path in map(Path, paths):
        folder = path.expanduser()
        if folder.is_file() and is_run(folder.parent):
            folder = folder.parent
        if not folder.is_dir():
            what = "is a file, not a run folder" if folder.exists() else "does not exist"
            raise RunFolderError(f"{path} {what}{nearest(folder)}")
        runs = [folder] if is_run(folder) else sorted(_below(folder), key=_in_order)
        if not runs:
            raise RunFolderError(f"{path} holds no run (no config.yaml with results, at any depth){nearest(folder)}")
        for run in runs:
            found.setdefault(run.resolve(), run)
    if not found:
        raise RunFolderError("name a run folder, or a folder with runs below it")
    return list(found.values())


def _below(folder: Path, depth: int = 0, budget: list[int] | None = None) -> Iterator[Path]:
    """Yield the run folders below a folder; with a budget, no more folders than it has are looked into."""
    if depth > _DEEPEST or (budget is not None and budget[0] <= 0):
        return
    if budget is not None:
        budget[0] -= 1
    try:
        inner = [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
    except OSError:
        return
    for path in inner:
        if path.is_symlink() or _ASIDE.search(path.name):
            continue
        if is_run(path):
            yield path
        else:
            yield from _below(path, depth + 1, budget)


def _in_order(path: Path) -> list[tuple[int, int, str]]:
    """Return what sorts seeds as numbers: 2 before 10."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in path.parts]


def nearest(folder: Path) -> str:
    """Return words that name the run folder most like one that is none; "" where none is near."""
    start = folder
    while not start.is_dir() and start != start.parent:
        start = start.parent
    for place in (start, start.parent):
        if is_run(place):
            return f"; the nearest run is {place}"
        near = sorted(_below(place, budget=[_FEW]), key=_in_order) if place.is_dir() else []
        if near:
            wanted = str(folder)
            best = max(near, key=lambda run: difflib.SequenceMatcher(None, str(run), wanted).ratio())
            return f"; the nearest run is {best}"
        if place in (Path.home(), Path("/")):
            break
    return ""
