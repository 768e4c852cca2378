"""OneShotOptimizer: the template that every weight-sharing method fills in."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from naslib.errors import GraphError, OptimizerStateError
from naslib.native import available
from naslib.optimizers.core.metaclasses import Batch, MetaOptimizer, Stateful, StepResult
from naslib.search_spaces.core.batch_norm import (
    batch_norm_modules,
    frozen_batch_norm_statistics,
    use_batch_statistics,
)
from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.graph import EdgeView, Graph, Scope
from naslib.search_spaces.core.primitives import MixedOp
from naslib.utils.pytorch_helper import create_criterion, create_optimizer


class ScheduleState:
    """The plain values of an optimizer that change during the search, as one checkpointable."""

    def __init__(self, owner: Any, names: Sequence[str]) -> None:
        self._owner = owner
        self._names = tuple(names)

    def state_dict(self) -> dict[str, Any]:
        """Return the values by name."""
        return {name: getattr(self._owner, name) for name in self._names}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Put the values back."""
        for name in self._names:
            setattr(self._owner, name, state_dict[name])


class OneShotOptimizer(MetaOptimizer):
    """Search by training one network that contains every candidate.

    A subclass says how an edge under search is executed (`update_ops`) and parametrised (`add_alphas`), and, where it
    is not the alternating first-order step, how the architecture parameters get their gradient
    (`architecture_gradient`).

    Args:
        learning_rate: Of the operation weights.
        momentum: Of their optimizer.
        weight_decay: Of the operation weights.
        nesterov: Whether their optimizer uses Nesterov momentum.
        grad_clip: Largest norm of the weights' gradient; 0 or None for no clipping.
        arch_learning_rate: Of the architecture parameters.
        arch_weight_decay: Of the architecture parameters.
        op_optimizer: Name or class of the weights' optimizer.
        arch_optimizer: Name or class of the architecture parameters' optimizer.
        loss_criteria: Name or class of the loss.
        batch_norm: `"running"` keeps running statistics for evaluation, `"batch"` always normalises with the batch's.
        amp: Whether to run forwards under bfloat16 autocast.
        native: `"off"`, `"auto"` or `"on"`: compiled CPU kernels for depthwise candidates (`naslib.native`).
        checkpoint_cells: Whether to keep of each cell only its inputs, and compute it again in the backward.
        **kwargs: See `MetaOptimizer`.

    Attributes:
        graph: The supernet.
        architectural_weights: One parameter per decision.
        weights: The operation weights, in the order of the supernet.
        op_optimizer: Optimizer of the weights (after adapting).
        arch_optimizer: Optimizer of the architecture parameters (after adapting).
        loss: The criterion.
        scope: The scopes that were adapted.
        dataset: Name of the data set.
        device: Where the supernet is trained.
    """

    # Adam's betas for architecture parameters, as in the authors' code of DARTS and its successors
    ARCH_BETAS: ClassVar[tuple[float, float]] = (0.5, 0.999)
    # Names of plain attributes that belong into a checkpoint
    SCHEDULED: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        learning_rate: float = 0.025,
        momentum: float = 0.9,
        weight_decay: float = 0.0003,
        grad_clip: float | None = 5,
        arch_learning_rate: float = 0.0003,
        arch_weight_decay: float = 0.001,
        op_optimizer: str | type = "SGD",
        arch_optimizer: str | type = "Adam",
        loss_criteria: Any = "CrossEntropyLoss",
        nesterov: bool = False,
        batch_norm: str = "running",
        amp: bool = False,
        native: str = "off",
        checkpoint_cells: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.nesterov = nesterov
        self.grad_clip = grad_clip
        self.arch_learning_rate = arch_learning_rate
        self.arch_weight_decay = arch_weight_decay
        self.batch_norm = batch_norm
        self.amp = amp
        self.native = native
        self.checkpoint_cells = checkpoint_cells
        self.op_optimizer: Any = op_optimizer
        self.arch_optimizer: Any = arch_optimizer
        self.loss = create_criterion(loss_criteria)
        self.architectural_weights = nn.ParameterList()
        self.decisions: list[EdgeData] = []
        self.weights: list[nn.Parameter] = []
        self._norms: list[nn.Module] = []

    # what a method fills in

    @staticmethod
    def add_alphas(edge: EdgeView) -> None:
        """Put a shared `alpha` on an edge with candidates: 1e-3 times a standard normal draw for each."""
        alpha = nn.Parameter(1e-3 * torch.randn(len(edge.data.op)))
        edge.data.set("alpha", alpha, shared=True)

    @staticmethod
    @abstractmethod
    def update_ops(edge: EdgeView) -> None:
        """Replace the list of candidates on an edge by a MixedOp."""

    def relaxation(self) -> Any:
        """Return the relaxation that all decisions share in a forward, or None where each MixedOp has its own."""
        return None

    def decision_weights(self, alpha: Tensor) -> Tensor:
        """Return by what the candidates of a decision are compared at the end, `(n_ops,)`."""
        return torch.softmax(alpha.detach(), dim=-1)

    # the search space

    def adapt_search_space(
        self,
        search_space: Graph,
        dataset: str | None = None,
        scope: Scope = None,
        dataset_api: Any = None,
        **kwargs: Any,
    ) -> None:
        """Clone the search space, give every decision its parameter and every edge under search its MixedOp.

        Args:
            search_space: The space; it is not changed.
            dataset: Name of the data set, for benchmark queries.
            scope: Which graphs to adapt; the space's `OPTIMIZER_SCOPE` if None.
            dataset_api: A benchmark for `test_statistics`.
            **kwargs: Accepted for callers of NASLib.

        Raises:
            GraphError: If no edge in scope carries a list of candidates, or the graph cannot be executed.
        """
        self.scope = scope if scope is not None else search_space.OPTIMIZER_SCOPE
        self.dataset, self.dataset_api = dataset, dataset_api
        graph = search_space.clone()
        graph.compile()
        if not any(isinstance(op, list) for op in graph.get_all_edge_data("op", self.scope, private_edge_data=True)):
            raise GraphError(
                f"no edge in scope {self.scope!r} carries a list of candidate operations: there is nothing to search; "
                f"scopes in the graph: {sorted({str(g.scope) for g in graph.nested_graphs()})}"
            )
        graph.update_edges(_where_undecided(self.add_alphas), self.scope, private_edge_data=False)
        graph.update_edges(_where_undecided(self.update_ops), self.scope, private_edge_data=True)
        self._collect_decisions(graph)
        if self.batch_norm == "batch":
            use_batch_statistics(graph)
        graph.set_passes(native=available(self.native), checkpoint=self.checkpoint_cells)
        graph.parse()
        self.graph = graph
        self._build_optimizers()

    def _collect_decisions(self, graph: Graph) -> None:
        shared = self.relaxation()
        by_alpha: dict[int, EdgeData] = {}
        for edge in graph._edges_in_scope(self.scope, private_edge_data=True):
            if not isinstance(edge.data.op, MixedOp):
                continue
            edge.data.op.relaxation = shared
            if edge.data.has("alpha"):
                by_alpha.setdefault(id(edge.data.alpha), edge.data)
        self.decisions = list(by_alpha.values())
        self.architectural_weights = nn.ParameterList([data.alpha for data in self.decisions])

    def _build_optimizers(self) -> None:
        # flat lists: a step never walks the graph
        self.weights = list(self.graph.parameters())
        self._norms = list(batch_norm_modules(self.graph))
        names = ("op_optimizer", "arch_optimizer")
        kinds = [type(o) if isinstance(o, torch.optim.Optimizer) else o for o in (getattr(self, n) for n in names)]
        self.op_optimizer = create_optimizer(
            kinds[0],
            self.weights,
            lr=self.learning_rate,
            weight_decay=self.weight_decay,
            momentum=self.momentum,
            nesterov=self.nesterov,
        )
        self.arch_optimizer = create_optimizer(
            kinds[1],
            self.architectural_weights.parameters(),
            lr=self.arch_learning_rate,
            weight_decay=self.arch_weight_decay,
            betas=self.ARCH_BETAS,
        )

    def before_training(self) -> None:
        """Move the supernet and the architecture parameters to `device`."""
        self._require_adapted()
        self.graph.to(self.device)
        self.architectural_weights.to(self.device)

    def _require_adapted(self) -> None:
        if self.graph is None:
            raise OptimizerStateError(f"call {type(self).__name__}.adapt_search_space(search_space) first")

    # the step

    def step(self, data_train: Batch, data_val: Batch) -> StepResult:
        """Update the architecture parameters on the validation batch, then the weights on the training batch.

        Args:
            data_train: Inputs and targets for the weights.
            data_val: Inputs and targets for the architecture.

        Returns:
            Detached `(logits_train, logits_val, train_loss, val_loss)`.
        """
        self._require_adapted()
        logits_val, val_loss = self.architecture_step(data_train, data_val)
        logits_train, train_loss = self.weight_step(data_train)
        return logits_train, logits_val, train_loss, val_loss

    def architecture_step(self, data_train: Batch, data_val: Batch) -> tuple[Tensor, Tensor]:
        """Update the architecture parameters; weights and BN statistics are not touched.

        Returns:
            Detached validation logits and loss.
        """
        with frozen_batch_norm_statistics(self._norms):
            gradient, logits, loss = self.architecture_gradient(data_train, data_val)
        for alpha, value in zip(self.architectural_weights, gradient, strict=True):
            alpha.grad = value
        self.arch_optimizer.step()
        return logits, loss

    def architecture_gradient(self, data_train: Batch, data_val: Batch) -> tuple[list[Tensor], Tensor, Tensor]:
        """Return the gradient of the validation loss by decision, and the detached validation logits and loss."""
        logits, loss = self.forward_loss(data_val)
        alphas = list(self.architectural_weights)
        found = torch.autograd.grad(loss, alphas, allow_unused=True)
        gradient = [torch.zeros_like(a) if g is None else g for a, g in zip(alphas, found, strict=True)]
        return gradient, logits.detach(), loss.detach()

    def weight_step(self, data_train: Batch) -> tuple[Tensor, Tensor]:
        """Update the operation weights; the architecture parameters are constants here.

        Returns:
            Detached training logits and loss.
        """
        self.op_optimizer.zero_grad(set_to_none=True)
        with self.fixed_architecture():
            logits, loss = self.forward_loss(data_train)
        loss.backward()
        if self.grad_clip:
            nn.utils.clip_grad_norm_(self.weights, self.grad_clip)
        self.op_optimizer.step()
        return logits.detach(), loss.detach()

    def forward_loss(self, data: Batch) -> tuple[Tensor, Tensor]:
        """Return logits and loss of the supernet on a batch."""
        inputs, targets = data
        with torch.autocast(inputs.device.type, torch.bfloat16, enabled=self.amp):
            logits = self.graph(inputs)
            loss = self.loss(logits, targets)
        return logits, loss

    @contextmanager
    def fixed_architecture(self) -> Iterator[None]:
        """Treat the architecture parameters as constants in the forwards inside."""
        for alpha in self.architectural_weights:
            alpha.requires_grad_(False)
        try:
            yield
        finally:
            for alpha in self.architectural_weights:
                alpha.requires_grad_(True)

    # the outcome

    def get_final_architecture(self) -> Graph:
        """Return the discrete architecture of the supernet's size, with the supernet's weights.

        The space removes what it does not keep (`prepare_discretization`) and chooses per edge (`select_primitive`),
        reading the entry `op_weights` that every decision carries then.
        """
        self._require_adapted()
        graph = self.graph.clone()
        graph.update_edges(self._show_weights, self.scope, private_edge_data=False)
        graph.prepare_discretization()
        graph.update_edges(_discretizing(graph), self.scope, private_edge_data=True)
        graph.prepare_evaluation()
        graph.set_passes(native=False, checkpoint=False)  # choices of the search
        graph.parse()
        return graph

    def _show_weights(self, edge: EdgeView) -> None:
        if edge.data.has("alpha"):
            edge.data.set("op_weights", self.decision_weights(edge.data.alpha), shared=True)

    def get_op_optimizer(self) -> type:
        """Return the class of the optimizer of the operation weights."""
        self._require_adapted()
        return type(self.op_optimizer)

    def get_checkpointables(self) -> dict[str, Stateful]:
        """Return the supernet, the architecture parameters, both optimizers and the schedule."""
        self._require_adapted()
        return {
            "model": self.graph,
            "architectural_weights": self.architectural_weights,
            "op_optimizer": self.op_optimizer,
            "arch_optimizer": self.arch_optimizer,
            "schedule": ScheduleState(self, self.SCHEDULED),
        }


def _where_undecided(update: Any) -> Any:
    """Return `update` restricted to edges that carry a list of candidates."""

    def restricted(edge: EdgeView) -> None:
        if isinstance(edge.data.op, list):
            update(edge)

    return restricted


def _discretizing(graph: Graph) -> Any:
    def discretize(edge: EdgeView) -> None:
        op = edge.data.op
        if isinstance(op, MixedOp):
            index = graph.select_primitive(edge.data)
            edge.data.set("op_index", index, shared=True)
            edge.data.set("op", op.primitives[index])

    return discretize
