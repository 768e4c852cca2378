"""The batched augmentation has the distribution of the per-image transforms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from naslib.data import AugmentOptions, BatchLoader, DatasetInfo, ImageData, ImageSet
from naslib.data.augment import Augmentation
from naslib.data.transforms import Cutout, build_transforms
from naslib.errors import ConfigError

# All draws are seeded, so these tests either always pass or never do; the level only says how unusual the draw may be.
LEVEL = 1e-3
INFO = DatasetInfo("grey", 2, 1, 8, (0.35,), (0.2,), ("a", "b"), flip=True, crop_padding=1, cutout_max=4)


def key(image: Tensor) -> bytes:
    return np.rint((image.numpy() * 0.2 + 0.35) * 255).astype(np.uint8).tobytes()


def variants(image: Tensor, padding: int, flip: bool) -> dict[bytes, tuple[int, int, bool]]:
    """Enumerate all crops and flips of one image by slicing."""
    padded = np.pad(image.numpy()[0], padding)
    side = image.shape[1]
    found = {}
    for y in range(2 * padding + 1):
        for x in range(2 * padding + 1):
            crop = padded[y : y + side, x : x + side]
            for mirror in (False, True) if flip else (False,):
                found[np.ascontiguousarray(crop[:, ::-1] if mirror else crop).tobytes()] = (y, x, mirror)
    return found


def draw_all(images: ImageSet, augmentation: Augmentation, **options: object) -> Iterable[Tensor]:
    loader = BatchLoader(images, INFO, batch_size=97, seed=11, augmentation=augmentation, **options)  # type: ignore[arg-type]
    for epoch in range(3):
        for x, _ in loader.batches(epoch):
            yield from x


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("padding", "flip"), [(1, True), (2, True), (1, False), (0, True)])
def test_crop_and_flip_are_uniform(
    grey_set: ImageSet, padding: int, flip: bool, memory_format: torch.memory_format
) -> None:
    expected = variants(grey_set.images[0], padding, flip)
    images = draw_all(grey_set, Augmentation(padding, flip), memory_format=memory_format)
    counts = Counter(expected[key(image)] for image in images)
    assert len(counts) == len(expected) == (2 * padding + 1) ** 2 * (1 + flip)
    assert sum(counts.values()) > 11_900
    assert stats.chisquare(list(counts.values())).pvalue > LEVEL


def test_same_distribution_as_torchvision(grey_set: ImageSet) -> None:
    """Compare frequencies with those of RandomCrop and RandomHorizontalFlip on single PIL images."""
    from torchvision.transforms.functional import to_pil_image

    torch.manual_seed(5)
    transform, _ = build_transforms(INFO)
    picture = to_pil_image(grey_set.images[0])
    expected = variants(grey_set.images[0], 1, True)
    single = Counter(expected[key(transform(picture))] for _ in range(4000))
    batched = Counter(expected[key(image)] for image in draw_all(grey_set, AugmentOptions().resolve(INFO)))
    table = [[single[variant] for variant in expected.values()], [batched[variant] for variant in expected.values()]]
    assert stats.chi2_contingency(table).pvalue > LEVEL


def reference_cutout(y: int, x: int, length: int, size: int) -> bytes:
    """Return the mask of the authors' code: corners clipped to the image."""
    mask = np.ones((size, size), np.float32)
    y1, y2 = np.clip(y - length // 2, 0, size), np.clip(y + length // 2, 0, size)
    x1, x2 = np.clip(x - length // 2, 0, size), np.clip(x + length // 2, 0, size)
    mask[y1:y2, x1:x2] = 0.0
    return mask.tobytes()


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("length", "prob"), [(4, 1.0), (2, 1.0), (4, 0.3), (6, 0.5)])
def test_cutout_masks(grey_set: ImageSet, length: int, prob: float, memory_format: torch.memory_format) -> None:
    masks = [reference_cutout(y, x, length, 8) for y in range(8) for x in range(8)]
    share = Counter(masks)
    probability = {mask: prob * count / 64 for mask, count in share.items()}
    whole = np.ones((8, 8), np.float32).tobytes()
    if prob < 1:
        probability[whole] = 1 - prob
    images = draw_all(grey_set, Augmentation(0, False, length, prob), memory_format=memory_format)
    counts = Counter((image[0] != 0).float().numpy().tobytes() for image in images)
    assert set(counts) == set(probability)
    total = sum(counts.values())
    expected = [probability[mask] * total for mask in probability]
    assert stats.chisquare([counts[mask] for mask in probability], expected).pvalue > LEVEL


@pytest.mark.parametrize("length", [4, 3])
def test_per_image_cutout_has_the_same_masks(length: int) -> None:
    torch.manual_seed(0)
    cut = Cutout(length)
    found = {(cut(torch.ones(2, 8, 8))[0] != 0).float().numpy().tobytes() for _ in range(1500)}
    if length % 2 == 0:
        assert found == {reference_cutout(y, x, length, 8) for y in range(8) for x in range(8)}
    sizes = {64 - int(np.frombuffer(mask, np.float32).sum()) for mask in found}
    assert max(sizes) == length**2
    assert Cutout(4, 0.0)(torch.ones(1, 8, 8)).min() == 1


def test_crop_flip_and_cutout_are_independent(grey_set: ImageSet) -> None:
    crops = variants(grey_set.images[0], 1, True)
    plain = [crops[key(image)] for image in draw_all(grey_set, Augmentation(1, True))]
    cut = [bool((image == 0).any()) for image in draw_all(grey_set, Augmentation(1, True, 4, 0.4))]
    table = np.zeros((18, 2))
    order = {variant: row for row, variant in enumerate(crops.values())}
    for variant, is_cut in zip(plain, cut, strict=True):
        table[order[variant], int(is_cut)] += 1
    assert stats.chi2_contingency(table).pvalue > LEVEL


def test_cutout_does_not_change_the_crops(colour_data: ImageData) -> None:
    options = {"batch_size": 32, "seed": 3}
    plain = BatchLoader(colour_data.train, colour_data.info, augmentation=Augmentation(2, True), **options)  # type: ignore[arg-type]
    cut = BatchLoader(colour_data.train, colour_data.info, augmentation=Augmentation(2, True, 8), **options)  # type: ignore[arg-type]
    for (x, _), (y, _) in zip(plain.batches(0), cut.batches(0), strict=True):
        erased = (y == 0).all(1, keepdim=True).expand_as(y)
        assert torch.equal(x[~erased], y[~erased])


def test_large_offsets_are_64_bit() -> None:
    """Check the arithmetic where a batch has more than 2**31 bytes, without allocating it."""
    from naslib.data.augment import crop_and_flip, draw

    raw = torch.randint(0, 256, (3, 1, 8, 8), dtype=torch.uint8)
    draws = draw(Augmentation(1, True), 8, 3, torch.device("cpu"), 0)
    assert all(row.dtype == torch.int32 for row in draws)
    out = crop_and_flip(raw, draws, 1, False)
    for index in range(3):
        y, x, flip = (int(row[index]) for row in (draws.top, draws.left, draws.flip))
        crop = np.pad(raw[index, 0].numpy(), 1)[y : y + 8, x : x + 8]
        assert (out[index, 0].numpy() == (crop[:, ::-1] if flip else crop)).all()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (AugmentOptions(), Augmentation(1, True)),
        (AugmentOptions(cutout=True), Augmentation(1, True, 4)),
        (AugmentOptions(cutout=True, cutout_length=6, cutout_prob=0.5), Augmentation(1, True, 6, 0.5)),
        (AugmentOptions(cutout=False, cutout_length=16), Augmentation(1, True)),
        (AugmentOptions(flip=False, crop=False), Augmentation()),
    ],
)
def test_options_resolve(options: AugmentOptions, expected: Augmentation) -> None:
    assert options.resolve(INFO) == expected


@pytest.mark.parametrize("length", [8, 16])
def test_cutout_that_erases_the_image(length: int) -> None:
    with pytest.raises(ConfigError, match="would erase the 8x8 images"):
        AugmentOptions(cutout=True, cutout_length=length).resolve(INFO)


def test_all_problems_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        AugmentOptions(cutout=True, cutout_length=-1, cutout_prob=1.5).resolve(INFO)
    assert len(caught.value.problems) == 2
