"""What `naslib draw` is given: a space by name, an architecture, a run, or a module of a person's own."""

from __future__ import annotations

import importlib.util
import inspect
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from naslib.config.find import find_config_file
from naslib.config.loader import load_config
from naslib.defaults.given import given_architecture
from naslib.errors import ArchitectureError, CheckpointError, ConfigError, NASLibError, did_you_mean
from naslib.registry.catalogue import SEARCH_SPACES
from naslib.search_spaces.core.arguments import constructor_arguments
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.own_module.graph import ModuleSearchSpace
from naslib.training.export import FILE, NetworkRecord
from naslib.training.space_record import rebuild_architecture
from naslib.utils.text import shorten

from .builders import build_space
from .door import schema_extensions

# Spaces whose spellings are tried where nobody says of which space an architecture is
_SPELLED = ("nasbench301", "nasbench201", "nasbench101", "darts_rnn", "nasnet", "pnas", "nats_size")
_SPACE = "search_space"


class Target(NamedTuple):
    """What is drawn.

    Attributes:
        name: What files are called after it.
        space: The space, in which nothing is decided.
        architecture: A discrete architecture of it, None where none is meant.
        note: What was taken for granted, "" for nothing.
    """

    name: str
    space: Graph
    architecture: Graph | None
    note: str = ""


def find_target(text: str, overrides: Sequence[str]) -> Target:
    """Return what a person names.

    Args:
        text: A space by name, an architecture in a spelling of its space, a file with one (`FILE:NAME` chooses among
            several), a run folder, a config, or `module.py:Class`.
        overrides: Words `key=value` of a config: `search_space=`, `search_space_args.channels=`.

    Raises:
        ConfigError: If it is nothing of the kind; the message says what there is.
    """
    if text.lower() in SEARCH_SPACES:
        return Target(text.lower(), _space([f"{_SPACE}={text.lower()}", *overrides]), None)
    path = Path(text).expanduser()
    file, _, name = text.rpartition(":")
    if text.endswith(".py") or file.endswith(".py"):
        if overrides:
            raise ConfigError(f"{overrides[0]}: a module of your own is made without arguments")
        return _own(Path(file if name and file.endswith(".py") else text).expanduser(), name if file else "")
    if _exists(path, folder=True):
        return _run(path, overrides)
    if path.suffix in (".yaml", ".yml"):
        return Target(path.stem, _space(overrides, find_config_file(path)), None)
    is_file = _exists(path) or (file and _exists(Path(file).expanduser()))
    looks_named = text.replace("_", "").replace("-", "").isalnum() and not text.isdigit()
    if not is_file and (looks_named or "/" in text or path.suffix == ".json"):
        near = did_you_mean(text, SEARCH_SPACES)
        raise ConfigError(f"there is no search space, file or folder {text!r}{near} (spaces: naslib list spaces)")
    return _architecture(text, path, overrides)


def _space(overrides: Sequence[str], source: Any = None) -> Graph:
    """Return the space that a config and overrides mean."""
    return build_space(load_config(source, list(overrides), extensions=schema_extensions()))


def _exists(path: Path, folder: bool = False) -> bool:
    try:
        return path.is_dir() if folder else path.is_file()
    except (OSError, ValueError):  # an architecture, too long for a file's name
        return False


def _run(folder: Path, overrides: Sequence[str]) -> Target:
    """Return the space of a run and what was found in it.

    Raises:
        ConfigError: If there is no run.
    """
    config = folder / "config.yaml"
    if not config.is_file():
        raise ConfigError(f"{folder} is no run folder: it has no config.yaml")
    parts = folder.resolve().parts
    name = "_".join(parts[-2:]) if parts[-1].isdigit() else parts[-1]  # runs are called after their seeds
    if (folder / "eval" / FILE).is_file() and not overrides:
        try:
            found = rebuild_architecture(NetworkRecord.read(folder / "eval").architecture)
        except CheckpointError as error:
            return _by_config(folder, config, overrides, name, f"{error}")
        return Target(name, type(found)(**constructor_arguments(found)), found)
    return _by_config(folder, config, overrides, name, "")


def _by_config(folder: Path, config: Path, overrides: Sequence[str], name: str, note: str) -> Target:
    space = _space(overrides, config)
    if not (folder / "genotype.json").is_file():
        return Target(name, space, None, note or f"{folder} has no genotype.json: its search has not ended")
    return Target(name, space, given_architecture(folder, space), note)


def _architecture(text: str, path: Path, overrides: Sequence[str]) -> Target:
    """Return an architecture that is written out, or in a file.

    Raises:
        ConfigError: If no space reads it.
    """
    name = path.stem if _exists(path) else text.rpartition(":")[2] if ".py:" in text else "architecture"
    if any(word.partition("=")[0] == _SPACE for word in overrides):
        space = _space(overrides)
        return Target(name, space, given_architecture(text, space))
    said = _space_in(path)
    if said is not None:
        space = _space([f"{_SPACE}={said}", *overrides])
        return Target(name, space, given_architecture(text, space))
    for spelled in _SPELLED:
        space = _space([f"{_SPACE}={spelled}", *overrides])
        try:
            found = given_architecture(text, space)
        except (ConfigError, ArchitectureError):
            continue
        return Target(name, space, found, f"read as an architecture of {spelled}; search_space=NAME says another space")
    raise ConfigError(
        f"{shorten(text)!r} is no space, file, run folder or architecture that {', '.join(_SPELLED)} can read; "
        "search_space=NAME says of which space it is"
    )


def _space_in(path: Path) -> str | None:
    """Return the space that a `genotype.json` of a run names, None for another file."""
    if path.suffix != ".json" or not _exists(path):
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return None
    name = content.get(_SPACE) if isinstance(content, dict) else None
    return name if isinstance(name, str) and name in SEARCH_SPACES else None


def _own(path: Path, name: str) -> Target:
    """Return the space of a module of a person's own.

    Raises:
        ConfigError: If the file or the class is not there, or it cannot be made.
    """
    if not path.is_file():
        raise ConfigError(f"there is no file {path}")
    module = _imported(path)
    own = {
        key: value
        for key, value in vars(module).items()
        if inspect.isclass(value) and issubclass(value, nn.Module) and value.__module__ == module.__name__
    }
    known = {**{key: value for key, value in vars(module).items() if callable(value)}, **own}
    if not name and len(own) != 1:
        raise ConfigError(f"{path} has {len(own)} modules: choose one by {path}:NAME ({', '.join(own) or 'none'})")
    name = name or next(iter(own))
    if name not in known and not isinstance(getattr(module, name, None), nn.Module):
        raise ConfigError(f"{path} has no {name}{did_you_mean(name, own)} (it has: {', '.join(own) or 'no module'})")
    entry = getattr(module, name)
    try:
        made = entry() if callable(entry) and not isinstance(entry, nn.Module) else entry
        space = made if isinstance(made, Graph) else ModuleSearchSpace(entry)
    except NASLibError:
        raise
    except Exception as error:
        raise ConfigError(f"{path}:{name} cannot be made: {type(error).__name__}: {error}") from error
    return Target(name, space, None)


def _imported(path: Path) -> Any:
    """Return the module of a file, which may import its neighbours.

    Raises:
        ConfigError: If it cannot be imported.
    """
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    before, known = list(sys.path), sys.modules.get(path.stem)
    sys.path.insert(0, str(path.resolve().parent))
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        if known is None:
            del sys.modules[path.stem]
        else:
            sys.modules[path.stem] = known
        raise ConfigError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    finally:
        sys.path[:] = before
    return module
