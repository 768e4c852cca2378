"""Pickled batches, read without executing what else a pickle may contain."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from naslib.errors import DataError

# All that pickled dictionaries of arrays and lists need.
_ALLOWED = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "scalar"),
    ("_codecs", "encode"),
}


class _ArrayUnpickler(pickle.Unpickler):
    """Build arrays and plain values; refuse everything else."""

    def find_class(self, module: str, name: str) -> Any:
        """Return an allowed class."""
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it wants {module}.{name}, which no batch of images needs")
        # numpy < 2 pickled under names that now warn
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def read_batch(path: Path) -> dict[str, Any]:
    """Read a pickled dictionary with text keys.

    Raises:
        DataError: If it is damaged, or holds more than arrays and plain values.
    """
    try:
        with path.open("rb") as file:
            batch = _ArrayUnpickler(file, encoding="latin1").load()
    except Exception as err:  # damaged pickles raise anything: struct.error, OverflowError, MemoryError ...
        raise DataError(f"cannot read {path}: {err}; fetch it again") from err
    if not isinstance(batch, dict):
        raise DataError(f"{path} holds a {type(batch).__name__}, expected a dictionary of data and labels")
    return {key.decode() if isinstance(key, bytes) else str(key): value for key, value in batch.items()}
