"""BOHB: Hyperband whose architectures are drawn from what did well ([Falkner2018bohb])."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from naslib.errors import ConfigError
from naslib.history import Trial
from naslib.optimizers.core.metaclasses import Stateful
from naslib.optimizers.discrete.fidelities.bracket import Bracket
from naslib.optimizers.discrete.fidelities.bracket_search import BracketSearch
from naslib.optimizers.discrete.fidelities.levels import hyperband_sizes
from naslib.optimizers.registry import OPTIMIZERS
from naslib.search_spaces.core.codec import Code
from naslib.search_spaces.core.schema import DecisionSpace

from .density import Density, number_of_values

# Densities below are taken for it, so that their ratio exists
_LEAST = 1e-32


class BudgetObservations:
    """Merits of architectures by fidelity, at the highest one that has enough for a model and above.

    Attributes:
        by_level: Per fidelity `(merit, number of the trial, genes)`.
        seen: What was drawn so far, in this order, where that matters.
    """

    def __init__(self) -> None:
        self.seen: dict[Code, None] = {}
        self.by_level: dict[int, list[tuple[float, int, Code]]] = {}

    def add(self, fidelity: int, merit: float, number: int, genes: Code, enough: int) -> None:
        """Add one, and forget the fidelities below once there are enough at its own; lower ones are not added then."""
        if any(level > fidelity and len(found) >= enough for level, found in self.by_level.items()):
            return
        found = self.by_level.setdefault(fidelity, [])
        found.append((merit, number, genes))
        if len(found) == enough:
            self.by_level = {level: entries for level, entries in self.by_level.items() if level >= fidelity}

    def best_first(self, enough: int) -> np.ndarray | None:
        """Return the genes at the highest fidelity with enough of them, `(n, d)`, the best first; None for no such."""
        levels = [level for level, found in self.by_level.items() if len(found) >= enough]
        if not levels:
            return None
        ranked = sorted(self.by_level[max(levels)], key=lambda entry: (-entry[0], entry[1]))
        return np.array([genes for _, _, genes in ranked])

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain values."""
        rows = {
            level: [[merit, number, list(genes)] for merit, number, genes in found]
            for level, found in self.by_level.items()
        }
        return {
            "levels": [[level, found] for level, found in rows.items()],
            "seen": [list(code) for code in self.seen],
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state."""
        self.seen = dict.fromkeys(tuple(code) for code in state_dict["seen"])
        self.by_level = {
            int(level): [(float(merit), int(number), tuple(genes)) for merit, number, genes in found]
            for level, found in state_dict["levels"]
        }


@OPTIMIZERS.register("bohb")
class BOHB(BracketSearch):
    """Hyperband that draws new architectures from a model ([Falkner2018bohb], algorithms 1 and 2).

    The model is of the highest fidelity with at least `min_points_in_model + 2` values. The density l of the best
    `top_n_percent` there (at least `min_points_in_model`) and g of the rest (likewise) are compared: of `num_samples`
    draws from l that with the largest l / g is taken. A share `random_fraction` of architectures is random.

    Args:
        num_samples: Draws that are compared.
        random_fraction: Share of architectures that are drawn from the space.
        bandwidth_factor: By what the bandwidths of l are multiplied for the draws, for decisions of kind `value`
            (sizes, in their order); as in the authors' program those of operations and inputs are not.
        min_bandwidth: Least bandwidth, so that a value that all of the best have is left now and then.
        top_n_percent: Percentage of architectures that are the best.
        min_points_in_model: Least number of architectures in each density; None: one more than there are genes.
        repeats: Whether an architecture that was asked for may be drawn from the model again. In the paper, where most
            variables are continuous, it hardly is; on a space of categories it soon is nothing else.
        **kwargs: Those of `MultiFidelityOptimizer`.

    Attributes:
        observations: What was told, by fidelity.

    Raises:
        ConfigError: For an unknown keyword, levels that are none, or a figure out of its range.
    """

    SCHEDULABLE = dict.fromkeys(
        (
            *("num_samples", "random_fraction", "bandwidth_factor"),
            *("min_bandwidth", "top_n_percent", "min_points_in_model"),
        ),
        "",
    )

    def __init__(
        self,
        *,
        num_samples: int = 64,
        random_fraction: float = 1 / 3,
        bandwidth_factor: float = 3.0,
        min_bandwidth: float = 1e-3,
        top_n_percent: int = 15,
        min_points_in_model: int | None = None,
        repeats: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        problems = []
        if num_samples < 1:
            problems.append(f"search.num_samples must be at least 1, not {num_samples}")
        if not 0 <= random_fraction <= 1:
            problems.append(f"search.random_fraction must be in 0..1, not {random_fraction}")
        if not bandwidth_factor > 0:
            problems.append(f"search.bandwidth_factor must be above 0, not {bandwidth_factor}")
        if not 0 < min_bandwidth <= 1:
            problems.append(f"search.min_bandwidth must be above 0 and at most 1, not {min_bandwidth}")
        if not 0 < top_n_percent < 100:
            problems.append(f"search.top_n_percent must be between 0 and 100, not {top_n_percent}")
        if min_points_in_model is not None and min_points_in_model < 1:
            problems.append(f"search.min_points_in_model must be at least 1, not {min_points_in_model}")
        if problems:
            raise ConfigError(problems)
        self.num_samples, self.random_fraction = num_samples, random_fraction
        self.bandwidth_factor, self.min_bandwidth = bandwidth_factor, min_bandwidth
        self.top_n_percent, self.min_points_in_model = top_n_percent, min_points_in_model
        self.repeats = repeats
        self.observations = BudgetObservations()
        self._space: DecisionSpace | None = None
        self._densities: tuple[Density, Density] | None = None

    def plan(self, number: int) -> Bracket:
        """Return bracket number `number`, from 0: those of Hyperband."""
        sizes = hyperband_sizes(len(self.levels), self.eta)
        place = number % len(sizes)
        return Bracket(self.levels[place:], sizes[place])

    @property
    def decisions(self) -> DecisionSpace:
        """The decisions of the space.

        Raises:
            UnsupportedBySpaceError: If its codec does not state them.
        """
        if self._space is None:
            self._space = self.codec._stated("the densities of bohb")
        return self._space

    @property
    def fewest(self) -> int:
        """Least number of architectures in a density."""
        return self.decisions.n_genes + 1 if self.min_points_in_model is None else self.min_points_in_model

    def sample(self) -> Code:
        """Return a random architecture, or the best of those drawn from the model."""
        densities = self.densities()
        if densities is None or self.rng.random() < self.random_fraction:
            return self._noted(self.codec.random(self.rng))
        good, bad = densities
        rates, rng = self._rates(good), self.rng
        drawn = [
            self.decisions.perturb(good.genes[int(rng.random() * len(good.genes))].tolist(), rates, rng)
            for _ in range(self.num_samples)
        ]
        if not self.repeats:
            drawn = [genes for genes in drawn if self.codec.from_decisions(genes) not in self.observations.seen]
        if not drawn:
            return self._noted(self.codec.random(rng))
        ratio = np.maximum(good.of(drawn), _LEAST) / np.maximum(bad.of(drawn), _LEAST)
        return self._noted(self.codec.from_decisions(drawn[int(ratio.argmax())]))

    def _noted(self, code: Code) -> Code:
        if not self.repeats:
            self.observations.seen[code] = None
        return code

    def densities(self) -> tuple[Density, Density] | None:
        """Return the densities of the best and of the others, None where too little was told."""
        if self._densities is None:
            fewest = self.fewest
            genes = self.observations.best_first(fewest + 2)
            if genes is None:
                return None
            n_good = max(fewest, self.top_n_percent * len(genes) // 100)
            n_bad = max(fewest, len(genes) - n_good)
            values = number_of_values(self.decisions)
            good, bad = genes[:n_good], genes[-n_bad:]
            self._densities = Density(good, values, self.min_bandwidth), Density(bad, values, self.min_bandwidth)
        return self._densities

    def _rates(self, good: Density) -> list[float]:
        """Return with which probability a gene is drawn anew: such that another value has its bandwidth."""
        rates = good.bandwidths * good.values / np.maximum(good.values - 1, 1)
        for decision in self.decisions.decisions:
            if decision.kind == "value":
                rates[self.decisions.genes(decision.name)] *= self.bandwidth_factor
        found: list[float] = np.minimum(rates, 1.0).tolist()
        return found

    def adapted(self) -> None:
        """Take note of the decisions of the space."""
        super().adapted()
        self._space, self._densities = None, None
        _ = self.decisions

    def get_checkpointables(self) -> dict[str, Stateful]:
        """Return everything stateful by name; the observations beside what a search in brackets has."""
        return {**super().get_checkpointables(), "observations": _Fresh(self)}

    def _take(self, trial: Trial, merit: float) -> None:
        super()._take(trial, merit)
        genes = self.codec.to_decisions(trial.code)
        self.observations.add(trial.fidelity, merit, trial.number, genes, self.fewest + 2)
        self._densities = None

    def _reset(self) -> None:
        super()._reset()
        self.observations, self._densities = BudgetObservations(), None


class _Fresh:
    """The observations in checkpoints; loaded, they make the model anew."""

    def __init__(self, search: BOHB) -> None:
        self._search = search

    def state_dict(self) -> dict[str, Any]:
        return self._search.observations.state_dict()

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        self._search.observations.load_state_dict(state_dict)
        self._search._densities = None
