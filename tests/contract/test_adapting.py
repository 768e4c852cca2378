"""Before a space is adapted an optimizer says so; adapting is written twice, and methods hang on behind it."""

from __future__ import annotations

import pytest
import torch
from small_spaces import mlp_space

from naslib.errors import OptimizerStateError
from naslib.optimizers import OPTIMIZERS, DARTSOptimizer, MetaOptimizer, OneShotOptimizer
from naslib.optimizers.discrete.base import DiscreteOptimizer
from naslib.optimizers.oneshot.supernet.supernet import SupernetOptimizer
from naslib.search_spaces import SimpleCellSearchSpace

ALL = sorted({OPTIMIZERS.get(name) for name in OPTIMIZERS.names()}, key=lambda cls: cls.__name__)


def _subclasses(cls: type) -> set[type]:
    direct = {sub for sub in cls.__subclasses__() if sub.__module__.startswith("naslib.")}
    return direct.union(*(_subclasses(sub) for sub in direct))


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)
def test_there_is_no_graph_before_adapting(cls: type[MetaOptimizer]) -> None:
    optimizer = cls()
    assert not optimizer.is_adapted and optimizer.space is None and optimizer.get_model_size() == 0.0
    with pytest.raises(OptimizerStateError, match=rf"{cls.__name__}\.adapt_search_space"):
        _ = optimizer.graph
    if isinstance(optimizer, OneShotOptimizer):
        assert optimizer.decisions == [] and optimizer.decision_names == []
        optimizer.check_combination()


def test_adapting_is_written_in_the_two_templates_alone() -> None:
    classes = _subclasses(MetaOptimizer)
    assert len(classes) >= 35
    found = {cls for cls in classes if "adapt_search_space" in vars(cls)}
    assert found == {SupernetOptimizer, DiscreteOptimizer}


# Those with a space of their own have tests of their own
ONE_SHOT = [cls for cls in ALL if issubclass(cls, OneShotOptimizer) and not cls.OWN_SPACE]


@pytest.mark.parametrize("cls", ONE_SHOT, ids=lambda cls: cls.__name__)
def test_a_method_of_ones_own_finds_all_in_place(cls: type[OneShotOptimizer]) -> None:
    seen = []

    class Own(cls):  # type: ignore[valid-type, misc]
        def adapted(self) -> None:
            super().adapted()
            seen.append((self.is_adapted, len(self.weights), self.op_optimizer, len(self.structure.kept)))

    space = SimpleCellSearchSpace(n_classes=4, channels=8)
    optimizer = Own()
    optimizer.adapt_search_space(space)
    ((is_adapted, n_weights, op_optimizer, n_decisions),) = seen
    assert is_adapted and n_weights > 0 and n_decisions == len(optimizer.decisions) > 0
    assert isinstance(op_optimizer, torch.optim.Optimizer) and op_optimizer is optimizer.op_optimizer
    assert optimizer.space is space is optimizer.search_space


def test_a_graph_can_be_set_by_hand() -> None:
    optimizer = DARTSOptimizer()
    optimizer.graph = space = mlp_space()
    assert optimizer.is_adapted and optimizer.graph is space and optimizer.space is space
