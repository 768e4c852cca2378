"""P-DARTS: the stages and what each begins with, dropout on skip connections, and their number in the end."""

from __future__ import annotations

import gc
import math
import weakref

import pytest
import torch
from small_spaces import batch, mlp_space
from torch.nn import functional as F

from naslib.errors import ConfigError
from naslib.optimizers import PDARTSOptimizer
from naslib.optimizers.oneshot.methods.p_darts.optimizer import _deepened
from naslib.optimizers.oneshot.methods.p_darts.skips import DroppedSkip, dropout_rate, limit_skips
from naslib.search_spaces import NasBench201SearchSpace, NasBench301SearchSpace
from naslib.search_spaces.core.primitives import FactorizedReduce, Identity


def _adapted(space=None, **kwargs) -> PDARTSOptimizer:
    torch.manual_seed(0)
    keywords = {"epochs": 6, "added_cells": (0, 1, 2), "warm_up_epochs": 0, "arch_learning_rate": 0.05, **kwargs}
    optimizer = PDARTSOptimizer(**keywords)
    space = NasBench301SearchSpace(n_classes=4, channels=4, cells=2, nodes=2) if space is None else space
    optimizer.adapt_search_space(space)
    return optimizer


def _step(optimizer, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x, y = torch.randn(4, 3, 8, 8, generator=generator), torch.randint(4, (4,), generator=generator)
    return optimizer.step((x, y), (x, y))


def test_each_stage_is_a_fresh_deeper_supernet_with_the_strongest_candidates_of_each_edge():
    optimizer = _adapted()
    optimizer.new_epoch(0)
    _step(optimizer)
    alphas, of_weights, of_alphas = (
        list(optimizer.architectural_weights),
        optimizer.op_optimizer,
        optimizer.arch_optimizer,
    )
    n_cells = [len([g for g in optimizer.graph.nested_graphs() if "cell" in g.name])]
    kept = [tuple(range(8))] * len(alphas)
    for epoch, n_ops in ((2, 5), (4, 3)):
        for index, alpha in enumerate(alphas):
            alpha.data = torch.randn(alpha.shape, generator=torch.Generator().manual_seed(10 * epoch + index))
        expected = [
            tuple(now[i] for i in sorted(a.topk(n_ops).indices.tolist())) for now, a in zip(kept, alphas, strict=True)
        ]
        supernet, stem = weakref.ref(optimizer.graph), weakref.ref(optimizer.weights[0])
        optimizer.new_epoch(epoch)
        gc.collect()
        assert supernet() is None and stem() is None  # the old supernet is freed
        kept = optimizer.structure.kept
        assert kept == expected and len(set(kept)) > 1  # a list per edge
        # the same parameters, for whoever holds them, with new values of the new width
        assert all(now is then for now, then in zip(optimizer.architectural_weights, alphas, strict=True))
        assert all(alpha.shape == (n_ops,) and alpha.abs().max() < 0.02 for alpha in alphas)
        assert len({float(alpha.detach().sum()) for alpha in alphas}) == len(alphas)
        assert optimizer.op_optimizer is of_weights and optimizer.arch_optimizer is of_alphas
        assert not of_weights.state and not of_alphas.state
        trained = [[id(p) for p in kind.param_groups[0]["params"]] for kind in (of_weights, of_alphas)]
        assert trained == [[id(p) for p in optimizer.graph.parameters()], [id(p) for p in alphas]]
        n_cells.append(len([g for g in optimizer.graph.nested_graphs() if "cell" in g.name]))
        assert all(value.isfinite().all() for value in _step(optimizer, epoch))
        assert len(of_weights.state) > 0 and len(of_alphas.state) == len(alphas)
    assert n_cells == [2, 3, 4] and optimizer.graph.cells == 4 and optimizer.search_space.cells == 2
    architecture = optimizer.get_final_architecture()
    assert not any(isinstance(module, DroppedSkip) for module in architecture.modules())
    assert architecture(torch.randn(2, 3, 8, 8)).shape == (2, 4)


def test_the_dropout_rate_falls_to_zero_in_the_warm_up_and_starts_again():
    found = [dropout_rate(0.4, epoch, 25, 10) for epoch in range(25)]
    expected = [0.4 * (24 - e) / 25 for e in range(10)] + [0.4 * math.exp(-0.2 * (e - 10)) for e in range(10, 25)]
    assert found == pytest.approx(expected, abs=1e-14)
    assert found[9] == pytest.approx(0.24) and found[10] == 0.4
    assert dropout_rate(0.7, 0, 1, 10) == 0


def test_every_stage_has_its_own_rate():
    optimizer = _adapted(skip_dropout=(0.1, 0.4, 0.7), warm_up_epochs=1)
    rates = []
    for epoch in range(6):
        optimizer.new_epoch(epoch)
        skips = [m for m in optimizer.graph.modules() if isinstance(m, DroppedSkip)]
        assert {skip.rate for skip in skips} <= {optimizer.skip_dropout_rate}
        rates.append(optimizer.skip_dropout_rate)
    assert rates == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.35, 0.7])


def test_dropout_is_on_the_output_of_skip_connections_only_and_only_in_training():
    optimizer = _adapted(skip_dropout=(0.5, 0.4, 0.7))
    optimizer.new_epoch(0)
    optimizer.skip_dropout_rate = 0.5
    for data in optimizer.decisions:
        primitives = data.op.primitives
        assert [isinstance(op, DroppedSkip) for op in primitives[1:]] == [False] * 7
        assert isinstance(primitives[0], DroppedSkip | FactorizedReduce)
    op = next(data.op for data in optimizer.decisions if isinstance(data.op.primitives[0], DroppedSkip))
    x, weights = torch.randn(4, 4, 8, 8), torch.rand(8)
    op.train()
    torch.manual_seed(1)
    found = op.apply_weights(x, weights)
    torch.manual_seed(1)
    others = [primitive(x) * w for primitive, w in zip(op.primitives[1:], weights[1:], strict=True)]
    torch.manual_seed(1)
    expected = F.dropout(x, 0.5) * weights[0] + sum(others)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    op.eval()
    assert torch.equal(op.primitives[0](x), x)


def test_the_architecture_rests_at_the_start_of_each_stage():
    optimizer = _adapted(epochs=9, warm_up_epochs=2)
    trained = []
    for epoch in range(9):
        optimizer.new_epoch(epoch)
        before = [alpha.detach().clone() for alpha in optimizer.architectural_weights]
        _step(optimizer, epoch)
        trained.append(not torch.equal(before[0], optimizer.architectural_weights[0]))
    assert trained == [False, False, True] * 3


def test_each_stage_has_a_cosine_of_its_own():
    optimizer = _adapted(learning_rate=0.025)
    scheduler = optimizer.build_scheduler(0.005)
    rates = []
    for _ in range(7):
        rates.append(optimizer.op_optimizer.param_groups[0]["lr"])
        optimizer.op_optimizer.step()
        scheduler.step()
    assert rates == pytest.approx([0.025, 0.015] * 3 + [0.005])


def test_the_gradient_of_the_architecture_is_clipped():
    optimizer = _adapted(arch_grad_clip=1.0, arch_optimizer=torch.optim.SGD, arch_weight_decay=0.0)
    alphas = list(optimizer.architectural_weights)
    before = [alpha.detach().clone() for alpha in alphas]
    for alpha in alphas:
        alpha.grad = torch.full_like(alpha, 3.0)
    optimizer.update_architecture()
    moved = torch.cat([a.detach() - b for a, b in zip(alphas, before, strict=True)])
    assert moved.norm().item() == pytest.approx(0.05, rel=1e-4)


@pytest.mark.parametrize(
    ("space", "widths", "loss"),
    [(mlp_space, [3, 2, 2], batch), (lambda: NasBench201SearchSpace(channels=4, cells_per_stage=1), [5, 3, 2], None)],
)
def test_a_space_without_a_depth_only_loses_candidates(space, widths, loss):
    optimizer = _adapted(space())
    names = [sorted(g.name for g in optimizer.graph.nested_graphs())]
    for epoch, width in zip((0, 2, 4), widths, strict=True):
        optimizer.new_epoch(epoch)
        assert {len(data.op.primitives) for data in optimizer.decisions} == {width}
        names.append(sorted(g.name for g in optimizer.graph.nested_graphs()))
        if loss is not None:
            optimizer.step(loss(dtype=torch.float32), loss(dtype=torch.float32, seed=1))
    assert all(name == names[0] for name in names) and optimizer.structure.arguments == {}
    optimizer.get_final_architecture()


def test_other_parts_are_put_around_every_supernet():
    parts = {"partial_channels": {"k": 2}, "edge_normalization": {}}
    optimizer = _adapted(parts=parts, skip_dropout=(0.1, 0.4, 0.7))
    betas = []
    for epoch in (0, 2, 4):
        optimizer.new_epoch(epoch)
        assert all(value.isfinite().all() for value in _step(optimizer, epoch))
        assert all(len(data.op.surroundings) == 1 for data in optimizer.decisions)
        assert {m.rate for m in optimizer.graph.modules() if isinstance(m, DroppedSkip)} <= {
            optimizer.skip_dropout_rate
        }
        betas.append(optimizer.parts["edge_normalization"].parameters())
        trained = optimizer.arch_optimizer.param_groups[0]["params"]
        assert {id(p) for p in trained} == {id(p) for p in [*optimizer.architectural_weights, *betas[-1]]}
    assert betas[0][0] is not betas[1][0]
    assert optimizer.get_final_architecture()(torch.randn(2, 3, 8, 8)).shape == (2, 4)


# the number of skip connections


def _brute_force(scores, limit, skip_at):
    """Return the choices of two edges per node with at most `limit` skips: the rule written out on plain lists."""
    scores = [row.tolist() for row in scores]
    while True:
        chosen = {}
        for edges in ([0, 1], [2, 3, 4]):
            best = sorted(edges, key=lambda e: (-max(scores[e][1:]), e))[:2]
            chosen |= {e: max(range(1, 4), key=lambda k, e=e: (scores[e][k], -k)) for e in best}
        skips = [e for e, k in chosen.items() if k == skip_at]
        if len(skips) <= limit:
            return chosen
        weakest = min(skips, key=lambda e: (scores[e][skip_at], e))
        scores[weakest][skip_at] = 0.0


def _choose(scores):
    chosen: list[int | None] = [None] * len(scores)
    for edges in ([0, 1], [2, 3, 4]):
        for e in sorted(edges, key=lambda e: (-scores[e][1:].max().item(), e))[:2]:
            chosen[e] = 1 + int(scores[e][1:].argmax())
    return chosen


@pytest.mark.parametrize("limit", [0, 1, 2, 3])
def test_the_weakest_skips_are_struck_out_and_the_edges_chosen_anew(limit):
    # candidates: none, skip, and two others
    generator = torch.Generator().manual_seed(limit)
    for _ in range(50):
        scores = torch.rand(5, 4, generator=generator) * torch.tensor([1.0, 2.0, 1.0, 1.0])
        left = limit_skips(list(scores), limit, lambda decision, position: position == 1, _choose)
        chosen = {e: k for e, k in enumerate(_choose(left)) if k is not None}
        assert chosen == _brute_force(scores, limit, 1)
        assert sum(k == 1 for k in chosen.values()) <= limit


def test_ties_are_broken_by_order_and_end():
    scores = [torch.full((4,), 0.25) for _ in range(5)]
    for row in scores:
        row[1] = 0.4
    left = limit_skips(scores, 1, lambda decision, position: position == 1, _choose)
    assert [not row[1].isfinite() for row in left] == [True, True, True, True, False]
    assert all(torch.equal(row[1], torch.tensor(0.4)) for row in scores)  # the given scores are not changed
    nothing_else = [torch.tensor([0.1, 0.9])]
    assert not limit_skips(nothing_else, 0, lambda *_: True, lambda rows: [1])[0][1].isfinite()


def test_only_the_normal_cell_is_limited():
    for limit, expected in ((None, 4), (2, 2), (0, 0)):
        optimizer = _adapted(max_skips=limit)
        for alpha in optimizer.architectural_weights:
            alpha.data = torch.tensor([5.0, 0, 0, 0, 1.0, 0, 0, 0]) + 0.1 * torch.randn(8)
        before = [alpha.detach().clone() for alpha in optimizer.architectural_weights]
        architecture = optimizer.get_final_architecture()
        genotype = architecture.genotype()
        assert [op for op, _ in genotype["normal"]].count("skip_connect") == expected
        assert [op for op, _ in genotype["reduce"]].count("skip_connect") == 4
        assert {id(module) for module in architecture.modules() if type(module) is Identity} or limit == 0
        assert all(torch.equal(a, b) for a, b in zip(optimizer.architectural_weights, before, strict=True))


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"added_cells": []}, "added_cells"),
        ({"added_cells": (0, -1, 2)}, "added_cells"),
        ({"n_ops": (5,)}, "each of the 2 later stages"),
        ({"skip_dropout": (0.1, 0.2)}, "each of the 3 stages"),
        ({"skip_dropout": (0.1, 0.2, 1.0)}, "rate in"),
        ({"warm_up_epochs": -1}, "warm_up_epochs"),
        ({"max_skips": -1}, "max_skips"),
    ],
)
def test_bad_keywords(keywords, message):
    with pytest.raises(ConfigError, match=message):
        PDARTSOptimizer(**keywords)


def test_cells_of_several_blocks_are_added_evenly() -> None:
    assert _deepened(5, 6) == 11
    assert _deepened((3, 4, 5, 6), 6) == (4, 6, 6, 8) and sum(_deepened((3, 4, 5, 6), 12)) == 30
