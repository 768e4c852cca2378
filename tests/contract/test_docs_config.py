"""docs/config.md lists the keys of the schema, each with its default, and says which nothing reads."""

from __future__ import annotations

import json
import re
from pathlib import Path

from pydantic import BaseModel

from naslib.build import schema_extensions
from naslib.config.extensions import keyword_names
from naslib.config.schema import OPTIMIZER_KEYS, SEARCH_KEYS, SECTIONS, ConfigKeys
from naslib.optimizers import OPTIMIZERS, OneShotOptimizer
from naslib.optimizers.oneshot.supernet.supernet import SupernetOptimizer
from naslib.registry.signatures import signatures

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "config.md").read_text(encoding="utf-8")
_ROW = re.compile(r"^\| `([\w.]+)` \| `([^`]*)` \| ([^|]*) \|$", re.MULTILINE)
ROWS = {key: default for key, default, _ in _ROW.findall(PAGE)}
UNREAD = {key for key, _, _ in _ROW.findall(PAGE[PAGE.index("## Keys that nothing reads") :])}


def _schema() -> dict[str, str]:
    """Return the default of every key of the schema."""
    models: dict[str, type[BaseModel]] = {"": ConfigKeys, **SECTIONS}
    return {
        f"{section}.{key}" if section else key: json.dumps(field.get_default(call_default_factory=True))
        for section, model in models.items()
        for key, field in model.model_fields.items()
        if key not in SECTIONS
    }


def _of_all_supernets() -> dict[str, str]:
    """Return the keywords that every search of a supernet has, and the schema has not."""
    (own, *_) = signatures(SupernetOptimizer)
    plain = {name: p for name, p in own.items() if p.kind is p.KEYWORD_ONLY and name not in SEARCH_KEYS}
    return {f"search.{name}": json.dumps(p.default) for name, p in plain.items()}


def test_the_page_is_the_schema() -> None:
    expected = {**_schema(), **_of_all_supernets()}
    assert "search.checkpoint_cells" in expected and "search.parts" in expected
    assert sorted(set(expected) - set(ROWS)) == [], "not on the page"
    assert sorted(set(ROWS) - set(expected)) == [], "on the page only"
    assert expected == ROWS


def test_the_page_names_what_nothing_reads() -> None:
    read = {name for keywords in (schema_extensions().optimizers or {}).values() for name in keyword_names(keywords)}
    assert {f"search.{key}" for key in OPTIMIZER_KEYS - read} == UNREAD


def test_what_is_not_an_optimizers_is_read_by_somebody() -> None:
    """A key that belongs to the Trainer stands somewhere outside of the schema."""
    sources = [path for path in (ROOT / "naslib").rglob("*.py") if "config" not in path.parts[:-1]]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    for section, model in SECTIONS.items():
        for key in set(model.model_fields) - OPTIMIZER_KEYS:
            assert re.search(rf'\b{section}\.{key}\b|"{key}"|\b{key}: ', text), f"{section}.{key}"


def test_every_keyword_is_documented() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs").rglob("*.md"))
    extensions = schema_extensions()
    tables = (extensions.optimizers, extensions.spaces, extensions.parts, extensions.trial_parts, extensions.datasets)
    for table in tables:
        assert isinstance(table, dict)
        for name, keywords in table.items():
            missing = [key for key in keyword_names(keywords) if not re.search(rf"\b{key}\b", text)]
            assert missing == [], f"{name}: no page says what these keywords are"


def test_every_supernet_has_the_keys_of_supernets() -> None:
    for name in OPTIMIZERS:
        if issubclass(OPTIMIZERS.get(name), OneShotOptimizer):
            known = {f"search.{key}" for key in keyword_names((schema_extensions().optimizers or {})[name])}
            assert set(_of_all_supernets()) <= known, name
