"""ChainCodec: an architecture of a chain is the index of a block for each of its layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from naslib.errors import ArchitectureError, did_you_mean
from naslib.search_spaces.core._ops_by_name import op_name
from naslib.search_spaces.core.codec import Code, Codec
from naslib.search_spaces.core.decisions import Decision
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.literals import as_value, plain
from naslib.search_spaces.core.ops_basic import DropPath
from naslib.search_spaces.core.ops_mixed import MixedOp
from naslib.search_spaces.core.schema import DecisionSpace

# The edge of a layer that carries its candidates
EDGE = (1, 2)
# How layers under search are called, with their number
LAYER = "layer_"


def label_of_layer(layer: Graph) -> str:
    """Return the name of the decision of a layer: `layer_03/1-2`."""
    return f"{layer.name}/{EDGE[0]}-{EDGE[1]}"


class ChainCodec(Codec[Graph]):
    """Code architectures of a chain as one index per layer; codes are those of the decision space.

    Args:
        name: Of the space.
        names: Of the candidates by the label of their layer, as their operations are called.
    """

    def __init__(self, name: str, names: Mapping[str, Sequence[str]]) -> None:
        self.name = name
        self.labels = tuple(names)
        self.names = tuple(tuple(layer) for layer in names.values())
        self._space = DecisionSpace([Decision(label, "op", tuple(layer)) for label, layer in names.items()])

    def __deepcopy__(self, memo: Any) -> ChainCodec:
        return self  # it is never changed

    @property
    def decision_space(self) -> DecisionSpace:
        """One block for each layer."""
        return self._space

    def canonical(self, spec: Any) -> Code:
        """Return the code of an architecture.

        Args:
            spec: A code, the names of the blocks (a list, or text with a name or an index per layer), the candidates by
                decision, or what `genotype` returns.

        Raises:
            ArchitectureError: If it is none of this space; the message names the layer.
        """
        if isinstance(spec, str):
            spec = self.read_text(spec)
        spec = plain(spec)
        if isinstance(spec, Mapping) and "genotype" in spec:
            return self.canonical(spec["genotype"])
        if isinstance(spec, Mapping):
            return self._space.code_of(spec)
        if isinstance(spec, list) and spec and all(isinstance(entry, str) for entry in spec):
            return self.code_of_names(spec)
        return self._space.canonical(spec)

    def read_text(self, text: str) -> Any:
        """Return what a text holds: a literal, or words separated by spaces or commas.

        Raises:
            ArchitectureError: If it is neither.
        """
        text = text.strip()
        if text[:1] in ("[", "(", "{"):
            return as_value(text)
        words = text.replace(",", " ").split()
        return [int(word) for word in words] if all(word.isdecimal() for word in words) else words

    def code_of_names(self, names: Sequence[str]) -> Code:
        """Return the code of the blocks of these names, one per layer.

        Raises:
            ArchitectureError: If there is no such block, or their number is another than that of the layers.
        """
        if len(names) != len(self.names):
            raise ArchitectureError(
                f"{self.name} has {len(self.names)} layers under search, and {len(names)} blocks are given"
            )
        code = []
        for label, name, known in zip(self.labels, names, self.names, strict=True):
            if name not in known:
                raise ArchitectureError(
                    f"{label} has no block {name!r}{did_you_mean(name, known)} (it has: {', '.join(known)})"
                )
            code.append(known.index(name))
        return tuple(code)

    def genotype(self, code: Code) -> Any:
        """Return the names of the blocks, one per layer."""
        return [names[index] for names, index in zip(self.names, code, strict=True)]

    def from_graph(self, graph: Graph) -> Code:
        """Read the code off a discrete graph.

        Raises:
            ArchitectureError: If it is not discrete.
        """
        names = []
        for layer in searched_layers(graph):
            data = layer.edges[EDGE]
            op = data.op.op if isinstance(data.op, DropPath) else data.op
            if isinstance(op, list | MixedOp):
                raise ArchitectureError(f"the block of {label_of_layer(layer)} is not decided yet")
            names.append(op_name(op))
        return self.code_of_names(names)

    def apply(self, graph: Graph, code: Code) -> None:
        """Put the blocks that `code` names in the layers of `graph`, in place."""
        for layer, index in zip(searched_layers(graph), code, strict=True):
            data = layer.edges[EDGE]
            data.set("primitives", list(data.op))
            data.set("op_index", index)
            data.set("op", data.op[index])


def searched_layers(graph: Graph) -> list[Graph]:
    """Return the layers of a chain that are under search, or were, in their order."""
    found = [nested for nested in graph.nested_graphs() if (nested.name or "").startswith(LAYER)]
    return sorted(found, key=lambda layer: int(layer.name.removeprefix(LAYER)))
