"""Bundle: a trained network as a folder of files that need no naslib."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from naslib.errors import ConfigError, ExportError
from naslib.utils.files import to_jsonable

from .card import CardFacts, show_score, write_card
from .checks import trial_inputs
from .folder import appearing, check_target, write_manifest
from .formats import FORMATS, check_quantization, chosen_formats
from .int8_files import Int8Data, write_int8
from .onnx_file import missing_library, write_onnx
from .preprocessing import describe_preprocessing
from .pt2 import program_of, write_pt2
from .run_data import read_run_data
from .scoring import FormRow, as_table, calibration_inputs
from .source import BATCH_SIZES, write_source
from .subject import ExportSubject, subject_of
from .weights import write_weights


@dataclass(frozen=True)
class Bundle:
    """An exported network.

    Attributes:
        folder: Where it is.
        written: Of each file a few words on what was compared.
        left_out: Of each file that is not there why.
        failed: Files among `left_out` that were asked for by name.
        forms: Files before and after quantisation, with score, size and latency.
        table: The same as a Markdown table; empty without quantisation.
    """

    folder: Path
    written: Mapping[str, str]
    left_out: Mapping[str, str] = field(default_factory=dict)
    failed: tuple[str, ...] = ()
    forms: tuple[FormRow, ...] = ()
    table: str = ""


def export_network(
    network: Any,
    folder: str | Path | None = None,
    *,
    formats: str | Iterable[str] | None = None,
    quantize: str | None = None,
    overwrite: bool = False,
    example_inputs: Tensor | None = None,
    class_names: Iterable[str] | None = None,
    calibration: Any = None,
    test: Iterable[Any] | None = None,
) -> Bundle:
    """Write a trained network as files: PyTorch source, safetensors, ONNX, torch.export, preprocessing and a card.

    The folder appears when all is written. What was written is read again and compared with the network.

    Args:
        network: A run folder, what `naslib.load_network` returned, a graph, or any module.
        folder: Where it goes; `export` in the run folder if None.
        formats: Some of `network.py, safetensors, onnx, pt2`; all that can be written here if None.
        quantize: `"int8"` for `network_int8.pt2` (and `network_int8.onnx`, where ONNX is written) beside.
        overwrite: Whether an exported network that is there is moved to `<folder>.1`.
        example_inputs: `(n, ...)` inputs; needed where nothing says their shape (a module of your own).
        class_names: One per output, where the network does not know them.
        calibration: A tensor of inputs, or batches, on which int8 observes ranges; the training part of the run if
            None.
        test: Batches on which the int8 form is scored; the test part of the run if None.

    Raises:
        ConfigError: If an argument cannot be used, or what a format needs is not installed.
        CheckpointError: If the run has no trained network.
        RunFolderError: If the folder is there, or cannot be written.
    """
    chosen = chosen_formats(formats)
    by_name = set(chosen) if formats is not None else set()
    check_quantization(quantize)
    missing = {"onnx": missing_library()}
    for name in chosen:
        if name in by_name and missing.get(name):
            raise ConfigError(f"the format {name} cannot be written: {missing[name]}")
    target = _target(network, folder)
    if target is not None:
        check_target(target, overwrite)
    subject = subject_of(network, example_inputs, class_names)
    if target is None:
        target = (subject.folder or Path(network)) / "export"
    check_target(target, overwrite)
    data = _int8_data(subject, calibration, test) if quantize is not None else None
    with appearing(target, overwrite) as place:
        work = _Work(place, subject, chosen, {name: why for name, why in missing.items() if why})
        work.write(data)
        write_card(place, subject, work.facts)
        write_manifest(place, str(subject.folder) if subject.folder is not None else None)
    asked = {FORMATS[name] for name in by_name} | ({"network_int8.pt2"} if quantize is not None else set())
    table = ""
    if work.forms:
        name = subject.task.score.name if subject.task is not None else "score"
        table = as_table(work.forms, name, lambda value: show_score(subject.task, value))
    failed = tuple(file for file in work.left_out if file in asked)
    return Bundle(target, work.notes, work.left_out, failed, tuple(work.forms), table)


def _target(network: Any, folder: str | Path | None) -> Path | None:
    """Return the folder to be, None where the run decides.

    Raises:
        ConfigError: If nothing says it.
    """
    if folder is not None:
        return Path(folder)
    if isinstance(network, str | Path):
        return None
    raise ConfigError("say where the network goes: export_network(network, folder)")


def _int8_data(subject: ExportSubject, calibration: Any, test: Iterable[Any] | None) -> Int8Data:
    """Return what int8 is calibrated and tested on.

    Raises:
        ConfigError: If there is nothing.
    """
    task = subject.task
    if calibration is None:
        try:
            found = read_run_data(subject)
        except (ConfigError, OSError, ValueError) as error:
            raise ConfigError(
                f"int8 needs the training data to observe ranges on: {error} (from Python: export_network(..., "
                "calibration=, test=))"
            ) from error
        calibration, test = found.train, test if test is not None else found.test
    return Int8Data(calibration_inputs(calibration, task), test)


class _Work:
    """Write the files of one network.

    Args:
        place: An empty folder.
        subject: The network.
        formats: Names, in order.
        missing: Of formats that cannot be written here why.
    """

    def __init__(
        self, place: Path, subject: ExportSubject, formats: tuple[str, ...], missing: Mapping[str, str]
    ) -> None:
        self.place, self.subject, self.formats, self.missing = place, subject, formats, missing
        self.notes: dict[str, str] = {}
        self.left_out: dict[str, str] = {}
        self.forms: list[FormRow] = []
        self.quantized = ""
        self.preprocessing = describe_preprocessing(subject)

    @property
    def facts(self) -> CardFacts:
        """What the card says of the files."""
        return CardFacts(self.notes, self.left_out, self.preprocessing, self.forms, self.quantized)

    def write(self, data: Int8Data | None) -> None:
        """Write all but the card."""
        state: Mapping[str, Tensor] = self.subject.network.state_dict()
        if "network.py" in self.formats:
            state = self._source() or state
        if "safetensors" in self.formats:
            self._try("safetensors", lambda path: write_weights(path, state, self._metadata()))
        self._programs(data)
        self._json("preprocessing.json", self.preprocessing)
        if self.subject.class_names is not None:
            self._json("classes.json", self.subject.class_names)

    def _source(self) -> Mapping[str, Tensor] | None:
        """Write `network.py`, and return the weights that it takes; None if it could not be written."""
        path, network = self.place / "network.py", self.subject.network
        try:
            source = write_source(network, inputs=trial_inputs(self.subject.inputs, max(BATCH_SIZES)))
        except ExportError as error:
            self._fail(path, error)
            return None
        path.write_text(source.text, encoding="utf-8")
        self.notes[path.name] = f"outputs equal bit for bit, on batches of {', '.join(map(str, BATCH_SIZES))}"
        return source.state_dict()

    def _programs(self, data: Int8Data | None) -> None:
        """Write what is made of a program of torch.export."""
        subject, names = self.subject, (self.subject.input_name, self.subject.output_name)
        wanted = [name for name in ("pt2", "onnx") if name in self.formats]
        if "onnx" in wanted and "onnx" in self.missing:
            self.left_out[FORMATS["onnx"]] = self.missing["onnx"]
            wanted.remove("onnx")
        if not wanted and data is None:
            return
        try:
            program = program_of(subject.frozen, subject.inputs)
        except ExportError as error:
            files = [FORMATS[name] for name in wanted] + (["network_int8.pt2"] if data is not None else [])
            self.left_out |= {file: str(error) for file in files}
            return
        if "pt2" in wanted:
            self._try("pt2", lambda path: write_pt2(path, program, subject.network, subject.inputs))
        if "onnx" in wanted:
            self._try("onnx", lambda path: write_onnx(path, program, subject.network, subject.inputs, names))
        if data is not None:
            try:
                done = write_int8(self.place, program, subject, data, with_onnx="onnx" in wanted)
            except ExportError as error:
                self._fail(self.place / "network_int8.pt2", error)
                return
            self.notes |= done.notes
            self.left_out |= done.left_out
            self.forms, self.quantized = done.forms, done.sentence

    def _try(self, name: str, write: Any) -> None:
        path = self.place / FORMATS[name]
        try:
            self.notes[path.name] = write(path)
        except ExportError as error:
            self._fail(path, error)

    def _fail(self, path: Path, error: ExportError) -> None:
        path.unlink(missing_ok=True)
        self.left_out[path.name] = str(error)

    def _json(self, name: str, content: Any) -> None:
        text = json.dumps(to_jsonable(content), indent=2, ensure_ascii=False, allow_nan=False)
        (self.place / name).write_text(text + "\n", encoding="utf-8")
        self.notes[name] = ""

    def _metadata(self) -> dict[str, str]:
        found = {"format": "pt", "library": "naslib", "space": self.subject.space}
        if self.subject.genotype_hash is not None:
            found["genotype_hash"] = self.subject.genotype_hash
        if self.subject.task is not None:
            found["task"] = type(self.subject.task).__name__
        return found
