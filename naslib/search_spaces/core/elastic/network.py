"""What is asked of a network with elastic layers: its decisions, the plain network of an assignment, its size."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from naslib.errors import ArchitectureError, DataError
from naslib.search_spaces.core.assignment import Assignment, assigned
from naslib.search_spaces.core.batch_norm import batch_norm_modules, evaluation_mode

from .layer import Counter, Elastic, Expectation, Extractable, Extracted, checked_mix, members
from .sizes import Held, Value, distinct

M = TypeVar("M", bound=nn.Module)


def elastic_layers(module: nn.Module) -> list[Elastic]:
    """Return the elastic layers of a network, those inside of others included, each once."""
    return [part for part in _parts(module, inside=True) if isinstance(part, Elastic)]


def values_in(module: nn.Module) -> tuple[Value, ...]:
    """Return the value decisions of a network, each once, in the order in which its layers come.

    What tells entangled candidates of an edge from each other is not among them: it is the decision of the edge.

    Raises:
        ConfigError: If two of one label have different values.
    """
    leaves = [leaf for layer in elastic_layers(module) for leaf in layer.sizes.leaves]
    return distinct([leaf for leaf in leaves if not isinstance(leaf, Held)])


def set_mixing(module: M, mix: str) -> M:
    """Have all elastic layers of a network mix `"weights"` or `"outputs"`, in place; return the network."""
    checked = checked_mix(mix)
    for layer in elastic_layers(module):
        layer.mix = checked
    return module


def _during(assignment: Assignment | None) -> Any:
    return nullcontext() if assignment is None else assigned(assignment)


def extract(module: nn.Module, assignment: Assignment | None = None) -> nn.Module:
    """Return a copy of a network in which every elastic layer is the plain layer of its sizes.

    In evaluation its outputs are bit-equal to those of the network under the same assignment, and so are those in
    training as long as the weights are.

    Args:
        module: The network; it is not changed.
        assignment: An index for every value decision; the one that holds if None, the largest sizes without one.

    Raises:
        ArchitectureError: If the assignment mixes sizes.
    """
    with _during(assignment):
        return extracted_from(module, {})


def extracted_from(module: nn.Module, extracted: Extracted) -> nn.Module:
    """Return what `extract` returns, sharing what others have extracted already.

    Args:
        module: The network.
        extracted: Slices so far, and the plain modules by `id` of those that they are extracted from.
    """
    outermost = _outermost(module)
    for part in outermost:
        if id(part) not in extracted:  # a layer in two places stays one
            extracted[id(part)] = part.extract(extracted)
    memo: dict[int, Any] = {id(part): extracted[id(part)] for part in outermost}
    return copy.deepcopy(module, memo)


def _outermost(module: nn.Module) -> list[Extractable]:
    """Return the modules that `extract` replaces, without those inside of others."""
    return [part for part in _parts(module, inside=False) if isinstance(part, Extractable)]


def _parts(module: nn.Module, inside: bool) -> list[nn.Module]:
    """Return all modules of a network, each once; those inside of a part to be extracted only if `inside`."""
    found: dict[int, nn.Module] = {}
    stack: list[nn.Module | None] = [module]
    while stack:
        part = stack.pop()
        if part is None or id(part) in found:
            continue
        found[id(part)] = part
        if inside or not isinstance(part, Extractable):
            stack.extend(reversed(list(members(part))))
    return list(found.values())


# sizes


def count_parameters(
    module: nn.Module, assignment: Assignment | None = None, left: Mapping[int, nn.Module | None] | None = None
) -> int:
    """Return the number of parameters that `extract` would keep, without extracting.

    Args:
        module: The network.
        assignment: An index for every value decision; the one that holds if None, the largest sizes without one.
        left: By `id` of a module inside, what is left of it when operations are chosen, None for nothing.

    Raises:
        ArchitectureError: If the assignment mixes sizes.
    """
    counter = Counter(left=left)
    with _during(assignment):
        counter.walk(module)
    return counter.total


def expected_parameters(module: nn.Module, assignment: Assignment | None = None) -> Tensor:
    """Return the expected number of parameters if the sizes are drawn with the weights of an assignment.

    It is differentiable in the weights. Layers that share a weight count it once for each of them.

    Args:
        module: The network.
        assignment: Weights, or an index, for every value decision; the one that holds if None.

    Returns:
        A scalar.
    """
    with _during(assignment):
        return torch.as_tensor(Expectation().of(module))


@torch.no_grad()
def recalibrate(module: M, batches: Iterable[Any], assignment: Assignment | None = None) -> M:
    """Estimate the running statistics of batch norm anew, as the average over batches, in place; return the network.

    A supernet's own are those of all sizes that were trained, together; a size is to be evaluated with its own. Only
    what runs is estimated anew; the mode of the network stays what it is, and nothing is trained.

    Args:
        module: The network.
        batches: Inputs, or tuples and lists that begin with the inputs.
        assignment: What runs; the assignment that holds if None.

    Raises:
        DataError: If there is no batch.
    """
    norms = [norm for norm in batch_norm_modules(module) if norm.track_running_stats]
    momentums = [norm.momentum for norm in norms]
    n_batches = 0
    with evaluation_mode(module), _during(assignment):
        for norm in norms:
            norm.train()
            norm.reset_running_stats()
            norm.momentum = None
        try:
            for batch in batches:
                module(batch[0] if isinstance(batch, list | tuple) else batch)
                n_batches += 1
        finally:
            for norm, momentum in zip(norms, momentums, strict=True):
                norm.momentum = momentum
    if norms and not n_batches:
        raise DataError("batch norm is recalibrated on batches, and there are none")
    return module


def index_assignment(module: nn.Module, values: dict[str, int | float]) -> Assignment:
    """Return the assignment of given values, by label; decisions that are not named have their largest value.

    Args:
        module: The network.
        values: By label of a value decision, one of its values.

    Raises:
        ArchitectureError: If there is no such decision, or no such value.
    """
    leaves = {leaf.label: leaf for leaf in values_in(module)}
    for label, value in values.items():
        if label not in leaves:
            raise ArchitectureError(f"there is no value decision {label!r}; there are {sorted(leaves)}")
        if value not in leaves[label].values:
            raise ArchitectureError(f"value decision {label!r} has the values {leaves[label].values}, not {value!r}")
    return Assignment({label: leaf.values.index(values.get(label, max(leaf.values))) for label, leaf in leaves.items()})
