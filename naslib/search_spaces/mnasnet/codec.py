"""Codec of MnasNet-style spaces: an architecture is a block string for each stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from naslib.errors import ArchitectureError, ConfigError, did_you_mean
from naslib.search_spaces.core.codec import Code
from naslib.search_spaces.core.mobile.codec import ChainCodec
from naslib.search_spaces.core.mobile.strings import canonical_block


class BlockStringCodec(ChainCodec):
    """Code architectures as one index per stage under search; the genotype is their block strings.

    Args:
        name: Of the space.
        names: Of the candidates by the label of their layer, as their operations are called.
        strings: Of the candidates in full, in the same order.
    """

    def __init__(self, name: str, names: Mapping[str, Sequence[str]], strings: Sequence[Sequence[str]]) -> None:
        super().__init__(name, names)
        self.strings = tuple(tuple(layer) for layer in strings)

    def genotype(self, code: Code) -> list[str]:
        """Return the block strings of the stages under search."""
        return [strings[index] for strings, index in zip(self.strings, code, strict=True)]

    def code_of_names(self, names: Sequence[str]) -> Code:
        """Return the code of the stages of these block strings, with or without stride and channels.

        Raises:
            ArchitectureError: If one of them is none, or no alternative of its stage.
        """
        if len(names) != len(self.names):
            raise ArchitectureError(
                f"{self.name} has {len(self.names)} stages under search, and {len(names)} block strings are given"
            )
        code = []
        for label, name, short, full in zip(self.labels, names, self.names, self.strings, strict=True):
            known = short if name in short else full
            spelled = name if name in known else _spelled(name)
            if spelled not in known:
                raise ArchitectureError(
                    f"{label} has no alternative {name!r}{did_you_mean(spelled, full)} (it has: {', '.join(full)})"
                )
            code.append(known.index(spelled))
        return tuple(code)


def _spelled(text: str) -> str:
    """Return a block string as `format_block` writes it, any other text as it is."""
    try:
        return canonical_block(text)
    except ConfigError:
        return text
