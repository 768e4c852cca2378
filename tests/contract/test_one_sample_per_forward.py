"""Every weight-sharing method: a decision is drawn once per forward, however often its cell is called."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
import torch
from called_cells import CALLS_IN_ALL, CalledCells, recording
from small_searches import METHODS
from small_spaces import batch, images, mlp_space

from naslib.errors import ArchitectureError
from naslib.optimizers import OPTIMIZERS, OneShotOptimizer
from naslib.optimizers.oneshot.supernet.mixed_edges import mixed_edges
from naslib.search_spaces.core.assignment import Assignment, Draw
from naslib.search_spaces.core.batch_norm import evaluation_mode

NAMES = ["cell/1-2", "cell/1-3", "cell/2-3"]
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "mixed_op of several": ("mixed_op", {"num_on_samples": 2, "forward": "p", "gradient": "autodiff"}),
    "mixed_op by reinforce": ("mixed_op", {"gradient": "reinforce"}),
    "gdas recomputing": ("gdas", {"unselected": "recompute"}),
    "proxylessnas full": ("proxylessnas", {"mode": "full"}),
    "proxylessnas two": ("proxylessnas", {"mode": "two"}),
    "proxylessnas reinforce": ("proxylessnas", {"update": "reinforce", "n_networks": 2}),
    "darts unrolled": ("darts", {"unrolled": True}),
    "darts exact": ("darts", {"unrolled": True, "hessian": "exact"}),
}
CASES = {**{name: (name, {}) for name in METHODS}, **VARIANTS}
# What draws anew in every forward of the training
RANDOM = ("gdas", "reinmax", "snas", "mixed_op", "binary", "drnas", "enas", "spos", "random_nas", "fair_nas", "setn")
RANDOM += ("proxyless", "proxylessnas two")
# What runs the network for itself in a step, on other weights of the mixture or for other ends than the step's loss
MEASURING = ("lambda_darts", "robust_darts", "te_nas")
# Supernets that are not the plain sum of what was drawn: other operations, or something around them
SURROUNDED = ("darts_minus", "p_darts", "pc_darts")


def adapted(case: str, space: Any = CalledCells, **more: Any) -> OneShotOptimizer:
    """Return an adapted optimizer in training, past every warm-up."""
    torch.manual_seed(0)
    name, keywords = CASES[case]
    optimizer = OPTIMIZERS.get(name)(**{"epochs": 4, **keywords, **more})
    optimizer.adapt_search_space(space())
    optimizer.before_training()
    optimizer.new_epoch(3)
    optimizer.graph.train()
    return optimizer


def data(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a batch in single precision."""
    return images(size=4, seed=seed, dtype=torch.float32)


def assert_one_sample(forwards: list[dict[str, list[tuple]]], recomputed: bool = False) -> None:
    """Every call of a forward, and what the backward computes again, ran the same."""
    assert forwards
    for found in forwards:
        assert sorted(found) == NAMES
        for calls in found.values():
            assert len(calls) == CALLS_IN_ALL or (recomputed and len(calls) > CALLS_IN_ALL)
            assert len(set(calls)) == 1
    if recomputed:
        assert any(len(calls) > CALLS_IN_ALL for found in forwards for calls in found.values())


def test_the_registry_is_as_large_as_it_is_said_to_be() -> None:
    assert len(METHODS) >= 30 and set(RANDOM) <= set(CASES)


@pytest.mark.parametrize("case", [case for case in CASES if case not in MEASURING])
def test_a_step(case: str) -> None:
    optimizer = adapted(case)
    with recording(optimizer) as forwards:
        for seed in range(3):
            optimizer.step(data(seed), data(9 + seed))
    assert len(forwards) >= 3
    assert_one_sample(forwards)
    if case in RANDOM:
        assert len({tuple(found["cell/1-2"]) for found in forwards}) > 1, "nothing was drawn"


@pytest.mark.parametrize("case", [case for case in CASES if case not in MEASURING and "exact" not in case])
def test_what_the_backward_computes_again(case: str) -> None:
    optimizer = adapted(case, checkpoint_cells=True)
    with recording(optimizer) as forwards:
        for seed in range(2):
            optimizer.step(data(seed), data(9 + seed))
    assert_one_sample(forwards, recomputed=True)


@pytest.mark.parametrize("case", CASES)
def test_validation_and_a_users_own_forward(case: str) -> None:
    optimizer = adapted(case)
    with recording(optimizer) as forwards:
        optimizer.validation_forward(data(1))
        for mode in (True, False):
            optimizer.graph.train(mode)
            for _ in range(2):
                forwards.append({})
                optimizer.graph(data(2)[0])
    assert len(forwards) == 5
    assert_one_sample(forwards)


@pytest.mark.parametrize("case", CASES)
def test_a_sample_is_logged_and_replayed_bit_by_bit(case: str) -> None:
    optimizer = adapted(case)
    x = data(3)[0]
    for training in (True, False):
        optimizer.graph.train(training)
        sample = optimizer.sample(training)
        assert list(sample) == optimizer.decision_names == NAMES
        assert all(isinstance(value, torch.Tensor | Draw) for value in sample.values())
        again = Assignment.from_plain(json.loads(json.dumps(sample.to_plain())))
        outputs = []
        for assignment in (sample, again, sample):
            with optimizer.assigned(assignment), torch.no_grad():
                outputs.append(optimizer.graph(x))
            optimizer.graph(x)  # draws something else in between
        assert torch.equal(outputs[0], outputs[1]) and torch.equal(outputs[0], outputs[2])
        assert "cell/1-2: " in sample.describe()


@pytest.mark.parametrize("case", [case for case in CASES if case not in SURROUNDED])
def test_a_sample_given_by_indices_is_that_path(case: str) -> None:
    optimizer = adapted(case)
    x = data(3)[0]
    with optimizer.assigned(Assignment(dict(zip(NAMES, (3, 2, 1), strict=True)))):
        found = optimizer.graph(x)
    macro = optimizer.graph
    body = macro.nodes[3]["subgraph"]

    def cell(graph: Any, value: torch.Tensor) -> torch.Tensor:
        return graph.edges[1, 2].op.primitives[3](value)  # 1-3 is Zero, 2-3 the identity

    value = macro.edges[1, 2].op(x)
    for _ in range(CALLS_IN_ALL - 1):
        value = torch.tanh(cell(body.edges[1, 2].op.cell, value))
    expected = macro.edges[3, 4].op(cell(body.edges[2, 3].op, value))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("case", CASES)
def test_a_sample_for_another_space_is_refused(case: str) -> None:
    optimizer = adapted(case)
    other = Assignment({"other/1-2": 0})
    with pytest.raises(ArchitectureError, match="not for this search space"), optimizer.assigned(other):
        pass
    with pytest.raises(ArchitectureError, match="not 4"), optimizer.assigned(Assignment(dict.fromkeys(NAMES, 4))):
        pass


@pytest.mark.parametrize("case", ["darts", "gdas", "snas", "reinmax", "spos", "enas", "proxylessnas two"])
def test_a_step_under_a_sample_of_the_users(case: str) -> None:
    """Its weights are constants in the weight step, so that no graph is gone through twice."""
    optimizer = adapted(case)
    sample = optimizer.sample()
    with recording(optimizer) as forwards, optimizer.assigned(sample):
        optimizer.weight_step(data(1))
        optimizer.validation_forward(data(2))
    assert_one_sample(forwards)
    assert len({tuple(found[name]) for found in forwards for name in NAMES[:1]}) == 1
    assert optimizer.last_sample == sample


@pytest.mark.parametrize("case", ["gdas", "snas", "spos", "enas", "proxyless"])
def test_two_threads_run_two_samples_of_one_supernet(case: str) -> None:
    optimizer = adapted(case)
    x = data(3)[0]
    samples = [Assignment(dict(zip(NAMES, code, strict=True))) for code in ((0, 1, 3), (1, 3, 0))]
    expected = []
    for sample in samples:
        with optimizer.assigned(sample), torch.no_grad():
            expected.append(optimizer.graph(x))
    found: list[list[torch.Tensor]] = [[], []]
    together = threading.Barrier(2)

    def run(index: int) -> None:
        with optimizer.assigned(samples[index]), torch.no_grad():
            together.wait()
            found[index] += [optimizer.graph(x) for _ in range(20)]

    threads = [threading.Thread(target=run, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not torch.equal(*expected)
    for outputs, right in zip(found, expected, strict=True):
        assert len(outputs) == 20 and all(torch.equal(output, right) for output in outputs)


@pytest.mark.parametrize("case", ["gdas", "snas", "drnas", "spos", "darts"])
@pytest.mark.parametrize("kind", ["pre", "post"])
def test_hooks_run_and_a_decision_is_drawn_once_all_the_same(case: str, kind: str) -> None:
    """The copies of a cell draw with the same random numbers."""
    optimizer = adapted(case)
    calls: list[Any] = []
    for edge in mixed_edges(optimizer.graph, "cell"):
        hook = edge.op.set_pre_process_hook if kind == "pre" else edge.op.set_post_process_hook
        hook(lambda weights, edge: calls.append(edge) or weights)
    with recording(optimizer) as forwards:
        for _ in range(3):
            forwards.append({})
            optimizer.graph(data(2)[0])
    assert_one_sample(forwards)
    assert {id(edge) for edge in calls} == {id(edge) for edge in mixed_edges(optimizer.graph, "cell")} or case == "spos"
    if case in RANDOM and case != "spos":
        assert len({tuple(found["cell/1-2"]) for found in forwards}) > 1


def test_copies_of_one_decision_may_be_hooked_apart() -> None:
    """A hook before the relaxation changes what its own copy draws, by the same noise; the other copies go together."""
    optimizer = adapted("gdas", mlp_space)
    x = batch(dtype=torch.float32)[0]
    first, second = (edge for edge in mixed_edges(optimizer.graph, "cell") if edge.op.decision == "cell/1-2")
    first.op.set_pre_process_hook(lambda logits, edge: logits + torch.tensor([100.0, 0.0, 0.0]))
    sample = optimizer.sample()
    assert sample.of_copy("cell/1-2", first.op.copy).on == (0,)
    others = {optimizer.sample().of_copy("cell/1-2", second.op.copy).on for _ in range(40)}
    assert others == {(0,), (1,), (2,)}
    again = Assignment.from_plain(sample.to_plain())
    with torch.no_grad():
        outputs = []
        for assignment in (sample, again):
            with optimizer.assigned(assignment):
                outputs.append(optimizer.graph(x))
    assert torch.equal(*outputs)


def test_a_method_of_a_users_own_draws_once_per_forward() -> None:
    """A subclass that draws in `process_weights`, edge by edge, as NASLib's optimizers do."""
    from naslib.optimizers import DARTSOptimizer
    from naslib.search_spaces.core.primitives import MixedOp

    class Sampled(MixedOp):
        def get_weights(self, edge_data: Any) -> torch.Tensor:
            return edge_data.alpha

        def process_weights(self, weights: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.gumbel_softmax(weights)

        def apply_weights(self, x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
            seen.append((self.decision, tuple(weights.tolist())))
            return sum(w * op(x) for w, op in zip(weights, self.primitives, strict=True))

    class Own(DARTSOptimizer):
        @staticmethod
        def update_ops(edge: Any) -> None:
            edge.data.set("op", Sampled(edge.data.op))

    seen: list[tuple] = []
    optimizer = Own()
    optimizer.adapt_search_space(CalledCells())
    optimizer.before_training()
    for forward in (lambda: optimizer.graph(data(1)[0]), lambda: optimizer.validation_forward(data(1))):
        seen.clear()
        forward()
        assert len(seen) == 3 * CALLS_IN_ALL and len(set(seen)) == 3
    optimizer.step(data(1), data(2))
    with optimizer.assigned(Assignment(dict.fromkeys(NAMES, 1))):
        seen.clear()
        optimizer.graph(data(1)[0])
    assert {weights for _, weights in seen} == {(0.0, 1.0, 0.0, 0.0)}


def test_in_evaluation_the_sample_is_that_of_the_parameters() -> None:
    optimizer = adapted("gdas")
    with torch.no_grad():
        for alpha in optimizer.architectural_weights:
            alpha.copy_(torch.tensor([0.0, 0.3, 0.1, 0.2]))
    assert {optimizer.sample(False)[name].on for name in NAMES for _ in range(5)} == {(1,)}
    with evaluation_mode(optimizer.graph):
        optimizer.validation_forward(data(1))
    assert optimizer.last_sample is not None and optimizer.last_sample["cell/1-3"].on == (1,)
