"""Keys of `search` that an evaluator reads, and those that it leaves without effect."""

from __future__ import annotations

import pytest

from naslib.cli.door import schema_extensions
from naslib.config.loader import load_config
from naslib.evaluators import EVALUATORS

ARGS = {"supernet": {"run": "x"}, "predictor": {"table": 20, "dataset": "digits"}}
# of fidelity, learning_rate, loss_criteria
UNUSED = {
    "table": {"search.learning_rate", "search.loss_criteria"},
    "train": {"search.fidelity"},
    "mepa": {"search.fidelity"},
    "proxy": {"search.fidelity", "search.learning_rate"},
    "supernet": {"search.fidelity", "search.learning_rate"},
    "predictor": {"search.fidelity", "search.learning_rate", "search.loss_criteria"},
}


@pytest.mark.parametrize("name", EVALUATORS.names())
def test_what_an_evaluator_does_not_read_is_said(name: str, caplog: pytest.LogCaptureFixture) -> None:
    search = {"evaluator": name, "evaluator_args": ARGS.get(name, {}), "fidelity": 50, "learning_rate": 0.5}
    search["loss_criteria"] = "MultiMarginLoss"
    load_config({"optimizer": "random_search", "search": search}, extensions=schema_extensions())
    (record,) = caplog.records
    keys, end = record.message.removeprefix("config: ").split(": ")
    assert set(keys.split(", ")) == UNUSED[name]
    assert end == f"not used by random_search with search.evaluator={name}"
