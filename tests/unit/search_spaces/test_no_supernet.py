"""Spaces whose architectures share no weights: searched on codes, refused by what trains a supernet."""

from __future__ import annotations

import pytest

from naslib.errors import UnsupportedBySpaceError
from naslib.optimizers import DARTSOptimizer, RandomSearch
from tests.support.small_spaces import ConvSpace


class Apart(ConvSpace):
    NO_SUPERNET = "each width has weights of its own"


def test_a_method_with_a_supernet_says_why_it_cannot_search() -> None:
    with pytest.raises(UnsupportedBySpaceError, match="DARTSOptimizer .* Apart has none: each width .*random_search"):
        DARTSOptimizer(epochs=1).adapt_search_space(Apart())


def test_a_search_on_codes_takes_the_space() -> None:
    optimizer = RandomSearch(epochs=2)
    optimizer.adapt_search_space(Apart())
    code = optimizer.ask()
    assert Apart().decision_space.is_valid(code)
