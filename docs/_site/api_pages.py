"""The pages of the API: what each package lets a user import, with its docstrings."""

from __future__ import annotations

import functools
import importlib
import inspect
import re
from types import ModuleType
from typing import Any

# Package: title of its page
PACKAGES = {
    "naslib": "naslib",
    "naslib.defaults": "Trainer",
    "naslib.optimizers": "Optimizers",
    "naslib.search_spaces": "Search spaces",
    "naslib.search_spaces.core": "Graphs and operations",
    "naslib.choices": "Choices",
    "naslib.search_spaces.core.elastic": "Elastic layers",
    "naslib.search_spaces.nni_zoo": "NNI's zoo",
    "naslib.tasks": "Tasks",
    "naslib.data": "Data",
    "naslib.benchmarks": "Benchmarks",
    "naslib.predictors": "Predictors",
    "naslib.evaluators": "Evaluators",
    "naslib.mixed_operations": "Mixed operations",
    "naslib.morphism": "Morphism",
    "naslib.hardware": "Hardware",
    "naslib.comparison": "Comparison",
    "naslib.history": "History",
    "naslib.build": "Building",
    "naslib.utils": "Utilities",
    "naslib.errors": "Errors",
}


def public_names(package: str) -> dict[str, Any]:
    """Return what a package lets a user import: no modules, no names with an underscore, nothing of other packages."""
    module = importlib.import_module(package)
    found = {name: getattr(module, name) for name in dir(module) if not name.startswith("_")}
    return {
        name: value
        for name, value in found.items()
        if not isinstance(value, ModuleType) and not _is_foreign(value) and name != "annotations"
    }


def _is_foreign(value: object) -> bool:
    home = getattr(value, "__module__", None) or type(value).__module__
    return home.split(".")[0] != "naslib"


def place_of(package: str, name: str, value: object) -> str:
    """Return the dotted name under which the source of a public name is found."""
    if inspect.isclass(value) or inspect.isfunction(value):
        return f"{value.__module__}.{value.__qualname__}"
    return f"{package}.{name}"


def first_sentence(value: object) -> str:
    """Return the first line of a docstring; that of an instance is its class's."""
    lines = (inspect.getdoc(value) or "").strip().splitlines()
    return lines[0] if lines else ""


def page_path(package: str) -> str:
    """Return where the page of a package is."""
    return f"reference/{package}.md"


@functools.cache
def api_pages() -> dict[str, tuple[str, str]]:
    """Return a page per package: path, title, text. What several packages let a user import is on the first one's."""
    pages: dict[str, tuple[str, str]] = {}
    shown: dict[str, str] = {}
    for package, title in PACKAGES.items():
        names = {name: (place_of(package, name, value), value) for name, value in public_names(package).items()}
        own = list(dict.fromkeys(place for place, _ in names.values() if place not in shown))
        shown |= dict.fromkeys(own, f"{package}.md")
        rows = "\n".join(
            f"| [`{name}`]({'' if place in own else shown[place]}#{place}) | {_escaped(first_sentence(value))} |"
            for name, (place, value) in names.items()
        )
        what = first_sentence(importlib.import_module(package))
        parts = [f"# {title}: `{package}`" if title != package else f"# `{package}`", what]
        parts += [f"| name | what it is |\n|---|---|\n{rows}", *(f"::: {place}" for place in own)]
        pages[page_path(package)] = (title, "\n\n".join(parts) + "\n")
    return pages


def _escaped(text: str) -> str:
    return re.sub(r"(?<!\\)\|", r"\\|", text)
