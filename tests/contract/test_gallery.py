"""The gallery shows what is published: parameters as counted, pictures as drawn, one for each genotype."""

from __future__ import annotations

from pathlib import Path

import pytest

from naslib.benchmarks import get_dataset_api
from naslib.search_spaces import NasBench201SearchSpace
from naslib.search_spaces.core import Metric
from tests.support.gallery import CELLS_201, DARTS_CELLS, PAGE, PICTURES, cells_201, darts_pictures, draw, filled

# Closed form for 20 cells of 36 channels, without the auxiliary head, from the authors' genotype files
PARAMETERS = {
    "DARTS V1": 3_169_414,
    "DARTS V2": 3_349_342,
    "SNAS": 2_661_382,
    "GDAS": 3_368_782,
    "P-DARTS": 3_433_798,
    "PC-DARTS": 3_634_678,
    "DrNAS": 4_099_294,
}


def test_the_page_shows_every_cell() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert darts_pictures() in text and cells_201() in text, "python -m tests.support.gallery --write"
    for cell in DARTS_CELLS:
        assert f"| {cell.error} | {cell.where} | {PARAMETERS[cell.title]:,} |" in text
    shown = {path.name for path in PICTURES.glob("*.svg") if f"](gallery/{path.name})" in text}
    assert shown == {path.name for path in PICTURES.iterdir()} and len(shown) == 2 * len(DARTS_CELLS) + 3 + 2
    assert sum(path.stat().st_size for path in PICTURES.iterdir()) < 500_000


@pytest.mark.slow
def test_the_gallery_is_made_of_the_genotypes(tmp_path: Path) -> None:
    assert {cell.title: cell.parameters() for cell in DARTS_CELLS} == PARAMETERS
    text = PAGE.read_text(encoding="utf-8")
    assert filled(text) == text, "python -m tests.support.gallery --write"
    assert sorted(path.name for path in draw(tmp_path)) == sorted(path.name for path in PICTURES.iterdir())


def test_the_accuracies_are_the_tables(shared_data: Path) -> None:
    table = get_dataset_api("nasbench201", "cifar10", data_dir=shared_data)
    space = NasBench201SearchSpace(channels=4, cells_per_stage=1)
    for _, _, text, shown in CELLS_201:
        code = space.codec.canonical(text)
        names = ("cifar10", "cifar100", "ImageNet16-120")
        assert tuple(round(table.query(code, Metric.TEST_ACCURACY, name, epoch=-1), 2) for name in names) == shown
