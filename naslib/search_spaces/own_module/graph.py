"""ModuleSearchSpace: a person's own module with choices in it, as a search space."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from torch import nn

from naslib.errors import ArchitectureError, UnsupportedBySpaceError
from naslib.search_spaces.core.choices import plain_module, settled
from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.stated_codec import StatedCodec

from .source import source_of


class ModuleSearchSpace(Graph):
    """A module whose choices (`naslib.choices`) are to be made: every optimizer takes it as it takes a graph.

    It is a graph of one edge, which carries the module. A discrete architecture has the plain module on it
    (`get_final_architecture`), in which the layers that were chosen stand in the places of the choices.

    Args:
        module_or_factory: The module, of which a copy is taken; or what makes one when it is called (a class, a
            function), or names that as `"package.module:name"`. What makes modules is called again for the network that
            is retrained, whose weights are then drawn as the module draws them.

    Attributes:
        module_or_factory: `"package.module:name"` of what makes the module, None where that cannot be imported.

    Raises:
        GraphError: If no module is made, it has no choices, or choices of one label differ.
    """

    MUST_DECIDE = True

    def __init__(self, module_or_factory: nn.Module | Callable[[], nn.Module] | str) -> None:
        super().__init__(name="module")
        self._source = source_of(module_or_factory)
        self.module_or_factory = self._source.name
        self._hold(self._source.first())

    def _hold(self, module: nn.Module) -> None:
        self.add_edge(1, 2, EdgeData({"op": settled(module)}).finalize())

    @property
    def module(self) -> nn.Module:
        """The module: of a space with graphs in the places of its choices, of an architecture the plain one."""
        return self.edges[1, 2].op

    def get_final_architecture(self) -> nn.Module:
        """Return the plain module of a discrete architecture, with the weights that it has here.

        Raises:
            ArchitectureError: If nothing is decided yet.
        """
        self._require_decided()
        return copy.deepcopy(self.module)

    def put_architecture(self, spec: Any) -> None:
        """Make this space the architecture `spec`; see the parent."""
        super().put_architecture(spec)
        if self.instantiate_model:
            self.prepare_evaluation()
            self.parse()

    def prepare_evaluation(self) -> None:
        """Replace what is decided by plain layers; the code stays known."""
        if self._code is not None:
            return
        code = self._decided()
        self.edges[1, 2]._set_op(plain_module(self.module))
        self._code = code
        self.structure_changed()

    def _decided(self) -> tuple[int, ...]:
        """Return the code of what is decided; what only left-out parts had to decide is its first candidate."""
        space = self.decision_space
        codec = StatedCodec(self.get_type(), space)
        choices = codec.with_inputs(codec.choices_in(self))
        for decision in space.decisions:
            if decision.condition is None and decision.name not in choices:
                first = decision.candidates[: decision.n_chosen or 0]
                choices[decision.name] = first if decision.kind == "inputs" else first[0]
        return space.code_of(choices)

    def reset_weights(self, inplace: bool = False) -> ModuleSearchSpace:
        """Return the space, or the architecture, of a module that is made anew; in place, layers draw new weights.

        What does not draw its weights by a `reset_parameters` of its own begins in place with those that it has.
        """
        if inplace or (self._code is None and self.value_edges is not None):
            return super().reset_weights(inplace)
        return self._remade()

    def _remade(self) -> ModuleSearchSpace:
        new = self._blank_with_attributes()
        new._code = new.chosen_values = new._decision_space = None
        new.is_parsed = False
        new._hold(self._source.anew())
        if self._code is not None:
            new.put_architecture(self._code)
        return new

    def evaluation_network(
        self, cells: int | None = None, channels: int | None = None, auxiliary: bool | None = None
    ) -> ModuleSearchSpace:
        """Return the network that is retrained for this architecture: a module that is made anew.

        Raises:
            UnsupportedBySpaceError: If a size is given: the module has its own.
            ArchitectureError: If nothing is decided yet.
        """
        given = {"cells": cells, "channels": channels}
        fixed = [f"evaluation.{key}={value}" for key, value in given.items() if value is not None]
        if fixed:
            raise UnsupportedBySpaceError(f"{', '.join(fixed)}: {self.get_type()} has one size; leave the keys out")
        self._require_decided()
        return self._remade()

    def _require_decided(self) -> None:
        if self._code is None or not self.instantiate_model:
            raise ArchitectureError(
                "nothing is decided yet: set an architecture (set_spec, sample_random_architecture), or take what an "
                "optimizer has found"
            )
