"""The loader's share of a search step: gather, augment and normalise against forward, backward and update."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch

from naslib.data.image_data import ImageData
from naslib.data.loaders import build_search_loaders

from . import subjects
from .harness import interleave
from .records import Row, seconds_row
from .settings import Options, Setting

LIMIT = 0.03
N_IMAGES = 10_000
METHODS: dict[str, Callable[[Setting], subjects.Subject]] = {
    "DARTS": subjects.darts,
    "NB201 DARTS": subjects.nb201,
    "NB201 GDAS": subjects.nb201_gdas,
}


def random_images(image: int, n_images: int = N_IMAGES) -> ImageData:
    """Return a data set of random bytes of CIFAR's shape, with flips."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (n_images, 3, image, image), generator=generator, dtype=torch.uint8)
    labels = torch.arange(n_images) % subjects.N_CLASSES
    return ImageData.from_arrays("random", images, labels, flip=True)


def measure(options: Options) -> list[Row]:
    """Return milliseconds of a pair of batches and of a step, and the share of the former; no prefetching."""
    setting = options.setting()
    data = random_images(setting.image, 200 if options.smoke else N_IMAGES)
    layout = torch.channels_last if setting.channels_last else torch.contiguous_format
    loaders = build_search_loaders(
        data, batch_size=setting.batch, train_portion=0.5, seed=0, device=options.device, memory_format=layout
    )
    train, valid = _endless(loaders.train), _endless(loaders.valid or loaders.train)
    rows = []
    for method, make in METHODS.items():
        subject = make(setting)
        pair, step = f"a training and a validation batch, {method}", f"step, {method}"
        timings = interleave(
            {pair: lambda: (train(), valid()), step: subject.step},
            rounds=options.n_rounds(7, 3),
            device=options.device,
            calls={pair: 10},
        )
        note = f"batch {setting.batch}"
        rows += [seconds_row("loader", name, timings, note) for name in (pair, step)]
        shares = [a / (a + b) for a, b in zip(timings.seconds[pair], timings.seconds[step], strict=True)]
        middle = sorted(shares)[len(shares) // 2]
        rows.append(
            Row(
                "loader",
                f"share of a step, {method}",
                middle,
                "",
                min(shares),
                max(shares),
                len(shares),
                LIMIT,
                sense="<=",
            )
        )
    return rows


def _endless(loader: Iterable[object]) -> Callable[[], object]:
    """Return a function that gives the next batch, epoch after epoch."""
    iterator = iter(loader)

    def following() -> object:
        nonlocal iterator
        batch = next(iterator, None)
        if batch is None:
            iterator = iter(loader)
            batch = next(iterator)
        return batch

    return following
