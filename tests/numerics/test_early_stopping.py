"""Early stopping: the Hessian, the stopping rule on published searches, and what a search does when it stops."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from small_spaces import batch, mlp_space
from training_runs import differences, load, small_trainer

from naslib.errors import ConfigError, OptimizerStateError
from naslib.optimizers import DARTSOptimizer, DARTSPlusOptimizer, GDASOptimizer, RobustDARTSOptimizer
from naslib.optimizers.oneshot.parts import PARTS
from naslib.optimizers.oneshot.parts.early_stopping import skip_connections
from naslib.optimizers.oneshot.supernet.curvature import dominant_eigenvalue, hessian, smoothed, stop_index
from naslib.search_spaces import NasBench201SearchSpace, NasBench301SearchSpace

EIGENVALUE = {"early_stopping": {"criterion": "eigenvalue", "interval": 1, "start_epoch": 0, "window": 1, "lag": 1}}


def _adapted(seed: int = 0, parts: dict | None = None, **keys) -> DARTSOptimizer:
    torch.manual_seed(seed)
    keys = {"learning_rate": 0.1, "arch_learning_rate": 0.05, **keys}
    optimizer = DARTSOptimizer(parts=EIGENVALUE if parts is None else parts, **keys)
    optimizer.adapt_search_space(mlp_space(batch_norm=True))
    return optimizer


def _double(optimizer: DARTSOptimizer) -> None:
    optimizer.graph.double()
    for alpha in optimizer.architectural_weights:
        alpha.data = alpha.data.double()


def _run(optimizer: DARTSOptimizer, epochs: range, steps: int = 2, dtype=torch.float32) -> list[torch.Tensor]:
    losses: list[torch.Tensor] = []
    for epoch in epochs:
        optimizer.new_epoch(epoch)
        for step in range(steps):
            index = 10 * epoch + step
            losses += optimizer.step(batch(seed=index, dtype=dtype), batch(seed=500 + index, dtype=dtype))[2:]
    return losses


# the Hessian


def test_hessian_of_a_quadratic_is_its_matrix():
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(5, 5, dtype=torch.float64, generator=generator)
    matrix = a + a.T
    x = torch.randn(3, dtype=torch.float64, requires_grad=True)
    y = torch.randn(2, dtype=torch.float64, requires_grad=True)
    unused = torch.randn(2, dtype=torch.float64, requires_grad=True)
    z = torch.cat([x, y])
    found = hessian(0.5 * z @ matrix @ z + z.sum(), [x, y, unused])
    expected = torch.zeros(7, 7, dtype=torch.float64)
    expected[:5, :5] = matrix
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    assert torch.equal(hessian(z.sum(), [x]), torch.zeros(3, 3, dtype=torch.float64))


def test_what_can_be_differentiated_once_only_has_no_hessian():
    """Autograd would go round it and return zeros: for a Dirichlet sample a matrix that looks like one."""
    alpha = torch.rand(3, dtype=torch.float64, requires_grad=True)
    sample = torch.distributions.Dirichlet(alpha + 1).rsample()
    with pytest.raises(OptimizerStateError, match="once_differentiable"):
        hessian((sample * alpha).square().sum(), [alpha])

    class Sampling:
        def __call__(self, logits, training):
            return torch.distributions.Dirichlet(logits.exp()).rsample().unbind(0)

    class Sampled(DARTSOptimizer):
        def relaxation(self):
            return Sampling()

    with pytest.raises(ConfigError, match="early_stopping does not fit Sampled: its weights cannot be differentiated"):
        Sampled(parts={"early_stopping": {}}).adapt_search_space(mlp_space())


def test_the_dominant_eigenvalue_is_signed():
    assert dominant_eigenvalue(torch.diag(torch.tensor([-9.0, 2.0, 1.0]))) == 2.0
    assert dominant_eigenvalue(torch.diag(torch.tensor([-9.0, -3.0]))) == -3.0


def test_the_measured_eigenvalue_is_that_of_autograds_hessian():
    optimizer = _adapted()
    _double(optimizer)
    _run(optimizer, range(1), dtype=torch.float64)
    alphas = [alpha.detach().clone() for alpha in optimizer.architectural_weights]
    names = {id(data.alpha): index for index, data in enumerate(optimizer.decisions)}
    data = batch(seed=510, dtype=torch.float64)

    def loss(*values: torch.Tensor) -> torch.Tensor:
        rows = [value.softmax(-1) for value in values]
        return torch.nn.functional.cross_entropy(_by_hand(optimizer, data[0], rows, names), data[1])

    blocks = torch.autograd.functional.hessian(loss, tuple(alphas))
    matrix = torch.cat([torch.cat(list(row), dim=1) for row in blocks])
    expected = float(torch.linalg.eigvalsh(matrix)[-1]) + optimizer.arch_weight_decay
    _run(optimizer, range(1, 2), steps=1, dtype=torch.float64)
    part = optimizer.parts["early_stopping"]
    assert part.epochs == [0] and part.eigenvalues == pytest.approx([expected], rel=1e-9)
    assert abs(expected - optimizer.arch_weight_decay) > 1e-4  # there is something to measure


def _by_hand(optimizer, x, rows, names):
    macro = optimizer.graph

    def edge(cell, u, v, value):
        data = cell.edges[u, v]
        weights = rows[names[id(data.alpha)]]
        return sum(weights[k] * op(value) for k, op in enumerate(data.op.primitives))

    def run(cell, value):
        return edge(cell, 1, 3, value) + edge(cell, 2, 3, edge(cell, 1, 2, value))

    hidden = macro.edges[1, 2].op(x)
    hidden = run(macro.edges[3, 4].op, run(macro.edges[2, 3].op, hidden))
    return macro.edges[4, 5].op(hidden)


def test_measuring_changes_nothing_of_the_search():
    """Weights, statistics and random numbers of a watched search are those of one that nobody watches."""
    never = {"early_stopping": {"criterion": "eigenvalue", "interval": 1, "factor": 1e9}}
    watched, plain = _adapted(parts=never), _adapted(parts={})
    torch.manual_seed(7)
    first = _run(watched, range(3))
    torch.manual_seed(7)
    second = _run(plain, range(3))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    torch.testing.assert_close(watched.graph.state_dict(), plain.graph.state_dict(), rtol=0, atol=0)
    assert len(watched.parts["early_stopping"].eigenvalues) == 2


def test_recomputed_cells_do_not_matter_to_a_measurement():
    found = []
    for keys in ({}, {"checkpoint_cells": True}):
        optimizer = _adapted(**keys)
        _run(optimizer, range(2), steps=1)
        assert optimizer.graph.passes.checkpoint is bool(keys)
        found.append(optimizer.parts["early_stopping"].eigenvalues)
    assert found[0] == pytest.approx(found[1], rel=1e-5) and len(found[0]) == 1


# the rule


def test_smoothing_is_centred_and_shorter_at_the_start():
    values = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0]
    assert [smoothed(values, i, 5) for i in range(6)] == pytest.approx([7 / 3, 15 / 4, 31 / 5, 62 / 5, None, None])
    assert smoothed(values, 5, 1) == 32.0


def test_the_rule_is_signed_and_does_not_go_back_before_the_start():
    epochs = list(range(0, 40, 2))
    rising = [1.1**k for k in range(20)]  # grows by 1.46 in 4 measurements
    assert stop_index(rising, epochs) == 5 and epochs[5] == 10
    assert stop_index(rising, epochs, start_epoch=16) == 8
    assert stop_index(rising[:11], epochs[:11]) is None  # the mean around measurement 9 needs measurement 11
    assert stop_index(rising[:12], epochs[:12]) == 5
    assert stop_index([-v for v in rising], epochs) is None
    assert stop_index([1.0] * 20, epochs) is None


def test_an_earlier_mean_that_is_not_positive_stops_no_search():
    epochs = list(range(0, 40, 2))
    # from negative (or zero) to positive: any positive mean exceeds 1.3 times a negative one
    for before in (-2.0, -1e-3, 0.0):
        values = [before] * 12 + [3.0] * 8
        assert stop_index(values, epochs, window=1) is None, before
    assert stop_index([-3.0 + 0.25 * k for k in range(12)], epochs, window=1) is None  # rising, never positive before
    # equal to the factor is not above it
    assert stop_index([1.0] * 10 + [1.3] * 10, epochs, window=1) is None
    assert stop_index([1.0] * 10 + [1.3 + 1e-9] * 10, epochs, window=1) == 6
    # nothing is gone back to before the first epoch that may be, and nothing without enough measurements
    assert stop_index([1.0, 9.0] * 10, epochs, window=1, lag=1) == 6 and epochs[6] == 12
    assert stop_index([1.0] * 4, epochs[:4], window=1, start_epoch=0) is None
    assert stop_index([1.0] * 4 + [2.0], epochs[:5], window=1, start_epoch=0) == 0


def _authors_tracker(values: list[float], epochs: list[int]) -> int | None:
    """The sliding window as the paper's code keeps it: pointers, and a list of means labelled two measurements back."""
    seen: list[float] = []
    means: list[float] = []
    start, end = 0, 5
    for value, epoch in zip(values, epochs, strict=True):
        seen.append(value)
        if len(seen) < 3:
            continue
        if len(seen) < 5:
            means.append(float(np.mean(seen)))
        else:
            means.append(float(np.mean(seen[start:end])))
            start, end = start + 1, end + 1
        label = epoch - 4
        if label - 8 >= 10 and means[-1] / means[-5] > 1.3:
            return label - 8
    return None


def _published(folder: Path) -> list[dict]:
    path = folder / "robustdarts_search_logs.json.gz"
    if not path.is_file():
        pytest.skip(f"{path.name} is not here")
    with gzip.open(path) as file:
        return json.load(file)


def test_the_rule_stops_published_searches_where_the_authors_code_does(shared_data: Path):
    searches = [search for search in _published(shared_data) if "hessian" in search]
    assert len(searches) == 67
    found, skips_then, skips_at_the_end = [], [], []
    for search in searches:
        epochs = [int(epoch) for epoch in search["hessian"] if int(epoch) % 2 == 0]  # the last one, 49, is not used
        values = [search["hessian"][str(epoch)][2] for epoch in epochs]
        assert len(values) == 25
        expected = _authors_tracker(values, epochs)
        index = stop_index(values, epochs)
        assert (None if index is None else epochs[index]) == expected
        found.append(expected)
        if expected is not None:
            normal = [search["genotypes"][epoch][0] for epoch in (expected, 49)]
            skips_then.append(normal[0].count("skip_connect"))
            skips_at_the_end.append(normal[1].count("skip_connect"))
    stopped = [epoch for epoch in found if epoch is not None]
    assert len(stopped) >= 20 and min(stopped) >= 10
    assert sum(skips_then) < sum(skips_at_the_end)


# what a search does


def test_a_stopped_search_returns_to_the_earlier_point_and_stays_there(monkeypatch):
    optimizer = _adapted()
    part = optimizer.parts["early_stopping"]
    values = iter([1.0, 1.1, 5.0])  # measured after the epochs 0, 1 and 2: the search goes back to epoch 1
    monkeypatch.setattr("naslib.optimizers.oneshot.parts.early_stopping.dominant_eigenvalue", lambda _: next(values))
    points = []
    for epoch in range(4):
        assert not part.is_finished and not optimizer.is_finished
        _run(optimizer, range(epoch, epoch + 1))
        points.append([alpha.detach().clone() for alpha in optimizer.architectural_weights])
    assert optimizer.is_finished and part.stop_epoch == 1
    assert all(torch.equal(a, b) for a, b in zip(points[3], points[1], strict=True))
    assert not torch.equal(points[2][0], points[1][0])
    assert part.eigenvalues == [1.0, 1.1, 5.0] and part.epochs == [0, 1, 2]


ADAPTING = {"early_stopping": {**EIGENVALUE["early_stopping"], "on_stop": "adapt"}}


def test_adapting_goes_on_from_the_earlier_point_with_more_weight_decay(monkeypatch):
    values = iter([1.0, 1.0, 9.0, 1.0, 9.0])
    monkeypatch.setattr("naslib.optimizers.oneshot.parts.early_stopping.dominant_eigenvalue", lambda _: next(values))
    optimizer = _adapted(parts=ADAPTING, weight_decay=0.0243 / 9)
    part = optimizer.parts["early_stopping"]
    _run(optimizer, range(2))  # measured once
    state = {key: value.clone() for key, value in optimizer.graph.state_dict().items()}
    optimizer.new_epoch(2)
    data = batch(seed=1, dtype=torch.float32), batch(seed=2, dtype=torch.float32)
    alphas = [alpha.detach().clone() for alpha in optimizer.architectural_weights]
    optimizer.architecture_step(*data)  # the second measurement, of what was just copied
    for steps in (optimizer.architecture_step, optimizer.weight_step):
        steps(*data[: 2 if steps == optimizer.architecture_step else 1])
    optimizer.new_epoch(3)
    optimizer.architecture_step(*data)  # the third: nine times the second, one measurement back
    assert part.adaptations == [1] and part.eigenvalues == [1.0, 1.0] and part.epochs == [0, 1]
    assert optimizer.op_optimizer.param_groups[0]["weight_decay"] == pytest.approx(0.0243 / 3)
    assert not optimizer.op_optimizer.state and not optimizer.arch_optimizer.state
    assert all(torch.equal(a, b) for a, b in zip(alphas, optimizer.architectural_weights, strict=True))
    assert all(torch.equal(value, state[key]) for key, value in optimizer.graph.state_dict().items())
    assert optimizer._trains_architecture() and not optimizer.is_finished
    _run(optimizer, range(4, 6))  # 1 and 9: once more, up to the largest decay
    assert part.adaptations == [1, 3] and not optimizer.is_finished
    assert optimizer.op_optimizer.param_groups[0]["weight_decay"] == pytest.approx(0.0243)
    monkeypatch.setattr("naslib.optimizers.oneshot.parts.early_stopping.dominant_eigenvalue", lambda _: 99.0)
    _run(optimizer, range(6, 7))
    assert optimizer.is_finished and part.adaptations == [1, 3] and part.stop_epoch == 3


def test_adapting_resumes_bit_identically(monkeypatch):
    growing = iter(float(2**n) for n in range(99))
    monkeypatch.setattr("naslib.optimizers.oneshot.parts.early_stopping.dominant_eigenvalue", lambda _: next(growing))
    straight = _adapted(parts=ADAPTING)
    _run(straight, range(3))
    buffer = io.BytesIO()
    torch.save({name: item.state_dict() for name, item in straight.get_checkpointables().items()}, buffer)
    expected = _run(straight, range(3, 6))
    resumed = _adapted(seed=9, parts=ADAPTING)
    buffer.seek(0)
    state = torch.load(buffer, weights_only=True)
    for name, item in resumed.get_checkpointables().items():
        item.load_state_dict(state[name])
    found = _run(resumed, range(3, 6))
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert resumed.parts["early_stopping"].adaptations == straight.parts["early_stopping"].adaptations != []


def test_a_resumed_search_measures_and_stops_as_the_uninterrupted_one():
    straight = _adapted()
    _run(straight, range(2))
    straight.new_epoch(2)
    straight.step(batch(seed=20, dtype=torch.float32), batch(seed=520, dtype=torch.float32))  # in the middle of epoch 2
    buffer = io.BytesIO()
    torch.save({key: item.state_dict() for key, item in straight.get_checkpointables().items()}, buffer)
    resumed = _adapted(seed=9)
    resumed.new_epoch(2)
    buffer.seek(0)
    state = torch.load(buffer, weights_only=True)
    for key, item in resumed.get_checkpointables().items():
        item.load_state_dict(state[key])
    for optimizer in (straight, resumed):
        optimizer.step(batch(seed=21, dtype=torch.float32), batch(seed=521, dtype=torch.float32))
        _run(optimizer, range(3, 6))
    assert straight.parts["early_stopping"].state_dict()["eigenvalues"] == resumed.parts["early_stopping"].eigenvalues
    assert len(resumed.parts["early_stopping"].eigenvalues) >= 3
    for key, item in straight.get_checkpointables().items():
        torch.testing.assert_close(resumed.get_checkpointables()[key].state_dict(), item.state_dict(), rtol=0, atol=0)


def test_the_trainer_stops_and_a_stopped_search_can_be_resumed(tmp_path: Path, caplog):
    """A factor near 0 stops the search at the first comparison: after epochs 0 and 1, in epoch 2 of 8."""
    rule = {"criterion": "eigenvalue", "interval": 1, "start_epoch": 0, "window": 1, "lag": 1, "factor": 1e-9}

    def trainer(folder: Path, epochs: int = 8):
        optimizer = RobustDARTSOptimizer(learning_rate=0.1, arch_learning_rate=0.05, parts={"early_stopping": rule})
        return small_trainer(folder, optimizer=optimizer, epochs=epochs)

    whole = trainer(tmp_path / "whole")
    with caplog.at_level("INFO", logger="naslib"):
        whole.search()
    assert "dominant eigenvalue after search epoch 1" in caplog.text and "returns to the architecture" in caplog.text
    assert len(whole.search_trajectory["train_loss"]) == 3
    assert whole.optimizer.parts["early_stopping"].stop_epoch == 0
    genotype = whole.optimizer.get_final_architecture().genotype()
    final = tmp_path / "whole" / "search" / "model_final.pth"

    again = trainer(tmp_path / "again")
    again.search(resume_from=str(final))
    assert len(again.search_trajectory["train_loss"]) == 3
    assert again.optimizer.get_final_architecture().genotype() == genotype
    assert not differences(load(final), load(tmp_path / "again" / "search" / "model_final.pth"))


# skip connections


def _choose(optimizer, op: int, where=lambda index: True) -> None:
    with torch.no_grad():
        for index, alpha in enumerate(optimizer.architectural_weights):
            alpha.zero_()
            alpha[op if where(index) else 2] = 1.0


@pytest.mark.parametrize(("in_normal_cells", "expected"), [(True, 6), (False, 0)])  # two edges of each of three nodes
def test_skip_connections_are_counted_in_normal_cells_after_the_two_edge_rule(in_normal_cells: bool, expected: int):
    torch.manual_seed(0)
    optimizer = DARTSPlusOptimizer()
    optimizer.adapt_search_space(NasBench301SearchSpace(n_classes=4, channels=4, cells=3, nodes=3))
    normal = [g for g in optimizer.graph._graphs_in_scope(optimizer.scope) if g.name == "normal_cell"]
    own = {id(data.alpha) for g in normal for _, _, data in g.edges(data=True) if data.has("alpha")}
    assert len(own) == 9 and len(optimizer.decisions) == 18
    with torch.no_grad():
        for data in optimizer.decisions:
            names = [type(op).__name__ for op in data.op.primitives]
            assert names[0] in ("Identity", "FactorizedReduce")
            data.alpha.zero_()
            data.alpha[0 if (id(data.alpha) in own) == in_normal_cells else names.index("SepConv")] = 1.0
    assert skip_connections(optimizer.get_final_architecture(), optimizer.graph, optimizer.scope) == expected


@pytest.mark.parametrize(("skips", "stops"), [(1, False), (2, True), (6, True)])
def test_the_search_stops_at_two_skip_connections_in_a_cell(skips: int, stops: bool):
    torch.manual_seed(0)
    optimizer = DARTSPlusOptimizer()
    optimizer.adapt_search_space(NasBench201SearchSpace(n_classes=4, channels=4, cells_per_stage=1))
    _choose(optimizer, 0, where=lambda index: index < skips)  # Identity is the first of the five
    optimizer.new_epoch(0)
    assert optimizer.is_finished is stops


def test_a_warm_up_is_no_collapse():
    torch.manual_seed(0)
    optimizer = DARTSPlusOptimizer(parts={"warm_up": {"epochs": 2}, "early_stopping": {"start_epoch": 1}})
    optimizer.adapt_search_space(NasBench201SearchSpace(n_classes=4, channels=4, cells_per_stage=1))
    _choose(optimizer, 0)
    ended = []
    for epoch in range(3):
        optimizer.new_epoch(epoch)
        ended.append(optimizer.is_finished)
    assert ended == [False, False, True]


# what cannot be


def test_bad_values_and_combinations_raise():
    with pytest.raises(ConfigError, match="eigenvalue"):
        PARTS.build("early_stopping", criterion="eigenvalues")
    with pytest.raises(ConfigError, match=r"window must be odd[\s\S]*factor|window"):
        PARTS.build("early_stopping", window=4, factor=0)
    with pytest.raises(ConfigError, match=r"draws some.*skip_dominance"):
        GDASOptimizer(parts={"early_stopping": {}}).adapt_search_space(mlp_space())
    GDASOptimizer(parts={"early_stopping": {"criterion": "skip_dominance"}}).adapt_search_space(mlp_space())


def test_the_rewrites_of_a_plan_can_be_differentiated_twice():
    """Pooling as a convolution, folded batch norm and left-out zeros give the Hessian of the plain plan."""
    torch.manual_seed(0)
    optimizer = DARTSOptimizer()
    optimizer.adapt_search_space(NasBench201SearchSpace(n_classes=4, channels=2, cells_per_stage=1))
    _double(optimizer)
    x, y = torch.randn(3, 3, 8, 8, dtype=torch.float64), torch.randint(4, (3,))
    found = []
    for passes in ({}, dict.fromkeys(("share", "fold", "drop_zero", "accumulate", "pool"), False)):
        optimizer.graph.set_passes(**passes)
        loss = torch.nn.functional.cross_entropy(optimizer.graph(x), y)
        found.append(hessian(loss, optimizer.architecture_parameters[:2]))
    assert found[0].abs().max() > 1e-4
    torch.testing.assert_close(found[0], found[1], rtol=1e-8, atol=1e-12)
