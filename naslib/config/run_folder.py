"""Make the run folder, and never run into an existing run."""

from __future__ import annotations

import difflib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from naslib.config.config import Config
from naslib.errors import CheckpointError, ConfigError, RunFolderError
from naslib.utils.files import atomic_write_text, to_jsonable
from naslib.utils.lock import NAME as LOCK
from naslib.utils.lock import RunLock, check_unlocked
from naslib.utils.log import get_logger

logger = get_logger(__name__)

SUBFOLDERS = ("search", "eval")
# What a search or an evaluation measured; a config, a log or a file of the user's own is not overwritten by a search
_RESULTS = ("search/*.pth", "eval/*.pth", "errors.json", "genotype.json", "summary.json")


def holds_run(folder: str | Path) -> bool:
    """Return whether `folder` holds anything of a run: any file, at any depth, that is not hidden."""
    folder = Path(folder)
    return any(path.is_file() and not path.name.startswith(".") for path in folder.rglob("*"))


def prepare_run_folder(config: Config, resume: bool = False, overwrite: bool = False) -> Path:
    """Make `config.save` with its subfolders, before any work.

    Args:
        config: The config of the run.
        resume: Keep what is there (`--resume`, `--eval-only`).
        overwrite: Move a run that is there to `<save>.1` (or `.2` ...).

    Returns:
        The folder.

    Raises:
        RunFolderError: If another process works in the folder, if it holds a run and neither was asked for, or if it
            cannot be made.
        ConfigError: If both were asked for.
    """
    if resume and overwrite:
        raise ConfigError("--overwrite starts anew and cannot be combined with --resume or --eval-only")
    folder = Path(config.save)
    check_unlocked(folder)
    try:
        if not resume and holds_run(folder):
            if not overwrite:
                raise RunFolderError(_refusal(folder))
            logger.info("the previous run was moved to %s", _move_idle(folder))
        for name in SUBFOLDERS:
            (folder / name).mkdir(parents=True, exist_ok=True)
    except OSError as err:
        if isinstance(err, RunFolderError):
            raise
        raise RunFolderError(f"cannot make the run folder {folder}: {err}; choose another with out_dir=PATH") from err
    return folder


def check_makeable(folder: str | Path, option: str = "out_dir=PATH") -> None:
    """Raise if a folder cannot be made, before there is anything to write into it.

    Args:
        folder: The folder; nothing is made.
        option: What names another one, for the message.

    Raises:
        RunFolderError: If what is there, or above it, is no folder, or may not be written.
    """
    for place in (Path(folder), *Path(folder).absolute().parents):
        if os.path.lexists(place):
            if place.is_dir() and os.access(place, os.W_OK | os.X_OK):
                return
            why = "may not be written" if place.is_dir() else "is no folder"
            raise RunFolderError(f"cannot make the folder {folder}: {place} {why}; choose another with {option}")


def _refusal(folder: Path) -> str:
    """Return why a new run does not start in `folder`, and the ways on."""
    return (
        f"{folder} already holds a run ({describe_state(folder)}). Continue it with --resume, evaluate what it found "
        f"with --eval-only, start anew with --overwrite (moves it to {free_name(folder)}), or run elsewhere with "
        "--seed N or out_dir=PATH"
    )


def holds_results(folder: Path) -> bool:
    """Return whether a search in `folder` would overwrite what another one, or an evaluation, measured."""
    return any(next(folder.glob(pattern), None) is not None for pattern in _RESULTS)


def check_free(folder: Path) -> None:
    """Raise if a search in `folder` from Python would overwrite what is there.

    Raises:
        RunFolderError: Naming the ways on.
    """
    if holds_results(folder):
        raise RunFolderError(
            f"{folder} already holds a run ({describe_state(folder)}). Continue it with "
            "search(resume_from=get_last_checkpoint(config)), evaluate what it found with evaluate() alone, move it "
            f"away (naslib.config.move_away(config.save) makes it {free_name(folder)}), or search elsewhere with "
            "another config.seed, config.out_dir or config.save"
        )


def describe_state(folder: Path) -> str:
    """Return how far the run in `folder` has come: `finished`, a finished search, or `unfinished`."""
    path = folder / "summary.json"
    if not path.is_file():
        return "unfinished"
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        summary = {}
    if not isinstance(summary, dict) or summary.get("evaluation_mode", "") is not None:
        return "finished"
    is_begun = next((folder / "eval").glob("*.pth"), None) is not None
    return f"its search is complete, its evaluation {'unfinished' if is_begun else 'not begun'}"


def free_name(folder: Path) -> Path:
    """Return the first of `<folder>.1`, `<folder>.2` ... that does not exist."""
    number = 1
    while (candidate := folder.with_name(f"{folder.name}.{number}")).exists():
        number += 1
    return candidate


def move_away(folder: str | Path) -> Path:
    """Rename `folder` to the first free of `<folder>.1`, `<folder>.2` ... and return that."""
    folder = Path(folder)
    target = free_name(folder)
    folder.rename(target)
    return target


def _move_idle(folder: Path) -> Path:
    """Move a run away that no other process works on, and keep others out meanwhile."""
    if sys.platform == "win32":  # an open file there stops the renaming
        check_unlocked(folder)
        return move_away(folder)
    with RunLock(folder):
        target = move_away(folder)
        (target / LOCK).unlink(missing_ok=True)
    return target


def require_run(config: Config, option: str) -> None:
    """Raise if there is no run that `option` could continue or evaluate.

    Args:
        config: The config of the run.
        option: `--resume` or `--eval-only`, for the message.

    Raises:
        CheckpointError: Naming the nearest run folder.
    """
    if not holds_run(config.save):
        what = "run" if option == "--resume" else "search"
        raise CheckpointError(
            f"{option}: there is no {what} in {config.save}{nearest_run(config)}. "
            f"Run it first without {option}, or give --model-path FILE"
        )


def nearest_run(config: Config) -> str:
    """Return words that name the run folder most like that of `config`, and in what it differs."""
    folder, root = Path(config.save), Path(config["out_dir"])
    if not folder.is_relative_to(root):  # a folder that was assigned
        root = folder.parent
    wanted = folder.relative_to(root).parts
    runs = _runs_below(root, len(wanted)) or [run for near in _like(root) for run in _runs_below(near, len(wanted))]
    runs = [run for run in runs if run != folder]
    if not runs:
        return f", nor any other below {root}"

    def likeness(run: Path) -> tuple[float, int]:
        parts = run.parts[-len(wanted) :]
        return sum(_ratio(a, b) for a, b in zip(parts, wanted, strict=True)), run.stat().st_mtime_ns

    best = max(runs, key=likeness)
    names = ("search_space", "dataset", "optimizer", "seed")[-len(wanted) :]
    pairs = zip(names, best.parts[-len(wanted) :], wanted, strict=False)
    different = ", ".join(f"{name} {there} instead of {here}" for name, there, here in pairs if there != here)
    return f"; the nearest is {best}" + (f" ({different})" if different else "")


def _runs_below(root: Path, depth: int) -> list[Path]:
    return [path for path in root.glob("/".join(["*"] * depth)) if path.is_dir() and holds_run(path)]


def _like(root: Path) -> list[Path]:
    """Return folders beside `root` whose names are like its."""
    if not root.parent.is_dir():
        return []
    names = [path.name for path in root.parent.iterdir() if path.is_dir() and path.name != root.name]
    return [root.with_name(name) for name in difflib.get_close_matches(root.name, names, n=3)]


def _ratio(a: str, b: str) -> float:
    # a component that is equal counts more than two that are alike
    return 2.0 if a == b else difflib.SequenceMatcher(None, a, b).ratio()


def echo_config(config: Config, values: Mapping[str, Any] | None = None, remark: str = "") -> Path:
    """Write the resolved config to `<save>/config.yaml` and return the path.

    Args:
        config: The config.
        values: Its keys and values, where some of them are objects that a file cannot hold and are said in words; those
            of the config if None.
        remark: Lines to put before it, on what it does not say.
    """
    path = Path(config.save) / "config.yaml"
    head = f"the resolved config of this run; naslib --config {path} reads it again"
    comment = "".join(f"# {line}\n" for line in [head, *remark.splitlines()])
    plain = to_jsonable(config if values is None else values)
    atomic_write_text(path, comment + yaml.dump(plain, Dumper=_Dumper, sort_keys=False, allow_unicode=True))
    return path


class _Dumper(yaml.SafeDumper):
    """Writes what YAML has no form for (a device, a dtype) as text."""


_Dumper.add_multi_representer(object, lambda dumper, value: dumper.represent_str(str(value)))
