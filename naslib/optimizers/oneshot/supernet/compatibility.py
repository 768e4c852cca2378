"""What goes together: the method, its options and its parts say what they need and what they take away."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import nn

from naslib.errors import ConfigError
from naslib.optimizers.core.metaclasses import accepted_keywords
from naslib.search_spaces.core._module_graph import graphs_within
from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.elastic import Elastic, EntangledCandidate
from naslib.search_spaces.core.elastic.candidates import is_size
from naslib.search_spaces.core.node_choices import choices_at, is_combination, is_of_inputs
from naslib.search_spaces.core.primitives import MixedOp

from .abilities import Ability as Ability
from .abilities import Reasons as Reasons
from .curvature import is_differentiable
from .part import Part
from .sampling import Draw


class Method(Protocol):
    """What a search is asked before it is clear that its ingredients go together."""

    @property
    def RESTRUCTURES(self) -> bool:
        """Whether the method itself changes the structure of the supernet during the search."""

    @property
    def RUNS_ONE_PATH(self) -> bool:
        """Whether every forward runs one architecture, so that sizes are never mixed."""

    @property
    def NO_PARTS(self) -> str:
        """Why it takes no part at all; empty where it does."""

    @property
    def fixed_structure(self) -> str:
        """Why nobody may change it; empty where it may change."""

    @property
    def parts(self) -> Mapping[str, Part]:
        """The parts by name."""

    @property
    def architectural_weights(self) -> nn.ParameterList:
        """One parameter per decision; none before there is a supernet."""

    @property
    def architecture_parameters(self) -> Sequence[nn.Parameter]:
        """What the architecture step trains."""

    def option(self, name: str) -> Any:
        """Return the value of a keyword, whether the method takes it or not."""

    def relaxation(self) -> Any:
        """Return the relaxation that all decisions share, or None where each MixedOp has its own."""

    def needs(self) -> Reasons:
        """Return what the method cannot do without, each with the reason."""

    def removes(self) -> Reasons:
        """Return what parts and options cannot have with this method, and why."""


class Claim(NamedTuple):
    """What one ingredient of a search needs and what it takes away from others.

    Attributes:
        name: As it is called in messages: `"layer_alignment"`, `"hessian=exact"`, `"GDASOptimizer"`.
        needs: What it cannot do without, and what can be done instead (may be empty).
        removes: What is not there because of it, and why; `{part}` stands for who misses it.
    """

    name: str
    needs: Reasons = {}
    removes: Reasons = {}


class Option(NamedTuple):
    """A keyword of every weight-sharing method that changes how a step is computed.

    Attributes:
        is_on: Whether a value asks for it.
        needs: See `Claim`.
        removes: See `Claim`.
    """

    is_on: Callable[[Any], bool]
    needs: Reasons = {}
    removes: Reasons = {}


# A new option that changes how a step is computed belongs here; the tests go through the table
OPTIONS: dict[str, Option] = {
    "unrolled": Option(
        bool,
        needs={Ability.SECOND_ORDER: "leave it out, or take darts"},
        removes={Ability.VALIDATION_GRADIENT: "its gradient is that at other weights; leave out unrolled"},
    ),
    "hessian": Option(
        lambda value: value == "exact",
        needs={Ability.UNROLLED: "set unrolled: true", Ability.FORWARD_MODE: "use hessian: finite_difference"},
    ),
    "checkpoint_cells": Option(
        bool, removes={Ability.FORWARD_MODE: "what is computed again in the backward has no forward derivative"}
    ),
    "batch_norm": Option(lambda value: value == "batch"),
    "amp": Option(bool),
    "native": Option(lambda value: value in ("auto", "on")),
}


# What the relaxation says by itself
OF_RELAXATIONS = {
    *(Ability.RELAXATION, Ability.MIXTURE, Ability.FIXED_WEIGHTS, Ability.UNIT_SUM),
    Ability.CURVATURE,
}
# Candidates of the decision that relaxations are tried on: more than any strategy runs at once
_WIDTH = 64


def conflicts(claims: Iterable[Claim]) -> list[str]:
    """Return a message for everything that one ingredient needs and another takes away."""
    claims = list(claims)
    removed: dict[Ability, list[Claim]] = {}
    for claim in claims:
        for ability in claim.removes:
            removed.setdefault(ability, []).append(claim)
    found: dict[tuple[str, str], str] = {}
    for claim in claims:
        for ability, advice in claim.needs.items():
            for other in removed.get(ability, []):
                if other is claim:
                    continue
                why = other.removes[ability].replace("{part!r}", repr(claim.name)).replace("{part}", claim.name)
                message = f"{claim.name} does not fit {other.name}: {why}" + (f"; {advice}" if advice else "")
                found.setdefault((claim.name, other.name), message)  # one reason for a pair is enough
    return list(found.values())


def check_combination(optimizer: Method) -> None:
    """Raise `ConfigError` naming everything that cannot work together in a search, each with its reason."""
    if optimizer.NO_PARTS and optimizer.parts:
        name = type(optimizer).__name__
        raise ConfigError([f"{part} does not fit {name}: {optimizer.NO_PARTS}" for part in optimizer.parts])
    if problems := conflicts(claims_of(optimizer)):
        raise ConfigError(problems)


def claims_of(optimizer: Method) -> list[Claim]:
    """Return what the method, the options that are on, and the parts say of themselves."""
    parts = [Claim(name, part.needs(), part.removes()) for name, part in optimizer.parts.items()]
    given = {name: optimizer.option(name) for name in OPTIONS}
    options = [
        Claim(f"{name}={given[name]}", option.needs, option.removes)
        for name, option in OPTIONS.items()
        if option.is_on(given[name])
    ]
    needed = {ability for claim in (*options, *parts) for ability in claim.needs}
    removed = removed_by_method(optimizer, needed) | dict(optimizer.removes())
    own = {Ability.STRUCTURE: ""} if optimizer.RESTRUCTURES else {}
    if not optimizer.RUNS_ONE_PATH:
        own[Ability.MIXED_SIZES] = "take a method that trains single paths (random_nas, spos)"
    method = Claim(type(optimizer).__name__, own | dict(optimizer.needs()), removed)
    return [method, *options, *parts]


def check_space(optimizer: Method, decisions: Sequence[EdgeData], layers: Sequence[Elastic] = ()) -> None:
    """Raise `ConfigError` naming everything in a search that cannot work with what a space decides.

    Args:
        optimizer: The method.
        decisions: What carries the decisions of the supernet.
        layers: Its elastic layers.
    """
    if problems := conflicts([*claims_of(optimizer), *claims_of_space(decisions, layers)]):
        raise ConfigError(problems)


def claims_of_space(decisions: Sequence[EdgeData], layers: Sequence[Elastic] = ()) -> list[Claim]:
    """Return what a supernet takes away, by what it decides.

    Args:
        decisions: What carries the decisions of the supernet.
        layers: Its elastic layers.
    """
    claims = []
    if unmixed := next((type(layer).__name__ for layer in layers if not layer.MIXES), None):
        why = "{part} runs several values of a size at once, and these layers run one"
        claims.append(Claim(f"the sizes of {unmixed}", {}, {Ability.MIXED_SIZES: why}))
    if any(is_size(data) for data in decisions):
        reasons = {
            Ability.OPERATIONS: "{part} looks at operations, and the space decides sizes as well",
            Ability.STRUCTURE: "the values of a size share one weight and cannot leave the supernet",
        }
        claims.append(Claim("sizes of elastic layers", {}, reasons))
    if any(is_combination(data) for data in decisions):
        why = "{part} looks at operations on edges, and the space decides combinations at nodes as well"
        claims.append(Claim("combinations at nodes", {}, {Ability.EDGES: why}))
    if any(is_of_inputs(data) for data in decisions):
        why = "which inputs are added up is one decision, whose candidates cannot leave the supernet one by one"
        claims.append(Claim("chosen inputs", {}, {Ability.STRUCTURE: why}))
    candidates = [op for data in decisions for op in data.op.get_embedded_ops() or ()]
    if any(decides_inside(op) for op in candidates):
        reasons = {
            Ability.FLAT: "{part} takes each candidate for itself, and some have decisions of their own inside",
            Ability.STRUCTURE: "a decision inside of a candidate would leave the supernet with it",
        }
        claims.append(Claim("decisions inside of candidates", {}, reasons))
    if any(isinstance(op, EntangledCandidate) for op in candidates):
        why = "{part} looks at the weights of each candidate, and these share theirs"
        claims.append(Claim("entangled candidates", {}, {Ability.OWN_WEIGHTS: why}))
    elif share_weights(candidates):
        why = "{part} looks at the weights of each candidate, and some of these are the same objects"
        claims.append(Claim("candidates with weights in common", {}, {Ability.OWN_WEIGHTS: why}))
    return claims


def decides_inside(candidate: Any) -> bool:
    """Say whether a candidate has decisions on edges or at nodes inside of it."""
    graphs = [nested for graph in graphs_within(candidate) for nested in graph.nested_graphs()]
    edges = (data for graph in graphs for *_, data in graph.edges(data=True))
    return any(isinstance(data.op, MixedOp) for data in edges) or any(True for g in graphs for _ in choices_at(g))


def share_weights(candidates: Iterable[nn.Module]) -> bool:
    """Say whether a weight belongs to two candidates of which neither is inside of the other."""
    owners: dict[int, nn.Module] = {}
    for candidate in candidates:
        for weight in candidate.parameters():
            other = owners.setdefault(id(weight), candidate)
            if other is not candidate and not _is_inside(other, candidate) and not _is_inside(candidate, other):
                return True
    return False


def _is_inside(inner: nn.Module, outer: nn.Module) -> bool:
    return any(module is inner for module in outer.modules())


def removed_by_method(optimizer: Method, needed: Collection[Ability]) -> dict[Ability, str]:
    """Return what a method takes away that shows in what it is made of, whoever wrote it.

    Args:
        optimizer: The method.
        needed: What is asked for; a relaxation is tried only where it matters.
    """
    removed = removed_by_relaxation(optimizer.relaxation()) if OF_RELAXATIONS & set(needed) else {}
    if optimizer.fixed_structure:
        removed[Ability.STRUCTURE] = optimizer.fixed_structure
    if optimizer.RESTRUCTURES:
        removed[Ability.STRUCTURE] = "it changes the supernet itself, and only one can"
    if "unrolled" not in accepted_keywords(type(optimizer)):
        removed |= dict.fromkeys((Ability.SECOND_ORDER, Ability.UNROLLED), "it has no second-order step")
    elif not optimizer.option("unrolled"):
        removed[Ability.UNROLLED] = "it takes the first-order step"
    if len(optimizer.architectural_weights) and not optimizer.architecture_parameters:
        removed |= without_architecture_step()
    return removed


def without_architecture_step(why: str = "it has no architecture parameters that are trained") -> dict[Ability, str]:
    """Return what a method lacks that trains no architecture parameters."""
    step = (Ability.ARCHITECTURE_STEP, Ability.GRADIENT, Ability.TERM, Ability.OBJECTIVE, Ability.VALIDATION_GRADIENT)
    return dict.fromkeys((*step, Ability.CURVATURE), why)


def removed_by_relaxation(relaxation: Any) -> dict[Ability, str]:
    """Return what a relaxation takes away, by trying a copy of it on a decision.

    Args:
        relaxation: As of `SupernetOptimizer.relaxation`; None where each MixedOp has its own.
    """
    if relaxation is None:
        one_by_one = "its MixedOps relax their decisions one by one"
        return {Ability.RELAXATION: one_by_one, Ability.FIXED_WEIGHTS: one_by_one}
    tried = copy.copy(relaxation)
    for name, value in list(getattr(tried, "__dict__", {}).items()):
        if isinstance(value, dict):  # where samplers note what they drew
            setattr(tried, name, dict(value))
    logits = torch.linspace(0.0, 1.0, _WIDTH).unsqueeze(0)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        first, second, measured = tried(logits, True)[0], tried(logits, True)[0], tried(logits, False)[0]
    draws = "it draws some operations and runs only the candidates that it samples"
    removed: dict[Ability, str] = {}
    if isinstance(first, Draw):
        removed |= dict.fromkeys((Ability.MIXTURE, Ability.FIXED_WEIGHTS, Ability.UNIT_SUM), draws)
    else:
        if not torch.equal(first, second):
            removed[Ability.FIXED_WEIGHTS] = "it samples its weights"
        if abs(float(first.sum()) - 1.0) > 1e-4:
            removed[Ability.UNIT_SUM] = "its weights do not sum to 1"
    if isinstance(measured, Draw):
        removed[Ability.CURVATURE] = draws + ", and what is drawn cannot be differentiated twice"
    elif not _is_smooth(tried, logits):
        removed[Ability.CURVATURE] = "its weights cannot be differentiated twice"
    return removed


def _is_smooth(relaxation: Any, logits: torch.Tensor) -> bool:
    """Say whether the weights that a relaxation gives in evaluation can be differentiated twice."""
    with torch.enable_grad(), torch.random.fork_rng(devices=[]):
        leaf = logits.clone().requires_grad_()
        row = relaxation(leaf, False)[0]
        if not row.requires_grad:
            return True
        return is_differentiable(torch.autograd.grad(row.square().sum(), leaf, create_graph=True)[0])
