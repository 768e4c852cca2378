"""SamplingOptimizer: what the forwards of a supernet run, drawn once for all that a forward contains."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from naslib.optimizers.core.metaclasses import MetaOptimizer
from naslib.search_spaces.core.assignment import Assignment, assigned, current
from naslib.search_spaces.core.drawing import Sites, draw


class SamplingOptimizer(MetaOptimizer):
    """Draw a sample for every forward of a supernet, or run a given one.

    Args:
        **kwargs: See `MetaOptimizer`.

    Attributes:
        decision_names: Names of the decisions, by which an `Assignment` knows them.
        architectural_weights: One parameter per decision, in the same order.
        architecture_parameters: Those that are trained, and the parts' own.
        last_sample: What the last forward of a step ran.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.decision_names: list[str] = []
        self.architectural_weights = nn.ParameterList()
        self.architecture_parameters: list[nn.Parameter] = []
        self.last_sample: Assignment | None = None
        self._sites: list[Sites] = []

    def sample(self, training: bool = True) -> Assignment:
        """Draw what a forward runs: for every decision a row of weights or a `Draw`, the same in all copies of a cell.

        Every forward of a step has one, also a forward of `graph` outside of a step. It can be logged (`describe`),
        kept as plain values (`to_plain`), and run again (`assigned`).

        Args:
            training: Whether to draw as for training; False gives what stands for the architecture parameters as they
                are: the most likely operations, or the same mixture.
        """
        self._require_adapted()
        return draw(self._sites, training)

    @contextmanager
    def assigned(self, assignment: Assignment) -> Iterator[Assignment]:
        """Let the forwards inside, those of steps included, run an assignment; afterwards what held before holds again.

        Args:
            assignment: From `sample`, or made by hand from indices of candidates. Where architecture parameters are
                constants, as in the weight step, so are its weights.

        Raises:
            ArchitectureError: If it is not for this search space.
        """
        self._require_adapted()
        assignment.check(self._widths())
        with assigned(assignment):
            yield assignment

    def _widths(self) -> dict[str, int]:
        """Return the number of candidates by the name of a decision."""
        return {n: alpha.shape[-1] for n, alpha in zip(self.decision_names, self.architectural_weights, strict=True)}

    def standing(self) -> Assignment | None:
        """Return what forwards run for which nothing is assigned, None where each of them draws."""
        return self.graph.assignment

    @contextmanager
    def sampling(self) -> Iterator[Assignment]:
        """Let the forward inside run what is assigned; where nothing is, what stands or a new sample."""
        given = current()
        if given is None:
            given = self.standing() or self.sample(self.graph.training)
        elif self.architecture_parameters and not any(a.requires_grad for a in self.architecture_parameters):
            given = given.detached()
        self.last_sample = given.detached()
        with assigned(given):
            yield given
