"""Task: what a batch is, how a network is asked, what its loss is, and what is measured."""

from __future__ import annotations

import copy
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self, cast

import torch
from torch import Tensor, nn

from naslib.errors import ConfigError, DataError
from naslib.utils.passage import Memory
from naslib.utils.pytorch_helper import create_criterion, find_criterion

from .criteria import Criterion, name_of, with_label_smoothing
from .fields import as_tensor, describe_value, first_tensor, is_plain, pair_problems, unpack
from .meter import Meter, Tally
from .score import Score

# Levels of unsigned images, which become numbers from 0 to 1
_LEVELS = {torch.uint8: 255.0, torch.uint16: 65535.0}
_IMAGES = ("image", "images", "pixel_values", "img", "imgs", "x", "input", "inputs", "data", "features")
_LABELS = ("label", "labels", "target", "targets", "y", "class", "classes", "fine_label")


class Task(ABC):
    """What learning means: search, selection, retraining and test ask it, and nobody computes a loss of his own.

    A task of your own gives `scores`, `statistics`, and a `criterion` (or `loss`); everything else has a default for
    batches `(inputs, targets)`. What travels is the *batch* that `to_device` returns: a pair, or whatever your own
    `to_device`, `forward`, `loss` and `statistics` agree on.

    Args:
        loss: The criterion: a name of `torch.nn`, a class, or a ready module or function `(outputs, targets)`; None
            for the task's own (`DEFAULT_LOSS`).
        inputs: Name of the inputs in batches that are mappings; None for the usual names.
        targets: Name of the targets likewise.
        output_size: Outputs of the network per prediction, where it is known.

    Attributes:
        criterion: The loss `(outputs, targets)` -> scalar.
        scores: What is measured; the first decides which network is the best.
        input_shape: Shape of one input, known from the data set or from the first batch.
        dtype: What the network computes in; inputs become that.
    """

    # The name of the criterion where none is given
    DEFAULT_LOSS: ClassVar[str] = ""
    INPUT_NAMES: ClassVar[tuple[str, ...]] = _IMAGES
    TARGET_NAMES: ClassVar[tuple[str, ...]] = _LABELS
    # Whether inputs that are integers are numbers of tokens, rather than levels of images
    TAKES_TOKENS: ClassVar[bool] = False
    # Whether the rows of a batch can be run apart from each other
    SHARES_ROWS: ClassVar[bool] = True
    # What a batch should hold, for messages
    EXPECTS: ClassVar[str] = "a pair (inputs, targets)"

    scores: tuple[Score, ...] = ()
    criterion: Criterion
    output_size: int | None = None
    input_shape: tuple[int, ...] | None = None
    dtype: torch.dtype = torch.float32
    _fields: tuple[str | None, str | None] = (None, None)
    _unsmoothed: Criterion | None = None
    _made_with: tuple[tuple[Any, ...], dict[str, Any]] = ((), {})

    def __init__(
        self,
        loss: Any = None,
        *,
        inputs: str | None = None,
        targets: str | None = None,
        output_size: int | None = None,
    ) -> None:
        self._fields = (inputs, targets)
        self.output_size = output_size
        if loss is not None or self.DEFAULT_LOSS or type(self).loss is Task.loss:
            self.criterion = self.make_criterion(self.DEFAULT_LOSS if loss is None else loss)

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Keep what the task is made with, for the record of a run."""
        task = super().__new__(cls)
        task._made_with = (args, kwargs)
        return task

    def arguments(self) -> dict[str, Any]:
        """Return the arguments that make this task again, as far as they are plain values; the loss by its name."""
        args, kwargs = self._made_with
        parameters = inspect.signature(type(self)).parameters
        found = inspect.signature(type(self)).bind(*args, **kwargs).arguments
        found = {name: value for name, value in found.items() if is_plain(value)}
        if "loss" in parameters:
            found.pop("loss", None)
            criterion = getattr(self, "criterion", None)
            if type(criterion).__module__.startswith("torch.nn."):
                found["loss"] = name_of(criterion)
        return found

    # the loss

    def make_criterion(self, loss: Any) -> Criterion:
        """Return a criterion by name or class with what the task knows of it, or a ready one as it is.

        Raises:
            ConfigError: If there is none of that name, or it does not take what the task knows.
        """
        if loss == "":
            raise ConfigError(f"{type(self).__name__} has no loss: give a criterion, or override loss()")
        if not isinstance(loss, str | type):
            return cast("Criterion", create_criterion(loss))
        kind = find_criterion(loss) if isinstance(loss, str) else loss
        accepted = inspect.signature(kind).parameters
        known = {name: value for name, value in self.criterion_defaults().items() if name in accepted}
        return cast("Criterion", create_criterion(kind, **known, **self.criterion_arguments()))

    def criterion_defaults(self) -> dict[str, Any]:
        """Return what criteria made by name are told where they take it (`ignore_index`)."""
        return {}

    def criterion_arguments(self) -> dict[str, Any]:
        """Return what criteria made by name must take (`weight`)."""
        return {}

    def with_loss(self, loss: Any) -> Self:
        """Return the same task with another criterion.

        Args:
            loss: A name, a class, or a ready module or function.

        Raises:
            ConfigError: If the task computes its loss itself.
        """
        if type(self).loss is not Task.loss and not self.uses_criterion():
            raise ConfigError(
                f"the task {type(self).__name__} has a loss of its own; leave loss_criteria ({name_of(loss)}) out"
            )
        task = copy.copy(self)
        task._unsmoothed = None
        task.criterion = task.make_criterion(loss)
        return task

    def uses_criterion(self) -> bool:
        """Return whether an overridden `loss` calls `criterion`, so that another one can be put there."""
        return False

    def smoothed(self, share: float, key: str = "label_smoothing") -> Self:
        """Return the same task whose loss spreads a share of each label over all classes; itself for 0.

        Args:
            share: In [0, 1].
            key: What a person set, for messages.

        Raises:
            ConfigError: If its loss knows no label smoothing.
        """
        if not share:
            return self
        if not hasattr(self, "criterion"):
            raise ConfigError(f"{key}={share}: the task {type(self).__name__} has a loss of its own, which knows none")
        task = copy.copy(self)
        task._unsmoothed = self.criterion if self._unsmoothed is None else self._unsmoothed
        task.criterion = with_label_smoothing(task._unsmoothed, share, key)
        return task

    def plain(self) -> Self:
        """Return the task that tests: without what regularizes training alone (label smoothing)."""
        if self._unsmoothed is None:
            return self
        task = copy.copy(self)
        task.criterion, task._unsmoothed = self._unsmoothed, None
        return task

    def loss(self, outputs: Any, batch: Any) -> Tensor:
        """Return the loss, a scalar.

        Args:
            outputs: What `forward` returned.
            batch: What `to_device` returned.
        """
        return self.criterion(outputs, batch[1])

    def weight_loss(self, outputs: Any, batch: Any) -> Tensor:
        """Return the loss that weights are trained by: `loss`, and what regularizes weights alone; a scalar.

        Architecture parameters are trained by `loss`, and so are validation and test measured.

        Args:
            outputs: What `forward` returned.
            batch: What `to_device` returned.
        """
        return self.loss(outputs, batch)

    # batches

    def remember(self, batch: Any, memory: Memory | None) -> Memory | None:
        """Let a batch go on with what a network remembers of the batch before in the same epoch (None: nothing).

        Returns:
            What it will remember of this batch; None unless a task says otherwise.
        """
        return None

    def rate_share(self, batch: Any) -> float:
        """Return by what the learning rate of a step on a batch is multiplied: 1 unless a task says otherwise."""
        return 1.0

    def read(self, batch: Any) -> tuple[Tensor, Tensor]:
        """Return inputs and targets of what a loader yielded, as tensors of their own types.

        Both are `(n, ...)`.

        Raises:
            DataError: If they are not found in it.
        """
        if (type(batch) is not tuple and type(batch) is not list) or len(batch) != 2:
            batch = unpack(batch, self._fields, (self.INPUT_NAMES, self.TARGET_NAMES))
        inputs, targets = batch
        return as_tensor(inputs, "inputs"), as_tensor(targets, "targets")

    def to_device(
        self, batch: Any, device: torch.device, memory_format: torch.memory_format = torch.preserve_format
    ) -> Any:
        """Return a batch on a device, in the types that the network and the loss take.

        Args:
            batch: What a loader yielded: a pair, a mapping, arrays.
            device: Where it goes.
            memory_format: Of inputs with four dimensions.

        Returns:
            `(inputs, targets)`.

        Raises:
            DataError: If it cannot be understood.
        """
        inputs, targets = self.read(batch)
        inputs = self.prepare_inputs(inputs.to(device, non_blocking=True))
        if memory_format is not torch.preserve_format and inputs.dim() == 4:
            inputs = inputs.contiguous(memory_format=memory_format)
        return inputs, self.prepare_targets(targets.to(device, non_blocking=True))

    def prepare_inputs(self, inputs: Tensor) -> Tensor:
        """Return inputs in `dtype`; levels of 8 and 16 bits become numbers from 0 to 1, tokens int64.

        `(n, ...)` in and out.

        Raises:
            DataError: For integers whose range is not known.
        """
        if inputs.dtype is self.dtype:
            return inputs
        if inputs.is_floating_point() or inputs.dtype is torch.bool:
            return inputs.to(self.dtype)
        if self.TAKES_TOKENS and not inputs.is_complex():
            return inputs.long()
        if inputs.dtype in _LEVELS:
            return inputs.to(self.dtype) / _LEVELS[inputs.dtype]
        raise DataError(
            f"its inputs are {describe_value(inputs)}; expected floats, or levels as uint8 (0..255) or uint16 "
            "(0..65535), which are scaled to 0..1: what 1 means is not known of others, so divide them yourself"
        )

    def prepare_targets(self, targets: Tensor) -> Tensor:
        """Return targets in the type and shape that the loss takes.

        `(n, ...)` in, what the loss takes out.
        """
        return targets

    def example_inputs(self, batch_size: int) -> Tensor:
        """Return inputs as the data set has them: `(batch_size, *input_shape)`, the same ones each time.

        Raises:
            ConfigError: If their shape is not known: no data set told it, and no batch was seen yet.
        """
        if self.input_shape is None:
            raise ConfigError(
                f"{type(self).__name__} has seen no data set and no batch: the shape of inputs is unknown"
            )
        generator = torch.Generator().manual_seed(0)
        return torch.randn((batch_size, *self.input_shape), generator=generator, dtype=self.dtype)

    def shape_of(self, batch: Any) -> tuple[int, ...]:
        """Return the shape of one input of a batch; () where it holds no tensor."""
        tensor = first_tensor(batch)
        return tuple(tensor.shape[1:]) if tensor is not None else ()

    def device_of(self, batch: Any) -> torch.device:
        """Return where a batch is."""
        tensor = first_tensor(batch)
        return tensor.device if tensor is not None else torch.device("cpu")

    # the network

    def forward(self, model: Callable[..., Any], batch: Any) -> Any:
        """Return the outputs of a network.

        Args:
            model: The network, or a function that calls it.
            batch: What `to_device` returned.
        """
        return model(batch[0])

    def predict(self, outputs: Any) -> Any:
        """Return predictions, given what `forward` returned; the outputs themselves unless a task says otherwise."""
        return outputs

    def probabilities(self, outputs: Any) -> Tensor:
        """Return probabilities, given what `forward` returned; the classes are the second dimension of most tasks.

        `(n, k, ...)`.

        Raises:
            DataError: If the task predicts something else.
        """
        raise DataError(f"the task {type(self).__name__} tells no probabilities of classes: use predict")

    def class_pairs(self, outputs: Any, batch: Any) -> tuple[Tensor, Tensor, int] | None:
        """Return true and predicted classes of a batch, both `(m,)` int64, and how many classes there are.

        A true class that is none of them does not count. None for a task without classes.
        """
        return None

    # what is measured

    @abstractmethod
    def statistics(self, outputs: Any, batch: Any) -> Sequence[Tensor | float]:
        """Return what is summed over batches: by default one sum per score, and last the number of predictions.

        Args:
            outputs: What `forward` returned.
            batch: What `to_device` returned.

        Returns:
            Scalars (or tensors, of which every entry is a sum of its own), nothing read from the device. The last is a
            scalar: how much the batch weighs in the mean loss.
        """

    def summarize(self, sums: Sequence[float]) -> Sequence[float | None]:
        """Return one value per score, given the sums of `statistics`; by default their means over predictions."""
        *totals, count = sums
        return [total / count for total in totals]

    def meter(self, device: torch.device | str = "cpu") -> Meter:
        """Return what measures loss and scores over batches."""
        return Meter(self, device)

    @property
    def score(self) -> Score:
        """The score that decides: the first."""
        return self.scores[0]

    def value_of(self, outputs: Any, batch: Any) -> float:
        """Return the deciding score of one batch (waits for the device)."""
        tally = Tally(self)
        tally.add(outputs, batch)
        value = tally.value()
        return float("nan") if value is None else value

    def reward(self, value: float) -> float:
        """Return what a controller is paid for a value of the deciding score: percentages as shares, losses negated."""
        quality = self.score.quality(value)
        return quality / 100 if self.score.unit == "%" else quality

    # what does not fit

    def batch_problems(self, batch: Any) -> list[str]:
        """Return what is wrong with a batch that `to_device` returned, whatever the network; none if nothing is."""
        return pair_problems(batch)

    def output_problems(self, outputs: Any, batch: Any) -> list[str]:
        """Return why a network's outputs do not fit the targets of a batch; none if they do."""
        return []

    # state

    def state_dict(self) -> dict[str, Any]:
        """Return what the task has learned, for checkpoints: nothing, unless a task of your own has a state."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:  # noqa: B027 - a hook, empty by default
        """Take over what `state_dict` returned."""

    def to(self, device: torch.device, dtype: torch.dtype | None = None) -> Self:
        """Move the criterion to a device, and say what the network computes in; return the task."""
        criterion = getattr(self, "criterion", None)
        if isinstance(criterion, nn.Module):
            criterion.to(device)
        if dtype is not None:
            self.dtype = dtype
        return self

    def __repr__(self) -> str:
        criterion = getattr(self, "criterion", None)
        loss = f"loss={name_of(criterion)}" if criterion is not None else ""
        return f"{type(self).__name__}({loss})"
