"""Report: genotype and summary of a run, as files and as a few lines to read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from naslib.search_spaces.core.graph import Graph
from naslib.tasks import Score, Task
from naslib.utils.files import atomic_write_json
from naslib.utils.log import get_logger

from .class_table import class_table
from .progress import format_seconds

logger = get_logger(__name__)

ACCURACY = Score("accuracy", True, "%")


@dataclass(frozen=True)
class EvaluationResult:
    """The outcome of an evaluation.

    Attributes:
        mode: "query", "retrain" or "keep" (the weights of the search).
        network: The network that was evaluated.
        value: What was measured on the test part, or the metric that was queried.
        score: What that is: the task's deciding score.
        scores: All that was measured, by name.
        seconds: Training time.
        params_millions: Parameters without auxiliary heads.
        flops_millions: Multiply-accumulates per image.
        classes: What was measured by class (`ClassCounts.summary`), {} where there are none.
        test_sets: What was measured on each further test set, by the names of sets and scores.
    """

    mode: str
    network: nn.Module
    value: float
    score: Score = ACCURACY
    scores: Mapping[str, float | None] = field(default_factory=dict)
    seconds: float = 0.0
    params_millions: float | None = None
    flops_millions: float | None = None
    classes: Mapping[str, Any] = field(default_factory=dict)
    test_sets: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)

    @property
    def accuracy(self) -> float | None:
        """Test accuracy in percent, or the metric that was queried; None where the task has no accuracy."""
        return self.value if self.score.name == "accuracy" else self.scores.get("accuracy")

    @property
    def top5(self) -> float | None:
        """Top-5 accuracy, None where it was not measured."""
        return self.scores.get("top5")

    @staticmethod
    def no_summary(task: Task) -> dict[str, Any]:
        """Return what `summary` will return after an evaluation, without values."""
        score = task.score
        found: dict[str, Any] = {
            "score": None, "score_name": score.name, "score_unit": score.unit, "maximize": score.maximize,
            "test_scores": None,
        }  # fmt: skip
        names = {"accuracy": "test_accuracy", "top5": "test_top5"}
        return found | {names[s.name]: None for s in task.scores if s.name in names}

    def summary(self) -> dict[str, Any]:
        """Return the entries of `summary.json` on what was measured; accuracies where the task has them."""
        found: dict[str, Any] = {
            "score": self.value, "score_name": self.score.name, "score_unit": self.score.unit,
            "maximize": self.score.maximize, "test_scores": {self.score.name: self.value, **self.scores},
        }  # fmt: skip
        if self.score.name == "accuracy" or "accuracy" in self.scores:
            found["test_accuracy"] = self.accuracy
        if self.score.name == "accuracy" or "top5" in self.scores:
            found["test_top5"] = self.top5
        if self.test_sets:
            found["test_sets"] = {name: dict(scores) for name, scores in self.test_sets.items()}
        return found


def _of_set(summary: Mapping[str, Any], scores: Mapping[str, float | None]) -> str:
    """Return the deciding score on a further test set."""
    return _score_value({**summary, "score": scores.get(str(summary.get("score_name")))})


def write_genotype(folder: Path, architecture: Graph) -> Any:
    """Write `genotype.json` and return the genotype."""
    genotype = architecture.genotype()
    content: dict[str, Any] = {"search_space": architecture.get_type(), "genotype": genotype}
    if architecture.codec is not None:
        content["code"] = list(architecture.get_code())
    atomic_write_json(folder / "genotype.json", content)
    return genotype


def write_summary(folder: Path, summary: Mapping[str, Any]) -> None:
    """Write `summary.json` and log the summary as a table, and scores by class as another."""
    write_summary_file(folder, summary)
    logger.info("summary\n%s", summary_table(summary, folder))
    if summary.get("per_class"):
        logger.info("test scores by class\n%s", class_table(summary["per_class"], summary.get("confusion_matrix")))


def write_summary_file(folder: Path, summary: Mapping[str, Any]) -> None:
    """Write `summary.json`, the scores of a class and a row of the confusion matrix each in a line."""
    atomic_write_json(folder / "summary.json", dict(summary), rows=("per_class", "confusion_matrix"))


def summary_table(summary: Mapping[str, Any], folder: Path) -> str:
    """Return the lines that a person reads at the end of a run."""
    rows = [
        ("genotype", format_genotype(summary.get("genotype"))),
        ("parameters", _with_unit(summary.get("params_millions"), "M", 4)),
        ("FLOPs", _with_unit(summary.get("flops_millions"), "M multiply-accumulates", 2)),
        (f"test {_score_name(summary)}", _score_value(summary) + _mode(summary.get("evaluation_mode"))),
        *((f"  on {name}", _of_set(summary, scores)) for name, scores in (summary.get("test_sets") or {}).items()),
        *(("degenerate", reason) for reason in summary.get("degenerate") or ()),
        ("search time", _duration(summary.get("search_seconds")) + _evaluations(summary.get("search_evaluations"))),
        *(("trials", text) for text in _trials(summary.get("trials"))),
        ("total time", _duration(summary.get("total_seconds"))),
        ("device, seed", f"{summary.get('device')}, {summary.get('seed')}"),
        ("run folder", str(folder)),
    ]
    width = max(len(name) for name, _ in rows)
    lines = []
    for name, value in rows:
        first, *rest = value.splitlines() or [""]
        lines.append(f"  {name:<{width}}  {first}")
        lines += [f"  {'':<{width}}  {line}" for line in rest]
    return "\n".join(lines)


def format_genotype(genotype: Any) -> str:
    """Return a genotype over a few lines: one per cell or edge where it is a mapping or a list of mappings."""
    if isinstance(genotype, Mapping):
        return "\n".join(f"{key}: {_compact(value)}" for key, value in genotype.items())
    if isinstance(genotype, list) and genotype and isinstance(genotype[0], Mapping):
        return "\n".join(", ".join(f"{key} {_compact(value)}" for key, value in entry.items()) for entry in genotype)
    return _compact(genotype)


def _compact(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_compact(item) for item in value) + "]"
    return str(value)


def _with_unit(value: float | None, unit: str, digits: int) -> str:
    return "not measured" if value is None else f"{value:.{digits}f} {unit}"


def _score_name(summary: Mapping[str, Any]) -> str:
    return str(summary.get("score_name") or "accuracy").replace("_", " ")


def _score_value(summary: Mapping[str, Any]) -> str:
    """Return the deciding score; summaries of earlier versions have the accuracy alone."""
    value, unit = summary.get("score", summary.get("test_accuracy")), summary.get("score_unit", "%")
    return "not measured" if value is None else Score("score", True, unit or "").show(value)


def _mode(mode: str | None) -> str:
    words = {
        "query": " (looked up in the benchmark)",
        "keep": " (weights of the search)",
        "retrain": " (trained from scratch)",
        "supernet": " (the network of the search, as it is)",
    }
    return words.get(mode or "", "")


def _evaluations(count: int | None) -> str:
    return "" if count is None else f" ({count} evaluations)"


def _trials(trials: Mapping[str, Any] | None) -> list[str]:
    """Return a line on the trials of a black-box search and one on its front, none for another search."""
    if not trials or not trials["count"]:
        return []
    named = zip(trials["objectives"], trials["best_values"], trials["units"], strict=False)
    values = ", ".join(f"{name} {value:.6g} {unit}".rstrip() for name, value, unit in named)
    best = f"; the best is trial {trials['best']}: {values}" if trials["best"] is not None else ""
    lines = [f"{trials['count']}, of which {trials['failed']} failed{best}"]
    if front := trials.get("front"):
        volume = "" if front["hypervolume"] is None else f"; hypervolume {front['hypervolume']:.6g} above "
        above = ", ".join(f"{value:.6g}" for value in front["reference_point"]) if volume else ""
        lines.append(f"{len(front['members'])} on the front{volume}{above}")
    for name, found in (trials.get("tasks") or {}).items():
        pairs = zip(trials["objectives"], found["best_values"], trials["units"], strict=False)
        said = ", ".join(f"{objective} {value:.6g} {unit}".rstrip() for objective, value, unit in pairs)
        lines.append(f"{found['count']} of {name}" + (f"; the best is trial {found['best']}: {said}" if said else ""))
    return lines


def _duration(seconds: float | None) -> str:
    return "not measured" if seconds is None else format_seconds(seconds)
