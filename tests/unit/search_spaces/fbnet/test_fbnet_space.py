"""The space of FBNet: its size, its blocks, and the published latencies of its networks."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from data_files import data_file
from torch import nn

from naslib.hardware import fit_fbnet, trace_candidates
from naslib.optimizers import OPTIMIZERS
from naslib.search_spaces import FBNetSearchSpace, published

LATENCIES = data_file("fbnet_latency.npz")
NAMES = ("k3_e1", "k3_e1_g2", "k3_e3", "k3_e6", "k5_e1", "k5_e1_g2", "k5_e3", "k5_e6", "skip")


def test_the_published_space_has_22_layers_of_nine_blocks() -> None:
    with torch.device("meta"):
        space = FBNetSearchSpace()
    assert space.decision_space.size() == 9**22
    assert {decision.candidates for decision in space.decision_space.decisions} == {NAMES}
    kinds = [type(space.edges[node, node + 1].op.edges[1, 2].op[8]).__name__ for node in range(2, 24)]
    assert [number for number, kind in enumerate(kinds, start=1) if kind == "ReducingSkip"] == [2, 6, 10, 14, 18, 22]
    assert Counter(kinds) == {"Skip": 16, "ReducingSkip": 6}


def test_a_skipped_layer_that_changes_the_shape_is_a_small_convolution() -> None:
    space = FBNetSearchSpace(4, widths=(4, 6), n_cells=(1, 1), strides=(1, 2), stem_channels=4, head_channels=0)
    space.set_spec("skip skip")
    space.parse()
    x = torch.rand(2, 4, 8, 8)
    assert torch.equal(space.edges[2, 3].op(x), x)
    layer = space.edges[3, 4].op
    assert layer(x).shape == (2, 6, 4, 4) and (layer(x) >= 0).all()
    assert [type(module) for module in layer.edges[1, 2].op.op] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU]
    assert sum(parameter.numel() for parameter in layer.parameters()) == 4 * 6 + 2 * 6


def test_fbnet_c_is_read_as_the_authors_write_it() -> None:
    with torch.device("meta"):
        network = published("fbnet-c")
    assert network.genotype()[:5] == ["k3_e1", "k3_e6", "skip", "k3_e1", "k3_e1"]
    assert network.get_code() == (0, 3, 8, 0, 0, 7, 6, 7, 3, 7, 6, 7, 7, 7, 7, 7, 6, 7, 7, 7, 7, 3)


@pytest.mark.skipif(not LATENCIES.is_file(), reason=f"no {LATENCIES.name}")
def test_latencies_of_networks_are_sums_over_their_layers() -> None:
    fit = fit_fbnet(LATENCIES, "pixel3")
    assert tuple(fit.ops) == NAMES and fit.positions == [f"layer_{n:02}/1-2" for n in range(1, 23)]
    with np.load(LATENCIES) as file:
        measured = file["latency_ms"][[str(name) for name in file["devices"]].index("pixel3")]
        choices = file["op_idx"]
    # on a phone the published figures are sums exactly
    assert fit.r2 == pytest.approx(1.0, abs=1e-6)
    assert np.abs(fit.predict(choices) / measured - 1).max() < 1e-4
    with torch.device("meta"):
        space = FBNetSearchSpace()
    rows = fit.costs(trace_candidates(space, (3, 224, 224)))
    assert len(rows) == 22 and all(row[8] == 0.0 for row in rows)
    of_first = sum(row[op] for row, op in zip(rows, choices[0], strict=True)) + fit.fixed
    assert of_first == pytest.approx(measured[0], rel=1e-4)


@pytest.mark.skipif(not LATENCIES.is_file(), reason=f"no {LATENCIES.name}")
def test_a_search_takes_the_published_latencies() -> None:
    fit = fit_fbnet(LATENCIES, "raspi4")
    part = {"table": fit, "reference": 20.0, "loss": "add_linear", "input_shape": (3, 32, 32)}
    optimizer = OPTIMIZERS.get("proxylessnas")(epochs=1, parts={"latency": part})
    widths = {"widths": (4,) * 7, "n_cells": (1, 4, 4, 4, 4, 4, 1), "strides": (1,) * 7}
    optimizer.adapt_search_space(FBNetSearchSpace(4, **widths, stem_channels=4, head_channels=4))
    latency = optimizer.parts["latency"]
    assert len(latency.costs) == 22
    assert [float(costs[8]) for costs in latency.costs] == [0.0] * 22
    assert float(latency.costs[5][7]) == pytest.approx(fit.milliseconds[5][7])
