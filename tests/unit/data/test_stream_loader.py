"""Loaders of files: the bits of the loader in memory, with and without workers."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from naslib.data import BatchLoader, ImageData, StreamLoader, StreamSet, load_data
from naslib.data.augment import Augmentation
from naslib.data.sets.imagefolder import decode_all
from naslib.errors import DataError

FULL = Augmentation(2, True, 8, 0.5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write 3 classes of 9 PNG images of 20x24 pixels."""
    rng = np.random.default_rng(0)
    root = tmp_path / "pictures"
    for name in ("ant", "bee", "cat"):
        (root / name).mkdir(parents=True)
        for number in range(9):
            pixels = rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root


def stream(folder: Path, **options: object) -> ImageData:
    return load_data(str(folder), in_memory=False, image_size=16, **options)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_same_bits_as_in_memory(folder: Path, workers: int, memory_format: torch.memory_format) -> None:
    data = stream(folder)
    assert isinstance(data.train, StreamSet)
    memory = decode_all(data.train)
    options = {"batch_size": 5, "seed": 3, "augmentation": FULL, "memory_format": memory_format}
    reference = BatchLoader(memory, data.info, **options)  # type: ignore[arg-type]
    loader = StreamLoader(data.train, data.info, workers=workers, **options)  # type: ignore[arg-type]
    for epoch in range(2):
        pairs = list(zip(loader.batches(epoch), reference.batches(epoch), strict=True))
        assert len(pairs) == len(loader) == len(reference)
        for (x, y), (u, v) in pairs:
            assert torch.equal(x, u) and torch.equal(y, v)
            assert x.is_contiguous(memory_format=memory_format)
    tail = [x for x, _ in loader.batches(1, start=3)]
    assert all(torch.equal(x, u[0]) for x, u in zip(tail, reference.batches(1, start=3), strict=True))


@pytest.mark.parametrize("workers", [0, 1])
def test_abandoned_and_nested_iterations(folder: Path, workers: int) -> None:
    data = stream(folder)
    assert isinstance(data.train, StreamSet)
    loader = StreamLoader(data.train, data.info, batch_size=5, seed=0, workers=workers)
    whole = [y.tolist() for _, y in loader.batches(0)]
    abandoned = loader.batches(0)
    next(abandoned)
    nested = [y.tolist() for _, y in loader.batches(0)]
    assert nested == whole
    abandoned.close()
    assert [y.tolist() for _, y in loader.batches(0)] == whole


def test_global_generator_is_untouched(folder: Path) -> None:
    data = stream(folder)
    assert isinstance(data.train, StreamSet)
    before = torch.get_rng_state()
    list(StreamLoader(data.train, data.info, batch_size=5, seed=0))
    assert torch.equal(before, torch.get_rng_state())


def test_area_crops_are_seeded_and_off_in_evaluation(folder: Path) -> None:
    data = stream(folder, resized_crop=True)
    assert isinstance(data.train, StreamSet) and data.info.resized_crop
    loader = StreamLoader(data.train, data.info, batch_size=21, seed=0, augmentation=Augmentation())
    first, again = next(loader.batches(0))[0], next(loader.batches(0))[0]
    other = next(loader.batches(1))[0]
    assert torch.equal(first, again) and not torch.equal(first, other)
    evaluation = loader.as_eval()
    assert torch.equal(next(evaluation.batches(0))[0], next(evaluation.batches(1))[0])


def test_area_crops_have_the_published_distribution() -> None:
    """Recover areas and aspects of many crops from a coordinate image: uniform area, log-uniform aspect."""
    from naslib.data._draws import uniforms
    from naslib.data.decode import resized_crop

    class Recorder:
        size = (400, 300)

        def __init__(self) -> None:
            self.boxes: list[tuple[int, int, int, int]] = []

        def resize(self, size: tuple[int, int], how: object, box: tuple[int, int, int, int]) -> None:
            self.boxes.append(box)

    recorder = Recorder()
    for index in range(3000):
        resized_crop(recorder, 32, uniforms(4, 10, index))  # type: ignore[arg-type]
    boxes = np.array(recorder.boxes)
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    assert (boxes[:, :2] >= 0).all() and (boxes[:, 2] <= 400).all() and (boxes[:, 3] <= 300).all()
    area, aspect = width * height / 120_000, width / height
    assert 0.078 < area.min() < 0.1 and area.max() > 0.95
    assert 0.73 < aspect.min() < 0.77 and 1.30 < aspect.max() < 1.36
    small = area < 0.3  # where no try is refused: uniform
    assert abs(area[small].mean() - 0.19) < 0.005
    assert abs(np.log(aspect[small]).mean()) < 0.02


def test_undecodable_image_is_named(folder: Path) -> None:
    (folder / "bee" / "0.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"cannot read the image .*bee.*0\.png"):
        load_data(str(folder), image_size=16)


def test_pickles_for_workers(folder: Path) -> None:
    data = stream(folder)
    assert isinstance(data.train, StreamSet)
    again = pickle.loads(pickle.dumps(data.train))
    assert np.array_equal(again.load(2), data.train.load(2))
