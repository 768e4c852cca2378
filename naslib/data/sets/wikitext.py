"""WikiText-2, a text of words: predict the next one."""

from __future__ import annotations

import dataclasses
import logging
import lzma
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from naslib.data.image_data import ImageData, ImageSet
from naslib.data.registry import DATASETS
from naslib.data.sequences import sequence_info
from naslib.data.sets._known import not_downloadable
from naslib.errors import ConfigError, DataError
from naslib.utils.locations import subfolders

_logger = logging.getLogger("naslib.data")
_END, _UNKNOWN = "<eos>", "<unk>"
# The official files, those of the raw archive's plain copies, and either compressed.
_NAMES = ("wiki.{}.tokens", "{}.txt", "wiki.{}.tokens.xz", "{}.txt.xz")


@DATASETS.register("wikitext2", "wikitext-2")
def load_wikitext2(
    data_dir: Path | None,
    seed: int,
    *,
    bptt: int = 35,
    vocabulary_size: int | None = None,
    train_tokens: int | None = None,
    goes_on: bool = False,
    varies: bool = False,
) -> ImageData:
    """Load WikiText-2 as windows of words and the words that follow each of them.

    The text is taken as it is: words are what white space separates, and each line ends in `<eos>`. Windows are cut one
    after the other and do not overlap; a network sees nothing of the window before, so windows may be shuffled. Or
    batches go through the text row by row (`goes_on`), and a recurrent network remembers what came before. Where there
    is no training file, the validation file is trained on, as in small searches; the test file is the test part.

    Args:
        data_dir: The folder that holds `wiki.train.tokens, wiki.valid.tokens, wiki.test.tokens` or `train.txt` ...,
            plain or as `.xz`, or `wikitext2/` or `wikitext-2/` with them.
        seed: Not used.
        bptt: Words of a window.
        vocabulary_size: How many different words are kept, the most frequent ones of the training part (and `<unk>`,
            which stands for all others); None keeps all.
        train_tokens: How many words of the training part are used, from the start; None for all.
        goes_on: Whether batches go on where the one before ended (see `naslib.data.text_loader`), rather than being of
            windows from anywhere.
        varies: Whether a retraining then draws the lengths of its batches anew in each epoch.

    Raises:
        ConfigError: If an argument is out of range.
        DatasetMissing: If its files are not there.
        DataError: If a file cannot be read, or is shorter than a window.
    """
    if varies and not goes_on:
        raise ConfigError("dataset_args: varies needs goes_on: true, batches that go on where the one before ended")
    if bptt < 1 or (vocabulary_size is not None and vocabulary_size < 2) or (train_tokens or bptt) < bptt:
        raise ConfigError(
            f"dataset_args: bptt must be at least 1, vocabulary_size at least 2 and train_tokens at least bptt, got "
            f"{bptt}, {vocabulary_size}, {train_tokens}"
        )
    train_file, test_file = _find(data_dir)
    train, test = read_words(train_file)[: train_tokens and train_tokens + 1], read_words(test_file)
    words = choose_vocabulary(train, vocabulary_size)
    numbers = {word: number for number, word in enumerate(words)}
    parts = [windows(encode(text, numbers), bptt, file) for text, file in ((train, train_file), (test, test_file))]
    info = sequence_info("wikitext2", parts[0].images, words, "language_modelling", len(words))
    info = dataclasses.replace(info, goes_on=goes_on, varies=varies)
    return ImageData(info, *parts)


def _find(data_dir: Path | None) -> tuple[Path, Path]:
    """Return the files of the training and of the test part."""
    for folder in subfolders(data_dir, ("wikitext2", "wikitext-2", "WikiText2", "")):
        found = {part: _file(folder, part) for part in ("train", "valid", "test")}
        if found["test"] is None:
            continue
        if found["train"] is not None:
            return found["train"], found["test"]
        if found["valid"] is not None:
            _logger.info("wikitext2: %s holds no training file; the validation file is trained on", folder)
            return found["valid"], found["test"]
    raise not_downloadable(
        "wikitext2",
        data_dir,
        "Put wiki.train.tokens, wiki.valid.tokens and wiki.test.tokens (or train.txt ..., also as .xz) into "
        "<data>/wikitext2",
    )


def _file(folder: Path, part: str) -> Path | None:
    names = [name.format(part) for name in _NAMES]
    return next((folder / name for name in names if (folder / name).is_file()), None)


def read_words(file: Path) -> list[str]:
    """Return the words of a text, `<eos>` at the end of each line.

    Raises:
        DataError: If it cannot be read.
    """
    try:
        data = file.read_bytes()
        text = (lzma.decompress(data) if file.suffix == ".xz" else data).decode("utf-8")
    except (OSError, EOFError, lzma.LZMAError, UnicodeDecodeError) as err:
        raise DataError(f"cannot read {file}: {err}; fetch it again") from err
    return [word for line in text.removesuffix("\n").split("\n") for word in (*line.split(), _END)]


def choose_vocabulary(words: list[str], size: int | None) -> list[str]:
    """Return the words that are kept, the most frequent first (ties: the first to occur), `<unk>` among them."""
    counts = Counter(words)
    counts.setdefault(_UNKNOWN, 0)
    ranked = [word for word, _ in counts.most_common()]
    if size is None or size >= len(ranked):
        return ranked
    kept = ranked[:size]
    return kept if _UNKNOWN in kept else [*kept[:-1], _UNKNOWN]


def encode(words: list[str], numbers: dict[str, int]) -> NDArray[np.int64]:
    """Return the number of each word, that of `<unk>` for one that is not in the vocabulary."""
    unknown = numbers[_UNKNOWN]
    return np.fromiter((numbers.get(word, unknown) for word in words), dtype=np.int64, count=len(words))


def windows(tokens: NDArray[np.int64], bptt: int, file: Path) -> ImageSet:
    """Return windows `(n, bptt)` of a text and what follows each of their words.

    Raises:
        DataError: If it is shorter than a window.
    """
    n = (len(tokens) - 1) // bptt
    if n < 1:
        raise DataError(f"{file} has {len(tokens)} words, fewer than a window of {bptt} and the word after it")
    both = torch.from_numpy(tokens[: n * bptt + 1])
    return ImageSet(both[:-1].reshape(n, bptt), both[1:].reshape(n, bptt))
