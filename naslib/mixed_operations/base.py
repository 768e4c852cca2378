"""MixedLayer: a layer that holds several operations, of which some will be chosen."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import chain

import torch
from torch import Tensor, nn

from naslib.errors import ConfigError
from naslib.optimizers.oneshot.supernet.relaxed_op import RelaxedMixedOp
from naslib.optimizers.oneshot.supernet.sampling import Draw, ranked
from naslib.optimizers.oneshot.supernet.strategy import Strategy, StrategyRelaxation
from naslib.search_spaces.core.primitives import call_op


class SumOfOperations(nn.ModuleList):
    """Return the sum of the outputs of some operations."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply all operations to one input.

        Tensors of any shape that the operation takes.
        """
        outputs = [call_op(op, x) for op in self]
        return sum(outputs[1:], start=outputs[0])


class MixedLayer(nn.Module, ABC):
    """Choose `num_on_samples` of several operations by training; the output is the sum of theirs.

    `alpha` are the logits of the operations, 1e-3 times a standard normal draw at first. A *stochastic* call samples by
    them, as a subclass says. A *deterministic* call returns the sum of the outputs of the `num_on_samples` operations
    with the largest logits, and gives alpha no gradient. Outputs of several operations are added without weights in
    both, so that the scale in training is that of the architecture that is chosen.

    In training mode calls are stochastic and in evaluation mode deterministic, unless `stochastic` says otherwise:
    `stochastic = False` trains the weights of the chosen operations, in training mode.

    Every call draws for itself, so that a layer may be called several times before the backward: gradients add up.
    Under `torch.compile` the layer runs uncompiled (a graph break), with the draws and gradients that it has without.

    Args:
        operations: Modules that map the input to outputs of one shape.
        num_on_samples: How many of them are chosen.
        name: For `architecture_summary`; by default the layer's path in the model.

    Attributes:
        alpha: `(n_ops,)`.
        stochastic: True or False for all calls, None to follow the mode.

    Raises:
        ConfigError: If operations are no modules, or there are fewer than `num_on_samples`.
    """

    def __init__(self, operations: Sequence[nn.Module], num_on_samples: int, name: str | None = None) -> None:
        super().__init__()
        operations = list(operations)
        self.name = name
        self.num_on_samples = num_on_samples
        self.stochastic: bool | None = None
        self._check(operations)
        self.alpha = nn.Parameter(1e-3 * torch.randn(len(operations)))
        self.mixture = RelaxedMixedOp(operations)
        self.relaxation = StrategyRelaxation(self.strategy())

    @abstractmethod
    def strategy(self) -> Strategy:
        """Return how a stochastic call draws, and how alpha gets its gradient."""

    def _check(self, operations: Sequence[nn.Module]) -> None:
        kind = type(self).__name__
        problems = [
            f"{kind} takes modules, not {op!r}" + (": call it" if isinstance(op, type) else "")
            for op in operations
            if not isinstance(op, nn.Module)
        ]
        if not operations:
            problems.append(f"{kind} needs at least one operation")
        if self.num_on_samples < 1:
            problems.append(f"num_on_samples must be at least 1, not {self.num_on_samples}")
        if self.num_on_samples > len(operations) > 0:
            problems.append(f"num_on_samples is {self.num_on_samples}, but {kind} has {len(operations)} operations")
        if problems:
            raise ConfigError(problems)

    @property
    def operations(self) -> list[nn.Module]:
        """The operations."""
        return self.mixture.primitives

    @property
    def is_stochastic(self) -> bool:
        """Whether a call samples now."""
        return self.training if self.stochastic is None else self.stochastic

    @torch.compiler.disable
    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of the sampled operations' outputs, or of the chosen ones'.

        Tensors of any shape that the operation takes.

        The output may be changed in place, as any layer's; `x` is another tensor, also where an identity runs.
        """
        output = self.mixture.apply_weights(x, self._weights())
        return output.clone() if output is x else output

    def _weights(self) -> Tensor | Draw:
        if self.is_stochastic:
            return self.relaxation(self.alpha.unsqueeze(0), True)[0]
        return Draw(self.chosen, torch.ones_like(self.alpha, requires_grad=False))

    @property
    def chosen(self) -> tuple[int, ...]:
        """Indices of the operations with the largest logits, ascending."""
        return tuple(sorted(chain(*ranked(self.alpha.detach().unsqueeze(0), self.num_on_samples).tolist())))

    def discretized(self) -> nn.Module:
        """Return the chosen operation, or the sum of the chosen ones."""
        chosen = [self.operations[index] for index in self.chosen]
        return chosen[0] if len(chosen) == 1 else SumOfOperations(chosen)

    def probabilities(self) -> list[float]:
        """Return the softmax of alpha."""
        return torch.softmax(self.alpha.detach(), dim=-1).tolist()

    def extra_repr(self) -> str:
        """Describe the layer in the representation of a model."""
        return f"num_on_samples={self.num_on_samples}" + ("" if self.name is None else f", name={self.name!r}")


# As it is called where there is no graph beside it, whose edges carry the other `MixedOp`
MixedOp = MixedLayer
