"""Costs of architectures by code: counted, published, added up, measured; and what a config says of them."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_spaces import ConvSpace

from naslib.benchmarks.lookup import get_dataset_api
from naslib.errors import BenchmarkDataMissing, ConfigError
from naslib.hardware import operation_key, trace_candidates
from naslib.hardware.given import CostsOfSpace, check_hardware
from naslib.hardware.limits import CostLimits, check_limits
from naslib.hardware.metrics import macs, memory, params
from naslib.hardware.published import PublishedFigures, find_set
from naslib.hardware.table import LatencyTable
from naslib.registry.devices import DEVICE_SETS, DeviceSet
from naslib.search_spaces import NasBench201SearchSpace
from naslib.search_spaces.core.fresh_network import fresh_network
from naslib.search_spaces.fbnet.graph import FBNetSearchSpace
from naslib.search_spaces.nasbench301.graph import NasBench301SearchSpace
from naslib.search_spaces.simple_cell.graph import SimpleCellSearchSpace
from tests.support.data_files import data_file

SHAPE = (3, 8, 8)
# of nasbench201: identity, none, 3x3, 1x1, pooling
CODES = [(0, 1, 2, 3, 4, 2), (1,) * 6, (2,) * 6]


def _space() -> NasBench201SearchSpace:
    return NasBench201SearchSpace(channels=4, cells_per_stage=1)


def _costs(space: Any = None, **given: Any) -> CostsOfSpace:
    return CostsOfSpace(_space() if space is None else space, given, input_shape=lambda: SHAPE)


def test_counted_costs_are_those_of_the_network() -> None:
    space = SimpleCellSearchSpace()
    found = CostsOfSpace(space, input_shape=lambda: SHAPE).costs(["params", "macs", "memory"])
    rng, before = random.Random(0), torch.get_rng_state()
    for _ in range(2):
        code = space._codec().random(rng)
        values = found.of(code)
        network = fresh_network(space, code)
        assert values == {"params": params(network), "macs": macs(network, SHAPE), "memory": memory(network, SHAPE)}
        torch.set_rng_state(before)
    found.of(space._codec().random(rng))
    assert torch.equal(torch.get_rng_state(), before), "a cost draws nothing from the generator of a search"


@pytest.mark.parametrize("code", CODES)
def test_closed_form_and_network_agree(code: tuple[int, ...]) -> None:
    closed = _costs().costs(["params", "macs"]).of(code)
    network = fresh_network(_space(), code)
    assert closed["params"] == params(network)
    assert closed["macs"] == pytest.approx(macs(network, SHAPE), rel=1e-12)


def test_network_args_are_those_of_the_networks_that_are_trained() -> None:
    space, size = NasBench301SearchSpace(cells=2, channels=4), {"cells": 3, "channels": 8, "auxiliary": False}
    code = space._codec().random(random.Random(0))
    found = CostsOfSpace(space, input_shape=lambda: SHAPE, network_args=size).costs(["params"]).of(code)["params"]
    own = CostsOfSpace(space, input_shape=lambda: SHAPE).costs(["params"]).of(code)["params"]
    assert found == params(fresh_network(space, code, size)) != own == params(fresh_network(space, code))


def test_sizes_are_added_up_once_that_is_right_for_networks_that_were_made() -> None:
    space = ConvSpace()
    codes = list(space._codec().iterate())
    cost = CostsOfSpace(space, input_shape=lambda: (2, 8, 8)).costs(["params", "macs"])
    networks: Any = cost.by_name["macs"]._networks  # type: ignore[attr-defined]
    made: list[Any] = []
    built = networks.built
    networks.built = lambda code: made.append(code) or built(code)
    found = {code: cost.of(code) for code in codes[:20]}
    # a found network has affine norms, which the candidates of a space have not: their parameters are counted
    assert list(networks._models) == ["macs"] and len(made) == 20
    only = CostsOfSpace(space, input_shape=lambda: (2, 8, 8)).costs(["macs"])
    networks = only.by_name["macs"]._networks  # type: ignore[attr-defined]
    built, made = networks.built, []
    networks.built = lambda code: made.append(code) or built(code)
    for code in codes:
        value = only.of(code)["macs"]
        assert code not in found or value == found[code]["macs"]
    assert made == codes[:16]
    assert only.of(codes[-3])["macs"] == macs(fresh_network(space, codes[-3]), (2, 8, 8))


def test_operations_add_up_over_the_copies_of_a_cell() -> None:
    space = _space()
    edges = trace_candidates(space, SHAPE)
    assert len(edges) == 3 * 6
    rng = random.Random(1)
    milliseconds: dict[str, float] = {}

    for edge in edges:
        for op, shape in zip(edge.ops, edge.output_shapes, strict=True):
            milliseconds.setdefault(operation_key(op, edge.input_shape, shape), rng.random())
    table = LatencyTable(milliseconds, 0.5, info={"input_shape": list(SHAPE)})
    cost = _costs(latency={"table": table}).costs(["latency"])
    rows = table.costs(edges)
    places = [edge.place[0] for edge in edges]
    names = sorted(set(places), key=places.index)
    decided = space._codec().decision_space
    assert decided is not None
    for code in CODES:
        genes = dict(zip(decided.names, space._codec().to_decisions(code), strict=True))
        by_hand = 0.5 + sum(row[genes[place]] for place, row in zip(places, rows, strict=True))
        assert cost.of(code)["latency"] == pytest.approx(by_hand, rel=1e-12)
    assert len(names) == 6


def test_a_table_of_operations_says_what_it_is_for() -> None:
    table = LatencyTable({"a": 1.0})
    with pytest.raises(ConfigError, match="for which inputs"):
        _costs(latency={"table": table}).costs(["latency"])
    with pytest.raises(ConfigError, match=r"what the rest of the network takes: search.hardware.latency: \{table"):
        _costs(latency={"table": table}, input_shape=[3, 8, 8]).costs(["latency"])


def test_a_measured_latency_says_how() -> None:
    found = _costs(latency={"here": True, "threads": 1}).costs(["latency"])
    assert found.of(CODES[0])["latency"] > 0
    assert found.user() == {"latency_runs": 50, "latency_threads": 1}
    assert not found.by_name["latency"].is_known
    with pytest.raises(ConfigError, match=r"limits.latency: rs judges proposals by it"):
        CostLimits({"latency": 5.0}, found).require_known("rs")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"macs": "here"}, "no source of 'macs'.*are counted"),
        ({"latncy": "here"}, "did you mean 'latency'"),
        ({"latency": 3}, "name of a device or"),
        ({"latency": {"device": "a", "table": "b"}}, "with one of these"),
        ({"latency": {"device": "a", "treads": 1}}, "no entry 'treads'"),
        ({"energy": {"here": True}}, "search.hardware.energy is the name of a device"),
        ({"input_shape": [3, 0]}, r"like \[3, 32, 32\]"),
        ("pixel3", "by the name of a cost"),
    ],
)
def test_bad_sources(given: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_hardware(given)


def test_forms_of_sources() -> None:
    given = {"latency": "table.json", "energy": "eyeriss", "input_shape": [1, 8, 8]}
    expected = {"latency": {"table": "table.json"}, "energy": {"device": "eyeriss"}, "input_shape": (1, 8, 8)}
    assert check_hardware(given) == expected
    assert check_hardware(expected) == expected
    assert check_hardware({"latency": "here"}) == {"latency": {"here": True}}
    assert check_hardware(None) == {}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"mac": 3}, "did you mean 'macs'"),
        ({"macs": "60"}, "upper bound in M, a number above 0, not '60'"),
        ({"macs": 0}, "above 0"),
        ({"latency": float("nan")}, "upper bound in ms"),
        ({"macs": True}, "above 0"),
        ({"macs": 3, "flops": 4}, "macs is there twice"),
        ([60], "by the name of a cost"),
    ],
)
def test_bad_limits(given: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_limits(given)
    assert check_limits({"FLOPS": 3, "Latency": 4.5}) == {"macs": 3.0, "latency": 4.5}


def test_what_is_not_known_is_said_with_the_ways() -> None:
    with pytest.raises(ConfigError, match=r"search.hardware.latency has to say.*a device \(1080ti_1.*here.*table.json"):
        _costs().costs(["latency"])
    with pytest.raises(ConfigError, match=r"search.hardware.energy has to say.*edgegpu, eyeriss, fpga"):
        _costs().costs(["energy"])
    with pytest.raises(ConfigError, match=r"not measured on 'pixel33'.*did you mean 'pixel3'"):
        _costs(latency="pixel33").costs(["latency"])
    with pytest.raises(ConfigError, match="nobody has published the energy of SimpleCellSearchSpace"):
        CostsOfSpace(SimpleCellSearchSpace(), {"energy": "eyeriss"}).costs(["energy"])
    with pytest.raises(ConfigError, match=r"images of cifar10, not of digits.*device: pixel2, dataset: cifar10"):
        CostsOfSpace(_space(), {"latency": "pixel2"}, dataset="digits").costs(["latency"])
    with pytest.raises(ConfigError, match=r"search.hardware.input_shape"):
        CostsOfSpace(SimpleCellSearchSpace()).costs(["macs"])


def test_limits_remember_and_say_the_smallest() -> None:
    costs = _costs().costs(["params", "macs"])
    sizes = [costs.of(code) for code in CODES]
    limits = CostLimits({"params": sizes[0]["params"], "macs": sizes[1]["macs"] / 2}, costs)
    assert not limits.allow(CODES[0])
    assert limits.excess(CODES[1]) == pytest.approx(1.0)
    beyond = max(sizes[2]["params"] / sizes[0]["params"], 2 * sizes[2]["macs"] / sizes[1]["macs"]) - 1
    assert limits.excess(CODES[2]) == pytest.approx(beyond)
    assert limits.smallest["macs"] == sizes[1]["macs"]
    assert "the smallest beyond them: " in limits.refusal()
    assert CostLimits({"params": sizes[0]["params"]}, costs).allow(CODES[0]), "a bound is allowed itself"


def _folder(*names: str) -> str:
    missing = [name for name in names if not data_file(name).is_file()]
    if missing:
        pytest.skip(f"there is no {missing[0]}")
    return str(data_file(names[0]).parent)


@pytest.mark.parametrize("held", DEVICE_SETS, ids=lambda held: f"{held.space}-{held.kind}-{held.metric}")
def test_devices_are_those_of_the_tables(held: DeviceSet) -> None:
    folder = _folder("nb201.npz")
    try:
        api: Any = get_dataset_api(held.space, None, folder, held.kind)
    except BenchmarkDataMissing as missing:
        pytest.skip(str(missing))
    else:
        unit = {"latency": "ms", "energy": "mJ"}[held.metric]
        there = {figure.name for figure in api.figures if figure.unit == unit}
        wanted = {held.figure(device) for device in held.devices}
        assert wanted == there if held.kind != "energy" else wanted == {n for n in there if n.endswith(held.metric)}
        assert set(api.datasets) == set(held.datasets)


def test_published_figures_of_a_complete_table() -> None:
    folder = Path(_folder("nb201_latency.npz", "nb201.npz", "hw_nas_bench_nb201.npz"))
    with np.load(folder / "nb201.npz") as table, np.load(folder / "nb201_latency.npz") as file:
        row = int(np.flatnonzero((table["ops"] == np.full(6, 3)).all(1))[0])
        wanted = float(file["latency_ms"][[str(d) for d in file["devices"]].index("gold_6226"), row])
    with np.load(folder / "hw_nas_bench_nb201.npz") as file:
        columns = [str(name) for name in file["fields"]]
        energy = float(file["cifar100"][row, columns.index("eyeriss_energy")])
    given = {"latency": {"device": "gold_6226", "dataset": "cifar10"}, "energy": "eyeriss"}
    made = CostsOfSpace(_space(), given, dataset="cifar100", data=str(folder))
    edges = ("|".join(f"nor_conv_3x3~{j}" for j in range(i)) for i in (1, 2, 3))
    all_3x3 = _space()._codec().canonical("+".join(f"|{part}|" for part in edges))
    assert made.costs(["latency", "energy"]).of(all_3x3) == {"latency": wanted, "energy": energy}


def test_predicted_latencies_are_near_those_that_were_measured() -> None:
    folder = Path(_folder("fbnet_latency.npz"))
    space = FBNetSearchSpace(n_classes=100)
    made = PublishedFigures(find_set("fbnet", "latency", "eyeriss", None), "eyeriss", None, space._codec(), folder)
    with np.load(folder / "fbnet_latency.npz") as file:
        measured = file["latency_ms"][[str(d) for d in file["devices"]].index("eyeriss")]
        codes = [tuple(row) for row in file["op_idx"].tolist()]
    found = np.array([made.of(code) for code in codes[:50]])
    assert np.abs(found / measured[:50] - 1).max() < 0.002, "on this device latencies add up"
    assert "R2 1.000" in made.about
