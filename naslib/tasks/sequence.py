"""Sequences: a class per sequence, and the next token of a text."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from naslib.errors import ConfigError, DataError
from naslib.registry.catalogue import TASKS
from naslib.utils.passage import Memory, Passage

from .classification import Classification
from .fields import as_tensor, describe_range, describe_value, unpack
from .score import Score
from .task import Task

_TOKENS = ("input_ids", "tokens", "ids", "text", "x", "input", "inputs", "data")
# [Pham2018enas] pays the controller of a language model this over the perplexity (the authors' code)
_PAID = 80.0


@TASKS.register("sequence_classification")
class SequenceClassification(Classification):
    """Tell classes of sequences apart: `(n, length)` tokens, or `(n, ...)` floats such as signals and spectrograms.

    Integers are numbers of tokens, also those of 8 bits. Everything else is as in `Classification`.
    """

    TAKES_TOKENS: ClassVar[bool] = True
    INPUT_NAMES: ClassVar[tuple[str, ...]] = (
        *_TOKENS,
        *("sequence", "sequences", "audio", "waveform", "signal", "input_values", "input_features", "features"),
    )


@TASKS.register("language_modelling")
class LanguageModelling(Task):
    """Predict the next token of a text.

    A batch is a pair of `(n, length)` tokens and the tokens that follow each of them; a single `(n, length + 1)` tensor
    is shifted against itself. A network gives `(n, length, vocabulary)` logits. The score is the perplexity, the
    exponential of the mean cross entropy per token, whatever regularizes the loss.

    A recurrent network goes on where the batch before ended, if the loader says that its batches do (`Passage`).

    Args:
        loss: The criterion, of `(tokens, vocabulary)` logits and `(tokens,)` targets; see `Task`.
        ignore_index: The target that does not count (padding).
        activation: Weights are trained by this times the mean square of a recurrent network's outputs after dropout,
            besides ([Merity2017activation], AR).
        slowness: And by this times the mean square of the change from one output to the next, before dropout (TAR).
        inputs: See `Task`.
        targets: See `Task`.
        output_size: Size of the vocabulary.

    Raises:
        ConfigError: If a factor is negative.
    """

    DEFAULT_LOSS: ClassVar[str] = "CrossEntropyLoss"
    TAKES_TOKENS: ClassVar[bool] = True
    EXPECTS: ClassVar[str] = "a pair (tokens, next tokens), or tokens alone"
    INPUT_NAMES: ClassVar[tuple[str, ...]] = _TOKENS
    scores = (Score("perplexity", False),)

    def __init__(
        self,
        loss: Any = None,
        ignore_index: int = -100,
        *,
        activation: float = 0.0,
        slowness: float = 0.0,
        inputs: str | None = None,
        targets: str | None = None,
        output_size: int | None = None,
    ) -> None:
        if not (activation >= 0 and slowness >= 0):
            raise ConfigError(f"task_args: activation and slowness must be 0 or more, not {activation} and {slowness}")
        self.ignore_index = ignore_index
        self.activation, self.slowness = activation, slowness
        super().__init__(loss, inputs=inputs, targets=targets, output_size=output_size)

    def criterion_defaults(self) -> dict[str, Any]:
        """Return the target that does not count."""
        return {"ignore_index": self.ignore_index}

    def read(self, batch: Any) -> tuple[Tensor, Tensor]:
        """Return tokens and next tokens; those of a batch that holds tokens alone are shifted by one.

        Both are `(n, tokens)`.
        """
        if isinstance(batch, list | tuple) and len(batch) == 1:
            (batch,) = batch
        if isinstance(batch, Mapping):
            named = {str(key).lower() for key in batch}
            if self._fields[1] is None and not named & set(self.TARGET_NAMES):
                batch = unpack(batch, (self._fields[0], self._fields[0]), (self.INPUT_NAMES, self.INPUT_NAMES))[0]
        if isinstance(batch, list | tuple | Mapping):
            return super().read(batch)
        tokens = as_tensor(batch, "tokens")
        if tokens.dim() != 2 or tokens.shape[1] < 2:
            raise DataError(f"it is {describe_value(tokens)}; expected (n, length + 1) tokens")
        return tokens[:, :-1], tokens[:, 1:]

    def prepare_targets(self, targets: Tensor) -> Tensor:
        """Return next tokens as int64.

        `(n, tokens)` in and out.
        """
        return targets if targets.is_floating_point() else targets.long()

    def to_device(
        self, batch: Any, device: torch.device, memory_format: torch.memory_format = torch.preserve_format
    ) -> Passage:
        """Return a batch on a device, with a memory for recurrent networks; see `Task`."""
        pair = super().to_device(batch, device, memory_format)
        return Passage(pair, batch.goes_on, batch.share) if isinstance(batch, Passage) else Passage(pair)

    def remember(self, batch: Any, memory: Memory | None) -> Memory | None:
        """Let a passage that goes on begin with the states that the one before ended with; see `Task`."""
        if not isinstance(batch, Passage) or not batch.goes_on:
            return None
        if memory is not None:
            device = self.device_of(batch)
            batch.memory.before = {name: state.to(device) for name, state in memory.after.items()}
        return batch.memory

    def rate_share(self, batch: Any) -> float:
        """Return how long the batch is, as a share of the usual length."""
        return batch.share if isinstance(batch, Passage) else 1.0

    def forward(self, model: Callable[..., Any], batch: Any) -> Any:
        """Return the outputs of a network, which begins with what the batch says it remembers."""
        if not isinstance(batch, Passage):
            return super().forward(model, batch)
        batch.memory.wants_notes = bool(self.activation or self.slowness)
        with batch.memory.reading():
            return super().forward(model, batch)

    def weight_loss(self, outputs: Any, batch: Any) -> Tensor:
        """Return the loss, and the terms that keep activations small and slow; a scalar.

        Raises:
            ConfigError: If there are such terms, and the network notes no activations.
        """
        notes = batch.memory.take_notes() if isinstance(batch, Passage) else []
        loss = self.loss(outputs, batch)
        if not (self.activation or self.slowness):
            return loss
        if not notes:
            raise ConfigError(
                "task_args.activation and task_args.slowness regularize the outputs of recurrent layers, and the "
                "network has none that notes them: leave both out"
            )
        for raw, dropped in notes:
            if self.activation:
                loss = loss + self.activation * dropped.pow(2).mean()
            if self.slowness and raw.shape[1] > 1:
                loss = loss + self.slowness * (raw[:, 1:] - raw[:, :-1]).pow(2).mean()
        return loss

    def loss(self, outputs: Any, batch: Any) -> Tensor:
        """Return the loss over all tokens of the batch.

        A scalar.
        """
        if isinstance(batch, Passage):
            batch.memory.take_notes()  # which would keep what the forward computed
        return self.criterion(outputs.flatten(0, -2), batch[1].flatten())

    def uses_criterion(self) -> bool:
        """Return True for this class; see `Task`."""
        return type(self).loss is LanguageModelling.loss

    def statistics(self, outputs: Any, batch: Any) -> Sequence[Tensor | float]:
        """Return the summed negative log-likelihood and the number of tokens that count.

        Both are scalars.
        """
        targets = batch[1].flatten()
        losses = F.cross_entropy(
            outputs.flatten(0, -2).float(), targets, ignore_index=self.ignore_index, reduction="sum"
        )
        return losses, (targets != self.ignore_index).sum()

    def summarize(self, sums: Sequence[float]) -> Sequence[float | None]:
        """Return the perplexity; infinite beyond what a double holds."""
        losses, count = sums
        try:
            return (math.exp(losses / count),)
        except OverflowError:
            return (math.inf,)

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Return the probabilities of the next token.

        `(n, tokens, vocabulary)` in and out, the last dimension sums to 1.
        """
        return torch.softmax(outputs, dim=-1)

    def reward(self, value: float) -> float:
        """Return 80 over the perplexity ([Pham2018enas] and code)."""
        return _PAID / value

    def predict(self, outputs: Tensor) -> Tensor:
        """Return the most likely next tokens, `(n, length)` int64, of `(n, length, vocabulary)` logits."""
        return outputs.argmax(dim=-1)

    def example_inputs(self, batch_size: int) -> Tensor:
        """Return tokens of the vocabulary, `(batch_size, *input_shape)` int64; see `Task`."""
        shape = super().example_inputs(batch_size).shape
        return torch.randint(self.output_size or 2, tuple(shape), generator=torch.Generator().manual_seed(0))

    def batch_problems(self, batch: Any) -> list[str]:
        """Return what is wrong with tokens or targets; see `Task`."""
        problems = super().batch_problems(batch)
        inputs, targets = batch
        if not problems and (targets.is_floating_point() or inputs.shape[:2] != targets.shape):
            problems.append(
                f"inputs are {describe_value(inputs)}, targets {describe_value(targets)}; expected one next token, an "
                "integer, for each token"
            )
        return problems

    def output_problems(self, outputs: Any, batch: Any) -> list[str]:
        """Return why outputs are no logits of the vocabulary."""
        targets = batch[1]
        if not isinstance(outputs, Tensor) or outputs.dim() != 3 or outputs.shape[:2] != targets.shape:
            return [
                f"the network gives {describe_value(outputs)} for {tuple(targets.shape)} tokens, expected (n, length, "
                "vocabulary) logits"
            ]
        counted = targets[targets != self.ignore_index]
        if counted.numel() and (int(counted.max()) >= outputs.shape[2] or int(counted.min()) < 0):
            return [
                f"targets are tokens{describe_range(counted)}, but the network has {outputs.shape[2]} outputs, for the "
                f"tokens 0 to {outputs.shape[2] - 1}"
            ]
        return []
