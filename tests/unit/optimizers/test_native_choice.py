"""`native="auto"`: measured once per search, said in the log, and kept by a resumed run."""

from __future__ import annotations

import copy
import logging

import pytest
import torch

from naslib import native
from naslib.optimizers import DARTSOptimizer
from naslib.search_spaces import NasBench201SearchSpace, NasBench301SearchSpace
from naslib.search_spaces.core import native_choice
from naslib.search_spaces.core.primitives import DilConv, SepConv

needs_kernels = pytest.mark.skipif(not native.available("auto"), reason="the native kernels cannot be built here")


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, float]]:
    """Have measurements find these milliseconds, (native, PyTorch), one after the other."""
    results: list[tuple[float, float]] = []
    monkeypatch.setattr(native_choice, "_milliseconds", lambda steps: results.pop(0))
    return results


def _adapted(mode: str = "auto", space=None) -> DARTSOptimizer:
    torch.manual_seed(0)
    optimizer = DARTSOptimizer(native=mode)
    optimizer.adapt_search_space(space or NasBench301SearchSpace(n_classes=3, channels=4, cells=2, nodes=2))
    return optimizer


@needs_kernels
@pytest.mark.parametrize(("milliseconds", "chosen"), [((1.0, 2.5), True), ((2.5, 1.0), False)])
def test_the_faster_way_is_taken(milliseconds, chosen: bool, measured, caplog: pytest.LogCaptureFixture):
    measured.append(milliseconds)
    with caplog.at_level(logging.INFO, logger="naslib"):
        optimizer = _adapted()
    assert optimizer.graph.plan.passes.native is chosen and optimizer.runs_native is chosen
    [line] = [record.getMessage() for record in caplog.records if "native" in record.getMessage()]
    assert f"{milliseconds[0]} ms with them and {milliseconds[1]} ms without" in line
    assert ("are used" if chosen else "are not used") in line


@needs_kernels
def test_one_measurement_serves_every_supernet_of_a_search(measured):
    measured.append((1.0, 2.0))
    optimizer = _adapted()
    optimizer.structure.rebuild(optimizer.structure.kept)
    assert optimizer.graph.passes.native and not measured
    measured.append((2.0, 1.0))
    optimizer.adapt_search_space(NasBench301SearchSpace(n_classes=3, channels=4, cells=2, nodes=2))
    assert not optimizer.graph.passes.native


@needs_kernels
@pytest.mark.parametrize("first", [True, False])
def test_a_resumed_run_keeps_the_choice(first: bool, measured):
    measured += [(1.0, 2.0), (2.0, 1.0)] if first else [(2.0, 1.0), (1.0, 2.0)]
    before, after = _adapted(), _adapted()
    assert after.graph.passes.native is not first
    for name, item in after.get_checkpointables().items():
        item.load_state_dict(copy.deepcopy(before.get_checkpointables()[name].state_dict()))
    assert after.graph.plan.passes.native is first
    after.structure.rebuild(after.structure.kept)
    assert after.graph.passes.native is first


@needs_kernels
def test_a_choice_that_cannot_be_kept_is_said(measured, monkeypatch, caplog: pytest.LogCaptureFixture):
    measured.append((2.0, 1.0))
    optimizer = _adapted()
    monkeypatch.setattr("naslib.optimizers.oneshot.supernet.supernet.available", lambda mode: False)
    with caplog.at_level(logging.WARNING, logger="naslib"):
        optimizer.runs_native = True
    assert "cannot be used here" in caplog.text and not optimizer.graph.passes.native


def test_nothing_is_measured_unless_asked(measured):
    assert not _adapted("off").graph.passes.native
    assert "runs_native" not in _adapted("off").get_checkpointables()["schedule"].state_dict()
    if native.available("auto"):
        assert _adapted("on").graph.passes.native


@needs_kernels
def test_without_depthwise_candidates_there_is_no_choice(measured, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO, logger="naslib"):
        optimizer = _adapted(space=NasBench201SearchSpace(n_classes=3, channels=4, cells_per_stage=1))
    assert not optimizer.graph.passes.native
    assert "no separable or dilated convolutions" in caplog.text


@needs_kernels
def test_measuring_changes_nothing():
    ops = [SepConv(16, 16, 3, 1, 1, affine=False), SepConv(16, 16, 3, 1, 1, affine=False)]
    ops += [DilConv(16, 16, 5, 2, 4, 2, affine=False)]
    before = copy.deepcopy([op.state_dict() for op in ops])
    random = torch.get_rng_state()
    assert native_choice.is_native_faster(ops) in (True, False)
    assert torch.equal(torch.get_rng_state(), random)
    assert all(p.grad is None for op in ops for p in op.parameters())
    for op, state in zip(ops, before, strict=True):
        torch.testing.assert_close(op.state_dict(), state, rtol=0, atol=0)
    groups = native_choice._candidates(ops)
    assert [len(group) for group in groups] == [1, 1]  # each kind and size once, those of one input together
