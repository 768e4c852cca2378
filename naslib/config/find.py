"""Find config files: as given, under ./configs, or among the shipped ones."""

from __future__ import annotations

import importlib.resources
from collections import Counter
from pathlib import Path

from naslib.errors import ConfigError, did_you_mean

_SUFFIXES = ("", ".yaml", ".yml")


def find_config_file(name: str | Path) -> Path:
    """Return the file that `name` means.

    Looked for as given, then under `./configs`, then among the shipped configs; the suffix `.yaml` may be left out. A
    folder that holds a `config.yaml` (a run folder) means that file. Published protocols are in `published/`.

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
    raise ConfigError(
        f"config file {str(name)!r} not found: not as given, not under ./configs, not among the shipped configs"
        f"{_nearest(given)} (shipped: {list_shipped()})"
    )


def _nearest(given: Path) -> str:
    """Return a hint at the nearest shipped config; one in a subfolder may be named without that."""
    by_name = {name.rpartition("/")[2]: name for name in reversed(shipped_configs())}
    hint = did_you_mean(given.name, by_name)
    return next((hint.replace(repr(name), repr(path)) for name, path in by_name.items() if repr(name) in hint), hint)


def list_shipped() -> str:
    """Return the names of the shipped configs in a line; of those in a subfolder how many there are."""
    names = shipped_configs()
    folders = Counter(name.partition("/")[0] for name in names if "/" in name)
    more = [f"{count} in {folder}/" for folder, count in folders.items()]
    return ", ".join([*(name for name in names if "/" not in name), *more]) or "none"


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
