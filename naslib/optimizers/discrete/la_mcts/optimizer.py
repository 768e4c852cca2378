"""LaMCTS: search where a learned partition of the space says that it is worth it."""

from __future__ import annotations

from typing import Any

import numpy as np

from naslib.errors import ConfigError, UnsupportedBySpaceError, did_you_mean
from naslib.optimizers.discrete.model_based.candidates import Candidates, Parent
from naslib.optimizers.discrete.model_based.rounds import SearchInRounds, check_counts
from naslib.optimizers.registry import OPTIMIZERS
from naslib.search_spaces.core.codec import Code

from .regions import PARTITIONS, Chosen, choose, grow, ridge

# Random architectures that are drawn for each candidate that is wanted
_DRAWS = 20


@OPTIMIZERS.register("la_mcts")
class LaMCTS(SearchInRounds):
    """Draw architectures from the most promising of regions that are learned anew in every round ([Wang2020lamcts]).

    After `num_init` random architectures, a round of `k` begins with a tree: the region of all that was evaluated is
    split into a good and a bad part, and so on while a region has more than `leaf_size` of them. From the root, the
    part with the larger upper bound `mean + 2 exploration sqrt(2 ln n_parent / n)` is entered; values are scaled to
    [0, 1] over all that was told. `num_candidates` architectures of the leaf that were not asked for yet are sought:
    random ones, and neighbours of those evaluated in it. The round takes `k` of them at random (`sampler: random`).

    Args:
        k: Architectures in a round.
        num_candidates: Architectures of the leaf that are sought.
        leaf_size: Of the tree.
        exploration: In the upper bound, not negative.
        partition: `svm`, as in [Wang2020lamcts], or `linear`, a ridge regression as in [Wang2021lanas].
        sampler: `random`; or `model`: those for which a ridge regression on all values predicts most.
        **kwargs: See `SearchInRounds`.

    Raises:
        ConfigError: For an unknown keyword or name, or a number out of range.
    """

    SCHEDULABLE = dict.fromkeys(("k", "num_candidates", "leaf_size", "exploration", "max_labels"), "")

    def __init__(
        self,
        *,
        k: int = 10,
        num_candidates: int = 100,
        leaf_size: int = 10,
        exploration: float = 0.1,
        partition: str = "svm",
        sampler: str = "random",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_counts(k=k, num_candidates=num_candidates, leaf_size=leaf_size)
        problems = []
        if exploration < 0:
            problems.append(f"exploration must not be negative, got {exploration}")
        for name, value, known in (("partition", partition, PARTITIONS), ("sampler", sampler, ("random", "model"))):
            if value not in known:
                hint = did_you_mean(str(value), known)
                problems.append(f"{name} must be one of {', '.join(known)}, not {value!r}{hint}")
        if problems:
            raise ConfigError(problems)
        self.k, self.num_candidates = k, num_candidates
        self.leaf_size, self.exploration = leaf_size, exploration
        self.partition, self.sampler = partition, sampler

    def adapted(self) -> None:
        """Check that architectures are points.

        Raises:
            UnsupportedBySpaceError: If the space does not state its decisions.
        """
        super().adapted()
        if self.codec.decision_space is None:
            raise UnsupportedBySpaceError(f"la_mcts needs the decisions of {self.codec.name}")

    def next_round(self) -> list[Parent]:
        """Return k architectures of the region of the round."""
        region = self.region()
        found = self._candidates(region)
        codes = found.codes
        if self.sampler == "random":
            order = list(range(len(codes)))
            self.rng.shuffle(order)
        else:
            order = np.argsort(-self._promise(codes), kind="stable").tolist() if codes else []
        return found.first(np.array(order, dtype=np.int64), self.k)

    def points(self, codes: list[Code]) -> np.ndarray:
        """Return n architectures as points, `(n, d)`: their decisions, one-hot."""
        space = self.codec.decision_space
        if space is None:
            raise UnsupportedBySpaceError(f"la_mcts needs the decisions of {self.codec.name}")
        found: np.ndarray = np.asarray(space.vectors(self.codec.decided_batch(codes)), dtype=np.float64)
        return found

    def region(self) -> Chosen:
        """Return the leaf in which the next round looks; where there is one value only, the whole space."""
        codes, merits, _ = self._labels()
        span = merits.max() - merits.min()
        values = (merits - merits.min()) / (span if span > 0 else 1.0)
        tree = grow(self.points(codes), values, self.leaf_size, self.partition, self.rng.getrandbits(31))
        return choose(tree, values, self.exploration)

    def _labels(self) -> tuple[list[Code], np.ndarray, list[int | None]]:
        """Return the n architectures that are learned from, their values `(n,)`, and the numbers of their trials."""
        state = self.state
        places = state.labels(self.max_labels)
        merits = np.array([state.merits[place] for place in places], dtype=np.float64)
        return [state.codes[place] for place in places], merits, [state.numbers[place] for place in places]

    def _candidates(self, region: Chosen) -> Candidates:
        """Return architectures of a region that were not asked for, with the numbers of their parents."""
        codes, merits, numbers = self._labels()
        drawn, found = self.new_candidates(), self.new_candidates()
        for place in region.members[np.argsort(-merits[region.members], kind="stable")]:
            if len(drawn) >= self.num_candidates:
                break
            drawn.surround([(codes[place], numbers[place])], self.num_candidates, 1)
        drawn.draw(_DRAWS * self.num_candidates if region.path else self.num_candidates)
        others = drawn.codes
        self.rng.shuffle(others)
        inside = region.contains(self.points(others)) if others else np.zeros(0, dtype=bool)
        for code, is_inside in zip(others, inside, strict=True):
            if is_inside and len(found) < self.num_candidates:
                found.add(code, drawn.parents[code])
        return found

    def _promise(self, codes: list[Code]) -> np.ndarray:
        """Return by how much a ridge regression on all values predicts more than their mean, `(n,)`."""
        labels, merits, _ = self._labels()
        known = self.points(labels)
        found: np.ndarray = (self.points(codes) - known.mean(0)) @ ridge(known, merits)
        return found
