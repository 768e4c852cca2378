"""What the known data sets share: their descriptions, and the download that torchvision offers."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import TypeVar

from naslib.data.info import DatasetInfo, default_crop_padding
from naslib.errors import DatasetMissing, DatasetNotDownloaded
from naslib.utils.locations import describe, download_directory, downloads_allowed

T = TypeVar("T")
_logger = logging.getLogger("naslib.data")


def known_info(
    name: str, size: int, mean: Sequence[float], std: Sequence[float], classes: Sequence[str], *, flip: bool
) -> DatasetInfo:
    """Return the description of a known set: crop padding an eighth, cutout at most half of the side."""
    return DatasetInfo(
        name=name,
        num_classes=len(classes),
        in_channels=len(mean),
        image_size=size,
        mean=tuple(mean),
        std=tuple(std),
        class_names=tuple(classes),
        flip=flip,
        crop_padding=default_crop_padding(size),
        cutout_max=size // 2,
    )


def download(info: DatasetInfo, data_dir: str | os.PathLike[str] | None, fetch: Callable[[str], T], by_hand: str) -> T:
    """Let torchvision download a data set.

    Args:
        info: The data set.
        data_dir: The folder that the user named, if any.
        fetch: Called with the folder to download into.
        by_hand: What a user does without a network, for the message.

    Raises:
        DatasetMissing: If that fails.
        DatasetNotDownloaded: Inside `without_downloads`.
    """
    root, name = download_directory(data_dir), info.name
    if not downloads_allowed():
        raise DatasetNotDownloaded(
            f"data set {name!r} is in none of {describe(data_dir)}; a run would download it to {root}", info
        )
    _logger.info("%s is in none of %s: downloading to %s", name, describe(data_dir), root)
    made = [folder for folder in (root, *root.parents) if not folder.exists()]
    try:
        root.mkdir(parents=True, exist_ok=True)
        return fetch(str(root))
    # what a missing network, a refused write, a moved file or a broken archive raise in torchvision
    except (OSError, RuntimeError, ValueError, EOFError, HTTPException) as err:
        with suppress(OSError):  # what torchvision has left there stays, and its folder
            for folder in made:
                folder.rmdir()
        raise DatasetMissing(
            f"data set {name!r} is in none of {describe(data_dir)}, and downloading it to {root} failed "
            f"({type(err).__name__}: {err}). {by_hand}, or set `data:` / NASLIB_DATA to the folder that has it"
        ) from err


def not_downloadable(name: str, data_dir: str | os.PathLike[str] | None, by_hand: str) -> DatasetMissing:
    """Return the error for a data set that nobody may download automatically."""
    return DatasetMissing(
        f"data set {name!r} is in none of {describe(data_dir)}, and it cannot be downloaded automatically. "
        f"{by_hand}, or set `data:` / NASLIB_DATA to the folder that has it"
    )


def first_present(folders: Sequence[Path], files: Sequence[str]) -> Path | None:
    """Return the first folder that holds all the files."""
    return next((folder for folder in folders if all((folder / file).exists() for file in files)), None)
