"""SupernetOptimizer: how a search space becomes a network with all candidates, and that a discrete architecture."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from naslib.errors import GraphError
from naslib.native import available
from naslib.optimizers.core.given_space import require_graph, require_supernet
from naslib.search_spaces.core.batch_norm import batch_norm_modules, use_batch_statistics
from naslib.search_spaces.core.drawing import sites_in, value_sites
from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.elastic import values_in
from naslib.search_spaces.core.elastic.network import elastic_layers
from naslib.search_spaces.core.graph import EdgeView, Graph, Scope
from naslib.search_spaces.core.native_choice import is_native_faster
from naslib.search_spaces.core.node_choices import choices_at
from naslib.search_spaces.core.query_metrics import as_dataset_api
from naslib.utils.distributed import on_main
from naslib.utils.log import get_logger

from .capturing import CapturingOptimizer
from .compatibility import Ability, check_combination, check_space
from .mixed_edges import (
    adapt_nodes,
    adapt_values,
    beside_edges,
    decisions_in,
    discretize_nodes,
    discretize_values,
    discretizing,
    mixed_edges,
    name_decisions,
    where_undecided,
)
from .part import build_parts
from .relaxed_op import RelaxedMixedOp, SoftmaxRelaxation
from .searched import SearchedDecision, fill, searched_decisions
from .static_step import check_static
from .structure import Structure, adopt, shrink
from .undecided import trained_values, undecided


class SupernetOptimizer(CapturingOptimizer):
    """Build the supernet of a search space, and derive architectures from it; training it is `OneShotOptimizer`'s.

    Args:
        batch_norm: `"running"` keeps running statistics for evaluation, `"batch"` always normalises with the batch's.
        native: `"off"`, `"auto"` or `"on"`: compiled CPU kernels for depthwise candidates (`naslib.native`);
            `"auto"` times them against PyTorch on the first supernet, and takes what is faster.
        checkpoint_cells: Whether to keep of each cell only its inputs, and compute it again in the backward.
        cuda_graph: Whether passes are captured as CUDA graphs; see the parent.
        parts: Keywords of parts to add or change, by their names; `False` leaves out one of the method's own.
        **kwargs: See `CapturingOptimizer`.

    Attributes:
        graph: The supernet.
        parts: The parts by name.
        outcome: Scores per decision, `(n_ops,)`, that a selection phase left and that replace `decision_weights`; None
            where the architecture is read off the parameters.
        weights: The operation weights, in the order of the supernet.
        structure: Which candidates the supernet still has, and the search space that it was made from.
        epochs: Number of epochs of the search, for schedules.
        scope: The scopes that were adapted.
        dataset: Name of the data set.
        device: Where the supernet is trained.
    """

    op_optimizer: Any
    arch_optimizer: Any
    # Whether the method itself changes the structure of the supernet during the search
    RESTRUCTURES: ClassVar[bool] = False
    # Whether every forward runs one architecture, so that sizes of elastic layers are never mixed
    RUNS_ONE_PATH: ClassVar[bool] = False
    # The parts that make the method, with their keywords
    PARTS: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    # Why the method takes no part at all; "" where it does
    NO_PARTS: ClassVar[str] = ""

    def __init__(
        self,
        *,
        batch_norm: str = "running",
        native: str = "off",
        checkpoint_cells: bool = False,
        cuda_graph: bool = False,
        parts: dict | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(cuda_graph=cuda_graph, **kwargs)
        self._unused = kwargs  # keys of the shared schema that no constructor of the method's has taken
        self.parts = build_parts(self.PARTS, parts)
        # a key of the shared schema, with its default: what schedules of parts are measured by
        self.epochs: int = kwargs.get("epochs", 50)
        self.batch_norm = batch_norm
        self.native = native
        self.checkpoint_cells = checkpoint_cells
        self._native_chosen: bool | None = None
        self.outcome: list[Tensor] | None = None
        self._decisions: list[SearchedDecision] | None = None
        self._decision_edges: list[EdgeData] = []
        self.weights: list[nn.Parameter] = []
        self.structure = Structure(self)
        self._norms: list[nn.Module] = []
        self._first_values: list[Tensor] = []

    # what a method fills in

    @property
    def fixed_structure(self) -> str:
        """Why nobody may change the structure of the supernet; "" where it may change. A class may say it plainly."""
        return ""

    @staticmethod
    def add_alphas(edge: EdgeView) -> None:
        """Put a shared `alpha` on an edge with candidates: 1e-3 times a standard normal draw for each."""
        alpha = nn.Parameter(1e-3 * torch.randn(len(edge.data.op)))
        edge.data.set("alpha", alpha, shared=True)

    def initial_logits(self, decision: SearchedDecision) -> Tensor | None:
        """Return the first values of a decision's parameter, `(n_ops,)`; None leaves what `add_alphas` has put there.

        Args:
            decision: Says what is decided, and where.
        """
        return None

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

    # what goes together

    def option(self, name: str) -> Any:
        """Return the value of a keyword, whether the method takes it or not."""
        return vars(self).get(name, self._unused.get(name))

    def needs(self) -> Mapping[Ability, str]:
        """Return what the method cannot do without, each with the reason; what it restructures need not be said."""
        return {}

    def removes(self) -> Mapping[Ability, str]:
        """Return what parts and options cannot have with this method, and why (`{part}` stands for their name).

        What its relaxation and its parameters say by themselves need not be said (`removed_by_method`).
        """
        return {}

    def check_combination(self) -> None:
        """Raise `ConfigError` if the method, its options and its parts do not go together; the message says why."""
        check_combination(self)
        if self.cuda_graph:
            check_static(self)

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
            dataset: Name of the data set, for benchmark queries; that of the optimizer's config if None.
            scope: Which graphs to adapt; the space's `OPTIMIZER_SCOPE` if None.
            dataset_api: A benchmark for `test_statistics`.
            **kwargs: Accepted for callers of NASLib.

        Raises:
            ConfigError: If the method, its options, its parts and the space do not go together.
            GraphError: If it is no graph or cannot be executed, or no edge in scope carries a list of candidates.
            UnsupportedBySpaceError: If the architectures of the space share no weights.
        """
        require_graph(search_space)
        require_supernet(search_space, type(self).__name__)
        self.check_combination()
        self.scope = scope if scope is not None else search_space.OPTIMIZER_SCOPE
        self.dataset = dataset if dataset is not None else self.dataset
        self.dataset_api = as_dataset_api(dataset_api)
        self.outcome = None
        self._native_chosen = None
        self.build_supernet(search_space.clone())
        self.search_space = search_space
        self.check_combination()  # now that it is known what there is to train
        self.structure.begin()
        self._build_optimizers()
        self.adapted()

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
        ops = graph.get_all_edge_data("op", self.scope, private_edge_data=True)
        nodes = [choice for nested in graph._graphs_in_scope(self.scope) for choice in choices_at(nested)]
        if not any(isinstance(op, list) for op in ops) and not nodes and not values_in(graph):
            raise GraphError(
                f"no edge in scope {self.scope!r} carries a list of candidate operations: there is nothing to search; "
                f"scopes in the graph: {sorted({str(g.scope) for g in graph.nested_graphs()})}"
            )
        if graph.codec is None:  # nothing else could read the architecture off the edges that will be left
            graph.remember_decisions(self.scope)
        graph.update_edges(where_undecided(self.add_alphas), self.scope, private_edge_data=False)
        graph.update_edges(where_undecided(self.update_ops), self.scope, private_edge_data=True)
        adapt_nodes(graph, self.scope, self.add_alphas, self.update_ops)
        adapt_values(graph, self.add_alphas, self.update_ops)
        check_space(self, decisions_in(graph, self.scope), elastic_layers(graph))
        if alphas is not None:
            adopt(graph, self.scope, alphas)
        for part in self.parts.values():
            part.adapt(graph)
        if kept is not None:  # after the parts, as in a search that has got here step by step
            shrink(graph, self.scope, kept)
        self._collect_decisions(graph)
        graph.set_passes(native=self._chooses_native(graph), checkpoint=self.checkpoint_cells)
        graph.parse()
        self.settle_batch_norm(graph)  # now that the modules are registered
        self.graph = graph
        self.collect_weights()
        self._first_values = trained_values(self)

    def _chooses_native(self, graph: Graph) -> bool:
        """Say whether a supernet runs in the native kernels; `"auto"` measures once, for all supernets of a search."""
        if not available(self.native):
            return False
        if self.native == "auto" and self._native_chosen is None:
            ops = graph.get_all_edge_data("op", self.scope, private_edge_data=True)
            self._native_chosen = on_main(lambda: is_native_faster(op for op in ops if isinstance(op, nn.Module)))
        return self._native_chosen is not False

    @property
    def runs_native(self) -> bool:
        """Whether the supernet runs in the native kernels. A resumed run keeps this of the run that it continues."""
        return self.graph.passes.native

    @runs_native.setter
    def runs_native(self, chosen: bool) -> None:
        self._native_chosen = chosen
        if chosen and not available(self.native):
            get_logger(__name__).warning(
                "the search that is continued ran in the native kernels, which cannot be used here: "
                "its results may differ in the last digits"
            )
            return
        self.graph.set_passes(native=chosen)

    def _collect_decisions(self, graph: Graph) -> None:
        shared = self.relaxation()
        for part in self.parts.values():
            shared = part.wrap_relaxation(shared)
        own_relaxation = type(self).relaxation is not SupernetOptimizer.relaxation
        for data in mixed_edges(graph, self.scope):
            if own_relaxation or isinstance(data.op, RelaxedMixedOp):  # a MixedOp of other kind relaxes by itself
                data.op.relaxation = shared
        self.decision_names = name_decisions(graph, self.scope)
        self._decision_edges, self._decisions = decisions_in(graph, self.scope), None
        self._sites = [
            sites for sites in sites_in(graph._graphs_in_scope(self.scope)) if sites.key in self.decision_names
        ] + value_sites(graph)
        self.architectural_weights = nn.ParameterList([data.alpha for data in self._decision_edges])
        if type(self).initial_logits is not SupernetOptimizer.initial_logits:
            for decision in searched_decisions(graph, self.scope):
                fill(decision, self.initial_logits(decision))
        own = [alpha for alpha in self.architectural_weights if alpha.requires_grad]
        self.architecture_parameters = [*own, *(p for part in self.parts.values() for p in part.parameters())]

    def settle_batch_norm(self, graph: Graph) -> None:
        """Let the norms of a supernet that was built, or got new modules, normalise as `batch_norm` says."""
        if self.batch_norm == "batch":
            use_batch_statistics(graph)

    def collect_weights(self) -> None:
        """Read the supernet's decisions, weights and norms into flat lists: a step never walks the graph."""
        self._decisions = None
        self.weights = list(self.graph.parameters())
        self._norms = list(batch_norm_modules(self.graph))

    @abstractmethod
    def _build_optimizers(self) -> None:
        """Make the optimizers of the weights and of the architecture parameters."""

    @property
    def decisions(self) -> list[SearchedDecision]:
        """What is decided: `Decision` objects, each with its edge, its parameter (`alpha`) and its MixedOp (`op`)."""
        if self._decisions is None:
            self._decisions = searched_decisions(self.graph, self.scope) if self.is_adapted else []
        return self._decisions

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
            discretize_nodes(graph, self.scope, self.select_primitive)
            discretize_values(graph, self.select_primitive)
            graph.prepare_evaluation()
        graph.set_passes(native=False, checkpoint=False)  # choices of the search
        graph.parse()
        return graph

    def choices(self, scores: Sequence[Tensor] | None) -> list[int | None]:
        """Return per decision the position of the candidate that `discretized` keeps, None where the edge goes.

        Scores are `(n_ops,)` per decision.
        """
        with torch.random.fork_rng(devices=[]):
            graph = self.graph.clone()
            decisions = decisions_in(graph, self.scope)
            self._prepare_discretization(graph, scores)
            return [None if data.is_deleted() else self.select_primitive(graph, data) for data in decisions]

    def _prepare_discretization(self, graph: Graph, scores: Sequence[Tensor] | None) -> None:
        """Put `op_weights` on the edges of a clone of the supernet, and remove what the space drops."""
        if scores is None:
            graph.update_edges(self._show_weights, self.scope, private_edge_data=False)
            for data in beside_edges(graph, self.scope):
                self._show_weights(EdgeView(0, 0, data))
        else:
            for data, of_decision in zip(decisions_in(graph, self.scope), scores, strict=True):
                data.set("op_weights", of_decision.clone(), shared=True)
        graph.prepare_discretization()
        graph.prune_parts(self.scope)

    def undecided(self) -> str:
        """Return why the search decided nothing (all decisions tied, parameters that never moved); "" where it did."""
        self._require_adapted()
        return undecided(self, self._first_values)

    def decision_scores(self) -> list[Tensor]:
        """Return per decision by what its candidates are compared, `(n_ops,)`: `decision_weights`, and the parts."""
        return [self._scores(data) for data in self._decision_edges]

    def _scores(self, data: EdgeData) -> Tensor:
        scores = self.decision_weights(data.alpha)
        for part in self.parts.values():
            scores = part.scores(data, scores)
        return scores

    def _show_weights(self, edge: EdgeView) -> None:
        if edge.data.has("alpha"):
            edge.data.set("op_weights", self._scores(edge.data), shared=True)
