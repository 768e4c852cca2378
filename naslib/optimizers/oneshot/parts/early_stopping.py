"""Early stopping: end a search before skip connections or the curvature of the validation loss take over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from torch import Tensor, nn

from naslib.errors import ConfigError, did_you_mean
from naslib.optimizers.core.metaclasses import Batch
from naslib.optimizers.oneshot.supernet.abilities import Ability
from naslib.optimizers.oneshot.supernet.curvature import dominant_eigenvalue, hessian, stop_index
from naslib.optimizers.oneshot.supernet.part import PARTS, Part
from naslib.search_spaces.core.batch_norm import measurement_mode
from naslib.search_spaces.core.graph import Graph, Scope
from naslib.search_spaces.core.primitives import FactorizedReduce, Identity, MixedOp
from naslib.utils.log import get_logger

from ._cells import has_stride

logger = get_logger(__name__)

CRITERIA = ("eigenvalue", "skip_dominance")
ON_STOP = ("end", "adapt")


@PARTS.register("early_stopping")
class EarlyStopping(Part):
    """End the search by one of two signs of a collapse.

    `"eigenvalue"` ([Zela2020robustdarts], DARTS-ES): every `interval` epochs the dominant eigenvalue of the full
    Hessian of the validation loss in the architecture parameters, plus their weight decay, is taken on one validation
    batch; `stop_index` says when to stop, and the architecture parameters return to the earlier point that it names. It
    is that of the network without anything random: no path is dropped, and weights that are samples in training
    (`drnas`, `snas`) are taken at their means. A measurement of epoch e (before anything else is done in epoch e + 1)
    sees the supernet as epoch e left it.
    With `on_stop="adapt"` (DARTS-ADA) the search goes on instead: weights, statistics of batch norm and architecture
    parameters return to that point, the weight decay is multiplied by `growth`, and the momenta of both optimizers
    begin anew; it ends once the weight decay cannot grow further. The epochs are counted on, so that what went wrong is
    not repeated; the snapshots of the weights, `lag + window // 2 + 1` of them, are in the checkpoints.
    `"skip_dominance"` ([Liang2019dartsplus]): the search ends after the first epoch whose derived architecture has at
    least `skips` skip connections in a normal cell.

    Args:
        criterion: `"eigenvalue"` or `"skip_dominance"`.
        skips: Number of skip connections that ends the search.
        interval: Epochs between two measurements.
        window: Odd number of measurements whose mean is compared.
        lag: Number of measurements between the points compared.
        factor: Growth of the mean that ends the search.
        start_epoch: First epoch that the search may end at; if None 10 for the eigenvalue, as the authors have it, and
            0 for the skip connections.
        on_stop: `"end"` or `"adapt"`; the latter for the eigenvalue only.
        growth: Factor of the weight decay at each adaptation, larger than 1.
        max_weight_decay: Largest weight decay that an adaptation may lead to.

    Attributes:
        eigenvalues: All measured so far.
        epochs: The epochs after which they were measured.
        stop_epoch: The epoch gone back to; None while the search goes on.
        adaptations: The epochs gone back to by adaptations.

    Raises:
        ConfigError: For an unknown criterion or a value out of range.
    """

    STATIC = True

    def __init__(
        self,
        criterion: str = "eigenvalue",
        skips: int = 2,
        interval: int = 2,
        window: int = 5,
        lag: int = 4,
        factor: float = 1.3,
        start_epoch: int | None = None,
        on_stop: str = "end",
        growth: float = 3.0,
        max_weight_decay: float = 0.0243,
    ) -> None:
        problems = []
        if on_stop not in ON_STOP or (on_stop == "adapt" and criterion != "eigenvalue"):
            problems.append(f"on_stop must be 'end', or 'adapt' with the criterion eigenvalue, not {on_stop!r}")
        if not growth > 1:
            problems.append(f"growth must be larger than 1, got {growth}")
        if criterion not in CRITERIA:
            problems.append(
                f"criterion must be one of {', '.join(CRITERIA)}, not {criterion!r}{did_you_mean(criterion, CRITERIA)}"
            )
        if min(skips, interval, lag) < 1:
            problems.append("skips, interval and lag must be at least 1")
        if window < 1 or window % 2 == 0:
            problems.append(f"window must be odd, got {window}")
        if not factor > 0:
            problems.append(f"factor must be positive, got {factor}")
        if problems:
            raise ConfigError(problems)
        self.criterion, self.skips, self.interval = criterion, skips, interval
        self.rule: dict[str, Any] = {"window": window, "lag": lag, "factor": factor}
        self.start_epoch = (
            start_epoch if start_epoch is not None else {"eigenvalue": 10, "skip_dominance": 0}[criterion]
        )
        self.on_stop, self.growth, self.max_weight_decay = on_stop, growth, max_weight_decay
        self._kept = lag + window // 2 + 1  # how far back the rule can go, counted from the newest measurement
        self._reset()

    def _reset(self) -> None:
        self.eigenvalues: list[float] = []
        self.epochs: list[int] = []
        self.stop_epoch: int | None = None
        self.adaptations: list[int] = []
        self._points: list[list[Tensor]] = []  # what `_changing` returned at the last measurements
        self._epoch = 0
        self._is_due = False
        self._returns_to: int | None = None

    def needs(self) -> Mapping[Ability, str]:
        """Return what the criterion looks at."""
        if self.criterion == "eigenvalue":
            return dict.fromkeys((Ability.ARCHITECTURE_STEP, Ability.CURVATURE), "use criterion skip_dominance")
        return {Ability.OUTCOME: ""}

    @property
    def changes(self) -> Sequence[str]:
        """The keywords of the optimizer that it changes: the weight decay, where it adapts that."""
        return ("weight_decay",) if self.on_stop == "adapt" else ()

    def removes(self) -> Mapping[Ability, str]:
        """Return that the candidates must stay what they are."""
        returns = "it may return to the architecture parameters of an earlier epoch"
        counts = "it counts skip connections among all candidates of the space"
        return {Ability.STRUCTURE: returns if self.criterion == "eigenvalue" else counts}

    def adapt(self, graph: Graph) -> None:
        """Forget an earlier search."""
        self._reset()

    def new_epoch(self, epoch: int) -> None:
        """Say whether the epoch before is to be measured."""
        self._epoch = epoch
        measures = self.criterion == "eigenvalue" and self.stop_epoch is None
        self._is_due = measures and epoch > 0 and (epoch - 1) % self.interval == 0

    @property
    def trains_architecture(self) -> bool:
        """Whether the search has not been stopped: the rest of the epoch leaves the architecture as it was chosen."""
        return self.stop_epoch is None

    @property
    def is_finished(self) -> bool:
        """Whether the search ends after this epoch."""
        if self.criterion == "eigenvalue":
            return self.stop_epoch is not None
        others = [part for part in self.optimizer.parts.values() if part is not self]
        if self._epoch < self.start_epoch or not all(part.trains_architecture for part in others):
            return False  # in a warm-up nothing has been chosen yet
        owner = self.optimizer
        return skip_connections(owner.get_final_architecture(), owner.graph, owner.scope) >= self.skips

    # the eigenvalue

    def before_architecture_step(self, data_val: Batch) -> None:
        """Measure where that is due."""
        if self._is_due:
            self._is_due = False
            self._measure(data_val)

    def during_architecture_step(self, data_val: Batch) -> AbstractContextManager[Any]:
        """Measure where that is still due: a step of a method's own may know this hook alone."""
        self.before_architecture_step(data_val)
        return nullcontext()

    def _measure(self, data_val: Batch) -> None:
        owner, epoch = self.optimizer, self._epoch - 1
        matrix = self._hessian(data_val)
        matrix.diagonal().add_(owner.arch_weight_decay)
        self.eigenvalues.append(dominant_eigenvalue(matrix))
        self.epochs.append(epoch)
        self._points.append([tensor.clone() for tensor in self._changing()])
        del self._points[: -self._kept]
        logger.info("dominant eigenvalue after search epoch %d: %.6g", epoch + 1, self.eigenvalues[-1])
        self._returns_to = stop_index(self.eigenvalues, self.epochs, start_epoch=self.start_epoch, **self.rule)

    def _hessian(self, data_val: Batch) -> Tensor:
        owner = self.optimizer
        before = owner.graph.passes
        owner.graph.set_passes(native=False, checkpoint=False)  # neither can be differentiated twice
        try:
            with measurement_mode(owner.graph):
                return hessian(owner.exact_loss(data_val), owner.architecture_parameters)
        finally:
            owner.graph.passes = before

    def after_architecture_step(self, data_val: Batch) -> None:
        """Return to the earlier point where the rule says so."""
        if self._returns_to is None or self.stop_epoch is not None:
            return
        point = self._points[self._returns_to - len(self.eigenvalues)]
        for tensor, value in zip(self._changing(), point, strict=True):
            tensor.copy_(value)
        epoch = self.epochs[self._returns_to]
        if self._adapts():
            self._adapt_from(self._returns_to)
            return
        self.stop_epoch = epoch
        logger.info(
            "the dominant eigenvalue grew more than %g-fold: the search returns to the architecture of epoch %d",
            self.rule["factor"], epoch + 1,
        )  # fmt: skip

    def _changing(self) -> list[Tensor]:
        """Return what a return to an earlier point sets, detached: all that is trained, if the search then goes on."""
        owner = self.optimizer
        found = [parameter.detach() for parameter in owner.architecture_parameters]
        return found if self.on_stop == "end" else [*found, *owner.graph.state_dict().values()]

    def _adapts(self) -> bool:
        group = self.optimizer.op_optimizer.param_groups[0]
        # rounding must not forbid the last of the authors' steps, 3e-4 * 3 ** 4
        return self.on_stop == "adapt" and group["weight_decay"] * self.growth <= self.max_weight_decay * (1 + 1e-9)

    def _adapt_from(self, index: int) -> None:
        """Go on from a measurement with more weight decay."""
        owner = self.optimizer
        for group in owner.op_optimizer.param_groups:
            group["weight_decay"] *= self.growth
        for optimizer in (owner.op_optimizer, owner.arch_optimizer):
            optimizer.state.clear()
        self.adaptations.append(self.epochs[index])
        del self._points[len(self._points) + index + 1 - len(self.eigenvalues) :]
        del self.eigenvalues[index + 1 :], self.epochs[index + 1 :]
        self._returns_to = None
        logger.info(
            "the dominant eigenvalue grew more than %g-fold: the search goes on from epoch %d with weight decay %g",
            self.rule["factor"], self.adaptations[-1] + 1, owner.op_optimizer.param_groups[0]["weight_decay"],
        )  # fmt: skip

    def state_dict(self) -> dict[str, Any]:
        """Return the measurements, the points that may be returned to, and the schedule."""
        return {
            "eigenvalues": list(self.eigenvalues),
            "epochs": list(self.epochs),
            "points": [[value.clone() for value in point] for point in self._points],
            "stop_epoch": self.stop_epoch,
            "adaptations": list(self.adaptations),
            "epoch": self._epoch,
            "is_due": self._is_due,
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state."""
        self.eigenvalues, self.epochs = list(state_dict["eigenvalues"]), list(state_dict["epochs"])
        self._points = [[value.clone() for value in point] for point in state_dict["points"]]
        self.stop_epoch = state_dict["stop_epoch"]
        self.adaptations = list(state_dict["adaptations"])
        self._epoch, self._is_due = state_dict["epoch"], state_dict["is_due"]
        self._returns_to = None


def is_skip(op: nn.Module) -> bool:
    """Say whether an operation is a skip connection; at stride 2 it is a factorized reduction."""
    return isinstance(op, Identity | nn.Identity | FactorizedReduce)


def skip_connections(architecture: Graph, supernet: Graph, scope: Scope) -> int:
    """Return the largest number of skip connections that a discrete architecture has in one of its normal cells.

    A cell is a graph in the scope of the search; it is a reduction cell if a candidate has a stride. Where there are
    reduction cells only, they count.

    Args:
        architecture: The discrete graph.
        supernet: The graph under search that it was derived from.
        scope: Which graphs are searched.
    """
    counts: dict[bool, list[int]] = {False: [0], True: [0]}
    pairs = zip(architecture._graphs_in_scope(scope), supernet._graphs_in_scope(scope), strict=True)
    normal = False
    for discrete, searched in pairs:
        mixed = [data.op for _, _, data in searched.edges(data=True) if isinstance(data.op, MixedOp)]
        if not mixed:
            continue
        reduces = any(has_stride(candidate) for op in mixed for candidate in op.primitives)
        normal = normal or not reduces
        decided = [data.op for _, _, data in discrete.edges(data=True) if data.has("op_index")]
        counts[reduces].append(sum(is_skip(op) for op in decided))
    return max(counts[not normal])
