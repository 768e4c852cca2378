"""Candidates of an edge whose weights are slices of one another's, so that a mixture of them is one operation."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from naslib.search_spaces.core.in_place import guarded
from naslib.search_spaces.core.ops_base import AbstractPrimitive, call_op, call_op_shared
from naslib.search_spaces.core.shared_work import SharedWork, is_hooked

from .in_force import holding
from .layer import Counter, Elastic, Expectation, Extractable, Extracted, Mix
from .network import extracted_from

# Label of the size that says which candidate runs
LABEL = "entangled candidates"


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
        """Return the context in which the operation is one candidate, by its number, or a mixture, by weights.

        Weights are `(n_ops,)`.
        """
        return holding({LABEL: entry})


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
        """Apply the slice.

        Tensors of any shape that the operation takes.
        """
        with self.shared.running(self.index):
            return call_op(self.shared.op, x)

    def forward_shared(self, x: Tensor, work: SharedWork, weight: Tensor | None = None) -> Tensor:
        """Apply the slice, taking what others have computed from `x` already.

        `x` has any shape that the operation takes, the weight is a scalar.
        """
        with self.shared.running(self.index):
            return call_op_shared(self.shared.op, x, work, weight)

    def split_norm(self, x: Tensor, work: SharedWork) -> tuple[Tensor, nn.Module] | None:
        """Apply all but the BN at the end; None where that is missing, or its size depends on the candidate.

        `(n, c, h, w)` in, `(n, c', h', w')` out.
        """
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
        """Return the number of parameters of the slices.

        A scalar.
        """
        with self.shared.running(self.index):
            return counter.again().of(self.shared.op)


class _Mixture(AbstractPrimitive):
    """The candidates that share weights as one operation of a mixture, for the length of a forward."""

    shared: Entangled

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
