"""Run data: the data set of a run, to calibrate on its training part and to test on its test part."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from naslib.data.augment import AugmentOptions
from naslib.data.image_data import ImageData
from naslib.data.loaders import build_eval_loaders
from naslib.data.registry import load_data
from naslib.errors import ConfigError, NASLibError
from naslib.utils.locations import without_downloads

from .subject import ExportSubject


@dataclass(frozen=True)
class RunData:
    """What a run was trained and tested on.

    Attributes:
        data: The data set.
        train: Batches of the training part as in a test: in order, not augmented.
        test: Batches of the test part.
    """

    data: ImageData
    train: Iterable[Any]
    test: Iterable[Any]

    @property
    def sizes(self) -> dict[str, int]:
        """Items of each part."""
        return {"training": len(self.data.train), "test": len(self.data.test)}


def read_run_data(subject: ExportSubject) -> RunData:
    """Return the data of the run that a network is of; nothing is downloaded.

    Raises:
        ConfigError: If the network is of no run, or of a run on loaders of a person's own.
        NASLibError: If the data cannot be read.
    """
    config = subject.config
    if not config.get("dataset"):
        raise ConfigError("it is of no run whose config says which data that is")
    if subject.summary.get("own_loaders"):
        raise ConfigError("the run was trained on loaders of one's own, which its config does not say")
    section, seed = config.get("evaluation") or {}, int(config.get("seed") or 0)
    with without_downloads():
        data = load_data(
            config["dataset"], data_dir=config.get("data"), seed=seed, **dict(config.get("dataset_args") or {})
        )
    loaders = build_eval_loaders(
        data,
        batch_size=int(section.get("batch_size", 64)),
        train_portion=float(section.get("train_portion", 1.0)),
        seed=seed,
        augmentation=AugmentOptions(cutout=False),
    )
    as_eval = getattr(loaders.train, "as_eval", None)
    return RunData(data, as_eval() if callable(as_eval) else loaders.train, loaders.test)


def sizes_or_reason(subject: ExportSubject) -> dict[str, int] | str:
    """Return how many items the parts of the data set have, or why that is not known here."""
    try:
        return read_run_data(subject).sizes
    except (NASLibError, OSError) as error:
        return str(error).splitlines()[0]
