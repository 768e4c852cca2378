"""Codec and decisions of NAS-Bench-NLP: recurrent cells as recipes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from random import Random
from typing import Any

from naslib.errors import ArchitectureError, UnsupportedBySpaceError
from naslib.search_spaces.core.code_classes import CodeClasses
from naslib.search_spaces.core.codec import Codec
from naslib.search_spaces.core.decisions import Code, Decision, as_random
from naslib.search_spaces.core.literals import plain, shortened
from naslib.search_spaces.core.recipe_code import N_GENES, code_of, recipe_decisions, recipe_of
from naslib.search_spaces.core.recipes import Recipe, read_text

from .changes import changed, changes, drawn_change, random_recipe
from .conversions import is_compact, read_compact

# Changes that may give no cell, or the same, before all are listed
_ATTEMPTS = 200


class RecipeDecisions(CodeClasses):
    """Recurrent cells of up to 24 nodes and 3 states, each with one code.

    Two cells are neighbours where one change leads from one to the other (`changes.changes`).
    """

    def __init__(self, decisions: Sequence[Decision] = (), constraints: Sequence[Any] = ()) -> None:
        super().__init__(decisions or recipe_decisions(), constraints)

    def representative(self, code: Code) -> Code:
        """Return the code of the cell in its normal order."""
        return code_of(recipe_of(code).ordered())

    def members(self, code: Code) -> Iterable[Code]:
        """Yield the code itself: neighbours are found otherwise."""
        return (code,)

    def size(self) -> None:
        """Return None: nobody has counted the cells."""
        return

    def iterate(self) -> Iterator[Code]:
        """Raise: there are too many.

        Raises:
            UnsupportedBySpaceError: Always.
        """
        raise UnsupportedBySpaceError("nasbench_nlp is too large to enumerate")

    def random(self, rng: Any = None) -> Code:
        """Draw a cell as the authors of the benchmark do, not uniformly."""
        return code_of(random_recipe(as_random(rng)))

    def neighbours(self, code: Sequence[int]) -> list[Code]:
        """Return every cell that one change leads to."""
        recipe = recipe_of(self.canonical(code))
        found = {changed(recipe, change) for change in changes(recipe)} - {None, recipe}
        return sorted(code_of(other) for other in found if other is not None)

    def mutate(self, code: Sequence[int], rng: Any = None) -> Code:
        """Return a neighbour: first the kind of change is drawn, then the change, both uniformly."""
        rng, recipe = as_random(rng), recipe_of(self.canonical(code))
        for _ in range(_ATTEMPTS):
            found = drawn_change(recipe, rng)
            if found is not None:
                return code_of(found)
        return rng.choice(self.neighbours(code))

    def perturb(self, code: Sequence[int], rate: float | Sequence[float], rng: Any = None) -> Code:
        """Return the cell after as many changes as genes of it are drawn with probability `rate`, or each its own."""
        rng, code = as_random(rng), self.canonical(code)
        rates = [rate] * len(code) if isinstance(rate, (int, float)) else list(rate)
        for _ in range(sum(rng.random() < one for one, gene in zip(rates, code, strict=True) if gene >= 0)):
            code = self.mutate(code, rng)
        return code


RECIPES = RecipeDecisions()


class NasBenchNLPCodec(Codec[Any]):
    """Code recurrent cells as 101 ints: numbers of states and nodes, the nodes, and which of them are the states."""

    name = "nasbench_nlp"

    @property
    def decision_space(self) -> RecipeDecisions:
        """Operation and inputs of every node, and the node that each state becomes."""
        return RECIPES

    def random(self, rng: Random) -> Code:
        """Draw a cell as the authors of the benchmark do."""
        return RECIPES.random(rng)

    def canonical(self, spec: Any) -> Code:
        """Return the code of a cell: a code, the authors' recipe, or NASLib's compact form, as value or as text.

        Raises:
            ArchitectureError: If it is none of this space.
        """
        spec = plain(read_text(spec) if isinstance(spec, str) else spec)
        if isinstance(spec, Mapping) and set(spec) == {"genotype"}:
            return self.canonical(spec["genotype"])
        if isinstance(spec, Mapping):
            return code_of(Recipe.read(spec).ordered())
        if is_compact(spec):
            return code_of(read_compact(spec).ordered())
        if not isinstance(spec, list) or len(spec) != N_GENES:
            raise ArchitectureError(f"a recurrent cell is a recipe or {N_GENES} ints, not {shortened(spec)}")
        return RECIPES.canonical(spec)

    def genotype(self, code: Code) -> dict[str, Any]:
        """Return the authors' recipe."""
        return recipe_of(code).write()

    def from_graph(self, graph: Any) -> Code:
        """Raise: the cell of a network is known by its code only."""
        raise UnsupportedBySpaceError("no architecture is set on this nasbench_nlp yet: use set_spec")

    def apply(self, graph: Any, code: Code) -> None:
        """Build the cells that `code` names."""
        graph.put_cell(recipe_of(code))
