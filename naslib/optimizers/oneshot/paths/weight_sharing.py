"""WeightSharingOptimizer: train a supernet path by path, then choose the path with the best validation accuracy."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from naslib.errors import ConfigError, OptimizerStateError
from naslib.hardware.limits import CostLimits
from naslib.optimizers.core.metaclasses import Batch, Stateful, StepResult
from naslib.optimizers.core.random_state import RandomState
from naslib.optimizers.oneshot.supernet.base import OneShotOptimizer
from naslib.optimizers.oneshot.supernet.compatibility import Ability, without_architecture_step
from naslib.optimizers.oneshot.supernet.mixed_edges import decisions_in, mixed_edges
from naslib.optimizers.oneshot.supernet.relaxed_op import SoftmaxRelaxation
from naslib.optimizers.oneshot.supernet.schedulable import AT_THE_END, OF_NO_ARCHITECTURE
from naslib.search_spaces.core.assignment import Assignment, assigned, current
from naslib.search_spaces.core.codec import NO_EDGE, Code
from naslib.search_spaces.core.decisions import Site
from naslib.search_spaces.core.graph import EdgeView, Graph
from naslib.utils.log import get_logger

from .entries import PathEntry, assignment_of
from .limits import keeping_to, limits_on_paths
from .paths import PathChoices, PathSpace, paths_of
from .scoring import PathScorer
from .selection import best_first, check_counts

logger = get_logger(__name__)

# Architectures that `get_final_architecture` compares where no selection phase has run
PROVISIONAL = 10


class WeightSharingOptimizer(OneShotOptimizer):
    """Share weights among the architectures of a space, without architecture gradients.

    In every step one architecture (a *path*) is drawn, the same for all copies of a cell; the forward of the statistics
    and the weight step run only its operations. After the last epoch the selection phase (`select_path`) compares paths
    by the supernet's score (accuracy) on the validation split. A subclass says how that goes, and may say how paths are
    drawn for training (`prepare_step`).

    With `limits` the selection phase draws, varies and measures only paths that keep to them; all paths are trained.

    Where the selection phase has not run (a search without the Trainer), `get_final_architecture` compares a few random
    paths on the last validation batch that `step` saw; without one it takes the first of them. Neither changes
    anything: generator, statistics and path stay as they are.

    Args:
        recalibration_batches: On how many training batches the statistics of batch norm are estimated anew for every
            path that the selection phase measures; 0 keeps those of the supernet.
        **kwargs: See `OneShotOptimizer`; the keys of the architecture parameters have no effect.

    Attributes:
        paths: The architectures of the space.
        entries: What can be drawn of each decision.
        places: Where the decisions are.
        rng: Draws the paths; its own, seeded from torch's global generator when the space is adapted.
        steps: Number of steps taken.
    """

    SCHEDULED: ClassVar[tuple[str, ...]] = ("steps", "path")
    SCHEDULABLE = {**OF_NO_ARCHITECTURE, "recalibration_batches": AT_THE_END}
    fixed_structure = "paths are drawn from all candidates of the space"
    TAKES_LIMITS = True
    RUNS_ONE_PATH: ClassVar[bool] = True
    # Whether architecture parameters are trained beside the weights
    LEARNS_ARCHITECTURE: ClassVar[bool] = False

    def __init__(self, recalibration_batches: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_counts(0, recalibration_batches=recalibration_batches)
        self.recalibration_batches = recalibration_batches
        self.paths: PathSpace
        self.places: list[Site] = []
        self.entries: list[PathEntry] = []
        self.rng = Random(0)
        self.steps = 0
        self._path: Code | None = None
        self._last_batch: Batch | None = None
        self._path_limits: CostLimits | None = None

    @staticmethod
    def add_alphas(edge: EdgeView) -> None:
        """Put a shared `alpha` of zeros on an edge with candidates; it marks the decision and is not trained."""
        alpha = nn.Parameter(torch.zeros(len(edge.data.op)), requires_grad=False)
        edge.data.set("alpha", alpha, shared=True)

    def relaxation(self) -> None:
        """Return None: every decision has its own entry of the path."""

    def removes(self) -> Mapping[Ability, str]:
        """Return what there is not: a mixture that is trained, and an architecture before the selection phase."""
        paths = "it runs single paths"
        removed = dict.fromkeys((Ability.RELAXATION, Ability.MIXTURE), paths)
        removed[Ability.OUTCOME] = "it chooses its architecture after the search, by measuring paths"
        return removed if self.LEARNS_ARCHITECTURE else removed | without_architecture_step()

    @abstractmethod
    def select_path(self, scorer: PathScorer) -> Code:
        """Return the architecture that the search ends with.

        Args:
            scorer: Measures paths.
        """

    def scorer(self, train_batches: Iterable[Batch], valid_batches: Iterable[Batch]) -> PathScorer:
        """Return what measures paths in the selection phase."""
        return PathScorer(self, train_batches, valid_batches, self.recalibration_batches)

    def prepare_step(self) -> None:
        """Set what the forwards of the next step run: a random path."""
        self.use(self.random_path())

    def random_path(self) -> Code:
        """Draw a path for training."""
        return self.paths.random(self.rng)

    # paths

    def sample(self, training: bool = True) -> Assignment:
        """Draw a path as for a step of the training; without `training`, return what forwards outside of a step run.

        Args:
            training: Whether to draw.
        """
        self._require_adapted()
        return self.assignment_of(self.random_path()) if training else self.standing()

    def standing(self) -> Assignment:
        """Return what forwards run for which nothing is assigned: what was set last."""
        return self.graph.assignment or self.everything()

    def assignment_of(self, code: Code) -> Assignment:
        """Return the assignment that runs an architecture."""
        return self.assignment_of_choices(self.paths.choices(code))

    def assignment_of_choices(self, choices: PathChoices) -> Assignment:
        """Return the assignment that runs one candidate per decision (`NO_EDGE` for none)."""
        return assignment_of(dict(zip(self.decision_names, self.entries, strict=True)), choices)

    def everything(self) -> Assignment:
        """Return the assignment that runs all operations, summed."""
        return self.keeping([range(entry.n_ops) for entry in self.entries])

    def keeping(self, indices: Sequence[Sequence[int]]) -> Assignment:
        """Return the assignment that runs the sum of some candidates of each decision."""
        rows = zip(self.decision_names, self.entries, indices, strict=True)
        return Assignment.made({name: entry.keeping(of_entry) for name, entry, of_entry in rows})

    @property
    def path(self) -> Code | None:
        """The architecture that forwards outside of a step run; None: all operations, summed."""
        return self._path

    @path.setter
    def path(self, code: Code | None) -> None:
        self._path = None if code is None else tuple(code)
        self.graph.assignment = self.everything() if self._path is None else self.assignment_of(self._path)

    def use(self, code: Code) -> None:
        """Let forwards run an architecture."""
        self.path = code

    def set_alphas_from_path(self, arch_encoding: Any) -> None:
        """Let forwards run an architecture, given in any form that the space knows (NASLib's name for `use`).

        Of a space without a codec: a code of its decision space, or the candidates by the names of its decisions.
        """
        codec = self.graph.codec
        if codec is not None:
            self.use(codec.canonical(arch_encoding))
        elif isinstance(arch_encoding, Mapping):
            self.use(self.paths.supernet.space.code_of(arch_encoding))
        else:
            self.use(arch_encoding)

    def use_choices(self, choices: PathChoices) -> None:
        """Let forwards run one candidate per decision (`NO_EDGE` for none)."""
        self.graph.assignment = self.assignment_of_choices(choices)

    def outputs(self, data: Batch) -> Any:
        """Return the outputs of the supernet on a batch, without a loss."""
        with torch.autocast(self.task.device_of(data).type, torch.bfloat16, enabled=self.amp):
            return self.task.forward(self.graph, data)

    def scores_of(self, code: Code) -> list[Tensor]:
        """Return the scores per decision by which the space's rules choose an architecture: 1 where it is, else 0.

        `(n_ops,)` per decision.
        """
        found = []
        for alpha, index in zip(self.architectural_weights, self.paths.choices(code), strict=True):
            scores = torch.zeros_like(alpha, requires_grad=False)
            if index != NO_EDGE:
                scores[index] = 1
            found.append(scores)
        return found

    # the search

    def adapted(self) -> None:
        """Begin with a generator of paths of its own, and a path."""
        super().adapted()
        self._check_limits()
        self.rng = Random(int(torch.randint(2**31, ())))
        self.steps, self._last_batch = 0, None
        self.prepare_step()

    def _collect_decisions(self, graph: Graph) -> None:
        super()._collect_decisions(graph)
        mixture = SoftmaxRelaxation()  # of forwards that are assigned no path
        for data in mixed_edges(graph, self.scope):
            data.op.relaxation = mixture
        self.entries = [PathEntry(data.op.primitives) for data in decisions_in(graph, self.scope)]
        self.paths = paths_of(graph, self.scope)
        self.places = [edge.site for edge in self.paths.supernet.edges]

    def step(self, data_train: Batch, data_val: Batch) -> StepResult:
        """Draw a path, look at its validation loss, and update its weights on the training batch; see the parent."""
        self.begin_step(data_val)
        try:
            with assigned(current() or self.standing()):
                return super().step(data_train, data_val)
        finally:
            self.path = self._path

    def begin_step(self, data_val: Batch) -> None:
        """Count the step, keep the validation batch, and set what the forwards run."""
        self._require_adapted()
        self.steps += 1
        self._last_batch = data_val
        self.prepare_step()

    def select_architecture(self, train_batches: Iterable[Batch], valid_batches: Iterable[Batch]) -> None:
        """Choose the architecture on the validation batches, once; forwards run it from then on."""
        super().select_architecture(train_batches, valid_batches)
        if self.outcome is not None:
            return
        scorer = self.scorer(train_batches, valid_batches)
        with self.within_limits(scorer.image_shape):
            code = self.select_path(scorer)
            self.require_within(code)
        self.outcome = self.scores_of(code)
        self.use(code)

    # limits

    @contextmanager
    def within_limits(self, input_shape: Callable[[], Sequence[int]] | None = None) -> Iterator[None]:
        """Let what `paths` draws, varies and lists keep to the limits inside.

        Args:
            input_shape: Returns the shape of one input; None: as the Trainer says.

        Raises:
            ConfigError: If a cost cannot be told.
        """
        if self.limits and self._path_limits is None:
            shape = input_shape if input_shape is not None else self._known_shape
            self._path_limits = limits_on_paths(self, shape)
        with keeping_to(self.paths, self._path_limits):
            yield

    def kept_within(self, draw: Callable[[], Code], otherwise: Callable[[], Code] | None = None) -> Code:
        """Return what a method draws by itself, drawn again until it keeps to the limits.

        Args:
            draw: Draws a path.
            otherwise: Returns one that keeps to them, after some attempts in vain; None to go on drawing.

        Raises:
            ConfigError: If none does.
        """
        limited = self.paths.limited
        return draw() if limited is None else limited.drawn(draw, otherwise)

    def require_within(self, code: Code) -> None:
        """Raise if a method has chosen a path beyond the limits.

        Raises:
            OptimizerStateError: Naming the method.
        """
        limits = self._path_limits
        if limits is not None and not limits.allow(code):
            raise OptimizerStateError(
                f"{type(self).__name__} has chosen an architecture beyond search.limits ({limits.why(code)}): its "
                "select_path draws by `self.paths`, or by `self.kept_within`"
            )

    def _known_shape(self) -> Sequence[int]:
        if self.input_shape is not None:
            return self.input_shape()
        if self._last_batch is not None:
            return self.task.shape_of(self._last_batch)
        raise ConfigError(
            "search.hardware.input_shape: say the shape of one input, such as [3, 32, 32]; limits need it"
        )

    def _check_limits(self) -> None:
        """Raise now, before anything is trained, if nothing keeps to the limits, as far as that can be told now."""
        self._path_limits = None
        if not self.limits or not (self.input_shape or self.hardware.get("input_shape")):
            return
        with self.within_limits():
            self.paths.random(Random(0))

    # the outcome

    def _is_queryable(self) -> bool:
        # ranking paths after every epoch would cost more than the search
        return self.outcome is not None and super()._is_queryable()

    def get_final_architecture(self) -> Graph:
        """Return the architecture chosen, or without a selection phase the best of a few paths; see the parent."""
        self._require_adapted()
        if self.outcome is not None:
            return super().get_final_architecture()
        self.outcome = self.scores_of(self._provisional())
        try:
            return super().get_final_architecture()
        finally:
            self.outcome = None

    def provisional_codes(self, rng: Random) -> list[Code]:
        """Return the paths among which `get_final_architecture` chooses where no selection phase has run.

        Args:
            rng: Source of randomness, a copy of `self.rng`.
        """
        return [self.paths.random(rng) for _ in range(PROVISIONAL)]

    def _provisional(self) -> Code:
        """Return the best of a few paths on the last validation batch, the first without one."""
        with self.within_limits():
            codes = self.provisional_codes(copy.deepcopy(self.rng))
        if self._last_batch is None:
            logger.warning("no selection phase and no step was run: the architecture is the first of a few random ones")
            return codes[0]
        path, standing = self._path, self.graph.assignment
        scorer = PathScorer(self, (), [self._last_batch])
        try:
            return best_first((scorer.on_all(code), code) for code in codes)[0][1]
        finally:
            self._path, self.graph.assignment = path, standing

    def get_checkpointables(self) -> dict[str, Stateful]:
        """Return what the parent returns and the generator of paths."""
        return {**super().get_checkpointables(), "paths": RandomState(self.rng)}
