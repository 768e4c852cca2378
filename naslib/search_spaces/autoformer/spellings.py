"""Vision transformers as people write them, and the published ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from naslib.errors import ArchitectureError
from naslib.search_spaces.core.literals import as_mapping

# Keys of an architecture in the places where they are published: the authors' files, tables of accuracies
_SPELLINGS = (
    ("EMBED_DIM", "DEPTH", "NUM_HEADS", "MLP_RATIO"),
    ("HIDDEN_DIM", "DEPTH", "NUM_HEADS", "MLP_RATIO"),
    ("hidden_dim", "depth", "num_heads", "mlp_ratio"),
    ("embed_dim", "layer_num", "num_heads", "mlp_ratio"),
    ("embed_dim", "depth", "num_heads", "mlp_ratio"),
)


def choices_of(embed: int, heads: Sequence[int], mlp_ratio: Sequence[float]) -> dict[str, float]:
    """Return an architecture by the names of its decisions.

    Args:
        embed: Features of a token.
        heads: Number of heads of each layer.
        mlp_ratio: MLP ratio of each layer.

    Raises:
        ArchitectureError: If there are not as many of one as of the other.
    """
    if len(heads) != len(mlp_ratio):
        raise ArchitectureError(f"{len(heads)} numbers of heads and {len(mlp_ratio)} MLP ratios: one of each per layer")
    found: dict[str, float] = {"embed": embed, "depth": len(heads)}
    for number, (n, ratio) in enumerate(zip(heads, mlp_ratio, strict=True), start=1):
        found[f"block_{number}/heads"] = n
        found[f"block_{number}/mlp_ratio"] = ratio
    return found


def read_spec(spec: Any) -> Any:
    """Return an architecture by the names of its decisions, where it is a recipe as people write them; else as it is.

    A recipe has the width, the depth, and a list with one entry per layer each for heads and MLP ratios, under the keys
    of the authors' files (`EMBED_DIM`, `DEPTH`, `NUM_HEADS`, `MLP_RATIO`) or of tables (`hidden_dim`, `depth`,
    `num_heads`, `mlp_ratio`); other keys are not looked at.

    Raises:
        ArchitectureError: If its lists are not as long as it is deep.
    """
    spec = as_mapping(spec)
    if not isinstance(spec, Mapping):
        return spec
    for keys in _SPELLINGS:
        if all(key in spec for key in keys):
            embed, depth, heads, ratios = (spec[key] for key in keys)
            embed = embed[0] if isinstance(embed, Sequence) and len({*embed}) == 1 else embed
            if not all(isinstance(row, list | tuple) and len(row) == depth for row in (heads, ratios)):
                raise ArchitectureError(
                    f"a transformer of {keys[1]} {depth!r} has a list of so many {keys[2]} and {keys[3]}, not "
                    f"{heads!r} and {ratios!r}"
                )
            return choices_of(embed, heads, ratios)
    return spec


def recipe_of(choices: Mapping[str, Any]) -> dict[str, Any]:
    """Return the recipe of an architecture: `hidden_dim`, `depth`, `num_heads`, `mlp_ratio`.

    Args:
        choices: By the names of its decisions, all of them.
    """
    layers = range(1, int(choices["depth"]) + 1)
    return {
        "hidden_dim": choices["embed"],
        "depth": choices["depth"],
        "num_heads": [choices[f"block_{number}/heads"] for number in layers],
        "mlp_ratio": [choices[f"block_{number}/mlp_ratio"] for number in layers],
    }


def _halves(digits: str) -> list[float]:
    """Return the MLP ratios that digits stand for, in halves: `"678"` for 3, 3.5 and 4."""
    return [int(digit) / 2 for digit in digits]


def _numbers(digits: str) -> list[int]:
    return [int(digit) or 10 for digit in digits]


# As the authors retrained them; the first has MLP ratios of 3, which its table of choices in the paper has not
PUBLISHED = {
    "AutoFormer-T": choices_of(192, _numbers("3333333333433"), _halves("7767668878787")),
    "AutoFormer-S": choices_of(384, _numbers("6657555667767"), _halves("6767888888878")),
    "AutoFormer-B": choices_of(576, _numbers("99999099090990"), _halves("77878776886867")),
}
