"""What `naslib list` says of each thing that has a name; nothing of it is imported for that."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from naslib.config.find import shipped_configs, shipped_folders
from naslib.errors import UnknownNameError, did_you_mean
from naslib.registry import catalogue
from naslib.registry.devices import device_sets
from naslib.registry.docstrings import arguments, first_line, first_paragraphs
from naslib.registry.registry import Registry
from naslib.registry.signatures import keywords_through

from .doc_pages import PAGES, page_of

# kind: the registry, and what there is
KINDS: dict[str, tuple[Registry[Any], str]] = {
    "spaces": (catalogue.SEARCH_SPACES, "search_space: what architectures there are"),
    "optimizers": (catalogue.OPTIMIZERS, "optimizer: how one is searched for"),
    "parts": (catalogue.PARTS, "search.parts: what a weight-sharing optimizer can be given besides"),
    "trial_parts": (catalogue.TRIAL_PARTS, "search.parts of a black-box optimizer"),
    "evaluators": (catalogue.EVALUATORS, "search.evaluator: what gives a trial its values"),
    "datasets": (catalogue.DATASETS, "dataset: what is learned from"),
    "tasks": (catalogue.TASKS, "task: what is learned"),
    "benchmarks": (catalogue.BENCHMARKS, "tables that answer in place of a training"),
    "predictors": (catalogue.PREDICTORS, "models of how good an architecture is"),
    "proxies": (catalogue.PROXIES, "scores of networks that are not trained"),
    "operations": (catalogue.OPERATIONS, "operations that genotypes and configs name"),
    "published": (catalogue.PUBLISHED, "networks that somebody has published, ready to build"),
}
CONFIGS = "configs"
DEVICES = "devices"
_ABOUT_DEVICES = "devices of published latencies and energies: search.hardware"
_ABOUT_CONFIGS = "configs that come with naslib: naslib --config NAME"
# The plainest configs, which show a space or a data set where none is named after it
_USUAL = ("darts.yaml", "random_search.yaml", "regularized_evolution.yaml", "random_search_train.yaml")
# Which key of a config names an entry
_KEYS = {"spaces": "search_space", "optimizers": "optimizer", "datasets": "dataset"}
_KEYS |= {"evaluators": "evaluator", "tasks": "task"}
# A citation, alone in brackets or with what stands beside it
_CITED = re.compile(r" \((?:after )?\[\w+\][^()]*\)")
_KEY = re.compile(r"\[(\w+?)(\d{4})(\w*)\]")


@dataclass(frozen=True)
class Entry:
    """A thing with a name.

    Attributes:
        name: The name that is used in the docs and by configs.
        other_names: Its other names.
        about: What it is, in a line.
        config: A shipped config that uses it, "" for none.
        docs: The page about it, from the root of the checkout.
        place: `"module:name"`; of a config its file.
    """

    name: str
    other_names: tuple[str, ...]
    about: str
    config: str
    docs: str
    place: str

    def plain(self) -> dict[str, Any]:
        """Return it as JSON takes it."""
        return {**asdict(self), "other_names": list(self.other_names)}


def counts() -> list[tuple[str, int, str]]:
    """Return `(kind, number of things, what they are)` of all kinds."""
    rows = [(kind, len(_by_place(registry)), about) for kind, (registry, about) in KINDS.items()]
    devices = (DEVICES, len(_device_entries()), _ABOUT_DEVICES)
    return [*rows, devices, (CONFIGS, len(shipped_configs()), _ABOUT_CONFIGS)]


def entries(kind: str) -> list[Entry]:
    """Return all things of a kind by their names; `configs` among the kinds."""
    if kind == CONFIGS:
        return [_config_entry(name) for name in shipped_configs()]
    if kind == DEVICES:
        return _device_entries()
    used = _configs_by_value(_KEYS[kind]) if kind in _KEYS else {}
    return [_entry(kind, names, used) for names in _by_place(KINDS[kind][0])]


def entry_of(kind: str, name: str) -> Entry:
    """Return a thing by any of its names.

    Raises:
        UnknownNameError: For a name that there is not, with the nearest.
    """
    found = entries(kind)
    wanted = name.lower().removesuffix(".yaml") if kind == CONFIGS else name.lower()
    for entry in found:
        if wanted in (entry.name, *entry.other_names):
            return entry
    names = [one for entry in found for one in (entry.name, *entry.other_names)]
    what = {CONFIGS: "config", DEVICES: "device"}.get(kind) or KINDS[kind][0].kind
    raise UnknownNameError(f"unknown {what} {name!r}{did_you_mean(wanted, names)} (known: naslib list {kind})")


def describe(kind: str, entry: Entry) -> str:
    """Return what the docstring of a thing says before its sections; of a config its first comment."""
    if kind == CONFIGS:
        return _comment(Path(entry.place))
    if kind == DEVICES:
        return entry.about
    texts = KINDS[kind][0].docstrings(entry.name)
    return first_paragraphs(texts[0]) if texts else ""


def keywords(kind: str, name: str) -> list[dict[str, Any]]:
    """Return the keywords that a person gives a thing: name, default, type, and what the docstring says of it.

    A keyword without a default has `"required": True`; a default that is no literal is None, with `"computed": True`.

    Args:
        kind: As in `naslib list`.
        name: Any of its names.
    """
    if kind in (CONFIGS, DEVICES):
        return []
    registry = KINDS[kind][0]
    parameters = keywords_through(registry.signatures(name))
    if kind == "datasets":  # the data directory and the seed come from the config
        parameters = dict(list(parameters.items())[2:])
    elif kind in ("evaluators", "proxies"):  # the others are given by who calls it
        parameters = {key: p for key, p in parameters.items() if p.kind is p.KEYWORD_ONLY}
    elif kind == "operations":
        parameters = {}
    said = arguments(registry.docstrings(name))
    return [_keyword(key, parameter, said) for key, parameter in parameters.items()]


def _keyword(name: str, parameter: inspect.Parameter, said: Mapping[str, str]) -> dict[str, Any]:
    required, computed = parameter.default is parameter.empty, parameter.default is ...
    annotation = parameter.annotation
    kind = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
    return {
        "name": name,
        "default": None if required or computed else parameter.default,
        "required": required,
        "computed": computed,
        "type": "" if annotation is parameter.empty else kind,
        "about": said.get(name, "").replace("`", ""),
    }


def _device_entries() -> list[Entry]:
    """Return all devices, with what was measured of which spaces."""
    found: dict[str, list[str]] = {}
    for held in device_sets():
        for device in held.devices:
            told = f"{held.metric} of {held.space} ({', '.join(held.datasets)})"
            found.setdefault(device, []).append(told if held.is_complete else f"{told}, predicted")
    about = {name: "; ".join(dict.fromkeys(told)) for name, told in sorted(found.items())}
    return [Entry(name, (), told, "", "docs/hardware.md", "search.hardware") for name, told in about.items()]


def _entry(kind: str, names: list[str], used: Mapping[str, list[str]]) -> Entry:
    registry = KINDS[kind][0]
    name = _first_name(names, used)
    others = tuple(one for one in names if one != name)
    texts = registry.docstrings(name)
    configs = [config for one in (name, *others) for config in used.get(one, ())]
    config = min(configs, key=lambda config: _distance(config, names), default="")
    return Entry(name, others, _short(texts[0]) if texts else "", config, page_of(kind, name), registry.place(name))


def _distance(config: str, names: list[str]) -> tuple[bool, bool, int]:
    """Return how far a config is from one that shows a thing: not named as it is, or after it; a method of its own."""
    stem = config.removesuffix(".yaml")
    usual = _USUAL.index(config) if config in _USUAL else len(_USUAL)
    return stem not in names, not stem.startswith(tuple(names)), usual


def _first_name(names: list[str], used: Mapping[str, list[str]]) -> str:
    """Return the name that most shipped configs write, else the longest that is written as Python writes names."""
    written = [name for name in names if used.get(name)]
    if written:
        return max(written, key=lambda name: len(used[name]))
    plain = [name for name in names if name.replace("_", "").isalnum()]
    return max(plain or names, key=len)


def _short(text: str) -> str:
    """Return the first line of a docstring; of papers that it cites by key their authors and year, or nothing."""
    line = first_line(text)
    return _KEY.sub(lambda match: f"{match[1]} {match[2]}", _CITED.sub("", line))


def _by_place(registry: Registry[Any]) -> list[list[str]]:
    """Return the names, those of one thing together, in the order of their first."""
    found: dict[str, list[str]] = {}
    for name in registry.names():
        found.setdefault(registry.place(name), []).append(name)
    return list(found.values())


@functools.cache
def _configs_by_value(key: str) -> dict[str, list[str]]:
    """Return the shipped configs that set a key, by what they set it to; published protocols last."""
    found: dict[str, list[str]] = {}
    for name in shipped_configs():
        value = re.search(rf"^ *{key}: *([\w-]+)", _file(name).read_text(encoding="utf-8"), re.MULTILINE)
        if value:
            found.setdefault(value[1], []).append(name)
    return found


def _config_entry(name: str) -> Entry:
    path = _file(name)
    return Entry(name.removesuffix(".yaml"), (), _first_sentence(_comment(path)), name, PAGES[CONFIGS], str(path))


def _file(name: str) -> Path:
    return next(path for path in (folder / name for folder in shipped_folders()) if path.is_file())


def _comment(path: Path) -> str:
    """Return the comment that a config begins with, without the command."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").strip())
    return "\n".join(lines[1:] if lines and "runner.py" in lines[0] else lines)


def _first_sentence(text: str) -> str:
    found = re.match(r"(.+?[.:])(?:\s+[A-Z(]|$)", text.replace("\n", " "))
    return found[1].rstrip(":") if found else text.replace("\n", " ")
