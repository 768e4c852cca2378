"""Describe the config as a JSON schema, for editors that complete and check YAML."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from naslib.config.compat import IGNORED, IGNORED_IN
from naslib.config.extensions import SchemaExtensions, keyword_names
from naslib.config.schema import ConfigKeys


def json_schema(extensions: SchemaExtensions | None = None) -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of a config file.

    Args:
        extensions: Adds the registered names and the keywords of all optimizers.
    """
    schema = ConfigKeys.model_json_schema()
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "naslib config"}
    sections = {"": schema, "search": schema["$defs"]["SearchKeys"], "evaluation": schema["$defs"]["EvaluationKeys"]}
    for name, section in sections.items():
        for key, why in {**IGNORED, **IGNORED_IN.get(name, {})}.items():
            section["properties"].setdefault(key, {"deprecated": True, "description": f"without effect: {why}"})
    extensions = extensions or SchemaExtensions()
    names: dict[str, Collection[str] | None] = {
        "optimizer": extensions.optimizers,
        "search_space": extensions.spaces,
        "dataset": extensions.datasets,
    }
    for key, known in names.items():
        if known is not None:
            schema["properties"][key]["enum"] = sorted(known)
    for optimizer, keywords in (extensions.optimizers or {}).items():
        for key in keyword_names(keywords):
            sections["search"]["properties"].setdefault(key, {"description": f"keyword of {optimizer}"})
    return schema


def json_schema_text(extensions: SchemaExtensions | None = None) -> str:
    """Return the JSON schema as indented text."""
    return json.dumps(json_schema(extensions), indent=2)
