"""ProxyEvaluator: values by zero-cost proxies of the untrained network."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import islice
from random import Random
from typing import Any

import numpy as np
import torch

from naslib.errors import ConfigError, DataError, NASLibError, PredictorError, TrialFailed
from naslib.history import Objective, Outcome, Trial
from naslib.predictors.proxies import ProxyScorer, placed
from naslib.search_spaces.core.flops import count_macs
from naslib.search_spaces.core.graph import Graph
from naslib.tasks import Classification, Task
from naslib.training.randomness import LoaderState
from naslib.training.sources import ReplayedSource, SeededSource, is_seeded
from naslib.utils.meters import count_parameters_in_MB
from naslib.utils.seeding import derive_seed, rng_restore, rng_snapshot, set_seed

from .base import Evaluator, ShouldStop, choose_objectives, never
from .train import TrainingOfTrials

_VOTE = "vote"
_ALIASES = {"PARAMETERS": "params"}


class ProxyEvaluator(Evaluator):
    """Score architectures by proxies of their fresh networks; nothing is trained, all trials have the same fidelity.

    One proxy is its own value, in its own direction. Several are a vote (`az_nas` is four): the mean over proxies of
    `log(place)`, where the place of a value, in (0, 1), is among those of `sample` architectures drawn from the seed of
    the run; beyond them it goes on growing (`naslib.predictors.proxies.placed`). So a value is a function of the trial
    alone, not of the trials before, and one bad score cannot be made up for by others.

    Args:
        space: The search space; not changed.
        train: Batches that proxies look at: the first ones of epoch 0.
        valid: Of no effect.
        how: Device and memory format.
        task: What learning means; classification if None.
        objectives: Names of proxies that are asked for, `vote`, and `params` and `flops` of the network in millions;
            the proxy if there is one, else `vote`, if None.
        seed: Of the sample, and of trials that have none of their own.
        proxy: A proxy by name, or several.
        batches: How many training batches a proxy sees: all but `zico` use the first. None: two for `zico`, else one.
        sample: Architectures that a vote is among.
        network_args: Arguments of the space's `evaluation_network`, for networks of another size.
        options: Keywords of proxies, by proxy.

    Raises:
        ConfigError: For unknown proxies, options or objectives.
        DataError: If there are fewer batches.
    """

    fidelity = 0
    is_timed = True
    own_costs = ("params", "parameters", "flops")

    def __init__(
        self,
        space: Graph,
        train: Any,
        valid: Any = None,
        how: TrainingOfTrials | None = None,
        task: Task | None = None,
        objectives: Sequence[str] | None = None,
        seed: int = 0,
        *,
        proxy: str | list[str] = "synflow",
        batches: int | None = None,
        sample: int = 32,
        network_args: dict[str, Any] | None = None,
        options: dict[str, Any] | None = None,
    ) -> None:
        names = [proxy] if isinstance(proxy, str) else list(proxy)
        n_batches = batches if batches is not None else (2 if "zico" in names else 1)
        if n_batches < 1:
            raise ConfigError(f"search.evaluator_args.batches must be at least 1, not {batches}")
        if sample < 2:
            raise ConfigError(f"search.evaluator_args.sample must be at least 2, not {sample}")
        self.how = how = how if how is not None else TrainingOfTrials()
        self.task = (task if task is not None else Classification()).plain()
        self.seed, self.sample_size, self.n_batches, self._space = seed, sample, n_batches, space
        device = torch.device(how.device)
        try:
            self.scorer = ProxyScorer(
                space, self.task, None, names, network_args=network_args, options=options, device=device
            )
        except ConfigError as error:
            raise ConfigError([f"search.evaluator_args: {problem}" for problem in error.problems]) from error
        self.scorer.batch = _first_batches(train, n_batches, seed)
        if len(self.scorer.batch) < n_batches:
            raise DataError(
                f"search.evaluator_args.batches: {n_batches} are asked for, and the training part has "
                f"{len(self.scorer.batch)} of this size"
            )
        self._shape = self.task.shape_of(self.task.to_device(self.scorer.batch[0], torch.device("cpu")))
        self.votes = len(self.scorer.maximize) > 1
        self.objectives = choose_objectives(objectives, self._known(), _ALIASES)
        self._sample: np.ndarray | None = None

    def _known(self) -> dict[str, Objective]:
        """Return what can be measured, what decides by default first."""
        own = [
            Objective(name, larger, "") for name, larger in zip(self.scorer.parts, self.scorer.maximize, strict=True)
        ]
        sizes = [Objective("params", False, "M"), Objective("flops", False, "M")]
        vote = [Objective(_VOTE, True, "")] if self.votes else []
        known = {objective.name: objective for objective in (*vote, *own)}
        return {**known, **{size.name: size for size in sizes if size.name not in known}}

    def check(self, code: tuple[int, ...]) -> None:
        """Raise now if a proxy makes no sense for this space, task and data, rather than fail all trials.

        An architecture that is merely degenerate is passed over: the proxy is tried on up to four.

        Raises:
            ConfigError: If no architecture has the proxy; the message says why.
        """
        reasons = []
        for candidate in (code, *self._drawn(3)):
            try:
                self._scores(candidate, self.seed)
                return
            except TypeError as error:
                raise ConfigError(f"search.evaluator_args.network_args do not fit the space: {error}") from error
            except (PredictorError, RuntimeError) as error:
                if isinstance(error, NASLibError) and not isinstance(error, PredictorError):
                    raise
                reasons.append(str(error))
        raise ConfigError(f"search.evaluator_args.proxy: {reasons[0]}")

    def evaluate(self, trial: Trial, should_stop: ShouldStop = never) -> Outcome:
        """Score an architecture; the global generators are left as they were.

        Raises:
            TrialFailed: If a proxy is not defined for its network (all `none`, say).
        """
        started = time.perf_counter()
        seed = trial.seed if trial.seed is not None else derive_seed(self.seed, "trial", trial.number)
        try:
            scores = self._scores(trial.code, seed)
        except PredictorError as error:
            raise TrialFailed(str(error)) from error
        found: dict[str, float] = dict(scores)
        if self.votes:
            found[_VOTE] = self._vote(list(scores.values()))
        wanted = {objective.name for objective in self.objectives}
        network = self.scorer.network(trial.code, seed) if wanted & {"params", "flops"} - found.keys() else None
        if network is not None and "params" not in found:
            found["params"] = count_parameters_in_MB(network)
        if network is not None and "flops" in wanted and "flops" not in found:
            found["flops"] = count_macs(network, self._shape)
        values = tuple(float(found[objective.name]) for objective in self.objectives)
        return Outcome(values, time.perf_counter() - started, found)

    def _scores(self, code: Any, seed: int) -> dict[str, float]:
        return self.scorer.scores(code, seed)

    def _vote(self, scores: Sequence[float]) -> float:
        """Return the mean logarithm of the places of scores among the sample."""
        sample = self._reference()
        signs = [1.0 if larger else -1.0 for larger in self.scorer.maximize]
        columns = zip(scores, signs, sample.T, strict=True)
        places = [placed(sign * score, sign * column[np.isfinite(column)]) for score, sign, column in columns]
        return float(np.mean(np.log(places)))

    def _reference(self) -> np.ndarray:
        """Return the scores of the sample, `(sample, scores)`; architectures that have none are left out.

        Raises:
            TrialFailed: If fewer than two have.
        """
        if self._sample is None:
            rows = []
            for number, code in enumerate(self._drawn(self.sample_size)):
                try:
                    rows.append(list(self._scores(code, derive_seed(self.seed, "sample", number)).values()))
                except PredictorError:
                    continue
            if len(rows) < 2:
                raise TrialFailed(f"{len(rows)} of {self.sample_size} architectures drawn have all proxies of the vote")
            self._sample = np.asarray(rows, dtype=np.float64)
        return self._sample

    def _drawn(self, n: int) -> list[tuple[int, ...]]:
        """Return architectures drawn from the seed of the run."""
        codec = self._space._codec()
        return [codec.random(Random(derive_seed(self.seed, "drawn", number))) for number in range(n)]

    def describe(self) -> dict[str, Any]:
        """Return what must be the same for values to be of the same evaluator."""
        scorer = self.scorer
        own: dict[str, Any] = {"proxy": scorer.names, "batches": self.n_batches, "options": scorer.options}
        own |= {"network_args": scorer.network_args, "task": repr(self.task)}
        return {**super().describe(), **own, **({"sample": self.sample_size} if self.votes else {})}


def _first_batches(train: Any, n: int, seed: int) -> list[Any]:
    """Return the first n batches of epoch 0, fewer where there are fewer, the same ones whenever it is asked.

    Loader and generators stay as they were.
    """
    before, state = rng_snapshot(), LoaderState(train)
    opening = state.capture()
    set_seed(derive_seed(seed, "batches"))
    try:
        source = SeededSource(train) if is_seeded(train) else ReplayedSource(train, "training")
        return list(islice(source.open(0, 0, None), n))
    finally:
        state.restore(opening)
        rng_restore(before)
