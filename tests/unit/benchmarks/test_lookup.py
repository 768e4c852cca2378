"""get_dataset_api: where it looks, what it says where it finds nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from data_files import data_file

from naslib.benchmarks import BENCHMARKS, NasBench201Table, get_dataset_api
from naslib.benchmarks.lookup import find_figure
from naslib.errors import BenchmarkDataMissing, BenchmarkError

FILE = data_file("nb201.npz")
needs_file = pytest.mark.skipif(not FILE.is_file(), reason=f"no {FILE.name} in the shared data directory")


@pytest.fixture(autouse=True)
def empty_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("NASLIB_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@needs_file
def test_looks_in_the_given_directory_the_environment_and_data(
    empty_working_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(get_dataset_api("nasbench201", "cifar10", FILE.parent), NasBench201Table)
    assert get_dataset_api("NASBench201", data_dir=FILE).path == FILE.resolve()  # type: ignore[attr-defined]
    monkeypatch.setenv("NASLIB_DATA", str(FILE.parent))
    assert get_dataset_api("nasbench201").path == FILE.resolve()  # type: ignore[attr-defined]
    monkeypatch.delenv("NASLIB_DATA")
    (empty_working_directory / "data").mkdir()
    shutil.copy(FILE, "data")
    assert get_dataset_api("nasbench201").path == empty_working_directory.resolve() / "data" / FILE.name  # type: ignore[attr-defined]


@needs_file
def test_a_file_is_opened_once() -> None:
    first = get_dataset_api("nasbench201", "cifar10", FILE.parent)
    assert get_dataset_api("nasbench201", "cifar100", str(FILE.parent)) is first


@needs_file
def test_unknown_data_set_is_named() -> None:
    with pytest.raises(BenchmarkError, match=r"no data set 'svhn'.*cifar10, cifar100, ImageNet16-120"):
        get_dataset_api("nasbench201", "svhn", FILE.parent)


def test_missing_file_says_where_it_is_expected(empty_working_directory: Path) -> None:
    with pytest.raises(BenchmarkDataMissing, match=r"nb201\.npz.*elsewhere.*data.*NASLIB_DATA") as caught:
        get_dataset_api("nasbench201", "cifar10", empty_working_directory / "elsewhere")
    assert isinstance(caught.value, FileNotFoundError)


def test_a_figure_is_not_looked_for_past_a_damaged_file(empty_working_directory: Path) -> None:
    assert find_figure("nasbench201", "edgegpu_energy", "cifar10") is None
    Path("hw_nas_bench_nb201.npz").write_bytes(b"no archive")
    with pytest.raises(BenchmarkError, match=r"hw_nas_bench_nb201\.npz"):
        find_figure("nasbench201", "edgegpu_energy", "cifar10", empty_working_directory)


def test_space_without_benchmark_is_named() -> None:
    with pytest.raises(
        BenchmarkError, match=r"no benchmark of the search space 'nasbench20'.*did you mean 'nasbench201'"
    ):
        get_dataset_api("nasbench20")


def test_every_registered_benchmark_names_its_file_and_data_sets() -> None:
    assert BENCHMARKS.names()
    for name in BENCHMARKS:
        benchmark = BENCHMARKS.get(name)
        assert benchmark.file_name and benchmark.datasets and benchmark.name
