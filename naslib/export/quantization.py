"""Quantisation to int8 after the training ([Jacob2018quantization]): weights per channel, values per tensor.

Convolutions, linear layers and products with a weight get weights of 8 bits, symmetric, one scale per output channel
(section 2.1, with zero point 0); batch norms are folded into the convolution before them (section 3.2). What goes into
such a layer, and what comes out of it, is rounded to 256 levels whose range was observed on training data. Tables of
embeddings keep 8 bits per number and are looked up in full precision.
"""

from __future__ import annotations

import copy
import importlib
import itertools
import operator
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx import Interpreter, Node

from naslib.errors import ExportError

aten = torch.ops.aten

# Operator: which axis of its weight is that of the outputs
_CONVOLUTIONS = {aten.conv1d.default, aten.conv2d.default, aten.conv3d.default, aten.conv2d.padding}
_LINEAR = {aten.linear.default: 0, aten.matmul.default: -1, aten.mm.default: -1}
_LAYERS = {**dict.fromkeys(_CONVOLUTIONS, 0), **_LINEAR}
_NORMS = {aten.batch_norm.default, aten.native_batch_norm.default, aten._native_batch_norm_legit_no_training.default}
_RECTIFIERS = {aten.relu.default, aten.relu_.default, aten.hardtanh.default, aten.hardtanh_.default}
# Weights of operators that are looked up or run as a whole keep their computation
_STORED = {aten.embedding.default: (0,), aten.lstm.input: (2,), aten.gru.input: (2,)}
# int8 and uint8
_WEIGHT_LEVELS, _LOW, _HIGH = 127, 0, 255


@dataclass
class QuantizedProgram:
    """An int8 form of a network.

    Attributes:
        module: Takes inputs and gives outputs.
        layers: How many layers have weights of 8 bits.
        stored: How many tables and recurrent weights are kept in 8 bits beside.
    """

    module: fx.GraphModule
    layers: int
    stored: int


def quantize(program: Any, calibration: Iterable[Tensor], for_onnx: bool = False) -> QuantizedProgram:
    """Return an int8 form of a program of `torch.export`.

    Args:
        program: What `program_of` returned.
        calibration: Batches of inputs, `(n, ...)`, on which the ranges of values are observed.
        for_onnx: Whether weights are unpacked by the operator that ONNX has a form for, or by plain arithmetic.

    Raises:
        ExportError: If there is no layer to quantise, or no calibration data.
    """
    module = copy.deepcopy(program.module())
    _drop_guards(module)
    _fold_norms(module)
    layers = [node for node in module.graph.nodes if _weight_of(module, node) is not None]
    stored = [node for node in module.graph.nodes if node.target in _STORED]
    if not layers and not stored:
        raise ExportError("the network has no convolution, linear layer or table that int8 has a form for")
    ranges = _observe(module, _points(module, layers), calibration)
    pack = _Packing(module, for_onnx)
    for node in layers:
        place = 0 if _is_constant(module, node.args[0]) else 1
        pack.put(node, place, _LAYERS[node.target] if place else 0)
    for node in stored:
        for place in _STORED[node.target]:
            pack.put_all(node, place)
    for node, (scale, zero) in ranges.items():
        _round_values(module, node, scale, zero, for_onnx)
    module.graph.eliminate_dead_code()
    module.delete_all_unused_submodules()
    _drop_unused(module)
    module.recompile()
    return QuantizedProgram(module, len(layers), pack.stored)


def _points(module: fx.GraphModule, layers: list[Node]) -> list[Node]:
    """Return the nodes whose values are rounded: inputs and outputs of layers, an output behind its rectifier."""
    ends = {argument for node in module.graph.nodes if node.op == "output" for argument in node.all_input_nodes}
    found: dict[Node, None] = {}
    for node in layers:
        entry = node.args[1] if _is_constant(module, node.args[0]) else node.args[0]
        if isinstance(entry, Node):
            found[entry] = None
        users = list(node.users)
        leaves = users[0] if len(users) == 1 and users[0].target in _RECTIFIERS else node
        if leaves not in ends and node not in ends:
            found[leaves] = None
    return list(found)


class _Observer(Interpreter):
    """Run a module and let observers see the values of some nodes."""

    def __init__(self, module: fx.GraphModule, observers: dict[Node, Any]) -> None:
        super().__init__(module)
        self.observers = observers

    def run_node(self, n: Node) -> Any:
        """Return the value of a node, once its observer has seen it."""
        value = super().run_node(n)
        if n in self.observers and isinstance(value, Tensor) and value.is_floating_point():
            self.observers[n](value.detach())
        return value


@torch.no_grad()
def _observe(module: fx.GraphModule, nodes: list[Node], calibration: Iterable[Tensor]) -> dict[Node, tuple[float, int]]:
    """Return scale and zero point of the values of nodes; nodes without floats are left out."""
    from torch.ao.quantization.observer import HistogramObserver

    observers = {
        node: HistogramObserver(dtype=torch.quint8, quant_min=_LOW, quant_max=_HIGH, reduce_range=False)
        for node in nodes
    }
    interpreter, seen = _Observer(module, observers), 0
    for inputs in calibration:
        interpreter.run(inputs)
        seen += len(inputs)
    if not seen:
        raise ExportError("there are no inputs to calibrate on")
    found: dict[Node, tuple[float, int]] = {}
    for node, observer in observers.items():
        if observer.min_val.numel() and bool(torch.isfinite(observer.min_val)):
            scale, zero = observer.calculate_qparams()
            found[node] = float(scale), int(zero)
    return found


def _round_values(module: fx.GraphModule, node: Node, scale: float, zero: int, for_onnx: bool) -> None:
    """Let all that use a node use its values rounded to 256 levels."""
    graph, users = module.graph, list(node.users)
    with graph.inserting_after(node):
        rounded = graph.call_function(torch.clone, (node,))  # the place of what follows
    with graph.inserting_before(rounded):
        levels = _on_levels_by_operator(graph, node, scale, zero) if for_onnx else _on_levels(graph, node, scale, zero)
    for user in users:
        user.replace_input_with(node, levels)
    graph.erase_node(rounded)


def _on_levels(graph: fx.Graph, node: Node, scale: float, zero: int) -> Node:
    """Add the arithmetic: clamp(round(x / scale), -zero, 255 - zero) * scale."""
    counted = graph.call_function(aten.round.default, (graph.call_function(aten.mul.Tensor, (node, 1.0 / scale)),))
    kept = graph.call_function(aten.clamp.default, (counted, _LOW - zero, _HIGH - zero))
    return graph.call_function(aten.mul.Tensor, (kept, scale))


def _on_levels_by_operator(graph: fx.Graph, node: Node, scale: float, zero: int) -> Node:
    _bring_operators()
    operators = torch.ops.quantized_decomposed
    settings = scale, zero, _LOW, _HIGH, torch.uint8
    levels = graph.call_function(operators.quantize_per_tensor.default, (node, *settings))
    return graph.call_function(operators.dequantize_per_tensor.default, (levels, *settings))


def _bring_operators() -> None:
    """Let torch know the operators that ONNX has quantised forms for."""
    importlib.import_module("torch.ao.quantization.fx._decomposed")


@dataclass
class _Packing:
    """Replace constants by their 8 bits and what unpacks them."""

    module: fx.GraphModule
    for_onnx: bool
    stored: int = 0
    _names: itertools.count[int] = field(default_factory=itertools.count)
    # What several operators read (tied weights) is kept once
    _made: dict[tuple[int, int], tuple[str, str]] = field(default_factory=dict)
    _kept: list[Tensor] = field(default_factory=list)

    def put_all(self, node: Node, place: int) -> None:
        """Keep a weight, or all matrices of a list of weights, in 8 bits."""
        given = node.args[place]
        nodes = list(given) if isinstance(given, list | tuple) else [given]
        fresh = [
            self._unpacked(node, one, 0) if _is_constant(self.module, one, 2) else one  # type: ignore[arg-type]
            for one in nodes
        ]
        self.stored += sum(new is not old for new, old in zip(fresh, nodes, strict=True))
        node.update_arg(place, fresh if isinstance(given, list | tuple) else fresh[0])

    def put(self, node: Node, place: int, axis: int) -> None:
        """Keep the weight of a layer in 8 bits, one scale per output."""
        given: Any = node.args[place]
        node.update_arg(place, self._unpacked(node, given, axis))

    def _unpacked(self, user: Node, given: Node, axis: int) -> Node:
        weight = _constant(self.module, given)
        axis %= weight.dim()
        key = weight.data_ptr(), axis
        if key not in self._made:
            self._kept.append(weight)  # so that no other tensor gets its place
            self._made[key] = self._pack(weight, axis)
        bits, scales = self._made[key]
        graph = self.module.graph
        with graph.inserting_before(user):
            numbers, scale = graph.get_attr(bits), graph.get_attr(scales)
            if self.for_onnx:
                return self._unpacked_by_operator(numbers, scale, axis)
            floats = graph.call_function(aten.to.dtype, (numbers, torch.float32))
            shape = [1] * weight.dim()
            shape[axis] = weight.shape[axis]
            column = graph.call_function(aten.view.default, (scale, shape))
            return graph.call_function(aten.mul.Tensor, (floats, column))

    def _unpacked_by_operator(self, numbers: Node, scale: Node, axis: int) -> Node:
        _bring_operators()
        name = f"_zeros_of_{scale.target}"
        if not hasattr(self.module, name):
            zeros = torch.zeros_like(_constant(self.module, scale), dtype=torch.int64)
            self.module.register_buffer(name, zeros)
        zero = self.module.graph.get_attr(name)
        unpack = torch.ops.quantized_decomposed.dequantize_per_channel.default
        return self.module.graph.call_function(unpack, (numbers, scale, zero, axis, -128, 127, torch.int8))

    def _pack(self, weight: Tensor, axis: int) -> tuple[str, str]:
        """Register the 8 bits of a weight and their scales, and return their names."""
        others = [d for d in range(weight.dim()) if d != axis]
        largest = weight.abs().amax(dim=others) if others else weight.abs()
        scale = torch.where(largest > 0, largest / _WEIGHT_LEVELS, torch.ones_like(largest)).float()
        shape = [1] * weight.dim()
        shape[axis] = -1
        bits = torch.round(weight / scale.view(shape)).clamp(-_WEIGHT_LEVELS, _WEIGHT_LEVELS).to(torch.int8)
        number = next(self._names)
        names = f"_weight_{number}_int8", f"_weight_{number}_scale"
        for name, value in zip(names, (bits, scale), strict=True):
            self.module.register_buffer(name, value)
        return names


def _fold_norms(module: fx.GraphModule) -> None:
    """Fold batch norms with running statistics into the convolution before them."""
    for norm in list(module.graph.nodes):
        before = norm.args[0] if norm.op == "call_function" and norm.target in _NORMS else None
        if not (isinstance(before, Node) and before.target in _CONVOLUTIONS and len(before.users) == 1):
            continue
        constants = [_constant_or_none(module, argument) for argument in norm.args[1:5]]
        weight = _constant_or_none(module, before.args[1])
        is_unpacked = norm.target is aten.batch_norm.default or all(
            user.target is operator.getitem and user.args[1] == 0 for user in norm.users
        )
        if weight is None or constants[2] is None or constants[3] is None or not is_unpacked:
            continue
        if norm.target is aten.batch_norm.default and norm.args[5]:
            continue  # it normalises by the batch
        epsilon = float(norm.args[7] if norm.target is aten.batch_norm.default else norm.args[-1])
        gamma, beta, mean, variance = constants
        factor = torch.rsqrt(variance + epsilon) * (1.0 if gamma is None else gamma)
        bias = _constant_or_none(module, before.args[2]) if len(before.args) > 2 else None
        shift = ((0.0 if bias is None else bias) - mean) * factor + (0.0 if beta is None else beta)
        shape = [-1] + [1] * (weight.dim() - 1)
        names = [_register(module, before, key, value) for key, value in
                 (("weight", weight * factor.view(shape)), ("bias", shift))]  # fmt: skip
        with module.graph.inserting_before(before):
            before.update_arg(1, module.graph.get_attr(names[0]))
            new_bias = module.graph.get_attr(names[1])
        before.args = (*before.args[:2], new_bias, *before.args[3:])
        outputs = [norm] if norm.target is aten.batch_norm.default else list(norm.users)
        for output in outputs:
            output.replace_all_uses_with(before)
            module.graph.erase_node(output)
        if norm not in outputs:
            module.graph.erase_node(norm)
    module.recompile()


def _register(module: fx.GraphModule, node: Node, key: str, value: Tensor) -> str:
    name = f"_folded_{node.name}_{key}"
    module.register_buffer(name, value.detach().clone())
    return name


def _weight_of(module: fx.GraphModule, node: Node) -> Node | None:
    """Return the constant that is the weight of a layer; None where a node is no layer with one."""
    if node.op != "call_function" or node.target not in _LAYERS:
        return None
    candidates = node.args[1:2] if node.target in _CONVOLUTIONS else node.args[:2]
    return next((a for a in reversed(candidates) if _is_constant(module, a, 2)), None)  # type: ignore[return-value]


def _is_constant(module: fx.GraphModule, value: Any, dim: int = 0) -> bool:
    tensor = _constant_or_none(module, value)
    return tensor is not None and tensor.is_floating_point() and tensor.dim() >= dim


def _constant_or_none(module: fx.GraphModule, value: Any) -> Any:
    return _constant(module, value) if isinstance(value, Node) and value.op == "get_attr" else None


def _constant(module: fx.GraphModule, node: Node) -> Tensor:
    """Return the parameter or buffer that a node reads."""
    found: Any = module
    for part in str(node.target).split("."):
        found = getattr(found, part)
    tensor: Tensor = found.detach()
    return tensor


def _drop_guards(module: fx.GraphModule) -> None:
    """Remove the check of the inputs' shapes, which belongs to the program it is taken from."""
    for node in list(module.graph.nodes):
        if node.op == "call_module" and "guard" in str(node.target):
            module.graph.erase_node(node)
    module.recompile()


def _drop_unused(module: fx.GraphModule) -> None:
    """Remove parameters and buffers that no node reads."""
    used = {str(node.target) for node in module.graph.nodes if node.op == "get_attr"}
    for name, _ in [*module.named_parameters(), *module.named_buffers()]:
        if name not in used:
            owner: nn.Module = module.get_submodule(name.rpartition(".")[0])
            delattr(owner, name.rpartition(".")[2])
