"""The recurrent network against its equations, written out in float64."""

from __future__ import annotations

import dataclasses
from functools import partial

import pytest
import torch
from torch import Tensor

from naslib.errors import GraphError
from naslib.optimizers import OPTIMIZERS, DARTSOptimizer
from naslib.optimizers.oneshot.supernet.relaxed_op import watching_weights
from naslib.search_spaces import DartsRNNSearchSpace
from naslib.search_spaces.core.shared_work import Passes
from naslib.search_spaces.darts_rnn.codec import recurrent_cell
from naslib.search_spaces.darts_rnn.layers import RecurrentLayer
from naslib.search_spaces.darts_rnn.mixture import CellMixture
from naslib.tasks import build_task
from naslib.utils.passage import Memory
from tests.support.recurrent_reference import discrete_cell, mixed_cell, unroll

WORDS, HIDDEN, NODES, ROWS, STEPS = 7, 6, 3, 4, 5
RECURRENT = [("relu", 0), ("sigmoid", 1), ("tanh", 0)]


def make(**kwargs: object) -> DartsRNNSearchSpace:
    torch.manual_seed(0)
    none = dict.fromkeys(("dropout", "dropout_hidden", "dropout_input", "dropout_embedding"), 0.0)
    return DartsRNNSearchSpace(WORDS, hidden=HIDDEN, nodes=NODES, **{**none, **kwargs})


def widened(network: torch.nn.Module) -> None:
    """Make weights large enough for activations to differ from lines."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.uniform_(-1.0, 1.0)


def tokens(seed: int = 0, steps: int = STEPS) -> Tensor:
    return torch.randint(WORDS, (ROWS, steps), generator=torch.Generator().manual_seed(seed))


def layer_of(network: DartsRNNSearchSpace) -> RecurrentLayer:
    layer = network.edges[2, 3].op
    assert isinstance(layer, RecurrentLayer)
    return layer


def matrices(network: DartsRNNSearchSpace) -> list[Tensor]:
    """Return W_1, W_2 ..., each the same object on all edges into its node."""
    cell, found = recurrent_cell(network), []
    for node in range(2, NODES + 2):
        ops = [cell.edges[source, node].op for source in cell.predecessors(node)]
        modules = [m for op in ops for m in (op if isinstance(op, list) else op.modules())]
        weights = {id(m.gates.weight): m.gates.weight for m in modules if hasattr(m, "gates")}
        assert len(weights) == 1
        found.append(next(iter(weights.values())))
    return found


def reference(network: DartsRNNSearchSpace, states: Tensor) -> Tensor:
    embedding, bias = network.edges[1, 2].op.embedding.weight, network.edges[3, 4].op.bias
    return states @ embedding.T + bias


def test_the_supernet_is_the_mixture_of_the_equations_and_so_are_its_gradients() -> None:
    optimizer = DARTSOptimizer()
    optimizer.adapt_search_space(make())
    network = optimizer.graph.double()
    widened(network)
    with torch.no_grad():
        for alpha in optimizer.architectural_weights:
            alpha.uniform_(-2, 2)
    network.train()
    x = tokens()
    found = network(x)
    names = [f"recurrent_cell/{j + 1}-{i + 1}" for j in range(NODES) for i in range(j + 1, NODES + 1)]
    assert optimizer.decision_names == names
    alphas = dict(zip(names, optimizer.architectural_weights, strict=True))
    probs = {
        (j, i): alphas[f"recurrent_cell/{j + 1}-{i + 1}"].softmax(0) for i in range(1, NODES + 1) for j in range(i)
    }
    vectors = network.edges[1, 2].op.embedding.weight[x]
    cell = partial(mixed_cell, ws=matrices(network), probs=probs, h_mask=1.0)
    zeros = torch.zeros(ROWS, HIDDEN, dtype=torch.float64)
    expected = reference(network, unroll(vectors, zeros, layer_of(network).gates.weight, cell))
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
    inputs = [*network.parameters(), *alphas.values()]
    assert len(inputs) == len(alphas) + NODES + 3  # with W_0, the vectors, and the bias
    one, two = (torch.autograd.grad(y.square().sum(), inputs) for y in (found, expected))
    for mine, theirs in zip(one, two, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-8, atol=1e-10)
    network.set_passes(**dataclasses.asdict(Passes.none()))
    torch.testing.assert_close(network(x), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("concat", [None, [1, 3], [2]])
def test_a_discrete_network_is_its_genotype(concat: list[int] | None) -> None:
    space = make(concat=concat)
    space.set_spec({"recurrent": RECURRENT, "concat": concat or [1, 2, 3]})
    network = space.evaluation_network(hidden=HIDDEN).double().eval()
    widened(network)
    x = tokens()
    vectors = network.edges[1, 2].op.embedding.weight[x]
    cell = partial(discrete_cell, ws=matrices(network), recurrent=RECURRENT, concat=concat or [1, 2, 3], h_mask=1.0)
    zeros = torch.zeros(ROWS, HIDDEN, dtype=torch.float64)
    expected = reference(network, unroll(vectors, zeros, layer_of(network).gates.weight, cell))
    torch.testing.assert_close(network(x), expected, rtol=1e-10, atol=1e-12)
    assert not [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm1d)]


def test_dropout_has_one_mask_per_sequence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of vectors, inputs and outputs `(n, 1, hidden)`, of states `(n, hidden)`, of words `(words, 1)`."""
    from naslib.search_spaces.core import ops_words

    masks: list[Tensor] = []
    draw = ops_words.dropout_mask

    def noted(*args: object) -> Tensor:
        masks.append(draw(*args))
        return masks[-1]

    monkeypatch.setattr(ops_words, "dropout_mask", noted)
    space = make(dropout=0.5, dropout_hidden=0.4, dropout_input=0.3, dropout_embedding=0.2, dropout_words=0.1)
    space.set_spec({"recurrent": RECURRENT})
    network = space.evaluation_network(hidden=HIDDEN).double().train()
    widened(network)
    x = tokens()
    found = network(x)
    words, vectors, states, inputs, outputs = masks
    assert [tuple(m.shape) for m in masks] == [
        (WORDS, 1), (ROWS, 1, HIDDEN), (ROWS, HIDDEN), (ROWS, 1, HIDDEN), (ROWS, 1, HIDDEN),
    ]  # fmt: skip
    for mask, share in zip(masks, (0.1, 0.2, 0.4, 0.3, 0.5), strict=True):
        assert set(mask.unique().tolist()) <= {0.0, 1 / (1 - share)}
    embedding = network.edges[1, 2].op.embedding.weight
    cell = partial(discrete_cell, ws=matrices(network), recurrent=RECURRENT, concat=[1, 2, 3], h_mask=states)
    zeros = torch.zeros(ROWS, HIDDEN, dtype=torch.float64)
    raw = unroll((embedding * words)[x] * vectors, zeros, layer_of(network).gates.weight, cell, inputs[:, 0], states)
    torch.testing.assert_close(found, reference(network, raw * outputs), rtol=1e-10, atol=1e-12)
    masks.clear()
    network.eval()
    assert torch.equal(network(x), network(x)) and not masks


def test_a_network_goes_on_where_the_batch_before_ended() -> None:
    space = make()
    space.set_spec({"recurrent": RECURRENT})
    network = space.evaluation_network(hidden=HIDDEN).double().eval()
    widened(network)
    x = tokens(steps=8)
    memory, found = Memory(), []
    for piece in (x[:, :3], x[:, 3:7], x[:, 7:]):
        memory = Memory(memory.after)
        for _ in range(2):  # a second forward on the same batch begins where the first one did
            with memory.reading():
                again = network(piece)
        found.append(again)
    torch.testing.assert_close(torch.cat(found, 1), network(x), rtol=1e-12, atol=1e-14)
    assert not memory.after["recurrent"].requires_grad
    other = Memory({"recurrent": torch.zeros(ROWS + 1, HIDDEN)})
    with pytest.raises(GraphError, match=r"\(5, 6\), and the batch needs \(4, 6\)"), other.reading():
        network(x)


def test_one_matrix_for_all_that_read_a_node_survives_copies() -> None:
    space = make()
    count = WORDS * HIDDEN + WORDS + 2 * HIDDEN * 2 * HIDDEN + NODES * HIDDEN * 2 * HIDDEN
    for copied in (space.clone(), space.unparse()):
        copied.compile()
        copied_cell = matrices(copied)
        assert len(copied_cell) == NODES
    optimizer = DARTSOptimizer()
    optimizer.adapt_search_space(space)
    assert sum(p.numel() for p in optimizer.weights) == count
    found = optimizer.get_final_architecture()
    assert sum(p.numel() for p in found.parameters()) == count
    assert found.edges[3, 4].op.embedding is found.edges[1, 2].op.embedding


@pytest.mark.parametrize(
    ("method", "keywords", "at_once"),
    [
        ("darts", {}, True),
        ("drnas", {}, True),
        ("gdas", {}, False),  # what is drawn runs by itself
        ("darts_minus", {}, False),  # an auxiliary connection is around each mixture
    ],
)
def test_a_cell_is_mixed_at_once_where_it_is_a_mixture_only(method: str, keywords: dict, at_once: bool) -> None:
    optimizer = OPTIMIZERS.get(method)(epochs=2, **keywords)
    optimizer.adapt_search_space(make())
    optimizer.new_epoch(0)
    optimizer.graph.double()
    for alpha in optimizer.architectural_weights:
        alpha.data = torch.randn(alpha.shape, dtype=torch.float64)
    widened(optimizer.graph)
    cell, x = recurrent_cell(optimizer.graph), tokens()
    sample = optimizer.sample()
    with optimizer.assigned(sample):
        assert (CellMixture.of(cell) is not None) is at_once
        found = optimizer.graph(x)
        optimizer.graph.set_passes(**dataclasses.asdict(Passes.none()))
        cell.set_passes(**dataclasses.asdict(Passes.none()))
        assert CellMixture.of(cell) is None
        torch.testing.assert_close(found, optimizer.graph(x), rtol=1e-9, atol=1e-11)
    assert CellMixture.of(cell) is None  # nothing is assigned


def test_what_is_watched_or_hooked_is_not_mixed_at_once() -> None:
    optimizer = DARTSOptimizer()
    optimizer.adapt_search_space(make())
    cell = recurrent_cell(optimizer.graph)
    with optimizer.assigned(optimizer.sample()):
        assert CellMixture.of(cell) is not None
        op = cell.edges[1, 3].op
        with watching_weights([op], lambda op, weights: weights):
            assert CellMixture.of(cell) is None
        for module in (op, op.primitives[2], op.primitives[2].gates, cell.nodes[3]["comb_op"], cell):
            handle = module.register_forward_hook(lambda *args: None)
            assert CellMixture.of(cell) is None
            handle.remove()
        assert CellMixture.of(cell) is not None


@pytest.mark.parametrize("method", ["darts", "gdas", "spos"])
def test_a_step_in_half_precision(method: str) -> None:
    losses = []
    for amp in (False, True):
        torch.manual_seed(0)
        optimizer = OPTIMIZERS.get(method)(epochs=2, amp=amp, task=build_task("language_modelling"))
        optimizer.adapt_search_space(make())
        optimizer.before_training()
        optimizer.new_epoch(0)
        optimizer.graph.train()
        batch = optimizer.task.to_device((tokens(1), tokens(2)), torch.device("cpu"))
        losses.append(float(optimizer.step(batch, batch)[2]))
    assert losses[1] == pytest.approx(losses[0], rel=0.02)
