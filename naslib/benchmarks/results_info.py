"""What a table of `naslib bench build` holds, in words."""

from __future__ import annotations

from typing import Any

import numpy as np

from .results import Results


def describe_results(results: Results) -> str:
    """Return what is in a table, one thing a line."""
    about = results.about
    score = about["score"]
    unit = f" {score['unit']}" if score["unit"] else ""
    trained = f"{len(results.trained):,}"
    functions = about.get("functions")
    of = f" of {functions:,} that differ" if functions else ""
    last = {part: results.curves[f"{part}_score"][:, :, -1] for part in ("valid", "test")}
    best = np.nanargmax(_means(last["valid"]) * (1 if score["maximize"] else -1))
    latency = about.get("latency") or {}
    measured = results.latency[np.isfinite(results.latency)]
    rows: list[tuple[str, Any]] = [
        ("search space", f"{about['space']} {_arguments(about['space_args'])}".strip()),
        ("data set", f"{about['dataset']} ({_counts(about['images'])})"),
        ("architectures", f"{len(results.codes):,}; {trained} trained{of}, the others are the same functions"),
        ("seeds", ", ".join(f"{s} ({n:,})" for s, n in zip(results.seeds, _trainings(results), strict=True))),
        ("epochs", f"{results.epochs}, learning curves of all"),
        ("validation", f"{score['name']} {_range(last['valid'])}{unit}"),
        ("test", f"{score['name']} {_range(last['test'])}{unit}"),
        ("best", f"{results.codes[results.trained[best]]}: {_means(last['valid'])[best]:.4g}{unit} by the mean"),
        ("parameters", f"{results.params.min() / 1e6:.4g} to {results.params.max() / 1e6:.4g} M"),
        ("MACs", f"{results.macs.min() / 1e6:.4g} to {results.macs.max() / 1e6:.4g} M"),
        ("training", f"{_range(results.seconds)} s ({about['training'].get('clock')} time)"),
        ("latency", f"{_range(measured)} ms on {latency.get('cpu')}" if len(measured) else "not measured"),
        ("failed", len(about.get("failures", []))),
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:{width}}  {text}" for name, text in rows)


def _means(values: np.ndarray) -> np.ndarray:
    known = np.isfinite(values)
    return np.where(known, values, 0.0).sum(axis=1) / known.sum(axis=1)


def _trainings(results: Results) -> list[int]:
    found: list[int] = np.isfinite(results.seconds).sum(axis=0).tolist()
    return found


def _range(values: np.ndarray) -> str:
    known = values[np.isfinite(values)]
    return f"{known.min():.4g} to {known.max():.4g}" if len(known) else "none"


def _arguments(arguments: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in arguments.items())


def _counts(images: dict[str, Any]) -> str:
    return ", ".join(f"{count} {part}" for part, count in images.items() if count is not None)
