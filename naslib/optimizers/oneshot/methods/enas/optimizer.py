"""ENAS: a controller learns by policy gradient which paths of the shared network are good."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, get_args

import torch
from torch import Tensor, nn

from naslib.errors import ConfigError, did_you_mean
from naslib.optimizers.core.metaclasses import Batch, Stateful
from naslib.optimizers.core.reward_baseline import RewardBaseline
from naslib.optimizers.oneshot.paths.entries import PathEntry, assignment_of
from naslib.optimizers.oneshot.supernet.base import OneShotOptimizer
from naslib.optimizers.oneshot.supernet.compatibility import Ability, claims_of, conflicts
from naslib.optimizers.oneshot.supernet.mixed_edges import decisions_in
from naslib.optimizers.oneshot.supernet.sampling import Draw
from naslib.optimizers.registry import OPTIMIZERS
from naslib.search_spaces.core.assignment import Assignment, assigned, current
from naslib.search_spaces.core.batch_norm import measurement_mode
from naslib.search_spaces.core.drawing import draw
from naslib.search_spaces.core.graph import EdgeView, Graph

from .controller import Controller, Entropy
from .controller_space import ControllerSpace
from .limited import drawn_paths
from .reading import controller_space_of

# The authors' Adam: denominators are at least this, so small gradients give small steps
ADAM_EPS = 1e-3


LACKING = (
    *(Ability.RELAXATION, Ability.MIXTURE, Ability.FIXED_WEIGHTS, Ability.UNIT_SUM, Ability.GRADIENT, Ability.TERM),
    *(Ability.VALIDATION_GRADIENT, Ability.CURVATURE, Ability.SCORES, Ability.STRUCTURE),
)


class PathRelaxation:
    """Run the path that the rows hold: a one-hot each, or 0 where the edge is not kept and has no `Zero`."""

    def __call__(self, logits: Tensor, training: bool) -> list[Draw]:
        """Return one draw per decision.

        Args:
            logits: `(n_decisions, n_ops)` gates of 0 and 1.
            training: Without effect.
        """
        draws = []
        for values, row in zip(logits.tolist(), logits.detach().unbind(0), strict=True):
            value = max(values)
            draws.append(Draw((values.index(value),), row, unit=value == 1.0, removed=value == 0.0))
        return draws


class Protocol(NamedTuple):
    """What the authors' two searches do differently.

    Attributes:
        samples_per_step: Paths judged in a step.
        controller_aggregate: Paths per step of the controller.
        tanh_constant: Bound of the logits.
        entropy: Which entropy is in the reward.
    """

    samples_per_step: int
    controller_aggregate: int
    tanh_constant: float
    entropy: Entropy


# micro: 30 controller steps of 10 paths an epoch of 281 batches; macro: 50 of 20 and 351
CELLS, LAYERS = Protocol(1, 10, 1.1, "distribution"), Protocol(2, 20, 1.5, "sampled")
ENTROPIES: tuple[str, ...] = get_args(Entropy)


def _is_positive(value: float | str | None) -> bool:
    return value is None or isinstance(value, str) or value > 0


def _problems_of_aggregation(per_step: int, aggregate: int) -> list[str]:
    if per_step >= 1 and aggregate >= 1 and aggregate % per_step == 0:
        return []
    return [
        f"controller_aggregate ({aggregate}) must be a multiple of samples_per_step ({per_step}), both positive: the "
        "controller is trained between steps"
    ]


def _wrong_words(entropy: str | None, tanh_constant: float | str | None) -> list[str]:
    problems = []
    if entropy is not None and entropy not in ENTROPIES:
        hint = did_you_mean(str(entropy), ENTROPIES)
        problems.append(f"entropy must be one of {', '.join(ENTROPIES)}, not {entropy!r}{hint}")
    if isinstance(tanh_constant, str) and tanh_constant != "auto":
        problems.append(f"tanh_constant must be a number, null or 'auto', not {tanh_constant!r}")
    return problems


@OPTIMIZERS.register("enas")
class ENASOptimizer(OneShotOptimizer):
    """Efficient neural architecture search by parameter sharing ([Pham2018enas]).

    The weight step trains one path drawn from the controller (M = 1). The controller ascends
    `(R - b) grad log pi(path)`, R being the accuracy of a drawn path on one validation batch (which parts may change)
    plus `entropy_weight` times the entropy of the controller (a constant to the gradient), b the moving average of R,
    updated before it is subtracted. Neither weights nor batch norm statistics are touched by it. Any decision can be
    chosen: operations, inputs, combinations at nodes, sizes. In a chain of layers that choose their skips the
    controller is that of the authors' macro search, and descends `skip_weight` times the penalty of its rate of skips
    as well.

    Every step draws `samples_per_step` paths on its validation batch; after `controller_aggregate` of them the
    controller takes one step by the mean of their gradients. `arch_learning_rate` and `arch_weight_decay` are the
    controller's.

    Where an argument has two defaults, they are those of the authors' micro search and, for chains of layers, of their
    macro search (`CELLS`, `LAYERS`).

    Args:
        samples_per_step: Paths judged in a step; divides `controller_aggregate`. None: 1 or 2.
        controller_aggregate: Paths per step of the controller. None: 10 or 20.
        entropy_weight: Of the entropy in the reward.
        entropy: `"distribution"`, of all that could have been taken, or `"sampled"`, -p log p of what was. None: the
            former, or the latter.
        baseline_decay: In [0, 1): how much of the moving average is kept.
        baseline_start: The average to begin with; None begins with the first reward.
        temperature: Divides the controller's logits; positive.
        tanh_constant: Bound of the logits that are squashed by tanh; None for no squashing; `"auto"`: 1.1 or 1.5.
        op_tanh_reduce: Divides that bound for operations, in cells whose nodes choose their inputs.
        skip_target: Rate of skips, in (0, 1), that the controller of layers is drawn to.
        skip_weight: Of that penalty in the controller's loss; 0 for none.
        controller_hidden: Units of the controller's LSTM.
        controller_grad_clip: Largest norm of the controller's gradient; None or 0 for no clipping.
        n_samples: Paths among which the final architecture is chosen.
        arch_learning_rate: Of the controller, as in the authors' micro search.
        arch_weight_decay: Of the controller.
        **kwargs: See `OneShotOptimizer`.

    Attributes:
        path_choices: What a path consists of (after adapting).
        controller: The controller (after adapting). It stays on the CPU: it is small and sequential.
        baseline: The moving average of rewards.
        accumulated: Sum of the gradients since the controller's last step, by parameter; None where there is none.
        n_accumulated: How many they are.
    """

    ARCH_BETAS = (0.0, 0.999)
    SCHEDULABLE = {"entropy_weight": "", "skip_weight": "", "controller_grad_clip": "", "baseline_decay": ""}
    HELD_BY = {"baseline_decay": ("baseline", "decay")}
    SCHEDULED = ("accumulated", "n_accumulated")
    RUNS_ONE_PATH = TAKES_LIMITS = True

    def __init__(
        self,
        samples_per_step: int | None = None,
        controller_aggregate: int | None = None,
        entropy_weight: float = 1e-4,
        entropy: str | None = None,
        baseline_decay: float = 0.99,
        baseline_start: float | None = 0.0,
        temperature: float = 1.0,
        tanh_constant: float | str | None = "auto",
        op_tanh_reduce: float = 2.5,
        skip_target: float = 0.4,
        skip_weight: float = 0.8,
        controller_hidden: int = 64,
        controller_grad_clip: float | None = None,
        n_samples: int = 100,
        arch_learning_rate: float = 3.5e-3,
        arch_weight_decay: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(arch_learning_rate=arch_learning_rate, arch_weight_decay=arch_weight_decay, **kwargs)
        sizes = {"temperature": temperature, "tanh_constant": tanh_constant, "op_tanh_reduce": op_tanh_reduce}
        sizes |= {"controller_hidden": controller_hidden, "n_samples": n_samples}
        problems = [f"{key} must be positive, got {value}" for key, value in sizes.items() if not _is_positive(value)]
        problems += _wrong_words(entropy, tanh_constant)
        if not 0 < skip_target < 1 or skip_weight < 0:
            problems.append(
                f"skip_target must be in (0, 1) and skip_weight not negative, got {skip_target}, {skip_weight}"
            )
        by_kind = [
            _problems_of_aggregation(
                kind.samples_per_step if samples_per_step is None else samples_per_step,
                kind.controller_aggregate if controller_aggregate is None else controller_aggregate,
            )
            for kind in (CELLS, LAYERS)
        ]
        problems += by_kind[0] if all(by_kind) else []
        problems += conflicts(claims_of(self))
        if problems:
            raise ConfigError(problems)
        self._given = (samples_per_step, controller_aggregate, tanh_constant, entropy)
        self._settle(CELLS)
        self.entropy_weight = entropy_weight
        self.skip_weight = skip_weight
        self.baseline = RewardBaseline(baseline_decay)
        self.baseline_start = baseline_start
        self.controller_grad_clip = controller_grad_clip
        self.n_samples = n_samples
        self._controller_settings: dict[str, Any] = {
            "hidden": controller_hidden,
            "temperature": temperature,
            "op_tanh_reduce": op_tanh_reduce,
            "skip_target": skip_target,
        }
        self.controller: Controller
        self.path_choices: ControllerSpace
        self._entries: dict[str, PathEntry] = {}
        self.accumulated: list[Tensor] | None = None
        self.n_accumulated = 0

    def _settle(self, kind: Protocol) -> None:
        """Take what was given, and else what the authors do in a kind of space."""
        per_step, aggregate, constant, entropy = self._given
        self.samples_per_step: int = kind.samples_per_step if per_step is None else per_step
        self.controller_aggregate: int = kind.controller_aggregate if aggregate is None else aggregate
        self.tanh_constant: float | None = kind.tanh_constant if isinstance(constant, str) else constant
        self.entropy: Any = kind.entropy if entropy is None else entropy

    def unscheduled(self, name: str) -> str:
        """Return why a keyword cannot follow a schedule; see the parent."""
        if name == "skip_weight" and self.is_adapted and not self.path_choices.layers:
            return "only chains of layers have the penalty"
        return super().unscheduled(name)

    # the supernet

    def removes(self) -> Mapping[Ability, str]:
        """Return what there is not: nothing is mixed, and no gradient reaches a decision."""
        return dict.fromkeys(LACKING, "enas draws paths: the part {part!r} has nothing to work on")

    @staticmethod
    def add_alphas(edge: EdgeView) -> None:
        """Put on an edge the gates of the path that runs; they are not trained."""
        edge.data.set("alpha", nn.Parameter(torch.zeros(len(edge.data.op)), requires_grad=False), shared=True)

    def decision_weights(self, alpha: Tensor) -> Tensor:
        """Return the gates: what runs.

        `(n_ops,)` for `(n_ops,)`.
        """
        return alpha.detach()

    def relaxation(self) -> PathRelaxation:
        """Return what runs the path."""
        return PathRelaxation()

    def _collect_decisions(self, graph: Graph) -> None:
        super()._collect_decisions(graph)
        self.path_choices = controller_space_of(graph, self.scope)
        ops = [data.op.primitives for data in decisions_in(graph, self.scope)]
        self._entries = {name: PathEntry(of) for name, of in zip(self.decision_names, ops, strict=True)}
        self._settle(LAYERS if self.path_choices.layers else CELLS)
        if problems := _problems_of_aggregation(self.samples_per_step, self.controller_aggregate):
            raise ConfigError(problems)
        self.controller = Controller(
            self.path_choices, tanh_constant=self.tanh_constant, entropy=self.entropy, **self._controller_settings
        )
        self.architecture_parameters = list(self.controller.parameters())
        self.accumulated, self.n_accumulated = None, 0
        self.baseline.value = self.baseline_start
        self.run_path(self._most_likely())

    def _build_optimizers(self) -> None:
        super()._build_optimizers()
        for group in self.arch_optimizer.param_groups:
            if "eps" in group:
                group["eps"] = ADAM_EPS

    def before_training(self) -> None:
        """Move the supernet to `device`; the controller stays where it is."""
        super().before_training()
        self.controller.cpu()

    @torch.no_grad()
    def sample(self, training: bool = True) -> Assignment:
        """Draw a path from the controller, or take its most likely one.

        Args:
            training: Whether to draw.
        """
        self._require_adapted()
        return self.assignment_of(self.controller.sample().code if training else self._most_likely())

    def assignment_of(self, code: Sequence[int]) -> Assignment:
        """Return the assignment that runs a path."""
        return assignment_of(self._entries, code)

    def standing(self) -> Assignment:
        """Return what forwards outside of a step run: what the gates hold."""
        return draw(self._sites)

    def run_path(self, code: Sequence[int]) -> None:
        """Let forwards outside of a step run this path, by its gates in `architectural_weights`.

        Args:
            code: The operation of every decision, or `codec.NO_EDGE`.
        """
        with torch.no_grad():
            for alpha, gates in zip(self.architectural_weights, self.path_choices.gates(code), strict=True):
                alpha.copy_(gates, non_blocking=True)  # to the device; nobody waits for it

    # the step

    def architecture_gradient(self, data_train: Batch, data_val: Batch) -> tuple[list[Tensor], Tensor, Tensor]:
        """Judge paths, and return the mean gradient since the controller's last step, and logits and loss of the last.

        Gradients have the shape of their parameters; logits `(n, classes)`, the loss a scalar.

        Logits and loss are those of the validation batch.
        """
        for _ in range(self.samples_per_step):
            rollout = self.controller.sample()
            logits, loss = self._evaluate(rollout.code, data_val)
            reward = self._reward(rollout.code, logits, data_val) + self.entropy_weight * float(rollout.entropy)
            loss_of_path = -self.baseline.advantage(reward) * rollout.log_prob
            if rollout.penalty is not None and self.skip_weight:
                loss_of_path = loss_of_path + self.skip_weight * rollout.penalty
            self._accumulate(loss_of_path)
        sums = self.accumulated or []
        return [total / self.controller_aggregate for total in sums], logits, loss

    def _reward(self, code: Sequence[int], logits: Tensor, data: Batch) -> float:
        """Return the score of a path, and what the parts make of it."""
        reward = self.paid(logits, data)
        for part in self.parts.values():
            reward = part.reward(reward, [gates > 0 for gates in self.path_choices.gates(code)])
        return reward

    def _accumulate(self, loss: Tensor) -> None:
        parameters = self.architecture_parameters
        gradient = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
        if self.accumulated is None:
            self.accumulated = list(gradient)
        else:
            self.accumulated = [a.to(g) + g for a, g in zip(self.accumulated, gradient, strict=True)]
        self.n_accumulated += 1

    def update_architecture(self) -> None:
        """Let the controller take its step, if enough paths have been judged."""
        if self.n_accumulated < self.controller_aggregate:
            return
        if self.controller_grad_clip:
            nn.utils.clip_grad_norm_(self.architecture_parameters, self.controller_grad_clip)
        super().update_architecture()
        self.accumulated, self.n_accumulated = None, 0

    def weight_step(self, data_train: Batch) -> tuple[Tensor, Tensor]:
        """Train the weights of a path drawn from the controller, unless one is assigned.

        Logits `(n, classes)`, the loss a scalar.
        """
        if current() is not None:
            return super().weight_step(data_train)
        with torch.no_grad():
            code = self.controller.sample().code
        self.run_path(code)  # which is recorded, and stays
        with assigned(self.assignment_of(code)):
            return super().weight_step(data_train)

    @torch.no_grad()
    def _evaluate(self, code: Sequence[int], data: Batch) -> tuple[Tensor, Tensor]:
        with assigned(self.assignment_of(code)):
            return self.forward_loss(data)

    # the outcome

    @torch.no_grad()
    def _most_likely(self) -> tuple[int, ...]:
        return self.controller.greedy().code

    def select_architecture(self, train_batches: Iterable[Batch], valid_batches: Iterable[Batch]) -> None:
        """Draw `n_samples` paths within the limits, and keep the best by its reward on one validation batch."""
        super().select_architecture(train_batches, valid_batches)
        batch = next(iter(valid_batches), None)
        if self.outcome is None and batch is not None:
            with torch.no_grad():
                codes = drawn_paths(self, self._sampled, self.n_samples, lambda: self.task.shape_of(batch))
            best = self._best_of(codes, batch)
            self.run_path(best)
            self.outcome = self.path_choices.scores(best)

    def _sampled(self) -> tuple[int, ...]:
        return self.controller.sample().code

    def _best_of(self, codes: Sequence[tuple[int, ...]], batch: Batch) -> tuple[int, ...]:
        with measurement_mode(self.graph):
            rewards = [self._reward(code, self._evaluate(code, batch)[0], batch) for code in codes]
        return codes[max(range(len(codes)), key=rewards.__getitem__)]

    def _prepare_discretization(self, graph: Graph, scores: Sequence[Tensor] | None) -> None:
        """Take the controller's most likely architecture, where no scores are given."""
        most_likely = self.path_choices.scores(self._most_likely()) if scores is None else scores
        super()._prepare_discretization(graph, most_likely)

    def get_checkpointables(self) -> dict[str, Stateful]:
        """Return what every weight-sharing method saves, the controller and its baseline."""
        return {**super().get_checkpointables(), "controller": self.controller, "baseline": self.baseline}
