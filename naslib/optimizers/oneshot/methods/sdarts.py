"""SmoothDARTS: first-order DARTS whose weights are trained for perturbed mixtures."""

from __future__ import annotations

from naslib.optimizers.oneshot.supernet.base import OneShotOptimizer
from naslib.optimizers.registry import OPTIMIZERS


@OPTIMIZERS.register("sdarts_rs")
class SDARTSRandomOptimizer(OneShotOptimizer):
    """Search with random smoothing, SDARTS-RS ([Chen2020sdarts]): uniform noise on the weights in the weight step.

    Args:
        **kwargs: See `OneShotOptimizer`; `parts` changes the keywords of `perturbation`.
    """

    PARTS = {"perturbation": {"kind": "random"}}


@OPTIMIZERS.register("sdarts_adv")
class SDARTSAdversarialOptimizer(OneShotOptimizer):
    """Search with adversarial perturbation, SDARTS-ADV ([Chen2020sdarts]): the worst weights near the method's own.

    A step costs nine forwards and seven backwards of the training batch more than one of DARTS.

    Args:
        **kwargs: See `OneShotOptimizer`; `parts` changes the keywords of `perturbation`.
    """

    PARTS = {"perturbation": {"kind": "adversarial"}}
