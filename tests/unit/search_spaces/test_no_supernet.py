"""Spaces whose architectures share no weights: searched on codes, refused by what trains a supernet."""

from __future__ import annotations

from pathlib import Path

import pytest

from naslib.errors import UnsupportedBySpaceError
from naslib.optimizers import DARTSOptimizer, RandomSearch
from tests.support.small_spaces import ConvSpace
from tests.support.trial_evaluators import SumOfOps


class Apart(ConvSpace):
    NO_SUPERNET = "each width has weights of its own"


def test_a_method_with_a_supernet_says_why_it_cannot_search() -> None:
    with pytest.raises(UnsupportedBySpaceError, match=r"DARTSOptimizer .* Apart has none: each width .*random_search"):
        DARTSOptimizer(epochs=1).adapt_search_space(Apart())


def test_a_search_on_codes_takes_the_space(tmp_path: Path) -> None:
    optimizer = RandomSearch(epochs=2)
    optimizer.adapt_search_space(Apart(), evaluator=SumOfOps(tmp_path / "log"))
    code = optimizer.ask()
    assert Apart().decision_space.is_valid(code)
