"""LimitedCodec: the codes of a space that keep to limits, such as those of a device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Protocol

from naslib.errors import ConfigError, UnsupportedBySpaceError

from .codec import Code, Codec
from .known_codec import KnownCodec
from .restricted_codec import RestrictedCodec

# Draws of an architecture, before it is said that none keeps to the limits
DRAWS = 2000
# Variations that are tried before one is made smaller step by step
_ATTEMPTS = 50
# Steps on the way from an architecture to one that keeps to the limits, and what is looked at in each
_STEPS, _AROUND = 200, 40


class Limited(Protocol):
    """What says which architectures may be searched."""

    def excess(self, code: Code) -> float:
        """Return by how much an architecture is beyond its limits, as a share of them; 0 where it keeps to them."""

    def refusal(self) -> str:
        """Return that none keeps to the limits, with the smallest that was seen."""


class LimitedCodec(RestrictedCodec):
    """Vary architectures as another codec does, and return those alone that keep to limits.

    A draw is the other codec's, drawn again until it keeps to the limits: uniform over what does. Mutations,
    perturbations and crossovers are drawn again likewise; where some attempts bring none, the last of them is *led
    back*: to the one around it that is beyond the limits by least, and so on until it keeps to them. Neighbours are
    those that keep to them.

    Its `decision_space` is that of the whole space, for features; `from_decisions` leads from there to the architecture
    itself, or back from it, always in the same way.

    Args:
        codec: Of the whole space.
        limits: Say what may be searched.
    """

    def __init__(self, codec: Codec[Any], limits: Limited) -> None:
        super().__init__(codec)
        self.limits = limits

    def allows(self, code: Code) -> bool:
        """Say whether an architecture keeps to the limits."""
        return self.limits.excess(code) <= 0

    def random(self, rng: Random) -> Code:
        """Draw one of the codes that keep to the limits, as the other codec draws.

        Raises:
            ConfigError: If none of many draws does.
        """
        for _ in range(DRAWS):
            code = self.codec.random(rng)
            if self.allows(code):
                return code
        raise ConfigError(f"{self.limits.refusal()}, of {DRAWS} architectures drawn")

    def mutate(self, code: Code, rng: Random) -> Code:
        """Return a neighbour of `code` that keeps to the limits, or one near to such."""
        return self._varied(lambda: self.codec.mutate(code, rng), rng, other_than=code)

    def neighbours(self, code: Code) -> list[Code]:
        """Return the neighbours of `code` that keep to the limits."""
        return [other for other in self.codec.neighbours(code) if self.allows(other)]

    def perturb(self, code: Code, rate: float, rng: Random) -> Code:
        """Return a perturbed copy of `code` that keeps to the limits, or one near to such a copy."""
        return self._varied(lambda: self.codec.perturb(code, rate, rng), rng)

    def crossover(self, first: Code, second: Code, rng: Random) -> Code:
        """Return a child of two parents that keeps to the limits, or one near to such a child."""
        return self._varied(lambda: self.codec.crossover(first, second, rng), rng)

    def is_valid(self, code: Code) -> bool:
        """Say whether `code` belongs to the space and keeps to the limits."""
        return self.codec.is_valid(code) and self.allows(code)

    def iterate(self) -> Iterator[Code]:
        """Yield every code of the space that keeps to the limits once."""
        return filter(self.allows, self.codec.iterate())

    def from_decisions(self, decided: Code) -> Code:
        """Return the code that a code of the decision space stands for, led back to the limits if it is beyond them."""
        code = self.codec.from_decisions(decided)
        return code if self.allows(code) else self._led_back(code, Random(repr(code)))

    def _varied(self, draw: Callable[[], Code], rng: Random, other_than: Code | None = None) -> Code:
        code = draw()
        for _ in range(_ATTEMPTS):
            if code != other_than and self.allows(code):
                return code
            code = draw()
        return self._led_back(code, rng)

    def _led_back(self, code: Code, rng: Random) -> Code:
        """Return an architecture that keeps to the limits, reached by single changes that each lessen the excess."""
        excess = self.limits.excess(code)
        for _ in range(_STEPS):
            if excess <= 0:
                return code
            around = self._around(code, rng)
            nearer = [(self.limits.excess(other), place) for place, other in enumerate(around)]
            least, place = min(nearer, default=(excess, 0))
            if least >= excess:
                break
            code, excess = around[place], least
        return code if excess <= 0 else self.random(rng)

    def _around(self, code: Code, rng: Random) -> list[Code]:
        try:
            around = self.codec.neighbours(code)
        except UnsupportedBySpaceError:  # too many to list
            return [self.codec.mutate(code, rng) for _ in range(_AROUND)]
        return around if len(around) <= _AROUND else rng.sample(around, _AROUND)


def limited(codec: Codec[Any], limits: Limited) -> Codec[Any]:
    """Return a codec of those architectures of another one that keep to limits.

    Args:
        codec: Of the space; of one that has a list of its architectures, what keeps to the limits is a shorter list.
        limits: Say what may be searched.

    Raises:
        ConfigError: If nothing keeps to them, as far as draws tell.
    """
    if isinstance(codec, KnownCodec):
        codes = [code for code in codec.codes if limits.excess(code) <= 0]
        if not codes:
            raise ConfigError(f"{limits.refusal()}, of {len(codec.codes)} architectures that are known")
        return KnownCodec(codec.codec, codes)
    found = LimitedCodec(codec, limits)
    found.random(Random(0))
    return found
