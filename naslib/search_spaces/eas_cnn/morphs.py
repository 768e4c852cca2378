"""How one plain convolutional network becomes another that has grown from it, with the same function."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from naslib.errors import MorphismError
from naslib.morphism import NoiseShares, deepened, widen
from naslib.utils.text import listed

from .layers import Chain, ChainLayer, spelled

# Modules that have weights or statistics
_WITH_STATE = (nn.Conv2d, nn.Linear, nn.BatchNorm1d, nn.BatchNorm2d)


class Grown(NamedTuple):
    """What becomes of a layer.

    Attributes:
        block: Number of its block, from 0.
        layer: Its number in the block, from 0.
        target: The layer that it becomes.
        new: The layers that are put behind it.
    """

    block: int
    layer: int
    target: ChainLayer
    new: tuple[ChainLayer, ...]

    @property
    def narrow(self) -> int:
        """The width that it has when the new layers are put behind it."""
        return min(layer.width for layer in (self.target, *self.new))


def growth_of(before: Chain, after: Chain) -> list[Grown]:
    """Return what becomes of each layer of a chain, where another one can have grown from it.

    A layer becomes one with the same kernel and at least its width; layers that are put behind it have at least its
    width, too. Of several ways the one is taken whose new layers come last.

    Args:
        before: The chain that grows.
        after: What it becomes.

    Raises:
        MorphismError: Naming the block in which it cannot be.
    """
    if len(before) != len(after):
        raise MorphismError(f"networks of {len(before)} and {len(after)} blocks do not grow from each other")
    found: list[Grown] = []
    for number, (own, other) in enumerate(zip(before, after, strict=True)):
        places = _places(own, other)
        if places is None:
            where = "the linear layers" if number == len(before) - 1 else f"block {number + 1}"
            raise MorphismError(
                f"{where}: {spelled((other,))} does not grow from {spelled((own,))} by wider layers and layers more "
                "alone"
            )
        ends = [*places[1:], len(other)]
        for layer, (first, last) in enumerate(zip(places, ends, strict=True)):
            found.append(Grown(number, layer, other[first], tuple(other[first + 1 : last])))
    return found


def _places(own: Sequence[ChainLayer], other: Sequence[ChainLayer]) -> list[int] | None:
    """Return where the layers of a block are in what it becomes, None if it does not."""

    def search(layer: int, place: int) -> list[int] | None:
        if not (other[place].kernel == own[layer].kernel and other[place].width >= own[layer].width):
            return None
        if layer == len(own) - 1:
            return [place] if all(new.width >= own[layer].width for new in other[place + 1 :]) else None
        for following in range(place + 1, len(other) - (len(own) - layer - 2)):
            if following > place + 1 and other[following - 1].width < own[layer].width:
                return None
            rest = search(layer + 1, following)
            if rest is not None:
                return [place, *rest]
        return None

    return search(0, 0) if len(own) <= len(other) else None


def grown_layers(
    layers: nn.Sequential,
    before: Chain,
    after: Chain,
    inputs: Tensor,
    noise: NoiseShares,
    generator: torch.Generator,
) -> nn.Module:
    """Return a network with the function of another one, in which each layer has grown.

    A layer is first as wide as the narrowest of those that are put behind it, so that in networks that became wider
    first each new layer is an identity; then layers are put behind it, and all are widened to what they are to be.

    Args:
        layers: As `chain_module` makes them, with their weights; not changed.
        before: Their architecture.
        after: What it becomes.
        inputs: Images `(n, channels, h, w)`, on which batch norm of new layers is measured.
        noise: See there.
        generator: Of copies and noise.

    Raises:
        MorphismError: If the one does not grow from the other.
    """
    network: nn.Module = layers
    for grown in growth_of(before, after):
        dense = grown.block == len(before) - 1
        name = f"linear_{grown.layer + 1}" if dense else f"conv_{grown.block + 1}_{grown.layer + 1}"
        width = before[grown.block][grown.layer].width
        network = _widened(network, name, width, grown.narrow, inputs, noise, generator)
        names = [name]
        for layer in grown.new:
            network, done = deepened(
                network,
                names[-1],
                kernel_size=layer.kernel or None,
                noise=noise.deeper,
                generator=generator,
                inputs=inputs,
            )
            names.append(done.layer)
        for own, target in zip(names, (grown.target, *grown.new), strict=True):
            network = _widened(network, own, grown.narrow, target.width, inputs, noise, generator)
    return network


def _widened(
    network: nn.Module, name: str, now: int, width: int, inputs: Tensor, noise: NoiseShares, generator: torch.Generator
) -> nn.Module:
    if width == now:
        return network
    return widen(network, name, width, noise=noise.wider, generator=generator, inputs=inputs)


@torch.no_grad()
def take_weights(layers: nn.Sequential, grown: nn.Module) -> None:
    """Give the layers of an architecture the weights of a network that has grown to it, layer by layer in order.

    Args:
        layers: As `chain_module` makes them; changed.
        grown: With other names.

    Raises:
        MorphismError: If it has other layers, or a bias where the architecture has none.
    """
    own, given = list(_with_state(layers)), list(_with_state(grown))
    if [type(module) for module in own] != [type(module) for module in given]:
        raise MorphismError(f"a network of {len(given)} layers has not the architecture of one of {len(own)}")
    for module, other in zip(own, given, strict=True):
        state = other.state_dict()
        extra = [key for key in state.keys() - module.state_dict().keys() if bool(state[key].any())]
        if extra:
            raise MorphismError(f"a grown layer has {listed(extra)}, which the architecture has not")
        module.load_state_dict({key: state[key] for key in module.state_dict()})


def _with_state(network: nn.Module) -> Iterator[nn.Module]:
    return (module for module in network.modules() if isinstance(module, _WITH_STATE))
