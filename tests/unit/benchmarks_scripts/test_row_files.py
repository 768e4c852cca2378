"""Files of rows keep what they have, byte for byte, and take no row of other columns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks import row_files
from benchmarks.records import RESULTS


@dataclass(frozen=True)
class Found:
    method: str
    seed: int
    value: float


def test_rows_are_put_behind_those_that_are_there(tmp_path: Path) -> None:
    path = tmp_path / "found.csv"
    assert row_files.read(path) == [] and row_files.read_as(Found, path) == []
    row_files.append(path, ("method", "seed", "value"), [("a, b", 0, "0.50")])
    row_files.append(path, ("method", "seed", "value"), [{"value": 1.5, "method": "c", "seed": 1}])
    assert path.read_bytes() == b'method,seed,value\n"a, b",0,0.50\nc,1,1.5\n'
    assert row_files.read(path)[0] == {"method": "a, b", "seed": "0", "value": "0.50"}
    assert row_files.read_as(Found, path) == [Found("a, b", 0, 0.5), Found("c", 1, 1.5)]
    row_files.append_records(Found, [Found("d", 2, 2.0)], path)
    assert path.read_bytes().endswith(b"c,1,1.5\nd,2,2.0\n")


def test_a_file_keeps_its_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "found.csv"
    path.write_bytes(b"method,seed\r\na,0\r\n")
    row_files.append(path, ("method", "seed"), [("b", 1)])
    assert path.read_bytes() == b"method,seed\r\na,0\r\nb,1\r\n"


def test_other_columns_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    path = tmp_path / "found.csv"
    row_files.append(path, ("method", "seed"), [("a", 0)])
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"found\.csv has the columns method, seed, not method, value"):
        row_files.append(path, ("method", "value"), [("b", 1)])
    with pytest.raises(ValueError, match="a row has method; the columns are method, seed"):
        row_files.append(path, ("method", "seed"), [("b", 1), {"method": "c"}])
    with pytest.raises(ValueError, match="shorter"):
        row_files.append(path, ("method", "seed"), [("b",)])
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["transfer", "mepa", "proposer", "te_nas", "smash", "growing", "neural_searches"])
def test_written_again_a_file_of_ours_is_the_same(name: str, tmp_path: Path) -> None:
    kept, copy = (RESULTS / f"{name}.csv").read_bytes(), tmp_path / "copy.csv"
    rows = row_files.read(RESULTS / f"{name}.csv")
    copy.write_bytes(kept[: kept.index(b"\n") + 1])
    for row in rows:
        row_files.append(copy, list(rows[0]), [row])
    assert len(rows) >= 3 and copy.read_bytes() == kept


def test_a_search_that_is_there_is_not_made_again_and_each_is_kept_at_once(tmp_path: Path) -> None:
    path = tmp_path / "found.csv"
    row_files.append_records(Found, [Found("a", 0, 0.5)], path)

    def stopped() -> Found:
        raise KeyboardInterrupt

    def made(method: str, seed: int) -> Found:
        return Found(method, seed, 2.5)

    searches = {("a", 0): stopped, ("a", 1): lambda: made("a", 1), ("b", 0): stopped}
    with pytest.raises(KeyboardInterrupt):
        row_files.completed(Found, ("method", "seed"), searches, path)
    kept = [Found("a", 0, 0.5), Found("a", 1, 2.5)]
    assert row_files.read_as(Found, path) == kept
    searches["b", 0] = lambda: made("b", 0)
    assert row_files.completed(Found, ("method", "seed"), searches, path) == [*kept, made("b", 0)]
    assert row_files.read_as(Found, path) == [*kept, made("b", 0)]
    anew = row_files.completed(Found, ("method", "seed"), {("b", 0): lambda: made("b", 0)}, None)
    assert anew == [made("b", 0)]


def test_rows_of_other_settings_are_other_measurements() -> None:
    text = [{"batch": "16", "seed": "1"}, {"batch": "8", "seed": "1"}, {"batch": "16", "seed": "2"}]
    assert row_files.made_with(text, {"batch": 16}) == [text[0], text[2]]
    records = [Found("a", 0, 0.5), Found("a", 1, 1.5)]
    assert row_files.made_with(records, {"method": "a", "value": 1.5}) == [records[1]]


def test_two_errors_of_a_mean() -> None:
    """Of 1, 2, 3, 4 the deviation is the root of 5 / 3."""
    assert row_files.two_errors([1.0, 2.0, 3.0, 4.0]) == pytest.approx((5 / 3) ** 0.5, abs=1e-15)
    assert row_files.two_errors([1.0]) == 0
