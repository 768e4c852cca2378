"""Links of the pages: what they lead to, and which headings a page has, by the rule of the site and of repositories."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"``.+?``|`[^`\n]+`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)


class Link(NamedTuple):
    """A link to a place of this repository: the page it is on, its target as written, the file, the heading or ""."""

    page: Path
    written: str
    file: Path
    anchor: str


def links(page: Path) -> list[Link]:
    """Return the links of a page that are no addresses of the web; those in code are no links."""
    text = _CODE.sub("", _FENCE.sub("", page.read_text(encoding="utf-8")))
    found = []
    for written in _LINK.findall(text):
        if not re.match(r"[a-z]+:", written):
            path, _, anchor = written.partition("#")
            found.append(Link(page, written, (page.parent / path).resolve() if path else page, anchor))
    return found


def anchors(page: Path) -> set[str]:
    """Return what can stand behind `#` in a link to a page: its headings in lower case, spaces as hyphens."""
    found: dict[str, int] = {}
    names = set()
    for heading in _HEADING.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").replace("*", "")
        slug = re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-")
        number = found.get(slug, 0)
        found[slug] = number + 1
        names.add(f"{slug}-{number}" if number else slug)
    return names
