"""Answers: what a network gives, as rows of names and numbers, by what its task is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from naslib.tasks import Classification, Regression, Segmentation, Task

from .items import GivenInput
from .masks import free_mask, write_mask

Row = dict[str, Any]


class Answers(ABC):
    """Turn outputs into rows, and rows into the cells of a table.

    Args:
        task: What was learned.
        names: Of the classes or values; None for their numbers.
        top: How many of the likeliest are told; None for what is usual.
    """

    def __init__(self, task: Task, names: Sequence[str] | None, top: int | None = None) -> None:
        self.task, self.top = task, top
        self._names = list(names) if names is not None else None

    def names(self, count: int) -> list[str]:
        """Return the names of so many classes or values."""
        if self._names is not None and len(self._names) == count:
            return self._names
        return [str(number) for number in range(count)]

    @abstractmethod
    def rows(self, outputs: Any, items: Sequence[GivenInput]) -> list[Row]:
        """Return what is told of each item, without its name.

        Args:
            outputs: What the network gives for them.
            items: The items.
        """

    @abstractmethod
    def cells(self, row: Row) -> dict[str, str]:
        """Return what a table shows of a row, by column."""

    def columns(self, row: Row) -> dict[str, Any]:
        """Return the columns of a CSV file and their values, in full precision."""
        return self.cells(row)


class ClassAnswers(Answers):
    """A class and its probability, or the likeliest classes."""

    def rows(self, outputs: Any, items: Sequence[GivenInput]) -> list[Row]:
        """Return `label`, `class`, `probability`, and in `top` as many of the likeliest as were asked for."""
        shares = self.task.probabilities(outputs)
        names = self.names(shares.shape[1])
        best = shares.topk(min(self.top or 1, shares.shape[1]), dim=1)
        # the class that the accuracy counts; of equal outputs topk may take another one
        chosen = self.task.predict(outputs).tolist()
        found = []
        pairs = zip(chosen, best.indices.tolist(), best.values.tolist(), shares.tolist(), strict=True)
        for number, numbers, values, all_shares in pairs:
            top = [
                {"label": names[other], "class": other, "probability": value}
                for other, value in zip(numbers, values, strict=True)
            ]
            if top[0]["class"] != number:
                top = [{"label": names[number], "class": number, "probability": all_shares[number]}, *top]
                top = [top[0], *(entry for entry in top[1:] if entry["class"] != number)][: len(best.indices[0])]
            found.append({**top[0], "top": top})
        return found

    def cells(self, row: Row) -> dict[str, str]:
        """Return label and probability, numbered from the second on."""
        return {key: value if isinstance(value, str) else f"{value:.4f}" for key, value in self.columns(row).items()}

    def columns(self, row: Row) -> dict[str, Any]:
        """Return `label`, `probability`, `label_2`, `probability_2` ..."""
        found: dict[str, Any] = {}
        for place, entry in enumerate(row["top"]):
            ending = f"_{place + 1}" if place else ""
            found |= {f"label{ending}": entry["label"], f"probability{ending}": entry["probability"]}
        return found


class LabelAnswers(Answers):
    """Any number of labels, each with a probability."""

    def rows(self, outputs: Any, items: Sequence[GivenInput]) -> list[Row]:
        """Return `labels`, those that are found, and the `probabilities` of all."""
        shares, found = self.task.probabilities(outputs), self.task.predict(outputs)
        names = self.names(shares.shape[1])
        return [
            {
                "labels": [name for name, is_there in zip(names, there, strict=True) if is_there],
                "probabilities": dict(zip(names, values, strict=True)),
            }
            for there, values in zip(found.tolist(), shares.tolist(), strict=True)
        ]

    def cells(self, row: Row) -> dict[str, str]:
        """Return the labels with their probabilities, the likeliest first."""
        ranked = sorted(row["labels"], key=lambda name: -row["probabilities"][name])
        if self.top is not None:
            ranked = sorted(row["probabilities"], key=lambda name: -row["probabilities"][name])[: self.top]
        return {"labels": ", ".join(f"{name} {row['probabilities'][name]:.4f}" for name in ranked) or "-"}

    def columns(self, row: Row) -> dict[str, Any]:
        """Return `labels`, with a semicolon between them, and a probability for each label there is."""
        return {"labels": ";".join(row["labels"]), **row["probabilities"]}


class ValueAnswers(Answers):
    """Measured values, with their unit."""

    def rows(self, outputs: Any, items: Sequence[GivenInput]) -> list[Row]:
        """Return `values` by name, and their `unit`; of outputs with more dimensions lists of numbers."""
        values = self.task.predict(outputs)
        values = values.reshape(len(items), -1) if values.dim() == 1 else values
        unit = self.task.score.unit
        if values.dim() > 2:
            return [{"values": {"value": value}, "unit": unit} for value in values.tolist()]
        names = self.names(values.shape[1])
        names = ["value"] if names == ["0"] else names
        return [{"values": dict(zip(names, row, strict=True)), "unit": unit} for row in values.tolist()]

    def cells(self, row: Row) -> dict[str, str]:
        """Return the values with their unit."""
        unit = f" [{row['unit']}]" if row["unit"] else ""
        return {f"{name}{unit}": _shown(value) for name, value in row["values"].items()}

    def columns(self, row: Row) -> dict[str, Any]:
        """Return the values by name, and the unit."""
        return {**row["values"], "unit": row["unit"]}


class PixelAnswers(Answers):
    """The classes of a picture's pixels, with their shares, and the mask where there is a folder for it."""

    # Where masks go, None for nowhere
    folder: Path | None = None

    def rows(self, outputs: Any, items: Sequence[GivenInput]) -> list[Row]:
        """Return the `classes` that are found, the largest first, each with `pixels` and `share`; and the `mask`."""
        masks, count = self.task.predict(outputs).cpu(), outputs.shape[1]
        names, found = self.names(count), []
        for classes, item in zip(masks, items, strict=True):
            pixels = torch.bincount(classes.flatten(), minlength=count)
            order = sorted((number for number in range(count) if pixels[number]), key=lambda n: (-int(pixels[n]), n))
            told = [
                {
                    "label": names[number],
                    "class": number,
                    "pixels": int(pixels[number]),
                    "share": int(pixels[number]) / classes.numel(),
                }
                for number in order[: self.top]
            ]
            mask = None
            if self.folder is not None:
                mask = free_mask(self.folder, item.name, item.index)
                write_mask(classes.numpy(), count, mask)
            found.append({"classes": told, "mask": None if mask is None else str(mask)})
        return found

    def cells(self, row: Row) -> dict[str, str]:
        """Return the classes with their shares in percent, and the mask."""
        told = ", ".join(f"{entry['label']} {100 * entry['share']:.1f} %" for entry in row["classes"])
        return {"classes": told} | ({} if row["mask"] is None else {"mask": row["mask"]})

    def columns(self, row: Row) -> dict[str, Any]:
        """Return `mask`, and the share of each class there is."""
        shares = {entry["label"]: entry["share"] for entry in row["classes"]}
        names = self._names if self._names is not None else list(shares)
        return {"mask": row["mask"] or "", **{name: shares.get(name, 0.0) for name in names}}


class OtherAnswers(Answers):
    """What a task of somebody's own predicts, as numbers."""

    def rows(self, outputs: Any, items: Sequence[GivenInput]) -> list[Row]:
        """Return `output`: what the task predicts, as lists of numbers."""
        found = self.task.predict(outputs)
        return [{"output": value} for value in found.tolist()]

    def cells(self, row: Row) -> dict[str, str]:
        """Return the numbers."""
        return {"output": _shown(row["output"])}

    def columns(self, row: Row) -> dict[str, Any]:
        """Return the numbers."""
        return {"output": row["output"]}


class TextAnswers(Answers):
    """How well a text is foreseen, and which words come next."""

    def rows(self, outputs: Any, items: Sequence[GivenInput]) -> list[Row]:
        """Return what is told already: texts are read one by one (`TextReader`)."""
        return list(outputs)

    def cells(self, row: Row) -> dict[str, str]:
        """Return the number of words, the perplexity and the next words."""
        following = ", ".join(f"{entry['word']} {entry['probability']:.4f}" for entry in row["next"])
        perplexity = "-" if row["perplexity"] is None else f"{row['perplexity']:.4f}"
        return {"words": str(row["words"]), "unknown": str(row["unknown"]), "perplexity": perplexity, "next": following}

    def columns(self, row: Row) -> dict[str, Any]:
        """Return the numbers, and `next`, `probability`, `next_2`, `probability_2` ..."""
        found = {key: "" if row[key] is None else row[key] for key in ("words", "unknown", "loss", "perplexity")}
        for place, entry in enumerate(row["next"]):
            ending = f"_{place + 1}" if place else ""
            found |= {f"next{ending}": entry["word"], f"probability{ending}": entry["probability"]}
        return found


def answers_for(task: Task, names: Sequence[str] | None, top: int | None) -> Answers:
    """Return what tells the outputs of a task."""
    if isinstance(task, Classification) and _reads_as(task, Classification):
        return (LabelAnswers if task.multi_label else ClassAnswers)(task, names, top)
    for kind, answers in ((Regression, ValueAnswers), (Segmentation, PixelAnswers)):
        if isinstance(task, kind) and _reads_as(task, kind):
            return answers(task, names, top)
    return OtherAnswers(task, names, top)


def _reads_as(task: Task, kind: type[Task]) -> bool:
    """Return whether a task predicts as one of ours; a subclass with a `predict` of its own may give anything."""
    return type(task).predict is kind.predict


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_shown(item) for item in value) + "]"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
