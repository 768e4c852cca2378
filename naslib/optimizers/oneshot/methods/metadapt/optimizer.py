"""MetAdaptOptimizer: a mixture whose weights adapt to each task of a few examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from naslib.errors import ConfigError
from naslib.optimizers.core.metaclasses import Stateful
from naslib.optimizers.oneshot.parts._resize import common_shape
from naslib.optimizers.oneshot.supernet.abilities import Ability
from naslib.optimizers.oneshot.supernet.base import OneShotOptimizer
from naslib.optimizers.oneshot.supernet.relaxed_op import RelaxedMixedOp
from naslib.optimizers.registry import OPTIMIZERS
from naslib.search_spaces.core.graph import Graph
from naslib.tasks import FewShot, Task

from .controller import Adaptation, AdaptController, Switch


@OPTIMIZERS.register("metadapt")
class MetAdaptOptimizer(OneShotOptimizer):
    """Meta-train a mixture of operations and controllers that adapt it to a task ([Doveh2019metadapt]).

    A batch is an episode (`naslib.tasks.FewShot`). The step is that of first-order DARTS: on a validation episode alpha
    gets its gradient, on a training episode the weights. From the share `adapt_from` of the epochs on every edge has a
    controller (`AdaptController`) that sees the support set of the episode where it enters the edge, and the operations
    are mixed by `softmax(alpha + delta)`; the controllers are trained with alpha. What is found is this network: the
    Trainer tests it on the classes of the test part as it is, each episode with the deltas that its own support set
    leads to. `evaluation.mode: retrain` trains the discrete block in its place, which adapts to nothing.

    Args:
        adapt_from: Share of the epochs, from 0 to 1, before the controllers; at 1 there are none.
        controller_hidden: Units of a controller.
        controller_learning_rate: Of the controllers, which have no weight decay.
        **kwargs: See `OneShotOptimizer`.

    Attributes:
        controllers: One per edge under search of which the number of channels is known.

    Raises:
        ConfigError: For a value out of its range.
    """

    # What the search ends with is tested itself; see `Trainer.evaluate`
    is_outcome = True
    SCHEDULABLE = {"controller_learning_rate": ""}
    HELD_BY = {"controller_learning_rate": ("arch_optimizer", "lr")}
    IN_GROUPS = {
        **dict.fromkeys(("arch_learning_rate", "arch_weight_decay"), slice(1)),
        "controller_learning_rate": slice(1, None),
    }
    SCHEDULED = ("adapts",)
    fixed_structure = "its controllers have an output for every operation of an edge"

    def __init__(
        self,
        *,
        adapt_from: float = 0.5,
        controller_hidden: int = 32,
        controller_learning_rate: float = 0.001,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        problems = []
        if not 0 <= adapt_from <= 1:
            problems.append(f"adapt_from is a share of the epochs, from 0 to 1, not {adapt_from}")
        if controller_hidden < 1 or not controller_learning_rate > 0:
            problems.append(
                "controller_hidden and controller_learning_rate must be positive, got "
                f"{controller_hidden}, {controller_learning_rate}"
            )
        if problems:
            raise ConfigError(problems)
        self.adapt_from, self.controller_hidden = adapt_from, controller_hidden
        self.controller_learning_rate = controller_learning_rate
        self.controllers = nn.ModuleList()
        self._switch = Switch()
        self._alphas: list[nn.Parameter] = []

    def removes(self) -> Mapping[Ability, str]:
        """Return what there is not: a Hessian of alpha alone."""
        if self.adapt_from == 1:
            return super().removes()
        why = "its controllers join alpha in the middle of the search, and the Hessian would be one of other parameters"
        return {**super().removes(), Ability.CURVATURE: why}

    def unscheduled(self, name: str) -> str:
        """Return why a keyword cannot follow a schedule; see the parent."""
        if name == "controller_learning_rate" and self.adapt_from == 1:
            return "with adapt_from: 1 there are no controllers"
        return super().unscheduled(name)

    @property
    def adapts(self) -> bool:
        """Whether the controllers change the weights now."""
        return self._switch.on

    @adapts.setter
    def adapts(self, on: bool) -> None:
        self._switch.on = on
        self._choose_parameters()

    def check_task(self, task: Task) -> None:
        """Raise if a task has no support sets, or no edge can have a controller.

        Raises:
            ConfigError: Saying what else there is.
        """
        if not isinstance(task, FewShot):
            raise ConfigError(
                f"metadapt adapts to the examples of an episode, and the task {type(task).__name__} has none: take "
                "dataset: few_shot (dataset_args.of names the data), or another method, such as darts"
            )
        if self.checkpoint_cells:
            raise ConfigError(
                "metadapt: with checkpoint_cells a cell is computed again in the backward, where nobody knows the "
                "support set: leave it out"
            )
        super().check_task(task)
        if self.is_adapted and not len(self.controllers):
            raise ConfigError(
                f"metadapt: no edge of {type(self.graph).__name__} has operations that say how many channels they take"
            )

    def _collect_decisions(self, graph: Graph) -> None:
        super()._collect_decisions(graph)
        controllers = []
        for edge in graph._edges_in_scope(self.scope, private_edge_data=True):
            op = edge.data.op
            if not isinstance(op, RelaxedMixedOp):
                continue
            channels = common_shape(op.primitives).C_in
            if channels is not None:
                for surrounding in op.surroundings:  # which the controller sees the input of
                    channels = surrounding.channels(channels)
                controller = AdaptController(channels, len(op.primitives), self.controller_hidden)
                op.adaptation = Adaptation(controller, self._switch)
                controllers.append(controller)
        self.controllers = nn.ModuleList(controllers)
        self._alphas = list(self.architecture_parameters)
        self._choose_parameters()

    def _choose_parameters(self) -> None:
        """Let the architecture step train the controllers once they are on."""
        own = list(self.controllers.parameters()) if self.adapts else []
        self.architecture_parameters = [*self._alphas, *own]

    def _build_optimizers(self) -> None:
        self.adapts = False
        super()._build_optimizers()
        own = list(self.controllers.parameters())
        if self.arch_optimizer is not None and own:
            self.arch_optimizer.add_param_group(
                {"params": own, "lr": self.controller_learning_rate, "weight_decay": 0.0}
            )

    def before_training(self) -> None:
        """Move everything to `device`."""
        self.controllers.to(self.device)
        super().before_training()

    def new_epoch(self, epoch: int) -> None:
        """Begin an epoch; the controllers join in one of them."""
        super().new_epoch(epoch)
        self.adapts = self.adapt_from < 1 and epoch >= round(self.adapt_from * self.epochs)

    def get_checkpointables(self) -> dict[str, Stateful]:
        """Return everything stateful by name; the controllers beside what every method has."""
        return {**super().get_checkpointables(), "controllers": self.controllers}
