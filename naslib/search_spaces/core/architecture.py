"""What a graph offers as an architecture: sample, mutate, hash, encode, query - all by its space's codec."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import nn
from torch.nn import functional as F

from naslib.errors import ArchitectureError, BenchmarkApiMissing, SpecAlreadySetError

from ._ops_by_name import choices_of, put_ops
from ._ops_by_name import op_name as op_name
from .codec import Code, Codec, as_random
from .decisions import Site
from .edge import EdgeData
from .elastic.candidates import put_values
from .literals import read_literal
from .node_choices import choices_at, combinations_in
from .query_metrics import Metric, as_dataset_api
from .schema import DecisionSpace
from .stated_codec import StatedCodec, candidate_on
from .statement import StatementMixin, label_of

A = TypeVar("A", bound="ArchitectureMixin")


class ArchitectureMixin(StatementMixin):
    """Operations on a graph as an architecture of its space.

    Attributes:
        codec: The codec of the class, or of one graph where it depends on its sizes; None for a space whose codes are
            those of its decisions.
        labeled_archs: Architectures with known values, which `load_labeled` draws from in place of a benchmark's.
        instantiate_model: False keeps only the code and leaves the modules alone, which is all that a search on a
            benchmark needs.
    """

    codec: Codec[Any] | None = None
    instantiate_model: bool = True
    labeled_archs: Sequence[Any] | None = None
    _code: Code | None = None

    def _codec(self) -> Codec[Any]:
        """Return the codec of the space, or what does its work with the decisions that the space states."""
        return self.codec if self.codec is not None else StatedCodec(type(self).__name__, self.decision_space)

    @property
    def decision_space(self) -> DecisionSpace:
        """The decisions of the space; of a discrete architecture, those of the space that it comes from.

        Raises:
            UnsupportedBySpaceError: If there is nothing to choose.
        """
        if self.codec is not None and self._decision_space is None and (self._code is not None or not len(self)):
            stated = self.codec.decision_space
            if stated is not None:
                return stated
        return super().decision_space

    def get_code(self) -> Code:
        """Return the architecture as a tuple of ints.

        Raises:
            ArchitectureError: If the graph is not discretized yet.
        """
        return self._code if self._code is not None else self._codec().from_graph(self)

    def set_spec(self, spec: Any, dataset_api: Any = None) -> None:
        """Make this graph the architecture `spec`: a code, a benchmark string or index, or a genotype, in any spelling.

        A space without a codec takes a code of its decision space, the candidates by the names of its decisions
        (`decision_space.choices(code)`), and what `genotype()` returns: the operations on its edges by name.

        With `instantiate_model` False only the code is kept, and may be set again.

        Args:
            spec: The architecture.
            dataset_api: A benchmark, for architectures that are given by their index in it.

        Raises:
            SpecAlreadySetError: If the modules of an architecture are in place already (also an AssertionError).
            ArchitectureError: If `spec` is not of this space.
        """
        self.put_architecture(_looked_up(spec, dataset_api))

    def check_spec(self, spec: Any, dataset_api: Any = None) -> Any:
        """Return the identity of the architecture that `set_spec` would make of `spec`; the graph is not changed.

        Raises:
            ArchitectureError: If `spec` is not of this space.
        """
        if self.codec is None and self._names_edges(spec):
            graph = self.clone()
            graph.compile()
            graph._refuse_combinations()
            return [
                (g.name, u, v, op and op_name(op)) for g, u, v, _, op in choices_of(graph, self.OPTIMIZER_SCOPE, spec)
            ]
        return self._checked_code(_looked_up(spec, dataset_api))

    def arguments_for(self, spec: Any) -> dict[str, Any]:
        """Return the constructor arguments that this space needs otherwise than it has them to hold `spec`: none here.

        Raises:
            ArchitectureError: If `spec` has the form of an architecture, and is invalid.
        """
        return {}

    def _checked_code(self, spec: Any) -> Code:
        codec = self._codec()
        code = codec.canonical(spec)
        if not codec.is_valid(code):
            raise ArchitectureError(f"{spec!r} is not an architecture of {self.get_type()}")
        return code

    def put_architecture(self, spec: Any) -> None:
        """Make this graph the architecture `spec` with the modules of the search, whatever a space does in `set_spec`.

        Raises:
            SpecAlreadySetError: If the modules of an architecture are in place already (also an AssertionError).
            ArchitectureError: If `spec` is not of this space.
        """
        if self.codec is None and self.instantiate_model:
            self._put_stated(spec)
            return
        code = self._checked_code(spec)
        if self.instantiate_model:
            if self._code is not None:
                raise _already_set()
            self._codec().apply(self, code)
            put_values(self, {})  # of entangled candidates, the slice
        self._code = code

    def _put_stated(self, spec: Any) -> None:
        """Put an architecture of a space without a codec on the edges; one by edges may be any that they allow."""
        if self._code is not None:
            raise _already_set()
        self.compile()
        found = choices_of(self, self.OPTIMIZER_SCOPE, spec) if self._names_edges(spec) else None
        if found is not None:
            self._refuse_combinations()
        code = self._checked_code(spec) if found is None else None
        if self._decision_space is None:
            self.remember_decisions()
        if found is not None:
            put_ops(found)
            put_values(self, {})  # what an architecture by edges does not say is the largest
        elif code is not None:
            self._codec().apply(self, code)

    def _names_edges(self, spec: Any) -> bool:
        """Say whether an architecture of a space without a codec is given as a list of operations by edge."""
        if self._is_spelled():
            codec = self._codec()
            if isinstance(codec, StatedCodec) and codec.reads(spec):
                return False
        return _names_edges(spec)

    def _is_spelled(self) -> bool:
        """Say whether a space without a codec has a form of its own for its architectures (`SpelledCodec`)."""
        return self.codec is None and type(self)._codec is not ArchitectureMixin._codec

    def _refuse_combinations(self) -> None:
        """Raise `ArchitectureError` where nodes have candidates, which an architecture by edges says nothing about."""
        for nested in self._graphs_in_scope(self.OPTIMIZER_SCOPE):
            for choice in choices_at(nested):
                raise ArchitectureError(
                    f"an architecture by edges does not say how node {choice.node} of {nested.name or 'graph'!r} "
                    "combines its inputs; give the candidates by the names of decision_space.decisions, or a code"
                )

    def sample_random_architecture(self, dataset_api: Any = None, load_labeled: bool = False, rng: Any = None) -> None:
        """Make this graph a random architecture.

        Args:
            dataset_api: A benchmark; asked for one of its architectures if `load_labeled`.
            load_labeled: Draw only from `labeled_archs`, or what the benchmark knows; no difference where its table
                covers the space.
            rng: Generator of `random` or numpy, or a seed; numpy's global generator if None.
        """
        random = as_random(rng)
        if load_labeled and self.labeled_archs:
            self.set_spec(random.choice(self.labeled_archs), dataset_api)
            return
        sample_labeled = getattr(as_dataset_api(dataset_api), "sample_code", None) if load_labeled else None
        self.set_spec(sample_labeled(random) if sample_labeled else self._codec().random(random), dataset_api)

    def load_labeled_architecture(self, dataset_api: Any = None, rng: Any = None) -> None:
        """Make this graph one of the architectures with known values; see `sample_random_architecture`."""
        self.sample_random_architecture(dataset_api, load_labeled=True, rng=rng)

    def set_load_labeled(self) -> None:
        """Do nothing: a query needs no such mark here; for callers of NASLib."""

    def mutate(self, parent: ArchitectureMixin, dataset_api: Any = None, rng: Any = None) -> None:
        """Make this graph a random mutation of `parent`."""
        self.set_spec(self._codec().mutate(parent.get_code(), as_random(rng)), dataset_api)

    def get_nbhd(self, dataset_api: Any = None) -> list[nn.Module]:
        """Return the neighbourhood: modules whose `.arch` is a graph of this class that holds only a code."""
        neighbours = []
        for code in self._codec().neighbours(self.get_code()):
            model = nn.Module()
            model.arch = self._with_code_only(code)
            neighbours.append(model)
        return neighbours

    def _with_code_only(self: A, code: Code) -> A:
        graph = self._blank_with_attributes()
        graph.instantiate_model = False
        graph._code = code
        if self.codec is None:
            graph._decision_space = self.decision_space
        return graph

    def get_hash(self) -> Any:
        """Return a hashable identity of the architecture: its code, in the form that people of the space know."""
        return self._codec().identity(self.get_code())

    def get_type(self) -> str:
        """Return the name of the space."""
        return self.codec.name if self.codec is not None else type(self).__name__

    def get_arch_iterator(self, dataset_api: Any = None) -> Iterator[Code]:
        """Return an iterator over the codes of all architectures."""
        return self._codec().iterate()

    def encode(self, encoding_type: Any = None) -> Any:
        """Return the architecture encoded for a predictor (`EncodingType`)."""
        return self._codec().encode(self.get_code(), encoding_type, self)

    def get_loss_fn(self) -> Callable[..., torch.Tensor]:
        """Return the loss that networks of this space are trained with.

        It takes logits `(n, classes)` and targets `(n,)`, and returns a scalar.
        """
        return F.cross_entropy

    def query(
        self,
        metric: Metric,
        dataset: str | None = None,
        path: str | None = None,
        epoch: int = -1,
        full_lc: bool = False,
        dataset_api: Any = None,
    ) -> Any:
        """Ask a benchmark about this architecture.

        Args:
            metric: What to ask for.
            dataset: Name of a data set in the benchmark.
            path: Unused; accepted for NASLib's callers.
            epoch: Number of epochs trained, -1 for the longest schedule.
            full_lc: Whether to return the whole learning curve up to `epoch`.
            dataset_api: The benchmark (`get_dataset_api`).

        Raises:
            BenchmarkApiMissing: Without `dataset_api` (also a NotImplementedError).
            BenchmarkError: If the benchmark has no answer.
        """
        if dataset_api is None:
            raise BenchmarkApiMissing(
                f"a query of {self.get_type()} needs dataset_api=; get one with "
                f"naslib.utils.get_dataset_api({self.get_type()!r}, {dataset!r})"
            )
        return as_dataset_api(dataset_api).query(self.get_code(), metric, dataset, epoch=epoch, full_lc=full_lc)

    def genotype(self) -> Any:
        """Return the JSON-able genotype: the codec's, or a list of the ops on the edges under search.

        Of a space without a codec that keeps a code only, or that decides sizes or combinations at nodes: the
        candidates by the names of its decisions, or the form that the space gives them.
        """
        beside = self.chosen_values or any(combinations_in(nested) for nested in self.nested_graphs())
        beside = beside or _decides_beside_edges(self._decision_space)
        if self.codec is not None or self._code is not None or beside or self._is_spelled():
            return self._codec().genotype(self.get_code())
        found = []
        for nested in self._graphs_in_scope(self.OPTIMIZER_SCOPE):
            for u, v, data in sorted(nested.edges(data=True), key=lambda edge: edge[:2]):
                if data.is_final() or not was_decided(data):
                    continue
                entry = {"graph": nested.name or "graph", "edge": [u, v], "op": self._name_of_op(data)}
                if entry not in found:
                    found.append(entry)
        return found

    def _name_of_op(self, data: EdgeData) -> str:
        """Return the name of the op on a discrete edge, with a number where candidates have one name."""
        name, label = op_name(data.op), label_of(data)
        if self._decision_space is None or label not in self._decision_space.names:
            return name
        decision = self._decision_space.decision(label)
        if f"{name} (2)" not in decision.candidates:
            return name
        return str(candidate_on(decision, data))


def _names_edges(spec: Any) -> bool:
    """Say whether a spec, as value or as text, is what `Graph.genotype()` returns for a space without a codec."""
    if isinstance(spec, str):
        try:
            spec = read_literal(spec)
        except ValueError:
            return True  # which then says what is wrong with it
    if isinstance(spec, Mapping):
        return "genotype" in spec
    return isinstance(spec, list | tuple) and any(isinstance(entry, Mapping) for entry in spec)


def _looked_up(spec: Any, dataset_api: Any) -> Any:
    """Return the code of an architecture that is given by its number in a benchmark, or what was given."""
    index = _as_index(spec)
    return spec if index is None else _code_of_index(index, dataset_api)


def _as_index(spec: Any) -> int | None:
    """Return the number that a spec is, None if it is more than a number."""
    if isinstance(spec, str) and spec.strip().isdecimal():
        return int(spec)
    return int(spec) if isinstance(spec, numbers.Integral) and not isinstance(spec, bool) else None


def _decides_beside_edges(space: DecisionSpace | None) -> bool:
    """Say whether a space decides sizes, or combinations at nodes, which a list of operations by edge does not say."""
    decisions = space.decisions if space is not None else ()
    sites = [site for decision in decisions for site in decision.sites if isinstance(site, Site)]
    return any(d.kind == "value" for d in decisions) or any(s.head is None and s.positions for s in sites)


def _already_set() -> SpecAlreadySetError:
    return SpecAlreadySetError(
        "an architecture has been set on this graph already; take a fresh search space, or a clone of it"
    )


def _code_of_index(index: int, dataset_api: Any) -> Code:
    code_of = getattr(as_dataset_api(dataset_api), "code_of", None)
    if code_of is None:
        raise ArchitectureError(
            f"{index} is the number of an architecture in a benchmark, whose table is needed (set_spec(index, "
            "dataset_api=...); in a config `data:` names the folder that has it), or the architecture itself"
        )
    return code_of(index)


def was_decided(data: EdgeData) -> bool:
    """Say whether the op of an edge was chosen among candidates: by an optimizer, or by a codec."""
    return data.has("op_index") or data.has("primitives")
