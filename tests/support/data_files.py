"""Where the tests find real tables and images: `NASLIB_DATA`, or the folder `shared/data` beside the checkout."""

from __future__ import annotations

import os
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
BESIDE = CHECKOUT.parent / "shared" / "data"


def data_folders() -> list[Path]:
    """Return the folders in which the tests look, first match wins."""
    named = [os.environ.get(name) for name in ("NASLIB_TEST_DATA", "NASLIB_DATA")]
    return [*(Path(name).expanduser().resolve() for name in named if name), BESIDE]


def data_file(name: str) -> Path:
    """Return where a file is; where it would lie beside the checkout if it is nowhere."""
    places = [folder / name for folder in data_folders()]
    return next((place for place in places if place.is_file()), places[-1])
