"""Cells whose output concatenates some of their nodes: channels, parameters, what is computed, codes and encodings."""

from __future__ import annotations

import itertools
import pickle
import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from naslib.errors import ArchitectureError
from naslib.search_spaces import NasBench301SearchSpace
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.primitives import Zero
from naslib.search_spaces.core.reachability import carries_data
from naslib.search_spaces.nasbench301 import conversions, encodings
from naslib.search_spaces.nasbench301.codec import DartsCodec, count_parameters
from naslib.search_spaces.nasbench301.evaluation import DartsEvaluationNetwork
from naslib.search_spaces.nasbench301.macro import reduction_cells
from naslib.search_spaces.nasbench301.outputs import ConcatOfSome
from naslib.training.cell_layout import cells_of
from naslib.training.space_record import describe_architecture, rebuild_architecture

CODEC = DartsCodec()
NORMAL = [("sep_conv_3x3", 1), ("sep_conv_3x3", 0), ("skip_connect", 0), ("sep_conv_3x3", 1), ("skip_connect", 0),
          ("sep_conv_3x3", 1), ("sep_conv_3x3", 0), ("skip_connect", 2)]  # fmt: skip
REDUCE = [("max_pool_3x3", 0), ("max_pool_3x3", 1), ("skip_connect", 2), ("max_pool_3x3", 0), ("max_pool_3x3", 0),
          ("skip_connect", 2), ("skip_connect", 2), ("avg_pool_3x3", 0)]  # fmt: skip
CONCATS = [
    ([2, 3, 4, 5], [2, 3, 4, 5]),
    ([3, 4, 5], [3, 4, 5]),
    ([4, 5], [2, 3, 4, 5]),
    ([2, 3, 4, 5], [5]),
    ([2], [3, 5]),
]


def genotype(concats: tuple[list[int], list[int]]) -> dict[str, Any]:
    return {"normal": NORMAL, "normal_concat": concats[0], "reduce": REDUCE, "reduce_concat": concats[1]}


def size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def by_hand(concats: tuple[list[int], list[int]], cells: int, c: int, affine: int, n_classes: int = 10) -> int:
    """Count layer by layer; `affine` is 2 where BN has weight and bias, 0 where not."""
    before, last = 3 * c, 3 * c
    total = 27 * 3 * c + 2 * 3 * c
    for cell in range(cells):
        reduces = cell in reduction_cells(cells)
        c *= 2 if reduces else 1
        total += before * c + last * c + 2 * affine * c
        for position, (op, source) in enumerate(REDUCE if reduces else NORMAL):
            assert position // 2 + 2 > source
            if op == "sep_conv_3x3":
                total += 2 * (9 * c + c * c + affine * c)
            elif op == "skip_connect" and reduces and source < 2:
                total += c * c + affine * c
        before, last = last, len(concats[reduces]) * c
    return total + last * n_classes + n_classes


@pytest.mark.parametrize("concats", CONCATS, ids=str)
def test_the_evaluation_network_has_the_channels_of_its_outputs(concats: tuple[list[int], list[int]]) -> None:
    network = DartsEvaluationNetwork(genotype(concats), cells=5, channels=4, auxiliary=False)
    network.parse()
    code = CODEC.canonical(genotype(concats))
    assert size(network) == count_parameters(code, channels=4, cells=5) == by_hand(concats, 5, 4, 2)
    assert code == network.get_code() == CODEC.from_graph(network)
    logits, auxiliary = network.forward_with_auxiliary(torch.randn(2, 3, 8, 8))
    assert logits.shape == (2, 10) and not auxiliary  # a node outside of the output is no output of the network
    widths = [
        network.edges[node, target].op.init_params["C_in"]
        for node in range(4, 9) for target in range(node + 1, min(node + 3, 9))
    ]  # fmt: skip
    of = [len(concats[cell in reduction_cells(5)]) * 4 * 2 ** sum(r <= cell for r in (1, 3)) for cell in range(5)]
    assert widths == [of[node - 4] for node in range(4, 9) for target in range(node + 1, min(node + 3, 9))]


def test_the_auxiliary_head_reads_the_channels_of_its_cell() -> None:
    for concats in CONCATS:
        network = DartsEvaluationNetwork(genotype(concats), cells=3, channels=4)
        network.parse()
        code = network.get_code()
        assert size(network) == count_parameters(code, channels=4, cells=3, auxiliary=True)
        logits, auxiliary = network.forward_with_auxiliary(torch.randn(2, 3, 8, 8))
        assert list(auxiliary) == [7] and auxiliary[7].shape == logits.shape


@pytest.mark.parametrize("concats", CONCATS, ids=str)
def test_the_graph_of_the_search_is_built_for_them_too(concats: tuple[list[int], list[int]]) -> None:
    space = NasBench301SearchSpace(channels=4, cells=5)
    space.set_spec(genotype(concats))
    space.parse()
    pools = {"max_pool_3x3", "avg_pool_3x3"}
    assert all(op in {"sep_conv_3x3", "skip_connect"} | pools for op, _ in [*NORMAL, *REDUCE])
    # BN of the stem is affine, no other
    assert size(space) == by_hand(concats, 5, 4, 0)
    assert space(torch.randn(2, 3, 8, 8)).shape == (2, 10)
    assert CODEC.from_graph(space) == space.get_code()
    found = space.genotype()
    assert (found["normal_concat"], found["reduce_concat"]) == concats
    assert CODEC.canonical(found) == space.get_code() and space.evaluation_network(cells=2, channels=4).get_code() == (
        space.get_code()
    )


def run_cell(cell: Graph, inputs: list[Tensor], concat: list[int]) -> Tensor:
    values = dict(enumerate(inputs, start=1))
    for node in range(3, 7):
        values[node] = sum(cell.edges[u, node].op(values[u]) for u in sorted(cell.predecessors(node)))
    return torch.cat([values[node + 1] for node in concat], dim=1)


@pytest.mark.parametrize("concats", CONCATS, ids=str)
def test_a_cell_gives_out_the_nodes_that_were_named(concats: tuple[list[int], list[int]]) -> None:
    torch.manual_seed(0)
    network = DartsEvaluationNetwork(genotype(concats), cells=3, channels=4, auxiliary=False).double().eval()
    network.parse()
    network.double().eval()
    for node, concat in ((4, concats[0]), (5, concats[1])):
        cell = network.nodes[node]["subgraph"]
        x = [torch.randn(2, cell_channels, 8, 8, dtype=torch.float64) for cell_channels in [4 * (node - 3)] * 2]
        expected = run_cell(cell, x, concat)
        torch.testing.assert_close(cell({node - 2: x[0], node - 1: x[1]}), expected, rtol=1e-12, atol=1e-12)


def test_it_survives_pickle_clone_record_and_torch_fx() -> None:
    space = NasBench301SearchSpace(channels=4, cells=3)
    space.set_spec(genotype(CONCATS[4]))
    space.parse()
    network = space.evaluation_network(cells=3, channels=4, auxiliary=False).eval()
    x = torch.randn(2, 3, 8, 8)
    for twin in (pickle.loads(pickle.dumps(network)), network.clone(), network.plan.to_fx()):
        torch.testing.assert_close(twin.eval()(x), network(x), rtol=1e-4, atol=1e-5)
    record = describe_architecture(space)
    rebuilt = rebuild_architecture(record)
    assert rebuilt.get_hash() == space.get_hash() and size(rebuilt) == size(space)
    fresh = rebuilt.evaluation_network(cells=3, channels=4, auxiliary=False)
    fresh.load_state_dict(network.state_dict())


def test_pictures_show_only_what_is_in_the_output() -> None:
    space = NasBench301SearchSpace(channels=4, cells=3)
    space.set_spec(genotype(([4, 5], [2, 3, 4, 5])))
    into_output = {cell.name: [e.source for e in cell.edges if e.target == 7] for cell in cells_of(space)}
    assert into_output == {"normal_cell": [5, 6], "reduction_cell": [3, 4, 5, 6]}


def test_data_reaches_the_output_through_its_own_nodes_only() -> None:
    cell = Graph(name="cell")
    cell.add_edges_from([(1, 2), (1, 3), (2, 4), (3, 4)])
    cell.edges[1, 3].set("op", Zero(1))
    for positions, carries in (((0, 1), True), ((0,), True), ((1,), False)):
        cell.nodes[4]["comb_op"] = ConcatOfSome(positions)
        assert carries_data(cell) is carries


# codes


def test_outputs_are_part_of_code_and_hash() -> None:
    codes = [CODEC.canonical(genotype(concats)) for concats in CONCATS]
    assert len(set(codes)) == len(codes)
    assert [len(code) for code in codes] == [32, 34, 34, 34, 34]
    assert codes[1][32:] == (0b1110, 0b1110) and codes[3][32:] == (0b1111, 0b1000)
    hashes = [CODEC.identity(code) for code in codes]
    assert len(set(hashes)) == len(hashes) and hashes[0] == CODEC.to_compact(codes[0]) == hashes[1][:2]
    assert hashes[2][2] == ((4, 5), (2, 3, 4, 5))
    for code, hashed in zip(codes, hashes, strict=True):
        assert CODEC.is_valid(code)
        forms = (hashed, list(code), np.array(code), CODEC.genotype(code), str(CODEC.to_genotype(code)), str(hashed))
        assert [CODEC.canonical(form) for form in forms] == [code] * len(forms)
    assert CODEC.canonical((*codes[0], 15, 15)) == codes[0]  # all nodes: nothing to say


@pytest.mark.parametrize("suffix", [(0, 15), (16, 3), (3,), (3, 3, 3), (-1, 3), (1.5, 3)])
def test_impossible_outputs_are_refused(suffix: tuple[Any, ...]) -> None:
    code = CODEC.canonical(genotype(CONCATS[0]))
    assert not CODEC.is_valid((*code, *suffix))
    with pytest.raises(ArchitectureError):
        CODEC.canonical((*code, *suffix))


def test_variation_keeps_the_outputs() -> None:
    rng = random.Random(0)
    partial, full = (CODEC.canonical(genotype(concats)) for concats in (CONCATS[4], CONCATS[0]))
    assert all(other[32:] == partial[32:] for other in CODEC.neighbours(partial))
    assert len(CODEC.neighbours(partial)) == len(CODEC.neighbours(full))
    for _ in range(20):
        assert CODEC.mutate(partial, rng)[32:] == CODEC.perturb(partial, 0.3, rng)[32:] == partial[32:]
        assert CODEC.mutate(partial, rng) in CODEC.neighbours(partial)
    children = [CODEC.crossover(partial, full, rng) for _ in range(400)]
    counts = {suffix: sum(child[32:] == suffix for child in children) for suffix in {c[32:] for c in children}}
    assert set(counts) == {(), (0b0001, 0b1010), (0b1111, 0b1010), (0b0001, 0b1111)}
    assert all(60 < count < 140 for count in counts.values()) and all(CODEC.is_valid(child) for child in children)


def test_what_cannot_say_so_refuses() -> None:
    code = CODEC.canonical(genotype(CONCATS[1]))
    with pytest.raises(ArchitectureError, match=r"configurations of NAS-Bench-301.*normal_concat=\[3, 4, 5\]"):
        conversions.convert_genotype_to_config(CODEC.to_genotype(code))
    with pytest.raises(ArchitectureError, match="supernet"):
        CODEC.to_decisions(code)


def test_encodings_show_the_outputs() -> None:
    code = CODEC.canonical(genotype(([4, 5], [3])))
    compact = CODEC.to_compact(code)
    mix = CODEC.encode(code, "adjacency_mix")
    assert np.flatnonzero(mix[:49].reshape(7, 7)[:, 6]).tolist() == [4, 5]
    assert np.flatnonzero(mix[57:106].reshape(7, 7)[:, 6]).tolist() == [3]
    one_hot = CODEC.encode(code)
    np.testing.assert_array_equal(one_hot[:49], mix[:49])
    adjacency = CODEC.encode(code, "gcn")["adjacency"]
    assert np.flatnonzero(adjacency[:11, 10]).tolist() == [6, 7, 8, 9]  # the two operations of nodes 4 and of 5
    assert np.flatnonzero(adjacency[11:, 21]).tolist() == [4, 5]
    ending = {node: set(encodings.get_paths(compact[1], [node])) for node in range(2, 6)}
    full = encodings.get_paths(compact[1])
    assert set(full) == set(itertools.chain(*ending.values()))
    block = 2801
    expected = {
        (2 + start) * block + sum((op + 1) * 7**k for k, op in enumerate(ops)) for start, ops in ending[3]
    }  # fmt: skip
    assert {i for i in np.flatnonzero(CODEC.encode(code, "path")) if i >= 2 * block} == expected
    assert CODEC.encode(code, "compact") == compact and len(compact) == 3
