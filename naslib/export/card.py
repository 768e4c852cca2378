"""Card: the README of an exported network, for whoever gets the folder."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from naslib.errors import NASLibError
from naslib.hardware.latency import MeasuredLatency, measure_latency
from naslib.search_spaces.core.flops import count_macs
from naslib.tasks import Score, Task
from naslib.training.environment import describe_environment
from naslib.training.progress import format_seconds

from .folder import sha256_of
from .loading import loading_section
from .preprocessing import preprocessing_code
from .run_data import sizes_or_reason
from .scoring import FormRow, as_table
from .subject import ExportSubject

# Classes that the card lists; summary.json has all
_CLASSES = 50
_KINDS = {
    "Classification": "image-classification", "Regression": "regression", "Segmentation": "image-segmentation",
    "LanguageModelling": "text-generation", "SequenceClassification": "sequence-classification",
    "FewShot": "few-shot-learning",
}  # fmt: skip


@dataclass(frozen=True)
class CardFacts:
    """What the card says that the subject does not.

    Attributes:
        notes: Of each written file what was compared.
        left_out: Of each file that is not there why.
        preprocessing: The content of `preprocessing.json`.
        forms: Rows of a quantisation; empty without one.
        quantized: A sentence on it.
    """

    notes: Mapping[str, str]
    left_out: Mapping[str, str]
    preprocessing: Mapping[str, Any]
    forms: list[FormRow] = field(default_factory=list)
    quantized: str = ""


def write_card(folder: Path, subject: ExportSubject, facts: CardFacts) -> None:
    """Write `README.md` on the files that are in a folder.

    Args:
        folder: With all files but the card.
        subject: The network.
        facts: What was found while they were written.
    """
    environment = describe_environment(torch.device("cpu"), int(subject.summary.get("seed") or 0))
    latency = measure_latency(subject.network, subject.inputs)
    parts = [
        _front_matter(subject),
        _title(subject),
        _data(subject),
        _search(subject),
        _scores(subject),
        _size(subject, latency, environment),
        _quantized(subject, facts),
        loading_section(folder, subject),
        _inputs(facts, subject),
        _files(folder, facts),
        _limits(subject, facts),
        _colophon(environment),
    ]
    (folder / "README.md").write_text("\n\n".join(part for part in parts if part) + "\n", encoding="utf-8")


def show_score(task: Task | None, value: float | None) -> str:
    """Return a value of a task's deciding score with its unit."""
    if value is None:
        return "not measured"
    return task.score.show(value) if task is not None else f"{value:.4f}"


def _front_matter(subject: ExportSubject) -> str:
    kind = _KINDS.get(type(subject.task).__name__)
    tags = ["neural-architecture-search", *([kind] if kind else []), subject.space]
    metrics = [str(score.name) for score in subject.task.scores] if subject.task is not None else []
    values = {"library_name": "naslib", "tags": json.dumps(tags), "metrics": json.dumps(metrics), "license": "other"}
    return "\n".join(["---", *(f"{key}: {value}" for key, value in values.items()), "---"])


def _title(subject: ExportSubject) -> str:
    outputs = f"`{subject.output_name}`"
    shape = " x ".join(map(str, subject.inputs.shape[1:]))
    what = type(subject.task).__name__ if subject.task is not None else "an unknown task"
    origin = "found and trained" if subject.summary.get("architecture") != "given" else "trained"
    lines = [
        f"# A network of the space {subject.space}",
        "",
        f"A network for {what}, {origin} by naslib. It takes `{subject.input_name}`, batches of any number of inputs "
        f"of {shape} {str(subject.inputs.dtype).removeprefix('torch.')}, and gives {outputs}.",
    ]
    if subject.output_name == "embeddings":
        lines.append(
            "A class is the mean of the embeddings of its examples (its prototype); an input belongs to the class "
            "whose prototype has the smallest squared distance."
        )
    return "\n".join(lines)


def _data(subject: ExportSubject) -> str:
    summary, lines = subject.summary, ["## Data", ""]
    if not summary:
        return "\n".join([*lines, "The network was given without a run; what it was trained on is not known here."])
    lines.append(f"* Data set: {'loaders of the user' if summary.get('own_loaders') else summary.get('dataset')}")
    sizes = sizes_or_reason(subject)
    if isinstance(sizes, dict):
        lines.append(f"* Training part: {sizes['training']:,} items; test part: {sizes['test']:,} items")
    else:
        lines.append(f"* Sizes of its parts: not known here ({sizes})")
    names = subject.class_names
    if names:
        shown = ", ".join(names[:_CLASSES]) + (f" and {len(names) - _CLASSES} more" if len(names) > _CLASSES else "")
        lines.append(f"* Outputs: {len(names)}: {shown} (`classes.json`)")
    lines.append("* Preprocessing: `preprocessing.json`")
    return "\n".join(lines)


def _search(subject: ExportSubject) -> str:
    summary, environment, lines = subject.summary, subject.environment, ["## Search", ""]
    if not summary:
        return ""
    given = summary.get("architecture") == "given"
    method = "the architecture was given" if given else f"{summary.get('optimizer')}, {_effort(summary)}"
    lines.append(f"* Space: {subject.space}; method: {method}; seed {summary.get('seed')}")
    seconds = {"search": "search_seconds", "retraining": "evaluation_seconds", "in all": "total_seconds"}
    times = [f"{name} {format_seconds(summary[key])}" for name, key in seconds.items() if summary.get(key)]
    lines.append(f"* Cost: {', '.join(times) or 'not recorded'}, on {summary.get('device', 'an unknown device')}")
    lines.append(f"* Evaluation: {summary.get('evaluation_mode')}, epochs: {summary.get('evaluation_epochs')}")
    if environment.get("command"):
        lines.append(f"* Command: `{environment['command']}`")
    if subject.digest:
        lines.append(f"* Config: `config.yaml` of the run, SHA-256 {subject.digest}...")
    trained_by = [f"{name} {environment[name]}" for name in ("naslib", "torch", "python") if environment.get(name)]
    if trained_by:
        lines.append(f"* Versions of the run: {', '.join(trained_by)}")
    if subject.genotype is not None:
        lines += [f"* Genotype ({subject.genotype_hash}):", "", "```json", _plain(subject.genotype), "```"]
    return "\n".join(lines)


def _effort(summary: Mapping[str, Any]) -> str:
    if summary.get("search_evaluations"):
        return f"{summary['search_evaluations']} evaluations"
    return f"epochs: {summary.get('search_epochs')}"


def _plain(genotype: Any) -> str:
    text = json.dumps(genotype)
    return text if len(text) <= 2000 else text[:2000] + " ..."


def _scores(subject: ExportSubject) -> str:
    summary = subject.summary
    scores = summary.get("test_scores") or {}
    if not scores:
        return ""
    lines = ["## Scores on the test part", "", "| score | value |", "|---|---|"]
    units = {score.name: score for score in subject.task.scores} if subject.task is not None else {}
    lines += [f"| {name} | {_shown(units, name, value)} |" for name, value in scores.items()]
    for part, measured in (summary.get("test_sets") or {}).items():
        lines += [f"| {name} on `{part}` | {_shown(units, name, value)} |" for name, value in measured.items()]
    rows = summary.get("per_class") or []
    if rows:
        keys = [key for key in ("n", "accuracy", "precision", "recall", "f1") if key in rows[0]]
        lines += ["", f"| class | {' | '.join(keys)} |", f"|---|{'---|' * len(keys)}"]
        lines += [
            f"| {row.get('name')} | {' | '.join(_number(row.get(key)) for key in keys)} |" for row in rows[:_CLASSES]
        ]
        if len(rows) > _CLASSES:
            lines.append(f"\nThe other {len(rows) - _CLASSES} classes are in the run's `summary.json`.")
    return "\n".join(lines)


def _shown(units: Mapping[str, Score], name: str, value: Any) -> str:
    return units[name].show(value) if name in units else str(value)


def _number(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _size(subject: ExportSubject, latency: MeasuredLatency, environment: Mapping[str, Any]) -> str:
    parameters = sum(parameter.numel() for parameter in subject.network.parameters())
    lines = ["## Size and speed", "", f"* Parameters: {parameters:,}"]
    try:
        lines.append(f"* Multiply-accumulates per input: {count_macs(subject.network, subject.inputs.shape[1:]):.4f} M")
    except (NASLibError, RuntimeError, TypeError, ValueError):
        lines.append("* Multiply-accumulates per input: not counted for inputs of this kind")
    lines.append(
        f"* Latency in PyTorch: {latency}, the median of {latency.runs} runs with a batch of 1 and {latency.threads} "
        f"thread(s) on {environment['cpu']} ({environment['cpu_kernels']}), torch {environment['torch']}"
    )
    return "\n".join(lines)


def _quantized(subject: ExportSubject, facts: CardFacts) -> str:
    if not facts.forms:
        return ""
    name = subject.task.score.name if subject.task is not None else "score"
    table = as_table(facts.forms, name, lambda value: show_score(subject.task, value))
    return "\n".join(["## Quantised to int8", "", table, "", facts.quantized])


def _inputs(facts: CardFacts, subject: ExportSubject) -> str:
    lines = ["## From a raw input to `" + subject.input_name + "`", ""]
    code = preprocessing_code(dict(facts.preprocessing))
    if code is None:
        return "\n".join([*lines, "The network was trained on loaders of the user: it takes what these yield."])
    return "\n".join([*lines, "```python", code.rstrip(), "```"])


def _files(folder: Path, facts: CardFacts) -> str:
    lines = ["## Files", "", "| file | bytes | SHA-256 | checked |", "|---|---|---|---|"]
    for path in sorted(folder.iterdir()):
        size = f"{path.stat().st_size:,}"
        lines.append(f"| {path.name} | {size} | {sha256_of(path)} | {facts.notes.get(path.name, '')} |")
    lines += [f"\n{name} is not here: {reason}" for name, reason in facts.left_out.items()]
    return "\n".join(lines)


def _limits(subject: ExportSubject, facts: CardFacts) -> str:
    lines = ["## Limits", ""]
    if subject.summary:
        lines.append(
            f"* One run with one seed ({subject.summary.get('seed')}), tested once on the test part above and on "
            "nothing else: not on data from elsewhere, on damaged or disguised inputs, nor by groups of people."
        )
        if subject.summary.get("degenerate"):
            lines.append(f"* The run warned: {'; '.join(map(str, subject.summary['degenerate']))}")
    else:
        lines.append("* No test of its predictions is known here.")
    lines.append(f"* Inputs have the shape {tuple(subject.inputs.shape[1:])}; other sizes were not tried.")
    lines.append("* Times are of the machine above. GPUs, phones and other runtimes were not tried.")
    if any("not checked" in note for note in facts.notes.values()):
        lines.append("* `network.onnx` was not compared with the network: onnxruntime was not installed.")
    lines.append("* Licence: that of your data and of your use; naslib sets none on the networks that it finds.")
    return "\n".join(lines)


def _colophon(environment: Mapping[str, Any]) -> str:
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    versions = ", ".join(f"{name} {environment[name]}" for name in ("naslib", "torch", "python"))
    return f"Exported on {today} with {versions}."
