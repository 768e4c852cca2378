"""Models with mixed operations: their two groups of parameters, what is chosen, and what remains."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from torch import nn

from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.kernels import strided

from .base import MixedLayer


def mixed_ops(model: nn.Module) -> dict[str, MixedLayer]:
    """Return the mixed operations anywhere in a model by their paths, each once."""
    return {path: module for path, module in model.named_modules() if isinstance(module, MixedLayer)}


def _architecture(model: nn.Module) -> dict[int, nn.Parameter]:
    return {id(op.alpha): op.alpha for op in mixed_ops(model).values()}


def trainable_architecture_variables(model: nn.Module) -> list[nn.Parameter]:
    """Return the parameters that require a gradient and belong to a mixed operation itself, each once."""
    return [alpha for alpha in _architecture(model).values() if alpha.requires_grad]


def trainable_operational_variables(model: nn.Module) -> list[nn.Parameter]:
    """Return all other parameters that require a gradient."""
    architecture = _architecture(model)
    return [p for p in model.parameters() if p.requires_grad and id(p) not in architecture]


def architecture_summary(model: nn.Module) -> str:
    """Return a line `name: softmax(alpha)` per mixed operation."""
    named = [(op.name or path or type(op).__name__, op) for path, op in mixed_ops(model).items()]
    return "\n".join(f"{name}: [{', '.join(f'{p:.4f}' for p in op.probabilities())}]" for name, op in named)


def set_stochastic(model: nn.Module, stochastic: bool | None) -> None:
    """Let all calls of mixed operations be stochastic, or deterministic; None lets them follow the mode."""
    for op in mixed_ops(model).values():
        op.stochastic = stochastic


@contextmanager
def fixed_architecture(model: nn.Module) -> Iterator[None]:
    """Treat the architecture variables as constants inside: they get no gradient, and nothing is evaluated for it."""
    trained = trainable_architecture_variables(model)
    for alpha in trained:
        alpha.requires_grad_(False)
    try:
        yield
    finally:
        for alpha in trained:
            alpha.requires_grad_(True)


def discretize(model: nn.Module) -> Any:
    """Return a copy of the model in which each mixed operation is replaced by what it has chosen."""
    return _replaced(copy.deepcopy(model), {})


def _replaced(module: nn.Module, done: dict[int, nn.Module]) -> nn.Module:
    if id(module) not in done:
        kept = module
        while isinstance(kept, MixedLayer):  # which may choose a mixed operation
            kept = kept.discretized()
        done[id(module)] = done[id(kept)] = kept
        if isinstance(kept, Graph):
            for _, _, data in kept.edges(data=True):
                if isinstance(data.op, nn.Module) and not data.is_final():
                    data.set("op", _replaced(data.op, done))
        for name, child in list(kept._modules.items()):
            if child is not None:
                kept._modules[name] = _replaced(child, done)
    return done[id(module)]


class ArchitectureSearchModel:
    """Mix-in for models with mixed operations: `class Net(ArchitectureSearchModel, nn.Module)`.

    The functions of this module do the same for any model.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Have the `forward` compute its convolutions as a graph does (`naslib.search_spaces.core.kernels.strided`)."""
        super().__init_subclass__(**kwargs)
        strided.guard_methods(cls, "forward")

    @property
    def trainable_architecture_variables(self) -> list[nn.Parameter]:
        """The parameters that require a gradient and belong to a mixed operation itself, nested models included."""
        return trainable_architecture_variables(self._module)

    @property
    def trainable_operational_variables(self) -> list[nn.Parameter]:
        """All other parameters that require a gradient."""
        return trainable_operational_variables(self._module)

    def architecture_summary(self) -> str:
        """Return a line `name: softmax(alpha)` per mixed operation, nested models included."""
        return architecture_summary(self._module)

    def set_stochastic(self, stochastic: bool | None) -> None:
        """Let all calls of mixed operations be stochastic, or deterministic; None lets them follow the mode."""
        set_stochastic(self._module, stochastic)

    def fixed_architecture(self) -> AbstractContextManager[None]:
        """Return a context in which the architecture variables are constants."""
        return fixed_architecture(self._module)

    def discretized(self) -> Any:
        """Return a copy in which each mixed operation is replaced by what it has chosen."""
        return discretize(self._module)

    @property
    def _module(self) -> nn.Module:
        if not isinstance(self, nn.Module):
            raise TypeError(f"{type(self).__name__} must be a torch.nn.Module besides an ArchitectureSearchModel")
        return self
