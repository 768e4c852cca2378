"""What the docs say was measured is what the files of the runs hold."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from benchmarks import quote
from benchmarks.records import RESULTS

ROOT = Path(__file__).resolve().parents[3]
FOUND = quote.records()
PERFORMANCE = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", quote.PAGES)
def test_the_tables_of_a_page_are_made_from_the_results(name: str) -> None:
    page = (ROOT / name).read_text(encoding="utf-8")
    assert "<!-- measured: " in page
    assert page == quote.quoted(page, FOUND), "run `python -m benchmarks.quote --write`"


def test_every_table_stands_on_a_page_and_once() -> None:
    """A merge of pages may lose a section, and its table is then no longer held against anything."""
    text = "".join((ROOT / name).read_text(encoding="utf-8") for name in quote.PAGES)
    assert sorted(re.findall(r"<!-- measured: (\w+) -->", text)) == sorted(quote.TABLES)


def test_every_figure_with_a_limit_is_quoted_and_none_twice() -> None:
    """Counted in the files themselves, without the code that makes the table."""
    limits = 0
    for path in RESULTS.glob("20*.csv"):
        with path.open(encoding="utf-8") as file:
            limits += sum(bool(row["limit"]) for row in csv.DictReader(file))
    assert limits >= 70
    assert len(re.findall(r"^\| (?:P\d+|loader) \|.*(?:met|\*\*missed\*\*) \|$", PERFORMANCE, re.MULTILINE)) == limits


def test_every_bar_that_was_ever_missed_is_spoken_of() -> None:
    missed = {row["bar"] for row in FOUND if row["verdict"] == "FAIL"}
    met = PERFORMANCE[PERFORMANCE.index("**Met in every run") :].split("\n*")[0]
    for bar in missed:
        assert re.search(rf"^\* \*\*(?:P\d+ and )?{bar}\b", PERFORMANCE, re.MULTILINE), bar
    always = {row["bar"] for row in FOUND if row["limit"]} - missed
    assert {bar for bar in always if bar.startswith("P")} <= set(re.findall(r"P\d+", met))


@pytest.mark.parametrize(
    ("bar", "name", "run", "text"),
    [
        ("P3", "speed-up", 1, "1.97x"),
        ("P8", "time, ours / plain, NB201", 1, "1.12x"),
        ("P5", "sampled speed-up", 3, "4.8x"),
        ("P5", "sampled speed-up", 8, "5.2x"),
        ("P7", "time, exact / difference", 4, "2.6 times"),
        ("P7", "time, exact / difference", 7, "2.6 times"),
        ("P7", "time, exact / difference", 8, "2.1 times"),
        ("P7", "relative error, at full size", 8, "6e-4"),
        ("P7", "relative error, at full size", 7, "4e-3"),
        ("P10", "clone of an architecture, DARTS", 9, "7.4 us"),
        ("P10", "clone of an architecture, NB201", 9, "10 us"),
        ("scaling", "build + adapt of 20 cells x 7 nodes x 12 ops", 5, "13 s"),
    ],
)
def test_a_figure_in_a_sentence(bar: str, name: str, run: int, text: str) -> None:
    assert text in PERFORMANCE
    (value,) = [float(row["value"]) for row in FOUND if (row["bar"], row["name"], row["run"]) == (bar, name, str(run))]
    number = re.match(r"[\d.e-]+", text.replace("e-4", "e-04").replace("e-3", "e-03"))
    assert number is not None
    digits = len(number[0].partition("e")[0].replace(".", ""))
    assert float(f"{value:.{digits - 1}e}") == float(number[0])


def test_numbers_are_shown_with_three_digits() -> None:
    assert [quote._figure(text, unit) for text, unit in (("2.4852", "x"), ("0.33333", "x"), ("1e-10", ""))] == [
        "2.49x", "0.333x", "1e-10",
    ]  # fmt: skip
    assert quote._figure("141304509.1", "archs/s") == "141 M archs/s"
    assert quote._figure("346882.4", "archs/s") == "346,882 archs/s"
