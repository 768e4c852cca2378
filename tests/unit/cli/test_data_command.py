"""`naslib data`: what is here, and official files in compact form."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from naslib.benchmarks import get_dataset_api
from naslib.cli.command import main
from naslib.errors import BenchmarkDataMissing


@pytest.fixture
def official(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("NASLIB_DATA", raising=False)
    monkeypatch.setenv("NASLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    one = {"test_acc": [80.0, 81.0, 85.0], "params": 5, "flops": 7}
    path = tmp_path / "nas-bench-macro_cifar10.json"
    path.write_text(json.dumps({"".join(digits): one for digits in itertools.product("012", repeat=8)}))
    return path


def test_convert_writes_the_file_and_says_who_opens_it(official: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "convert", "nasbench-macro", str(official), "."]) == 0
    printed = capsys.readouterr()
    assert "nb_macro.npz" in printed.out and "get_dataset_api('nasbench_macro', data_dir='nb_macro.npz')" in printed.out
    assert "100% of 6,561" in printed.err
    with np.load("nb_macro.npz") as file:
        assert file["arch"].shape == (6561, 8)
    assert not [path for path in official.parent.iterdir() if path.suffix == ".tmp"]


def test_convert_overwrites_nothing(official: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("nb_macro.npz").write_text("mine")
    assert main(["data", "convert", "nasbench-macro", str(official), "nb_macro.npz"]) == 2
    assert "there already" in capsys.readouterr().err and Path("nb_macro.npz").read_text() == "mine"


@pytest.mark.parametrize(
    "words, message",
    [
        (["nasbench-marco", "x.json", "y.npz"], "did you mean 'nasbench-macro'"),
        (["nasbench-macro", "gone.json", "y.npz"], "https://github.com/xiusu/NAS-Bench-Macro"),
        (["nasbench-macro", "nas-bench-macro_cifar10.json", "y.txt"], "a .npz file, such as nb_macro.npz"),
        (["nats-tss", "nas-bench-macro_cifar10.json", "y.npz"], "cannot be read as a NATS-Bench topology file"),
    ],
)
def test_bad_words(official: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    assert main(["data", "convert", *words]) == 2
    assert message in capsys.readouterr().err and not Path("y.npz").exists()


def test_list_says_what_is_here_and_what_is_missing(official: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (official.parent / "data").mkdir()
    assert main(["data", "convert", "nasbench-macro", str(official), "data"]) == 0
    capsys.readouterr()
    assert main(["data", "list"]) == 0
    text = capsys.readouterr().out
    assert "nb_macro.npz (nasbench_macro): here: data/nb_macro.npz" in text
    assert "nb201.npz (nasbench201): missing" in text
    assert "naslib data convert nats-tss NATS-tss-*-simple nb201.npz" in text
    assert "digits: comes with" in text and "CC BY-SA 4.0" in text and "Apache-2.0" in text
    assert main(["data", "list", "--missing", "--data", "data"]) == 0
    text = capsys.readouterr().out
    assert "nb_macro.npz" not in text and "nb101.npz" in text and "digits: " not in text


def test_list_finds_official_files_and_what_comes_along(official: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "list", "--data", "."]) == 0
    text = capsys.readouterr().out
    assert (
        "nb_macro.npz (nasbench_macro): here as the official nas-bench-macro_cifar10.json, which is converted" in text
    )
    assert "nasbench201_digits.npz: " in text
    assert main(["data", "list", "--data", ".", "--missing"]) == 0
    assert "nb_macro.npz" not in capsys.readouterr().out


def test_a_table_in_the_cache_is_not_said_to_be_here(official: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (official.parent / "cache").mkdir()
    assert main(["data", "convert", "nasbench-macro", str(official), "cache"]) == 0
    with pytest.raises(BenchmarkDataMissing):
        get_dataset_api("nasbench_macro", "cifar10")
    capsys.readouterr()
    assert main(["data", "list"]) == 0
    assert "nb_macro.npz (nasbench_macro): missing" in capsys.readouterr().out


def test_help_lists_the_formats(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["data", "convert", "--help"])
    text = capsys.readouterr().out
    assert all(name in text for name in ("nats-sss", "nasbench101", "transnas-macro", "nasbench_*.tfrecord"))


def test_data_alone_asks_which(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data"]) == 2
    assert "list | convert" in capsys.readouterr().err
