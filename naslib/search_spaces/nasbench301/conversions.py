"""Conversions of architectures of the DARTS space between four forms.

* naslib: the graph, with cells named `normal_cell` and `reduction_cell`;
* genotype: `Genotype(normal, normal_concat, reduce, reduce_concat)`, as papers print it;
* compact: two tuples of (predecessor, op index), as in [Li2019random], and a third where not all intermediate nodes
  make the output of a cell: the nodes that do, of both cells;
* config: the dictionary of NAS-Bench-301's configuration space, which knows full outputs only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from naslib.errors import ArchitectureError
from naslib.search_spaces.core.graph import EdgeData, Graph
from naslib.search_spaces.core.literals import plain, shortened

from .genotype import OPS as OPS
from .genotype import Genotype as Genotype
from .genotype import as_genotype, make_genotype
from .outputs import choose_outputs, outputs_of
from .spellings import read_edges

# (normal, reduce), or (normal, reduce, (normal_concat, reduce_concat))
Compact = tuple[tuple[Any, ...], ...]

CELL_NAMES = ("normal_cell", "reduction_cell")
_CELL_TYPES = ("normal", "reduce")
_CONFIG_KEY = "NetworkSelectorDatasetInfo:darts:"
FIRST_INTERMEDIATE = 3  # nodes 1 and 2 of a cell are its inputs
# names of primitives, with and without the suffix of the kernel size
OP_OF_PRIMITIVE = {
    "Identity": "skip_connect",
    "FactorizedReduce": "skip_connect",
    "SepConv3x3": "sep_conv_3x3",
    "SepConv5x5": "sep_conv_5x5",
    "DilConv3x3": "dil_conv_3x3",
    "DilConv5x5": "dil_conv_5x5",
    "AvgPool": "avg_pool_3x3",
    "AvgPool3x3": "avg_pool_3x3",
    "MaxPool": "max_pool_3x3",
    "MaxPool3x3": "max_pool_3x3",
}


def get_cell_of_type(naslib_object: Graph, cell_type: str) -> Graph:
    """Return the first cell of a graph called `cell_type`.

    Raises:
        ArchitectureError: If there is none.
    """
    cells = _cells_of_type(naslib_object, cell_type)
    if not cells:
        raise ArchitectureError(f"the graph {naslib_object.name!r} has no cell called {cell_type!r}")
    return cells[0]


def convert_naslib_to_genotype(naslib_object: Graph) -> Genotype:
    """Return the genotype of a discretized graph.

    Raises:
        ArchitectureError: If a node has not exactly two inputs, or an edge carries no operation of the space.
    """
    cells = [get_cell_of_type(naslib_object, name) for name in CELL_NAMES]
    names = names_in(naslib_object)
    normal, reduce = (_read_cell(cell, names) for cell in cells)
    return make_genotype(normal, reduce, (outputs_of(cells[0]), outputs_of(cells[1])))


def convert_genotype_to_naslib(genotype: Genotype, naslib_object: Graph) -> None:
    """Put the operations of a genotype on the edges of all cells and remove the other edges, in place.

    Each edge that stays keeps its candidates under the private key `primitives`. Where the output of a cell does not
    concatenate all nodes, the preprocessing of the cells behind it and the classifier are built for its channels.

    Args:
        genotype: A genotype with as many nodes as the graph's cells.
        naslib_object: An unparsed graph with all edges of the space, each carrying its candidates.

    Raises:
        ArchitectureError: If the genotype is invalid, or the graph is an architecture already.
    """
    names = names_in(naslib_object)
    genotype = as_genotype(genotype, tuple(dict.fromkeys((*OPS, *names.values()))))
    for name, edges in zip(CELL_NAMES, (genotype.normal, genotype.reduce), strict=True):
        chosen = {(source + 1, position // 2 + FIRST_INTERMEDIATE): op for position, (op, source) in enumerate(edges)}
        cells = _cells_of_type(naslib_object, name)
        for cell in cells:
            if len(_intermediate(cell)) != len(edges) // 2:
                raise ArchitectureError(
                    f"the genotype has {len(edges) // 2} nodes per cell, the graph {len(_intermediate(cell))}"
                )
            _write_cell(cell, chosen, names)
        if not cells:
            raise ArchitectureError(f"the graph {naslib_object.name!r} has no cell called {name!r}")
    choose_outputs(naslib_object, dict(zip(CELL_NAMES, (genotype.normal_concat, genotype.reduce_concat), strict=True)))


def convert_genotype_to_compact(genotype: Genotype, operations: Sequence[str] = OPS, doubled: bool = False) -> Compact:
    """Return the compact form of a genotype, in its order.

    Args:
        genotype: The genotype.
        operations: Those that the numbers stand for, `DartsCodec.operations`: the seven of DARTS are first in all.
        doubled: See `as_genotype`.

    Raises:
        ArchitectureError: If the genotype is invalid.
    """
    genotype = as_genotype(genotype, operations, doubled)
    normal, reduce = (
        tuple((source, operations.index(op)) for op, source in cell) for cell in (genotype.normal, genotype.reduce)
    )
    if is_full(genotype):
        return normal, reduce
    return normal, reduce, (tuple(genotype.normal_concat), tuple(genotype.reduce_concat))


def convert_compact_to_genotype(
    compact: Sequence[Sequence[Sequence[int]]], operations: Sequence[str] = OPS, doubled: bool = False
) -> Genotype:
    """Return the genotype of a compact form, in its order; for the arguments see `convert_genotype_to_compact`.

    Raises:
        ArchitectureError: If the compact form is invalid.
    """
    parts = plain(compact)
    outputs = plain(parts[2]) if isinstance(parts, list) and len(parts) == 3 else [None, None]
    if not isinstance(parts, list) or len(parts) not in (2, 3) or not isinstance(outputs, list) or len(outputs) != 2:
        raise ArchitectureError(f"a compact form is two lists of (predecessor, op), not {shortened(compact)}")
    cells = []
    for name, part in zip(_CELL_TYPES, parts, strict=False):
        edges, wrong = read_edges(part, source_first=True)
        if wrong:
            raise ArchitectureError(f"a compact form is two lists of (predecessor, op): {name}{wrong}")
        cells.append(edges)
    for op, _ in (*cells[0], *cells[1]):
        if isinstance(op, int) and op not in range(len(operations)):
            raise ArchitectureError(f"op index {op} is not in 0..{len(operations) - 1}")
    fields = ("normal", "reduce", "normal_concat", "reduce_concat")
    return as_genotype(dict(zip(fields, (*cells, *outputs), strict=True)), operations, doubled)


def is_full(genotype: Genotype) -> bool:
    """Say whether all intermediate nodes make the output, in both cells."""
    return all(
        len(concat) == len(edges) // 2
        for edges, concat in ((genotype.normal, genotype.normal_concat), (genotype.reduce, genotype.reduce_concat))
    )


def convert_genotype_to_config(genotype: Genotype) -> dict[str, str]:
    """Return the NAS-Bench-301 configuration of a genotype.

    Raises:
        ArchitectureError: If the genotype is invalid, or the output of a cell does not concatenate all nodes.
    """
    genotype = as_genotype(genotype)
    if not is_full(genotype):
        raise ArchitectureError(
            "the configurations of NAS-Bench-301 have cells whose output concatenates all intermediate nodes only, not "
            f"normal_concat={list(genotype.normal_concat)}, reduce_concat={list(genotype.reduce_concat)}"
        )
    config = {}
    for cell_type in _CELL_TYPES:
        edges = getattr(genotype, cell_type)
        start = 0
        for node in range(2, 2 + len(edges) // 2):
            pair = edges[2 * node - 4 : 2 * node - 2]
            config.update({f"{_CONFIG_KEY}edge_{cell_type}_{start + source}": op for op, source in pair})
            if node > 2:  # the first node has no choice of inputs
                inputs = "_".join(str(source) for source in sorted(source for _, source in pair))
                config[f"{_CONFIG_KEY}inputs_node_{cell_type}_{node}"] = inputs
            start += node
    return config


def convert_config_to_genotype(config: Mapping[str, str]) -> Genotype:
    """Return the genotype of a NAS-Bench-301 configuration, predecessors ascending.

    Raises:
        ArchitectureError: If a node has not exactly two inputs, or an operation is unknown.
    """
    cells = []
    for cell_type in _CELL_TYPES:
        prefix = f"{_CONFIG_KEY}edge_{cell_type}_"
        positions = [key.removeprefix(prefix) for key in map(str, config) if key.startswith(prefix)]
        if not positions or not all(position.isdecimal() for position in positions):
            raise ArchitectureError(f"the configuration has no edges {prefix}0, 1, ...")
        last = max(int(position) for position in positions)
        edges: list[tuple[str, int]] = []
        start, node = 0, 2
        while start <= last:
            found = [
                (config[f"{prefix}{start + source}"], source)
                for source in range(node)
                if f"{prefix}{start + source}" in config
            ]
            if len(found) != 2:
                raise ArchitectureError(f"node {node} of the {cell_type} cell has {len(found)} inputs instead of two")
            edges += found
            start += node
            node += 1
        cells.append(edges)
    return as_genotype(make_genotype(cells[0], cells[1]))


def convert_naslib_to_compact(naslib_object: Graph) -> Compact:
    """Return the compact form of a discretized graph."""
    return convert_genotype_to_compact(convert_naslib_to_genotype(naslib_object), operations_of(naslib_object))


def convert_compact_to_naslib(compact: Sequence[Sequence[Sequence[int]]], naslib_object: Graph) -> None:
    """Put the architecture of a compact form on a graph, in place (see `convert_genotype_to_naslib`)."""
    genotype = convert_compact_to_genotype(compact, operations_of(naslib_object))
    convert_genotype_to_naslib(genotype, naslib_object)


def convert_naslib_to_config(naslib_object: Graph) -> dict[str, str]:
    """Return the NAS-Bench-301 configuration of a discretized graph."""
    return convert_genotype_to_config(convert_naslib_to_genotype(naslib_object))


def convert_config_to_naslib(config: Mapping[str, str], naslib_object: Graph) -> None:
    """Put the architecture of a configuration on a graph, in place (see `convert_genotype_to_naslib`)."""
    convert_genotype_to_naslib(convert_config_to_genotype(config), naslib_object)


def convert_config_to_compact(config: Mapping[str, str]) -> Compact:
    """Return the compact form of a NAS-Bench-301 configuration."""
    return convert_genotype_to_compact(convert_config_to_genotype(config))


def convert_compact_to_config(compact: Sequence[Sequence[Sequence[int]]]) -> dict[str, str]:
    """Return the NAS-Bench-301 configuration of a compact form."""
    return convert_genotype_to_config(convert_compact_to_genotype(compact))


def make_compact_mutable(compact: Sequence[Sequence[Sequence[int]]]) -> list[list[list[int]]]:
    """Return a compact form as nested lists."""
    return [[list(pair) for pair in cell] for cell in compact]


def make_compact_immutable(compact: Sequence[Sequence[Sequence[int]]]) -> Compact:
    """Return a compact form as nested tuples, which are hashable."""
    return tuple(tuple(tuple(pair) for pair in cell) for cell in compact)


def names_in(graph: Graph) -> Mapping[str, str]:
    """Return the operations' names in genotypes by those that they have on the edges of a graph."""
    names: Mapping[str, str] = getattr(graph, "names_in_genotype", OP_OF_PRIMITIVE)
    return names


def operations_of(graph: Graph) -> Sequence[str]:
    """Return the operations that the numbers in a graph's codes and compact forms stand for."""
    operations: Sequence[str] = getattr(graph.codec, "operations", OPS)
    return operations


def _cells_of_type(graph: Graph, cell_type: str) -> list[Graph]:
    subgraphs = [graph.nodes[node].get("subgraph") for node in sorted(graph.nodes)]
    return [cell for cell in subgraphs if isinstance(cell, Graph) and cell.name == cell_type]


def _intermediate(cell: Graph) -> range:
    return range(FIRST_INTERMEDIATE, max(cell.nodes))


def _op_name(op: Any) -> str:
    name = getattr(op, "get_op_name", None)
    return name if isinstance(name, str) else type(op).__name__


def _read_cell(cell: Graph, names: Mapping[str, str]) -> list[tuple[str, int]]:
    edges = []
    for node in _intermediate(cell):
        sources = sorted(cell.predecessors(node))
        if len(sources) != 2:
            raise ArchitectureError(
                f"node {node} of {cell.name!r} has {len(sources)} inputs instead of two: the graph is not discretized"
            )
        for source in sources:
            op = cell.edges[source, node].op
            name = "a list of candidates" if isinstance(op, list) else _op_name(op)
            if name not in names:
                raise ArchitectureError(f"edge ({source}, {node}) of {cell.name!r} carries {name}, no op of a genotype")
            edges.append((names[name], source - 1))
    return edges


def _write_cell(cell: Graph, chosen: Mapping[tuple[int, int], str], names: Mapping[str, str]) -> None:
    nodes = _intermediate(cell)
    missing = [edge for edge in chosen if edge not in cell.edges]
    if missing:
        raise ArchitectureError(f"{cell.name!r} has no edge {missing[0]}: the graph is an architecture already")
    for edge in [edge for edge in cell.edges if edge[1] in nodes]:
        if edge not in chosen:
            cell.remove_edge(*edge)
            continue
        data = cell.edges[edge]
        candidates = _candidates(data, cell, edge)
        data.set("op", _select(candidates, chosen[edge], cell, edge, names))
        data.set("primitives", candidates)


def _candidates(data: EdgeData, cell: Graph, edge: tuple[int, int]) -> list[Any]:
    if data.has("primitives"):
        return data["primitives"]
    op = data.op if isinstance(data.op, list) else getattr(data.op, "primitives", None)
    if op is None:
        raise ArchitectureError(f"edge {edge} of {cell.name!r} has no candidates: the graph is an architecture already")
    return list(op)


def _select(candidates: list[Any], op: str, cell: Graph, edge: tuple[int, int], names: Mapping[str, str]) -> Any:
    for candidate in candidates:
        if names.get(_op_name(candidate)) == op:
            return candidate
    there = [_op_name(candidate) for candidate in candidates]
    raise ArchitectureError(f"edge {edge} of {cell.name!r} has no candidate for {op} (it has: {there})")
