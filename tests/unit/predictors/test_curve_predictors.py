"""Predictors that look at learning curves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from data_files import data_file

from naslib.errors import ConfigError, PredictorError
from naslib.predictors import PREDICTORS
from naslib.predictors.curves import EarlyStopping, LCEMPredictor, LCEPredictor, SoLosspredictor, SVR_Estimator
from naslib.predictors.curves.mixture import CurveMixture, sample_ends, stretch
from naslib.predictors.curves.parametric import FUNCTIONS
from naslib.predictors.measures import spearman
from naslib.search_spaces.core.query_metrics import Metric
from naslib.search_spaces.nasbench201.codec import NasBench201Codec

CODES = [(0, 1, 2, 3, 4, 0), (2, 2, 2, 2, 2, 2), (1, 1, 1, 1, 1, 1)]
ACCURACIES = [[50.0, 60.0, 70.0], [40.0, 65.0, 80.0], [10.0, 10.0, 10.0]]
LOSSES = [[2.0, 1.0, 0.5], [3.0, 1.0, 0.25], [2.5, 2.5, 2.5]]
NAMES = ("valacc", "valloss", "sotl", "sotle", "lce", "lce_m", "lcsvr")


def test_the_last_value_that_was_seen():
    np.testing.assert_array_equal(PREDICTORS.build("valacc").query(CODES, ACCURACIES), [70, 80, 10])
    np.testing.assert_array_equal(PREDICTORS.build("valloss").query(CODES, LOSSES), [-0.5, -0.25, -2.5])


def test_sums_of_losses():
    np.testing.assert_allclose(PREDICTORS.build("sotl").query(CODES, LOSSES), [-3.5, -4.25, -7.5])
    np.testing.assert_allclose(PREDICTORS.build("sotle").query(CODES, LOSSES), [-0.5, -0.25, -2.5])
    np.testing.assert_allclose(PREDICTORS.build("sotle", epochs=2).query(CODES, LOSSES), [-1.5, -1.25, -5])
    fading = SoLosspredictor(sum_option="SoTLEMA", decay=0.5).query(CODES, LOSSES)
    np.testing.assert_allclose(fading, [-(0.5 + 0.5 + 0.5), -(0.75 + 0.5 + 0.25), -(0.625 + 1.25 + 2.5)])
    np.testing.assert_allclose(PREDICTORS.build("sotl", metric="val_accuracy").query(CODES, ACCURACIES), [180, 185, 30])


def test_curves_come_as_the_evaluator_of_naslib_passes_them():
    info = [{"lc": curve} for curve in ACCURACIES]
    np.testing.assert_array_equal(EarlyStopping("val_accuracy").query(CODES, info), [70, 80, 10])
    both = [{"VAL_ACCURACY_lc": a, "TRAIN_LOSS_lc": b} for a, b in zip(ACCURACIES, LOSSES, strict=True)]
    np.testing.assert_array_equal(EarlyStopping(Metric.VAL_ACCURACY).query(CODES, both), [70, 80, 10])
    np.testing.assert_array_equal(EarlyStopping(Metric.TRAIN_LOSS).query(CODES, both), [-0.5, -0.25, -2.5])


@pytest.mark.parametrize("name", NAMES)
def test_what_they_must_be_given(name: str):
    predictor = PREDICTORS.build(name)
    wanted = predictor.get_data_reqs()
    assert wanted["requires_partial_lc"] is True and wanted["metric"] is predictor.metric is predictor.get_metric()
    expected = {"valloss": Metric.VAL_LOSS, "sotl": Metric.TRAIN_LOSS, "sotle": Metric.TRAIN_LOSS}
    assert wanted["metric"] is expected.get(name, Metric.VAL_ACCURACY)
    predictor.is_fitted = True
    if name.startswith("lce"):
        predictor.final_epoch = 10
    with pytest.raises(PredictorError, match="needs info"):
        predictor.query(CODES)
    with pytest.raises(PredictorError, match="3 architectures and 2 curves"):
        predictor.query(CODES, LOSSES[:2])
    with pytest.raises(PredictorError, match="curve 1 is not finite"):
        predictor.query(CODES, [[1.0], [math.nan], [2.0]])
    with pytest.raises(PredictorError, match="curve 1 is empty"):
        predictor.query(CODES, [[1.0], [], [2.0]])
    with pytest.raises(PredictorError, match=r"info 0 has no .* \(it has: accuracy\)"):
        predictor.query(CODES, [{"accuracy": 1}] * 3)
    with pytest.raises(PredictorError, match="have 1 to 2"):
        predictor.query(CODES, [[1.0], [1.0, 2.0], [2.0]])


def test_they_need_no_training_but_take_one():
    predictor = EarlyStopping()
    predictor.fit(CODES, [90, 91, 10], ACCURACIES)
    np.testing.assert_array_equal(predictor.predict(CODES, ACCURACIES)[0], [70, 80, 10])
    assert predictor.predict(CODES, ACCURACIES)[1] is None
    with pytest.raises(PredictorError, match="has not been fitted"):
        SVR_Estimator().query(CODES, ACCURACIES)


def test_extrapolation_goes_to_the_end_of_the_training():
    x = np.arange(1, 31)
    curves = [100 * (top - 0.5 * x**-0.8) for top in (0.6, 0.8, 0.95)]
    predictor = LCEPredictor(final_epoch=200)
    mean, std = predictor.predict(CODES, curves)
    ends = np.array([100 * (top - 0.5 * 200**-0.8) for top in (0.6, 0.8, 0.95)])
    assert np.abs(mean - ends).max() < 3 and (std > 0.1).all() and (std < 10).all()
    losses = [1 - curve / 100 for curve in curves]
    falling = LCEPredictor(Metric.VAL_LOSS, final_epoch=200).query(CODES, losses)
    assert np.abs(falling - (ends / 100 - 1)).max() < 0.05  # minus the loss: larger is better


def test_the_length_of_a_training_is_known_of_a_space_or_said():
    with pytest.raises(ConfigError, match=r"of an unknown space: give final_epoch=.*nasbench201 200"):
        LCEPredictor().query(CODES, ACCURACIES)
    predictor = LCEPredictor(space=NasBench201Codec())
    np.testing.assert_allclose(
        predictor.query(CODES, ACCURACIES), LCEPredictor(final_epoch=200).query(CODES, ACCURACIES)
    )
    with pytest.raises(PredictorError, match="values are between 0 and 100"):
        predictor.query(CODES, [[101.0, 102.0]] * 3)


def test_the_sampler_draws_from_a_known_density():
    """A normal in three dimensions with correlations: mean and covariance of the draws."""
    mean, root = np.array([1.0, -2.0, 0.5]), np.array([[1.0, 0, 0], [0.8, 0.5, 0], [-0.3, 0.2, 2.0]])
    precision = np.linalg.inv(root @ root.T)

    def log_density(states: np.ndarray) -> np.ndarray:
        away = states - mean
        return -0.5 * np.einsum("nwd,de,nwe->nw", away, precision, away)

    rng = np.random.default_rng(0)
    states = rng.normal(size=(4, 60, 3))
    densities = log_density(states)
    kept = []
    for step in range(700):
        states, densities = stretch(log_density, states, densities, rng)
        if step >= 100:
            kept.append(states.reshape(-1, 3))
    np.testing.assert_allclose(densities, log_density(states), rtol=1e-12)
    draws = np.concatenate(kept)
    np.testing.assert_allclose(draws.mean(0), mean, atol=0.06)
    np.testing.assert_allclose(np.cov(draws.T), root @ root.T, atol=0.25)


def test_the_posterior_of_the_mixture_is_the_formula():
    curves = np.array([[0.3, 0.5, 0.6, 0.65]])
    mixture = CurveMixture(curves, 10, functions=[FUNCTIONS[1], FUNCTIONS[10]])  # pow3 and ilog2
    state = np.array([0.6, 0.4, 0.8, 0.5, 0.7, 0.9, 0.4, math.log(0.05)])

    def at(x: float) -> float:
        return 0.6 * (0.8 - 0.5 * x**-0.7) + 0.4 * (0.9 - 0.4 / math.log(x + 1))

    squared = sum((y - at(x)) ** 2 for x, y in enumerate(curves[0], 1))
    wanted = -4 * math.log(0.05) - squared / (2 * 0.05**2)
    found = mixture.log_posterior(state[None, None])
    assert found.shape == (1, 1) and found[0, 0] == pytest.approx(wanted, rel=1e-12)
    too_high, falling, outside = state.copy(), state.copy(), state.copy()
    too_high[2:6:3] = [1.0, 2.0]
    too_high[0] = 1.0
    falling[[3, 6]] = 0.0
    outside[0] = -0.1
    assert (mixture.log_posterior(np.stack([too_high, falling, outside])[None]) < -1e299).all()


def test_a_posterior_finds_the_end():
    x = np.arange(1, 26)
    curves = np.stack([0.8 - 0.5 * x**-0.8, np.full(25, 0.1)])
    mean, std = sample_ends(curves, 100, walkers=40, burn_in=60, steps=40, functions=FUNCTIONS[:5])
    assert mean[0] == pytest.approx(0.8 - 0.5 * 100**-0.8, abs=0.03) and 0 < std[0] < 0.1
    assert mean[1] == 0.1 and std[1] == pytest.approx(0, abs=1e-12)  # a network that does not learn
    alone, _ = sample_ends(curves[:1], 100, walkers=40, burn_in=60, steps=40, functions=FUNCTIONS[:5])
    assert alone[0] == mean[0]
    np.testing.assert_array_equal(sample_ends(curves, 25)[0], curves[:, -1])


def test_lce_m_is_a_function_of_its_seed():
    x = np.arange(1, 11)
    info = [100 * (0.8 - 0.5 * x**-0.8)] * 3
    settings = {"final_epoch": 50, "walkers": 20, "burn_in": 10, "steps": 10}
    first, again = (LCEMPredictor(seed=1, **settings).predict(CODES, info) for _ in range(2))
    np.testing.assert_array_equal(first[0], again[0])
    assert LCEMPredictor(seed=2, **settings).query(CODES, info)[0] != first[0][0]
    assert (first[1] > 0).all() and abs(first[0][0] - 78) < 8
    with pytest.raises(ConfigError, match="even number from 4 on"):
        LCEMPredictor(walkers=5)


def test_svr_learns_from_curves_numbers_and_architectures():
    rng = np.random.default_rng(0)
    x = np.arange(1, 9)
    codec = NasBench201Codec()
    codes = [codec.from_decisions(tuple(rng.integers(0, 5, 6).tolist())) for _ in range(60)]
    gains, params = rng.uniform(0, 20, 60), rng.uniform(0, 3, 60)
    finals = 60 + gains + 5 * params
    info = [
        {"lc": 60 + gain - 20 * x**-0.5 + rng.normal(0, 0.1, 8), "params": size}
        for gain, size in zip(gains, params, strict=True)
    ]
    curves_only = [entry["lc"] for entry in info]
    scores = {}
    for key, given in {"numbers": info, "curves": curves_only}.items():
        predictor = SVR_Estimator(n_hypers=15)
        error = predictor.fit(codes[:40], finals[:40], given[:40])
        mean, std = predictor.predict(codes[40:], given[40:])
        scores[key] = float(np.sqrt(np.mean(np.square(mean - finals[40:]))))
        assert 0 <= error < 5 and (std > 0).all()
    assert scores["numbers"] < 1.5 < scores["curves"]
    with pytest.raises(PredictorError, match="fitted to curves of 8 epochs, not 7"):
        predictor.query(codes, [curve[:7] for curve in curves_only])


def test_numbers_beside_curves_are_all_there_or_named():
    codes, ends = [(k,) for k in range(8)], np.arange(8.0)
    given = [{"lc": [k, k + 1.0], "flops": k * 1.5, "params": 2.0} for k in ends]
    predictor = SVR_Estimator(n_hypers=2)
    predictor.fit(codes, ends, given)
    for asked in ([{"lc": [1.0, 2.0], "params": 2.0}], [[1.0, 2.0]]):
        with pytest.raises(PredictorError, match="fitted with flops, params in info"):
            predictor.query(codes[:1], asked)
    with pytest.raises(PredictorError, match="flops of the architecture at place 0 is nan"):
        predictor.query(codes[:1], [{**given[0], "flops": math.nan}])
    with pytest.raises(ConfigError, match="gcn is a graph"):
        SVR_Estimator(encoding_type="gcn")


@pytest.mark.parametrize("model", ["blr", "rf"])
def test_other_models_of_curves(model: str):
    rng = np.random.default_rng(0)
    finals = rng.uniform(60, 90, 40)
    curves = [[final - 20, final - 10, final - 8] for final in finals]
    codec = NasBench201Codec()
    predictor = SVR_Estimator(model_name=model, all_curve=False, space=codec, encoding_type="adjacency_one_hot")
    codes = [tuple(rng.integers(0, 5, 6).tolist()) for _ in range(40)]
    predictor.fit(codes[:30], finals[:30], curves[:30])
    assert spearman(finals[30:], predictor.query(codes[30:], curves[30:])) > 0.8
    assert predictor._inputs(codes[:2], np.array(curves[:2]), curves[:2]).shape == (2, 6 + 30)
    with pytest.raises(ConfigError, match="did you mean 'svr'"):
        SVR_Estimator(model_name="svm")


def test_what_is_said_of_sums():
    with pytest.raises(PredictorError, match="adds the last 4 epochs, and the curves have 3"):
        PREDICTORS.build("sotle", epochs=4).query(CODES, LOSSES)
    with pytest.raises(ConfigError, match="did you mean 'SoTLE'"):
        SoLosspredictor(sum_option="SoTLe")
    with pytest.raises(ConfigError, match="decay"):
        SoLosspredictor(decay=0.0)
    with pytest.raises(ConfigError, match="at least 1 epoch"):
        SoLosspredictor(epochs=0)


def test_real_trainings():
    """NAS-Bench-NLP on WikiText-2: losses of 10 of 50 epochs against the best validation loss."""
    path = data_file("nb_nlp_wikitext2.npz")
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    with np.load(path) as file:
        train, valid = file["train_loss"].astype(np.float64), file["valid_loss"].astype(np.float64)
    whole = np.isfinite(train).all(1) & np.isfinite(valid).all(1) & (valid.max(1) < 20)
    train, valid = train[whole], valid[whole]
    assert len(valid) > 200
    codes, best = [(0,)] * len(valid), -valid.min(1)
    early = spearman(best, EarlyStopping(Metric.VAL_LOSS).query(codes, valid[:, :10]))
    summed = spearman(best, PREDICTORS.build("sotl").query(codes, train[:, :10]))
    extrapolated = spearman(best, LCEPredictor(Metric.VAL_LOSS, final_epoch=50).query(codes, valid[:, :10]))
    assert early > 0.9 and summed > 0.8 and extrapolated > 0.85
