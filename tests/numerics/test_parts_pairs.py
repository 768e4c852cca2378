"""Parts and options that once broke each other silently: each pair has its right value here, in float64."""

from __future__ import annotations

import itertools

import pytest
import torch
from small_spaces import ConvSpace, batch, images, mlp_by_copy, mlp_by_hand, mlp_space
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from naslib.errors import ConfigError
from naslib.optimizers import OPTIMIZERS, DARTSOptimizer, OneShotOptimizer
from naslib.optimizers.oneshot._decisions import mixed_edges
from naslib.optimizers.oneshot.mixture import RelaxedMixedOp, watching_weights
from naslib.optimizers.oneshot.parts import Part
from naslib.search_spaces.core.batch_norm import batch_norm_modules
from naslib.search_spaces.core.primitives import Zero


@pytest.fixture(autouse=True)
def _double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def _adapted(name: str, space=mlp_space, parts: dict | None = None, epoch: int = 2, **kwargs) -> OneShotOptimizer:
    torch.manual_seed(0)
    settings = {"epochs": 3, "learning_rate": 0.1, "arch_learning_rate": 0.1, "grad_clip": 0}
    optimizer = OPTIMIZERS.get(name)(**{**settings, **kwargs}, parts=parts)
    optimizer.adapt_search_space(space())
    with torch.no_grad():
        for alpha in optimizer.architecture_parameters:
            alpha.add_(0.5 * torch.randn_like(alpha))
    optimizer.before_training()
    optimizer.graph.train()
    optimizer.new_epoch(epoch)
    return optimizer


def _flat(tensors) -> Tensor:
    return torch.cat([t.detach().reshape(-1) for t in tensors])


def _weight_gradient(optimizer: OneShotOptimizer, data, seed: int = 3) -> Tensor:
    """Return the gradient that a weight step gives the weights; the weights are put back."""
    before = [weight.detach().clone() for weight in optimizer.weights]
    torch.manual_seed(seed)
    optimizer.weight_step(data)
    found = _flat(torch.zeros_like(w) if w.grad is None else w.grad for w in optimizer.weights)
    with torch.no_grad():
        for weight, value in zip(optimizer.weights, before, strict=True):
            weight.copy_(value)
    optimizer.op_optimizer.state.clear()
    return found


def _regularizer(optimizer: OneShotOptimizer, data, gradient=_weight_gradient) -> Tensor:
    """Return what layer_alignment adds to the weights' gradient: with it, minus without it."""
    part = optimizer.parts["layer_alignment"]
    with_it, part._now = gradient(optimizer, data), 0.0
    without = gradient(optimizer, data)
    part.new_epoch(2)
    return with_it - without


def _lambda(optimizer: OneShotOptimizer, data, rows: dict) -> Tensor:
    """Return -strength times the gradient of the mean cosine, by a double backward through a network written out."""
    loss = cross_entropy(mlp_by_copy(optimizer, data[0], rows), data[1])
    by_copy = [[rows[copy, k] for k in range(3)] for copy in (0, 1)]
    first, second = (torch.cat(torch.autograd.grad(loss, row, create_graph=True)) for row in by_copy)
    cosine = first @ second / (first.norm() * second.norm())
    strength = optimizer.parts["layer_alignment"].strength
    return -strength * _flat(torch.autograd.grad(cosine, optimizer.weights, materialize_grads=True))


def _rows(weights) -> dict:
    return {(copy, k): row.detach().clone().requires_grad_() for copy in (0, 1) for k, row in enumerate(weights)}


# hooks are a stack


def test_changes_of_weights_are_a_stack():
    op = RelaxedMixedOp([nn.Identity(), nn.Identity()])
    x, weights = torch.ones(2, 3), torch.tensor([0.25, 0.5])

    def run() -> float:
        return float(op.apply_weights(x, weights)[0, 0])

    assert run() == 0.75
    with watching_weights([op], lambda _, w: w + 1):
        with watching_weights([op], lambda _, w: 10 * w):  # gets what the outer one has made
            assert run() == 27.5
        assert run() == 2.75
        with pytest.raises(RuntimeError, match="inside"), watching_weights([op], lambda _, w: 0 * w):
            assert run() == 0.0
            raise RuntimeError("inside")
        assert run() == 2.75
    assert run() == 0.75 and op.on_weights == ()
    first, second = watching_weights([op], lambda _, w: w + 1), watching_weights([op], lambda _, w: 2 * w)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)  # not in the order of a stack: each takes away its own
    assert run() == 1.5
    second.__exit__(None, None, None)
    assert run() == 0.75


@pytest.mark.parametrize("name", ["darts_pt", "lambda_darts", "drnas"])
def test_selection_with_layer_alignment_is_what_the_mathematics_says(name: str):
    """With learning rates of 0 the tuning between decisions, with its regularizer, must change nothing."""
    parts = {
        "layer_alignment": {},
        "perturbation_selection": {"tune_epochs": 1, "criterion": "loss", "learning_rate_min": 0.0},
    }
    optimizer = _adapted(name, parts=parts, learning_rate=0.0, arch_learning_rate=0.0, arch_weight_decay=0.0)
    train, valid = [batch(seed=1)], [batch(32, seed=seed) for seed in (2, 3)]
    torch.manual_seed(7)
    seed = int(torch.randint(2**62, ()))
    chosen: dict[int, int] = {}
    for index in torch.randperm(3, generator=torch.Generator().manual_seed(seed)).tolist():
        losses = []
        for taken_out in range(3):
            rows = []
            for k, alpha in enumerate(optimizer.architectural_weights):
                row = optimizer.relaxation()(alpha.detach().unsqueeze(0), False)[0].clone()
                if k in chosen:
                    row = torch.eye(3)[chosen[k]]
                elif k == index:
                    row[taken_out] = 0.0
                rows.append(row)
            losses.append(sum(cross_entropy(mlp_by_hand(optimizer, x, torch.stack(rows)), y) for x, y in valid))
        chosen[index] = int(torch.stack(losses).argmax())
    torch.manual_seed(7)
    optimizer.select_architecture(train, valid)
    assert [int(scores.argmax()) for scores in optimizer.outcome] == [chosen[k] for k in range(3)]
    assert len(set(chosen.values())) > 1 or 0 not in chosen.values()  # not what a lost projection gives
    assert all(data.op.on_weights == () for data in mixed_edges(optimizer.graph, "cell"))


# layer alignment


def test_the_regularizer_is_a_double_backward():
    optimizer = _adapted("lambda_darts")
    data = batch(seed=4)
    expected = _lambda(optimizer, data, _rows([a.softmax(-1) for a in optimizer.architectural_weights]))
    found = _regularizer(optimizer, data)
    assert expected.norm() > 1e-3
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("extra", [{}, {"drop_path": {"drop_prob": 0.5}}, {"auxiliary_skip": {}}], ids=str)
def test_the_regularizer_survives_checkpointing(extra: dict):
    found = []
    for checkpoint in (False, True):
        optimizer = _adapted("lambda_darts", ConvSpace, extra, checkpoint_cells=checkpoint)
        found.append(_regularizer(optimizer, images(seed=5)))
    assert found[0].norm() > 1e-4
    torch.testing.assert_close(found[1], found[0], rtol=1e-8, atol=1e-11)


def test_the_regularizer_sees_the_paths_that_the_step_dropped():
    """Lambda is of the loss whose gradients are compared: the same samples are dropped in all three passes."""
    optimizer = _adapted("lambda_darts", parts={"drop_path": {"drop_prob": 0.6}})
    data = batch(seed=4)
    masks: list[Tensor] = []
    kept = torch.bernoulli

    def recording(*args, **kwargs):
        masks.append(kept(*args, **kwargs))
        return masks[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "bernoulli", recording)
        _weight_gradient(optimizer, data)
    assert len(masks) == 18  # six edges in each pass
    for first, second, third in zip(masks[:6], masks[6:12], masks[12:], strict=True):
        assert torch.equal(first, second) and torch.equal(first, third)
    assert 0 < sum(float(mask.mean()) for mask in masks) < 18


@pytest.mark.parametrize("order", [("perturbation", "layer_alignment"), ("layer_alignment", "perturbation")])
def test_the_ascent_of_the_adversary_is_the_same_in_both_orders(order: tuple[str, str]):
    keywords = {"perturbation": {"kind": "adversarial", "steps": 3, "radius_max": 0.2}, "layer_alignment": {}}
    optimizer = _adapted("darts", parts={name: keywords[name] for name in order})
    data = batch(seed=6)
    part = optimizer.parts["perturbation"]
    torch.manual_seed(3)
    part._relaxation.radius = None
    start = torch.stack([a.detach().softmax(-1) for a in optimizer.architectural_weights])
    # the ascent, written out
    point = _simplex(start + torch.empty_like(start).uniform_(-part.radius, part.radius))
    for _ in range(3):
        rows = point.clone().requires_grad_()
        loss = cross_entropy(mlp_by_hand(optimizer, data[0], rows), data[1])
        step = point + 2 * part.radius / 3 * torch.autograd.grad(loss, rows)[0].sign()
        point = _simplex(start + (step - start).clamp(-part.radius, part.radius))
    expected = cross_entropy(mlp_by_hand(optimizer, data[0], point), data[1])
    assert expected > cross_entropy(mlp_by_hand(optimizer, data[0], start), data[1]) + 1e-3
    torch.manual_seed(3)
    loss = optimizer.weight_step(data)[1]
    torch.testing.assert_close(loss, expected.detach(), rtol=0, atol=1e-12)


def _simplex(rows: Tensor) -> Tensor:
    clipped = rows.clamp(0, 1)
    return clipped / clipped.sum(-1, keepdim=True)


@pytest.mark.parametrize("order", [("perturbation", "layer_alignment"), ("layer_alignment", "perturbation")])
def test_the_regularizer_is_that_of_the_perturbed_weights(order: tuple[str, str]):
    keywords = {"perturbation": {"kind": "adversarial", "steps": 2}, "layer_alignment": {}}
    optimizer = _adapted("darts", parts={name: keywords[name] for name in order})
    data = batch(seed=6)
    torch.manual_seed(3)
    optimizer.parts["perturbation"].before_weight_step(data)
    (worst,) = optimizer.parts["perturbation"]._worst.values()
    torch.testing.assert_close(
        _regularizer(optimizer, data), _lambda(optimizer, data, _rows(worst)), rtol=1e-5, atol=1e-8
    )


# snas


def _joint_gradients(optimizer: OneShotOptimizer, data, seed: int = 3) -> tuple[Tensor, Tensor]:
    """Return the gradients of weights and alphas of a joint step; both optimizers stand still."""
    for group in (*optimizer.op_optimizer.param_groups, *optimizer.arch_optimizer.param_groups):
        group["lr"] = 0.0
    torch.manual_seed(seed)
    optimizer.joint_step(data, batch(seed=77))
    weights, alphas = optimizer.weights, optimizer.architectural_weights
    return _flat(w.grad for w in weights), _flat(a.grad for a in alphas)


def _sampled_rows(optimizer: OneShotOptimizer, seed: int = 3) -> Tensor:
    torch.manual_seed(seed)
    return torch.stack(tuple(optimizer.relaxation()(torch.stack(list(optimizer.architectural_weights)), True)))


def test_snas_with_layer_alignment_trains_alpha_and_aligns():
    optimizer = _adapted("snas", parts={"layer_alignment": {}}, arch_grad_clip=0, tau_last=1.0)
    data = batch(seed=8)
    sampled = _sampled_rows(optimizer)
    loss = cross_entropy(mlp_by_hand(optimizer, data[0], sampled), data[1])
    expected = _flat(torch.autograd.grad(loss, list(optimizer.architectural_weights)))
    _, alphas = _joint_gradients(optimizer, data)
    assert expected.norm() > 1e-3
    torch.testing.assert_close(alphas, expected, rtol=0, atol=1e-12)
    regularizer = _regularizer(optimizer, data, lambda o, d: _joint_gradients(o, d)[0])
    expected = _lambda(optimizer, data, _rows(sampled))
    torch.testing.assert_close(regularizer, expected, rtol=1e-5, atol=1e-8)


class _Scaling(Part):
    @property
    def scales_loss(self) -> bool:
        return True

    def architecture_loss(self, loss: Tensor) -> Tensor:
        return 5.0 * loss.square() + self.optimizer.architectural_weights[0].sum()


def test_what_is_added_to_the_architecture_loss_leaves_the_weights_of_snas_alone():
    optimizer = _adapted("snas", arch_grad_clip=0, tau_last=1.0)
    data = batch(seed=8)
    plain, alphas = _joint_gradients(optimizer, data)
    loss = cross_entropy(mlp_by_hand(optimizer, data[0], _sampled_rows(optimizer)), data[1]).detach()
    optimizer.parts["scaling"] = _Scaling()
    optimizer.parts["scaling"].optimizer = optimizer
    weights, scaled = _joint_gradients(optimizer, data)
    assert torch.equal(weights, plain)
    expected = 10.0 * loss * alphas
    expected[:3] += 1.0
    torch.testing.assert_close(scaled, expected, rtol=1e-10, atol=1e-12)


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
        optimizer = _adapted(name, parts=parts, epoch=1)
        train, valid = batch(seed=1), batch(seed=2)
        expected = _eigenvalue(optimizer, valid, RELAXED[name])
        optimizer.step(train, valid)
        assert optimizer.parts["early_stopping"].eigenvalues == pytest.approx([expected], rel=1e-9)


@pytest.mark.parametrize("name", ["darts", "snas", "drnas"])
def test_measuring_the_eigenvalue_leaves_no_trace(name: str):
    found = []
    for parts in ({}, {"early_stopping": {}}):
        optimizer = _adapted(name, ConvSpace, {**parts, "drop_path": {"drop_prob": 0.5}}, epoch=1)
        torch.manual_seed(5)
        optimizer.step(images(seed=1), images(seed=2))
        buffers = [t for norm in batch_norm_modules(optimizer.graph) for t in norm.buffers()]
        found.append(torch.cat([_flat(buffers), _flat(optimizer.weights), _flat(optimizer.architectural_weights)]))
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
        optimizer = _adapted("darts_pt", parts={name: keywords[name] for name in names})
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
        optimizer = _adapted("enas", parts=parts)
        codes = list(itertools.product(range(3), repeat=3))
        seen: list[float] = []
        reward = optimizer._reward
        optimizer._reward = lambda *args, s=seen, r=reward: s.append(r(*args)) or s[-1]
        optimizer._best_of(codes, batch(40, seed=3))
        rewards.append(seen)
    assert rewards[0] == rewards[1] and len(set(rewards[0])) > 3


@pytest.mark.parametrize("extra", [{"auxiliary_skip": {}}, {"partial_channels": {"k": 2}}], ids=str)
def test_an_edge_that_is_taken_out_is_gone_with_all_that_passes_by(extra: dict):
    optimizer = _adapted("darts_pt", ConvSpace, extra)
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
    optimizer = _adapted("spos", ConvSpace, {"auxiliary_skip": {}, "partial_channels": {"k": 2}})
    optimizer.use_choices((-1, 0, 2))
    x = images(seed=3)[0].repeat(1, 2, 1, 1)
    entries = {id(data.alpha): entry for data, entry in zip(optimizer.decisions, optimizer.entries, strict=True)}
    for data in mixed_edges(optimizer.graph, "cell"):
        output = data.op.apply_weights(x, entries[id(data.alpha)].draw)
        assert (output == 0).all() == (data.alpha is optimizer.decisions[0].alpha)


# thresholds


@pytest.mark.parametrize(("sigmoid", "stays"), [(0.9, True), (0.8, False)])
def test_the_threshold_of_fair_darts_is_on_the_sigmoid_alone(sigmoid: float, stays: bool):
    optimizer = _adapted("fair_darts", ConvSpace, {"edge_normalization": {}})
    with torch.no_grad():
        for alpha in optimizer.architectural_weights:
            alpha.copy_(torch.tensor([0.1, sigmoid, 0.3, 0.2]).logit())
    final = optimizer.get_final_architecture()
    ops = [e.data.op for e in final._edges_in_scope("cell", private_edge_data=True) if e.data.has("op_index")]
    assert len(ops) == 6 and {isinstance(op, Zero) for op in ops} == {not stays}
    optimizer.outcome = [torch.tensor([0.0, 1.0, 0.0, 0.0])] * 3  # a selection phase has its own reasons
    final = optimizer.get_final_architecture()
    assert not any(isinstance(module, Zero) for module in final.modules())


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
    return _flat(torch.autograd.grad(val_loss, alphas))


@pytest.mark.parametrize(("hessian", "tolerance"), [("finite_difference", 2e-3), ("exact", 1e-9)])
def test_all_passes_of_the_second_order_step_drop_the_same_paths(hessian: str, tolerance: float):
    parts = {"drop_path": {"drop_prob": 0.5}}
    optimizer = _adapted("darts", parts=parts, unrolled=True, hessian=hessian, learning_rate=1.0)
    train, valid = batch(seed=1), batch(seed=2)
    expected = _second_order(optimizer, train, valid, seed=11)
    torch.manual_seed(11)
    found = _flat(optimizer.architecture_gradient(train, valid)[0])
    assert (found - expected).norm() < tolerance * expected.norm()


@pytest.mark.parametrize("extra", [{}, {"drop_path": {"drop_prob": 0.5}}], ids=str)
def test_second_order_with_checkpointed_cells(extra: dict):
    """What is computed again in the backward is computed with the weights of the virtual step."""
    found = []
    for checkpoint in (False, True):
        optimizer = _adapted("darts", ConvSpace, extra, unrolled=True, learning_rate=1.0, checkpoint_cells=checkpoint)
        torch.manual_seed(11)
        found.append(_flat(optimizer.architecture_gradient(images(seed=1), images(seed=2))[0]))
    torch.testing.assert_close(found[1], found[0], rtol=1e-7, atol=1e-9)
    optimizer.unrolled = False
    torch.manual_seed(11)
    first_order = _flat(optimizer.architecture_gradient(images(seed=1), images(seed=2))[0])
    assert (found[0] - first_order).norm() > 0.1 * first_order.norm()


def test_a_checkpointed_graph_is_a_function_of_the_weights_that_it_is_called_with():
    optimizer = _adapted("darts", ConvSpace, checkpoint_cells=True)
    x, y = images(seed=1)
    other = {name: (p.detach() * 1.3 + 0.05).requires_grad_() for name, p in optimizer.graph.named_parameters()}
    found = []
    for checkpoint in (True, False):
        optimizer.graph.set_passes(checkpoint=checkpoint)
        loss = cross_entropy(functional_call(optimizer.graph, other, (x,)), y)
        found.append(_flat(torch.autograd.grad(loss, list(other.values()))))
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-12)
    names = {name for name, _ in optimizer.graph.named_parameters()}
    assert names == set(other) and all(isinstance(p, nn.Parameter) for p in optimizer.graph.parameters())


def test_exact_second_order_with_checkpointed_cells_is_refused():
    optimizer = DARTSOptimizer(unrolled=True, hessian="exact", checkpoint_cells=True)
    with pytest.raises(ConfigError, match=r"hessian=exact does not fit checkpoint_cells=True.*finite_difference"):
        optimizer.adapt_search_space(mlp_space())


# terms of the architecture loss


@pytest.mark.parametrize("reverse", [False, True])
def test_what_multiplies_the_loss_multiplies_no_other_term(reverse: bool):
    optimizer = _adapted("darts", parts={"zero_one_loss": {"weight": 2.0}})
    optimizer.parts["scaling"] = _Scaling()
    optimizer.parts["scaling"].optimizer = optimizer
    if reverse:
        optimizer.parts = dict(reversed(optimizer.parts.items()))
    alphas = list(optimizer.architectural_weights)
    sigmoids = torch.sigmoid(torch.cat(alphas))
    loss = torch.tensor(0.7)
    expected = 5 * 0.7**2 + alphas[0].sum() - 2.0 * (sigmoids - 0.5).square().mean()
    torch.testing.assert_close(optimizer.architecture_loss(loss), expected, rtol=0, atol=1e-12)


def test_what_a_part_watches_is_the_gradient_of_the_validation_loss_itself():
    seen: list[Tensor] = []

    class Watching(Part):
        def watched(self):
            return [self.optimizer.weights[0]]

        def watch(self, gradients):
            seen.extend(gradients)

    optimizer = _adapted("darts")
    valid = batch(seed=2)
    (expected,) = torch.autograd.grad(optimizer.forward_loss(valid)[1], optimizer.weights[:1])
    plain, _, loss = optimizer.architecture_gradient(batch(), valid)
    for name, part in (("scaling", _Scaling()), ("watching", Watching())):
        optimizer.parts[name] = part
        part.optimizer = optimizer
    found, _, _ = optimizer.architecture_gradient(batch(), valid)
    torch.testing.assert_close(seen[0], expected, rtol=0, atol=1e-12)
    for index, (a, b) in enumerate(zip(found, plain, strict=True)):
        torch.testing.assert_close(a, 10 * loss * b + float(index == 0), rtol=1e-10, atol=1e-12)
