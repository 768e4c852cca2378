"""OMNI and the one-shot predictor."""

from __future__ import annotations

import math
import sys
from random import Random
from types import SimpleNamespace

import numpy as np
import pytest

from naslib.errors import ConfigError, PredictorError
from naslib.history import Objective
from naslib.predictors import PREDICTORS
from naslib.predictors.curves import EarlyStopping
from naslib.predictors.measures import spearman
from naslib.predictors.omni import KnownColumns, OmniNGBPredictor, omni_seminas
from naslib.predictors.oneshot import OneShotPredictor
from naslib.search_spaces.core.query_metrics import Metric
from naslib.search_spaces.nasbench201.codec import NasBench201Codec

CODEC = NasBench201Codec()
RNG = Random(1)
CODES = list(dict.fromkeys(CODEC.random(RNG) for _ in range(70)))[:60]
# What a network reaches is, in equal parts, what its proxy, its curve and its architecture say
PROXY = np.array([RNG.gauss(0, 1) for _ in CODES])
LOSS = np.array([RNG.uniform(0, 3) for _ in CODES])
VALUES = 80 + PROXY - LOSS + np.array([0.7 * code.count(2) for code in CODES])
INFO = [{"jacov": p, "TRAIN_LOSS_lc": [3.0, 2.9, loss]} for p, loss in zip(PROXY, LOSS, strict=True)]
TRAIN, TEST = slice(0, 40), slice(40, 60)


def test_columns_are_standardised_by_the_training_set():
    columns = KnownColumns(["jacov"], ["sotle", "sotl"])
    first = columns.fit(CODES[TRAIN], INFO[TRAIN])
    np.testing.assert_allclose(first[:, 0], (PROXY[TRAIN] - PROXY[TRAIN].mean()) / PROXY[TRAIN].std())
    np.testing.assert_allclose(first[:, 1], first[:, 2])
    later = columns.of(CODES[TEST], INFO[TEST])
    np.testing.assert_allclose(later[:, 1], (LOSS[TEST] - LOSS[TRAIN].mean()) / LOSS[TRAIN].std())
    assert columns.metrics == [Metric.TRAIN_LOSS] and later.shape == (20, 3)


def test_columns_come_from_functions_and_predictors():
    by_code = dict(zip(CODES, PROXY, strict=True))
    columns = KnownColumns({"mine": lambda codes: [by_code[code] for code in codes]})
    one = OneShotPredictor(lambda codes: [by_code[code] for code in codes])
    np.testing.assert_allclose(columns.fit(CODES, None), KnownColumns({"mine": one}).fit(CODES, None))
    np.testing.assert_allclose(columns.fit(CODES, None), KnownColumns(["jacov"]).fit(CODES, INFO))


def test_columns_that_are_not_there():
    columns = KnownColumns(["jacov"], ["valacc"])
    with pytest.raises(PredictorError, match=r"needs the proxy 'jacov' .* \(entry 1 has none\)"):
        columns.fit(CODES[:2], [INFO[0], {"lc": [1.0]}])
    with pytest.raises(PredictorError, match="info 0 has no 'VAL_ACCURACY_lc' or 'lc'"):
        columns.fit(CODES[:2], INFO[:2])
    with pytest.raises(PredictorError, match="1 finite values of 2"):
        KnownColumns({"p": lambda codes: [1.0, math.nan]}).fit(CODES[:2], None)
    with pytest.raises(ConfigError, match="did you mean 'sotle'"):
        KnownColumns(lce=["sotlee"])
    columns = KnownColumns(lce=["sotle"])
    columns.fit(CODES[:3], [[1.0, 2], [2, 3], [3, 4]])
    with pytest.raises(PredictorError, match=r"2 as in training"):
        columns.of(CODES[:1], [[1.0]])


def test_omni_sees_all_three():
    whole = PREDICTORS.build("omni", space=CODEC)
    whole.set_hyperparams({"n_estimators": 25})
    whole.fit(CODES[TRAIN], VALUES[TRAIN], INFO[TRAIN])
    mean, std = whole.predict(CODES[TEST], INFO[TEST])
    part = OmniNGBPredictor((), (), space=CODEC)
    part.set_hyperparams({"n_estimators": 25})
    part.fit(CODES[TRAIN], VALUES[TRAIN])
    assert spearman(VALUES[TEST], mean) > 0.65 > spearman(VALUES[TEST], part.query(CODES[TEST]))
    assert (std > 0).all() and abs(mean.mean() - VALUES[TEST].mean()) < 1
    again = PREDICTORS.build("omni_ngb", space=CODEC)
    again.set_hyperparams({"n_estimators": 25})
    again.fit(CODES[TRAIN], VALUES[TRAIN], INFO[TRAIN])
    np.testing.assert_array_equal(again.query(CODES[TEST], INFO[TEST]), mean)
    wanted = whole.get_data_reqs()
    assert wanted["requires_partial_lc"] and wanted["metric"] == [Metric.TRAIN_LOSS]
    assert not part.get_data_reqs()["requires_partial_lc"]


def test_omni_searches_hyperparameters(monkeypatch):
    predictor = OmniNGBPredictor(["jacov"], (), n_hypers=3, space=CODEC)
    drawn = []

    def draw(rng: np.random.Generator) -> dict[str, object]:
        rate = (1e-5, 0.05, 1e-4)[len(drawn)]
        drawn.append({**OmniNGBPredictor.DEFAULTS, "n_estimators": 8, "learning_rate": rate, "max_depth": 2})
        return drawn[-1]

    monkeypatch.setattr(predictor, "_draw", draw)
    predictor.fit(CODES[TRAIN], VALUES[TRAIN], INFO[TRAIN])
    assert len(drawn) == 3 and predictor.get_hyperparams() == drawn[1]


def test_omni_with_equal_values():
    predictor = OmniNGBPredictor((), (), n_hypers=2, space=CODEC)
    predictor.fit(CODES[:9], [91.5] * 9)
    mean, std = predictor.predict(CODES[TEST])
    assert mean.tolist() == [91.5] * 20 and std.tolist() == [0.0] * 20


def test_omni_without_its_library_and_with_a_graph(monkeypatch):
    with pytest.raises(ConfigError, match="gcn is a graph"):
        OmniNGBPredictor((), (), "gcn", space=CODEC)
    monkeypatch.setitem(sys.modules, "ngboost", None)
    with pytest.raises(ConfigError, match=r"pip install 'naslib\[trees\]'"):
        OmniNGBPredictor()


def test_seminas_sees_columns_too():
    # What the architecture says nothing about: without the columns there is nothing to learn
    values = PROXY - LOSS
    scores = {}
    for name, predictor in {
        "omni": omni_seminas("compact", semi=True, space=CODEC, epochs=15),
        "alone": PREDICTORS.build("nao", encoding_type="compact", space=CODEC, epochs=15),
    }.items():
        predictor.up_sample = 1
        predictor.set_hyperparams({"batch_size": 10, "lr": 1e-2, "gcn_hidden": 16})
        known = (INFO[TRAIN], INFO[TEST]) if predictor.reads_info() else (None, None)
        predictor.fit(CODES[TRAIN], values[TRAIN], known[0])
        scores[name] = spearman(values[TEST], predictor.query(CODES[TEST], known[1]))
    assert scores["omni"] > 0.7 > 0.5 > scores["alone"]
    wanted = PREDICTORS.build("omni_seminas").get_data_reqs()
    assert wanted["metric"] == [Metric.TRAIN_LOSS] and wanted["unlabeled"]


def test_a_supernet_scores_codes():
    class Evaluator:
        fidelity = 1
        objectives = (Objective("loss", maximize=False),)
        seen: list[tuple[int, ...]] = []

        def evaluate(self, trial):
            self.seen.append((trial.code, trial.fidelity))
            return SimpleNamespace(values=(float(trial.code.count(2)),))

    counts = [float(code.count(2)) for code in CODES]
    predictor = PREDICTORS.build("oneshot", scores=Evaluator(), space=CODEC)
    np.testing.assert_array_equal(predictor.query(CODES), np.negative(counts))
    assert Evaluator.seen == [(code, 1) for code in CODES]
    by_object = OneShotPredictor(SimpleNamespace(values=lambda codes: [code.count(2) for code in codes]))
    np.testing.assert_array_equal(by_object.query(CODES), counts)
    predictor.fit(CODES[:3], [1, 2, 3])
    assert predictor.predict(CODES[:1])[1] is None
    with pytest.raises(PredictorError, match="2 scores of 1 architectures"):
        OneShotPredictor(lambda codes: [1.0, 2.0]).query(CODES[:1])
    with pytest.raises(ConfigError, match="not a int"):
        OneShotPredictor(3)


def test_a_predictor_of_curves_is_no_column_by_itself():
    """Its curves are in info, which a column of proxies is not given."""
    with pytest.raises(PredictorError, match="needs info"):
        KnownColumns({"valacc": EarlyStopping()}).fit(CODES, INFO)
