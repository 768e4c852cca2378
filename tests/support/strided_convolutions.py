"""Networks with strided 1x1 convolutions in every place a network of ours may have one, and a program that trains one.

`python strided_convolutions.py NAME` takes some steps and prints "fine". Run it with `ONEDNN_MAX_CPU_ISA=AVX2`.
"""

from __future__ import annotations

import sys

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from naslib.mixed_operations import ArchitectureSearchModel, ContinuousMixedOp
from naslib.optimizers import DARTSOptimizer
from naslib.search_spaces import NasBench301SearchSpace
from naslib.search_spaces.core import primitives as ops
from naslib.search_spaces.core.graph import Graph


def _conv(c_in: int = 4, c_out: int = 4, **kwargs) -> nn.Conv2d:
    return nn.Conv2d(c_in, c_out, 1, stride=2, **{"bias": False, **kwargs})


def graph_of(op: nn.Module | list[nn.Module], comb_op=None, cls: type[Graph] = Graph) -> Graph:
    """Return a graph with one edge for `op`, behind one and before another."""
    graph = cls("network")
    graph.add_nodes_from([1, 2, 3, 4])
    graph.add_edge(1, 2, op=nn.Identity())
    graph.add_edge(2, 3, op=op)
    graph.add_edge(3, 4, op=nn.Identity())
    if comb_op is not None:
        graph.add_edge(1, 3, op=_conv())
        graph.nodes[3]["comb_op"] = comb_op
    return graph


class Functional(nn.Module):
    """A user's module that calls the function."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(6, 4, 1, 1))
        self.bias = nn.Parameter(torch.randn(6))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, bias=self.bias, stride=(2, 1), padding="valid")


class OwnConv(nn.Conv2d):
    """A user's kind of convolution."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * 2


class OwnPrimitive(ops.AbstractPrimitive):
    """A user's operation."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = _conv(bias=True)

    def forward(self, x: Tensor, edge_data=None) -> Tensor:
        return self.conv(x)


class Checkpointed(nn.Module):
    """A user's module that computes its activations again in the backward."""

    def __init__(self) -> None:
        super().__init__()
        self.op = nn.Sequential(nn.Tanh(), _conv(bias=True), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        return checkpoint(self.op, x, use_reentrant=False)


class OwnCombination(nn.Module):
    """A user's combination at a node."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = _conv()

    def forward(self, tensors: list[Tensor]) -> Tensor:
        return self.conv(torch.stack(list(tensors)).sum(0))


class OwnGraph(Graph):
    """A graph with a forward of its own."""

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(super().forward(x), torch.ones(3, 4, 1, 1, dtype=x.dtype, requires_grad=True), stride=2)


class OwnModel(ArchitectureSearchModel, nn.Module):
    """A model with a mixed operation and other layers."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _conv()
        self.mixed = ContinuousMixedOp([_conv(bias=True), nn.Sequential(nn.ReLU(), _conv())], 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.mixed(self.stem(x))


def _mixture() -> Graph:
    graph = graph_of([_conv(), ops.FactorizedReduce(4, 4), ops.ReLUConvBN(4, 4, 1, stride=2), OwnPrimitive()])
    optimizer = DARTSOptimizer()
    optimizer.adapt_search_space(graph)
    return optimizer.graph


def _hooked() -> Graph:
    conv = _conv()
    conv.register_forward_hook(lambda module, inputs, output: None)
    return graph_of(conv)


def _nested() -> Graph:
    graph = graph_of(graph_of(_conv(), cls=OwnGraph))
    graph.set_passes(checkpoint=True)
    return graph


NETWORKS = {
    "conv": lambda: graph_of(_conv()),
    "bias": lambda: graph_of(_conv(6, 8, bias=True)),
    "hooked": _hooked,
    "strides": lambda: graph_of(nn.Conv2d(4, 3, 1, stride=(1, 2))),
    "reflect": lambda: graph_of(_conv(padding_mode="reflect")),
    "own_conv": lambda: graph_of(OwnConv(4, 4, 1, stride=2)),
    "sequential": lambda: graph_of(nn.Sequential(nn.ReLU(), nn.Sequential(_conv(), nn.BatchNorm2d(4)))),
    "functional": lambda: graph_of(Functional()),
    "own_primitive": lambda: graph_of(OwnPrimitive()),
    "checkpointed": lambda: graph_of(Checkpointed()),
    "combination": lambda: graph_of(_conv(), comb_op=OwnCombination()),
    "own_graph": lambda: graph_of(nn.Identity(), cls=OwnGraph),
    "nested": _nested,
    "mixture": _mixture,
    "factorized_reduce": lambda: ops.FactorizedReduce(4, 4),
    "relu_conv_bn": lambda: ops.ReLUConvBN(4, 4, 1, stride=2, bias=True),
    "conv_bn_relu": lambda: ops.ConvBnReLU(4, 4, 1, stride=2),
    "primitive_sequence": lambda: ops.Sequential(nn.ReLU(), _conv()),
    "drop_path": lambda: ops.DropPath(_conv(), 0.0),
    "mixed_operations": OwnModel,
}


def build(name: str) -> nn.Module:
    """Return a network, its parts registered."""
    network = NETWORKS[name]()
    if isinstance(network, Graph):
        network.parse()
    return network


def channels_of(network: nn.Module) -> int:
    """Return how many channels enter."""
    return next((m.in_channels for m in network.modules() if isinstance(m, nn.Conv2d)), 4)


def _train(name: str) -> None:
    network = build(name).to(memory_format=torch.channels_last)
    c = channels_of(network)
    for _ in range(6):
        for size in (8, 12):
            x = torch.randn(8, c, size, size).contiguous(memory_format=torch.channels_last).requires_grad_()
            network(x).square().sum().backward()


def _search() -> None:
    """Search with two channels per candidate."""
    optimizer = DARTSOptimizer()
    optimizer.adapt_search_space(NasBench301SearchSpace(2, in_channels=3, cells=3, nodes=2, channels=2, image_size=32))
    optimizer.graph.to(memory_format=torch.channels_last)
    optimizer.before_training()
    optimizer.new_epoch(0)
    for _ in range(3):
        first, second = (
            (torch.randn(8, 3, 32, 32).contiguous(memory_format=torch.channels_last), torch.randint(2, (8,)))
            for _ in range(2)
        )
        optimizer.step(first, second)


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.set_num_threads(1)
    for name in sys.argv[1:]:
        print(name, flush=True)
        _search() if name == "search" else _train(name)
    print("fine")
