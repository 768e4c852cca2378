"""NAS-Bench-NLP: recipes, their codes and changes, and the language models that they make."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from data_files import data_file
from torch.nn import functional as F

from naslib.errors import ArchitectureError, ConfigError, GraphError, UnsupportedBySpaceError
from naslib.optimizers import DARTSOptimizer
from naslib.search_spaces import NasBenchNLPSearchSpace
from naslib.search_spaces.core.recipe_code import recipe_of
from naslib.search_spaces.core.recipes import MAX_NODES, Recipe
from naslib.search_spaces.nasbench_nlp.changes import changed, changes
from naslib.search_spaces.nasbench_nlp.codec import RECIPES
from naslib.search_spaces.nasbench_nlp.conversions import convert_compact_to_recipe, convert_recipe_to_compact
from naslib.utils.passage import Memory

CODEC = NasBenchNLPSearchSpace.codec
FILE = data_file("nb_nlp_wikitext2.npz")
needs_file = pytest.mark.skipif(not FILE.is_file(), reason=f"no {FILE.name} in the shared data directory")

RNN = {"f": {"op": "linear", "input": ["x", "h_prev_0"]}, "h_new_0": {"op": "activation_tanh", "input": ["f"]}}
# Hochreiter and Schmidhuber's cell, as the benchmark's authors write it
LSTM = {
    **{name: {"op": "linear", "input": ["x", "h_prev_0"]} for name in "ijfo"},
    **{f"{name}_act": {"op": "activation_sigm", "input": [name]} for name in "jf"},
    **{f"{name}_act": {"op": "activation_tanh", "input": [name]} for name in "io"},
    "kept": {"op": "elementwise_prod", "input": ["f_act", "h_prev_1"]},
    "new": {"op": "elementwise_prod", "input": ["i_act", "j_act"]},
    "h_new_1": {"op": "elementwise_sum", "input": ["kept", "new"]},
    "h_new_1_act": {"op": "activation_tanh", "input": ["h_new_1"]},
    "h_new_0": {"op": "elementwise_prod", "input": ["h_new_1_act", "o_act"]},
}
GRU = {
    **{name: {"op": "linear", "input": ["x", "h_prev_0"]} for name in "rz"},
    **{f"{name}_act": {"op": "activation_sigm", "input": [name]} for name in "rz"},
    "rh": {"op": "elementwise_prod", "input": ["r_act", "h_prev_0"]},
    "h": {"op": "linear", "input": ["x", "rh"]},
    "h_act": {"op": "activation_tanh", "input": ["h"]},
    "h_new_0": {"op": "blend", "input": ["z_act", "h_prev_0", "h_act"]},
}

TWO_STATES = {
    "f": {"op": "linear", "input": ["x", "h_prev_0", "h_prev_1"]},
    "h_new_0": {"op": "activation_tanh", "input": ["h_new_1"]},
    "h_new_1": {"op": "activation_sigm", "input": ["f"]},
}


def _shuffled(recipe: dict[str, Any], rng: Random) -> dict[str, Any]:
    """Return a recipe with other names and another order of nodes and inputs."""
    names = [name for name in recipe if not name.removeprefix("h_new_").isdigit()]
    new = dict(zip(names, rng.sample([f"n{k}" for k in range(len(names))], len(names)), strict=True))
    nodes = list(recipe.items())
    rng.shuffle(nodes)
    found = {}
    for name, node in nodes:
        inputs = [new.get(source, source) for source in node["input"]]
        if node["op"] != "blend":
            rng.shuffle(inputs)
        found[new.get(name, name)] = {"op": node["op"], "input": inputs}
    return found


def test_a_cell_has_one_code_whatever_its_names() -> None:
    rng = Random(0)
    for recipe in (RNN, LSTM, GRU, *(CODEC.genotype(RECIPES.random(seed)) for seed in range(10))):
        code = CODEC.canonical(recipe)
        assert {CODEC.canonical(_shuffled(recipe, rng)) for _ in range(4)} == {code}
        assert CODEC.canonical(json.dumps(recipe)) == CODEC.canonical(str(recipe)) == code
        assert CODEC.canonical(CODEC.genotype(code)) == code and len(code) == 101
    blend = {**GRU, "h_new_0": {"op": "blend", "input": ["z_act", "h_act", "h_prev_0"]}}
    assert CODEC.canonical(blend) != CODEC.canonical(GRU)


def test_the_compact_form_of_naslib_is_read() -> None:
    compact = convert_recipe_to_compact(RNN)
    assert compact == (((0, 4), (1, 4), (4, 5)), (0, 0, 0, 0, 6, 2), (5,))
    for recipe in (RNN, LSTM, GRU, TWO_STATES):
        compact = convert_recipe_to_compact(recipe)
        assert CODEC.canonical(compact) == CODEC.canonical(str(compact)) == CODEC.canonical(recipe)
        assert CODEC.canonical(convert_compact_to_recipe(compact)) == CODEC.canonical(recipe)
    with pytest.raises(ArchitectureError, match="the operations of a compact form are 1 to 7"):
        CODEC.canonical((((0, 4), (1, 4)), (0, 0, 0, 0, 9), (4,)))
    with pytest.raises(ArchitectureError, match="the nodes of a compact form are 0 to 4"):
        CODEC.canonical((((0, 4), (7, 4)), (0, 0, 0, 0, 6), (4,)))


def test_states_but_the_first_have_no_order() -> None:
    first = {
        "a": {"op": "linear", "input": ["x", "h_prev_0", "h_prev_1"]},
        "h_new_0": {"op": "elementwise_prod", "input": ["h_new_1", "h_new_2"]},
        "h_new_1": {"op": "activation_tanh", "input": ["a"]},
        "h_new_2": {"op": "elementwise_sum", "input": ["a", "h_prev_2"]},
    }
    swap = {"h_new_1": "h_new_2", "h_new_2": "h_new_1", "h_prev_1": "h_prev_2", "h_prev_2": "h_prev_1"}
    second = {
        swap.get(name, name): {"op": node["op"], "input": [swap.get(i, i) for i in node["input"]]}
        for name, node in first.items()
    }
    assert CODEC.canonical(first) == CODEC.canonical(second)


def test_what_the_states_do_not_need_goes() -> None:
    loose = {**RNN, "g": {"op": "activation_sigm", "input": ["f"]}}
    assert CODEC.canonical(loose) == CODEC.canonical(RNN)


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ({**RNN, "f": {"op": "linaer", "input": ["x"]}}, "unknown operation 'linaer', did you mean 'linear'|linear"),
        ({**RNN, "f": {"op": "linear", "input": ["x", "h_prev_7"]}}, "reads 'h_prev_7', which there is not"),
        ({**RNN, "f": {"op": "linear", "input": ["x", "h_prev_1"]}}, "a state that there is not"),
        ({**RNN, "f": {"op": "linear", "input": ["x"]}}, "nothing reads the state h_prev_0"),
        ({**RNN, "f": {"op": "linear", "input": ["h_prev_0"]}}, "nothing reads the input x"),
        ({**RNN, "f": {"op": "blend", "input": ["x", "h_prev_0"]}}, "reads 3 inputs, not 2"),
        ({**RNN, "f": {"op": "linear", "input": ["x", "h_prev_0", "h_new_0"]}}, "in a circle"),
        ({"f": RNN["f"]}, r"the nodes h_new_0, h_new_1 \.\.\., not \[\]"),
        ({**RNN, "f": {"op": "elementwise_sum", "input": ["x", "x"]}}, "reads an input twice"),
        ([1, 2, 3], "101 ints"),
        ("Genotype(recurrent=[('relu', 0)])", "101 ints|recipe"),
    ],
)
def test_what_is_no_cell_is_refused(recipe: object, words: str) -> None:
    with pytest.raises(ArchitectureError, match=words):
        CODEC.canonical(recipe)


def test_a_cell_has_limits() -> None:
    chain = {"n0": {"op": "linear", "input": ["x", "h_prev_0"]}}
    chain |= {f"n{k}": {"op": "activation_tanh", "input": [f"n{k - 1}"]} for k in range(1, MAX_NODES)}
    chain["h_new_0"] = chain.pop(f"n{MAX_NODES - 1}")
    assert CODEC.canonical(chain)[1] == MAX_NODES - 1
    longer = {**chain, "more": {"op": "activation_tanh", "input": ["n3"]}}
    longer["n4"] = {"op": "activation_tanh", "input": ["more"]}
    with pytest.raises(ArchitectureError, match="it has 25 nodes; expected at most 24"):
        CODEC.canonical(longer)


def test_every_change_is_taken_back_by_one() -> None:
    kinds = set()
    for recipe in (Recipe.read(TWO_STATES).ordered(), *(recipe_of(RECIPES.random(seed)) for seed in range(6))):
        by_kind: dict[str, Recipe] = {}
        for change in changes(recipe):
            after = changed(recipe, change)
            if after is not None and after != recipe:
                by_kind.setdefault(change[0], after)
        kinds |= by_kind.keys()
        for after in by_kind.values():
            assert recipe in {changed(after, change) for change in changes(after)}
    assert kinds == {"op", "input", "more", "less", "output", "insert", "remove", "state", "no state"}


def test_variation_stays_within_the_limits() -> None:
    rng = Random(0)
    codes = [RECIPES.random(rng) for _ in range(60)]
    assert len(set(codes)) > 50 and {code[0] for code in codes} == {0, 1, 2}
    for code in codes[:20]:
        recipe = recipe_of(code)
        direct = {source for output in recipe.outputs for source in recipe.nodes[output][1]}
        assert not direct & {1, 2, 3}, "a new state that reads an old one"
        assert RECIPES.is_valid(RECIPES.mutate(code, rng)) and RECIPES.is_valid(RECIPES.perturb(code, 0.1, rng))
        assert RECIPES.is_valid(RECIPES.crossover(code, codes[0], rng))
    assert RECIPES.size() is None
    with pytest.raises(UnsupportedBySpaceError, match="too large"):
        RECIPES.iterate()


def _network(recipe: object, layers: int = 1, **shares: float) -> NasBenchNLPSearchSpace:
    torch.manual_seed(0)
    graph = NasBenchNLPSearchSpace(11, embedding=5, hidden=5, layers=layers, **shares)
    graph.set_spec(recipe)
    graph.parse()
    return graph.double()


@torch.no_grad()
def test_the_rnn_and_the_gru_are_what_they_are() -> None:
    words = torch.randint(11, (3, 4), generator=torch.Generator().manual_seed(1))
    for recipe in (RNN, GRU):
        graph = _network(recipe).eval()
        layer, x = graph.edges[2, 3].op, graph.edges[1, 2].op(words)
        order = recipe_of(graph.get_code())
        linear = {i: layer.cell.linear[str(i)] for i, (op, _) in enumerate(order.nodes) if op == 0}
        state = torch.zeros(3, 5, dtype=torch.float64)
        expected = []
        for step in x.unbind(1):
            if recipe is RNN:
                (only,) = linear.values()
                state = torch.tanh(only.bias + step @ only.weights[0].T + state @ only.weights[1].T)
            else:
                state = _gru(order, linear, step, state)
            expected.append(state)
        torch.testing.assert_close(layer(x), torch.stack(expected, 1), rtol=0, atol=1e-12)
        logits = torch.stack(expected, 1) @ graph.edges[1, 2].op.embedding.weight.T + graph.edges[3, 4].op.bias
        torch.testing.assert_close(graph(words), logits, rtol=0, atol=1e-12)


def _gru(order: Recipe, linear: dict[int, Any], x: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
    """Compute a step written out: which linear node is which gate follows from what reads it."""
    blend = next(inputs for op, inputs in order.nodes if op == 1)
    gate = order.nodes[blend[0] - 4][1][0] - 4
    new = order.nodes[blend[2] - 4][1][0] - 4
    (reset,) = set(linear) - {gate, new}

    def of(name: int, second: torch.Tensor) -> torch.Tensor:
        return linear[name].bias + x @ linear[name].weights[0].T + second @ linear[name].weights[1].T

    z, r = torch.sigmoid(of(gate, h)), torch.sigmoid(of(reset, h))
    return z * h + (1 - z) * torch.tanh(of(new, r * h))


def test_states_are_remembered_between_batches() -> None:
    graph = _network(LSTM, layers=2).eval()
    words = torch.randint(11, (2, 6), generator=torch.Generator().manual_seed(2))
    whole = graph(words)
    memory = Memory()
    with memory.reading():
        first = graph(words[:, :4])
    assert {key: tuple(state.shape) for key, state in memory.after.items()} == {
        "recipe_0": (2, 10),
        "recipe_1": (2, 10),
    }
    memory = Memory(memory.after)
    with memory.reading():
        second = graph(words[:, 4:])
    torch.testing.assert_close(torch.cat([first, second], 1), whole, rtol=0, atol=1e-12)
    with Memory(memory.after).reading(), pytest.raises(GraphError, match="same number of rows"):
        graph(words[:1])


def test_what_is_dropped_is_dropped_in_training_alone() -> None:
    shares = {"dropout": 0.0, "dropout_hidden": 0.0, "dropout_input": 0.0, "dropout_words": 0.0}
    words = torch.zeros(2, 3, dtype=torch.long)
    whole = _network(RNN, **shares, dropout_weights=0.0)
    assert torch.equal(whole.train()(words), whole.eval()(words))
    dropping = _network(RNN, **shares, dropout_weights=0.5)
    assert not torch.equal(dropping.train()(words), dropping.eval()(words))
    linear = dropping.edges[2, 3].op.cell.linear["0"]
    torch.manual_seed(3)
    joined = linear.joined(0.5)
    torch.manual_seed(3)
    assert torch.equal(joined, torch.cat([linear.weights[0], F.dropout(linear.weights[1], 0.5)], 1))


def test_errors_come_before_work() -> None:
    with pytest.raises(ConfigError, match=r"hidden must be at least 1, not 0; dropout must be in \[0, 1\), not 1"):
        NasBenchNLPSearchSpace(hidden=0, dropout=1)
    with pytest.raises(ConfigError, match="for language_modelling, not for classification"):
        NasBenchNLPSearchSpace(task="classification")
    with pytest.raises(GraphError, match="no architecture is set"):
        NasBenchNLPSearchSpace(9, embedding=4, hidden=4)(torch.zeros(1, 2, dtype=torch.long))
    with pytest.raises(UnsupportedBySpaceError, match="no network has them all"):
        DARTSOptimizer(epochs=1).adapt_search_space(NasBenchNLPSearchSpace(9, embedding=4, hidden=4))


@needs_file
def test_every_recipe_of_the_benchmark_builds_with_its_parameters() -> None:
    with np.load(FILE) as file:
        recipes, params = file["recipe"].tolist(), file["num_params"].tolist()
    space = NasBenchNLPSearchSpace(33278, embedding=400, hidden=600)
    for recipe, count in zip(recipes, params, strict=True):
        assert space.count_parameters(recipe_of(CODEC.canonical(recipe))) == count
    for row in (0, 3, 77):
        with torch.device("meta"):
            graph = NasBenchNLPSearchSpace(33278)
            graph.set_spec(recipes[row])
            graph.parse()
        assert sum(p.numel() for p in graph.parameters()) == params[row]
    for recipe in recipes[::30]:
        network = NasBenchNLPSearchSpace(7, embedding=3, hidden=4, layers=2)
        network.set_spec(recipe)
        output = network(torch.zeros(2, 3, dtype=torch.long))
        assert output.shape == (2, 3, 7) and output.isfinite().all()


def test_what_is_drawn_anew_begins_where_the_authors_begin() -> None:
    graph = _network(RNN)
    vectors, linear = graph.edges[1, 2].op.embedding.weight, graph.edges[2, 3].op.cell.linear["0"]
    before = vectors.detach().clone()
    graph.reset_weights(inplace=True)
    assert not torch.equal(vectors, before)
    for weights, bound in ((vectors, 0.1), *((weight, 5**-0.5) for weight in (*linear.weights, linear.bias))):
        assert weights.abs().max() <= bound and weights.std() > bound / 4
