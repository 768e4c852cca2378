"""Drop-path in the search: a stronger regularisation of the weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from naslib.errors import ConfigError
from naslib.optimizers.oneshot.supernet.mixed_edges import mixed_edges
from naslib.optimizers.oneshot.supernet.part import PARTS, Part
from naslib.optimizers.oneshot.supernet.relaxed_op import Inner, RelaxedMixedOp, Surrounding
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.shared_work import SharedWork
from naslib.utils.rows import draw_for_rows


class _DropEdge(Surrounding):
    """Drop the output of an edge for whole samples, in training only.

    Attributes:
        drop_prob: Probability of dropping, set by the part.
    """

    def __init__(self) -> None:
        super().__init__()
        self.drop_prob = 0.0

    def forward(self, x: Tensor, work: SharedWork, inner: Inner) -> Tensor:
        """Return the mixture, zero for the samples that are dropped, scaled for the others."""
        out = inner(x, work)
        if not self.training or self.drop_prob <= 0.0:
            return out
        keep = 1.0 - self.drop_prob
        shape = (out.shape[0], *[1] * (out.dim() - 1))
        mask = draw_for_rows(shape, lambda of: torch.bernoulli(out.new_full(tuple(of), keep)))
        return out * (mask / keep)


@PARTS.register("drop_path")
class SearchDropPath(Part):
    """Drop edges of the supernet for whole samples, ever more often ([Zela2020robustdarts], R-DARTS (DP)).

    Each sample keeps the mixture of an edge with probability 1 - p, divided by that probability; in epoch e
    p = `drop_prob` e / (epochs - 1), as in the authors' code. Nothing of it stays in the discrete architecture.

    Args:
        drop_prob: Probability of dropping in the last epoch, in [0, 1); the authors try .2, .4 and .6.

    Raises:
        ConfigError: If it is out of range; from `adapt`, where a MixedOp can have no surroundings.
    """

    STATIC = True
    SCHEDULABLE = {"drop_prob": ""}

    def __init__(self, drop_prob: float = 0.2) -> None:
        if not 0 <= drop_prob < 1:
            raise ConfigError(f"drop_prob must be in [0, 1), got {drop_prob}")
        self.drop_prob = drop_prob
        self._grows = True
        self._dropping: list[_DropEdge] = []

    def adapt(self, graph: Graph) -> None:
        """Put the dropping around every mixture."""
        self._dropping = []
        for data in mixed_edges(graph, self.optimizer.scope):
            if not isinstance(data.op, RelaxedMixedOp):
                raise ConfigError(f"the part drop_path needs a RelaxedMixedOp, not {type(data.op).__name__}")
            self._dropping.append(_DropEdge())
            data.op.surround(self._dropping[-1])

    def follow(self, name: str, value: float) -> None:
        """Set the probability, which then does not grow by itself."""
        self._grows = False
        super().follow(name, value)
        self._set(value)

    def new_epoch(self, epoch: int) -> None:
        """Set the probability of the epoch."""
        if self._grows:
            self._set(self.drop_prob * epoch / max(1, self.optimizer.epochs - 1))

    def _set(self, drop_prob: float) -> None:
        for edge in self._dropping:
            edge.drop_prob = drop_prob

    def state_dict(self) -> dict[str, Any]:
        """Return the current probability."""
        return {"now": self._dropping[0].drop_prob if self._dropping else 0.0}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a probability."""
        self._set(state_dict["now"])
