"""Random numbers of the host for computations on a device: two devices then draw the same."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode


class HostDraws(TorchDispatchMode):
    """Let every operator that draws do so on the CPU, with its default generator, and copy what it drew."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operator."""
        kwargs = dict(kwargs or {})
        if torch.Tag.nondeterministic_seeded not in func.tags:
            return func(*args, **kwargs)
        first = next((leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)), None)
        given = kwargs.get("device")
        device = torch.device(given) if given is not None else torch.device("cpu") if first is None else first.device
        if device.type == "cpu":
            return func(*args, **kwargs)
        if given is not None:
            kwargs["device"] = torch.device("cpu")
        if kwargs.get("generator") is not None:
            return func(*args, **({**kwargs, "device": device} if given is not None else kwargs))
        host_args, host_kwargs = pytree.tree_map(_on_host, (args, kwargs))
        drawn = func(*host_args, **host_kwargs)
        if func._schema.is_mutable:  # in place: of the tensor that was given
            args[0].copy_(drawn)
            return args[0]
        return pytree.tree_map(lambda leaf: leaf.to(device) if isinstance(leaf, Tensor) else leaf, drawn)


def _on_host(leaf: Any) -> Any:
    return leaf.cpu() if isinstance(leaf, Tensor) else leaf
