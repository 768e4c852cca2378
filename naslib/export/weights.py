"""weights.safetensors: the weights as plain tensors, without code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from naslib.errors import ExportError


def write_weights(path: Path, state: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """Write weights; tensors that share memory are written once for each name, so that a strict loading finds all.

    Args:
        path: The file.
        state: What `load_state_dict` takes: tensors of any shape.
        metadata: Text by name, which the file carries.

    Returns:
        A few words on what is in it.

    Raises:
        ExportError: If what is read back is something else.
    """
    from safetensors.torch import load_file, save

    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}
    path.write_bytes(save(tensors, metadata=dict(metadata)))  # save_file makes a file that only its owner reads
    again = load_file(str(path))
    if again.keys() != tensors.keys() or not all(_equal(again[name], tensors[name]) for name in tensors):
        raise ExportError(f"{path.name} holds other values than the network")
    count = sum(tensor.numel() for tensor in tensors.values())
    return f"{len(tensors)} tensors, {count:,} numbers"


def _equal(mine: Tensor, yours: Tensor) -> bool:
    same = mine.dtype == yours.dtype and mine.shape == yours.shape
    return same and torch.equal(torch.nan_to_num(mine), torch.nan_to_num(yours))
