"""The memory-bank space: what an operation computes, how networks are written, and what does not go together."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from naslib.errors import ArchitectureError, ConfigError, GraphError, UnsupportedBySpaceError
from naslib.optimizers import DARTSOptimizer, SPOSOptimizer
from naslib.search_spaces import MemoryBankSearchSpace, get_search_space
from naslib.search_spaces.core.assignment import Assignment, assigned
from naslib.search_spaces.core.elastic import count_parameters, extract
from naslib.search_spaces.memory_bank.graph import fields_of
from naslib.search_spaces.memory_bank.primitives import MemoryOp, OpSizes, PlainMemoryOp, SharedKernels
from naslib.search_spaces.memory_bank.shapes import OpShape, banks_of, mask_of

SIZES: dict[str, Any] = {"n_classes": 3, "in_channels": 2, "unit": 2, "channels": (4, 4), "banks": 2, "ops": (1, 2)}
SIZES |= {"kernels": (3, 5), "dilations": 2, "groups": (1, 2)}
NETWORK = [
    [1, [[[0, 1], [1], 2, [3, 2], [5, 1], 2], [[1], [0, 1], 1, [3, 1], [3, 1], 1]]],
    [2, [[[0, 1], [0, 1], 2, [5, 1], [3, 1], 1]]],
]


def _network(spec: Any = NETWORK, **sizes: Any) -> MemoryBankSearchSpace:
    torch.manual_seed(0)
    space = MemoryBankSearchSpace(**{**SIZES, **sizes})
    space.set_spec(spec)
    space.compile()
    space.parse()
    return space


def test_the_default_space_has_as_many_networks_as_its_choices_say() -> None:
    op = 15 * 15 * 2 * 6 * 6 * 4  # reads, writes, units, rows, columns, groups
    block = 2 * sum(op**count for count in (1, 2, 3, 4))
    assert get_search_space("memory_bank").decision_space.size() == block**2


def test_kernels_have_the_dilations_of_the_authors() -> None:
    """3: randint(1, 4), 5: randint(1, 3), 7: randint(1, 2)."""
    assert fields_of([3, 5, 7], 3) == ((3, 1), (3, 2), (3, 3), (5, 1), (5, 2), (7, 1))
    assert fields_of([1, 3], 2) == ((1, 1), (3, 1), (3, 2))


@pytest.mark.parametrize(
    ("n_in", "width", "expected"),
    [(1, 1, 1), (3, 1, 3), (9, 1, 4), (2, 4, 2), (5, 4, 4), (8, 4, 8), (40, 4, 16), (40, 8, 30), (3, 2, 2)],
)
def test_the_bottleneck_is_that_of_the_authors(n_in: int, width: int, expected: int) -> None:
    shape = OpShape(1, 2**n_in - 1, 1, width, 3, 1, 3, 1, 1)
    authors = min(min(min(max(n_in // width, 1), 4) * width, n_in), 30)  # SMASH.py, with N = 1
    assert shape.bottleneck(4, 30) == authors == expected


def test_masks_are_sets_of_banks() -> None:
    assert banks_of(0b1011) == (0, 1, 3) and mask_of((3, 0, 1)) == 0b1011
    assert all(mask_of(banks_of(mask)) == mask for mask in range(256))


@torch.no_grad()
def test_an_operation_reads_convolves_and_writes() -> None:
    torch.manual_seed(0)
    shape = OpShape(2, 0b101, 0b110, 2, 3, 2, 5, 1, 2)
    op = PlainMemoryOp(shape, OpSizes(unit=2, banks=3, bottleneck=4, most=8)).double()
    x = torch.randn(2, 12, 6, 5, dtype=torch.float64)  # three banks of four channels
    read = torch.cat((x[:, 0:4], x[:, 8:12]), 1)
    weight = op.reduce.weight / op.reduce.weight.square().sum().sqrt()
    y = torch.einsum("oi,nihw->nohw", weight[:, :, 0, 0], read).clamp(min=0)
    assert op.reduce.weight.shape == (8, 8, 1, 1) and op.main.weight.shape == (4, 4, 3, 5)
    halves = [
        F.conv2d(F.pad(y[:, 4 * g : 4 * g + 4], (2, 2, 2, 2)), op.main.weight[2 * g : 2 * g + 2], dilation=(2, 1))
        for g in (0, 1)
    ]
    out = torch.cat(halves, 1)
    expected = torch.cat((x[:, 0:4], x[:, 4:8] + out, x[:, 8:12] + out), 1)  # one piece, and it goes to both
    torch.testing.assert_close(op(x), expected, rtol=0, atol=1e-12)


@torch.no_grad()
def test_pieces_go_round_the_banks_that_are_written_to() -> None:
    shape = OpShape(1, 0b001, 0b111, 2, 3, 1, 3, 1, 1)
    op = PlainMemoryOp(shape, OpSizes(unit=2, banks=3, bottleneck=4, most=8))
    x = torch.randn(1, 6, 4, 4)
    added = op(x) - x
    first, second = op.main(F.relu(op.reduce(x[:, :2]))).split(2, 1)
    for bank, piece in enumerate((first, second, first)):
        torch.testing.assert_close(added[:, 2 * bank : 2 * bank + 2], piece)


@torch.no_grad()
def test_the_supernet_runs_what_is_extracted_from_it() -> None:
    torch.manual_seed(0)
    space = MemoryBankSearchSpace(**SIZES)
    space.compile()
    space.parse()
    space.eval()
    decisions, x = space.decision_space, torch.randn(2, 2, 8, 8)
    for seed in range(12):
        chosen = decisions.chosen(decisions.random(Random(seed)))
        assignment = Assignment(
            {d.name: -1 if c is None else c[0] for d, c in zip(decisions.decisions, chosen, strict=True)}
        )
        plain = [extract(space.edges[u, v].op, assignment) for u, v in sorted(space.edges)]
        y = x
        for module in plain:
            y = module.eval()(y)
        with assigned(assignment):
            assert torch.equal(space(x), y)
        kept = sum(p.numel() for module in plain for p in module.parameters())
        assert count_parameters(space, assignment) == kept
        assert sum(isinstance(m, PlainMemoryOp) for module in plain for m in module.modules()) == sum(
            choice for name, choice in decisions.choices(decisions.random(Random(seed))).items() if name.endswith("ops")
        )


def test_operations_of_a_block_share_their_main_convolution_and_extracted_ones_do_not() -> None:
    space = MemoryBankSearchSpace(**SIZES)
    ops = [m for m in space.modules() if isinstance(m, MemoryOp)] or [
        m for u, v in space.edges for m in space.edges[u, v].op.modules() if isinstance(m, MemoryOp)
    ]
    assert [op.place for op in ops] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert ops[0].shared is ops[1].shared and ops[0].shared is not ops[2].shared
    network = _network()
    plain = [m for m in network.modules() if isinstance(m, PlainMemoryOp)]
    assert len({id(op.main.weight) for op in plain}) == len(plain) == 3


def test_a_network_is_written_as_lists_and_read_again() -> None:
    network = _network()
    assert network.genotype() == NETWORK
    choices = network.decision_space.choices(network.get_code())
    assert choices["block_1/op_1/reads"] == 0b11 and choices["block_1/op_1/rows"] == 1
    assert choices["block_2/bank"] == 2 and "block_2/op_2/reads" not in choices
    assert _network(str(NETWORK)).get_code() == network.get_code() == _network(network.get_code()).get_code()


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (NETWORK[:1], "the network has 2 blocks, not 1"),
        ([[1, [[[0], [0], 1, [7, 1], [3, 1], 1]]], NETWORK[1]], r"one of \[3, 1\], \[3, 2\], \[5, 1\], not \[7, 1\]"),
        ([[1, [[[0], [0], 1, [3, 1], 1]]], NETWORK[1]], "block 1, operation 1"),
        ([[3, [[[0], [0], 1, [3, 1], [3, 1], 1]]], NETWORK[1]], "block_1/bank"),
        ([[1, [[[0, 2], [0], 1, [3, 1], [3, 1], 1]]], NETWORK[1]], "block_1/op_1/reads"),
        ([[1, [[[], [0], 1, [3, 1], [3, 1], 1]]], NETWORK[1]], "block 1, operation 1"),
    ],
)
def test_what_is_no_network_is_said(spec: Any, said: str) -> None:
    with pytest.raises(ArchitectureError, match=said):
        _network(spec)


def test_what_is_not_decided_is_written_and_checked() -> None:
    network = _network([[1, [[[0, 1], [1], 1, [3, 1], [3, 1], 1]]]] * 2, bank=1, units=1, groups=1, ops=1, kernels=3)
    assert "block_1/op_1/units" not in network.decision_space.names
    assert network.genotype() == [[1, [[[0, 1], [1], 1, [3, 1], [3, 1], 1]]]] * 2
    with pytest.raises(ArchitectureError, match="block_1/op_1/units is 1, not 2"):
        _network([[1, [[[0, 1], [1], 2, [3, 1], [3, 1], 1]]]] * 2, bank=1, units=1, groups=1, ops=1, kernels=3)


def test_what_is_retrained_has_batch_norm_around_its_first_convolutions() -> None:
    network = _network()
    assert sum(isinstance(m, nn.BatchNorm2d) for m in network.modules()) == 2  # transition and classifier
    for norm, count in (("sandwich", 2 + 2 * 3), ("weight", 2)):
        trained = network.evaluation_network(norm=norm)
        assert sum(isinstance(m, nn.BatchNorm2d) for m in trained.modules()) == count
        ops = [m for m in trained.modules() if isinstance(m, PlainMemoryOp)]
        assert [op.reduce.normalized for op in ops] == [norm == "weight"] * 3
        assert trained(torch.randn(2, 2, 8, 8)).shape == (2, 3)
    with pytest.raises(ConfigError, match="norm is sandwich or weight, not 'sandwhich'; did you mean 'sandwich'"):
        network.evaluation_network(norm="sandwhich")
    with pytest.raises(UnsupportedBySpaceError, match="cells=3"):
        network.evaluation_network(cells=3)


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({"groups": (1, 3)}, "groups divide a unit of 2 channels; 3 does not, 2 does"),
        ({"banks": 9}, "at most 8 banks, not 9"),
        ({"channels": (4, 6)}, "a block of 6 channels does not fill 1 to 2 banks of 2 of them"),
        ({"channels": (2, 4)}, "a block of 2 channels does not fill 1 to 2 banks of 4 of them"),
        ({"kernels": (3, 4)}, "kernels are odd numbers from 1, not 4"),
        ({"stem_kernel": 2}, "stem_kernel is odd, not 2"),
        ({"bank": (1, 0)}, "bank is made of integers from 1, not 0"),
        ({"unit": 0}, "unit is an integer from 1, not 0"),
        ({"channels": ()}, "channels has one number for each block"),
        ({"channels": "a"}, "channels has one number for each block.*not 'a'"),
        ({"channels": 16}, "channels has one number for each block.*not 16"),
    ],
)
def test_sizes_that_do_not_go_together_are_said(sizes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        MemoryBankSearchSpace(**{**SIZES, **sizes})


def test_mixtures_are_refused_before_the_search_and_when_they_are_run() -> None:
    space = MemoryBankSearchSpace(**SIZES)
    with pytest.raises(
        ConfigError, match=r"DARTSOptimizer does not fit the sizes of MemoryOp.*take a method that trains"
    ):
        DARTSOptimizer().adapt_search_space(space)
    optimizer = SPOSOptimizer(epochs=1)
    optimizer.adapt_search_space(space)
    mixed = {d.name: torch.full((len(d.candidates),), 1 / len(d.candidates)) for d in optimizer.decisions}
    with optimizer.assigned(Assignment(mixed)), pytest.raises(GraphError, match="runs one choice, not a mixture"):
        optimizer.graph(torch.randn(2, 2, 8, 8))


def test_a_smaller_kernel_is_the_centre_of_the_shared_one() -> None:
    shared = SharedKernels(4, 6, 7)
    shape = OpShape(1, 1, 1, 1, 3, 1, 5, 1, 2)
    assert torch.equal(shared.slice_for(shape, 4, 2), shared.weight[:2, :2, 2:5, 1:6])
