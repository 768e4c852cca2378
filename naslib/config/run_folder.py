"""Make the run folder, and never run into an existing run."""

from __future__ import annotations

from pathlib import Path

from naslib.config.config import Config, config_to_yaml
from naslib.errors import ConfigError, RunFolderError
from naslib.utils.files import atomic_write_text
from naslib.utils.log import get_logger

logger = get_logger(__name__)

SUBFOLDERS = ("search", "eval")


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
        RunFolderError: If the folder holds a run and neither was asked for, or if it cannot be made.
        ConfigError: If both were asked for.
    """
    if resume and overwrite:
        raise ConfigError("--overwrite starts anew and cannot be combined with --resume or --eval-only")
    folder = Path(config.save)
    try:
        if not resume and holds_run(folder):
            if not overwrite:
                raise RunFolderError(_refusal(folder))
            logger.info("the previous run was moved to %s", move_away(folder))
        for name in SUBFOLDERS:
            (folder / name).mkdir(parents=True, exist_ok=True)
    except OSError as err:
        if isinstance(err, RunFolderError):
            raise
        raise RunFolderError(f"cannot make the run folder {folder}: {err}; choose another with out_dir=PATH") from err
    return folder


def _refusal(folder: Path) -> str:
    """Return why a new run does not start in `folder`, and the ways on."""
    state = "finished" if (folder / "summary.json").is_file() else "unfinished"
    return (
        f"{folder} already holds a run ({state}). Continue it with --resume, evaluate what it found with --eval-only, "
        f"start anew with --overwrite (moves it to {free_name(folder)}), or run elsewhere with --seed N or out_dir=PATH"
    )


def free_name(folder: Path) -> Path:
    """Return the first of `<folder>.1`, `<folder>.2` ... that does not exist."""
    number = 1
    while (candidate := folder.with_name(f"{folder.name}.{number}")).exists():
        number += 1
    return candidate


def move_away(folder: Path) -> Path:
    """Rename `folder` to the first free of `<folder>.1`, `<folder>.2` ... and return that."""
    target = free_name(folder)
    folder.rename(target)
    return target


def echo_config(config: Config) -> Path:
    """Write the resolved config to `<save>/config.yaml` and return the path."""
    path = Path(config.save) / "config.yaml"
    atomic_write_text(
        path, f"# the resolved config of this run; naslib --config {path} reads it again\n" + config_to_yaml(config)
    )
    return path
