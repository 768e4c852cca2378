"""SearchOfDevices: a search whose objectives are a score and the cost of each of several devices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from naslib.errors import ConfigError, OptimizerStateError, did_you_mean
from naslib.history import Objective
from naslib.history.fronts import as_values
from naslib.optimizers.discrete.model_based.several import SearchOfSeveral
from naslib.search_spaces.core.codec import Code

from .fronts import features_of, front_of_two, reference_of


class DeviceMember(NamedTuple):
    """An architecture that none dominates in score and cost of one device.

    Attributes:
        code: The architecture.
        values: Score and cost, in their own units.
        number: Of its trial; None where nobody said.
    """

    code: Code
    values: tuple[float, float]
    number: int | None


class Told(NamedTuple):
    """What a search was told, an architecture once; of one that was told again, the last.

    Attributes:
        codes: The architectures, in the order in which they were told first.
        merits: `(n, objectives)`, larger is better.
        numbers: Of their trials; None where nobody said.
    """

    codes: list[Code]
    merits: np.ndarray
    numbers: list[int | None]


class SearchOfDevices(SearchOfSeveral):
    """Keep a front per device, and describe devices by what the first architectures cost on them.

    The first objective is the score, every other one the cost of a device.

    Args:
        devices: The objectives that are the costs of devices which the method learns; all after the first if None.
        n_references: How many architectures describe a device.
        **kwargs: See `SearchOfSeveral`.
    """

    weighs_all = True

    def __init__(self, *, devices: Sequence[str] | None = None, n_references: int = 10, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.devices = None if devices is None else [str(name) for name in devices]
        self.n_references = n_references

    def told(self) -> Told:
        """Return what was told."""
        state = self.state
        rows = [(merit, *more) for merit, more in zip(state.merits, self.further.rows, strict=True)]
        found = {c: (row, n) for c, row, n in zip(state.codes, rows, state.numbers, strict=True)}
        merits = np.array([row for row, _ in found.values()], dtype=np.float64)
        numbers = [number for _, number in found.values()]
        return Told(list(found), merits.reshape(len(found), len(self.objectives)), numbers)

    @property
    def references(self) -> list[Code]:
        """The architectures whose costs describe a device; fewer before so many are told."""
        return self.told().codes[: self.n_references]

    def learned_costs(self) -> list[int]:
        """Return the numbers of the objectives that are costs of the devices which are learned."""
        if self.devices is None:
            return list(range(1, len(self.objectives)))
        return [cost_of(name, self.objectives, "search.devices") for name in self.devices]

    def features(self, costs: Sequence[int]) -> np.ndarray:
        """Return what is known of devices, given the numbers of their objectives, `(devices, n_references)`.

        Entries of references that are not told yet are 0; without costs there is one device, of which nothing is known.
        """
        if not costs:
            return np.zeros((1, self.n_references))
        known = -self.told().merits[: self.n_references, list(costs)].T
        return np.pad(features_of(known), ((0, 0), (0, self.n_references - known.shape[1])))

    def described(self, device: str | Sequence[float] | np.ndarray) -> np.ndarray:
        """Return what is known of one device, `(1, n_references)`.

        Args:
            device: Name of an objective, or costs of `references`.

        Raises:
            ConfigError: If it is neither.
            OptimizerStateError: While fewer than `n_references` architectures were told.
        """
        told = len(self.references)
        if told < self.n_references:
            raise OptimizerStateError(f"a device is described by {self.n_references} architectures; {told} were told")
        if isinstance(device, str):
            return self.features([cost_of(device, self.objectives, "the device")])
        costs = np.asarray(device, dtype=np.float64)
        if costs.shape != (self.n_references,) or not np.isfinite(costs).all():
            raise ConfigError(
                f"a device is described by its {self.n_references} costs of `references`, finite numbers, not by "
                f"{'values that are not' if costs.shape == (self.n_references,) else f'the shape {costs.shape}'}"
            )
        return features_of(costs)[None]

    def front(self, device: str) -> list[DeviceMember]:
        """Return the trials that none dominates in score and cost of a device, from the best score on.

        Args:
            device: Name of the objective.

        Raises:
            ConfigError: If there is no such objective.
        """
        return self._front(cost_of(device, self.objectives, "the device"))

    def _front(self, cost: int) -> list[DeviceMember]:
        codes, merits, numbers = self.told()
        score, price = self.objectives[0], self.objectives[cost]
        rows: list[int] = front_of_two(merits[:, [0, cost]]).tolist() if codes else []
        return [
            DeviceMember(codes[row], (score.merit(merits[row, 0]), price.merit(merits[row, cost])), numbers[row])
            for row in rows
        ]

    def found_by_device(self) -> dict[str, dict[str, Any]] | None:
        """Return for each device the front and the point that its hypervolume is above; None without costs.

        Returns:
            By the names of the objectives `learned`, `members` (`trial`, `values`, `code`), and `reference_point`: the
            worst of the front in score and cost, with 5 % of its range as slack.
        """
        if len(self.objectives) < 2 or not self.state.codes:
            return None
        learned, found = set(self.learned_costs()), {}
        for cost in range(1, len(self.objectives)):
            pair = (self.objectives[0], self.objectives[cost])
            members = self._front(cost)
            merits = np.array([as_values(member.values, pair) for member in members])
            found[pair[1].name] = {
                "learned": cost in learned,
                "members": [{"trial": m.number, "values": list(m.values), "code": m.code} for m in members],
                "reference_point": as_values(reference_of(merits).tolist(), pair),
                **self.proposed(cost),
            }
        return found

    def proposed(self, cost: int) -> Mapping[str, Any]:
        """Return what else the method says of a device, by the number of its objective."""
        return {}

    def adapted(self) -> None:
        """Say now what cannot be.

        Raises:
            ConfigError: If a device is none of the objectives.
        """
        if self._asks_the_benchmark() or not isinstance(self.evaluator, str):  # else known when that is built
            self._check_devices(self.objectives)
        super().adapted()

    def check_evaluator(self, evaluator: Any) -> None:
        """Raise now if an evaluator cannot serve this search; nothing is changed.

        Raises:
            ConfigError: If a device is none of its objectives; see `DiscreteOptimizer`.
        """
        super().check_evaluator(evaluator)
        self._check_devices(evaluator.objectives)

    def _check_devices(self, objectives: Sequence[Objective]) -> None:
        if self.devices is not None and not self.devices:
            raise ConfigError("search.devices is empty: name costs among search.objectives, or leave it out")
        found = [cost_of(name, objectives, "search.devices") for name in self.devices or ()]
        twice = [name for name, cost in zip(self.devices or (), found, strict=True) if found.count(cost) > 1]
        if twice:
            raise ConfigError(f"search.devices: {twice[0]} is there twice")


def cost_of(name: str, objectives: Sequence[Objective], what: str) -> int:
    """Return which objective is the cost of a device, in any case of letters.

    Raises:
        ConfigError: If none is; the message has the nearest.
    """
    names = [objective.name for objective in objectives]
    lower = [known.lower() for known in names]
    if str(name).lower() not in lower[1:]:
        listed = ", ".join(names[1:]) or "none"
        hint = did_you_mean(str(name), names[1:])
        raise ConfigError(f"{what}: {name!r} is none of the costs among the objectives{hint} (there are: {listed})")
    return lower.index(str(name).lower(), 1)
