"""The gallery of cells: `python -m tests.support.gallery --write` makes the pictures and tables of `docs/gallery.md`.

Genotypes are facts that their authors published; the pictures are drawn, and the parameters counted, by naslib.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from pathlib import Path
from typing import NamedTuple

import matplotlib
import torch

from naslib.search_spaces import NasBench201SearchSpace, NasBench301SearchSpace
from naslib.search_spaces.core.graph import Graph
from naslib.training.pictures import draw_cells

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "gallery.md"
PICTURES = ROOT / "docs" / "gallery"
_PLACE = re.compile(r"(<!-- made: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_SHORT = {
    "max": "max_pool_3x3",
    "avg": "avg_pool_3x3",
    "skip": "skip_connect",
    "sep3": "sep_conv_3x3",
    "sep5": "sep_conv_5x5",
    "dil3": "dil_conv_3x3",
    "dil5": "dil_conv_5x5",
}


class DartsCell(NamedTuple):
    """A published genotype of the DARTS space.

    Attributes:
        title: What it is called.
        paper: Its paper's key in `docs/references.md`.
        error: Published test error on CIFAR-10 in %, as it is printed.
        where: Who printed it.
        normal: The normal cell: for each of four nodes two of `operation:input`.
        reduce: The reduction cell.
    """

    title: str
    paper: str
    error: str
    where: str
    normal: str
    reduce: str

    @property
    def name(self) -> str:
        """The beginning of its files' names."""
        return self.title.lower().replace(" ", "_").replace("-", "_")

    def genotype(self) -> str:
        """Return it as its authors write it."""

        def cell(text: str) -> list[tuple[str, int]]:
            return [(_SHORT[op], int(node)) for op, node in (edge.split(":") for edge in text.split())]

        concat = "normal_concat=range(2, 6)", "reduce_concat=range(2, 6)"
        return f"Genotype(normal={cell(self.normal)}, {concat[0]}, reduce={cell(self.reduce)}, {concat[1]})"

    def network(self) -> Graph:
        """Return the network of the authors' evaluation: 20 cells of 36 channels, without an auxiliary head."""
        with torch.device("meta"):
            space = NasBench301SearchSpace(auxiliary=False)
            space.set_spec(self.genotype())
            return space.evaluation_network(cells=20, channels=36, auxiliary=False)

    def parameters(self) -> int:
        """Return how many parameters that network has."""
        return sum(parameter.numel() for parameter in self.network().parameters())


DARTS_CELLS = [
    DartsCell(
        "DARTS V1",
        "Liu2019darts",
        "3.00 ± 0.14",
        "paper, table 1, first order",
        "sep3:1 sep3:0 skip:0 sep3:1 skip:0 sep3:1 sep3:0 skip:2",
        "max:0 max:1 skip:2 max:0 max:0 skip:2 skip:2 avg:0",
    ),
    DartsCell(
        "DARTS V2",
        "Liu2019darts",
        "2.76 ± 0.09",
        "the authors' README, ten runs",
        "sep3:0 sep3:1 sep3:0 sep3:1 sep3:1 skip:0 skip:0 dil3:2",
        "max:0 max:1 skip:2 max:1 max:0 skip:2 skip:2 max:1",
    ),
    DartsCell(
        "SNAS",
        "Xie2019snas",
        "2.85 ± 0.02",
        "paper, as PC-DARTS' README quotes it",
        "sep3:0 sep3:1 skip:0 dil3:1 skip:1 skip:0 skip:0 sep3:1",
        "max:0 max:1 max:1 skip:2 skip:2 max:1 max:0 dil5:2",
    ),
    DartsCell(
        "GDAS",
        "Dong2019gdas",
        "2.93",
        "paper, table 1",
        "skip:0 skip:1 skip:0 sep5:2 sep3:3 skip:0 sep5:4 sep3:3",
        "sep5:0 sep3:1 sep5:2 sep5:1 dil5:2 sep3:1 sep5:0 sep5:1",
    ),
    DartsCell(
        "P-DARTS",
        "Chen2019pdarts",
        "2.50",
        "paper",
        "skip:0 dil3:1 skip:0 sep3:1 sep3:1 sep3:3 sep3:0 dil5:4",
        "avg:0 sep5:1 sep3:0 dil5:2 max:0 dil3:1 dil3:1 dil5:3",
    ),
    DartsCell(
        "PC-DARTS",
        "Xu2020pcdarts",
        "2.57 ± 0.07",
        "the authors' README and paper",
        "sep3:1 skip:0 sep3:0 dil3:1 sep5:0 sep3:1 avg:0 dil3:1",
        "sep5:1 max:0 sep5:1 sep5:2 sep3:0 sep3:3 sep3:1 sep3:2",
    ),
    DartsCell(
        "DrNAS",
        "Chen2021drnas",
        "2.46 ± 0.03",
        "paper, progressive; that this genotype is it is our reading",
        "sep3:0 sep5:1 sep3:1 sep3:2 skip:0 sep3:1 sep3:2 dil5:3",
        "max:0 sep5:1 dil5:2 sep5:1 sep5:1 dil5:3 skip:4 sep5:1",
    ),
]
# Cells of NAS-Bench-201: name, what it is, its string, test accuracies after 200 epochs by the benchmark's table
CELLS_201 = [
    (
        "best_cifar10",
        "the best of all 15,625 by test accuracy on CIFAR-10",
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|",
        (94.37, 73.22, 46.71),
    ),
    (
        "best_imagenet16",
        "the best by test accuracy on ImageNet16-120",
        "|nor_conv_1x1~0|+|nor_conv_1x1~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|",
        (93.99, 72.88, 47.31),
    ),
    (
        "collapsed",
        "what a search ends with that collapses: six skip connections",
        "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|",
        (54.30, 15.61, 16.32),
    ),
]
# What `python runner.py --config darts.yaml` found here, seed 1: docs/first_search.md
FOUND = (
    "Genotype(normal=[('dil_conv_5x5', 0), ('dil_conv_5x5', 1), ('dil_conv_3x3', 0), ('dil_conv_5x5', 2)],"
    " normal_concat=[2, 3],"
    " reduce=[('avg_pool_3x3', 0), ('sep_conv_5x5', 1), ('max_pool_3x3', 0), ('max_pool_3x3', 2)],"
    " reduce_concat=[2, 3])"
)


def found_network() -> Graph:
    """Return the network that the first search found."""
    with torch.device("meta"):
        space = NasBench301SearchSpace(in_channels=1, nodes=2, auxiliary=False)
        space.set_spec(FOUND)
        return space.evaluation_network(cells=3, channels=32, auxiliary=False)


def darts_table() -> str:
    """Return a row per genotype: error as published, parameters as counted."""
    lines = [
        "| genotype | paper | test error, % | printed in | parameters, 20 cells of 36 channels |",
        "|---|---|---|---|---|",
    ]
    for cell in DARTS_CELLS:
        link = f"[{cell.title}](#{cell.title.lower().replace(' ', '-')})"
        lines.append(f"| {link} | [{cell.paper}] | {cell.error} | {cell.where} | {cell.parameters():,} |")
    return "\n".join(lines)


def darts_pictures() -> str:
    """Return a passage per genotype, with its two cells."""
    parts = []
    for cell in DARTS_CELLS:
        pictures = [
            f"![{cell.title}, the {kind} cell](gallery/{cell.name}_{kind}.svg)" for kind in ("normal", "reduction")
        ]
        parts.append("\n\n".join([f"### {cell.title}", *pictures]))
    return "\n\n".join(parts)


def cells_201() -> str:
    """Return a passage per cell of NAS-Bench-201."""
    parts = []
    for name, what, text, (ten, hundred, sixteen) in CELLS_201:
        scores = f"CIFAR-10 {ten:.2f} %, CIFAR-100 {hundred:.2f} %, ImageNet16-120 {sixteen:.2f} %"
        parts.append(f"{what[0].upper()}{what[1:]}: `{text}`. {scores}.\n\n![{what}](gallery/nasbench201_{name}.svg)")
    return "\n\n".join(parts)


MADE = {"darts_table": darts_table, "darts_pictures": darts_pictures, "cells_201": cells_201}


def filled(text: str) -> str:
    """Return the page with what is made of the genotypes made anew."""
    return _PLACE.sub(lambda found: f"{found[1]}\n{MADE[found[2]]()}\n\n{found[3]}", text)


def draw(folder: Path) -> list[Path]:
    """Draw all pictures of the page; text stays text in them, which keeps them small."""
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        made = [path for cell in DARTS_CELLS for path in _drawn(cell.network(), folder, cell.name)]
        for name, _, text, _ in CELLS_201:
            with torch.device("meta"):
                space = NasBench201SearchSpace(channels=4, cells_per_stage=1)
                space.set_spec(text)
            made += _drawn(space, folder, f"nasbench201_{name}", single=True)
        return made + _drawn(found_network(), folder, "first_search")


def _drawn(network: Graph, folder: Path, name: str, single: bool = False) -> list[Path]:
    with tempfile.TemporaryDirectory() as scratch:
        drawn = [
            path
            for path in draw_cells(network, Path(scratch))
            if path.suffix == ".svg" and "makrograph" not in path.stem
        ]
        files = []
        for path in drawn:
            kind = path.stem.removesuffix("_cell").removeprefix("cell_")
            target = folder / (f"{name}.svg" if single else f"{name}_{kind}.svg")
            target.write_bytes(path.read_bytes())
            files.append(target)
    return files


def main() -> None:
    """Print what is made for the page, or write page and pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write docs/gallery.md and docs/gallery/")
    if not parser.parse_args().write:
        print("\n\n".join(make() for make in MADE.values()))
        return
    PICTURES.mkdir(parents=True, exist_ok=True)
    for old in PICTURES.glob("*.svg"):
        old.unlink()
    draw(PICTURES)
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
