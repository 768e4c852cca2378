"""Find config files: as given, under ./configs, or among the shipped ones."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

from naslib.errors import ConfigError, did_you_mean

_SUFFIXES = ("", ".yaml", ".yml")
# The folder, among the shipped configs, of the protocols that authors have published
PUBLISHED = "published"


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
        f"{_nearest(given)}{_known()}"
    )


def _nearest(given: Path) -> str:
    """Return a hint at the nearest shipped config; one of the published protocols may be named without its folder."""
    shipped, published = shipped_configs(), published_configs()
    by_name = {Path(path).name: path for path in published if Path(path).name not in shipped}
    hint = did_you_mean(given.name, [*by_name] if given.parent.name == PUBLISHED else [*shipped, *by_name])
    return next((hint.replace(repr(name), repr(path)) for name, path in by_name.items() if repr(name) in hint), hint)


def _known() -> str:
    shipped, published = shipped_configs(), published_configs()
    more = f"; and {len(published)} published protocols, {published[0]} ..." if published else ""
    return f" (shipped: {', '.join(shipped)}{more})" if shipped else ""


def shipped_configs() -> list[str]:
    """Return the names of the shipped configs, sorted, without those of published protocols."""
    return sorted({path.name for folder in shipped_folders() for path in folder.glob("*.yaml")})


def published_configs() -> list[str]:
    """Return the shipped configs of published protocols, sorted, as they are given: `published/darts_....yaml`."""
    found = {path.name for folder in shipped_folders() for path in folder.glob(f"{PUBLISHED}/*.yaml")}
    return [f"{PUBLISHED}/{name}" for name in sorted(found)]


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
