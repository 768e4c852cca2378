"""The ranking of SMASH: random networks, perturbations of the best, and a chain of perturbations."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from naslib.errors import CheckpointError
from naslib.optimizers.oneshot.paths.selection import best_first
from naslib.search_spaces.core.codec import Code
from naslib.utils.log import get_logger

logger = get_logger(__name__)


class Ranking:
    """Measure networks in three phases ([Brock2018smash], section 4, with the numbers of the authors' code).

    Random networks; perturbations of the best of them, which stays the same in this phase; then a chain that begins
    with the best of both: a perturbation of its last network replaces it if it is better. With a temperature T it
    also does so otherwise, with probability exp((q' - q) / T). The best network of all phases is the outcome, of equals
    the first. It is a checkpointable: a ranking that was interrupted goes on where it was.

    Args:
        n_random: Random networks.
        n_perturbed: Perturbations of the best random one.
        n_chain: Steps of the chain.
        temperature: T, in the unit of the qualities; 0 for strict climbing.

    Attributes:
        measured: `(quality, code)` of all networks so far, in order.
        base: What is perturbed, None in the first phase.
        quality: The quality of the base.
    """

    def __init__(self, n_random: int, n_perturbed: int, n_chain: int, temperature: float) -> None:
        self.sizes = (n_random, n_perturbed, n_chain)
        self.temperature = temperature
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self.measured: list[tuple[float, Code]] = []
        self.base: Code | None = None
        self.quality = 0.0
        self._pending: Code | None = None

    @property
    def total(self) -> int:
        """How many networks are measured in all phases."""
        return sum(self.sizes)

    def run(
        self,
        measure: Callable[[Code], float],
        draw: Callable[[], Code],
        perturb: Callable[[Code], Code],
        rng: Random,
        show: Callable[[float], str] = str,
    ) -> Code:
        """Go through what is left of the phases, and return the best network.

        Args:
            measure: Returns the quality of a network, larger being better.
            draw: Draws a network.
            perturb: Returns a changed copy of a network.
            rng: Decides what the chain accepts.
            show: Writes a quality for the log.
        """
        n_random, n_perturbed, _ = self.sizes
        while len(self.measured) < self.total:
            number = len(self.measured)
            if number in (n_random, n_random + n_perturbed) and self._pending is None:
                self._rebase(show)
            if self._pending is None:
                self._pending = draw() if self.base is None else perturb(self.base)
            code = self._pending
            quality = measure(code)
            self._pending = None
            self.measured.append((quality, code))
            if number >= n_random + n_perturbed and self._accepts(quality, rng):
                self.base, self.quality = code, quality
        return best_first(self.measured)[0][1]

    def _rebase(self, show: Callable[[float], str]) -> None:
        self.quality, self.base = best_first(self.measured)[0]
        logger.info("ranking: the best of %d networks has %s", len(self.measured), show(self.quality))

    def _accepts(self, quality: float, rng: Random) -> bool:
        if quality > self.quality:
            return True
        return self.temperature > 0 and rng.random() < math.exp((quality - self.quality) / self.temperature)

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return {
            "qualities": [quality for quality, _ in self.measured],
            "codes": [list(code) for _, code in self.measured],
            "base": None if self.base is None else list(self.base),
            "quality": self.quality,
            "pending": None if self._pending is None else list(self._pending),
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state.

        Raises:
            CheckpointError: If it has measured more than there is to be measured.
        """
        codes = [tuple(code) for code in state_dict["codes"]]
        if len(codes) > self.total:
            raise CheckpointError(f"the checkpoint has ranked {len(codes)} networks, this search ranks {self.total}")
        self.measured = list(zip(state_dict["qualities"], codes, strict=True))
        self.base = None if state_dict["base"] is None else tuple(state_dict["base"])
        self.quality = state_dict["quality"]
        self._pending = None if state_dict["pending"] is None else tuple(state_dict["pending"])
