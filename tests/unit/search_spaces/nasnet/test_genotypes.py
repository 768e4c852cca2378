"""Genotypes and codes of cells of blocks."""

from __future__ import annotations

import json
from collections import namedtuple
from random import Random
from typing import Any

import pytest
import torch

from naslib.errors import ArchitectureError, ConfigError
from naslib.search_spaces import NASNetSearchSpace, PNASSearchSpace
from naslib.search_spaces.nasnet.cells import branches, node_of_state, state_of_node
from naslib.search_spaces.nasnet.genotype import as_cells, to_json
from naslib.search_spaces.nasnet.primitives import NASNET, PNAS
from naslib.search_spaces.nasnet.published import NASNET_A, PNASNET_5
from naslib.search_spaces.nasnet.rules import ALL, UNUSED

TINY: dict[str, Any] = {"channels": 4, "cells_per_stage": 1}
OPS = ("skip_connect", "conv_1x1", "sep_conv_3x3")
# What the published TensorFlow code calls the cells of NASNet-A: 0 is the last cell there, and 1 the one before
PUBLISHED = {
    "normal": {
        "operations": [
            *("separable_5x5_2", "separable_3x3_2", "separable_5x5_2", "separable_3x3_2", "avg_pool_3x3", "none"),
            *("avg_pool_3x3", "avg_pool_3x3", "separable_3x3_2", "none"),
        ],
        "used_hiddenstates": [1, 0, 0, 0, 0, 0, 0],
        "hiddenstate_indices": [0, 1, 1, 1, 0, 1, 1, 1, 0, 0],
    },
    "reduce": {
        "operations": [
            *("separable_5x5_2", "separable_7x7_2", "max_pool_3x3", "separable_7x7_2", "avg_pool_3x3"),
            *("separable_5x5_2", "none", "avg_pool_3x3", "separable_3x3_2", "max_pool_3x3"),
        ],
        "used_hiddenstates": [1, 1, 1, 0, 0, 0, 0],
        "hiddenstate_indices": [0, 1, 0, 1, 0, 1, 3, 2, 2, 0],
    },
}


def _space(kind: type[NASNetSearchSpace] = NASNetSearchSpace, **given: Any) -> NASNetSearchSpace:
    return kind(**{**TINY, "blocks": 2, "primitives": OPS, **given})


def test_states_are_nodes() -> None:
    assert [node_of_state(state) for state in range(7)] == [1, 2, 5, 8, 11, 14, 17]
    assert [state_of_node(node_of_state(state)) for state in range(7)] == list(range(7))
    assert list(branches(2)) == [(0, 3, [1, 2]), (1, 4, [1, 2]), (2, 6, [1, 2, 5]), (3, 7, [1, 2, 5])]


def test_the_published_form_is_read_with_its_inputs_exchanged() -> None:
    assert as_cells(PUBLISHED, NASNET) == NASNET_A
    assert NASNET_A.normal.concat == (0, 2, 3, 4, 5, 6) and NASNET_A.reduce.concat == (3, 4, 5, 6)


def test_every_spelling_is_one_genotype() -> None:
    lists = to_json(NASNET_A)
    written = namedtuple("Genotype", ("normal", "normal_concat", "reduce", "reduce_concat"))(**lists)  # type: ignore[arg-type]
    blocks = {**lists, "normal": [lists["normal"][k : k + 2] for k in range(0, 10, 2)]}
    for spec in (lists, json.dumps(lists), {"genotype": lists}, repr(written), written, blocks, tuple(written)):
        assert as_cells(spec, NASNET) == NASNET_A


def test_what_no_block_reads_is_the_output() -> None:
    edges = [("a", 0), ("a", 1), ("a", 2), ("a", 2), ("a", 0), ("a", 1)]
    assert ALL.states(0, edges) == (2, 3, 4)
    assert UNUSED.states(0, edges) == (3, 4)  # the inputs of the cell are not made in it
    spec = {"normal": [("skip_connect", 0)] * 2, "reduce": [("skip_connect", 1)] * 2}
    cells = as_cells(spec, NASNET)
    assert cells.normal.concat == (2,) and cells.normal.combine == ("add",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"normal": [("sep_conv_3x4", 0), ("skip_connect", 1)]}, "'sep_conv_3x4', .*did you mean 'sep_conv_3x3'"),
        ({"normal": [("skip_connect", 0), ("skip_connect", 2)]}, r"reads state 2, but block 0 can read 0 to 1 only"),
        ({"normal": [("skip_connect", 0)]}, "two for each block"),
        ({"normal_concat": [9]}, "some of the states 0 to 3"),
        ({"normal_combine": ["times", "add"]}, "add or concat for each of the 2 blocks"),
        ({"reduce": [("skip_connect", 0)] * 2}, "normal cell has 2 blocks, the reduction cell 1"),
        ({"normal": "x"}, "is a list of"),
        ({"reduce": None}, "is a list of"),
    ],
)
def test_what_is_no_genotype(change: dict[str, Any], message: str) -> None:
    good = {"normal": [("skip_connect", 0)] * 4, "reduce": [("skip_connect", 0)] * 4}
    with pytest.raises(ArchitectureError, match=message):
        as_cells({**good, **change}, NASNET)
    with pytest.raises(ArchitectureError, match="reduce missing"):
        as_cells({"normal": good["normal"]}, NASNET)


def test_sizes_are_those_of_the_papers() -> None:
    # |B_b| = (b + 1)^2 |O|^2 (Liu et al., section 3.1): 256, 576, 1024, 1600 and 2304
    per_block = [((b + 1) * 8) ** 2 for b in range(1, 6)]
    assert per_block == [256, 576, 1024, 1600, 2304]
    total = 1
    for count in per_block:
        total *= count
    assert total == 556_627_761_561_600
    pnas = PNASSearchSpace(channels=4, cells_per_stage=1)
    assert pnas.decision_space.size() == total and pnas.codec.operations == PNAS and len(NASNET) == 13
    one = PNASSearchSpace(channels=4, cells_per_stage=1, blocks=1)
    assert one.decision_space.size() == 256
    # 136 of them differ, as the paper says
    assert len({one.codec.identity(code) for code in one.codec.iterate()}) == 136


def test_the_order_of_branches_changes_the_code_and_not_the_hash() -> None:
    first, second = _space(), _space()
    edges = [("conv_1x1", 0), ("skip_connect", 1), ("sep_conv_3x3", 2), ("skip_connect", 2)]
    swapped = [edges[1], edges[0], edges[3], edges[2]]
    first.set_spec({"normal": edges, "reduce": edges})
    second.set_spec({"normal": swapped, "reduce": edges})
    assert first.get_code() != second.get_code() and first.get_hash() == second.get_hash()
    assert first.genotype()["normal_concat"] == [3]
    third = _space()
    third.set_spec(first.get_hash())
    assert third.get_hash() == first.get_hash()
    # a block that concatenates does tell its branches apart
    codec = _space(combine="concat").codec
    spec = {"reduce": edges, "normal_combine": ["concat"] * 2, "reduce_combine": ["concat"] * 2}
    hashes = {codec.identity(codec.canonical({**spec, "normal": normal})) for normal in (edges, swapped)}
    assert len(hashes) == 2


def test_a_genotype_of_another_space_is_refused() -> None:
    good = {"normal": [("skip_connect", 0)] * 4, "reduce": [("skip_connect", 0)] * 4}
    for spec, message in (
        ({**good, "normal": [("max_pool_3x3", 0)] * 4}, "'max_pool_3x3', which the space has not"),
        ({**good, "normal_concat": [2]}, r"gives out the states \[2\]; cells of this space give out \[2, 3\]"),
        ({**good, "normal_combine": ["concat", "add"]}, "combines by concat"),
        ({key: edges[:2] for key, edges in good.items()}, "has 1 blocks; the cells of this space have 2"),
        ((0,) * 7, "a code of this space is"),
    ):
        with pytest.raises(ArchitectureError, match=message):
            _space().set_spec(spec)
    with pytest.raises(ArchitectureError, match=r"gives out the states \[0, 2, 3, 4, 5, 6\]"):
        NASNetSearchSpace(**TINY).set_spec(NASNET_A)
    with pytest.raises(ArchitectureError, match="one cell for both strides"):
        _space(PNASSearchSpace).set_spec({**good, "reduce": [("skip_connect", 1)] * 4})


def test_pnasnet_5_is_an_architecture_of_its_space() -> None:
    space = PNASSearchSpace(**TINY)
    space.set_spec(PNASNET_5)
    assert space.genotype() == to_json(PNASNET_5, one_cell=True)
    assert space.codec.to_cells(space.get_code()) == PNASNET_5
    network = space.evaluation_network(cells_per_stage=1, channels=4, auxiliary=False)
    assert network.codec.to_cells(network.get_code()) == PNASNET_5
    again = PNASSearchSpace(**TINY)
    again.set_spec(network.genotype())
    assert again.get_code() == space.get_code()


def test_combinations_are_decisions_where_there_are_two() -> None:
    space = _space(combine=("concat", "add"))
    names = [decision.name for decision in space.decision_space.decisions]
    assert names[-4:] == [f"{cell}/{node}:comb_op" for cell in ("normal_cell", "reduction_cell") for node in (5, 8)]
    assert space.decision_space.size() == ((2 * 3) ** 2 * (3 * 3) ** 2 * 2**2) ** 2
    for seed in range(4):
        code = space.codec.random(Random(seed))
        assert space.codec.canonical(space.codec.genotype(code)) == code
    space.set_spec(code)
    assert space.codec.from_graph(space) == code


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"primitives": ["sep_conv_3x4"]}, "no operation 'sep_conv_3x4'; did you mean 'sep_conv_3x3'"),
        ({"combine": "ad"}, "no combination 'ad'; did you mean 'add'"),
        ({"combine": []}, "combine needs add, concat or both"),
        ({"concat": "some"}, "concat is 'unused', 'all', or the states"),
        ({"concat": {"normal": [2]}}, "concat has the states of normal and reduce"),
        ({"concat": {"normal": [2], "reduce": [9]}}, r"concat.reduce must be some of the states 0 to 3, not \[9\]"),
        ({"blocks": 0}, "blocks must be at least 1"),
        ({"channels": 0}, "channels must be at least 1"),
        ({"cells_per_stage": 0}, "cells_per_stage must be at least 1"),
        ({"stem": "small"}, "stem is 'auto', 'cifar' or 'imagenet'"),
        ({"stem": "imagenet", "channels": 6}, "multiple of 4"),
        ({"task": "segmentation"}, "nasnet has no head for segmentation"),
    ],
)
def test_wrong_arguments(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _space(**given)


def test_a_space_can_have_the_outputs_of_nasnet_a() -> None:
    small = _space(primitives=None)
    arguments = small.arguments_for(NASNET_A)
    assert arguments == {"blocks": 5, "concat": {"normal": [0, 2, 3, 4, 5, 6], "reduce": [3, 4, 5, 6]}}
    assert small.arguments_for(json.dumps(to_json(NASNET_A))) == arguments
    space = NASNetSearchSpace(**TINY, **arguments)
    assert space.arguments_for(NASNET_A) == {} and space.arguments_for(space.codec.random(Random(0))) == {}
    space.set_spec(NASNET_A)
    assert space.genotype() == to_json(NASNET_A)
    space.parse()
    out, others = space.forward_with_auxiliary(torch.randn(2, 3, 16, 16))
    assert out.shape == (2, 10) and others == {}
    network = space.evaluation_network(cells_per_stage=1, channels=4, auxiliary=False)
    assert network.codec.to_cells(network.get_code()) == NASNET_A
    every = {**to_json(NASNET_A), "normal_concat": [2, 3, 4, 5, 6], "reduce_concat": [2, 3, 4, 5, 6]}
    assert NASNetSearchSpace(**TINY).arguments_for(every) == {"concat": "all"}
    with pytest.raises(ConfigError, match="one cell for both strides"):
        _space(PNASSearchSpace, concat={"normal": [2], "reduce": [3]})
