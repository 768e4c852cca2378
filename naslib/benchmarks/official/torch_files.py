"""Read files that `torch.save` wrote, with the same list of names as other pickles."""

from __future__ import annotations

import pickle
import tarfile
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from naslib.errors import BenchmarkError

from .pickles import _DAMAGE, DataUnpickler, ForbiddenName, Names, said_of


def _names() -> Names:
    """Return the names of which tensors are made; torch itself makes the storages."""
    import torch
    from torch import _utils

    rebuilding = ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter")
    return {("torch._utils", name): getattr(_utils, name) for name in rebuilding} | {("torch", "Size"): torch.Size}


def read_torch_file(path: Path, content: str) -> Any:
    """Return what `torch.save` put into a file, in the form of any version from 0.4 on; tensors on the CPU.

    The names in its pickle are looked up in the list of `pickles`, and not by `weights_only=True`, whose reader is
    written in Python: the two gigabytes of a benchmark are mostly numbers in dictionaries.

    Args:
        path: The file.
        content: What it should be, for messages.

    Raises:
        BenchmarkError: If it is damaged, a program (TorchScript), or names what is not data.
    """
    import torch

    names = _names()

    class _Listed(DataUnpickler):
        def __init__(self, file: Any, **options: Any) -> None:
            super().__init__(file, names, **options)

    module = SimpleNamespace(
        Unpickler=_Listed,
        load=lambda file, **options: _Listed(file, **options).load(),
        UnpicklingError=pickle.UnpicklingError,
        __name__="listed",
    )
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if any(name.endswith("/constants.pkl") for name in archive.namelist()):
                    raise BenchmarkError(f"{path} is a TorchScript program, not {content}: it is not read")
        elif tarfile.is_tarfile(path):
            raise BenchmarkError(f"{path} is of a torch before 0.1.10, which is not read; save it anew")
        return torch.load(path, map_location="cpu", pickle_module=module, weights_only=False)
    except ForbiddenName as error:
        raise said_of(path, content, error) from None
    except BenchmarkError:
        raise
    except (*_DAMAGE, AssertionError, RuntimeError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise said_of(path, content, error) from error
