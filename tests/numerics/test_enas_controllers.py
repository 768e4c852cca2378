"""ENAS on any decisions: the macro controller's equations, picks of inputs, words, conditions, and its gradient."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import pytest
import torch
from torch import Tensor, nn

from naslib.errors import ConfigError
from naslib.optimizers import ENASOptimizer
from naslib.optimizers.oneshot.methods.enas import Controller, ControllerSpace, Rollout
from naslib.optimizers.oneshot.methods.enas.controller_space import Cell, Condition, Layer, Node, Pick, Single
from naslib.optimizers.oneshot.methods.enas.walk import skip_penalty
from naslib.search_spaces import ENASMacroSearchSpace, ENASMicroSearchSpace, SimpleCellSearchSpace
from naslib.search_spaces.core.codec import NO_EDGE
from naslib.search_spaces.core.combine import mean, selections
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.primitives import Identity, Zero
from tests.support.elastic_space import ElasticSpace
from tests.support.node_space import NodeSpace

# Three layers of three operations: decision 0; 2 and skip 1; 5 and skips 3, 4
LAYERS = ControllerSpace(
    cells=(Cell((1,), (Node(2, (0,), (1,), 1), Node(3, (1, 2), (1, 2), 2), Node(4, (3, 4, 5), (1, 2, 3), 3))),),
    allowed=((0, 1, 2), (0, 1), (0, 1, 2), (0, 1), (0, 1), (0, 1, 2)),
    widths=(3, 2, 3, 2, 2, 3),
    zeros=(None, 0, None, 0, 0, None),
    layers=(Layer(0, ()), Layer(2, (1,)), Layer(5, (3, 4))),
)
# Node 7 adds two edges, whose inputs are picked from nodes 3 and 4; node 10 from 3, 4 and 7
PICKS = ControllerSpace(
    cells=(
        Cell(
            (3, 4),
            (
                Node(7, (0, 1), (5, 6), 2, (Pick(4, (3, 4)), Pick(5, (3, 4)))),
                Node(10, (2, 3), (8, 9), 2, (Pick(6, (3, 4, 7)), Pick(7, (3, 4, 7)))),
            ),
        ),
    ),
    allowed=((0, 1),) * 4 + ((0, 1),) * 2 + ((0, 1, 2),) * 2,
    widths=(2,) * 6 + (3,) * 2,
    zeros=(None,) * 8,
)


def _made(choices: ControllerSpace, **keywords: object) -> Controller:
    torch.manual_seed(0)
    controller = Controller(choices, hidden=8, **keywords).double()  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in controller.parameters():
            parameter.mul_(8.0)
    return controller


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


def _squashed(logits: Tensor, temperature: float, constant: float) -> Tensor:
    return constant * torch.tanh(logits / temperature)


# layers


def test_the_macro_controller_is_that_of_the_authors() -> None:
    """Anchors, attention, softmax([-q, q]), the mean-like next input, the penalty, the entropy of what was drawn."""
    temperature, constant, target = 2.0, 1.5, 0.4
    controller = _made(LAYERS, temperature=temperature, tanh_constant=constant, entropy="sampled", skip_target=target)
    assert controller.to_ops.bias is None
    rollout = controller.follow((1, 2, 1, 0, 0, 1))  # layer 1 adds layer 0; layer 2 adds layer 1 only
    assert rollout.code == (1, 1, 2, 0, 1, 0)
    start, w1, w2 = controller.start[0], controller.key.weight, controller.query.weight
    v = controller.to_attention.weight[0]
    lstm, x, log_ps, penalties = _Lstm(controller), start, [], []
    anchors: list[Tensor] = []
    for op, skips in ((1, ()), (2, (1,)), (0, (0, 1))):
        log_ps.append(_log_p(_squashed(controller.to_ops.weight @ lstm(x), temperature, constant), op))
        h = lstm(controller.embedding[op])
        x = start
        if skips:
            q = [v @ torch.tanh(w1 @ anchor + w2 @ h) for anchor in anchors]
            penalty = 0.0
            for q_j, skip in zip(q, skips, strict=True):
                logits = _squashed(torch.stack([-q_j, q_j]), temperature, constant)
                log_ps.append(_log_p(logits, skip))
                p = logits.sigmoid()
                assert p.sum().item() == pytest.approx(1.0, abs=1e-12)
                penalty = penalty + p[0] * (p[0] / (1 - target)).log() + p[1] * (p[1] / target).log()
            penalties.append(penalty)
            chosen = [anchor for anchor, skip in zip(anchors, skips, strict=True) if skip]
            x = sum(chosen, torch.zeros_like(h)) / (1 + len(chosen))
        anchors.append(h)
    log_p = torch.stack(log_ps)
    torch.testing.assert_close(rollout.log_prob, log_p.sum(), rtol=0, atol=1e-12)
    torch.testing.assert_close(rollout.entropy, -(log_p.exp() * log_p).sum().detach(), rtol=0, atol=1e-12)
    torch.testing.assert_close(rollout.penalty, torch.stack(penalties).mean(), rtol=0, atol=1e-12)
    assert rollout.penalty.requires_grad and not rollout.entropy.requires_grad


def test_the_penalty_is_none_where_the_rate_is_the_target() -> None:
    """sigmoid(l) = .4 where the logit is log(.4 / .6)."""
    logit = torch.tensor([0.4 / 0.6], dtype=torch.float64).log()
    both = torch.stack([-logit, logit], dim=1)
    assert skip_penalty(both, 0.4).item() == pytest.approx(0.0, abs=1e-15)
    uniform = skip_penalty(torch.zeros(3, 2, dtype=torch.float64), 0.4)
    expected = 3 * (0.5 * torch.tensor(0.5 / 0.6).log() + 0.5 * torch.tensor(0.5 / 0.4).log())
    assert uniform.item() == pytest.approx(expected.item(), rel=1e-6)


def _sequences(choices: ControllerSpace) -> Iterator[tuple[int, ...]]:
    lengths: list[int] = []
    Controller(choices, hidden=2).decode(lambda log_probs: lengths.append(len(log_probs)) or 0)
    return itertools.product(*(range(length) for length in lengths))


@pytest.mark.parametrize(("choices", "count"), [(LAYERS, 3**3 * 2**3), (PICKS, 2**4 * 2**2 * 3**2)])
def test_probabilities_of_all_architectures_sum_to_one(choices: ControllerSpace, count: int) -> None:
    controller = _made(choices)
    with torch.no_grad():
        rollouts = [controller.follow(tokens) for tokens in _sequences(choices)]
    assert len({r.code for r in rollouts}) == len(rollouts) == count
    assert torch.stack([r.log_prob for r in rollouts]).exp().sum().item() == pytest.approx(1.0, abs=1e-12)


# picks


def test_inputs_of_branches_are_picked_before_their_operations_and_may_be_the_same() -> None:
    controller = _made(PICKS, temperature=2.0, tanh_constant=1.1, op_tanh_reduce=2.5)
    rollout = controller.follow((1, 1, 0, 1, 2, 0, 1, 1))
    assert rollout.code == (0, 1, 1, 1, 1, 1, 2, 0)
    lstm, start = _Lstm(controller), controller.start[0]
    keys, anchors, expected = {}, {}, []

    def taken(x: Tensor, sources: Sequence[int], source: int) -> None:
        query = controller.query.weight @ lstm(x)
        raw = [controller.to_attention.weight[0] @ torch.tanh(keys[s] + query) for s in sources]
        expected.append(_log_p(_squashed(torch.stack(raw), 2.0, 1.1), sources.index(source)))

    def op(x: Tensor, index: int) -> Tensor:
        raw = controller.to_ops.weight @ lstm(x) + controller.to_ops.bias
        expected.append(_log_p(_squashed(raw, 2.0, 1.1 / 2.5), index))
        return controller.embedding[index]

    for source in (3, 4):
        keys[source], anchors[source] = controller.key.weight @ lstm(start), torch.zeros_like(start)
    taken(start, (3, 4), 4)
    taken(anchors[4], (3, 4), 4)
    x = op(op(anchors[4], 0), 1)
    anchors[7] = lstm(x)
    keys[7] = controller.key.weight @ anchors[7]
    taken(start, (3, 4, 7), 7)
    taken(anchors[7], (3, 4, 7), 3)
    op(op(anchors[3], 1), 1)
    torch.testing.assert_close(rollout.log_prob, torch.stack(expected).sum(), rtol=0, atol=1e-12)


# words, conditions, subsets


def test_what_is_no_operation_has_words_of_its_own_and_waits_for_what_it_depends_on() -> None:
    """Size 1 is there only where operation 2 was taken; the operations' scores do not know its three words."""
    cell = Cell((1,), (Node(2, (0,), (1,), 1, (), 2),))
    choices = ControllerSpace(
        (cell,),
        allowed=((0, 1, 2), (0, 2), (0, 1)),
        widths=(3, 3, 2),
        zeros=(None,) * 3,
        order=(cell, Single(1, Condition(0, (2,)))),
        vocabularies=(None, 0, 1),
    )
    controller = _made(choices)
    assert controller.to_ops.out_features == 3 and [w.scores.out_features for w in controller.words] == [3, 2]
    assert controller.follow((1, 0)).code == (1, NO_EDGE, 0)
    rollout = controller.follow((2, 1, 1))
    assert rollout.code == (2, 2, 1)
    lstm, head, option = _Lstm(controller), controller.words[0], controller.words[1]
    expected = [_log_p(_squashed(controller.to_ops.weight @ lstm(controller.start[0]), 1.0, 1.1), 2)]
    raw = option.scores.weight @ lstm(controller.embedding[2])
    expected.append(_log_p(_squashed(raw, 1.0, 1.1), 1))
    raw = (head.scores.weight @ lstm(option.embedding[1]))[[0, 2]]
    expected.append(_log_p(_squashed(raw, 1.0, 1.1), 1))
    torch.testing.assert_close(rollout.log_prob, torch.stack(expected).sum(), rtol=0, atol=1e-12)


def test_any_subset_of_edges_is_taken_edge_by_edge() -> None:
    cell = Cell((1, 2), (Node(3, (0, 1), (1, 2), None),))
    choices = ControllerSpace((cell,), allowed=((0, 1),) * 2, widths=(2, 2), zeros=(None, None))
    controller = _made(choices)
    assert controller.follow((0, 0)).code == (NO_EDGE, NO_EDGE)
    assert controller.follow((0, 1, 1)).code == (NO_EDGE, 1)
    total = torch.stack([
        controller.follow(tokens).log_prob
        for subset in ((0, 0), (0, 1), (1, 0), (1, 1))
        for ops in itertools.product((0, 1), repeat=sum(subset))
        for tokens in [(*subset, *ops)]
    ]).exp().sum()  # fmt: skip
    assert total.item() == pytest.approx(1.0, abs=1e-12)


def _adapted(space: Graph, **keywords: object) -> ENASOptimizer:
    torch.manual_seed(0)
    optimizer = ENASOptimizer(epochs=2, arch_weight_decay=0.0, **keywords)
    optimizer.adapt_search_space(space)
    optimizer.before_training()
    optimizer.graph.train()
    return optimizer


@pytest.mark.parametrize(
    "make",
    [
        lambda: ENASMicroSearchSpace(n_classes=4, channels=4, layers=1, nodes=2),
        lambda: ENASMacroSearchSpace(n_classes=4, channels=4, layers=3),
        NodeSpace,
        ElasticSpace,
    ],
)
def test_what_is_drawn_is_an_architecture_of_the_space(make: object) -> None:
    """Its forward is that of the discrete network, and every architecture drawn has a code of its own in the space."""
    optimizer = _adapted(make())  # type: ignore[operator]
    graph = optimizer.graph
    x = torch.randn(4, getattr(graph, "in_channels", 3), 8, 8)
    space = graph.decision_space
    for seed in range(4):
        torch.manual_seed(seed)
        code = optimizer.controller.sample().code
        optimizer.run_path(code)
        optimizer.outcome = optimizer.path_choices.scores(code)
        found = optimizer.get_final_architecture()
        assert space.is_valid(found.get_code())
        with torch.no_grad():
            torch.testing.assert_close(graph(x), found.train()(x), rtol=1e-4, atol=1e-5)


def test_what_a_space_decides_is_read_off_it() -> None:
    micro = _adapted(ENASMicroSearchSpace(n_classes=4, channels=4, layers=1, nodes=2)).path_choices
    assert len(micro.cells) == 2 and not micro.layers and not micro.vocabularies
    first, second = micro.cells[0].nodes
    assert micro.cells[0].inputs == (3, 4) and first.index == 7 and second.index == 10
    assert [pick.sources for pick in second.picks] == [(3, 4, 7)] * 2
    macro = _adapted(ENASMacroSearchSpace(n_classes=4, channels=4, layers=4)).path_choices
    assert [len(layer.skips) for layer in macro.layers] == [0, 1, 2, 3]
    assert [macro.widths[layer.operation] for layer in macro.layers] == [6] * 4
    nodes = _adapted(NodeSpace()).path_choices
    assert nodes.vocabulary_widths() == [4] and nodes.cells[0].nodes[-1].option == 3
    sizes = _adapted(ElasticSpace()).path_choices
    singles = [unit for unit in sizes.order if isinstance(unit, Single)]
    assert len(singles) == 4 and sum(single.condition is not None for single in singles) == 2
    assert not _adapted(SimpleCellSearchSpace(n_classes=4, channels=4)).path_choices.vocabularies


def test_the_defaults_are_those_of_the_authors_by_the_kind_of_space() -> None:
    micro = _adapted(ENASMicroSearchSpace(n_classes=4, channels=4, layers=1, nodes=2))
    macro = _adapted(ENASMacroSearchSpace(n_classes=4, channels=4, layers=3))
    for optimizer, expected in ((micro, (1, 10, 1.1, "distribution")), (macro, (2, 20, 1.5, "sampled"))):
        found = optimizer.samples_per_step, optimizer.controller_aggregate, optimizer.tanh_constant, optimizer.entropy
        assert found == expected
        assert optimizer.controller.tanh_constant == expected[2] and optimizer.controller.entropy == expected[3]
        assert optimizer.baseline.decay == 0.99 and optimizer.controller.lstm.hidden_size == 64
    given = _adapted(
        ENASMacroSearchSpace(n_classes=4, channels=4, layers=3), tanh_constant=None, entropy="distribution"
    )
    assert given.controller.tanh_constant is None and given.controller.entropy == "distribution"
    assert macro.skip_weight == 0.8 and macro.controller.skip_target == 0.4


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match="entropy must be one of distribution, sampled, not 'sample'; did you mean"):
        ENASOptimizer(entropy="sample")
    with pytest.raises(ConfigError, match="tanh_constant must be a number, null or 'auto', not 'atuo'"):
        ENASOptimizer(tanh_constant="atuo")
    with pytest.raises(ConfigError, match=r"skip_target must be in \(0, 1\)"):
        ENASOptimizer(skip_target=1.0)
    four = ENASOptimizer(samples_per_step=4)  # divides 20, which layers have
    with pytest.raises(ConfigError, match=r"controller_aggregate \(10\) must be a multiple of samples_per_step \(4\)"):
        four.adapt_search_space(SimpleCellSearchSpace(n_classes=4, channels=4))


# the gradient


def _chain() -> Graph:
    """Return a chain of two layers with one skip, on vectors: 2 * 2 * 2 architectures."""
    graph = Graph("chain", scope="chain")
    graph.add_edges_from([(1, 2), (1, 3), (2, 3), (3, 4)])
    graph.edges[1, 2].set("op", [nn.Linear(4, 4), nn.Tanh()])
    graph.edges[1, 3].set("op", [Zero(1), Identity()])
    graph.edges[2, 3].set("op", [nn.Linear(4, 4), nn.Tanh()])
    graph.edges[3, 4].set("op", nn.Linear(4, 3))
    return graph


class _Constant:
    """A baseline that never changes."""

    def __init__(self, value: float) -> None:
        self.value = value

    def advantage(self, reward: float) -> float:
        return reward - self.value


def test_reinforce_with_the_penalty_is_the_gradient_of_its_expectation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over all 8 architectures: grad E[R] of the policy, and the expected gradient of the penalty."""
    optimizer = _adapted(_chain(), controller_aggregate=1, samples_per_step=1, entropy_weight=0.2, skip_weight=0.7)
    assert [len(layer.skips) for layer in optimizer.path_choices.layers] == [0, 1]
    optimizer.graph.double()
    controller = optimizer.controller.double()
    optimizer.baseline = _Constant(0.31)  # type: ignore[assignment]
    generator = torch.Generator().manual_seed(3)
    x, y = torch.randn(30, 4, generator=generator).double(), torch.randint(3, (30,), generator=generator)
    gradients, rollouts, rewards = [], [], []
    for tokens in itertools.product((0, 1), (0, 1), (0, 1)):
        rollout: Rollout = controller.follow(tokens)
        monkeypatch.setattr(controller, "sample", lambda tokens=tokens: controller.follow(tokens))
        gradients.append(optimizer.architecture_gradient((x, y), (x, y))[0])
        optimizer.accumulated, optimizer.n_accumulated = None, 0
        first, skip, second = rollout.code[0], rollout.code[1], rollout.code[2]
        ops = {edge: optimizer.graph.edges[edge].op for edge in optimizer.graph.edges}
        hidden = ops[1, 2].primitives[first](x)
        hidden = ops[2, 3].primitives[second](hidden) + (x if skip else 0.0)
        hits = (ops[3, 4](hidden).argmax(1) == y).double().mean()
        rewards.append(hits + 0.2 * rollout.entropy)
        rollouts.append(rollout)
    p = torch.stack([rollout.log_prob for rollout in rollouts]).exp()
    assert p.sum().item() == pytest.approx(1.0, abs=1e-12) and len({float(r) for r in rewards}) > 3
    parameters = list(controller.parameters())
    objective = (p * torch.stack(rewards).detach()).sum()
    penalty = sum(weight.detach() * rollout.penalty for weight, rollout in zip(p, rollouts, strict=True))
    expected = torch.autograd.grad(-objective + 0.7 * penalty, parameters, retain_graph=True)
    for index, value in enumerate(expected):
        found = sum(weight.item() * gradient[index] for weight, gradient in zip(p, gradients, strict=True))
        torch.testing.assert_close(found, value, rtol=0, atol=1e-10)
    assert max(value.abs().max() for value in expected) > 1e-5


def test_the_controller_of_layers_learns_the_rate_of_skips() -> None:
    """Without rewards the penalty draws sigmoid(l) to its target."""
    controller = _made(LAYERS, tanh_constant=2.5, entropy="sampled", skip_target=0.2)
    optimizer = torch.optim.Adam(controller.parameters(), lr=0.02)
    first = controller.greedy().penalty.item()
    for _ in range(60):
        optimizer.zero_grad()
        controller.sample().penalty.backward()
        optimizer.step()
    with torch.no_grad():
        penalties = [controller.sample().penalty.item() for _ in range(10)]
    assert max(penalties) < 0.02 < first


def test_a_choice_of_one_input_beside_a_choice_of_combinations() -> None:
    """A node that passes on one of its inputs and has several readers is decided where it is."""
    graph = Graph("both", scope="both")
    graph.add_edges_from([(1, 2), (1, 3), (2, 3), (2, 4), (3, 4), (3, 5), (4, 5)])
    graph.edges[1, 2].set("op", nn.Linear(4, 4))
    graph.nodes[3]["comb_op"] = selections([1, 2])
    graph.nodes[4]["comb_op"] = [sum, mean]
    optimizer = _adapted(graph)
    (cell,) = optimizer.path_choices.cells
    assert [(node.index, len(node.picks), node.option) for node in cell.nodes] == [(3, 1, None), (4, 0, 1)]
    assert cell.inputs == (1, 2) and optimizer.controller.words[0].scores.out_features == 2
    codes = {optimizer.controller.sample().code for _ in range(40)}
    assert codes == {(0, 0), (0, 1), (1, 0), (1, 1)}
