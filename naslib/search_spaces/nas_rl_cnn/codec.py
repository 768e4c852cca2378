"""Codec of networks of layers: codes of their decisions, written as lists of layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from naslib.errors import ArchitectureError, did_you_mean
from naslib.search_spaces.core.codec import Code, Codec
from naslib.search_spaces.core.encodings import FixedEdges
from naslib.search_spaces.core.literals import as_value, plain, shortened

from .decisions import DEPTH, LayerDecisions, LayerSizes, layer_decisions
from .layers import FilterLayer

_EXPECTED = "a list of layers such as {height: 3, width: 5, filters: 36, inputs: [1, 2]}"


class LayerCodec(Codec[Any]):
    """Code networks as their decisions: the depth, then for each layer what it reads and what it is.

    Args:
        sizes: What there is.
    """

    name = "nas_rl_cnn"

    def __init__(self, sizes: LayerSizes) -> None:
        self.sizes = sizes
        self._space = LayerDecisions(layer_decisions(sizes))

    @property
    def decision_space(self) -> LayerDecisions:
        """The depth, and for every layer what it reads and what it is."""
        return self._space

    def depth_decision(self) -> str:
        """Return the name of the depth."""
        return DEPTH

    def fixed_edges(self) -> FixedEdges:
        """There are no cells."""
        return {}

    def canonical(self, spec: Any) -> Code:
        """Return the code of a code, a list of layers or the candidates by decision, each as value or as text.

        Raises:
            ArchitectureError: If it is none of this space.
        """
        spec = plain(as_value(spec))
        if isinstance(spec, Mapping) and set(spec) == {"genotype"}:
            return self.canonical(spec["genotype"])
        if isinstance(spec, Mapping):
            return self._space.code_of(spec)
        if isinstance(spec, list) and any(isinstance(entry, Mapping) for entry in spec):
            return self.code_of(spec)
        return self._space.canonical(spec)

    def code_of(self, layers: Sequence[Any]) -> Code:
        """Return the code of a list of layers.

        Raises:
            ArchitectureError: If it is no network of this space.
        """
        least, most = self.sizes.min_layers, self.sizes.max_layers
        if not least <= len(layers) <= most:
            raise ArchitectureError(f"a network of this space has {least} to {most} layers, not {len(layers)}")
        choices: dict[str, Any] = {DEPTH: len(layers)}
        for number, layer in enumerate(layers, start=1):
            if not isinstance(layer, Mapping):
                raise ArchitectureError(f"layer {number} is {shortened(layer)}; a network is {_EXPECTED}")
            unknown = [key for key in layer if key not in FilterLayer._fields]
            if unknown:
                hint = did_you_mean(str(unknown[0]), FilterLayer._fields)
                raise ArchitectureError(f"layer {number} has no {unknown[0]!r}{hint}; a network is {_EXPECTED}")
            choices |= self._choices_of(number, layer)
        return self._space.code_of(choices)

    def _choices_of(self, number: int, layer: Mapping[str, Any]) -> dict[str, Any]:
        given = {"stride_height": self.sizes.strides[0], "stride_width": self.sizes.strides[0], "inputs": (), **layer}
        found = {f"layer_{number}/{name}": given[name] for name in self.sizes.values if name in given}
        for name in ("stride_height", "stride_width"):
            if name not in self.sizes.values and given[name] != self.sizes.strides[0]:
                raise ArchitectureError(
                    f"layer {number} has a {name} of {given[name]}, and that of this space is {self.sizes.strides[0]}: "
                    "search_space_args={strides: [1, 2, 3]}"
                )
        if number > 1:
            found[f"layer_{number}/inputs"] = given["inputs"]
        elif given["inputs"]:
            raise ArchitectureError(f"layer 1 reads the image, not {shortened(given['inputs'])}")
        return found

    def layers(self, code: Code) -> list[FilterLayer]:
        """Return the layers of a canonical code."""
        choices = self._space.choices(code)
        strides = dict.fromkeys(("stride_height", "stride_width"), self.sizes.strides[0])
        found = []
        for number in range(1, choices[DEPTH] + 1):
            values = {name: choices[f"layer_{number}/{name}"] for name in self.sizes.values}
            found.append(FilterLayer(**{**strides, **values}, inputs=choices.get(f"layer_{number}/inputs", ())))
        return found

    def genotype(self, code: Code) -> list[dict[str, Any]]:
        """Return the layers, to be written as JSON."""
        return [layer.to_json() for layer in self.layers(code)]

    def from_graph(self, graph: Any) -> Code:
        """Raise: the layers of a network are known by its code only."""
        raise ArchitectureError("no architecture is set on this nas_rl_cnn yet: use set_spec")

    def apply(self, graph: Any, code: Code) -> None:
        """Build the network that `code` names."""
        graph.put_layers(self.layers(code))
