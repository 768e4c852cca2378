"""Strategy: the four independent choices that make a MixedOp, and the relaxation they give.

Who is sampled, by which weights the sampled operations are summed, which operations are evaluated for the architecture
gradient, and how that gradient is estimated: most weight-sharing methods are one combination.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from naslib.errors import ConfigError, did_you_mean

from .estimators import RULES, gate_weights
from .relaxations import gumbel_noise
from .sampling import RANKINGS, Draw, deterministic_ranking, log_probability, membership, ranked

SAMPLERS = ("all", *RANKINGS)
FORWARDS = ("p", "sum", "sigmoid", "relaxed")
GRADIENTS = ("autodiff", *RULES, "reinforce")
# Samplers that draw from the softmax of the logits
STOCHASTIC = ("gumbel_top_k", "multinomial")


@dataclass(frozen=True)
class Strategy:
    """One choice on each of the four axes.

    Attributes:
        sampler: `"all"`, `"top_k"` (of the logits), `"gumbel_top_k"` or `"multinomial"` (without replacement from the
            softmax), `"uniform"`.
        n_on: How many operations run; all of them with the sampler `"all"`.
        forward: Weights of what runs: `"p"` (softmax of the logits), `"sum"` (each 1: a straight-through one-hot where
            one runs), `"sigmoid"`, `"relaxed"` (softmax of logits plus Gumbel noise at `tau`).
        n_eval: How many operations are evaluated for the gradient by gates, those that run included; None for all.
        gradient: `"autodiff"` (through the forward weights, of what runs), or by gates: `"gates"` (all evaluated),
            `"masked"`, `"masked_baseline"`, `"renormalized"`, `"straight_through"` (the scores get the gate gradients
            themselves, as if there were no softmax), `"moving_average"` (the gate rule of the MixedOps being a
            `MovingAverage`), or `"reinforce"`: none in the backward, but see `StrategyRelaxation.recording`.
        tau: Temperature > 0 of `"relaxed"`.

    Raises:
        ConfigError: For an unknown choice, or choices that contradict each other.
    """

    sampler: str = "gumbel_top_k"
    n_on: int = 1
    forward: str = "sum"
    n_eval: int | None = None
    gradient: str = "gates"
    tau: float = 1.0

    def __post_init__(self) -> None:
        problems = [
            f"{axis} must be one of {', '.join(known)}, not {value!r}{did_you_mean(value, known)}"
            for axis, value, known in (
                ("sampler", self.sampler, SAMPLERS),
                ("forward", self.forward, FORWARDS),
                ("gradient", self.gradient, GRADIENTS),
            )
            if value not in known
        ]
        if problems := [*problems, *self._contradictions()]:
            raise ConfigError(problems)

    def _contradictions(self) -> Iterator[str]:
        if self.n_on < 1:
            yield f"n_on must be at least 1, not {self.n_on}"
        if self.n_eval is not None and self.n_eval < self.n_on and self.sampler != "all":
            yield f"n_eval ({self.n_eval}) must not be smaller than n_on ({self.n_on}): what runs is evaluated"
        if self.n_eval is not None and self.gradient == "gates" and self.sampler != "all":
            yield "gradient 'gates' evaluates all operations; leave out n_eval, or take 'masked_baseline'"
        if self.n_eval == 1 and self.gradient in ("masked_baseline", "renormalized") and self.sampler != "all":
            yield f"gradient {self.gradient!r} compares what is evaluated: n_eval must be larger than 1"
        if self.gradient == "autodiff" and self.forward == "sum":
            yield "gradient 'autodiff' needs forward weights that depend on the logits, not 'sum'"
        if self.gradient in RULES and self.forward in ("sigmoid", "relaxed"):
            yield f"gradient {self.gradient!r} is that of a softmax; forward {self.forward!r} takes 'autodiff'"
        if self.gradient == "reinforce" and (self.sampler not in STOCHASTIC or self.forward != "sum"):
            yield f"gradient 'reinforce' needs sampler {' or '.join(map(repr, STOCHASTIC))} and forward 'sum'"
        if not self.tau > 0:
            yield f"tau must be positive, got {self.tau}"

    def check_width(self, n_ops: int) -> None:
        """Raise `ConfigError` if a decision of `n_ops` candidates is too small for this strategy."""
        if self.sampler != "all" and self.n_on > n_ops:
            raise ConfigError(f"{self.n_on} operations are to run, but there are {n_ops} candidates")


class StrategyRelaxation:
    """Relax or draw decisions by a strategy; in evaluation the most likely operations run.

    Args:
        strategy: The choices.

    Attributes:
        masks: By number of candidates, `(n_decisions, n_ops)` booleans: what the last draw evaluated.
    """

    def __init__(self, strategy: Strategy) -> None:
        self.strategy = strategy
        self.masks: dict[int, Tensor] = {}
        self._record: list[Tensor] | None = None

    @contextmanager
    def recording(self) -> Iterator[list[Tensor]]:
        """Collect the log probabilities, `(n_decisions,)` with a graph, of what is drawn inside."""
        record: list[Tensor] = []
        before, self._record = self._record, record
        try:
            yield record
        finally:
            self._record = before

    def __call__(self, logits: Tensor, training: bool) -> Sequence[Any]:
        """Return one row of weights, or one `Draw`, per decision.

        Args:
            logits: `(n_decisions, n_ops)`.
            training: Whether to sample.
        """
        strategy = self.strategy
        if strategy.sampler == "all" and strategy.gradient == "autodiff":
            return self._weights(logits, training).unbind(0)
        return self._draw(logits, training)

    def _weights(self, logits: Tensor, training: bool, keys: Tensor | None = None) -> Tensor:
        """Return the weights of all operations as if all of them ran.

        Args:
            logits: `(n_decisions, n_ops)`.
            training: Whether there is noise.
            keys: Log probabilities with the noise by which operations were drawn; the relaxed sample is then of it.
        """
        forward = self.strategy.forward
        if forward == "sum":
            return torch.ones_like(logits)
        if forward == "sigmoid":
            return torch.sigmoid(logits)
        if forward == "relaxed" and training:
            log_p = F.log_softmax(logits, dim=-1)
            noise = gumbel_noise(logits) if keys is None else keys - log_p.detach()
            logits = (log_p + noise) / self.strategy.tau
        return F.softmax(logits, dim=-1)

    def _draw(self, logits: Tensor, training: bool) -> list[Draw]:
        strategy, n_ops = self.strategy, logits.shape[-1]
        strategy.check_width(n_ops)
        is_all = strategy.sampler == "all"
        n_on = n_ops if is_all else strategy.n_on
        n_eval = n_ops if strategy.n_eval is None or is_all else min(n_ops, strategy.n_eval)
        samples = training and not is_all
        keys = (RANKINGS[strategy.sampler] if samples else deterministic_ranking)(logits.detach())
        order = ranked(keys, n_eval)
        mask = self.masks[n_ops] = membership(order, n_ops)
        if self._record is not None and samples:
            self._record.append(log_probability(logits, order[:, :n_on]))
        weights = self._weights(logits, training, keys if samples and strategy.sampler in STOCHASTIC else None)
        by_gates = strategy.gradient in RULES
        if by_gates:
            weights = gate_weights(logits, weights.detach(), mask, RULES[strategy.gradient])
        elif strategy.gradient == "reinforce":
            weights = weights.detach()
        needs_gates = weights.requires_grad and by_gates
        unit = strategy.forward == "sum"
        draws = []
        for indices, row in zip(order.tolist(), weights.unbind(0), strict=True):
            on = tuple(sorted(indices[:n_on]))
            draws.append(Draw(on, row, tuple(sorted(indices[n_on:])) if needs_gates else (), unit))
        return draws
