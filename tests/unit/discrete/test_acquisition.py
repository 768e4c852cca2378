"""Acquisition functions, transforms and the belief of an ensemble, against numbers and formulas of their own."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from naslib.errors import ConfigError, PredictorError
from naslib.optimizers.discrete.model_based import acquisition
from naslib.optimizers.discrete.model_based.candidates import as_source
from naslib.optimizers.discrete.model_based.surrogate import Surrogate
from naslib.optimizers.discrete.model_based.transforms import as_transform, transformed

MEAN, STD = np.array([1.0, 2.0, 3.0, 2.5]), np.array([0.5, 2.0, 0.0, 0.25])


def _phi(x: float) -> float:
    return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def _cumulative(x: float) -> float:
    return (1 + math.erf(x / math.sqrt(2))) / 2


def test_expected_improvement_is_the_integral_of_the_improvement() -> None:
    grid = np.linspace(-12, 12, 200_001)
    density = np.exp(-(grid**2) / 2) / math.sqrt(2 * math.pi)
    found = acquisition.ei(MEAN, STD, best=2.25, calibration=1.0)
    for place, (mean, std) in enumerate(zip(MEAN, STD, strict=True)):
        integral = np.trapezoid(np.maximum(mean + std * grid - 2.25, 0) * density, grid)
        assert found[place] == pytest.approx(integral, abs=1e-8)
    assert found[2] == 0.75  # nothing is uncertain: the improvement itself


def test_the_standard_deviation_of_expected_improvement_is_calibrated() -> None:
    ratio = (1.0 - 2.25) / 0.1
    expected = 0.1 * (ratio * _cumulative(ratio) + _phi(ratio))
    assert acquisition.ei(MEAN, STD, best=2.25)[0] == pytest.approx(expected, rel=1e-9)


def test_probability_of_improvement() -> None:
    expected = [_cumulative((1 - 2.25) / 0.5), _cumulative(-0.125), 1.0, _cumulative(1.0)]
    assert acquisition.pi(MEAN, STD, best=2.25) == pytest.approx(expected, abs=1e-12)
    assert acquisition.pi(np.array([2.25]), np.array([0.0]), best=2.25) == [0.0]


def test_upper_confidence_bound_and_exploitation() -> None:
    assert acquisition.ucb(MEAN, STD).tolist() == [1.25, 3.0, 3.0, 2.625]
    assert acquisition.ucb(MEAN, STD, explore_factor=2).tolist() == [2.0, 6.0, 3.0, 3.0]
    assert acquisition.exploit_only(MEAN).tolist() == MEAN.tolist()


def test_independent_thompson_sampling_has_the_moments_of_the_belief() -> None:
    rng = np.random.default_rng(0)
    draws = np.stack([acquisition.its(MEAN, STD, rng) for _ in range(20_000)])
    assert draws.mean(0) == pytest.approx(MEAN, abs=0.05)
    assert draws.std(0) == pytest.approx(STD, abs=0.05)
    assert abs(np.corrcoef(draws[:, 0], draws[:, 1])[0, 1]) < 0.03  # architectures are independent
    assert draws[:, 2].tolist() == [3.0] * 20_000


def test_thompson_sampling_takes_the_word_of_one_member() -> None:
    members, rng = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), np.random.default_rng(1)
    found = [tuple(acquisition.thompson(members, rng)) for _ in range(300)]
    assert set(found) == {(1.0, 2.0), (3.0, 4.0), (5.0, 6.0)}
    assert min(found.count(row) for row in set(found)) > 70


def test_two_orders_in_turn() -> None:
    assert acquisition.in_turn(np.array([3, 1, 0, 2]), np.array([1, 2, 3, 0])).tolist() == [3, 1, 2, 0]


class _Members:
    """An ensemble as NASLib has it, whose members say 1, 2 and 6 of an architecture."""

    def query(self, architectures: list[Any], infos: list[Any]) -> np.ndarray:
        assert len(architectures) == len(infos) == 1
        return np.array([[1.0], [2.0], [6.0]])


def test_the_function_of_one_architecture() -> None:
    mean, std = 3.0, math.sqrt(14 / 3)
    known = np.array([2.0, 4.0])
    named = {kind: acquisition.acquisition_function(_Members(), known, kind) for kind in acquisition.ACQUISITIONS}
    assert named["exploit_only"]("arch") == mean
    assert named["ucb"]("arch") == pytest.approx(mean + std / 2)
    assert named["pi"]("arch") == pytest.approx(_cumulative((mean - 4) / std))
    ratio = (mean - 4) / (std / 5)
    assert named["ei"]("arch", None) == pytest.approx(std / 5 * (ratio * _cumulative(ratio) + _phi(ratio)))
    assert named["thompson"]("arch") in (1.0, 2.0, 6.0)
    np.random.seed(0)
    first = acquisition.acquisition_function(_Members())
    np.random.seed(0)
    assert first("arch") == acquisition.acquisition_function(_Members())("arch") != mean
    with pytest.raises(ConfigError, match="give ytrain"):
        acquisition.acquisition_function(_Members(), None, "ei")


def test_of_equal_promise_the_larger_mean_is_first() -> None:
    assert acquisition.by_promise(np.array([0.0, 1.0, 0.0, 0.0]), np.array([1.0, 0.0, 3.0, 2.0])).tolist() == [
        1,
        2,
        3,
        0,
    ]


@pytest.mark.parametrize(
    ("function", "given", "name"),
    [
        (acquisition.as_acquisition, "ind-TS", "its"),
        (acquisition.as_acquisition, "ts", "thompson"),
        (acquisition.as_acquisition, "EI", "ei"),
        (as_source, "random", "random_sampling"),
        (as_source, "Mutation", "mutation"),
        (as_transform, "LOG", "log"),
    ],
)
def test_names(function: Any, given: str, name: str) -> None:
    assert function(given) == name


@pytest.mark.parametrize(
    ("function", "given", "hint"),
    [
        (acquisition.as_acquisition, "exploit_onyl", "did you mean 'exploit_only'"),
        (as_source, "mutations", "did you mean 'mutation'"),
        (as_transform, "logarithm", "there are: none, log, rank"),
    ],
)
def test_an_unknown_name_gets_the_nearest(function: Any, given: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        function(given)


def test_transforms_keep_the_order_and_do_not_depend_on_the_unit() -> None:
    values = np.array([10.0, 90.0, 91.0, 50.0, 91.5, 91.0])
    for name in ("log", "rank"):
        found = transformed(values, name)
        assert np.array_equal(np.argsort(found, kind="stable"), np.argsort(values, kind="stable"))
        assert found[2] == found[5]
        assert transformed(values / 100 - 3, name) == pytest.approx(found, abs=1e-9)
        assert transformed(np.full(4, 7.0), name).tolist() == [0.0] * 4
    assert transformed(values, "none") is values


def test_the_logarithm_stretches_the_best() -> None:
    # gaps 2, 1, 0 with the median 1: -log(2.1), -log(1.1), -log(.1)
    expected = -np.log([2.1, 1.1, 0.1])
    expected = (expected - expected.mean()) / expected.std()
    assert transformed(np.array([5.0, 6.0, 7.0]), "log") == pytest.approx(expected, abs=1e-12)


def test_ranks_are_normal_scores() -> None:
    found = transformed(np.array([3.0, 1.0, 2.0, 4.0]), "rank")
    assert [_cumulative(score) for score in found] == pytest.approx([0.625, 0.125, 0.375, 0.875], abs=1e-12)


class _Says:
    """A predictor that says what it was made with."""

    def __init__(self, mean: list[float], std: list[float] | None) -> None:
        self.mean, self.std = np.array(mean), None if std is None else np.array(std)

    def predict(self, codes: Any, info: Any = None) -> Any:
        return self.mean, self.std


def test_an_ensemble_is_a_mixture() -> None:
    members: Any = [_Says([1.0, 2.0], [0.5, 1.0]), _Says([3.0, 2.0], None)]
    belief = Surrogate(members).predict([(0,), (1,)])
    assert belief.mean.tolist() == [2.0, 2.0]
    assert belief.std == pytest.approx([math.sqrt(0.125 + 1.0), math.sqrt(0.5)], abs=1e-12)
    assert belief.members.tolist() == [[1.0, 2.0], [3.0, 2.0]]


def test_what_is_not_finite_is_an_error() -> None:
    members: Any = [_Says([1.0, float("nan")], None)]
    with pytest.raises(PredictorError, match="not finite"):
        Surrogate(members).predict([(0,), (1,)])
