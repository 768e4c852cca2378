"""The picture of a search's front: the edge that joins its members."""

from __future__ import annotations

import numpy as np
import pytest

from naslib.history import Objective
from naslib.history.fronts import staircase
from naslib.training.front_picture import draw_devices, draw_front

MEMBERS = [{"values": row} for row in ((94.0, 9.0), (92.0, 5.0), (90.0, 4.0))]
OBJECTIVES = (Objective("val_accuracy", True, "%"), Objective("latency", False, "ms"))


@pytest.mark.parametrize("kind", ["front", "devices"])
def test_the_line_is_the_edge_of_what_the_members_dominate(kind, tmp_path, monkeypatch):
    from matplotlib.cbook import pts_to_prestep

    kept = []
    monkeypatch.setattr("naslib.training.front_picture.save_figure", lambda figure, stem: kept.append(figure) or [])
    if kind == "front":
        draw_front(tmp_path, {"members": MEMBERS}, OBJECTIVES)
    else:
        draw_devices(tmp_path, {"latency": {"members": MEMBERS, "hypervolume": 1.0, "learned": True}}, OBJECTIVES)
    (axes,) = kept[0].axes
    line, marks = axes.lines[:2]
    assert line.get_drawstyle() == "steps-pre"  # what pts_to_prestep writes out
    assert axes.get_ylabel() == "val accuracy [%], larger is better"
    x, y = pts_to_prestep(line.get_xdata(), np.asarray(line.get_ydata(), float))
    edge = staircase(np.array([[94.0, -9.0], [92.0, -5.0], [90.0, -4.0]]), (80.0, -20.0))[1:-1] * [1, -1]
    np.testing.assert_array_equal(np.stack([y, x], 1), edge)
    assert list(zip(marks.get_ydata(), marks.get_xdata(), strict=True)) == [m["values"] for m in MEMBERS]
