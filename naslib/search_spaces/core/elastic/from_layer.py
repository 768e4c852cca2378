"""Elastic layers with the weights of torch's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn

from naslib.errors import ConfigError, did_you_mean

from .conv import ElasticConv2d
from .layer import Elastic
from .linear import ElasticEmbedding, ElasticLinear
from .norm import ElasticBatchNorm2d, ElasticLayerNorm
from .sizes import Number, Size, as_size
from .weights import sliced


class Kind(NamedTuple):
    """How a layer becomes elastic.

    Attributes:
        elastic: The class of the elastic layer.
        sizes: Its sizes, by the names of arguments and attributes.
        settings: Other arguments, read off the layer.
    """

    elastic: Callable[..., Elastic]
    sizes: tuple[str, ...]
    settings: Callable[[Any], dict[str, Any]]


def _has_bias(layer: Any) -> dict[str, Any]:
    return {"bias": layer.bias is not None}


KINDS: dict[type[nn.Module], Kind] = {
    nn.Conv2d: Kind(
        ElasticConv2d,
        ("in_channels", "out_channels", "kernel_size", "groups"),
        lambda conv: {
            "stride": conv.stride[0],
            "padding": conv.padding[0],
            "dilation": conv.dilation[0],
            **_has_bias(conv),
        },
    ),
    nn.BatchNorm2d: Kind(
        ElasticBatchNorm2d,
        ("num_features",),
        lambda norm: {key: getattr(norm, key) for key in ("eps", "momentum", "affine", "track_running_stats")},
    ),
    nn.Linear: Kind(ElasticLinear, ("in_features", "out_features"), _has_bias),
    nn.LayerNorm: Kind(
        ElasticLayerNorm,
        ("normalized_shape",),
        lambda norm: {"eps": norm.eps, "elementwise_affine": norm.elementwise_affine, **_has_bias(norm)},
    ),
    nn.Embedding: Kind(
        ElasticEmbedding,
        ("embedding_dim",),
        lambda embedding: {"num_embeddings": embedding.num_embeddings, "padding_idx": embedding.padding_idx},
    ),
}


def elastic(layer: nn.Module, mix: str = "weights", **sizes: Number | Size) -> Elastic:
    """Return an elastic layer that has the weights of a layer of torch's, a trained one for example.

    Args:
        layer: `nn.Conv2d`, `nn.BatchNorm2d`, `nn.Linear`, `nn.LayerNorm` or `nn.Embedding`. Its parameters become those
            of the elastic layer; where that is smaller, copies of their first (in kernels, their middle) entries.
        mix: See `Elastic`.
        **sizes: Sizes that are to be decisions, by the names of the layer's arguments; others stay what they are.

    Raises:
        ConfigError: If there is no elastic layer for it, it has no such size, or a value is larger than it.
    """
    kind = KINDS.get(type(layer))
    if kind is None:
        names = ", ".join(known.__name__ for known in KINDS)
        raise ConfigError(f"{type(layer).__name__} has no elastic layer; there is one for {names}")
    for name in sizes:
        if name not in kind.sizes:
            hint = did_you_mean(name, kind.sizes)
            raise ConfigError(f"{type(layer).__name__} has the sizes {', '.join(kind.sizes)}, not {name!r}{hint}")
    _check_plain(layer)
    present = {name: _side(getattr(layer, name)) for name in kind.sizes}
    settings = kind.settings(layer)
    if isinstance(layer, nn.Conv2d):  # a smaller kernel has less padding
        border = present["kernel_size"] - int(as_size(sizes.get("kernel_size", present["kernel_size"])).largest)
        settings["padding"] -= layer.dilation[0] * max(border, 0) // 2
    made = kind.elastic(**{**present, **sizes}, **settings, mix=mix)
    largest = dict(zip(made.sizes.names, made.sizes.box, strict=True))
    for name, size in present.items():
        if largest[name] > size:
            raise ConfigError(
                f"{name} = {sizes[name]} can be {largest[name]}, and {type(layer).__name__} has {size}: its weights "
                "are those of the largest size"
            )
    _take_weights(made, layer)
    return made.train(layer.training)


def _check_plain(layer: Any) -> None:
    if isinstance(layer, nn.Conv2d):
        sides = (layer.kernel_size, layer.stride, layer.padding, layer.dilation)
        if any(isinstance(side, str) or len({*side}) > 1 for side in sides) or layer.padding_mode != "zeros":
            raise ConfigError("an elastic convolution is square, in all of kernel, stride, padding and dilation")
    if isinstance(layer, nn.LayerNorm) and len(layer.normalized_shape) > 1:
        raise ConfigError(f"an elastic layer norm normalises the last axis, not {layer.normalized_shape}")
    if isinstance(layer, nn.Embedding) and (layer.max_norm is not None or layer.scale_grad_by_freq or layer.sparse):
        raise ConfigError("an elastic embedding has no max_norm, scale_grad_by_freq or sparse gradients")


def _side(size: Any) -> int:
    """Return a size that torch keeps as a tuple, as one number."""
    return int(size[0] if isinstance(size, tuple) else size)


def _take_weights(made: Elastic, layer: nn.Module) -> None:
    for name in made.SLICES:
        full = getattr(layer, name)
        if full is None:
            continue
        lengths = tuple(getattr(made, name).shape)
        if lengths == tuple(full.shape):
            setattr(made, name, full)
            continue
        small = sliced(full.detach(), lengths, made.CENTRED.get(name, ())).clone()
        setattr(made, name, nn.Parameter(small, full.requires_grad) if isinstance(full, nn.Parameter) else small)
    count = getattr(layer, "num_batches_tracked", None)
    if isinstance(count, torch.Tensor):
        made.num_batches_tracked = count
