"""What is known of optimizers, parts, spaces and data sets before they are imported is what they are."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Any

import pytest

import naslib.data
import naslib.optimizers
import naslib.search_spaces
from naslib.errors import ConfigError, UnknownNameError
from naslib.registry import Registry, catalogue
from naslib.registry.catalogue import OPTIMIZERS
from naslib.registry.signatures import keywords_through, signatures, source_signatures

REGISTRIES = {name: item for name, item in vars(catalogue).items() if isinstance(item, Registry)}
ENTRIES = [(registry, name) for registry in REGISTRIES.values() for name in registry._places]
PACKAGE = Path(naslib.__file__).parent


def _comparable(parameters: dict[str, inspect.Parameter]) -> list[Any]:
    rows = []
    for p in parameters.values():
        is_plain = p.default is None or type(p.default) in (int, float, str, bool)
        annotation = ast.unparse(ast.parse(p.annotation)) if isinstance(p.annotation, str) else p.annotation
        rows.append((p.name, p.kind, annotation, p.default is p.empty, p.default if is_plain else ...))
    return rows


def test_the_catalogue_is_not_empty() -> None:
    sizes = {name: len(registry) for name, registry in REGISTRIES.items()}
    least = {"OPTIMIZERS": 38, "PARTS": 13, "SEARCH_SPACES": 4, "DATASETS": 16, "TASKS": 5, "EVALUATORS": 2}
    assert all(sizes[name] >= number for name, number in least.items())


@pytest.mark.parametrize(("registry", "name"), ENTRIES, ids=lambda value: getattr(value, "kind", value))
def test_keywords_read_from_the_source_are_those_of_the_class(registry: Registry[Any], name: str) -> None:
    read = source_signatures(registry._places[name])
    assert read is not None
    live = signatures(registry.get(name))
    both = zip(read[:1], live[:1], strict=True) if registry is not OPTIMIZERS else [map(keywords_through, (read, live))]
    for ours, theirs in both:
        known = {key: p for key, p in theirs.items() if ours[key].default is not ...}
        assert list(ours) == list(theirs)
        assert _comparable({key: ours[key] for key in known}) == _comparable(known)


def test_every_entry_of_ours_is_in_the_catalogue() -> None:
    found = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for decorator in getattr(node, "decorator_list", ()):
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func).endswith(".register"):
                    registry = ast.unparse(decorator.func).removesuffix(".register")
                    found += [(registry, ast.literal_eval(name)) for name in decorator.args]
    assert len(found) >= 60
    assert [pair for pair in found if pair[1] not in REGISTRIES[pair[0]]._places] == []


def test_an_entry_is_imported_when_it_is_asked_for() -> None:
    registry: Registry[Any] = Registry("thing", {"fraction": "fractions:Fraction", "lost": "fractions:Lost"})
    assert registry.names() == ["fraction", "lost"] and "Fraction" in registry and not registry._entries
    assert registry.build("fraction", 1, 2) == 0.5
    with pytest.raises(AttributeError, match="Lost"):
        registry.get("lost")
    with pytest.raises(UnknownNameError, match="did you mean 'fraction'"):
        registry.get("fractoin")


def test_a_name_of_ours_is_taken_before_it_is_imported() -> None:
    registry: Registry[Any] = Registry("thing", {"fraction": "fractions:Fraction"})
    with pytest.raises(ConfigError, match="already registered"):
        registry.register("fraction")(dict)
    registry.register("mine", "own")(dict)
    assert registry.names() == ["fraction", "mine", "own"]


class _Parent:
    def __init__(self, *, depth: int = 3, width: float) -> None: ...


class _Child(_Parent):
    def __init__(self, start: float = 0.5, **kwargs: Any) -> None: ...


def test_signatures_of_what_a_user_registers() -> None:
    registry: Registry[Any] = Registry("thing")
    registry.register("child")(_Child)
    keywords = keywords_through(registry.signatures("child"))
    assert list(keywords) == ["start", "depth", "width"]
    assert keywords["start"].default == 0.5 and keywords["width"].default is inspect.Parameter.empty
    assert list(keywords_through([{"x": keywords["start"]}, keywords])) == ["x"]  # hands nothing on


def test_what_the_source_does_not_say_is_left_to_an_import() -> None:
    assert source_signatures("naslib.nowhere:Thing") is None
    assert source_signatures("naslib.errors:Nothing") is None
    assert source_signatures("fractions:Fraction") is None
