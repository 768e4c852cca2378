"""What else is known of architectures is read, or refused: never left out in silence."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest

from naslib.errors import ConfigError, PredictorError
from naslib.optimizers import Bananas
from naslib.predictors import PREDICTORS
from naslib.predictors.base import _READERS
from naslib.search_spaces import NasBench201SearchSpace
from naslib.search_spaces.nasbench201.codec import NasBench201Codec

CODEC = NasBench201Codec()
CODES = [CODEC.random(Random(seed)) for seed in range(12)]
VALUES = [float(sum(code)) for code in CODES]
BLIND: dict[str, dict[str, Any]] = {
    "gcn": {"epochs": 1},
    "bonas": {"epochs": 1},
    "nao": {"epochs": 1},
    "seminas": {"epochs": 1},
    "gpwl": {},
}
EMPTY: list[Any] = [None, [], [{} for _ in CODES], [None for _ in CODES], np.zeros((12, 0))]


@pytest.mark.parametrize("name", BLIND)
def test_who_reads_no_info_refuses_it(name: str) -> None:
    predictor = PREDICTORS.get(name)(space=CODEC, **BLIND[name])
    predictor.set_hyperparams({"gcn_hidden": 8} if name != "gpwl" else {})
    info = [{"snip": 1.0}] * 12
    assert not predictor.reads_info()
    with pytest.raises(PredictorError, match=r"reads architectures alone.*such as graf, et"):
        predictor.fit(CODES, VALUES, info)
    assert not predictor.is_fitted
    for nothing in EMPTY[: 5 if name == "gpwl" else 2]:
        predictor.fit(CODES, VALUES, nothing)
    found = predictor.query(CODES)
    for nothing in EMPTY:
        assert predictor.query(CODES, nothing) == pytest.approx(found, abs=0)
    with pytest.raises(PredictorError, match="leave it out"):
        predictor.query(CODES, np.ones((12, 1)))


def test_those_that_are_named_read_it() -> None:
    assert all(PREDICTORS.get(name)(space=CODEC).reads_info() for name in _READERS)
    assert PREDICTORS.get("omni_seminas")(space=CODEC).reads_info()


def test_members_of_an_ensemble_refuse_it_too() -> None:
    members = [{"predictor": "bayes_lin_reg"}, {"predictor": "gpwl"}]
    ensemble = PREDICTORS.get("ensemble")(space=CODEC, members=members)
    with pytest.raises(PredictorError, match="GPWLPredictor reads architectures alone"):
        ensemble.fit(CODES, VALUES, [{"snip": 1.0}] * 12)
    assert not ensemble.reads_info()
    ensemble.fit(CODES, VALUES, [{}] * 12)
    assert PREDICTORS.get("ensemble")(space=CODEC, members=members[:1]).reads_info()


def test_a_search_with_proxies_says_so_before_it_begins() -> None:
    api = {str(code): {"val_accuracy": 0.0, "snip": {"score": 1.0}} for code in CODES}
    search = Bananas(predictor_type="gcn", zc_api=api, use_zc_api=True, num_init=5)
    with pytest.raises(ConfigError, match=r"'gcn' would not read them: take another search\.predictor_type"):
        search.adapt_search_space(NasBench201SearchSpace(channels=4, cells_per_stage=1), evaluator="train")
