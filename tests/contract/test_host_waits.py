"""How often a step of every method makes the host wait for a GPU, counted on a pretended one.

Where a path is drawn by what lives on the device, its indices are read once for every forward that draws: twice in a
step, as the weights' forward follows the parameters that the architecture's has changed. Everything else is not to
wait; what is read at log points is not part of a step.
"""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from pretend_device import DEVICE, OnDevice, PretendDevice, move, pretended
from small_searches import METHODS, UNTRAINED, batches, ready
from small_spaces import ConvSpace
from torch import nn

from naslib.search_spaces.core.primitives import DropPath, ReLUConvBN
from naslib.tasks import Classification
from naslib.training.evaluate import RetrainSettings, RetrainTask
from naslib.training.loaders import BatchCursor
from naslib.training.schedule import Schedule
from naslib.training.search_loop import SearchTask

# Reads of the device per step, of those methods that have any: the indices of what was drawn, once for each of the two
# forwards that draw; of ENAS the reward, since its controller lives on the host
WAITS = {
    **dict.fromkeys(("binary", "binary_masked", "binary_moving_average", "binary_proxyless_style"), 2),
    **dict.fromkeys(("edge_popup", "gdas", "mixed_op", "proxyless", "reinmax"), 2),
    "enas": 1,
}
COUNTED = [name for name in METHODS if name not in UNTRAINED]


def on_device(optimizer: Any) -> Any:
    """Return an optimizer whose supernet and parameters live on the pretended device."""
    own = (optimizer.architectural_weights, optimizer.architecture_parameters)
    move([*optimizer.graph.parameters(), *optimizer.graph.buffers(), *(p for ps in own for p in ps)])
    optimizer.device = DEVICE
    optimizer.before_training()
    return optimizer


def counted(name: str, warm_up: int = 1, **keys: Any) -> PretendDevice:
    """Return what waited in a step of a method after some others."""
    optimizer = ready(name, ConvSpace(), **keys)
    train, valid = batches(torch.float32)
    with pretended() as device:
        on_device(optimizer)
        train, valid = (tuple(OnDevice(tensor) for tensor in batch) for batch in (train, valid))
        for _ in range(warm_up):
            optimizer.step(train, valid)
        device.waits.clear()
        logits, _, loss, _ = optimizer.step(train, valid)
    assert isinstance(logits, OnDevice) and isinstance(loss, OnDevice)
    assert bool(torch.isfinite(loss.held))
    return device


def test_every_method_is_counted() -> None:
    """The registry has so many methods; one that comes says here how often it waits."""
    assert (len(METHODS), len(COUNTED)) == (33, 32)
    assert set(WAITS) < set(COUNTED)


@pytest.mark.parametrize("name", COUNTED)
def test_a_step_waits_for_what_it_draws_alone(name: str) -> None:
    """No step waits, but for the indices of a path that the device has drawn."""
    waits = counted(name).waits
    assert sum(waits.values()) == WAITS.get(name, 0), waits
    assert all(place.startswith("tolist at ") for place in waits), waits


OPTIONS = [
    {"unrolled": True},
    {"unrolled": True, "clip_virtual_step": True, "grad_clip": 0.01},
    {"amp": True, "label_smoothing": 0.1, "op_optimizer": "Adam"},
    {"checkpoint_cells": True, "batch_norm": "batch"},
    {"parts": {"auxiliary_skip": {}, "drop_path": {}, "layer_alignment": {}}},
    {"parts": {"partial_channels": {}, "edge_normalization": {}, "zero_one_loss": {}}},
    {"parts": {"cost": {"metric": "macs", "target": 0.05, "input_shape": [2, 8, 8]}}},
    {"parts": {"perturbation": {}, "operation_early_stopping": {}, "early_stopping": {}}},
]


@pytest.mark.parametrize(
    "keys", [*OPTIONS[:2], *(pytest.param(k, marks=pytest.mark.slow) for k in OPTIONS[2:])], ids=str
)
def test_no_option_of_darts_waits(keys: dict[str, Any]) -> None:
    """Second order, clipping, precision and parts compute on the device."""
    assert counted("darts", **keys).waits == {}


def test_several_passes_wait_for_their_shares() -> None:
    """What the parts of a batch weigh is read at once: for each of the two losses."""
    waits = counted("darts", accumulate=2).waits
    assert sum(waits.values()) == 2 and all("tasks/accumulation.py" in place for place in waits), waits


@pytest.mark.parametrize("name", ["darts", "gdas"])
def test_steps_are_those_of_the_host(name: str) -> None:
    """The pretended device changes no value: a step there is the step of the host (kernels differ by rounding)."""
    results = []
    for moves in (False, True):
        torch.manual_seed(1)
        optimizer = ready(name, ConvSpace(), dtype=torch.float64)
        before = [weight.detach().clone() for weight in optimizer.weights]
        data: Any = batches(torch.float64)
        torch.manual_seed(0)
        with pretended() if moves else nullcontext():
            if moves:
                on_device(optimizer)
                data = tuple(tuple(OnDevice(tensor) for tensor in batch) for batch in data)
            optimizer.step(*data)
            found = [*optimizer.weights, *optimizer.architecture_parameters]
            results.append([p.held if isinstance(p, OnDevice) else p.detach() for p in found])
        assert any(not torch.equal(a, b) for a, b in zip(before, results[-1], strict=False))
    for host, device in zip(*results, strict=True):
        torch.testing.assert_close(device, host, rtol=1e-11, atol=1e-13)


def test_search_loop_waits_for_nothing() -> None:
    """Batches that come from the host, meters and schedules by step: nothing waits between two log points."""
    optimizer = ready("darts", ConvSpace())
    train, valid = ([batch] * 4 for batch in batches(torch.float32))
    with pretended() as device:
        on_device(optimizer)
        cursors = [
            BatchCursor(data, DEVICE, False, name, optimizer.task) for data, name in ((train, "t"), (valid, "v"))
        ]
        schedule = Schedule(
            torch.optim.lr_scheduler.OneCycleLR(optimizer.op_optimizer, 0.1, total_steps=9), optimizer.op_optimizer, 2
        )
        outputs: Any = SimpleNamespace(arch_weights=None)
        task = SearchTask(optimizer, cursors[1], schedule, outputs, 2)
        task.begin_epoch(0)
        for cursor in cursors:
            cursor.begin(0)
        for step in range(4):
            batch = cursors[0].next_in_epoch()
            assert batch is not None and isinstance(batch[0], OnDevice)
            if step == 2:  # the first steps look at their batches
                device.waits.clear()
            task.train_step(batch, step)
        assert device.waits == {}
        assert task.meters["training"].read().count == 4 * len(train[0][1])
        assert sum(device.waits.values()) == 1  # a log point


def test_retraining_waits_for_nothing(tmp_path: Path) -> None:
    """Drop-path by step, clipping, averaged weights and autocast of a retraining compute on the device."""
    path = DropPath(nn.Identity())
    network = nn.Sequential(
        nn.Conv2d(2, 4, 1), path, ReLUConvBN(4, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    )
    batch = batches(torch.float32)[0]
    with pretended() as device:
        move([*network.parameters(), *network.buffers()])
        sgd = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9)
        settings = RetrainSettings(2, grad_clip=1.0, drop_path_prob=0.3, drop_path="v3", amp=True)
        cosine = torch.optim.lr_scheduler.CosineAnnealingLR(sgd, 2)
        task = RetrainTask(
            network, sgd, cosine, Classification(), None, settings, DEVICE, False, None, tmp_path / "h.json", 4
        )
        task.begin_epoch(1)
        for step in range(4):
            moved = task.task.to_device(batch, DEVICE)
            if step == 2:
                device.waits.clear()
            task.train_step(moved, step)
        assert device.waits == {}
        assert path.drop_prob == pytest.approx(0.3 * 7 / 8)
        assert task.meters["training"].read().count == 4 * len(batch[1])


def test_what_waits_is_counted_and_what_a_gpu_refuses_is_refused() -> None:
    """The instrument: each of these makes the host wait once, or is an error."""
    with pretended() as device:
        x = torch.arange(4.0).to(DEVICE)
        assert isinstance(x, OnDevice) and sum(device.waits.values()) == 1
        cases: list[Any] = [
            lambda: x.sum().item(), lambda: float(x.sum()), lambda: bool(x.sum() > 0), x.tolist, x.cpu, x.nonzero,
            lambda: x[x > 1], x.unique, lambda: torch.tensor([1.0], device=DEVICE), lambda: x[torch.tensor([1, 0])],
            lambda: torch.multinomial(x, 1), lambda: x.copy_(torch.zeros(4)), lambda: torch.equal(x, x),
            lambda: x.new_tensor([1.0]), lambda: x.masked_select(x > 0),
        ]  # fmt: skip
        for number, case in enumerate(cases):
            device.waits.clear()
            case()
            assert sum(device.waits.values()) == 1, (number, device.waits)
        device.waits.clear()
        still: list[Any] = [
            lambda: x + 1, lambda: x * torch.tensor(2.0), lambda: x.argmax(), lambda: x.new_zeros(3),
            lambda: torch.zeros(4, device=DEVICE), lambda: x[:2], lambda: torch.where(x > 1, x, 0.0),
            lambda: torch.ones(4).to(DEVICE, non_blocking=True), lambda: x.masked_fill(x > 1, 0.0),
            lambda: torch.rand(2, device=DEVICE),
        ]  # fmt: skip
        for case in still:
            case()
        assert device.waits == {}
        with pytest.raises(RuntimeError, match="tensors of the host"):
            x + torch.ones(4)
        with pytest.raises(RuntimeError, match="a generator of the host"):
            torch.rand(2, device=DEVICE, generator=torch.Generator())
        with pytest.raises(TypeError, match="numpy"):
            x.numpy()
