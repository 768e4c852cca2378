"""TransNAS-Bench-101: codes, networks and the table, each against what was published or counted by hand."""

from __future__ import annotations

import itertools
from random import Random

import numpy as np
import pytest
import torch

from naslib.benchmarks import get_dataset_api
from naslib.errors import ArchitectureError, BenchmarkError, ConfigError
from naslib.search_spaces import TransBench101SearchSpaceMacro, TransBench101SearchSpaceMicro
from naslib.search_spaces.core.query_metrics import Metric
from tests.support.data_files import data_file

MICRO, MACRO = TransBench101SearchSpaceMicro.codec, TransBench101SearchSpaceMacro.codec
TABLE = data_file("tnb101_micro_scene.npz")
needs_table = pytest.mark.skipif(not TABLE.exists(), reason="tnb101_micro_scene.npz is not there")
# cells 1, 5 and 9 of ten double the channels
WIDTHS = [(64, 128), (128, 128), (128, 128), (128, 128), (128, 256), (256, 256), (256, 256), (256, 256), (256, 512)]
WIDTHS += [(512, 512)]


def parameters_of_cells(code: tuple[int, ...]) -> int:
    """Return the parameters of all cells by hand: convolutions without bias, BN with weight and bias."""
    total = 0
    for narrow, wide in WIDTHS:
        for op, (source, _) in zip(code, ((1, 2), (1, 3), (2, 3), (1, 4), (2, 4), (3, 4)), strict=True):
            C_in = narrow if source == 1 else wide
            if op == 1 and C_in != wide:
                total += C_in * wide + 2 * wide
            total += {2: 1, 3: 9}.get(op, 0) * C_in * wide + (2 * wide if op > 1 else 0)
    return total


def built(code: object, **sizes: int) -> TransBench101SearchSpaceMicro:
    with torch.device("meta"):
        space = TransBench101SearchSpaceMicro(image_size=256, **sizes)
        space.set_spec(code)
        space.compile()
        space.parse()
    return space


def test_strings_and_digits_are_one() -> None:
    code = (3, 3, 2, 1, 3, 2)
    assert (
        MICRO.canonical("64-41414-3_32_132") == MICRO.canonical("3_32_132") == MICRO.canonical(np.array(code)) == code
    )
    assert MICRO.genotype(code) == "64-41414-3_32_132"
    assert MICRO.to_decisions((0, 1, 2, 3, 0, 1)) == (0, 1, 3, 2, 0, 1)  # the edge from 2 to 3 comes after all from 1
    assert MACRO.canonical("64-12341-basic") == MACRO.canonical([1, 2, 3, 4, 1]) == (1, 2, 3, 4, 1, 0)
    assert MACRO.genotype((1, 2, 3, 4, 1, 0)) == "64-12341-basic"


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("64-41414-3_32_13", "not written like"),
        ("64-41114-3_32_132", "begin with 64-41414, not 64-41114"),
        ((0, 1, 2), "is 6 ints, not"),
        ((0, 1, 2, 3, 4, 0), "4 is no operation of cell/2-4 .*0 to 3"),
    ],
)
def test_what_is_no_cell_is_refused(spec: object, words: str) -> None:
    with pytest.raises(ArchitectureError, match=words):
        MICRO.canonical(spec)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("1234567", "4 to 6 digits"),
        ("12x4", "not written like"),
        ((1, 1, 1, 3), "one to three modules double"),
        ((3, 3, 3, 3, 4), "one to four halve"),
    ],
)
def test_what_is_no_macro_network_is_refused(spec: object, words: str) -> None:
    with pytest.raises(ArchitectureError, match=words):
        MACRO.canonical(spec)


def test_macro_codes_are_those_of_the_paper() -> None:
    """4 to 6 modules, 1 to 3 of which double the channels and 1 to 4 halve the image ([Duan2021transnas])."""
    expected = set()
    for depth in (4, 5, 6):
        for digits in itertools.product((1, 2, 3, 4), repeat=depth):
            if 1 <= sum(d in (2, 4) for d in digits) <= 3 and 1 <= sum(d in (3, 4) for d in digits) <= 4:
                expected.add((*digits, *[0] * (6 - depth)))
    assert set(MACRO.iterate()) == expected and len(expected) == 3256
    for code in Random(0).sample(sorted(expected), 50):
        assert MACRO.from_decisions(MACRO.to_decisions(code)) == code


def test_a_macro_network_changes_where_its_code_says() -> None:
    space = TransBench101SearchSpaceMacro(n_classes=5, channels=4)
    space.set_spec("64-1423-basic")
    space.parse()
    shapes = []
    for node in range(2, 7):
        head = space.edges[node, node + 1].op
        head.register_forward_pre_hook(lambda _, inputs: shapes.append(tuple(inputs[0].shape[1:])))
    assert space(torch.zeros(2, 3, 16, 16)).shape == (2, 5)
    assert shapes == [(4, 16, 16), (4, 16, 16), (8, 8, 8), (16, 8, 8), (16, 4, 4)]


@pytest.mark.parametrize("code", [(3, 3, 2, 1, 3, 2), (1,) * 6, (3,) * 6, (2, 0, 1, 0, 0, 2)])
def test_a_cell_has_as_many_parameters_as_counted_by_hand(code: tuple[int, ...]) -> None:
    empty = sum(p.numel() for p in built((0,) * 6).parameters())
    assert sum(p.numel() for p in built(code).parameters()) - empty == parameters_of_cells(code)


@needs_table
def test_a_network_has_the_parameters_of_the_table() -> None:
    table = get_dataset_api("transbench101_micro", data_dir=TABLE)
    codes = [table.sample_code(Random(seed)) for seed in range(200)]
    listed = table.query_batch(np.array(codes), Metric.PARAMETERS, "class_scene")
    rest = np.array([value * 1e6 - parameters_of_cells(code) for value, code in zip(listed, codes, strict=True)])
    assert np.abs(rest - rest[0]).max() < 4  # figures of the table are float32 millions
    scenes = sum(p.numel() for p in built((0,) * 6, n_classes=63).parameters())
    assert abs(rest[0] - scenes) < 4


@needs_table
def test_the_table_answers_for_its_best_cell() -> None:
    table = get_dataset_api("transbench101_micro", "class_scene", data_dir=TABLE)
    graph = TransBench101SearchSpaceMicro()
    graph.instantiate_model = False
    graph.set_spec("64-41414-3_32_132")
    best = graph.query(Metric.VAL_ACCURACY, "class_scene", dataset_api=table)
    assert best == pytest.approx(54.936306)
    graph.set_spec((0, 0, 0, 0, 0, 3))
    with pytest.raises(ArchitectureError, match="2,128 architectures of TransNAS"):
        graph.query(Metric.VAL_ACCURACY, "class_scene", dataset_api=table)
    with pytest.raises(BenchmarkError, match="VAL_ACCURACY, PARAMETERS, FLOPS"):
        table.query((3, 3, 2, 1, 3, 2), Metric.LATENCY, "class_scene")
    with pytest.raises(BenchmarkError, match="class_scene"):
        table.query((3, 3, 2, 1, 3, 2), Metric.VAL_ACCURACY, "jigsaw")
    with pytest.raises(BenchmarkError, match="after 12 epochs"):
        table.query((3, 3, 2, 1, 3, 2), Metric.VAL_ACCURACY, "class_scene", epoch=12)


@pytest.mark.parametrize("space", [TransBench101SearchSpaceMicro, TransBench101SearchSpaceMacro])
@pytest.mark.parametrize(
    ("sizes", "inputs", "outputs"),
    [
        ({"task": "segmentation"}, (2, 3, 16, 16), (2, 5, 16, 16)),
        ({"task": "regression"}, (2, 3, 16, 16), (2, 5)),
        ({"task": "regression", "dense": True}, (2, 3, 16, 16), (2, 5, 16, 16)),
        ({"patches": 9}, (2, 9, 3, 16, 16), (2, 5)),
        ({"image_size": 96}, (2, 3, 96, 96), (2, 5)),
    ],
)
def test_each_task_has_its_head(space: type, sizes: dict, inputs: tuple, outputs: tuple) -> None:
    graph = space(n_classes=5, channels=4, **sizes)
    graph.sample_random_architecture(rng=1)
    graph.parse()
    graph.eval()
    assert graph(torch.randn(inputs)).shape == outputs
    assert graph.evaluation_network(channels=6).eval()(torch.randn(inputs)).shape == outputs


def test_the_puzzle_reads_each_patch_alike() -> None:
    """Patches in another order are the features in another order, and other outputs."""
    graph = TransBench101SearchSpaceMicro(n_classes=5, channels=4, patches=2)
    graph.set_spec((3,) * 6)
    graph.parse()
    graph.eval()
    images = torch.randn(1, 2, 3, 16, 16)
    assert not torch.allclose(graph(images), graph(images.flip(1)))
    last = max(graph.nodes)
    graph.edges[last - 1, last].op.linear.weight.data[:, 32:] = graph.edges[last - 1, last].op.linear.weight[:, :32]
    torch.testing.assert_close(graph(images), graph(images.flip(1)))


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"task": "language_modelling"}, "no head for language_modelling"),
        ({"channels": 5}, "channels must be even"),
        ({"patches": 9, "task": "regression"}, "patches=9"),
        ({"dense": True}, "needs task=regression"),
    ],
)
def test_sizes_that_do_not_go_together_are_refused(sizes: dict, words: str) -> None:
    for space in (TransBench101SearchSpaceMicro, TransBench101SearchSpaceMacro):
        with pytest.raises(ConfigError, match=words):
            space(**sizes)
