"""SpelledCodec: a StatedCodec whose architectures also have the form in which the people of a field write them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from .codec import Code
from .literals import Call, plain, read_literal
from .schema import DecisionSpace
from .stated_codec import StatedCodec


class Spelling(ABC):
    """How architectures of a space are written elsewhere: as a string, a genotype, the row of a table."""

    @abstractmethod
    def read(self, spec: Any) -> Mapping[str, Any] | None:
        """Return the candidates by decision that `spec` names; None where it has not the form of this spelling.

        It may name more than the architecture decides: a size in a block that it does not have.

        Args:
            spec: An architecture in any form, as plain values; text only where it cannot be read as values.

        Raises:
            ArchitectureError: If it has the form, and is no architecture.
        """

    @abstractmethod
    def write(self, choices: Mapping[str, Any]) -> Any:
        """Return the architecture as JSON can hold it.

        Args:
            choices: The candidates by decision, of the decisions that are made.
        """


class SpelledCodec(StatedCodec):
    """Code architectures as their decision space does; read and write them also as people of the field do.

    A space without a codec of its own returns one from `_codec`.

    Args:
        name: Of the space.
        space: Its decisions.
        spelling: The form.
    """

    def __init__(self, name: str, space: DecisionSpace, spelling: Spelling) -> None:
        super().__init__(name, space)
        self.spelling = spelling

    def reads(self, spec: Any) -> bool:
        """Say whether `spec` has the form of the spelling."""
        return self.spelling.read(_value(spec)) is not None

    def canonical(self, spec: Any) -> Code:
        """Return the code of an architecture in the spelling, or in any form that the parent takes.

        Raises:
            ArchitectureError: If it is none of this space.
        """
        choices = self.spelling.read(_value(spec))
        if choices is None:
            return super().canonical(spec)
        return self._space.code_of(choices)

    def genotype(self, code: Code) -> Any:
        """Return the architecture in the spelling."""
        return self.spelling.write(self._space.choices(code))


def _value(spec: Any) -> Any:
    """Return what a text, a named tuple or a call stands for, as plain values; a text that is no value stays one."""
    if isinstance(spec, str):
        try:
            spec = read_literal(spec)
        except ValueError:
            return spec.strip()
    if isinstance(spec, Call):
        spec = spec.keywords
    elif isinstance(spec, tuple) and hasattr(spec, "_asdict"):
        spec = spec._asdict()
    if isinstance(spec, Mapping) and "genotype" in spec:  # what a run wrote
        return _value(spec["genotype"])
    return plain(spec)
