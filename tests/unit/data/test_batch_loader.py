"""Loaders in memory: determinism, resuming, completeness."""

from __future__ import annotations

import functools
import random
import threading
from collections.abc import Generator, Iterator

import numpy as np
import pytest
import torch
from call_count import count_calls

from naslib.data import AugmentOptions, BatchLoader, ImageData, Loaders, build_eval_loaders, build_search_loaders
from naslib.data._prefetch import prefetched
from naslib.data.augment import Augmentation
from naslib.errors import ConfigError, DataError

FULL = Augmentation(2, True, 8, 0.5)


def make(data: ImageData, **options: object) -> BatchLoader:
    given: dict[str, object] = {"batch_size": 10, "seed": 1, "augmentation": FULL, **options}
    return BatchLoader(data.train, data.info, **given)  # type: ignore[arg-type]


def collect(items: Iterator[tuple[torch.Tensor, torch.Tensor]]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return list(items)


def same(a: list[tuple[torch.Tensor, torch.Tensor]], b: list[tuple[torch.Tensor, torch.Tensor]]) -> bool:
    return len(a) == len(b) and all(
        torch.equal(x, u) and torch.equal(y, v) for (x, y), (u, v) in zip(a, b, strict=True)
    )


@pytest.mark.parametrize("prefetch", [False, True])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_tail_equals_the_whole_epoch(
    colour_data: ImageData, memory_format: torch.memory_format, prefetch: bool
) -> None:
    loader = make(colour_data, memory_format=memory_format, prefetch=prefetch)
    whole = collect(make(colour_data, memory_format=memory_format).batches(4))
    assert len(whole) == len(loader) == 11
    for start in (0, 1, 7, 11):
        assert same(collect(loader.batches(4, start)), whole[start:])


def test_iteration_advances_its_own_epoch(colour_data: ImageData) -> None:
    loader = make(colour_data)
    first, second = collect(iter(loader)), collect(iter(loader))
    assert not same(first, second)
    assert same(first, collect(make(colour_data).batches(0)))
    assert same(second, collect(make(colour_data).batches(1)))
    loader.set_epoch(0)
    assert same(first, collect(iter(loader)))
    collect(loader.batches(9))
    assert loader.epoch == 1


@pytest.mark.parametrize("change", [{"seed": 2}, {"stream": "valid"}])
def test_other_seed_or_stream_is_another_order(colour_data: ImageData, change: dict[str, object]) -> None:
    assert not same(collect(make(colour_data).batches(0)), collect(make(colour_data, **change).batches(0)))


def test_two_iterations_do_not_disturb_each_other(colour_data: ImageData) -> None:
    loader = make(colour_data)
    interleaved = list(zip(loader.batches(0), loader.batches(1), strict=True))
    assert same([pair[0] for pair in interleaved], collect(loader.batches(0)))
    assert same([pair[1] for pair in interleaved], collect(loader.batches(1)))


def test_global_generators_are_untouched(colour_data: ImageData) -> None:
    before = (torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate())  # type: ignore[index]
    collect(make(colour_data).batches(0))
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1:] == (np.random.get_state()[1].tolist(), random.getstate())  # type: ignore[index]


def test_every_image_once_per_epoch(colour_data: ImageData) -> None:
    loader = make(colour_data, augmentation=None)
    seen = torch.cat([y for _, y in loader.batches(0)])
    assert torch.equal(torch.bincount(seen), torch.bincount(colour_data.train.labels))
    assert [len(y) for _, y in loader.batches(0)] == [10] * 10 + [3]


def test_images_are_normalised_and_belong_to_their_labels(colour_data: ImageData) -> None:
    info = colour_data.info
    mean = torch.tensor(info.mean, dtype=torch.float64).view(3, 1, 1)
    std = torch.tensor(info.std, dtype=torch.float64).view(3, 1, 1)
    reference = (colour_data.train.images.double() / 255 - mean) / std
    loader = make(colour_data, augmentation=None)
    order = torch.from_numpy(loader._order(2))
    assert sorted(order.tolist()) == list(range(103))
    x = torch.cat([x for x, _ in loader.batches(2)])
    torch.testing.assert_close(x.double(), reference[order], rtol=0, atol=1e-5)
    assert torch.equal(torch.cat([y for _, y in loader.batches(2)]), colour_data.train.labels[order])


def test_memory_formats_hold_the_same_values(colour_data: ImageData) -> None:
    plain = collect(make(colour_data).batches(0))
    last = collect(make(colour_data, memory_format=torch.channels_last).batches(0))
    assert same(plain, last)
    assert all(x.is_contiguous(memory_format=torch.channels_last) for x, _ in last)
    assert all(x.is_contiguous() and x.dtype == torch.float32 for x, _ in plain)


def test_trailing_image_is_dropped_in_training_only(colour_data: ImageData) -> None:
    training = make(colour_data, batch_size=51)
    assert [len(y) for _, y in training.batches(0)] == [51, 51] and len(training) == 2
    evaluation = training.as_eval()
    assert [len(y) for _, y in evaluation.batches(0)] == [51, 51, 1] and len(evaluation) == 3
    assert torch.equal(torch.cat([y for _, y in evaluation]), colour_data.train.labels)
    assert len(make(colour_data, batch_size=1)) == 103


def test_raw_images_are_never_written_to(colour_data: ImageData) -> None:
    before = colour_data.train.images.clone()
    for memory_format in (torch.contiguous_format, torch.channels_last):
        for augmentation in (FULL, None, Augmentation(0, False, 4)):
            collect(make(colour_data, augmentation=augmentation, memory_format=memory_format).batches(0))
    assert torch.equal(before, colour_data.train.images)


def build(data: ImageData, **options: object) -> Loaders:
    given: dict[str, object] = {"batch_size": 10, "train_portion": 0.5, "seed": 1, **options}
    return build_search_loaders(data, **given)  # type: ignore[arg-type]


def test_search_loaders_share_the_training_part(colour_data: ImageData) -> None:
    loaders = build(colour_data)
    assert loaders.valid is not None
    together = [*loaders.train.indices.tolist(), *loaders.valid.indices.tolist()]
    assert sorted(together) == list(range(103))
    assert loaders.train.augmentation == Augmentation(2, True)
    assert loaders.valid.augmentation is None and loaders.valid.shuffle
    assert loaders.test.augmentation is None and not loaders.test.shuffle and loaders.test.n_images == 20
    labels = colour_data.train.label_array
    for part in (loaders.train, loaders.valid):
        counts = np.bincount(labels[part.indices])
        assert counts.max() - counts.min() <= 1
    assert loaders.train._key(0, 0) != loaders.valid._key(0, 0)


def test_search_and_evaluation_split_alike(colour_data: ImageData) -> None:
    search = build(colour_data, train_portion=0.7)
    evaluation = build_eval_loaders(colour_data, batch_size=10, train_portion=0.7, seed=1)
    assert np.array_equal(search.train.indices, evaluation.train.indices)
    assert evaluation.valid is not None and not evaluation.valid.shuffle and not evaluation.valid.drop_single


def test_full_train_portion_leaves_no_validation(colour_data: ImageData) -> None:
    assert build(colour_data, train_portion=1.0).valid is None
    assert build_eval_loaders(colour_data, batch_size=10, seed=0).train.n_images == 103


def test_a_loader_that_would_yield_nothing(colour_data: ImageData) -> None:
    def loader(batch_size: int, **options: object) -> BatchLoader:
        single = np.array([3])
        return BatchLoader(colour_data.train, colour_data.info, batch_size=batch_size, indices=single, **options)  # type: ignore[arg-type]

    with pytest.raises(DataError, match="the train loader of 'colour' has one image, and batch normalization cannot"):
        loader(2)
    assert len(list(loader(1))) == len(list(loader(2, shuffle=False))) == 1


def test_bad_options(colour_data: ImageData) -> None:
    with pytest.raises(DataError, match=r"has 52 images .* fewer than a batch: set batch_size below 53"):
        build(colour_data, batch_size=53)
    with pytest.raises(ConfigError, match="train_portion must be above 0"):
        build(colour_data, train_portion=0.0)
    with pytest.raises(ConfigError, match="leaves 0 for validation"):
        build(colour_data, train_portion=0.999)
    with pytest.raises(ConfigError, match="would erase"):
        build(colour_data, augmentation=AugmentOptions(cutout=True, cutout_length=16))
    with pytest.raises(ConfigError, match="batch_size must be at least 1"):
        make(colour_data, batch_size=0)
    with pytest.raises(ConfigError, match="memory_format"):
        make(colour_data, memory_format=torch.preserve_format)
    with pytest.raises(ConfigError, match="has 11 batches, it cannot start at 12"):
        make(colour_data).batches(0, 12)
    with pytest.raises(DataError, match="no images"):
        make(colour_data, indices=np.array([], dtype=np.int64))


def test_prefetch_hands_errors_over_and_ends_its_thread() -> None:
    def failing() -> Generator[int, None, None]:
        yield 1
        raise ZeroDivisionError("in the thread")

    items = prefetched(failing())
    assert next(items) == 1
    with pytest.raises(ZeroDivisionError, match="in the thread"):
        next(items)

    def endless() -> Generator[int, None, None]:
        while True:
            yield 2

    before = threading.active_count()
    abandoned = prefetched(endless())
    next(abandoned)
    abandoned.close()
    assert threading.active_count() == before


def test_a_batch_costs_as_many_calls_as_an_image() -> None:
    """Guard against a path per image, which takes twenty times the time."""
    images = np.random.default_rng(0).integers(0, 256, (2000, 3, 32, 32), dtype=np.uint8)
    data = ImageData.from_arrays("speed", images, np.arange(2000) % 10, flip=True)
    counts = []
    for batch_size in (1, 8, 64):
        loaders = build_search_loaders(
            data, batch_size=batch_size, train_portion=1.0, seed=0, augmentation=AugmentOptions(cutout=True)
        )
        batches = loaders.train.batches(0)
        next(batches)
        counts.append(count_calls(functools.partial(next, batches)))
    assert counts[0] == counts[1] == counts[2] < 300
