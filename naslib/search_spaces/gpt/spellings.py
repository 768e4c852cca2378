"""Language models as HW-GPT-Bench writes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from naslib.errors import ArchitectureError
from naslib.search_spaces.core.literals import as_mapping

_TEXT = re.compile(r"gpt-(?P<scale>[a-z]+)-(?P<numbers>\d+(?:-\d+)*)-(?P<bias>True|False)")
_KEYS = ("sample_embed_dim", "sample_n_layer", "sample_n_head", "sample_mlp_ratio", "sample_bias")


def read_spec(spec: Any) -> Any:
    """Return an architecture by the names of its decisions, where it is written as HW-GPT-Bench does; else as it is.

    It writes texts, `gpt-s-10-192-<10 MLP ratios>-<10 numbers of heads>-True`, and dictionaries with
    `sample_embed_dim`, `sample_n_layer`, `sample_n_head`, `sample_mlp_ratio` (lists, of which the first
    `sample_n_layer` entries count) and `sample_bias`.

    Raises:
        ArchitectureError: If there are not as many numbers as layers ask for.
    """
    if isinstance(spec, str) and (match := _TEXT.fullmatch(spec.strip())):
        numbers = [int(number) for number in match["numbers"].split("-")]
        depth, embed, layers = numbers[0], numbers[1] if len(numbers) > 1 else 0, numbers[2:]
        if len(layers) != 2 * depth:
            raise ArchitectureError(
                f"{spec!r} has {depth} layers, and {len(layers)} numbers for them; it has a ratio and heads for each"
            )
        return _choices_of(embed, layers[depth:], layers[:depth], match["bias"])
    spec = as_mapping(spec)
    if isinstance(spec, Mapping) and all(key in spec for key in _KEYS):
        embed, depth, heads, ratios, bias = (spec[key] for key in _KEYS)
        if not all(isinstance(row, list | tuple) and len(row) >= depth for row in (heads, ratios)):
            raise ArchitectureError(f"{depth} layers, and heads {heads!r}, ratios {ratios!r}: a list with one for each")
        return _choices_of(embed, heads[:depth], ratios[:depth], bias)
    return spec


def _choices_of(embed: int, heads: Any, ratios: Any, bias: Any) -> dict[str, Any]:
    if str(bias) not in ("True", "False"):
        raise ArchitectureError(f"bias is True or False, not {bias!r}")
    found: dict[str, Any] = {"embed": embed, "depth": len(heads), "bias": int(str(bias) == "True")}
    for number, (n, ratio) in enumerate(zip(heads, ratios, strict=True), start=1):
        found[f"block_{number}/heads"] = n
        found[f"block_{number}/mlp_ratio"] = ratio
    return found


def text_of(choices: Mapping[str, Any], scale: str) -> str:
    """Return an architecture as HW-GPT-Bench writes it.

    Args:
        choices: By the names of its decisions, all of them.
        scale: `"s"`, `"m"` or `"l"`.
    """
    layers = range(1, int(choices["depth"]) + 1)
    ratios = [choices[f"block_{number}/mlp_ratio"] for number in layers]
    heads = [choices[f"block_{number}/heads"] for number in layers]
    numbers = [choices["depth"], choices["embed"], *ratios, *heads]
    return f"gpt-{scale}-{'-'.join(str(number) for number in numbers)}-{bool(choices['bias'])}"
