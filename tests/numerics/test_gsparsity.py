"""GSparsity: the proximal step against its closed form, the groups, and what is derived from them."""

from __future__ import annotations

import pytest
import torch
from small_spaces import batch, mlp_space
from torch import nn

from naslib.errors import ConfigError
from naslib.optimizers import GSparseOptimizer
from naslib.optimizers.oneshot.methods.gsparsity import GSparseMixedOp, ProxSGD
from naslib.optimizers.oneshot.methods.gsparsity.prox_sgd import group_norm, soft_threshold
from naslib.search_spaces import NasBench201SearchSpace, NasBench301SearchSpace


def _adapted(space=None, **keys) -> GSparseOptimizer:
    torch.manual_seed(0)
    optimizer = GSparseOptimizer(**keys)
    optimizer.adapt_search_space(mlp_space() if space is None else space)
    return optimizer


def _parameters(seed: int, shapes=((3, 4), (5,))) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    return [nn.Parameter(torch.randn(*shape, generator=generator, dtype=torch.float64)) for shape in shapes]


@pytest.mark.parametrize("amount", [0.0, 0.7, 3.0, 50.0])
def test_soft_threshold_minimises_what_it_should(amount: float):
    """Optimality of amount |w| + |w - b|^2 / 2, over the whole group: amount w / |w| = b - w, or |b| <= amount."""
    b = [p.detach() for p in _parameters(0)]
    w = soft_threshold(b, amount)
    norm_b, norm_w = (torch.cat([t.flatten() for t in group]).norm() for group in (b, w))
    torch.testing.assert_close(group_norm(b), norm_b)
    if norm_b <= amount:
        assert norm_w == 0
    else:
        for x, y in zip(w, b, strict=True):
            torch.testing.assert_close(amount * x / norm_w, y - x, rtol=0, atol=1e-12)


def test_soft_threshold_of_nothing_is_nothing():
    zero = [torch.zeros(3), torch.zeros(2)]
    assert all(torch.equal(t, torch.zeros_like(t)) for t in soft_threshold(zero, 1.0) + soft_threshold(zero, 0.0))


@pytest.mark.parametrize(("normalization", "factor"), [("none", 1.0), ("mul", 17**0.5), ("div", 17**-0.5)])
def test_steps_are_those_written_out(normalization: str, factor: float):
    """Three steps of two groups and one that is not shrunk; every group by its own norm and size."""
    lr, rho, mu = 0.1, 0.8, 2.0
    first, second, free = _parameters(1), _parameters(2), _parameters(3)
    optimizer = ProxSGD(
        [{"params": first, "mu": mu}, {"params": second, "mu": mu}, {"params": free}],
        lr=lr, rho=rho, normalization=normalization,
    )  # fmt: skip
    expected = [[p.detach().clone() for p in group] for group in (first, second, free)]
    averages = [[torch.zeros_like(p) for p in group] for group in expected]
    for step in range(3):
        for number, group in enumerate((first, second, free)):
            gradients = [p.detach() for p in _parameters(10 * step + number + 4)]
            for p, g in zip(group, gradients, strict=True):
                p.grad = g
            averages[number] = [(1 - rho) * v + rho * g for v, g in zip(averages[number], gradients, strict=True)]
            b = [w - v for w, v in zip(expected[number], averages[number], strict=True)]
            norm = torch.cat([t.flatten() for t in b]).norm()
            shrink = max(0.0, 1 - mu * factor / float(norm)) if number < 2 else 1.0
            expected[number] = [w + lr * (shrink * t - w) for w, t in zip(expected[number], b, strict=True)]
        optimizer.step()
    for found, group in zip((first, second, free), expected, strict=True):
        for p, w in zip(found, group, strict=True):
            torch.testing.assert_close(p.detach(), w, rtol=0, atol=1e-12)


def test_scalars_stay_between_zero_and_one_and_a_missing_gradient_is_zero():
    scale, lonely = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))
    free = nn.Parameter(torch.ones(1))
    groups = [{"params": [scale], "mu": 0.0, "is_scale": True}, {"params": [lonely], "mu": 0.5}, {"params": [free]}]
    optimizer = ProxSGD(groups, lr=1.0, rho=1.0)
    scale.grad = torch.tensor([-3.0])
    optimizer.step()
    assert [float(p.detach()) for p in (scale, lonely, free)] == [1.0, pytest.approx(0.5), 1.0]
    scale.grad = torch.tensor([5.0])
    optimizer.step()
    assert [float(p.detach()) for p in (scale, lonely, free)] == [0.0, pytest.approx(0.0), 1.0]


def test_each_operation_of_each_edge_is_a_group_over_all_copies_of_the_cell():
    """A single group of everything, as in NASLib, would shrink all operations alike."""
    optimizer = _adapted()
    groups = optimizer.op_optimizer.param_groups
    assert len(groups) == 3 * 3 + 1
    sizes = [sum(p.numel() for p in group["params"]) for group in groups[:-1]]
    assert sizes == [2 * 42, 2 * 42, 2] * 3  # linear, linear, identity with a scalar; two cells
    assert [group["is_scale"] for group in groups] == [False, False, True] * 3 + [False]
    assert all(group["mu"] == optimizer.mu for group in groups[:-1]) and groups[-1]["mu"] is None
    found = [id(p) for group in groups for p in group["params"]]
    assert len(found) == len(set(found)) and set(found) == {id(p) for p in optimizer.graph.parameters()}
    first, second = optimizer.graph.edges[2, 3].op.edges[1, 2].op, optimizer.graph.edges[3, 4].op.edges[1, 2].op
    own = {id(p) for op in (first, second) for p in op.primitives[0].parameters()}
    assert {id(p) for p in groups[0]["params"]} == own


def test_candidates_are_added_up_and_those_without_weights_scaled():
    optimizer = _adapted()
    data = optimizer.graph.edges[2, 3].op.edges[1, 2]
    op, x = data.op, torch.randn(4, 6)
    assert isinstance(op, GSparseMixedOp)
    with torch.no_grad():
        op.scales["2"].fill_(0.25)
    expected = op.primitives[0](x) + op.primitives[1](x) + 0.25 * x
    torch.testing.assert_close(op(x, edge_data=data), expected)
    other = optimizer.graph.edges[3, 4].op.edges[1, 2].op
    assert torch.equal(other.scales["2"].detach(), torch.ones(1))  # every copy has its own


def test_the_normalized_norm_decides_not_the_norm_and_not_the_size():
    """NASLib's `dimension` is the tensor that holds the norms, so that each was divided by a power of itself."""
    optimizer = _adapted()
    with torch.no_grad():
        for op in (graph.edges[1, 2].op for graph in (optimizer.graph.edges[2, 3].op, optimizer.graph.edges[3, 4].op)):
            for p in op.primitives[0].parameters():
                p.fill_(0.5)
            for p in op.primitives[1].parameters():
                p.fill_(0.4)
            op.scales["2"].fill_(0.6)
    optimizer.score_groups()
    scores = optimizer.architectural_weights[0].detach()
    torch.testing.assert_close(scores, torch.tensor([0.5, 0.4, 0.6]))  # root mean squares
    final = optimizer.get_final_architecture()
    assert isinstance(final.edges[2, 3].op.edges[1, 2].op, nn.Identity)
    optimizer.normalization_exponent = 0.0
    optimizer.score_groups()
    expected = torch.tensor([0.5 * 84**0.5, 0.4 * 84**0.5, 0.6 * 2**0.5])
    torch.testing.assert_close(optimizer.architectural_weights[0].detach(), expected)


def test_vanished_groups_are_out_and_zero_remains_where_nothing_else_does():
    optimizer = _adapted(NasBench201SearchSpace(n_classes=4, channels=4, cells_per_stage=1))
    names = [type(op).__name__ for op in optimizer.decisions[0].op.primitives]
    with torch.no_grad():
        groups = optimizer.groups(optimizer.graph)
        for group in groups[0]:
            for p in group:
                p.mul_(1e-12)
        for p in groups[1][names.index("Identity")]:
            p.mul_(1e-12)
    optimizer.score_groups()
    scores = [alpha.detach() for alpha in optimizer.architectural_weights]
    assert scores[0].argmax() == names.index("Zero") and scores[1][names.index("Identity")] == 0
    assert scores[1].max() > 0 and all(row[names.index("Zero")] == 0 for row in scores[1:])


def test_a_step_minimises_the_penalised_training_loss():
    """On one batch the objective falls, whole groups go to zero together, and no architecture is trained."""
    optimizer = _adapted(learning_rate=0.05, mu=1.0, grad_clip=None)
    assert optimizer.arch_optimizer is None and optimizer.architecture_parameters == []
    data = batch(32, dtype=torch.float32)

    def objective() -> float:
        loss = nn.functional.cross_entropy(optimizer.graph(data[0]), data[1])
        for group in optimizer.op_optimizer.param_groups[:-1]:
            size = sum(p.numel() for p in group["params"])
            loss = loss + optimizer.mu / size**0.5 * torch.cat([p.flatten() for p in group["params"]]).norm()
        return float(loss.detach())

    before = objective()
    optimizer.new_epoch(0)
    for _ in range(60):
        result = optimizer.step(data, data)
    assert objective() < 0.7 * before and all(not t.requires_grad for t in result)
    ratios = [[float(p.detach().norm()) for p in group["params"]] for group in optimizer.op_optimizer.param_groups[:-1]]
    assert any(max(norms) < 0.1 for norms in ratios)
    for alpha, groups in zip(optimizer.architectural_weights, optimizer.groups(optimizer.graph), strict=True):
        expected = [torch.cat([p.detach().flatten() for p in group]).square().mean().sqrt() for group in groups]
        torch.testing.assert_close(alpha.detach(), torch.stack(expected))
        assert not alpha.requires_grad


def test_the_darts_space_derives_two_edges_a_node():
    optimizer = _adapted(NasBench301SearchSpace(n_classes=4, channels=4, cells=3, nodes=3))
    final = optimizer.get_final_architecture()
    assert len(final.genotype()["normal"]) == 6


@pytest.mark.parametrize(
    "part", ["early_stopping", "operation_early_stopping", "layer_alignment", "perturbation_selection"]
)
def test_parts_that_build_on_a_trained_architecture_are_refused(part: str):
    with pytest.raises(ConfigError, match=f"{part}.*trained"):
        _adapted(parts={part: {}})


def test_bad_values_raise():
    with pytest.raises(ConfigError, match="normalization"):
        GSparseOptimizer(normalization="divide")
    with pytest.raises(ConfigError, match="rho"):
        GSparseOptimizer(rho=0.0)
    with pytest.raises(ConfigError, match="ProxSGD"):
        GSparseOptimizer(op_optimizer="Adam")
    with pytest.raises(ConfigError, match="mu"):
        GSparseOptimizer(mu=-1.0)
