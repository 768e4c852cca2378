"""Forecast: files in, predictions out, some at a time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from naslib.data.preprocess import Preprocess
from naslib.errors import ConfigError, DataError
from naslib.tasks import FewShot, LanguageModelling
from naslib.training.export import TrainedNetwork

from .answers import Answers, PixelAnswers, Row, TextAnswers, answers_for
from .items import ARRAYS, Failure, GivenInput, find_files, read_array, rows_of, split_member
from .sound import as_spoken_digit
from .text import TextReader, words_of

_TEXTS = (".txt", ".tokens", ".text", ".md", ".xz")
_SOUNDS = (".wav",)
_WINDOW = 35


@dataclass(frozen=True)
class InputSource:
    """What a run says of its data, as far as single files need it.

    Attributes:
        dataset: The name of the data set.
        arguments: Its `dataset_args`.
        window: How many tokens the network saw at a time; None where that is not known.
    """

    dataset: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    window: int | None = None


class Forecast:
    """Predict files one after the other, a batch at a time: memory does not grow with their number.

    Args:
        network: The trained network, with its preprocessing.
        source: What its run says of its data.
        top: How many of the likeliest classes or words are told; None for what is usual (one; all of a segmentation).
        batch_size: Inputs at a time.
        masks: Folder for the masks of a segmentation, None for none.

    Raises:
        ConfigError: If the network cannot be asked about single files.
    """

    def __init__(
        self,
        network: TrainedNetwork,
        source: InputSource | None = None,
        *,
        top: int | None = None,
        batch_size: int = 64,
        masks: Path | None = None,
    ) -> None:
        task = network.task
        if isinstance(task, FewShot):
            raise ConfigError(
                "a network for few-shot learning tells classes of which it sees examples at the same time: ask it from "
                "Python (docs/methods/metadapt.md)"
            )
        self.network, self.source, self.batch_size = network, source or InputSource(), batch_size
        self.answers: Answers
        self._text: TextReader | None = None
        if isinstance(task, LanguageModelling):
            self.answers = TextAnswers(task, network.class_names, top)
            self._text = self._text_reader(task, top)
        else:
            self.answers = answers_for(task, network.class_names, top)
        if isinstance(self.answers, PixelAnswers):
            self.answers.folder = masks

    def _text_reader(self, task: LanguageModelling, top: int | None) -> TextReader:
        names = self.network.class_names
        if names is None:
            raise ConfigError("the language model was trained on loaders of your own, which name no words")
        window = self.source.window or int(self.source.arguments.get("bptt", _WINDOW))
        goes_on = bool(self.source.arguments.get("goes_on", False))
        return TextReader(self.network, task, names, window, goes_on, self.batch_size, top or 1)

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Return the endings of files that a folder gives."""
        if self._text is not None:
            return (*_TEXTS, *ARRAYS)
        if isinstance(self.network.preprocess, Preprocess):
            return (*_image_suffixes(), *ARRAYS)
        return (*_SOUNDS, *ARRAYS) if self._hears else ARRAYS

    @property
    def _hears(self) -> bool:
        return self.source.dataset in ("spoken_digits", "fsdd") and self.network.preprocess is not None

    def run(self, inputs: Iterable[str | os.PathLike[str]]) -> Iterator[Row | Failure]:
        """Yield a row per input, in order: `input`, `index`, and what the task tells; or why there is none.

        Args:
            inputs: Files, and folders, which are searched.
        """
        waiting: list[tuple[GivenInput, Tensor] | Failure] = []
        for given in find_files(inputs, self.suffixes):
            for item in [given] if isinstance(given, Failure) else self._items(given):
                prepared = item if isinstance(item, Failure) else self._prepared(item)
                if isinstance(prepared, dict):  # told already
                    yield from self._told(waiting)
                    waiting = []
                    yield prepared
                    continue
                if waiting and not isinstance(prepared, Failure) and not _goes_with(waiting, prepared[1]):
                    yield from self._told(waiting)
                    waiting = []
                waiting.append(prepared)
                if len(waiting) >= self.batch_size:
                    yield from self._told(waiting)
                    waiting = []
        yield from self._told(waiting)

    def _items(self, path: str) -> Iterator[GivenInput | Failure]:
        file, _ = split_member(path)
        if self._text is not None and not file.lower().endswith(ARRAYS):
            yield GivenInput(path, None, Path(path))
        elif file.lower().endswith(ARRAYS):
            try:
                array = read_array(path)
                yield from rows_of(path, array, self._has_rows(array))
            except DataError as error:
                yield Failure(path, str(error))
        else:
            yield GivenInput(path, None, Path(path))

    def _has_rows(self, array: Any) -> bool:
        """Return whether the first axis of an array is one of inputs."""
        if self._text is not None:
            return False
        preprocess = self.network.preprocess
        if preprocess is None:
            return True
        if isinstance(preprocess, Preprocess):
            if array.ndim == 3 and preprocess.in_channels == 1:
                return array.shape[2] not in (1, 3, 4)
            return bool(array.ndim == 4)
        single = 1 if preprocess.vocabulary or preprocess.in_channels == 1 else 2
        return bool(array.ndim > single)

    def _prepared(self, item: GivenInput) -> tuple[GivenInput, Tensor] | Row | Failure:
        """Return an item with the network's input, or, of a text, the row that it is told by."""
        try:
            if self._text is not None:
                return {"input": item.name, "index": item.index, **self._text.read(self._words(item, self._text))}
            return item, self._input(item)
        except DataError as error:
            return Failure(item.name if item.index is None else f"{item.name}[{item.index}]", _plain(str(error)))

    def _words(self, item: GivenInput, reader: TextReader) -> Sequence[str]:
        if isinstance(item.value, Path):
            return words_of(item.value)
        tokens = np.asarray(item.value).ravel()
        if tokens.dtype.kind not in "iu" or (tokens.size and not 0 <= tokens.min() <= tokens.max() < len(reader.words)):
            raise DataError(f"tokens are integers from 0 to {len(reader.words) - 1}")
        return [reader.words[token] for token in tokens.tolist()]

    def _input(self, item: GivenInput) -> Tensor:
        """Return the input of the network, `(1, ...)`."""
        preprocess, value = self.network.preprocess, item.value
        if isinstance(value, Path) and not isinstance(preprocess, Preprocess):
            if not (self._hears and value.suffix.lower() in _SOUNDS):
                raise DataError(f"the network reads {self._what}, in files {' and '.join(self.suffixes)}")
            value = as_spoken_digit(str(value), self.source.arguments)
        if preprocess is None:
            return torch.from_numpy(np.array(value))
        prepared: Tensor = preprocess(value)
        return prepared

    @property
    def _what(self) -> str:
        if self.network.preprocess is None:
            return "what the loaders it was trained on yield"
        return "sequences"

    @torch.no_grad()
    def _told(self, waiting: Sequence[tuple[GivenInput, Tensor] | Failure]) -> Iterator[Row | Failure]:
        """Yield the rows of what has waited, in its order."""
        prepared = [entry for entry in waiting if not isinstance(entry, Failure)]
        rows = iter(self._rows([item for item, _ in prepared], [value for _, value in prepared]) if prepared else ())
        for entry in waiting:
            yield entry if isinstance(entry, Failure) else next(rows)

    def _rows(self, items: Sequence[GivenInput], values: Sequence[Tensor]) -> list[Row]:
        outputs = self.network.outputs(torch.cat(list(values)))
        told = self.answers.rows(outputs, items)
        pairs = zip(items, told, strict=True)
        return [{"input": item.name, "index": item.index, **row} for item, row in pairs]


def predict_files(
    network: TrainedNetwork, inputs: Iterable[str | os.PathLike[str]], **options: Any
) -> Iterator[Row | Failure]:
    """Yield what a trained network says of files and folders: a row each, or why there is none.

    Args:
        network: What `naslib.load_network` returned.
        inputs: Files and folders; of an `.npz` file with several arrays `data.npz:name`.
        **options: Those of `Forecast`.
    """
    return Forecast(network, **options).run(inputs)


def _goes_with(waiting: Sequence[tuple[GivenInput, Tensor] | Failure], value: Tensor) -> bool:
    others = [entry for entry in waiting if not isinstance(entry, Failure)]
    return not others or (others[-1][1].shape[1:] == value.shape[1:] and others[-1][1].dtype == value.dtype)


def _image_suffixes() -> tuple[str, ...]:
    from PIL import Image

    Image.init()
    return tuple(sorted(suffix for suffix, kind in Image.registered_extensions().items() if kind in Image.OPEN))


def _plain(reason: str) -> str:
    """Return a reason in one line, without what names the file once more."""
    text = " ".join(reason.split())
    head, colon, rest = text.partition(": ")
    return rest if colon and head.startswith("cannot read the image ") else text
