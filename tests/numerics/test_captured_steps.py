"""Steps from recordings are the steps themselves, bit for bit; what cannot be recorded is refused.

There is no GPU here: a recorder of operators stands in for CUDA's (`recorded_graph`), which repeats what was launched
and not the Python that launched it.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from recorded_graph import KernelRecorder
from small_searches import METHODS, ready
from small_spaces import ConvSpace, images
from torch import Tensor

from naslib.cli.command import main
from naslib.errors import ConfigError
from naslib.optimizers.oneshot.supernet.captured import WARM_UPS, CapturedPasses
from naslib.optimizers.oneshot.supernet.static_step import reasons_against

# Methods whose step can be captured as it comes; all others say why not
CAPTURED = [
    *("darts", "darts_minus", "darts_plus", "darts_pt", "drnas", "fair_darts", "p_darts", "pc_darts", "robust_darts"),
    "sdarts_rs",
]


def search(name: str, captured: bool, monkeypatch: pytest.MonkeyPatch, **keys: Any) -> Any:
    """Return a search on images; captured, the recorder stands in for CUDA's."""
    torch.manual_seed(1)
    if not captured:
        return ready(name, ConvSpace(), **keys)
    with monkeypatch.context() as patch:
        patch.setattr("naslib.optimizers.oneshot.supernet.capturing.CapturingOptimizer.check_device", lambda *_: None)
        optimizer = ready(name, ConvSpace(), cuda_graph=True, **keys)
    optimizer.captures = CapturedPasses(KernelRecorder())
    return optimizer


def state(optimizer: Any) -> list[Tensor]:
    """Return all that a step changes."""
    return [t.detach().clone() for t in (*optimizer.graph.state_dict().values(), *optimizer.architecture_parameters)]


def run(optimizer: Any, epochs: int = 2, sizes: tuple[int, ...] = (6, 6, 4)) -> tuple[list[Tensor], list[Tensor]]:
    """Return logits and losses of steps with batches of these sizes in every epoch, and the state at the end."""
    torch.manual_seed(5)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer.op_optimizer, epochs * len(sizes))
    seen: list[Tensor] = []
    for epoch in range(epochs):
        optimizer.new_epoch(epoch)
        for number, size in enumerate(sizes):
            data = [images(size, seed=9 * epoch + number + k, dtype=torch.float32) for k in (0, 50)]
            seen += optimizer.step(*data)
            schedule.step()
    return seen, state(optimizer)


# the others run the same passes, with parts and relaxations of their own
FIRST = ("darts", "drnas")
SLOW = [name if name in FIRST else pytest.param(name, marks=pytest.mark.slow) for name in CAPTURED]


@pytest.mark.parametrize("name", SLOW)
def test_captured_steps_are_the_steps(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights, statistics, parameters, logits and losses of two epochs, the last batch of each smaller."""
    keys: dict[str, Any] = {"epochs": 2, "parts": {"warm_up": {"epochs": 0}}} if name == "pc_darts" else {"epochs": 2}
    if name == "p_darts":
        keys |= {"added_cells": (0,), "skip_dropout": (0.3,), "warm_up_epochs": 0}
    found = []
    for captured in (False, True):
        optimizer = search(name, captured, monkeypatch, **keys)
        found.append(run(optimizer))
    (eager, end), (replayed, end_replayed) = found
    assert all(torch.equal(a, b) for a, b in zip(eager, replayed, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(end, end_replayed, strict=True))
    passes = optimizer.captures
    # two passes in each of two epochs; of each, two batches of the common size and one smaller
    assert (passes.n_recorded, passes.n_replayed, passes.n_eager) == (4, 8, 4)
    assert passes.recorder.warm_ups == [WARM_UPS] * 4


PARTS: list[dict[str, Any]] = [
    {"drop_path": {"drop_prob": 0.4}, "zero_one_loss": {}},
    {"partial_channels": {"k": 2}, "edge_normalization": {}},
    {"perturbation": {}, "auxiliary_skip": {}},
    {"cost": {"metric": "macs", "target": 0.05, "input_shape": [2, 8, 8]}},
]


@pytest.mark.slow
@pytest.mark.parametrize("parts", PARTS, ids=lambda parts: "+".join(parts))
def test_captured_steps_with_parts_are_the_steps(parts: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """What parts do in a pass is recorded with it; what they change by the epoch is recorded anew."""
    found = [
        run(search("darts", captured, monkeypatch, epochs=2, parts=parts), 2, (6, 6)) for captured in (False, True)
    ]
    for eager, replayed in zip(*found, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(eager, replayed, strict=True))


def test_every_other_method_says_why_not() -> None:
    """The registry is the captured methods and those that are refused before anything is built."""
    for name in METHODS:
        if name not in CAPTURED:
            with pytest.raises(ConfigError, match=r"search\.cuda_graph: ") as refusal:
                ready(name, ConvSpace(), cuda_graph=True)
            assert str(refusal.value).endswith("leave cuda_graph out")
    assert len(METHODS) == len(CAPTURED) + 23


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"unrolled": True}, "the second-order step repeats random states"),
        ({"accumulate": 2}, "a batch that is gone over in several passes reads random states"),
        ({"checkpoint_cells": True}, "a backward that computes cells again reads random states"),
        ({"parts": {"layer_alignment": {}}}, "the part layer_alignment: what it does in a pass may change"),
        ({"parts": {"perturbation": {"kind": "adversarial"}}}, "the part perturbation: what it does"),
    ],
)
def test_what_changes_is_refused(keys: dict[str, Any], reason: str) -> None:
    """Options and parts that a recording would freeze, each with its reason, before the search."""
    with pytest.raises(ConfigError, match=f"search.cuda_graph: {reason}"):
        ready("darts", ConvSpace(), cuda_graph=True, **keys)


def test_no_cuda_no_graph() -> None:
    """On a machine without a GPU the key is an error before the search."""
    with pytest.raises(ConfigError, match="captures steps on a CUDA device, and the search runs on 'cpu': leave it"):
        ready("darts", ConvSpace(), cuda_graph=True)
    assert reasons_against(ready("darts", ConvSpace())) == []


def test_results_are_nobody_elses(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a step returned is not written into by the next."""
    optimizer = search("darts", True, monkeypatch)
    data = [images(6, seed=k, dtype=torch.float32) for k in (0, 1)]
    first = optimizer.step(*data)
    kept = [value.clone() for value in first]
    second = optimizer.step(*data)
    assert all(torch.equal(a, b) for a, b in zip(first, kept, strict=True))
    assert not torch.equal(first[0], second[0])


def test_a_search_goes_on_from_a_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recordings are in no checkpoint: another process makes its own, and continues to the same state."""
    data = [[images(6, seed=3 * n + k, dtype=torch.float32) for k in (0, 1)] for n in range(4)]
    first = search("darts", True, monkeypatch)
    for pair in data[:2]:
        first.step(*pair)
    saved = {name: copy.deepcopy(item.state_dict()) for name, item in first.get_checkpointables().items()}
    for pair in data[2:]:
        first.step(*pair)
    second = search("darts", True, monkeypatch)
    second.step(*data[3])  # whatever it has recorded before
    for name, item in second.get_checkpointables().items():
        item.load_state_dict(saved[name])
    for pair in data[2:]:
        second.step(*pair)
    assert all(torch.equal(a, b) for a, b in zip(state(first), state(second), strict=True))


def test_what_is_assigned_runs_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under an assignment a step runs that, and the recordings stay for the steps after it."""
    captured, eager = (search("darts", mode, monkeypatch) for mode in (True, False))
    data = [images(6, seed=k, dtype=torch.float32) for k in (0, 1)]
    results = []
    for optimizer in (captured, eager):
        optimizer.step(*data)
        with optimizer.assigned(optimizer.sample().replaced(dict.fromkeys(optimizer.decision_names, 0))):
            optimizer.step(*data)
        optimizer.step(*data)
        results.append(state(optimizer))
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
    assert (captured.captures.n_recorded, captured.captures.n_eager) == (2, 2)


def test_a_step_that_waits_cannot_be_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loss that reads a number of the device is named, with what to do."""
    optimizer = search("darts", True, monkeypatch)

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        value = torch.nn.functional.cross_entropy(outputs, targets)
        return value * float(value.detach())

    optimizer.loss = loss
    data = [images(6, seed=k, dtype=torch.float32) for k in (0, 1)]
    with pytest.raises(ConfigError, match=r"cuda_graph: architecture pass cannot be captured .*not permitted"):
        optimizer.step(*data)


def test_batches_of_other_things_are_refused() -> None:
    """A batch is tensors and plain values; anything else would be frozen in a recording."""
    passes = CapturedPasses(KernelRecorder())
    weight = torch.nn.Parameter(torch.ones(2))

    def forward(batch: Any) -> tuple[Tensor, Tensor]:
        loss = (weight * batch["x"]).sum()
        loss.backward()
        return loss.detach(), loss.detach()

    for scale in (1.0, 2.0):
        _, loss = passes.run(forward, [{"x": torch.full((2,), scale), "n": 3}], [weight], [])
        assert float(loss) == 2 * scale and weight.grad is not None and weight.grad.tolist() == [scale, scale]
    assert (passes.n_recorded, passes.n_replayed) == (1, 2)
    passes.run(forward, [{"x": torch.ones(2), "n": 4}], [weight], [])
    assert passes.n_eager == 1
    with pytest.raises(ConfigError, match="a batch holds a set"):
        passes.run(forward, [{"x": torch.ones(2), "n": {1}}], [weight], [])


@pytest.mark.slow
def test_a_run_without_cuda_ends_before_it_has_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The key is refused once it is known where the search would run, and nothing is left behind."""
    given = ["--config", "darts.yaml", "search.cuda_graph=true", "device=cpu", f"out_dir={tmp_path / 'runs'}"]
    assert main(given) == 2
    assert "search.cuda_graph captures steps on a CUDA device, and the search runs on 'cpu'" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
