"""Plan against the naive interpreter on every space: supernet, discrete graph and evaluation network."""

from __future__ import annotations

import pytest
import torch
from reference import interpret

from naslib.optimizers import DARTSOptimizer
from naslib.search_spaces import (
    FBNetSearchSpace,
    MnasNetSearchSpace,
    NasBench201SearchSpace,
    NasBench301SearchSpace,
    SimpleCellSearchSpace,
)
from naslib.search_spaces.core.graph import Graph

SPACES = {
    "simple_cell": lambda: SimpleCellSearchSpace(channels=4),
    "nasbench201": lambda: NasBench201SearchSpace(channels=4, cells_per_stage=1),
    "nasbench301": lambda: NasBench301SearchSpace(channels=4, cells=3),
    # 16 channels reach the hand-written kernels
    "fbnet": lambda: FBNetSearchSpace(10, widths=(16, 16), n_cells=(2, 1), strides=(1, 2), head_channels=8),
    "mnasnet": lambda: MnasNetSearchSpace(
        10, blocks=["ir_r2_k3|5_s2_e2_c8_se0.5", "er|ds|cn_r2_k3_s1_c8"], stem_channels=8, head_channels=8
    ),
}


def _outputs_and_gradients(run, graph: Graph, x: torch.Tensor):
    state = {name: value.clone() for name, value in graph.state_dict().items()}
    out, auxiliary = run(graph, x)
    outputs = [out, *auxiliary.values()]
    parameters = [*graph.parameters(), *dict.fromkeys(graph.get_all_edge_data("alpha"))]
    loss = sum((o * o).sum() for o in outputs)
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    buffers = {name: value.clone() for name, value in graph.named_buffers()}
    graph.load_state_dict(state)
    return outputs, gradients, buffers


@pytest.mark.parametrize("kind", ["supernet", "discrete", "evaluation"])
@pytest.mark.parametrize("name", sorted(SPACES))
def test_plan_equals_interpreter(name: str, kind: str):
    torch.manual_seed(0)
    optimizer = DARTSOptimizer()
    optimizer.adapt_search_space(SPACES[name]())
    with torch.no_grad():
        for alpha in optimizer.architectural_weights:
            alpha.copy_(torch.randn_like(alpha))
    graph = optimizer.graph if kind == "supernet" else optimizer.get_final_architecture()
    if kind == "evaluation":
        graph = graph.evaluation_network()
    graph = graph.double()
    optimizer.architectural_weights.double()
    x = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    expected = _outputs_and_gradients(interpret, graph, x)
    found = _outputs_and_gradients(Graph.forward_with_auxiliary, graph, x)
    assert len(expected[0]) == (2 if (name, kind) == ("nasbench301", "evaluation") else 1)
    torch.testing.assert_close(found[0], expected[0], rtol=1e-10, atol=1e-10)
    compared = 0
    for a, b in zip(found[1], expected[1], strict=True):
        if a is not None or b is not None:
            torch.testing.assert_close(
                torch.zeros_like(b) if a is None else a, torch.zeros_like(a) if b is None else b, rtol=1e-10, atol=1e-9
            )
            compared += 1
    assert compared >= 10
    for key, value in expected[2].items():
        torch.testing.assert_close(found[2][key], value, rtol=1e-12, atol=1e-12)
