"""The most likely architecture within a budget: a knapsack over decisions, exact up to the width of a bucket."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from naslib.errors import ConfigError

from .cost_model import CostModel

# Costs that differ by less than this share of the budget are one to the knapsack
_BUCKET = 1e-4
# Ways to make the decisions of one component that are listed at once
_MOST_WAYS = 300_000
# Ways to make the decisions that hold a large component together
_MOST_HUBS = 400
_DROPPED = -1


@dataclass(frozen=True)
class ProjectedChoice:
    """An architecture within a budget, or the one that comes nearest.

    Attributes:
        choices: Per decision the candidate, None for an edge that is not kept.
        cost: By the model.
        score: The sum of the logarithms of the scores of what is kept.
        is_within: Whether the cost is within the budget.
    """

    choices: list[int | None]
    cost: float
    score: float
    is_within: bool


def most_likely_within(model: CostModel, scores: Sequence[Tensor], low: float, high: float) -> ProjectedChoice:
    """Return the architecture with the largest sum of log scores among those that cost from `low` to `high`.

    The sum runs over the decisions that an architecture makes, of the edges into a node those that it keeps, so that
    without a budget it is the architecture of the largest scores (`CostModel.choose`). Decisions whose costs are apart
    are combined by dynamic programming: of the sums that fall into one bucket of the cost the best is kept. Where no
    architecture is within, the nearest below `low` is returned, or if there is none, the cheapest.

    Args:
        model: The costs.
        scores: `(n_ops,)` per decision, not negative.
        low: Of the budget; minus infinity for none.
        high: Of the budget.

    Raises:
        ConfigError: If too many decisions act on each other for all ways to be looked at.
    """
    logs = [row.detach().double().cpu().clamp_min(1e-30).log().numpy() for row in scores]
    bucket = max(abs(high) * _BUCKET, 1e-12)
    found = [_solve(model, logs, low, high, bucket, fixed) for fixed in _hubs(model)]
    return max(found, key=lambda projection: _order(projection, low))


def _order(found: ProjectedChoice, low: float) -> tuple[int, float]:
    if found.is_within:
        return 2, found.score
    return (1, found.cost) if found.cost < low else (0, -found.cost)


def cost_range(model: CostModel) -> tuple[float, float]:
    """Return what the cheapest and the dearest architecture cost.

    Args:
        model: The costs.

    Raises:
        ConfigError: If too many decisions act on each other for all ways to be looked at.
    """
    logs = [np.zeros(width) for width in model.widths]
    low, high = math.inf, -math.inf
    for fixed in _hubs(model):
        base, _ = _base(model, logs, fixed)
        costs = [_listed(model, logs, members, fixed, 0.0)[1] for members in _components(model, fixed)]
        low = min(low, base + sum(float(of_component.min()) for of_component in costs))
        high = max(high, base + sum(float(of_component.max()) for of_component in costs))
    return low, high


# components


def _components(model: CostModel, fixed: dict[int, int]) -> list[list[int]]:
    """Return the decisions that are not fixed, those together whose costs, or being kept, depend on each other."""
    parent = {index: index for index in range(len(model.names)) if index not in fixed}

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    together = [[d for d in term.decisions if d not in fixed] for term in model.terms]
    for members in [*together, *(list(group.edges) for group in model.groups)]:
        for other in members[1:]:
            parent[root(other)] = root(members[0])
    found: dict[int, list[int]] = {}
    for index in parent:
        found.setdefault(root(index), []).append(index)
    return list(found.values())


def _ways(model: CostModel, members: Sequence[int]) -> int:
    """Return in how many ways the decisions of a component can be made."""
    inside = set(members)
    grouped = {edge for group in model.groups for edge in group.edges}
    total = math.prod(len(model.allowed[index]) for index in members if index not in grouped)
    for group in model.groups:
        if group.edges[0] in inside:
            kept = itertools.combinations(group.edges, min(group.kept, len(group.edges)))
            total *= sum(math.prod(len(model.allowed[edge]) for edge in edges) for edges in kept)
    return total


def _hubs(model: CostModel) -> Iterator[dict[int, int]]:
    """Yield the ways to make the few decisions that hold large components together, so that all are small without."""
    fixed: list[int] = []
    grouped = {edge for group in model.groups for edge in group.edges}
    while True:
        large = [m for m in _components(model, dict.fromkeys(fixed, 0)) if _ways(model, m) > _MOST_WAYS]
        if not large:
            break
        candidates = [index for index in large[0] if index not in grouped]
        degree = {
            index: len({d for term in model.terms if index in term.decisions for d in term.decisions})
            for index in candidates
        }
        fixed += [max(candidates, key=lambda index: degree[index])] if candidates else []
        if not candidates or math.prod(len(model.allowed[index]) for index in fixed) > _MOST_HUBS:
            raise ConfigError(
                f"{len(large[0])} decisions ({model.names[large[0][0]]} ...) act on each other's costs in too many "
                "ways to find the best architecture within a budget: set project: false"
            )
    for choices in itertools.product(*(model.allowed[index] for index in fixed)):
        yield dict(zip(fixed, choices, strict=True))


# the knapsack


def _solve(
    model: CostModel, logs: Sequence[np.ndarray], low: float, high: float, bucket: float, fixed: dict[int, int]
) -> ProjectedChoice:
    components = _components(model, fixed)
    base, base_score = _base(model, logs, fixed)
    stages = [_listed(model, logs, members, fixed, bucket) for members in components]
    costs, scores = np.array([base]), np.array([base_score])
    back: list[tuple[np.ndarray, np.ndarray]] = []
    least = [float(stage[1].min()) for stage in stages]
    for number, (_, stage_costs, stage_scores) in enumerate(stages):
        sums = (costs[:, None] + stage_costs[None, :]).ravel()
        totals = (scores[:, None] + stage_scores[None, :]).ravel()
        kept = _best_of_buckets(sums, totals, bucket)
        rest = sum(least[number + 1 :])
        fits = sums[kept] + rest <= high + bucket
        fits[np.argmin(sums[kept])] = True  # the cheapest, where nothing fits
        kept = kept[fits]
        back.append((kept // len(stage_costs), kept % len(stage_costs)))
        costs, scores = sums[kept], totals[kept]
    within = (costs >= low - 1e-12 * abs(low) if math.isfinite(low) else costs > -np.inf) & (
        costs <= high * (1 + 1e-12)
    )
    if within.any():
        last = int(np.flatnonzero(within)[np.argmax(scores[within])])
    else:
        below = costs < low
        last = int(np.flatnonzero(below)[np.argmax(costs[below])]) if below.any() else int(np.argmin(costs))
    cost, score, is_within = float(costs[last]), float(scores[last]), bool(within.any())
    choices: list[int | None] = [fixed.get(index) for index in range(len(model.names))]
    for (rows, _, _), members, (before, taken) in zip(
        reversed(stages), reversed(components), reversed(back), strict=True
    ):
        for index, choice in zip(members, rows[taken[last]].tolist(), strict=True):
            choices[index] = None if choice == _DROPPED else int(choice)
        last = int(before[last])
    return ProjectedChoice(choices, cost, score, is_within)


def _base(model: CostModel, logs: Sequence[np.ndarray], fixed: dict[int, int]) -> tuple[float, float]:
    """Return cost and score of what is fixed already."""
    cost = model.fixed
    for term in model.terms:
        if all(index in fixed for index in term.decisions):
            cost += float(term.values[tuple(fixed[index] for index in term.decisions)])
    return cost, float(sum(logs[index][choice] for index, choice in fixed.items()))


def _listed(
    model: CostModel, logs: Sequence[np.ndarray], members: Sequence[int], fixed: dict[int, int], bucket: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the ways to make the decisions of a component that are best for their cost: choices, costs, scores.

    `(n, n_members)`, -1 for an edge that is dropped; `(n,)` and `(n,)`.
    """
    rows = np.concatenate([_product(options) for options in _options(model, members)])
    position = {index: column for column, index in enumerate(members)}
    costs, scores = np.zeros(len(rows)), np.zeros(len(rows))
    for index, column in position.items():
        taken = rows[:, column]
        scores += np.where(taken == _DROPPED, 0.0, logs[index][taken])
    for term in model.terms:
        inside = [index for index in term.decisions if index in position]
        if not inside:
            continue
        columns = [rows[:, position[i]] if i in position else np.full(len(rows), fixed[i]) for i in term.decisions]
        present = np.all([column != _DROPPED for column in columns], axis=0)
        costs += np.where(present, term.values.numpy()[tuple(columns)], 0.0)
    if not bucket:
        return rows, costs, scores
    kept = _best_of_buckets(costs, scores, bucket / 10)
    return rows[kept], costs[kept], scores[kept]


def _options(model: CostModel, members: Sequence[int]) -> Iterator[list[Sequence[int]]]:
    """Yield, for every choice of the edges that nodes keep, what each decision of a component can be."""
    inside = set(members)
    groups = [group for group in model.groups if group.edges[0] in inside]
    kept = [itertools.combinations(group.edges, min(group.kept, len(group.edges))) for group in groups]
    for edges in itertools.product(*kept):
        left = {edge for of_group in edges for edge in of_group}
        dropped = {edge for group in groups for edge in group.edges} - left
        yield [(_DROPPED,) if index in dropped else model.allowed[index] for index in members]


def _product(options: Sequence[Sequence[int]]) -> np.ndarray:
    grid = np.meshgrid(*(np.asarray(option) for option in options), indexing="ij")
    return np.stack([axis.ravel() for axis in grid], axis=1)


def _best_of_buckets(costs: np.ndarray, scores: np.ndarray, bucket: float) -> np.ndarray:
    """Return the indices of the best score in every bucket of the cost, the first of equals, by ascending cost."""
    number = np.floor(costs / bucket + 0.5).astype(np.int64)
    order = np.lexsort((np.arange(len(costs)), -scores, number))
    first = np.ones(len(order), dtype=bool)
    first[1:] = number[order][1:] != number[order][:-1]
    return order[first]


def as_scores(model: CostModel, choices: Sequence[int | None], scores: Sequence[Tensor]) -> list[Tensor]:
    """Return scores by which a space's rules choose an architecture: 1 where it is; dropped edges have less everywhere.

    `(n_ops,)` per decision.

    Args:
        model: The decisions.
        choices: The architecture.
        scores: Give the best candidate of a dropped edge, and type and device; `(n_ops,)` per decision.
    """
    found = []
    for row, choice, allowed in zip(scores, choices, model.allowed, strict=True):
        one = torch.zeros_like(row, requires_grad=False)
        values = row.tolist()
        best = max(allowed, key=values.__getitem__)
        one[best if choice is None else choice] = 0.5 if choice is None else 1.0
        found.append(one)
    return found
