"""BONAS: its numbers by hand, its candidates, several objectives, and a search that was killed."""

from __future__ import annotations

import math
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm

from naslib.errors import ConfigError, PredictorError
from naslib.history.pareto import ranks
from naslib.optimizers import BONAS
from naslib.optimizers.discrete.bonas.sampler import winner
from naslib.optimizers.discrete.model_based.acquisition import ei
from naslib.predictors import BonasPredictor
from naslib.predictors.linear import Evidence
from naslib.predictors.models.graph_networks import GlobalNodeNetwork
from naslib.search_spaces import NasBench201SearchSpace
from naslib.search_spaces.nasbench201.codec import NasBench201Codec
from naslib.utils.encodings import EncodingType
from tests.support.black_box import EveryKind, Scores, adapted, drive, restore, saved, values_of

SMALL: dict[str, Any] = {"num_init": 6, "k": 3, "num_candidates": 12, "predictor_epochs": 3}
CODEC = NasBench201Codec()


def codes_of(n: int, seed: int = 0) -> list[tuple[int, ...]]:
    rng = Random(seed)
    return [CODEC.random(rng) for _ in range(n)]


def fitted(n: int = 30) -> tuple[BonasPredictor, list[tuple[int, ...]], np.ndarray]:
    codes = codes_of(n)
    values = np.array([float(sum(code)) for code in codes])
    model = BonasPredictor(space=CODEC, epochs=5, seed=1)
    model.fit(codes, values.tolist())
    return model, codes, values


# numbers


def test_the_adjacency_has_loops_and_a_vertex_over_all_and_is_not_normalised() -> None:
    encoded = CODEC.encode_batch([(0, 1, 2, 3, 4, 2)], EncodingType.BONAS)
    adjacency = np.asarray(encoded["adjacency"])[0]
    assert adjacency[-1].tolist() == [1.0] * len(adjacency)  # the last vertex sees every other, and itself
    assert np.diag(adjacency).tolist() == [1.0] * len(adjacency)
    assert adjacency[:-1, -1].tolist() == [0.0] * (len(adjacency) - 1)  # and none sees it
    assert set(np.unique(adjacency)) == {0.0, 1.0}
    network = GlobalNodeNetwork(np.asarray(encoded["operations"]).shape[-1]).double().eval()
    features = torch.tensor(np.asarray(encoded["operations"]), dtype=torch.float64)
    by_hand = features[0]
    for layer, normed in zip(network.weights, network.norms, strict=True):
        mixed = torch.tensor(adjacency, dtype=torch.float64) @ by_hand @ layer.weight.T
        by_hand = torch.relu(mixed / math.sqrt(1 + normed.eps))  # statistics 0 and 1, scale 1, shift 0
    found = network.embed(features, torch.tensor(adjacency, dtype=torch.float64)[None])
    assert torch.allclose(found[0], by_hand[-1], atol=1e-12) and found.shape == (1, 64) and len(network.weights) == 4


def test_the_posterior_is_the_closed_form_and_the_precisions_a_fixed_point() -> None:
    model, codes, values = fitted()
    rows = model._embedded(model._inputs(codes))
    scaled = 0.05 + 0.9 * (values - values.min()) / np.ptp(values)
    targets = np.log(scaled / (1 - scaled))
    found = model.regression
    alpha, beta = found.alpha, found.beta
    kernel = beta * rows.T @ rows + alpha * np.eye(rows.shape[1])
    mean = beta * np.linalg.solve(kernel, rows.T @ targets)
    others = codes_of(20, seed=5)
    inputs = model._embedded(model._inputs(others))
    variance = np.einsum("nd,nd->n", inputs, np.linalg.solve(kernel, inputs.T).T) + 1 / beta
    logit, std = model.predict_logits(others)
    assert logit.dtype == np.float64
    np.testing.assert_allclose(logit, inputs @ mean, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(std, np.sqrt(variance), rtol=1e-6)
    np.testing.assert_allclose(model.logits_of(values), targets, rtol=1e-9, atol=1e-12)
    # gamma = d - alpha tr K^-1 of the eigenvalues, alpha = gamma / m m, 1 / beta = |y - Phi m|^2 / (n - gamma)
    again = Evidence(rows, targets, iterations=1000)
    kernel = again.beta * rows.T @ rows + again.alpha * np.eye(rows.shape[1])
    gamma = rows.shape[1] - again.alpha * np.trace(np.linalg.inv(kernel))
    assert again.alpha == pytest.approx(gamma / (again.mean @ again.mean), rel=1e-3)
    error = float(np.square(targets - rows @ again.mean).sum())
    assert again.beta == pytest.approx((len(codes) - gamma) / error, rel=1e-3)


def test_moments_are_integrals_of_the_sigmoid() -> None:
    model, _, values = fitted()
    others = codes_of(4, seed=6)
    logit, std = model.predict_logits(others)
    mean, deviation = model.predict(others)
    assert deviation is not None
    unit = np.ptp(values) / 0.9
    offset = values.min() - 0.05 * unit
    for place in range(4):
        m, s = logit[place], std[place]

        def integral(power: int, m: float = m, s: float = s) -> float:
            spread = (m - 12 * s, m + 12 * s)
            return float(quad(lambda z: norm.pdf(z, m, s) / (1 + math.exp(-z)) ** power, *spread, limit=400)[0])

        first, second = integral(1), integral(2)
        assert mean[place] == pytest.approx(offset + unit * first, rel=1e-6)
        assert deviation[place] == pytest.approx(unit * math.sqrt(second - first**2), rel=1e-4)


def test_expected_improvement_is_its_integral() -> None:
    means, stds, best = np.array([0.3, -1.0, 2.0]), np.array([0.5, 1.0, 0.2]), 0.7
    for value, mean, std in zip(ei(means, stds, best, 1.0), means, stds, strict=True):
        by_hand = quad(lambda y, mean=mean, std=std: (y - best) * norm.pdf(y, mean, std), best, mean + 12 * std + 2)[0]
        assert value == pytest.approx(by_hand, rel=1e-8)


def test_it_asks_for_what_the_acquisition_puts_first() -> None:
    for kind in ("ei", "ucb"):
        optimizer = adapted(BONAS, acq_fn_type=kind, explore_factor=2.0, **SMALL)
        drive(optimizer, 6)
        state, seen = optimizer.rng.getstate(), {}
        acquisition = optimizer._acquisition

        def watched(codes: Any, values: Any, candidates: Any, seen: Any = seen, acquisition: Any = acquisition) -> Any:
            scores = acquisition(codes, values, candidates)
            seen.update(zip(candidates, scores.tolist(), strict=True))
            return scores

        optimizer._acquisition = watched
        chosen = [code for code, _ in optimizer.next_round()]
        assert len(chosen) == 3 and len(seen) >= 12
        assert [seen[code] for code in chosen] == sorted(seen.values(), reverse=True)[:3]
        # the same model by hand
        optimizer.rng.setstate(state)
        candidates = list(optimizer._candidates().codes)
        assert candidates == list(seen)
        model = BonasPredictor(space=optimizer.graph, epochs=3, seed=optimizer.rng.getrandbits(31))
        labels = optimizer.state
        model.fit(labels.codes, labels.merits)
        mean, std = model.predict_logits(candidates) if kind == "ei" else model.predict(candidates)
        if kind == "ei":
            gain = mean - math.log(0.95 / 0.05)  # the best label is mapped to .95
            by_hand = std * (gain / std * norm.cdf(gain / std) + norm.pdf(gain / std))
        else:
            by_hand = mean + 2.0 * std
        np.testing.assert_allclose(list(seen.values()), by_hand, rtol=1e-9)


# candidates


def test_a_tournament_is_won_by_the_best_of_those_drawn() -> None:
    merits = np.arange(20.0)[:, None]
    wins = [winner(merits, 10, Random(seed)) for seed in range(4000)]
    assert min(wins) >= 9  # ten are drawn without replacement
    # the best is among them in half of the cases, the second best wins in 10/20 x 10/19
    assert np.mean([win == 19 for win in wins]) == pytest.approx(0.5, abs=0.03)
    assert np.mean([win == 18 for win in wins]) == pytest.approx(5 / 19, abs=0.03)
    assert winner(merits, 50, Random(0)) == 19
    both = np.array([[2.0, 0.0], [0.0, 2.0], [1.0, 1.0], [0.5, 0.5]])
    assert {winner(both, 4, Random(seed)) for seed in range(60)} == {0, 1, 2}


def test_candidates_are_neighbours_of_the_newest() -> None:
    optimizer = adapted(BONAS, **{**SMALL, "population_size": 4, "sample_size": 2, "num_init": 12})
    drive(optimizer, 12)
    codec, state = optimizer.codec, optimizer.state
    found = optimizer._candidates()
    newest = {state.numbers[place]: state.codes[place] for place in range(8, 12)}
    assert len(found) >= 12 and not set(found.codes) & set(state.seen)
    for code, parent in found.parents.items():
        assert code in codec.neighbours(newest[parent])
    random = adapted(BONAS, sampler="random", **SMALL)
    drive(random, 6)
    assert set(random._candidates().parents.values()) == {None}


# objectives


def test_with_two_objectives_it_asks_for_the_predicted_front() -> None:
    optimizer = adapted(BONAS, evaluator=Scores(2), **{**SMALL, "k": 4})
    drive(optimizer, 6)
    seen: list[np.ndarray] = []
    for name in ("_acquisition", "_further"):
        inner = getattr(optimizer, name)

        def watched(*given: Any, inner: Any = inner) -> Any:
            seen.append(inner(*given))
            return seen[-1]

        setattr(optimizer, name, watched)
    found = optimizer._candidates()
    optimizer._candidates = lambda: found
    chosen = [code for code, _ in optimizer.next_round()]
    merits, codes = np.stack(seen, axis=1), optimizer._candidates().codes
    rank = dict(zip(codes, ranks(merits).tolist(), strict=True))
    assert merits.shape == (len(codes), 2) and len(chosen) == 4
    assert sorted(rank[code] for code in chosen) == sorted(rank.values())[:4]
    assert optimizer.further.rows == [(-values_of(code)[1],) for code in optimizer.state.codes]


def test_parameters_of_a_table_are_exact() -> None:
    class Table:
        name = "table"

        def has(self, *args: Any, **kwargs: Any) -> bool:
            return True

        def query(self, code: Any, metric: Any, dataset: Any = None, epoch: int = -1, **kwargs: Any) -> float:
            return float(sum(code)) if metric.name == "VAL_ACCURACY" else 1.0 + code[0]

    optimizer = BONAS(objectives=["VAL_ACCURACY", "PARAMETERS"], **SMALL)
    np.random.seed(0)
    optimizer.adapt_search_space(NasBench201SearchSpace(channels=4, cells_per_stage=1), "cifar10", dataset_api=Table())
    for epoch in range(7):
        optimizer.new_epoch(epoch)
    others = codes_of(10, 9)
    exact = optimizer._further(0, optimizer.state.codes, np.zeros(7), others)
    assert exact.tolist() == [-(1.0 + code[0]) for code in others]
    assert len(optimizer.record.front) >= 1 and optimizer._size_of(0) is None


# the search


@pytest.mark.parametrize("n_objectives", [1, 2])
def test_a_killed_search_goes_on_as_it_would_have(n_objectives: int) -> None:
    def make(seed: int = 0) -> Any:
        return adapted(BONAS, seed=seed, evaluator=Scores(n_objectives, fail=(2,)), **SMALL)

    whole, killed = make(), make()
    drive(whole, 11, workers=2), drive(killed, 11, workers=2)
    resumed = make(seed=8)
    restore(resumed, saved(killed))
    assert drive(whole, 21, workers=2) == drive(resumed, 21, workers=2)
    assert whole.further.rows == resumed.further.rows and len(whole.further.rows) == 20


def test_codes_that_are_told_without_a_second_value_are_left_out_of_it() -> None:
    optimizer = adapted(BONAS, evaluator=Scores(2), **SMALL)
    for code in [(0, 0, 0, 0, 1, 0, 0, 0), (0, 1, 1, 0, 2, 1, 0, 0), (1, -1, 1, 1, 2, 0, 0, 1)]:
        optimizer.tell(code, 1.0)
    assert np.isnan(optimizer.further.rows).all()
    optimizer.state.asked = 6
    assert len(optimizer.next_round()) == 3


def test_numbers_follow_a_schedule_where_they_are_read() -> None:
    flat = {"schedule": "piecewise", "values": [3, 5], "milestones": [8]}
    optimizer = adapted(BONAS, **{**SMALL, "k": flat})
    sizes = []
    for epoch in range(20):
        optimizer.new_epoch(epoch)
        sizes.append(len(optimizer.state.queue))
    assert sizes[6:9] == [2, 1, 0] and sizes[9:14] == [4, 3, 2, 1, 0]
    with pytest.raises(ConfigError, match="only acq_fn_type: ucb reads it"):
        BONAS(explore_factor=flat)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"acq_fn_type": "pi"}, r"there is no 'pi'.*\(there are: ei, ucb, its\)"),
        ({"sampler": "evolution"}, r"search.sampler: there is no 'evolution'.*\(there are: ea, random\)"),
        ({"explore_factor": -1.0}, "explore_factor must not be below 0"),
        ({"k": 0, "sample_size": 0}, "k must be at least 1"),
        ({"preditor_epochs": 3}, "did you mean 'predictor_epochs'"),
    ],
)
def test_what_is_refused(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        BONAS(**keywords)


def test_what_is_refused_of_the_predictor() -> None:
    with pytest.raises(ConfigError, match="did you mean 'gcn_hidden'"):
        adapted(BONAS, predictor_args={"gcn_hiden": 8})
    with pytest.raises(PredictorError, match="has not been fitted"):
        BonasPredictor(space=EveryKind()).predict_logits([(0, 0, 0, 0, 1, 0, 0, 0)])
