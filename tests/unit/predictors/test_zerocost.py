"""ZeroCost as a predictor, and proxies as numbers that other predictors are given."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import torch
from torch import nn

from naslib.errors import ConfigError, DataError, PredictorError, UnknownNameError, UnsupportedBySpaceError
from naslib.predictors import ZeroCost, compute_proxy
from naslib.predictors.proxies import ProxyScorer
from naslib.predictors.proxies.scoring import seed_of_code, seeded_network
from naslib.search_spaces import NasBench201SearchSpace
from naslib.tasks import Classification
from naslib.utils.seeding import rng_snapshot

CODES = [(2, 0, 3, 3, 2, 4), (0, 0, 2, 4, 2, 1), (1, 1, 1, 1, 1, 1)]


def space() -> NasBench201SearchSpace:
    return NasBench201SearchSpace(3, 2, channels=4, cells_per_stage=1)


def loader(n_batches: int = 2) -> list[list[torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    return [[torch.randn(6, 2, 8, 8, generator=generator), torch.arange(6) % 3] for _ in range(n_batches)]


def test_values_are_those_of_compute_proxy():
    data = loader()[0]
    predictor = ZeroCost("snip", space=space(), batch=data, seed=5)
    assert predictor.fit(CODES, [1.0, 2.0, 3.0]) is None
    expected = []
    for code in CODES:
        seed = seed_of_code(5, code)
        expected.append(compute_proxy("snip", seeded_network(space(), code, seed), Classification(), data, seed))
    before = rng_snapshot()
    found = predictor.query(CODES)
    assert found.tolist() == expected
    assert torch.equal(before["torch"], rng_snapshot()["torch"])
    mean, std = predictor.predict(CODES)
    assert mean.tolist() == expected
    assert std is None
    again = ZeroCost("snip", space=space(), batch=data, seed=5)
    assert again.query(CODES[::-1]).tolist() == expected[::-1]


def test_graphs_and_modules_one_at_a_time_as_naslib_asks():
    predictor = ZeroCost(method_type="jacov")
    graph = space()
    graph.set_spec(CODES[0])
    with pytest.raises(PredictorError, match="has no data: give it batch="):
        predictor.query(graph)
    value = predictor.query(graph, loader())
    assert isinstance(value, float)
    assert value == predictor.query(graph, dataloader=loader()) == predictor.query([graph])[0]
    assert value == ZeroCost("jacov", space=space(), batch=loader()[0]).query([CODES[0]])[0]
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.Linear(128, 32), nn.ReLU(), nn.Linear(32, 3))
    expected = compute_proxy("jacov", module, Classification(), loader()[0], 0)
    assert predictor.query(module) == expected
    with pytest.raises(ConfigError, match="builds the networks of codes: give it space="):
        predictor.query([CODES[1]])


def test_graphs_of_one_code_and_other_sizes_have_their_own_values():
    predictor, values = ZeroCost("params", batch=loader()[0]), []
    for channels in (4, 8):
        graph = NasBench201SearchSpace(3, 2, channels=channels, cells_per_stage=1)
        graph.set_spec(CODES[0])
        values.append(predictor.query(graph))
    assert values[1] > 2 * values[0]


def test_orientation_logarithms_and_failures():
    data = loader()[0]
    flows = ZeroCost("synflow", space=space(), batch=data)
    raw = compute_proxy("synflow", seeded_network(space(), CODES[0], seed_of_code(0, CODES[0])), Classification(), data)
    assert flows.query(CODES[:1])[0] == pytest.approx(math.log(raw))
    assert flows.query(CODES)[2] == -1e8  # no operation but `none`: nothing flows
    with pytest.raises(PredictorError, match="synflow of this network is 0"):
        ZeroCost("synflow", space=space(), batch=data, failed=None).query(CODES)
    tangents = ZeroCost("ntk", space=space(), batch=data)
    assert tangents.query(CODES[:1])[0] < -1  # a condition number is at least 1, and less is better
    with pytest.raises(UnsupportedBySpaceError, match=r"evaluation\.channels=8"):
        ZeroCost("params", space=space(), batch=data, network_args={"channels": 8}).query(CODES[:1])


def test_zico_takes_two_batches():
    predictor = ZeroCost("zico", space=space())
    predictor.pre_process(loader(2))
    value = predictor.query(CODES[:1])[0]
    seed = seed_of_code(0, CODES[0])
    network = seeded_network(space(), CODES[0], seed)
    assert value == compute_proxy("zico", network, Classification(), loader(2), seed)
    with pytest.raises(DataError, match="2 batches are asked for, and the loader has 1"):
        predictor.pre_process(loader(1))


def test_what_it_does_not_take():
    with pytest.raises(UnknownNameError, match="nwot"):
        ZeroCost("nwott")
    with pytest.raises(ConfigError, match=r"fisher has no option 'by'.*\(options: per\)"):
        ZeroCost("fisher", by="channel")


def test_proxies_as_info_for_other_predictors():
    data = loader()
    scorer = ProxyScorer(
        space(), Classification(), data, ["nwot", "az_nas", "fisher"], options={"fisher": {"per": "channel"}}
    )
    rows = scorer.table(CODES[:2])
    parts = ["az_nas.expressivity", "az_nas.progressivity", "az_nas.trainability", "az_nas.complexity"]
    assert [list(row) for row in rows] == [["nwot", *parts, "fisher"]] * 2
    assert scorer.maximize == [True] * 6
    seed = seed_of_code(0, CODES[1])
    network = seeded_network(space(), CODES[1], seed)
    channel = compute_proxy("fisher", network, Classification(), data[0], seed, per="channel")
    assert rows[1]["fisher"] == channel
    with pytest.raises(PredictorError, match=r"\(1, 1, 1, 1, 1, 1\): nwot"):
        ProxyScorer(space(), Classification(), data, ["nwot", "jacov"]).table(CODES)
    for names, options, message in (
        ([], {}, "name at least one proxy"),
        (["snip", "SNIP"], {}, "snip is there twice"),
        (["snip"], {"nwot": {}}, "options of nwot, which is not among the proxies"),
    ):
        with pytest.raises(ConfigError, match=message):
            ProxyScorer(space(), Classification(), data, names, options=options)


def test_ranks_of_a_space_follow_its_size():
    codes = list(product((0, 2), repeat=2))
    codes = [(*code, 2, 0, 2, 0) for code in codes]
    counts = [code.count(2) for code in codes]
    values = ZeroCost("params", space=space(), batch=loader()[0]).query(codes)
    assert np.argsort(values, kind="stable").tolist() == np.argsort(counts, kind="stable").tolist()
