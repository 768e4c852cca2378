"""Count what every candidate of a graph costs, in parameters, multiply-accumulates or bytes, for a `CostModel`."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from naslib.errors import ConfigError, UnsupportedBySpaceError
from naslib.search_spaces.core.assignment import Assignment, assigned
from naslib.search_spaces.core.decisions import Site
from naslib.search_spaces.core.elastic import values_in
from naslib.search_spaces.core.elastic.layer import Counter, Elastic, Extractable, members
from naslib.search_spaces.core.entering import Entering
from naslib.search_spaces.core.flops import zero_inputs
from naslib.search_spaces.core.graph import Graph, Scope
from naslib.search_spaces.core.primitives import AbstractCombOp, AbstractPrimitive, call_op
from naslib.search_spaces.core.statement import searched_edges, states_its_rule
from naslib.search_spaces.core.types import EdgeLike

from .cost_model import CostModel, CostTerm, KeptEdges
from .trace import candidates_of

# The candidates that a cost is inside of: the index of a decision, and of its candidate
Context = tuple[tuple[int, int], ...]
# Where a cost arises: its context, and the module
Atom = tuple[Context, int]
# Names of operations that count as multiply-accumulates, as of `naslib.search_spaces.core.flops`
_COUNTED = ("convolution", "_convolution", "addmm", "mm")
COUNTED = ("params", "macs", "memory")
# Forwards of the whole network at most, to see how sizes act on each other
_MOST_RUNS = 4000


def count_costs(graph: Graph, metric: str, input_shape: Sequence[int], scope: Scope = None) -> CostModel:
    """Return the cost model of a search space, or of a supernet that was made of one; the graph is not changed.

    Every candidate runs once, at the shapes at which it stands, so that what it costs is known for every copy of a
    cell. Where sizes of elastic layers are decided, the network runs again for every value, and for all combinations of
    those that act on one layer together. The cost of a candidate that has decisions inside goes to these.

    Args:
        graph: The space or supernet.
        metric: `"params"` (millions), `"macs"` (millions) or `"memory"` (megabytes of weights and buffers).
        input_shape: Of one input; read for `macs`.
        scope: Which graphs are searched; the space's `OPTIMIZER_SCOPE` if None.

    Raises:
        ConfigError: If there is nothing to choose, the space does not state which edges it keeps, candidates share
            weights (parameters are then no sum), or the network cannot be run on such an input.
    """
    scope = scope if scope is not None else graph.OPTIMIZER_SCOPE
    model = empty_model(graph, scope)
    clone = graph.clone()
    clone.compile()
    numbers = {name: index for index, name in enumerate(model.names)}
    probes = _install(clone, scope, numbers)
    leaves = {leaf.label: leaf for leaf in values_in(clone)}
    clone.parse()
    clone.eval()
    clone.set_passes(native=False, checkpoint=False)
    measured: Callable[[Assignment | None], dict[Atom, float]]
    if metric == "macs":
        measured = _Macs(clone, probes, input_shape, bool(leaves))
    else:
        measured = _Weights(clone, numbers, in_bytes=metric == "memory")
    base = {label: leaf.values.index(max(leaf.values)) for label, leaf in leaves.items()}
    found = _by_values(measured, base, {label: len(leaf.values) for label, leaf in leaves.items()})
    _collect(model, found, numbers)
    return model


def empty_model(graph: Graph, scope: Scope) -> CostModel:
    """Return the decisions of a space or supernet with the rule by which an architecture has them, without costs.

    Args:
        graph: The space or supernet.
        scope: Which graphs are searched.

    Raises:
        ConfigError: If there is nothing to choose, or the space does not state which edges it keeps.
    """
    if not states_its_rule(type(graph)):
        raise ConfigError(
            f"{type(graph).__name__} removes edges by a rule of its own (prepare_discretization) and does not state "
            "it, so that nobody can say what an architecture costs: override state_decisions, too (docs/decisions.md)"
        )
    try:
        stated = graph.present_decisions(scope)
    except UnsupportedBySpaceError as error:
        raise ConfigError(f"there is nothing to choose, and so no cost to change: {error}") from error
    edges = searched_edges(graph, scope)
    positions: dict[str, tuple[int, ...]] = {}
    for decision in stated.decisions:
        if decision.kind == "op":
            positions[decision.name] = decision.sites[0].positions
    names: list[str] = []
    allowed: list[tuple[int, ...]] = []
    widths: list[int] = []
    place: dict[tuple[int, int | None, int], int] = {}
    for found in edges.values():
        for copy in found.copies:
            place[copy.number, copy.head, copy.tail] = len(names)
        names.append(found.name)
        widths.append(len(found.candidates))
        allowed.append(positions.get(found.name) or tuple(range(widths[-1])))
    for leaf in values_in(graph):
        names.append(leaf.label)
        widths.append(len(leaf.values))
        allowed.append(tuple(range(widths[-1])))
    groups = []
    for decision in stated.decisions:
        # the inputs of a node that are a candidate's, or a gate's, say are decisions like others
        site = decision.sites[0] if decision.sites else None
        if decision.kind == "inputs" and decision.name not in names and isinstance(site, Site) and site.head is None:
            entering = tuple(place[site.number, source, site.tail] for source in sorted(decision.candidates))
            groups.append(KeptEdges(entering, decision.n_chosen or len(entering)))
    return CostModel(tuple(names), allowed, widths, groups=groups)


# probes


class _Probe(AbstractPrimitive):
    """Run all candidates, each within its context, and return the output of the first."""

    def __init__(self, ops: Sequence[nn.Module], decision: int) -> None:
        super().__init__()
        self.ops = nn.ModuleList(ops)
        self.decision = decision
        self.context: list[tuple[int, int]] = []

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Return what the first candidate returns."""
        return self.run([x])[0]

    def run(self, inputs: Sequence[Any]) -> list[Tensor]:
        """Return what the candidates return."""
        outputs = []
        for index, op in enumerate(self.ops):
            self.context.append((self.decision, index))
            try:
                outputs.append(call_op(op, inputs[0]))
            finally:
                self.context.pop()
        return outputs


class _NodeProbe(AbstractCombOp):
    """The same at a node, for the combinations of what enters it."""

    def __init__(self, probe: _Probe) -> None:
        super().__init__()
        self.probe = probe

    def forward(self, tensors: list[Tensor], edges_data: Sequence[EdgeLike]) -> Tensor:  # type: ignore[override]
        """Return what the first combination returns."""
        return self.probe.run([Entering(tuple(tensors), edges_data, ran=[])])[0]


def _install(clone: Graph, scope: Scope, numbers: Mapping[str, int]) -> list[_Probe]:
    """Put probes in the place of all candidates of a graph."""
    probes = []
    for edges in searched_edges(clone, scope).values():
        for copy in edges.copies:
            ops = candidates_of(copy.data.op)
            if ops is None:
                continue
            probe = _Probe(ops, numbers[edges.name])
            probes.append(probe)
            if copy.head is None:
                copy.graph._node[copy.tail]["comb_op"] = _NodeProbe(probe)
            else:
                copy.data.set("op", probe)
    return probes


# what is measured


class _Macs(TorchDispatchMode):
    """Multiply-accumulates by place, in millions."""

    def __init__(self, graph: Graph, probes: Sequence[_Probe], input_shape: Sequence[int], by_module: bool) -> None:
        super().__init__()
        self.graph, self.input_shape = graph, tuple(input_shape)
        self.context: list[tuple[int, int]] = []
        self.modules: list[int] = []
        self.found: dict[Atom, float] = {}
        for probe in probes:
            probe.context = self.context
        if by_module:
            for module in graph.modules():
                if isinstance(module, Elastic) or not any(True for _ in module.children()):
                    module.register_forward_pre_hook(lambda m, _: self.modules.append(id(m)))
                    module.register_forward_hook(lambda *_: self.modules.pop() and None, always_call=True)

    def __call__(self, assignment: Assignment | None) -> dict[Atom, float]:
        """Return what one forward costs."""
        self.found = {}
        x = zero_inputs(self.graph, 1, self.input_shape)
        try:
            with torch.no_grad(), torch.random.fork_rng([]), _during(assignment), self:
                self.graph(x)
        except RuntimeError as error:
            raise ConfigError(
                f"the candidates cannot be run one by one on an input of shape {self.input_shape}: {error}"
            ) from error
        return self.found

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        packet = func.overloadpacket
        if packet.__name__ in _COUNTED and packet in flop_registry:
            flops = flop_registry[packet](*args, **(kwargs or {}), out_val=out)
            key = tuple(self.context), self.modules[-1] if self.modules else 0
            self.found[key] = self.found.get(key, 0.0) + flops / 2e6
        return out


class _Weights:
    """Parameters by place in millions, or bytes of parameters and buffers in megabytes; auxiliary heads left out."""

    def __init__(self, graph: Graph, numbers: Mapping[str, int], in_bytes: bool) -> None:
        self.graph, self.in_bytes = graph, in_bytes
        named = [*graph.named_parameters(), *graph.named_buffers()]
        self.left_out = {id(tensor) for name, tensor in named if "auxiliary" in name}

    def __call__(self, assignment: Assignment | None) -> dict[Atom, float]:
        """Return what is there under an assignment."""
        found: dict[Atom, float] = {}
        owners: dict[Any, Context] = {}
        with _during(assignment):
            for context, module, key, size in self._walk(self.graph, (), set()):
                if key in owners:
                    self._check_shared(owners[key], context)
                    continue
                owners[key] = context
                found[context, id(module)] = found.get((context, id(module)), 0.0) + size / 1e6
        return found

    def _walk(self, part: nn.Module | None, context: Context, seen: set[Any]) -> Iterator[tuple[Any, ...]]:
        """Yield context, module, what tells it from others, and size of everything that weighs."""
        if part is None or (id(part), context) in seen:
            return
        seen.add((id(part), context))
        if isinstance(part, _Probe):
            for index, op in enumerate(part.ops):
                yield from self._walk(op, (*context, (part.decision, index)), seen)
            return
        if isinstance(part, Elastic):
            sizes = part.point()
            for source, shape in part.parameter_shapes(sizes):
                yield context, part, (source, shape), torch.Size(shape).numel() * (4 if self.in_bytes else 1)
            for block in part.kept_blocks(sizes):
                yield from self._walk(block, context, seen)
            return
        if isinstance(part, Extractable):
            counter = Counter()
            part.count(counter)
            yield context, part, id(part), counter.total * (4 if self.in_bytes else 1)
            return
        own = [*part._parameters.values(), *(part._buffers.values() if self.in_bytes else ())]
        for tensor in own:
            if tensor is not None and id(tensor) not in self.left_out:
                yield context, part, id(tensor), tensor.numel() * (tensor.element_size() if self.in_bytes else 1)
        for member in members(part):
            yield from self._walk(member, context, seen)

    @staticmethod
    def _check_shared(first: Context, second: Context) -> None:
        shorter = min(len(first), len(second))
        if first[:shorter] != second[:shorter]:
            raise ConfigError(
                "candidates share weights, so that the parameters of an architecture are no sum over its operations: "
                "take another metric (macs, latency)"
            )


def _during(assignment: Assignment | None) -> Any:
    return nullcontext() if assignment is None else assigned(assignment)


# how values act


def _by_values(
    measured: Callable[[Assignment | None], dict[Atom, float]], base: dict[str, int], widths: Mapping[str, int]
) -> list[tuple[Context, tuple[str, ...], dict[tuple[int, ...], float]]]:
    """Return the costs by place, each with the values that it depends on and its cost for all their combinations.

    Args:
        measured: Returns the costs under an assignment.
        base: By label, the value at which everything runs.
        widths: By label, the number of values.

    Raises:
        ConfigError: If too many combinations act on each other.
    """
    first = measured(Assignment(base) if base else None)
    changed: dict[Atom, dict[str, None]] = {atom: {} for atom in first}
    for label in base:
        for index in range(widths[label]):
            if index == base[label]:
                continue
            now = measured(Assignment({**base, label: index}))
            for atom in {**changed, **now}:
                if now.get(atom, 0.0) != first.get(atom, 0.0):
                    changed.setdefault(atom, {})[label] = None
    wanted: dict[tuple[str, ...], list[Atom]] = {}
    for atom, dependent in changed.items():
        wanted.setdefault(tuple(dependent), []).append(atom)
    values: dict[tuple[str, ...], dict[tuple[int, ...], dict[Atom, float]]] = {labels: {} for labels in wanted}
    for run, told in _runs([labels for labels in wanted if labels], base, widths):
        costs = measured(Assignment(run))
        for labels in told:
            point = tuple(run[label] for label in labels)
            values[labels][point] = {atom: costs.get(atom, 0.0) for atom in wanted[labels]}
    found: list[tuple[Context, tuple[str, ...], dict[tuple[int, ...], float]]] = []
    for labels, atoms in wanted.items():
        for atom in atoms:
            if not labels:
                found.append((atom[0], (), {(): first.get(atom, 0.0)}))
            else:
                found.append((atom[0], labels, {point: costs[atom] for point, costs in values[labels].items()}))
    return found


def _runs(
    sets: Sequence[tuple[str, ...]], base: Mapping[str, int], widths: Mapping[str, int]
) -> Iterator[tuple[dict[str, int], list[tuple[str, ...]]]]:
    """Yield assignments that together have every combination of each set of decisions, few of them, with the sets."""
    points = [(labels, p) for labels in sets for p in itertools.product(*(range(widths[label]) for label in labels))]
    # those with many combinations first: the others fit into their runs
    left = sorted(points, key=lambda entry: -_product(widths[label] for label in entry[0]))
    runs = 0
    while left:
        run: dict[str, int] = {}
        told: list[tuple[str, ...]] = []
        rest = []
        taken: set[tuple[str, ...]] = set()
        for labels, point in left:
            fits = labels not in taken and all(
                run.get(label, index) == index for label, index in zip(labels, point, strict=True)
            )
            if fits:
                run.update(zip(labels, point, strict=True))
                told.append(labels)
                taken.add(labels)
            else:
                rest.append((labels, point))
        left = rest
        runs += 1
        if runs > _MOST_RUNS:
            raise ConfigError(
                f"the cost of a layer depends on {max(map(len, sets))} sizes at once, in too many combinations to count"
            )
        yield {**base, **run}, told


def _product(numbers: Iterator[int]) -> int:
    total = 1
    for number in numbers:
        total *= number
    return total


def _collect(
    model: CostModel,
    found: Sequence[tuple[Context, tuple[str, ...], dict[tuple[int, ...], float]]],
    numbers: Mapping[str, int],
) -> None:
    """Put costs into a model: a term for every set of decisions that some depend on together."""
    terms: dict[tuple[int, ...], Tensor] = {}
    for context, labels, costs in found:
        inside = dict(context)
        involved = tuple(sorted({*inside, *(numbers[label] for label in labels)}))
        if not involved:
            model.fixed += costs[()]
            continue
        if involved not in terms:
            terms[involved] = torch.zeros([model.widths[d] for d in involved], dtype=torch.float64)
        for point, cost in costs.items():
            at = {**inside, **{numbers[label]: index for label, index in zip(labels, point, strict=True)}}
            terms[involved][tuple(at[d] for d in involved)] += cost
    model.terms = [CostTerm(involved, values) for involved, values in terms.items() if bool(values.any())]
