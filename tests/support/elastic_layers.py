"""Every kind of elastic layer with its decisions, an input, and what it computes, written out with plain functions."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from naslib.search_spaces.core.elastic import (
    Elastic,
    ElasticBatchNorm2d,
    ElasticConv2d,
    ElasticEmbedding,
    ElasticLayerNorm,
    ElasticLinear,
    ElasticMultiheadAttention,
    ElasticParameter,
    ElasticSequential,
    Value,
)

WIDTH = Value((4, 2, 6), "width")
OUT = Value((3, 8), "out")
KERNEL = Value((3, 5, 1), "kernel")
HEADS = Value((2, 1), "heads")
SIZE = Value((3, 2), "size")
EMBED = Value((8, 4), "embed")
DEPTH = Value((2, 0, 3), "depth")
BIAS = Value((1, 0), "bias")


def slice_at(weight: Tensor, lengths: tuple[int, ...], centred: tuple[int, ...] = ()) -> Tensor:
    """Return a slice by indexing."""
    index = []
    for axis, length in enumerate(lengths):
        first = (weight.shape[axis] - length) // 2 if axis in centred else 0
        index.append(slice(first, first + length))
    return weight[tuple(index)]


def zero_padded(small: Tensor, shape: tuple[int, ...], centred: tuple[int, ...] = ()) -> Tensor:
    """Return zeros of a shape with a slice in its place."""
    index = []
    for axis, length in enumerate(small.shape):
        first = (shape[axis] - length) // 2 if axis in centred else 0
        index.append(slice(first, first + length))
    full = small.new_zeros(shape)
    full[tuple(index)] = small
    return full


@dataclass(frozen=True)
class Case:
    """One layer.

    Attributes:
        name: Of the case.
        values: Its decisions.
        build: `mix -> layer`.
        inputs: `widths -> x`, of the input's sizes by label, in double precision.
        run: `(layer, x, sizes) -> y`: what the slice computes, by values of the decisions.
        mixed: `(layer, x, weights) -> y`: what the mixture of weights computes, where that is not the mixture of
            outputs; weights by label.
        linear: Whether mixing weights and outputs are the same.
    """

    name: str
    values: tuple[Value, ...]
    build: Callable[[str], Elastic]
    inputs: Callable[[Mapping[str, int]], Tensor | None]
    run: Callable[[Any, Any, Mapping[str, int]], Tensor]
    mixed: Callable[[Any, Any, Mapping[str, Tensor]], Tensor] | None = None

    @property
    def linear(self) -> bool:
        """Whether the layer is linear in its weight, so that both ways of mixing are one."""
        return self.mixed is None

    def grid(self) -> list[dict[str, int]]:
        """Return every combination of indices by label."""
        ranges = [range(len(value.values)) for value in self.values]
        return [
            dict(zip((value.label for value in self.values), indices, strict=True))
            for indices in itertools.product(*ranges)
        ]

    def sizes(self, indices: Mapping[str, int]) -> dict[str, Any]:
        """Return the values at some indices."""
        return {value.label: value.values[indices[value.label]] for value in self.values}

    def largest(self) -> dict[str, Any]:
        """Return the largest values."""
        return {value.label: max(value.values) for value in self.values}

    def rows(self, seed: int = 0) -> dict[str, Tensor]:
        """Return logits by label, in double precision, that ask for a gradient."""
        generator = torch.Generator().manual_seed(seed)
        return {
            value.label: torch.randn(len(value.values), generator=generator, dtype=torch.float64).requires_grad_()
            for value in self.values
        }


def terms(case: Case, weights: Mapping[str, Tensor]) -> list[tuple[dict[str, Any], Tensor]]:
    """Return the values of every combination and its weight, the product over the decisions."""
    found = []
    for indices in case.grid():
        weight = torch.ones((), dtype=torch.float64)
        for label, index in indices.items():
            weight = weight * weights[label][index]
        found.append((case.sizes(indices), weight))
    return found


def _image(channels: int, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(3, channels, 7, 6, generator=generator, dtype=torch.float64)


def _rows(features: int, seed: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, 5, features, generator=generator, dtype=torch.float64)


def _conv(
    layer: Any, x: Tensor, sizes: Mapping[str, int], *, groups: int = 1, padding: int = 2, **kwargs: Any
) -> Tensor:
    into, out, kernel = sizes.get("width", 6), sizes.get("out", 8), sizes["kernel"]
    out = into if groups > 1 else out
    weight = slice_at(layer.weight, (out, into // groups, kernel, kernel), (2, 3))
    bias = None if layer.bias is None else layer.bias[:out]
    padding = padding - kwargs.get("dilation", 1) * (5 - kernel) // 2
    return F.conv2d(x, weight, bias, groups=groups, padding=padding, **kwargs)


def _transformed(layer: Any, x: Tensor, sizes: Mapping[str, int]) -> Tensor:
    weight = layer.weight[:, : sizes["width"]]
    for large, small in ((5, 3), (3, 1)):
        if sizes["kernel"] <= small:
            centre = weight[:, :, 1 : large - 1, 1 : large - 1].reshape(8, sizes["width"], small * small)
            weight = (centre @ layer.transforms[f"{large}to{small}"].t()).reshape(8, sizes["width"], small, small)
    return F.conv2d(x, weight, layer.bias, padding=sizes["kernel"] // 2)


def _batch_norm(layer: Any, x: Tensor, sizes: Mapping[str, int]) -> Tensor:
    n = sizes["width"]
    mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
    if not layer.training:
        mean, var = layer.running_mean[:n], layer.running_var[:n]
    y = (x - mean.view(-1, 1, 1)) / (var.view(-1, 1, 1) + layer.eps).sqrt()
    return y if layer.weight is None else y * layer.weight[:n].view(-1, 1, 1) + layer.bias[:n].view(-1, 1, 1)


def _layer_norm(layer: Any, x: Tensor, sizes: Mapping[str, int]) -> Tensor:
    n = sizes["embed"]
    y = (x - x.mean(-1, keepdim=True)) / (x.var(-1, unbiased=False, keepdim=True) + layer.eps).sqrt()
    return y * layer.weight[:n] + layer.bias[:n]


def _turned(x: Tensor, n: int) -> Tensor:
    """Turn entries i and i + n / 2, as real and imaginary part, by `position * 10000 ** (-2 i / n)`."""
    rows = []
    for position in range(x.shape[1]):
        row = x[:, position].clone()
        for i in range(n // 2):
            angle = torch.tensor(position * 10_000 ** (-2 * i / n), dtype=x.dtype)
            number = torch.complex(x[:, position, i], x[:, position, i + n // 2]) * torch.polar(angle * 0 + 1, angle)
            row = torch.cat((row[:, :i], number.real[:, None], row[:, i + 1 :]), 1)
            row = torch.cat((row[:, : i + n // 2], number.imag[:, None], row[:, i + n // 2 + 1 :]), 1)
        rows.append(row)
    return torch.stack(rows, 1)


def _attention(x: Tensor, weights: Mapping[str, Any], scale: Any, causal: bool, rotary: int = 0) -> Tensor:
    """Attend head by head."""
    outputs = 0
    n = x.shape[1]
    for head in range(weights["qkv_weight"].shape[1]):
        query, key, value = (x @ weights["qkv_weight"][i, head].t() + weights["qkv_bias"][i, head] for i in range(3))
        if rotary:
            query, key = _turned(query, rotary), _turned(key, rotary)
        scores = torch.einsum("bnd,bmd->bnm", query, key)
        if "relative_keys" in weights:
            scores = scores + torch.stack(
                [(query[:, i, None] * _apart(weights["relative_keys"], n)[i]).sum(-1) for i in range(n)], 1
            )
        scores = scores * scale
        if causal:
            scores = scores + torch.full((n, n), float("-inf"), dtype=x.dtype).triu(1)
        attended = scores.softmax(-1) @ value
        if "relative_values" in weights:
            apart = _apart(weights["relative_values"], n)
            attended = attended + (scores.softmax(-1)[..., None] * apart).sum(2)
        outputs = outputs + attended @ weights["proj_weight"][:, head].t()
    return outputs + weights["proj_bias"]


def _apart(table: Tensor, n: int) -> Tensor:
    """Return the vectors of relative positions pair by pair: token 0 is no patch, the others are rows of two."""
    rows = []
    for i in range(n):
        row = []
        for j in range(n):
            down, right = (j - 1) // 2 - (i - 1) // 2, (j - 1) % 2 - (i - 1) % 2
            indices = (0, 0) if 0 in (i, j) else (down + 2, right + 2)  # the largest distance is 1
            row.append(table[0, indices[0]] + table[1, indices[1]])
        rows.append(torch.stack(row))
    return torch.stack(rows)


def _attention_slices(layer: Any, sizes: Mapping[str, int]) -> dict[str, Tensor]:
    embed, heads = sizes.get("embed", 8), sizes["heads"]
    size = sizes["size"] if "size" in sizes else embed // heads
    tables = {}
    if layer.relative:
        tables = {name: getattr(layer, name)[..., :size] for name in ("relative_keys", "relative_values")}
    return tables | {
        "qkv_weight": layer.qkv_weight[:, :heads, :size, :embed],
        "qkv_bias": layer.qkv_bias[:, :heads, :size] * sizes.get("bias", 1),
        "proj_weight": layer.proj_weight[:embed, :heads, :size],
        "proj_bias": layer.proj_bias[:embed] * sizes.get("bias", 1),
    }


def _attend(layer: Any, x: Tensor, sizes: Mapping[str, int], causal: bool = False) -> Tensor:
    slices = _attention_slices(layer, sizes)
    return _attention(x, slices, slices["qkv_bias"].shape[-1] ** -0.5, causal, layer.rotary)


def _attend_mixed(
    case: Callable[[], Case], causal: bool = False, **fixed: int
) -> Callable[[Any, Any, Mapping[str, Tensor]], Tensor]:
    def mixed(layer: Any, x: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
        total: dict[str, Any] = {}
        scale: Any = 0.0
        for sizes, weight in terms(case(), weights):
            slices = _attention_slices(layer, {**sizes, **fixed})
            for name, small in slices.items():
                total[name] = total.get(name, 0.0) + weight * zero_padded(small, getattr(layer, name).shape)
            scale = scale + weight * slices["qkv_bias"].shape[-1] ** -0.5
        return _attention(x, total, scale, causal, layer.rotary)

    return mixed


def _chain(layer: Any, x: Tensor, sizes: Mapping[str, int]) -> Tensor:
    for block in list(layer.blocks)[: sizes["depth"]]:
        x = torch.tanh(F.linear(x, block[0].weight, block[0].bias))
    return x


CASES: tuple[Case, ...] = (
    Case(
        "conv",
        (WIDTH, OUT, KERNEL),
        lambda mix: ElasticConv2d(WIDTH, OUT, KERNEL, mix=mix),
        lambda sizes: _image(sizes["width"]),
        _conv,
    ),
    Case(
        "conv, strided and dilated, without bias",
        (OUT, KERNEL),
        lambda mix: ElasticConv2d(6, OUT, KERNEL, stride=2, padding=4, dilation=2, bias=False, mix=mix),
        lambda sizes: _image(6),
        lambda layer, x, sizes: _conv(layer, x, sizes, padding=4, stride=2, dilation=2),
    ),
    Case(
        "conv, depthwise",
        (WIDTH, KERNEL),
        lambda mix: ElasticConv2d(WIDTH, WIDTH, KERNEL, groups=WIDTH, mix=mix),
        lambda sizes: _image(sizes["width"]),
        lambda layer, x, sizes: _conv(layer, x, sizes, groups=sizes["width"]),
    ),
    Case(
        "conv, same decision for both channels",
        (WIDTH,),
        lambda mix: ElasticConv2d(WIDTH, WIDTH, 5, mix=mix),
        lambda sizes: _image(sizes["width"]),
        lambda layer, x, sizes: _conv(layer, x, {**sizes, "out": sizes["width"], "kernel": 5}),
    ),
    Case(
        "conv, groups of two channels",
        (WIDTH,),
        lambda mix: ElasticConv2d(WIDTH, WIDTH, 5, groups=WIDTH // 2, mix=mix),
        lambda sizes: _image(sizes["width"]),
        lambda layer, x, sizes: (
            _conv(layer, x, {**sizes, "kernel": 5}, groups=sizes["width"] // 2)
            if sizes["width"] > 2
            else F.conv2d(x, layer.weight[:2], layer.bias[:2], padding=2)
        ),
    ),
    Case(
        "conv, transformed kernels",
        (WIDTH, KERNEL),
        lambda mix: ElasticConv2d(WIDTH, 8, KERNEL, kernel_transform=True, mix=mix),
        lambda sizes: _image(sizes["width"]),
        _transformed,
    ),
    Case(
        "batch norm",
        (WIDTH,),
        lambda mix: ElasticBatchNorm2d(WIDTH, mix=mix),
        lambda sizes: _image(sizes["width"]),
        _batch_norm,
    ),
    Case(
        "batch norm, not affine",
        (WIDTH,),
        lambda mix: ElasticBatchNorm2d(WIDTH, affine=False, mix=mix),
        lambda sizes: _image(sizes["width"]),
        _batch_norm,
    ),
    Case(
        "linear",
        (EMBED, OUT),
        lambda mix: ElasticLinear(EMBED, OUT, mix=mix),
        lambda sizes: _rows(sizes["embed"]),
        lambda layer, x, sizes: x @ layer.weight[: sizes["out"], : sizes["embed"]].t() + layer.bias[: sizes["out"]],
    ),
    Case(
        "linear, computed size, without bias",
        (EMBED, OUT),
        lambda mix: ElasticLinear(EMBED, EMBED * OUT // 2 + 1, bias=False, mix=mix),
        lambda sizes: _rows(sizes["embed"]),
        lambda layer, x, sizes: x @ layer.weight[: sizes["embed"] * sizes["out"] // 2 + 1, : sizes["embed"]].t(),
    ),
    Case(
        "layer norm",
        (EMBED,),
        lambda mix: ElasticLayerNorm(EMBED, mix=mix),
        lambda sizes: _rows(sizes["embed"]),
        _layer_norm,
    ),
    Case(
        "embedding",
        (EMBED,),
        lambda mix: ElasticEmbedding(11, EMBED, padding_idx=0, mix=mix),
        lambda sizes: torch.tensor([[0, 3, 10], [3, 1, 1]]),
        lambda layer, x, sizes: layer.weight[:, : sizes["embed"]][x],
    ),
    Case(
        "parameter",
        (WIDTH, EMBED),
        lambda mix: ElasticParameter(1, WIDTH, EMBED),
        lambda sizes: None,
        lambda layer, x, sizes: layer.weight[:, : sizes["width"], : sizes["embed"]],
    ),
    Case(
        "attention",
        (EMBED, HEADS, SIZE),
        lambda mix: ElasticMultiheadAttention(EMBED, HEADS, SIZE, mix=mix),
        lambda sizes: _rows(sizes["embed"]),
        _attend,
        _attend_mixed(lambda: case_named("attention")),
    ),
    Case(
        "attention, causal, heads divide the embedding",
        (EMBED, HEADS),
        lambda mix: ElasticMultiheadAttention(EMBED, HEADS, causal=True, mix=mix),
        lambda sizes: _rows(sizes["embed"]),
        lambda layer, x, sizes: _attend(layer, x, sizes, causal=True),
        _attend_mixed(lambda: case_named("attention, causal, heads divide the embedding"), causal=True),
    ),
    Case(
        "attention, relative positions",
        (HEADS, SIZE),
        lambda mix: ElasticMultiheadAttention(8, HEADS, SIZE, relative=1, mix=mix),
        lambda sizes: _rows(8),
        lambda layer, x, sizes: _attend(layer, x, {**sizes, "embed": 8}),
        _attend_mixed(lambda: case_named("attention, relative positions")),
    ),
    Case(
        "linear, with a bias or without",
        (OUT, BIAS),
        lambda mix: ElasticLinear(8, OUT, bias=BIAS, mix=mix),
        lambda sizes: _rows(8),
        lambda layer, x, sizes: x @ layer.weight[: sizes["out"]].t() + layer.bias[: sizes["out"]] * sizes["bias"],
    ),
    Case(
        "attention, with biases or without",
        (HEADS, BIAS),
        lambda mix: ElasticMultiheadAttention(8, HEADS, 3, qkv_bias=BIAS, proj_bias=BIAS, mix=mix),
        lambda sizes: _rows(8),
        lambda layer, x, sizes: _attend(layer, x, {**sizes, "size": 3}),
        _attend_mixed(lambda: case_named("attention, with biases or without"), size=3),
    ),
    Case(
        "attention, rotary",
        (EMBED, HEADS),
        lambda mix: ElasticMultiheadAttention(EMBED, HEADS, 5, causal=True, rotary=4, mix=mix),
        lambda sizes: _rows(sizes["embed"]),
        lambda layer, x, sizes: _attend(layer, x, {**sizes, "size": 5}, causal=True),
        _attend_mixed(lambda: case_named("attention, rotary"), causal=True, size=5),
    ),
    Case(
        "sequence",
        (DEPTH,),
        lambda mix: ElasticSequential([nn.Sequential(nn.Linear(5, 5), nn.Tanh()) for _ in range(3)], DEPTH),
        lambda sizes: _rows(5),
        _chain,
    ),
)


def case_named(name: str) -> Case:
    """Return a case."""
    return next(case for case in CASES if case.name == name)


def built(case: Case, mix: str = "weights", seed: int = 0) -> Any:
    """Return the layer of a case in double precision, with weights, biases and statistics that are all different."""
    layer = case.build(mix).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in [*layer.parameters(), *layer.buffers()]:
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape, generator=generator, dtype=torch.float64) + 0.1)
                if tensor.dim() > 1:
                    tensor.sub_(0.6)
        if case.name == "embedding":
            layer.weight[0] = 0.0
    return layer


def called(layer: Any, x: Tensor | None) -> Tensor:
    """Call a layer with its input, where it has one."""
    return layer() if x is None else layer(x)
