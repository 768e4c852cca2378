"""Every space: its decisions, codes, discrete networks, and the forms that these can be taken away in."""

from __future__ import annotations

import copy
import inspect
import pickle
from random import Random

import pytest
import torch

from naslib.search_spaces import SEARCH_SPACES
from naslib.search_spaces.core.arguments import constructor_arguments
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.primitives import MixedOp
from naslib.tasks import build_task
from tests.support.zoo import ENTRIES, Entry

SPACES = sorted(ENTRIES)
# So many architectures are drawn of each space
DRAWS = 3


def test_the_zoo_has_all_that_is_registered() -> None:
    made = {type(entry.make(n_classes=4, in_channels=3)) for entry in ENTRIES.values()}
    registered = {SEARCH_SPACES.get(name) for name in SEARCH_SPACES.names()}
    assert registered <= made
    assert len(registered) >= 4


@pytest.fixture(params=SPACES)
def entry(request: pytest.FixtureRequest) -> Entry:
    return ENTRIES[request.param]


def _space(entry: Entry, n_classes: int = 4, in_channels: int = 3) -> Graph:
    torch.manual_seed(0)
    return entry.make(n_classes=n_classes, in_channels=in_channels)


def _drawn(entry: Entry, seed: int, **sizes: int) -> Graph:
    space = _space(entry, **sizes)
    space.sample_random_architecture(rng=Random(seed))
    return space


def test_a_space_states_as_many_architectures_as_there_are(entry: Entry) -> None:
    assert _space(entry).decision_space.size() == entry.size


def test_an_architecture_is_its_code(entry: Entry) -> None:
    codes = []
    for seed in range(DRAWS):
        graph = _drawn(entry, seed)
        code = graph.get_code()
        codes.append(code)
        assert isinstance(code, tuple) and all(type(gene) is int for gene in code)
        again, by_genotype = _space(entry), _space(entry)
        again.set_spec(code)
        by_genotype.set_spec(graph.genotype())
        assert again.get_code() == by_genotype.get_code() == code
        assert again.get_hash() == by_genotype.get_hash() == graph.get_hash()
        assert again.genotype() == graph.genotype()
    assert len(set(codes)) > 1


def test_a_canonical_code_is_its_own(entry: Entry) -> None:
    space = _space(entry).decision_space
    for seed in range(DRAWS * 4):
        code = space.random(Random(seed))
        assert space.is_valid(code) and space.canonical(code) == code == space.code_of(space.choices(code))
    graph = _space(entry)
    for seed in range(DRAWS):
        code = _drawn(entry, seed).get_code()
        assert graph._codec().canonical(code) == code


def test_a_mutation_changes_one_decision_in_force(entry: Entry) -> None:
    space = _space(entry).decision_space
    rng = Random(1)
    for seed in range(DRAWS * 2):
        code = space.random(Random(seed))
        child = space.mutate(code, rng)
        assert space.is_valid(child) and child != code
        before, after = space.choices(code), space.choices(child)
        # what another choice brings into force, or puts out of it, goes along
        assert any(before[name] != after[name] for name in before.keys() & after.keys())
    parent, child = _drawn(entry, 3), _space(entry)
    child.mutate(parent, rng=Random(4))
    assert child.get_code() != parent.get_code() and child._codec().is_valid(child.get_code())


def test_neighbours_are_mutual_and_as_many_as_there_must_be(entry: Entry) -> None:
    space = _space(entry).decision_space
    code = space.random(Random(2))
    neighbours = space.neighbours(code)
    assert len(neighbours) == len(set(neighbours)) and code not in neighbours
    if entry.neighbours is not None:
        assert len(neighbours) == entry.neighbours(space, code)
    for other in Random(3).sample(neighbours, min(3, len(neighbours))):
        assert space.is_valid(other) and code in space.neighbours(other)


@pytest.mark.parametrize("n_classes", [10, 100])
def test_an_architecture_is_trained_for_any_numbers_of_channels_and_classes(entry: Entry, n_classes: int) -> None:
    task = build_task(entry.task)
    for in_channels in entry.channels or (3,):
        graph = _drawn(entry, 5, n_classes=n_classes, in_channels=in_channels)
        graph.compile()
        graph.parse()
        batch = entry.batch(2, 0, in_channels=in_channels, n_classes=n_classes)
        outputs = task.forward(graph, batch)
        assert n_classes in (outputs[0] if isinstance(outputs, tuple) else outputs).shape
        task.loss(outputs, batch).backward()
        gradients = [p.grad for p in graph.parameters() if p.grad is not None]
        assert gradients and all(gradient.isfinite().all() for gradient in gradients)
        assert any(gradient.abs().sum() > 0 for gradient in gradients)


def test_what_is_retrained_has_weights_of_its_own(entry: Entry) -> None:
    graph = _drawn(entry, 6)
    graph.compile()
    graph.parse()
    network = graph.evaluation_network(**entry.evaluation)
    batch = entry.batch(2, 1)
    outputs = build_task(entry.task).forward(network.eval(), batch)
    assert not any(isinstance(module, MixedOp) for module in network.modules())
    assert (outputs[0] if isinstance(outputs, tuple) else outputs).isfinite().all()


@torch.no_grad()
def test_copies_compute_the_same_with_weights_of_their_own(entry: Entry) -> None:
    graph = _drawn(entry, 9)
    graph.compile()
    graph.parse()
    graph.eval()
    inputs = entry.batch(2, 4)[0]
    torch.manual_seed(1)  # of operations that draw noise
    expected = graph(inputs)
    for twin in (graph.clone(), copy.deepcopy(graph), pickle.loads(pickle.dumps(graph))):
        assert type(twin) is type(graph) and twin.get_code() == graph.get_code()
        twin.parse()
        torch.manual_seed(1)
        assert torch.equal(twin.eval()(inputs), expected)
        own = {parameter.data_ptr() for parameter in graph.parameters()}
        assert not own & {parameter.data_ptr() for parameter in twin.parameters()}


@torch.no_grad()
def test_a_network_leaves_as_fx(entry: Entry) -> None:
    graph = _drawn(entry, 7)
    graph.compile()
    graph.parse()
    graph.eval()
    inputs = entry.batch(2, 2)[0]
    torch.manual_seed(9)  # an operation may be random
    expected = graph(inputs)
    torch.manual_seed(9)
    assert torch.equal(graph.plan.to_fx()(inputs), expected)


# What these spaces of before do not keep: records of them have the defaults
NOT_KEPT = {
    "conditional_operations": {"in_channels", "n_classes"},
    "conditional_kinds": {"in_channels", "n_classes"},
    "simple_sequence": {"stem_stride"},
    "simple_sequence_text": {"stem_stride"},
    "darts_rnn": {"dropout", "dropout_hidden", "dropout_input", "dropout_words", "dropout_embedding"},
    "nasbench_nlp": {
        *("embedding", "hidden", "layers", "dropout", "dropout_hidden", "dropout_input", "dropout_words"),
        "dropout_weights",
    },
}


def test_a_space_keeps_what_it_was_made_with(request: pytest.FixtureRequest, entry: Entry) -> None:
    space = _space(entry)
    parameters = inspect.signature(type(space).__init__).parameters.values()
    own = {p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)} - {"self"}
    assert own - set(constructor_arguments(space)) == NOT_KEPT.get(request.node.callspec.id, set())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The tensor attributes .*lstm")  # torch's own, of its LSTM
@torch.no_grad()
def test_a_network_is_exported(entry: Entry) -> None:
    if not entry.exports:
        pytest.skip("its page says why it cannot be exported")
    graph = _drawn(entry, 8)
    graph.compile()
    graph.parse()
    graph.eval()
    inputs = entry.batch(2, 3)[0]
    program = torch.export.export(graph, (inputs,))
    torch.manual_seed(9)
    expected = graph(inputs)
    torch.manual_seed(9)
    torch.testing.assert_close(program.module()(inputs), expected)
