"""Seed the random number generators, and carry their states through a checkpoint."""

from __future__ import annotations

import hashlib
import operator
import random
from typing import Any

import numpy as np
import torch

from naslib.errors import CheckpointError

from .distributed import is_distributed


def set_seed(seed: int) -> None:
    """Seed python, numpy and torch (CUDA included), and choose deterministic cuDNN kernels.

    Args:
        seed: Any integer >= 0; numpy takes its lowest 32 bits.
    """
    seed = operator.index(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed % 2**63)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True


def rng_snapshot() -> dict[str, Any]:
    """Return the state of the global generators as plain values and tensors.

    It can be saved with `torch.save` and loaded with `weights_only=True`.
    """
    name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    return {
        "python": random.getstate(),
        "numpy": (
            str(name),
            torch.from_numpy(np.asarray(keys, dtype=np.int64)),
            int(position),
            int(has_gauss),
            float(cached),
        ),
        "torch": torch.get_rng_state(),
        # An uninitialised CUDA has drawn nothing, and asking for its state would claim device memory.
        "cuda": _cuda_states() if torch.cuda.is_initialized() else [],
    }


def rng_restore(snapshot: dict[str, Any]) -> None:
    """Put the global generators into the state of a `rng_snapshot`.

    States of CUDA devices that this machine lacks are left out.

    Raises:
        CheckpointError: If the snapshot lacks a part.
    """
    missing = [key for key in ("python", "numpy", "torch", "cuda") if key not in snapshot]
    if missing:
        raise CheckpointError(f"the random state lacks {', '.join(missing)}: it was not made by rng_snapshot()")
    version, internal, gauss = snapshot["python"]
    random.setstate((version, tuple(internal), gauss))
    name, keys, position, has_gauss, cached = snapshot["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(snapshot["torch"].cpu())
    if not snapshot["cuda"] or not torch.cuda.is_available():
        return
    if is_distributed():
        torch.cuda.set_rng_state(snapshot["cuda"][0].cpu())
        return
    for device, state in enumerate(snapshot["cuda"][: torch.cuda.device_count()]):
        torch.cuda.set_rng_state(state.cpu(), device)


def _cuda_states() -> list[torch.Tensor]:
    """Return the states of all CUDA devices; of several ranks each has one, and all the same, so one state does."""
    return [torch.cuda.get_rng_state()] if is_distributed() else list(torch.cuda.get_rng_state_all())


def derive_seed(*parts: int | str) -> int:
    """Return a seed of 63 bits that depends on all `parts`, in their order, on every machine alike.

    `1` and `"1"` differ, and so do `("ab",)` and `("a", "b")`.
    """
    digest = hashlib.sha256()
    for part in parts:
        tag, text = ("s", part) if isinstance(part, str) else ("i", str(operator.index(part)))
        data = text.encode("utf-8")
        digest.update(f"{tag}{len(data)}:".encode())
        digest.update(data)
    return int.from_bytes(digest.digest()[:8], "big") >> 1
