"""The summary that a person reads."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from naslib.training.progress import format_seconds
from naslib.training.report import format_genotype, summary_table, write_summary


def test_durations():
    assert [format_seconds(s) for s in (8.25, 59.94, 65, 3599.6, 11520)] == [
        "8.2 s", "59.9 s", "1 min 05 s", "1 h 00 min", "3 h 12 min",
    ]  # fmt: skip


def test_genotypes():
    assert format_genotype({"normal": [["skip", 0]], "n": [2, 3]}) == "normal: [[skip, 0]]\nn: [2, 3]"
    assert format_genotype([{"edge": [1, 2], "op": "Zero"}]) == "edge [1, 2], op Zero"
    assert format_genotype("|none~0|") == "|none~0|"


def test_evaluations_are_counted_as_such(tmp_path):
    summary = {"search_seconds": 3.2, "search_evaluations": 2000}
    assert "3.2 s (2000 evaluations)" in summary_table(summary, tmp_path)
    assert " evaluations)" not in summary_table({"search_seconds": 3.2, "search_evaluations": None}, tmp_path)


def test_summary(tmp_path, caplog):
    summary = {
        "genotype": "|none~0|", "params_millions": 1.25, "flops_millions": None, "test_accuracy": 97.5,
        "evaluation_mode": "retrain", "search_seconds": 61, "total_seconds": 70.0, "device": "cpu", "seed": 3,
    }  # fmt: skip
    with caplog.at_level(logging.INFO, "naslib"):
        write_summary(Path(tmp_path), summary)
    assert json.loads((tmp_path / "summary.json").read_text()) == summary
    for text in ("|none~0|", "1.2500 M", "not measured", "97.50 % (trained from scratch)", "1 min 01 s", str(tmp_path)):
        assert text in caplog.text
