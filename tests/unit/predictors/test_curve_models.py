"""Models of learning curves: closed forms, curves that are known, and real ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
from data_files import data_file

from naslib.errors import ConfigError, PredictorError
from naslib.predictors.curves import ParametricCurveModel, RidgeCurveModel, SVRCurveModel, probability_better
from naslib.predictors.curves.extrapolation import CurveScale, extrapolate
from naslib.predictors.curves.model import curve_features
from naslib.predictors.curves.parametric import FUNCTIONS, fit_function
from naslib.predictors.curves.ridge import EnsembleCurveModel, Ridge

BY_NAME = {function.name: function for function in FUNCTIONS}
# Parameters by hand, far from where the fits start, and the value at epoch 7 by the formula of the paper
KNOWN = {
    "vapor_pressure": ([-0.6, -1.2, 0.08], math.exp(-0.6 - 1.2 / 7 + 0.08 * math.log(7))),
    "pow3": ([0.93, 0.6, 0.9], 0.93 - 0.6 * 7**-0.9),
    "log_log_linear": ([0.2, 1.4], math.log(0.2 * math.log(7) + 1.4)),
    "hill3": ([0.9, 1.3, 2.5], 0.9 * 7**1.3 / (2.5**1.3 + 7**1.3)),
    "log_power": ([0.88, 1.1, -1.2], 0.88 / (1 + (7 / math.exp(1.1)) ** -1.2)),
    "pow4": ([0.95, 2.0, 1.5, 0.8], 0.95 - (2.0 * 7 + 1.5) ** -0.8),
    "mmf": ([0.91, 0.2, 0.4, 1.4], 0.91 - 0.71 / (1 + (0.4 * 7) ** 1.4)),
    "exp4": ([0.9, 0.8, 0.3, 0.5], 0.9 - math.exp(-0.8 * 7**0.5 + 0.3)),
    "janoschek": ([0.9, 0.1, 0.5, 0.7], 0.9 - 0.8 * math.exp(-0.5 * 7**0.7)),
    "weibull": ([0.9, 0.1, 0.3, 0.8], 0.9 - 0.8 * math.exp(-((0.3 * 7) ** 0.8))),
    "ilog2": ([1.1, 0.5], 1.1 - 0.5 / math.log(8)),
}


def test_there_are_the_eleven_of_the_paper():
    assert len(FUNCTIONS) == 11 and set(BY_NAME) == set(KNOWN)


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_a_family_recovers_its_own_curve(name: str):
    function, (theta, at_seven) = BY_NAME[name], KNOWN[name]
    x = np.arange(1, 41, dtype=np.float64)
    curve = function.value(np.array(theta), x)
    assert curve[6] == pytest.approx(at_seven, abs=1e-12)
    found = fit_function(function, curve[None], x)
    np.testing.assert_allclose(function.value(found, x)[0], curve, atol=2e-4)
    end = function.value(found, np.array([200.0]))[0, 0]
    assert end == pytest.approx(function.value(np.array(theta), np.array([200.0]))[0], abs=5e-3)


def test_curves_are_fitted_as_if_each_were_alone():
    x = np.arange(1, 21, dtype=np.float64)
    curves = np.stack([BY_NAME["mmf"].value(np.array([top, 0.2, 0.4, 1.0]), x) for top in (0.6, 0.8, 0.95)])
    together, alone = fit_function(BY_NAME["hill3"], curves, x), fit_function(BY_NAME["hill3"], curves[1:2], x)
    np.testing.assert_allclose(together[1], alone[0], rtol=1e-6)


def test_the_mixture_finds_the_end_of_a_curve_with_noise():
    x = np.arange(1, 101, dtype=np.float64)
    rng = np.random.default_rng(0)
    clean = np.stack([BY_NAME["pow3"].value(np.array([top, 0.5, 0.8]), x) for top in np.linspace(0.6, 0.95, 20)])
    mean, std = extrapolate(clean[:, :25] + rng.normal(0, 0.003, (20, 25)), 100)
    assert np.abs(mean - clean[:, -1]).max() < 0.03 and (std > 0.002).all() and (std < 0.1).all()
    assert np.mean(np.abs(mean - clean[:, -1]) < 2 * std) >= 0.9


def test_what_is_seen_is_known_and_one_value_stays():
    curves = np.array([[0.1, 0.5, 0.6], [0.2, 0.3, 0.4]])
    mean, std = extrapolate(curves, 3)
    np.testing.assert_array_equal(mean, [0.6, 0.4])
    np.testing.assert_array_equal(std, 0)
    np.testing.assert_array_equal(extrapolate(curves[:, :1], 10)[0], [0.1, 0.2])


def test_losses_are_turned_over_and_back():
    scale = CurveScale(maximize=False)
    scaled, unit = scale.scaled(np.array([[4.0, 2.0, 1.0]]))
    np.testing.assert_array_equal(scaled, [[0, 0.5, 0.75]])
    mean, std = scale.restored(np.array([0.8]), np.array([0.1]), unit)
    assert mean[0] == pytest.approx(0.8) and std[0] == pytest.approx(0.4)
    loss = 1.0 + 3 * np.arange(1, 51.0) ** -0.7
    mean, _ = ParametricCurveModel(200, maximize=False).predict(loss[:40])
    assert mean == pytest.approx(1 + 3 * 200**-0.7, abs=0.05)
    with pytest.raises(PredictorError, match="between 0 and 1"):
        ParametricCurveModel(10, upper=1.0).predict([50, 60])


def test_ridge_is_the_closed_form_and_leaves_one_out():
    rng = np.random.default_rng(3)
    inputs, targets = rng.normal(size=(15, 4)), rng.normal(size=15)
    found = Ridge(inputs, targets)
    scaled = (inputs - inputs.mean(0)) / inputs.std(0)
    with_one = np.hstack([scaled, np.ones((15, 1))])

    def solve(rows: np.ndarray, values: np.ndarray) -> np.ndarray:
        return np.linalg.solve(rows.T @ rows + np.diag([found.penalty] * 4 + [0.0]), rows.T @ values)

    out = []
    for left in range(15):
        kept = np.arange(15) != left
        out.append(targets[left] - with_one[left] @ solve(with_one[kept], targets[kept]))
    assert found.error == pytest.approx(math.sqrt(np.mean(np.square(out))), rel=1e-9)
    new = rng.normal(size=4)
    row = np.append((new - inputs.mean(0)) / inputs.std(0), 1)
    mean, std = found.predict(new)
    assert mean == pytest.approx(row @ solve(with_one, targets), rel=1e-9)
    inverse = np.linalg.inv(scaled.T @ scaled + found.penalty * np.eye(4))
    assert std == pytest.approx(found.error * math.sqrt(1 + row[:4] @ inverse @ row[:4]), rel=1e-9)


def test_features_are_values_and_differences():
    np.testing.assert_array_equal(curve_features(np.array([[1.0, 4, 9, 16]])), [[1, 4, 9, 16, 3, 5, 7, 2, 2]])
    assert curve_features(np.array([[1.0]])).shape == (1, 1)


@pytest.mark.parametrize("model", [RidgeCurveModel(), SVRCurveModel(n_hypers=12)], ids=["ridge", "svr"])
def test_a_regression_learns_which_curves_end_well(model):
    rng = np.random.default_rng(0)
    x = np.arange(1, 31)
    tops = rng.uniform(60, 95, 80)
    curves = tops[:, None] - 40 * x**-0.6 + rng.normal(0, 0.2, (80, 30))
    model.fit(list(curves[:60]), tops[:60])
    errors, inside = [], []
    for curve, top in zip(curves[60:], tops[60:], strict=True):
        mean, std = model.predict(curve[:8])
        errors.append(mean - top)
        inside.append(abs(mean - top) < 2 * std)
    assert np.sqrt(np.mean(np.square(errors))) < 1.0 and np.mean(inside) >= 0.8
    best = float(np.max(tops))
    assert probability_better(model, curves[np.argmin(tops)][:8], best) < 0.01
    assert probability_better(model, curves[np.argmin(tops)][:8], best, maximize=False) > 0.99
    with pytest.raises(PredictorError, match="0 of the 60 curves have 31 epochs"):
        model.predict(np.ones(31))


def test_numbers_of_the_architecture_help_where_curves_say_nothing():
    rng = np.random.default_rng(0)
    size = rng.uniform(0, 10, (40, 1))
    model = RidgeCurveModel()
    model.fit(rng.normal(50, 1, (40, 5)), 3 * size[:, 0], features=size)
    assert model.predict([50, 50, 50], features=[4.0])[0] == pytest.approx(12, abs=0.5)
    with pytest.raises(PredictorError, match="fitted to 1 features, not 2"):
        model.predict([50], features=[4.0, 1.0])
    with pytest.raises(PredictorError, match="both to fit and to predict"):
        model.predict([50])


def test_the_probability_is_that_of_a_normal():
    class Known(RidgeCurveModel):
        def predict(self, curve, features=None):
            return 90.0, 2.0

    assert probability_better(Known(), [1], 90.0) == pytest.approx(0.5)
    assert probability_better(Known(), [1], 93.289707) == pytest.approx(0.05, abs=1e-6)  # 1.6448536 deviations
    assert probability_better(Known(), [1], 93.289707, maximize=False) == pytest.approx(0.95, abs=1e-6)


def test_what_a_model_cannot_learn_from():
    model = RidgeCurveModel()
    with pytest.raises(PredictorError, match="has not been fitted"):
        model.predict([1, 2])
    with pytest.raises(PredictorError, match="at least 3 finished trainings, not 2"):
        model.fit([[1], [2]], [1, 2])
    with pytest.raises(PredictorError, match="3 curves and 2 final values"):
        model.fit([[1], [2], [3]], [1, 2])
    with pytest.raises(PredictorError, match="curve 1 or its final value is not finite"):
        model.fit([[1], [math.nan], [3]], [1, 2, 3])
    model.fit([[1, 2], [2, 3], [3, 5]], [1, 2, 3])
    with pytest.raises(PredictorError, match="not finite at epoch 2"):
        model.predict([1, math.inf])
    with pytest.raises(PredictorError, match="at least 1 epochs, not 0"):
        model.predict([])
    with pytest.raises(ConfigError, match="at least 1 epoch, not 0"):
        ParametricCurveModel(0)


def test_real_curves():
    """SpikeNAS-Bench: from 30 of 100 epochs, ranks and errors of 300 cells after learning from 100 others."""
    path = data_file("spikenas.npz")
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    from naslib.predictors.measures import rmse, spearman

    with np.load(path) as file:
        curves = file["valid_acc"][np.random.default_rng(1).choice(15625, 400, replace=False)] * 0.004
    finals = curves[:, -1]
    model = RidgeCurveModel()
    model.fit(list(curves[:100]), finals[:100])
    mean, std = np.array([model.predict(curve[:30]) for curve in curves[100:]]).T
    last = spearman(finals[100:], curves[100:, 29])
    assert 0.8 < last < 0.85 and spearman(finals[100:], mean) > last + 0.01
    assert rmse(finals[100:], mean) < 1.0 and 0.8 <= np.mean(np.abs(mean - finals[100:]) < 2 * std) <= 1
    assert rmse(finals[100:], 100 * extrapolate(curves[100:, :30] / 100, 100)[0]) < 3.0


def test_errors_on_what_was_left_out_are_there_one_by_one():
    rng = np.random.default_rng(3)
    inputs, targets = rng.normal(size=(15, 4)), rng.normal(size=15)
    found = Ridge(inputs, targets)
    assert found.errors.shape == (15,)
    assert found.error == pytest.approx(math.sqrt(np.mean(np.square(found.errors))), rel=1e-12)
    scaled = np.hstack([(inputs - inputs.mean(0)) / inputs.std(0), np.ones((15, 1))])
    kept = np.arange(15) != 4
    normal = scaled[kept].T @ scaled[kept] + np.diag([found.penalty] * 4 + [0.0])
    without = np.linalg.solve(normal, scaled[kept].T @ targets[kept])
    assert found.errors[4] == pytest.approx(targets[4] - scaled[4] @ without, rel=1e-9)


@pytest.mark.parametrize("maximize", [True, False])
def test_a_probability_by_leaving_one_out_counts_errors(maximize: bool):
    rng = np.random.default_rng(0)
    ends = rng.uniform(60, 90, 30)
    curves = ends[:, None] - 30 * np.arange(1, 9) ** -0.5 + rng.normal(size=(30, 8))
    model = RidgeCurveModel()
    model.fit(curves, ends)
    seen = curves[3][:5]
    mean, errors = model.predict(seen)[0], model.errors_after(5)
    assert errors.shape == (30,)
    for best in (mean - 1, mean, mean + 1, mean + 100, mean - 100):
        better = sum((mean + error > best) if maximize else (mean + error < best) for error in errors)
        found = probability_better(model, seen, best, maximize=maximize, calibration="leave_one_out")
        assert found == (better + 1) / 31
    with pytest.raises(ConfigError, match="did you mean 'normal'"):
        probability_better(model, seen, 80.0, calibration="norml")
    with pytest.raises(PredictorError, match="learns from no other training"):
        probability_better(ParametricCurveModel(9), seen, 80.0, calibration="leave_one_out")


def test_an_ensemble_by_hand():
    rng = np.random.default_rng(1)
    curves = rng.uniform(50, 60, (12, 4))
    ends = curves[:, -1] + rng.normal(size=12)
    model = EnsembleCurveModel(members=3, seed=5)
    model.fit(curves, ends)
    inputs = curve_features(curves)
    line = np.polyfit(curves[:, -1], ends, 1)
    rest = ends - np.polyval(line, curves[:, -1])
    draws = np.random.default_rng(5)
    members, errors = [], [[] for _ in range(12)]
    for _ in range(3):
        drawn = draws.integers(12, size=12)
        members.append(Ridge(inputs[drawn], rest[drawn]))
        for place in set(range(12)) - set(drawn.tolist()):
            errors[place].append(members[-1].predict(inputs[place])[0])
    everywhere = [[member.predict(row)[0] for member in members] for row in inputs]
    expected = [rest[place] - np.mean(errors[place] if errors[place] else everywhere[place]) for place in range(12)]
    np.testing.assert_allclose(model.errors_after(4), expected, rtol=1e-9)
    means = [member.predict(inputs[0])[0] for member in members]
    mean, std = model.predict(curves[0])
    assert mean == pytest.approx(np.polyval(line, curves[0, -1]) + np.mean(means), rel=1e-9)
    assert std == pytest.approx(math.sqrt(np.var(means) + np.mean(np.square(expected))), rel=1e-9)
    with pytest.raises(ConfigError, match="at least 2 members, not 1"):
        EnsembleCurveModel(members=1)
