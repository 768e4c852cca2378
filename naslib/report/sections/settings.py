"""Section: the config, against the defaults."""

from __future__ import annotations

import json
from typing import Any

from ..amounts import DASH, counted
from ..blocks import Folded, Note, Section, Table, Text
from ..defaults import NAMES, Unset, changed, flat
from ..reading import SavedRun


def settings(run: SavedRun) -> Section:
    """Return the section of the config."""
    if not run.config:
        return Section(
            "config",
            "Config",
            [Note("There is no config.yaml that could be read, so nothing is known of the settings.", True)],
        )
    names = [[key, shown(run.config[key])] for key in NAMES if key in run.config]
    blocks: list[Any] = [Table("What was run", ("key", "value"), names)]
    different = changed(run.config)
    if different:
        rows = [[key, shown(value), shown(default)] for key, value, default in different]
        blocks.append(
            Text(
                f"{counted(len(different), 'setting')} differ{'s' if len(different) == 1 else ''} from the defaults of "
                "the method and the schema."
            )
        )
        blocks.append(Table("Changed settings", ("key", "here", "default"), rows, is_sortable=True))
    else:
        blocks.append(Text("Every setting is the default of the method and the schema."))
    everything = [[key, shown(value)] for key, value in flat(run.config)]
    table = Table("All settings", ("key", "value"), everything, is_sortable=True)
    blocks.append(Folded(f"All {len(everything)} settings", [table], is_printed=True))
    return Section("config", "Config", blocks)


def shown(value: Any) -> str:
    """Return a value as a config has it, long ones shortened."""
    if isinstance(value, Unset):
        return DASH
    if isinstance(value, str):
        text = value
    else:
        try:
            text = json.dumps(value, ensure_ascii=False, default=str)
        except (TypeError, ValueError, RecursionError):
            text = str(value)
    return text if len(text) <= 300 else f"{text[:299]}…"
