"""What tests of black-box searches need: a space of every kind of decision, an evaluator of it, and killed searches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np
import torch

from naslib.evaluators import Evaluator
from naslib.history import Objective, Outcome, State, Trial
from naslib.search_spaces.core.decisions import Code, Decision
from naslib.search_spaces.core.graph import Graph, Scope
from naslib.search_spaces.core.schema import DecisionSpace


class EveryKind(Graph):
    """One decision of each kind, and two that depend on another; 432 architectures."""

    def __init__(self) -> None:
        super().__init__("every_kind")
        self.add_edges_from([(1, 2)])

    def state_decisions(self, scope: Scope = None) -> DecisionSpace:
        """Return the decisions."""
        return DecisionSpace(
            [
                Decision("cell/op", "op", ("conv", "pool", "skip")),
                Decision("cell/width", "value", (8, 16, 32), condition=("cell/op", 0)),
                Decision("cell/size", "value", (3, 5), condition=("cell/op", (0, 1))),
                Decision("cell/in", "inputs", ("a", "b", "c", "d"), n_chosen=2),
                Decision("cell/bits", "inputs", ("x", "y", "z"), n_chosen=None),
            ]
        )


SIZE = (3 * 2 + 2 + 1) * 6 * 8


class Scores(Evaluator):
    """A score with one maximum over `EveryKind`, and a cost that grows with it.

    Args:
        n_objectives: 1 for the score alone, 2 for the cost as well.
        fail: Numbers of trials that fail.
    """

    fidelity = 3

    def __init__(self, n_objectives: int = 1, fail: Sequence[int] = ()) -> None:
        both = (Objective("score", True, "%"), Objective("cost", False, "M"))
        self.objectives, self.fail = both[:n_objectives], frozenset(fail)

    def evaluate(self, trial: Trial, should_stop: Any = None) -> Outcome:
        """Return the values."""
        return Outcome(values_of(trial.code)[: len(self.objectives)], 1.0)


def values_of(code: Code) -> tuple[float, float]:
    """Return score and cost of an architecture of `EveryKind`."""
    op, width, size, first, second, *bits = code
    score = 50.0 + 10.0 * (op == 0) + 5.0 * max(width, 0) + 3.0 * (size == 1) + 4.0 * first + 2.0 * second
    score += 2.0 * sum(bits) - 3.0 * (bits[0] * bits[1])
    return score, 1.0 + 4.0 * max(width, 0) + 2.0 * (op == 0) + sum(bits) + 0.5 * (size == 1)


def adapted(kind: Any, seed: int = 0, evaluator: Evaluator | None = None, **kwargs: Any) -> Any:
    """Return an optimizer on `EveryKind`."""
    optimizer = kind(**kwargs)
    np.random.seed(seed)
    optimizer.adapt_search_space(EveryKind(), "none", evaluator=evaluator or Scores())
    return optimizer


def saved(optimizer: Any) -> Mapping[str, Any]:
    """Return the checkpoint as it comes back from a file, loaded without pickled code."""
    file = BytesIO()
    torch.save({name: part.state_dict() for name, part in optimizer.get_checkpointables().items()}, file)
    file.seek(0)
    found: Mapping[str, Any] = torch.load(file, weights_only=True)
    return found


def restore(optimizer: Any, checkpoint: Mapping[str, Any]) -> None:
    """Let an optimizer take over a checkpoint."""
    parts = optimizer.get_checkpointables()
    assert parts.keys() == checkpoint.keys()
    for name, part in parts.items():
        part.load_state_dict(checkpoint[name])


def drive(optimizer: Any, until: int, workers: int = 1) -> list[Code]:
    """Ask and tell until so many trials were asked for and all are told; return what was asked."""
    evaluator, asked = optimizer.evaluator, []
    while optimizer.record.asked < until or optimizer.record.pending:
        wanted = min(workers - len(optimizer.record.pending), until - optimizer.record.asked)
        if wanted > 0:
            asked += [trial.code for trial in optimizer.ask(wanted)]
        first = optimizer.pending()[0]
        if first.number in evaluator.fail:
            optimizer.tell(first, None, state=State.FAILED)
        else:
            optimizer.tell(first, evaluator.evaluate(first).values)
    return asked
