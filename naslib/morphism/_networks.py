"""Networks as they are changed: parameters put in, layers told of their new sizes, functions compared."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from naslib.errors import MorphismError, did_you_mean

from ._inputs import CANNOT_RUN
from ._recorder import tensors_in

Call = Callable[[nn.Module], Any]
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
LAYERS = (*_CONVOLUTIONS, *_TRANSPOSED, nn.Linear)


def layer_of(network: nn.Module, layer: str) -> nn.Module:
    """Return the module of a dotted name.

    Raises:
        MorphismError: Naming the nearest, if there is none.
    """
    modules = dict(network.named_modules())
    if layer in modules:
        return modules[layer]
    near = did_you_mean(layer, [name for name in modules if name])
    raise MorphismError(f"{type(network).__name__} has no module {layer!r}{near}")


def is_share(noise: Any) -> bool:
    """Say whether noise is a number from 0 on, not infinite."""
    return isinstance(noise, int | float) and not isinstance(noise, bool) and noise >= 0 and math.isfinite(noise)


def put(network: nn.Module, name: str, module: nn.Module) -> None:
    """Put a module at a dotted name."""
    parent, _, child = name.rpartition(".")
    setattr(network.get_submodule(parent), child, module)


def replace_leaves(network: nn.Module, leaves: Mapping[str, Tensor], changed: Mapping[str, Tensor]) -> None:
    """Put new values in the place of parameters and buffers, wherever they are registered.

    Args:
        network: Changed in place.
        leaves: Its parameters and buffers by name.
        changed: The new values of some of them.
    """
    new: dict[int, Tensor] = {}
    for name, values in changed.items():
        old = leaves[name]
        is_parameter = isinstance(old, nn.Parameter)
        if values.ndim == 4 and not old.is_contiguous() and old.is_contiguous(memory_format=torch.channels_last):
            values = values.contiguous(memory_format=torch.channels_last)
        new[id(old)] = nn.Parameter(values, requires_grad=old.requires_grad) if is_parameter else values
    for module in network.modules():
        touched = False
        for held in (module._parameters, module._buffers):
            for key, value in held.items():
                if value is not None and id(value) in new:
                    held[key] = new[id(value)]  # type: ignore[assignment]
                    touched = True
        if touched:
            _tell_sizes(module)


def _tell_sizes(module: nn.Module) -> None:
    """Set the attributes of a layer that repeat the sizes of its parameters."""
    weight: Any = getattr(module, "weight", None)
    if isinstance(module, _CONVOLUTIONS):
        if module.groups == module.in_channels == module.out_channels and module.groups > 1:  # depthwise
            module.groups = int(weight.shape[0])
        module.out_channels, module.in_channels = int(weight.shape[0]), int(weight.shape[1]) * module.groups
    elif isinstance(module, _TRANSPOSED):
        module.in_channels, module.out_channels = int(weight.shape[0]), int(weight.shape[1]) * module.groups
    elif isinstance(module, nn.Linear):
        module.out_features, module.in_features = int(weight.shape[0]), int(weight.shape[1])
    elif isinstance(module, _NORMS):
        told: Any = weight if weight is not None else module.running_mean
        module.num_features = int(told.shape[0])
    elif isinstance(module, nn.LayerNorm | nn.RMSNorm):
        module.normalized_shape = tuple(weight.shape)
    elif isinstance(module, nn.GroupNorm):
        module.num_channels = int(weight.shape[0])
    elif isinstance(module, nn.PReLU):
        module.num_parameters = int(weight.shape[0])
    elif isinstance(module, nn.Embedding):
        module.embedding_dim = int(weight.shape[1])


def copied(network: nn.Module) -> nn.Module:
    """Return a copy that shares nothing, without gradients.

    Raises:
        MorphismError: If the network cannot be copied.
    """
    try:
        new = copy.deepcopy(network)
    except (TypeError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise MorphismError(f"{type(network).__name__} cannot be copied: {reason}") from error
    for parameter in new.parameters():
        parameter.grad = None
    return new


def outputs_of(network: nn.Module, call: Call) -> list[Tensor]:
    """Return what a network says in evaluation mode; its modes are left as they were."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        with torch.no_grad():
            outputs = call(network)
    finally:
        for module, mode in modes:
            module.training = mode
    plain = vars(outputs) if hasattr(outputs, "__dict__") and not isinstance(outputs, Tensor | dict) else outputs
    return [output.clone() for output in tensors_in(plain)]


def check_training(old: nn.Module, new: nn.Module, call: Call, what: str) -> None:
    """Raise if a network trains no more because of parts that run in training only, such as an auxiliary head.

    Args:
        old: The network as it was.
        new: As it is to be; neither is changed.
        call: Runs them.
        what: Was done.

    Raises:
        MorphismError: If the new one does not run in training mode, and the old one does.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        try:
            call(copy.deepcopy(old).train())
        except CANNOT_RUN:
            return  # no batch to train on
        try:
            call(copy.deepcopy(new).train())
        except CANNOT_RUN as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise MorphismError(
                f"{what} does not fit: a part of the network that runs in training alone reads these units ({reason})"
            ) from error


STATED = "its own code states sizes or reads what is in the layer, or it draws random numbers"


def check_same(old: list[Tensor], network: nn.Module, call: Call, what: str, why: str = STATED) -> None:
    """Raise unless a new network says what the old one did.

    Args:
        old: What that said.
        network: The new one; not changed.
        call: Runs it.
        what: Was done.
        why: It may be that it says something else.

    Raises:
        MorphismError: If it does not run, or says something else.
    """
    try:
        new = outputs_of(network, call)
    except CANNOT_RUN as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise MorphismError(f"{what} does not fit: the network does not run ({reason}); {why}") from error
    if len(old) != len(new):
        raise MorphismError(f"{what} does not fit: there would be {len(new)} outputs in place of {len(old)}")
    for before, after in zip(old, new, strict=True):
        if before.shape != after.shape:
            raise MorphismError(
                f"{what} does not fit: an output would be of shape {tuple(after.shape)} in place of "
                f"{tuple(before.shape)}"
            )
        if before.is_floating_point():
            scale = float(before.abs().amax()) if before.numel() else 0.0
            most = float((before - after).abs().amax()) if before.numel() else 0.0
            # rounding grows with depth; a wrong transformation is off by far more
            share = min(32 * torch.finfo(before.dtype).eps ** 0.75, 0.1)
            if not most <= share * (scale + 1e-30) + 1e-30:
                raise MorphismError(
                    f"{what} does not fit: the network would say something else, by {most:.2g} where its largest "
                    f"value is {scale:.2g}; {why}"
                )
