"""Charts of the report: where values are drawn, what is thinned, colours that can be told apart."""

from __future__ import annotations

import itertools
import json
import math
import random
import re
from xml.etree import ElementTree

import pytest

from naslib.report.charts.cells import cell_in_words, cell_picture, chain_picture, numbers_of
from naslib.report.charts.lines import HEIGHT, WIDTH, Series, line_chart
from naslib.report.charts.multiples import share_chart, top_of
from naslib.report.charts.palette import DARK, LIGHT, SURFACES, contrast, style
from naslib.report.charts.scales import AxisScale, evenly, fitted, log_ticks, round_ticks, thin, tick_labels
from naslib.report.charts.scatter import Point, front_of, scatter
from naslib.training.cell_layout import CellEdge, DrawnCell
from naslib.training.found_chain import ChainBox

SVG = "{http://www.w3.org/2000/svg}"


def elements(svg: str, name: str, of_class: str = "") -> list[ElementTree.Element]:
    """Return the elements of a picture by name, and by a word of their class."""
    found = ElementTree.fromstring(svg).iter(name)
    return [one for one in found if not of_class or of_class in (one.get("class") or "").split()]


def points(d: str) -> list[tuple[float, float]]:
    """Return the points of a path of moves and lines."""
    numbers = [float(word) for word in re.findall(r"-?[\d.]+", d)]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def test_scales_are_linear_or_logarithmic():
    linear, log = AxisScale(2.0, 6.0, 100.0, 300.0), AxisScale(1.0, 100.0, 0.0, 200.0, is_log=True)
    assert [linear(value) for value in (2.0, 3.0, 6.0)] == [100.0, 150.0, 300.0]
    assert [log(value) for value in (1.0, 10.0, 100.0)] == pytest.approx([0.0, 100.0, 200.0], abs=1e-12)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 10, [0, 2, 4, 6, 8, 10]), (0.13, 0.49, [0.2, 0.3, 0.4]), (-3, 3, [-2, 0, 2]),
     (97.1, 97.9, [97.2, 97.4, 97.6, 97.8])],
)  # fmt: skip
def test_ticks_are_round(low: float, high: float, expected: list[float]):
    assert round_ticks(low, high) == pytest.approx(expected)


def test_labels_tell_neighbours_apart():
    assert tick_labels([0.2, 0.3, 0.4]) == ["0.2", "0.3", "0.4"] and tick_labels([0.0, 0.05, 0.1]) == [
        "0.00",
        "0.05",
        "0.10",
    ]
    assert tick_labels([0.0, 5e-6, 1e-5])[0] == "0" and len(set(tick_labels([1e9, 2e9, 3e9]))) == 3
    assert log_ticks(1e-4, 10.0) == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0])
    assert tick_labels([0.01, 0.1, 1.0, 10.0]) == ["0.01", "0.1", "1", "10"]


@pytest.mark.parametrize(
    "values",
    [[], [None], [0.0], [0.0, 0.0], [5.0], [-5.0], [1e308, -1e308], [1e-320, 2e-320],
     [1.0, 1.0 + 1e-16], [1e300], [math.pi] * 3],
)  # fmt: skip
def test_scales_hold_any_values(values: list[float | None]):
    scale = fitted(values, 200.0, 20.0, may_be_log=True)
    for value in values:
        if value is not None:
            assert 19.0 <= scale(value) <= 201.0
    assert all(math.isfinite(tick) for tick in scale.ticks())


def test_thinning_keeps_ends_and_extremes():
    rng = random.Random(0)
    column: list[float | None] = [rng.random() for _ in range(5000)]
    column[3217], column[100], column[4000] = 99.0, -99.0, None
    kept = thin([column], 240)
    assert {0, 100, 3217, 4999} <= set(kept) and kept == sorted(kept) and len(kept) <= 242
    assert thin([column[:240]], 240) == list(range(240)) and thin([[]], 10) == []
    assert evenly(1000, 5) == [0, 250, 500, 749, 999] and evenly(3, 5) == [0, 1, 2]


def test_a_line_passes_through_its_values():
    chart = line_chart("Loss", "epoch", "loss", range(1, 6), [Series("train", [5.0, 4.0, 3.0, 2.0, 1.0])])
    (line,) = elements(chart.svg, "path", "line")
    places = points(line.get("d"))
    xs, ys = [x for x, _ in places], [y for _, y in places]
    assert xs[0] == 52.0 and xs[-1] == WIDTH - 12.0 and ys == sorted(ys) and 0 < ys[0] < ys[-1] < HEIGHT
    steps = [b - a for a, b in itertools.pairwise(ys)]
    assert max(steps) - min(steps) <= 0.11  # equal but for the rounding to a tenth
    data = json.loads(chart.data)
    assert data["label"] == ["1", "2", "3", "4", "5"] and data["values"] == [["5", "4", "3", "2", "1"]]
    assert data["x"] == xs and chart.legend == [("c0 k0", "train", "1")] and not chart.note


def test_gaps_lone_points_and_what_is_not_finite():
    values = [1.0, None, 3.0, 4.0, math.nan, math.inf, 2.0]
    chart = line_chart("Loss", "epoch", "loss", range(7), [Series("train", values)])
    assert len(elements(chart.svg, "path", "line")) == 1 and len(elements(chart.svg, "circle", "dot")) == 2
    assert chart.note == "2 values that are NaN or infinite are gaps."
    assert [row[1] for row in chart.table] == ["1", "\u2013", "3", "4", "\u2013", "\u2013", "2"]
    description = next(ElementTree.fromstring(chart.svg).iter("desc")).text
    assert "from 1 at 0 to 2 at 6; least 1, largest 4" in description


@pytest.mark.parametrize("length", [0, 1, 2, 1000])
def test_any_length(length: int):
    chart = line_chart(
        "Loss", "epoch", "loss", range(1, length + 1), [Series("train", [1.0 / (i + 1) for i in range(length)])]
    )
    ElementTree.fromstring(chart.svg)
    assert len(chart.table) == min(length, len(chart.table)) and len(chart.table) <= 242
    assert ("positions are drawn" in chart.note) == (length > 240)


def test_steps_and_bands():
    low, high = [0.5, 1.5, 2.5], [1.5, 2.5, 3.5]
    chart = line_chart("Best", "trial", "value", [0, 1, 2], [Series("m", [1.0, 2.0, 3.0], low, high)], is_step=True)
    assert elements(chart.svg, "path", "line")[0].get("d").count("H") == 2
    (band,) = elements(chart.svg, "path", "band")
    assert band.get("d").startswith("M") and band.get("d").endswith("Z") and band.get("d").count("L") == 5


def test_shares_share_an_axis():
    assert [top_of([0.1]), top_of([0.3, 0.2]), top_of([0.51]), top_of([])] == [0.2, 0.5, 1.0, 1.0]
    chart = share_chart("cell/1-2", ["a", "b"], [[0.5, 0.5], [0.75, 0.25]], {"b": 3}, top=1.0)
    assert [classes for classes, _, _ in chart.legend] == ["c0 k0", "c3 k0"]
    ends = [points(line.get("d"))[-1][1] for line in elements(chart.svg, "path", "line")]
    assert ends == pytest.approx([8 + 0.25 * 100, 8 + 0.75 * 100], abs=0.05)
    assert chart.table == [["0", "0.500", "0.500"], ["1", "0.750", "0.250"]]


def test_the_front_is_that_of_pairwise_comparison():
    rng = random.Random(3)
    values = [(rng.randrange(12), rng.randrange(12)) for _ in range(80)]
    for maximize in itertools.product((True, False), repeat=2):
        signed = [tuple(v if largest else -v for v, largest in zip(pair, maximize, strict=True)) for pair in values]
        expected = [
            not any(b[0] >= a[0] and b[1] >= a[1] and b != a for b in signed) for a in signed
        ]  # fmt: skip
        assert front_of(values, maximize) == expected


def test_a_scatter_has_every_point_once():
    pairs = [(1.0, 90.0), (2.0, 95.0), (3.0, 94.0), (math.nan, 1.0)]
    found = front_of(pairs[:3], (False, True))
    marks = [
        Point(*pair, f"run {i} <b>", i % 3, on) for i, (pair, on) in enumerate(zip(pairs, [*found, False], strict=True))
    ]
    svg = scatter("a & b", "size", "score", marks, (False, True))
    drawn = [one for one in ElementTree.fromstring(svg).iter() if "mark" in (one.get("class") or "").split()]
    assert len(drawn) == 3 and found == [True, True, False]
    assert sorted(next(one.iter("title")).text for one in drawn) == ["run 0 <b>", "run 1 <b>", "run 2 <b>"]
    assert elements(svg, "path", "front")


def test_colours_are_seen_on_their_surface():
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0) and contrast("#777777", "#ffffff") == pytest.approx(
        4.478, abs=1e-3
    )
    for colours, surface in zip((LIGHT, DARK), SURFACES, strict=True):
        assert all(contrast(colour, surface) >= 3.0 for colour in colours), colours
    assert len({style(index) for index in range(32)}) == 32


def _as_seen(colour: str, matrix: tuple[tuple[float, ...], ...]) -> tuple[float, ...]:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    seen = [min(1.0, max(0.0, sum(m * c for m, c in zip(row, linear, strict=True)))) for row in matrix]
    return _lab(seen)


def _lab(linear: list[float]) -> tuple[float, ...]:
    """Return CIE L*a*b* (D65) of linear sRGB."""
    rows = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
    xyz = [
        sum(m * c for m, c in zip(row, linear, strict=True)) / white
        for row, white in zip(rows, (0.9505, 1.0, 1.089), strict=True)
    ]
    f = [t ** (1 / 3) if t > 216 / 24389 else (24389 / 27 * t + 16) / 116 for t in xyz]
    return 116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])


# Machado, Oliveira and Fernandes 2009, severity 1: how linear sRGB is seen without one kind of cone
_PROTAN = ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998))
_DEUTAN = ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881))
_USUAL = ((1, 0, 0), (0, 1, 0), (0, 0, 1))


@pytest.mark.parametrize("matrix", [_USUAL, _PROTAN, _DEUTAN], ids=["usual", "protanopia", "deuteranopia"])
@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_the_first_colours_are_told_apart_by_all_eyes(colours: tuple[str, ...], matrix: tuple[tuple[float, ...], ...]):
    """A difference of 2.3 is just noticed; the first four colours, which most charts have, are far from that."""
    seen = [_as_seen(colour, matrix) for colour in colours[:4]]
    assert min(math.dist(a, b) for a, b in itertools.combinations(seen, 2)) > 12


def test_a_cell_in_words_and_as_picture():
    edges = (CellEdge(1, 2, "conv<3>", "op"), CellEdge(1, 3, "none", "zero"), CellEdge(2, 3, "", "fixed"))
    cell = DrawnCell("normal_cell", (1, 2, 3), edges)
    assert cell_in_words(cell) == "node 2 is made of conv<3> of node 1. node 3 is made of node 2."
    svg = cell_picture(cell, numbers_of([cell]))
    assert len(elements(svg, "path", "edge")) == 3 and len(elements(svg, "circle", "node")) == 3
    assert [one.text for one in elements(svg, "text", "on-edge")] == ["conv<3>", "none"]


def test_a_chain_wraps_into_rows():
    boxes = [ChainBox(f"layer_{i}", f"mb{i}", "op", 16, 1 + i % 2, i == 2) for i in range(7)]
    svg = chain_picture(boxes)
    rects = elements(svg, "rect", "box")
    assert len(rects) == 7 and len({one.get("y") for one in rects}) == 2 and len(elements(svg, "path", "link")) == 6
