"""The mixed operations: who runs in a stochastic call, what is evaluated, and how alpha gets its gradient."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from naslib.errors import ConfigError
from naslib.optimizers.oneshot.supernet.moving_average import MovingAverage
from naslib.optimizers.oneshot.supernet.strategy import Strategy

from .base import MixedLayer


class ContinuousMixedOp(MixedLayer):
    """Run all operations, weighted by `p = softmax(alpha)`: a stochastic call returns `sum_k p_k o_k(x)`, as in DARTS.

    Memory and time of a call are those of all operations. A deterministic call is the plain sum of the chosen ones.

    Args:
        operations: See `MixedLayer`.
        num_on_samples: How many of them are chosen.
        name: For `architecture_summary`.
    """

    def strategy(self) -> Strategy:
        """Return how all operations are weighted."""
        return Strategy(sampler="all", forward="p", gradient="autodiff")


class BinaryMixedOp(MixedLayer):
    """Run what is sampled from `p = softmax(alpha)` without replacement, and evaluate all operations in the backward.

    With `a_k = <dL/dy, o_k(x)>` the gradient is `dL/dalpha_i = p_i (a_i - sum_j p_j a_j)`. What did not run is
    evaluated in the backward without a graph: the memory is that of `num_on_samples` operations. Batch-norm statistics
    and the random state are left as they are then. Nothing is evaluated where `alpha.requires_grad` is False.

    Args:
        operations: See `MixedLayer`.
        num_on_samples: How many of them run, and are chosen.
        name: For `architecture_summary`.
    """

    def strategy(self) -> Strategy:
        """Return how operations are sampled."""
        return Strategy(n_on=self.num_on_samples, gradient="gates")


class _PartiallyEvaluated(MixedLayer):
    """Evaluate `num_eval_samples` operations in the backward: those that run, and others by the same sampling."""

    def __init__(
        self, operations: Sequence[nn.Module], num_eval_samples: int, num_on_samples: int, name: str | None = None
    ) -> None:
        if num_eval_samples < num_on_samples:
            raise ConfigError(
                f"num_eval_samples ({num_eval_samples}) must not be smaller than num_on_samples ({num_on_samples}): "
                "what runs is evaluated"
            )
        self.num_eval_samples = num_eval_samples
        super().__init__(operations, num_on_samples, name)


class BinaryMaskedMixedOp(_PartiallyEvaluated):
    """Run and evaluate as many operations as said; the cost of a backward does not depend on how many there are.

    With the `baseline`, the p-weighted mean of the evaluated gate gradients is subtracted from them: operations that
    were not evaluated get a gradient of exactly 0. Without, their gate gradient is taken to be 0, and they drift by
    `-p_k sum_j p_j a_j` although nobody looked at them.

    Args:
        operations: See `MixedLayer`.
        num_eval_samples: How many of them are evaluated, at least `num_on_samples`.
        num_on_samples: How many of them run, and are chosen.
        name: For `architecture_summary`.
        baseline: Whether the mean is subtracted; then `num_eval_samples` must be larger than 1.
    """

    def __init__(
        self,
        operations: Sequence[nn.Module],
        num_eval_samples: int,
        num_on_samples: int,
        name: str | None = None,
        baseline: bool = True,
    ) -> None:
        self.baseline = baseline
        super().__init__(operations, num_eval_samples, num_on_samples, name)

    def strategy(self) -> Strategy:
        """Return how operations are sampled and evaluated."""
        gradient = "masked_baseline" if self.baseline else "masked"
        return Strategy(n_on=self.num_on_samples, n_eval=self.num_eval_samples, gradient=gradient)


class BinaryProxylessNASStyleMixedOp(_PartiallyEvaluated):
    """Take the gradient by the softmax over the evaluated operations alone.

    The probabilities of the others are to stay as they are, which no gradient can do: the logits of the evaluated
    operations must be shifted after each step of the optimizer of alpha, whichever it is.
    `rescale_after_steps(optimizer, model)` does it from then on; `rescaled_step(model)` is a context for one step.

    Args:
        operations: See `MixedLayer`.
        num_eval_samples: How many of them are evaluated; more than 1, and at least `num_on_samples`.
        num_on_samples: How many of them run, and are chosen.
        name: For `architecture_summary`.
    """

    def __init__(
        self, operations: Sequence[nn.Module], num_eval_samples: int, num_on_samples: int, name: str | None = None
    ) -> None:
        if num_eval_samples <= 1:
            raise ConfigError(f"num_eval_samples must be larger than 1, not {num_eval_samples}: paths are compared")
        super().__init__(operations, num_eval_samples, num_on_samples, name)

    def strategy(self) -> Strategy:
        """Return how operations are sampled and evaluated."""
        return Strategy(n_on=self.num_on_samples, n_eval=self.num_eval_samples, gradient="renormalized")


class BinaryMovingAverageMixedOp(_PartiallyEvaluated):
    """Estimate the gate gradients of what is not evaluated by running means of the operations' outputs.

    From its first evaluation on, each operation's alpha has a gradient in every step, see `MovingAverage`. The inputs
    must have one size; the number of examples may change.

    Args:
        operations: See `MixedLayer`.
        num_eval_samples: How many of them are evaluated, at least `num_on_samples`.
        num_on_samples: How many of them run, and are chosen.
        learning_rate: Of the running means, in (0, 1]: 1/100 averages about the last 100 calls.
        name: For `architecture_summary`.
    """

    def __init__(
        self,
        operations: Sequence[nn.Module],
        num_eval_samples: int,
        num_on_samples: int,
        learning_rate: float,
        name: str | None = None,
    ) -> None:
        super().__init__(operations, num_eval_samples, num_on_samples, name)
        self.mixture.gate_rule = MovingAverage(learning_rate)

    def strategy(self) -> Strategy:
        """Return how operations are sampled and evaluated."""
        return Strategy(n_on=self.num_on_samples, n_eval=self.num_eval_samples, gradient="moving_average")
