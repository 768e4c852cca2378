"""MODNAS: one search for many devices, by a hypernetwork that is conditioned on a preference and a device."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from naslib.errors import ArchitectureError, ConfigError, UnsupportedBySpaceError, did_you_mean
from naslib.optimizers.core.metaclasses import Stateful
from naslib.optimizers.discrete.model_based.candidates import Candidates, Parent
from naslib.optimizers.discrete.model_based.rounds import check_counts
from naslib.optimizers.discrete.steps import Steps
from naslib.optimizers.discrete.variation import known
from naslib.optimizers.registry import OPTIMIZERS
from naslib.search_spaces.core.codec import Code
from naslib.search_spaces.core.query_metrics import Metric

from .base import SearchOfDevices
from .fronts import front_of_two
from .gains import most_gained
from .hypernetwork import PreferenceHypernetwork
from .min_norm import min_norm_weights
from .relaxation import ESTIMATORS, Relaxation
from .surrogate import RelaxedEnsemble

SCALARISATIONS = ("linear", "chebyshev")
# Preferences at which architectures are proposed: so many between 0 and 1, both included
_GRID = 21
# Of the distributions that candidates are drawn from, in turn
_TEMPERATURES = (1.0, 2.0, 4.0)
# Scores below this quantile are not told apart: networks that hardly learn are on no front worth having
_CUT = 0.25
# Preferences that the summary shows
_SHOWN = 5
# Standardised merits that hardly any exceeds: where the distances of Chebyshev begin
_BEST = 4.0


@OPTIMIZERS.register("modnas")
class MODNAS(SearchOfDevices):
    """Search for the fronts of score against cost on many devices at once ([Sukthanker2025modnas]).

    The first objective is the score, every other one the cost of a device. A hypernetwork turns a preference (the
    weight of the score, the rest being that of the cost) and what is known of a device into a distribution over
    architectures. What is known of a device are its costs of the first `n_references` architectures of the search, so
    that a device that was no part of it can be described to it later.

    After `num_init` random architectures, rounds of `k`: an ensemble of networks that predict score and costs from
    one-hot architectures is fitted to all that was told. Then the hypernetwork takes `hypernetwork_steps`. In each,
    preferences are drawn from a Dirichlet distribution, an architecture for each preference and device from the
    hypernetwork, and the loss of a device is what its architectures are predicted to lack, weighed by the preferences.
    The gradients of the devices are joined to the shortest convex combination ([Desideri2012mgda]), along which no
    device loses. At last the hypernetwork proposes: its most likely architectures for preferences from 0 to 1 on each
    device, up to `neighbours` of each of these, and `num_candidates` draws. Of those that were not looked up yet, those
    are that are expected to enlarge the fronts most, each front's gain in shares of its area. Scores below the lower
    quartile of what was told are not told apart. (The paper has a supernet's validation loss and a latency predictor
    in place of the ensemble.)

    With one objective there is one device without costs.

    Args:
        devices: The objectives that are the costs of devices which the hypernetwork learns; all after the first if
            None. Others are measured and have fronts, but are never conditioned on: what it says of them is zero-shot.
        num_init: Random architectures to begin with.
        k: Architectures in a round.
        num_candidates: Draws from the hypernetwork in a round.
        neighbours: Of each architecture that is most likely for some preference and device, looked at in a round; 0
            for none.
        n_references: How many architectures describe a device.
        bank_size: Tables in the hypernetwork.
        preference_intervals: Rows of a table, less one.
        preference_concentration: Of the Dirichlet distribution of preferences; 1 is uniform.
        preferences: Drawn in a step.
        hypernetwork_steps: In a round.
        hypernetwork_learning_rate: Of Adam.
        estimator: How gradients pass a drawn architecture: `"reinmax"` or `"straight_through"`.
        scalarisation: What the preferences weigh: `"linear"`, both deficits' sum as in the paper, or `"chebyshev"`, the
            larger one, which reaches the parts of a front that are not convex.
        ensemble_size: Networks in the ensemble.
        ensemble_steps: Of their training, in a round.
        max_labels: To how many architectures they are fitted at most: the fronts, and those told last.
        fidelity: Epochs of training that the search looks at, -1 for the longest.
        metric: An accuracy (`Metric` or its name), which is maximised.
        objectives: What is measured instead; see `DiscreteOptimizer`.
        evaluator: What gives the trials their values; a benchmark if None.
        **kwargs: Other keys of the shared search schema; ignored.

    Attributes:
        hypernetwork: The hypernetwork (after adapting).

    Raises:
        ConfigError: For an unknown keyword, or a value out of its range.
    """

    SCHEDULABLE = dict.fromkeys(
        (
            "k",
            "num_candidates",
            "neighbours",
            "max_labels",
            "preferences",
            "preference_concentration",
            "hypernetwork_steps",
            "hypernetwork_learning_rate",
        ),
        "",
    )
    HELD_BY = {"hypernetwork_learning_rate": ("_adam", "lr")}

    def __init__(
        self,
        *,
        devices: Sequence[str] | None = None,
        num_init: int = 20,
        k: int = 10,
        num_candidates: int = 1000,
        neighbours: int = 24,
        n_references: int = 10,
        bank_size: int = 16,
        preference_intervals: int = 20,
        preference_concentration: float = 1.0,
        preferences: int = 8,
        hypernetwork_steps: int = 60,
        hypernetwork_learning_rate: float = 0.05,
        estimator: str = "reinmax",
        scalarisation: str = "chebyshev",
        ensemble_size: int = 8,
        ensemble_steps: int = 200,
        max_labels: int = 1000,
        fidelity: int = 200,
        metric: Metric | str = Metric.VAL_ACCURACY,
        objectives: Sequence[Metric | str] | None = None,
        evaluator: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            devices=devices,
            n_references=n_references,
            num_init=num_init,
            max_labels=max_labels,
            fidelity=fidelity,
            metric=metric,
            objectives=objectives,
            evaluator=evaluator,
            **kwargs,
        )
        check_counts(
            k=k,
            num_candidates=num_candidates,
            n_references=n_references,
            bank_size=bank_size,
            preference_intervals=preference_intervals,
            preferences=preferences,
            hypernetwork_steps=hypernetwork_steps,
            ensemble_size=ensemble_size,
            ensemble_steps=ensemble_steps,
        )
        problems = [
            f"{key} must be one of {', '.join(names)}, not {value!r}{did_you_mean(str(value), names)}"
            for key, value, names in (
                ("estimator", estimator, ESTIMATORS),
                ("scalarisation", scalarisation, SCALARISATIONS),
            )
            if value not in names
        ]
        numbers = {
            "preference_concentration": preference_concentration,
            "hypernetwork_learning_rate": hypernetwork_learning_rate,
        }
        if neighbours < 0:
            problems.append(f"neighbours must not be negative, got {neighbours}")
        problems += [f"{key} must be positive, not {value}" for key, value in numbers.items() if not value > 0]
        if problems:
            raise ConfigError(problems)
        self.k, self.num_candidates, self.neighbours = k, num_candidates, neighbours
        self.bank_size, self.preference_intervals = bank_size, preference_intervals
        self.preference_concentration, self.preferences = preference_concentration, preferences
        self.hypernetwork_steps, self.hypernetwork_learning_rate = hypernetwork_steps, hypernetwork_learning_rate
        self.estimator, self.scalarisation = estimator, scalarisation
        self.ensemble_size, self.ensemble_steps = ensemble_size, ensemble_steps
        self.hypernetwork: PreferenceHypernetwork
        self._relaxation: Relaxation
        self._adam: torch.optim.Adam

    # the search

    def next_round(self) -> list[Parent]:
        """Fit the ensemble, train the hypernetwork, and return those of its architectures that promise most."""
        codes, merits, _ = self.told()
        costs = self.learned_costs()
        generator = torch.Generator().manual_seed(self.rng.getrandbits(63))
        ensemble = RelaxedEnsemble(self.ensemble_size, steps=self.ensemble_steps, generator=generator)
        rows = self._fitted_rows(merits, costs)
        columns = merits[:, [0, *costs]]
        columns[:, 0] = np.maximum(columns[:, 0], np.quantile(columns[:, 0], _CUT))
        ensemble.fit(self._vectors([codes[row] for row in rows]), columns[rows])
        features = torch.as_tensor(self.features(costs), dtype=torch.float32)
        for _ in range(self.hypernetwork_steps):
            self._train(ensemble, features, generator)
        found = self._candidates(features, generator)
        if not found:
            return []
        predicted = ensemble.merits(self._vectors(found.codes))
        chosen = most_gained(columns, predicted, self.k)
        return found.first(np.array(chosen), len(chosen))

    def _train(self, ensemble: RelaxedEnsemble, features: Tensor, generator: torch.Generator) -> None:
        """Take a step of the hypernetwork along which, to first order, no device loses."""
        drawn = self._preferences(generator)
        logits = self.hypernetwork(drawn, features)
        leaf = logits.detach().requires_grad_()
        predicted = ensemble(self._relaxation.draw(leaf, generator)).mean(0)  # (d, p, 1 + devices)
        # the loss of a device depends on its own logits alone, so that one pass gives the gradients of all
        (slopes,) = torch.autograd.grad(self._lacking(predicted, drawn).mean(1).sum(), leaf)
        parameters = list(self.hypernetwork.parameters())
        last = len(slopes) - 1
        gradients = [
            torch.autograd.grad(logits[place], parameters, slope, retain_graph=place < last)
            for place, slope in enumerate(slopes)
        ]
        flat = torch.stack([torch.cat([g.reshape(-1) for g in of_device]) for of_device in gradients])
        joined = min_norm_weights(flat @ flat.T).to(flat) @ flat
        for parameter, part in zip(parameters, joined.split([p.numel() for p in parameters]), strict=True):
            parameter.grad = part.view_as(parameter)
        self._adam.step()

    def _preferences(self, generator: torch.Generator) -> Tensor:
        """Return preferences drawn from the Dirichlet distribution, the first of its two numbers, `(p,)`."""
        seed = int(torch.randint(2**62, (), generator=generator))
        drawn = np.random.default_rng(seed).dirichlet([self.preference_concentration] * 2, self.preferences)
        return torch.as_tensor(drawn[:, 0], dtype=torch.float32)

    def _lacking(self, predicted: Tensor, preferences: Tensor) -> Tensor:
        """Return what is predicted to be lacking on each device, `(d, p)`, of standardised merits."""
        score = predicted[..., 0]
        if predicted.shape[-1] == 1:
            return -score
        cheapness = torch.diagonal(predicted[..., 1:], dim1=0, dim2=2).T
        pair = torch.stack([preferences * -score, (1 - preferences) * -cheapness])
        if self.scalarisation == "linear":
            return pair.sum(0)
        pair = torch.stack([preferences * (_BEST - score), (1 - preferences) * (_BEST - cheapness)])
        return pair.amax(0) + 0.05 * pair.sum(0)

    def _candidates(self, features: Tensor, generator: torch.Generator) -> Candidates:
        """Return architectures drawn from the hypernetwork over all preferences and devices, and its most likely."""
        found = self.new_candidates()
        grid = torch.linspace(0.0, 1.0, _GRID)
        with torch.no_grad():
            logits = self.hypernetwork(grid, features).flatten(0, 1)
            times = max(1, math.ceil(self.num_candidates / len(logits)))
            likely = self._relaxation.draw(logits, None, best=True)
            hot = torch.tensor(_TEMPERATURES).repeat(times)[:times]  # of each repetition
            flat = (logits / hot[:, None, None]).flatten(0, 1)
            drawn = self._relaxation.draw(flat, generator)[: self.num_candidates]
        kept = [self._architecture(decided) for decided in dict.fromkeys(self._relaxation.codes(likely))]
        for decided in dict.fromkeys(self._relaxation.codes(torch.cat([likely, drawn]))):
            code = self._architecture(decided)
            if code is not None:
                found.add(code, None)
        if self.neighbours:
            found.surround([(code, None) for code in dict.fromkeys(kept) if code is not None], self.neighbours, 1)
        return found

    def _architecture(self, decided: Code) -> Code | None:
        """Return the architecture of a drawn code, None where the space has none of it."""
        try:
            space = self._relaxation.steps.space
            return known(self.codec, space.canonical(decided), self.rng)
        except ArchitectureError:  # the constraints of the space
            return None

    def _vectors(self, codes: Sequence[Code]) -> np.ndarray:
        codec = self.codec
        return self._relaxation.steps.space.vectors([codec.to_decisions(code) for code in codes])

    def _fitted_rows(self, merits: np.ndarray, costs: Sequence[int]) -> list[int]:
        """Return the rows that the ensemble is fitted to: the fronts, and those told last."""
        newest = range(max(0, len(merits) - self.max_labels), len(merits))
        fronts = [front_of_two(merits[:, [0, cost]]).tolist() for cost in costs]
        return sorted({*newest, *(row for front in fronts for row in front)})

    # what was found

    def architecture(self, preference: float, device: str | Sequence[float]) -> Code:
        """Return the architecture that is most likely for a preference and a device, in no time and without a trial.

        Args:
            preference: Weight of the score in [0, 1], that of the cost being the rest.
            device: Name of an objective; or, of a device that the search does not know, its costs of `references`.

        Raises:
            ConfigError: If the preference is out of its range, or the device is neither.
            OptimizerStateError: While fewer than `n_references` architectures were told.
            UnsupportedBySpaceError: If the constraints of the space refuse it, and draws around it.
        """
        if not 0 <= preference <= 1:
            raise ConfigError(f"a preference is the weight of the score, from 0 to 1, not {preference}")
        features = torch.as_tensor(self.described(device), dtype=torch.float32)
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            logits = self.hypernetwork(torch.tensor([float(preference)]), features)[0]
            likely = self._relaxation.draw(logits, None, best=True)
            drawn = self._relaxation.draw(logits.repeat(_GRID, 1), generator)
        state = self.rng.getstate()
        try:
            for decided in self._relaxation.codes(torch.cat([likely, drawn])):
                code = self._architecture(decided)
                if code is not None:
                    return code
        finally:
            self.rng.setstate(state)
        raise UnsupportedBySpaceError(f"{self.codec.name} refuses what the hypernetwork draws at {preference}")

    def proposed(self, cost: int) -> dict[str, Any]:
        """Return what the hypernetwork takes for preferences from 1 to 0, and the values of those looked up.

        Args:
            cost: Number of the objective.
        """
        codes, merits, numbers = self.told()
        if len(codes) < self.n_references:
            return {"proposed": []}
        place = {code: row for row, code in enumerate(codes)}
        pair, rows = (self.objectives[0], self.objectives[cost]), []
        for preference in np.linspace(1.0, 0.0, _SHOWN).tolist():
            code = self.architecture(preference, pair[1].name)
            row = place.get(code)
            values = None if row is None else [o.merit(m) for o, m in zip(pair, merits[row, [0, cost]], strict=True)]
            trial = None if row is None else numbers[row]
            rows.append({"preference": preference, "trial": trial, "values": values, "code": code})
        return {"proposed": rows}

    # the space and the evaluator

    def adapted(self) -> None:
        """Say now what cannot be.

        Raises:
            UnsupportedBySpaceError: If the constraints of the space refuse whatever is drawn.
            ConfigError: If a device is none of the objectives.
        """
        steps, relaxation = self._relaxation.steps, self._relaxation
        even = torch.zeros(1, relaxation.width)

        def draw(rng: Any) -> Code:
            generator = torch.Generator().manual_seed(rng.getrandbits(63))
            return relaxation.codes(relaxation.draw(even, generator))[0]

        steps.check_draws(draw, type(self).__name__, self.codec.name)
        super().adapted()

    def _reset(self) -> None:
        super()._reset()
        space = self.codec.decision_space
        if space is None:
            raise UnsupportedBySpaceError(f"{type(self).__name__} needs the decisions of {self.codec.name}")
        self._relaxation = Relaxation(Steps(space, self.codec.decision_order()), self.estimator)
        self.hypernetwork = PreferenceHypernetwork(
            self._relaxation.width,
            self.n_references,
            bank=self.bank_size,
            intervals=self.preference_intervals,
            generator=torch.Generator().manual_seed(self.rng.getrandbits(63)),
        )
        self._adam = torch.optim.Adam(self.hypernetwork.parameters(), lr=self.hypernetwork_learning_rate)

    def get_checkpointables(self) -> dict[str, Stateful]:
        """Return everything stateful by name; the hypernetwork beside what rounds need."""
        own: dict[str, Any] = {"hypernetwork": self.hypernetwork, "hypernetwork_optimizer": self._adam}
        return {**super().get_checkpointables(), **own}
