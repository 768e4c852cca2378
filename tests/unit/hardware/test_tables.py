"""Latency tables: shapes, files, missing keys, measuring, and fits to published latencies."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from data_files import data_file
from small_spaces import mlp_space
from torch import nn

from naslib.errors import ConfigError
from naslib.hardware import (
    FittedTable,
    LatencyTable,
    builder,
    fit_choices,
    fit_nasbench201,
    measure_table,
    read_table,
    trace_candidates,
)
from naslib.hardware.measure import main
from naslib.hardware.trace import decision_edges
from naslib.optimizers import DARTSOptimizer
from naslib.search_spaces import NasBench201SearchSpace, NasBench301SearchSpace
from naslib.search_spaces.core.graph import Graph


class Clock:
    """A clock that stands still unless somebody moves it."""

    now = 0.0


class Ticks(nn.Sequential):
    """Identity that takes a given time; a module with a child, so that its structure is its key."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        super().__init__(nn.Identity())
        self.clock, self.seconds = clock, seconds

    def forward(self, x):
        self.clock.now += self.seconds
        return x

    def extra_repr(self) -> str:
        return str(self.seconds)

    def __deepcopy__(self, memo):
        return Ticks(self.clock, self.seconds)


@pytest.fixture
def clock(monkeypatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(builder, "perf_counter", lambda: made.now)
    return made


def ticking_space(clock: Clock):
    """mlp_space whose candidates take 6, 2 and 0.25 ms, and the rest of which takes 4 ms."""
    space = mlp_space()
    space.edges[1, 2].set("op", nn.Sequential(nn.Linear(6, 6), Ticks(clock, 4e-3)))
    for edge in space._edges_in_scope("cell", private_edge_data=True):
        edge.data.set("op", [Ticks(clock, seconds) for seconds in (6e-3, 2e-3, 0.25e-3)])
    return space


LATENCIES, TABLE, FBNET = map(data_file, ("nb201_latency.npz", "nb201.npz", "fbnet_latency.npz"))


def _nb201() -> NasBench201SearchSpace:
    return NasBench201SearchSpace(n_classes=4, channels=4, cells_per_stage=2)


# shapes


def test_every_copy_has_its_own_shapes():
    space = _nb201()
    before = {name: value.clone() for name, value in space.state_dict().items()}
    edges = trace_candidates(space, (3, 16, 16))
    assert len(edges) == 6 * 6 and len({edge.place for edge in edges}) == 36
    shapes = [edge.input_shape for edge in edges]
    assert {shape: shapes.count(shape) for shape in shapes} == {(4, 16, 16): 12, (8, 8, 8): 12, (16, 4, 4): 12}
    assert all(edge.output_shapes == [edge.input_shape] * 5 for edge in edges)
    assert before.keys() == space.state_dict().keys() and not space.is_parsed
    strided = trace_candidates(NasBench301SearchSpace(channels=4, cells=3, nodes=2), (3, 8, 8))
    halved = [edge for edge in strided if edge.output_shapes[0][1:] != edge.input_shape[1:]]
    assert len(strided) == 3 * 5 and len(halved) == 2 * 4  # two reduction cells, four edges from their inputs


def test_a_supernet_has_the_shapes_of_its_space():
    optimizer = DARTSOptimizer()
    optimizer.adapt_search_space(_nb201())
    first, second = trace_candidates(_nb201(), (3, 8, 8)), trace_candidates(optimizer.graph, (3, 8, 8))
    assert [(e.place, e.input_shape, e.output_shapes) for e in first] == [
        (e.place, e.input_shape, e.output_shapes) for e in second
    ]


def test_an_edge_keeps_its_key_whatever_else_is_gone():
    """The graph inside a candidate that was not chosen is gone from the discrete architecture."""

    def cell(name: str, *first: nn.Module) -> Graph:
        graph = Graph(name=name)
        graph.add_nodes_from([1, 2, 3])
        graph.add_edges_from([(1, 2), (2, 3)])
        graph.update_edges(lambda edge: edge.data.set("op", [*first, nn.Linear(6, 6), nn.Tanh()]))
        return graph

    optimizer = DARTSOptimizer()
    space = cell("b", cell("a"))
    optimizer.adapt_search_space(space)
    with torch.no_grad():
        for alpha in optimizer.architectural_weights:
            alpha.copy_(torch.arange(len(alpha)).to(alpha))  # the last candidate of each
    found = dict(decision_edges(optimizer.get_final_architecture(), "all"))
    assert found.keys() == {("b/1-2", 0), ("b/2-3", 0)} and all(type(d.op) is nn.Tanh for d in found.values())
    assert (
        found.keys() < dict(decision_edges(space, "all")).keys() == dict(decision_edges(optimizer.graph, "all")).keys()
    )


def test_what_cannot_be_traced():
    with pytest.raises(ConfigError, match=r"\(5,\)"):
        trace_candidates(mlp_space(), (5,))
    space = _nb201()
    space.sample_random_architecture()
    with pytest.raises(ConfigError, match="nothing to measure"):
        trace_candidates(space, (3, 8, 8))


# files


def test_a_table_survives_a_file(tmp_path: Path):
    table = LatencyTable({"a": 1.5, "b": 0.0}, 2.5, 7, {"X": "a"}, {"device": "mine", "input_shape": [3, 8, 8]})
    table.write(tmp_path / "table.json")
    assert read_table(tmp_path / "table.json") == table
    assert read_table(table) is table
    record = json.loads((tmp_path / "table.json").read_text())
    assert record["unit"] == "ms" and record["device"] == "mine"


def test_the_published_form_of_a_table(tmp_path: Path):
    path = tmp_path / "mobile.yaml"
    path.write_text(
        "Conv-input:224x224x3-output:112x112x32: {mean: 3.9, std: 1e-2}\n"
        "expanded_conv-input:112x112x16-output:56x56x24-expand:3-kernel:5-stride:2-idskip:0: {mean: 2}\n"
    )
    table = read_table(path)
    assert isinstance(table, LatencyTable) and table.fixed is None
    assert table.lookup("Conv-input:224x224x3-output:112x112x32") == 3.9
    with pytest.raises(ConfigError, match=r"kernel:3.*nearest: expanded_conv.*kernel:5(.|\n)*naslib.hardware.measure"):
        table.lookup("expanded_conv-input:112x112x16-output:56x56x24-expand:3-kernel:3-stride:2-idskip:0")


@pytest.mark.parametrize(
    ("content", "says"),
    [("{", "no JSON"), ("[1]", "mapping"), ("{}", "empty"), ('{"a": -1}', "a: -1"), ('{"format": "x"}', "format")],
)
def test_files_of_another_form(tmp_path: Path, content: str, says: str):
    path = tmp_path / "table.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match=says):
        read_table(path)


def test_a_file_that_is_not_there(tmp_path: Path):
    with pytest.raises(ConfigError, match="measure one"):
        read_table(tmp_path / "table.json")


def test_missing_operations_are_all_named():
    edges = trace_candidates(_nb201(), (3, 16, 16))
    table = LatencyTable({"Identity-input:16x16x4-output:16x16x4": 1.0})
    with pytest.raises(ConfigError) as caught:
        table.costs(edges)
    message = str(caught.value)
    assert "lacks 11 of the operations" in message and "and 6 more" in message
    assert "ReLUConvBN-input:16x16x4-output:16x16x4-kernel:3-stride:1 (nearest: Identity" in message


# measuring


def test_measured_times_are_those_of_the_operations(clock: Clock):
    """By a clock that only operations drive: each takes what it takes, and the rest of the network what is left."""
    space = ticking_space(clock)
    threads = torch.get_num_threads()
    table = measure_table(space, (6,), repeats=3, threads=1, progress=False)
    assert torch.get_num_threads() == threads
    assert sorted(table.entries.values()) == pytest.approx([0.25, 2.0, 6.0]) and table.n_edges == 6
    assert table.fixed == pytest.approx(4.0)
    assert table.info["batch"] == 1 and table.info["threads"] == 1 and table.info["input_shape"] == [6]
    assert {"device", "torch", "date"} <= set(table.info)
    for row in table.costs(trace_candidates(space, (6,))):
        assert row == pytest.approx([6.0, 2.0, 0.25])


def test_a_network_takes_the_sum_of_its_table(clock: Clock):
    torch.manual_seed(3)
    space = ticking_space(clock)
    table = measure_table(space, (6,), repeats=1, progress=False)
    optimizer = DARTSOptimizer(parts={"latency": {"table": table, "reference": 20.0}})
    optimizer.adapt_search_space(space)
    for index in range(3):
        with torch.no_grad():
            for alpha in optimizer.architectural_weights:
                alpha.copy_(torch.randn(3))
        final = optimizer.get_final_architecture()
        start = clock.now
        final(torch.zeros(1, 6))
        assert optimizer.parts["latency"].of(final) == pytest.approx(1e3 * (clock.now - start)), index


def test_what_cannot_be_measured():
    with pytest.raises(ConfigError, match="repeats"):
        measure_table(mlp_space(), (6,), repeats=0)


def test_the_command(tmp_path: Path, capsys, monkeypatch):
    monkeypatch.setattr(builder, "_SHORTEST", 1e-5)
    path = tmp_path / "table.json"
    arguments = ["--search-space", "nasbench201", "--output", str(path), "--repeats", "1", "--input", "3x8x8"]
    assert main([*arguments, "--space-args", "{channels: 4, cells_per_stage: 1}"]) == 0
    assert "12 operations" in capsys.readouterr().out
    table = read_table(path)
    space = NasBench201SearchSpace(channels=4, cells_per_stage=1)
    assert len(table.costs(trace_candidates(space, (3, 8, 8)))) == 18
    with pytest.raises(ConfigError, match="18 edges"):
        table.costs(trace_candidates(_nb201(), (3, 8, 8)))
    assert main(["--search-space", "nasbench2", "--output", str(path)]) == 2
    assert "nasbench201" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "parts:" in capsys.readouterr().out


# fits


def _linear(noise: float, n: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    truth = rng.uniform(0.5, 3, (4, 3))
    truth[:, 1] = 0.0
    choices = rng.integers(0, 3, (n, 4))
    return truth, choices, 7.0 + truth[np.arange(4), choices].sum(1) + noise * rng.normal(size=n)


def test_a_linear_latency_is_found_exactly(tmp_path: Path):
    truth, choices, latency = _linear(0.0)
    fit = fit_choices(choices, latency, positions=["1>2", "1>3", "2>3", "3>4"], ops=["a", "b", "c"], reference=1)
    np.testing.assert_allclose(fit.milliseconds, truth, atol=1e-10)
    assert fit.fixed == pytest.approx(7.0) and fit.r2 == pytest.approx(1.0) and fit.mape < 1e-9
    np.testing.assert_allclose(fit.predict(choices), latency, atol=1e-9)
    assert fit.info["n_test"] == 80 and "least squares" in fit.info["method"]
    fit.write(tmp_path / "fit.json")
    assert read_table(tmp_path / "fit.json") == fit


def test_the_error_is_that_of_networks_which_the_fit_has_not_seen():
    _, choices, latency = _linear(0.5, 60)
    fit = fit_choices(choices, latency, positions=list("wxyz"), ops=["a", "b", "c"], held_out=0.5)
    seen = np.random.default_rng(0).permutation(60)[30:]
    error = fit.predict(choices) - latency
    assert fit.r2 < 1 - (error[seen] ** 2).sum() / ((latency[seen] - latency[seen].mean()) ** 2).sum()
    with pytest.raises(ConfigError, match="unknowns"):
        fit_choices(choices[:9], latency[:9], positions=list("wxyz"), ops=["a", "b", "c"])
    with pytest.raises(ConfigError, match="shape"):
        fit_choices(choices, latency, positions=["w"], ops=["a", "b", "c"])


needs_data = pytest.mark.skipif(
    not all(file.is_file() for file in (LATENCIES, TABLE, FBNET)), reason="the published latencies are not here"
)


@needs_data
@pytest.mark.parametrize(
    ("device", "r2", "mape"),
    [("eyeriss", 0.9999, 0.1), ("1080ti_256", 0.999, 0.5), ("silver_4210r", 0.98, 3.0), ("gold_6240", 0.9, 9.0)],
)
def test_published_latencies_of_nasbench201(device: str, r2: float, mape: float):
    fit = fit_nasbench201(LATENCIES, TABLE, device)
    assert isinstance(fit, FittedTable) and fit.info["device"] == device
    assert fit.r2 > r2 and fit.mape < mape
    costs = fit.costs(trace_candidates(_nb201(), (3, 8, 8)))
    # six copies of each edge share what the fit gives to the edge
    of_3x3 = sum(row[fit.ops.index("ReLUConvBN3x3")] for row in fit.milliseconds)
    assert sum(row[2] for row in costs) == pytest.approx(of_3x3)
    # candidates are Identity, Zero, 3x3, 1x1, pooling
    assert all(row[1] == 0 and row[2] > row[3] > row[1] for row in costs)


@needs_data
def test_fits_that_do_not_belong_together():
    with pytest.raises(ConfigError, match="did you mean"):
        fit_nasbench201(LATENCIES, TABLE, "pixel33")
    fit = fit_nasbench201(LATENCIES, TABLE, "fpga")
    with pytest.raises(ConfigError, match="no operation"):
        fit.costs(trace_candidates(NasBench301SearchSpace(channels=4, cells=3, nodes=2), (3, 8, 8)))


@needs_data
@pytest.mark.parametrize(("device", "r2"), [("fpga", 0.9999), ("2080ti_64", 0.99), ("gold_6226", 0.9)])
def test_published_latencies_of_fbnet(device: str, r2: float):
    with np.load(FBNET) as file:
        ops = [str(name) for name in file["op_names"]]
        choices, latency = file["op_idx"], file["latency_ms"][list(file["devices"]).index(device)]
    blocks = [str(block) for block in range(22)]
    fit = fit_choices(choices, latency, positions=blocks, ops=ops, reference=ops.index("skip"))
    assert fit.r2 > r2 and fit.mape < 3.0
