"""Where new layers can stand: what a layer says, and who reads it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from naslib.errors import MorphismError

from ._networks import LAYERS
from ._trace import Called, Ran, Trace

RELU, RELU6 = "relu", "relu6"
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
# Of rows, series, images, volumes
_NDIMS = (2, 3, 4, 5)


@dataclass(frozen=True)
class Spot:
    """Where the new layers go: after the module `at` or before it, and with the activation first or last."""

    at: str
    shape: tuple[int, ...]
    before: bool
    activation_first: bool


def find_spot(trace: Trace, network: nn.Module, layer: str, activation: str | None, place: str) -> Spot:
    """Return where new layers go.

    Raises:
        MorphismError: If there is nowhere.
    """
    calls = [call for call in trace.called if call.place == layer]
    if not calls:
        raise MorphismError(f"{layer!r} is not called on these inputs, or returns no tensor")
    if place == "before":
        return _spot_before(trace, layer, calls, activation)
    at = layer
    if isinstance(network.get_submodule(layer), LAYERS):
        norms = {_norm_after(trace, network, call) for call in calls}
        norm = norms.pop() if len(norms) == 1 else None
        if norm is not None:
            at = norm
            calls = [call for call in trace.called if call.place == norm]
    shape = calls[0].shape
    _check_shape(layer, shape, network.get_submodule(layer))
    if activation is None:
        return Spot(at, shape, False, False)
    if all(call.nonnegative for call in calls) and activation == RELU:
        return Spot(at, shape, False, False)
    for call in calls:
        readers = _readers(trace, call)
        wrong = [reader for reader in readers if not _is_relu(reader, activation)]
        if wrong or not readers:
            next_ = f"{wrong[0].name} in {wrong[0].place!r}" if wrong else "the output"
            raise MorphismError(
                f"no layer with {activation} can be put after {layer!r}: what it says goes to {next_}, not to "
                f"{activation}, and a ReLU there would change it. Put one before a layer that reads a ReLU "
                "(place='before'), or one without activation (activation=None)"
            )
    return Spot(at, shape, False, True)


def _spot_before(trace: Trace, layer: str, calls: list[Called], activation: str | None) -> Spot:
    shapes = {trace.shape_of(call.source) for call in calls}
    shape = shapes.pop() if len(shapes) == 1 else None
    if shape is None or len(shape) not in _NDIMS:
        raise MorphismError(f"{layer!r} does not read one tensor of images, series or rows")
    if activation == RELU6 or (activation == RELU and not all(call.source_nonnegative for call in calls)):
        raise MorphismError(
            f"no layer with {activation} can be put before {layer!r}: what it reads does not come from a ReLU, and one "
            "there would change it (activation=None puts a layer without there)"
        )
    return Spot(layer, shape, True, False)


def _check_shape(layer: str, shape: tuple[int, ...], module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        return
    if len(shape) not in _NDIMS:
        raise MorphismError(f"{layer!r} returns neither rows nor images, but a tensor of shape {tuple(shape)}")


def _readers(trace: Trace, call: Called) -> list[Ran]:
    """Return the operations that read what a call returned, as far as the first that changes it in place."""
    found = []
    for ran in trace.ran[call.at :]:
        if call.target in ran.sources:
            found.append(ran)
            if call.target in ran.targets:
                break
    return found


def _is_relu(ran: Ran, activation: str) -> bool:
    if ran.name == "relu":
        return activation == RELU
    if ran.name != "hardtanh":
        return False
    least, most = float(ran.given.get("min_val", -1.0)), float(ran.given.get("max_val", 1.0))
    return least == 0 and (activation == RELU or most == 6)


def _norm_after(trace: Trace, network: nn.Module, call: Called) -> str | None:
    """Return the name of the batch norm that alone reads what a layer returned."""
    readers = _readers(trace, call)
    if len(readers) != 1 or "batch_norm" not in readers[0].name:
        return None
    name = readers[0].place
    is_module = isinstance(network.get_submodule(name), _BATCH_NORMS)
    return name if is_module and sum(other.place == name for other in trace.called) == 1 else None
