"""network.pt2: the network as a program of torch.export."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn

from naslib.errors import ExportError
from naslib.utils.text import shorten

from .checks import largest_difference

_BATCH = "batch"
# Of messages of torch, which name the operator in their first lines
_REASON = 300


def program_of(network: nn.Module, inputs: Tensor) -> Any:
    """Return a network as `torch.export.ExportedProgram` that takes batches of any size.

    Args:
        network: In evaluation mode; its parameters want no gradients, so that what the file gives wants none.
        inputs: `(2, ...)`.

    Raises:
        ExportError: If it cannot be traced; the message has torch's reason.
    """
    shapes = ({0: torch.export.Dim(_BATCH, min=1)},)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        try:
            program = torch.export.export(network, (inputs,), dynamic_shapes=shapes)
        except Exception as error:  # torch raises many kinds, some of its own
            raise ExportError(f"torch.export cannot follow the network: {reason_of(error)}") from error
    _forget_origins(program.graph_module)
    return program


def _forget_origins(module: fx.GraphModule) -> None:
    """Remove from which lines of which files of this machine the operators came."""
    for part in module.modules():
        for node in part.graph.nodes if isinstance(part, fx.GraphModule) else ():
            for key in ("stack_trace", "torch_fn", "source_fn_stack", "from_node"):
                node.meta.pop(key, None)


def reason_of(error: BaseException) -> str:
    """Return the first lines of a message of torch as one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = " ".join(lines[:3]) or type(error).__name__
    return shorten(text, _REASON)


def write_pt2(path: Path, program: Any, network: nn.Module, inputs: Tensor) -> str:
    """Write a program, load it, and compare it with the network on batches of 1 and 5.

    Args:
        path: The file.
        program: What `program_of` returned.
        network: What it must compute.
        inputs: `(2, ...)`.

    Returns:
        A few words on the comparison.

    Raises:
        ExportError: If it cannot be written or computes something else.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            torch.export.save(program, str(path))
            loaded = torch.export.load(str(path)).module()
        except Exception as error:
            raise ExportError(f"torch.export cannot save the network: {reason_of(error)}") from error
    difference = largest_difference(network, loaded, inputs, path.name)
    return (
        f"loaded again, differs from the network by {difference:.1e}" if difference else "loaded again, outputs equal"
    )
