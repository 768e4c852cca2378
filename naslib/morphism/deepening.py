"""Net2Deeper: one layer more, and the same function."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from naslib.errors import ConfigError, MorphismError, did_you_mean

from ._identities import add_noise, check_norm, identity, measure, new_norm
from ._inputs import run, some_inputs
from ._networks import LAYERS, check_same, copied, is_share, layer_of, outputs_of, put
from ._recorder import record
from ._spots import Spot, find_spot

_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "relu6": nn.ReLU6}
# What layers are asked about by name, to say why no other activation will do
_NOT_IDEMPOTENT = [
    "sigmoid",
    "tanh",
    "silu",
    "swish",
    "gelu",
    "elu",
    "leaky_relu",
    "hardswish",
    "mish",
    "selu",
    "softplus",
    "prelu",
]


@dataclass(frozen=True)
class Deepenable:
    """Whether a layer can be put after another one.

    Attributes:
        layer: Dotted name of the layer.
        kind: `convolution` or `linear`: what is put there.
        width: Its units.
        reason: Why it cannot be; None if it can.
    """

    layer: str
    kind: str
    width: int
    reason: str | None = None


@dataclass(frozen=True)
class Deepening:
    """What was done to a network.

    Attributes:
        at: Dotted name of the `Sequential` that stands where one module stood.
        inner: Dotted name that this module has now.
        layer: Dotted name of the new convolution or linear layer.
        norm: Of the new batch norm; None without.
        activation: Of the new activation; None without.
    """

    at: str
    inner: str
    layer: str
    norm: str | None
    activation: str | None


def deepen(
    network: nn.Module,
    layer: str,
    *,
    kernel_size: int | None = None,
    norm: bool = True,
    activation: str | None = "relu",
    noise: float = 0.0,
    generator: torch.Generator | None = None,
    place: str = "after",
    inputs: Any = None,
) -> nn.Module:
    """Return a network with one layer more, and the same function ([Chen2016net2net], Section 2.3).

    The new layer is a convolution with the identity as its kernel, or a linear layer with the identity as its weight.
    Batch norm after it undoes itself: its shift is the mean, and its scale sqrt(variance + eps), of what the layer says
    on `inputs` ([Cai2018eas], as in their code). The function is the same in evaluation mode; in training mode, where
    batch norm takes the statistics of each batch, it is that on a batch like `inputs`, so give a large batch of real
    ones where there is batch norm.

    An activation f may stand there if f(f(x)) = f(x): ReLU and ReLU6 do, sigmoid and others do not. Convolution, batch
    norm and ReLU of the network may be modules or calls in a forward: the new layers go behind the norm of the layer,
    if it has one, as ReLU, convolution, norm, so that the ReLU that was there becomes theirs.

    Signature, errors, and this are stable: one module becomes a `Sequential` of `inner`, itself, and `conv` or
    `linear`, `norm`, `activation`. `deepened` tells the names.

    Args:
        network: Any module whose forward runs on `inputs`; not changed.
        layer: Dotted name of a layer, or of any module that returns a tensor of images or rows.
        kernel_size: Odd; None for that of the layer, or the nearest odd one below.
        norm: Whether batch norm follows the new layer.
        activation: `relu`, `relu6` or None for a linear layer without.
        noise: Standard deviation of what is added to the whole identity, zeros among it, as a share of its own standard
            deviation; [Cai2018eas] has 1e-3. 0 leaves the function as it was.
        generator: Of the noise; one with seed 0 if None.
        place: `after` the layer, or `before` it, for cells whose order is ReLU, convolution, norm.
        inputs: What the network runs on to be read, and batch norm to be measured: see `widen`. Without, batch norm has
            mean 0 and variance 1.

    Raises:
        MorphismError: If there is no such layer, it does not run, or what follows would change the function.
        ConfigError: For an activation, a place or a kernel size that cannot be.
    """
    return deepened(
        network,
        layer,
        kernel_size=kernel_size,
        norm=norm,
        activation=activation,
        noise=noise,
        generator=generator,
        place=place,
        inputs=inputs,
    )[0]


def deepened(
    network: nn.Module,
    layer: str,
    *,
    kernel_size: int | None = None,
    norm: bool = True,
    activation: str | None = "relu",
    noise: float = 0.0,
    generator: torch.Generator | None = None,
    place: str = "after",
    inputs: Any = None,
) -> tuple[nn.Module, Deepening]:
    """Return what `deepen` does, and the names of what is new.

    Args:
        network: See `deepen`.
        layer: See `deepen`.
        kernel_size: See `deepen`.
        norm: See `deepen`.
        activation: See `deepen`.
        noise: See `deepen`.
        generator: See `deepen`.
        place: See `deepen`.
        inputs: See `deepen`.

    Raises:
        MorphismError: See `deepen`.
        ConfigError: See `deepen`.
    """
    _check_arguments(kernel_size, activation, noise, place)
    module = layer_of(network, layer)
    if module is network:
        raise MorphismError(
            f"layer: '' is {type(network).__name__} itself, and no layer can be put {place} all of it: name a module "
            f"in it, such as {next((repr(name) for name, _ in network.named_modules() if name), 'none')}"
        )
    call = partial(run, inputs=some_inputs(network) if inputs is None else inputs)
    new = copied(network)
    spot = find_spot(record(new, call), new, layer, activation, place)
    made = identity(spot, module, kernel_size, network)
    old = outputs_of(new, call)
    norm_made = new_norm(spot, made) if norm else None
    wrapped, found = _wrap(new, spot, made, norm_made, activation)
    put(new, spot.at, wrapped)
    if norm_made is not None and inputs is not None:
        measure(new, [norm_made], call)
    check_same(old, new, call, f"a layer {place} {layer!r}")  # without hooks: torch's own layers run other code then
    calls: list[int] = []
    handle = made.register_forward_hook(lambda *_: calls.append(1))
    outputs_of(new, call)
    handle.remove()
    if not calls:
        raise MorphismError(
            f"no layer can be put {place} {layer!r}: {type(network).__name__} does not call what stands under the name "
            f"{spot.at!r}; take a module inside of it"
        )
    if noise:
        add_noise(made, noise, generator)
    _take_after(wrapped)
    return new, found


def deepenable(
    network: nn.Module, inputs: Any = None, activation: str | None = "relu", norm: bool = True
) -> dict[str, Deepenable]:
    """Return every convolution and linear layer by name, with whether `deepen` can put a layer after it.

    Args:
        network: See `deepen`; not changed.
        inputs: See `deepen`.
        activation: See `deepen`.
        norm: See `deepen`.

    Raises:
        MorphismError: If the network does not run on the inputs that are tried.
        ConfigError: For an activation that cannot be.
    """
    _check_arguments(None, activation, 0.0, "after")
    trace = record(network, partial(run, inputs=some_inputs(network) if inputs is None else inputs))
    found = {}
    for name, module in network.named_modules():
        if not isinstance(module, LAYERS):
            continue
        kind = "linear" if isinstance(module, nn.Linear) else "convolution"
        width = int(getattr(module, "out_channels", 0) or getattr(module, "out_features", 0))
        try:
            spot = find_spot(trace, network, name, activation, "after")
            if norm:
                check_norm(spot, module)
            reason = None
        except MorphismError as error:
            reason = str(error)
        found[name] = Deepenable(name, kind, width, reason)
    return found


def _check_arguments(kernel_size: int | None, activation: str | None, noise: float, place: str) -> None:
    problems = []
    if activation is not None and activation not in _ACTIVATIONS:
        known = f"relu, relu6, or None for none{did_you_mean(str(activation), _ACTIVATIONS)}"
        if str(activation).lower() in _NOT_IDEMPOTENT:
            problems.append(
                f"activation: {activation} of {activation} of x is not {activation} of x, so that a layer more would "
                f"change the function (there are: {known})"
            )
        else:
            problems.append(f"activation: no {activation!r} (there are: {known})")
    is_size = isinstance(kernel_size, int) and not isinstance(kernel_size, bool) and kernel_size >= 1
    if kernel_size is not None and not (is_size and kernel_size % 2):
        near = f": {kernel_size - 1} or {kernel_size + 1}" if is_size else ""
        problems.append(f"kernel_size: the identity needs a middle, an odd number of pixels, not {kernel_size!r}{near}")
    if not is_share(noise):
        problems.append(f"noise is a share of the identity's standard deviation, at least 0, not {noise!r}")
    if place not in ("after", "before"):
        problems.append(f"place: after or before, not {place!r}")
    if problems:
        raise ConfigError(problems)


def _wrap(
    network: nn.Module, spot: Spot, made: nn.Module, norm: nn.Module | None, activation: str | None
) -> tuple[nn.Sequential, Deepening]:
    """Return one module and the new layers as a `Sequential`, and their names."""
    name = "linear" if isinstance(made, nn.Linear) else "conv"
    parts: OrderedDict[str, nn.Module] = OrderedDict([(name, made)])
    if norm is not None:
        parts["norm"] = norm
    if activation is not None:
        parts["activation"] = _ACTIVATIONS[activation]()
        if spot.activation_first:
            parts.move_to_end("activation", last=False)
    parts["inner"] = network.get_submodule(spot.at)
    if not spot.before:
        parts.move_to_end("inner", last=False)
    named = {part: f"{spot.at}.{part}" for part in parts}
    found = Deepening(spot.at, named["inner"], named[name], named.get("norm"), named.get("activation"))
    return nn.Sequential(parts), found


def _take_after(wrapped: nn.Sequential) -> None:
    """Put new modules into the mode of the one that they stand beside."""
    mode = wrapped.get_submodule("inner").training
    wrapped.training = mode
    for name, part in wrapped.named_children():
        if name != "inner":
            part.train(mode)
