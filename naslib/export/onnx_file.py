"""network.onnx: the network in the exchange format ONNX, which many runtimes read."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from naslib.errors import ExportError

from .checks import largest_difference, outputs_of
from .pt2 import reason_of

# What torch's exporter writes by itself; runtimes since 2023 read it
OPSET = 20
# A file of the format holds less than this; larger weights go to a file beside it
_LARGEST = 1 << 30


def missing_library() -> str | None:
    """Return why ONNX cannot be written here, None where it can."""
    missing = [name for name in ("onnx", "onnxscript") if importlib.util.find_spec(name) is None]
    if not missing:
        return None
    return f"{' and '.join(missing)} is not installed: pip install 'naslib[onnx]'"


def write_onnx(path: Path, program: Any, network: nn.Module, inputs: Tensor, names: tuple[str, str]) -> str:
    """Write a program as ONNX and compare it with the network on batches of 1 and 5, where onnxruntime is there.

    Args:
        path: The file.
        program: What `program_of` returned.
        network: What it must compute.
        inputs: `(2, ...)`.
        names: Of inputs and outputs.

    Returns:
        A few words: the opset, and how it was compared.

    Raises:
        ExportError: If it has no ONNX form, or computes something else.
    """
    words = save_onnx(path, program, network, inputs, names)
    run = onnx_runner(path)
    if run is None:
        return f"{words}; not checked: onnxruntime is not installed"
    difference = largest_difference(network, run, inputs, path.name)
    return f"{words}; onnxruntime differs by {difference:.1e} on batches of 1 and 5"


def save_onnx(path: Path, program: Any, network: nn.Module, inputs: Tensor, names: tuple[str, str]) -> str:
    """Write a program as ONNX, uncompared, and return the opset in words; see `write_onnx`.

    Args:
        path: The file.
        program: What `program_of` returned.
        network: What it computes.
        inputs: `(2, ...)`.
        names: Of inputs and outputs.

    Raises:
        ExportError: If it has no ONNX form.
    """
    drawing = _drawing(program)
    if drawing:
        raise ExportError(f"ONNX has no form for the network: it draws random numbers ({', '.join(drawing)})")
    outputs = _output_names(network, inputs, names[1])
    with _silent():
        try:
            made: Any = torch.onnx.export(
                program, (inputs,), dynamo=True, opset_version=OPSET, input_names=[names[0]], output_names=outputs,
                verbose=False,
            )  # fmt: skip
            _forget_origins(made.model)
            size = sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())
            made.save(str(path), external_data=size > _LARGEST)
        except Exception as error:
            raise ExportError(f"ONNX has no form for the network: {reason_of(error)}") from error
    return f"opset {OPSET}"


def onnx_runner(path: Path) -> Callable[[Tensor], Any] | None:
    """Return what runs an ONNX file on inputs, `(n, ...)`, with as many threads as torch has; None without onnxruntime.

    Raises:
        ExportError: If onnxruntime does not take the file.
    """
    if importlib.util.find_spec("onnxruntime") is None:
        return None
    onnxruntime: Any = importlib.import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ExportError(f"onnxruntime does not take {path.name}: {reason_of(error)}") from error
    name = session.get_inputs()[0].name

    def run(inputs: Tensor) -> list[Tensor]:
        try:
            found = session.run(None, {name: inputs.numpy()})
        except Exception as error:
            raise ExportError(f"onnxruntime cannot run {path.name}: {reason_of(error)}") from error
        return [torch.from_numpy(array) for array in found]

    return run


def _forget_origins(model: Any) -> None:
    """Remove what the exporter notes of modules and operators of torch; of a small network it is most of the file."""
    for graph in (model.graph, *model.functions.values()):
        for node in graph:
            node.metadata_props.clear()
            for output in node.outputs:
                output.metadata_props.clear()
        for value in (*graph.inputs, *getattr(graph, "initializers", {}).values()):
            value.metadata_props.clear()


def _drawing(program: Any) -> list[str]:
    """Return the operators of a program that draw random numbers."""
    found = [node for node in program.graph.nodes if isinstance(node.target, torch._ops.OpOverload)]
    return sorted({str(node.target) for node in found if _is_random(node)})


def _is_random(node: Any) -> bool:
    """Return whether a node draws; what drops nothing out, or in training only, is tagged like those that draw."""
    if torch.Tag.nondeterministic_seeded not in node.target.tags:
        return False
    names = [argument.name for argument in node.target._schema.arguments]
    given = {argument.name: argument.default_value for argument in node.target._schema.arguments}
    given |= dict(zip(names, node.args, strict=False)) | dict(node.kwargs)
    trains = [given[name] for name in ("train", "training") if name in given]
    shares = [given[name] for name in ("dropout", "dropout_p") if name in given]
    return not (trains and not any(trains)) and not (shares and not any(shares))


def _output_names(network: nn.Module, inputs: Tensor, first: str) -> list[str]:
    with torch.no_grad():
        count = len(outputs_of(network(inputs)))
    return [first, *(f"{first}_{number}" for number in range(2, count + 1))]


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keep what the exporter prints and logs from the terminal."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
