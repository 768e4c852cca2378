"""SupernetHost: the narrow face of an optimizer that its parts see, and whoever measures or judges its supernet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from torch import Tensor, nn

from naslib.optimizers.core.metaclasses import Batch, StepResult
from naslib.search_spaces.core.graph import Graph, Scope
from naslib.tasks import Task

from .searched import SearchedDecision


class OtherPart(Protocol):
    """What a part sees of the parts beside it."""

    @property
    def trains_architecture(self) -> bool:
        """Whether the architecture step is taken now."""


class StructureHandle(Protocol):
    """What a part may do to the structure of the supernet; see `Structure`."""

    def strongest(self, n_ops: int | Sequence[int]) -> list[list[int]]:
        """Return per decision the positions of its strongest candidates."""

    def prune(self, positions: Sequence[Sequence[int]]) -> None:
        """Remove all other candidates from every copy of each decision."""

    def refresh(self) -> None:
        """Compile the supernet again after modules in it were replaced."""


class Supernet(Protocol):
    """A network with all candidates, its decisions, and what their scores are: what can be seen without training."""

    outcome: list[Tensor] | None

    @property
    def task(self) -> Task:
        """What learning means."""

    @property
    def graph(self) -> Graph:
        """The supernet."""

    @property
    def scope(self) -> Scope:
        """The scopes that were adapted."""

    @property
    def decisions(self) -> Sequence[SearchedDecision]:
        """What is decided, with the edge that carries it."""

    @property
    def architectural_weights(self) -> nn.ParameterList:
        """One parameter per decision, in the same order."""

    @property
    def architecture_parameters(self) -> Sequence[nn.Parameter]:
        """Those that are trained, and the parts' own."""

    @property
    def weights(self) -> Sequence[nn.Parameter]:
        """The operation weights, in the order of the supernet."""

    @property
    def epochs(self) -> int:
        """Number of epochs of the search, for schedules."""

    def decision_weights(self, alpha: Tensor) -> Tensor:
        """Return by what the candidates of a decision are compared at the end, `(n_ops,)`."""

    def choice_probabilities(self) -> list[Tensor]:
        """Return by what parts take expected values: one differentiable `(n_ops,)` per decision that sums to 1."""

    def decision_scores(self) -> list[Tensor]:
        """Return per decision by what its candidates are compared, `(n_ops,)`, the parts' say included."""

    def get_final_architecture(self) -> Graph:
        """Return the discrete architecture that the search would end with now."""


class SupernetHost(Supernet, Protocol):
    """The optimizer as a part sees it: the supernet, how it is trained, and the parts beside it.

    A part that needs more of an optimizer asks for it here, so that every optimizer is known to have it.
    """

    op_optimizer: Any
    arch_optimizer: Any
    loss: Any

    @property
    def parts(self) -> Mapping[str, OtherPart]:
        """The parts by name."""

    @property
    def structure(self) -> StructureHandle:
        """Which candidates the supernet still has."""

    @property
    def learning_rate(self) -> float:
        """Of the operation weights, at first."""

    @property
    def weight_decay(self) -> float:
        """Of the operation weights."""

    @property
    def arch_weight_decay(self) -> float:
        """Of the architecture parameters."""

    def forward_loss(self, data: Batch) -> tuple[Tensor, Tensor]:
        """Return logits and loss of the supernet on a batch.

        Logits `(n, classes)`, the loss a scalar.
        """

    def exact_loss(self, data: Batch) -> Tensor:
        """Return the loss of the supernet on a batch in full precision.

        A scalar.
        """

    def fixed_architecture(self) -> AbstractContextManager[None]:
        """Treat the architecture parameters as constants in the forwards inside."""

    def step(self, data_train: Batch, data_val: Batch) -> StepResult:
        """Update the architecture parameters on the validation batch, then the weights on the training batch."""
