"""What TensorBoard shows of a run beside its curves: the result, the pictures, and the config with the result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

# Sections and entries that say where a run is, or how often it saves, and nothing about what came out
_NOT_TUNED = ("out_dir", "data", "save", "device", "threads", "dry_run", "checkpoint_freq", "checkpoint_steps")
# Points of its curves that a black-box search writes at a time, however many evaluations it has made
MOST_POINTS = 200


def write_result(writer: Any, summary: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Write the test scores (`evaluation/test_score`, and one by name each), sizes, and the config with them.

    Args:
        writer: A TensorBoard writer, or what has its `add_scalar`; None for none.
        summary: What `summary.json` says, of a run that is evaluated.
        config: The config as plain values.
    """
    if writer is None:
        return
    step = (summary.get("evaluation_epochs") or 0) if summary.get("evaluation_mode") == "retrain" else 0
    found = {"test_score": summary.get("score"), **_named(summary.get("test_scores") or {})}
    found |= {key: summary.get(key) for key in ("params_millions", "flops_millions")}
    scalars = {f"evaluation/{key}": float(value) for key, value in found.items() if isinstance(value, int | float)}
    for tag, value in scalars.items():
        writer.add_scalar(tag, value, step)
    file_writer = getattr(writer, "file_writer", None)
    if file_writer is None:  # somebody's own writer, which may know scalars alone
        return
    from torch.utils.tensorboard.summary import hparams

    # SummaryWriter.add_hparams would write them to a file of its own, in a folder named by the time
    for event in hparams(flat_values(config), scalars):
        file_writer.add_summary(event)


def _named(scores: Mapping[str, float | None]) -> dict[str, float | None]:
    return {f"test_{name}": value for name, value in scores.items()}


def write_pictures(writer: Any, paths: Iterable[Path], step: int = 0) -> None:
    """Write the PNG files among some pictures, each under `pictures/<name>`.

    Args:
        writer: A TensorBoard writer; one without `add_image` gets none.
        paths: Files; others than PNG are passed over.
        step: When.
    """
    if not hasattr(writer, "add_image"):
        return
    from PIL import Image

    for path in paths:
        if path.suffix == ".png":
            with Image.open(path) as picture:
                pixels = np.asarray(picture.convert("RGB"))
            writer.add_image(f"pictures/{path.stem}", pixels, step, dataformats="HWC")


def flat_values(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a nested config as `search.epochs: 2` ...: numbers, booleans and texts, as TensorBoard takes them."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        if key in _NOT_TUNED or value is None:
            continue
        if isinstance(value, Mapping):
            found |= flat_values(value, f"{name}.")
        else:
            found[name] = value if isinstance(value, bool | int | float | str) else str(value)
    return found


def spaced(start: int, stop: int, most: int) -> Sequence[int]:
    """Return at most `most` numbers from `start` to below `stop`, evenly apart, the last one among them."""
    count = stop - start
    if count <= most:
        return range(start, stop)
    return sorted({stop - 1 - (place * count) // most for place in range(most)})
