"""NAS-Bench-301's ensembles: features, trees of both libraries, and what is predicted from their files."""

from __future__ import annotations

import json
import pickle
import struct
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import official_files as files
import pytest

from naslib.benchmarks import NasBench301Surrogate, get_dataset_api
from naslib.benchmarks.nasbench301 import FEATURES, features_of
from naslib.benchmarks.official import FORMATS, convert
from naslib.benchmarks.official.boosters import read_booster, xgboost_trees
from naslib.benchmarks.official.ubjson import read_ubjson
from naslib.errors import ArchitectureError, BenchmarkDataMissing, BenchmarkError
from naslib.search_spaces import NasBench301SearchSpace
from naslib.search_spaces.core.query_metrics import Metric

VAL = Metric.VAL_ACCURACY
BASE = "NetworkSelectorDatasetInfo:darts:"
OPS = ("max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5")
PAIRS = {3: ["0_1", "0_2", "1_2"], 4: ["0_1", "0_2", "0_3", "1_2", "1_3", "2_3"]}
PAIRS[5] = ["0_1", "0_2", "0_3", "0_4", "1_2", "1_3", "1_4", "2_3", "2_4", "3_4"]


def _nothing(done: int, total: int) -> None:
    """Progress that nobody watches."""


def configuration(genotype: Any) -> dict[str, float]:
    """Return what the benchmark's configuration of a genotype says of its cells, categories by their numbers."""
    found = {}
    for cell in ("normal", "reduce"):
        edges, first = getattr(genotype, cell), 0
        for node in range(4):
            pair = edges[2 * node : 2 * node + 2]
            for op, source in pair:
                found[f"{BASE}edge_{cell}_{first + source}"] = OPS.index(op)
            if node:
                inputs = "_".join(str(source) for source in sorted(source for _, source in pair))
                found[f"{BASE}inputs_node_{cell}_{node + 2}"] = PAIRS[node + 2].index(inputs)
            first += node + 2
    return found


def test_features_are_the_configuration_in_its_order() -> None:
    assert len(FEATURES) == 56 and FEATURES[0] == "CreateImageDataLoader:batch_size"
    # by name, and what depends on something after what does not
    assert FEATURES.index(f"{BASE}edge_normal_10") == 32 and FEATURES[-1] == f"{BASE}edge_reduce_9"
    graph = NasBench301SearchSpace()
    rng = Random(3)
    codes = [graph.codec.random(rng) for _ in range(50)]
    features = features_of(np.array(codes))
    for code, row in zip(codes, features, strict=True):
        expected = configuration(graph.codec.to_genotype(code))
        cells = {
            name: value
            for name, value in zip(FEATURES, row.tolist(), strict=True)
            if "edge_" in name or "inputs_" in name
        }
        assert {name: value for name, value in cells.items() if value >= 0} == expected
        assert sum(value == -1 for value in cells.values()) == 28 - 16
    assert np.ptp(features[:, FEATURES.index("OptimizerSelector:sgd:momentum")]) == 0
    assert features[0, FEATURES.index("OptimizerSelector:sgd:momentum")] == pytest.approx(0.8 / 0.89)


@pytest.mark.parametrize("change", [{0: 2}, {1: 7}, {0: -1}, {0: 1, 2: 1}, {0: 1, 2: 0}])
def test_what_is_no_architecture_is_refused(change: dict[int, int]) -> None:
    code = list((0, 0, 1, 0) * 8)
    features_of(np.array([code]))
    for position, value in change.items():
        code[position] = value
    with pytest.raises(ArchitectureError):
        features_of(np.array([code]))


def _data(seed: int) -> tuple[np.ndarray, np.ndarray, list[tuple[int, ...]]]:
    rng = Random(seed)
    codes = [NasBench301SearchSpace.codec.random(rng) for _ in range(120)]
    features = features_of(np.array(codes))
    targets = 92 + features[:, 32:].mean(1) + 0.1 * np.random.default_rng(seed).normal(size=len(codes))
    return features, targets, codes


def _xgboost(seed: int) -> Any:
    xgboost = pytest.importorskip("xgboost")
    features, targets, _ = _data(seed)
    parameters = {"objective": "reg:squarederror", "max_depth": 3, "nthread": 1, "seed": seed}
    return xgboost.train(parameters, xgboost.DMatrix(features, targets), 8)


def _lightgbm(seed: int) -> Any:
    lightgbm = pytest.importorskip("lightgbm")
    features, targets, _ = _data(seed)
    parameters = {"objective": "regression", "num_leaves": 6, "min_data_in_leaf": 5, "verbose": -1, "num_threads": 1}
    return lightgbm.train(parameters, lightgbm.Dataset(features, targets * 60), 8)


def _write(folder: Path, kind: str, boosters: list[Any]) -> None:
    for number, booster in enumerate(boosters):
        member = folder / f"ensemble_member_{number}"
        member.mkdir(parents=True)
        (member / "model_config.json").write_text(json.dumps({"model": kind, "param:max_depth": 3}))
        (member / "surrogate_model.model").write_bytes(pickle.dumps(booster))


def test_the_predictions_are_the_means_of_the_libraries(tmp_path: Path) -> None:
    xgboost = pytest.importorskip("xgboost")
    accuracies, times = [_xgboost(seed) for seed in (1, 2)], [_lightgbm(seed) for seed in (3, 4)]
    _write(tmp_path / "nb_models_1.0" / "xgb_v1.0", "xgb", accuracies)
    _write(tmp_path / "nb_models_1.0" / "lgb_runtime_v1.0", "lgb_time", times)
    table = NasBench301Surrogate(convert("nasbench301", tmp_path / "nb_models_1.0", tmp_path / "nb301.npz"))
    features, _, codes = _data(9)
    each = np.array([booster.predict(xgboost.DMatrix(features)) for booster in accuracies], dtype=np.float64)
    found = table.query_batch(np.array(codes), VAL, "cifar10")
    np.testing.assert_allclose(found, each.mean(0), rtol=0, atol=1e-4)  # the library adds in single precision
    np.testing.assert_allclose(table.deviation(np.array(codes)), each.std(0), rtol=0, atol=1e-4)
    seconds = np.array([booster.predict(features) for booster in times]).mean(0)
    np.testing.assert_allclose(table.query_batch(np.array(codes), Metric.TRAIN_TIME, "cifar10"), seconds, rtol=1e-12)
    graph = NasBench301SearchSpace()
    graph.set_spec(codes[5])
    assert graph.query(VAL, "cifar10", dataset_api=table) == found[5]
    assert graph.query(VAL, "cifar10", epoch=100, dataset_api=table) == found[5]
    assert table.has(VAL, "cifar10") and not table.has(VAL, "cifar10", 50) and not table.has(Metric.FLOPS, "cifar10")
    with pytest.raises(BenchmarkError, match=r"has no FLOPS .it has: VAL_ACCURACY, TRAIN_TIME"):
        graph.query(Metric.FLOPS, "cifar10", dataset_api=table)
    with pytest.raises(BenchmarkError, match="cifar10"):
        graph.query(VAL, "cifar100", dataset_api=table)


@pytest.mark.parametrize("make", [_lightgbm, _xgboost])
@pytest.mark.parametrize("protocol", [2, 4])
def test_a_pickled_booster_is_read(tmp_path: Path, make: Any, protocol: int) -> None:
    booster = make(5)
    path = tmp_path / "surrogate_model.model"
    path.write_bytes(pickle.dumps(booster, protocol=protocol))
    features = _data(5)[0]
    given = features
    if make is _xgboost:
        given = pytest.importorskip("xgboost").DMatrix(features)
    np.testing.assert_allclose(read_booster(path).predict(features), booster.predict(given), rtol=1e-6)


# x[33] < 2.5 ? (x[40] < 0.5 ? 1 : 2) : 4, and a tree of one leaf
TREES = [[(1, 2, 33, 2.5), (3, 4, 40, 0.5), (-1, -1, 0, 4.0), (-1, -1, 0, 1.0), (-1, -1, 0, 2.0)], [(-1, -1, 0, 0.25)]]


@pytest.mark.parametrize("form", ["raw", "binf", "pickled"])
def test_the_old_binary_format_of_xgboost(form: str) -> None:
    model = files.xgboost_binary(TREES, base=90.5)
    if form == "pickled":  # followed by the configuration
        model = b"CONFIG-offset:" + struct.pack("<q", len(model)) + model + b'{"learner": {}}'
    trees = xgboost_trees(b"binf" + model if form == "binf" else model)
    features = np.zeros((4, 56))
    features[:, 33], features[:, 40] = (2, 2, 2.5, 3), (0, 0.5, 0, 0)
    assert trees.predict(features).tolist() == [91.75, 92.75, 94.75, 94.75]


@pytest.mark.parametrize(
    "nodes, message",
    [
        ([(1, 2, 3, 0.5), (0, 2, 3, 0.5), (-1, -1, 0, 1.0)], "two parents"),
        ([(1, 9, 3, 0.5), (-1, -1, 0, 1.0)], "not there"),
    ],
)
def test_trees_in_which_a_walk_would_not_end_are_refused(nodes: list[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        xgboost_trees(files.xgboost_binary([nodes], base=0.5)).checked()


def test_ubjson_of_every_kind() -> None:
    raw = b"{" + b"i\x01aS" + b"U\x02hi" + b"U\x01b[$l#i\x02" + struct.pack(">ii", 7, -8) + b"i\x01c[TFZ]"
    raw += b"i\x01d[#U\x02D" + struct.pack(">d", 0.5) + b"L" + struct.pack(">q", -9) + b"i\x01e{#i\x01i\x01fC!" + b"}"
    found = read_ubjson(raw)
    assert found.pop("b").tolist() == [7, -8]
    assert found == {"a": "hi", "c": [True, False, None], "d": [0.5, -9], "e": {"f": "!"}}
    for cut in range(len(raw)):
        with pytest.raises(ValueError, match="no UBJSON"):
            read_ubjson(raw[:cut])


def test_models_of_another_kind_are_refused(tmp_path: Path) -> None:
    model = files.xgboost_binary(TREES, base=0.5).replace(b"gbtree", b"gblink")
    with pytest.raises(ValueError, match="of gblink"):
        xgboost_trees(model)
    _write(tmp_path / "nb_models_1.0" / "gnn_gin_v1.0", "gnn_gin", [{}])
    with pytest.raises(BenchmarkError, match=r"ensembles of gnn_gin.*torch-geometric.*xgb_v1\.0"):
        FORMATS["nasbench301"].read(tmp_path / "nb_models_1.0", _nothing)
    (tmp_path / "nb_models_0.9").mkdir()
    with pytest.raises(BenchmarkDataMissing, match=r"no surrogate_model\.model"):
        FORMATS["nasbench301"].read(tmp_path / "nb_models_0.9", _nothing)
    _write(tmp_path / "xgb_v1.0", "xgb", [{"handle": 3}])
    with pytest.raises(BenchmarkError, match=r"surrogate_model\.model.*no booster"):
        FORMATS["nasbench301"].read(tmp_path / "xgb_v1.0", _nothing)


def test_the_folder_is_opened_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NASLIB_CACHE", str(tmp_path / "cache"))
    _write(tmp_path / "data" / "nb_models_1.0" / "xgb_v1.0", "xgb", [_xgboost(1)])
    api = get_dataset_api("nasbench301", "cifar10", tmp_path / "data")
    assert isinstance(api, NasBench301Surrogate) and not api.has(Metric.TRAIN_TIME, "cifar10")


def test_two_versions_are_not_mixed(tmp_path: Path) -> None:
    for version in ("0.9", "1.0"):
        _write(tmp_path / f"nb_models_{version}" / f"xgb_v{version}", "xgb", [_xgboost(1)])
    with pytest.raises(BenchmarkError, match=r"2 ensembles of xgb.*name the folder.*xgb_v0\.9, .*xgb_v1\.0"):
        FORMATS["nasbench301"].read(tmp_path, _nothing)


def test_other_operations_are_not_in_the_benchmark(tmp_path: Path) -> None:
    """Operations of the DARTS space have one number whatever the list of candidates is; others have none there."""
    _write(tmp_path / "xgb_v1.0", "xgb", [_xgboost(1)])
    api = NasBench301Surrogate(convert("nasbench301", tmp_path / "xgb_v1.0", tmp_path / "nb301.npz"))
    code = (0, 2, 1, 3) * 8
    few = NasBench301SearchSpace(primitives=["skip_connect", "sep_conv_3x3"], cells=2, channels=4)
    few.set_spec(code)
    assert few.query(VAL, "cifar10", dataset_api=api) == api.query(code, VAL, "cifar10")
    other = NasBench301SearchSpace(primitives=["conv_3x1_1x3"], cells=2, channels=4)
    other.sample_random_architecture()
    with pytest.raises(ArchitectureError, match=r"an operation a number in 0\.\.6"):
        other.query(VAL, "cifar10", dataset_api=api)
