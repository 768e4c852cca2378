"""SequenceSearch: train a controller on what was told, and move the best architectures along its gradient."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np
from torch import Tensor

from naslib.errors import ConfigError
from naslib.optimizers.core.metaclasses import Stateful
from naslib.optimizers.discrete.model_based.candidates import Parent
from naslib.optimizers.discrete.model_based.rounds import SearchInRounds, check_counts
from naslib.search_spaces.core.codec import Code

from .controller import SequenceController
from .writing import Writing


class SequenceSearch(SearchInRounds):
    """In each round, train an encoder-predictor-decoder and decode what lies uphill of the best architectures.

    The encoder outputs H of the best `num_seeds` architectures move to `normalise(H + eta df/dH)`, f what is predicted,
    and are decoded greedily. eta is 1, 2, 3 ... until `surplus * k` architectures were written that are of the space
    and were not asked for, or `max_step` is reached; of more than k, those with the largest predictions are asked for,
    and random ones fill a round of fewer. The weights go on from round to round unless `carry_over` is false.

    Args:
        num_init: Random architectures before the first round.
        k: Architectures in a round.
        num_seeds: How many of the best architectures are moved.
        max_step: The largest eta.
        surplus: How many times k architectures are written, of which the best k by prediction are asked for; 1 takes
            the first k, as in the papers.
        spellings: Sequences that stand for an architecture in training, drawn anew in each epoch, where the space has
            several (`Writing`); 1 for the canonical one alone.
        trade_off: Share of the squared error in the loss, in [0, 1].
        controller_epochs: Passes over the labels in a round.
        first_epochs: Passes in the first round, and in every one where the weights do not go on.
        controller_batch_size: Sequences per step.
        controller_learning_rate: Of Adam.
        hidden_size: Features of encoder and decoder.
        mlp_size: Width of the predictor's layer.
        dropout: Of embeddings and predictor, in [0, 1).
        carry_over: Whether a round goes on with the weights of the last.
        **kwargs: See `SearchInRounds`.

    Attributes:
        controller: The network, once a space was adapted.
        writing: How architectures are written.

    Raises:
        ConfigError: For an unknown keyword, or a number out of its range.
        UnsupportedBySpaceError: For a space that does not state its decisions.
    """

    SCHEDULABLE = dict.fromkeys(
        ("k", "num_seeds", "max_step", "surplus", "spellings", "controller_epochs", "max_labels"), ""
    )
    # Whether values are in (0, 1), by a sigmoid
    IS_BOUNDED = False

    def __init__(
        self,
        *,
        num_init: int = 50,
        k: int = 10,
        num_seeds: int = 10,
        max_step: int = 100,
        surplus: int = 1,
        spellings: int = 8,
        trade_off: float = 0.8,
        controller_epochs: int = 40,
        first_epochs: int = 500,
        controller_batch_size: int = 25,
        controller_learning_rate: float = 4e-3,
        hidden_size: int = 32,
        mlp_size: int = 16,
        dropout: float = 0.1,
        carry_over: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_init=num_init, **kwargs)
        check_counts(
            k=k,
            num_seeds=num_seeds,
            max_step=max_step,
            surplus=surplus,
            spellings=spellings,
            controller_epochs=controller_epochs,
            first_epochs=first_epochs,
            controller_batch_size=controller_batch_size,
            hidden_size=hidden_size,
            mlp_size=mlp_size,
        )
        if not 0 <= trade_off <= 1 or not 0 <= dropout < 1 or not controller_learning_rate > 0:
            raise ConfigError(
                "trade_off must be in [0, 1], dropout in [0, 1) and controller_learning_rate above 0, not "
                f"{trade_off:g}, {dropout:g} and {controller_learning_rate:g}"
            )
        self.k, self.num_seeds, self.max_step, self.surplus = k, num_seeds, max_step, surplus
        self.spellings, self.carry_over = spellings, carry_over
        self.controller_epochs, self.first_epochs = controller_epochs, first_epochs
        self._made_of: dict[str, Any] = {
            "hidden": hidden_size,
            "mlp": mlp_size,
            "dropout": dropout,
            "learning_rate": controller_learning_rate,
            "batch_size": controller_batch_size,
            "trade_off": trade_off,
        }
        self.writing: Writing | None = None
        self.controller: SequenceController | None = None

    def unscheduled(self, name: str) -> str:
        """Return why a keyword cannot follow a schedule; see the parent."""
        if name == "controller_epochs" and not self.carry_over:
            return "only carry_over: true reads it, every round has first_epochs otherwise"
        return super().unscheduled(name)

    @abstractmethod
    def targets(self, values: np.ndarray) -> np.ndarray:
        """Return what the controller learns in place of values `(n,)`, larger being better in both."""

    @abstractmethod
    def learn(self, codes: Sequence[Code], targets: np.ndarray) -> list[tuple[Code, float]]:
        """Train the controller on architectures with targets `(n,)`.

        Returns:
            Further architectures that may be moved, with targets of the controller's own.
        """

    def next_round(self) -> list[Parent]:
        """Train, move the best architectures, and return what they become."""
        state, (writing, controller) = self.state, self.parts()
        places = state.labels(self.max_labels)
        codes = [state.codes[place] for place in places]
        targets = self.targets(np.array([state.merits[place] for place in places]))
        if not self.carry_over:
            controller.forget()
        others = self.learn(codes, targets)
        number_of = {code: state.numbers[place] for code, place in zip(codes, places, strict=True)}
        known = sorted([*zip(codes, targets.tolist(), strict=True), *others], key=lambda pair: -pair[1])
        seeds = list(dict.fromkeys(code for code, _ in known))[: self.num_seeds]
        tokens, found, wanted = writing.write(seeds), self.new_candidates(), self.surplus * self.k
        for step in range(1, self.max_step + 1):
            for seed, code in zip(seeds, writing.read(controller.moved(tokens, float(step))), strict=True):
                if code is not None and len(found) < wanted:
                    found.add(code, number_of.get(seed))
            if len(found) >= wanted:
                break
        order = np.arange(len(found))
        if len(found) > self.k:
            order = np.argsort(-controller.values(writing.write(found.codes)), kind="stable")
        return self.filled(found.first(order, self.k), self.k)

    def epochs_of_round(self) -> int:
        """Return the passes over the labels of this round: more where the controller begins."""
        return self.first_epochs if self.parts()[1].model is None else self.controller_epochs

    def spelled(self, codes: Sequence[Code], copies: int) -> list[Tensor]:
        """Return the sequences of n architectures, `(n, l)` each: in the canonical spelling, and in drawn ones."""
        writing, _ = self.parts()
        rng = Random(self.rng.getrandbits(63))
        return [writing.write(codes), *(writing.write(codes, rng) for _ in range(copies - 1))]

    def parts(self) -> tuple[Writing, SequenceController]:
        """Return writing and controller of the adapted space."""
        if self.writing is None or self.controller is None:
            self.writing = Writing(self.codec)
            self.controller = SequenceController(self.writing.allowed, is_bounded=self.IS_BOUNDED, **self._made_of)
        return self.writing, self.controller

    def adapted(self) -> None:
        """Make writing and controller, so that what a space lacks is said before the search."""
        self.writing = self.controller = None
        self.parts()

    def get_checkpointables(self) -> dict[str, Stateful]:
        """Return everything stateful by name; the weights beside what rounds need."""
        found = super().get_checkpointables()
        return found if self.controller is None else {**found, "controller": self.controller}
