"""Passages: batches of a text that go on where the batch before ended, and what a network remembers from one on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Self

from torch import Tensor


class Memory:
    """What a network remembers of a text from one batch to the next, and what it notes of its activations.

    Every forward on a batch begins with `before`, however many there are, and leaves `after`: whoever hands out the
    batches makes the one the other. So a forward never changes what another one on the same batch sees.

    Args:
        before: States by the name of the layer; none at the beginning of a text.

    Attributes:
        before: What a forward begins with.
        after: What the last forward ended with, without its history.
        wants_notes: Whether layers are to note their activations, for a loss that regularizes them.
    """

    def __init__(self, before: Mapping[str, Tensor] | None = None) -> None:
        self.before: dict[str, Tensor] = dict(before or {})
        self.after: dict[str, Tensor] = {}
        self.wants_notes = False
        self._notes: list[tuple[Tensor, Tensor]] = []

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Let the layers of the forward inside read and write this memory."""
        self.after, self._notes = {}, []
        token = _held.set(self)
        try:
            yield
        finally:
            _held.reset(token)

    def note(self, raw: Tensor, dropped: Tensor) -> None:
        """Note the activations of a layer, if they are wanted.

        Args:
            raw: `(n, t, channels)` outputs of a recurrent layer.
            dropped: The same after dropout.
        """
        if self.wants_notes:
            self._notes.append((raw, dropped))

    def take_notes(self) -> list[tuple[Tensor, Tensor]]:
        """Return what was noted in the last forward, once: outputs before and after dropout, `(n, t, channels)`."""
        found, self._notes = self._notes, []
        return found

    def __deepcopy__(self, memo: Any) -> Memory:
        copied = Memory({name: state.clone() for name, state in self.before.items()})
        copied.after = {name: state.clone() for name, state in self.after.items()}
        copied.wants_notes = self.wants_notes
        return copied

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_notes": []}


_held: ContextVar[Memory | None] = ContextVar("naslib_memory", default=None)


def held_memory() -> Memory | None:
    """Return the memory of the batch that is read now; None where a network is called by itself."""
    return _held.get()


class Passage(tuple[Any, ...]):
    """A pair `(tokens, next tokens)` of a loader whose batches are pieces of texts, one text per row.

    Attributes:
        goes_on: Whether the texts go on where those of the batch before in the same epoch ended.
        share: How long it is, as a share of the usual length: the learning rate of its step is multiplied by it.
        memory: What the network remembers.
    """

    goes_on: bool = False
    share: float = 1.0
    memory: Memory

    def __new__(cls, pair: Any, goes_on: bool = False, share: float = 1.0, memory: Memory | None = None) -> Self:
        """Make one of a pair."""
        passage = super().__new__(cls, pair)
        passage.goes_on, passage.share = goes_on, share
        passage.memory = memory if memory is not None else Memory()
        return passage

    def __reduce__(self) -> Any:
        return Passage, (tuple(self), self.goes_on, self.share, self.memory)
