"""A list of combinations at a node is a decision: stated, set, searched by every method, and left in what is found."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
import torch
from node_space import NodeSpace, cell_of, combined
from small_searches import METHODS, batches, chosen, ready
from small_spaces import images
from torch import nn

from naslib.errors import ArchitectureError, ConfigError, GraphError, SpecAlreadySetError
from naslib.optimizers.oneshot.paths.sizes import mac_table, parameter_table
from naslib.optimizers.oneshot.supernet.relaxed_op import RelaxedMixedOp
from naslib.search_spaces.core.assignment import Assignment, Draw
from naslib.search_spaces.core.flops import count_macs
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.node_choices import Combination, Entering, NodeChoice, choices_at
from naslib.search_spaces.core.primitives import Identity
from naslib.training.arch_weights import record_of
from naslib.training.space_record import describe_architecture, rebuild_architecture

LABEL = "cell/4:comb_op"
NAMES = ("sum", "channel_maxout", "product", "Gated")
REFUSED = {
    "gsparsity": "does not fit combinations at nodes: .* its groups are the weights of an operation",
    "te_nas": "does not fit combinations at nodes: .* it removes operations from edges one by one",
}
# What these add to an edge during the search, or take from it, is otherwise in a discrete architecture
CHANGES_EDGES = ("darts_minus", "pc_darts")


def _made(name: str, space: Graph | None = None, **keys: Any) -> Any:
    return ready(name, space if space is not None else NodeSpace(), **keys)


# what is stated, set and read


def test_the_node_is_stated_once_for_both_copies():
    space = NodeSpace()
    decision = space.decision_space.decision(LABEL)
    assert (decision.kind, decision.candidates, decision.n_chosen) == ("op", NAMES, 1)
    assert [(site.head, site.tail) for site in decision.sites] == [(None, 4), (None, 4)]
    assert space.decision_space.size() == 3**3 * 4 and len(space.decision_space.decisions) == 4
    assert space.clone().decision_space == space.decision_space
    assert [len(g.nodes[4]["comb_op"]) for g in space.nested_graphs() if g.scope == "cell"] == [4, 4]  # as it was


def test_graphs_that_decide_differently_have_decisions_of_their_own():
    space = NodeSpace()
    second = [g for g in space.nested_graphs() if g.scope == "cell"][1]
    second.nodes[4]["comb_op"] = [sum, max]
    names = [name for name in space.decision_space.names if "comb_op" in name]
    assert names == [LABEL, "cell#2/4:comb_op"]
    assert space.decision_space.decision("cell#2/4:comb_op").candidates == ("sum", "max")


def test_architectures_are_set_sampled_mutated_and_read_again():
    space = NodeSpace().double()
    decisions = space.decision_space
    codes = list(decisions.iterate())
    assert len(codes) == 108
    for code in codes[::7]:
        graph = space.clone()
        graph.set_spec(code)
        assert graph.get_code() == code and graph.genotype() == decisions.choices(code)
        assert graph.decision_space == decisions
        again = space.clone()
        again.set_spec(graph.genotype())
        assert again.get_code() == code and again.get_hash() == graph.get_hash()
        with pytest.raises(SpecAlreadySetError):
            graph.set_spec(code)
        evaluated = graph.evaluation_network()
        assert evaluated.get_code() == code and evaluated(images()[0].float()[:2].to(_dtype(evaluated))).shape == (2, 3)
    sampled = NodeSpace()
    sampled.sample_random_architecture(rng=1)
    mutant = NodeSpace()
    mutant.mutate(sampled, rng=2)
    assert mutant.get_code() in decisions.neighbours(sampled.get_code())
    assert len(sampled.get_nbhd()) == 3 * 2 + 3


def _dtype(graph: nn.Module) -> torch.dtype:
    return next(graph.parameters()).dtype


@pytest.mark.parametrize("index", range(4))
def test_an_architecture_computes_what_its_combination_says(index: int):
    """Identities on the edges: node 2 is x, node 3 is 2x, node 4 combines them; two cells, by hand."""
    space = NodeSpace().double()
    graph = space.clone()
    graph.set_spec({"cell/1-2": "Identity", "cell/1-3": "Identity", "cell/2-3": "Identity", LABEL: NAMES[index]})
    x = images()[0].double()
    value = graph.edges[1, 2].op(x)
    for cell in (nested for nested in graph.nested_graphs() if nested.scope == "cell"):
        combine: Any = cell.nodes[4]["comb_op"]
        assert not isinstance(combine, list | NodeChoice)
        value = combined(NAMES[index], value, 2 * value, getattr(combine, "w", nn.Identity()))
    torch.testing.assert_close(graph(x), graph.edges[4, 5].op(value))


def test_an_architecture_by_edges_says_nothing_about_nodes():
    entries = [{"graph": "cell", "edge": list(edge), "op": "Identity"} for edge in ((1, 2), (1, 3), (2, 3))]
    for call in ("set_spec", "check_spec"):
        with pytest.raises(ArchitectureError, match="does not say how node 4 of 'cell' combines"):
            getattr(NodeSpace(), call)(entries)


def test_a_record_rebuilds_the_architecture():
    graph = NodeSpace()
    graph.set_spec({"cell/1-2": "Identity", "cell/1-3": "Zero", "cell/2-3": "ReLUConvBN3x3", LABEL: "Gated"})
    record = describe_architecture(graph)
    again = rebuild_architecture(record)
    assert again.genotype() == graph.genotype()
    graph.parse()
    again.load_state_dict(graph.state_dict())
    x = images(dtype=torch.float32)[0]
    assert torch.equal(again.eval()(x), graph.eval()(x))
    record["comb_ops"][-1]["4"] = 7
    with pytest.raises(ArchitectureError, match=f"no candidate 7 for '{LABEL}'"):
        rebuild_architecture(record)


# the search


def test_all_methods_are_here():
    assert len(METHODS) >= 31 and set(REFUSED) <= set(METHODS)


@pytest.mark.parametrize("name", METHODS)
def test_a_method_searches_the_combination_or_says_why_not(name: str):
    if name in REFUSED:
        with pytest.raises(ConfigError, match=REFUSED[name]):
            _made(name)
        return
    optimizer = _made(name)
    train, valid = batches()
    for _ in range(2):
        *_, loss, _ = optimizer.step(train, valid)
    assert bool(loss.isfinite())
    optimizer.select_architecture([train], [valid])
    assert [d.name for d in optimizer.decisions] == ["cell/1-2", "cell/1-3", "cell/2-3", LABEL]
    assert optimizer.sample(False)[LABEL] is not None
    discrete = optimizer.get_final_architecture()
    assert not any(isinstance(module, NodeChoice) for module in discrete.modules())
    assert discrete.genotype()[LABEL] in optimizer.decisions[-1].candidates
    combining = {getattr(g.nodes[4]["comb_op"], "__name__", "Gated") for g in discrete.nested_graphs() if g.scope}
    assert combining == {discrete.genotype()[LABEL]}
    fresh = NodeSpace()
    fresh.set_spec(discrete.genotype())
    assert fresh.get_code() == discrete.get_code()
    if name not in CHANGES_EDGES:
        for training in (False, True):
            with torch.no_grad(), optimizer.assigned(chosen(optimizer, discrete)):
                expected = optimizer.graph.train(training)(valid[0])
            with torch.no_grad():
                assert torch.equal(discrete.train(training)(valid[0]), expected)


def test_only_the_drawn_combination_runs():
    optimizer = _made("spos")
    calls: list[str] = []
    for module in optimizer.graph.modules():
        if isinstance(module, Combination):
            module.register_forward_hook(lambda module, *_: calls.append(module.get_op_name))
    optimizer.weight_step(batches()[0])
    name = NAMES[optimizer.paths.choices(optimizer.path)[-1]]
    assert calls == [name, name]


def test_the_mixture_is_the_weighted_sum_of_the_combinations():
    """One cell by hand: identities on the edges, the combination mixed by the softmax."""
    optimizer = _made("darts", dtype=torch.float64)
    x = batches(torch.float64)[0][0]
    with torch.no_grad():
        optimizer.architectural_weights[3].copy_(torch.tensor([0.3, -0.5, 1.0, 0.1]))
    rows = dict.fromkeys(("cell/1-2", "cell/1-3", "cell/2-3"), 1)
    weights = optimizer.architectural_weights[3].detach().softmax(0)
    with torch.no_grad(), optimizer.assigned(Assignment({**rows, LABEL: weights})):
        output = optimizer.graph(x)
    value = optimizer.graph.edges[1, 2].op(x)
    for cell in (nested for nested in optimizer.graph.nested_graphs() if nested.scope == "cell"):
        gate = cell.nodes[4]["comb_op"].mixed.primitives[3].combine.w
        terms = [combined(name, value, 2 * value, gate) for name in NAMES]
        value = sum(weight * term for weight, term in zip(weights, terms, strict=True))
    torch.testing.assert_close(output, optimizer.graph.edges[4, 5].op(value), rtol=1e-10, atol=1e-10)


def test_the_architecture_gradient_is_the_derivative():
    """Central differences of the validation loss by every entry of the node's parameter."""
    optimizer = _made("darts", dtype=torch.float64)
    train, valid = batches(torch.float64)
    alpha = optimizer.architectural_weights[3]
    with torch.no_grad():
        alpha.copy_(torch.tensor([0.3, -0.5, 1.0, 0.1]))
    gradient = optimizer.architecture_gradient(train, valid)[0][3]
    eps = 1e-6
    for index in range(4):
        losses = []
        for sign in (1, -1):
            with torch.no_grad():
                alpha[index] += sign * eps
                losses.append(float(optimizer.forward_loss(valid)[1]))
                alpha[index] -= sign * eps
        assert float(gradient[index]) == pytest.approx((losses[0] - losses[1]) / (2 * eps), rel=1e-5, abs=1e-8)


def test_gates_get_the_inner_products_of_all_that_is_evaluated():
    generator = torch.Generator().manual_seed(0)
    tensors = [torch.randn(2, 3, generator=generator, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    op = RelaxedMixedOp([Combination(combine, i) for i, combine in enumerate((sum, _maximum))])
    weights = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    grad = torch.randn(2, 3, generator=generator, dtype=torch.float64)
    op.apply_weights(Entering(tuple(tensors), ()), Draw((0,), weights, evaluated=(1,))).backward(grad)
    expected = [(grad * (tensors[0] + tensors[1])).sum(), (grad * torch.maximum(*tensors)).sum()]
    torch.testing.assert_close(weights.grad, torch.stack(expected).detach(), rtol=1e-12, atol=1e-12)
    for tensor in tensors:
        torch.testing.assert_close(tensor.grad, grad, rtol=0, atol=0)


def _maximum(tensors: list[torch.Tensor]) -> torch.Tensor:
    return torch.maximum(*tensors)


def test_sizes_of_paths_are_those_of_what_is_derived():
    optimizer = _made("spos")
    parameters, macs = parameter_table(optimizer), mac_table(optimizer, (2, 8, 8))
    for code in list(optimizer.paths.iterate())[::9]:
        discrete = optimizer.discretized(optimizer.scores_of(code))
        assert parameters.of(code) == pytest.approx(sum(p.numel() for p in discrete.parameters()) / 1e6, abs=1e-12)
        assert macs.of(code) == pytest.approx(count_macs(discrete, (2, 8, 8)), abs=1e-12)


# the supernet as a graph


def test_copies_share_the_parameter_and_no_weights():
    graph = _made("darts").graph
    first, second = (choice for g in graph.nested_graphs() for choice in choices_at(g))
    assert first.data.alpha is second.data.alpha and first.data.op is not second.data.op
    assert not any("alpha" in name for name, _ in graph.named_parameters())
    assert sum("Gated" in type(m).__name__ for m in graph.modules()) == 2
    clone = graph.clone()
    a, b = (choice for g in clone.nested_graphs() for choice in choices_at(g))
    assert a.data.alpha is b.data.alpha is not first.data.alpha and a.graph.nodes[4]["comb_op"].mixed is a.data.op
    clone.double()
    assert a.data.alpha.dtype == torch.float64


def test_the_supernet_is_pickled_explained_and_traced():
    optimizer = _made("darts", dtype=torch.float64)
    graph = optimizer.graph.eval()
    x = batches(torch.float64)[0][0]
    expected = graph(x)
    torch.testing.assert_close(pickle.loads(pickle.dumps(graph))(x), expected)
    torch.testing.assert_close(graph.plan.to_fx()(x), expected)
    assert f"RelaxedMixedOp({', '.join(NAMES)})" in graph.plan.explain()
    torch.testing.assert_close(graph.clone().set_passes(checkpoint=True)(x), expected)
    assert NAMES in vars(record_of(optimizer).decisions[-1]).values()


@pytest.mark.parametrize("keys", [{"checkpoint_cells": True}, {"batch_norm": "batch"}, {"unrolled": True}], ids=str)
def test_options_of_the_step_take_nodes(keys: dict[str, Any]):
    optimizer = _made("darts", **keys)
    *_, loss, _ = optimizer.step(*batches())
    assert bool(loss.isfinite())


def _smooth() -> Graph:
    space = NodeSpace()
    for cell in (nested for nested in space.nested_graphs() if nested.scope == "cell"):
        cell.nodes[4]["comb_op"] = [candidate for candidate in cell.nodes[4]["comb_op"] if "max" not in str(candidate)]
        for _, _, data in cell.edges(data=True):
            if isinstance(data.op, list):
                data.set("op", [nn.Conv2d(4, 4, 1), Identity()])
    return space


def test_the_exact_hessian_agrees_with_finite_differences():
    found, space = [], _smooth()
    for hessian in ("exact", "finite_difference"):
        optimizer = _made("darts", space, dtype=torch.float64, unrolled=True, hessian=hessian)
        train, valid = batches(torch.float64)
        found.append(optimizer.architecture_gradient(train, valid)[0][3])
    torch.testing.assert_close(*found, rtol=1e-3, atol=1e-7)


# what is wrong


def _net(comb_op: Any, edges: tuple[tuple[int, int], ...] = ((1, 2), (1, 3), (2, 3))) -> Graph:
    graph = Graph(name="net", scope="all")
    graph.add_edges_from(edges)
    graph.nodes[3]["comb_op"] = comb_op
    return graph


def _with_weights(graph: Graph) -> Graph:
    graph.edges[1, 2].set("op", nn.Linear(3, 3))
    return graph


@pytest.mark.parametrize(
    ("comb_op", "message"),
    [
        ([sum], "node 3 of graph 'net' has a list of 1 candidate.* needs two at least"),
        ([], "node 3 of graph 'net' has a list of 0 candidate"),
        ([sum, 3], "node 3 of graph 'net': candidate 1 is 3 of type int"),
        ([sum, nn.Identity], "node 3 of graph 'net': candidate 1 is the class Identity; give an instance"),
        ([sum, Graph(name="inner")], "node 3 of graph 'net': candidate 1 is .* of type Graph"),
    ],
)
def test_lists_that_are_no_choice(comb_op: Any, message: str):
    with pytest.raises(GraphError, match=message):
        _made("darts", _net(comb_op))
    with pytest.raises(GraphError, match=message):
        _net(comb_op).decision_space.size()


def test_a_node_that_combines_nothing():
    with pytest.raises(GraphError, match=r"node 3 of graph 'net' has a list of 2 candidates .* fewer than two edges"):
        _made("darts", _net([sum, max], ((1, 2), (2, 3))))


def test_a_list_that_nobody_has_decided():
    for graph in (_net([sum, max]), NodeSpace()):
        with pytest.raises(GraphError, match=r"a decision that no optimizer has made|list of 3 candidate ops"):
            graph(torch.ones(1, 2))
        with pytest.raises(GraphError, match=r"a decision that no optimizer has made|list of 3 candidate ops"):
            graph.parse()


@pytest.mark.parametrize("name", ["darts", "snas"])
def test_candidates_of_other_shapes_are_named_with_the_node(name: str):
    optimizer = _made(name, _with_weights(_net([sum, lambda tensors: torch.cat(tensors, 1)])))
    with pytest.raises(GraphError, match=r"sum returns \(2, 3\), <lambda> \(2, 6\)") as caught:
        optimizer.graph(torch.ones(2, 3))
    assert caught.value.__notes__ == ["while executing net/comb_op(3)"]


@pytest.mark.parametrize("kind", [list, tuple])
def test_a_space_whose_nodes_alone_decide(kind: Any):
    optimizer = _made("darts", _with_weights(_net(kind([sum, max_of]))))
    assert optimizer.decision_names == ["net/3:comb_op"]
    discrete = optimizer.discretized([torch.tensor([0.0, 1.0])])
    assert discrete.nodes[3]["comb_op"] is max_of and discrete.genotype() == {"net/3:comb_op": "max_of"}


def max_of(tensors: list[torch.Tensor]) -> torch.Tensor:
    return torch.stack(tensors).amax(0)


def test_modules_in_a_module_list_are_candidates():
    graph = _net(nn.ModuleList([_Scaled(2.0), _Scaled(3.0)]))
    assert graph.decision_space.decisions[0].candidates == ("_Scaled", "_Scaled (2)")
    graph.set_spec((1,))
    assert float(graph(torch.ones(1))) == 6.0 and graph.get_code() == (1,)


class _Scaled(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, tensors: list[torch.Tensor]) -> torch.Tensor:
        return self.factor * sum(tensors)


def test_a_table_of_latencies_has_no_combinations():
    table = {"entries": {"Identity": 1.0}, "fixed": 2.0, "input_shape": [2, 8, 8]}
    with pytest.raises(ConfigError, match="latency does not fit combinations at nodes"):
        _made("darts", parts={"latency": {"table": table, "reference": 2.0}})


def test_a_node_inside_of_a_candidate_depends_on_it():
    graph = Graph(name="net", scope="all")
    graph.add_edge(1, 2, op=[Identity(), cell_of(4)])
    assert graph.decision_space.decision(LABEL).condition == ("net/1-2", 1)
    for code in graph.decision_space.iterate():
        found = graph.clone()
        found.set_spec(code)
        assert found.get_code() == code
