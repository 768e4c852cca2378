"""Sizes of paths: parameters and multiply-accumulates of the network that an architecture would be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from naslib.errors import ConfigError
from naslib.search_spaces.core.codec import NO_EDGE, Code
from naslib.search_spaces.core.flops import count_macs

from ._decisions import mixed_edges

if TYPE_CHECKING:
    from .scoring import PathScorer
    from .weight_sharing import WeightSharingOptimizer


def count_path_parameters(optimizer: WeightSharingOptimizer, code: Code) -> float:
    """Return the parameters of the derived architecture, of the supernet's size, in millions."""
    choices = optimizer.paths.choices(code)
    decision_of = {id(alpha): index for index, alpha in enumerate(optimizer.architectural_weights)}
    total = sum(parameter.numel() for parameter in optimizer.graph.parameters())
    for data in mixed_edges(optimizer.graph, optimizer.scope):
        chosen = choices[decision_of[id(data.alpha)]]
        for index, op in enumerate(data.op.primitives):
            if index != chosen or chosen == NO_EDGE:
                total -= sum(parameter.numel() for parameter in op.parameters())
    return total / 1e6


class SizeLimits:
    """Say which architectures are small enough.

    Args:
        optimizer: Whose supernet.
        max_params: Millions of parameters of the network of the supernet's size; None for any number.
        max_macs: Millions of its multiply-accumulates for one image; None for any number.
        scorer: Knows the images, for `max_macs`.

    Attributes:
        smallest: By name, the smallest size among the architectures that were refused for it.
    """

    def __init__(
        self,
        optimizer: WeightSharingOptimizer,
        max_params: float | None,
        max_macs: float | None,
        scorer: PathScorer,
    ) -> None:
        if max_macs is not None and optimizer.graph.passes.native:
            raise ConfigError("max_macs: multiply-accumulates of native kernels are not counted; set native=off")
        self.optimizer = optimizer
        self.image_shape = scorer.image_shape() if max_macs is not None else ()
        self.limits = {"max_params": max_params, "max_macs": max_macs}
        self.smallest: dict[str, float] = {}

    def allow(self, code: Code) -> bool:
        """Say whether an architecture keeps to the limits."""
        for name, limit in self.limits.items():
            if limit is None:
                continue
            size = self._measure(name, code)
            if size > limit:
                self.smallest[name] = min(size, self.smallest.get(name, size))
                return False
        return True

    def _measure(self, name: str, code: Code) -> float:
        if name == "max_params":
            return count_path_parameters(self.optimizer, code)
        self.optimizer.use(code)
        return count_macs(self.optimizer.graph, self.image_shape)
