"""What measures in a search measures the right thing, and the second-order step is one of one function: float64."""

from __future__ import annotations

import itertools
from functools import partial

import pytest
import torch
from observed_search import adapted, flat
from small_spaces import ConvSpace, batch, images, mlp_by_hand, mlp_space
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from naslib.errors import ConfigError
from naslib.optimizers import DARTSOptimizer, OneShotOptimizer
from naslib.optimizers.oneshot.supernet.mixed_edges import mixed_edges
from naslib.search_spaces.core.batch_norm import batch_norm_modules
from naslib.search_spaces.core.primitives import Zero


@pytest.fixture(autouse=True)
def _double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


# the eigenvalue


def _eigenvalue(optimizer: OneShotOptimizer, data, relax) -> float:
    alphas = tuple(alpha.detach() for alpha in optimizer.architectural_weights)

    def loss(*values: Tensor) -> Tensor:
        return cross_entropy(mlp_by_hand(optimizer, data[0], relax(torch.stack(values))), data[1])

    blocks = torch.autograd.functional.hessian(loss, alphas)
    matrix = torch.cat([torch.cat(list(row), dim=1) for row in blocks])
    assert (matrix - torch.diag(matrix.diagonal())).abs().max() > 1e-3  # it is not diagonal
    return float(torch.linalg.eigvalsh(matrix)[-1]) + optimizer.arch_weight_decay


def _dirichlet_mean(logits: Tensor) -> Tensor:
    beta = torch.nn.functional.elu(logits) + 1
    return beta / beta.sum(-1, keepdim=True)


RELAXED = {
    "darts": lambda logits: logits.softmax(-1),
    "drnas": _dirichlet_mean,
    "snas": lambda logits: logits.softmax(-1),
    "fair_darts": torch.sigmoid,
}


@pytest.mark.parametrize("more", [{}, {"drop_path": {"drop_prob": 0.5}}, {"layer_alignment": {}}], ids=str)
@pytest.mark.parametrize("name", RELAXED)
def test_the_eigenvalue_is_that_of_the_mean_network_on_the_validation_batch(name: str, more: dict):
    for parts in ({"early_stopping": {}, **more}, {**more, "early_stopping": {}}):
        optimizer = adapted(name, parts=parts, epoch=1)
        train, valid = batch(seed=1), batch(seed=2)
        expected = _eigenvalue(optimizer, valid, RELAXED[name])
        optimizer.step(train, valid)
        assert optimizer.parts["early_stopping"].eigenvalues == pytest.approx([expected], rel=1e-9)


@pytest.mark.parametrize("name", ["darts", "snas", "drnas"])
def test_measuring_the_eigenvalue_leaves_no_trace(name: str):
    found = []
    for parts in ({}, {"early_stopping": {}}):
        optimizer = adapted(name, ConvSpace, {**parts, "drop_path": {"drop_prob": 0.5}}, epoch=1)
        torch.manual_seed(5)
        optimizer.step(images(seed=1), images(seed=2))
        buffers = [t for norm in batch_norm_modules(optimizer.graph) for t in norm.buffers()]
        found.append(torch.cat([flat(buffers), flat(optimizer.weights), flat(optimizer.architectural_weights)]))
        assert all(module.training for module in optimizer.graph.modules())
    assert torch.equal(*found)


# selection without what is random, and of whole edges


@pytest.mark.parametrize("order", [("drop_path", "perturbation_selection"), ("perturbation_selection", "drop_path")])
def test_selection_drops_no_paths(order: tuple[str, str]):
    keywords = {
        "drop_path": {"drop_prob": 0.6},
        "perturbation_selection": {"tune_epochs": 0, "criterion": "loss"},
    }
    valid = [batch(seed=seed) for seed in (2, 3)]
    found = []
    for names in (order, ("perturbation_selection",)):
        optimizer = adapted("darts_pt", parts={name: keywords[name] for name in names})
        part, qualities = optimizer.parts["perturbation_selection"], []
        evaluate = part._evaluate
        part._evaluate = lambda batches, q=qualities, e=evaluate: q.append(e(batches)) or q[-1]
        torch.manual_seed(7)
        optimizer.select_architecture([], valid)
        found.append(torch.tensor(qualities))
    assert len(found[0]) == 9
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-12)


def test_enas_chooses_without_dropping_paths():
    rewards = []
    for parts in ({}, {"drop_path": {"drop_prob": 0.6}}):
        optimizer = adapted("enas", parts=parts)
        codes = list(itertools.product(range(3), repeat=3))
        seen: list[float] = []
        reward = optimizer._reward
        optimizer._reward = lambda *args, s=seen, r=reward: s.append(r(*args)) or s[-1]
        optimizer._best_of(codes, batch(40, seed=3))
        rewards.append(seen)
    assert rewards[0] == rewards[1] and len(set(rewards[0])) > 3


@pytest.mark.parametrize("extra", [{"auxiliary_skip": {}}, {"partial_channels": {"k": 2}}], ids=str)
def test_an_edge_that_is_taken_out_is_gone_with_all_that_passes_by(extra: dict):
    optimizer = adapted("darts_pt", ConvSpace, extra)
    part = optimizer.parts["perturbation_selection"]
    edges = mixed_edges(optimizer.graph, "cell")
    part._indices = {id(data.alpha): index for index, data in enumerate(optimizer.decisions)}
    part._chosen, part._dropped = {0: 2, 1: 2, 2: 2}, {1}
    x = images(seed=3)[0].repeat(1, 2, 1, 1)
    with part._projected():
        outputs = [data.op.apply_weights(x, data.alpha.detach().softmax(-1)) for data in edges]
    for data, output in zip(edges, outputs, strict=True):
        assert (output == 0).all() == (data.alpha is optimizer.decisions[1].alpha)


def test_a_path_without_an_edge_has_nothing_of_it():
    optimizer = adapted("spos", ConvSpace, {"auxiliary_skip": {}, "partial_channels": {"k": 2}})
    optimizer.use_choices((-1, 0, 2))
    x = images(seed=3)[0].repeat(1, 2, 1, 1)
    for data in mixed_edges(optimizer.graph, "cell"):
        output = data.op.apply_weights(x, optimizer.standing()[data.op.decision])
        assert (output == 0).all() == (data.alpha is optimizer.decisions[0].alpha)


# thresholds


@pytest.mark.parametrize(("sigmoid", "stays"), [(0.9, True), (0.8, False)])
def test_the_threshold_of_fair_darts_is_on_the_sigmoid_alone(sigmoid: float, stays: bool):
    optimizer = adapted("fair_darts", ConvSpace, {"edge_normalization": {}})
    with torch.no_grad():
        for alpha in optimizer.architectural_weights:
            alpha.copy_(torch.tensor([0.1, sigmoid, 0.3, 0.2]).logit())
    final = optimizer.get_final_architecture()
    ops = [e.data.op for e in final._edges_in_scope("cell", private_edge_data=True) if e.data.has("op_index")]
    assert len(ops) == 6 and {isinstance(op, Zero) for op in ops} == {not stays}
    optimizer.outcome = [torch.tensor([0.0, 1.0, 0.0, 0.0])] * 3  # a selection phase has its own reasons
    final = optimizer.get_final_architecture()
    assert not any(isinstance(module, Zero) for module in final.modules())


# batch norm


def test_modules_that_are_replaced_in_the_search_normalise_as_the_others():
    stages = [{"epochs": 1}, {"k": 2, "n_ops": 3}]
    parts = {"partial_channels": {"k": 4}, "progressive_shrinking": {"stages": stages, "warm_up": 0}}
    for name, tracks in (("batch", False), ("running", True)):
        optimizer = adapted("darts", partial(ConvSpace, channels=8), parts, batch_norm=name, epoch=0)
        optimizer.new_epoch(1)
        optimizer.step(images(seed=1), images(seed=2))
        assert optimizer.parts["partial_channels"].k == 2
        norms = batch_norm_modules(optimizer.graph)
        assert len(norms) >= 7 and {norm.running_mean is not None for norm in norms} == {tracks}


# second order


def _second_order(optimizer: OneShotOptimizer, train, valid, seed: int) -> Tensor:
    """d/dalpha L_val(w - xi (dL_train/dw + wd w), alpha) by one differentiation; the forwards draw as the step does."""
    weights = {name: p.detach().requires_grad_() for name, p in optimizer.graph.named_parameters()}
    alphas = list(optimizer.architecture_parameters)
    torch.manual_seed(seed)
    loss = cross_entropy(functional_call(optimizer.graph, weights, (train[0],)), train[1])
    gradient = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
    group = optimizer.op_optimizer.param_groups[0]
    stepped = {
        name: w - group["lr"] * (g + group["weight_decay"] * w)
        for (name, w), g in zip(weights.items(), gradient, strict=True)
    }
    val_loss = cross_entropy(functional_call(optimizer.graph, stepped, (valid[0],)), valid[1])
    return flat(torch.autograd.grad(val_loss, alphas))


@pytest.mark.parametrize(("hessian", "tolerance"), [("finite_difference", 2e-3), ("exact", 1e-9)])
def test_all_passes_of_the_second_order_step_drop_the_same_paths(hessian: str, tolerance: float):
    parts = {"drop_path": {"drop_prob": 0.5}}
    optimizer = adapted("darts", parts=parts, unrolled=True, hessian=hessian, learning_rate=1.0)
    train, valid = batch(seed=1), batch(seed=2)
    expected = _second_order(optimizer, train, valid, seed=11)
    torch.manual_seed(11)
    found = flat(optimizer.architecture_gradient(train, valid)[0])
    assert (found - expected).norm() < tolerance * expected.norm()


@pytest.mark.parametrize("extra", [{}, {"drop_path": {"drop_prob": 0.5}}], ids=str)
def test_second_order_with_checkpointed_cells(extra: dict):
    """What is computed again in the backward is computed with the weights of the virtual step."""
    found = []
    for checkpoint in (False, True):
        optimizer = adapted("darts", ConvSpace, extra, unrolled=True, learning_rate=1.0, checkpoint_cells=checkpoint)
        torch.manual_seed(11)
        found.append(flat(optimizer.architecture_gradient(images(seed=1), images(seed=2))[0]))
    torch.testing.assert_close(found[1], found[0], rtol=1e-7, atol=1e-9)
    optimizer.unrolled = False
    torch.manual_seed(11)
    first_order = flat(optimizer.architecture_gradient(images(seed=1), images(seed=2))[0])
    assert (found[0] - first_order).norm() > 0.1 * first_order.norm()


def test_a_checkpointed_graph_is_a_function_of_the_weights_that_it_is_called_with():
    optimizer = adapted("darts", ConvSpace, checkpoint_cells=True)
    x, y = images(seed=1)
    other = {name: (p.detach() * 1.3 + 0.05).requires_grad_() for name, p in optimizer.graph.named_parameters()}
    found = []
    for checkpoint in (True, False):
        optimizer.graph.set_passes(checkpoint=checkpoint)
        loss = cross_entropy(functional_call(optimizer.graph, other, (x,)), y)
        found.append(flat(torch.autograd.grad(loss, list(other.values()))))
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-12)
    names = {name for name, _ in optimizer.graph.named_parameters()}
    assert names == set(other) and all(isinstance(p, nn.Parameter) for p in optimizer.graph.parameters())


def test_exact_second_order_with_checkpointed_cells_is_refused():
    optimizer = DARTSOptimizer(unrolled=True, hessian="exact", checkpoint_cells=True)
    with pytest.raises(ConfigError, match=r"hessian=exact does not fit checkpoint_cells=True.*finite_difference"):
        optimizer.adapt_search_space(mlp_space())
