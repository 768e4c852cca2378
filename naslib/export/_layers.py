"""Layers of torch's own as the constructor calls that would make them now."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from naslib.errors import ExportError

from ._folding import is_plain
from ._parts import Argument, Const, ModuleSource, Torch

_HOME = "torch.nn.modules."
CONTAINERS: dict[type, str] = {
    nn.Sequential: "nn.Sequential",
    nn.ModuleList: "nn.ModuleList",
    nn.ModuleDict: "nn.ModuleDict",
}
_SKIPPED = ("device", "dtype", "args", "kwargs", "_weight", "_freeze")
_RNN = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional")
# Layers whose constructor has arguments that are no attributes
_READ: dict[str, dict[str, Callable[[Any], Any]]] = {
    "MultiheadAttention": {
        "bias": lambda m: m.in_proj_bias is not None,
        "add_bias_kv": lambda m: m.bias_k is not None,
        "kdim": lambda m: None if m.kdim == m.embed_dim else m.kdim,
        "vdim": lambda m: None if m.vdim == m.embed_dim else m.vdim,
    },
    "TransformerEncoderLayer": {
        "d_model": lambda m: m.self_attn.embed_dim,
        "nhead": lambda m: m.self_attn.num_heads,
        "dim_feedforward": lambda m: m.linear1.out_features,
        "dropout": lambda m: m.dropout.p,
        "activation": lambda m: "gelu" if m.activation_relu_or_gelu == 2 else "relu",
        "layer_norm_eps": lambda m: m.norm1.eps,
        "batch_first": lambda m: m.self_attn.batch_first,
        "bias": lambda m: m.linear1.bias is not None,
    },
    "Softmax2d": {},
}
_PAIRED = ("kernel_size", "stride", "padding", "dilation", "output_size", "output_padding")


def torch_kind(module: nn.Module) -> type | None:
    """Return the class of torch's whose forward a module has, None where it has a forward of its own."""
    for kind in type(module).__mro__:
        if kind.__module__.startswith("torch.nn.") and kind is not nn.Module:
            public = getattr(nn, kind.__name__, None) is kind
            same = type(module).forward is getattr(kind, "forward", None)
            return kind if public and same else None
    return None


def torch_base(module: nn.Module) -> type | None:
    """Return the layer of torch's that a module derives from, None where that is `nn.Module` alone."""
    for kind in type(module).__mro__:
        if kind.__module__.startswith(_HOME) and getattr(nn, kind.__name__, None) is kind and kind is not nn.Module:
            return kind
    return None


def layer(module: nn.Module, kind: type, in_place: bool = True, name: str | None = None) -> Torch:
    """Return the constructor call of a layer.

    Args:
        module: The layer.
        kind: Its class, or the class of torch's that it derives from.
        in_place: Whether it may write into its input.
        name: What to call instead.

    Raises:
        ExportError: If an argument cannot be told from the layer.
    """
    arguments = [
        Argument(key, value if isinstance(value, ModuleSource) else Const(value, hint), default, positional)
        for key, value, hint, default, positional in _arguments(module, kind)
        if in_place or key != "inplace"
    ]
    return Torch(module, name or f"nn.{kind.__name__}", arguments)


def _arguments(module: Any, kind: type) -> list[tuple[str, Any, str, Any, bool]]:
    if issubclass(kind, nn.RNNBase):
        names = [*_RNN, *(["proj_size"] if kind is nn.LSTM else []), *(["nonlinearity"] if kind is nn.RNN else [])]
        defaults = {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False,
                    "proj_size": 0, "nonlinearity": "tanh"}  # fmt: skip
        values = [(name, getattr(module, name)) for name in names]
        return [(name, value, name, defaults.get(name), name not in defaults) for name, value in values]
    if issubclass(kind, nn.TransformerEncoder | nn.TransformerDecoder | nn.Transformer | nn.TransformerDecoderLayer):
        raise ExportError(f"a {kind.__name__} of torch's cannot be written as source; use its layers in a list")
    found = []
    for parameter in list(inspect.signature(kind.__init__).parameters.values())[1:]:
        if parameter.name in _SKIPPED or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        required = parameter.default is parameter.empty
        value = _value(module, kind, parameter.name, None if required else parameter.default)
        hint = "channels" if parameter.name == "num_features" else parameter.name
        found.append((parameter.name, value, hint, parameter.default, required))
    return found


def _value(module: Any, kind: type, name: str, default: Any) -> Any:
    special = _READ.get(kind.__name__, {}).get(name)
    value = special(module) if special is not None else getattr(module, name, default)
    if name == "bias" and not getattr(module, "affine", getattr(module, "elementwise_affine", True)):
        return default
    if name == "bias" and (value is None or isinstance(value, torch.Tensor)):
        return value is not None
    if isinstance(value, torch.Size):
        value = tuple(value)
    if name == "normalized_shape" and isinstance(value, tuple) and len(value) == 1:
        return value[0]
    if name in _PAIRED and isinstance(value, tuple) and value and all(entry == value[0] for entry in value):
        value = value[0]
    if name == "stride" and default is None and value == _single(getattr(module, "kernel_size", None)):
        return None
    if not is_plain(value):
        raise ExportError(f"{kind.__name__}.{name} is {value!r}, which cannot be written as source")
    return value


def _single(value: Any) -> Any:
    same = isinstance(value, tuple) and value and all(entry == value[0] for entry in value)
    return value[0] if same else value
