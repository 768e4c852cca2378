"""Every form in which people write architectures of NAS-Bench-201 is one code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from naslib.benchmarks import NasBench201Table
from naslib.errors import ArchitectureError
from naslib.search_spaces import NasBench201SearchSpace
from naslib.search_spaces.nasbench201.codec import NasBench201Codec

TABLE = Path(__file__).resolve().parents[4] / "shared" / "data" / "nb201.npz"
CODEC = NasBench201Codec()
TEXT = "|nor_conv_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|none~0|avg_pool_3x3~1|nor_conv_3x3~2|"
# edges (1,2) (1,3) (1,4) (2,3) (2,4) (3,4); ops skip, none, 3x3, 1x1, pool
CODE = (2, 3, 1, 0, 4, 2)
NODES = (
    (("nor_conv_3x3", 0),),
    (("nor_conv_1x1", 0), ("skip_connect", 1)),
    (("none", 0), ("avg_pool_3x3", 1), ("nor_conv_3x3", 2)),
)
BY_EDGE = {"1<-0": "nor_conv_3x3", "2<-0": "nor_conv_1x1", "2<-1": "skip_connect", "3<-0": "none",
           "3<-1": "avg_pool_3x3", "3<-2": "nor_conv_3x3"}  # fmt: skip


class Structure:
    """As in the benchmark's own code."""

    def tostr(self) -> str:
        return TEXT

    def tolist(self, remove: str) -> Any:
        raise AssertionError("not asked for")


SPELLINGS: dict[str, Any] = {
    "string": TEXT,
    "string with a line's end": TEXT + "\n",
    "string in quotes": repr(TEXT),
    "structure": f"Structure(4 nodes with {TEXT})",
    "assigned": f"arch = '{TEXT}'",
    "object": Structure(),
    "code": CODE,
    "list": list(CODE),
    "array": np.array(CODE),
    "code as text": str(CODE),
    "code as JSON": json.dumps(CODE),
    "six words": "2, 3, 1, 0, 4, 2",
    "nodes": NODES,
    "nodes as lists": json.loads(json.dumps(NODES)),
    "nodes as text": str(NODES),
    "nodes with an input": [(), *NODES],
    "structure of nodes": f"Structure({list(NODES)})",
    "nodes in another order": tuple(tuple(reversed(node)) for node in NODES),
    "nodes with weights": [[(*edge, 0.25) for edge in node] for node in NODES],
    "edges": BY_EDGE,
    "edges as JSON": json.dumps(BY_EDGE),
    "edges by numbers": {f"{key[3]}_{key[0]}": op for key, op in BY_EDGE.items()},
    "edges of another library": {
        f"cell/{key[3]}_{key[0]}": op.removeprefix("nor_") for key, op in reversed(BY_EDGE.items())
    },
    "edges of the graph": {(int(key[3]) + 1, int(key[0]) + 1): op for key, op in BY_EDGE.items()},
    "operations of the graph": {
        (1, 2): "ReLUConvBN3x3", (1, 3): "ReLUConvBN1x1", (1, 4): "Zero", (2, 3): "Identity", (2, 4): "AvgPool1x1",
        (3, 4): "ReLUConvBN3x3",
    },
    "a run's genotype.json": {"search_space": "nasbench201", "genotype": TEXT, "code": list(CODE)},
}  # fmt: skip


@pytest.mark.parametrize("spelling", sorted(SPELLINGS))
def test_a_spelling_is_read(spelling: str) -> None:
    assert CODEC.canonical(SPELLINGS[spelling]) == CODE
    space = NasBench201SearchSpace(channels=2, cells_per_stage=1)
    space.instantiate_model = False
    space.set_spec(SPELLINGS[spelling])
    assert space.get_hash() == CODE and space.genotype() == TEXT


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (TEXT.replace("nor_conv_1x1", "nor_conv_5x5"), "unknown NAS-Bench-201 operation 'nor_conv_5x5'; did you mean"),
        (TEXT[:-1], "no NAS-Bench-201 string"),
        (TEXT + TEXT, "no NAS-Bench-201 string"),
        (NODES[:2], "six ints"),
        ((*NODES[:2], NODES[2][:2]), r"one operation on each of the edges.*not on \[\(1, 2\)"),
        ({**BY_EDGE, "4<-0": "none"}, "one operation on each of the edges"),
        ({"normal": []}, "one operation on each of the edges"),
        ("os.getcwd()", "six ints"),
        ("f(g", "no NAS-Bench-201 string"),
        ("x" * 5000, "no NAS-Bench-201 string"),
        ("[" * 5000, "no NAS-Bench-201 string"),
        ((0,) * 3000, "six ints"),
        (True, "six ints"),
        (5374, "six ints"),
    ],
)
def test_what_is_none_is_explained_in_one_line(spec: Any, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message) as caught:
        CODEC.canonical(spec)
    assert len(str(caught.value)) < 400 and "\n" not in str(caught.value)


@pytest.mark.parametrize("index", [11472, "11472", np.int64(11472)])
def test_an_index_is_looked_up_in_the_table(index: Any) -> None:
    space = NasBench201SearchSpace(channels=2, cells_per_stage=1)
    with pytest.raises(ArchitectureError, match=r"11472 is the number of an architecture.*dataset_api"):
        space.set_spec(index)
    if not TABLE.is_file():
        pytest.skip(f"no {TABLE.name} in the shared data directory")
    space.set_spec(index, dataset_api=NasBench201Table(TABLE))
    with np.load(TABLE) as table:  # its edges are in the order of the string
        names = [str(table["op_names"][op]) for op in table["ops"][11472]]
        edges = [(int(source), int(target)) for source, target in table["edges"]]
    terms = {edge: f"{name}~{edge[0]}" for edge, name in zip(edges, names, strict=True)}
    groups = ["|".join(terms[source, target] for source in range(target)) for target in (1, 2, 3)]
    assert space.genotype() == "+".join(f"|{group}|" for group in groups)
    with pytest.raises(ArchitectureError, match=r"0\.\.15624, not 15625"):
        space.clone().set_spec(15625, dataset_api=NasBench201Table(TABLE))
