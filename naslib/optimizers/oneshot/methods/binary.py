"""Binary gates: sampled operations run with weight one, and the gates' gradients train the architecture.

In a forward, `num_on_samples` operations of each decision are drawn without replacement from `p = softmax(alpha)`;
their outputs are summed. In the backward of the architecture step, `num_eval_samples` operations, those included, have
a gate gradient `a_k = <dL/dy, o_k(x)>`: what did not run is evaluated there, without a graph. The classes differ in
which operations are evaluated and in the gradient of alpha that is made of a.
"""

from __future__ import annotations

from typing import Any, ClassVar

from naslib.optimizers.oneshot.supernet.strategy import Strategy
from naslib.optimizers.oneshot.supernet.strategy_optimizer import StrategyOptimizer
from naslib.optimizers.registry import OPTIMIZERS

# Without momentum and decay of alpha, which would move operations that were not evaluated: the authors' setting of
# ProxylessNAS
GATE_BETAS = (0.0, 0.999)


@OPTIMIZERS.register("binary")
class BinaryOptimizer(StrategyOptimizer):
    """Evaluate all operations: `dL/dalpha_i = p_i (a_i - sum_j p_j a_j)` ([Cai2019proxylessnas], Eq. 4).

    Args:
        num_on_samples: How many operations of a decision run.
        arch_weight_decay: Of alpha; it moves operations that were not evaluated.
        **kwargs: See `OneShotOptimizer`.
    """

    ARCH_BETAS: ClassVar[tuple[float, float]] = GATE_BETAS

    def __init__(self, num_on_samples: int = 1, arch_weight_decay: float = 0.0, **kwargs: Any) -> None:
        super().__init__(arch_weight_decay=arch_weight_decay, **kwargs)
        self.strategy = Strategy(n_on=num_on_samples, gradient="gates")


@OPTIMIZERS.register("binary_masked")
class BinaryMaskedOptimizer(StrategyOptimizer):
    """Evaluate some operations; `a_k = 0` for the others, or the baseline.

    With the baseline, the p-weighted mean of a over the evaluated operations is subtracted from theirs: others get a
    gradient of exactly 0. Without, they drift by `-p_k sum_j p_j a_j` although nobody looked at them.

    Args:
        num_on_samples: How many operations of a decision run.
        num_eval_samples: How many are evaluated, those included.
        baseline: Whether the mean is subtracted.
        arch_weight_decay: Of alpha; it moves operations that were not evaluated.
        **kwargs: See `OneShotOptimizer`.
    """

    ARCH_BETAS: ClassVar[tuple[float, float]] = GATE_BETAS

    def __init__(
        self,
        num_on_samples: int = 1,
        num_eval_samples: int = 2,
        baseline: bool = True,
        arch_weight_decay: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(arch_weight_decay=arch_weight_decay, **kwargs)
        gradient = "masked_baseline" if baseline else "masked"
        self.strategy = Strategy(n_on=num_on_samples, n_eval=num_eval_samples, gradient=gradient)


@OPTIMIZERS.register("binary_proxyless_style")
class BinaryProxylessStyleOptimizer(StrategyOptimizer):
    """Take the softmax over the evaluated operations alone, and leave the probabilities of the others as they are.

    After each step of the architecture's optimizer, whichever it is, the logits of the evaluated operations are shifted
    so that their total probability is what it was ([Cai2019proxylessnas], Sec. 3.2.1). Unlike in ProxylessNAS, the
    operations that run are drawn from the softmax over all of them.

    Args:
        num_on_samples: How many operations of a decision run.
        num_eval_samples: How many are evaluated, those included; more than 1.
        arch_weight_decay: Of alpha; it moves operations that were not evaluated.
        **kwargs: See `OneShotOptimizer`.
    """

    ARCH_BETAS: ClassVar[tuple[float, float]] = GATE_BETAS

    def __init__(
        self, num_on_samples: int = 1, num_eval_samples: int = 2, arch_weight_decay: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(arch_weight_decay=arch_weight_decay, **kwargs)
        self.strategy = Strategy(n_on=num_on_samples, n_eval=num_eval_samples, gradient="renormalized")


@OPTIMIZERS.register("binary_moving_average")
class BinaryMovingAverageOptimizer(StrategyOptimizer):
    """Evaluate some operations and estimate the gate gradients of the others by running means of their outputs.

    Every alpha moves in every step, see `MovingAverage`. All inputs of an edge must have one size.

    Args:
        num_on_samples: How many operations of a decision run.
        num_eval_samples: How many are evaluated, those included.
        moving_average_rate: Of the running means, in (0, 1]; its inverse is about the number of steps averaged.
        arch_weight_decay: Of alpha; it moves operations that were not evaluated.
        **kwargs: See `OneShotOptimizer`.
    """

    ARCH_BETAS: ClassVar[tuple[float, float]] = GATE_BETAS

    def __init__(
        self,
        num_on_samples: int = 1,
        num_eval_samples: int = 2,
        moving_average_rate: float = 0.01,
        arch_weight_decay: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(arch_weight_decay=arch_weight_decay, **kwargs)
        self.moving_average_rate = moving_average_rate
        self.strategy = Strategy(n_on=num_on_samples, n_eval=num_eval_samples, gradient="moving_average")
