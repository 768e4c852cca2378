"""TransNAS-Bench-101, NAS-Bench-Macro, HW-NAS-Bench, and what NASLib keeps: files as their authors wrote them."""

from __future__ import annotations

import itertools
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import official_files as files
import pytest
import torch

from naslib.benchmarks import NasBench201Table, NasBenchASRTable, NasBenchMacroTable, get_dataset_api
from naslib.benchmarks.nasbench201_figures import NasBench201LatencyTable
from naslib.benchmarks.official import FORMATS, convert
from naslib.benchmarks.transbench101 import TransBench101MacroTable, TransBench101MicroTable
from naslib.errors import ArchitectureError, BenchmarkDataMissing, BenchmarkError
from naslib.search_spaces import NasBench301SearchSpace, NasBenchASRSearchSpace
from naslib.search_spaces.core.query_metrics import Metric

VAL, TEST = Metric.VAL_ACCURACY, Metric.TEST_ACCURACY


def _nothing(done: int, total: int) -> None:
    """Progress that nobody watches."""


# TransNAS-Bench-101

# task: the name of its score, of its loss, and how many epochs
TASKS = {
    "class_scene": ("top1", "loss", 3),
    "segmentsemantic": ("acc", "loss", 4),
    "room_layout": ("neg_loss", "loss", 2),
    "autoencoder": ("ssim", "l1_loss", 2),
}


def _curves(score: str, loss: str, epochs: int, number: int) -> dict[str, list[Any]]:
    """Return the metrics of a network: the score of epoch e of network k is 100 k + e, of validation 10 more."""
    found: dict[str, list[Any]] = {}
    for far, images in enumerate(("train", "valid", "test")):
        found[f"{images}_{score}"] = [100 * number + epoch + 10 * far for epoch in range(1, epochs + 1)]
        found[f"{images}_{loss}"] = [1 / epoch + far for epoch in range(1, epochs + 1)]
    found["time_elapsed"] = [f"{epoch:02d}:30:05" for epoch in range(1, epochs + 1)]
    return found


def _transnas(path: Path) -> Path:
    names = {"micro": ["64-41414-0_00_000", "64-41414-3_32_132"], "macro": ["64-1234-basic", "64-112311-basic"]}
    infos = {"inference_time": 0.004, "model_params": 1234567, "model_FLOPs": 2.5e9, "encoder_params": 1}
    data = {
        space: {
            name: {
                task: {"metrics": _curves(score, loss, epochs, number), "model_info": infos, "total_epochs": epochs}
                for task, (score, loss, epochs) in TASKS.items()
            }
            for number, name in enumerate(listed)
        }
        for space, listed in names.items()
    }
    torch.save({"task_list": list(TASKS), "metrics_dict": {}, "info_names": list(infos), "data": data}, path)
    return path


def test_cells_of_transnas_bench(tmp_path: Path) -> None:
    path = _transnas(tmp_path / "transnas-bench_v10141024.pth")
    table = TransBench101MicroTable(convert("transnas-micro", path, tmp_path))
    code = (3, 3, 2, 1, 3, 2)
    assert table.datasets == ("class_scene", "room_layout", "segmentsemantic", "autoencoder")
    assert table.query(code, VAL, "class_scene") == 113.0  # of the last epoch, not the best of all
    assert [table.query(code, TEST, "class_scene", epoch) for epoch in (1, 2, 3)] == [121.0, 122.0, 123.0]
    assert table.query(code, VAL, "segmentsemantic", full_lc=True) == [111.0, 112.0, 113.0, 114.0]
    assert table.query(code, VAL, "segmentsemantic", epoch=2, full_lc=True) == [111.0, 112.0]
    assert table.query(code, Metric.VAL_LOSS, "autoencoder") == 1.5
    assert table.query(code, Metric.TRAIN_TIME, "room_layout") == 2 * 3600 + 30 * 60 + 5
    assert table.query(code, Metric.PARAMETERS, "class_scene") == pytest.approx(1.234567)
    assert table.query(code, Metric.FLOPS, "class_scene") == 2500.0
    assert table.query(code, Metric.LATENCY, "class_scene") == pytest.approx(4.0)
    assert table.query_batch(np.array([(0,) * 6, code]), VAL, "class_scene").tolist() == [13.0, 113.0]
    assert table.known_codes(VAL, "class_scene") == [(0,) * 6, code]  # these two of all
    assert set(table.query(code, Metric.RAW, "class_scene")) >= {"val_accuracy", "test_loss", "latency"}
    for epoch in (0, 4):
        with pytest.raises(BenchmarkError, match="epochs are counts from 1: 1 to 3"):
            table.query(code, VAL, "class_scene", epoch)
    with pytest.raises(BenchmarkError, match=r"no data set 'jigsaw'.*class_scene"):
        table.query(code, VAL, "jigsaw")


def test_networks_of_transnas_bench(tmp_path: Path) -> None:
    from naslib.search_spaces import TransBench101SearchSpaceMacro

    path = _transnas(tmp_path / "transnas-bench_v10141024.pth")
    table = TransBench101MacroTable(convert("transnas-macro", path, tmp_path))
    graph = TransBench101SearchSpaceMacro()
    graph.set_spec("64-1234-basic")
    assert graph.get_code() == (1, 2, 3, 4, 0, 0)
    assert graph.query(VAL, "class_scene", dataset_api=table) == 13.0
    assert table.query((1, 1, 2, 3, 1, 1), VAL, "class_scene") == 113.0


def test_another_file_of_torch_is_no_transnas_bench(tmp_path: Path) -> None:
    path = tmp_path / "transnas-bench_v1.pth"
    torch.save({"data": {"micro": {"64-1234-basic": {}}}}, path)
    with pytest.raises(BenchmarkError, match="'64-1234-basic' is no architecture of this space"):
        FORMATS["transnas-micro"].read(path, _nothing)
    with pytest.raises(BenchmarkError, match="no architectures of the macro space"):
        FORMATS["transnas-macro"].read(path, _nothing)


# NAS-Bench-Macro


def _macro(path: Path) -> Path:
    names = ["".join(digits) for digits in itertools.product("210", repeat=8)]
    data = {
        name: {
            "test_acc": [80.0, 81.0, 85.0],
            "mean_acc": 82.0,
            "std": 2.2,
            "params": int(name, 3) + 1000,
            "flops": 3 * 10**9,
        }
        for name in names
    }
    path.write_text(json.dumps(data))
    return path


def test_nas_bench_macro(tmp_path: Path) -> None:
    path = _macro(tmp_path / "nas-bench-macro_cifar10.json")
    table = NasBenchMacroTable(convert("nasbench-macro", path, tmp_path))
    code = (0, 2, 0, 1, 2, 1, 0, 0)
    assert table.query(code, TEST, "cifar10") == 82.0
    assert table.query(code, Metric.PARAMETERS, "cifar10") == (int("02012100", 3) + 1000) / 1e6
    assert table.query(code, Metric.FLOPS, "cifar10") == 3000.0
    path.write_text(path.read_text()[:1000])
    with pytest.raises(BenchmarkError, match=r"nas-bench-macro_cifar10\.json cannot be read.*xiusu"):
        FORMATS["nasbench-macro"].read(path, _nothing)
    path.write_text('{"02012100": {}}')
    with pytest.raises(BenchmarkError, match="expected 6,561"):
        FORMATS["nasbench-macro"].read(path, _nothing)


# HW-NAS-Bench


def test_hw_nas_bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = files.topology_names()
    fields = ("edgegpu_latency", "edgegpu_energy", "raspi4_latency", "edgetpu_latency", "pixel3_latency")
    fields += ("eyeriss_latency", "eyeriss_energy", "eyeriss_arithmetic_intensity", "fpga_latency", "fpga_energy")
    rows = np.arange(len(names), dtype=np.float64)
    configs = [{"name": "infer.tiny", "C": 16, "N": 5, "arch_str": name, "num_classes": 10} for name in names]
    parts = {
        dataset: {field: (rows * 10 + place + far).tolist() for place, field in enumerate(fields)} | {"config": configs}
        for far, dataset in enumerate(("cifar10", "cifar100", "ImageNet16-120"))
    }
    path = tmp_path / "HW-NAS-Bench-v1_0.pickle"
    path.write_bytes(pickle.dumps({"nasbench201": parts, "fbnet": {}}))
    arrays = FORMATS["hw-nas-bench"].read(path, _nothing)
    assert arrays["fields"].tolist() == list(fields)
    assert arrays["ImageNet16_120"][7].tolist() == [72 + place for place in range(10)]
    assert arrays["cifar10"].shape == (15625, 10) and arrays["cifar10"].dtype == np.float32
    assert arrays["ops"][4].tolist() == [4, 4, 4, 4, 4, 0]  # of op_names: avg_pool five times, and none
    monkeypatch.setenv("NASLIB_CACHE", str(tmp_path / "cache"))
    api = get_dataset_api("nasbench201", "cifar100", path, kind="energy")  # without nb201.npz beside it
    figures = api.metric_of("edgegpu_energy"), api.metric_of("fpga_latency")
    assert [api.query((4, 4, 4, 4, 4, 1), figure, "cifar100") for figure in figures] == [42.0, 49.0]
    path.write_bytes(pickle.dumps({"fbnet": {}}))
    with pytest.raises(BenchmarkError, match="no part nasbench201"):
        FORMATS["hw-nas-bench"].read(path, _nothing)


# NASLib


def _naslib(path: Path, key: str, names: list[str], offset: float, seconds: float) -> Path:
    variants = []
    for variant in range(7):
        curve = [offset + variant + epoch / 1000 for epoch in range(200)]
        costs = {"flops": 10.0, "params": 1.0, "latency": 0.015, "train_time": seconds}
        one = {
            "train_losses": curve,
            "eval_losses": curve,
            "train_acc1es": curve,
            "eval_acc1es": curve,
            "cost_info": costs,
        }
        variants.append({key: one})
    path.write_bytes(pickle.dumps({name: variants[row % 7] for row, name in enumerate(names)}))
    return path


def test_naslibs_tables_of_nas_bench_201(tmp_path: Path) -> None:
    names = files.topology_names()
    folder = tmp_path / "files"
    folder.mkdir()
    _naslib(folder / "nb201_cifar10_full_training.pickle", "cifar10-valid", names, 50.0, 2000.0)
    # another order of the same architectures: their rows are those of the first file
    turned = names[5:] + names[:5]
    _naslib(folder / "nb201_ImageNet16_full_training.pickle", "ImageNet16-120", turned, 20.0, 12.5)
    table = NasBench201Table(convert("naslib-nb201", folder, tmp_path / "nb201.npz"))
    code = (4, 4, 4, 4, 4, 1)  # row 4 of the first file, row 15,624 of the second
    assert table.query(code, VAL, "cifar10") == table.query(code, TEST, "cifar10") == pytest.approx(54.199)
    assert table.query(code, VAL, "ImageNet16-120") == pytest.approx(20 + (15624 % 7) + 0.199)
    assert table.query(code, Metric.TRAIN_TIME, "cifar10") == 2000.0
    assert table.query(code, Metric.TRAIN_TIME, "ImageNet16-120") == 200 * 12.5  # what is told is one epoch
    assert table.query(code, Metric.LATENCY, "cifar10") == pytest.approx(15.0)
    with pytest.raises(BenchmarkError, match="no VAL_ACCURACY on cifar100"):
        table.query(code, VAL, "cifar100")
    with pytest.raises(BenchmarkError, match="after 12 epochs"):
        table.query(code, VAL, "cifar10", 12)
    with np.load(tmp_path / "nb201.npz") as arrays:
        assert arrays["c10_eval_acc_curve"][4, :3].tolist() == pytest.approx([54.0, 54.001, 54.002])
    # a table that knows cells by their official numbers does not take those rows for these
    np.savez(tmp_path / "nb201_latency.npz", devices=["one"], latency_ms=np.ones((1, 5**6)))
    with pytest.raises(BenchmarkError, match="made of NASLib's files, does not tell these"):
        NasBench201LatencyTable(tmp_path / "nb201_latency.npz")
    (tmp_path / "none").mkdir()
    with pytest.raises(BenchmarkDataMissing, match="nb201_cifar10_full_training"):
        FORMATS["naslib-nb201"].read(tmp_path / "none", _nothing)


def test_naslibs_proxies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NASLIB_CACHE", str(tmp_path / "cache"))
    record = {
        "id": 3,
        "val_accuracy": 61.5,
        "synflow": {"score": 12.5, "time": 0.25},
        "nwot": {"score": 700, "time": 0.5},
    }
    other = {"id": 4, "val_accuracy": 50.0, "synflow": {"score": None, "time": 0.1}}
    path = tmp_path / "zc_nasbench201.json"
    path.write_text(json.dumps({"cifar10": {"(4, 0, 3, 1, 4, 3)": record, "(1, 0, 3, 1, 4, 3)": other}}))
    arrays = FORMATS["naslib-zc"].read(path, _nothing)
    assert arrays["proxies"].tolist() == ["nwot", "synflow"]
    assert arrays["nb201_c10_arch"].tolist() == [[4, 0, 3, 1, 4, 3], [1, 0, 3, 1, 4, 3]]
    assert arrays["nb201_c10_acc"].tolist() == [61.5, 50.0]
    np.testing.assert_array_equal(arrays["nb201_c10_score"], [[700, 12.5], [np.nan, np.nan]])
    np.testing.assert_array_equal(arrays["nb201_c10_time"], [[0.5, 0.25], [np.nan, 0.1]])
    api = get_dataset_api("nasbench201", "cifar10", path, kind="proxies_naslib")
    figures = {name: api.query((4, 0, 3, 1, 4, 3), api.metric_of(name), "cifar10") for name in ("synflow", "accuracy")}
    assert figures == {"synflow": 12.5, "accuracy": 61.5}
    cells = str((tuple(((0, 1), (1, 2)) * 4), tuple(((0, 3), (1, 4)) * 4)))
    (tmp_path / "zc_nasbench301.json").write_text(json.dumps({"cifar10": {cells: record}}))
    api = get_dataset_api("nasbench301", "cifar10", tmp_path, kind="proxies")  # of the folder, with both
    graph = NasBench301SearchSpace()
    graph.set_spec((0, 1, 1, 2) * 4 + (0, 3, 1, 4) * 4)
    assert graph.query(api.metric_of("nwot"), "cifar10", dataset_api=api) == 700.0
    (tmp_path / "zc_mine.json").write_text("{}")
    with pytest.raises(BenchmarkError, match=r"its name says the space: zc_nasbench101\.json"):
        FORMATS["naslib-zc"].read(tmp_path / "zc_mine.json", _nothing)
    path.write_text("[]")
    with pytest.raises(BenchmarkError, match="expected data sets"):
        FORMATS["naslib-zc"].read(path, _nothing)


def test_naslibs_trained_cells_of_nas_bench_301(tmp_path: Path) -> None:
    # of a node, the larger predecessor first: its code has the smaller one first
    compact = (((1, 3), (0, 4), *[(0, 2), (1, 0)] * 3), ((0, 1), (1, 1)) * 4)
    record = {"val_accuracies": [50.0, 60.5, 71.25], "train_losses": [2.0, 1.0, 0.5], "runtime": 7200.5}
    path = tmp_path / "nb301_full_training.pickle"
    path.write_bytes(pickle.dumps({compact: record}))
    convert("naslib-nb301", path, tmp_path)
    api = get_dataset_api("nasbench301", "cifar10", tmp_path, kind="trained")
    graph = NasBench301SearchSpace()
    graph.set_spec(compact)
    assert graph.get_code()[:4] == (0, 4, 1, 3)
    assert graph.query(VAL, "cifar10", dataset_api=api) == 71.25
    assert graph.query(VAL, "cifar10", epoch=2, dataset_api=api) == 60.5
    assert graph.query(VAL, "cifar10", full_lc=True, dataset_api=api) == [50.0, 60.5, 71.25]
    assert graph.query(Metric.TRAIN_LOSS, "cifar10", dataset_api=api) == 0.5
    assert graph.query(Metric.TRAIN_TIME, "cifar10", dataset_api=api) == 7200.5
    path.write_bytes(pickle.dumps({(1, 2): record}))
    with pytest.raises(BenchmarkError, match="not two cells"):
        FORMATS["naslib-nb301"].read(path, _nothing)


# NAS-Bench-ASR


def _asr_file(path: Path, header: dict[str, Any], rows: list[tuple[Any, ...]]) -> None:
    """Write a header and rows, one pickle after the other."""
    path.write_bytes(pickle.dumps({"version": 2, **header}) + pickle.dumps(rows))


def test_nas_bench_asr(tmp_path: Path) -> None:
    folder = tmp_path / "nb-asr-data"
    folder.mkdir()
    cells = {"b": [(0, 0), (5, 1, 0), (3, 0, 0, 0)], "a": [(1, 0), (1, 0, 0), (1, 0, 0, 0)]}
    for seed in (1234, 1235):
        header = {"dataset_type": "training", "seed": seed, "epochs": 40}
        header["columns"] = ["model_hash", "val_per", "test_per", "arch_vec"]
        far = 0.1 * (seed - 1234)
        rows = [
            (name, [(place + 50 - epoch) / 100 + far for epoch in range(40)], 0.25 + far, arch)
            for place, (name, arch) in enumerate(cells.items())
        ]
        _asr_file(folder / f"nb-asr-e40-{seed}.pickle", header, rows)
    header = {"dataset_type": "static", "columns": ["model_hash", "params", "flops"]}
    _asr_file(folder / "nb-asr-info.pickle", header, [("a", 26338848, 4e9), ("b", 5, 6)])
    header = {"dataset_type": "benchmarking", "device": "jetson-nano-fp32", "columns": ["model_hash", "latency"]}
    _asr_file(folder / "nb-asr-bench-jetson-nano-fp32.pickle", header, [("b", 0.25), ("a", 0.5)])
    table = NasBenchASRTable(convert("nasbench-asr", folder, tmp_path / "nb_asr.npz"))
    code = (1, 0, 1, 0, 0, 1, 0, 0, 0)
    # of the second cell after epoch e, 51 - e hundredths, and of the second seed ten more
    assert table.query(code, VAL, "timit") == pytest.approx(100 - (51 - 39) - 5, abs=1e-4)
    assert table.query(code, VAL, "timit", epoch=1) == pytest.approx(100 - 51 - 5, abs=1e-4)
    assert len(table.query(code, VAL, "timit", full_lc=True)) == 40
    assert table.query(code, TEST, "timit") == pytest.approx(70, abs=1e-4)
    assert table.query(code, Metric.PARAMETERS, "timit") == 26.338848
    assert table.query(code, Metric.LATENCY, "timit") == 500.0
    # what the first operation of this cell gives reaches nothing, so that another one is the same cell
    graph = NasBenchASRSearchSpace()
    graph.set_spec([[5, 0], [5, 1, 0], [3, 0, 0, 0]])
    assert graph.query(VAL, "timit", dataset_api=table) == pytest.approx(100 - (50 - 39) - 5, abs=1e-4)
    with pytest.raises(ArchitectureError, match="none of the 2 cells"):
        table.query((2, 0, 2, 0, 0, 2, 0, 0, 0), VAL, "timit")
    (folder / "nb-asr-e40-1235.pickle").write_bytes(pickle.dumps({"columns": ["model_hash"]}))
    with pytest.raises(BenchmarkError, match="nb-asr-e40-1235"):
        FORMATS["nasbench-asr"].read(folder, _nothing)


# as they are


@pytest.fixture
def official(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NASLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("NASLIB_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "official"
    folder.mkdir()
    return _macro(folder / "nas-bench-macro_cifar10.json")


CODE = (0, 2, 0, 1, 2, 1, 0, 0)


def _times(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_an_official_file_is_converted_once_into_the_cache(official: Path, tmp_path: Path) -> None:
    for place in (official, official.parent):  # the file, or the directory that it lies in
        assert get_dataset_api("nasbench_macro", "cifar10", place).query(CODE, TEST, "cifar10") == 82.0
    (kept,) = (tmp_path / "cache").rglob("*.npz")
    assert list(official.parent.iterdir()) == [official]
    before = _times(tmp_path / "cache")
    get_dataset_api("nasbench_macro", "cifar10", official)
    assert _times(tmp_path / "cache") == before
    official.write_text(official.read_text().replace("85.0", "88.0"))
    assert get_dataset_api("nasbench_macro", "cifar10", official).query(CODE, TEST, "cifar10") == 83.0
    assert len(list(kept.parent.iterdir())) == 2


def test_a_compact_file_beside_it_is_preferred(official: Path) -> None:
    convert("nasbench-macro", official, official.parent)
    official.write_text("damaged")
    assert get_dataset_api("nasbench_macro", "cifar10", official.parent).query(CODE, TEST, "cifar10") == 82.0
    with pytest.raises(BenchmarkError, match="nas-bench-macro_cifar10"):
        get_dataset_api("nasbench_macro", "cifar10", official)


def test_a_file_by_another_name_is_known_by_its_ending(official: Path) -> None:
    renamed = official.rename(official.with_name("mine.json"))
    assert get_dataset_api("nasbench_macro", "cifar10", renamed).query(CODE, TEST, "cifar10") == 82.0


def test_without_a_cache_it_is_kept_in_memory(
    official: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("NASLIB_CACHE", str(tmp_path / "file" / "cache"))
    for _ in range(2):
        with caplog.at_level("WARNING", logger="naslib"):
            api = get_dataset_api("nasbench_macro", "cifar10", official)
        assert api.query(CODE, TEST, "cifar10") == 82.0
    warned = [record for record in caplog.records if "kept in memory" in record.getMessage()]
    assert len(warned) == 1 and "NASLIB_CACHE" in warned[0].getMessage()


def test_where_to_get_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NASLIB_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BenchmarkDataMissing, match=r"nats_size\.npz.*NATS-sss-\*-simple.*github\.com/D-X-Y/NATS-Bench"):
        get_dataset_api("nats_size", "cifar10", tmp_path)
    with pytest.raises(BenchmarkDataMissing, match=r"there is no .*gone\.pth.*yawen-d"):
        FORMATS["transnas-micro"].read(tmp_path / "gone.pth", _nothing)
