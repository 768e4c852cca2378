"""Parts together on one edge, resumed bit-identically, and chosen from a config file."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch
from torch import Tensor

from naslib.build import build_optimizer, schema_extensions
from naslib.config.loader import load_config
from naslib.errors import ConfigError
from naslib.optimizers import OPTIMIZERS, DARTSOptimizer, OneShotOptimizer, PCDARTSOptimizer
from naslib.optimizers.oneshot.parts import AuxiliarySkip, Part, PartialChannels, WeightedEdges
from naslib.search_spaces import NasBench201SearchSpace, NasBench301SearchSpace, SimpleCellSearchSpace
from naslib.search_spaces.core.primitives import MixedOp

SPACES = {
    "simple_cell": lambda: SimpleCellSearchSpace(n_classes=4, channels=8),
    "nasbench201": lambda: NasBench201SearchSpace(n_classes=4, channels=8, cells_per_stage=1),
    "nasbench301": lambda: NasBench301SearchSpace(n_classes=4, channels=8, cells=3, nodes=2),
}


class _ExpectedCost(Part):
    """A stand-in for a latency term: the expected index of the operation, summed over decisions."""

    def architecture_loss(self, loss: Tensor) -> Tensor:
        alphas = self.optimizer.architectural_weights
        return loss + 0.5 * sum((a.softmax(-1) * torch.arange(len(a))).sum() for a in alphas)


def _batch(seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(8, 3, 8, 8, generator=generator), torch.randint(4, (8,), generator=generator)


def _adapted(space: str, seed: int = 0) -> OneShotOptimizer:
    torch.manual_seed(seed)
    optimizer = PCDARTSOptimizer(
        epochs=4,
        arch_learning_rate=0.05,
        parts={
            "warm_up": {"epochs": 1},
            "perturbation": {"kind": "adversarial", "steps": 2},
            "auxiliary_skip": {"decay": "cosine"},
        },
    )
    optimizer.parts["cost"] = _ExpectedCost()
    optimizer.parts["cost"].optimizer = optimizer
    optimizer.adapt_search_space(SPACES[space]())
    optimizer.before_training()
    optimizer.graph.train()
    return optimizer


def _train(optimizer: OneShotOptimizer, epochs: range) -> list[Tensor]:
    losses: list[Tensor] = []
    for epoch in epochs:
        torch.manual_seed(100 + epoch)
        optimizer.new_epoch(epoch)
        losses += optimizer.step(_batch(epoch), _batch(50 + epoch))[2:]
    return losses


@pytest.mark.parametrize("space", SPACES)
def test_pc_darts_with_everything(space: str):
    straight = _adapted(space)
    before = [p.detach().clone() for p in straight.architecture_parameters]
    _train(straight, range(1))
    assert all(torch.equal(a, b) for a, b in zip(before, straight.architecture_parameters, strict=True))  # warm-up
    _train(straight, range(1, 2))
    assert not any(torch.equal(a, b) for a, b in zip(before, straight.architecture_parameters, strict=True))
    buffer = io.BytesIO()
    torch.save({key: part.state_dict() for key, part in straight.get_checkpointables().items()}, buffer)
    expected = _train(straight, range(2, 4))

    resumed = _adapted(space, seed=9)
    buffer.seek(0)
    state = torch.load(buffer, weights_only=True)
    for key, part in resumed.get_checkpointables().items():
        part.load_state_dict(state[key])
    found = _train(resumed, range(2, 4))
    assert all(torch.equal(a, b) and a.isfinite() for a, b in zip(found, expected, strict=True))
    for a, b in zip(straight.architecture_parameters, resumed.architecture_parameters, strict=True):
        assert torch.equal(a, b)
    for a, b in zip(straight.graph.state_dict().values(), resumed.graph.state_dict().values(), strict=True):
        assert torch.equal(a, b)

    final = straight.get_final_architecture()
    gone = (AuxiliarySkip, PartialChannels, WeightedEdges, MixedOp)
    assert not any(isinstance(module, gone) for module in final.modules())
    assert final.genotype() == resumed.get_final_architecture().genotype()
    assert final.eval()(_batch(0)[0]).isfinite().all()


def test_every_part_reaches_the_gradient():
    """Leaving out any of them changes the architecture gradient; the perturbation changes the weights'."""
    with_all = _adapted("nasbench201")
    with_all.new_epoch(2)
    gradient = torch.cat([g.flatten() for g in with_all.architecture_gradient(_batch(1), _batch(2))[0]])
    del with_all.parts["cost"]
    without_cost = torch.cat([g.flatten() for g in with_all.architecture_gradient(_batch(1), _batch(2))[0]])
    p = torch.stack([a.detach().softmax(-1) for a in with_all.architectural_weights])
    index = torch.arange(5.0)
    expected = 0.5 * p * (index - (p * index).sum(-1, keepdim=True))
    n = expected.numel()
    torch.testing.assert_close((gradient - without_cost)[:n], expected.flatten(), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(gradient[n:], without_cost[n:])  # of beta


def test_supernets_that_are_pruned_and_rebuilt():
    """A part finds itself in the new supernet, and its parameters are trained on."""
    torch.manual_seed(0)
    parts = {"edge_normalization": {}, "perturbation": {"kind": "adversarial", "steps": 1}, "auxiliary_skip": {}}
    optimizer = DARTSOptimizer(epochs=4, arch_learning_rate=0.05, parts={"partial_channels": {"k": 4}, **parts})
    optimizer.adapt_search_space(SPACES["nasbench201"]())
    optimizer.new_epoch(1)
    optimizer.structure.prune([[0, 2, 3]] * 6)
    assert all(loss.isfinite() for loss in optimizer.step(_batch(1), _batch(2))[2:])
    optimizer.structure.rebuild([[0, 3]] * 6)
    betas = optimizer.parts["edge_normalization"].betas
    assert [len(b) for b in betas] == [2, 3] and optimizer.graph.nested_graphs()[1].edges[1, 4].betas is betas[1]
    skips = [m for m in optimizer.graph.modules() if isinstance(m, AuxiliarySkip)]
    assert {skip.beta for skip in skips} == {0.75} and len(skips) == 18
    before = [p.detach().clone() for p in optimizer.architecture_parameters]
    assert all(loss.isfinite() for loss in optimizer.step(_batch(1), _batch(2))[2:])
    assert not any(torch.equal(a, b) for a, b in zip(before, optimizer.architecture_parameters, strict=True))
    optimizer.new_epoch(2)
    assert {m.beta for m in optimizer.graph.modules() if isinstance(m, AuxiliarySkip)} == {0.5}


@pytest.mark.parametrize("name", ["pc_darts", "sdarts_adv", "darts_minus", "fair_darts"])
def test_selection_by_perturbation_at_the_end(name: str):
    torch.manual_seed(0)
    parts = {"perturbation_selection": {"tune_epochs": 1, "batches": 1}}
    optimizer = OPTIMIZERS.get(name)(epochs=2, parts=parts)
    optimizer.adapt_search_space(SPACES["nasbench201"]())
    optimizer.new_epoch(1)
    optimizer.select_architecture([_batch(1)], [_batch(2)])
    assert optimizer.outcome is not None and len(optimizer.get_final_architecture().get_code()) == 6


YAML = """
dataset: digits
search_space: nasbench301
search_space_args: {{cells: 2, nodes: 2, channels: 8}}
optimizer: {optimizer}
search:
  epochs: 4
  parts:
    partial_channels: {{k: 2}}
    edge_normalization:
    auxiliary_skip: {{beta: 0.5, decay: slow_cosine}}
    zero_one_loss: {{weight: 1.0, norm: l1}}
    warm_up: {{epochs: 1}}
    {more}
"""


@pytest.mark.parametrize(
    ("optimizer", "more"),
    [
        ("darts", "perturbation: {kind: adversarial, steps: 1}"),
        ("sdarts_rs", "perturbation: {radius_max: 0.1}"),
        ("gdas", ""),
        ("reinmax", ""),
        ("fair_darts", ""),
        ("snas", ""),
        ("edge_popup", ""),
        ("pc_darts", "perturbation: false"),
    ],
)
def test_parts_from_a_config_file(tmp_path: Path, optimizer: str, more: str):
    path = tmp_path / "search.yaml"
    path.write_text(YAML.format(optimizer=optimizer, more=more), encoding="utf-8")
    config = load_config(path, extensions=schema_extensions())
    torch.manual_seed(0)
    method = build_optimizer(config)
    assert {"partial_channels", "edge_normalization", "auxiliary_skip"} <= set(method.parts)
    assert method.parts["partial_channels"].k == 2 and method.epochs == 4
    method.adapt_search_space(NasBench301SearchSpace(n_classes=4, cells=2, nodes=2, channels=8))
    for epoch in range(2):
        method.new_epoch(epoch)
        assert all(loss.isfinite() for loss in method.step(_batch(1), _batch(2))[2:])
    assert method.parts["auxiliary_skip"].beta == pytest.approx(0.5 * 0.92388, abs=1e-5)
    assert method.get_final_architecture().get_code()


def test_a_part_that_does_not_fit_is_said(tmp_path: Path):
    path = tmp_path / "search.yaml"
    path.write_text(YAML.format(optimizer="gdas", more="perturbation: {kind: random}"), encoding="utf-8")
    method = build_optimizer(load_config(path, extensions=schema_extensions()))
    with pytest.raises(ConfigError, match="perturbation does not fit GDASOptimizer"):
        method.adapt_search_space(SPACES["nasbench301"]())
