"""Whatever is given as an architecture is one, or an ArchitectureError: nothing else is raised, nothing takes long."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import pytest
import torch

from naslib.errors import ArchitectureError
from naslib.search_spaces import (
    NasBench101SearchSpace,
    NasBench201SearchSpace,
    NasBench301SearchSpace,
    NasBenchNLPSearchSpace,
    SimpleCellSearchSpace,
)
from naslib.search_spaces.core.graph import Graph

SPACES = {
    "nasbench101": NasBench101SearchSpace(channels=8),
    "nasbench_nlp": NasBenchNLPSearchSpace(20, embedding=4, hidden=4, layers=1),
    "nasbench201": NasBench201SearchSpace(channels=2, cells_per_stage=1),
    "nasbench301": NasBench301SearchSpace(channels=2, cells=2),
    "simple_cell": SimpleCellSearchSpace(channels=2),
}
ATOMS: list[Any] = [
    None, True, 0, 1, 7, -3, 2**70, 0.5, float("nan"), float("inf"), "", "sep_conv_3x3", "none~0", "1", "a" * 300,
    b"x", range(2, 6), {2, 3}, frozenset(), object(), int, np.int64(3), np.zeros((2, 2, 2)), np.array("x"),
    torch.ones(3), torch.tensor(2), lambda: 1, ..., 3j,
]  # fmt: skip
KEYS = ["normal", "reduce", "normal_concat", "reduce_concat", "genotype", "normal/op_2_0", "normal/input_2_0", "1<-0",
        "NetworkSelectorDatasetInfo:darts:edge_normal_0", "graph", "edge", "op", 3, None]  # fmt: skip


def garbage(rng: random.Random, depth: int) -> Any:
    kind = rng.random()
    if depth == 0 or kind < 0.25:
        return rng.choice(ATOMS)
    if kind < 0.45:
        return {rng.choice(KEYS): garbage(rng, depth - 1) for _ in range(rng.randrange(6))}
    items = [garbage(rng, depth - 1) for _ in range(rng.choice([0, 1, 2, 2, 3, 3, 4, 6, 8]))]
    return tuple(items) if kind < 0.65 else items


def mutated(rng: random.Random, value: Any) -> Any:
    """Return a valid spelling with something in it replaced."""
    if rng.random() < 0.15 or not isinstance(value, (list, tuple, dict)) or not value:
        return garbage(rng, 1)
    if isinstance(value, dict):
        key = rng.choice(list(value))
        return {**value, key: mutated(rng, value[key])}
    items = list(value)
    position = rng.randrange(len(items))
    items[position] = mutated(rng, items[position])
    return items


def valid(name: str) -> list[Any]:
    rng = random.Random(0)
    space = SPACES[name]
    if space.codec is None:
        decided = space.clone()
        for nested in decided.nested_graphs():
            for u, v, data in nested.edges(data=True):
                if isinstance(data.op, list):
                    data.set("primitives", data.op)
                    data.set("op", data.op[0])
                    assert (u, v) in nested.edges
        stated = space.decision_space
        drawn = stated.random(rng)
        return [decided.genotype(), list(drawn), stated.choices(drawn)]
    code = space.codec.random(rng)
    identity, genotype = space.codec.identity(code), space.codec.genotype(code)
    nodes = [[["none", 0]], [["none", 0], ["none", 1]], [["none", 0], ["none", 1], ["none", 2]]]
    whole = {"nasbench201": nodes, "nasbench_nlp": genotype}
    return [list(code), identity, genotype, whole[name] if name in whole else list(genotype.values())]


def attempt(space: Graph, spec: Any) -> bool:
    try:
        space.check_spec(spec)
    except ArchitectureError as error:
        assert len(str(error)) < 2000
        return False
    return True


@pytest.mark.parametrize("name", sorted(SPACES))
def test_garbage_is_refused(name: str) -> None:
    rng = random.Random(name)
    tries = 150 if name == "simple_cell" else 1500
    good = valid(name)
    assert all(attempt(SPACES[name], spec) for spec in good)
    for spec in ATOMS:
        assert not attempt(SPACES[name], spec)
    for _ in range(tries):
        attempt(SPACES[name], garbage(rng, 4))
        attempt(SPACES[name], mutated(rng, rng.choice(good)))


@pytest.mark.parametrize("name", sorted(SPACES))
def test_damaged_text_is_refused(name: str) -> None:
    rng = random.Random(name)
    texts = [text for spec in valid(name) for text in (str(spec), json.dumps(spec))]
    for _ in range(100 if name == "simple_cell" else 800):
        text = rng.choice(texts)
        start, stop = sorted(rng.randrange(len(text)) for _ in range(2))
        sign = rng.choice("([{'\"|~:,=\\0é\0")
        damage = [text[:start], text[start:stop], text[:start] + text[stop:], text[:start] + sign + text[start:]]
        attempt(SPACES[name], rng.choice(damage))
