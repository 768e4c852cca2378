"""A module with choices becomes one with graphs, and one with graphs that are decided a plain module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from torch import nn

from naslib.errors import GraphError
from naslib.search_spaces.core._ops_by_name import GIVEN_NAME
from naslib.search_spaces.core.elastic import Elastic, Size
from naslib.search_spaces.core.graph import Graph

from .graphs import ChoiceGraph, InputGraph, LayerGraph
from .marks import AUTOMATIC, InputChoice, LayerChoice, ValueChoice

M = TypeVar("M", bound=nn.Module)
Mark = LayerChoice | InputChoice


def settled(module: nn.Module) -> nn.Module:
    """Replace the choices in a module by graphs, and name them, in place; return the module.

    Raises:
        GraphError: If there is no choice in it, choices of one label differ, or a value is kept and no layer reads it.
    """
    places = list(_places(module, ""))
    marks = [(path or "choice", part) for path, part in places if isinstance(part, Mark)]
    _name_values(places)
    labels = {id(mark): mark.label if mark.label is not None else path for path, mark in marks}
    values = {leaf.label for _, part in places if isinstance(part, Elastic) for leaf in part.sizes.leaves}
    _check(places, marks, labels, values)
    first: dict[str, ChoiceGraph] = {}
    numbers = {id(mark): number for number, (_, mark) in enumerate(marks)}

    def graph_of(part: nn.Module) -> nn.Module:
        if not isinstance(part, Mark):
            return part
        name, label = f"choice_{numbers[id(part)]:04d}", labels[id(part)]
        made: ChoiceGraph
        if isinstance(part, LayerChoice):
            made = LayerGraph(name, label, list(part))
        else:
            made = InputGraph(name, label, part.n_candidates, part.n_chosen)
        made.train(part.training)
        if label in first:
            made.tie(first[label])
        first.setdefault(label, made)
        return made

    return replaced(module, graph_of)


def plain_module(module: nn.Module) -> nn.Module:
    """Replace the graphs of choices that are decided by what was chosen, in place; return the module.

    Raises:
        GraphError: If one is not decided.
    """
    return replaced(module, lambda part: part.plain() if isinstance(part, ChoiceGraph) else part)


def replaced(module: nn.Module, change: Callable[[nn.Module], nn.Module]) -> nn.Module:
    """Replace the modules in a module, those of graphs included, innermost first, in place.

    Args:
        module: The module.
        change: Returns what comes in the place of a module; called once for each.

    Returns:
        What comes in the place of the module itself.
    """
    return _Replacement(change).of(module)


class _Replacement:
    def __init__(self, change: Callable[[nn.Module], nn.Module]) -> None:
        self.change = change
        self.done: dict[int, nn.Module] = {}
        self.kept: list[nn.Module] = []  # so that no id is used twice

    def of(self, part: Any) -> Any:
        """Return what comes in the place of a module, or of those in a list; anything else as it is."""
        if isinstance(part, list | tuple):
            return type(part)(self.of(member) for member in part)
        if not isinstance(part, nn.Module):
            return part
        if id(part) not in self.done:
            self.kept.append(part)
            self.done[id(part)] = part  # where a module is its own part
            if isinstance(part, Graph):
                self._within_graph(part)
            for name, member in list(part._modules.items()):
                if member is not None:
                    part._modules[name] = self.of(member)
            self.done[id(part)] = self.change(part)
        return self.done[id(part)]

    def _within_graph(self, graph: Graph) -> None:
        for attributes in graph._node.values():
            for key in ("subgraph", "comb_op"):
                if key in attributes:
                    new = self.of(attributes[key])
                    if new is not attributes[key] and not _same(new, attributes[key]):
                        attributes[key] = new
        for _, _, data in graph.edges(data=True):
            new = self.of(data.op)
            if new is not data.op and not _same(new, data.op):
                data._set_op(new)


def _same(new: Any, old: Any) -> bool:
    """Say whether two lists have the same members."""
    is_list = isinstance(new, list | tuple) and isinstance(old, list | tuple)
    return is_list and len(new) == len(old) and all(a is b for a, b in zip(new, old, strict=True))


def _places(part: Any, path: str) -> Iterator[tuple[str, nn.Module]]:
    """Yield the modules in a module with their paths, each at its first place; graphs are looked into."""
    yield from _Walk().through(part, path)


class _Walk:
    def __init__(self) -> None:
        self.seen: set[int] = set()

    def through(self, part: Any, path: str) -> Iterator[tuple[str, nn.Module]]:
        """Look into a module."""
        if not isinstance(part, nn.Module) or id(part) in self.seen:
            return
        self.seen.add(id(part))
        yield path, part
        members = [(_name_of(part, name, member), member) for name, member in part._modules.items()]
        if isinstance(part, Graph):
            members += self._of_graph(part)
        for name, member in members:
            yield from self.through(member, f"{path}.{name}" if path else name)

    def _of_graph(self, graph: Graph) -> list[tuple[str, Any]]:
        found: list[tuple[str, Any]] = []
        for node in sorted(graph._node):
            attributes = graph._node[node]
            for key in ("subgraph", "comb_op"):
                found += _listed(attributes.get(key), f"{graph.name or 'graph'}/{node}")
            for target in sorted(graph._succ[node]):
                found += _listed(graph._succ[node][target].op, f"{graph.name or 'graph'}/{node}-{target}")
        return found


def _name_of(part: nn.Module, name: str, member: Any) -> str:
    """Return by what a part goes in the path: the candidates of a mapping by their keys."""
    given = vars(member).get(GIVEN_NAME) if isinstance(part, LayerChoice) and member is not None else None
    return name if given is None else str(given)


def _listed(op: Any, place: str) -> list[tuple[str, Any]]:
    if isinstance(op, list | tuple):
        return [(f"{place}.{index}", member) for index, member in enumerate(op)]
    return [(place, op)]


def _name_values(places: list[tuple[str, nn.Module]]) -> None:
    """Give the values without a label the name of the first argument that reads them."""
    names: dict[str, str] = {}
    taken = {leaf.label for _, part in places if isinstance(part, Elastic) for leaf in part.sizes.leaves}
    for path, part in places:
        if not isinstance(part, Elastic):
            continue
        for name, size in zip(part.sizes.names, part.sizes.sizes, strict=True):
            for leaf in size.leaves:
                if leaf.label.startswith(AUTOMATIC) and leaf.label not in names:
                    wanted = f"{path}.{name}" if path else name
                    number = 1
                    while (found := wanted if number == 1 else f"{wanted}#{number}") in taken:
                        number += 1
                    names[leaf.label] = found
                    taken.add(found)
    leaves = [leaf for _, part in places if isinstance(part, Elastic) for leaf in part.sizes.leaves]
    for leaf in leaves:
        if isinstance(leaf, ValueChoice) and leaf.label in names:
            leaf.rename(names[leaf.label])


def _check(
    places: list[tuple[str, nn.Module]], marks: list[tuple[str, Mark]], labels: dict[int, str], values: set[str]
) -> None:
    if not marks and not values and not any(isinstance(part, Graph) for _, part in places):
        raise GraphError(
            f"{type(places[0][1]).__name__} has no choice in it: nothing can be searched. Put a LayerChoice, an "
            "InputChoice or a RepeatChoice in the place of a layer, or a ValueChoice as an argument of an elastic "
            "layer (naslib.choices), or a graph with candidates on its edges"
        )
    first: dict[str, tuple[str, Mark]] = {}
    for path, mark in marks:
        label = labels[id(mark)]
        if label in values:
            raise GraphError(
                f"decision {label!r} is a {type(mark).__name__} and a value as well: give one another label"
            )
        before, other = first.setdefault(label, (path, mark))
        if _form(other) != _form(mark):
            raise GraphError(
                f"two choices are called {label!r} and differ: {before} chooses from {_form(other)}, {path} from "
                f"{_form(mark)}; equal labels are one decision, so give them the same candidates or two labels"
            )
    for path, part in places:
        for name, kept in vars(part).items():
            unread = [leaf for leaf in kept.leaves if leaf.label not in values] if isinstance(kept, Size) else []
            if unread:
                raise GraphError(
                    f"{type(part).__name__}.{name}{f' at {path}' if path else ''} is a ValueChoice of "
                    f"{list(unread[0].values)} that no elastic layer reads: give it to one as an argument, as in "
                    "ElasticLinear(8, width)"
                )


def _form(mark: Mark) -> str:
    """Return what must be the same for choices of one label."""
    if isinstance(mark, LayerChoice):
        return ", ".join(mark.candidate_names())
    return f"{mark.n_candidates} inputs ({mark.n_chosen if mark.n_chosen is not None else 'any'} of them)"
