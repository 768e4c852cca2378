"""TE-NAS: prune a supernet that is never trained, by its tangent kernel and its linear regions."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from random import Random
from typing import Any

import torch
from torch import Tensor

from naslib.errors import ConfigError, NASLibError
from naslib.optimizers.core.metaclasses import Batch, Stateful, StepResult
from naslib.optimizers.core.random_state import RandomState
from naslib.optimizers.oneshot.paths.selection import check_counts
from naslib.optimizers.oneshot.supernet.schedulable import OF_TRAINING
from naslib.optimizers.oneshot.supernet.stated import stated
from naslib.optimizers.registry import OPTIMIZERS
from naslib.search_spaces.core.arguments import constructor_arguments
from naslib.search_spaces.core.assignment import Assignment, assigned
from naslib.search_spaces.core.batch_norm import frozen_batch_norm_statistics
from naslib.search_spaces.core.graph import Graph
from naslib.utils.log import get_logger
from naslib.utils.rows import whole_batches

from .measures import RECTIFIERS, Kernels, count_regions, crops, draw_weights, fall_of_kappa, tangent_kernels
from .pruning import Inputs, Pruning
from .supernet import PRUNED, PrunedSupernet

logger = get_logger(__name__)

# Sizes of the network whose regions are counted, where the constructor of a space has them
_THIN = {"in_channels": 1, "cells_per_stage": 1}
# Its channels: two where halves of one are needed
_NARROW = (1, 2)


class ThinSupernet(PrunedSupernet):
    """The narrow network whose linear regions are counted."""


@OPTIMIZERS.register("te_nas")
class TENASOptimizer(PrunedSupernet):
    """Training-free search by pruning ([Chen2021tenas], algorithm 1, and the authors' code).

    The supernet runs the mean of the operations that are left on an edge. In every step the removal of one of them is
    measured: by which share the condition number of the neural tangent kernel falls on the step's training batch (all
    weights drawn anew, variance 2 / fan_out), and by which share the number of linear regions falls that small crops of
    the images are in, in a network of one channel (variance 2 / fan_in); both are means over `repeats` draws. When all
    have been measured, every edge loses the operation that has the lowest sum of the two ranks: largest fall of the
    condition number, smallest fall of the regions. `Zero` goes before the first round. Then nodes that keep some of
    their edges lose the others likewise. What the epochs of the search have no steps for is done after the last one;
    where all is pruned earlier, the search ends.

    Args:
        prune_number: Operations that an edge loses in a round (the authors: 1 on NAS-Bench-201, 3 on the DARTS space).
        repeats: Draws of weights for each measure.
        precision: Decimals of a share, and significant digits by which they are ranked.
        region_images: Crops whose linear regions are counted.
        region_size: Height and width of a crop.
        **kwargs: See `OneShotOptimizer`; nothing is trained, so that learning rates have no effect.

    Attributes:
        pruning: What is left (after adapting).
        thin: The network whose regions are counted; None where the space has no narrower one, which is said in the log:
            then the supernet itself, and whole images.
        rng: Seeds the draws; its own, seeded from torch's global generator when the space is adapted.

    Raises:
        ConfigError: For numbers that are impossible.
    """

    SCHEDULABLE = {
        **dict.fromkeys(OF_TRAINING, "nothing is trained"),
        **dict.fromkeys(("prune_number", "repeats", "region_images"), ""),
    }
    HELD_BY = {"prune_number": ("pruning", "number")}

    def __init__(
        self,
        prune_number: int = 1,
        repeats: int = 3,
        precision: int = 3,
        region_images: int = 3000,
        region_size: int = 3,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_counts(prune_number=prune_number, repeats=repeats, precision=precision, region_size=region_size)
        check_counts(2, region_images=region_images)
        self.prune_number, self.repeats, self.precision = prune_number, repeats, precision
        self.region_images, self.region_size = region_images, region_size
        self.rng = Random(0)
        self.thin: ThinSupernet | None = None
        self.pruning: Pruning

    # the supernet

    def adapted(self) -> None:
        """Begin with all operations but `Zero`.

        Raises:
            ConfigError: If the network has no rectifiers, by which linear regions are told apart.
        """
        super().adapted()
        if not any(isinstance(module, RECTIFIERS) for module in self.graph.modules()):
            raise ConfigError("te_nas counts linear regions by rectifiers (nn.ReLU), and the network has none")
        self.rng = Random(int(torch.randint(2**31, ())))
        active = [entry.computing or tuple(range(entry.n_ops)) for entry in self.entries]
        edges = stated(self.graph, self.scope).edges
        nodes: dict[str, tuple[list[int], int]] = {}
        for index, edge in enumerate(edges):
            if edge.inputs is not None and edge.inputs.n_chosen is not None:
                nodes.setdefault(edge.inputs.name, ([], edge.inputs.n_chosen))[0].append(index)
        inputs = [Inputs(tuple(decisions), kept) for decisions, kept in nodes.values()]
        self.pruning = Pruning(active, inputs, self.prune_number, self.precision, self._show)
        self.thin = self._thin_supernet()
        self._show()

    def _thin_supernet(self) -> ThinSupernet | None:
        space = self.graph if self.search_space is None else self.search_space
        known = constructor_arguments(space)
        reason = "its constructor has no channels and in_channels"
        for channels in _NARROW if {"channels", "in_channels"} <= known.keys() else ():
            sizes = {name: size for name, size in {**_THIN, "channels": channels}.items() if name in known}
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", UserWarning)  # torch's, of weights without entries
                    return self._thin_of(type(space)(**{**known, **sizes}))
            except (NASLibError, RuntimeError, ValueError) as error:
                reason = str(error)
        logger.warning("te_nas: linear regions are counted in the supernet itself, on whole images (%s)", reason)
        return None

    def _thin_of(self, space: Graph) -> ThinSupernet:
        """Return the supernet of a narrow space, which takes crops.

        Raises:
            ValueError: If a weight has no entries.
        """
        found = ThinSupernet(task=self.task)
        found.adapt_search_space(space, scope=self.scope)
        if any(not weight.numel() for weight in found.weights):
            raise ValueError(f"with {getattr(space, 'channels', 1)} channels a weight has no entries")
        image = torch.zeros(2, 1, self.region_size, self.region_size)
        with torch.no_grad(), assigned(found.keeping(self.pruning.active)):
            found.graph(image)
        return found

    def _show(self) -> None:
        """Let forwards run what is left, and let the parameters say it."""
        self.graph.assignment = self.keeping(self.pruning.active)
        with torch.no_grad():
            for alpha, ops in zip(self.architectural_weights, self.pruning.active, strict=True):
                alpha.fill_(PRUNED)
                alpha[ops] = 0.0

    def before_training(self) -> None:
        """Move the networks to `device`."""
        super().before_training()
        if self.thin is not None:
            self.thin.device = self.device
            self.thin.before_training()

    def sample(self, training: bool = True) -> Assignment:
        """Return what forwards run: the mean of what is left.

        Args:
            training: Without effect: nothing is drawn.
        """
        self._require_adapted()
        return self.keeping(self.pruning.active)

    # the search

    @property
    def is_finished(self) -> bool:
        """Whether all is pruned."""
        return super().is_finished or (self.is_adapted and self.pruning.is_done)

    def step(self, data_train: Batch, data_val: Batch) -> StepResult:
        """Measure the next removal on the training batch; the losses are those of the supernet as it is drawn now."""
        self._require_adapted()
        self.outcome = None
        self.advance(data_train)
        self.op_optimizer.step()  # of no gradients: schedules want a step before theirs
        logits_val, val_loss = self.validation_forward(data_val)
        logits_train, train_loss = self.validation_forward(data_train)
        return logits_train, logits_val, train_loss, val_loss

    def select_architecture(self, train_batches: Iterable[Batch], valid_batches: Iterable[Batch]) -> None:
        """Prune what is left to be pruned, on training batches.

        Raises:
            ConfigError: If there are none.
        """
        super().select_architecture(train_batches, valid_batches)
        while not self.pruning.is_done:
            before = self.rng.getstate()
            for batch in train_batches:
                self.advance(batch)
                if self.pruning.is_done:
                    break
            if self.rng.getstate() == before:
                raise ConfigError("te_nas measures on training batches of two inputs or more, and there are none")

    def advance(self, batch: Batch) -> None:
        """Measure the next removal, unless all is pruned, or the batch is a single input: its kernel is one number.

        Args:
            batch: Inputs and targets.
        """
        found = self.pruning.next()
        if found is None or len(batch[0]) < 2:
            return
        rest = self.pruning.without(*found)
        with whole_batches():  # kernels and regions are looked for inside of the network
            falls = [
                (self._fall_of_kappa(rest, batch), self._fall_of_regions(rest, batch)) for _ in range(self.repeats)
            ]
        kappa, regions = (sum(fall) / self.repeats for fall in zip(*falls, strict=True))
        self.pruning.tell(kappa, regions)

    def _fall_of_kappa(self, rest: Sequence[Sequence[int]], batch: Batch) -> float:
        """Return by which share the condition number falls when only the rest runs."""
        draw_weights(self.graph, "fan_out", self.rng.randrange(2**31))
        before, after = (self.kernels(active, batch) for active in (self.pruning.active, rest))
        return round(fall_of_kappa(before, after), self.precision)

    def _fall_of_regions(self, rest: Sequence[Sequence[int]], batch: Batch) -> float:
        """Return by which share the number of regions falls when only the rest runs."""
        network: PrunedSupernet = self if self.thin is None else self.thin
        draw_weights(network.graph, "fan_in", self.rng.randrange(2**31))
        images = batch[0]
        if self.thin is not None:
            images = crops(images, self.region_size, 1, self.region_images, self.rng)
        before, after = (self.regions(network, active, (images, *batch[1:])) for active in (self.pruning.active, rest))
        return round((before - after) / before, self.precision)

    def kernels(self, active: Sequence[Sequence[int]], batch: Batch) -> Kernels:
        """Return the tangent kernels of the supernet on a batch when some operations run."""
        with torch.enable_grad(), frozen_batch_norm_statistics(self._norms), assigned(self.keeping(active)):
            outputs = self.task.forward(self.graph, batch)
            first: Tensor = outputs[0] if isinstance(outputs, tuple | list) else outputs
            return tangent_kernels(first, self.graph.named_parameters())

    def regions(self, network: PrunedSupernet, active: Sequence[Sequence[int]], batch: Batch) -> int:
        """Return the number of linear regions of a network when some operations run."""
        graph = network.graph
        was = graph.training
        graph.train()
        with frozen_batch_norm_statistics(network._norms), assigned(network.keeping(active)):
            found = count_regions(graph, lambda: self.task.forward(graph, batch))
        graph.train(was)
        return found

    def get_checkpointables(self) -> dict[str, Stateful]:
        """Return what the parent returns, what is left, and the generator of the draws."""
        own: Mapping[str, Stateful] = {"pruning": self.pruning, "draws": RandomState(self.rng)}
        return {**super().get_checkpointables(), **own}
