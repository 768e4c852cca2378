"""benchmarks.export_int8: the table says what its file says."""

from __future__ import annotations

import csv

from benchmarks import export_int8


def test_the_table_is_that_of_its_file() -> None:
    with export_int8.RESULTS.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12 and {row["file"] for row in rows} == {
        f"network{kind}.{form}" for kind in ("", "_int8") for form in ("pt2", "onnx")
    }
    lines = export_int8.table().splitlines()[2:]
    assert len(lines) == len(rows)
    first = [cell.strip() for cell in lines[0].strip("|").split("|")]
    assert first == ["digits, nasbench301", "103,850", "network.pt2", "accuracy 99.16 %", "648", "1.544"]
    # a form scores alike wherever it runs, and 8 bits change little
    for data in {row["dataset"] for row in rows}:
        scores = [float(row["score"]) for row in rows if row["dataset"] == data]
        assert scores[0] == scores[1] and scores[2] == scores[3] and abs(scores[0] - scores[2]) < 0.5
