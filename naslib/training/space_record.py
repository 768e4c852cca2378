"""Space record: a discrete network as a few lines of JSON, and the network from those lines."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

from naslib.errors import ArchitectureError, CheckpointError
from naslib.search_spaces.core.architecture import op_name
from naslib.search_spaces.core.arguments import constructor_arguments as constructor_arguments
from naslib.search_spaces.core.batch_norm import batch_norm_modules, make_batch_norm_affine
from naslib.search_spaces.core.elastic import values_in
from naslib.search_spaces.core.elastic.candidates import put_values
from naslib.search_spaces.core.given_weights import freeze, frozen_names
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.node_choices import choices_at, combinations_in, put_combination
from naslib.utils.files import to_jsonable


def describe_search(optimizer: Any, dataset: str) -> dict[str, Any]:
    """Return what must be the same for a checkpoint to be of this search: space and sizes, optimizer, data, classes.

    And the labels of the decisions, where there are any: architecture parameters are restored by their order.
    """
    graph = optimizer.space  # the supernet of a later stage may be deeper
    is_space = isinstance(graph, Graph)
    labels = list(getattr(optimizer, "decision_names", ()))
    return {
        **({"decisions": labels} if labels else {}),
        **_limits(optimizer),
        "search_space": graph.get_type() if is_space else type(graph).__name__,
        "space arguments": to_jsonable(constructor_arguments(graph)) if is_space else {},
        "optimizer": type(optimizer).__name__,
        "dataset": dataset,
        "classes": getattr(graph, "n_classes", None),
    }


def _limits(optimizer: Any) -> dict[str, Any]:
    """Return the limits of a search that proposes within them; those of a selection in the end may change."""
    limits = {} if optimizer.using_step_function else getattr(optimizer, "limits", {})
    return {"limits": dict(limits), "hardware": to_jsonable(optimizer.hardware)} if limits else {}


def describe_architecture(architecture: Graph, with_norms: bool = True) -> dict[str, Any]:
    """Return what rebuilds a discrete architecture: class, constructor arguments, and its code or its ops by edge.

    Args:
        architecture: The architecture.
        with_norms: Whether its own weights are to fit, so that it counts whether its norms have weight and bias.
    """
    cls = type(architecture)
    record: dict[str, Any] = {
        "class": f"{cls.__module__}:{cls.__qualname__}",
        "arguments": to_jsonable(constructor_arguments(architecture)),
    }
    if architecture.codec is not None or architecture._code is not None:
        record["code"] = list(architecture.get_code())
    else:
        record["ops"] = _ops_by_edge(architecture)
        combinations = [combinations_in(graph) for graph in architecture.nested_graphs()]
        if any(combinations):
            record["comb_ops"] = [{str(n): index for n, (_, index) in found.items()} for found in combinations]
        if architecture.chosen_values:
            record["values"] = dict(architecture.chosen_values)
    frozen = frozen_names(architecture)
    if frozen:
        record["frozen"] = frozen
    norms = batch_norm_modules(architecture) if with_norms else []
    if norms and all(norm.affine for norm in norms):  # as it is where no search has trained the network
        record["affine"] = True
    return record


def rebuild_architecture(record: Mapping[str, Any]) -> Graph:
    """Build the discrete architecture of a record, with fresh weights.

    Raises:
        CheckpointError: If the class of the space cannot be imported.
        ArchitectureError: If the space is not what it was.
    """
    space = _import_space(record["class"])(**record["arguments"])
    if "code" in record:
        space.put_architecture(tuple(record["code"]))
    else:
        space.compile()
        if "comb_ops" in record:
            space.remember_decisions()
            _put_combinations(space, record["comb_ops"])
        _put_ops(space, record["ops"])
        put_values(space, _indices(space, record.get("values", {})))
    space.prepare_evaluation()
    space.parse()
    freeze(space, record.get("frozen", ()))
    return make_batch_norm_affine(space) if record.get("affine") else space


def _indices(space: Graph, values: Mapping[str, Any]) -> dict[str, int]:
    """Return which values of the sizes of a space are in a record.

    Raises:
        ArchitectureError: If the space has not these sizes.
    """
    leaves = {leaf.label: leaf for leaf in values_in(space)}
    for label, value in values.items():
        if label not in leaves or value not in leaves[label].values:
            raise ArchitectureError(f"there is no size {label} = {value}: the space was changed since")
    return {label: leaves[label].values.index(value) for label, value in values.items()}


def _import_space(name: str) -> type[Graph]:
    module_name, _, qualified = name.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
        for part in qualified.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise CheckpointError(
            f"the search space {name} cannot be imported ({error}); put its module on the Python path"
        ) from error
    if not (inspect.isclass(found) and issubclass(found, Graph)):
        raise CheckpointError(f"{name} is no search space")
    return found


def _ops_by_edge(architecture: Graph) -> list[dict[str, str]]:
    """Return per nested graph its edges and the names of their ops."""
    return [
        {f"{u},{v}": op_name(data.op) for u, v, data in sorted(graph.edges(data=True), key=lambda edge: edge[:2])}
        for graph in architecture.nested_graphs()
    ]


def _put_combinations(space: Graph, positions: list[dict[str, int]]) -> None:
    """Put the candidates at these positions at the nodes of a space, by the number of the graph and the node.

    Raises:
        ArchitectureError: If the space has not these candidates.
    """
    graphs = space.nested_graphs()
    decisions = [decision for decision in space.decision_space.decisions if decision.kind != "value"]
    sites = [(decision.name, site) for decision in decisions for site in decision.sites]
    sites = [(name, site) for name, site in sites if site.head is None and site.positions]
    for name, site in sites:
        graph = graphs[site.number]
        index = positions[site.number].get(str(site.tail)) if site.number < len(positions) else None
        candidates = next(choice.data.op for choice in choices_at(graph) if choice.node == site.tail)
        if index is None or index >= len(candidates):
            raise ArchitectureError(f"there is no candidate {index} for {name!r}: the space was changed since")
        put_combination(graph, site.tail, candidates[index], name)


def _put_ops(space: Graph, ops: list[dict[str, str]]) -> None:
    graphs = space.nested_graphs()
    if len(graphs) != len(ops):
        raise ArchitectureError(
            f"the space has {len(graphs)} graphs, the record {len(ops)}: the space was changed since"
        )
    for graph, by_edge in zip(graphs, ops, strict=True):
        for u, v, data in list(graph.edges(data=True)):
            name = by_edge.get(f"{u},{v}")
            if name is None:
                graph.remove_edge(u, v)
            elif isinstance(data.op, list):
                matching = [op for op in data.op if op_name(op) == name]
                if not matching:
                    raise ArchitectureError(f"edge ({u}, {v}) has no candidate {name!r}: the space was changed since")
                data.set("primitives", list(data.op))
                data.set("op", matching[0])
