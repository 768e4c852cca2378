"""What is asked of a network with elastic layers: its decisions, the plain network of an assignment, its size."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from naslib.errors import ArchitectureError, DataError
from naslib.search_spaces.core.assignment import Assignment, assigned
from naslib.search_spaces.core.batch_norm import batch_norm_modules, evaluation_mode

from .in_force import Mixture
from .layer import Elastic, Extracted, checked_mix
from .sizes import Value, distinct

M = TypeVar("M", bound=nn.Module)


def members(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the direct parts of a module; of a graph, parsed or not, what is on its edges and nodes."""
    yield from module._modules.values()  # type: ignore[misc]
    if hasattr(module, "_modules_in_use"):
        yield from module._modules_in_use()  # type: ignore[operator]
        yield from module._children()  # type: ignore[operator]


def elastic_layers(module: nn.Module) -> list[Elastic]:
    """Return the elastic layers of a network, those inside of others included, each once."""
    found: dict[int, Elastic] = {}
    seen: set[int] = set()

    def walk(part: nn.Module | None) -> None:
        if part is None or id(part) in seen:
            return
        seen.add(id(part))
        if isinstance(part, Elastic):
            found[id(part)] = part
        for member in members(part):
            walk(member)

    walk(module)
    return list(found.values())


def values_in(module: nn.Module) -> tuple[Value, ...]:
    """Return the value decisions of a network, each once, in the order in which its layers come.

    Raises:
        ConfigError: If two of one label have different values.
    """
    return distinct([leaf for layer in elastic_layers(module) for leaf in layer.sizes.leaves])


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
        extracted: Slices so far, and the plain layers by `id` of the elastic ones.
    """
    if isinstance(module, Elastic):
        return _plain(module, extracted)
    layers = elastic_layers(module)
    inside = {id(part) for layer in layers for part in elastic_layers(layer) if part is not layer}
    memo: dict[int, Any] = {id(layer): _plain(layer, extracted) for layer in layers if id(layer) not in inside}
    return copy.deepcopy(module, memo)


def _plain(layer: Elastic, extracted: Extracted) -> nn.Module:
    if id(layer) not in extracted:  # a layer in two places stays one
        extracted[id(layer)] = layer.extract(extracted)
    return extracted[id(layer)]


# sizes


def count_parameters(module: nn.Module, assignment: Assignment | None = None) -> int:
    """Return the number of parameters that `extract` would keep, without extracting.

    Args:
        module: The network.
        assignment: An index for every value decision; the one that holds if None, the largest sizes without one.

    Raises:
        ArchitectureError: If the assignment mixes sizes.
    """
    found: dict[Any, int] = {}
    seen: set[int] = set()

    def walk(part: nn.Module | None) -> None:
        if part is None or id(part) in seen:
            return
        seen.add(id(part))
        if isinstance(part, Elastic):
            sizes = part.point()
            for source, shape in part.parameter_shapes(sizes):
                found[source, shape] = torch.Size(shape).numel()
            kept: Iterable[nn.Module] = part.kept_blocks(sizes)
        else:
            for parameter in part._parameters.values():
                if parameter is not None:
                    found[id(parameter)] = parameter.numel()
            kept = members(part)
        for member in kept:
            walk(member)

    with _during(assignment):
        walk(module)
    return sum(found.values())


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
        return torch.as_tensor(_expected(module, set()))


def _expected(part: nn.Module | None, seen: set[int]) -> Tensor | float:
    if part is None or id(part) in seen:
        return 0.0
    seen.add(id(part))
    if not isinstance(part, Elastic):
        own = sum(parameter.numel() for parameter in part._parameters.values() if parameter is not None)
        return sum((_expected(member, seen) for member in members(part)), float(own))
    found = part.sizes.in_force()
    points, weights = found.joint() if isinstance(found, Mixture) else ([found], torch.ones(1))
    blocks = {id(block): _expected(block, seen) for block in part.kept_blocks(part.sizes.box)}
    total: Tensor | float = 0.0
    for point, weight in zip(points, weights.unbind(), strict=True):
        own = sum(torch.Size(shape).numel() for _, shape in part.parameter_shapes(point))
        total = total + weight * sum((blocks[id(block)] for block in part.kept_blocks(point)), float(own))
    return total


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
