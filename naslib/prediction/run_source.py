"""What the folder of a run says of its data, as far as single files need it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from .forecast import InputSource


def source_of(run: Path) -> InputSource:
    """Return the data set of a run, its arguments, and the length of its windows.

    Args:
        run: The run folder; where its config cannot be read, nothing is known.
    """
    config = _read_yaml(run / "config.yaml")
    arguments = config.get("dataset_args")
    return InputSource(
        dataset=str(config.get("dataset", "")).lower(),
        arguments=arguments if isinstance(arguments, dict) else {},
        window=_window(run / "eval" / "network.json"),
    )


def _window(record: Path) -> int | None:
    """Return the number of tokens that a network saw at a time, where its record says it."""
    try:
        shape = json.loads(record.read_text(encoding="utf-8")).get("input_shape")
    except (OSError, ValueError, AttributeError):
        return None
    return int(shape[-1]) if isinstance(shape, list) and len(shape) == 1 else None


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}
