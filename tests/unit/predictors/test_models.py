"""Boosting against the libraries themselves, Bayesian networks, and ensembles."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from naslib.errors import ConfigError
from naslib.predictors.bohamiann import ScaleAdaptedSGHMC
from naslib.predictors.features import encode_batch
from naslib.predictors.linear import Evidence
from naslib.registry.catalogue import PREDICTORS
from naslib.search_spaces import NasBench201SearchSpace

CODEC = NasBench201SearchSpace.codec
FAST = {
    "ngb": {"n_estimators": 25, "max_depth": 4},
    "xgb": {"num_rounds": 40, "max_depth": 3},
    "dngo": {"epochs": 15},
    "bohamiann": {"burn_in": 200, "samples": 8, "keep_every": 5},
}


def _made_up(n: int, seed: int = 0):
    codes = [tuple(code) for code in np.random.default_rng(seed).integers(0, 5, (n, 6)).tolist()]
    return codes, np.array([60 + 5 * sum(op in (2, 3) for op in code) + 2 * (code[2] == 2) for code in codes], float)


@pytest.mark.parametrize("name", ["xgb", "lgb", "ngb", "dngo", "bohamiann"])
def test_a_predictor_learns_orders_and_is_repeatable(name):
    codes, values = _made_up(100)
    unseen, truth = _made_up(80, seed=1)
    found = []
    for _ in range(2):
        predictor = PREDICTORS.get(name)(space=CODEC, seed=4)
        predictor.set_hyperparams(FAST.get(name, {}))
        predictor.fit(codes, values)
        found.append(predictor.predict(unseen))
    assert np.array_equal(found[0][0], found[1][0])
    assert spearmanr(found[0][0], truth).statistic > 0.7
    assert (found[0][1] is None) == (name in ("xgb", "lgb"))
    drawn = predictor.set_random_hyperparams(np.random.default_rng(1))
    assert drawn.keys() == predictor.DEFAULTS.keys() and drawn != predictor.DEFAULTS


def test_boosting_is_what_the_libraries_return():
    import lightgbm
    import xgboost

    codes, values = _made_up(60)
    rows, scaled = encode_batch(CODEC, codes).astype(float), (values - values.mean()) / values.std()
    predictor = PREDICTORS.get("xgb")(space=CODEC, seed=3)
    predictor.set_hyperparams({"num_rounds": 20, "max_depth": 3})
    predictor.fit(codes, values)
    settings = {"max_depth": 3, "learning_rate": 0.3, "min_child_weight": 1, "nthread": 1, "seed": 3}
    model = xgboost.train(settings, xgboost.DMatrix(rows, label=scaled), num_boost_round=20)
    expected = model.predict(xgboost.DMatrix(rows)).astype(float) * values.std() + values.mean()
    assert np.allclose(predictor.query(codes), expected, atol=1e-5)
    other = PREDICTORS.get("lgb")(space=CODEC, seed=3)
    other.set_hyperparams({"num_rounds": 20})
    other.fit(codes, values)
    settings = {"num_leaves": 31, "learning_rate": 0.05, "feature_fraction": 0.9, "min_data_in_leaf": 5, "seed": 3}
    settings |= {"num_threads": 1, "verbosity": -1, "deterministic": True}
    model = lightgbm.train(settings, lightgbm.Dataset(rows, label=scaled), num_boost_round=20)
    assert np.allclose(other.query(codes), model.predict(rows) * values.std() + values.mean(), atol=1e-9)


@pytest.mark.parametrize(("name", "library"), [("xgb", "xgboost"), ("lgb", "lightgbm"), ("ngb", "ngboost")])
def test_an_absent_library_is_named(name, library, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    codes, values = _made_up(10)
    with pytest.raises(ConfigError, match=rf"{library}.*naslib\[trees\]"):
        PREDICTORS.get(name)(space=CODEC).fit(codes, values)


def test_equal_values_do_no_harm():
    codes, _ = _made_up(25)
    for name in ("xgb", "lgb", "ngb", "dngo", "gp", "var_sparse_gp", "gpwl"):
        predictor = PREDICTORS.get(name)(space=CODEC)
        predictor.set_hyperparams(FAST.get(name, {}))
        predictor.fit(codes, [71.5] * 25)
        mean, std = predictor.predict(codes[:4])
        assert np.abs(mean - 71.5).max() < 0.5 and (std is None or np.isfinite(std).all()), name


def test_few_architectures_can_be_split():
    codes, values = _made_up(8)
    predictor = PREDICTORS.get("lgb")(space=CODEC)
    predictor.fit(codes, values)
    assert spearmanr(predictor.query(codes), values).statistic > 0.5


def test_dngo_is_a_regression_on_the_last_layer():
    codes, values = _made_up(50)
    predictor = PREDICTORS.get("dngo")(space=CODEC)
    predictor.set_hyperparams({"epochs": 10})
    predictor.fit(codes, values)
    rows = predictor._rows(codes, None)
    basis = predictor._basis(rows)
    assert basis.shape == (50, 51) and (basis[:, -1] == 1).all() and np.abs(basis).max() <= 1  # tanh, and a bias
    mean, std = Evidence(basis, (values - values.mean()) / values.std()).predict(basis)
    found = predictor.predict(codes)
    assert np.allclose(found[0], mean * values.std() + values.mean()) and np.allclose(found[1], std * values.std())


def test_the_sampler_draws_from_a_normal_distribution():
    """Of independent weights with variances 1 and 1/4 about 3, many chains at once."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.zeros(2, 400)
    precision = torch.tensor([[1.0], [4.0]])
    sampler = ScaleAdaptedSGHMC([weights], step=0.1, decay=0.05, generator=generator)
    draws = []
    for step in range(1500):
        weights.grad = precision * (weights - 3)
        sampler.step(burn_in=step < 500)
        if step >= 700 and step % 100 == 0:
            draws.append(weights.clone())
    found = torch.cat(draws, dim=1)
    assert found.mean(1).tolist() == pytest.approx([3, 3], abs=0.1)
    assert found.std(1).tolist() == pytest.approx([1, 0.5], rel=0.15)


def test_an_ensemble_is_the_weighted_mean_of_its_members():
    codes, values = _made_up(40)
    unseen, _ = _made_up(15, seed=1)
    stated = ["bayes_lin_reg", {"predictor": "et", "weight": 3, "hyperparams": {"n_estimators": 10}}, "lgb"]
    ensemble = PREDICTORS.get("ensemble")(space=CODEC, members=stated, seed=7)
    ensemble.fit(codes, values)
    mean, std = ensemble.predict(unseen)
    alone = []
    for number, name in enumerate(("bayes_lin_reg", "et", "lgb")):
        predictor = PREDICTORS.get(name)(space=CODEC, seed=7 + number)
        predictor.set_hyperparams({"n_estimators": 10} if name == "et" else {})
        predictor.fit(codes, values)
        alone.append(predictor.predict(unseen))
    (m1, s1), (m2, s2), (m3, _) = alone
    expected = (m1 + 3 * m2 + m3) / 5
    second = (s1**2 + m1**2 + 3 * (s2**2 + m2**2) + m3**2) / 5
    assert np.allclose(mean, expected) and np.allclose(std**2, second - expected**2)
    assert ensemble.members[1].get_hyperparams()["n_estimators"] == 10


def test_an_ensemble_of_one_kind_has_different_seeds():
    codes, values = _made_up(30)
    ensemble = PREDICTORS.get("ensemble")(space=CODEC, predictor_type="et", num_ensemble=2, encoding_type="path")
    ensemble.fit(codes, values)
    one, two = ensemble.members
    assert (one.seed, two.seed) == (0, 1) and one.encoding_type.value == two.encoding_type.value == "path"
    assert not np.array_equal(one.query(codes[:9] + _made_up(5, 3)[0]), two.query(codes[:9] + _made_up(5, 3)[0]))
    ensemble.set_random_hyperparams()
    assert one.get_hyperparams() != two.get_hyperparams()


def test_an_ensemble_that_cannot_be():
    for keywords, words in (
        ({"members": []}, "at least one"),
        ({"members": [{"weight": 1}]}, "does not say"),
        ({"members": [{"predictor": "et", "weight": 0}]}, "not above 0"),
        ({"members": ["ett"]}, "et"),
    ):
        with pytest.raises(ConfigError, match=words):
            PREDICTORS.get("ensemble")(space=CODEC, **keywords)
