"""Forests, linear regression and feed-forward networks: figures, uncertainty, info, and what is refused."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from scipy.stats import norm, spearmanr

from naslib.errors import ConfigError, PredictorError
from naslib.predictors.features import Ranks, ScaledValues, Scaler, encode_batch, known_numbers
from naslib.predictors.linear import Evidence
from naslib.registry.catalogue import PREDICTORS
from naslib.search_spaces import NasBench201SearchSpace, SimpleCellSearchSpace

CODEC = NasBench201SearchSpace.codec
FAST = {name: {"epochs": 50} for name in ("mlp", "bananas")} | {
    name: {"n_estimators": 50} for name in ("et", "graf", "rf")
}
ALL = {
    "bananas",
    "bayes_lin_reg",
    "bohamiann",
    "dngo",
    "ensemble",
    "et",
    "gp",
    "gpwl",
    "graf",
    "lgb",
    "mlp",
    "ngb",
    "rf",
}
ALL |= {"sparse_gp", "var_sparse_gp", "xgb"}
TABULAR = ("rf", "et", "graf", "mlp", "bananas", "bayes_lin_reg")


def made_up(n: int, seed: int = 0) -> tuple[list[tuple[int, ...]], np.ndarray]:
    """Return architectures, and values that grow with convolutions and with what is on the edge from 1 to 4."""
    codes = [tuple(code) for code in np.random.default_rng(seed).integers(0, 5, (n, 6)).tolist()]
    return codes, np.array([60 + 5 * sum(op in (2, 3) for op in code) + 2 * (code[2] == 2) for code in codes], float)


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    return float(spearmanr(first, second).statistic)


@pytest.mark.parametrize("name", TABULAR)
def test_a_predictor_learns_orders_and_is_repeatable(name):
    codes, values = made_up(120)
    unseen, truth = made_up(100, seed=1)
    found = []
    for _ in range(2):
        predictor = PREDICTORS.get(name)(space=CODEC, seed=4)
        predictor.set_hyperparams(FAST.get(name, {}))
        assert not predictor.is_fitted
        predictor.fit(codes, values)
        found.append(predictor.predict(unseen))
    (mean, std), (again, _) = found
    assert np.array_equal(mean, again) and np.array_equal(mean, predictor.query(unseen))
    assert mean.shape == std.shape == (100,) and mean.dtype == std.dtype == np.float64 and (std >= 0).all()
    least = {"mlp": 0.4, "bananas": 0.3}.get(name, 0.75)
    assert rank_correlation(mean, truth) > least
    assert values.min() - 20 < mean.min() and mean.max() < values.max() + 20
    empty = predictor.predict([])
    assert empty[0].shape == (0,)


def test_standard_deviation_of_a_forest_is_that_of_its_trees():
    codes, values = made_up(40)
    predictor = PREDICTORS.get("et")(space=CODEC, seed=1)
    predictor.set_hyperparams({"n_estimators": 7})
    predictor.fit(codes, values)
    mean, std = predictor.predict(codes[:3])
    rows = encode_batch(CODEC, codes[:3])
    each = np.array([tree.predict(rows) for tree in predictor._model.estimators_]) * values.std() + values.mean()
    assert np.allclose(mean, each.mean(0)) and np.allclose(std, each.std(0))


def test_the_posterior_of_the_regression_is_the_textbook_one():
    rng = np.random.default_rng(0)
    for n, d in ((12, 4), (5, 9)):
        rows, values, unseen = rng.normal(size=(n, d)), rng.normal(size=n), rng.normal(size=(6, d))
        found = Evidence(rows, values, alpha=0.7, beta=3.0, iterations=0)
        covariance = np.linalg.inv(0.7 * np.eye(d) + 3.0 * rows.T @ rows)  # Bishop, equation 3.54
        weights = 3.0 * covariance @ rows.T @ values  # equation 3.53
        mean, std = found.predict(unseen)
        assert np.allclose(found.mean, weights, atol=1e-12)
        assert np.allclose(mean, unseen @ weights, atol=1e-12)
        assert np.allclose(std**2, np.einsum("ij,jk,ik->i", unseen, covariance, unseen), atol=1e-12)


def _log_evidence(rows: np.ndarray, values: np.ndarray, alpha: float, beta: float) -> float:
    covariance = np.eye(len(rows)) / beta + rows @ rows.T / alpha
    _, logdet = np.linalg.slogdet(covariance)
    return -0.5 * (logdet + values @ np.linalg.solve(covariance, values))


def test_the_variances_of_the_regression_make_the_values_most_probable():
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(60, 5))
    values = rows @ [1.0, -2.0, 0.5, 0.0, 0.0] + 0.3 * rng.normal(size=60)
    found = Evidence(rows, values)
    best = _log_evidence(rows, values, found.alpha, found.beta)
    for factor in (0.9, 1.1):
        assert _log_evidence(rows, values, factor * found.alpha, found.beta) < best
        assert _log_evidence(rows, values, found.alpha, factor * found.beta) < best
    assert 0.2 < found.beta**-0.5 < 0.4


def test_noiseless_and_constant_values_do_no_harm():
    codes, _ = made_up(30)
    for name in TABULAR:
        predictor = PREDICTORS.get(name)(space=CODEC)
        predictor.set_hyperparams(FAST.get(name, {}))
        predictor.fit(codes, [71.5] * 30)
        mean, std = predictor.predict(codes[:4])
        assert np.isfinite(mean).all() and np.isfinite(std).all() and np.abs(mean - 71.5).max() < 1.5


def test_info_is_more_columns_in_any_form():
    codes, values = made_up(60)
    hidden = np.random.default_rng(5).normal(size=60)
    forms = [hidden, hidden[:, None].tolist(), [{"noise": number, "one": 1.0} for number in hidden]]
    for info in forms:
        predictor = PREDICTORS.get("bayes_lin_reg")(space=CODEC)
        predictor.fit(codes, values + 30 * hidden, info)
        assert rank_correlation(predictor.query(codes, info), values + 30 * hidden) > 0.97
    with pytest.raises(PredictorError, match=r"noise, one.*nothing"):
        predictor.predict(codes)
    with pytest.raises(PredictorError, match="place 1 has noise"):
        known_numbers([{"noise": 1.0, "one": 1.0}, {"noise": 2.0}], 2)
    with pytest.raises(PredictorError, match="one of the architecture at place 0 is nan"):
        known_numbers([{"one": float("nan")}], 1)
    with pytest.raises(PredictorError, match="3 architectures, and info on 1"):
        known_numbers([1.0], 3)
    with pytest.raises(PredictorError, match="all of one length"):
        known_numbers([[1.0], [1.0, 2.0]], 2)


def test_values_become_normal_scores_and_come_back():
    values = np.array([10.0, 90.0, 94.0, 93.0, 94.0])
    targets = ScaledValues(values, warp=True)
    quantiles = norm.ppf((np.array([1, 2, 4.5, 3, 4.5]) - 0.5) / 5)  # equal values share the mean of their ranks
    assert np.allclose(targets.scaled, (quantiles - quantiles.mean()) / quantiles.std())
    mean, std = targets.back(targets.scaled, np.zeros(5))
    assert np.allclose(mean, values) and np.allclose(std, 0)
    middle, _ = targets.back((targets.scaled[[0]] + targets.scaled[[1]]) / 2, None)
    assert middle == pytest.approx(50)
    # beyond the ends with the slope of the outer quarter: one of four distinct scores
    distinct = norm.ppf((np.array([1, 2, 3, 4.5]) - 0.5) / 5)
    above, below = (
        targets.back(np.array([(end - quantiles.mean()) / quantiles.std()]), None)[0] for end in (2.5, -2.5)
    )
    assert above == pytest.approx(94 + (94 - 93) / (distinct[3] - distinct[2]) * (2.5 - distinct[3]))
    assert below == pytest.approx(10 + (90 - 10) / (distinct[1] - distinct[0]) * (-2.5 - distinct[0]))
    _, spread = targets.back(targets.scaled[[3]], np.ones(1))
    up, down = targets.back(targets.scaled[[3]] + 1, None)[0], targets.back(targets.scaled[[3]] - 1, None)[0]
    assert spread == pytest.approx((up - down) / 2)
    alike = ScaledValues(np.full(3, 71.5), warp=True)
    assert alike.back(np.array([0.3]), np.ones(1)) == (pytest.approx(71.5), pytest.approx(0))
    plain = ScaledValues(values)
    assert np.allclose(plain.back(plain.scaled, plain.scaled)[0], values) and plain.mean == values.mean()


def test_columns_that_do_not_vary_are_left_out():
    scaler = Scaler(np.array([[1.0, 5.0, 2.0], [3.0, 5.0, 4.0]]))
    assert scaler.kept.tolist() == [0, 2] and scaler(np.array([[2.0, 7.0, 6.0]])).tolist() == [[0.0, 3.0]]


def test_info_is_taken_as_an_order():
    ranks = Ranks(np.array([[1.0], [-1e8], [3.0], [1.0]]))
    assert ranks(np.array([[-2e8], [-1e8], [1.0], [2.0], [9.0]]))[:, 0].tolist() == [0, 1 / 8, 4 / 8, 6 / 8, 1]
    codes, values = made_up(50)
    proxy = np.random.default_rng(2).normal(size=50)
    found = []
    for info in (proxy, np.exp(5 * proxy)):
        predictor = PREDICTORS.get("et")(space=CODEC)
        predictor.fit(codes, values, info)
        found.append(predictor.query(codes, info))
    assert np.array_equal(*found)


@pytest.mark.parametrize("name", [name for name in PREDICTORS.names() if name in ALL])
def test_two_labels_are_enough_and_alike_architectures_no_reason_to_fail(name):
    fast = {"n_estimators": 5, "num_rounds": 3, "epochs": 2, "burn_in": 5, "samples": 4, "keep_every": 1}
    for codes in ([(0, 0, 0, 0, 0, 0), (1, 2, 3, 4, 0, 1)], [(1, 2, 3, 4, 0, 1)] * 3):
        keywords = {"predictor_type": "bayes_lin_reg"} if name == "ensemble" else {}
        predictor = PREDICTORS.get(name)(space=CODEC, **keywords)
        predictor.set_hyperparams({key: fast[key] for key in predictor.DEFAULTS if key in fast})
        predictor.fit(codes, [70.0, 80.0, 90.0][: len(codes)])
        mean, std = predictor.predict([*codes, (2, 2, 2, 2, 2, 2)])
        assert np.isfinite(mean).all() and (std is None or np.isfinite(std).all())
        if len(codes) == 3 and name not in ("mlp", "bananas", "bohamiann", "ensemble", "dngo"):
            assert mean == pytest.approx(
                80, abs=1e-3
            )  # nothing tells them apart, and new features were not seen to vary


def test_random_hyperparameters_are_in_the_ranges_of_the_study():
    rng = np.random.default_rng(0)
    predictor = PREDICTORS.get("rf")(space=CODEC)
    assert predictor.get_hyperparams()["max_features"] == 0.17055852159745608
    for _ in range(50):
        drawn = predictor.set_random_hyperparams(rng)
        assert 16 <= drawn["n_estimators"] <= 128 and 0.1 <= drawn["max_features"] <= 0.9
        assert 1 <= drawn["min_samples_leaf"] <= 19 and 2 <= drawn["min_samples_split"] <= 19
    assert predictor.get_hyperparams() == drawn
    with pytest.raises(ConfigError, match="n_estimators"):
        predictor.set_hyperparams({"n_estimator": 3})


def test_graphs_of_any_space_are_taken():
    graphs, values = [], []
    for seed in range(12):
        graph = SimpleCellSearchSpace()
        graph.sample_random_architecture(rng=seed)
        graphs.append(graph)
        values.append(float(sum(graph.get_code())))
    predictor = PREDICTORS.get("et")()
    predictor.fit(graphs, values)
    assert rank_correlation(predictor.query(graphs), np.array(values)) > 0.9


@pytest.mark.parametrize("kind", ["gcn", "bonas", "seminas"])
def test_an_encoding_that_is_a_graph_is_refused(kind):
    with pytest.raises(ConfigError, match="is a graph"):
        PREDICTORS.get("et")(space=CODEC, encoding_type=kind)


def test_bad_input_is_named():
    codes, values = made_up(10)
    predictor = PREDICTORS.get("et")(space=CODEC)
    with pytest.raises(PredictorError, match="has not been fitted"):
        predictor.query(codes)
    with pytest.raises(PredictorError, match="at least 2"):
        predictor.fit(codes[:1], values[:1])
    with pytest.raises(PredictorError, match="not finite"):
        predictor.fit(codes, [*values[:9], float("nan")])
    with pytest.raises(ConfigError, match="num_ensemble"):
        PREDICTORS.get("mlp")(space=CODEC, num_ensemble=0)
    mlp = PREDICTORS.get("mlp")(space=CODEC)
    mlp.set_hyperparams({"loss": "hinge"})
    with pytest.raises(ConfigError, match="mae, mse, mape"):
        mlp.fit(codes, values)


def test_codes_after_rows_of_numbers_are_encoded_again():
    codes, values = made_up(20)
    predictor, fresh = (PREDICTORS.get("bayes_lin_reg")(space=CODEC) for _ in range(2))
    predictor.fit(np.random.default_rng(0).random((20, 6)), values)
    for one in (predictor, fresh):
        one.fit(codes, values)
    assert not predictor.of_rows and np.array_equal(predictor.query(codes), fresh.query(codes))


def test_rows_of_numbers_after_codes_are_refused_and_change_nothing():
    codes, values = made_up(20)
    predictor = PREDICTORS.get("bayes_lin_reg")(space=CODEC)
    predictor.fit(codes, values)
    before = predictor.query(codes)
    with pytest.raises(PredictorError, match="fitted to architectures, and is asked about rows of numbers"):
        predictor.query(np.random.default_rng(0).random((20, 6)))
    assert np.array_equal(predictor.query(codes), before)


@pytest.mark.parametrize("name", sorted(PREDICTORS))
def test_the_signature_of_a_class_is_its_own(name):
    """Beside it, keywords of NASLib are taken by their class of classes."""
    kind = PREDICTORS.get(name)
    parameters = inspect.signature(kind).parameters
    assert "args" not in parameters
    if inspect.isclass(kind):
        assert list(parameters) == list(inspect.signature(kind.__init__).parameters)[1:]


def test_figures_that_are_not_finite_are_an_error(monkeypatch):
    codes, values = made_up(20)
    predictor = PREDICTORS.get("bayes_lin_reg")(space=CODEC)
    predictor.fit(codes, values)
    for mean, std in ((np.nan, 1.0), (1.0, np.inf)):
        monkeypatch.setattr(
            predictor, "_infer", lambda rows, m=mean, s=std: (np.full(len(rows), m), np.full(len(rows), s))
        )
        for ask in (predictor.query, predictor.predict):
            with pytest.raises(PredictorError, match="BayesianLinearRegression predicts"):
                ask(codes[:2])
