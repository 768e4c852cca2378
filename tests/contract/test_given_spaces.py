"""What is no search space is one clear error, with every optimizer."""

from __future__ import annotations

import pytest
from small_spaces import mlp_space
from torch import nn

from naslib.errors import GraphError
from naslib.optimizers import OPTIMIZERS, DARTSOptimizer
from naslib.search_spaces import SimpleCellSearchSpace

METHODS = sorted({OPTIMIZERS.get(name): name for name in reversed(OPTIMIZERS.names())}.values())
GIVEN = [
    (nn.Sequential(nn.Linear(3, 3)), "Sequential is a torch module; mark what is to be chosen in it"),
    ("nasbench201", "not the text 'nasbench201'; naslib.search_spaces.get_search_space"),
    (SimpleCellSearchSpace, "not the class SimpleCellSearchSpace; give an instance"),
    (None, "not None of type NoneType"),
]


@pytest.mark.parametrize(("given", "said"), GIVEN)
@pytest.mark.parametrize("name", METHODS)
def test_what_is_no_search_space_is_said(name: str, given, said: str):
    with pytest.raises(GraphError, match=said):
        OPTIMIZERS.get(name)().adapt_search_space(given)


def test_a_list_of_combinations_outside_of_the_search_is_said_when_the_space_is_adapted():
    space = mlp_space()
    space.nodes[3]["comb_op"] = [sum, max]
    with pytest.raises(GraphError, match=r"node 3 of graph 'macro' has a list of 2 candidates as its comb_op"):
        DARTSOptimizer().adapt_search_space(space)
