"""What cannot be searched is said before a search, with the name of the decision."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from naslib.choices import InputChoice, LayerChoice, RepeatChoice, ValueChoice
from naslib.errors import ArchitectureError, ConfigError, DecisionError, GraphError, SpecAlreadySetError
from naslib.optimizers import DARTSOptimizer
from naslib.search_spaces import ModuleSearchSpace
from naslib.search_spaces.core.elastic import ElasticLinear, ElasticMultiheadAttention
from naslib.search_spaces.core.graph import EdgeData, Graph

X = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
Y = torch.tensor([0, 1, 2, 0])


def layers(label: str | None = None) -> LayerChoice:
    return LayerChoice([nn.Linear(3, 3), nn.Identity()], label)


class Calls(nn.Module):
    """A module whose forward is a function of itself and the input."""

    def __init__(self, run: Any, **parts: nn.Module) -> None:
        super().__init__()
        self.run = run
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self, x)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: LayerChoice([nn.Identity()]), "has 1 candidate"),
        (lambda: LayerChoice([]), "has 0 candidate"),
        (
            lambda: LayerChoice([nn.Identity(), torch.relu], "act"),
            "LayerChoice 'act': candidates are modules, but candid",
        ),
        (lambda: LayerChoice([nn.Identity(), nn.ReLU]), "candidate 1 is the class ReLU: give an instance of it"),
        (lambda: LayerChoice([nn.Identity(), nn.ReLU()], label=""), "a text that is not empty"),
        (lambda: InputChoice(0), "n_candidates is a number from 1, not 0"),
        (lambda: InputChoice(1), "less than n_candidates=1, or None"),
        (lambda: InputChoice(3, 3, "in"), "InputChoice 'in': n_chosen is a number from 1 that is less"),
        (lambda: InputChoice(3, 0), "n_chosen is a number from 1"),
        (lambda: InputChoice(3, True), "n_chosen is a number from 1"),
        (lambda: InputChoice(14, 7), "3432 ways to choose 7 of 14 inputs"),
        (lambda: ValueChoice([]), "has no values"),
        (lambda: ValueChoice([1, 1], "w"), "differ from each other"),
        (lambda: ValueChoice(["a"], "w"), "values are numbers"),
        (lambda: RepeatChoice(lambda i: nn.Identity(), [1, 2.5]), "it is an integer"),
        (lambda: RepeatChoice(lambda i: i, [1, 2]), "make_block returns modules, not 0"),
        (
            lambda: RepeatChoice(nn.Identity(), ValueChoice([1, 2]), "d"),
            "the label of depths is that of its ValueChoice",
        ),
        (lambda: RepeatChoice(3, [1, 2]), "make_block is a function"),
        (lambda: nn.Conv2d(3, ValueChoice([4, 8], "width"), 3), "ValueChoice 'width' is used as a number"),
        (lambda: nn.Dropout(ValueChoice([0, 0.5])), "is an argument of elastic layers"),
        (lambda: int(ValueChoice([1, 2])), "where none is chosen yet"),
    ],
)
def test_a_choice_that_is_none(make: Any, words: str) -> None:
    with pytest.raises(ConfigError) as raised:
        make()
    assert words in str(raised.value)


def test_torch_names_a_value_where_it_looks_at_no_method_of_it() -> None:
    with pytest.raises(TypeError, match="ValueChoice"):
        nn.Linear(3, ValueChoice([4, 8]))


def test_one_block_for_all_is_refused() -> None:
    block = nn.Linear(3, 3)
    with pytest.raises(ConfigError, match="one module twice"):
        RepeatChoice(lambda i: block, [1, 2])


class Keeps(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = layers()
        self.width = ValueChoice([1, 2], "width")


@pytest.mark.parametrize(
    ("module", "error", "words"),
    [
        (nn.Linear(3, 3), GraphError, "Linear has no choice in it"),
        (lambda: nn.Sequential(nn.Linear(3, 3)), GraphError, "Sequential has no choice in it"),
        (lambda: 3, GraphError, "returned 3"),
        (3, GraphError, "takes a torch module, or what makes one, not 3"),
        (nn.Linear, GraphError, "needs in_features, out_features"),
        ("nothing.here:Net", GraphError, "cannot be imported"),
        ("torch.nn", GraphError, "package.module:name"),
        ("math:pi", GraphError, "expected a class or function"),
        (
            nn.Sequential(layers("a"), LayerChoice([nn.Linear(3, 3), nn.Tanh()], "a")),
            GraphError,
            "two choices are called 'a' and differ: 0 chooses from Linear, Identity, 1 from Linear, Tanh",
        ),
        (Calls(None, a=InputChoice(2, 1, "a"), b=layers("a")), GraphError, "two choices are called 'a' and differ"),
        (nn.Sequential(layers("a"), ElasticLinear(3, ValueChoice([1, 2], "a"))), GraphError, "and a value as well"),
        (
            nn.Sequential(ElasticLinear(3, ValueChoice([1, 2], "a")), ElasticLinear(ValueChoice([1, 3], "a"), 3)),
            ConfigError,
            "value decision 'a' has the values [1, 2] in one place and [1, 3] in another",
        ),
        (Keeps(), GraphError, "Keeps.width is a ValueChoice of [1, 2] that no elastic layer reads"),
    ],
)
def test_a_module_that_is_no_space(module: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error) as raised:
        ModuleSearchSpace(module).decision_space  # noqa: B018
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("choice", "inputs"), [(layers(), X), (layers("layer"), X), (InputChoice(2, label="in"), [X, X])]
)
def test_a_choice_that_is_called_outside_of_a_space(choice: nn.Module, inputs: Any) -> None:
    with pytest.raises(GraphError, match="was called and nothing is decided yet: make a space of the module"):
        choice(inputs)


def test_a_choice_that_torch_does_not_find() -> None:
    hidden = [layers("hidden")]
    space = ModuleSearchSpace(Calls(lambda self, x: self.seen(hidden[0](x)), seen=layers()))
    assert space.decision_space.names == ("seen",)
    space.sample_random_architecture(rng=0)
    with pytest.raises(GraphError, match="LayerChoice 'hidden' was called and nothing is decided"):
        space(X)


def test_a_space_is_called_before_anything_is_decided() -> None:
    space = ModuleSearchSpace(nn.Sequential(layers("first"), InputChoice(2)))
    with pytest.raises(GraphError, match=r"decision 'first': edge .* no optimizer has turned into a MixedOp"):
        space(X)
    with pytest.raises(ArchitectureError, match="nothing is decided yet"):
        space.get_final_architecture()
    with pytest.raises(ArchitectureError, match="nothing is decided yet"):
        space.evaluation_network()
    with pytest.raises(ArchitectureError, match="is not discrete yet"):
        space.get_code()
    with pytest.raises(GraphError, match="decision 'inputs'"):
        ModuleSearchSpace(Calls(lambda self, x: self.inputs([x, x]), inputs=InputChoice(2)))(X)


def test_an_architecture_that_is_none_of_the_space() -> None:
    space = ModuleSearchSpace(nn.Sequential(layers("first"), layers("second")))
    for spec, words in [
        ({"first": "Linear", "third": "Linear"}, "third"),
        ({"first": "Linear"}, "second"),
        ({"first": "Linear", "second": "Tanh"}, "'second' chooses 1 of Linear, Identity, not"),
        ((0, 2), "second"),
        ((0, 0, 0), "2"),
    ]:
        with pytest.raises((ArchitectureError, DecisionError)) as raised:
            space.set_spec(spec)
        assert words in str(raised.value)
    space.set_spec((0, 1))
    with pytest.raises(SpecAlreadySetError, match="an architecture has been set on this graph already"):
        space.set_spec((0, 0))


def probed(module: nn.Module) -> None:
    """Do what the Trainer does before the first step."""
    optimizer = DARTSOptimizer(epochs=1)
    optimizer.adapt_search_space(ModuleSearchSpace(module))
    optimizer.before_training()
    before = [value.clone() for value in optimizer.graph.state_dict().values()]
    optimizer.graph.train()
    optimizer.probe((X, Y))
    after = list(optimizer.graph.state_dict().values())
    assert optimizer.graph.training
    assert all(torch.equal(old, new) for old, new in zip(before, after, strict=True))
    assert not any(module._forward_hooks for module in optimizer.graph.modules())


BROADCAST = [nn.Linear(3, 3), nn.Linear(3, 1)]  # which would be added up without a word


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (
            nn.Sequential(LayerChoice(BROADCAST, "a")),
            "decision 'a': the candidates must return one shape, but of an input",
        ),
        (
            nn.Sequential(LayerChoice([nn.Identity(), nn.Sequential(LayerChoice(BROADCAST, "inner"))], "outer")),
            "decision 'inner': the candidates",
        ),
        (
            Calls(lambda self, x: self.a([x, x, x]), a=InputChoice(2), rest=nn.Linear(3, 3)),
            "decision 'a': the InputChoice has 2 candidates, and",
        ),
        (
            Calls(lambda self, x: self.a(x), a=InputChoice(2), rest=nn.Linear(3, 3)),
            "is called with a list of tensors, not with a tensor of sha",
        ),
        (
            Calls(lambda self, x: self.a([x, x[:, :1]]), a=InputChoice(2, None), rest=nn.Linear(3, 3)),
            "decision 'a': the inputs of an InputChoice have one shape, not (4, 3), (4, 1)",
        ),
        (
            Calls(lambda self, x: self.a(x), a=layers(), b=layers(), c=layers("last")),
            "'b', 'last': no forward of the modul",
        ),
        (
            Calls(lambda self, x: self.a(x), a=layers(), b=ElasticLinear(3, ValueChoice([1, 2], "w"))),
            "'w': no forward of the module calls what this decides",
        ),
    ],
)
def test_what_the_first_batch_shows(module: nn.Module, words: str) -> None:
    with pytest.raises(GraphError) as raised:
        probed(module)
    assert words in str(raised.value)


def test_candidates_on_an_edge_of_a_graph_are_compared_as_well() -> None:
    net = Graph(name="net")
    net.add_edge(1, 2, EdgeData({"op": BROADCAST}))
    optimizer = DARTSOptimizer(epochs=1)
    optimizer.adapt_search_space(net)
    with pytest.raises(GraphError, match=r"decision 'net/1-2': .* Linear makes \(4, 3\) and Linear \(4, 1\)"):
        optimizer.probe((X, Y))


def test_what_the_first_batch_has_nothing_against() -> None:
    probed(nn.Sequential(layers(), nn.BatchNorm1d(3), layers()))
    probed(Calls(lambda self, x: self.b(x) if self.training else self.a(x), a=nn.Linear(3, 3), b=layers()))
    heads = ElasticMultiheadAttention(4, ValueChoice([1, 2]), qkv_bias=ValueChoice([0, 1]))
    probed(Calls(lambda self, x: self.b(self.a(x).unsqueeze(1)).squeeze(1), a=nn.Linear(3, 4), b=heads))
