"""Distributions: the decisions of a space as parameters of Optuna, and back."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from math import comb
from typing import Any

from naslib.optimizers.discrete.steps import Steps
from naslib.search_spaces.core.decisions import MASKED, Code, Decision

# Sets of inputs beyond this number are no categories: each input then has a score, and those with the largest are taken
_MOST_SETS = 200


class Distributions:
    """Suggest architectures to a study of Optuna, decision by decision, as its interface wants it.

    An operation is a category; a value is one too, or an integer where the candidates are numbers in ascending or
    descending order. Inputs are one category for each set, or a score for each; any subset is a yes or no for each.
    What a condition excludes is not suggested.

    Args:
        steps: Of the decision space: in which order decisions are made, and which are.
        optuna: The library.
    """

    def __init__(self, steps: Steps, optuna: Any) -> None:
        self.steps, self.space = steps, steps.space
        self._kinds = optuna.distributions
        self._own: dict[str, list[tuple[str, Any]]] = {}
        self._sets: dict[str, list[tuple[int, ...]]] = {}
        for decision in self.space.decisions:
            self._own[decision.name] = self._parameters(decision)

    def suggest(self, trial: Any) -> Code:
        """Return an architecture whose decisions a trial of Optuna suggests; not yet canonical."""
        genes = [MASKED] * self.space.n_genes
        for decision in self.steps.in_order():
            if self.steps.is_made(decision, genes):
                drawn = [self._suggested(trial, name, kind) for name, kind in self._own[decision.name]]
                genes[self.space.genes(decision.name)] = self._genes(decision, drawn)
        return tuple(genes)

    def parameters_of(self, code: Code) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the parameters of a canonical code, and their distributions."""
        values: dict[str, Any] = {}
        kinds: dict[str, Any] = {}
        for decision in self.space.decisions:
            own = code[self.space.genes(decision.name)]
            if own[0] == MASKED:
                continue
            for (name, kind), value in zip(self._own[decision.name], self._values(decision, own), strict=True):
                values[name], kinds[name] = value, kind
        return values, kinds

    def _parameters(self, decision: Decision) -> list[tuple[str, Any]]:
        """Return names and distributions of what stands for a decision."""
        width, name, kinds = len(decision.candidates), decision.name, self._kinds
        if decision.n_chosen is None:
            return [(f"{name}[{index}]", kinds.CategoricalDistribution((0, 1))) for index in range(width)]
        if decision.kind == "inputs" and comb(width, decision.n_chosen) > _MOST_SETS:
            return [(f"{name}[{index}]", kinds.FloatDistribution(0.0, 1.0)) for index in range(width)]
        if decision.kind == "inputs":
            self._sets[name] = list(itertools.combinations(range(width), decision.n_chosen))
            return [(name, kinds.CategoricalDistribution(tuple(range(len(self._sets[name])))))]
        if decision.kind == "value" and width > 1 and _is_ordered(decision.candidates):
            return [(name, kinds.IntDistribution(0, width - 1))]
        return [(name, kinds.CategoricalDistribution(tuple(range(width))))]

    def _suggested(self, trial: Any, name: str, kind: Any) -> Any:
        if isinstance(kind, self._kinds.CategoricalDistribution):
            return trial.suggest_categorical(name, kind.choices)
        if isinstance(kind, self._kinds.IntDistribution):
            return trial.suggest_int(name, kind.low, kind.high)
        return trial.suggest_float(name, kind.low, kind.high)

    def _genes(self, decision: Decision, drawn: Sequence[Any]) -> Sequence[int]:
        if decision.name in self._sets:
            return self._sets[decision.name][drawn[0]]
        if decision.n_chosen is None or decision.kind != "inputs":
            return drawn
        order = sorted(range(len(drawn)), key=drawn.__getitem__, reverse=True)
        return sorted(order[: decision.n_chosen])

    def _values(self, decision: Decision, own: Sequence[int]) -> Sequence[Any]:
        if decision.name in self._sets:
            return [self._sets[decision.name].index(tuple(own))]
        if decision.n_chosen is None or decision.kind != "inputs":
            return own
        return [float(index in own) for index in range(len(decision.candidates))]


def _is_ordered(candidates: Sequence[Any]) -> bool:
    if not all(isinstance(candidate, int | float) and not isinstance(candidate, bool) for candidate in candidates):
        return False
    return list(candidates) in (sorted(candidates), sorted(candidates, reverse=True))
