"""Candidates of an edge whose weights are slices of one another's, so that a mixture of them is one operation."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from naslib.errors import GraphError
from naslib.search_spaces.core.in_place import guarded
from naslib.search_spaces.core.ops_base import AbstractPrimitive, call_op, call_op_shared
from naslib.search_spaces.core.shared_work import SharedWork, is_hooked

from .conv import ElasticConv2d
from .in_force import holding
from .layer import Counter, Elastic, Expectation, Extractable, Extracted, Mix, checked_mix
from .linear import ElasticLinear
from .network import extracted_from
from .norm import ElasticBatchNorm2d
from .sizes import Held, Listed, Size

# Attributes by which torch's layers say their sizes; the elastic layer has the largest
_SIZES = {
    nn.Conv2d: ("in_channels", "out_channels", "kernel_size", "groups"),
    nn.BatchNorm2d: ("num_features",),
    nn.Linear: ("in_features", "out_features"),
}
# What may differ between layers that are slices of one another, beside their sizes
_FOLLOWS = {"padding", "_reversed_padding_repeated_twice"}
_LABEL = "entangled candidates"


class Entangled(nn.Module):
    """The operation of which entangled candidates are slices.

    Args:
        op: The largest candidate, with elastic layers where candidates differ.
        mix: See `entangle`.
        differences: By candidate, the plain attributes of its modules that differ from those of the largest, by path.

    Attributes:
        op: See there.
        mix: See there.
        differences: See there.
    """

    def __init__(self, op: nn.Module, mix: Mix, differences: Sequence[Mapping[str, Mapping[str, Any]]]) -> None:
        super().__init__()
        self.op = op
        self.mix = mix
        self.differences = tuple(differences)

    def running(self, entry: int | Tensor) -> AbstractContextManager[None]:
        """Return the context in which the operation is one candidate, by its number, or a mixture, by weights."""
        return holding({_LABEL: entry})


class EntangledCandidate(Extractable, AbstractPrimitive):
    """One of several candidates that share their weights.

    It stands on an edge as any other operation, and runs its slice. In a mixture, all candidates of the edge that
    share weights run as one operation, unless outputs are to be mixed (`mixed_candidates`).

    Args:
        shared: What it is a slice of.
        index: Which one it is.
        name: Name of the operation that it stands for.
    """

    def __init__(self, shared: Entangled, index: int, name: str) -> None:
        super().__init__()
        self.shared = shared
        self.index = index
        self.name = name

    @property
    def get_op_name(self) -> str:
        """The name of the operation that it stands for."""
        return self.name

    def get_embedded_ops(self) -> list[Any] | None:
        """Return what it is a slice of."""
        return [self.shared.op]

    def forward(self, x: Tensor, edge_data: Any = None) -> Tensor:
        """Apply the slice."""
        with self.shared.running(self.index):
            return call_op(self.shared.op, x)

    def forward_shared(self, x: Tensor, work: SharedWork, weight: Tensor | None = None) -> Tensor:
        """Apply the slice, taking what others have computed from `x` already."""
        with self.shared.running(self.index):
            return call_op_shared(self.shared.op, x, work, weight)

    def split_norm(self, x: Tensor, work: SharedWork) -> tuple[Tensor, nn.Module] | None:
        """Apply all but the BN at the end; None where that is missing, or its size depends on the candidate."""
        return _split(self.shared, self.index, x, work)

    def extract(self, extracted: Extracted | None = None) -> nn.Module:
        """Return the operation that it stands for, with weights of its own."""
        with self.shared.running(self.index):
            # of another candidate, the same layers leave another slice
            op = extracted_from(self.shared.op, {})
        for path, attributes in self.shared.differences[self.index].items():
            vars(op.get_submodule(path)).update(copy.deepcopy(dict(attributes)))
        return op

    def count(self, counter: Counter) -> None:
        """Count the slices."""
        with self.shared.running(self.index):
            counter.again().walk(self.shared.op)

    def expected(self, counter: Expectation) -> Tensor | float:
        """Return the number of parameters of the slices."""
        with self.shared.running(self.index):
            return counter.again().of(self.shared.op)


class _Mixture(AbstractPrimitive):
    """The candidates that share weights as one operation of a mixture, for the length of a forward."""

    def __init__(self, shared: Entangled, weights: Tensor) -> None:
        super().__init__()
        self.__dict__["shared"] = shared  # not a part: it belongs to the candidates
        self.weights = weights

    def forward(self, x: Tensor, edge_data: Any = None) -> Tensor:
        """Apply the mixture."""
        with self.shared.running(self.weights):
            return call_op(self.shared.op, x)

    def forward_shared(self, x: Tensor, work: SharedWork, weight: Tensor | None = None) -> Tensor:
        """Apply the mixture, taking what others have computed from `x` already."""
        with self.shared.running(self.weights):
            return call_op_shared(self.shared.op, x, work, weight)

    def split_norm(self, x: Tensor, work: SharedWork) -> tuple[Tensor, nn.Module] | None:
        """Apply all but the BN at the end; None where that is missing, or its size depends on the candidate."""
        return _split(self.shared, self.weights, x, work)


def _split(shared: Entangled, entry: int | Tensor, x: Tensor, work: SharedWork) -> tuple[Tensor, nn.Module] | None:
    op = shared.op
    if not isinstance(op, AbstractPrimitive) or is_hooked(op):
        return None
    with shared.running(entry):
        split = guarded(op, op.split_norm, x, work)
        if split is not None and isinstance(split[1], Elastic):  # it would run after the candidate is known
            return work.norm(split[1], split[0]), nn.Identity()
        return split


def mixed_candidates(primitives: Sequence[nn.Module], weights: Tensor) -> tuple[list[nn.Module], Tensor]:
    """Return the operations that a mixture runs: candidates that share weights, and mix them, as one.

    Of weights `w` of such candidates, `g = sum w` is the weight of the one operation, and `w / g` those of its slices.
    So the mixture is the weighted sum of the candidates where these are linear in their weights, and with all weight
    on one candidate it is that one in any case: what normalises (batch norm) cannot lose how strong the candidates are
    against others.

    Args:
        primitives: The candidates of an edge.
        weights: `(n_ops,)`.

    Returns:
        The operations and their weights.
    """
    groups: dict[int, tuple[Entangled, list[int]]] = {}
    for place, op in enumerate(primitives):
        if isinstance(op, EntangledCandidate) and op.shared.mix == "weights":
            groups.setdefault(id(op.shared), (op.shared, []))[1].append(place)
    groups = {key: group for key, group in groups.items() if len(group[1]) > 1}
    if not groups:
        return list(primitives), weights
    parts = weights.unbind()
    ops: list[nn.Module] = []
    rows: list[Tensor] = []
    for place, op in enumerate(primitives):
        key = id(op.shared) if isinstance(op, EntangledCandidate) else None
        if key not in groups:
            ops.append(op)
            rows.append(parts[place])
        elif place == groups[key][1][0]:
            shared, places = groups[key]
            total = torch.stack([parts[i] for i in places]).sum()
            ops.append(_Mixture(shared, _inner_weights(shared, primitives, places, weights, total)))
            rows.append(total)
    return ops, torch.stack(rows)


def _inner_weights(
    shared: Entangled, primitives: Sequence[Any], places: Sequence[int], weights: Tensor, total: Tensor
) -> Tensor:
    """Return the weights of all slices of an operation: 0 for those that are no candidates any more."""
    inner = weights.new_zeros(len(shared.differences))
    index = torch.tensor([primitives[place].index for place in places], device=weights.device)
    own = torch.stack([weights[place] for place in places])
    # without any weight, the operation is multiplied by 0 whatever it is
    return inner.index_put((index,), own / total.clamp_min(torch.finfo(weights.dtype).tiny))


# what shares weights


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
    leaf = Held(range(len(ops)), _LABEL)
    largest = max(range(len(ops)), key=lambda i: sum(parameter.numel() for parameter in ops[i].parameters()))
    memo: dict[int, Any] = {}
    differences: list[dict[str, dict[str, Any]]] = [{} for _ in ops]
    for path, first in parts[largest].items():
        same = [part.get(path) for part in parts]
        if any(type(part) is not type(first) for part in same) or len({len(part) for part in parts}) > 1:
            raise GraphError(
                f"{' and '.join(names)} cannot share weights: they have other layers at {path or 'the top'}"
            )
        if type(first) in _SIZES:
            memo[id(first)] = _elastic(first, same, leaf, checked, f"{' and '.join(names)}, at {path!r}")
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


def _elastic(first: Any, same: Sequence[Any], leaf: Held, mix: Mix, where: str) -> nn.Module | None:
    """Return the elastic layer of which some layers are slices, with the weights of one of them; None if all are equal.

    Raises:
        GraphError: If they differ in something else than their sizes.
    """
    sizes = _SIZES[type(first)]
    for part in same:
        others = set(_attributes(part, first)) - set(sizes) - _FOLLOWS
        if others or (part.bias is None) != (first.bias is None):
            what = ", ".join(sorted(others)) or "bias"
            raise GraphError(f"{where}: layers that share weights differ in their sizes only, not in {what}")
    if all(not _attributes(part, first) for part in same):
        return None
    chosen = {name: _listed([getattr(part, name) for part in same], leaf, where) for name in sizes}
    elastic: Any
    if type(first) is nn.Linear:
        elastic = ElasticLinear(**chosen, bias=first.bias is not None, mix=mix)
    elif type(first) is nn.BatchNorm2d:
        settings = {key: getattr(first, key) for key in ("eps", "momentum", "affine", "track_running_stats")}
        elastic = ElasticBatchNorm2d(**chosen, **settings, mix=mix)
    else:
        elastic = _elastic_conv(first, same, chosen, mix, where)
    for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
        if getattr(first, name, None) is not None:
            setattr(elastic, name, getattr(first, name))
    return elastic.train(first.training)


def _elastic_conv(first: nn.Conv2d, same: Sequence[Any], sizes: dict[str, Any], mix: Mix, where: str) -> ElasticConv2d:
    if len({*first.stride}) > 1 or len({*first.dilation}) > 1 or len({*first.kernel_size}) > 1:
        raise GraphError(f"{where}: convolutions that share weights are square")
    conv = ElasticConv2d(
        **sizes,
        stride=first.stride[0],
        padding=int(first.padding[0]),
        dilation=first.dilation[0],
        bias=first.bias is not None,
        mix=mix,
    )
    wrong = [part for part in same if part.padding != (conv.padding_of(part.kernel_size[0]),) * 2]
    if wrong or first.padding_mode != "zeros":
        expected = [conv.padding_of(part.kernel_size[0]) for part in same]
        raise GraphError(
            f"{where}: kernels of sides {[part.kernel_size[0] for part in same]} are slices of one where their centres "
            f"are in one place: their paddings are {expected} then, not {[part.padding[0] for part in same]}"
        )
    return conv


def _listed(numbers: Sequence[Any], leaf: Held, where: str) -> int | Size:
    sides = [number[0] if isinstance(number, tuple) and len({*number}) == 1 else number for number in numbers]
    if any(not isinstance(side, int) for side in sides):
        raise GraphError(f"{where}: convolutions that share weights are square, not {numbers}")
    return sides[0] if len(set(sides)) == 1 else Listed(leaf, tuple(sides))
