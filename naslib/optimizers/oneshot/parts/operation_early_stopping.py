"""OLES: each operation stops being trained once it overfits, by the gradients of training and validation loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from naslib.errors import ConfigError, did_you_mean
from naslib.optimizers.core.metaclasses import Batch
from naslib.optimizers.oneshot.supernet.abilities import Ability
from naslib.optimizers.oneshot.supernet.part import PARTS, Part
from naslib.search_spaces.core.given_weights import stop_training, train_again, trainable
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.primitives import MixedOp
from naslib.utils.log import get_logger

from .early_stopping import is_skip

logger = get_logger(__name__)

# What the gradient of the training loss is compared with: their sum with that of the validation loss, or the latter
STATISTICS = ("code", "paper")


def gradient_agreement(
    train: Sequence[Tensor | None], valid: Sequence[Tensor | None], statistic: str = "paper"
) -> Tensor | None:
    """Return how far the gradients of an operation's two losses agree: a cosine in [-1, 1], a scalar.

    Of each tensor the cosine along the first axis (the output channels), averaged over the other axes; then the mean
    over the tensors, as in the authors' code of [Jiang2023oles].

    Args:
        train: Gradients of the training loss, one per tensor; None where there is none.
        valid: Those of the validation loss.
        statistic: `"paper"` compares `valid` with `train`, `"code"` compares `train + valid` with `train`.

    Returns:
        None if no tensor has both.
    """
    pairs = [(t, v) for t, v in zip(train, valid, strict=True) if t is not None and v is not None]
    if not pairs:
        return None
    if statistic == "code":
        pairs = [(t, t + v) for t, v in pairs]
    return torch.stack([F.cosine_similarity(v, t, dim=0).mean() for t, v in pairs]).mean()


@PARTS.register("operation_early_stopping")
class OperationEarlyStopping(Part):
    """Freeze a candidate operation for good once its training and validation gradients disagree ([Jiang2023oles]).

    The gradient of the last weight step, after clipping, is compared with that of the validation loss in the next
    architecture step; where the mean of `steps` such comparisons is below `threshold`, the weights of the operation are
    not trained any more: neither gradient, nor momentum, nor weight decay reaches them. Its batch norm goes on. Every
    copy of an operation is judged by itself. Skip connections are never judged, not even those with weights.

    The authors' code does not clear the gradients of the weights between the two steps, so what it compares with the
    training gradient g_t is g_t + g_v, and .4 is a threshold for that. The cosine of g_t and g_v, which the paper has,
    is below .4 for most operations within some twenty steps.

    Args:
        steps: Number of comparisons that are averaged.
        threshold: Smallest mean with which an operation goes on.
        statistic: `"code"` for the cosine of g_t + g_v and g_t, `"paper"` for that of g_v and g_t.

    Attributes:
        frozen: Names of the operations that have stopped, in that order.

    Raises:
        ConfigError: For a value out of range.
    """

    SCHEDULABLE = {"threshold": "", "steps": "comparisons are counted up to it"}

    def __init__(self, steps: int = 20, threshold: float = 0.4, statistic: str = "code") -> None:
        problems = []
        if steps < 1 or not -1 <= threshold <= 1:
            problems.append(f"steps must be at least 1 and threshold in [-1, 1], got {steps} and {threshold}")
        if statistic not in STATISTICS:
            known = ", ".join(STATISTICS)
            problems.append(f"statistic must be one of {known}, not {statistic!r}{did_you_mean(statistic, STATISTICS)}")
        if problems:
            raise ConfigError(problems)
        self.steps, self.threshold, self.statistic = steps, threshold, statistic
        self._reset()

    def _reset(self) -> None:
        self.frozen: list[str] = []
        self._weights: dict[str, list[nn.Parameter]] = {}
        self._train: dict[str, list[Tensor | None]] = {}  # gradients of the last weight step, by operation
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}
        self._asked: list[str] = []

    def needs(self) -> Mapping[Ability, str]:
        """Return the gradients that are compared."""
        own = {Ability.OWN_WEIGHTS: "an operation that stopped would stop those that share its weights"}
        return dict.fromkeys((Ability.VALIDATION_GRADIENT, Ability.TRAINED_WEIGHTS), "") | own

    def adapt(self, graph: Graph) -> None:
        """Forget an earlier search."""
        self._reset()

    def restructured(self) -> None:
        """Compare anew; of the operations that are left, those that had stopped have still stopped."""
        stopped = {id(weight) for name in self.frozen for weight in self._weights[name]}
        before, self._weights = self._weights, {}  # kept until here: an id is its tensor's as long as that lives
        names = [name for name, weights in self._operations().items() if all(id(w) in stopped for w in weights)]
        del before
        self._reset()
        self.frozen = names

    def _operations(self) -> dict[str, list[nn.Parameter]]:
        """Return the weights of each candidate that has some and is no skip connection, by its name in the supernet."""
        if not self._weights:
            for name, module in self.optimizer.graph.named_modules():
                if isinstance(module, MixedOp):
                    for index, candidate in enumerate(module.primitives):
                        weights = [] if is_skip(candidate) else trainable(candidate)
                        if weights:
                            self._weights[f"{name}.{index}"] = weights
        return self._weights

    def watched(self) -> list[Tensor]:
        """Return the weights of the operations whose training gradient is known.

        Weights of any shape.
        """
        weights = self._operations()
        self._asked = list(self._train)
        return [weight for name in self._asked for weight in weights[name]]

    def watch(self, gradients: Sequence[Tensor | None]) -> None:
        """Compare, and freeze what has been compared often enough and disagrees.

        Each has the shape of its weight, in the order of `watched`; of any shape.
        """
        found = iter(gradients)
        for name in self._asked:
            train = self._train[name]
            agreement = gradient_agreement(train, [next(found) for _ in train], self.statistic)
            if agreement is not None:
                self._sums[name] = self._sums[name] + agreement if name in self._sums else agreement
                self._counts[name] = self._counts.get(name, 0) + 1
        self._train = {}  # each gradient is used once
        self._judge([name for name, count in self._counts.items() if count == self.steps])

    def _judge(self, due: Sequence[str]) -> None:
        if not due:
            return
        means = (torch.stack([self._sums.pop(name) for name in due]) / self.steps).tolist()  # the only wait
        for name, mean in zip(due, means, strict=True):
            del self._counts[name]
            if mean < self.threshold:
                self._freeze(name)
                logger.info("operation %s stops being trained: its gradients agree by %.3f only", name, mean)

    def _freeze(self, name: str) -> None:
        self.frozen.append(name)
        stop_training(self._operations()[name])

    def discretize(self, graph: Graph) -> None:
        """Let what has stopped be trained again in the architecture found."""
        for nested in graph.nested_graphs():
            for module in nested._modules_in_use():
                train_again(module.parameters())

    def after_weight_step(self, data_train: Batch) -> None:
        """Keep the gradients of the step; the next one makes new tensors."""
        stopped = set(self.frozen)
        self._train = {}
        for name, weights in self._operations().items():
            if name not in stopped:
                gradients = [None if weight.grad is None else weight.grad.detach() for weight in weights]
                if any(gradient is not None for gradient in gradients):
                    self._train[name] = gradients

    def state_dict(self) -> dict[str, Any]:
        """Return what is frozen, the running sums, and the gradients of the last weight step."""
        return {
            "frozen": list(self.frozen),
            "sums": {name: value.clone() for name, value in self._sums.items()},
            "counts": dict(self._counts),
            "train": {name: [None if g is None else g.clone() for g in train] for name, train in self._train.items()},
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state, and freeze what was frozen and nothing else."""
        for weights in self._operations().values():
            train_again(weights)
        self.frozen = []
        for name in state_dict["frozen"]:
            self._freeze(name)
        like = next(iter(self.optimizer.weights))
        self._sums = {name: value.to(like.device) for name, value in state_dict["sums"].items()}
        self._counts = dict(state_dict["counts"])
        self._train = {
            name: [None if g is None else g.to(like.device) for g in train]
            for name, train in state_dict["train"].items()
        }
