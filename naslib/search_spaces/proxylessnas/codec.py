"""Codec of ProxylessNAS: a block per layer, and the net configs that the authors publish."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from naslib.errors import ArchitectureError
from naslib.search_spaces.core.codec import Code
from naslib.search_spaces.core.literals import plain
from naslib.search_spaces.core.mobile.codec import ChainCodec

from .primitives import ZERO, block_name


class ProxylessCodec(ChainCodec):
    """Code architectures as one index per layer; the genotype is the blocks' names, as the authors write them."""

    def canonical(self, spec: Any) -> Code:
        """Return the code of an architecture, also of a net config of the authors (`{"blocks": [...], ...}`).

        Raises:
            ArchitectureError: If it is none of this space; the message names the layer.
        """
        spec = self.read_text(spec) if isinstance(spec, str) else spec
        if isinstance(spec, Mapping) and "blocks" in spec:
            return self.code_of_names(_names_of_config(plain(spec)))
        return super().canonical(spec)


def _names_of_config(config: Any) -> list[str]:
    """Return the names of the blocks of a net config, without the first, which is fixed."""
    try:
        return [_name_of(block["mobile_inverted_conv"]) for block in config["blocks"][1:]]
    except (TypeError, KeyError, IndexError) as error:
        raise ArchitectureError(
            'expected a net config of the authors, {"blocks": [{"mobile_inverted_conv": {"name": ..., "kernel_size": '
            f'..., "expand_ratio": ...}}, ...}}], ...}}, and found no {error} in it'
        ) from error


def _name_of(block: Mapping[str, Any] | None) -> str:
    if block is None or block["name"] == "ZeroLayer":
        return ZERO
    return block_name(int(block["kernel_size"]), float(block["expand_ratio"]))
