"""Every spelling in which people publish cells of the DARTS space is one architecture."""

from __future__ import annotations

import collections
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from naslib.errors import ArchitectureError
from naslib.search_spaces import NasBench301SearchSpace
from naslib.search_spaces.nasbench301 import conversions
from naslib.search_spaces.nasbench301.codec import DartsCodec, count_parameters
from naslib.search_spaces.nasbench301.genotype import OPS, as_genotype

GENOTYPES = Path(__file__).resolve().parents[4] / "shared" / "data" / "darts_genotypes.json"
CODEC = DartsCodec()
NORMAL = [("sep_conv_3x3", 1), ("skip_connect", 0), ("dil_conv_5x5", 2), ("max_pool_3x3", 0), ("sep_conv_5x5", 1),
          ("avg_pool_3x3", 3), ("dil_conv_3x3", 2), ("skip_connect", 4)]  # fmt: skip
REDUCE = [("max_pool_3x3", 0), ("skip_connect", 1), ("skip_connect", 2), ("max_pool_3x3", 1), ("sep_conv_3x3", 0),
          ("dil_conv_5x5", 1), ("skip_connect", 2), ("avg_pool_3x3", 4)]  # fmt: skip
CELLS = {"normal": NORMAL, "reduce": REDUCE}
# the smaller predecessor first, then its operation in the order of OPS
CODE = (0, 2, 1, 3, 0, 0, 2, 6, 1, 4, 3, 1, 2, 5, 4, 2, 0, 0, 1, 2, 1, 0, 2, 2, 0, 3, 1, 6, 2, 2, 4, 1)
Tuple = collections.namedtuple("Tuple", "normal normal_concat reduce reduce_concat")


def each(change: Any, **more: Any) -> dict[str, Any]:
    """Return the two cells, every edge and its position changed."""
    return {name: [change(i, op, source) for i, (op, source) in enumerate(cell)] for name, cell in CELLS.items()} | more


def per_node(change: Any = lambda i, op, source: (op, source)) -> dict[str, Any]:
    return {name: [cell[k : k + 2] for k in range(0, 8, 2)] for name, cell in each(change).items()}


def nni() -> dict[str, Any]:
    """Return the keys of a sample of NNI's DARTS space."""
    found: dict[str, Any] = {}
    for name, cell in CELLS.items():
        for i, (op, source) in enumerate(cell):
            found |= {f"{name}/op_{2 + i // 2}_{i % 2}": op, f"{name}/input_{2 + i // 2}_{i % 2}": [source]}
    return found


def call(cells: dict[str, Any], concat: str = "range(2, 6)", name: str = "Genotype") -> str:
    return f"{name}(normal={cells['normal']}, normal_concat={concat}, reduce={cells['reduce']}, reduce_concat={concat})"


def shuffled(cells: dict[str, Any]) -> dict[str, Any]:
    rng = random.Random(0)
    return {name: rng.sample(cell, len(cell)) for name, cell in cells.items()}


PAIRS = each(lambda i, op, source: (op, source))
WEIGHTED = each(lambda i, op, source: (op, source, 0.125 + i / 100))
WITH_NODE = each(lambda i, op, source: (op, 2 + i // 2, source))
NUMBERED = each(lambda i, op, source: (OPS.index(op), source))
COMPACT = tuple(tuple((source, OPS.index(op)) for op, source in cell) for cell in CELLS.values())
SPELLINGS: dict[str, Any] = {
    "code": CODE,
    "code as text": str(list(CODE)),
    "code as array": np.array(CODE),
    "compact": COMPACT,
    "compact as text": str(COMPACT),
    "compact as array": np.array(COMPACT),
    "compact per node": [[list(cell[k : k + 2]) for k in range(0, 8, 2)] for cell in COMPACT],
    "configuration": conversions.convert_genotype_to_config(as_genotype(CELLS)),
    "configuration as text": json.dumps(conversions.convert_genotype_to_config(as_genotype(CELLS))),
    "named tuple": Tuple(NORMAL, range(2, 6), REDUCE, range(2, 6)),
    "named tuple per node": Tuple(per_node()["normal"], [2, 3, 4, 5], per_node()["reduce"], [2, 3, 4, 5]),
    "its repr": call(PAIRS),
    "assigned": "DARTS_V9 = " + call(PAIRS, "[2, 3, 4, 5]"),
    "with a module": call(PAIRS, name="genotypes.Genotype"),
    "positional": f"Genotype({NORMAL}, range(2, 6), {REDUCE}, range(2, 6))",
    "lists in order": [NORMAL, [2, 3, 4, 5], REDUCE, [2, 3, 4, 5]],
    "two lists": [NORMAL, REDUCE],
    "concat in another order": call(PAIRS, "[5, 3, 2, 4]"),
    "concat as a set": call(PAIRS, "{2, 3, 4, 5}"),
    "mapping": {**CELLS, "normal_concat": [2, 3, 4, 5], "reduce_concat": range(2, 6)},
    "mapping as Python": str({**PAIRS, "normal_concat": range(2, 6), "reduce_concat": range(2, 6)}),
    "mapping as JSON": json.dumps({**CELLS, "normal_concat": [2, 3, 4, 5], "reduce_concat": None}),
    "JSON with more in it": json.dumps({**CELLS, "params": 3349342, "source": "somewhere", "reported": None}),
    "cells as text": {name: str(cell) for name, cell in CELLS.items()},
    "names of cells": {"normal_cell": NORMAL, "reduction_cell": REDUCE, "normal_cell_concat": [2, 3, 4, 5]},
    "summary": {"search_space": "nasbench301", "genotype": {name: [*cell] for name, cell in CELLS.items()}},
    "per node": per_node(),
    "per node as text": call(per_node()),
    "per node with weights": call(per_node(lambda i, op, source: (op, source, 0.1))),
    "per node as tuples": {name: tuple(tuple(pair) for pair in cell) for name, cell in per_node().items()},
    "with weights": WEIGHTED,
    "with weights as text": call(WEIGHTED),
    "weights as tensors": call(per_node(lambda i, op, source: (op, source, 0.5))).replace("0.5", "tensor(0.5)"),
    "weights in the middle": each(lambda i, op, source: (op, 0.5, source)),
    "with nodes": WITH_NODE,
    "with nodes in any order": shuffled(WITH_NODE),
    "numbers": NUMBERED,
    "numbers as text": call(NUMBERED),
    "numbers of NumPy": call(NUMBERED).replace("(3, 1)", "(np.int64(3), np.int32(1))"),
    "numbers of torch": call(PAIRS).replace("', 1)", "', tensor(1))"),
    "predecessor first": each(lambda i, op, source: (source, op)),
    "predecessor as text": each(lambda i, op, source: [op, str(source)]),
    "the two of a node swapped": {
        name: [cell[i + 1 - 2 * (i % 2)] for i in range(8)] for name, cell in CELLS.items()
    },
    "keys per edge": nni(),
    "names without underscores": each(lambda i, op, source: (op.replace("_", ""), source)),
    "older names": each(
        lambda i, op, source: ({"max_pool_3x3": "maxpool", "avg_pool_3x3": "avgpool"}.get(op, op), source)
    ),
    "names of the primitives": each(
        lambda i, op, source: (
            {
                "skip_connect": "Identity", "sep_conv_3x3": "SepConv3x3", "sep_conv_5x5": "SepConv5x5",
                "dil_conv_3x3": "DilConv3x3", "dil_conv_5x5": "DilConv5x5", "max_pool_3x3": "MaxPool",
                "avg_pool_3x3": "AvgPool",
            }[op],
            source,
        )
    ),
}  # fmt: skip


@pytest.mark.parametrize("spelling", sorted(SPELLINGS))
def test_a_spelling_is_read(spelling: str) -> None:
    assert CODEC.canonical(SPELLINGS[spelling]) == CODE


def test_set_spec_takes_them_and_gives_one_hash() -> None:
    ordered = tuple(tuple((a, op) for a, op in zip(c[::2], c[1::2], strict=True)) for c in (CODE[:16], CODE[16:]))
    assert len(SPELLINGS) >= 40
    blank = NasBench301SearchSpace(channels=2, cells=2, nodes=4)
    blank.instantiate_model = False
    for spelling in SPELLINGS.values():
        space = blank.clone()
        space.set_spec(spelling)
        assert space.get_hash() == ordered  # NASLib's compact form: (predecessor, op) of both cells
        hash(space.get_hash())
        again = blank.clone()
        again.set_spec(space.get_hash())
        assert again.get_hash() == ordered and again.genotype() == space.genotype()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (call(PAIRS).replace("dil_conv_5x5", "conv_7x1_1x7"), r"normal\[2\].*'conv_7x1_1x7'.*did you mean"),
        (call(PAIRS).replace("sep_conv_5x5", "sep_conv_7x7"), "'sep_conv_7x7'; did you mean 'sep_conv_5x5'"),
        (call(PAIRS).replace("dil_conv_5x5", "dil_conv"), "unknown operation 'dil_conv'; did you mean 'dil_conv"),
        (call(PAIRS).replace("dil_conv_5x5", "none"), "unknown operation 'none'.*known: max_pool_3x3"),
        (call(NUMBERED).replace("(3, 1)", "(7, 1)"), "unknown operation 7; numbers are 0 to 6"),
        (
            {**CELLS, "normal": [*per_node()["normal"][:3], [NORMAL[6]]]},
            r"normal has 1 edge\(s\) into node 5",
        ),
        ({**CELLS, "normal": [*per_node()["normal"][:3], []]}, r"normal\[3\] must be|normal\[0\] must be"),
        ({**CELLS, "normal": WITH_NODE["normal"][:7]}, r"normal has 1 edge\(s\) into node 5"),
        ({**CELLS, "normal": WITH_NODE["normal"][:4] + WITH_NODE["normal"][6:]}, r"0 edge\(s\) into node 4"),
        ({**CELLS, "normal": [("skip_connect", 1, 0)] * 8}, "into node 1; nodes 0 and 1 are the inputs"),
        ({**CELLS, "normal": [("skip_connect", True)] * 8}, r"normal\[0\] must be \(operation, predecessor\)"),
        ({**CELLS, "reduce": 3}, "reduce must be a list"),
        ({"normal": NORMAL}, "reduce missing"),
        ("Genotype(normal=[], reduce=[])", "normal must be a list"),
        ("Structure(normal=[])", "expected Genotype"),
        ("f(x)", "cannot read"),
        ("[" * 300, "cannot read"),
        ({**PAIRS, "normal_concat": "all"}, "normal_concat must be"),
    ],
)
def test_what_is_none_is_explained_in_one_line(spec: Any, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message) as caught:
        CODEC.canonical(spec)
    assert len(str(caught.value)) < 600 and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["__import__('os').getcwd()", "Genotype(normal=__import__('os').sep)", "(lambda: 1)()"]
)
def test_nothing_is_executed(text: str) -> None:
    with pytest.raises(ArchitectureError):
        CODEC.canonical(text)


def test_published_genotypes_are_read_or_refused_for_a_reason() -> None:
    if not GENOTYPES.is_file():
        pytest.skip(f"no {GENOTYPES.name} in the shared data directory")
    data = json.loads(GENOTYPES.read_text())
    named = {**data["genotypes"], **{n: g for source in data["without_figures"].values() for n, g in source.items()}}
    refused = {}
    for name, genotype in named.items():
        try:
            code = CODEC.canonical(genotype)
        except ArchitectureError as error:
            refused[name] = str(error)
            continue
        assert genotype["params"] in (None, count_parameters(code)), name
        texts = [call(genotype, str(genotype["normal_concat"])), json.dumps(genotype), str(CODEC.to_compact(code))]
        assert [CODEC.canonical(text) for text in texts] == [code] * 3, name
    # operations that the space has not, nodes with one input or none, two edges from one node
    foreign = {name for name, why in refused.items() if "unknown operation" in why}
    assert foreign == {"NASNet-A", "AmoebaNet-A", "SETN", "c10_s4_pcdarts"}
    assert all("every node of the space has two" in refused[name] for name in set(refused) - foreign)
    assert len(named) - len(refused) >= 130
