"""LaMCTS: search where a learned partition of the space says that it is worth it."""

from __future__ import annotations

from typing import Any

import numpy as np

from naslib.errors import ConfigError, UnsupportedBySpaceError, did_you_mean
from naslib.optimizers.core.metaclasses import Stateful
from naslib.optimizers.discrete.base import DiscreteOptimizer
from naslib.optimizers.discrete.model_based.state import ModelState
from naslib.optimizers.registry import OPTIMIZERS
from naslib.search_spaces.core.codec import Code

from .regions import PARTITIONS, Chosen, choose, grow

# Random architectures that are drawn for each candidate that is wanted, and for a new one at the beginning
_DRAWS, _ATTEMPTS = 20, 100


@OPTIMIZERS.register("la_mcts")
class LaMCTS(DiscreteOptimizer):
    """Draw architectures from the most promising of regions that are learned anew in every round ([Wang2020lamcts]).

    After `num_init` random architectures, a round of `k` begins with a tree: the region of all that was evaluated is
    split into a good and a bad part, and so on while a region has more than `leaf_size` of them. From the root, the
    part with the larger upper bound `mean + 2 exploration sqrt(2 ln n_parent / n)` is entered; values are scaled to
    [0, 1] over all that was told. `num_candidates` architectures of the leaf that were not asked for yet are sought:
    random ones, and neighbours of those evaluated in it. The round takes `k` of them at random (`sampler: random`).

    Args:
        k: Architectures in a round.
        num_init: Random architectures at the beginning.
        num_candidates: Architectures of the leaf that are sought.
        leaf_size: Of the tree.
        exploration: In the upper bound, not negative.
        partition: `svm`, as in [Wang2020lamcts], or `linear`, a ridge regression as in [Wang2021lanas].
        sampler: `random`; or `model`: those for which a ridge regression on all values predicts most.
        **kwargs: See `DiscreteOptimizer`.

    Attributes:
        state: Labels and queue.

    Raises:
        ConfigError: For an unknown keyword or name, or a number out of range.
    """

    SCHEDULABLE = dict.fromkeys(("k", "num_candidates", "leaf_size", "exploration"), "")

    def __init__(
        self,
        *,
        k: int = 10,
        num_init: int = 10,
        num_candidates: int = 100,
        leaf_size: int = 10,
        exploration: float = 0.1,
        partition: str = "svm",
        sampler: str = "random",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        counts = {"k": k, "num_init": num_init, "num_candidates": num_candidates, "leaf_size": leaf_size}
        problems = [f"{name} must be at least 1, not {count}" for name, count in counts.items() if count < 1]
        if exploration < 0:
            problems.append(f"exploration must not be negative, got {exploration}")
        for name, value, known in (("partition", partition, PARTITIONS), ("sampler", sampler, ("random", "model"))):
            if value not in known:
                hint = did_you_mean(str(value), known)
                problems.append(f"{name} must be one of {', '.join(known)}, not {value!r}{hint}")
        if problems:
            raise ConfigError(problems)
        self.k, self.num_init, self.num_candidates = k, num_init, num_candidates
        self.leaf_size, self.exploration = leaf_size, exploration
        self.partition, self.sampler = partition, sampler
        self.state = ModelState()

    def adapted(self) -> None:
        """Check that architectures are points.

        Raises:
            UnsupportedBySpaceError: If the space does not state its decisions.
        """
        super().adapted()
        if self.codec.decision_space is None:
            raise UnsupportedBySpaceError(f"la_mcts needs the decisions of {self.codec.name}")

    def propose(self) -> tuple[Code, int | None]:
        """Return a random architecture, later one of the region of the round."""
        state = self.state
        if state.asked >= self.num_init and len(state.codes) > 1 and not state.queue:
            state.queue = self._round()[::-1]
        while state.queue:
            code, parent = state.queue.pop()
            if code not in state.seen:
                return self._taken(code, parent)
        return self._taken(self._fresh(), None)

    def points(self, codes: list[Code]) -> np.ndarray:
        """Return n architectures as points, `(n, d)`: their decisions, one-hot."""
        space = self.codec.decision_space
        if space is None:
            raise UnsupportedBySpaceError(f"la_mcts needs the decisions of {self.codec.name}")
        found: np.ndarray = np.asarray(space.vectors(self.codec.decided_batch(codes)), dtype=np.float64)
        return found

    def region(self) -> Chosen:
        """Return the leaf in which the next round looks; where there is one value only, the whole space."""
        merits = np.asarray(self.state.merits, dtype=np.float64)
        span = merits.max() - merits.min()
        values = (merits - merits.min()) / (span if span > 0 else 1.0)
        tree = grow(self.points(self.state.codes), values, self.leaf_size, self.partition, self.rng.getrandbits(31))
        return choose(tree, values, self.exploration)

    def _round(self) -> list[tuple[Code, int | None]]:
        self.state.rounds += 1
        region = self.region()
        candidates = self._candidates(region)
        order = list(candidates)
        if self.sampler == "random":
            self.rng.shuffle(order)
        elif order:
            promise = self._promise(order)
            order = [order[place] for place in np.argsort(-promise, kind="stable")]
        return [(code, candidates[code]) for code in order[: self.k]]

    def _candidates(self, region: Chosen) -> dict[Code, int | None]:
        """Return architectures of a region that were not asked for, with the numbers of their parents."""
        state, codec, rng = self.state, self.codec, self.rng
        found: dict[Code, int | None] = {}
        drawn: dict[Code, int | None] = {}
        for place in region.members[np.argsort(-np.asarray(state.merits)[region.members], kind="stable")]:
            if len(drawn) >= self.num_candidates:
                break
            for code in codec.neighbours(state.codes[place]):
                if code not in state.seen:
                    drawn.setdefault(code, state.numbers[place])
        for _ in range(_DRAWS * self.num_candidates if len(region.path) else self.num_candidates):
            code = codec.random(rng)
            if code not in state.seen:
                drawn.setdefault(code, None)
        codes = list(drawn)
        rng.shuffle(codes)
        inside = region.contains(self.points(codes)) if codes else np.zeros(0, dtype=bool)
        for code, is_inside in zip(codes, inside, strict=True):
            if is_inside and len(found) < self.num_candidates:
                found[code] = drawn[code]
        return found

    def _promise(self, codes: list[Code]) -> np.ndarray:
        """Return what a ridge regression on all values predicts, `(n,)`."""
        known, merits = self.points(self.state.codes), np.asarray(self.state.merits, dtype=np.float64)
        center, mean = known.mean(0), merits.mean()
        shifted = known - center
        weights = np.linalg.solve(shifted.T @ shifted + np.eye(known.shape[1]), shifted.T @ (merits - mean))
        found: np.ndarray = (self.points(codes) - center) @ weights
        return found

    def _taken(self, code: Code, parent: int | None) -> tuple[Code, int | None]:
        self.state.seen[code] = None
        self.state.asked += 1
        return code, parent

    def _fresh(self) -> Code:
        """Return a random architecture, if possible one that was not asked for yet."""
        codec, seen = self.codec, self.state.seen
        code = codec.random(self.rng)
        for _ in range(_ATTEMPTS):
            if code not in seen:
                break
            code = codec.random(self.rng)
        return code

    def get_checkpointables(self) -> dict[str, Stateful]:
        """Return everything stateful by name; labels and queue beside the record and the random state."""
        return {**super().get_checkpointables(), "labels": self.state}

    def _learn(self, code: Code, merit: float, number: int | None) -> None:
        state = self.state
        state.seen[code] = None
        state.codes.append(code)
        state.merits.append(merit)
        state.numbers.append(number)

    def _reset(self) -> None:
        self.state = ModelState()
