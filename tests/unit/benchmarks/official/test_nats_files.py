"""NATS-Bench and NAS-Bench-201 as their authors wrote them: what is answered from them."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import numpy as np
import official_files as files
import pytest
import torch

from naslib.benchmarks import NasBench201Table, NATSSizeTable, get_dataset_api
from naslib.benchmarks.official import FORMATS, convert, nats
from naslib.errors import BenchmarkDataMissing, BenchmarkError
from naslib.search_spaces.core.query_metrics import Metric

VAL, TEST = Metric.VAL_ACCURACY, Metric.TEST_ACCURACY
N_VARIANTS = 7
# The cell of number 4 in our order of the strings, and its code: the first five edges are avg_pool, the last is none
ROW, CODE = 4, (4, 4, 4, 4, 4, 1)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NASLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("NASLIB_DATA", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def topology(tmp_path_factory: pytest.TempPathFactory) -> NasBench201Table:
    folder = tmp_path_factory.mktemp("nats")
    content = files.whole_file(files.topology_names(), [files.topology_results(k) for k in range(N_VARIANTS)])
    path = files.write_bz2(folder / "NATS-tss-v1_0-3ffb9.pickle.pbz2", content)
    return NasBench201Table(convert("nats-tss", path, folder / "nb201.npz"))


def test_the_number_of_an_architecture_is_its_place_in_the_file(topology: NasBench201Table) -> None:
    assert topology.index_of(CODE) == ROW and topology.code_of(ROW) == CODE


@pytest.mark.parametrize(
    "dataset, metric, far",
    [
        ("cifar10", VAL, 0),  # of the half that was held out: not the test images, which are 90 above
        ("cifar10", TEST, 1),  # of the training on all images
        ("cifar100", VAL, 10),
        ("cifar100", TEST, 13),  # not valid and test together, which is 11.5
        ("ImageNet16-120", VAL, 20),
        ("ImageNet16-120", TEST, 23),
    ],
)
def test_accuracies_are_means_of_the_seeds(topology: NasBench201Table, dataset: str, metric: Metric, far: int) -> None:
    # variant 4 has the seeds 777, 888 and 999, one point apart: mean 30 + 4 + 1; variant 5 lacks the last
    assert topology.query(CODE, metric, dataset) == pytest.approx(30 + 4 + 1 + far, abs=1e-5)
    odd = topology.code_of(5)
    assert topology.query(odd, metric, dataset, epoch=200) == pytest.approx(30 + 5 + 0.5 + far, abs=1e-5)


def test_twelve_epochs_are_the_schedule_of_its_own(topology: NasBench201Table) -> None:
    # seeds 111 and 777; epoch 12 of the long schedule would be 35 - 188
    assert topology.query(CODE, VAL, "cifar10", epoch=12) == pytest.approx(5 + 4 + 0.5, abs=1e-5)
    assert topology.query(CODE, TEST, "cifar100", epoch=12) == pytest.approx(5 + 4 + 0.5 + 13, abs=1e-5)
    with pytest.raises(BenchmarkError, match=r"200.*12"):
        topology.query(CODE, VAL, "cifar10", epoch=11)


def test_seeds_one_by_one(topology: NasBench201Table) -> None:
    assert topology.seeds(VAL, "cifar10") == (777, 888, 999)
    assert [topology.query(CODE, VAL, "cifar10", seed=seed) for seed in (777, 888, 999)] == [34, 35, 36]
    with pytest.raises(BenchmarkError, match="777, 888"):
        topology.query(topology.code_of(5), VAL, "cifar10", seed=999)


def test_time_and_sizes(topology: NasBench201Table) -> None:
    assert topology.query(CODE, Metric.TRAIN_TIME, "cifar10") == 200 * 6.0
    assert topology.query(CODE, Metric.LATENCY, "cifar10") == pytest.approx(20.0)
    # five pools and none: stem, two residual blocks and head alone
    assert topology.query(CODE, Metric.PARAMETERS, "cifar100") == (72656 + 65 * 100) / 1e6
    best = (2, 2, 2, 2, 2, 2)
    assert topology.query(best, Metric.PARAMETERS, "cifar10") == (72656 + 650 + 6 * 243040) / 1e6


def _torch_file(path: Path, names: list[str], zipped: bool) -> Path:
    variants = [files.topology_results(k, ("less", "full")) for k in range(N_VARIANTS)]
    variants[0]["full"]["all_results"]["cifar10", 777]["net_state_dict"] = {"weight": torch.ones(2, 3)}
    torch.save(files.whole_file(names, variants), path, _use_new_zipfile_serialization=zipped)
    return path


@pytest.mark.parametrize("zipped", [True, False])
def test_nas_bench_201_of_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zipped: bool) -> None:
    monkeypatch.setattr(nats, "_N_TOPOLOGIES", 3)
    path = _torch_file(tmp_path / "NAS-Bench-201-v1_1-096897.pth", files.topology_names()[:3], zipped)
    arrays = FORMATS["nasbench201"].read(path, lambda done, total: None)
    assert arrays["c10_valid_200"].tolist() == [31.0, 31.5, 33.0]
    assert arrays["c10_valid_12"].tolist() == [5.5, 6.5, 7.5]


@pytest.mark.slow
def test_nas_bench_201_is_opened_as_it_is(tmp_path: Path) -> None:
    path = _torch_file(tmp_path / "NAS-Bench-201-v1_1-096897.pth", files.topology_names(), True)
    api = get_dataset_api("nasbench201", "cifar10", path)
    assert api.query(CODE, VAL, "cifar10") == pytest.approx(35, abs=1e-5)
    assert api.query(CODE, VAL, "cifar10", epoch=12) == pytest.approx(9.5, abs=1e-5)
    assert {file.parent.parent.name for file in tmp_path.rglob("*.npz")} == {"cache"}  # and not beside the file


def _folder(path: Path, names: list[str], results: list[object]) -> Path:
    path.mkdir()
    files.write_bz2(path / "meta.pickle.pbz2", {"meta_archs": names, "total_archs": len(names), "arch2infos": None})
    for row, one in enumerate(results):
        files.write_bz2(path / f"{row:06d}.pickle.pbz2", one)
    return path


def test_a_folder_with_a_file_for_each_architecture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nats, "_N_TOPOLOGIES", 3)
    names = files.topology_names()[:3]
    path = _folder(tmp_path / "NATS-tss-v1_0-3ffb9-simple", names, [files.topology_results(k) for k in range(3)])
    seen: list[tuple[int, int]] = []
    arrays = FORMATS["nats-tss"].read(path, lambda done, total: seen.append((done, total)))
    assert arrays["c10_valid_200"].tolist() == [31.0, 31.5, 33.0] and arrays["n_seeds"].tolist() == [3, 2, 3]
    assert np.isnan(arrays["c10_valid_200_seeds"][1, 2]) and seen == [(1, 3), (2, 3), (3, 3)]
    (path / "000001.pickle.pbz2").unlink()
    with pytest.raises(BenchmarkDataMissing, match=r"lacks 1 of the 3 files.*000001"):
        FORMATS["nats-tss"].read(path, lambda done, total: None)
    (path / "meta.pickle.pbz2").unlink()
    with pytest.raises(BenchmarkDataMissing, match=r"meta\.pickle\.pbz2"):
        FORMATS["nats-tss"].read(path, lambda done, total: None)


@pytest.mark.slow
def test_a_whole_folder(tmp_path: Path) -> None:
    names = files.topology_names()
    path = _folder(
        tmp_path / "NATS-tss-v1_0-3ffb9-simple", names, [files.topology_results(k) for k in range(N_VARIANTS)]
    )
    for row in range(N_VARIANTS, len(names)):
        shutil.copy(path / f"{row % N_VARIANTS:06d}.pickle.pbz2", path / f"{row:06d}.pickle.pbz2")
    assert get_dataset_api("nasbench201", "cifar10", path).query(CODE, TEST, "cifar10") == pytest.approx(36)


def _size_file(folder: Path, names: list[str]) -> Path:
    content = files.whole_file(names, [files.size_results(k) for k in range(N_VARIANTS)])
    return files.write_bz2(folder / "NATS-sss-v1_0-50262.pickle.pbz2", content)


@pytest.fixture(scope="module")
def size(tmp_path_factory: pytest.TempPathFactory) -> NATSSizeTable:
    """A table of all networks, whose columns are those of the file's first ones again and again."""
    folder = tmp_path_factory.mktemp("sizes")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nats, "_N_SIZES", N_VARIANTS)
        path = _size_file(folder, files.size_names()[:N_VARIANTS])
        few = FORMATS["nats-sss"].read(path, lambda done, total: None)
    rows = np.arange(8**5) % N_VARIANTS
    arrays = {name: values if name == "seeds" else values[rows] for name, values in few.items()}
    arrays["channels"] = nats.size_channels(files.size_names())
    np.savez(folder / "nats_size.npz", **arrays)
    return NATSSizeTable(folder / "nats_size.npz")


@pytest.mark.slow
def test_the_whole_size_space(tmp_path: Path) -> None:
    path = _size_file(tmp_path, files.size_names())
    assert get_dataset_api("nats_size", "cifar10", tmp_path).query((0, 0, 0, 0, 4), VAL, "cifar10") == 34.0
    assert path.parent.joinpath("cache").is_dir()


def test_the_size_space(size: NATSSizeTable) -> None:
    code = (0, 0, 0, 0, 4)  # 8:8:8:8:40
    assert size.index_of(code) == ROW and size.code_of(8**5 - 1) == (7, 7, 7, 7, 7)
    assert [size.query(code, VAL, "cifar10", epoch) for epoch in (1, 12, 90, -1)] == [5.0, 10.0, 34.0, 34.0]
    assert size.query(code, TEST, "imagenet16") == 57.0
    assert size.query(code, Metric.TRAIN_TIME, "cifar10") == pytest.approx(90 * 6.0)
    assert size.query(code, Metric.TRAIN_TIME, "cifar10", 12) == pytest.approx(12 * 6.0)
    assert size.query(code, Metric.PARAMETERS, "cifar10") == 4.5
    assert size.query(code, Metric.FLOPS, "cifar100") == 14.0 - 100 / 1e6
    assert size.query_batch(np.array([code, (0, 0, 0, 0, 5)]), VAL, "cifar10").tolist() == [34.0, 35.0]
    assert size.known_codes(VAL, "cifar10") is None  # all of the space
    with pytest.raises(BenchmarkError, match="1, 12, 90"):
        size.query(code, VAL, "cifar10", epoch=200)
    with pytest.raises(BenchmarkError, match="no learning curve"):
        size.query(code, VAL, "cifar10", full_lc=True)


def test_a_graph_of_the_size_space_is_queried(size: NATSSizeTable) -> None:
    from naslib.search_spaces import NATSBenchSizeSearchSpace

    graph = NATSBenchSizeSearchSpace()
    graph.set_spec("8:8:8:8:40")
    assert graph.query(VAL, "cifar10", dataset_api=size) == 34.0
    other = NATSBenchSizeSearchSpace(channels=(4, 8))
    other.set_spec("4:4:4:4:8")
    with pytest.raises(BenchmarkError, match="in no benchmark"):  # its code is (0, 0, 0, 0, 1), which means 16 there
        other.query(VAL, "cifar10", dataset_api=size)


def test_another_file_is_named(tmp_path: Path) -> None:
    path = files.write_bz2(tmp_path / "NATS-tss-v1_0-x.pickle.pbz2", {"meta_archs": ["a", "b"], "arch2infos": {}})
    with pytest.raises(BenchmarkError, match=r"2 architectures.*not 15,625"):
        FORMATS["nats-tss"].read(path, lambda done, total: None)
    cut = path.read_bytes()[:-20]
    path.write_bytes(cut)
    with pytest.raises(BenchmarkError, match=r"NATS-tss-v1_0-x.*cannot be read.*D-X-Y/NATS-Bench"):
        FORMATS["nats-tss"].read(path, lambda done, total: None)
    torch_path = tmp_path / "NAS-Bench-201-v1_1-x.pth"
    torch.save({"meta_archs": []}, torch_path)
    torch_path.write_bytes(torch_path.read_bytes()[:200])
    with warnings.catch_warnings(), pytest.raises(BenchmarkError, match="NAS-Bench-201-v1_1-x"):
        warnings.simplefilter("error")
        FORMATS["nasbench201"].read(torch_path, lambda done, total: None)
