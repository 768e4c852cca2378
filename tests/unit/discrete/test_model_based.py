"""Local search, BANANAS, NPENAS and BP: step by step, with pending and failed trials, through checkpoints."""

from __future__ import annotations

import random
from io import BytesIO
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from naslib.errors import ConfigError, OptimizerStateError
from naslib.evaluators import Evaluator
from naslib.history import Objective, Outcome, Trial
from naslib.optimizers import Bananas, BasePredictor, LocalSearch, Npenas
from naslib.optimizers.discrete.base import DiscreteOptimizer
from naslib.optimizers.discrete.model_based.candidates import Candidates
from naslib.optimizers.discrete.model_based.state import ModelState
from naslib.predictors.grid_gp import GridProcess
from naslib.search_spaces import NasBench201SearchSpace
from naslib.search_spaces.nasbench201.codec import NasBench201Codec

SPACE = NasBench201SearchSpace(channels=4, cells_per_stage=1)
CODEC = NasBench201Codec()
GP: dict[str, Any] = {"predictor_type": "grid_gp", "num_ensemble": 1, "encoding_type": "adjacency_one_hot"}
MODELS: list[tuple[type[DiscreteOptimizer], dict[str, Any]]] = [
    (Bananas, {**GP, "num_init": 4, "k": 3}),
    (Npenas, {**GP, "num_init": 4, "k": 3}),
    (BasePredictor, {**GP, "epochs": 20}),
]
ALL = [(LocalSearch, {"num_init": 3}), *MODELS]


def value_of(code: tuple[int, ...]) -> float:
    """A value with one optimum, six times op 4, and interactions of neighbouring genes."""
    return float(sum(code) + 2 * sum(a == b for a, b in pairwise(code)))


class Sum(Evaluator):
    objectives = (Objective("sum"),)
    fidelity = 1

    def evaluate(self, trial: Trial, should_stop: Any = None) -> Outcome:
        return Outcome((value_of(trial.code),))


def adapted(kind: type[DiscreteOptimizer], seed: int = 0, **kwargs: Any) -> Any:
    optimizer = kind(**kwargs)
    np.random.seed(seed)
    optimizer.adapt_search_space(SPACE, evaluator=Sum())
    return optimizer


def saved(optimizer: DiscreteOptimizer) -> Any:
    file = BytesIO()
    torch.save({name: part.state_dict() for name, part in optimizer.get_checkpointables().items()}, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def run(optimizer: DiscreteOptimizer, trials: int, workers: int = 1) -> list[tuple[tuple[int, ...], int | None]]:
    """Tell in the order of asking while `workers` trials are out; return what was asked for."""
    asked: list[tuple[tuple[int, ...], int | None]] = []
    while len(asked) < trials or optimizer.record.pending:
        room = max(0, min(workers - len(optimizer.record.pending), trials - len(asked)))
        new = optimizer.ask(room) if room else []
        asked += [(trial.code, trial.parent) for trial in new]
        first = optimizer.pending()[0]
        optimizer.tell(first, [value_of(first.code)])
    return asked


# local search


def test_local_search_is_the_climb_of_the_paper() -> None:
    """Against a climb written out here, which reads what was asked for and says what had to be."""
    optimizer = adapted(LocalSearch, num_init=5)
    asked = [code for code, _ in run(optimizer, 150)]
    seen, place = set(asked[:5]), 5
    best = max(asked[:5], key=value_of)
    climbs = 0
    while place < len(asked):
        around = [code for code in CODEC.neighbours(best) if code not in seen]
        now = asked[place : place + len(around)]
        assert set(now) <= set(around) and len(set(now)) == len(now)
        seen |= set(now)
        place += len(around)
        better = max([best, *now], key=value_of)
        if better != best:
            best = better
        elif place < len(asked):  # a local optimum: anew
            best, climbs = asked[place], climbs + 1
            seen.add(best)
            place += 1
    assert climbs >= 1 and optimizer.record.incumbent == (4, 4, 4, 4, 4, 4)


def test_parents_of_local_search_are_the_centres() -> None:
    optimizer = adapted(LocalSearch, num_init=5)
    asked = run(optimizer, 40)
    assert [parent for _, parent in asked[:5]] == [None] * 5
    centre = max(range(5), key=lambda place: value_of(asked[place][0]))
    assert {parent for _, parent in asked[5:29]} == {centre}


def test_local_search_waits_where_its_next_centre_is_not_known() -> None:
    optimizer = adapted(LocalSearch, num_init=3)
    first = optimizer.ask(10)
    assert len(first) == 3
    for trial in first:
        optimizer.tell(trial, [value_of(trial.code)])
    assert len(optimizer.ask(100)) == 24
    with pytest.raises(OptimizerStateError, match="waits"):
        optimizer.ask()


def test_local_search_goes_on_when_all_have_failed() -> None:
    optimizer = adapted(LocalSearch, num_init=2)
    for trial in optimizer.ask(2):
        optimizer.tell(trial, None)
    (trial,) = optimizer.ask(5)
    optimizer.tell(trial, None)
    (again,) = optimizer.ask(1)
    optimizer.tell(again, [value_of(again.code)])
    assert {trial.parent for trial in optimizer.ask(24)} == {again.number}


def test_the_first_better_neighbour_is_enough() -> None:
    optimizer = adapted(LocalSearch, num_init=1, query_until_improvement=True)
    asked = run(optimizer, 30)
    best, number = value_of(asked[0][0]), 0
    for place, (code, parent) in enumerate(asked[1:], start=1):
        assert parent in (number, None)
        if parent is None or value_of(code) > best:
            best, number = value_of(code), place


# searches with models


@pytest.mark.parametrize(("kind", "kwargs"), MODELS, ids=lambda value: getattr(value, "__name__", ""))
def test_nothing_is_asked_for_twice_and_better_is_found(kind: type[DiscreteOptimizer], kwargs: dict[str, Any]) -> None:
    optimizer = adapted(kind, **kwargs)
    asked = run(optimizer, 40)
    codes = [code for code, _ in asked]
    assert len(set(codes)) == 40
    first = np.mean([value_of(code) for code in codes[:4]])
    assert np.mean([value_of(code) for code in codes[-3:]]) > first + 2


def test_bp_is_fitted_once_to_all_that_is_random() -> None:
    optimizer = adapted(BasePredictor, epochs=172, **GP)
    assert (optimizer.num_init, optimizer.k, optimizer.test_size) == (152, 20, 344)
    asked = [code for code, _ in run(optimizer, 172)]
    assert optimizer.state.rounds == 1
    assert np.mean([value_of(code) for code in asked[152:]]) > np.mean([value_of(code) for code in asked[:152]]) + 4
    assert [BasePredictor(epochs=n).k for n in (1, 8, 9, 50, 100)] == [1, 1, 1, 5, 11]


def test_npenas_mutates_the_best() -> None:
    optimizer = adapted(Npenas, **GP, num_init=10, k=4, num_arches_to_mutate=2, num_candidates=40)
    asked = run(optimizer, 14)
    ranked = sorted(range(10), key=lambda place: -value_of(asked[place][0]))[:2]
    for code, parent in asked[10:]:
        assert parent in ranked
        assert sum(a != b for a, b in zip(code, asked[parent][0], strict=True)) == 1


@pytest.mark.parametrize("acquisition", ["its", "thompson", "ucb", "ei", "pi", "exploit_only"])
@pytest.mark.parametrize("source", ["mutation", "random_sampling", "local_search", "neighbours"])
def test_every_acquisition_with_every_source(acquisition: str, source: str) -> None:
    kwargs: dict[str, Any] = {**GP, "num_init": 3, "k": 4, "num_candidates": 20, "value_transform": "rank"}
    kwargs |= {"num_ensemble": 2} if acquisition == "thompson" else {}
    optimizer = adapted(Bananas, acq_fn_type=acquisition, acq_fn_optimization=source, **kwargs)
    asked = [code for code, _ in run(optimizer, 11)]
    assert len(set(asked)) == 11 and optimizer.state.rounds == 2


def test_a_round_does_not_ask_for_what_is_pending() -> None:
    optimizer = adapted(Bananas, **GP, num_init=4, k=2, acq_fn_type="exploit_only")
    for trial in optimizer.ask(4):
        optimizer.tell(trial, [value_of(trial.code)])
    out = optimizer.ask(8)  # four rounds with the same labels
    assert len({trial.code for trial in out}) == 8 and optimizer.state.rounds == 4
    for trial in reversed(out):
        optimizer.tell(trial, [value_of(trial.code)])
    assert len(optimizer.state.codes) == 12


def test_without_improvement_every_second_one_is_drawn() -> None:
    """The best value is the first one: with patience the search asks for others than without."""
    asked = []
    for patience in (None, 4, 1000):
        optimizer = adapted(Bananas, **GP, num_init=4, k=2, acq_fn_type="exploit_only", patience=patience)
        codes = []
        for number in range(16):
            (trial,) = optimizer.ask(1)
            codes.append(trial.code)
            optimizer.tell(trial, [100.0 if number == 0 else value_of(trial.code)])
        asked.append(codes)
        assert optimizer.state.since_best() == 15
    assert asked[0] == asked[2] and asked[1][:6] == asked[0][:6] and asked[1] != asked[0]


def test_a_model_needs_two_labels() -> None:
    optimizer = adapted(Bananas, **GP, num_init=2, k=2)
    first, second = optimizer.ask(5)
    optimizer.tell(first, [1.0])
    assert optimizer.ask(1) == []
    optimizer.tell(second, None)  # failed: one more is drawn at random
    (third,) = optimizer.ask(1)
    assert third.parent is None and optimizer.state.rounds == 0
    optimizer.tell(third, [2.0])
    assert len(optimizer.ask(2)) == 2 and optimizer.state.rounds == 1


def test_what_is_minimised_is_searched_downwards() -> None:
    class Down(Sum):
        objectives = (Objective("sum", maximize=False),)

    optimizer = Bananas(**GP, num_init=8, k=2, acq_fn_type="ei")
    np.random.seed(0)
    optimizer.adapt_search_space(SPACE, evaluator=Down())
    codes = [code for code, _ in run(optimizer, 40)]
    assert min(map(value_of, codes[8:])) < min(map(value_of, codes[:8]))
    assert optimizer.record.incumbent == min(codes, key=value_of)


def test_a_space_that_is_used_up_is_asked_for_again() -> None:
    class One(NasBench201Codec):
        def random(self, rng: random.Random) -> tuple[int, ...]:
            return (0,) * 6

        def mutate(self, code: tuple[int, ...], rng: random.Random) -> tuple[int, ...]:
            return (0,) * 6

    optimizer = adapted(Bananas, **GP, num_init=2, k=2)
    optimizer._codec = One()
    assert [code for code, _ in run(optimizer, 5)] == [(0,) * 6] * 5


# checkpoints


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize(("kind", "kwargs"), ALL, ids=lambda value: getattr(value, "__name__", ""))
def test_a_checkpoint_goes_on_bit_for_bit(kind: type[DiscreteOptimizer], kwargs: dict[str, Any], workers: int) -> None:
    whole = adapted(kind, **kwargs)
    run(whole, 11, workers)
    out = whole.ask(2)
    state = saved(whole)
    resumed = adapted(kind, seed=7, **kwargs)
    for name, part in resumed.get_checkpointables().items():
        part.load_state_dict(state[name])
    assert resumed.pending() == out == whole.pending()
    rest = [run(optimizer, 14, workers) for optimizer in (whole, resumed)]
    assert rest[0] == rest[1] and saved(whole) == saved(resumed)
    assert whole.record.trajectory == resumed.record.trajectory


# parts


def test_candidates_are_new_and_there_once() -> None:
    code = (0, 1, 2, 3, 4, 0)
    around = CODEC.neighbours(code)
    found = Candidates(CODEC, {around[0]: None}, random.Random(0))
    found.surround([(code, 5)], count=100, mutations=1)
    assert set(found.codes) == set(around) - {around[0]} and set(found.parents.values()) == {5}
    few = Candidates(CODEC, set(), random.Random(0))
    few.surround([(code, 5)], count=7, mutations=1)
    assert len(few) == 7 and set(few.codes) <= set(around)
    few.surround([(code, 5)], count=7, mutations=3)
    far = [sum(a != b for a, b in zip(other, code, strict=True)) for other in few.codes]
    assert max(far) in (2, 3) and len(few) > 14


def test_a_climb_ends_at_the_top_of_its_score() -> None:
    found = Candidates(CODEC, set(), random.Random(0))
    found.climb([((0, 1, 2, 3, 0, 1), None)], lambda codes: np.array([float(sum(code)) for code in codes]))
    assert (4, 4, 4, 4, 4, 4) in found.codes


def test_a_model_sees_the_best_and_the_newest() -> None:
    state = ModelState()
    state.codes = [(place,) for place in range(10)]
    state.merits = [9.0, 1.0, 8.0, 2.0, 3.0, 7.0, 0.0, 4.0, 5.0, 6.0]
    assert state.labels(10) == list(range(10))
    assert state.labels(4) == [0, 2, 8, 9]
    assert state.best(3) == [0, 2, 5]


def test_the_process_is_the_posterior_of_the_textbook() -> None:
    """Mean and variance by the inverse of the kernel matrix, evidence by its determinant, in float64."""
    rng = np.random.default_rng(0)
    rows, values, new = rng.standard_normal((12, 3)), rng.standard_normal(12), rng.standard_normal((5, 3))
    values -= values.mean()
    process = GridProcess(rows, values, lengths=(0.7, 1.5), noises=(0.01, 0.2))

    def kernel(a: Any, b: Any, length: float) -> Any:
        distances = np.array([[np.linalg.norm(x - y) for y in b] for x in a])
        scaled = np.sqrt(5) * distances / length
        return (1 + scaled + scaled**2 / 3) * np.exp(-scaled)

    between = [np.linalg.norm(rows[i] - rows[j]) for i in range(12) for j in range(i + 1, 12)]
    evidences = {}
    for length in (0.7, 1.5):
        for noise in (0.01, 0.2):
            noisy = kernel(rows, rows, length * np.median(between)) + noise * np.eye(12)
            scale = values @ np.linalg.inv(noisy) @ values / 12
            evidences[length, noise] = -0.5 * np.linalg.slogdet(scale * noisy)[1], scale, noisy
    best = max(evidences, key=lambda pair: evidences[pair][0])
    evidence, scale, noisy = evidences[best]
    assert (process.length, process.noise) == best
    assert process.evidence == pytest.approx(evidence, rel=1e-9) and process.scale == pytest.approx(scale, rel=1e-9)
    cross = kernel(new, rows, best[0] * np.median(between))
    mean, std = process.predict(new)
    assert mean == pytest.approx(cross @ np.linalg.inv(noisy) @ values, rel=1e-8)
    variance = scale * (1 - np.diag(cross @ np.linalg.inv(noisy) @ cross.T))
    assert std == pytest.approx(np.sqrt(variance), rel=1e-7)


QUICK, SLOW = ("bayes_lin_reg", "var_sparse_gp"), ("et", "gcn", "nao")


@pytest.mark.parametrize("predictor", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_predictors_by_name(predictor: str) -> None:
    """A model on rows of numbers with and without draws, the default, one on graphs, one behind a function."""
    asked = []
    for _ in range(2):
        optimizer = adapted(Bananas, predictor_type=predictor, num_init=6, k=3, num_ensemble=2, num_candidates=20)
        asked.append([code for code, _ in run(optimizer, 9)])
    assert asked[0] == asked[1] and len(set(asked[0])) == 9


def test_a_model_of_learning_curves_is_refused() -> None:
    with pytest.raises(ConfigError, match="'lce' reads learning curves"):
        adapted(Bananas, predictor_type="lce")


def test_bad_arguments_are_said() -> None:
    with pytest.raises(ConfigError, match="k must be at least 1, not 0"):
        Bananas(k=0)
    with pytest.raises(ConfigError, match="patience must be at least 1"):
        Bananas(patience=0)
    with pytest.raises(ConfigError, match="num_init must be"):
        LocalSearch(num_init=0)
    with pytest.raises(ConfigError, match="ei_calibration_factor must be above 0"):
        Bananas(ei_calibration_factor=0.0)
    with pytest.raises(ConfigError, match="did you mean 'grid_gp'"):
        adapted(Bananas, predictor_type="grid_pg")
    with pytest.raises(ConfigError, match="GridGP has no hyperparameter 'length'"):
        adapted(Bananas, **GP, predictor_args={"length": 1})
    with pytest.raises(ConfigError, match="epochs must be at least 1"):
        BasePredictor(epochs=0)
