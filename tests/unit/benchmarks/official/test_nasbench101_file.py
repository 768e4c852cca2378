"""NAS-Bench-101 from its TFRecord file, without TensorFlow, and from the pickle that NASLib uses."""

from __future__ import annotations

import pickle
import struct
from pathlib import Path
from random import Random

import numpy as np
import official_files as files
import pytest

from naslib.benchmarks import NasBench101Table
from naslib.benchmarks.official import FORMATS, convert
from naslib.benchmarks.official.tfrecord import crc32c, crc32c_of_all, fields_of, masked_crc32c, read_records
from naslib.errors import BenchmarkError
from naslib.search_spaces.core.query_metrics import Metric

VAL, TEST = Metric.VAL_ACCURACY, Metric.TEST_ACCURACY


def _nothing(done: int, total: int) -> None:
    """Progress that nobody watches."""


def test_the_checksum_is_that_of_the_standard() -> None:
    """Examples of RFC 3720, appendix B.4."""
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E
    assert crc32c(b"123456789") == 0xE3069283
    assert masked_crc32c(b"") == 0xA282EAD8


def test_the_checksums_of_many_at_once_are_those_of_each() -> None:
    rng = Random(5)
    parts = [rng.randbytes(length) for length in (0, 1, 7, 300, 300, 12, 3, 0, 299)]
    assert crc32c_of_all(parts).tolist() == [crc32c(part) for part in parts]
    assert crc32c_of_all([]).tolist() == []


def test_a_message_of_every_kind_of_field() -> None:
    message = b"\x08\x96\x01" + b"\x11" + struct.pack("<d", 0.5) + b"\x1a\x02hi" + b"\x25" + struct.pack("<f", 2.0)
    assert list(fields_of(message)) == [(1, 150), (2, 0.5), (3, b"hi"), (4, 2.0)]
    for cut in (1, 5, 13, len(message) - 1):
        with pytest.raises(ValueError, match="ends within"):
            list(fields_of(message[:cut]))
    with pytest.raises(ValueError, match="unknown kind 3"):
        list(fields_of(b"\x0b"))


@pytest.fixture(scope="module", params=[(4, 12, 36, 108), (108,)], ids=["full", "only108"])
def table(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> NasBench101Table:
    folder = tmp_path_factory.mktemp("nb101")
    path = files.write_tfrecord(folder / "nasbench_full.tfrecord", files.rows_101(request.param))
    return NasBench101Table(convert("nasbench101", path, folder / "nb101.npz"))


def test_a_cell_is_found_by_its_hash_and_has_the_means_of_its_runs(table: NasBench101Table) -> None:
    (fingerprint, (_, _, parameters)), *_ = files.CELLS_101.items()
    code = table.code_of(table.row_of(fingerprint))
    assert table.query(code, TEST, "cifar10") == pytest.approx(100 * (0.4 + 0.108 + 0.001), abs=1e-5)
    assert table.query(code, VAL, "cifar10") == pytest.approx(100 * (0.5 + 0.108 + 0.001), abs=1e-5)
    assert table.query(code, Metric.TRAIN_TIME, "cifar10") == 1081.0
    assert table.query(code, Metric.PARAMETERS, "cifar10") == parameters / 1e6
    assert table.has(VAL, "cifar10")  # of all cells, not of some


def test_the_lengths_are_those_of_the_file(table: NasBench101Table) -> None:
    code = table.code_of(0)
    if table.has(VAL, "cifar10", 4):
        assert table.query(code, VAL, "cifar10", 4) == pytest.approx(100 * (0.5 + 0.004 + 0.001), abs=1e-5)
        curve = table.query(code, VAL, "cifar10", full_lc=True)
        assert curve == pytest.approx([100 * (0.501 + length / 1000) for length in (4, 12, 36, 108)], abs=1e-5)
    else:
        with pytest.raises(BenchmarkError, match="after 108 epochs, not 4"):
            table.query(code, VAL, "cifar10", 4)


def test_the_pickle_says_the_same(tmp_path: Path) -> None:
    (fingerprint, (matrix, ops, parameters)), *_ = files.CELLS_101.items()
    fixed = {
        "module_adjacency": np.array([int(bit) for bit in matrix], dtype=np.int8).reshape(7, 7),
        "module_operations": ["input", *ops, "output"],
        "trainable_parameters": parameters,
    }
    runs = [
        {
            "final_validation_accuracy": 0.608 + run / 1000,
            "final_test_accuracy": 0.508 + run / 1000,
            "final_training_time": 1080.0 + run,
            "halfway_test_accuracy": 0.1,
        }
        for run in range(3)
    ]
    path = tmp_path / "nasbench_only108.pkl"
    path.write_bytes(pickle.dumps({fingerprint: (fixed, {108: runs})}))
    record = files.write_tfrecord(tmp_path / "nasbench_only108.tfrecord", files.rows_101((108,)))
    found, expected = (FORMATS["nasbench101"].read(one, _nothing) for one in (path, record))
    assert list(found) == list(expected)
    for name, values in found.items():
        np.testing.assert_array_equal(values, expected[name])
    path.write_bytes(pickle.dumps([{fingerprint: fixed}, {fingerprint: {108: runs}}]))  # the two dictionaries apart
    assert FORMATS["nasbench101"].read(path, _nothing)["test_acc_108"] == expected["test_acc_108"]


@pytest.mark.parametrize(
    "place, message",
    [
        (3, "the length at byte 0 is wrong"),
        (60, "checksum of record 0"),
        (-40, "checksum of record 2"),
        (-1, "ends early"),
    ],
)
def test_a_damaged_file_says_where(tmp_path: Path, place: int, message: str) -> None:
    path = files.write_tfrecord(tmp_path / "nasbench_full.tfrecord", files.rows_101((108,)))
    raw = bytearray(path.read_bytes())
    if place != -1:
        raw[place] ^= 1
    path.write_bytes(raw if place != -1 else raw[:place])
    with pytest.raises(BenchmarkError, match=rf"nasbench_full\.tfrecord.*{message}"):
        FORMATS["nasbench101"].read(path, _nothing)


def test_what_is_no_row_is_refused(tmp_path: Path) -> None:
    def broken(position: int, value: object) -> Path:
        rows = [list(row) for row in files.rows_101((108,))]
        rows[0][position] = value
        return files.write_tfrecord(tmp_path / "nasbench_full.tfrecord", iter(rows))

    for position, value, message in (
        (0, "0" * 32, "its hash is ff92c322"),
        (1, 50, "trainings are of 4, 12, 36 and 108 epochs"),
        (2, "012", "not square"),
        (3, "input,conv5x5,output", "3 operations and 7 vertices"),
        (4, "AAAA", "record 0"),
    ):
        with pytest.raises(BenchmarkError, match=message):
            FORMATS["nasbench101"].read(broken(position, value), _nothing)


def test_records_tell_how_far_they_are(tmp_path: Path) -> None:
    path = files.write_tfrecord(tmp_path / "x.tfrecord", files.rows_101((4, 108)))
    places = [place for _, place in read_records(path)]
    assert len(places) == 6 and places[-1] == path.stat().st_size and places == sorted(places)
