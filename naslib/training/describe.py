"""Describe a search before it runs: what is searched, how large it is, how much memory a step will take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from naslib.search_spaces.core.flops import zero_inputs
from naslib.search_spaces.core.graph import Graph
from naslib.utils.seeding import rng_restore, rng_snapshot

from .arch_weights import RecordedDecision, record_of

# The batch that is really run; what it saves for the backward is scaled to the batch size.
_PROBE = 2


def describe_space(optimizer: Any) -> str:
    """Return a few lines on an adapted search space: graph, decisions and candidates, parameters."""
    graph = optimizer.graph
    lines = [
        f"search space   {graph.get_type()}: {graph.number_of_nodes()} nodes, "
        f"{len(graph.nested_graphs())} graphs in all"
    ]
    recorder = record_of(optimizer)
    if recorder is not None:
        lines.append(f"decisions      {len(recorder.decisions)}")
        lines += _decision_lines(recorder.decisions)
    elif graph.codec is not None:
        lines.append("decisions      made on codes; no module is built during the search")
    lines.append(f"parameters     {optimizer.get_model_size():.6f} M in the search network")
    return "\n".join(lines)


def _decision_lines(decisions: Sequence[RecordedDecision]) -> list[str]:
    kinds: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for decision in decisions:
        edge = decision.name.rpartition("/")[2]
        kinds.setdefault((decision.name.rpartition("/")[0], decision.ops), []).append(edge)
    return [f"  {graph}: {', '.join(edges)}: one of {', '.join(ops)}" for (graph, ops), edges in kinds.items()]


def estimate_memory_mb(graph: nn.Module, input_shape: Sequence[int], batch_size: int) -> float:
    """Return about how many MB a training step takes: weights, gradients, momentum, what backward needs.

    A forward of two images is run and what autograd keeps is counted; random state and BN statistics stay.

    Args:
        graph: The search network.
        input_shape: Of one input.
        batch_size: Inputs per batch.
    """
    kept: dict[tuple[int, int], int] = {}
    parameters = {parameter.untyped_storage().data_ptr() for parameter in graph.parameters()}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            kept[storage.data_ptr(), storage.nbytes()] = storage.nbytes()
        return tensor

    random_state = rng_snapshot()
    buffers = [buffer.clone() for buffer in graph.buffers()]
    was_training = graph.training
    graph.train()
    try:
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            output = graph(zero_inputs(graph, _PROBE, input_shape))
        del output
    finally:
        graph.train(was_training)
        with torch.no_grad():
            for buffer, value in zip(graph.buffers(), buffers, strict=True):
                buffer.copy_(value)
        rng_restore(random_state)
    weights = sum(parameter.numel() * parameter.element_size() for parameter in graph.parameters())
    # The architecture step and the weight step follow each other, so one graph is alive at a time.
    return (3 * weights + sum(kept.values()) * batch_size / _PROBE) / 2**20


def describe_memory(optimizer: Any, input_shape: Sequence[int], batch_size: int) -> str:
    """Return the line of the memory estimate."""
    if not optimizer.using_step_function or not optimizer.is_adapted:
        return "memory         no network is trained during the search"
    estimate = estimate_memory_mb(optimizer.graph, input_shape, batch_size)
    return f"memory         about {estimate:.0f} MB for a step on {batch_size} images"


def layer_tree(module: nn.Module) -> str:
    """Return a module and all its layers as text, as torch prints modules, with the layers of nested graphs."""
    name = f"{type(module).__name__} {module.name}" if isinstance(module, Graph) else type(module).__name__
    more = module.extra_repr().splitlines()
    children = [f"({key}): {layer_tree(child)}" for key, child in module.named_children()]
    if not children:
        return f"{name}({', '.join(more)})" if isinstance(module, Graph) else repr(module)
    lines = [line for entry in [*more, *children] for line in entry.splitlines()]
    return "\n".join([f"{name}(", *(f"  {line}" for line in lines), ")"])
