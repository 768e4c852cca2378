"""Reads a page of a report as a parser does, and says what is not as HTML wants it."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

_VOID = {"meta", "br", "hr", "img", "input", "link", "source"}
_SVG_EMPTY = {"path", "line", "circle", "rect", "polygon"}
_LOADS = ("src", "href", "srcset", "poster", "data", "action", "xlink:href", "background")


class Page(HTMLParser):
    """A page that was read.

    Attributes:
        problems: What is wrong.
        ids: All ids, in order.
        headings: Level and text of all headings.
        texts: Text of the page, that of scripts and styles aside.
        tables: Per table its caption and its rows of texts.
        scripts: The text of each script that is data.
    """

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.problems: list[str] = []
        self.ids: list[str] = []
        self.headings: list[tuple[int, str]] = []
        self.texts: list[str] = []
        self.tables: list[tuple[str, list[list[str]]]] = []
        self.scripts: list[str] = []
        self.links: list[str] = []
        self.references: list[str] = []
        self.pictures: list[dict[str, str | None]] = []
        self._open: list[str] = []
        self._scopeless = 0
        self.feed(text)
        self.close()
        self.problems += [f"<{name}> is not closed" for name in self._open]
        self.problems += [
            f"id {name} is there twice" for name in sorted({n for n in self.ids if self.ids.count(n) > 1})
        ]
        self.problems += [f"#{name} leads nowhere" for name in {*self.links, *self.references} - set(self.ids)]

    @classmethod
    def read(cls, path: Path) -> Page:
        """Read a file."""
        return cls(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self._note(tag, dict(attrs))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element without content."""
        self._note(tag, dict(attrs))
        if tag not in _VOID | _SVG_EMPTY:
            self.problems.append(f"<{tag}/> is not closed by HTML")

    def _note(self, tag: str, attributes: dict[str, str | None]) -> None:
        if (name := attributes.get("id")) is not None:
            self.ids.append(name)
        for key in _LOADS:
            value = attributes.get(key)
            if value is None:
                continue
            if value.startswith("#"):
                self.links.append(value[1:])
            elif not value.startswith("data:image/"):
                self.problems.append(f"<{tag} {key}={value}> asks for something outside")
        for key in ("aria-labelledby", "aria-describedby", "for"):
            self.references += (attributes.get(key) or "").split()
        if tag == "svg" and attributes.get("role") == "img":
            self.pictures.append(attributes)
        if tag == "svg" and attributes.get("role") != "img" and attributes.get("aria-hidden") != "true":
            self.problems.append("a picture has neither a name nor is it hidden")
        if tag in ("h1", "h2", "h3", "h4"):
            self.headings.append((int(tag[1]), ""))
        if tag == "table":
            self.tables.append(("", []))
        if tag == "tr":
            self.tables[-1][1].append([])
        if tag in ("td", "th"):
            self.tables[-1][1][-1].append("")
        if tag == "th" and attributes.get("scope") not in ("col", "row"):
            self.problems.append("a header cell has no scope")
        if any(key.startswith("on") for key in attributes):
            self.problems.append(f"<{tag}> has a handler in an attribute")

    def handle_endtag(self, tag: str) -> None:
        """Note the end of an element."""
        if not self._open or self._open[-1] != tag:
            self.problems.append(f"</{tag}> closes {self._open[-1:]}")
        if tag in self._open:
            while self._open.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        """Note text."""
        if "script" in self._open:
            if data.strip().startswith("{"):
                self.scripts.append(data)
            return
        if "style" in self._open:
            for word in ("@import", "url(", "http"):
                if word in data:
                    self.problems.append(f"the style has {word}")
            return
        if not data.strip():
            return
        self.texts.append(data)
        if self._open[-1] in ("h1", "h2", "h3", "h4"):
            level, before = self.headings[-1]
            self.headings[-1] = (level, before + data)
        if "caption" in self._open:
            self.tables[-1] = (self.tables[-1][0] + data, self.tables[-1][1])
        elif {"td", "th"} & set(self._open):
            self.tables[-1][1][-1][-1] += data.strip()

    @property
    def text(self) -> str:
        """All text in one."""
        return " ".join(" ".join(self.texts).split())

    def table(self, caption: str) -> list[list[str]]:
        """Return the rows of the table whose caption begins so, its head first."""
        return next(rows for name, rows in self.tables if name.startswith(caption))
