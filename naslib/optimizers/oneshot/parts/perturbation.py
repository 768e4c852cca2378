"""Perturbed architecture weights in the weight step (SmoothDARTS)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor

from naslib.errors import ConfigError
from naslib.optimizers.core.metaclasses import Batch
from naslib.optimizers.oneshot.supernet.abilities import Ability
from naslib.optimizers.oneshot.supernet.part import PARTS, Part
from naslib.optimizers.oneshot.supernet.relaxed_op import RelaxedMixedOp
from naslib.search_spaces.core.batch_norm import evaluation_mode
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.primitives import MixedOp
from naslib.utils.distributed import means_over_ranks

KINDS = ("random", "adversarial")
# Which decisions are relaxed in one call: their number of candidates, and the one decision's parameter if it is alone
Key = tuple[int, int | None]
# `(n_decisions, n_ops)` relaxed weights of each call
Weights = dict[Key, Tensor]


def to_simplex(weights: Tensor) -> Tensor:
    """Return the rows clipped to [0, 1] and divided by their sums; the largest entry alone where nothing is left.

    Args:
        weights: `(..., n_ops)`.
    """
    clipped = weights.clamp(0.0, 1.0)
    largest = torch.zeros_like(weights).scatter_(-1, weights.argmax(-1, keepdim=True), 1.0)
    clipped = torch.where(clipped.sum(-1, keepdim=True) > 0, clipped, largest)
    return clipped / clipped.sum(-1, keepdim=True)


def random_point(weights: Tensor, radius: float) -> Tensor:
    """Return the weights plus uniform noise from [-radius, radius], on the simplex again.

    `(rows, n_ops)` in and out.
    """
    return to_simplex(weights + torch.empty_like(weights).uniform_(-radius, radius))


def ascend(point: Tensor, gradient: Tensor, center: Tensor, radius: float, size: float) -> Tensor:
    """Return the point after a sign step of projected gradient ascent within the box of `radius` around `center`.

    All are `(rows, n_ops)`.
    """
    moved = point + size * gradient.sign()
    return to_simplex(center + (moved - center).clamp(-radius, radius))


class PerturbedRelaxation:
    """Relax as another relaxation does, and let the weights be perturbed, recorded or replaced.

    Args:
        inner: A relaxation that gives the same weights whenever it is asked.

    Attributes:
        radius: Add uniform noise of this size; None for none.
        recorded: Filled with the weights of a forward; None for no record.
        replacing: Weights to return instead; None for the relaxation's own.
    """

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.radius: float | None = None
        self.recorded: Weights | None = None
        self.replacing: Weights | None = None

    def __call__(self, logits: Tensor, training: bool) -> Sequence[Any]:
        """Return one row of weights per decision.

        Args:
            logits: `(n_decisions, n_ops)`.
            training: Handed on.
        """
        if self.replacing is not None:
            return self.replacing[_key_of(logits)].unbind(0)
        rows = self.inner(logits, training)
        if self.recorded is not None:
            key = _key_of(logits)
            if key in self.recorded and key[1] is None:
                raise ConfigError(
                    "perturbation: a forward relaxes decisions of one size in several calls (cells with a forward of "
                    "their own); the adversarial kind cannot tell them apart"
                )
            self.recorded[key] = torch.stack(tuple(rows)).detach()
        if self.radius is not None:
            return random_point(torch.stack(tuple(rows)), self.radius).unbind(0)
        return rows


def _key_of(logits: Tensor) -> Key:
    """Name the decisions that are relaxed together: all of a size, or one alone where a hook looks at its edge."""
    alone = logits._base if logits.shape[0] == 1 else None
    return logits.shape[-1], None if alone is None else id(alone)


@PARTS.register("perturbation")
class Perturbation(Part):
    """Train the weights for perturbed mixtures, so that the loss is smooth in the architecture ([Chen2020sdarts]).

    Only the weight step sees the perturbation, and it is of the relaxed weights: alpha is not touched. The radius grows
    as `radius_min + (radius_max - radius_min) * epoch / epochs`. Every perturbed row is clipped to [0, 1] and divided
    by its sum.

    Args:
        kind: `"random"`: uniform noise in the box of the radius. `"adversarial"`: the weights in that box that raise
            the loss of the training batch, by projected gradient ascent from a random start with the network in
            evaluation mode; where the loss did not rise, the weights stay as they are.
        radius_min: Radius at the first epoch.
        radius_max: Radius that the last epoch comes close to.
        steps: Sign steps of the ascent, each of size `2 * radius / steps`.

    Raises:
        ConfigError: For an unknown kind, radii that are not 0 <= `radius_min` <= `radius_max`, or no steps.
    """

    SCHEDULABLE = {
        "steps": "",
        **dict.fromkeys(("radius_min", "radius_max"), "the radius grows by itself from radius_min to radius_max"),
    }

    def __init__(self, kind: str = "random", radius_min: float = 0.03, radius_max: float = 0.3, steps: int = 7) -> None:
        problems = []
        if kind not in KINDS:
            problems.append(f"kind must be one of {', '.join(KINDS)}, not {kind!r}")
        if not 0 <= radius_min <= radius_max:
            problems.append(f"radii must be 0 <= radius_min <= radius_max, got {radius_min} and {radius_max}")
        if steps < 1:
            problems.append(f"steps must be at least 1, got {steps}")
        if problems:
            raise ConfigError(problems)
        self.kind = kind
        self.radius_min = radius_min
        self.radius_max = radius_max
        self.steps = steps
        self.radius = radius_min
        self._relaxation: PerturbedRelaxation | None = None
        self._worst: Weights | None = None

    def unscheduled(self, name: str) -> str:
        """Return why a keyword cannot follow a schedule; see the parent."""
        if name == "steps" and self.kind != "adversarial":
            return "only kind: adversarial takes steps"
        return super().unscheduled(name)

    @property
    def is_static(self) -> bool:
        """Whether the noise is drawn within the pass; the worst weights are looked for before it."""
        return self.kind == "random"

    def needs(self) -> Mapping[Ability, str]:
        """Return a mixture by weights that do not change by themselves and sum to 1."""
        return dict.fromkeys((Ability.MIXTURE, Ability.FIXED_WEIGHTS, Ability.UNIT_SUM, Ability.TRAINED_WEIGHTS), "")

    def adapt(self, graph: Graph) -> None:
        """Check that there is something to perturb.

        Raises:
            ConfigError: If a MixedOp relaxes its decision by itself.
        """
        edges = graph._edges_in_scope(self.optimizer.scope, private_edge_data=True)
        mixed = [edge.data.op for edge in edges if isinstance(edge.data.op, MixedOp)]
        own = [type(op).__name__ for op in mixed if not isinstance(op, RelaxedMixedOp)]
        if own:
            raise ConfigError(f"perturbation: {own[0]} relaxes its decision by itself; there is nothing to perturb")

    def wrap_relaxation(self, relaxation: Any) -> PerturbedRelaxation:
        """Return the relaxation with a way to perturb its weights."""
        self._relaxation = PerturbedRelaxation(relaxation)
        return self._relaxation

    def new_epoch(self, epoch: int) -> None:
        """Set the radius of the epoch."""
        done = epoch / max(1, self.optimizer.epochs)
        self.radius = self.radius_min + (self.radius_max - self.radius_min) * done

    def before_weight_step(self, data_train: Batch) -> None:
        """Look for the worst weights, on the network as it is: what others change for the step hides the gradient."""
        self._worst = None
        if self._relaxation is not None and self.radius and self.kind == "adversarial":
            self._worst = self._worst_case(self._relaxation, data_train)

    def during_weight_step(self, data_train: Batch) -> AbstractContextManager[Any]:
        """Return a context in which the weights of the mixtures are perturbed."""
        if self._relaxation is None or self.radius == 0:
            return nullcontext()
        if self.kind == "random":
            return _setting(self._relaxation, radius=self.radius)
        # a step of a method's own may know this hook alone
        worst = self._worst if self._worst is not None else self._worst_case(self._relaxation, data_train)
        self._worst = None
        return _setting(self._relaxation, replacing=worst)

    def _worst_case(self, relaxation: PerturbedRelaxation, data: Batch) -> Weights:
        """Return weights near the method's own for which the loss on a batch is higher."""
        radius, size = self.radius, 2 * self.radius / self.steps
        with evaluation_mode(self.optimizer.graph):
            recorded: Weights = {}
            with torch.no_grad(), _setting(relaxation, recorded=recorded):
                before = self.optimizer.forward_loss(data)[1]
            points = {key: random_point(center, radius) for key, center in recorded.items()}
            for _ in range(self.steps):
                leaves = [point.requires_grad_() for point in points.values()]
                with _setting(relaxation, replacing=points):  # a checkpointed cell may relax again in the backward
                    loss = self.optimizer.forward_loss(data)[1]
                    # a hook may have replaced the weights of an edge
                    found = torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True)
                points = {
                    key: ascend(point.detach(), gradient, recorded[key], radius, size)
                    for (key, point), gradient in zip(points.items(), means_over_ranks(found), strict=True)
                }
            with torch.no_grad(), _setting(relaxation, replacing=points):
                rises = self.optimizer.forward_loss(data)[1] > before
        return {key: torch.where(rises, point, recorded[key]) for key, point in points.items()}

    def state_dict(self) -> dict[str, Any]:
        """Return the radius."""
        return {"radius": self.radius}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over the radius."""
        self.radius = state_dict["radius"]


@contextmanager
def _setting(relaxation: PerturbedRelaxation, **attributes: Any) -> Iterator[None]:
    """Set attributes of the relaxation within the context."""
    before = {name: getattr(relaxation, name) for name in attributes}
    vars(relaxation).update(attributes)
    try:
        yield
    finally:
        vars(relaxation).update(before)
