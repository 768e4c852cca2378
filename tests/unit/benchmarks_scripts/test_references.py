"""The plain references of `benchmarks/` compute what our supernets and steps compute, in float64."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks import reference_darts, reference_nb201
from benchmarks.harness import Timings, interleave
from benchmarks.records import Row
from benchmarks.reference_common import Batch, BilevelReference, Pairing
from benchmarks.run import main
from benchmarks.scaling import Series
from naslib.optimizers import DARTSOptimizer, GDASOptimizer, OneShotOptimizer
from naslib.search_spaces import NasBench201SearchSpace, NasBench301SearchSpace

TOLERANCE = 1e-10
# Two finite differences agree only as well as their quotient's rounding error
TOLERANCE_OF_DIFFERENCE = 1e-7
SGD_OF_NB201 = {"weight_decay": 5e-4, "nesterov": True}


@pytest.fixture(autouse=True)
def _double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def _batch(seed: int, image: int = 8) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(4, 3, image, image, generator=generator), torch.randint(10, (4,), generator=generator)


def _darts(cells: int = 3, nodes: int = 2, **settings: Any) -> tuple[OneShotOptimizer, BilevelReference, Pairing]:
    torch.manual_seed(0)
    optimizer = DARTSOptimizer(**settings)
    optimizer.adapt_search_space(NasBench301SearchSpace(channels=4, cells=cells, nodes=nodes))
    model = reference_darts.DartsNetwork(4, cells, nodes, dtype=torch.float64)
    pairing = _randomised(optimizer, reference_darts.pair(optimizer.graph, model))
    return optimizer, reference_darts.DartsReference(model, unrolled=settings.get("unrolled", False)), pairing


def _nb201(kind: type[OneShotOptimizer], **settings: Any) -> tuple[OneShotOptimizer, BilevelReference, Pairing]:
    torch.manual_seed(0)
    optimizer = kind(**SGD_OF_NB201, **settings)
    optimizer.adapt_search_space(NasBench201SearchSpace(channels=4, cells_per_stage=2))
    optimizer.new_epoch(0)
    method = "gdas" if kind is GDASOptimizer else "darts"
    model = reference_nb201.Nb201Network(method, 4, 2, dtype=torch.float64)
    pairing = _randomised(optimizer, reference_nb201.pair(optimizer.graph, model))
    return optimizer, reference_nb201.Nb201Reference(model), pairing


def _randomised(optimizer: OneShotOptimizer, pairing: Pairing) -> Pairing:
    """Give decisions different logits, and both sides the same weights."""
    optimizer.graph.train()
    with torch.no_grad():
        for alpha in optimizer.architectural_weights:
            alpha.copy_(torch.randn_like(alpha))
    pairing.copy_to_reference()
    return pairing


def _draw_noise(optimizer: OneShotOptimizer, reference: BilevelReference, pairing: Pairing, seed: int) -> None:
    """Let both sides draw the same operations in the next forward."""
    torch.manual_seed(seed)
    alphas = list(optimizer.architectural_weights)
    ours = -torch.empty(len(alphas), len(alphas[0])).exponential_().log()
    noise = torch.zeros_like(ours)
    for row, alpha in enumerate(alphas):
        pair = next(pair for pair in pairing.alphas if pair.ours is alpha)
        noise[pair.row, list(pair.columns)] = ours[row]
    reference.model.noise = noise
    torch.manual_seed(seed)


def _check(ours: Tensor, expected: Tensor, tolerance: float = TOLERANCE) -> None:
    torch.testing.assert_close(ours, expected, rtol=tolerance, atol=tolerance)


def _check_weight_gradients(pairing: Pairing) -> None:
    seen = 0
    for ours, theirs in pairing.parameters:
        if theirs.grad is None or ours.grad is None:  # of an operation that was not drawn: none, or zeros
            assert all(t.grad is None or not t.grad.any() for t in (ours, theirs))
            continue
        _check(ours.grad, theirs.grad)
        seen += 1
    assert seen > 5


CASES = {
    "darts": lambda: _darts(),
    "darts of 4 cells and 3 nodes": lambda: _darts(cells=4, nodes=3),
    "nb201 darts": lambda: _nb201(DARTSOptimizer),
    "nb201 gdas": lambda: _nb201(GDASOptimizer),
    "darts in channels_last": lambda: _darts(),
}


@pytest.mark.parametrize("case", CASES)
def test_logits_gradients_and_statistics_are_equal(case: str):
    optimizer, reference, pairing = CASES[case]()
    train, val = _batch(1), _batch(2)
    our_train, our_val = train, val
    if "channels_last" in case:
        optimizer.graph.to(memory_format=torch.channels_last)
        our_train, our_val = ((x.contiguous(memory_format=torch.channels_last), y) for x, y in (train, val))
    sampled = isinstance(optimizer, GDASOptimizer)

    if sampled:
        _draw_noise(optimizer, reference, pairing, seed=5)
    logits, loss = reference.architecture_gradient(train, val)
    gradient, our_logits, our_loss = optimizer.architecture_gradient(our_train, our_val)
    _check(our_logits, logits)
    _check(our_loss, loss)
    by_alpha = dict(zip(map(id, optimizer.architectural_weights), gradient, strict=True))
    assert len(by_alpha) == len(pairing.alphas)
    for pair in pairing.alphas:
        _check(by_alpha[id(pair.ours)], pair.reference(pair.table.grad))

    reference.model.zero_grad()
    pairing.copy_to_reference()  # BN statistics of both have seen as many batches
    if sampled:
        _draw_noise(optimizer, reference, pairing, seed=6)
    logits, loss = reference.forward_loss(train)
    loss.backward()
    with optimizer.fixed_architecture():
        our_logits, our_loss = optimizer.forward_loss(our_train)
    our_loss.backward()
    _check(our_logits, logits)
    _check_weight_gradients(pairing)
    for ours, theirs in pairing.buffers:
        _check(ours, theirs)


@pytest.mark.parametrize("case", ["darts", "nb201 darts", "nb201 gdas"])
def test_three_whole_steps_are_equal(case: str):
    """Weights and architecture parameters after three steps, momentum, Adam, decay and clipping included.

    A step that ours leaves out or adds would show: Adam makes even a tiny gradient a step of the learning rate.
    """
    optimizer, reference, pairing = CASES[case]()
    reference.grad_clip = optimizer.grad_clip = 0.5  # so small that it clips
    sampled = isinstance(optimizer, GDASOptimizer)
    for number in range(3):
        train, val = _batch(10 + number), _batch(20 + number)
        halves = [(optimizer.architecture_step, (train, val)), (optimizer.weight_step, (train,))]
        theirs = [(reference.architecture_step, (train, val)), (reference.weight_step, (train,))]
        order = (0, 1) if reference.architecture_first else (1, 0)
        for half in order:
            for call, arguments in (halves[half], theirs[half]):
                if sampled:
                    _draw_noise(optimizer, reference, pairing, seed=100 + 2 * number + half)
                call(*arguments)
    for pair in pairing.alphas:
        _check(pair.ours.detach(), pair.reference(pair.table.detach()), 1e-8)
    for ours, theirs in pairing.parameters:
        _check(ours.detach(), theirs.detach(), 1e-8)


def test_step_is_both_halves_in_the_authors_order():
    optimizer, reference, pairing = _darts()
    train, val = _batch(1), _batch(2)
    optimizer.step(train, val)
    reference.step(train, val)
    for ours, theirs in pairing.parameters:
        _check(ours.detach(), theirs.detach(), 1e-8)
    calls: list[str] = []
    reference = _nb201(DARTSOptimizer)[1]
    reference.architecture_step = lambda *_: calls.append("architecture")  # type: ignore[assignment]
    reference.weight_step = lambda *_: calls.append("weights")  # type: ignore[assignment]
    reference.step(train, val)
    assert calls == ["weights", "architecture"]


def test_second_order_gradient_is_equal():
    """With momentum buffers, and with the finite difference, which is the same function of the same weights."""
    optimizer, reference, pairing = _darts(unrolled=True)
    for number in range(2):
        optimizer.weight_step(_batch(30 + number))
        reference.weight_step(_batch(30 + number))
    before = [theirs.detach().clone() for _, theirs in pairing.parameters]
    train, val = _batch(1), _batch(2)
    reference.arch_optimizer.zero_grad()
    logits, _ = reference.architecture_gradient(train, val)
    gradient, our_logits, _ = optimizer.architecture_gradient(train, val)
    _check(our_logits, logits, 1e-9)
    by_alpha = dict(zip(map(id, optimizer.architectural_weights), gradient, strict=True))
    for pair in pairing.alphas:
        _check(by_alpha[id(pair.ours)], pair.reference(pair.table.grad), TOLERANCE_OF_DIFFERENCE)
    for (_, theirs), old in zip(pairing.parameters, before, strict=True):
        _check(theirs.detach(), old, 1e-13)  # moved there and back
    first_order, _, _ = _first_order(optimizer, train, val)
    assert any((a - b).abs().max() > 1e-6 for a, b in zip(gradient, first_order, strict=True))


def _first_order(optimizer: Any, train: Batch, val: Batch) -> Any:
    optimizer.unrolled = False
    try:
        return optimizer.architecture_gradient(train, val)
    finally:
        optimizer.unrolled = True


def test_fixed_choices_are_drawn_whatever_the_noise():
    optimizer, reference, pairing = _nb201(GDASOptimizer)
    choices = (2, 0, 3, 1, 4, 2)
    pairing.fix_choices(choices)
    drawn: list[list[int]] = []
    for number, pair in enumerate(pairing.alphas):
        assert int(pair.ours.argmax()) == choices[number]
    for _ in range(50):
        _, index = reference.model.sample()
        drawn.append([pair.columns.index(int(index[pair.row])) for pair in pairing.alphas])
    assert drawn == [list(choices)] * 50
    x, _ = _batch(1)
    _check(optimizer.graph(x), reference.model(x))


def test_reference_counts_every_operation():
    """8 operations on each of 14 edges in 8 cells, and the size that the authors print for the search network."""
    model = reference_darts.DartsNetwork()
    assert sum(len(edge.ops) for cell in model.cells for edge in cell.edges) == 8 * 14 * 8
    assert sum(p.numel() for p in model.parameters()) == 1_930_618
    assert {name: tuple(alpha.shape) for name, alpha in model.alphas.items()} == {"normal": (14, 8), "reduce": (14, 8)}


def test_incomplete_pairs_are_refused():
    optimizer, _, _ = _darts()
    with pytest.raises(ValueError, match="different parameters"):
        reference_darts.pair(optimizer.graph, reference_darts.DartsNetwork(8, 3, 2))


def test_reference_matches_the_formula_of_its_own_second_order_step():
    """The virtual model's weights are w - xi (m v + dL/dw + wd w)."""
    _, reference, _ = _darts(unrolled=True)
    train = _batch(1)
    reference.weight_step(_batch(3))
    group = reference.optimizer.param_groups[0]
    parameters = list(reference.model.parameters())
    loss = F.cross_entropy(reference.model(train[0]), train[1])
    gradient = torch.autograd.grad(loss, parameters)
    virtual = reference.virtual_model(train, xi=0.5)
    for new, w, g in zip(virtual.parameters(), parameters, gradient, strict=True):
        v = reference.optimizer.state[w]["momentum_buffer"]
        expected = w - 0.5 * (group["momentum"] * v + g + group["weight_decay"] * w)
        _check(new.detach(), expected.detach(), 1e-12)


@pytest.mark.slow
def test_a_smoke_run_prints_the_table_and_keeps_the_csv(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    torch.set_default_dtype(torch.float32)
    assert main(["--smoke", "--only", "P2,p4,P9,P11", "--results", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    for text in ("P4   speed-up", "P9   RegularizedEvolution", "P11  gradients, DARTS", "verdict"):
        assert text in printed
    (path,) = tmp_path.glob("*-cpu-float32-smoke.csv")
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["bar"] for row in rows} == {"P2", "P4", "P9", "P11"}
    assert all(row["verdict"] == "pass" for row in rows if row["bar"] == "P11")
    assert all(row["torch"] == torch.__version__ and row["threads"] and row["date"] for row in rows)
    with pytest.raises(SystemExit, match="no benchmark P99"):
        main(["--only", "P99"])


@pytest.mark.slow
def test_timings_are_interleaved_and_ratios_are_taken_round_by_round():
    order: list[str] = []
    timings = interleave({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, rounds=2, calls={"b": 2})
    assert "".join(order) == "abb" * 3  # one round warms up
    assert [len(seconds) for seconds in timings.seconds.values()] == [2, 2]
    drifting = Timings({"a": [2.0, 40.0, 6.0], "b": [1.0, 10.0, 2.0]})
    assert drifting.ratio("a", "b") == 3.0 and drifting.median("a") == 6.0 and drifting.span("b") == (1.0, 10.0)


@pytest.mark.parametrize(
    ("value", "sense", "verdict"),
    [
        (2.0, ">=", "pass"),
        (1.9, ">=", "FAIL"),
        (3.0, ">=", "stretch"),
        (1.0, "<=", "stretch"),
        (float("nan"), ">=", "pending"),
    ],
)
def test_verdicts(value: float, sense: str, verdict: str):
    row = Row("P0", "x", value, "x", limit=2.0, stretch=3.0 if sense == ">=" else 1.0, sense=sense)
    assert row.verdict == verdict
    assert Row("P0", "x", 1.0, "x").verdict == ""


def test_exponent_of_a_power_law():
    series = Series("cells", "step", "ms", [(x, 5.0 * x**1.5) for x in (2.0, 4.0, 16.0)])
    assert series.slope == pytest.approx(1.5)
