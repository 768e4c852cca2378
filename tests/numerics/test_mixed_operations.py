"""The mixed operations as plain modules: outputs, gradients, what they keep in memory, and what they leave alone."""

from __future__ import annotations

import copy
import io
import pickle

import pytest
import torch
from torch import Tensor, nn

from naslib.errors import ConfigError
from naslib.mixed_operations import (
    BinaryMaskedMixedOp,
    BinaryMixedOp,
    BinaryMovingAverageMixedOp,
    BinaryProxylessNASStyleMixedOp,
    ContinuousMixedOp,
    MixedOp,
    rescale_after_steps,
    rescaled_step,
)
from naslib.optimizers.oneshot.estimators import RULES
from naslib.optimizers.oneshot.sampling import membership

KINDS = {
    "continuous": lambda ops, n_on=1: ContinuousMixedOp(ops, n_on),
    "binary": lambda ops, n_on=1: BinaryMixedOp(ops, n_on),
    "masked": lambda ops, n_on=1: BinaryMaskedMixedOp(ops, n_on + 1, n_on),
    "proxyless": lambda ops, n_on=1: BinaryProxylessNASStyleMixedOp(ops, n_on + 1, n_on),
    "moving_average": lambda ops, n_on=1: BinaryMovingAverageMixedOp(ops, n_on + 1, n_on, 0.1),
}


def _layers(n: int = 4, width: int = 4, double: bool = True) -> list[nn.Module]:
    torch.manual_seed(3)
    layers = [nn.Sequential(nn.Linear(width, width), nn.Tanh()) for _ in range(n)]
    return [layer.double() if double else layer for layer in layers]


def _made(kind: str, n_on: int = 1, **kwargs) -> MixedOp:
    op = KINDS[kind](_layers(**kwargs), n_on)
    if kwargs.get("double", True):
        op.double()
    with torch.no_grad():
        op.alpha.copy_(torch.linspace(-1, 1, len(op.operations)))
    return op


def _watch(op: MixedOp) -> list[set[int]]:
    """Record what is evaluated, on operations included, at each backward."""
    found: list[set[int]] = []
    rule = op.mixture.gate_rule

    def watching(grad: Tensor, outputs: dict[int, Tensor], gradient: Tensor) -> None:
        found.append(set(outputs))
        rule(grad, outputs, gradient)

    op.mixture.__dict__["gate_rule"] = watching
    op.mixture._modules.pop("gate_rule", None)
    return found


# construction


def test_alpha_is_a_small_normal_draw():
    torch.manual_seed(1)
    layers = [nn.Identity() for _ in range(2000)]
    op = BinaryMixedOp(layers, 1)
    assert op.alpha.shape == (2000,) and abs(op.alpha.std().item() - 1e-3) < 1e-4 and op.alpha.requires_grad
    assert op.operations == layers and op.name is None


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: BinaryMixedOp([nn.Identity()], 2), "num_on_samples is 2, but BinaryMixedOp has 1 operations"),
        (lambda: BinaryMixedOp([], 1), "at least one operation"),
        (lambda: ContinuousMixedOp([nn.Identity()], 0), "at least 1, not 0"),
        (lambda: BinaryMixedOp([nn.Identity], 1), "takes modules, not .*Identity.*: call it"),
        (lambda: BinaryMixedOp([torch.tanh, nn.Identity()], 1), "takes modules, not .*tanh"),
        (lambda: BinaryMaskedMixedOp(_layers(), 1, 2), r"num_eval_samples \(1\) must not be smaller"),
        (lambda: BinaryMaskedMixedOp(_layers(), 1, 1), "larger than 1"),
        (lambda: BinaryProxylessNASStyleMixedOp(_layers(), 1, 1), "must be larger than 1, not 1"),
        (lambda: BinaryMovingAverageMixedOp(_layers(), 1, 2, 0.1), "must not be smaller"),
        (lambda: BinaryMovingAverageMixedOp(_layers(), 2, 1, 0.0), "rate of a moving average"),
    ],
)
def test_errors(build, message: str):
    with pytest.raises(ConfigError, match=message):
        build()


def test_names_and_positions_of_arguments():
    layers = _layers()
    assert ContinuousMixedOp(layers, 1, "a").name == BinaryMixedOp(layers, 1, name="a").name == "a"
    for cls in (BinaryMaskedMixedOp, BinaryProxylessNASStyleMixedOp):
        assert (cls(layers, 3, 2, "a").num_eval_samples, cls(layers, 3, 2, name="a").name) == (3, "a")
    assert BinaryMovingAverageMixedOp(layers, 3, 2, 0.5, "a").mixture.gate_rule.rate == 0.5
    BinaryMaskedMixedOp(layers, 1, 1, baseline=False)
    BinaryMaskedMixedOp(layers, 99, 1)
    with pytest.raises(TypeError, match="abstract"):
        MixedOp(layers, 1)


# outputs


@pytest.mark.parametrize("n_on", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_deterministic_calls_sum_the_operations_with_the_largest_logits(kind: str, n_on: int):
    op = _made(kind, n_on)
    x = torch.randn(5, 4, dtype=torch.float64)
    expected = sum(layer(x) for layer in op.operations[-n_on:])
    assert op.chosen == tuple(range(4 - n_on, 4))
    torch.testing.assert_close(op.eval()(x), expected, rtol=0, atol=0)
    torch.testing.assert_close(op.discretized()(x), expected, rtol=0, atol=0)
    op.train().stochastic = False  # the weights of the chosen operations are trained on
    torch.testing.assert_close(op(x), expected, rtol=0, atol=0)
    op(x).sum().backward()
    assert op.alpha.grad is None and op.operations[-1][0].weight.grad is not None
    op.eval().stochastic = True
    sampled = {round(op(x).sum().item(), 9) for _ in range(300)}
    assert len(sampled) == (1 if kind == "continuous" else {1: 4, 2: 6}[n_on])


def test_continuous_is_the_softmax_mixture():
    op = _made("continuous")
    x = torch.randn(5, 4, dtype=torch.float64)
    y, p = op(x), op.alpha.softmax(-1)
    expected = sum(w * layer(x) for w, layer in zip(p, op.operations, strict=True))
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-15)
    parameters = list(op.parameters())
    for a, b in zip(
        torch.autograd.grad(y.square().sum(), parameters),
        torch.autograd.grad(expected.square().sum(), parameters),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-14)


# gradients of alpha


@pytest.mark.parametrize("n_on", [1, 2])
@pytest.mark.parametrize(
    ("kind", "rule"), [("binary", "gates"), ("masked", "masked_baseline"), ("proxyless", "renormalized")]
)
def test_gradients_follow_the_rule(kind: str, rule: str, n_on: int):
    op = _made(kind, n_on)
    seen = _watch(op)
    x, upstream = torch.randn(5, 4, dtype=torch.float64), torch.randn(5, 4, dtype=torch.float64)
    (op(x) * upstream).sum().backward()
    a = torch.stack([(layer(x) * upstream).sum() for layer in op.operations]).detach()
    assert len(seen[0]) == (4 if kind == "binary" else n_on + 1)
    mask = membership(torch.tensor([sorted(seen[0])]), 4)
    expected = RULES[rule](op.alpha.detach().unsqueeze(0), mask, a.unsqueeze(0) * mask)[0]
    torch.testing.assert_close(op.alpha.grad, expected, rtol=0, atol=1e-14)
    trained = [layer[0].weight.grad is not None for layer in op.operations]
    assert sum(trained) == n_on  # and only those that ran


def test_masked_without_baseline_drifts():
    op = BinaryMaskedMixedOp(_layers(), 2, 1, baseline=False).double()
    seen = _watch(op)
    op(torch.randn(5, 4, dtype=torch.float64)).sum().backward()
    unseen = [k for k in range(4) if k not in seen[0]]
    assert (op.alpha.grad[unseen] != 0).all()


def test_the_expected_masked_gradient_points_where_the_full_one_does():
    """Averaged over draws, with the baseline: an unevaluated operation does not move, so nothing drifts in between."""
    op = _made("masked")
    with torch.no_grad():
        op.alpha.zero_()
        for layer in op.operations:  # outputs that are all the same: there is nothing to prefer
            layer[0].load_state_dict(op.operations[0][0].state_dict())
    x = torch.randn(5, 4, dtype=torch.float64)
    for _ in range(20):
        op(x).sum().backward()
    torch.testing.assert_close(op.alpha.grad, torch.zeros(4, dtype=torch.float64), rtol=0, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_two_calls_before_the_backward_add_up(kind: str):
    """A layer that is called twice keeps a draw per call: the public code overwrote the first one's."""
    op = _made(kind)
    x, z = torch.randn(5, 4, dtype=torch.float64), torch.randn(5, 4, dtype=torch.float64)
    separate = torch.zeros_like(op.alpha)
    if kind == "moving_average":
        _fill(op)
    reference = copy.deepcopy(op)
    torch.manual_seed(11)
    outputs = [op(x), op(z)]
    sum(y.square().sum() for y in outputs).backward()
    torch.manual_seed(11)
    repeated = [reference(x), reference(z)]
    for y, again in reversed(list(zip(outputs, repeated, strict=True))):  # in the order of the backward
        torch.testing.assert_close(again, y, rtol=0, atol=0)
        (gradient,) = torch.autograd.grad(again.square().sum(), reference.alpha)
        separate += gradient
    torch.testing.assert_close(op.alpha.grad, separate, rtol=0, atol=1e-13)


def _fill(op: MixedOp) -> None:
    """Give every operation an estimate."""
    outputs = {k: torch.randn(5, 4, dtype=torch.float64) for k in range(4)}
    op.mixture.gate_rule(torch.randn(5, 4, dtype=torch.float64), outputs, torch.zeros(4, dtype=torch.float64))


def test_two_layers_with_one_alpha_add_up():
    first, second = _made("binary"), _made("binary")
    second.alpha = first.alpha
    x = torch.randn(5, 4, dtype=torch.float64)
    (first(x) + second(x)).square().sum().backward()
    total = first.alpha.grad.clone()
    assert len({id(p) for op in (first, second) for p in op.parameters() if p.shape == (4,) and p is first.alpha}) == 1
    assert total.abs().sum() > 0 and total.sum().abs() < 1e-12


# memory and side effects


def _kept(op: MixedOp, x: Tensor) -> int:
    """Return the bytes that a forward keeps for the backward, parameters left out, each storage once."""
    own = {p.untyped_storage().data_ptr() for p in op.parameters()} | {x.untyped_storage().data_ptr()}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage().data_ptr() not in own:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        y = op(x)
    assert y.requires_grad
    return sum(kept.values())


@pytest.mark.parametrize("kind", ["binary", "masked", "proxyless", "moving_average"])
def test_memory_is_that_of_what_runs(kind: str):
    x = torch.randn(64, 32)
    sizes = [_kept(KINDS[kind](_layers(n, 32, double=False)), x) for n in (2, 4, 16)]
    fixed = _kept(ContinuousMixedOp(_layers(1, 32, double=False), 1), x)
    one = 64 * 32 * 4
    assert max(sizes) - min(sizes) < one / 4  # masks and logits alone
    assert max(sizes) < fixed + one / 4
    all_of_them = _kept(ContinuousMixedOp(_layers(16, 32, double=False), 1), x)
    assert all_of_them > 8 * max(sizes)


@pytest.mark.parametrize("kind", ["binary", "masked", "proxyless", "moving_average"])
def test_operations_that_are_off_leave_no_trace(kind: str):
    torch.manual_seed(0)
    layers = [nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5)) for _ in range(4)]
    op = KINDS[kind](layers)
    before = [layer[1].running_mean.clone() for layer in layers]
    y = op(torch.randn(8, 4))
    moved = [not torch.equal(layer[1].running_mean, old) for layer, old in zip(layers, before, strict=True)]
    assert sum(moved) == 1
    statistics = {k: v.clone() for k, v in op.state_dict().items() if "gate_rule" not in k}
    state = torch.get_rng_state()
    y.sum().backward()
    assert torch.equal(torch.get_rng_state(), state)
    now = op.state_dict()
    assert all(torch.equal(now[key], value) for key, value in statistics.items())
    assert [layer[0].weight.grad is not None for layer in layers] == moved


# rescaling


@pytest.mark.parametrize("kind", ["SGD", "Adam", "AdamW", "RMSprop"])
@pytest.mark.parametrize("hooked", [True, False])
def test_probabilities_of_what_was_not_evaluated_stay(kind: str, hooked: bool):
    """In the usual alternation, whose weight steps also reach alpha, with any optimizer and weight decay."""
    op = _made("proxyless", double=False).float()
    kwargs = {"momentum": 0.9} if kind == "SGD" else {}
    arch = getattr(torch.optim, kind)([op.alpha], lr=0.1, weight_decay=0.1, **kwargs)
    weights = torch.optim.SGD([p for p in op.parameters() if p is not op.alpha], lr=0.1)
    if hooked:
        handles = rescale_after_steps(arch, op)
    seen = _watch(op)
    for _ in range(6):
        arch.zero_grad()
        op(torch.randn(8, 4)).square().sum().backward()
        before, others = op.alpha.detach().softmax(-1), [k for k in range(4) if k not in seen[-1]]
        if hooked:
            arch.step()
        else:
            with rescaled_step(op):
                arch.step()
        torch.testing.assert_close(op.alpha.detach().softmax(-1)[others], before[others], rtol=0, atol=6e-8)
        assert (op.alpha.detach().softmax(-1) - before)[sorted(seen[-1])].abs().max() > 1e-4
        weights.zero_grad()
        op(torch.randn(8, 4)).square().sum().backward()
        weights.step()
    if hooked:
        for handle in handles:
            handle.remove()
        old = op.alpha.detach().clone()
        op.alpha.grad = torch.tensor([1.0, 0.0, 0.0, -1.0])
        arch.step()
        assert not torch.equal(op.alpha[1:3], old[1:3])  # weight decay moves them again


def test_rescaling_leaves_other_layers_alone():
    model = nn.ModuleList([_made("masked", double=False), _made("proxyless", double=False)])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.5)
    rescale_after_steps(optimizer, model)
    before = model[0].alpha.detach().clone()
    model[0].alpha.grad = torch.zeros(4)
    optimizer.step()  # and a layer without gradient is no problem
    torch.testing.assert_close(model[0].alpha.detach(), before * 0.95)


# the moving average


def test_moving_average_gradient_is_that_of_fresh_and_remembered_outputs():
    op = _made("moving_average")
    _fill(op)
    rule = copy.deepcopy(op.mixture.gate_rule)
    x, upstream = torch.randn(5, 4, dtype=torch.float64), torch.randn(5, 4, dtype=torch.float64)
    (op(x) * upstream).sum().backward()
    evaluated = (op.mixture.gate_rule.counts == 2).nonzero().flatten().tolist()
    assert len(evaluated) == 2
    s = upstream.sum(0)
    a = torch.stack(
        [
            s @ (layer(x).mean(0) if k in evaluated else rule.mean[k] / 0.1)  # 1 - (1 - 0.1)^1
            for k, layer in enumerate(op.operations)
        ]
    )
    p = op.alpha.detach().softmax(-1)
    torch.testing.assert_close(op.alpha.grad, p * (a - (p * a).sum()).detach(), rtol=0, atol=1e-12)
    assert (op.alpha.grad != 0).all()


def test_moving_average_needs_inputs_of_one_size():
    op = BinaryMovingAverageMixedOp([nn.ReLU(), nn.Identity()], 2, 1, 0.1)
    op(torch.ones(2, 3, requires_grad=True)).sum().backward()
    op(torch.ones(9, 3, requires_grad=True)).sum().backward()
    with pytest.raises(ConfigError, match="inputs of one size"):
        op(torch.ones(2, 5, requires_grad=True)).sum().backward()


# copies, files, compilation


@pytest.mark.parametrize("kind", KINDS)
def test_copies_and_files(kind: str):
    op = _made(kind, n=4)
    x = torch.randn(5, 4, dtype=torch.float64)
    op(x).sum().backward()
    fresh = _made(kind, n=4)
    buffer = io.BytesIO()
    torch.save(op.state_dict(), buffer)
    buffer.seek(0)
    fresh.load_state_dict(torch.load(buffer, weights_only=True))
    for other in (copy.deepcopy(op), pickle.loads(pickle.dumps(op)), fresh):
        assert other.alpha is not op.alpha and torch.equal(other.alpha, op.alpha)
        torch.testing.assert_close(other.state_dict(), op.state_dict(), rtol=0, atol=0)
        assert list(other.state_dict()) == list(op.state_dict())
        results = []
        for module in (op, other):
            module = copy.deepcopy(module)
            module.zero_grad()
            torch.manual_seed(5)
            y = module(x)
            y.square().sum().backward()
            results.append((y.detach(), [p.grad for p in module.parameters()]))
        torch.testing.assert_close(results[0], results[1], rtol=0, atol=0)


class _Net(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.first, self.mixed, self.last = nn.Linear(4, 4), KINDS[kind](_layers(double=False)), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.relu(self.mixed(torch.tanh(self.mixed(self.first(x))))))


def _compiled_equals_eager(kind: str, backend: str, tolerance: float) -> None:
    torch.manual_seed(0)
    eager = _Net(kind)
    compiled = torch.compile(copy.deepcopy(eager), backend=backend)
    for step in range(4):
        x = torch.randn(6, 4, generator=torch.Generator().manual_seed(step))
        results = []
        for module in (eager, compiled):
            torch.manual_seed(100 + step)
            module.zero_grad()
            y = module(x)
            y.square().sum().backward()
            results.append((y.detach(), {n.removeprefix("_orig_mod."): p.grad for n, p in module.named_parameters()}))
        assert {n for n, g in results[0][1].items() if g is None} == {n for n, g in results[1][1].items() if g is None}
        torch.testing.assert_close(results[1], results[0], rtol=tolerance, atol=tolerance)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] >= 3  # before, between and after the two calls


# dynamo reads `.grad` of what enters the code after a graph break, and hides the warning in a way that "error" defeats
GRAD_OF_NON_LEAF = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")


@GRAD_OF_NON_LEAF
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiled_models_draw_and_differentiate_as_eager_ones(kind: str, backend: str):
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    _compiled_equals_eager(kind, backend, 1e-6)


@pytest.mark.slow
@GRAD_OF_NON_LEAF
def test_models_compiled_by_inductor():
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    _compiled_equals_eager("masked", "inductor", 1e-5)
