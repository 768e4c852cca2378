"""Mixed operations keep little, leave no trace, and can be copied, saved and compiled."""

from __future__ import annotations

import copy
import io
import pickle

import pytest
import torch
from mixed_layers import KINDS, layers, made
from torch import Tensor, nn

from naslib.mixed_operations import ContinuousMixedOp, MixedOp

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
    sizes = [_kept(KINDS[kind](layers(n, 32, double=False)), x) for n in (2, 4, 16)]
    fixed = _kept(ContinuousMixedOp(layers(1, 32, double=False), 1), x)
    one = 64 * 32 * 4
    assert max(sizes) - min(sizes) < one / 4  # masks and logits alone
    assert max(sizes) < fixed + one / 4
    all_of_them = _kept(ContinuousMixedOp(layers(16, 32, double=False), 1), x)
    assert all_of_them > 8 * max(sizes)


@pytest.mark.parametrize("kind", ["binary", "masked", "proxyless", "moving_average"])
def test_operations_that_are_off_leave_no_trace(kind: str):
    torch.manual_seed(0)
    ops = [nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5)) for _ in range(4)]
    op = KINDS[kind](ops)
    before = [layer[1].running_mean.clone() for layer in ops]
    y = op(torch.randn(8, 4))
    moved = [not torch.equal(layer[1].running_mean, old) for layer, old in zip(ops, before, strict=True)]
    assert sum(moved) == 1
    statistics = {k: v.clone() for k, v in op.state_dict().items() if "gate_rule" not in k}
    state = torch.get_rng_state()
    y.sum().backward()
    assert torch.equal(torch.get_rng_state(), state)
    now = op.state_dict()
    assert all(torch.equal(now[key], value) for key, value in statistics.items())
    assert [layer[0].weight.grad is not None for layer in ops] == moved


# copies, files, compilation


@pytest.mark.parametrize("kind", KINDS)
def test_copies_and_files(kind: str):
    op = made(kind, n=4)
    x = torch.randn(5, 4, dtype=torch.float64)
    op(x).sum().backward()
    fresh = made(kind, n=4)
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
        self.first, self.mixed, self.last = nn.Linear(4, 4), KINDS[kind](layers(double=False)), nn.Linear(4, 2)

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
