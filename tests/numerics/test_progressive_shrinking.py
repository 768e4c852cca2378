"""Candidates leave in the middle of a search: who stays, what they keep, and what the next stage computes."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from small_spaces import batch, mlp_space
from torch.distributions import Dirichlet

from naslib.errors import ConfigError, GraphError
from naslib.optimizers import OPTIMIZERS, DARTSOptimizer, DrNASOptimizer, OLESOptimizer, OneShotOptimizer
from naslib.optimizers.oneshot.supernet.mixed_edges import mixed_edges
from naslib.optimizers.oneshot.supernet.relaxed_op import Surrounding
from naslib.optimizers.oneshot.supernet.stages import equal_lengths, locate
from naslib.search_spaces import NasBench301SearchSpace

STAGES = [{"epochs": 2}, {"epochs": 2, "n_ops": 2}, {"n_ops": 1}]


def _adapted(cls=DrNASOptimizer, stages=STAGES, warm_up=0, space=None, **kwargs):
    torch.manual_seed(0)
    parts = {"progressive_shrinking": {"stages": stages, "warm_up": warm_up}}
    optimizer = cls(arch_learning_rate=0.05, parts=parts, **kwargs)
    optimizer.adapt_search_space(mlp_space() if space is None else space)
    return optimizer


def _step(optimizer, seed=0):
    return optimizer.step(batch(dtype=torch.float32, seed=seed), batch(dtype=torch.float32, seed=seed + 50))


def test_the_strongest_stay_with_their_parameters_and_both_optimizers_states():
    optimizer = _adapted()
    optimizer.new_epoch(0)
    _step(optimizer)
    with torch.no_grad():
        for alpha, values in zip(
            optimizer.architectural_weights, ([0.1, 0.5, 0.3], [2, 1, -1], [0, 0, 0.5]), strict=True
        ):
            alpha.copy_(torch.tensor(values))
    before = list(optimizer.architectural_weights)
    old = [alpha.detach().clone() for alpha in before]
    of_alphas = [{k: v.clone() for k, v in optimizer.arch_optimizer.state[alpha].items()} for alpha in before]
    candidates = [list(data.op.primitives) for data in mixed_edges(optimizer.graph, optimizer.scope)]
    weights = [p.detach().clone() for p in optimizer.weights]
    buffers = {id(p): optimizer.op_optimizer.state[p]["momentum_buffer"].clone() for p in optimizer.weights}
    identities = [id(p) for p in optimizer.weights]
    groups = optimizer.op_optimizer.param_groups[0], optimizer.arch_optimizer.param_groups[0]

    optimizer.new_epoch(2)
    expected = [[1, 2], [0, 1], [0, 2]]  # the first of equals stays
    assert [list(kept) for kept in optimizer.structure.kept] == expected
    assert all(now is then for now, then in zip(optimizer.architectural_weights, before, strict=True))
    for alpha, values, state, kept in zip(before, old, of_alphas, expected, strict=True):
        assert torch.equal(alpha, values[kept])
        found = optimizer.arch_optimizer.state[alpha]
        assert torch.equal(found["exp_avg"], state["exp_avg"][kept])
        assert torch.equal(found["exp_avg_sq"], state["exp_avg_sq"][kept]) and found["step"] == state["step"]
    for data, ops in zip(mixed_edges(optimizer.graph, optimizer.scope), candidates, strict=True):
        index = [id(alpha) for alpha in before].index(id(data.alpha))
        assert all(op is ops[k] for op, k in zip(data.op.primitives, expected[index], strict=True))
    assert groups[0] is optimizer.op_optimizer.param_groups[0] and groups[1] is optimizer.arch_optimizer.param_groups[0]
    assert [id(p) for p in groups[0]["params"]] == [id(p) for p in optimizer.weights]
    assert [id(p) for p in optimizer.weights] == [id(p) for p in optimizer.graph.parameters()]
    assert len(optimizer.weights) < len(weights) and len(optimizer.op_optimizer.state) == len(optimizer.weights)
    for parameter in optimizer.weights:
        assert torch.equal(parameter, weights[identities.index(id(parameter))])
        assert torch.equal(optimizer.op_optimizer.state[parameter]["momentum_buffer"], buffers[id(parameter)])
    _step(optimizer)
    optimizer.new_epoch(4)
    _step(optimizer)
    assert [len(kept) for kept in optimizer.structure.kept] == [1, 1, 1]


def test_the_removed_candidates_are_freed():
    optimizer = _adapted()
    _step(optimizer)
    removed = [weakref.ref(parameter) for parameter in optimizer.weights]
    optimizer.new_epoch(2)
    alive = len(optimizer.weights)
    gc.collect()
    assert sum(reference() is not None for reference in removed) == alive < len(removed)


def test_the_next_stage_samples_what_masking_and_renormalising_would():
    # a Dirichlet sample restricted to some entries and renormalised is a Dirichlet sample of those alone
    logits, kept, draws = torch.tensor([0.4, -0.7, 1.3, 0.0, 0.2]).double(), [0, 2, 3], 200_000
    torch.manual_seed(0)
    whole = Dirichlet(torch.nn.functional.elu(logits) + 1).sample((draws,))[:, kept]
    masked = whole / whole.sum(-1, keepdim=True)
    small = DrNASOptimizer().relaxation()(logits[kept].expand(draws, 3), True)
    small = torch.stack(small)
    torch.testing.assert_close(small.mean(0), masked.mean(0), rtol=0, atol=3e-3)
    torch.testing.assert_close(small.T.cov(), masked.T.cov(), rtol=0, atol=1e-3)


METHODS = {cls: name for name in OPTIMIZERS.names() if issubclass(cls := OPTIMIZERS.get(name), OneShotOptimizer)}
REFUSING = {"WeightSharingOptimizer", "ENASOptimizer", "GSparseOptimizer", "BinaryMovingAverageOptimizer"}
REFUSING |= {"PDARTSOptimizer", "RobustDARTSOptimizer", "DARTSPlusOptimizer", "MetAdaptOptimizer", "TENASOptimizer"}


@pytest.mark.parametrize("cls", METHODS, ids=METHODS.values())
def test_any_method_goes_on_with_what_is_left_or_says_that_it_cannot(cls):
    space = NasBench301SearchSpace(n_classes=3, channels=8, cells=3, nodes=1)
    stages = [{"epochs": 1}, {"n_ops": 3}]
    if REFUSING & {base.__name__ for base in cls.__mro__}:
        with pytest.raises(ConfigError, match="progressive_shrinking"):
            _adapted(cls, stages, space=space)
        return
    optimizer = _adapted(cls, stages, space=space, epochs=2)
    generator = torch.Generator().manual_seed(0)
    data = torch.randn(4, 3, 4, 4, generator=generator), torch.randint(3, (4,), generator=generator)
    for epoch in range(2):
        optimizer.new_epoch(epoch)
        assert all(loss.isfinite() for loss in optimizer.step(data, data)[2:])
    assert all(len(data.op.primitives) == 3 for data in mixed_edges(optimizer.graph, optimizer.scope))
    optimizer.get_final_architecture()


def test_operations_that_had_stopped_have_still_stopped():
    optimizer = _adapted(OLESOptimizer)
    part = optimizer.parts["operation_early_stopping"]
    for name in (name for name in part._operations() if name.endswith(".1")):
        part._freeze(name)
    for alpha in optimizer.architectural_weights:
        alpha.data = torch.tensor([0.0, 1.0, 1.0])
    frozen = {id(weight) for weight in optimizer.weights if not weight.requires_grad}
    optimizer.new_epoch(2)
    assert part.frozen and all(name.endswith(".0") for name in part.frozen)  # what was second is first
    assert {id(weight) for weight in optimizer.weights if not weight.requires_grad} == frozen
    assert {id(weight) for name in part.frozen for weight in part._operations()[name]} == frozen


def test_a_darts_supernet_computes_the_mixture_of_the_survivors():
    torch.manual_seed(0)
    space = NasBench301SearchSpace(n_classes=4, channels=4, cells=3, nodes=2)
    optimizer = _adapted(DARTSOptimizer, [{"epochs": 1}, {"n_ops": 3}], space=space)
    optimizer.graph.eval()
    for alpha in optimizer.architectural_weights:
        alpha.data = torch.randn(8)
    x = torch.randn(2, 3, 8, 8)
    keep = optimizer.structure.strongest(3)
    masked = optimizer.graph.clone()
    for data in {id(data.alpha): data for data in mixed_edges(masked, optimizer.scope)}.values():
        chosen = data.alpha.topk(3).indices
        data.alpha.data = torch.full((8,), -1e9).scatter(0, chosen, data.alpha.data[chosen])
    expected = masked(x)
    optimizer.new_epoch(1)
    assert [list(kept) for kept in optimizer.structure.kept] == keep
    torch.testing.assert_close(optimizer.graph(x), expected, rtol=1e-5, atol=1e-5)
    final = optimizer.get_final_architecture()
    # positions among the survivors are not those among all candidates: names decide
    choices = optimizer.choices(None)
    assert len(final.genotype()["normal"]) == 4 == sum(c is not None for c in choices[:5])


def test_every_stage_warms_up():
    optimizer = _adapted(stages=[{"epochs": 3}, {"epochs": 3, "n_ops": 2}], warm_up=2)
    trained = []
    for epoch in range(7):
        optimizer.new_epoch(epoch)
        before = [alpha.detach().clone() for alpha in optimizer.architectural_weights]
        _step(optimizer, epoch)
        after = optimizer.architectural_weights
        trained.append(any(not torch.equal(a, b) for a, b in zip(before, after, strict=True)))
    assert trained == [False, False, True, False, False, True, True]


def test_what_surrounds_a_mixture_keeps_its_place_behind_the_candidates():
    class Scale(Surrounding):
        def __init__(self):
            super().__init__()
            self.factor = torch.nn.Parameter(torch.ones(()))

        def forward(self, x, work, inner):
            return self.factor * inner(x, work)

    optimizer = _adapted()
    op = optimizer.decisions[0].op
    op.surround(Scale())
    names = list(op._modules)
    op.set_embedded_ops(op.primitives[1:])
    assert list(op._modules) == ["primitive-0", "primitive-1", "around-0"] and names[-1] == "around-0"


def test_no_decision_is_left_without_a_candidate():
    optimizer = _adapted()
    with pytest.raises(GraphError, match="without a candidate"):
        optimizer.structure.prune([[0], [], [1]])


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"stages": []}, "list of mappings"),
        ({"stages": {"epochs": 3}}, "list of mappings"),
        ({"stages": [{"n_ops": 4}, {"epochs": 2}]}, "stage 0 needs epochs"),
        ({"stages": [{"epochs": 0}]}, "stage 0: epochs must be at least 1"),
        ({"stages": [{"epoch": 3}]}, "no key 'epoch'; did you mean 'epochs'"),
        ({"warm_up": -1}, "warm_up must not be negative"),
    ],
)
def test_bad_keywords(keywords, message):
    with pytest.raises(ConfigError, match=message):
        DrNASOptimizer(parts={"progressive_shrinking": keywords})


def test_stages():
    lengths = [25, 0, 10]
    places = [locate(lengths, epoch) for epoch in (0, 24, 25, 34, 50)]
    assert [tuple(place) for place in places] == [(0, 0, 25), (0, 24, 25), (2, 0, 10), (2, 9, 10), (2, 25, 10)]
    assert equal_lengths(75, 3) == [25, 25, 25] and equal_lengths(50, 3) == [16, 17, 17]
    assert equal_lengths(2, 3) == [0, 1, 1] and locate([0, 1, 1], 0).stage == 1
    assert locate([0, 0], 3).stage == 0
