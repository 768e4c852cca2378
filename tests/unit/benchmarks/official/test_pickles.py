"""Pickles of others: data is read, and what does something is refused by name before it does it."""

from __future__ import annotations

import collections
import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import official_files as files
import pytest
import torch

from naslib.benchmarks.official import FORMATS
from naslib.benchmarks.official.pickles import DataUnpickler, ForbiddenName, read_pickle, read_pickles
from naslib.errors import BenchmarkError


def _nothing(done: int, total: int) -> None:
    """Progress that nobody watches."""


@pytest.mark.parametrize("protocol", range(6))
def test_data_is_read_as_pickle_reads_it(protocol: int) -> None:
    content = {
        "ordered": collections.OrderedDict(a=1, b=[2.5, None]),
        "set": {1, 2},
        "frozen": frozenset({"x"}),
        "scalars": [np.float64(0.25), np.int32(-3), np.float32(1.5), np.bool_(True)],
        "array": np.arange(6, dtype=np.float32).reshape(2, 3),
        "bytes": b"\x00\xff",
        "text": np.array(["a", "bc"]),
        "swapped": np.array([1.5, 2.5], dtype=">f4"),
        "mutable": bytearray(b"abc"),
        ("a", 1): (1, 2),
    }
    raw = pickle.dumps(content, protocol=protocol)
    found, expected = DataUnpickler(io.BytesIO(raw)).load(), pickle.loads(raw)
    assert found["array"].tolist() == expected["array"].tolist() and found["array"].dtype == np.float32
    assert found["text"].tolist() == ["a", "bc"]
    assert found["swapped"].tolist() == [1.5, 2.5] and np.dtype("f4").isnative  # and the dtype of others is as it was
    assert [value.dtype for value in found["scalars"]] == [value.dtype for value in content["scalars"]]
    for name in ("ordered", "set", "frozen", "scalars", "bytes", "mutable", ("a", 1)):
        assert found[name] == content[name] and type(found[name]) is type(content[name])


def test_names_of_old_numpy_are_known() -> None:
    """`numpy.core` became `numpy._core` in NumPy 2; files are of the time before."""
    raw = pickle.dumps(np.float64(0.5), protocol=2).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert DataUnpickler(io.BytesIO(raw)).load() == 0.5


@pytest.mark.parametrize(
    "module, name",
    [("os", "system"), ("builtins", "eval"), ("builtins", "getattr"), ("subprocess", "Popen"), ("numpy", "load")],
)
def test_every_other_name_is_refused(module: str, name: str) -> None:
    raw = f"c{module}\n{name}\n.".encode()
    with pytest.raises(ForbiddenName, match=rf"{module}\.{name}, which is not data"):
        DataUnpickler(io.BytesIO(raw)).load()


@pytest.mark.parametrize(
    "array",
    [
        np.array([1, "a", None], dtype=object),
        np.zeros(2, dtype=[("a", "f4"), ("b", "i4")]),
        np.zeros(2, dtype=("f4", (3,))).view(np.dtype([("x", "f4", (3,))])),
        np.array(["2020-01-01"], dtype="M8[D]"),
    ],
    ids=["objects", "fields", "arrays", "dates"],
)
def test_arrays_are_of_numbers_and_text(array: np.ndarray) -> None:
    """A dtype of objects whose state says that it has none would make addresses of bytes."""
    with pytest.raises(pickle.UnpicklingError, match=r"numbers and text|with fields"):
        DataUnpickler(io.BytesIO(pickle.dumps(array, protocol=2))).load()


def test_a_number_of_zeros_is_no_bytearray() -> None:
    """`bytearray(10 ** 12)` is a pickle of forty bytes."""
    with pytest.raises(pickle.UnpicklingError, match="made of bytes"):
        DataUnpickler(io.BytesIO(b"cbuiltins\nbytearray\n(I1000000000000\ntR.")).load()


def _evil_files(folder: Path, evil: files.Evil) -> dict[str, Path]:
    """Return, for every format in which pickles are, a file with one that writes a file."""
    found = {
        "nats-tss": files.write_bz2(folder / "NATS-tss-v1_0-x.pickle.pbz2", {"meta_archs": evil}),
        "nats-sss": files.write_bz2(folder / "NATS-sss-v1_0-x.pickle.pbz2", [evil]),
    }
    for name, file in {
        "naslib-nb201": "nb201_cifar10_full_training.pickle",
        "nasbench101": "nasbench_only108.pkl",
        "hw-nas-bench": "HW-NAS-Bench-v1_0.pickle",
        "naslib-nb301": "nb301_full_training.pickle",
    }.items():
        found[name] = folder / file
        found[name].write_bytes(pickle.dumps({"nasbench201": evil}))
    for name, file in {"nasbench201": "NAS-Bench-201-v1_1-x.pth", "transnas-micro": "transnas-bench_v1.pth"}.items():
        found[name] = folder / file
        torch.save({"data": evil}, found[name], _use_new_zipfile_serialization=name == "nasbench201")
    found["transnas-macro"] = found["transnas-micro"]
    found["nasbench-asr"] = folder / "nb-asr-data"
    found["nasbench-asr"].mkdir()
    (found["nasbench-asr"] / "nb-asr-e40-1234.pickle").write_bytes(pickle.dumps(evil))
    found["nasbench301"] = folder / "nb_models_1.0"
    member = found["nasbench301"] / "xgb_v1.0" / "0"
    member.mkdir(parents=True)
    (member / "model_config.json").write_text(json.dumps({"model": "xgb"}))
    (member / "surrogate_model.model").write_bytes(pickle.dumps(evil))
    return found


def test_a_malicious_file_of_any_format_does_nothing(tmp_path: Path) -> None:
    evil = files.Evil(tmp_path / "harm")
    paths = _evil_files(tmp_path, evil)
    assert set(paths) == set(FORMATS) - {"nasbench-macro", "naslib-zc"}  # which are JSON
    for name, path in paths.items():
        with pytest.raises(BenchmarkError, match=r"posix\.system, which is not data"):
            FORMATS[name].read(path, _nothing)
        assert not evil.path.exists()


def test_the_file_is_harmful_where_it_is_trusted(tmp_path: Path) -> None:
    """What the test before shows, it shows of something."""
    evil = files.Evil(tmp_path / "harm")
    pickle.loads(pickle.dumps(evil))
    assert evil.path.exists()


def test_a_program_of_torch_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "NAS-Bench-201-v1_1-x.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/data.pkl", b"")
        archive.writestr("x/constants.pkl", b"")
    with pytest.raises(BenchmarkError, match="TorchScript"):
        FORMATS["nasbench201"].read(path, _nothing)


@pytest.mark.parametrize("damage", [b"", b"\x80\x04", b"no pickle at all", b"BZh9 nor this"])
def test_what_is_no_pickle_is_said_of_the_file(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "some.pickle"
    path.write_bytes(damage)
    with pytest.raises(BenchmarkError, match=r"some\.pickle cannot be read as a table"):
        read_pickle(path, "a table")


def test_several_pickles_in_one_file(tmp_path: Path) -> None:
    path = tmp_path / "two.pickle"
    contents: list[Any] = [{"columns": ["a"]}, [("x", 1)]]
    path.write_bytes(b"".join(pickle.dumps(content) for content in contents))
    assert read_pickles(path, "two") == contents and read_pickle(path, "two") == contents[0]
