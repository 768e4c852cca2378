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
    "naslib.optimizers": "Optimizers",
    "naslib.search_spaces": "Search spaces",
    "naslib.search_spaces.core": "Graphs and operations",
    "naslib.choices": "Choices",
    "naslib.tasks": "Tasks",
    "naslib.data": "Data",
    "naslib.benchmarks": "Benchmarks",
    "naslib.predictors": "Predictors",
    "naslib.evaluators": "Evaluators",
    "naslib.morphism": "Morphism",
    "naslib.comparison": "Comparison",
    "naslib.history": "History",
    "naslib.utils": "Utilities",
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
    """Return a page per package: path, title, text."""
    pages = {}
    for package, title in PACKAGES.items():
        names = public_names(package)
        what = first_sentence(importlib.import_module(package))
        rows = "\n".join(
            f"| [`{name}`](#{place_of(package, name, value)}) | {_escaped(first_sentence(value))} |"
            for name, value in names.items()
        )
        parts = [f"# {title}: `{package}`", what, f"| name | what it is |\n|---|---|\n{rows}"]
        parts += [f"::: {place_of(package, name, value)}" for name, value in names.items()]
        pages[page_path(package)] = (title, "\n\n".join(parts) + "\n")
    return pages


def _escaped(text: str) -> str:
    return re.sub(r"(?<!\\)\|", r"\\|", text)
