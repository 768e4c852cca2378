"""From blocks to one HTML page, with style and script within."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from naslib import __version__

from .blocks import Section, Table
from .charts.lines import Chart
from .charts.palette import DARK, LIGHT, css, variables
from .charts.svg import clean

_TEMPLATES = Path(__file__).resolve().parent / "templates"
# What the head of a page of ours says, by which it is known again
MARK = '<meta name="generator" content="naslib '
# Colours of the dark theme; those of the light one are in style.css
_DARK = (
    "--page:#0f1114;--surface:#16191d;--ink:#e7eaee;--soft:#a9b3bf;--line:#343b44;--grid:#2a3038;--accent:#7db8f5;"
    "--accent-ink:#0b1a2b;--tint:#1d2a38;--good:#6fd3a0;--bad:#ff9a94;--mid:#eabb67;--warn-tint:#33291a;"
    "--node-in:#24402c;--node-out:#4a3a1c;--node:#2a3240;color-scheme:dark;"
)
_LIGHT = (
    "--page:#fff;--surface:#fff;--ink:#1b1f24;--soft:#4d5661;--line:#d4d9df;--grid:#e6e9ed;--accent:#0b5cad;--accent-ink:#fff;"
    "--tint:#e8f0f9;--good:#0a6b3d;--bad:#a32020;--mid:#7a4e00;--warn-tint:#fdf1e0;--node-in:#dcebdc;--node-out:#f3e3c8;"
    "--node:#e8ecf4;color-scheme:light;"
)


def render(title: str, kind: str, where: str, sections: Sequence[Section]) -> str:
    """Return a page.

    Args:
        title: Its name.
        kind: What it is, in two or three words.
        where: The folders that it is about.
        sections: Its sections, in order.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(str(_TEMPLATES)), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, finalize=lambda value: clean(value) if type(value) is str else value,
    )  # fmt: skip
    environment.filters["script"] = _in_script
    environment.globals["chart_table"] = chart_table
    from markupsafe import Markup

    return environment.get_template("page.html").render(
        title=title, kind=kind, where=where, sections=sections, version=__version__,
        css=Markup(_style()), js=Markup((_TEMPLATES / "page.js").read_text(encoding="utf-8")),
        written=time.strftime("%Y-%m-%d %H:%M"),
    )  # fmt: skip


def chart_table(title: str, chart: Chart) -> Table:
    """Return the numbers of a chart as a table."""
    columns = (chart.x_name, *(name for _, name, _ in chart.legend))
    return Table(f"{title}: what the chart shows", columns, chart.table, frozenset(range(len(columns))))


def _in_script(text: str) -> Any:
    """Return JSON such that nothing in it ends a script or begins a comment."""
    from markupsafe import Markup

    safe = json.dumps(json.loads(clean(text)), separators=(",", ":"))
    return Markup(safe.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _style() -> str:
    text = (_TEMPLATES / "style.css").read_text(encoding="utf-8")
    text = text.replace("/*LIGHT*/", variables(LIGHT)).replace("/*DARKSET*/", _DARK + variables(DARK))
    return (
        "".join(line.strip() for line in text.replace("/*PRINTSET*/", _LIGHT + variables(LIGHT)).splitlines()) + css()
    )
