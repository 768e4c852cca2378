"""The neural predictor's search: what is learned, what comes first, and a search that was killed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from naslib.errors import ConfigError, PredictorError
from naslib.optimizers import NeuralPredictorSearch
from naslib.optimizers.discrete.neural_predictor import optimizer as module
from naslib.predictors.neural import GCNClassifier, GCNPredictor
from tests.support.black_box import SIZE, Scores, adapted, drive, restore, saved, values_of

SMALL: dict[str, Any] = {"num_init": 10, "pool_size": 20, "predictor_epochs": 2, "predictor_args": {"gcn_hidden": 8}}


class Oracle:
    """A network that knows: what it is fitted to is kept, and what it says is the truth."""

    seen: list[tuple[str, list[tuple[int, ...]], list[float]]] = []

    def __init__(self, **kwargs: Any) -> None:
        self.kwargs = kwargs

    def set_hyperparams(self, given: Any) -> None:
        self.hyperparams = given

    def fit(self, codes: Any, values: Any) -> None:
        self.seen.append((type(self).__name__, list(codes), list(values)))


class Classifier(Oracle):
    def query(self, codes: Any) -> np.ndarray:
        return np.array([values_of(code)[0] >= 70.0 for code in codes], dtype=np.float64)


class Regressor(Oracle):
    def query(self, codes: Any) -> np.ndarray:
        return -np.array([values_of(code)[0] for code in codes])  # the wrong way round


@pytest.fixture
def oracles(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    monkeypatch.setattr(Oracle, "seen", [])
    monkeypatch.setattr(module, "GCNClassifier", Classifier)
    monkeypatch.setattr(module, "GCNPredictor", Regressor)
    return Oracle.seen


def test_in_two_stages_the_regressor_learns_from_the_good_and_they_come_first(oracles: list[Any]) -> None:
    optimizer = adapted(NeuralPredictorSearch, **SMALL)
    asked = drive(optimizer, 30)
    (first, codes, classes), (second, good, values) = oracles
    labels = [values_of(code)[0] for code in asked[:10]]
    assert (first, second) == ("Classifier", "Regressor") and codes == asked[:10]
    assert classes == [float(value >= np.median(labels)) for value in labels]
    assert good == [code for code, label in zip(codes, classes, strict=True) if label]
    assert values == [values_of(code)[0] for code in good]
    ranked = [values_of(code)[0] for code in asked[10:]]
    split = sum(value >= 70.0 for value in ranked)
    assert 0 < split < 20 and all(value >= 70.0 for value in ranked[:split])
    assert ranked[:split] == sorted(ranked[:split]) and ranked[split:] == sorted(ranked[split:])


def test_a_threshold_is_in_the_unit_of_the_objective(oracles: list[Any]) -> None:
    optimizer = adapted(NeuralPredictorSearch, threshold=66.0, **SMALL)
    asked = drive(optimizer, 11)
    assert oracles[0][2] == [float(values_of(code)[0] >= 66.0) for code in asked[:10]]


@pytest.mark.parametrize("keywords", [{"two_stage": False}, {"threshold": 1000.0}, {"threshold": 0.0}])
def test_one_stage_learns_from_all(oracles: list[Any], keywords: dict[str, Any]) -> None:
    optimizer = adapted(NeuralPredictorSearch, **keywords, **SMALL)  # no good ones, or no others: nothing to tell apart
    asked = drive(optimizer, 12)
    assert [(name, codes) for name, codes, _ in oracles] == [("Regressor", asked[:10])]


def test_networks_are_fitted_once_or_again(oracles: list[Any]) -> None:
    drive(adapted(NeuralPredictorSearch, two_stage=False, **SMALL), 30)
    assert [len(codes) for _, codes, _ in oracles] == [10]
    oracles.clear()
    drive(adapted(NeuralPredictorSearch, two_stage=False, refit_after=4, **SMALL), 30)
    assert [len(codes) for _, codes, _ in oracles] == [10, 14, 18, 22, 26]


def test_what_a_fit_reads_follows_a_schedule(oracles: list[Any]) -> None:
    values = {"pool_size": (4, 9), "max_labels": (10, 6)}
    given = {key: {"schedule": "piecewise", "values": list(v), "milestones": [14]} for key, v in values.items()}
    optimizer = adapted(NeuralPredictorSearch, num_init=10, two_stage=False, **given)
    drive(optimizer, 15)
    assert [len(codes) for _, codes, _ in oracles] == [10, 6] and len(optimizer.state.queue) == 8


def test_a_pool_ends_with_the_space(oracles: list[Any]) -> None:
    optimizer = adapted(NeuralPredictorSearch, **{**SMALL, "num_init": SIZE - 30, "pool_size": 100})
    assert len(set(drive(optimizer, SIZE - 5))) == SIZE - 5


def test_a_killed_search_goes_on_as_it_would_have() -> None:
    keywords = {**SMALL, "refit_after": 5}
    whole, killed, resumed = (adapted(NeuralPredictorSearch, seed=seed, **keywords) for seed in (0, 0, 4))
    drive(whole, 13), drive(killed, 13)
    restore(resumed, saved(killed))
    assert drive(whole, 22) == drive(resumed, 22)


def test_the_classifier_tells_two_kinds_of_cells_apart() -> None:
    from naslib.search_spaces.nasbench201.codec import NasBench201Codec

    codec = NasBench201Codec()
    codes = [(a, b, 1, c, 0, 2) for a in range(5) for b in range(5) for c in range(2)]
    classes = [float(code[0] == 2) for code in codes]
    model = GCNClassifier(space=codec, epochs=80, seed=0)
    model.set_hyperparams({"gcn_hidden": 16, "batch_size": 5, "lr": 1e-2})
    model.fit(codes[::2], classes[::2])
    found = model.query(codes[1::2])
    assert ((found > 0) & (found < 1)).all() and ((found > 0.5) == (np.array(classes[1::2]) > 0.5)).mean() > 0.9
    with pytest.raises(PredictorError, match=r"classes 0 and 1, not values such as 0\.5"):
        model.fit(codes[:2], [0.5, 1.0])


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"two_stage": False, "threshold": 3.0}, "threshold is of the classifier"),
        ({"pool_size": 0}, "pool_size must be at least 1"),
        ({"refit_after": 0}, "refit_after must be at least 1"),
    ],
)
def test_what_is_refused(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        NeuralPredictorSearch(**keywords)
    with pytest.raises(ConfigError, match="did you mean 'gcn_hidden'"):
        adapted(NeuralPredictorSearch, predictor_args={"gcn_hiden": 3})
    assert GCNPredictor.DEFAULTS["gcn_hidden"] == 144 and Scores().fidelity == 3
