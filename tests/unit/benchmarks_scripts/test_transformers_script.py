"""The cost of mixtures in transformer spaces: what is measured."""

from __future__ import annotations

import torch

from benchmarks.transformers import CASES, measure
from naslib.search_spaces import GPTSearchSpace
from naslib.search_spaces.core.elastic import elastic_layers


def test_everything_is_run_and_takes_time() -> None:
    space = GPTSearchSpace(11, embed=(6, 8), depth=(1, 2), heads=(1, 2), mlp_ratio=(1, 2), head_dim=4)
    tokens = torch.randint(11, (2, 5))
    found = measure(space, (tokens[:, :-1], tokens[:, 1:]))
    assert list(found) == ["random path", "largest path", "mixed weights", "mixed outputs"]
    assert all(milliseconds > 0 for milliseconds in found.values())
    assert {layer.mix for layer in elastic_layers(space)} == {"outputs"}
    assert len(CASES) == 3
