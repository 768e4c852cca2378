"""SVG elements as text, everything escaped."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from html import escape

_numbers: ContextVar[Iterator[int]] = ContextVar("_numbers")


@contextmanager
def numbered_ids() -> Iterator[None]:
    """Number the ids of pictures from 1 within, so that a page of the same run has the same ids."""
    token = _numbers.set(itertools.count(1))
    try:
        yield
    finally:
        _numbers.reset(token)


def new_id(prefix: str) -> str:
    """Return an id that no other element of the page has."""
    numbers = _numbers.get(None)
    if numbers is None:
        numbers = itertools.count(1)
        _numbers.set(numbers)
    return f"{prefix}-{next(numbers)}"


def element(name: str, *children: str, **attributes: str | float | None) -> str:
    """Return an element; `_` in names of attributes is `-`, a trailing one is dropped (`class_`), None is left out.

    Args:
        name: Its name.
        *children: Elements, or text that is escaped already.
        **attributes: Text, or numbers that are written with two places.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_written(value), quote=True)}"'
        for key, value in attributes.items()
        if value is not None
    )
    inner = "".join(children)
    return f"<{name}{written}>{inner}</{name}>" if inner else f"<{name}{written}/>"


def text(words: object, x: float, y: float, **attributes: str | float | None) -> str:
    """Return a text element."""
    return element("text", escape(clean(words)), x=x, y=y, **attributes)


def picture(title: str, description: str, width: float, height: float, *children: str, class_: str = "plot") -> str:
    """Return an image with a name and a description, which scales with the page.

    Args:
        title: Its name.
        description: What it shows, in words.
        width: Of the coordinates, which is the most that it is wide on the page, in pixels, unless `class_` says else.
        height: Of the coordinates.
        *children: Its elements.
        class_: Of the image.
    """
    name, about = new_id("t"), new_id("d")
    return element(
        "svg",
        element("title", escape(clean(title)), id=name),
        element("desc", escape(clean(description)), id=about),
        *children,
        viewBox=f"0 0 {_written(width)} {_written(height)}",
        role="img",
        aria_labelledby=name,
        aria_describedby=about,
        class_=class_,
        **({"style": f"max-width:{_written(width)}px"} if class_ != "plot" else {}),
    )


# Characters that turn the direction of what follows, so that text reads otherwise than it is
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def clean(words: object) -> str:
    """Return text without control characters that HTML forbids, and without marks that turn its direction."""
    kept = "".join(c if c in "\n\t" or (c >= " " and not "\x7f" <= c <= "\x9f") else "\ufffd" for c in str(words))
    return "".join(c for c in kept if c not in _TURNING).encode("utf-8", "replace").decode("utf-8")


def _written(value: str | float) -> str:
    if isinstance(value, str):
        return clean(value)
    return f"{value:.2f}".rstrip("0").rstrip(".") or "0"
