"""ProxylessNAS: gates against the formula, pairs against their law, one path in memory and in the weight step."""

from __future__ import annotations

import copy
import io
import itertools
from pathlib import Path

import pytest
import torch
from small_spaces import batch, mlp_space
from torch import nn

from naslib.config.yaml_reader import read_yaml
from naslib.errors import ConfigError
from naslib.optimizers import ProxylessNASOptimizer
from naslib.optimizers.oneshot.methods.proxylessnas import PathSampler
from naslib.optimizers.oneshot.methods.proxylessnas.sampler import draw_pair
from naslib.optimizers.oneshot.parts import PARTS, Part
from naslib.optimizers.oneshot.supernet.relaxed_op import RelaxedMixedOp
from naslib.search_spaces.core.primitives import MixedOp, Zero

P = torch.tensor([0.5, 0.3, 0.15, 0.05], dtype=torch.float64)


def _adapted(seed: int = 0, *, double: bool = False, norms: bool = False, **kwargs) -> ProxylessNASOptimizer:
    torch.manual_seed(seed)
    settings = {"learning_rate": 0.1, "arch_learning_rate": 0.1, "warm_up_epochs": 0, **kwargs}
    optimizer = ProxylessNASOptimizer(**settings)
    optimizer.adapt_search_space(mlp_space(batch_norm=norms))
    optimizer.before_training()
    optimizer.new_epoch(0)
    with torch.no_grad():
        for alpha in optimizer.architectural_weights:
            alpha.copy_(torch.randn(3))
    if double:
        optimizer.graph.double()
        optimizer.architectural_weights.double()
    return optimizer


def _data(seed: int = 1, dtype: torch.dtype = torch.float32):
    return batch(n=16, seed=seed, dtype=dtype)


def _drawn(optimizer: ProxylessNASOptimizer) -> list[torch.Tensor]:
    return optimizer._active(optimizer.last_sample)


def _gate_gradients(optimizer: ProxylessNASOptimizer, x: torch.Tensor, y: torch.Tensor) -> list[torch.Tensor]:
    """Return dL/dg by autograd of sum_k g_k o_k(x) in a network written out by hand, g the one-hots drawn last."""
    gates = [one_hot.to(x).requires_grad_() for one_hot in _drawn(optimizer)]
    of = {id(data.alpha): gate for data, gate in zip(optimizer.decisions, gates, strict=True)}
    macro = optimizer.graph

    def edge(cell, u, v, value):
        data = cell.edges[u, v]
        return sum(gate * op(value) for gate, op in zip(of[id(data.alpha)], data.op.primitives, strict=True))

    def run(cell, value):
        return edge(cell, 1, 3, value) + edge(cell, 2, 3, edge(cell, 1, 2, value))

    hidden = macro.edges[1, 2].op(x)
    hidden = run(macro.edges[3, 4].op, run(macro.edges[2, 3].op, hidden))
    loss = nn.functional.cross_entropy(macro.edges[4, 5].op(hidden), y)
    return list(torch.autograd.grad(loss, gates))


# gates


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("mode", ["full", "full_v2"])
def test_gradient_of_the_gates(mode: str, seed: int):
    optimizer = _adapted(seed, double=True, mode=mode)
    x, y = _data(seed, torch.float64)
    gradient, _, _ = optimizer.architecture_gradient((x, y), (x, y))
    a = _gate_gradients(optimizer, x, y)
    for alpha, found, gates in zip(optimizer.architectural_weights, gradient, a, strict=True):
        p = alpha.detach().softmax(-1)
        expected = torch.stack(
            [sum(gates[j] * p[j] * (float(i == j) - p[i]) for j in range(3)) for i in range(3)]
        )  # the paper's Eq. 4, written out
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("seed", range(6))
def test_gradient_of_a_pair(seed: int):
    optimizer = _adapted(seed, double=True, mode="two")
    x, y = _data(seed, torch.float64)
    gradient, _, _ = optimizer.architecture_gradient((x, y), (x, y))
    a = _gate_gradients(optimizer, x, y)
    pairs = optimizer._involved(optimizer.last_sample)
    for alpha, found, gates, mask in zip(optimizer.architectural_weights, gradient, a, pairs, strict=True):
        first, second = mask.nonzero().flatten().tolist()
        q = alpha.detach()[[first, second]].softmax(-1)
        expected = torch.zeros(3, dtype=torch.float64)
        expected[first] = gates[first] * q[0] * (1 - q[0]) - gates[second] * q[1] * q[0]
        expected[second] = gates[second] * q[1] * (1 - q[1]) - gates[first] * q[0] * q[1]
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-14)
        assert abs(float(found.sum())) < 1e-14


def test_full_and_full_v2_are_one_gradient():
    gradients = []
    for mode in ("full", "full_v2"):
        optimizer = _adapted(3, double=True, norms=True, mode=mode)
        x, y = _data(3, torch.float64)
        torch.manual_seed(11)
        gradients.append(optimizer.architecture_gradient((x, y), (x, y)))
    for first, second in zip(gradients[0][0], gradients[1][0], strict=True):
        torch.testing.assert_close(first, second, rtol=0, atol=1e-14)
        assert first.abs().max() > 1e-6
    assert torch.equal(gradients[0][1], gradients[1][1])


def test_an_architecture_step_touches_nothing_but_alpha():
    optimizer = _adapted(norms=True)
    before = copy.deepcopy(optimizer.graph.state_dict())
    optimizer.architecture_step(_data(1), _data(2))
    assert all(weight.grad is None for weight in optimizer.weights)
    assert all(torch.equal(before[key], value) for key, value in optimizer.graph.state_dict().items())


def _saved(mode: str, n_ops: int) -> int:
    """Return the bytes that the forward of an architecture step keeps."""
    mixed = RelaxedMixedOp([nn.Sequential(nn.Linear(32, 32), nn.Tanh()) for _ in range(n_ops)])
    logits = torch.zeros(1, n_ops, requires_grad=True)
    kept: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.nbytes) or t, lambda t: t):
        mixed.apply_weights(torch.randn(64, 32), PathSampler(mode)(logits, True)[0])
    assert len(kept) > 3
    return sum(kept)


def test_memory_does_not_grow_with_the_number_of_candidates():
    of_a_gate = 64  # bytes: logits, mask, gates
    output = 64 * 32 * 4
    for mode in ("full_v2", "two"):
        assert _saved(mode, 12) - _saved(mode, 3) <= 9 * of_a_gate
    assert _saved("full", 12) - _saved("full", 3) >= 9 * output


# pairs


def test_pairs_are_multinomial_without_replacement_and_the_active_one_follows_their_softmax():
    n = 60_000
    torch.manual_seed(0)
    active, pairs = draw_pair(P.log().expand(n, 4) + 3.0)
    assert (pairs[:, 0] != pairs[:, 1]).all()
    assert ((active == pairs[:, 0]) | (active == pairs[:, 1])).all()
    for a, b in itertools.combinations(range(4), 2):
        chosen = (pairs.sort(-1).values == torch.tensor([a, b])).all(-1)
        p = float(P[a] * P[b] / (1 - P[a]) + P[b] * P[a] / (1 - P[b]))
        assert abs(float(chosen.sum()) - n * p) < 4 * (n * p * (1 - p)) ** 0.5
        # being the first of the pair has another law, (1 - p_b) / (2 - p_a - p_b)
        q, count = float(P[a] / (P[a] + P[b])), int(chosen.sum())
        assert abs(float((active[chosen] == a).sum()) - count * q) < 4 * (count * q * (1 - q)) ** 0.5


def test_a_path_follows_the_softmax():
    n = 40_000
    torch.manual_seed(0)
    draws = PathSampler("full_v2")(P.log().expand(n, 4), True)
    counts = torch.bincount(torch.tensor([draw.on[0] for draw in draws]), minlength=4)
    assert ((counts - n * P).abs() < 4 * (n * P * (1 - P)).sqrt()).all()


@pytest.mark.parametrize("arch_optimizer", ["Adam", "SGD", "RMSprop"])
def test_probabilities_outside_the_pair_are_unchanged(arch_optimizer: str):
    """Also where the optimizer has weight decay; without the rescaling they change in the second digit."""
    optimizer = _adapted(mode="two", arch_optimizer=arch_optimizer, arch_weight_decay=0.1)
    moved = 0.0
    for seed in range(6):
        before = [alpha.detach().clone() for alpha in optimizer.architectural_weights]
        optimizer.architecture_step(_data(seed), _data(seed))
        pairs = optimizer._involved(optimizer.last_sample)
        for alpha, old, mask in zip(optimizer.architectural_weights, before, pairs, strict=True):
            assert mask.sum() == 2
            new, p = alpha.detach(), old.softmax(-1)
            assert torch.equal(new[~mask], old[~mask])
            torch.testing.assert_close(new.softmax(-1)[~mask], p[~mask], rtol=0, atol=5e-7)
            moved = max(moved, float((new - old).abs().max()))
    assert moved > 1e-3


def test_a_decision_without_alternative_is_no_pair():
    draws = PathSampler("two")(torch.zeros(2, 1, requires_grad=True), True)
    assert [(draw.on, draw.evaluated) for draw in draws] == [((0,), ())] * 2


# the weight step


@pytest.mark.parametrize("mode", ["full", "full_v2", "two"])
def test_operations_that_were_not_drawn_are_left_alone(mode: str):
    """No gradient, no decay and no momentum, also after they had some (`zero_grad` to zeros would decay them)."""
    optimizer = _adapted(mode=mode, momentum=0.9, weight_decay=0.1)
    idle = 0
    for seed in range(12):
        before = {name: value.clone() for name, value in optimizer.graph.named_parameters()}
        had_momentum = {id(w) for w in optimizer.weights if "momentum_buffer" in optimizer.op_optimizer.state[w]}
        optimizer.weight_step(_data(seed))
        drawn = {id(d.alpha): mask for d, mask in zip(optimizer.decisions, _drawn(optimizer), strict=True)}
        resting = {
            id(weight)
            for edge in optimizer.graph._edges_in_scope("cell", private_edge_data=True)
            for on, op in zip(drawn[id(edge.data.alpha)].tolist(), edge.data.op.primitives, strict=True)
            for weight in op.parameters()
            if not on
        }
        for name, weight in optimizer.graph.named_parameters():
            assert torch.equal(weight, before[name]) == (id(weight) in resting), name
        idle += len(resting & had_momentum)
    assert idle > 20


def test_one_path_runs_in_the_weight_step():
    optimizer = _adapted(mode="full")
    calls: list[int] = []
    for module in optimizer.graph.modules():
        if isinstance(module, MixedOp):
            for primitive in module.primitives:
                primitive.register_forward_hook(lambda *_: calls.append(1))
    optimizer.weight_step(_data())
    assert len(calls) == 6  # two cells of three edges
    optimizer.architecture_step(_data(), _data())
    assert len(calls) == 6 + 18


def test_the_order_and_the_interval_of_updates():
    """Weights first, as in the authors' code; alpha every second step; none while warming up."""
    optimizer = _adapted(arch_interval=2, warm_up_epochs=1)
    changes = []
    for epoch in (0, 1):
        optimizer.new_epoch(epoch)
        for seed in range(4):
            before = [alpha.detach().clone() for alpha in optimizer.architectural_weights]
            weights = [w.detach().clone() for w in optimizer.weights]
            results = optimizer.step(_data(seed), _data(seed + 50))
            assert not any(result.requires_grad for result in results)
            assert any(not torch.equal(a, b) for a, b in zip(weights, optimizer.weights, strict=True))
            after = optimizer.architectural_weights
            changes.append(any(not torch.equal(a, b) for a, b in zip(before, after, strict=True)))
    assert changes == [False] * 4 + [False, True, False, True]
    assert ProxylessNASOptimizer().parts["warm_up"].epochs == 1
    assert ProxylessNASOptimizer(parts={"warm_up": {"epochs": 7}}).parts["warm_up"].epochs == 7


def test_evaluation_takes_the_most_likely_path():
    optimizer = _adapted(2)
    x, _ = _data()
    graph = optimizer.graph.eval()
    assert torch.equal(graph(x), graph(x))
    torch.testing.assert_close(graph(x), optimizer.get_final_architecture().eval()(x))


def test_evaluation_by_the_statistics_of_the_batch():
    """Running statistics of a supernet mix all paths; the preset evaluates as the authors do."""
    optimizer = _adapted(2, norms=True, batch_norm="batch")
    for seed in range(3):
        optimizer.step(_data(seed), _data(seed + 50))
    x, _ = _data()
    evaluated = optimizer.graph.eval()(x)
    torch.testing.assert_close(evaluated, optimizer.get_final_architecture().train()(x))
    preset = Path(__file__).resolve().parents[2] / "configs" / "proxylessnas.yaml"
    assert read_yaml(preset)[0]["search"]["batch_norm"] == "batch"


# the bugs of others


class _Breaks(nn.Module):
    broken = False

    def forward(self, x):
        if self.broken:
            raise ValueError("broken on purpose")
        return x


@pytest.mark.parametrize("kwargs", [{"mode": "full_v2"}, {"mode": "two"}, {"update": "reinforce"}])
def test_an_exception_leaves_a_whole_network(kwargs: dict):
    """No candidate is taken out of the network for a step, so none can be missing after it."""
    torch.manual_seed(0)
    space, breaks = mlp_space(batch_norm=True), _Breaks()
    for edge in space._edges_in_scope("cell", private_edge_data=True):
        edge.data.set("op", [*edge.data.op, breaks])
    optimizer = ProxylessNASOptimizer(warm_up_epochs=0, **kwargs)
    optimizer.adapt_search_space(space)
    optimizer.before_training()
    with torch.no_grad():
        for alpha in optimizer.architectural_weights:
            alpha[3] = 50.0
    broken = [module for module in optimizer.graph.modules() if isinstance(module, _Breaks)]
    names = list(optimizer.graph.state_dict())
    for module in broken:
        module.broken = True
    for step in (optimizer.weight_step, lambda data: optimizer.architecture_step(data, data)):
        with pytest.raises(ValueError, match="on purpose"):
            step(_data())
    for module in broken:
        module.broken = False
    assert names == list(optimizer.graph.state_dict())
    assert all(alpha.requires_grad for alpha in optimizer.architectural_weights)
    assert all(m.track_running_stats for m in optimizer.graph.modules() if isinstance(m, nn.BatchNorm1d))
    optimizer.step(_data(1), _data(2))


def _run(optimizer: ProxylessNASOptimizer, seeds: range) -> list[torch.Tensor]:
    found = []
    for seed in seeds:
        torch.manual_seed(seed)
        found += optimizer.step(_data(seed), _data(seed + 50))[2:]
    return [*found, *(alpha.detach().clone() for alpha in optimizer.architectural_weights)]


def test_two_searches_in_one_process_do_not_know_each_other():
    kinds = [{"mode": "two"}, {"mode": "full"}, {"update": "reinforce", "n_networks": 3}]
    alone = [_run(_adapted(**kind), range(4)) for kind in kinds]
    together = [_adapted(**kind) for kind in kinds]
    for seed in range(4):
        found = [_run(optimizer, range(seed, seed + 1)) for optimizer in together]
    for expected, result in zip(alone, found, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(expected[-5:], result, strict=True))


@pytest.mark.parametrize("kind", [{"mode": "two", "arch_interval": 2}, {"update": "reinforce", "n_networks": 3}])
def test_a_resumed_search_is_the_same_search(kind: dict):
    straight = _adapted(**kind)
    _run(straight, range(3))
    buffer = io.BytesIO()
    torch.save({key: part.state_dict() for key, part in straight.get_checkpointables().items()}, buffer)
    expected = _run(straight, range(3, 7))
    resumed = _adapted(9, **kind)
    buffer.seek(0)
    state = torch.load(buffer, weights_only=True)
    for key, part in resumed.get_checkpointables().items():
        part.load_state_dict(state[key])
    assert resumed.n_steps == 3
    assert (resumed.reward_average is None) == (kind.get("update") is None)
    assert all(torch.equal(a, b) for a, b in zip(expected, _run(resumed, range(3, 7)), strict=True))
    assert resumed.reward_average == straight.reward_average


# REINFORCE


def test_reinforce_in_closed_form():
    optimizer = _adapted(update="reinforce", n_networks=4, double=True, baseline_decay=0.9)
    optimizer.reward_average = 0.25
    data = batch(n=200, seed=1)
    torch.manual_seed(3)
    gradient, _, _ = optimizer.architecture_gradient(data, data)
    torch.manual_seed(3)
    rewards, scores = [], []
    for _ in range(4):
        sample = optimizer.sample()
        with torch.no_grad(), optimizer.assigned(sample):
            logits = optimizer.graph(data[0])
        rewards.append(float((logits.argmax(-1) == data[1]).double().mean()))
        alphas = list(optimizer.architectural_weights)
        drawn = zip(alphas, optimizer._active(sample), strict=True)
        log_p = sum(alpha.log_softmax(-1)[one_hot].sum() for alpha, one_hot in drawn)
        scores.append(torch.autograd.grad(log_p, alphas))
    average = 0.9 * 0.25 + 0.1 * sum(rewards) / 4
    assert optimizer.reward_average == pytest.approx(average) and len(set(rewards)) > 1
    for index, found in enumerate(gradient):
        expected = -sum((r - average) * score[index] for r, score in zip(rewards, scores, strict=True)) / 4
        torch.testing.assert_close(found, expected, rtol=0, atol=5e-7)


def test_reinforce_is_the_gradient_of_the_expected_reward():
    rewards = torch.rand(3, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    class Known(Part):
        def reward(self, reward, choices):
            return float(rewards[tuple(int(choice.nonzero()) for choice in choices)])

    optimizer = _adapted(update="reinforce", n_networks=1500, double=True)
    optimizer.parts["known"] = Known()
    data = batch(n=2, dtype=torch.float64)
    gradient, _, _ = optimizer.architecture_gradient(data, data)
    alphas = [alpha.detach().clone().requires_grad_() for alpha in optimizer.architectural_weights]
    p = [alpha.softmax(-1) for alpha in alphas]
    expected = torch.autograd.grad(-torch.einsum("a,b,c,abc->", *p, rewards), alphas)
    for found, exact in zip(gradient, expected, strict=True):
        torch.testing.assert_close(found, exact, rtol=0, atol=4 * 0.3 * 1500**-0.5)
    assert max(float(exact.abs().max()) for exact in expected) > 0.03


def test_reinforce_refuses_parts_that_need_a_gradient(monkeypatch):
    class Penalty(Part):
        def architecture_loss(self, loss):
            return 2 * loss

    monkeypatch.setitem(PARTS._entries, "penalty", Penalty)
    with pytest.raises(ConfigError, match="penalty"):
        _adapted(update="reinforce", parts={"penalty": {}})


# what is refused, and what finds its way


def test_bad_keywords():
    with pytest.raises(ConfigError, match="full_v2") as caught:
        ProxylessNASOptimizer(mode="ful", update="reinforced", arch_interval=0)
    assert len(caught.value.problems) == 3


def test_a_decision_drawn_on_its_own_is_refused_where_it_matters():
    def adapted(**kwargs):
        optimizer = ProxylessNASOptimizer(warm_up_epochs=0, **kwargs)
        optimizer.adapt_search_space(mlp_space())
        optimizer.decisions[0].op.set_pre_process_hook(lambda weights, edge: weights)
        optimizer.before_training()
        return optimizer

    adapted().step(_data(), _data())
    for kwargs in ({"mode": "two"}, {"update": "reinforce"}):
        with pytest.raises(ConfigError, match="on their own"):
            adapted(**kwargs)


def test_a_drawn_zero_still_gives_the_others_their_gradient():
    """The authors' code drops the whole gradient of a decision whose active operation is Zero."""
    ops = [Zero(stride=1), nn.Linear(4, 4), nn.Tanh()]
    mixed = RelaxedMixedOp(ops).double()
    x = torch.randn(5, 4, dtype=torch.float64)
    upstream = torch.randn(5, 4, dtype=torch.float64)
    logits = torch.tensor([[30.0, 0.0, 0.5]], dtype=torch.float64, requires_grad=True)
    (entry,) = PathSampler("full_v2")(logits, True)
    assert entry.on == (0,)
    y = mixed.apply_weights(x, entry)
    assert not y.any()
    (found,) = torch.autograd.grad((y * upstream).sum(), logits)
    with torch.no_grad():
        a = torch.stack([(op(x) * upstream).sum() for op in ops])
        p = logits[0].softmax(-1)
        torch.testing.assert_close(found[0], p * (a - (p * a).sum()), rtol=1e-10, atol=1e-22)
