"""ENAS: the controller's distribution and gradient, the reward, the paths, and how an architecture is chosen."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Sequence

import pytest
import torch
from small_spaces import batch, mlp_space
from torch import Tensor, nn

from naslib.errors import ConfigError
from naslib.hardware import LatencyTable
from naslib.optimizers import ENASOptimizer
from naslib.optimizers.core.reward_baseline import RewardBaseline
from naslib.optimizers.oneshot.methods.enas import Controller, ControllerSpace, Rollout, controller_space_of
from naslib.optimizers.oneshot.methods.enas.controller import squash
from naslib.optimizers.oneshot.methods.enas.controller_space import Cell, Node
from naslib.optimizers.oneshot.parts import PARTS, Part
from naslib.search_spaces import NasBench201SearchSpace, NasBench301SearchSpace, SimpleCellSearchSpace
from naslib.search_spaces.core.codec import NO_EDGE
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.primitives import Zero

SPACES = {
    "simple_cell": lambda: SimpleCellSearchSpace(n_classes=4, channels=4),
    "nasbench201": lambda: NasBench201SearchSpace(n_classes=4, channels=4, cells_per_stage=1),
    "nasbench301": lambda: NasBench301SearchSpace(n_classes=4, channels=4, cells=3, nodes=3),
}
# Edges 0 and 1 into node 3, which keeps both, and 2 to 4 into node 4, which keeps two; operation 1 is Zero
MICRO = ControllerSpace(
    cells=(Cell((1, 2), (Node(3, (0, 1), (1, 2), 2), Node(4, (2, 3, 4), (1, 2, 3), 2))),),
    allowed=((0, 2),) * 5,
    widths=(3,) * 5,
    zeros=(1,) * 5,
)


def _adapted(space: Graph | None = None, **kwargs) -> ENASOptimizer:
    torch.manual_seed(0)
    optimizer = ENASOptimizer(**{"arch_weight_decay": 0.0, **kwargs})
    optimizer.adapt_search_space(mlp_space() if space is None else space)
    optimizer.before_training()
    optimizer.graph.train()
    return optimizer


def _images(seed: int, n: int = 8) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 3, 8, 8, generator=generator), torch.randint(4, (n,), generator=generator)


# the distribution


class _Lstm:
    """The equations of an LSTM without biases, gates in the order input, forget, cell, output."""

    def __init__(self, controller: Controller) -> None:
        self.w = controller.lstm
        self.h = self.c = torch.zeros(controller.start.shape[1], dtype=torch.float64)

    def __call__(self, x: Tensor) -> Tensor:
        i, f, g, o = (self.w.weight_ih @ x + self.w.weight_hh @ self.h).chunk(4)
        self.c = f.sigmoid() * self.c + i.sigmoid() * g.tanh()
        self.h = o.sigmoid() * self.c.tanh()
        return self.h


def _log_p(logits: Tensor, index: int) -> Tensor:
    return logits[index] - logits.exp().sum().log()


def test_log_probability_of_a_chain_of_operations_is_that_of_teacher_forcing():
    optimizer = _adapted(temperature=5.0, tanh_constant=2.5)
    controller = optimizer.controller.double()
    nn.init.normal_(controller.to_ops.bias)
    rollout = controller.sample(torch.Generator().manual_seed(3))
    assert rollout.code == rollout.tokens and len(rollout.code) == 3  # all three operations of all three edges
    lstm, x, expected, entropy = _Lstm(controller), controller.start[0], 0.0, 0.0
    for op in rollout.code:
        logits = 2.5 * torch.tanh((controller.to_ops.weight @ lstm(x) + controller.to_ops.bias) / 5.0)
        expected = expected + _log_p(logits, op)
        entropy = entropy - sum(_log_p(logits, k).exp() * _log_p(logits, k) for k in range(3))
        x = controller.embedding[op]
    torch.testing.assert_close(rollout.log_prob, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(rollout.entropy, entropy.detach(), rtol=0, atol=1e-12)
    assert rollout.log_prob.requires_grad and not rollout.entropy.requires_grad
    again = controller.follow(rollout.tokens)
    assert again.code == rollout.code and torch.equal(again.log_prob, rollout.log_prob)


def test_log_probability_with_inputs_is_that_of_teacher_forcing():
    """Node 4 takes source 3, then 1 of the remaining (1, 2); operations of its edges follow in that order."""
    torch.manual_seed(0)
    controller = Controller(MICRO, hidden=8, temperature=2.0, tanh_constant=1.1, op_tanh_reduce=2.5).double()
    with torch.no_grad():
        for parameter in controller.parameters():
            parameter.mul_(10.0)
        controller.to_ops.bias.copy_(torch.randn(3))
    lstm, start = _Lstm(controller), controller.start[0]

    def op(x: Tensor, index: int) -> Tensor:
        raw = (controller.to_ops.weight @ lstm(x) + controller.to_ops.bias)[[0, 2]]
        return _log_p(1.1 / 2.5 * torch.tanh(raw / 2.0), (0, 2).index(index))

    def taken(x: Tensor, sources: Sequence[int], index: int) -> Tensor:
        query = controller.query.weight @ lstm(x)
        raw = [controller.to_attention.weight[0] @ torch.tanh(keys[s] + query) for s in sources]
        return _log_p(1.1 * torch.tanh(torch.stack(raw) / 2.0), sources.index(index))

    keys = {source: controller.key.weight @ lstm(start) for source in (1, 2)}
    expected = op(start, 2) + op(controller.embedding[2], 0)
    anchor = lstm(controller.embedding[0])
    keys[3] = controller.key.weight @ anchor
    expected = expected + taken(start, [1, 2, 3], 3) + taken(anchor, [1, 2], 1)
    expected = expected + op(torch.zeros_like(start), 2) + op(controller.embedding[2], 0)
    rollout = controller.follow((1, 0, 2, 0, 1, 0))
    assert rollout.code == (2, 0, 0, NO_EDGE, 2)  # of node 4: from 3 operation 2, from 1 operation 0
    torch.testing.assert_close(rollout.log_prob, expected, rtol=0, atol=1e-12)


def _sequences(choices: ControllerSpace) -> Iterator[tuple[int, ...]]:
    """Return all sequences of tokens."""
    lengths: list[int] = []
    Controller(choices, hidden=2).decode(lambda log_probs: lengths.append(len(log_probs)) or 0)
    return itertools.product(*(range(length) for length in lengths))


def test_probabilities_of_all_architectures_sum_to_one():
    torch.manual_seed(0)
    controller = Controller(MICRO, hidden=8).double()
    rollouts = [controller.follow(tokens) for tokens in _sequences(MICRO)]
    assert len(rollouts) == 4 * 3 * 2 * 4
    torch.testing.assert_close(torch.stack([r.log_prob for r in rollouts]).exp().sum().item(), 1.0, rtol=0, atol=1e-12)
    assert len({r.code for r in rollouts}) == 4 * 3 * 4  # the order in which inputs are taken does not matter


def test_samples_follow_the_distribution():
    controller = _adapted(tanh_constant=None).controller
    with torch.no_grad():
        controller.to_ops.bias.copy_(torch.tensor([1.0, 0.0, -1.0]))
    first = [controller.sample().tokens[0] for _ in range(600)]
    log_probs: list[Tensor] = []
    controller.decode(lambda lp: log_probs.append(lp) or 0)
    for k in range(3):
        p = log_probs[0][k].exp().item()
        expected = 600 * p
        assert abs(first.count(k) - expected) < 4 * (expected * (1 - p)) ** 0.5


def test_tanh_and_temperature():
    logits = torch.tensor([-40.0, -1.0, 0.0, 2.0, 40.0], dtype=torch.float64)
    e = (2 * logits / 5).exp()
    torch.testing.assert_close(squash(logits, 5.0, 2.5), 2.5 * (e - 1) / (e + 1), rtol=0, atol=1e-12)
    torch.testing.assert_close(squash(logits, 4.0, None), logits / 4, rtol=0, atol=0)


@pytest.mark.parametrize(("choices", "op_bound"), [("micro", 2.0 / 2.5), ("chain", 2.0)])
def test_the_bound_of_operations_is_reduced_only_where_inputs_are_chosen(choices: str, op_bound: float):
    """The authors' macro controller ignores `op_tanh_reduce`."""
    chosen = MICRO if choices == "micro" else controller_space_of(_adapted().graph, "cell")
    controller = Controller(chosen, tanh_constant=2.0, op_tanh_reduce=2.5)
    of_inputs: list[float] = []
    of_ops: list[float] = []
    for _ in range(10):  # logits that are all at one end have no span
        with torch.no_grad():
            for parameter in controller.parameters():
                parameter.normal_(0, 50.0)
        spans: list[float] = []
        controller.decode(lambda lp: spans.append(float(lp.max() - lp.min())) or 0)  # noqa: B023 - called at once
        of_inputs += spans[2:4] if choices == "micro" else []
        of_ops += spans[:2] + spans[4:] if choices == "micro" else spans
    assert max(of_ops) == pytest.approx(2 * op_bound, rel=1e-3)
    assert not of_inputs or max(of_inputs) == pytest.approx(4.0, rel=1e-3)


def test_parameters_start_in_the_authors_range():
    controller = _adapted(SPACES["nasbench301"]()).controller
    assert controller.lstm.hidden_size == 64 and not controller.to_ops.bias.any()
    for name, parameter in controller.named_parameters():
        assert parameter.abs().max() <= 0.1 and (name == "to_ops.bias" or parameter.abs().max() > 0.08)


# the gradient


class _Constant:
    """A baseline that never changes."""

    def __init__(self, value: float) -> None:
        self.value = value

    def advantage(self, reward: float) -> float:
        return reward - self.value


def _enumerated(optimizer: ENASOptimizer, monkeypatch: pytest.MonkeyPatch, data: tuple) -> tuple[list, list[Rollout]]:
    """Return the optimizer's gradient for every architecture, as if each had been drawn, and the rollouts."""
    gradients, rollouts = [], []
    for tokens in _sequences(optimizer.path_choices):
        rollouts.append(optimizer.controller.follow(tokens))
        monkeypatch.setattr(optimizer.controller, "sample", lambda tokens=tokens: optimizer.controller.follow(tokens))
        gradients.append(optimizer.architecture_gradient(data, data)[0])
        optimizer.accumulated, optimizer.n_accumulated = None, 0
    return gradients, rollouts


def _reward_by_hand(optimizer: ENASOptimizer, code: Sequence[int], data: tuple[Tensor, Tensor]) -> float:
    graph, x = optimizer.graph, data[0]
    x = graph.edges[1, 2].op(x)
    for source in (2, 3):
        cell = graph.edges[source, source + 1].op
        ops = {edge: cell.edges[edge].op.primitives[op] for edge, op in zip(sorted(cell.edges), code, strict=True)}
        x = ops[1, 3](x) + ops[2, 3](ops[1, 2](x))
    hits = graph.edges[4, 5].op(x).argmax(1) == data[1]
    return hits.sum().item() / len(hits)


def test_reinforce_is_the_gradient_of_the_expected_reward(monkeypatch: pytest.MonkeyPatch):
    """Averaged over all 27 architectures by their probabilities, with any baseline, the entropy being a constant."""
    optimizer = _adapted(controller_aggregate=1, entropy_weight=0.3)
    optimizer.graph.double()
    controller = optimizer.controller.double()
    optimizer.baseline = _Constant(0.37)
    data = batch(20, seed=4)
    gradients, rollouts = _enumerated(optimizer, monkeypatch, data)
    assert len(rollouts) == 27
    p = torch.stack([rollout.log_prob for rollout in rollouts]).exp()
    rewards = torch.stack([_reward_by_hand(optimizer, r.code, data) + 0.3 * r.entropy for r in rollouts])
    assert len(set(rewards.tolist())) > 5
    expected = torch.autograd.grad((p * rewards).sum(), list(controller.parameters()))
    for index, value in enumerate(expected):
        found = -sum(weight.item() * gradient[index] for weight, gradient in zip(p, gradients, strict=True))
        torch.testing.assert_close(found, value, rtol=0, atol=1e-10)
        assert value.abs().max() > 1e-6


def test_the_baseline_is_updated_before_it_is_subtracted(monkeypatch: pytest.MonkeyPatch):
    """b starts at 0: with decay .9 the advantages of rewards 1, .5 are 1 - .1 and .5 - (.09 + .05)."""
    for start, advantages in ((0.0, (0.9, 0.36)), (None, (0.0, 0.5 - 0.95))):
        optimizer = _adapted(entropy_weight=0.0, baseline_decay=0.9, baseline_start=start)
        rewards = iter((1.0, 0.5))
        monkeypatch.setattr(optimizer, "paid", lambda *_, r=rewards: next(r))
        losses: list[Tensor] = []
        optimizer._accumulate = losses.append
        data = batch(dtype=torch.float32)
        for advantage in advantages:
            torch.manual_seed(1)
            optimizer.architecture_gradient(data, data)
            torch.manual_seed(1)
            expected = -advantage * optimizer.controller.sample().log_prob
            torch.testing.assert_close(losses[-1], expected, rtol=1e-5, atol=1e-7)


def test_entropy_is_added_to_the_reward():
    torch.manual_seed(0)
    data, found = batch(dtype=torch.float32), []
    for weight in (0.0, 2.0):
        optimizer = _adapted(entropy_weight=weight, baseline_start=None, baseline_decay=0.0)
        torch.manual_seed(1)
        optimizer.architecture_gradient(data, data)
        found.append(optimizer.baseline.value)
        torch.manual_seed(1)
        entropy = optimizer.controller.sample().entropy.item()
    assert found[1] - found[0] == pytest.approx(2.0 * entropy, abs=1e-6) and 0 < entropy <= 3 * 1.0987
    assert 0 <= found[0] <= 1  # the accuracy of one batch, as a share


def test_the_controller_takes_a_step_by_the_mean_gradient_of_its_paths():
    """Adam's first step with betas (0, .999) is lr g / (|g| + eps) with eps = 1e-3."""
    optimizer = _adapted(controller_aggregate=4, samples_per_step=2, arch_learning_rate=0.0035, entropy_weight=0.0)
    optimizer.baseline = _Constant(0.37)
    parameters = list(optimizer.controller.parameters())
    before, weights = ([p.detach().clone() for p in group] for group in (parameters, optimizer.weights))
    train, data = batch(seed=1, dtype=torch.float32), batch(seed=2, dtype=torch.float32)
    loss = torch.zeros(())
    for seed in (1, 2):
        torch.manual_seed(seed)
        for _ in range(2):
            rollout = optimizer.controller.sample()
            loss = loss - (_reward_by_hand(optimizer, rollout.code, data) - 0.37) * rollout.log_prob / 4
    gradient = torch.autograd.grad(loss, parameters)
    for seed, n_accumulated in ((1, 2), (2, 0)):
        assert all(torch.equal(a, b) for a, b in zip(before, parameters, strict=True))
        torch.manual_seed(seed)
        optimizer.architecture_step(train, data)
        assert optimizer.n_accumulated == n_accumulated
    for old, new, g in zip(before, parameters, gradient, strict=True):
        torch.testing.assert_close(new.detach(), old - 0.0035 * g / (g.abs() + 1e-3), rtol=0, atol=5e-7)
    assert optimizer.accumulated is None
    assert all(torch.equal(a, b) for a, b in zip(weights, optimizer.weights, strict=True))


def test_the_controllers_gradient_can_be_clipped():
    optimizer = _adapted(controller_aggregate=1, controller_grad_clip=1e-4, baseline_start=0.0)
    data = batch(seed=2, dtype=torch.float32)
    optimizer.architecture_step(data, data)
    norm = torch.stack([p.grad.norm() for p in optimizer.controller.parameters()]).norm()
    assert norm.item() == pytest.approx(1e-4, rel=1e-2)


def test_the_controller_learns_what_is_rewarded():
    """Both the inputs of node 4 and the operations; at the start about 2 of 5 decisions are right."""
    torch.manual_seed(0)
    wanted = (0, 0, NO_EDGE, 0, 0)
    controller = Controller(MICRO, hidden=16, tanh_constant=2.5, op_tanh_reduce=1.0)
    optimizer = torch.optim.Adam(controller.parameters(), lr=0.01, betas=(0.0, 0.999), eps=1e-3)
    baseline = RewardBaseline(0.9)
    for _ in range(60):
        optimizer.zero_grad()
        for rollout in (controller.sample() for _ in range(2)):
            reward = sum(a == b for a, b in zip(rollout.code, wanted, strict=True)) / 5
            (-baseline.advantage(reward) * rollout.log_prob / 2).backward()
        optimizer.step()
    assert controller.greedy().code == wanted and baseline.value is not None and baseline.value > 0.75


# the paths


@pytest.mark.parametrize("space", SPACES)
def test_sampled_architectures_are_valid(space: str):
    optimizer = _adapted(SPACES[space]())
    choices = optimizer.path_choices
    n_cells = {"simple_cell": 2, "nasbench201": 1, "nasbench301": 2}[space]
    assert len(choices.cells) == n_cells
    for _ in range(5):
        code = optimizer.controller.sample().code
        for node in (node for cell in choices.cells for node in cell.nodes):
            kept = [number for number in node.decisions if code[number] != NO_EDGE]
            assert len(kept) == (len(node.decisions) if space == "nasbench201" else 2)
        ops = [d.op.primitives[op] for d, op in zip(optimizer.decisions, code, strict=True) if op != NO_EDGE]
        assert space == "nasbench201" or not any(isinstance(op, Zero) for op in ops)
    n_allowed = {"simple_cell": 4, "nasbench201": 5, "nasbench301": 7}[space]
    assert {len(ops) for ops in choices.allowed} == {n_allowed}


@pytest.mark.parametrize("space", SPACES)
def test_a_path_runs_as_the_architecture_that_is_derived_from_it(space: str):
    """The outcome's scores give exactly the path, whose forward is that of the discrete network."""
    optimizer = _adapted(SPACES[space]())
    x = _images(1)[0]
    for seed in range(2):
        torch.manual_seed(seed)
        code = optimizer.controller.sample().code
        optimizer.run_path(code)
        optimizer.outcome = optimizer.path_choices.scores(code)
        architecture = optimizer.get_final_architecture()
        with torch.no_grad():
            torch.testing.assert_close(optimizer.graph(x), architecture.train()(x), rtol=1e-4, atol=1e-5)
        assert _derived(optimizer, architecture) == code


def _derived(optimizer: ENASOptimizer, architecture: Graph) -> tuple[int, ...]:
    """Return the code of a discrete architecture, read off its edges."""
    places = {}
    for cell in optimizer.graph._graphs_in_scope(optimizer.scope):
        for u, v, data in cell.edges(data=True):
            if data.has("alpha"):
                places.setdefault(id(data.alpha), (cell.name, cell.scope, u, v))
    cells = {(cell.name, cell.scope): cell for cell in reversed(architecture._graphs_in_scope(optimizer.scope))}
    found = []
    for data in optimizer.decisions:
        name, scope, u, v = places[id(data.alpha)]
        cell = cells[name, scope]
        found.append(cell.edges[u, v].op_index if (u, v) in cell.edges else NO_EDGE)
    return tuple(found)


@pytest.mark.parametrize("space", SPACES)
def test_without_a_selection_the_most_likely_architecture_is_returned(space: str):
    optimizer = _adapted(SPACES[space]())
    optimizer.run_path(optimizer.controller.sample().code)  # what was run last does not matter
    rng = torch.get_rng_state()
    architecture = optimizer.get_final_architecture()
    assert torch.equal(torch.get_rng_state(), rng) and optimizer.outcome is None
    code = optimizer.controller.greedy().code
    assert _derived(optimizer, architecture) == code
    probabilities: list[Tensor] = []
    tokens = iter(optimizer.controller.greedy().tokens)
    optimizer.controller.decode(lambda lp: probabilities.append(lp) or next(tokens))
    greedy = optimizer.controller.greedy().tokens
    assert all(lp[token] == lp.max() for lp, token in zip(probabilities, greedy, strict=True))
    assert tuple(NO_EDGE if index is None else index for index in optimizer.choices(None)) == code
    optimizer.outcome = optimizer.path_choices.scores(code)
    assert optimizer.get_final_architecture().genotype() == architecture.genotype()


def test_only_the_weights_of_the_path_are_trained():
    optimizer = _adapted(mlp_space(batch_norm=True))
    data = batch(dtype=torch.float32)
    buffers = {name: value.clone() for name, value in optimizer.graph.named_buffers()}
    optimizer.architecture_step(data, data)
    assert all(torch.equal(buffers[name], value) for name, value in optimizer.graph.named_buffers())
    optimizer.weight_step(data)
    for decision in optimizer.decisions:
        runs = int(decision.alpha.argmax())
        for index, op in enumerate(decision.op.primitives):
            assert all((p.grad is not None) == (index == runs) for p in op.parameters())


def test_where_there_is_no_zero_an_edge_that_is_not_kept_is_multiplied_by_zero():
    gates = ControllerSpace(MICRO.cells, MICRO.allowed, MICRO.widths, (None,) * 5).gates((0, 0, 2, NO_EDGE, 0))
    assert torch.equal(gates[3], torch.zeros(3)) and torch.equal(gates[2], torch.tensor([0.0, 0, 1]))
    draws = _adapted().relaxation()(torch.stack(gates), True)
    assert draws[3].on == (0,) and not draws[3].unit and draws[2].on == (2,) and draws[2].unit
    assert torch.equal(MICRO.gates((0, 0, 2, NO_EDGE, 0))[3], torch.tensor([0.0, 1, 0]))


# the selection, checkpoints, refusals


def test_the_best_of_the_drawn_architectures_on_one_batch_is_selected():
    optimizer = _adapted(n_samples=12)
    data, other = batch(40, seed=3, dtype=torch.float32), batch(40, seed=4, dtype=torch.float32)
    torch.manual_seed(7)
    optimizer.select_architecture((), (data, other))
    torch.manual_seed(7)
    codes = [optimizer.controller.sample().code for _ in range(12)]
    rewards = [_reward_by_hand(optimizer, code, data) for code in codes]
    best = codes[rewards.index(max(rewards))]
    assert optimizer.outcome is not None and len(set(rewards)) > 2
    assert all(torch.equal(a, b) for a, b in zip(optimizer.outcome, optimizer.path_choices.scores(best), strict=True))
    assert _derived(optimizer, optimizer.get_final_architecture()) == best
    optimizer.step(data, other)
    assert optimizer.outcome is None  # chosen for other weights
    optimizer.select_architecture((), ())
    assert optimizer.outcome is None


def test_a_part_may_train_and_choose_at_the_end(monkeypatch: pytest.MonkeyPatch):
    class Choosing(Part):
        def select(self, train_batches: object, valid_batches: object) -> None:
            assert torch.is_grad_enabled()
            self.optimizer.outcome = [torch.tensor([0.0, 1.0, 0.0])] * 3

    monkeypatch.setitem(PARTS._entries, "choosing", Choosing)
    optimizer = _adapted(parts={"choosing": {}})
    optimizer.select_architecture((), (batch(dtype=torch.float32),))
    assert _derived(optimizer, optimizer.get_final_architecture()) == (1, 1, 1)


def test_a_search_is_resumed_between_two_steps_of_the_controller():
    def train(optimizer: ENASOptimizer, steps: range) -> list[Tensor]:
        losses: list[Tensor] = []
        for index in steps:
            torch.manual_seed(100 + index)
            losses += optimizer.step(
                batch(seed=index, dtype=torch.float32), batch(seed=50 + index, dtype=torch.float32)
            )
        return losses

    def made() -> ENASOptimizer:
        return _adapted(controller_aggregate=4, arch_learning_rate=0.01)

    straight, resumed = made(), made()
    train(straight, range(7))
    buffer = io.BytesIO()
    torch.save({key: part.state_dict() for key, part in straight.get_checkpointables().items()}, buffer)
    buffer.seek(0)
    state = torch.load(buffer, weights_only=True)
    assert state["schedule"]["n_accumulated"] == 3 and state["baseline"]["value"] > 0
    for key, part in resumed.get_checkpointables().items():
        part.load_state_dict(state[key])
    expected = train(straight, range(7, 14))
    assert all(torch.equal(a, b) for a, b in zip(train(resumed, range(7, 14)), expected, strict=True))
    for a, b in zip(straight.controller.parameters(), resumed.controller.parameters(), strict=True):
        assert torch.equal(a, b)


def test_what_cannot_work_is_refused():
    with pytest.raises(ConfigError, match="multiple of samples_per_step"):
        ENASOptimizer(samples_per_step=3)
    with pytest.raises(ConfigError, match="temperature must be positive"):
        ENASOptimizer(temperature=0.0)
    with pytest.raises(ConfigError, match="baseline"):
        ENASOptimizer(baseline_decay=1.0)


@pytest.mark.parametrize("part", ["edge_normalization", "zero_one_loss", "perturbation", "progressive_shrinking"])
def test_a_part_that_needs_a_mixture_is_refused(part: str):
    with pytest.raises(ConfigError, match=f"enas draws paths: the part '{part}'"):
        ENASOptimizer(parts={part: {}})


def test_a_warm_up_and_what_changes_the_reward_work(monkeypatch: pytest.MonkeyPatch):
    class Halving(Part):
        def reward(self, reward: float, choices: Sequence[Tensor]) -> float:
            assert [choice.sum().item() for choice in choices] == [1, 1, 1] and choices[0].dtype == torch.bool
            return reward / 2

    monkeypatch.setitem(PARTS._entries, "halving", Halving)
    data, found = batch(dtype=torch.float32), []
    for parts in ({}, {"halving": {}}):
        optimizer = _adapted(parts=parts, entropy_weight=0.0, baseline_start=None)
        torch.manual_seed(1)
        optimizer.architecture_gradient(data, data)
        found.append(optimizer.baseline.value)
    assert found[0] == 2 * found[1] > 0
    waiting = _adapted(parts={"warm_up": {"epochs": 1}})
    waiting.step(data, data)
    assert waiting.n_accumulated == 0
    waiting.new_epoch(1)
    waiting.step(data, data)
    assert waiting.n_accumulated == 1


def test_the_latency_of_the_path_is_in_its_reward():
    space = mlp_space()
    for edge in space._edges_in_scope("cell", private_edge_data=True):
        edge.data.set("op", [nn.Tanh(), nn.Identity()])
    entries = {"Tanh-input:6-output:6": 2.0, "Identity-input:6-output:6": 0.5}
    table = LatencyTable(entries, fixed=3.0, info={"input_shape": [6]})
    latency = {"table": table, "reference": 10.0, "exponent": 0.5}
    optimizer = _adapted(space, parts={"latency": latency}, entropy_weight=0.0, baseline_start=None)
    optimizer.new_epoch(0)
    data = batch(20, dtype=torch.float32)
    torch.manual_seed(1)
    logits, _ = optimizer.architecture_gradient(data, data)[1:]
    torch.manual_seed(1)
    code = optimizer.controller.sample().code
    ms = 3.0 + 2 * sum((2.0, 0.5)[op] for op in code)  # two copies of the cell
    hits = (logits.argmax(1) == data[1]).sum().item() / 20
    assert optimizer.baseline.value == pytest.approx(hits * (10.0 / ms) ** 0.5, rel=1e-6) and hits > 0


def test_a_space_with_another_rule_is_refused():
    class Weakest(SimpleCellSearchSpace):
        def prepare_discretization(self) -> None:
            def keep_weakest(node: tuple, in_edges: list, out_edges: list) -> None:
                for _, data in in_edges[2:]:
                    data.delete()

            self.update_nodes(keep_weakest, scope=self.OPTIMIZER_SCOPE, single_instances=True)

    with pytest.raises(ConfigError, match="Weakest removes edges by a rule that it does not state"):
        ENASOptimizer().adapt_search_space(Weakest(channels=4))
