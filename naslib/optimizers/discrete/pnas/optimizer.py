"""PNAS: cells that grow block by block, the next ones chosen by a surrogate ([Liu2018pnas])."""

from __future__ import annotations

from typing import Any

import numpy as np

from naslib.errors import ArchitectureError, ConfigError, UnsupportedBySpaceError, did_you_mean
from naslib.optimizers.core.metaclasses import Stateful
from naslib.optimizers.discrete.base import DiscreteOptimizer
from naslib.optimizers.registry import OPTIMIZERS
from naslib.search_spaces.core.codec import Code
from naslib.search_spaces.core.widening import CellWidening

from .networks import NETWORKS
from .state import Child, Levels
from .surrogate import CellSurrogate

# How the next cells are chosen: by a network, at random, or not at all: every one is evaluated
SURROGATES = (*NETWORKS, "random", "all")


@OPTIMIZERS.register("pnas")
class PNAS(DiscreteOptimizer):
    """Evaluate all cells of one block, then the most promising of those that the best become by one more, and so on.

    Algorithm 1 of [Liu2018pnas]. At each number of blocks the surrogate is fitted to all cells that have values, the
    best `beam_size` of the cells before are given every possible block more, and the `beam_size` of these are evaluated
    that it predicts to be the best. In the space of the paper that makes 136 + 4 * 256 = 1,160 evaluations. After the
    last level the search goes on with the next best of the widest cells, `beam_size` at a time, the surrogate being
    fitted anew before each.

    The best cell seen is the answer, of whatever number of blocks. Cells of fewer blocks are architectures of the space
    (`Codec.widening`); a space whose cells do not grow is refused. On a table that lacks architectures those alone are
    evaluated that it has.

    Args:
        beam_size: K, cells that are evaluated at each number of blocks, and then grow.
        surrogate: `mlp` or `lstm`, each of 100 units with embeddings of 100; `random` draws from the same cells
            without one, `all` evaluates every one of them.
        ensemble: Networks, each fitted from its beginning to all cells but one of so many parts of them; 1: one network
            that learns on.
        surrogate_epochs: Passes over the cells in a fit; the paper does not say.
        max_first: Cells of one block that are evaluated at most, drawn at random if there are more; None for all.
        max_candidates: Grown cells that the surrogate ranks at most, drawn at random if there are more; None for all.
        **kwargs: See `DiscreteOptimizer`.

    Attributes:
        levels: How far the search is.
        surrogate_model: The surrogate (after adapting).

    Raises:
        ConfigError: For an unknown keyword or surrogate, or a number below one.
        UnsupportedBySpaceError: When a space is adapted whose cells do not grow.
    """

    SCHEDULABLE = {"beam_size": ""}

    def __init__(
        self,
        *,
        beam_size: int = 256,
        surrogate: str = "mlp",
        ensemble: int = 5,
        surrogate_epochs: int = 50,
        max_first: int | None = None,
        max_candidates: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        counts = {"beam_size": beam_size, "ensemble": ensemble, "surrogate_epochs": surrogate_epochs}
        counts |= {"max_first": max_first, "max_candidates": max_candidates}  # type: ignore[dict-item]
        problems = [f"{key} must be at least 1, not {n}" for key, n in counts.items() if n is not None and n < 1]
        if surrogate not in SURROGATES:
            hint = did_you_mean(str(surrogate), SURROGATES)
            problems.append(f"surrogate must be one of {', '.join(SURROGATES)}, not {surrogate!r}{hint}")
        if problems:
            raise ConfigError(problems)
        self.beam_size, self.surrogate, self.ensemble = beam_size, surrogate, ensemble
        self.surrogate_epochs, self.max_first, self.max_candidates = surrogate_epochs, max_first, max_candidates
        self.levels = Levels()
        self.surrogate_model: CellSurrogate
        self._widening: CellWidening

    def propose(self) -> Child | None:
        """Return the next cell of a level; None while the last trials of one are pending."""
        codec, levels = self.codec, self.levels
        while True:
            while levels.waiting:
                code, parent = levels.waiting.pop()
                if code not in levels.seen:  # somebody may have told it in between
                    levels.seen[code] = None
                    levels.asked.append(code)
                    return code, parent
            if self.record.pending:
                return None
            if not self._next_level():
                return codec.random(self.rng), None  # there is nothing left that was not asked for

    def _next_level(self) -> bool:
        """Choose the cells of the next level, or more of the last one; say whether there are any."""
        levels, widening = self.levels, self._widening
        if levels.level == 0:
            levels.level = 1
            cells: list[Child] = [(code, None) for code in widening.first()]
            found = self._known(self._some(cells, self.max_first))
            self.rng.shuffle(found)
            levels.waiting = found
            if not found:  # none of a table: all grow
                levels.asked = [code for code, _ in self._some(cells, self.beam_size)]
            return True
        if levels.level < widening.widths:
            levels.parents, levels.asked = self._best_asked(), []
            levels.level += 1
        candidates = self._grown()
        known = self._known(candidates)
        if not known and candidates and levels.level < widening.widths:
            levels.asked = [code for code, _ in self._some(candidates, self.beam_size)]
            return True
        levels.waiting = self._chosen(known)[::-1]
        return bool(levels.waiting) or levels.level < widening.widths

    def _best_asked(self) -> list[Child]:
        """Return the best cells of the level that is over; where none has a value, those that were asked for."""
        told = self.levels.told
        have = [code for code in self.levels.asked if code in told]
        have.sort(key=lambda code: -told[code][0])
        return [(code, told[code][1]) for code in have[: self.beam_size]] or [(c, None) for c in self.levels.asked]

    def _grown(self) -> list[Child]:
        """Return what the parents become by one more block, each once, less what was asked for."""
        found: dict[Code, int | None] = {}
        for code, number in self.levels.parents:
            for grown in self._widening.wider(code):
                if grown not in self.levels.seen and grown not in found:
                    found[grown] = number
        return self._some(list(found.items()), self.max_candidates)

    def _chosen(self, candidates: list[Child]) -> list[Child]:
        """Return the cells to evaluate, the most promising first."""
        if self.surrogate in ("random", "all"):
            self.rng.shuffle(candidates)
            return candidates if self.surrogate == "all" else candidates[: self.beam_size]
        told = self.levels.told
        if not told or not candidates:
            return self._some(candidates, self.beam_size)
        merits = np.array([merit for merit, _ in told.values()])
        self.surrogate_model.fit(list(told), self._targets(merits), self.rng)
        predicted = self.surrogate_model.predict([code for code, _ in candidates])
        return [candidates[place] for place in np.argsort(-predicted, kind="stable")[: self.beam_size]]

    def _targets(self, merits: np.ndarray) -> list[float]:
        """Return merits as numbers in (0, 1): accuracies as shares, others by the spread of the first level."""
        if self.objectives[0].is_accuracy:
            return [float(share) for share in merits / 100]
        if self.levels.scale is None:
            self.levels.scale = float(merits.mean()), float(merits.std()) or 1.0
        mean, std = self.levels.scale
        return [float(share) for share in 1 / (1 + np.exp(-(merits - mean) / std))]

    def _known(self, candidates: list[Child]) -> list[Child]:
        return [child for child in candidates if self.codec.is_valid(child[0])]

    def _some(self, children: list[Child], limit: int | None) -> list[Child]:
        if limit is None or len(children) <= limit:
            return children
        return [children[place] for place in sorted(self.rng.sample(range(len(children)), limit))]

    def _learn(self, code: Code, merit: float, number: int | None) -> None:
        self.levels.seen[code] = None
        try:
            width = self._widening.width_of(code)
        except ArchitectureError as error:
            if number is not None:  # it was drawn when there was nothing else left
                return
            raise ArchitectureError(
                f"pnas was told the value of a cell that it cannot have asked for: {error}"
            ) from error
        self.levels.told[code] = merit, number
        if width == self.levels.level and code not in self.levels.asked:
            self.levels.asked.append(code)

    def _reset(self) -> None:
        try:
            self._widening = self.codec.widening()
        except UnsupportedBySpaceError as error:
            raise UnsupportedBySpaceError(
                f"pnas evaluates cells of one block, then of two, and so on, and {error}"
            ) from error
        self.levels = Levels()
        kind = self.surrogate if self.surrogate in NETWORKS else "mlp"
        self.surrogate_model = CellSurrogate(self._widening, kind, self.ensemble, self.surrogate_epochs)

    def get_checkpointables(self) -> dict[str, Stateful]:
        """Return everything stateful by name; levels and surrogate beside the record and the random state."""
        own: dict[str, Stateful] = {"levels": self.levels, "surrogate": self.surrogate_model}
        return {**super().get_checkpointables(), **own}
