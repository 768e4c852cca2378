"""Episodes: batches of a few classes, some examples of each, and queries."""

from __future__ import annotations

from collections.abc import Generator
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from naslib.data._draws import permutation
from naslib.data.augment import Augmentation
from naslib.data.epoch_loader import Batch, EpochLoader, Ranks
from naslib.data.info import DatasetInfo
from naslib.data.pipeline import Share
from naslib.errors import DataError


class Bank(Protocol):
    """Images on a device, for several loaders to share (`ImageBank`)."""

    raw: Tensor
    label_array: NDArray[np.int64]
    device: torch.device
    memory_format: torch.memory_format


class EpisodeLoader(EpochLoader):
    """Yield episodes: `info.ways` classes of those that it has, `info.shots` examples and `info.queries` of each.

    The classes of an episode and their images are drawn without replacement, as a function of (seed, stream, epoch,
    number). Its classes are numbered anew, in the order of the draw. An image that is an example is no query.

    Args:
        bank: The images.
        info: What they are, with the sizes of episodes.
        episodes: How many an epoch has.
        seed: Seed of the run.
        indices: The images that belong to this loader; None for all.
        stream: Name within the run.
        fixed: Whether every epoch has the episodes of the first.
        augmentation: What is done to the images; None for evaluation.
        prefetch: Whether a thread makes episodes ahead.

    Raises:
        DataError: If there are fewer classes than an episode has, or fewer images of a class than examples and queries.
    """

    def __init__(
        self,
        bank: Bank,
        info: DatasetInfo,
        *,
        episodes: int,
        seed: int = 0,
        indices: NDArray[np.int64] | None = None,
        stream: str = "train",
        fixed: bool = False,
        augmentation: Augmentation | None = None,
        prefetch: bool = False,
    ) -> None:
        self.episodes, self.fixed, self.bank = episodes, fixed, bank
        each = info.shots + info.queries
        super().__init__(
            info,
            bank.label_array,
            indices=indices,
            batch_size=info.ways * each,
            seed=seed,
            stream=stream,
            shuffle=not fixed,
            augmentation=augmentation,
            drop_single=False,
            device=bank.device,
            memory_format=bank.memory_format,
            prefetch=prefetch,
        )
        labels = bank.label_array[self.indices]
        self._of_class = {int(c): self.indices[labels == c] for c in np.unique(labels)}
        few = [c for c, images in self._of_class.items() if len(images) < each]
        if len(self._of_class) < info.ways:
            raise DataError(
                f"the {stream} episodes of {info.name!r} have {info.ways} ways, and there are {len(self._of_class)} "
                "classes: lower ways, or give that part more classes (dataset_args.test_classes)"
            )
        if few:
            said = ", ".join(f"{info.class_names[c]} ({len(self._of_class[c])})" for c in few)
            raise DataError(
                f"an episode of {info.name!r} takes {info.shots} + {info.queries} images of a class, and the {stream} "
                f"part has fewer of {said}: lower shots or queries, or move search.train_portion"
            )

    def __len__(self) -> int:
        return self.episodes

    def _size(self, number: int) -> int:
        return self.batch_size

    def _batches(self, epoch: int, start: int, ranks: Ranks) -> Generator[Batch, None, None]:
        for number in range(start, len(self)):
            images, targets = self.episode(0 if self.fixed else epoch, number)
            rows = self._rows_of(number, ranks)
            share = None if rows is None else Share(rows, len(images))
            if rows is not None:
                images, targets = images[rows], targets[rows]
            raw = self.bank.raw.index_select(0, torch.from_numpy(images).to(self.device))
            moved = torch.from_numpy(targets).to(self.device)
            yield self._pipeline.batch(raw, moved, *self._key(epoch, number), share=share)

    def episode(self, epoch: int, number: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return which images an episode has, and their targets: examples of all classes first (-1 - c), then queries.

        Both are `(ways * (shots + queries),)`.

        Args:
            epoch: Which epoch, from 0.
            number: Which of its episodes.
        """
        key = (self.seed, self.stream, "episode", epoch, number)
        info, classes = self.info, list(self._of_class)
        chosen = [classes[i] for i in permutation(len(classes), *key, "classes")[: info.ways]]
        drawn = []
        for label in chosen:
            images = self._of_class[label]
            order = permutation(len(images), *key, "images", label)[: info.shots + info.queries]
            drawn.append(images[order])
        support = np.concatenate([images[: info.shots] for images in drawn])
        queries = np.concatenate([images[info.shots :] for images in drawn])
        ways = np.arange(info.ways)
        targets = [np.repeat(-1 - ways, info.shots), np.repeat(ways, info.queries)]
        return np.concatenate([support, queries]), np.concatenate(targets).astype(np.int64)

    def as_eval(self) -> EpisodeLoader:
        """Return a loader of the same images whose episodes are the same in every epoch, without augmentation."""
        return EpisodeLoader(
            self.bank,
            self.info,
            episodes=self.episodes,
            seed=self.seed,
            indices=self.indices,
            stream=f"{self.stream}-eval",
            fixed=True,
            prefetch=self.prefetch,
        )
