"""Read JSON files, and say of the file what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .pickles import read_guarded


def read_json(path: Path, content: str) -> Any:
    """Return what is in a JSON file.

    Raises:
        BenchmarkError: If it is none.
    """
    return read_guarded(path, content, lambda: json.loads(path.read_text(encoding="utf-8")))
