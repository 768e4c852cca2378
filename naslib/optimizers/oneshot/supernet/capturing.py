"""CapturingOptimizer: how the passes of a step are run, as they are or from CUDA graphs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from naslib.errors import ConfigError
from naslib.optimizers.core.metaclasses import Batch

from .captured import CapturedPasses, Pass
from .sampled import SamplingOptimizer

# What a pass is made of, and what runs it
OF_A_STEP = (
    *("step", "architecture_step", "weight_step", "architecture_gradient", "architecture_loss", "with_terms"),
    *("training_backward", "forward_loss", "update_ops", "relaxation", "_collect_decisions", "sampling"),
)


class CapturingOptimizer(SamplingOptimizer):
    """Run the passes of a step, each a forward and a backward that leaves gradients.

    Args:
        cuda_graph: Whether a pass is captured as a CUDA graph at the beginning of each epoch and replayed for all
            batches of the same size.
        **kwargs: See `MetaOptimizer`.

    Attributes:
        captures: The captured passes.
    """

    # Whether a method that defines hooks of its passes launches the same work in every step of an epoch all the same
    STATIC_STEP: ClassVar[bool] = False
    # Names of what a pass is made of, of the class that says how a step goes
    PASS_HOOKS: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *, cuda_graph: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cuda_graph = cuda_graph
        self.captures = CapturedPasses()

    @property
    def own_passes(self) -> list[str]:
        """Names of the hooks of a pass that a method defines otherwise than the class that says how a step goes."""
        own = type(self)
        template = next(cls for cls in own.__mro__ if "PASS_HOOKS" in vars(cls))
        return [name for name in self.PASS_HOOKS if getattr(own, name) is not getattr(template, name)]

    def run_pass(self, function: Pass, receivers: Sequence[nn.Parameter], *batches: Batch) -> tuple[Tensor, Tensor]:
        """Return detached logits `(n, classes)` and loss, a scalar, of a pass; it sets the receivers' gradients."""
        if not self.cuda_graph:
            return function(*batches)
        return self.captures.run(function, batches, receivers, self.graph.buffers())

    def check_device(self, device: torch.device) -> None:
        """Raise if steps are to be captured, and it is no CUDA device or that of one of several processes.

        Raises:
            ConfigError: Saying which of the two.
        """
        if not self.cuda_graph:
            return
        if device.type != "cuda":
            raise ConfigError(
                f"search.cuda_graph captures steps on a CUDA device, and the search runs on {str(device)!r}: leave it "
                "out"
            )
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            raise ConfigError("search.cuda_graph captures the steps of one process, and this search has several")
