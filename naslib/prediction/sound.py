"""Recordings as the sequences that a network of spoken digits was trained on."""

from __future__ import annotations

import wave
from collections.abc import Mapping
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

from naslib.data.sets.spoken_digits import log_mel
from naslib.errors import DataError

# Of the data set, whose features are those of its network
_RATE, _SECONDS = 8000, 0.8


def read_wave(path: str) -> tuple[NDArray[np.float32], int]:
    """Return the samples of a WAV file, `(samples,)` in -1..1, the mean of its channels, and samples per second.

    Raises:
        DataError: If it is no uncompressed WAV file of whole numbers.
    """
    try:
        with wave.open(path, "rb") as file:
            width, channels, rate = file.getsampwidth(), file.getnchannels(), file.getframerate()
            data = file.readframes(file.getnframes())
    except FileNotFoundError as error:
        raise DataError("there is no such file") from error
    except (OSError, EOFError, wave.Error) as error:
        raise DataError(f"it is no WAV file of uncompressed samples: {error or 'it is cut off'}") from error
    data = data[: len(data) // (width * channels) * width * channels]
    if not data:
        raise DataError("it holds no samples")
    if width == 1:  # of 8 bits from 0 to 255, of more from minus to plus
        levels = np.frombuffer(data, np.uint8).astype(np.float64) - 128
    elif width == 3:
        parts = np.frombuffer(data, np.uint8).reshape(-1, 3).astype(np.int32)
        levels = ((parts[:, 0] << 8 | parts[:, 1] << 16 | parts[:, 2] << 24) >> 8).astype(np.float64)
    else:
        levels = np.frombuffer(data, f"<i{width}").astype(np.float64)
    return (levels.reshape(-1, channels).mean(axis=1) / 2.0 ** (8 * width - 1)).astype(np.float32), rate


def as_spoken_digit(path: str, arguments: Mapping[str, Any]) -> NDArray[np.float32]:
    """Return a recording as the data set `spoken_digits` has it: `(bands, windows)`, or `(1, samples)`.

    It is brought to 8,000 samples a second, cut at its end, or followed by silence.

    Args:
        path: A WAV file.
        arguments: `dataset_args` of the run: `features` and `seconds`.

    Raises:
        DataError: If it cannot be read.
    """
    samples, rate = read_wave(path)
    if rate != _RATE:
        from scipy.signal import resample_poly

        common = gcd(rate, _RATE)
        samples = resample_poly(samples.astype(np.float64), _RATE // common, rate // common).astype(np.float32)
    length = int(float(arguments.get("seconds", _SECONDS)) * _RATE)
    row = np.zeros((1, length), dtype=np.float32)
    kept = samples[:length]
    row[0, : len(kept)] = kept
    return row if arguments.get("features", "log_mel") == "wave" else log_mel(row, _RATE)[0]
