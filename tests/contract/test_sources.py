"""Every benchmark and data set is in the catalogue of sources, and the page about benchmarks shows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from naslib.benchmarks.official import FORMATS
from naslib.benchmarks.sources import BENCHMARK_FILES, DATA_SETS, benchmarks_of, source_of
from naslib.registry.catalogue import BENCHMARKS, DATASETS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
# What a user brings along has no source
_OWN = {"few_shot", "imagefolder", "npz", "table"}


@pytest.mark.parametrize("name", BENCHMARKS.names())
def test_every_benchmark_has_its_row(name: str) -> None:
    if BENCHMARKS.get(name).file_name:
        assert source_of(name) is not None


def test_every_row_is_of_a_benchmark_and_complete() -> None:
    for source in BENCHMARK_FILES:
        assert benchmarks_of(source), source.files
    files = [name for source in BENCHMARK_FILES for name in source.files]
    assert len(files) == len(set(files))
    for source in (*BENCHMARK_FILES, *DATA_SETS.values()):
        assert source.holds and source.licence and "http" in source.origin


def test_every_data_set_has_its_row() -> None:
    rows = {DATASETS.place(name) for name in DATA_SETS}
    assert rows == {DATASETS.place(name) for name in DATASETS.names()} - {DATASETS.place(name) for name in _OWN}


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_for_a_benchmark_and_names_its_file(name: str) -> None:
    form = FORMATS[name]
    if form.benchmark:
        kind = BENCHMARKS.get(form.benchmark)
        assert form.output in getattr(kind, "file_names", (kind.file_name,))
    assert form.names and form.source.startswith("https://")


def test_the_page_has_every_file_with_its_licence_and_format() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for source in BENCHMARK_FILES:
        (row,) = [line for line in text.splitlines() if line.startswith(f"| `{source.files[0]}`")]
        assert source.licence in row and source.origin.split(",")[0].split(" ")[0] in row
        assert all(f"`{name}`" in row for name in benchmarks_of(source))
        assert all(f"`{form.name}`" in row for form in source.formats)
    assert all(f"`{name}`" in text for name in FORMATS)
