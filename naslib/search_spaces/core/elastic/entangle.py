"""What becomes entangled: operations of one structure, of which the smaller are slices of the largest."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from naslib.errors import GraphError
from naslib.search_spaces.core.ops_base import AbstractPrimitive

from .conv import ElasticConv2d
from .entangled import LABEL, Entangled, EntangledCandidate
from .from_layer import KINDS, elastic
from .layer import Mix, checked_mix
from .sizes import Held, Listed, Size

# What may differ between layers that are slices of one another, beside their sizes
_FOLLOWS = {"padding", "_reversed_padding_repeated_twice"}
# Layers that may differ in size; layer norm of another size is no slice, its statistics are others
SHARED = (nn.Conv2d, nn.BatchNorm2d, nn.Linear)


def entangle(ops: Sequence[nn.Module], mix: str = "weights") -> list[nn.Module]:
    """Return candidates for an edge that share the weights of the largest of some operations.

    The operations must have one structure: the same kinds of layers in the same places, which differ in the size of
    kernels, the number of channels or of features only. Layers that do not differ are shared as they are, batch norm
    and its statistics included. Each candidate runs its slice; in the discrete architecture it is the operation that it
    stands for, of its own class, with the slice as its weights.

    Args:
        ops: At least two operations; the largest keeps its weights, those of the others are dropped.
        mix: `"weights"`: a mixture runs them as one operation of mixed weights; `"outputs"`: it runs each.

    Raises:
        GraphError: If they cannot share their weights; the message says what differs.
    """
    checked = checked_mix(mix)
    if len(ops) < 2:
        raise GraphError(f"entangled candidates share their weights with each other: give two or more, not {len(ops)}")
    names = [op.get_op_name if isinstance(op, AbstractPrimitive) else type(op).__name__ for op in ops]
    parts = [dict(op.named_modules()) for op in ops]
    leaf = Held(range(len(ops)), LABEL)
    largest = max(range(len(ops)), key=lambda i: sum(parameter.numel() for parameter in ops[i].parameters()))
    memo: dict[int, Any] = {}
    differences: list[dict[str, dict[str, Any]]] = [{} for _ in ops]
    for path, first in parts[largest].items():
        same = [part.get(path) for part in parts]
        if any(type(part) is not type(first) for part in same) or len({len(part) for part in parts}) > 1:
            raise GraphError(
                f"{' and '.join(names)} cannot share weights: they have other layers at {path or 'the top'}"
            )
        if type(first) in SHARED:
            memo[id(first)] = _shared(first, same, leaf, checked, f"{' and '.join(names)}, at {path!r}")
            continue
        _same_tensors(first, same, f"{' and '.join(names)}, at {path or 'the top'}")
        for index, part in enumerate(same):
            changed = _attributes(part, first)
            if changed and not first._modules:
                raise GraphError(
                    f"{' and '.join(names)} cannot share weights: {type(first).__name__} at {path!r} differs in "
                    f"{', '.join(sorted(changed))}"
                )
            if changed:
                differences[index][path] = changed
    memo = {key: layer for key, layer in memo.items() if layer is not None}
    shared = Entangled(copy.deepcopy(ops[largest], memo), checked, differences)
    return [EntangledCandidate(shared, index, name) for index, name in enumerate(names)]


def _attributes(part: Any, first: nn.Module) -> dict[str, Any]:
    """Return the plain attributes of a module that differ from those of another one."""
    plain = {k: v for k, v in vars(part).items() if not k.startswith("_") and k != "training"}
    return {k: v for k, v in plain.items() if not isinstance(v, nn.Module | Tensor) and vars(first).get(k) != v}


def _same_tensors(first: nn.Module, same: Sequence[Any], where: str) -> None:
    def shapes(part: nn.Module) -> dict[str, Any]:
        tensors = {**part._parameters, **part._buffers}
        return {name: None if tensor is None else tensor.shape for name, tensor in tensors.items()}

    if any(shapes(part) != shapes(first) for part in same):
        raise GraphError(
            f"{where}: {type(first).__name__} of several shapes cannot share weights; convolutions, linear layers and "
            "batch norm can"
        )


def _shared(first: Any, same: Sequence[Any], leaf: Held, mix: Mix, where: str) -> nn.Module | None:
    """Return the elastic layer of which some layers are slices, with the weights of one of them; None if all are equal.

    Raises:
        GraphError: If they differ in something else than their sizes.
    """
    sizes = KINDS[type(first)].sizes
    for part in same:
        others = set(_attributes(part, first)) - set(sizes) - _FOLLOWS
        if others or (part.bias is None) != (first.bias is None):
            what = ", ".join(sorted(others)) or "bias"
            raise GraphError(f"{where}: layers that share weights differ in their sizes only, not in {what}")
    if all(not _attributes(part, first) for part in same):
        return None
    chosen = {name: _listed([getattr(part, name) for part in same], leaf, where) for name in sizes}
    layer = elastic(first, mix, **chosen)
    if isinstance(layer, ElasticConv2d):
        _check_paddings(layer, same, where)
    return layer


def _check_paddings(conv: ElasticConv2d, same: Sequence[Any], where: str) -> None:
    expected = [conv.padding_of(part.kernel_size[0]) for part in same]
    found = [part.padding[0] for part in same]
    if found != expected:
        raise GraphError(
            f"{where}: kernels of sides {[part.kernel_size[0] for part in same]} are slices of one where their centres "
            f"are in one place: their paddings are {expected} then, not {found}"
        )


def _listed(numbers: Sequence[Any], leaf: Held, where: str) -> int | Size:
    sides = [number[0] if isinstance(number, tuple) and len({*number}) == 1 else number for number in numbers]
    if any(not isinstance(side, int) for side in sides):
        raise GraphError(f"{where}: convolutions that share weights are square, not {numbers}")
    return sides[0] if len(set(sides)) == 1 else Listed(leaf, tuple(sides))


def entangle_edges(graph: Any, kinds: Sequence[type[nn.Module]], mix: str = "weights", scope: Any = None) -> Any:
    """Let the candidates of one class on each edge of a space share their weights, in place; return the space.

    Args:
        graph: A space; op classes on its edges are instantiated.
        kinds: Classes of operations, as `[SepConv, DilConv]`; the order of the candidates stays.
        mix: See `entangle`.
        scope: Which graphs; the space's `OPTIMIZER_SCOPE` if None.

    Raises:
        GraphError: If no edge has two candidates of one of these classes, or some cannot share their weights.
    """
    graph.compile()
    found = 0

    def share(edge: Any) -> None:
        nonlocal found
        if not isinstance(edge.data.op, list):
            return
        ops = list(edge.data.op)
        for kind in kinds:
            places = [place for place, op in enumerate(ops) if type(op) is kind]
            if len(places) < 2:
                continue
            found += 1
            for place, candidate in zip(places, entangle([ops[i] for i in places], mix), strict=True):
                ops[place] = candidate
        edge.data.set("op", ops)

    graph.update_edges(share, graph.OPTIMIZER_SCOPE if scope is None else scope, private_edge_data=True)
    if not found:
        names = ", ".join(kind.__name__ for kind in kinds)
        raise GraphError(f"no edge has two candidates of one class among {names or 'none'}: there is nothing to share")
    return graph
