"""The TangleNAS cell space: its networks and their sizes, the genotype, entangled candidates."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
import torch
from data_files import data_file
from torch import nn

from naslib.benchmarks import TangleNASCellTable
from naslib.errors import ArchitectureError, ConfigError
from naslib.optimizers import DARTSOptimizer
from naslib.optimizers.oneshot.parts._resize import common_shape
from naslib.search_spaces import TangleNASCellSearchSpace
from naslib.search_spaces.core.architecture import op_name
from naslib.search_spaces.core.elastic import entangle
from naslib.search_spaces.core.query_metrics import Metric
from naslib.search_spaces.tanglenas_cell.codec import OP_NAMES, count_parameters
from naslib.search_spaces.tanglenas_cell.graph import candidates

FILE = data_file("tanglenas_toy.npz")
needs_table = pytest.mark.skipif(not FILE.is_file(), reason=f"no {FILE.name} in the shared data directory")
GENOTYPE = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 0), ('dil_conv_3x3', 1)], normal_concat=range(1, 3), "
    "reduce=[('sep_conv_3x3', 0), ('dil_conv_3x3', 0), ('sep_conv_3x3', 1)], reduce_concat=range(1, 3))"
)
BEST = (0, 0, 2, 0, 2, 0)


def _made(code: tuple[int, ...], **sizes: object) -> TangleNASCellSearchSpace:
    space = TangleNASCellSearchSpace(**sizes)
    space.set_spec(code)
    space.compile()
    space.parse()
    return space


@pytest.mark.parametrize("code", [BEST, (0,) * 6, (1, 2, 3, 3, 2, 1)])
def test_a_network_has_the_parameters_of_the_formula(code: tuple[int, ...]) -> None:
    network = _made(code)
    assert sum(p.numel() for p in network.parameters()) == count_parameters(code)
    small = _made(code, channels=4, in_channels=3, n_classes=5)
    assert sum(p.numel() for p in small.parameters()) == count_parameters(code, 5, 3, 4)


@needs_table
def test_the_table_counts_the_cells_in_each_others_places() -> None:
    table = TangleNASCellTable(FILE)
    stored = np.load(FILE)["cell_num_params"]
    for row, code in enumerate(table.codes.tolist()):
        assert count_parameters((*code[3:], *code[:3])) == stored[row]
    found = table.query_batch(table.codes, Metric.PARAMETERS, "fashion_mnist")
    assert found.tolist() == [count_parameters(code) / 1e6 for code in table.codes.tolist()]


def test_the_cells_have_the_edges_strides_and_operations_of_the_authors() -> None:
    network = _made((0, 1, 2, 3, 2, 1))
    cells = [graph for graph in network.nested_graphs() if graph.name in ("normal", "reduce")]
    assert [cell.name for cell in cells] == ["reduce", "normal", "reduce"]
    names = {edge: [op_name(cell.edges[edge].op) for cell in cells] for edge in ((2, 3), (2, 4), (3, 4))}
    assert names == {
        (2, 3): ["DilConv5x5", "SepConv3x3", "DilConv5x5"],
        (2, 4): ["DilConv3x3", "SepConv5x5", "DilConv3x3"],
        (3, 4): ["SepConv5x5", "DilConv3x3", "SepConv5x5"],
    }
    images = torch.randn(2, 1, 28, 28)
    sides = []
    for cell in cells:
        cell.register_forward_hook(lambda _, __, output: sides.append(tuple(output.shape[1:])))
    assert network(images).shape == (2, 10)
    assert sides == [(64, 14, 14), (64, 14, 14), (128, 7, 7)]
    linear = [module for module in network.modules() if isinstance(module, nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in linear] == [(1152, 128), (128, 10)]


def test_a_genotype_of_the_authors_is_read_and_written() -> None:
    space = TangleNASCellSearchSpace(channels=4)
    space.set_spec(GENOTYPE)
    assert space.get_code() == BEST
    genotype = space.genotype()
    assert genotype["normal"] == [["sep_conv_3x3", 0], ["sep_conv_3x3", 0], ["dil_conv_3x3", 1]]
    assert genotype["reduce_concat"] == [1, 2]
    for form in (genotype, str(genotype), BEST, list(BEST), str(BEST)):
        again = TangleNASCellSearchSpace(channels=4)
        again.set_spec(form)
        assert again.get_code() == BEST


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"normal": [["sep_conv_3x3", 0], ["sep_conv3x3", 0], ["dil_conv_3x3", 1]]}, "did you mean 'sep_conv_3x3'?"),
        ({"reduce": [["sep_conv_3x3", 0], ["sep_conv_3x3", 1], ["dil_conv_3x3", 1]]}, "come from the nodes"),
        ({"normal": [["sep_conv_3x3", 0]]}, "normal of a TangleNAS cell is"),
        ({"reduce_concat": [2]}, "reduce_concat"),
    ],
)
def test_another_genotype_is_refused(change: dict, words: str) -> None:
    space = TangleNASCellSearchSpace(channels=4)
    with pytest.raises(ArchitectureError, match=words.replace("?", r"\?")):
        space.set_spec({**_made(BEST, channels=4).genotype(), **change})


@pytest.mark.parametrize(
    ("sizes", "words"),
    [({"entanglement": "weight"}, "did you mean 'weights'"), ({"image_size": 4}, "at least 5"), ({"channels": 0}, "1")],
)
def test_wrong_arguments_are_refused(sizes: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        TangleNASCellSearchSpace(**sizes)


def test_the_separable_convolutions_of_an_edge_are_slices_of_one_weight() -> None:
    sizes = {}
    for entanglement in ("weights", "none"):
        optimizer = DARTSOptimizer(epochs=1)
        optimizer.adapt_search_space(TangleNASCellSearchSpace(channels=4, image_size=8, entanglement=entanglement))
        sizes[entanglement] = sum(p.numel() for p in optimizer.graph.parameters())
    smaller = {
        width: sum(
            sum(p.numel() for p in op.parameters())
            for op in candidates(width, 1)
            if op_name(op) in ("SepConv3x3", "DilConv3x3")
        )
        for width in (4, 8)
    }
    assert sizes["none"] - sizes["weights"] == 2 * 3 * smaller[4] + 3 * smaller[8]


def test_a_mixture_of_weights_is_that_of_outputs_up_to_batch_norm() -> None:
    """With all weight on one operation both are that operation; the first convolutions mix alike in float64."""
    code = (1, 0, 3, 2, 1, 0)
    found = []
    for entanglement in ("weights", "outputs"):
        torch.manual_seed(0)
        optimizer = DARTSOptimizer(epochs=1)
        optimizer.adapt_search_space(TangleNASCellSearchSpace(channels=4, image_size=8, entanglement=entanglement))
        optimizer.graph.double().eval()
        rows = {name: torch.eye(4, dtype=torch.float64)[gene] for name, gene in _decided(optimizer, code)}
        with torch.no_grad(), optimizer.assigned(type(optimizer.sample())(rows)):
            found.append(optimizer.graph(torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(1)).double()))
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-12)


def _decided(optimizer: DARTSOptimizer, code: tuple[int, ...]) -> list[tuple[str, int]]:
    places = {name: place for place, name in enumerate(optimizer.search_space.decision_space.names)}
    return [(name, code[places[name]]) for name in optimizer.decision_names]


@needs_table
def test_an_architecture_asks_the_table() -> None:
    table = TangleNASCellTable(FILE)
    space = TangleNASCellSearchSpace()
    space.set_spec(BEST)
    assert space.query(Metric.TEST_ACCURACY, "fashion_mnist", dataset_api=table) == pytest.approx(91.63, abs=5e-3)
    by_index = TangleNASCellSearchSpace()
    by_index.set_spec(table.index_of(BEST), dataset_api=table)
    assert by_index.get_code() == BEST and OP_NAMES[by_index.get_code()[2]] == "dil_conv_3x3"


@pytest.mark.parametrize("stride", [1, 2])
def test_parts_around_edges_see_the_shape_of_entangled_candidates(stride: int) -> None:
    """The auxiliary connection of DARTS- has the stride of the operations that share their weights."""
    shared = entangle(candidates(4, stride)[:2])
    assert common_shape(shared) == common_shape(candidates(4, stride)) == (4, 4, stride)


def test_drawn_architectures_are_all_over_the_space() -> None:
    space = TangleNASCellSearchSpace(channels=2, image_size=8).decision_space
    codes = {space.random(Random(seed)) for seed in range(200)}
    assert all({code[gene] for code in codes} == {0, 1, 2, 3} for gene in range(6))
