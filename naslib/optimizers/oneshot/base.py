"""OneShotOptimizer: the template that every weight-sharing method fills in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
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
from naslib.utils.pytorch_helper import create_criterion, create_optimizer

from ._decisions import decisions_in, discretizing, mixed_edges, where_undecided
from .mixture import RelaxedMixedOp, SoftmaxRelaxation
from .parts import build_parts
from .state import PartsState, ScheduleState
from .structure import CurrentModel, Structure, adopt, shrink


class OneShotOptimizer(MetaOptimizer):
    """Search by training one network that contains every candidate.

    A subclass says how the decisions are relaxed or drawn (`relaxation`; softmax unless it says otherwise), and where
    it differs, how an edge under search is executed (`update_ops`) and parametrised (`add_alphas`), and how the
    architecture parameters get their gradient (`architecture_gradient`: the alternating first-order step). What several
    methods have in common is a part (`naslib.optimizers.oneshot.parts`); a method names its own in `PARTS`.

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
        parts: Keywords of parts to add or change, by their names; `False` leaves out one of the method's own.
        **kwargs: See `MetaOptimizer`.

    Attributes:
        epochs: Number of epochs of the search, for schedules.
        graph: The supernet.
        architectural_weights: One parameter per decision.
        architecture_parameters: Those, and the parts' own; what the architecture step trains.
        parts: The parts by name.
        outcome: Scores per decision, `(n_ops,)`, that a selection phase left and that replace `decision_weights`; None
            where the architecture is read off the parameters.
        weights: The operation weights, in the order of the supernet.
        structure: Which candidates the supernet still has, and the search space that it was made from.
        op_optimizer: Optimizer of the weights (after adapting).
        arch_optimizer: Optimizer of the architecture parameters (after adapting).
        loss: The criterion.
        epochs: Number of epochs of the search.
        scope: The scopes that were adapted.
        dataset: Name of the data set.
        device: Where the supernet is trained.
    """

    # Adam's betas for architecture parameters, as in the authors' code of DARTS and its successors
    ARCH_BETAS: ClassVar[tuple[float, float]] = (0.5, 0.999)
    # Names of plain attributes that belong into a checkpoint
    SCHEDULED: ClassVar[tuple[str, ...]] = ()
    # Whether the method itself changes the structure of the supernet during the search
    RESTRUCTURES: ClassVar[bool] = False
    # The parts that make the method, with their keywords
    PARTS: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

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
        parts: dict | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.parts = build_parts(self.PARTS, parts)
        for part in self.parts.values():
            part.optimizer = self
        # a key of the shared schema, with its default: what schedules of parts are measured by
        self.epochs: int = kwargs.get("epochs", 50)
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
        self._optimizer_kinds = (op_optimizer, arch_optimizer)
        self.op_optimizer: Any = op_optimizer
        self.arch_optimizer: Any = arch_optimizer
        self.loss = create_criterion(loss_criteria)
        self.architectural_weights = nn.ParameterList()
        self.architecture_parameters: list[nn.Parameter] = []
        self.outcome: list[Tensor] | None = None
        self.decisions: list[EdgeData] = []
        self.weights: list[nn.Parameter] = []
        self.structure = Structure(self)
        self._norms: list[nn.Module] = []

    # what a method fills in

    @staticmethod
    def add_alphas(edge: EdgeView) -> None:
        """Put a shared `alpha` on an edge with candidates: 1e-3 times a standard normal draw for each."""
        alpha = nn.Parameter(1e-3 * torch.randn(len(edge.data.op)))
        edge.data.set("alpha", alpha, shared=True)

    @staticmethod
    def update_ops(edge: EdgeView) -> None:
        """Replace the list of candidates on an edge by a MixedOp."""
        edge.data.set("op", RelaxedMixedOp(edge.data.op))

    def relaxation(self) -> Any:
        """Return the relaxation that all decisions share in a forward, or None where each MixedOp has its own."""
        return SoftmaxRelaxation()

    def decision_weights(self, alpha: Tensor) -> Tensor:
        """Return by what the candidates of a decision are compared at the end, `(n_ops,)`."""
        return torch.softmax(alpha.detach(), dim=-1)

    def select_primitive(self, graph: Graph, edge: EdgeData) -> int:
        """Return the index of the candidate that stays on an edge of the discrete architecture: the space's choice."""
        return graph.select_primitive(edge)

    def choice_probabilities(self) -> list[Tensor]:
        """Return by what parts take expected values: one differentiable `(n_ops,)` per decision that sums to 1."""
        return [torch.softmax(alpha, dim=-1) for alpha in self.architectural_weights]

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
        self.outcome = None
        self.build_supernet(search_space.clone())
        self.search_space = search_space
        self.structure.begin()
        self._build_optimizers()

    def build_supernet(
        self,
        graph: Graph,
        kept: Sequence[Sequence[int]] | None = None,
        alphas: Sequence[nn.Parameter] | None = None,
    ) -> None:
        """Make the supernet, `self.graph`, out of a copy of the search space.

        Args:
            graph: The copy; it is changed.
            kept: Per decision the candidates to have, all if None.
            alphas: Parameters to take as the architecture parameters, with new values; new ones if None.

        Raises:
            GraphError: If there is nothing to search, or the graph cannot be executed.
        """
        graph.compile()
        if not any(isinstance(op, list) for op in graph.get_all_edge_data("op", self.scope, private_edge_data=True)):
            raise GraphError(
                f"no edge in scope {self.scope!r} carries a list of candidate operations: there is nothing to search; "
                f"scopes in the graph: {sorted({str(g.scope) for g in graph.nested_graphs()})}"
            )
        graph.update_edges(where_undecided(self.add_alphas), self.scope, private_edge_data=False)
        graph.update_edges(where_undecided(self.update_ops), self.scope, private_edge_data=True)
        if alphas is not None:
            adopt(graph, self.scope, alphas)
        for part in self.parts.values():
            part.adapt(graph)
        if kept is not None:  # after the parts, as in a search that has got here step by step
            shrink(graph, self.scope, kept)
        self._collect_decisions(graph)
        if self.batch_norm == "batch":
            use_batch_statistics(graph)
        graph.set_passes(native=available(self.native), checkpoint=self.checkpoint_cells)
        graph.parse()
        self.graph = graph
        self.collect_weights()

    def _collect_decisions(self, graph: Graph) -> None:
        shared = self.relaxation()
        for part in self.parts.values():
            shared = part.wrap_relaxation(shared)
        own_relaxation = type(self).relaxation is not OneShotOptimizer.relaxation
        for data in mixed_edges(graph, self.scope):
            if own_relaxation or isinstance(data.op, RelaxedMixedOp):  # a MixedOp of other kind relaxes by itself
                data.op.relaxation = shared
        self.decisions = decisions_in(graph, self.scope)
        self.architectural_weights = nn.ParameterList([data.alpha for data in self.decisions])
        own = [alpha for alpha in self.architectural_weights if alpha.requires_grad]
        self.architecture_parameters = [*own, *(p for part in self.parts.values() for p in part.parameters())]

    def collect_weights(self) -> None:
        """Read the supernet's weights and norms into flat lists: a step never walks the graph."""
        self.weights = list(self.graph.parameters())
        self._norms = list(batch_norm_modules(self.graph))

    def _build_optimizers(self) -> None:
        of_weights, of_architecture = self._optimizer_kinds
        self.op_optimizer = create_optimizer(
            of_weights,
            self.weights,
            lr=self.learning_rate,
            weight_decay=self.weight_decay,
            momentum=self.momentum,
            nesterov=self.nesterov,
        )
        if not self.architecture_parameters:
            self.arch_optimizer = None
            return
        self.arch_optimizer = create_optimizer(
            of_architecture,
            self.architecture_parameters,
            lr=self.arch_learning_rate,
            weight_decay=self.arch_weight_decay,
            betas=self.ARCH_BETAS,
        )

    def before_training(self) -> None:
        """Move the supernet and the architecture parameters to `device`."""
        self._require_adapted()
        self.graph.to(self.device)
        self.architectural_weights.to(self.device)
        for parameter in self.architecture_parameters:
            parameter.data = parameter.data.to(self.device)

    def new_epoch(self, epoch: int) -> None:
        """Begin an epoch: the parts follow their schedules."""
        for part in self.parts.values():
            part.new_epoch(epoch)

    @property
    def is_finished(self) -> bool:
        """Whether a part (early stopping) ends the search."""
        return any(part.is_finished for part in self.parts.values())

    def select_architecture(self, train_batches: Iterable[Batch], valid_batches: Iterable[Batch]) -> None:
        """Let the parts choose the architecture (`outcome`), where one of them has a selection phase; once."""
        if self.outcome is not None:
            return
        for part in self.parts.values():
            part.select(train_batches, valid_batches)

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
        self.outcome = None  # chosen for other weights
        if self._trains_architecture():
            logits_val, val_loss = self.architecture_step(data_train, data_val)
        else:
            logits_val, val_loss = self.validation_forward(data_val)
        logits_train, train_loss = self.weight_step(data_train)
        return logits_train, logits_val, train_loss, val_loss

    def _trains_architecture(self) -> bool:
        trains = all(part.trains_architecture for part in self.parts.values())
        return trains and bool(self.architecture_parameters)

    @torch.no_grad()
    def validation_forward(self, data_val: Batch) -> tuple[Tensor, Tensor]:
        """Return validation logits and loss where the architecture is not trained; nothing is updated."""
        with frozen_batch_norm_statistics(self._norms):
            return self.forward_loss(data_val)

    def architecture_step(self, data_train: Batch, data_val: Batch) -> tuple[Tensor, Tensor]:
        """Update the architecture parameters; weights and BN statistics are not touched.

        Returns:
            Detached validation logits and loss.
        """
        parts = self.parts.values()
        with ExitStack() as stack:
            stack.enter_context(frozen_batch_norm_statistics(self._norms))
            for part in parts:
                stack.enter_context(part.during_architecture_step(data_val))
            gradient, logits, loss = self.architecture_gradient(data_train, data_val)
        for alpha, value in zip(self.architecture_parameters, gradient, strict=True):
            alpha.grad = value
        self.update_architecture()
        for part in parts:
            part.after_architecture_step(data_val)
        return logits, loss

    def update_architecture(self) -> None:
        """Let the optimizer of the architecture parameters take its step; their gradients are set."""
        self.arch_optimizer.step()

    def architecture_gradient(self, data_train: Batch, data_val: Batch) -> tuple[list[Tensor], Tensor, Tensor]:
        """Return the gradient of the validation loss by architecture parameter, and the detached logits and loss.

        What the parts watch (gradients of weights) is found in the same backward.
        """
        logits, loss = self.forward_loss(data_val)
        alphas = self.architecture_parameters
        watched = [list(part.watched()) for part in self.parts.values()]
        inputs = [*alphas, *(tensor for tensors in watched for tensor in tensors)]
        found = iter(torch.autograd.grad(self.architecture_loss(loss), inputs, allow_unused=True))
        gradient = [torch.zeros_like(a) if g is None else g for a, g in zip(alphas, found, strict=False)]
        for part, tensors in zip(self.parts.values(), watched, strict=True):
            if tensors:
                part.watch([next(found) for _ in tensors])
        return gradient, logits.detach(), loss.detach()

    def architecture_loss(self, loss: Tensor) -> Tensor:
        """Return the loss whose gradient the architecture parameters get: the validation loss and the parts' terms."""
        for part in self.parts.values():
            loss = part.architecture_loss(loss)
        return loss

    def weight_step(self, data_train: Batch) -> tuple[Tensor, Tensor]:
        """Update the operation weights; the architecture parameters are constants here.

        Returns:
            Detached training logits and loss.
        """
        parts = self.parts.values()
        self.op_optimizer.zero_grad(set_to_none=True)
        with ExitStack() as stack:
            stack.enter_context(self.fixed_architecture())
            for part in parts:
                stack.enter_context(part.during_weight_step(data_train))
            logits, loss = self.training_backward(data_train)
        for part in parts:
            part.weight_gradient(data_train)
        if self.grad_clip:
            nn.utils.clip_grad_norm_(self.weights, self.grad_clip)
        self.op_optimizer.step()
        for part in parts:
            part.after_weight_step(data_train)
        return logits.detach(), loss.detach()

    def training_backward(self, data_train: Batch) -> tuple[Tensor, Tensor]:
        """Add the gradient of the training loss to the weights' gradients, and return logits and loss."""
        logits, loss = self.forward_loss(data_train)
        loss.backward()
        return logits, loss

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
        trained = [parameter for parameter in self.architecture_parameters if parameter.requires_grad]
        for parameter in trained:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in trained:
                parameter.requires_grad_(True)

    # the outcome

    def get_final_architecture(self) -> Graph:
        """Return the discrete architecture of the supernet's size, with the supernet's weights.

        The space removes what it does not keep (`prepare_discretization`) and chooses per edge (`select_primitive`),
        reading the entry `op_weights` that every decision carries then.
        """
        self._require_adapted()
        return self.discretized(self.outcome)

    def discretized(self, scores: Sequence[Tensor] | None) -> Graph:
        """Return the discrete architecture that given scores lead to.

        Args:
            scores: `(n_ops,)` per decision; `decision_weights` and what the parts say about them if None.
        """
        with torch.random.fork_rng(devices=[]):  # operations that are built anew draw their weights
            graph = self.graph.clone()
            self._prepare_discretization(graph, scores)
            graph.update_edges(discretizing(graph, self.select_primitive), self.scope, private_edge_data=True)
            for part in self.parts.values():
                part.discretize(graph)
            graph.prepare_evaluation()
        graph.set_passes(native=False, checkpoint=False)  # choices of the search
        graph.requires_grad_(True)  # what a search had stopped training is trained again
        graph.parse()
        return graph

    def choices(self, scores: Sequence[Tensor] | None) -> list[int | None]:
        """Return per decision the position of the candidate that `discretized` keeps, None where the edge goes."""
        with torch.random.fork_rng(devices=[]):
            graph = self.graph.clone()
            decisions = decisions_in(graph, self.scope)
            self._prepare_discretization(graph, scores)
            return [None if data.is_deleted() else self.select_primitive(graph, data) for data in decisions]

    def _prepare_discretization(self, graph: Graph, scores: Sequence[Tensor] | None) -> None:
        """Put `op_weights` on the edges of a clone of the supernet, and remove what the space drops."""
        if scores is None:
            graph.update_edges(self._show_weights, self.scope, private_edge_data=False)
        else:
            for data, of_decision in zip(decisions_in(graph, self.scope), scores, strict=True):
                data.set("op_weights", of_decision.clone(), shared=True)
        graph.prepare_discretization()

    def _show_weights(self, edge: EdgeView) -> None:
        if not edge.data.has("alpha"):
            return
        scores = self.decision_weights(edge.data.alpha)
        for part in self.parts.values():
            scores = part.scores(edge.data, scores)
        edge.data.set("op_weights", scores, shared=True)

    def get_op_optimizer(self) -> type:
        """Return the class of the optimizer of the operation weights."""
        self._require_adapted()
        return type(self.op_optimizer)

    def get_checkpointables(self) -> dict[str, Stateful]:
        """Return the supernet, the architecture parameters, both optimizers, the schedule and the parts.

        Where the supernet's structure changes during the search, that comes first: the weights are loaded into it.
        """
        self._require_adapted()
        changes = self.RESTRUCTURES or any(part.restructures for part in self.parts.values())
        found = {
            "structure": self.structure if changes else None,
            "model": CurrentModel(self) if changes else self.graph,
            "architectural_weights": self.architectural_weights,
            "op_optimizer": self.op_optimizer,
            "arch_optimizer": self.arch_optimizer,
            "schedule": ScheduleState(self, ("outcome", *self.SCHEDULED)),
            "parts": PartsState(self.parts),
        }
        return {name: item for name, item in found.items() if item is not None}
