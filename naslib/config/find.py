"""Find config files: as given, under ./configs, or among the shipped ones."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

from naslib.errors import ConfigError, did_you_mean

_SUFFIXES = ("", ".yaml", ".yml")


def find_config_file(name: str | Path) -> Path:
    """Return the file that `name` means.

    Looked for as given, then under `./configs`, then among the shipped configs; the suffix `.yaml` may be left out. A
    folder that holds a `config.yaml` (a run folder) means that file.

    Raises:
        ConfigError: If there is none; the message names the nearest shipped config.
    """
    given = Path(name).expanduser()
    folders = [Path()] if given.is_absolute() else [Path(), Path("configs"), *shipped_folders()]
    for folder in folders:
        for suffix in _SUFFIXES:
            path = folder / (str(given) + suffix)
            if path.is_file():
                return path
        if (folder / given / "config.yaml").is_file():
            return folder / given / "config.yaml"
    shipped = shipped_configs()
    known = f" (shipped: {', '.join(shipped)})" if shipped else ""
    raise ConfigError(
        f"config file {str(name)!r} not found: not as given, not under ./configs, not among the shipped configs"
        f"{did_you_mean(given.as_posix(), shipped)}{known}"
    )


def shipped_configs() -> list[str]:
    """Return the names of the shipped configs, those in subfolders with the folder's name; the latter come last."""
    names = {path.relative_to(folder).as_posix() for folder in shipped_folders() for path in folder.rglob("*.yaml")}
    return sorted(names, key=lambda name: (name.count("/"), name))


def shipped_folders() -> list[Path]:
    """Return the folders of shipped configs: package data, or the `configs` folder of a checkout."""
    folders = []
    try:
        package = importlib.resources.files("naslib._configs")
        folders += [Path(str(entry)).parent for entry in package.iterdir() if entry.name.endswith(".yaml")][:1]
    except ModuleNotFoundError:
        pass  # not installed, or installed in editable mode: the checkout has them
    folders.append(Path(__file__).resolve().parents[2] / "configs")
    return [folder for folder in dict.fromkeys(folders) if folder.is_dir()]
