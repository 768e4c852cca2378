"""Part: one ingredient of a gradient-based method, and how a set of them is built from a config."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

from torch import Tensor, nn

from naslib.config.parts import part_problems
from naslib.errors import ConfigError
from naslib.optimizers.core.following import reason_against
from naslib.optimizers.core.metaclasses import Batch
from naslib.registry import Registry, catalogue
from naslib.registry.signatures import keywords_through
from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.graph import Graph

from .abilities import Ability
from .host import SupernetHost

# What a part that defines a hook needs
NEEDED_BY_HOOKS = {
    "wrap_relaxation": Ability.RELAXATION,
    "parameters": Ability.GRADIENT,
    "scores": Ability.SCORES,
    "watched": Ability.VALIDATION_GRADIENT,
    "trains_architecture": Ability.ARCHITECTURE_STEP,
}

# What a part does to a network, or while it runs forwards and backwards
WITHIN_PASSES = (
    *("adapt", "wrap_relaxation", "during_architecture_step", "during_weight_step"),
    *("architecture_loss", "watched", "watch"),
)


class Part:
    """Base of the ingredients; every hook does nothing unless a part defines it.

    The order of the hooks in a search: `adapt` once, `new_epoch` at the start of each epoch; in each step
    `before_architecture_step`, `during_architecture_step`, `architecture_loss`, `after_architecture_step`, then
    `before_weight_step`, `during_weight_step`, `weight_gradient` and `after_weight_step`; at the end `select`. Whatever
    runs the network for itself does so in a hook `before_...`, where no other part has changed it for the step yet, or
    in `weight_gradient`.

    Attributes:
        optimizer: The optimizer that has the part, as far as a part may see it; set before `adapt`.
    """

    optimizer: SupernetHost
    # Whether the part changes the structure of the supernet during the search (`optimizer.structure`)
    restructures: ClassVar[bool] = False
    # Whether its hooks within a pass do the same in every step of an epoch; see `is_static`
    STATIC: ClassVar[bool] = False
    # Why the structure must not change where the part is; empty where it may
    fixed_structure: ClassVar[str] = ""
    # Names of attributes by which `adapt` shapes the supernet, and which may change during the search
    structural: ClassVar[tuple[str, ...]] = ()
    # Keywords that can follow a schedule, each with "", and those that cannot with the reason; the parents' count, too
    SCHEDULABLE: ClassVar[Mapping[str, str]] = {}

    @property
    def scales_loss(self) -> bool:
        """Whether `architecture_loss` multiplies the loss of the data, so that it comes before what others add."""
        return False

    @property
    def changes(self) -> Sequence[str]:
        """The keywords of the optimizer that the part changes during the search."""
        return ()

    # what goes together

    def needs(self) -> Mapping[Ability, str]:
        """Return what the part cannot do without, each with what can be done instead (may be empty).

        By default it follows from the hooks that a part defines; see `oneshot.supernet.compatibility`.
        """
        found = {ability for hook, ability in NEEDED_BY_HOOKS.items() if self._defines(hook)}
        if self._defines("architecture_loss"):
            found.add(Ability.OBJECTIVE if self._defines("reward") else Ability.TERM)
        if self.restructures:
            found.add(Ability.STRUCTURE)
        return dict.fromkeys(sorted(found), "")

    def removes(self) -> Mapping[Ability, str]:
        """Return what is not there for others because of the part, and why."""
        if self.restructures:
            return {Ability.STRUCTURE: "it changes the supernet itself, and only one can"}
        return {Ability.STRUCTURE: self.fixed_structure} if self.fixed_structure else {}

    def _defines(self, hook: str) -> bool:
        return getattr(type(self), hook) is not getattr(Part, hook)

    @property
    def is_static(self) -> bool:
        """Whether what the part does within a pass is the same in every step of an epoch.

        Then a CUDA graph may repeat the pass: nothing in it reads numbers of the host that change within an epoch, or
        tensors that are made anew outside of it.
        """
        return self.STATIC or not any(self._defines(hook) for hook in WITHIN_PASSES)

    # what the network looks like

    def adapt(self, graph: Graph) -> None:
        """Change the supernet after every edge has its MixedOp and before it is compiled.

        A search that rebuilds its supernet calls this again, with the new one.

        Args:
            graph: The supernet; `self.optimizer.scope` says which graphs are searched.
        """

    def check_space(self, space: Graph) -> None:
        """Raise `ConfigError` if the part will not fit a supernet of a space; asked for those of later stages.

        Args:
            space: The space of that stage; it is not to be changed.
        """

    def wrap_relaxation(self, relaxation: Any) -> Any:
        """Return what relaxes the decisions instead of `relaxation` (see `MixedOp.relaxation`)."""
        return relaxation

    def parameters(self) -> Sequence[nn.Parameter]:
        """Return architecture parameters of the part's own; they are trained with the others and saved by the part."""
        return ()

    def scores(self, edge: EdgeData, scores: Tensor) -> Tensor:
        """Return by what the candidates of an edge, and edges, are compared at the end, `(n_ops,)`.

        Args:
            edge: The edge.
            scores: What the optimizer and the parts before this one say.
        """
        return scores

    def discretize(self, graph: Graph) -> None:
        """Undo in the discrete architecture what `adapt` did beside the edges' operations.

        Args:
            graph: The architecture, each edge with the operation that was chosen, before `prepare_evaluation`.
        """

    def restructured(self) -> None:
        """Act after the supernet lost candidates or was rebuilt, for parts that remember what was in it."""

    # the schedule

    def unscheduled(self, name: str) -> str:
        """Return why a keyword cannot follow a schedule, "" where it can; see `MetaOptimizer.unscheduled`."""
        return reason_against(type(self), name)

    def follow(self, name: str, value: float) -> None:
        """Set a keyword to the value that its schedule has now."""
        setattr(self, name, value)

    def new_epoch(self, epoch: int) -> None:
        """Begin epoch `epoch` (from 0)."""

    @property
    def restarts(self) -> Sequence[int]:
        """The epochs, from 0, at which the learning rate of the weights starts again from the top."""
        return ()

    @property
    def trains_architecture(self) -> bool:
        """Whether the architecture step is taken now."""
        return True

    @property
    def is_finished(self) -> bool:
        """Whether the search should end after this epoch."""
        return False

    # the step

    def before_architecture_step(self, data_val: Batch) -> None:
        """Act before the architecture step, on the network as it is."""

    def during_architecture_step(self, data_val: Batch) -> AbstractContextManager[Any]:
        """Return a context for the forward and backward of the architecture step."""
        return nullcontext()

    def architecture_loss(self, loss: Tensor) -> Tensor:
        """Return the loss whose gradient the architecture parameters get.

        Both are scalars.
        """
        return loss

    def reward(self, reward: float, choices: Sequence[Tensor]) -> float:
        """Return the reward of a sampled network, where the architecture is trained by rewards.

        Args:
            reward: What the optimizer and the parts before this one say; 1 is perfect.
            choices: The network: one-hot booleans, `(n_ops,)` per decision.
        """
        return reward

    def watched(self) -> Sequence[Tensor]:
        """Return weights whose gradient of the validation loss the part wants to see in the architecture step.

        Weights of any shape.
        """
        return ()

    def watch(self, gradients: Sequence[Tensor | None]) -> None:
        """Take the gradients that `watched` asked for, None where the loss does not depend on a weight.

        Each has the shape of its weight: any shape.
        """

    def after_architecture_step(self, data_val: Batch) -> None:
        """Act after the architecture parameters were updated."""

    def before_weight_step(self, data_train: Batch) -> None:
        """Act before the weight step, on the network as it is."""

    def during_weight_step(self, data_train: Batch) -> AbstractContextManager[Any]:
        """Return a context for the forward and backward of the weight step."""
        return nullcontext()

    def weight_gradient(self, data_train: Batch) -> None:
        """Change the gradients of the weights before they are clipped."""

    def after_weight_step(self, data_train: Batch) -> None:
        """Act after the weights were updated."""

    # the end

    def select(self, train_batches: Iterable[Batch], valid_batches: Iterable[Batch]) -> None:
        """Choose the architecture after the last epoch, by setting `self.optimizer.outcome`.

        Args:
            train_batches: One pass over the training batches; may be iterated again.
            valid_batches: One pass over the validation batches; may be iterated again.
        """

    def report(self) -> dict[str, Any]:
        """Return what the summary of a run says of the part, as plain values; {} for nothing."""
        return {}

    # checkpoints

    def state_dict(self) -> dict[str, Any]:
        """Return everything that changes during a search, as tensors and plain values."""
        return {}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state."""


PARTS: Registry[type[Part]] = catalogue.PARTS


def build_parts(preset: Mapping[str, Mapping[str, Any]], given: Mapping[str, Any] | None) -> dict[str, Part]:
    """Return the parts by name, in the order of the preset and then of `given`.

    Args:
        preset: Keywords of the parts that a method has.
        given: Keywords that the user changes or adds, by part; `None` or `{}` takes a part as it is, `False` leaves out
            one of the preset's.

    Raises:
        ConfigError: Naming every unknown part, every keyword that a part does not take, and every bad value.
    """
    found = part_problems(given, {name: keywords_through(PARTS.signatures(name)) for name in PARTS})
    problems = [f"{key}: {text}" for key, text in found]
    if not isinstance(given, Mapping | None):
        raise ConfigError(problems)
    keywords: dict[str, dict[str, Any]] = {name: dict(values) for name, values in preset.items()}
    for name, values in (given or {}).items():
        if values is False:
            keywords.pop(name, None)
        else:
            keywords.setdefault(name, {}).update(values if isinstance(values, Mapping) else {})
    wrong = {key.split(".")[1] for key, _ in found}
    built = {}
    for name, values in keywords.items():
        if name in wrong:
            continue
        try:
            built[name] = PARTS.build(name, **values)
        except (TypeError, ValueError) as error:
            problems.append(f"parts.{name}: {error}")
    if problems:
        raise ConfigError(problems)
    return built
