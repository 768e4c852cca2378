"""Colours that people with any colour vision tell apart, in light and in dark, and marks for those that come again."""

from __future__ import annotations

from collections.abc import Sequence

# On the surfaces below each has a contrast of 3 or more, as WCAG asks of graphics
LIGHT = ("#0072b2", "#c44e00", "#00795a", "#aa3f88", "#7a5c00", "#2f86c1", "#4a4a4a", "#5b3fb0")
DARK = ("#4fb0ee", "#ff9452", "#35c99a", "#ea8fcd", "#d8b93f", "#9ad4ff", "#c4c4c4", "#b8a4ff")
SURFACES = ("#ffffff", "#16191d")
# Dashes of a line whose colour comes again, so that no two lines look alike
DASHES = ("", "6 3", "2 3", "8 3 2 3")


def style(index: int) -> str:
    """Return the classes of the series with a number: its colour, and how it is dashed."""
    return f"c{index % len(LIGHT)} k{index // len(LIGHT) % len(DASHES)}"


def css() -> str:
    """Return the rules for the colours; `--c0` and so on are set by the page's themes."""
    rules = [f".c{index}{{--c:var(--c{index})}}" for index in range(len(LIGHT))]
    rules += [f".k{index}{{stroke-dasharray:{dash}}}" for index, dash in enumerate(DASHES) if dash]
    return "".join(rules)


def variables(colours: Sequence[str]) -> str:
    """Return the settings of the colours of a theme."""
    return "".join(f"--c{index}:{colour};" for index, colour in enumerate(colours))


def contrast(first: str, second: str) -> float:
    """Return the contrast of two colours `#rrggbb` as WCAG 2 defines it, 1 to 21."""
    one, other = sorted((_luminance(first), _luminance(second)))
    return (other + 0.05) / (one + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
