"""The Plan against the naive recursive interpreter, on random nested DAGs with several outputs."""

from __future__ import annotations

import copy
import pickle
import random
import threading

import pytest
import torch
from random_graphs import WIDTH, random_graph
from reference import interpret
from torch import nn

from naslib.search_spaces.core.graph import Graph

N_GRAPHS = 120


def _graph(seed: int) -> Graph:
    torch.manual_seed(seed)
    return random_graph(random.Random(seed), depth=2)


def _all_outputs(run, graph: Graph, x: torch.Tensor):
    out, auxiliary = run(graph, x)
    return [out, *(auxiliary[key] for key in sorted(auxiliary, key=str))], sorted(map(str, auxiliary))


def _outputs_and_gradients(run, graph: Graph, x: torch.Tensor):
    x = x.clone().requires_grad_()
    outputs, keys = _all_outputs(run, graph, x)
    loss = sum((index + 1) * (o * o).sum() for index, o in enumerate(outputs))
    parameters = [p for _, p in sorted(graph.named_parameters())]
    gradients = torch.autograd.grad(loss, [x, *parameters], allow_unused=True)
    return [o.detach() for o in outputs], keys, gradients


def _assert_same(first, second) -> None:
    assert first[1] == second[1]
    torch.testing.assert_close(first[0], second[0], rtol=0, atol=1e-12)
    assert [g is None for g in first[2]] == [g is None for g in second[2]]
    pairs = [(a, b) for a, b in zip(first[2], second[2], strict=True) if a is not None]
    for a, b in pairs:
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def test_plan_equals_interpreter_on_random_graphs():
    nested = multi_output = trained = 0
    for seed in range(N_GRAPHS):
        graph = _graph(seed)
        graph.parse()
        x = torch.randn(3, WIDTH, dtype=torch.float64)
        expected = _outputs_and_gradients(interpret, graph, x)
        _assert_same(_outputs_and_gradients(Graph.forward_with_auxiliary, graph, x), expected)
        nested += len(graph.nested_graphs()) > 1
        multi_output += bool(expected[1])
        trained += len(expected[2]) > 1
    # the drawn graphs really exercise what the test is about
    assert nested >= 60 and multi_output >= 60 and trained >= 100


@pytest.mark.parametrize("seed", range(0, N_GRAPHS, 6))
def test_copies_compute_the_same(seed: int):
    graph = _graph(seed)
    graph.parse()
    x = torch.randn(2, WIDTH, dtype=torch.float64)
    expected, _ = _all_outputs(Graph.forward_with_auxiliary, graph, x)
    unparsed = graph.unparse()
    copies = [graph.clone(), copy.deepcopy(graph), pickle.loads(pickle.dumps(graph)), unparsed, graph.copy()]
    unparsed.parse()
    for other in copies:
        assert type(other) is type(graph)
        torch.testing.assert_close(_all_outputs(Graph.forward_with_auxiliary, other, x)[0], expected, rtol=0, atol=0)
    assert {id(p) for p in unparsed.parameters()} == {id(p) for p in graph.parameters()}
    assert not {id(p) for p in copies[0].parameters()} & {id(p) for p in graph.parameters()}


@pytest.mark.parametrize("seed", range(1, N_GRAPHS, 6))
def test_fx_computes_the_same(seed: int):
    graph = _graph(seed)
    graph.parse()
    x = torch.randn(2, WIDTH, dtype=torch.float64)
    expected, auxiliary = graph.forward_with_auxiliary(x)
    result = graph.plan.to_fx()(x)
    out, aux = result if auxiliary else (result, {})
    torch.testing.assert_close(out, expected, rtol=0, atol=0)
    assert set(aux) == set(auxiliary)
    for key in aux:
        torch.testing.assert_close(aux[key], auxiliary[key], rtol=0, atol=0)


@pytest.mark.parametrize("seed", range(2, N_GRAPHS, 12))
def test_functional_call(seed: int):
    graph = _graph(seed)
    graph.parse()
    x = torch.randn(2, WIDTH, dtype=torch.float64)
    doubled = {name: 2 * p.detach() for name, p in graph.named_parameters()}
    got = torch.func.functional_call(graph, doubled, (x,))
    reference = graph.clone()
    with torch.no_grad():
        for p in reference.parameters():
            p.mul_(2)
    torch.testing.assert_close(got, interpret(reference, x)[0], rtol=0, atol=1e-12)


def test_eight_threads_at_once():
    graphs = [_graph(seed).eval() for seed in range(6)]
    for graph in graphs:
        graph.parse()
    inputs = [torch.randn(2, WIDTH, dtype=torch.float64) for _ in range(8)]
    expected = [[interpret(g, x) for x in inputs] for g in graphs]
    errors: list[BaseException] = []

    def work(index: int) -> None:
        try:
            for _ in range(10):
                for g, graph in enumerate(graphs):
                    out, auxiliary = graph.forward_with_auxiliary(inputs[index])
                    torch.testing.assert_close(out, expected[g][index][0], rtol=0, atol=1e-12)
                    own = {k: v for k, v in auxiliary.items() if isinstance(k, int)}
                    for node, value in own.items():
                        assert graph.graph[f"out_from_{node}"] is value
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


def test_activations_are_freed_at_last_use():
    alive: list[int] = []

    class Watch(nn.Module):
        live: set[int] = set()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out = x + 1
            import weakref

            Watch.live.add(id(out))
            weakref.finalize(out, Watch.live.discard, id(out))
            alive.append(len(Watch.live))
            return out

    chain = Graph(name="chain")
    chain.add_nodes_from(range(1, 21))
    for node in range(1, 20):
        chain.add_edge(node, node + 1, op=Watch())
    chain.parse()
    with torch.no_grad():
        chain(torch.zeros(2))
    assert len(alive) == 19 and max(alive) <= 2
