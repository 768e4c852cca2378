"""Degenerate outcomes: no path, a constant output, tied decisions, parameters that never moved."""

from __future__ import annotations

import json
import logging

import pytest
import torch
from small_spaces import batch, mlp_space
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from training_runs import small_trainer

from naslib.build import main
from naslib.config.loader import load_config
from naslib.defaults.trainer import Trainer
from naslib.optimizers import DARTSOptimizer, FairDARTSOptimizer, RandomSearch, SPOSOptimizer
from naslib.optimizers.discrete.base import SearchRecord
from naslib.search_spaces import NasBench201SearchSpace, NasBench301SearchSpace, SimpleCellSearchSpace
from naslib.search_spaces.core.graph import Graph
from naslib.training.degenerate import CONSTANT, NO_PATH, degenerate_reasons, has_constant_output

NONE = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
SKIP = "|skip_connect~0|+|none~0|none~1|+|none~0|skip_connect~1|none~2|"


def _nasbench201(spec: str, **kwargs) -> NasBench201SearchSpace:
    space = NasBench201SearchSpace(n_classes=3, channels=4, cells_per_stage=1, **kwargs)
    space.set_spec(spec)
    return space


# the architecture


@pytest.mark.parametrize("as_code", [False, True])
def test_an_architecture_without_a_path_is_named(caplog, as_code):
    broken, good = NasBench201SearchSpace(channels=4), NasBench201SearchSpace(channels=4)
    for space, spec in ((broken, NONE), (good, SKIP)):
        space.instantiate_model = not as_code
        space.set_spec(spec)
    state = torch.get_rng_state()
    with caplog.at_level(logging.WARNING, "naslib"):
        assert degenerate_reasons(good) == [] and caplog.text == ""
        assert degenerate_reasons(broken) == [NO_PATH]
    assert "degenerate architecture: no path" in caplog.text and torch.equal(state, torch.get_rng_state())
    assert degenerate_reasons(object()) == []


def test_a_neighbour_that_is_nothing_but_a_code():
    space = _nasbench201(SKIP)
    codes = {neighbour.arch.get_code(): degenerate_reasons(neighbour.arch) for neighbour in space.get_nbhd()}
    cut = [code for code, reasons in codes.items() if reasons == [NO_PATH]]
    assert len(codes) == 24 and len(cut) == 2  # without one of the two skip connections


@pytest.mark.parametrize("space", [SimpleCellSearchSpace, NasBench301SearchSpace])
def test_a_random_choice_of_the_cell_spaces_is_proper(space):
    optimizer = DARTSOptimizer()
    optimizer.adapt_search_space(space(n_classes=3, channels=4))
    assert degenerate_reasons(optimizer.get_final_architecture()) == []


class Muted(nn.Module):
    """Somebody's own zero operation, which nobody can know by its class."""

    def forward(self, x):
        return x * 0.0


class Stepwise(nn.Module):
    """Its gradient vanishes, its output does not."""

    def forward(self, x):
        return x.sign()


def _network(*ops: nn.Module) -> nn.Module:
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(inplace=True), *ops, *head)


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (_network(), False),
        (_network(Muted()), True),
        (_network(Muted(), nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)), True),
        (nn.Sequential(Stepwise(), *_network()), False),
        (nn.Sequential(nn.ReLU(inplace=True), *_network()), False),
        (_nasbench201(NONE, in_channels=2).evaluation_network(), True),
        (_nasbench201(SKIP, in_channels=2).evaluation_network(), False),
    ],
)
def test_a_constant_output_is_found_and_nothing_else_changes(network, expected):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = torch.get_rng_state()
    network.eval()
    with torch.no_grad():  # whoever calls it
        assert has_constant_output(network, (2, 8, 8)) == expected
    assert not network.training and torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


# the decisions


def _adapted(optimizer):
    optimizer.adapt_search_space(mlp_space(), "digits")
    optimizer.before_training()
    return optimizer


def _step(optimizer) -> None:
    optimizer.step(batch(dtype=torch.float32), batch(seed=1, dtype=torch.float32))


def test_parameters_that_never_moved():
    optimizer = _adapted(DARTSOptimizer())
    assert "never moved" in optimizer.undecided()
    _step(optimizer)
    assert optimizer.undecided() == ""
    frozen = _adapted(DARTSOptimizer(arch_learning_rate=1e-30))
    _step(frozen)
    assert "never moved" in frozen.undecided()
    waiting = _adapted(DARTSOptimizer(parts={"warm_up": {"epochs": 5}}))
    waiting.new_epoch(0)
    _step(waiting)
    assert "never moved" in waiting.undecided()


def test_tied_decisions():
    optimizer = _adapted(DARTSOptimizer())
    _step(optimizer)
    for alpha in optimizer.architectural_weights:
        alpha.data.fill_(0.3)
    assert f"all {len(optimizer.decisions)} decisions are tied" in optimizer.undecided()
    optimizer.architectural_weights[0].data[2] = 0.31  # one is decided
    assert optimizer.undecided() == ""
    for alpha in optimizer.architectural_weights:  # the best two of three
        alpha.data = torch.tensor([0.5, -1.0, 0.5])
    assert "tied" in optimizer.undecided()
    assert "tied" in _adapted(FairDARTSOptimizer()).undecided()  # which begins with zeros


def test_zero_does_not_break_a_tie_unless_it_wins():
    optimizer = DARTSOptimizer()
    optimizer.adapt_search_space(NasBench201SearchSpace(channels=4, cells_per_stage=1))
    values = {
        "tied": (torch.tensor([0.0, -5.0, 0.0, 0.0, 0.0]), True),
        "none wins": (torch.tensor([0.0, 5.0, 0.0, 0.0, 0.0]), False),
        "none is one of two": (torch.tensor([5.0, 5.0, -1.0, 0.0, 0.0]), True),
        "none is the first of two": (torch.tensor([-1.0, 5.0, 5.0, 0.0, 0.0]), True),
        "another wins": (torch.tensor([6.0, 5.0, 5.0, 0.0, 0.0]), False),
    }
    for name, (value, expected) in values.items():
        for alpha in optimizer.architectural_weights:
            alpha.data = value.clone()
        assert ("tied" in optimizer.undecided()) == expected, name


def test_a_selection_phase_decides():
    optimizer = _adapted(SPOSOptimizer(population=2, generations=1, parents=1, mutations=1, crossovers=0))
    assert optimizer.undecided() != ""
    _step(optimizer)
    batches = [batch(dtype=torch.float32)]
    optimizer.select_architecture(batches, batches)
    assert optimizer.undecided() == ""


def test_a_search_on_a_table_in_which_all_are_equal():
    record = SearchRecord()
    optimizer = RandomSearch()
    optimizer.record = record
    assert optimizer.undecided() == ""
    for code in ((0,), (1,)):
        record.add(code, 90.0)
    assert "all 2 decisions are tied" in optimizer.undecided()
    copied = SearchRecord()
    copied.load_state_dict(record.state_dict())
    optimizer.record = copied
    assert "tied" in optimizer.undecided()
    record.add((2,), 80.0)
    optimizer.record = record
    assert optimizer.undecided() == ""
    older = {key: value for key, value in copied.state_dict().items() if key != "lowest"}
    copied.load_state_dict(older)
    optimizer.record = copied
    assert optimizer.undecided() == ""


# in a run


def test_the_trainer_names_it_before_the_retraining(tmp_path, caplog):
    trainer = small_trainer(tmp_path, epochs=0)
    trainer.search()
    order = []
    trainer.build_eval_optimizer = lambda *given: (
        order.append(len(trainer.degenerate)) or Trainer.build_eval_optimizer(*given)
    )
    with caplog.at_level(logging.WARNING, "naslib"):
        trainer.evaluate()
    assert order == [1] and "never moved" in trainer.degenerate[0] and "never moved" in caplog.text
    trainer.evaluate(best_arch=trainer.architecture.clone())  # somebody's own, about which no search says anything
    assert trainer.degenerate == []


class _Muted(Graph):
    """A space whose only way leads through an operation that mutes it."""

    OPTIMIZER_SCOPE = "all"

    def __init__(self):
        super().__init__("muted")
        self.add_nodes_from(range(1, 5))
        self.add_edges_from([(1, 2), (2, 3), (3, 4)])
        self.edges[1, 2].set("op", [nn.Conv2d(1, 2, 3), nn.Conv2d(1, 2, 3, bias=False)])
        self.edges[2, 3].set("op", Muted())
        self.edges[2, 3].finalize()
        self.edges[3, 4].set("op", nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 3)))


def test_a_constant_network_is_named_before_the_retraining(tmp_path):
    config = load_config({"dataset": "digits", "search": {"epochs": 1}, "evaluation": {"epochs": 1}})
    config.save = str(tmp_path)
    generator = torch.Generator().manual_seed(0)
    data = TensorDataset(torch.randn(16, 1, 8, 8, generator=generator), torch.randint(3, (16,), generator=generator))
    own = DataLoader(data, batch_size=8)
    optimizer = DARTSOptimizer(arch_learning_rate=0.1)
    optimizer.adapt_search_space(_Muted())
    for retrain in (True, False):
        trainer = Trainer(optimizer, config, train_loader=own, test_loader=own)
        trainer.search()
        trainer.evaluate(retrain=retrain)
        assert CONSTANT in trainer.degenerate


def test_the_summary_has_it(tmp_path, capsys):
    words = [
        "dataset=digits", "search_space=nasbench201", "search_space_args={channels: 2, cells_per_stage: 1}",
        "device=cpu", "search.epochs=1", "search.batch_size=512", "evaluation.epochs=1", "evaluation.batch_size=512",
        "evaluation.mode=retrain", f"out_dir={tmp_path}",
    ]  # fmt: skip
    assert main([*words, "optimizer=fair_darts"]) == 0  # no sigmoid reaches its threshold within an epoch
    (summary,) = tmp_path.rglob("summary.json")
    assert json.loads(summary.read_text())["degenerate"] == [NO_PATH]
    log = (summary.parent / "log.log").read_text()
    assert log.index("degenerate architecture: no path") < log.index("retrain epoch 1/1")
    assert "degenerate" in log[log.index("summary\n") :]
