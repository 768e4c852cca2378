"""Spaces by block strings: what is decided, how architectures are written, and Accel-NASBench."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
import torch
from data_files import data_file

from naslib.benchmarks import get_dataset_api
from naslib.benchmarks.accel_nasbench import codes_of
from naslib.errors import ArchitectureError, BenchmarkError
from naslib.search_spaces import MnasNetSearchSpace, published
from naslib.search_spaces.core.mobile.codec import searched_layers
from naslib.search_spaces.core.query_metrics import Metric

ACCEL = data_file("accel_nb.npz")
SMALL = {"n_classes": 4, "stem_channels": 4, "stem_stride": 1, "head_channels": 8}
STAGES = ["ds_r1_k3_s1_e1_c4", "ir_r1|2_k3|5_s2_e2_c8", ["ir_r2_k3_s1_e2_c8", "er_r1_k3_s1_e2_c8_nhs"]]


def _space() -> MnasNetSearchSpace:
    return MnasNetSearchSpace(blocks=STAGES, **SMALL)


def test_a_stage_is_one_decision() -> None:
    decisions = _space().decision_space.decisions
    assert [(decision.name, decision.candidates) for decision in decisions] == [
        ("layer_02/1-2", ("ir_r1_k3_e2", "ir_r1_k5_e2", "ir_r2_k3_e2", "ir_r2_k5_e2")),
        ("layer_03/1-2", ("ir_r2_k3_e2", "er_r1_k3_e2_nhs")),
    ]


def test_an_architecture_is_written_in_block_strings() -> None:
    whole = ["ir_r2_k3_s2_e2_c8", "er_r1_k3_s1_e2_c8_nhs"]
    for spec in (whole, ["ir_r2_k3_e2", "er_k3_s1_c8_e2_nhs"], (2, 1), "ir_r2_k3_e2 er_r1_k3_e2_nhs"):
        space = _space()
        space.set_spec(spec)
        space.parse()
        assert space.get_code() == (2, 1) and space.genotype() == whole
        assert space.block_strings() == ["ds_r1_k3_s1_e1_c4", *whole]
    blocks = space.edges[3, 4].op.edges[1, 2].op.blocks
    assert [(type(b).__name__, b.stride, b.residual) for b in blocks] == [("MBConv", 2, False), ("MBConv", 1, True)]
    assert space(torch.rand(2, 3, 8, 8)).shape == (2, 4)
    # the same network without anything to choose
    fixed = MnasNetSearchSpace(blocks=space.block_strings(), **SMALL)
    fixed.parse()
    assert [p.shape for p in fixed.parameters()] == [p.shape for p in space.parameters()]
    assert fixed.block_strings() == space.block_strings()


def test_an_architecture_of_another_space_is_refused_by_its_stage() -> None:
    with pytest.raises(ArchitectureError, match=r"layer_02/1-2 has no alternative 'ir_r3_k3_s2_e2_c8'; did you mean"):
        _space().set_spec(["ir_r3_k3_s2_e2_c8", "ir_r2_k3_s1_e2_c8"])
    with pytest.raises(ArchitectureError, match="2 stages under search, and 1 block strings are given"):
        _space().set_spec(["ir_r2_k3_s2_e2_c8"])


def test_blocks_may_decide_by_themselves() -> None:
    space = MnasNetSearchSpace(blocks=["ir_r3_k3|5_s2_e2_c8", "cn_r1_k1_s1_c8"], decide="block", **SMALL)
    assert space.decision_space.size() == 2**3
    space.set_spec((0, 1, 0))
    space.parse()
    assert space.block_strings() == [
        "ir_r1_k3_s2_e2_c8", "ir_r1_k5_s1_e2_c8", "ir_r1_k3_s1_e2_c8", "cn_r1_k1_s1_c8",
    ]  # fmt: skip


def test_mnasnet_b1_is_an_architecture_of_the_space_as_it_comes() -> None:
    with torch.device("meta"):
        space, network = MnasNetSearchSpace(), published("mnasnet-b1")
    assert space.decision_space.size() == 8**6
    assert network.get_code() == (0, 4, 6, 2, 6, 2)
    assert network.genotype()[1] == "ir_r3_k5_s2_e3_c40"


@pytest.mark.skipif(not ACCEL.is_file(), reason=f"no {ACCEL.name}")
def test_accel_nasbench_measured_architectures_of_the_space() -> None:
    table = get_dataset_api("accel_nasbench", "imagenet", ACCEL)
    with torch.device("meta"):
        space = MnasNetSearchSpace(blocks="accel_nasbench")
    assert space.decision_space.size() == 36**6 * 48 and space.QUERYABLE and space.get_type() == "accel_nasbench"
    with np.load(ACCEL) as file:
        arch, params, top1 = file["arch"], file["params_m"], file["val_top1"]
    codes = codes_of(arch)
    assert len(table) == len({tuple(code) for code in codes.tolist()}) == 5125
    # the parameters of all networks are those of ours
    layers = searched_layers(space)
    sizes = [[sum(p.numel() for p in op.parameters()) for op in layer.edges[1, 2].op] for layer in layers]
    fixed = sum(p.numel() for node in (1, 9) for p in space.edges[node, node + 1].op.parameters())
    ours = fixed + sum(np.array(row)[codes[:, stage]] for stage, row in enumerate(sizes))
    np.testing.assert_allclose(ours / 1e6, params, atol=1e-6)
    alone = next(row for row in range(len(codes)) if (codes == codes[row]).all(1).sum() == 1)
    space.instantiate_model = False
    space.set_spec(codes[alone].tolist())
    for string, (e, k, blocks, squeeze) in zip(space.genotype(), arch[alone], strict=True):
        kind = "ds" if e == 1 else "ir"
        assert string.startswith(f"{kind}_r{blocks}_k{k}_") and f"_e{e}_" in string and ("se" in string) == squeeze
    assert space.query(Metric.VAL_ACCURACY, "imagenet", dataset_api=table) == pytest.approx(top1[alone])
    with pytest.raises(ArchitectureError, match="none of the 5,125"):
        table.query(space.decision_space.random(Random(0)), Metric.VAL_ACCURACY, "imagenet")


@pytest.mark.skipif(not ACCEL.is_file(), reason=f"no {ACCEL.name}")
def test_another_space_by_block_strings_is_not_in_the_benchmark() -> None:
    table = get_dataset_api("accel_nasbench", "imagenet", ACCEL)
    space = _space()
    assert not space.QUERYABLE and space.get_type() == "mnasnet"
    with pytest.raises(BenchmarkError, match="there is no benchmark of the search space 'mnasnet'"):
        get_dataset_api(space.get_type(), "imagenet", ACCEL)
    space.set_spec((0, 0))
    with pytest.raises(BenchmarkError, match='knows architectures of blocks="accel_nasbench"'):
        space.query(Metric.VAL_ACCURACY, "imagenet", dataset_api=table)


def test_codes_of_accel_nasbench_count_from_the_first_alternative() -> None:
    with torch.device("meta"):
        space = MnasNetSearchSpace(blocks="accel_nasbench")
    names = [decision.candidates for decision in space.decision_space.decisions]
    known = {
        (1, 3, 1, 0): "ds_r1_k3_e1",
        (1, 5, 3, 1): "ds_r3_k5_e1_se0.25",
        (4, 3, 1, 0): "ir_r1_k3_e4",
        (6, 5, 2, 1): "ir_r2_k5_e6_se0.25",
        (4, 5, 3, 1): "ir_r3_k5_e4_se0.25",
    }
    for fields, name in known.items():
        (code,) = codes_of(np.array([[fields] * 7]))
        assert [row[index] for row, index in zip(names, code, strict=True)] == [name] * 7
    with pytest.raises(ValueError, match="more blocks"):
        codes_of(np.array([[(1, 3, 4, 0)] * 7]))
    with pytest.raises(ValueError, match="there is not"):
        codes_of(np.array([[(5, 3, 1, 0)] * 7]))
