"""A given architecture, `evaluation.genotype`: as text or value, in a file, or in the folder of a run."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from naslib.errors import ArchitectureError, ConfigError, did_you_mean
from naslib.search_spaces.core.arguments import constructor_arguments
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.literals import read_assignments

Reads = Callable[[Any], Any]

_KEY = "evaluation.genotype"
_OF_A_RUN = "genotype.json"
_PATH = re.compile(r"[\w.~ \\/:-]+")
_SUFFIXES = (".json", ".txt", ".py", ".log", ".out", ".yaml", ".yml")
_CALL = re.compile(r"\b[\w.]*(?:Genotype|Structure)\(")
# How deep names are looked for in a JSON file of many architectures
_DEPTH = 4


def find_given(value: Any, space: Graph, dataset_api: Any = None) -> Any:
    """Return the architecture that `evaluation.genotype` names, in a form that `space.set_spec` takes.

    Args:
        value: An architecture in any spelling of the space, a file with one (`FILE:NAME` chooses among several), or the
            folder of a run.
        space: A search space; it is not changed. The architecture may need other sizes than it has.
        dataset_api: A benchmark, for architectures that are given by their index in it.

    Raises:
        ConfigError: If there is no such file or folder, or what is there is no architecture of the space.
    """

    def read(spec: Any) -> Any:
        return _holding(spec, space).check_spec(spec, dataset_api)

    try:
        spec = _located(value, space, read) if isinstance(value, str | Path) else value
        read(spec)
    except (ArchitectureError, OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{_KEY}: {error}") from error
    return spec


def given_architecture(value: Any, space: Graph, dataset_api: Any = None) -> Graph:
    """Return the discrete architecture that `evaluation.genotype` names, as a fresh graph of the same space.

    Its sizes are those of `space`, except where the architecture has others (cells with more nodes).

    Raises:
        ConfigError: See `find_given`.
    """
    spec = find_given(value, space, dataset_api)
    architecture = _holding(spec, space, fresh=True)
    architecture.set_spec(spec, dataset_api)
    architecture.prepare_evaluation()
    architecture.parse()
    return architecture


def _holding(spec: Any, space: Graph, fresh: bool = False) -> Graph:
    """Return the space, or one of its kind with the sizes that `spec` needs; always another one if `fresh`."""
    sizes = space.arguments_for(spec)
    return type(space)(**{**constructor_arguments(space), **sizes}) if sizes or fresh else space


def _located(value: str | Path, space: Graph, read: Reads) -> Any:
    """Return what is in the file or folder that `value` names, or `value` where it is an architecture itself."""
    text = str(value)
    path = Path(text).expanduser()
    if _is(path, Path.is_dir):
        return _of_a_run(path, space)
    if _is(path, Path.is_file):
        return _in_file(path, "", space, read)
    file, _, name = text.rpartition(":")
    if file and _is(Path(file).expanduser(), Path.is_file):
        return _in_file(Path(file).expanduser(), name, space, read)
    looks = _PATH.fullmatch(text) and ("/" in text or "\\" in text or text.partition(":")[0].endswith(_SUFFIXES))
    if isinstance(value, Path) or looks:
        raise ArchitectureError(f"there is no file or folder {text}")
    return text


def _is(path: Path, kind: Callable[[Path], bool]) -> bool:
    try:
        return kind(path)
    except (OSError, ValueError):  # an architecture, too long for a file's name
        return False


def _of_a_run(folder: Path, space: Graph) -> Any:
    path = folder / _OF_A_RUN
    if not path.is_file():
        raise ArchitectureError(f"{folder} has no {_OF_A_RUN}: it is no run, or its search has not ended")
    return _of_space(_json(path), path, space)


def _of_space(content: Any, path: Path, space: Graph) -> Any:
    """Return the genotype in what a run left, of the space that it was found in."""
    if not isinstance(content, Mapping) or not {"search_space", "genotype"} <= set(content):
        return content
    known = {space.get_type(), type(space).__name__}
    if content["search_space"] not in known:
        raise ArchitectureError(f"{path} is an architecture of {content['search_space']}, not of {space.get_type()}")
    return content["genotype"]


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise ArchitectureError(f"{path} is not valid JSON: {error}") from error


def _in_file(path: Path, name: str, space: Graph, read: Reads) -> Any:
    if path.suffix == ".json":
        content = _of_space(_json(path), path, space)
        named = _named_in(content)
    else:
        content = path.read_text(encoding="utf-8-sig")
        named = _named_in_text(content)
    if name:
        if name not in named:
            raise ArchitectureError(f"{path} has no {name}{did_you_mean(name, named)}{_known(named)}")
        return named[name]
    error = _error_of(read, content)
    if error is None:
        return content
    readable = {key: value for key, value in named.items() if _error_of(read, value) is None}
    if len({repr(read(value)) for value in readable.values()}) == 1:
        return next(iter(readable.values()))
    if readable:
        raise ArchitectureError(
            f"{path} has {len(readable)} architectures; choose one by {path}:NAME{_known(readable)}"
        )
    problems = [str(_error_of(read, value)) for value in named.values() if "enotype" in repr(value)[:200]]
    raise ArchitectureError(f"{path}: {problems[0] if len(problems) == 1 else error}")


def _known(named: Mapping[str, Any]) -> str:
    shown = ", ".join(list(named)[:12])
    return f" (it has: {shown}{', ...' if len(named) > 12 else ''})" if named else ""


def _error_of(read: Reads, spec: Any) -> ArchitectureError | None:
    try:
        read(spec)
    except ArchitectureError as error:
        return error
    return None


def _named_in(content: Any) -> dict[str, Any]:
    """Return the entries of nested mappings by name, outer ones first."""
    found: dict[str, Any] = {}
    level = [content]
    for _ in range(_DEPTH):
        inner = [
            (str(key), value) for mapping in level if isinstance(mapping, Mapping) for key, value in mapping.items()
        ]
        for key, value in inner:
            found.setdefault(key, value)
        level = [value for _, value in inner]
    return found


def _named_in_text(text: str) -> dict[str, Any]:
    """Return what a Python file assigns to names; for other text, the architectures in it by their line."""
    try:
        return read_assignments(text)
    except ValueError:
        return {f"line {text.count(chr(10), 0, start) + 1}": part for start, part in _parts(text)}


def _parts(text: str) -> Iterator[tuple[int, str]]:
    """Yield calls of Genotype or Structure in a text, and lines by themselves."""
    for match in _CALL.finditer(text):
        depth = 0
        for end in range(match.end() - 1, len(text)):
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            if depth == 0:
                yield match.start(), text[match.start() : end + 1]
                break
    start = 0
    for line in text.splitlines(keepends=True):
        if line.strip() and not _CALL.search(line):
            yield start, line.strip()
        start += len(line)
