"""Bring your own data: a base class in NASLib's manner that turns two datasets into search loaders."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, Subset

from naslib.errors import DataError
from naslib.utils.seeding import derive_seed


class CustomDataset(ABC):
    """Make loaders of the user's data.

    Subclasses say how images are transformed and where they are; the loaders go to
    `Trainer(..., train_loader=..., valid_loader=..., test_loader=...)`.

    Args:
        config: A config; read are `data`, `dataset`, `seed`, `workers` and the section of `mode`.
        mode: `"train"` for the `search` section, anything else for `evaluation`.
    """

    def __init__(self, config: Any, mode: str = "train") -> None:
        self.config = config.search if mode == "train" else config.evaluation
        self.data = getattr(config, "data", None)
        self.dataset = config.dataset
        self.seed = int(config.seed)
        self.workers = int(getattr(config, "workers", 0))
        self.batch_size = int(getattr(config, "batch_size", self.config.batch_size))
        self.train_portion = float(getattr(config, "train_portion", self.config.train_portion))

    @abstractmethod
    def get_transforms(self, config: Any) -> tuple[Any, Any]:
        """Return the transforms of training and of validation and test images.

        Args:
            config: The section of the config that is in use.
        """

    @abstractmethod
    def get_data(self, data: Any, train_transform: Any, valid_transform: Any) -> tuple[Dataset[Any], Dataset[Any]]:
        """Return the training and the test data set.

        Args:
            data: The data folder of the config.
            train_transform: What `get_transforms` returned first.
            valid_transform: What `get_transforms` returned second.
        """

    def get_loaders(self) -> tuple[DataLoader[Any], DataLoader[Any] | None, DataLoader[Any], Any, Any]:
        """Return `(train, valid, test, train_transform, valid_transform)`.

        The split is drawn by the seed; validation images get the validation transform (in NASLib they are augmented).
        With a train portion of 1 there is no validation part and `valid` is None. A trailing training batch of one
        image, which batch normalization cannot use, is dropped.

        Raises:
            DataError: If a part has no images.
        """
        train_transform, valid_transform = self.get_transforms(self.config)
        train_data, test_data = self.get_data(self.data, train_transform, valid_transform)
        plain_data, _ = self.get_data(self.data, valid_transform, valid_transform)
        count = len(train_data)  # type: ignore[arg-type]
        generator = torch.Generator().manual_seed(derive_seed(self.seed, "custom-split"))
        order = torch.randperm(count, generator=generator).tolist()
        split = count if self.train_portion >= 1 else int(self.train_portion * count)
        if split < 2 or len(test_data) == 0:  # type: ignore[arg-type]
            raise DataError(
                f"{self.dataset}: {split} training images (train_portion {self.train_portion:g} of {count}) and "
                f"{len(test_data)} test images; training needs at least 2, the test 1"  # type: ignore[arg-type]
            )
        train = self._loader(Subset(train_data, order[:split]), shuffle=True)
        valid = self._loader(Subset(plain_data, order[split:]), shuffle=False) if split < count else None
        return train, valid, self._loader(test_data, shuffle=False), train_transform, valid_transform

    def get_data_loaders(self) -> tuple[DataLoader[Any], DataLoader[Any] | None, DataLoader[Any]]:
        """Return `(train, valid, test)`, in the order of the Trainer's keywords."""
        return self.get_loaders()[:3]

    def _loader(self, data: Dataset[Any], shuffle: bool) -> DataLoader[Any]:
        """Return a loader of `data` in the run's batch size."""
        count = len(data)  # type: ignore[arg-type]
        return DataLoader(
            data,
            batch_size=self.batch_size,
            shuffle=shuffle,
            num_workers=self.workers,
            pin_memory=torch.cuda.is_available(),
            drop_last=shuffle and count > self.batch_size and count % self.batch_size == 1,
            generator=torch.Generator().manual_seed(derive_seed(self.seed, "custom-order")) if shuffle else None,
        )
