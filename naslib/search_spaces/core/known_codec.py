"""KnownCodec: the codes of a space of which only some are known, as in a table that is not complete."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

import numpy as np

from naslib.errors import ArchitectureError, UnsupportedBySpaceError

from .codec import Code, Codec
from .restricted_codec import RestrictedCodec

# Variations that are tried before the known ones are looked through
_ATTEMPTS = 32
# Architectures that another one has around it at least, where so many are known
_LEAST = 8
# Architectures of which is remembered what is around them
_REMEMBERED = 4096


class KnownCodec(RestrictedCodec):
    """Vary architectures as another codec does, and return those alone that are known.

    A draw is uniform over the known codes. What is *around* an architecture are its neighbours in the space that are
    known; where these are fewer than eight, also the known ones that are nearest, by the entries in which one-hot
    vectors differ: those of the smallest distances, until there are eight or more. A local search on a sparse table
    would otherwise end where no neighbour is known, and evolution go round in a few architectures.

    A mutation has the other codec's distribution, restricted to what is known, and is drawn uniformly from what is
    around where that was made wider. A crossover or perturbation is the other codec's, drawn again until it is known;
    after some attempts it is the known architecture nearest to one of them.

    Its `decision_space` is that of the whole space, for features; `from_decisions` leads from there to the nearest
    known architecture.

    Args:
        codec: Of the whole space.
        codes: The known ones, as the codec spells them.

    Raises:
        ArchitectureError: If there is none.
    """

    def __init__(self, codec: Codec[Any], codes: Sequence[Code]) -> None:
        super().__init__(codec)
        self.codes: list[Code] = sorted({tuple(code) for code in codes})
        if not self.codes:
            raise ArchitectureError(f"no architecture of {codec.name} is known: there is nothing to search")
        self._known = frozenset(self.codes)
        self._vectors: np.ndarray | None = None
        self._near: dict[Code, tuple[list[Code], bool]] = {}

    def __len__(self) -> int:
        return len(self.codes)

    def random(self, rng: Random) -> Code:
        """Draw one of the known codes uniformly."""
        return self.codes[int(rng.random() * len(self.codes))]

    def mutate(self, code: Code, rng: Random) -> Code:
        """Return one of the architectures around `code`; see the class."""
        around, is_wider = self._around(code)
        found = None if is_wider else self._tried(lambda: self.codec.mutate(code, rng), code)
        return found if found is not None else rng.choice(around)

    def neighbours(self, code: Code) -> list[Code]:
        """Return the known architectures around `code`; see the class."""
        return list(self._around(code)[0])

    def perturb(self, code: Code, rate: float, rng: Random) -> Code:
        """Return a known architecture that is a perturbed copy of `code`, or one of those nearest to such a copy."""
        found = self._tried(lambda: self.codec.perturb(code, rate, rng))
        return found if found is not None else rng.choice(self._nearest(self.codec.perturb(code, rate, rng)))

    def crossover(self, first: Code, second: Code, rng: Random) -> Code:
        """Return a known architecture that is a child of two parents, or one of those nearest to such a child."""
        found = self._tried(lambda: self.codec.crossover(first, second, rng))
        return found if found is not None else rng.choice(self._nearest(self.codec.crossover(first, second, rng)))

    def is_valid(self, code: Code) -> bool:
        """Say whether `code` is known."""
        return tuple(code) in self._known

    def iterate(self) -> Iterator[Code]:
        """Yield every known code once, sorted."""
        return iter(self.codes)

    def _tried(self, draw: Callable[[], Code], other_than: Code | None = None) -> Code | None:
        for _ in range(_ATTEMPTS):
            found = draw()
            if found in self._known and found != other_than:
                return found
        return None

    def _around(self, code: Code) -> tuple[list[Code], bool]:
        """Return what is around an architecture, itself only if there is no other; and whether that was made wider."""
        found = self._near.get(code)
        if found is None:
            try:
                near = [other for other in self.codec.neighbours(code) if other in self._known and other != code]
            except UnsupportedBySpaceError:  # too many to list
                near = []
            wanted = min(_LEAST, len(self.codes) - 1)
            found = (near, False) if len(near) >= max(wanted, 1) else (self._widened(code, near, wanted), True)
            if len(self._near) < _REMEMBERED:
                self._near[code] = found
        return found

    def _widened(self, code: Code, near: list[Code], wanted: int) -> list[Code]:
        """Return neighbours and the nearest others, of the last distance all, so many at least."""
        taken = {*near, code}
        distance = self._distances(code)
        for least in np.unique(distance):
            if len(near) >= wanted:
                break
            at = [self.codes[place] for place in np.flatnonzero(distance == least)]
            near = [*near, *(other for other in at if other not in taken)]
        return near or [code]

    def _nearest(self, code: Code) -> list[Code]:
        """Return the known codes that differ least from `code`."""
        distance = self._distances(code)
        return [self.codes[place] for place in np.flatnonzero(distance == distance.min())]

    def _distances(self, code: Code) -> np.ndarray:
        distance: np.ndarray = np.abs(self._known_vectors() - self._vector(code)).sum(axis=1)
        return distance

    def _known_vectors(self) -> np.ndarray:
        if self._vectors is None:
            self._vectors = np.stack([self._vector(code) for code in self.codes])
        return self._vectors

    def _vector(self, code: Code) -> np.ndarray:
        return self.codec._stated("distances").vector(self.codec.to_decisions(code))

    def from_decisions(self, decided: Code) -> Code:
        """Return the known code that a code of the decision space stands for, or the first of those nearest to it."""
        return self.nearest(decided)[0]

    def nearest(self, decided: Code) -> list[Code]:
        """Return the known code that a code of the decision space stands for, or all of those nearest to it."""
        code = self.codec.from_decisions(decided)
        return [code] if code in self._known else self._nearest(code)


def within(codec: Codec[Any], known: Sequence[Code] | None) -> Codec[Any]:
    """Return the codec, restricted to the known codes unless they are all that there are.

    Args:
        codec: Of the whole space.
        known: None if everything is known; what is not of the space, as the codec spells it, does not count.

    Raises:
        ArchitectureError: If nothing is known.
    """
    if known is None or is_all(codec, len(known)):
        return codec
    return KnownCodec(codec, [code for code in known if codec.is_valid(code)])


def is_all(codec: Codec[Any], number: int) -> bool:
    """Say whether so many different codes are the whole space, as far as that can be counted."""
    space = codec.decision_space
    return space is not None and space.size() == number
