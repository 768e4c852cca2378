"""Export: what a run folder needs to give the trained network back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from naslib.data.preprocess import Preprocess
from naslib.data.preprocess_sequences import SequencePreprocess, preprocess_from_dict, preprocess_of
from naslib.errors import CheckpointError, DataError
from naslib.search_spaces.core.batch_norm import has_lost_running_statistics, use_batch_statistics
from naslib.search_spaces.core.graph import Graph
from naslib.tasks import Classification, Task
from naslib.tasks.record import describe_task, rebuild_task
from naslib.utils.files import atomic_write_json, to_jsonable
from naslib.utils.text import shorten

from .checkpoint import FINAL, DamagedCheckpoint, read_checkpoint
from .describe import layer_tree
from .space_record import describe_architecture, rebuild_architecture

FILE = "network.json"
FORMAT = 1
_AGAIN = "--eval-only evaluates what the search found once more"
# Images that are predicted at a time.
_CHUNK = 500


@dataclass(frozen=True)
class NetworkRecord:
    """How to build a trained network, and how to feed it.

    Attributes:
        architecture: What `describe_architecture` returned.
        sizes: Arguments of `evaluation_network`; None for the discretized graph itself.
        preprocess: What `preprocess_from_dict` takes; None where the user's own loaders fed the network.
        class_names: Likewise.
        batch_norm: `"batch"` where the weights are the search's and it normalised by the batch; a network with weights
            of its own has `"running"` statistics.
        task: What `describe_task` returned; None for a network of an earlier version, which classifies.
        input_shape: Of one input; None in records of an earlier version, and where nothing told it.
        intact: Whether the file it was read from agrees with its checksum.
    """

    architecture: dict[str, Any]
    sizes: dict[str, Any] | None
    preprocess: dict[str, Any] | None = None
    class_names: list[str] | None = None
    batch_norm: str = "running"
    task: dict[str, Any] | None = None
    input_shape: list[int] | None = None
    intact: bool = True

    @classmethod
    def of(
        cls, architecture: Graph, sizes: Mapping[str, Any] | None, loader: Any, task: Task | None = None
    ) -> NetworkRecord:
        """Return the record of an architecture that is fed by `loader`, for a task."""
        info = getattr(loader, "info", None)
        shape = info.input_shape if info is not None else getattr(task, "input_shape", None)
        return cls(
            architecture=describe_architecture(architecture, with_norms=sizes is None),
            sizes=dict(sizes) if sizes is not None else None,
            preprocess=preprocess_of(info).to_dict() if info is not None else None,
            class_names=list(info.class_names) if info is not None else None,
            task=describe_task(task) if task is not None else None,
            input_shape=list(shape) if shape is not None else None,
            batch_norm="batch" if sizes is None and has_lost_running_statistics(architecture) else "running",
        )

    def write(self, folder: Path) -> None:
        """Write `network.json`."""
        content = to_jsonable({"format": FORMAT, **vars(self)})
        del content["intact"]
        atomic_write_json(folder / FILE, {**content, "sha256": _digest(content)})

    @classmethod
    def read(cls, folder: Path) -> NetworkRecord:
        """Read `network.json`.

        Raises:
            CheckpointError: If it is not there or not readable.
        """
        path = folder / FILE
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            written = content.pop("sha256", None)  # files of earlier versions have none
            intact = written is None or written == _digest(content)
            if content.pop("format") != FORMAT:
                raise CheckpointError(f"{path} was written by another version of naslib")
            return cls(**content, intact=intact)
        except FileNotFoundError as error:
            raise CheckpointError(
                f"{folder.parent} holds no trained network ({path.name} is missing): the run has not reached its "
                "retraining, or its architecture was looked up in a benchmark (evaluation.mode=retrain trains it)"
            ) from error
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise CheckpointError(f"cannot read {path}: {shorten(str(error), 160)}; {_AGAIN}") from error

    def build(self) -> Graph:
        """Build the network, with fresh weights."""
        architecture = rebuild_architecture(self.architecture)
        if self.sizes is not None:
            return architecture.evaluation_network(**self.sizes)
        return use_batch_statistics(architecture) if self.batch_norm == "batch" else architecture


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class TrainedNetwork(nn.Module):
    """A network with trained weights and what goes with it.

    Args:
        network: The network.
        preprocess: Turns images into its inputs; None where the user's own loaders fed it.
        class_names: One per class, or None.
        task: What was learned; None: classification.
    """

    def __init__(
        self,
        network: nn.Module,
        preprocess: Preprocess | SequencePreprocess | None,
        class_names: list[str] | None,
        task: Task | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.preprocess = preprocess
        self.class_names = class_names
        self.task = task if task is not None else Classification()

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of preprocessed images.

        `(n, c, h, w)` to `(n, classes)`.
        """
        return self.network(x)

    @torch.no_grad()
    def predict(self, images: Any) -> Tensor:
        """Return what the network says of raw images: class numbers, or what another task predicts.

        With `class_names` the names are `[network.class_names[i] for i in network.predict(images)]`, which
        `predict_names` returns.

        Args:
            images: A picture or several: PIL images, paths of image files, arrays, tensors, or a list of them (see
                `Preprocess`; integers are 0..255, floats 0..1). A network that was trained on loaders of your own takes
                what these yield: a tensor of inputs, or a list of tensors of one input each.

        Returns:
            `(n,)` int64, n is 1 for a single picture; of other tasks what `Task.predict` returns: `(n, height, width)`
            class numbers of a segmentation, `(n, k)` values of a regression.

        Raises:
            DataError: If they are nothing of the kind, or a file cannot be read.
        """
        numbers = [self.task.predict(outputs) for outputs in self._all_outputs(images)]
        return torch.cat(numbers) if numbers else torch.empty(0, dtype=torch.int64, device=self._device)

    @torch.no_grad()
    def predict_proba(self, images: Any) -> Tensor:
        """Return the probabilities of the classes of raw images.

        Args:
            images: As for `predict`.

        Returns:
            `(n, k)`, rows that sum to 1, n is 1 for a single picture; of a segmentation `(n, k, height, width)`, of a
            language model `(n, tokens, words)`. Of many labels each has a probability of its own.

        Raises:
            DataError: If the task has no classes, or as for `predict`.
        """
        if type(self.task).probabilities is Task.probabilities:
            self.task.probabilities(None)
        shares = [self.task.probabilities(outputs) for outputs in self._all_outputs(images)]
        count = self.task.output_size or len(self.class_names or ())
        return torch.cat(shares) if shares else torch.empty(0, count, device=self._device)

    @torch.no_grad()
    def outputs(self, inputs: Tensor) -> Any:
        """Return what the network gives for inputs as its preprocessing returns them, in evaluation mode.

        `(n, ...)` in, `(n, ...)` out.
        """
        was_training = self.network.training
        self.network.eval()
        try:
            batch = (self.task.prepare_inputs(inputs.to(self._device)), None)
            return self.task.forward(self, batch)
        finally:
            self.network.train(was_training)

    @property
    def _device(self) -> torch.device:
        return next((value.device for value in self.network.parameters()), torch.device("cpu"))

    def _all_outputs(self, images: Any) -> Iterator[Any]:
        return (self.outputs(inputs) for inputs in self._inputs(images))

    def predict_names(self, images: Any) -> list[Any]:
        """Return the class names of raw images.

        Args:
            images: As for `predict`.

        Returns:
            A name per image; of many labels a list of those that are found, of a segmentation rows of names.

        Raises:
            DataError: If the network has no class names, its task predicts no classes, or as for `predict`.
        """
        if self.class_names is None:
            raise DataError("the network was trained on loaders of your own, which name no classes; use predict")
        found = self.predict(images)
        if found.is_floating_point():
            raise DataError(f"the task {type(self.task).__name__} predicts numbers that are no classes; use predict")
        if isinstance(self.task, Classification) and self.task.multi_label:
            return [
                [name for name, there in zip(self.class_names, row, strict=True) if there] for row in found.tolist()
            ]
        return _named(found.tolist(), self.class_names)

    def _inputs(self, images: Any) -> Iterator[Tensor]:
        """Yield the network's inputs, some at a time, so that memory does not grow with a list of files."""
        if self.preprocess is None:
            yield from _stacked(images).split(_CHUNK)
        elif isinstance(images, list | tuple):
            for start in range(0, len(images), _CHUNK):
                yield from self.preprocess(images[start : start + _CHUNK]).split(_CHUNK)
        else:
            inputs = self.preprocess(images)
            yield from inputs.split(_CHUNK) if len(inputs) else ()

    def __repr__(self) -> str:
        return layer_tree(self)


def _named(numbers: Sequence[Any], names: Sequence[str]) -> list[Any]:
    return [_named(item, names) if isinstance(item, list) else names[item] for item in numbers]


def _stacked(images: Any) -> Tensor:
    """Return inputs of a network without preprocessing as a batch.

    Raises:
        DataError: If they are no tensors.
    """
    if isinstance(images, Tensor):
        return images
    if isinstance(images, list | tuple) and images and all(isinstance(image, Tensor) for image in images):
        return torch.stack(list(images))
    raise DataError(
        "this network was trained on loaders of your own, so how images become its inputs is not known: give the "
        f"tensor that these loaders yield (or a list of tensors of one input each), not {type(images).__name__}"
    )


def _built(record: NetworkRecord, path: Path) -> Graph:
    """Build the network of a record that is intact."""
    damaged = f"{path} is damaged: its content differs from its checksum; {_AGAIN}"
    try:
        network = record.build()
    except CheckpointError:  # names what cannot be imported, which a person may have changed
        raise
    except Exception as error:
        if record.intact:
            raise
        raise CheckpointError(damaged) from error
    if not record.intact:
        raise CheckpointError(damaged)
    return network


def load_network(
    run_folder: str | Path, device: str | torch.device = "cpu", task: Task | None = None
) -> TrainedNetwork:
    """Return the trained network of a run, in evaluation mode.

    Args:
        run_folder: The folder that the summary of the run names.
        device: Where to put it.
        task: What was learned; None for what the run folder says.

    Raises:
        CheckpointError: If the run has no trained network, its files are damaged, or the network cannot be built.
    """
    folder = Path(run_folder) / "eval"
    record = NetworkRecord.read(folder)
    try:
        state = read_checkpoint(folder / FINAL)
    except DamagedCheckpoint as error:  # no earlier one instead: its accuracy is not that of the summary
        raise DamagedCheckpoint(f"{error}. --resume repeats the end of its training; {_AGAIN}") from error
    network = _built(record, folder / FILE)
    try:
        network.load_state_dict(state["model"])
    except RuntimeError as error:
        raise CheckpointError(
            f"the weights in {folder / FINAL} do not fit the network of {FILE}: {shorten(str(error), 600)}"
        ) from error
    preprocess = preprocess_from_dict(record.preprocess) if record.preprocess is not None else None
    task = rebuild_task(record.task) if task is None else task
    return TrainedNetwork(network, preprocess, record.class_names, task).to(device).eval()
