"""Sizes of many architectures as sums of terms, where these are exactly what their networks have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from naslib.errors import ConfigError, GraphError, UnsupportedBySpaceError
from naslib.search_spaces.core.codec import Code
from naslib.search_spaces.core.decisions import MASKED
from naslib.search_spaces.core.elastic import values_in
from naslib.search_spaces.core.graph import Graph

from .count import count_costs

MODELLED = ("params", "macs")


class ModelledSizes:
    """Add up the size of an architecture from those of its candidates (`count_costs`).

    Args:
        space: The search space; not changed.
        metric: `"params"` or `"macs"`.
        input_shape: Of one input, without the batch.

    Raises:
        ConfigError: If sizes do not add up, or the decisions of the space are no choices of candidates on edges.
    """

    def __init__(self, space: Graph, metric: str, input_shape: Sequence[int]) -> None:
        self._codec = space._codec()
        decisions = self._codec.decision_space
        if decisions is None or values_in(space):
            raise ConfigError(f"the sizes of {space.get_type()} are not added up")
        self._model = count_costs(space, metric, input_shape)
        missing = [name for name in self._model.names if name not in decisions.names]
        kinds = {decision.name: decision.kind for decision in decisions.decisions}
        if missing or any(kinds[name] != "op" for name in self._model.names):
            raise ConfigError(f"{space.get_type()} decides more than operations")
        self._genes = [decisions.genes(name).start for name in self._model.names]

    def of(self, code: Code) -> float:
        """Return the size of an architecture in millions: a whole number of parameters, or of multiply-accumulates."""
        genes = self._codec.to_decisions(tuple(code))
        pairs = zip(self._genes, self._model.allowed, strict=True)
        choices = [None if genes[place] == MASKED else allowed[genes[place]] for place, allowed in pairs]
        return round(self._model.of_choices(choices) * 1e6) / 1e6


def models_of(
    space: Graph, names: Sequence[str], input_shape: Sequence[int], known: Mapping[Code, Mapping[str, float]]
) -> dict[str, ModelledSizes]:
    """Return what adds up the sizes of a space, by name; only what says the same of all architectures that are known.

    Args:
        space: The search space; not changed.
        names: Of the costs that are asked for.
        input_shape: Of one input, without the batch.
        known: Costs of architectures whose networks have been made.
    """
    found: dict[str, ModelledSizes] = {}
    for name in MODELLED:
        if name not in names:
            continue
        try:
            model = ModelledSizes(space, name, input_shape)
            is_exact = all(model.of(code) == figures[name] for code, figures in known.items() if name in figures)
        except (ConfigError, GraphError, UnsupportedBySpaceError):
            continue
        if is_exact:
            found[name] = model
    return found
