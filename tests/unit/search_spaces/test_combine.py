"""Combinations at nodes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from naslib.search_spaces.core import combine
from naslib.search_spaces.core import primitives as ops
from naslib.search_spaces.core.graph import EdgeData, Graph


def test_functions_of_a_list_of_tensors() -> None:
    tensors = [torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(s)) for s in range(3)]
    stacked = torch.stack(tensors)
    assert torch.equal(combine.channel_concat(tensors)[:, 3:6], tensors[1])
    assert combine.channel_concat(tensors).shape == (2, 9, 4, 4)
    assert torch.equal(combine.channel_maxout(tensors), stacked.max(0).values)
    torch.testing.assert_close(combine.mean(tensors), sum(tensors) / 3)


def test_concat1x1_concatenates_in_order() -> None:
    op = ops.Concat1x1(num_in_edges=2, C_out=3, affine=False).double()
    a, b = (torch.randn(4, 3, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(s)) for s in (0, 1))
    weight = op.conv.weight[:, :, 0, 0]
    mixed = torch.einsum("nchw,oc->nohw", a, weight[:, :3]) + torch.einsum("nchw,oc->nohw", b, weight[:, 3:])
    mean, var = mixed.mean((0, 2, 3), keepdim=True), mixed.var((0, 2, 3), keepdim=True, unbiased=False)
    torch.testing.assert_close(op([a, b]), (mixed - mean) / (var + 1e-5).sqrt())


def test_a_comb_op_of_ours_reads_the_data_of_its_edges() -> None:
    class Weighted(ops.AbstractCombOp):
        def forward(self, tensors: list[Tensor], edges_data: list[EdgeData]) -> Tensor:
            return self.comb_op([t * data.factor for t, data in zip(tensors, edges_data, strict=True)])

    graph = Graph("g")
    graph.add_edges_from([(1, 2), (1, 3), (2, 3)])
    graph.edges[1, 2].set("op", nn.Identity())
    graph.edges[1, 3].set("factor", 2.0)
    graph.edges[2, 3].set("factor", 5.0)
    graph.nodes[3]["comb_op"] = Weighted(sum)
    graph.parse()
    assert graph(torch.ones(1)).item() == 7.0
    assert graph.nodes[3]["comb_op"].init_params == {"comb_op": sum}
