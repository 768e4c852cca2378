"""The decisions of a supernet as objects: their names and order, their first values, and checkpoints by name."""

from __future__ import annotations

import pytest
import torch
from small_spaces import batch, mlp_space
from torch import Tensor, nn

from naslib.errors import CheckpointError, ConfigError
from naslib.optimizers import DARTSOptimizer, ProxylessNASOptimizer
from naslib.search_spaces import NasBench201SearchSpace, NasBench301SearchSpace, SimpleCellSearchSpace
from naslib.search_spaces.core.decisions import Decision
from naslib.search_spaces.core.graph import Graph
from naslib.training.arch_weights import record_of

SPACES = {
    "simple_cell": lambda: SimpleCellSearchSpace(channels=4),
    "nasbench201": lambda: NasBench201SearchSpace(channels=4, cells_per_stage=1),
    "nasbench301": lambda: NasBench301SearchSpace(channels=4, cells=3, nodes=2),
    "own": mlp_space,
}


def adapted(space=mlp_space, kind: type = DARTSOptimizer, **keywords):
    torch.manual_seed(0)
    optimizer = kind(**keywords)
    optimizer.adapt_search_space(space())
    return optimizer


@pytest.mark.parametrize("space", SPACES)
def test_one_parameter_and_one_entry_of_a_sample_per_decision_in_the_same_order(space: str) -> None:
    optimizer = adapted(SPACES[space])
    decisions = optimizer.decisions
    assert all(isinstance(decision, Decision) and decision.kind == "op" for decision in decisions)
    assert [d.name for d in decisions] == optimizer.decision_names == list(optimizer.sample())
    assert len(decisions) == len(optimizer.architectural_weights) == len(set(optimizer.decision_names))
    for decision, alpha in zip(decisions, optimizer.architectural_weights, strict=True):
        assert decision.alpha is alpha and alpha.shape == (len(decision.candidates),)
        assert len(decision.op.primitives) == len(decision.candidates)


@pytest.mark.parametrize("space", SPACES)
def test_the_names_are_those_that_the_space_states(space: str) -> None:
    graph = SPACES[space]()
    stated = [decision for decision in graph.decision_space.decisions if decision.kind == "op"]
    optimizer = adapted(SPACES[space])
    assert [decision.name for decision in stated] == optimizer.decision_names
    for decision, own in zip(stated, optimizer.decisions, strict=True):
        assert set(decision.candidates) <= set(own.candidates)  # some spaces never select a Zero
        assert [site[:4] for site in decision.sites] == [site[:4] for site in own.sites]


def test_first_values_by_decision() -> None:
    class Biased(DARTSOptimizer):
        def initial_logits(self, decision: Decision) -> Tensor | None:
            if decision.name == "cell/1-3":
                return None
            return torch.arange(len(decision.candidates)) + 10.0 * (decision.name == "cell/2-3")

    plain, biased = adapted(), adapted(kind=Biased)
    first, second, third = biased.architectural_weights
    assert torch.equal(first, torch.tensor([0.0, 1.0, 2.0])) and torch.equal(third, torch.tensor([10.0, 11.0, 12.0]))
    assert torch.equal(second, plain.architectural_weights[1])  # as `add_alphas` has drawn it
    assert first.requires_grad

    class Wrong(DARTSOptimizer):
        def initial_logits(self, decision: Decision) -> Tensor | None:
            return torch.zeros(2)

    with pytest.raises(ConfigError, match=r"'cell/1-2', which has 3 candidates, .* shape \(2,\)"):
        adapted(kind=Wrong)


def test_the_static_hooks_still_say_what_is_on_an_edge() -> None:
    class Ones(DARTSOptimizer):
        @staticmethod
        def add_alphas(edge) -> None:
            edge.data.set("alpha", nn.Parameter(torch.ones(len(edge.data.op))), shared=True)

    assert all(torch.equal(decision.alpha, torch.ones(3)) for decision in adapted(kind=Ones).decisions)


def test_pruned_candidates_leave_the_decisions() -> None:
    optimizer = adapted(SPACES["nasbench201"])
    optimizer.structure.prune([(1, 2)] * 6)
    assert {decision.candidates for decision in optimizer.decisions} == {("Zero", "ReLUConvBN3x3")}
    assert optimizer.decisions[3].name == "cell/2-3" == list(optimizer.sample())[3]
    assert all(row.shape == (2,) for row in optimizer.sample().values())


# checkpoints


def test_parameters_are_saved_and_read_by_name() -> None:
    old, new = adapted(), adapted()
    old.step(batch(dtype=torch.float32), batch(seed=1, dtype=torch.float32))
    state = old.get_checkpointables()["architectural_weights"].state_dict()
    assert list(state) == ["cell/1-2", "cell/1-3", "cell/2-3"]
    new.get_checkpointables()["architectural_weights"].load_state_dict(dict(reversed(state.items())))
    for first, second in zip(old.architectural_weights, new.architectural_weights, strict=True):
        assert torch.equal(first, second)


def test_parameters_of_a_former_version_are_read_by_their_position() -> None:
    optimizer = adapted()
    former = nn.ParameterList([nn.Parameter(torch.full((3,), float(index))) for index in range(3)]).state_dict()
    assert list(former) == ["0", "1", "2"]
    optimizer.get_checkpointables()["architectural_weights"].load_state_dict(former)
    assert [float(alpha.detach()[0]) for alpha in optimizer.architectural_weights] == [0.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"0": torch.zeros(3), "1": torch.zeros(3)}, "of a former version, has 2 parameters, the search space 3"),
        ({"0": torch.zeros(3), "1": torch.zeros(3), "2": torch.zeros(4)}, r"cell/2-3 has \(4,\) entries there"),
        ({"cell/1-2": torch.zeros(3), "cell/1-3": torch.zeros(3)}, "lacks cell/2-3"),
        ({f"normal/{k}": torch.zeros(3) for k in range(3)}, "normal/0, normal/1, normal/2, which is no decision"),
    ],
)
def test_parameters_of_other_decisions_are_refused(state: dict, said: str) -> None:
    optimizer = adapted()
    before = [alpha.detach().clone() for alpha in optimizer.architectural_weights]
    with pytest.raises(CheckpointError, match=said):
        optimizer.get_checkpointables()["architectural_weights"].load_state_dict(state)
    assert all(torch.equal(a, b) for a, b in zip(before, optimizer.architectural_weights, strict=True))


def test_the_record_of_parameters_goes_by_name() -> None:
    optimizer = adapted(kind=ProxylessNASOptimizer)
    recorder = record_of(optimizer)
    recorder.record()
    state = recorder.state_dict()
    assert state["names"] == optimizer.decision_names
    turned = {key: list(reversed(values)) for key, values in state.items()}
    for read in (turned, {"series": state["series"]}):  # the second as a former version has written it
        other = record_of(optimizer)
        other.load_state_dict(read)
        assert all(torch.equal(a, b) for a, b in zip(other.series(), recorder.series(), strict=True))
    with pytest.raises(CheckpointError, match="recorded the decisions a, b, c; here they are cell/1-2"):
        recorder.load_state_dict({**state, "names": ["a", "b", "c"]})


def test_two_graphs_of_one_name_that_decide_differently() -> None:
    space = Graph(name="macro")
    space.add_nodes_from([1, 2, 3])
    for node in (1, 2):
        cell = Graph(name="cell", scope="cell")
        cell.add_nodes_from([1, 2])
        cell.add_edge(1, 2, op=[nn.Linear(4, 4), nn.Identity()])
        space.add_edge(node, node + 1, op=cell)
    space.OPTIMIZER_SCOPE = "cell"
    assert adapted(lambda: space).decision_names == ["cell/1-2", "cell#2/1-2"]
