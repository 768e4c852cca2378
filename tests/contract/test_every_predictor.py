"""Every predictor on spaces of each kind with every encoding: finite figures that are its own, or a refusal."""

from __future__ import annotations

from functools import cache
from random import Random
from typing import Any

import numpy as np
import pytest

from naslib.errors import ConfigError, UnsupportedBySpaceError
from naslib.predictors import PREDICTORS
from naslib.predictors.measures import spearman
from naslib.search_spaces.core.graph import Graph
from naslib.utils.encodings import EncodingType
from tests.support.zoo import ENTRIES

# One of each kind: operations on edges, chosen inputs, operations of vertices, a chain, sizes, blocks
SPACES = ["nats_size", *(pytest.param(n, marks=pytest.mark.slow) for n in ("nasbench201", "nasbench301", "nasbench101",
          "proxylessnas", "gpt"))]  # fmt: skip
CURVES = {"lce", "lce_m", "lcsvr", "sotl", "sotle", "valacc", "valloss"}
OMNI = {"omni", "omni_ngb", "omni_seminas"}
GRAPHS = {EncodingType.GCN, EncodingType.BONAS, EncodingType.SEMINAS}
# To these the encoding does nothing
READS_NONE = {"gpwl", "lce", "lce_m", "oneshot", "sotl", "sotle", "valacc", "valloss"}
# What those read that read no rows; all others refuse graphs
READS: dict[str, set[EncodingType]] = {
    "bonas": {EncodingType.BONAS},
    "gcn": {EncodingType.GCN, EncodingType.BONAS},
    **{name: {EncodingType.SEMINAS, EncodingType.COMPACT} for name in ("nao", "seminas", "omni_seminas")},
}
# To be quick
KEYWORDS: dict[str, dict[str, Any]] = {
    **{name: {"epochs": 12} for name in ("gcn", "bonas", "nao", "seminas", "omni_seminas")},
    "lce": {"final_epoch": 50},
    "lce_m": {"final_epoch": 50, "walkers": 8, "burn_in": 3, "steps": 3},
    "lcsvr": {"n_hypers": 4},
    "ensemble": {"predictor_type": "bayes_lin_reg", "num_ensemble": 2},
}
HYPERPARAMS: dict[str, dict[str, Any]] = {
    **{name: {"n_estimators": 15} for name in ("rf", "et", "graf", "ngb", "omni", "omni_ngb")},
    **{name: {"epochs": 40, "num_layers": 3} for name in ("mlp", "bananas")},
    **{name: {"batch_size": 8, "lr": 0.01} for name in ("gcn", "bonas", "nao", "seminas", "omni_seminas")},
    "xgb": {"num_rounds": 20},
    "dngo": {"epochs": 15},
    "bohamiann": {"burn_in": 60, "samples": 4, "keep_every": 2},
}
LABELS, ASKED = 32, 24


@cache
def drawn(space: str) -> tuple[Graph, list[tuple[int, ...]], np.ndarray, list[dict[str, Any]]]:
    """Return a space, architectures, values that depend on how often each candidate is chosen, and what else is known.

    Curves come to the values in 50 epochs, and the first ten are known; the proxy is the value with noise.
    """
    graph = ENTRIES[space].make(n_classes=4, in_channels=3)
    codec, rng = graph._codec(), Random(0)
    codes = list(dict.fromkeys(codec.random(rng) for _ in range(200)))[: LABELS + ASKED]
    genes = np.array([codec.to_decisions(code) for code in codes])
    values = 70 + 10 * (genes == 2).mean(1) - 10 * (genes == 1).mean(1)
    noise = np.random.default_rng(0).normal(size=len(codes)) * values.std() / 2
    curve = values[:, None] - 30 * np.arange(1, 11) ** -0.7
    loss = 4 - curve / 30
    info = [
        {"VAL_ACCURACY_lc": c, "VAL_LOSS_lc": low, "TRAIN_LOSS_lc": low, "jacov": p}
        for c, low, p in zip(curve.tolist(), loss.tolist(), (values + noise).tolist(), strict=True)
    ]
    return graph, codes, values, info


def fitted(
    name: str, space: str, kind: EncodingType | None, quick: bool = False
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Return mean and standard deviation of what was not seen, and its values."""
    graph, codes, values, info = drawn(space)
    make = PREDICTORS.get(name)
    encoding = {} if kind is None else {"encoding_type": kind}
    scores = {"scores": lambda asked: [values[codes.index(code)] for code in asked]} if name == "oneshot" else {}
    predictor = make(space=graph, **encoding, **scores, **KEYWORDS.get(name, {}))
    predictor.set_hyperparams(HYPERPARAMS.get(name, {}))
    if quick:
        few = {
            "epochs": 2,
            "n_estimators": 4,
            "num_rounds": 4,
            "burn_in": 12,
            "batch_size": 16,
            "gcn_hidden": 16,
            "h": 1,
        }
        predictor.set_hyperparams({key: few[key] for key in few if key in predictor.DEFAULTS})
        predictor.epochs = 2  # of networks on graphs and sequences
    given = info if name in CURVES | OMNI else None
    predictor.fit(codes[:LABELS], values[:LABELS], given and given[:LABELS])
    mean, std = predictor.predict(codes[LABELS:], given and given[LABELS:])
    return mean, std, values[LABELS:]


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n == "omni_seminas")) for n in PREDICTORS.names()]
)
def test_it_ranks_a_made_up_target(name: str) -> None:
    mean, std, wanted = fitted(name, "nasbench201", None)
    assert spearman(wanted, mean) > 0.4  # of 24 in any order once in 50
    assert std is None or (std >= 0).all()


@pytest.mark.parametrize("space", SPACES)
def test_every_encoding_gives_figures_or_a_reason(space: str) -> None:
    n_asked, tried, refused = len(drawn(space)[1]) - LABELS, 0, {}
    for name in PREDICTORS.names():
        for kind in [None] if name in READS_NONE else EncodingType:
            tried += 1
            try:
                mean, std, _ = fitted(name, space, kind, quick=True)
            except (ConfigError, UnsupportedBySpaceError) as error:
                refused[name, kind] = str(error)
                continue
            assert kind in {None, *READS.get(name, {*EncodingType} - GRAPHS)}, (name, kind)
            assert mean.shape == (n_asked,) and np.isfinite(mean).all(), (name, kind)
            assert std is None or np.isfinite(std).all(), (name, kind)
            assert len(set(mean.round(9).tolist())) > 1, (name, kind)
    unread = {(n, k): why for (n, k), why in refused.items() if k in READS.get(n, {*EncodingType} - GRAPHS)}
    assert len(refused) - len(unread) == 6 + 7 + 3 * 6 + 19 * 3
    assert all("paths" in why for why in unread.values()), unread
    assert tried == 24 * 8 + 8


def test_how_many_there_are() -> None:
    assert len(PREDICTORS.names()) == 32
