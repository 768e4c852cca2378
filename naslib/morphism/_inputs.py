"""Inputs that a network is run on: those given, or some of a size that its first layer takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from naslib.errors import MorphismError

# Images, series and rows are tried in these sizes where nobody says one
_PIXELS = (32, 8, 16, 28, 64, 96, 224)
_LENGTHS = (16, 64, 256, 1024)
_BATCH = 2
# What a forward raises that cannot be run
CANNOT_RUN = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError)


def run(network: nn.Module, inputs: Any) -> Any:
    """Return what a network says to inputs: a tensor, a tuple or dict of arguments, or a function that runs it."""
    if callable(inputs):
        return inputs(network)
    if isinstance(inputs, Mapping):
        return network(**inputs)
    if isinstance(inputs, tuple | list):
        return network(*inputs)
    return network(inputs)


def some_inputs(network: nn.Module) -> Any:
    """Return inputs on which a network runs, of a size that its first layer takes.

    Raises:
        MorphismError: If it runs on none of those that are tried.
    """
    error: Exception | None = None
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        for candidate in _candidates(network):
            try:
                with torch.no_grad():
                    network(candidate)
            except CANNOT_RUN as found:
                error = error if error is not None else found
                continue
            return candidate
    finally:
        for module, mode in modes:
            module.training = mode
    raise MorphismError(
        f"{type(network).__name__} runs on none of the inputs that were tried"
        + (f" ({str(error).splitlines()[0]})" if error is not None and str(error) else "")
        + ": say on what it does, inputs=TENSOR or a tuple of its arguments"
    )


def _candidates(network: nn.Module) -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(0)
    parameter = next(network.parameters(), None)
    kind = {} if parameter is None else {"dtype": parameter.dtype, "device": parameter.device}

    def draw(*shape: int) -> Tensor:
        return torch.randn(_BATCH, *shape, generator=generator).to(**kind)  # type: ignore[call-overload]

    seen: set[tuple[int, ...]] = set()
    shapes: list[tuple[int, ...]]
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.BatchNorm2d):
            size = getattr(module, "in_channels", getattr(module, "num_features", 0))
            shapes = [(int(size), pixels, pixels) for pixels in _PIXELS]
        elif isinstance(module, nn.Conv1d | nn.ConvTranspose1d | nn.BatchNorm1d):
            size = getattr(module, "in_channels", getattr(module, "num_features", 0))
            shapes = [(int(size), length) for length in _LENGTHS] + [(int(size),)]
        elif isinstance(module, nn.Conv3d):
            shapes = [(module.in_channels, pixels, pixels, pixels) for pixels in (8, 16, 32)]
        elif isinstance(module, nn.Linear):
            shapes = [(module.in_features,), (16, module.in_features)]
        elif isinstance(module, nn.Embedding):
            device = module.weight.device
            yield torch.randint(module.num_embeddings, (_BATCH, 16), generator=generator).to(device)
            continue
        else:
            continue
        for shape in shapes:
            if shape not in seen:
                seen.add(shape)
                yield draw(*shape)
        if len(seen) > 40:
            return
