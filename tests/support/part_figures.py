"""Figures of the parts: measurements that show the effect of each, whatever else is in the search.

A figure gets what builds one search again and again, from the same random state, and raises where the effect of its
part is not what it has to be.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from observed_search import (
    Figure,
    Search,
    flat,
    observe,
    parameters_of,
    still,
    train_batch,
    valid_batch,
    validation_loss,
)
from small_spaces import ConvSpace, images
from torch import Tensor, nn
from torch.nn import functional as F

from naslib.hardware.keys import operation_key
from naslib.hardware.trace import trace_candidates
from naslib.optimizers import OneShotOptimizer
from naslib.optimizers.oneshot.parts import AuxiliarySkip, PartialChannels
from naslib.optimizers.oneshot.supernet.mixed_edges import mixed_edges
from naslib.optimizers.oneshot.supernet.relaxed_op import RelaxedMixedOp, watching_weights
from naslib.search_spaces.core.batch_norm import measurement_mode
from naslib.search_spaces.core.primitives import Identity


def latency_table() -> dict[str, float]:
    """Return milliseconds of the candidates of a `ConvSpace`, each another number."""
    kinds = ("plain", "smooth", "depthwise")
    edges = [edge for kind in kinds for edge in trace_candidates(ConvSpace(kind=kind), (2, 8, 8))]
    keys = [operation_key(o, e.input_shape, s) for e in edges for o, s in zip(e.ops, e.output_shapes, strict=True)]
    return {key: 1.0 + 2.5 * number for number, key in enumerate(dict.fromkeys(keys))}


PARTS_KEYWORDS: dict[str, dict[str, Any]] = {
    "auxiliary_skip": {"decay": "cosine"},
    "cost": {"metric": "params", "weight": 2.0, "input_shape": [2, 8, 8]},
    "drop_path": {"drop_prob": 0.6},
    "early_stopping": {"interval": 1},
    "edge_normalization": {},
    "latency": {
        "table": latency_table(), "reference": 20.0, "loss": "add_linear", "fixed": 2.0, "input_shape": [2, 8, 8],
    },
    "layer_alignment": {"radius": 1e-6},  # float64, and ReLU has kinks
    "operation_early_stopping": {"steps": 1, "threshold": 1.0},
    "partial_channels": {"k": 2},
    "perturbation": {"kind": "adversarial", "steps": 5},
    "perturbation_selection": {"tune_epochs": 1, "criterion": "loss", "learning_rate_min": 0.0},
    "progressive_shrinking": {"stages": [{"epochs": 1}, {"n_ops": 3}], "warm_up": 0},
    "warm_up": {"epochs": 1},
    "zero_one_loss": {"weight": 3.0},
}  # fmt: skip


def warm_up(search: Search) -> None:
    """The architecture rests in the first epoch and moves in the second; the weights move in both."""
    optimizer = search.build(epoch=0)
    before, weights = flat(parameters_of(optimizer)), flat(optimizer.weights)
    observe(optimizer)
    assert torch.equal(flat(parameters_of(optimizer)), before) and not torch.equal(flat(optimizer.weights), weights)
    optimizer.new_epoch(1)
    assert _moves(optimizer)


def _moves(optimizer: OneShotOptimizer) -> bool:
    """Say whether steps train the architecture; where all rewards are equal, one does not."""
    before = flat(parameters_of(optimizer))
    for seed in range(40):
        assert flat(observe(optimizer, seed).weights).isfinite().all()
        if not torch.equal(flat(parameters_of(optimizer)), before):
            return True
    return False


def partial_channels(search: Search) -> None:
    """Half of the channels of an edge's input reach no candidate, and the others pass by nothing but a shuffle."""
    optimizer = search.build()
    x, y = images(seed=4, channels=4)[0], images(seed=5, channels=4)[0]
    y[:, :2] = x[:, :2]
    checked = 0
    with measurement_mode(optimizer.graph):
        for data in mixed_edges(optimizer.graph, optimizer.scope):
            assert [s.k for s in data.op.surroundings if isinstance(s, PartialChannels)] == [2]
            assert isinstance(data.op.surroundings[0], PartialChannels)
            row = torch.full((len(data.op.primitives),), 0.5)
            moved = data.op.apply_weights(y, row) - data.op.apply_weights(x, row)
            beta = sum(s.beta for s in data.op.surroundings if isinstance(s, AuxiliarySkip))
            passing = torch.cat([torch.zeros_like(x[:, 2:]), (y - x)[:, 2:]], dim=1)
            torch.testing.assert_close(moved, F.channel_shuffle(passing, 2) + beta * (y - x), rtol=0, atol=1e-9)
            checked += 1
    assert checked == 6
    assert optimizer.get_final_architecture().eval()(train_batch()[0]).isfinite().all()


def edge_normalization(search: Search) -> None:
    """The betas weigh the sums of a node, and they are trained."""
    optimizer = search.build()
    (betas,) = optimizer.parts["edge_normalization"].betas
    cell = next(g for g in optimizer.graph.nested_graphs() if g.scope == "cell")
    data = [cell.edges[1, 3], cell.edges[2, 3]]
    tensors = [torch.full((2,), 1.0), torch.full((2,), 5.0)]
    share = betas.detach().softmax(-1)
    combined = cell.nodes[3]["comb_op"](tensors, data)
    torch.testing.assert_close(combined.detach(), share[0] * tensors[0] + share[1] * tensors[1])
    with torch.no_grad():
        for alpha in optimizer.architectural_weights:
            alpha[0] += 2.0  # where Zero is drawn there is no gradient
    index = [parameter is betas for parameter in parameters_of(optimizer)].index(True)
    for seed in range(40):
        before = betas.detach().clone()
        if observe(optimizer, seed).alphas[index].norm() > 1e-6:
            assert not torch.equal(before, betas)
            return
    raise AssertionError("no step trained the betas")


def perturbation(search: Search) -> None:
    """The weight step mixes by weights near the method's own, the architecture step by its own."""
    optimizer = still(search.build())
    radius = optimizer.parts["perturbation"].radius
    clean: dict[int, list[Tensor]] = {}
    for alpha in optimizer.architectural_weights:
        clean.setdefault(len(alpha), []).append(alpha.detach().softmax(-1))

    def distance(row: Tensor) -> float:
        return min(float((row.detach() - own).abs().max()) for own in clean[len(row)])

    away = 0.0
    for seed in range(40):  # where the loss does not rise the adversary leaves the weights as they are
        rows = observe(optimizer, seed).rows
        perturbed = rows["training"][-6:]
        assert all(abs(float(row.sum()) - 1) < 1e-9 for row in perturbed)
        assert max(map(distance, rows["architecture"])) < 1e-12
        away = max(away, *map(distance, perturbed))
        if away > 1e-2:
            break
    assert 1e-2 < away <= 2 * radius


def auxiliary_skip(search: Search) -> None:
    """Every edge returns its mixture and beta times its input."""
    optimizer = search.build()
    part = optimizer.parts["auxiliary_skip"]
    beta, x = part.beta, images(seed=4, channels=4)[0]
    assert beta == pytest.approx(0.5)  # half of the search is over
    with measurement_mode(optimizer.graph):
        for data in mixed_edges(optimizer.graph, optimizer.scope):
            row = torch.full((len(data.op.primitives),), 0.5)
            part.beta = beta
            with_it = data.op.apply_weights(x, row)
            part.beta = 0.0
            torch.testing.assert_close(with_it - data.op.apply_weights(x, row), beta * x, rtol=0, atol=1e-9)
    assert not any(isinstance(m, AuxiliarySkip) for m in optimizer.get_final_architecture().modules())


def _term(search: Search, name: str, switch: str) -> None:
    """Compare what a term adds to the gradient of the architecture with its own gradient."""
    optimizer = still(search.build())
    parameters, part = parameters_of(optimizer), optimizer.parts[name]
    expected = torch.autograd.grad(part.architecture_loss(torch.zeros(())), parameters, materialize_grads=True)
    with_it = observe(optimizer)
    other = still(search.build())
    setattr(other.parts[name], switch, 0.0)
    without = observe(other)
    found = [a - b for a, b in zip(with_it.alphas, without.alphas, strict=True)]
    assert flat(expected).norm() > 1e-3
    torch.testing.assert_close(flat(found), flat(expected), rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(flat(with_it.weights), flat(without.weights), rtol=0, atol=1e-12)


def zero_one_loss(search: Search) -> None:
    """The gradient of the architecture, and that alone, gets that of the term."""
    _term(search, "zero_one_loss", "weight")


def latency(search: Search) -> None:
    """The gradient of the architecture gets that of the expected latency, or the reward its factor."""
    if search.keywords.get("update") != "reinforce" and search.cls.__name__ != "ENASOptimizer":
        _term(search, "latency", "weight")
        return
    rewards: list[float] = []
    for exponent in (0.0, 2.0):
        optimizer = search.build()
        optimizer.parts["latency"].exponent = exponent
        kept = optimizer.parts["latency"].reward
        asked: list[float] = []
        optimizer.parts["latency"].reward = lambda r, c, k=kept, a=asked: a.append(k(1.0, c)) or k(r, c)
        observe(optimizer)
        rewards.append(sum(asked) / len(asked))
    assert rewards[0] == 1.0 and abs(rewards[1] - 1.0) > 1e-2


def cost(search: Search) -> None:
    """The gradient of the architecture gets that of the expected cost, or the reward pays for the cost."""
    if search.keywords.get("update") != "reinforce" and search.cls.__name__ != "ENASOptimizer":
        _term(search, "cost", "weight")
        return
    rewards: list[float] = []
    for weight in (0.0, 2.0):
        optimizer = search.build()
        part = optimizer.parts["cost"]
        part.weight = weight
        asked: list[float] = []
        part.reward = lambda r, c, k=part.reward, a=asked: a.append(k(1.0, c)) or k(r, c)
        observe(optimizer)
        rewards.append(sum(asked) / len(asked))
    assert rewards[0] == 1.0 and rewards[1] < 1.0 - 1e-2


def progressive_shrinking(search: Search) -> None:
    """In the second stage the strongest candidates are left, and the search goes on with them."""
    first = search.build(epoch=0)
    strongest = [sorted(s.topk(3).indices.tolist()) for s in map(first.decision_weights, first.architectural_weights)]
    optimizer = search.build()
    assert [list(kept) for kept in optimizer.structure.kept] == strongest
    assert all(len(data.op.primitives) == 3 for data in mixed_edges(optimizer.graph, optimizer.scope))
    assert _moves(optimizer)


def early_stopping(search: Search) -> None:
    """The eigenvalue is that of a Hessian by finite differences; or skip connections end the search."""
    optimizer = still(search.build())
    part = optimizer.parts["early_stopping"]
    if part.criterion == "skip_dominance":
        _skips_end(optimizer)
        return
    parameters = parameters_of(optimizer)
    columns, h = [], 1e-5
    with torch.no_grad():
        for parameter in parameters:
            for index in range(parameter.numel()):
                sides = []
                for step in (h, -2 * h):
                    parameter[index] += step
                    with torch.enable_grad():
                        sides.append(flat(torch.autograd.grad(validation_loss(optimizer), parameters)))
                parameter[index] += h
                columns.append((sides[0] - sides[1]) / (2 * h))
    matrix = torch.stack(columns)
    expected = float(torch.linalg.eigvalsh((matrix + matrix.T) / 2)[-1]) + optimizer.arch_weight_decay
    observe(optimizer)
    assert part.epochs == [1] and part.eigenvalues == pytest.approx([expected], rel=1e-4, abs=1e-7)
    assert abs(expected - optimizer.arch_weight_decay) > 1e-5


def _skips_end(optimizer: OneShotOptimizer) -> None:
    for kind, ends in ((Identity, True), (nn.Module, False)):
        code = []
        with torch.no_grad():
            for data in optimizer.decisions:
                names = [type(op.op if hasattr(op, "op") else op) for op in data.op.primitives]
                code.append(names.index(Identity) if kind is Identity else 0)
                data.alpha.copy_(8.0 * F.one_hot(torch.tensor(code[-1]), len(names)).to(data.alpha))
        if hasattr(optimizer, "controller"):
            optimizer._most_likely = lambda code=tuple(code): code
        assert optimizer.is_finished == ends


def drop_path(search: Search) -> None:
    """Whole samples are dropped from every edge in training, as often as the epoch says, and never when measured."""
    optimizer = still(search.build())
    drops = observe(optimizer).drops["training"]
    assert len(drops) >= 6 and len(drops) % 6 == 0 and all(mask.shape == (6, 1, 1, 1) for mask in drops)
    assert 0.1 < 1 - float(torch.cat(drops).mean()) < 0.8  # .4 in this epoch
    counted: list[Tensor] = []
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr(torch, "bernoulli", lambda *args, **kwargs: counted.append(args[0]) or args[0])
        validation_loss(optimizer)
    assert not counted


def operation_early_stopping(search: Search) -> None:
    """What has been compared often enough and disagrees is not trained any more; all else is."""
    optimizer = search.build()
    part = optimizer.parts["operation_early_stopping"]
    for seed in range(40):
        observe(optimizer, seed)
        if part.frozen:
            break
    assert part.frozen
    stopped = [weight for name in part.frozen for weight in part._operations()[name]]
    before, others = flat(stopped), flat(optimizer.weights)
    observe(optimizer, 50)
    assert torch.equal(before, flat(stopped)) and not torch.equal(others, flat(optimizer.weights))


def perturbation_selection(search: Search) -> None:
    """What is chosen is without what the network is worst, decision by decision; the tuning does not disturb that."""
    still_standing = {"learning_rate": 0.0, "arch_learning_rate": 0.0, "arch_weight_decay": 0.0}
    optimizer = search.build(**still_standing)
    torch.manual_seed(7)
    order = torch.Generator().manual_seed(int(torch.randint(2**62, ())))
    chosen: dict[int, int] = {}
    number = {id(alpha): index for index, alpha in enumerate(optimizer.architectural_weights)}
    of_op = {id(data.op): number[id(data.alpha)] for data in mixed_edges(optimizer.graph, optimizer.scope)}
    for index in torch.randperm(3, generator=order).tolist():
        losses = []
        for taken in range(len(optimizer.decisions[index].op.primitives)):

            def change(op: RelaxedMixedOp, row: Any, index: int = index, taken: int = taken) -> Any:
                decision = of_op[id(op)]
                if decision in chosen:
                    return F.one_hot(torch.tensor(chosen[decision]), len(row)).to(row)
                return row * (torch.arange(len(row)) != taken) if decision == index else row

            ops = [data.op for data in mixed_edges(optimizer.graph, optimizer.scope)]
            with watching_weights(ops, change), torch.no_grad():
                losses.append(float(validation_loss(optimizer)))
        chosen[index] = max(range(len(losses)), key=losses.__getitem__)
    torch.manual_seed(7)
    optimizer.select_architecture([train_batch()], [valid_batch()])
    assert [int(scores.argmax()) for scores in optimizer.outcome] == [chosen[k] for k in range(3)]


class _Done(Exception):
    """The forward of the weight step has been reached."""


def layer_alignment(search: Search) -> None:
    """What is added to the weights' gradient is that of the mean cosine, by a double backward."""
    optimizer = still(search.build())
    with_it = observe(optimizer)
    other = still(search.build())
    other.parts["layer_alignment"]._now = 0.0
    without = observe(other)
    expected = _alignment(still(search.build()))
    found = flat(with_it.weights) - flat(without.weights)
    assert expected.norm() > 1e-5
    torch.testing.assert_close(found, expected, rtol=2e-3, atol=2e-5 * float(expected.norm()))


def _alignment(optimizer: OneShotOptimizer) -> Tensor:
    """Return the regularizer's gradient: the step is taken up to the weights' forward, and differentiated twice."""
    part, leaves = optimizer.parts["layer_alignment"], {}
    edges = mixed_edges(optimizer.graph, optimizer.scope)
    found: list[Tensor] = []

    def separate(op: RelaxedMixedOp, row: Any) -> Any:
        leaves[id(op)] = row.detach().requires_grad_()
        return leaves[id(op)]

    @contextmanager
    def instead(data: Any) -> Iterator[None]:
        with watching_weights([data.op for data in edges], separate):
            yield

    def double_backward(data: Any) -> tuple[Tensor, Tensor]:
        logits = optimizer.graph(data[0])
        loss = optimizer.loss(logits, data[1])
        cells = [[leaves[id(data.op)] for data in edges[:3]], [leaves[id(data.op)] for data in edges[3:]]]
        first, second = (torch.cat(torch.autograd.grad(loss, cell, create_graph=True)) for cell in cells)
        cosine = first @ second / (first.norm() * second.norm())
        found.append(-part._now * flat(torch.autograd.grad(cosine, optimizer.weights, materialize_grads=True)))
        raise _Done

    def forward(data: Any, *loss: Any) -> tuple[Tensor, Tensor]:
        is_weight_step = any(edge.op.on_weights for edge in edges) and torch.is_grad_enabled()
        return double_backward(data) if is_weight_step else kept(data, *loss)

    kept = optimizer.forward_loss
    optimizer.graph.set_passes(checkpoint=False, native=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(part, "during_weight_step", instead)
        patch.setattr(optimizer, "forward_loss", forward)
        torch.manual_seed(3)
        with pytest.raises(_Done):
            optimizer.step(train_batch(), valid_batch())
    return found[0]


PART_FIGURES: dict[str, Figure] = {name: globals()[name] for name in PARTS_KEYWORDS}
