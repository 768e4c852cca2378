"""`evaluation.network_args`: what the network to retrain is made with, held against the signature of its space."""

from __future__ import annotations

from typing import Any

import pytest

from naslib.errors import ConfigError
from naslib.search_spaces import NasBench201SearchSpace, NasBench301SearchSpace
from naslib.training.network_args import network_arguments, without_auxiliary


class Widened(NasBench201SearchSpace):
    """A space whose network has a width of its own, and no auxiliary head."""

    def evaluation_network(self, cells: int | None = None, *, width: float = 1.0) -> Any:  # type: ignore[override]
        return super().evaluation_network()


class Anything(NasBench201SearchSpace):
    """A space whose network takes what it is given."""

    def evaluation_network(self, **kwargs: Any) -> Any:  # type: ignore[override]
        return super().evaluation_network()


def test_sizes_of_the_config_and_further_arguments_are_taken_together() -> None:
    darts = NasBench301SearchSpace(cells=3, channels=4)
    assert network_arguments({"cells": 5, "channels": None, "auxiliary": True}, darts) == {
        "cells": 5,
        "channels": None,
        "auxiliary": True,
    }
    assert network_arguments({"network_args": {"channels": 8}}, darts) == {
        "cells": None,
        "channels": 8,
        "auxiliary": None,
    }
    assert network_arguments({"cells": 2, "network_args": {"width": 0.5}}, Widened()) == {"cells": 2, "width": 0.5}
    assert network_arguments({"cells": 2, "channels": None, "network_args": {"depth": 3}}, Anything()) == {
        "cells": 2,
        "depth": 3,
    }


def test_all_that_does_not_fit_is_said_at_once() -> None:
    with pytest.raises(ConfigError) as error:
        network_arguments({"channels": 4, "cells": 3, "network_args": {"widht": 2, "cells": 5}}, Widened())
    said = str(error.value)
    assert "network_args.widht" in said and "did you mean 'width'" in said
    assert "evaluation.channels: the network of nasbench201 has no such argument" in said
    assert "evaluation.cells is 3, evaluation.network_args.cells 5" in said


def test_an_auxiliary_head_is_left_out_where_there_can_be_one() -> None:
    assert without_auxiliary(NasBench301SearchSpace(cells=3, channels=4), {"cells": 5, "auxiliary": True}) == {
        "cells": 5,
        "auxiliary": False,
    }
    assert without_auxiliary(Widened(), {"width": 2.0}) == {"width": 2.0}
