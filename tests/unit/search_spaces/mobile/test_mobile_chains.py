"""Chains: a path of the supernet is the discrete network, at its cost; drop-path, sizes, images and codes."""

from __future__ import annotations

from random import Random
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from naslib.errors import ArchitectureError, ConfigError, SpecAlreadySetError
from naslib.hardware import LatencyTable, fit_choices, measure_table, trace_candidates
from naslib.optimizers import OPTIMIZERS, OneShotOptimizer
from naslib.search_spaces import (
    FBNetSearchSpace,
    MnasNetSearchSpace,
    NasBenchMacroSearchSpace,
    ProxylessNASSearchSpace,
)
from naslib.search_spaces.core.assignment import Assignment
from naslib.search_spaces.core.elastic import entangle_edges
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.mobile import MBConv
from naslib.search_spaces.core.mobile.chain import layer_of
from naslib.search_spaces.core.primitives import DropPath, Identity
from naslib.search_spaces.proxylessnas.primitives import MBInvertedConv
from naslib.training.fit import check_fits
from tests.support.zoo import ENTRIES
from tests.support.zoo.chains import ENTRIES as CHAINS

NAMES = sorted(CHAINS)


def _space(name: str) -> Graph:
    torch.manual_seed(0)
    return ENTRIES[name].make(n_classes=4, in_channels=3)


def _flops(network: nn.Module, x: torch.Tensor) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(x)
    return counter.get_total_flops()


@pytest.fixture(scope="module", params=NAMES)
def supernet(request: pytest.FixtureRequest) -> OneShotOptimizer:
    optimizer = OPTIMIZERS.get("darts")(epochs=1)
    optimizer.adapt_search_space(_space(request.param))
    optimizer.before_training()
    optimizer.graph.eval()
    return optimizer


@torch.no_grad()
def test_a_path_is_the_discrete_network_bit_by_bit_and_costs_as_much(supernet: OneShotOptimizer) -> None:
    x = torch.rand(2, 3, 8, 8)
    space = supernet.graph.decision_space
    whole = _flops(supernet.graph, x)
    for seed in range(4):
        code = space.random(Random(seed))
        scores = [torch.eye(len(d.candidates))[gene] for d, gene in zip(space.decisions, code, strict=True)]
        discrete = supernet.discretized(scores).eval()
        assert discrete.get_code() == code
        with supernet.assigned(Assignment(dict(zip(space.names, code, strict=True)))):
            assert torch.equal(supernet.graph(x), discrete(x))
            assert _flops(supernet.graph, x) == _flops(discrete, x) < whole


@pytest.mark.parametrize("name", NAMES)
def test_codes_are_those_of_the_stated_decisions(name: str) -> None:
    space = _space(name)
    stated, codec = Graph.decision_space.fget(space), space.codec.decision_space
    assert codec.names == stated.names
    assert [d.candidates for d in codec.decisions] == [d.candidates for d in stated.decisions]
    code = stated.random(Random(7))
    for spec in (code, list(code), " ".join(map(str, code)), stated.choices(code), {"genotype": list(code)}):
        again = _space(name)
        again.set_spec(spec)
        assert again.get_code() == again.check_spec(spec) == code
    with pytest.raises(SpecAlreadySetError):
        again.set_spec(code)
    with pytest.raises(ArchitectureError):
        _space(name).get_code()
    with pytest.raises(ArchitectureError):
        _space(name).set_spec((*code[:-1], 99))
    with pytest.raises(ArchitectureError):
        _space(name).set_spec(code[:-1])


@pytest.mark.parametrize("name", NAMES)
def test_only_what_a_shortcut_goes_past_is_dropped(name: str) -> None:
    space = _space(name)
    space.set_spec(space.decision_space.random(Random(0)))
    space.parse()
    network = space.evaluation_network().train()
    assert network.get_code() == space.get_code()
    for module in network.modules():
        if isinstance(module, DropPath):
            module.drop_prob = 1 - 1e-12
    out = network(torch.rand(4, 3, 8, 8))
    assert out.isfinite().all() and out.std() > 0  # the chain still carries the images


def test_a_drop_path_stands_beside_each_shortcut() -> None:
    space = _space("fbnet")
    space.set_spec(("k3_e1 " * 3).split())
    space.parse()
    network = space.evaluation_network()
    assert [type(network.edges[n, n + 1].op.edges[1, 2].op).__name__ for n in (2, 3, 4)] == [
        "DropPath", "DropPath", "FBNetBlock",
    ]  # fmt: skip


def test_what_is_retrained_may_be_wider() -> None:
    space = _space("proxylessnas")
    space.set_spec((0, 0, 1, 1))
    space.parse()
    wide = space.evaluation_network(width_mult=4.0, dropout=0.5)
    assert wide.get_code() == (0, 0, 1, 1)
    assert (wide.width_mult, wide.dropout) == (4.0, 0.5) and (space.width_mult, space.dropout) == (1.0, 0.0)
    last = wide.edges[7, 8].op
    assert (last.linear.in_features, last.dropout.p) == (32, 0.5)
    with pytest.raises(ConfigError, match=r"network_args\.width_mult: nasbench_macro has no such argument"):
        macro = _space("nasbench_macro")
        macro.set_spec("01201201")
        macro.parse()
        macro.evaluation_network(width_mult=2.0)


def test_a_kernel_larger_than_its_features_is_told_by_its_decision() -> None:
    small = {"n_classes": 4, "stem_stride": 1, "stem_channels": 4, "first_channels": 4, "head_channels": 8}
    make = lambda **sizes: ProxylessNASSearchSpace(  # noqa: E731
        widths=(4, 8, 8), n_cells=(1, 1, 1), strides=(1, 2, 2), **small, **sizes
    )
    make()
    make(image_size=14)
    make(image_size=8, kernels=(3,))
    with pytest.raises(ConfigError) as raised:
        make(image_size=8)
    text = str(raised.value)
    assert "layer_03/1-2: kernels larger than the features they read, 4x4: 5x5_MBConv3, 5x5_MBConv6, 7x7" in text
    assert "layer_02" not in text and "images are 8x8" in text
    with pytest.raises(ConfigError, match=r"layer_01/1-2.*6x32"):
        make(image_size=(6, 32))
    with pytest.raises(ConfigError, match="and 13 more layers"):
        ProxylessNASSearchSpace(10, image_size=32)
    with pytest.raises(ConfigError, match=r"layer_03/1-2: .*2x2: k3_e1"):
        FBNetSearchSpace(widths=(4, 4), n_cells=(2, 1), strides=(2, 2), image_size=8, kernels=(3,))
    NasBenchMacroSearchSpace(image_size=32)
    with pytest.raises(ConfigError, match=r"layer_07/1-2: .*2x2: MB6_K5"):
        NasBenchMacroSearchSpace(image_size=16)
    with pytest.raises(ConfigError, match=r"layer_01/1-2: .*7x7: ir_r2_k9_e1"):
        MnasNetSearchSpace(blocks=["ir_r2_k3|9_s1_e1_c4"], stem_stride=1, image_size=7)
    # the second block of a stage reads what the first one has made smaller
    with pytest.raises(ConfigError, match=r"layer_01/1-2: .*8x8: ir_r2_k5_e1"):
        MnasNetSearchSpace(blocks=["ir_r2_k3|5_s2_e1_c4"], stem_stride=1, image_size=8)


def test_images_are_compared_where_only_the_search_knows_them() -> None:
    info = SimpleNamespace(name="tiny", num_classes=4, in_channels=3, image_size=8)
    with pytest.raises(ConfigError, match=r"layer_01/1-2.*4x4: 5x5_MBConv3"):
        check_fits(ProxylessNASSearchSpace(4, strides=(1, 1, 2, 1, 2, 1)), info)
    check_fits(_space("fbnet"), info)
    optimizer = OPTIMIZERS.get("darts")(epochs=1)
    optimizer.adapt_search_space(
        FBNetSearchSpace(4, widths=(4, 4), n_cells=(1, 1), strides=(2, 1), stem_channels=4, head_channels=8)
    )
    with pytest.raises(ConfigError, match=r"layer_01/1-2: .*4x4: k5_e1, k5_e1_g2, k5_e3, k5_e6"):
        optimizer.graph.check_image_size(8)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ProxylessNASSearchSpace(widths=(8, 0)), r"widths must be at least 1, not \(8, 0\)"),
        (lambda: ProxylessNASSearchSpace(widths=(8, 8)), "have 2, 6 and 6"),
        (lambda: ProxylessNASSearchSpace(kernels=(3, 4)), "kernels are odd, not 4"),
        (lambda: ProxylessNASSearchSpace(width_mult=0), "width_mult must be positive, not 0"),
        (lambda: ProxylessNASSearchSpace(task="segmentation"), "proxylessnas has no head for segmentation"),
        (lambda: ProxylessNASSearchSpace(n_classes=0), "n_classes must be at least 1, not 0"),
        (lambda: FBNetSearchSpace(widths=(16, 24, 32, 64, 112, 184, 351)), "widths are even.*not 351"),
        (lambda: FBNetSearchSpace(kernels=(7,)), r"kernels are 3, 5 or both, not \(7,\)"),
        (lambda: FBNetSearchSpace(n_cells=(1,)), "have 7, 1 and 7"),
        (lambda: NasBenchMacroSearchSpace(channels=2.5), "channels must be at least 1, not 2.5"),
        (lambda: MnasNetSearchSpace(blocks=[]), "blocks is a list"),
        (lambda: MnasNetSearchSpace(blocks="mnasnets"), "did you mean 'mnasnet'"),
        (lambda: MnasNetSearchSpace(blocks=["ir_k3_s1_c8", "ri_k3_s1_c8"]), "stage 2: .*no block type 'ri'"),
        (lambda: MnasNetSearchSpace(blocks=[["ir_k3_s1_c8", "ir_k3_s2_c8"]]), "stage 1: .*one stride"),
        (lambda: MnasNetSearchSpace(blocks=[["ir_k3_s1_c8", "ir_k3_s1_c16"]]), "one number of channels"),
        (lambda: MnasNetSearchSpace(blocks=[["ir_k3_s1_c8", "ir_r1_k3_s1_e1_c8"]]), "candidates called ir_r1_k3_e1"),
        (lambda: MnasNetSearchSpace(blocks=["ir_r1|2_k3_s1_c8"], decide="block"), "number of repetitions, not 1, 2"),
        (lambda: MnasNetSearchSpace(decide="layer"), '"stage" or "block"'),
        (lambda: MnasNetSearchSpace(activation="tanh"), "no activation is called 'tanh'"),
        (lambda: layer_of(3, [], False), "layer_03/1-2 has no candidate"),
        (lambda: layer_of(3, [Identity(), Identity()], True), "layer_03/1-2 has two candidates called Identity"),
    ],
)  # fmt: skip
def test_wrong_sizes_are_refused_by_name(make, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make()


def test_a_layer_with_one_block_is_fixed() -> None:
    space = ProxylessNASSearchSpace(4, widths=(4,), n_cells=(2,), strides=(2,), kernels=(3,), expansions=(6,))
    assert space.decision_space.size() == 2
    assert [decision.name for decision in space.decision_space.decisions] == ["layer_02/1-2"]
    space.set_spec(["Zero"])
    space.parse()
    assert space(torch.rand(2, 3, 16, 16)).shape == (2, 4)


def test_a_measured_table_knows_every_block() -> None:
    space = _space("proxylessnas")
    table = measure_table(space, (3, 8, 8), repeats=1, progress=False)
    rows = table.costs(trace_candidates(space, (3, 8, 8)))
    assert [len(row) for row in rows] == [3, 3, 2, 3] and rows[0][2] == rows[1][2] == 0.0
    assert all(cost > 0 for row in rows for cost in row[:2])


def test_keys_are_those_of_the_published_tables() -> None:
    space = ProxylessNASSearchSpace(
        widths=(24, 40), n_cells=(2, 1), strides=(2, 2), kernels=(5,), expansions=(3,), n_classes=4
    )
    entries = {
        "expanded_conv-input:56x56x24-output:56x56x24-expand:3-kernel:5-stride:1-idskip:1": 2.5,
    }
    table = LatencyTable(entries, fixed=1.0, kinds={"MBInvertedConv": "expanded_conv"})
    (edge,) = trace_candidates(space, (3, 224, 224))
    assert edge.place == ("layer_02/1-2", 0)
    assert table.costs([edge]) == [[2.5, 0.0]]


def test_a_fit_knows_layers_by_their_decisions() -> None:
    space = _space("fbnet")
    names = [op.get_op_name for op in space.edges[2, 3].op.edges[1, 2].op]
    own = torch.rand(3, 9, generator=torch.Generator().manual_seed(0)).double().numpy()
    own[:, 8] = 0.0
    rng = Random(0)
    choices = [[rng.randrange(9) for _ in range(3)] for _ in range(400)]
    latencies = [1.5 + sum(own[layer, op] for layer, op in enumerate(row)) for row in choices]
    fit = fit_choices(choices, latencies, positions=space.decision_space.names, ops=names, reference=8)
    assert fit.fixed == pytest.approx(1.5) and fit.r2 == pytest.approx(1.0)
    for row, expected in zip(fit.costs(trace_candidates(space, (3, 8, 8))), own, strict=True):
        assert row == pytest.approx(list(expected), abs=1e-9)


def test_partial_channels_narrow_the_blocks() -> None:
    optimizer = OPTIMIZERS.get("darts")(epochs=1, parts={"partial_channels": {"k": 2}})
    optimizer.adapt_search_space(_space("proxylessnas"))
    layers = [optimizer.graph.edges[n, n + 1].op.edges[1, 2].op for n in (3, 4, 5, 6)]
    widths = [next(op.init_params["C_in"] for op in layer.primitives if isinstance(op, MBConv)) for layer in layers]
    assert widths == [2, 2, 4, 4]  # the third layer changes the shape and keeps all its channels
    optimizer.before_training()
    assert optimizer.graph(torch.rand(2, 3, 8, 8)).shape == (2, 4)
    assert optimizer.get_final_architecture().get_code()


def test_entangled_blocks_are_slices_of_the_largest() -> None:
    sizes = {"widths": (4, 8), "n_cells": (2, 1), "strides": (1, 2), "stem_channels": 4, "first_channels": 4}
    space = ProxylessNASSearchSpace(4, **sizes, kernels=(3, 5), head_channels=8, stem_stride=1)
    entangle_edges(space, [MBInvertedConv])
    optimizer = OPTIMIZERS.get("darts")(epochs=1)
    optimizer.adapt_search_space(space)
    largest = ProxylessNASSearchSpace(4, **sizes, kernels=(5,), expansions=(6,), head_channels=8, stem_stride=1)
    largest.set_spec((0, 0))
    largest.parse()
    sizes_of = [sum(p.numel() for p in graph.parameters()) for graph in (optimizer.graph, largest)]
    assert sizes_of[0] == sizes_of[1]
    optimizer.before_training()
    optimizer.graph.eval()
    x = torch.rand(2, 3, 8, 8)
    for code in ((0, 4, 3), (1, 2, 0)):
        scores = [
            torch.eye(len(d.candidates))[gene]
            for d, gene in zip(optimizer.graph.decision_space.decisions, code, strict=True)
        ]
        found = optimizer.discretized(scores).eval()
        assert found.get_code() == code and found.genotype()[0] == ("3x3_MBConv3", "3x3_MBConv6")[code[0]]
        assignment = Assignment(dict(zip(optimizer.graph.decision_space.names, code, strict=True)))
        with optimizer.assigned(assignment), torch.no_grad():
            assert torch.equal(optimizer.graph(x), found(x))
