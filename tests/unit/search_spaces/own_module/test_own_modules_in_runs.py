"""A module of one's own in the Trainer: searched, resumed, recorded, drawn, retrained, and loaded again."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from own_modules import RowNet, TwoLayers, row_net
from torch import nn
from training_runs import config_for, differences, load, loaders, tensors

import naslib
import naslib.history
from naslib.build import main
from naslib.choices import LayerChoice
from naslib.defaults.trainer import Trainer
from naslib.errors import GraphError
from naslib.optimizers import OPTIMIZERS
from naslib.search_spaces import SEARCH_SPACES, ModuleSearchSpace
from naslib.search_spaces.core.given_weights import pretrained
from naslib.training import run_record
from naslib.training.checkpoint import get_last_checkpoint
from naslib.training.space_pictures import draw_choices, draw_space
from naslib.utils.seeding import set_seed

NAMES = ["first", "first.relu.1", "inputs", "chain.depth", "head.0.out_features"]


# Of the selection phase of spos
SHORT = {"population": 4, "generations": 2, "parents": 2, "mutations": 2, "crossovers": 2}


@pytest.fixture(autouse=True)
def _few_pictures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "pictures" not in request.node.name:
        for name in ("draw_choices", "draw_arch_weights"):
            monkeypatch.setattr(run_record, name, lambda *_: [])


def trainer(folder: Path, method: str = "darts", made: Any = row_net, own: Any = None, **search: Any) -> Trainer:
    set_seed(0)
    keywords: dict[str, Any] = {"epochs": 3, "learning_rate": 0.1}
    keywords |= SHORT if method == "spos" else {"arch_learning_rate": 0.05}
    optimizer = OPTIMIZERS.get(method)(**({"evaluator": "train"} if method in ("rs", "re") else keywords))
    config = config_for(folder, **search)
    optimizer.adapt_search_space(ModuleSearchSpace(made), config.dataset)
    return Trainer(optimizer, config, **(loaders() if own is None else own))


class Crash(Exception):
    """Ends a search."""


@pytest.mark.parametrize("method", ["darts", "gdas", "spos"])
def test_a_search_goes_on_bit_by_bit(tmp_path: Path, method: str) -> None:
    trainer(tmp_path / "straight", method).search()
    first = trainer(tmp_path / "resumed", method)

    def crash(epoch: int) -> None:
        if epoch == 1:
            raise Crash

    with pytest.raises(Crash):
        first.search(after_epoch=crash)
    second = trainer(tmp_path / "resumed", method)
    second.search(resume_from=get_last_checkpoint(second.config))
    states = [load(tmp_path / name / "search" / "model_final.pth") for name in ("straight", "resumed")]
    assert differences(*states) == []
    genotypes = [json.loads((tmp_path / name / "genotype.json").read_text()) for name in ("straight", "resumed")]
    assert genotypes[0] == genotypes[1] and set(genotypes[0]["genotype"]) <= {*NAMES}
    rows = json.loads((tmp_path / "straight" / "arch_weights.json").read_text())
    assert [row["name"] for row in rows] == [*NAMES[:2], "inputs/0", "inputs/1", *NAMES[3:]]
    by_name = {row["name"]: row["ops"] for row in rows}
    assert by_name["first"] == ["linear", "relu"] and by_name["head.0.out_features"] == ["4", "8"]


@pytest.mark.parametrize("retrain", [True, False])
def test_the_network_comes_back_from_its_folder(tmp_path: Path, retrain: bool) -> None:
    run = trainer(tmp_path)
    run.search()
    accuracy = run.evaluate(retrain=retrain)
    assert 0 <= accuracy <= 100
    network = naslib.load_network(tmp_path)
    x = tensors(8, 5).tensors[0]
    expected = run.result.network.eval()(x)
    torch.testing.assert_close(network(x), expected, rtol=0, atol=1e-6)
    record = json.loads((tmp_path / "eval" / "network.json").read_text())["architecture"]
    assert record["arguments"] == {"module_or_factory": "own_modules:row_net"}
    assert tuple(record["code"]) == run.optimizer.get_final_architecture().get_code()


def test_what_cannot_be_imported_is_said_when_it_is_loaded(tmp_path: Path) -> None:
    run = trainer(tmp_path, made=lambda: RowNet())
    run.search()
    run.evaluate()
    with pytest.raises(GraphError, match="of a function that cannot be imported"):
        naslib.load_network(tmp_path)


@pytest.mark.parametrize("method", ["rs", "re"])
def test_a_search_on_codes_trains_its_networks(tmp_path: Path, method: str) -> None:
    run = trainer(tmp_path, method, evaluator="train", evaluator_args={"epochs": 1})
    run.search()
    found = run.optimizer.get_final_architecture()
    assert found.decision_space.size() == 3 * 4 * 2 * 2
    assert found.get_code() in {trial.code for trial in naslib.history.load(tmp_path)}
    assert set(found.genotype()) <= {*NAMES}
    found.evaluation_network()(tensors(4, 0).tensors[0])


def test_the_first_batch_is_tried_before_anything_is_trained(tmp_path: Path) -> None:
    class Broadcasts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = LayerChoice({"three": nn.Linear(6, 3), "one": nn.Linear(6, 1)}, "layer")

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x)

    run = trainer(tmp_path, made=Broadcasts)
    with pytest.raises(GraphError, match=r"decision 'layer': the candidates .* three makes \(4, 3\) and one \(4, 1\)"):
        run.search()
    assert not list((tmp_path / "search").glob("model_*"))


def test_retrained_weights_are_those_that_the_module_gives_itself() -> None:
    space = ModuleSearchSpace(row_net)
    space.sample_random_architecture(rng=1)
    with torch.no_grad():
        for parameter in space.parameters():
            parameter.fill_(7.0)
    torch.manual_seed(3)
    network = space.evaluation_network()
    torch.manual_seed(3)
    other = ModuleSearchSpace(row_net)
    other.set_spec(space.get_code())
    assert network.get_code() == space.get_code()
    for new, expected in zip(network.parameters(), other.parameters(), strict=True):
        assert torch.equal(new, expected)
    assert torch.equal(network.module.scale, torch.ones(6))  # not the search's, which no layer would draw anew


def test_a_given_module_draws_anew_but_what_is_frozen_or_pretrained() -> None:
    torch.manual_seed(0)
    module = RowNet()
    module.chain.blocks[0][0].requires_grad_(False)
    pretrained(module.first)
    with torch.no_grad():
        module.scale.fill_(2.0)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    space = ModuleSearchSpace(module)
    space.set_spec({"first": "linear", "inputs": (0, 1), "chain.depth": 2, "head.0.out_features": 8})
    with torch.no_grad():
        for parameter in space.parameters():
            if parameter.requires_grad:
                parameter.fill_(7.0)
    network = space.evaluation_network().module
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items()), "it was changed"
    assert torch.equal(network.first.weight, before["first.0.weight"])
    assert torch.equal(network.chain[0][0].weight, before["chain.blocks.0.0.weight"])
    assert not network.chain[0][0].weight.requires_grad
    assert torch.equal(network.scale, torch.full((6,), 2.0))
    assert not torch.equal(network.head[0].weight, before["head.0.weight"])
    assert float(network.head[0].weight.detach().max()) < 1.0  # neither the given weights nor the search's


def test_the_plain_module_is_its_own_class_with_torchs_layers() -> None:
    space = ModuleSearchSpace(row_net)
    choices = {"first": "relu", "first.relu.1": "wide", "inputs": (1,), "chain.depth": 1, "head.0.out_features": 4}
    space.set_spec(choices)
    assert space.decision_space.choices(space.get_code()) == choices
    assert space.genotype() == {**choices, "inputs": [1]}
    network = space.get_final_architecture()
    assert type(network) is RowNet and isinstance(network.first[1], nn.Linear)
    assert [type(module).__name__ for module in network.head] == ["Linear", "ReLU", "Linear"]
    assert network.head[0].out_features == 4 and len(network.chain) == 1
    ours = {type(m).__name__ for m in network.modules() if type(m).__module__.startswith("naslib.")}
    assert ours == {"ChosenInputs"}
    x = tensors(4, 0).tensors[0]
    network.eval()
    assert torch.equal(pickle.loads(pickle.dumps(network)).eval()(x), network(x))
    exported = torch.export.export(network, (x,)).module()
    torch.testing.assert_close(exported(x), network(x))
    assert torch.equal(pickle.loads(pickle.dumps(space)).eval()(x), network(x))


def test_a_space_of_a_lambda_is_pickled_without_it() -> None:
    space = pickle.loads(pickle.dumps(ModuleSearchSpace(lambda: RowNet())))
    space.sample_random_architecture(rng=0)
    with pytest.raises(GraphError, match="cannot be made anew from a pickle"):
        space.evaluation_network()


def test_a_config_names_a_registered_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SEARCH_SPACES, "_entries", dict(SEARCH_SPACES._entries))
    SEARCH_SPACES.register("two_layers")(TwoLayers)
    words = ["search_space=two_layers", "search_space_args={width: 2}", "search.epochs=1", "evaluation.epochs=1"]
    assert main(["--config", "darts.yaml", *words, "search.batch_size=256", f"out_dir={tmp_path}"]) == 0
    (summary,) = tmp_path.rglob("summary.json")
    content = json.loads(summary.read_text())
    assert content["search_space"] == "two_layers" and set(content["genotype"]) == {"1", "2"}
    network = naslib.load_network(summary.parent).network
    assert isinstance(network, TwoLayers) and network.width == 2 and network.module[0].out_channels == 2


class OwnSpace(ModuleSearchSpace):
    """A space with arguments, whose own method makes the module."""

    def __init__(self, width: int = 4) -> None:
        super().__init__(self.make)
        self.width = width

    def make(self) -> nn.Module:
        width = getattr(self, "width", 4)
        return nn.Sequential(
            nn.Linear(6, width),
            LayerChoice([nn.Linear(width, 3), nn.Sequential(nn.ReLU(), nn.Linear(width, 3))], "last"),
        )


def test_a_space_whose_own_method_makes_the_module() -> None:
    space = OwnSpace()
    space.set_spec((0,))
    again = pickle.loads(pickle.dumps(space))
    x = tensors(4, 0).tensors[0]
    assert torch.equal(again(x), space(x)) and again.genotype() == {"last": "Linear"}
    assert again.evaluation_network()(x).shape == (4, 3)


def test_one_layer_in_two_places_is_one_choice() -> None:
    layer = LayerChoice({"linear": nn.Linear(6, 6), "none": nn.Identity()})
    space = ModuleSearchSpace(nn.ModuleDict({"a": nn.Sequential(layer), "b": nn.Sequential(layer)}))
    assert space.decision_space.names == ("a.0",)
    space.set_spec({"a.0": "linear"})
    assert space.module["a"][0] is space.module["b"][0] is not layer[0]


def test_pictures(tmp_path: Path) -> None:
    space = ModuleSearchSpace(row_net)
    files = draw_space(space, tmp_path, "rows")
    assert {path.name for path in files} == {"rows_decisions.svg", "rows_decisions.png"}
    space.set_spec({"first": "linear", "inputs": (), "chain.depth": 2, "head.0.out_features": 8})
    assert {path.name for path in draw_choices(space, tmp_path)} == {"decisions.svg", "decisions.png"}
