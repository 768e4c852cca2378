"""The Free Spoken Digit Dataset: recordings of the ten digits as sequences of spectra, or of samples."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from naslib.data.image_data import ImageData
from naslib.data.registry import DATASETS
from naslib.data.sequences import sequence_data
from naslib.data.sets._known import first_present, not_downloadable
from naslib.data.sets.npz import read_arrays
from naslib.errors import ConfigError, DataError, did_you_mean
from naslib.utils.locations import subfolders

FILE = "fsdd_mulaw.npz"
_KEYS = ("data", "offset", "label", "speaker", "speakers", "is_test", "rate")
# 25 ms windows and 12.5 ms hops, as usual for speech; at 8 kHz powers of two are near
_WINDOW, _HOP = 0.025, 0.0125
_BANDS = 32
# Power below this is silence (a sample is within -1..1, and its steps are 1/255 or finer)
_FLOOR = 1e-6


@DATASETS.register("spoken_digits", "fsdd")
def load_spoken_digits(
    data_dir: Path | None,
    seed: int,
    *,
    features: Literal["log_mel", "wave"] = "log_mel",
    seconds: float = 0.8,
    test_speakers: list[str] | None = None,
) -> ImageData:
    """Load 3,000 recordings of ten digits by six speakers: 2,700 + 300, the data set's own split (index below 5).

    All sequences have one length: what is longer is cut at its end, what is shorter is followed by silence, and the
    network sees this as it is (95 % of the recordings are shorter than 0.67 s).

    Args:
        data_dir: The folder that holds `fsdd_mulaw.npz`, or `fsdd/` or `spoken_digits/` with it.
        seed: Not used.
        features: `"log_mel"`: `(32, t)` logarithms of the power in 32 mel bands, 80 a second; `"wave"`: `(1, t)`
            samples, 8,000 a second.
        seconds: Length of all sequences.
        test_speakers: Names of speakers; all their recordings, and no others, are the test part, in place of the data
            set's own split, whose speakers are in both parts.

    Raises:
        ConfigError: If there is no such speaker, or the length is not positive.
        DatasetMissing: If its file is not there.
        DataError: If the file is damaged or holds something else.
    """
    if features not in ("log_mel", "wave"):
        raise ConfigError(f"dataset_args.features must be 'log_mel' or 'wave', got {features!r}")
    folder = first_present(subfolders(data_dir, ("", "fsdd", "spoken_digits")), (FILE,))
    if folder is None:
        raise not_downloadable("spoken_digits", data_dir, f"Put {FILE} (the recordings in mu-law) into <data>")
    content = read_arrays(folder / FILE)
    missing = [key for key in _KEYS if key not in content]
    if missing:
        raise DataError(f"{folder / FILE} lacks {', '.join(missing)}: it is not the data set of spoken digits")
    rate, offset = int(content["rate"]), content["offset"].astype(np.int64)
    length = int(seconds * rate)
    if length < int(_WINDOW * rate):
        raise ConfigError(f"dataset_args.seconds must be at least {_WINDOW}, got {seconds}")
    _check_offsets(folder / FILE, content, offset)
    waves = padded(decode_mu_law(content["data"]), offset, length)
    x = waves[:, None] if features == "wave" else log_mel(waves, rate)
    is_test = _is_test(content, test_speakers)
    labels = content["label"].astype(np.int64)
    return sequence_data(
        "spoken_digits", x[~is_test], labels[~is_test], x[is_test], labels[is_test],
        class_names=[str(digit) for digit in range(10)],
    )  # fmt: skip


def decode_mu_law(codes: NDArray[Any]) -> NDArray[np.float32]:
    """Return samples in -1..1 of 8-bit mu-law codes (mu = 255, codes linear from -1 to 1)."""
    y = np.arange(256) / 255.0 * 2 - 1
    table = np.sign(y) * (256.0 ** np.abs(y) - 1) / 255.0
    return table.astype(np.float32)[codes]


def padded(samples: NDArray[np.float32], offset: NDArray[np.int64], length: int) -> NDArray[np.float32]:
    """Return recordings of one length, cut at the end or followed by zeros.

    Args:
        samples: All recordings, one after the other.
        offset: `(n + 1,)` where each begins.
        length: Samples of the result.

    Returns:
        `(n, length)`.
    """
    found = np.zeros((len(offset) - 1, length), dtype=np.float32)
    for row, (start, stop) in enumerate(itertools.pairwise(offset.tolist())):
        kept = samples[start : min(stop, start + length)]
        found[row, : len(kept)] = kept
    return found


def log_mel(waves: NDArray[np.float32], rate: int, bands: int = _BANDS) -> NDArray[np.float32]:
    """Return the logarithm of the power in mel bands, window by window.

    Args:
        waves: `(n, samples)`.
        rate: Samples of a second.
        bands: Number of bands, triangles from 0 to half the rate, equally wide in mel (2595 log10(1 + f / 700)).

    Returns:
        `(n, bands, windows)` natural logarithms, of power at least 1e-6.
    """
    size, hop = int(_WINDOW * rate), int(_HOP * rate)
    framed = np.lib.stride_tricks.sliding_window_view(waves, size, axis=1)[:, ::hop]
    filters = mel_filters(rate, size, bands)
    window = np.hanning(size + 1)[:-1]
    found = np.empty((len(waves), bands, framed.shape[1]), dtype=np.float32)
    for row, frames in enumerate(framed):  # all spectra at once would take gigabytes
        power = np.abs(np.fft.rfft(frames * window, axis=1)) ** 2 / (window**2).sum()
        found[row] = np.log(np.maximum(filters @ power.T, _FLOOR))
    return found


def mel_filters(rate: int, size: int, bands: int) -> NDArray[np.float64]:
    """Return `(bands, size // 2 + 1)` triangles, each of height 1."""
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + rate / 2 / 700), bands + 2) / 2595) - 1)
    frequencies = np.arange(size // 2 + 1) * rate / size
    rising = (frequencies - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - frequencies) / (edges[2:] - edges[1:-1])[:, None]
    return np.asarray(np.maximum(np.minimum(rising, falling), 0.0))


def _check_offsets(file: Path, content: dict[str, Any], offset: NDArray[np.int64]) -> None:
    n = len(content["label"])
    right = offset.shape == (n + 1,) and offset[0] == 0 and offset[-1] == len(content["data"])
    if not right or (np.diff(offset) <= 0).any() or content["data"].dtype != np.uint8:
        raise DataError(f"{file} is damaged: its offsets do not cut the data into {n} recordings")


def _is_test(content: dict[str, Any], test_speakers: Sequence[str] | None) -> NDArray[np.bool_]:
    if test_speakers is None:
        return np.asarray(content["is_test"], dtype=np.bool_)
    speakers = [str(name) for name in content["speakers"]]
    unknown = [name for name in test_speakers if name not in speakers]
    if unknown or not 0 < len(set(test_speakers)) < len(speakers):
        hint = did_you_mean(str(unknown[0]), speakers) if unknown else ""
        raise ConfigError(
            f"dataset_args.test_speakers must be some of {', '.join(speakers)}, not none and not all, got "
            f"{list(test_speakers)}{hint}"
        )
    return np.isin(content["speaker"], [speakers.index(name) for name in test_speakers])
