"""What a rank's loaders make: the rows of the joined batch, bit for bit, of every kind of loader."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from naslib.data import ImageData, ImageSet, StreamSet, load_data
from naslib.data.augment import AugmentOptions
from naslib.data.epoch_loader import EpochLoader
from naslib.data.loaders import build_search_loaders
from naslib.data.sequences import sequence_data, sequence_info
from naslib.utils.distributed import LocalRows, share_of
from naslib.utils.passage import Passage

OPTIONS = AugmentOptions(cutout=True, cutout_prob=0.5)


def images(task: str = "classification") -> ImageData:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (70, 3, 16, 12), dtype=np.uint8)
    y = rng.integers(0, 3, (70, 16, 12)) if task == "segmentation" else np.arange(70) % 3
    return ImageData.from_arrays("rows", x, y, x[:9], y[:9], flip=True, task=task)


def text() -> ImageData:
    tokens = torch.arange(29 * 6 + 1)
    part = ImageSet(tokens[:-1].view(29, 6), tokens[1:].view(29, 6))
    info = sequence_info("count", part.images, [str(n) for n in tokens.tolist()], "language_modelling", len(tokens))
    return ImageData(dataclasses.replace(info, goes_on=True, varies=True), part, part)


def episodes() -> ImageData:
    data = images()
    sizes = {"ways": 3, "shots": 1, "queries": 2, "episodes": 3, "test_episodes": 2}
    return dataclasses.replace(data, info=dataclasses.replace(data.info, **sizes))


def files(folder: Path) -> ImageData:
    rng = np.random.default_rng(0)
    for name in ("ant", "bee"):
        (folder / name).mkdir(parents=True)
        for number in range(14):
            pixels = rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    data = load_data(str(folder), in_memory=False, image_size=16)
    assert isinstance(data.train, StreamSet)
    return data


def sequences() -> ImageData:
    x = np.random.default_rng(1).normal(size=(60, 2, 9)).astype(np.float32)
    return sequence_data("waves", x, np.arange(60) % 4)


MAKE = {
    "images": lambda folder: images(),
    "masks": lambda folder: images("segmentation"),
    "sequences": lambda folder: sequences(),
    "text": lambda folder: text(),
    "episodes": lambda folder: episodes(),
    "files": files,
}


def rows_of(found: Any) -> tuple[Any, int | None]:
    return (found.batch, found.total) if isinstance(found, LocalRows) else (found, None)


def compare(loader: EpochLoader, world: int, start: int) -> set[int | None]:
    """Compare the batches of every rank with the rows of the joined batches; return how many rows those have."""
    joined = list(loader.batches(1, start))
    totals: set[int | None] = set()
    for rank in range(world):
        made = list(loader.batches(1, start, ranks=(rank, world)))
        assert len(made) == len(joined) == len(loader) - start
        for found, (x, y) in zip(made, joined, strict=True):
            (inputs, targets), total = rows_of(found)
            totals.add(total)
            rows = slice(None) if total is None else share_of(len(x), rank, world)
            assert total == (len(x) if world > 1 and len(x) // world >= 2 else None)
            assert torch.equal(inputs, x[rows]) and torch.equal(targets, y[rows])
            assert inputs.dtype == x.dtype and targets.dtype == y.dtype
    return totals


@pytest.mark.parametrize("kind", list(MAKE))
def test_a_rank_makes_its_rows_of_the_joined_batch(kind: str, tmp_path: Path) -> None:
    data = MAKE[kind](tmp_path / "pictures")
    augmentation = OPTIONS if kind in ("images", "files") else None
    loaders = build_search_loaders(data, batch_size=8, train_portion=0.6, seed=4, augmentation=augmentation)
    for loader in (loaders.train, loaders.valid, loaders.test):
        assert loader is not None
        for world, start in ((2, 0), (3, 1), (1, 0)):
            compare(loader, world, start)


def test_channels_last_and_prefetch_make_the_same_rows() -> None:
    options: dict[str, Any] = {"memory_format": torch.channels_last, "prefetch": True, "augmentation": OPTIONS}
    train = build_search_loaders(images(), batch_size=10, train_portion=0.6, seed=4, **options).train
    assert compare(train, 2, 0) == {10, None}  # 42 images: four batches of 10, and 2 images that are too few for two
    assert all(rows_of(batch)[0][0].is_contiguous(memory_format=torch.channels_last) for batch in train.batches(0))


def test_a_batch_too_small_for_all_ranks_is_whole_on_each() -> None:
    train = build_search_loaders(images(), batch_size=13, train_portion=0.6, seed=4).train  # 42 = 3 x 13 + 3
    for rank in (0, 1):
        *full, last = list(train.batches(0, ranks=(rank, 2)))
        assert [len(batch.batch[0]) for batch in full] == [7 - rank] * 3 and not isinstance(last, LocalRows)
        assert len(last[0]) == 3


def test_the_pieces_of_a_text_keep_what_they_are() -> None:
    train = build_search_loaders(text(), batch_size=4, train_portion=0.6, seed=4).train
    for found, whole in zip(train.batches(0, ranks=(1, 2)), train.batches(0), strict=True):
        assert isinstance(found.batch, Passage) and found.batch.goes_on and found.batch.share == whole.share


def test_every_loader_of_ours_is_compared() -> None:
    kinds = {type(build_search_loaders(make(Path()), batch_size=4, train_portion=0.6, seed=0).train).__name__
             for name, make in MAKE.items() if name != "files"}  # fmt: skip
    assert kinds | {"StreamLoader"} == {kind.__name__ for kind in EpochLoader.__subclasses__()}
