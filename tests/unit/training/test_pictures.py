"""Pictures and their layout."""

from __future__ import annotations

import itertools
import random
import xml.etree.ElementTree as ET

import matplotlib.image
import pytest
import torch

from naslib.optimizers import DARTSOptimizer
from naslib.search_spaces import NasBench201SearchSpace, NasBench301SearchSpace
from naslib.training.arch_weights import record_of
from naslib.training.cell_layout import (
    LABEL_HEIGHT,
    LABEL_WIDTH_PER_CHAR,
    NODE_RADIUS,
    cells_of,
    curve,
    place_edges,
    place_nodes,
)
from naslib.training.pictures import draw_arch_weights, draw_cells


def _random(space, seed):
    space.sample_random_architecture(rng=random.Random(seed))
    space.prepare_evaluation()
    space.parse()
    return space


def _darts(seed):
    return _random(NasBench301SearchSpace(channels=4, cells=3), seed)


def test_cells_of_a_genotype():
    architecture = _darts(0)
    normal, reduction = sorted(cells_of(architecture), key=lambda cell: cell.name)
    assert (normal.name, reduction.name) == ("normal_cell", "reduction_cell")
    for cell, pairs in ((normal, architecture.genotype()["normal"]), (reduction, architecture.genotype()["reduce"])):
        drawn = {(edge.source, edge.target) for edge in cell.edges if edge.kind == "op"}
        assert drawn == {(source + 1, position // 2 + 3) for position, (_, source) in enumerate(pairs)}
        assert {(e.source, e.target) for e in cell.edges if e.kind == "fixed"} == {(node, 7) for node in range(3, 7)}


def test_copies_of_a_cell_are_drawn_once():
    (cell,) = cells_of(_random(NasBench201SearchSpace(channels=4, cells_per_stage=2), 1))
    assert len(cell.edges) == 6 and cell.nodes == (1, 2, 3, 4)


@pytest.mark.parametrize("seed", range(6))
def test_layout_keeps_apart(seed):
    for cell in [
        *cells_of(_darts(seed)),
        *cells_of(_random(NasBench201SearchSpace(channels=4, cells_per_stage=1), seed)),
    ]:
        positions = place_nodes(cell)
        assert all(positions[edge.source][0] < positions[edge.target][0] for edge in cell.edges)
        assert all(
            (ax - bx) ** 2 + (ay - by) ** 2 > (3 * NODE_RADIUS) ** 2
            for (ax, ay), (bx, by) in itertools.combinations(positions.values(), 2)
        )
        placed = place_edges(cell, positions)
        assert len(placed) == len(cell.edges)
        labelled = [edge for edge in placed if edge.edge.label]
        for one, other in itertools.combinations(labelled, 2):
            width = (len(one.edge.label) + len(other.edge.label)) * LABEL_WIDTH_PER_CHAR / 2
            dx, dy = (abs(one.label_at[axis] - other.label_at[axis]) for axis in (0, 1))
            assert dx >= width or dy >= LABEL_HEIGHT
        for edge in placed:
            points = torch.from_numpy(curve(positions[edge.edge.source], positions[edge.edge.target], edge.bend))
            for node, at in positions.items():
                if node not in (edge.edge.source, edge.edge.target):
                    assert (points - torch.tensor(at)).norm(dim=1).min() > NODE_RADIUS


def test_files(tmp_path):
    files = draw_cells(_darts(0), tmp_path)
    assert sorted(path.name for path in files) == [
        "normal_cell.png", "normal_cell.svg", "reduction_cell.png", "reduction_cell.svg",
    ]  # fmt: skip
    pixels = matplotlib.image.imread(tmp_path / "normal_cell.png")
    assert pixels.shape[1] > 400 and pixels[..., :3].min() < 0.5
    assert ET.parse(tmp_path / "normal_cell.svg").getroot().tag.endswith("svg")


def test_arch_weights(tmp_path):
    assert draw_arch_weights(tmp_path) == []
    optimizer = DARTSOptimizer()
    optimizer.adapt_search_space(NasBench201SearchSpace(channels=4, cells_per_stage=1))
    recorder = record_of(optimizer)
    for _ in range(3):
        recorder.record()
        for alpha in optimizer.architectural_weights:
            alpha.data += torch.randn(5)
    recorder.write(tmp_path)
    names = [(decision.graph, decision.edge) for decision in recorder.decisions]
    assert names == [("cell", edge) for edge in ((1, 2), (1, 3), (1, 4), (2, 3), (2, 4), (3, 4))]
    assert recorder.decisions[0].ops == ("Identity", "Zero", "ReLUConvBN3x3", "ReLUConvBN1x1", "AvgPool1x1")
    assert [path.suffix for path in draw_arch_weights(tmp_path)] == [".svg", ".png"]
