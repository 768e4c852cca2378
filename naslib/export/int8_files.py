"""network_int8.pt2 and network_int8.onnx: the network with 8 bits per weight, and what that does to score and time."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from naslib.errors import ExportError

from .onnx_file import onnx_runner, save_onnx
from .pt2 import program_of, write_pt2
from .quantization import quantize
from .scoring import FormRow, form_row
from .subject import ExportSubject

_PT2, _ONNX = "network_int8.pt2", "network_int8.onnx"
# Runtimes round products of 8 bits in their own way: of the largest output, a few of its 256 levels
_LEVELS = 0.05


@dataclass(frozen=True)
class Int8Data:
    """What int8 is calibrated and tested on.

    Attributes:
        calibration: Batches of inputs `(n, ...)`.
        test: Batches to score on, or None.
    """

    calibration: list[Tensor]
    test: Iterable[Any] | None


@dataclass
class Int8Files:
    """What was written.

    Attributes:
        notes: Of each file what was compared.
        left_out: Of each file that is not there why.
        forms: Before and after.
        sentence: What the card says.
    """

    notes: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    forms: list[FormRow] = field(default_factory=list)
    sentence: str = ""


def write_int8(place: Path, program: Any, subject: ExportSubject, data: Int8Data, with_onnx: bool) -> Int8Files:
    """Write int8 forms of a network into a folder, and measure them beside the others.

    Args:
        place: The folder; with `network.pt2` and `network.onnx`, where they were written.
        program: What `program_of` returned.
        subject: The network.
        data: What ranges are observed on, and what the forms are scored on.
        with_onnx: Whether `network_int8.onnx` is written as well.

    Raises:
        ExportError: If no layer of the network can be quantised.
    """
    done = Int8Files()
    small = quantize(program, data.calibration)
    path = place / _PT2
    small_program = program_of(small.module, subject.inputs)
    done.notes[_PT2] = write_pt2(path, small_program, small.module, subject.inputs)
    done.notes[_PT2] = done.notes[_PT2].replace("the network", "the int8 network")
    counted = sum(len(inputs) for inputs in data.calibration)
    done.sentence = (
        f"{small.layers} layers have weights of 8 bits, one scale per output, and inputs and outputs of 256 levels"
        + (f"; {small.stored} tables and recurrent weights are stored in 8 bits" if small.stored else "")
        + f". Ranges were observed on {counted} inputs of the training part. `{_PT2}` computes with rounded values in "
        "floating point, so it is not faster."
    )
    runs: list[tuple[Path, Callable[[Tensor], Any]]] = []
    original = place / "network.pt2"
    if original.is_file():
        runs.append((original, _loaded(original)))
    if (place / "network.onnx").is_file():
        runs += _runs_onnx(place / "network.onnx")
    runs.append((path, _loaded(path)))
    if with_onnx:
        try:
            runs += _write_onnx(place / _ONNX, program, subject, data, small.module, done)
        except ExportError as error:
            (place / _ONNX).unlink(missing_ok=True)
            done.left_out[_ONNX] = str(error)
    done.forms = [form_row(file, run, subject.inputs, data.test, subject.task) for file, run in runs]
    return done


def _write_onnx(
    path: Path, program: Any, subject: ExportSubject, data: Int8Data, like: Callable[[Tensor], Any], done: Int8Files
) -> list[tuple[Path, Callable[[Tensor], Any]]]:
    module = quantize(program, data.calibration, for_onnx=True).module
    made = program_of(module, subject.inputs)
    words = save_onnx(path, made, module, subject.inputs, (subject.input_name, subject.output_name))
    runs = _runs_onnx(path)
    if runs:
        sample = data.calibration[0]
        with torch.no_grad():
            expected, found = like(sample), runs[0][1](sample)[0]
        share = float((found - expected).abs().mean() / expected.abs().max().clamp(min=1e-12))
        if not share <= _LEVELS:
            raise ExportError(f"{path.name} differs from the int8 network by {share:.1%} of its largest output")
        words += f"; onnxruntime, with kernels of its own for int8, differs by {share:.2%} of the largest output"
    done.notes[path.name] = words
    done.sentence += f" `{path.name}` says the same in the operators that runtimes have int8 kernels for."
    return runs


def _loaded(path: Path) -> Callable[[Tensor], Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module: Callable[[Tensor], Any] = torch.export.load(str(path)).module()
    return module


def _runs_onnx(path: Path) -> list[tuple[Path, Callable[[Tensor], Any]]]:
    run = onnx_runner(path)
    return [(path, run)] if run is not None else []
