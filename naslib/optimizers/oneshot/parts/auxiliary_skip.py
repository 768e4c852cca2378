"""An auxiliary skip connection around every mixture, which fades out (DARTS-)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from naslib.errors import ConfigError
from naslib.optimizers.oneshot.supernet.part import PARTS, Part
from naslib.optimizers.oneshot.supernet.relaxed_op import Inner, RelaxedMixedOp, Surrounding
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.primitives import FactorizedReduce, ReLUConvBN, call_op_shared
from naslib.search_spaces.core.shared_work import SharedWork

from ._resize import ChannelShape, common_shape
from .partial_channels import PartialChannels

# Factor of the connection by the share of the search that is over
DECAYS = {
    "linear": lambda done: 1.0 - done,
    "cosine": lambda done: (1.0 + math.cos(math.pi * done)) / 2.0,
    "slow_cosine": lambda done: math.cos(math.pi / 2.0 * done),
}


class AuxiliarySkip(Surrounding):
    """Add `beta` times the input to the output of the mixture.

    Args:
        connection: What brings the input to the shape of the output; None for the input itself.
        beta: The factor.

    Attributes:
        beta: The same, to be set at any time.
    """

    def __init__(self, connection: nn.Module | None, beta: float) -> None:
        super().__init__()
        self.connection = connection
        self.beta = beta

    def forward(self, x: Tensor, work: SharedWork, inner: Inner) -> Tensor:
        """Return the edge's output.

        `(n, c, h, w)` in and out, smaller by the stride.
        """
        mixed = inner(x, work)
        skipped = x if self.connection is None else call_op_shared(self.connection, x, work)
        return torch.add(mixed, skipped, alpha=self.beta)


@PARTS.register("auxiliary_skip")
class AuxiliarySkipConnections(Part):
    """Let every edge return `beta_t x + mixture`, so that skip candidates need not stabilise the training.

    `beta_t` falls from `beta` by the epoch t of T: `beta (1 - t / T)` (linear), `beta (1 + cos(pi t / T)) / 2` (cosine)
    or `beta cos(pi t / 2T)` (slow_cosine), the same on all edges ([Chu2021dartsminus]). Where the mixture has stride 2
    the connection is a FactorizedReduce with weights of its own, where it only changes the number of channels a 1x1
    convolution; otherwise the input itself, without batch norm. The connection has no alpha, and the discrete
    architecture does not have it.

    Args:
        beta: The factor at the first epoch.
        decay: `"linear"`, `"cosine"` or `"slow_cosine"`.

    Raises:
        ConfigError: For an unknown decay or a negative factor.
    """

    STATIC = True
    SCHEDULABLE = {"beta": ""}

    def __init__(self, beta: float = 1.0, decay: str = "linear") -> None:
        problems = []
        if decay not in DECAYS:
            problems.append(f"decay must be one of {', '.join(DECAYS)}, not {decay!r}")
        if beta < 0:
            problems.append(f"beta must not be negative, got {beta}")
        if problems:
            raise ConfigError(problems)
        self.initial_beta = beta
        self.decay = decay
        self._fades = True
        self._beta = float(beta)
        self._skips: list[AuxiliarySkip] = []

    @property
    def beta(self) -> float:
        """The factor now."""
        return self._beta

    @beta.setter
    def beta(self, value: float) -> None:
        self._beta = value
        for skip in self._skips:
            skip.beta = value

    def adapt(self, graph: Graph) -> None:
        """Put the connections around the mixtures.

        Raises:
            ConfigError: If a MixedOp cannot be surrounded, or has a stride larger than 2.
        """
        self._skips = []
        for edge in graph._edges_in_scope(self.optimizer.scope, private_edge_data=True):
            op = edge.data.op
            if isinstance(op, RelaxedMixedOp):
                skip = AuxiliarySkip(_connection(_shape_of_edge(op)), self._beta)
                op.surround(skip.train(op.training))
                self._skips.append(skip)
        if not self._skips:
            raise ConfigError("auxiliary_skip: no edge has a mixture that it can be put around")

    def follow(self, name: str, value: float) -> None:
        """Set the factor, which then does not fade by itself."""
        self._fades = False
        super().follow(name, value)

    def new_epoch(self, epoch: int) -> None:
        """Set the factor of the epoch."""
        if not self._fades:
            return
        done = min(1.0, epoch / max(1, self.optimizer.epochs))
        self.beta = self.initial_beta * DECAYS[self.decay](done)

    def state_dict(self) -> dict[str, Any]:
        """Return the factor."""
        return {"beta": self.beta}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over the factor."""
        self.beta = state_dict["beta"]


def _shape_of_edge(op: RelaxedMixedOp) -> ChannelShape:
    """Return what an edge does to shapes, partial channels included."""
    shape = common_shape(op.primitives)
    for surrounding in op.surroundings:
        if isinstance(surrounding, PartialChannels) and shape.C_in is not None and shape.C_out is not None:
            shape = ChannelShape(shape.C_in * surrounding.k, shape.C_out * surrounding.k, shape.stride)
    return shape


def _connection(shape: ChannelShape) -> nn.Module | None:
    if shape.stride == 1 and shape.keeps_channels:
        return None
    if shape.C_in is None or shape.C_out is None or shape.stride > 2:
        raise ConfigError(
            f"auxiliary_skip: no connection for an edge of stride {shape.stride} from {shape.C_in} to {shape.C_out} "
            "channels (None: no candidate says how many)"
        )
    if shape.stride == 2:
        return FactorizedReduce(shape.C_in, shape.C_out, affine=False)
    return ReLUConvBN(shape.C_in, shape.C_out, kernel_size=1, affine=False)
