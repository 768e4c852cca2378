"""Assignment: what it holds, what it says, and for which forwards it holds."""

from __future__ import annotations

import contextvars
import json
import threading

import pytest
import torch

from naslib.errors import ArchitectureError, NASLibError
from naslib.search_spaces.core.assignment import Assignment, Draw, assigned, current

ROW = torch.tensor([0.1, 0.2, 0.7])
DRAW = Draw((2,), torch.tensor([0.0, 0.0, 1.0]), (0, 1), others="ones")


def _assignment() -> Assignment:
    return Assignment({"cell/1-2": ROW, "cell/1-3": DRAW, "kernel": 1, "inputs": (0, 2)})


def test_it_is_a_mapping_by_name_that_nobody_changes() -> None:
    given = {"a": 1}
    assignment = Assignment(given)
    given["a"] = 2
    assert dict(assignment) == {"a": 1} and assignment["a"] == 1 and assignment.get("b") is None
    with pytest.raises(TypeError):
        assignment["a"] = 0  # type: ignore[index]
    with pytest.raises(AttributeError):
        assignment.more = 3  # type: ignore[attr-defined]


def test_one_line_for_a_log() -> None:
    said = _assignment().describe({"cell/1-3": ("skip", "conv", "pool"), "kernel": (3, 5, 7)})
    assert said == "cell/1-2: [0.1 0.2 0.7], cell/1-3: pool, kernel: 5, inputs: (0 2)"
    mixed = Assignment({"a": Draw((0, 2), ROW, unit=False), "b": Draw((0,), ROW, removed=True), "c": -1})
    assert mixed.describe() == "a: 0.1 0 + 0.7 2, b: none, c: none"


def test_what_runs() -> None:
    assignment = Assignment({"a": torch.tensor([0.0, 0.3, 0.7]), "b": DRAW, "c": 1, "d": (0, 2)})
    assert [assignment.indices(name) for name in assignment] == [(1, 2), (2,), (1,), (0, 2)]
    assert Assignment({"a": DRAW._replace(removed=True)}).indices("a") == ()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_plain_values_give_it_back_bit_by_bit(dtype: torch.dtype) -> None:
    row = torch.rand(5, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)
    before = Assignment(
        {"a": row, "b": DRAW._replace(weights=row, unit=False), "c": 2, "d": (1, 2)}, {("a", 3): row * 2}
    )
    after = Assignment.from_plain(json.loads(json.dumps(before.to_plain())))
    assert after == before and torch.equal(after.of_copy("a", 3), row * 2)
    assert torch.equal(after["a"], row) and after["a"].dtype == dtype
    assert after["b"]._replace(weights=None) == before["b"]._replace(weights=None)
    assert before != before.replaced({"c": 1}) and before != 3


@pytest.mark.parametrize("plain", [3, {}, {"values": 3}, {"values": {"a": {"weights": [1.0]}}}])
def test_other_plain_values_are_refused(plain: object) -> None:
    with pytest.raises(ArchitectureError, match="to_plain"):
        Assignment.from_plain(plain)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [None, True, 1.5, "conv", {1}])
def test_values_that_are_no_choice_are_refused(value: object) -> None:
    with pytest.raises(ArchitectureError, match="decision 'a'"):
        Assignment({"a": value})  # type: ignore[dict-item]


def test_detached_and_moved() -> None:
    weights = ROW.clone().requires_grad_()
    assignment = Assignment({"a": weights * 2, "b": DRAW._replace(weights=weights * 1), "c": 1})
    constant = assignment.detached()
    assert not constant["a"].requires_grad and not constant["b"].weights.requires_grad and constant["c"] == 1
    assert assignment.to(torch.float64)["b"].weights.dtype == torch.float64


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"a": 0}, "nothing for 'b'"),
        ({"a": 0, "b": 0, "x": 0}, "names 'x'"),
        ({"x": 0}, "nothing for 'a', 'b' and names 'x'"),
        ({"a": 3, "b": 0}, "0 to 2"),
        ({"a": ROW, "b": ROW}, "'b' has 2 candidates"),
        ({"a": DRAW, "b": DRAW}, "'b' has 2 candidates"),
        ({"a": (0, 5), "b": 0}, "not 5"),
    ],
)
def test_an_assignment_for_another_space_is_refused(values: dict, said: str) -> None:
    with pytest.raises(NASLibError, match=said):
        Assignment(values).check({"a": 3, "b": 2})


def test_an_assignment_for_the_space_is_accepted() -> None:
    Assignment({"a": 2, "b": -1}).check({"a": 3, "b": 2})


def test_a_missing_decision_names_the_nearest() -> None:
    with pytest.raises(ArchitectureError, match="did you mean 'cell/1-2'"):
        _assignment()["cell/1-22"]


def test_a_copy_may_have_a_value_of_its_own() -> None:
    assignment = Assignment({"a": 0, "b": 1}, {("a", 1): 2})
    assert [assignment.of_copy("a", 0), assignment.of_copy("a", 1), assignment.of_copy("b", 1)] == [0, 2, 1]
    assert assignment.replaced({"a": 1}).of_copy("a", 1) == 1 and assignment.replaced({"b": 0}).of_copy("a", 1) == 2


def test_contexts_nest_and_restore_what_was_there_also_after_an_error() -> None:
    outer, inner = Assignment({"a": 0}), Assignment({"a": 1})
    assert current() is None
    with assigned(outer) as given:
        assert given is outer and current() is outer
        with pytest.raises(ZeroDivisionError), assigned(inner):
            assert current() is inner
            raise ZeroDivisionError
        assert current() is outer
        with assigned(None):
            assert current() is None
        again = assigned(inner)
        with again, again:  # one object, entered twice
            assert current() is inner
        assert current() is outer
    assert current() is None


def test_other_threads_are_not_concerned() -> None:
    found = []
    with assigned(Assignment({"a": 0})):
        thread = threading.Thread(target=contextvars.Context().run, args=(lambda: found.append(current()),))
        thread.start()
        thread.join()
    assert found == [None]
