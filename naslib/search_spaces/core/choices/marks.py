"""What marks the choices in a module: a layer, inputs, a value, a number of repetitions."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Mapping, Sequence
from math import comb
from typing import Any, NoReturn

from torch import Tensor, nn

from naslib.errors import ConfigError, GraphError
from naslib.search_spaces.core._ops_by_name import GIVEN_NAME, numbered, op_name
from naslib.search_spaces.core.elastic import ElasticSequential, Size, Value
from naslib.search_spaces.core.elastic.in_force import Point
from naslib.search_spaces.core.elastic.layer import Extracted
from naslib.search_spaces.core.elastic.sizes import Number

# Sums of so many inputs are weighed one by one
_MOST_SUMS = 256
# Labels of values that have none yet; no label of a person's begins so
AUTOMATIC = "\0value"
_numbers = itertools.count()


class LayerChoice(nn.ModuleList):
    """One of several layers: to be called with one tensor, as each of them.

    It is a layer in any module, in a `Sequential`, a `ModuleList`, or a candidate of another `LayerChoice`, and may be
    called several times. It runs in a search: before that, and in a module that no `ModuleSearchSpace` has taken, a
    call is an error. The candidates are `choice[0]`, `choice[1]` ... until then.

    Args:
        candidates: The layers, two at least, of outputs of one shape; a mapping gives them names.
        label: Name of the decision. Choices of one label are one decision, with weights of their own; None takes the
            name of the attribute (`layer1.0.conv1`).

    Raises:
        ConfigError: If a candidate is no module, there are fewer than two, or the label is no text.
    """

    def __init__(self, candidates: Sequence[nn.Module] | Mapping[str, nn.Module], label: str | None = None) -> None:
        names = list(map(str, candidates)) if isinstance(candidates, Mapping) else None
        layers = list(candidates.values()) if isinstance(candidates, Mapping) else list(candidates)
        self_name = _named("LayerChoice", checked_label(label))
        for index, layer in enumerate(layers):
            if not isinstance(layer, nn.Module):
                said = f"the class {layer.__name__}: give an instance of it" if inspect.isclass(layer) else repr(layer)
                raise ConfigError(f"{self_name}: candidates are modules, but candidate {index} is {said}")
        if len(layers) < 2:
            raise ConfigError(f"{self_name} has {len(layers)} candidate(s): a choice needs two at least")
        super().__init__(layers)
        self.label = label
        for layer, name in zip(layers, names or (), strict=False):
            layer.__dict__[GIVEN_NAME] = name

    def candidate_names(self) -> list[str]:
        """Return what the candidates are called; the second of one name has a number."""
        return numbered([op_name(layer) for layer in self])

    def forward(self, x: Tensor) -> Tensor:
        """Raise `GraphError`: nothing is decided yet.

        `x` has any shape that the candidates take.
        """
        _undecided("LayerChoice", self.label)


class InputChoice(nn.Module):
    """The sum of some of several tensors: to be called with a list of them, all of one shape.

    Args:
        n_candidates: How many tensors.
        n_chosen: How many of them are added up: a number, or None for any subset (of none, zeros).
        label: As of `LayerChoice`.

    Raises:
        ConfigError: If there is nothing to choose, or more sums of so many inputs than can be weighed one by one.
    """

    def __init__(self, n_candidates: int, n_chosen: int | None = 1, label: str | None = None) -> None:
        super().__init__()
        self_name = _named("InputChoice", checked_label(label))
        if not _is_count(n_candidates):
            raise ConfigError(f"{self_name}: n_candidates is a number from 1, not {n_candidates!r}")
        if n_chosen is not None and not (_is_count(n_chosen) and n_chosen < n_candidates):
            raise ConfigError(
                f"{self_name}: n_chosen is a number from 1 that is less than n_candidates={n_candidates}, or None for "
                f"any subset, not {n_chosen!r}"
            )
        if n_chosen is not None and comb(n_candidates, n_chosen) > _MOST_SUMS:
            raise ConfigError(
                f"{self_name}: there are {comb(n_candidates, n_chosen)} ways to choose {n_chosen} of {n_candidates} "
                f"inputs, and at most {_MOST_SUMS} are weighed one by one; choose any subset (n_chosen=None)"
            )
        self.n_candidates = n_candidates
        self.n_chosen = n_chosen
        self.label = label

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Raise `GraphError`: nothing is decided yet.

        The inputs have one shape, which stays.
        """
        _undecided("InputChoice", self.label)

    def extra_repr(self) -> str:
        """Say what is chosen."""
        return f"{self.n_candidates}, n_chosen={self.n_chosen}, label={self.label!r}"


class ValueChoice(Value):
    """One of several numbers: an argument of the elastic layers and of `RepeatChoice`, alone or in a sum or product.

    Args:
        values: The candidates, in order; numbers from 0, different from each other.
        label: Name of the decision; equal labels are one. None takes the name of the first argument that uses it
            (`conv1.out_channels`).

    Raises:
        ConfigError: As of `Value`.
    """

    def __init__(self, values: Sequence[Number], label: str | None = None) -> None:
        given = checked_label(label)
        super().__init__(values, f"{AUTOMATIC} {next(_numbers)}" if given is None else given)

    def rename(self, label: str) -> None:
        """Give a value without a label one."""
        object.__setattr__(self, "label", label)

    def __str__(self) -> str:
        return f"ValueChoice({list(self.values)})" if self.label.startswith(AUTOMATIC) else self.label

    def _is_no_number(self, *_: Any) -> NoReturn:
        name = str(self) if self.label.startswith(AUTOMATIC) else f"ValueChoice {self.label!r}"
        raise ConfigError(
            f"{name} is used as a number where none is chosen yet: it is an argument of elastic layers (ElasticConv2d, "
            "ElasticLinear ... of naslib.search_spaces.core.elastic) and of RepeatChoice, not of torch's own layers"
        )

    __int__ = __float__ = __index__ = __mod__ = __rmod__ = __truediv__ = __rtruediv__ = _is_no_number
    __lt__ = __le__ = __gt__ = __ge__ = __pow__ = _is_no_number


class RepeatChoice(ElasticSequential):
    """A block, repeated: the first of the blocks run, and how many is a decision.

    Args:
        make_block: Called with 0, 1 ... (or without an argument, where it takes none) for the blocks of the longest
            chain; returns a module.
        depths: How many blocks may run: numbers from 0, different from each other, or a `ValueChoice` (or what is
            computed from some).
        label: As of `ValueChoice`, where `depths` are numbers.

    Raises:
        ConfigError: If depths are no such numbers, or `make_block` makes no modules.
    """

    def __init__(
        self, make_block: Callable[..., nn.Module], depths: Sequence[int] | Size, label: str | None = None
    ) -> None:
        if isinstance(depths, Size) and label is not None:
            raise ConfigError(f"RepeatChoice: the label of depths is that of its ValueChoice, {depths}, not {label!r}")
        if not callable(make_block):
            raise ConfigError(f"RepeatChoice: make_block is a function that returns a block, not {make_block!r}")
        depth = depths if isinstance(depths, Size) else ValueChoice(depths, label)
        takes_index = _takes_index(make_block)
        blocks = [make_block(i) if takes_index else make_block() for i in range(int(depth.largest))]
        wrong = [block for block in blocks if not isinstance(block, nn.Module)]
        if wrong:
            raise ConfigError(f"RepeatChoice: make_block returns modules, not {wrong[0]!r}")
        if len({id(block) for block in blocks}) < len(blocks):
            raise ConfigError("RepeatChoice: make_block returned one module twice; a block has weights of its own")
        super().__init__(blocks, depth)

    def run(self, x: Tensor, sizes: Point) -> Tensor:
        """Run the first blocks; the output is a tensor of its own, also of none.

        Tensors of any shape that the blocks take.
        """
        return super().run(x, sizes) if sizes[0] else x.clone()

    def plain(self, sizes: Point, extracted: Extracted) -> nn.Module:
        """Return the first blocks, without choices in them."""
        return super().plain(sizes, extracted) if sizes[0] else Passed()


class Passed(nn.Module):
    """Return a copy of the input: what stays where the identity was chosen, and what comes next may work in place."""

    def forward(self, x: Tensor) -> Tensor:
        """Return a copy.

        A tensor of any shape.
        """
        return x.clone()


def checked_label(label: Any) -> str | None:
    """Return a label, or raise `ConfigError` where it is no text."""
    if label is None:
        return None
    if not isinstance(label, str) or not label or label.startswith("\0"):
        raise ConfigError(f"the label of a choice is a text that is not empty, or None, not {label!r}")
    return label


def _named(kind: str, label: str | None) -> str:
    return kind if label is None else f"{kind} {label!r}"


def _is_count(number: Any) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number >= 1


def _takes_index(function: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return True
    return any(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL) for p in parameters)


def _undecided(kind: str, label: str | None) -> NoReturn:
    raise GraphError(
        f"{_named(kind, label)} was called and nothing is decided yet: make a space of the module, "
        "ModuleSearchSpace(module), and let an optimizer or set_spec decide. In a space, it is no part of the module: "
        "keep it as an attribute, in a ModuleList or a ModuleDict"
    )
