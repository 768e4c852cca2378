"""AttrDict is a dict in every way, and attributes too."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from naslib.utils.attrdict import AttrDict


@pytest.fixture
def nested() -> AttrDict:
    return AttrDict({"a": 1, "b": {"c": {"d": 2}, "rows": [{"x": 1}, ({"y": 2},)]}}, e=3)


def test_reads_and_writes_at_depth(nested: AttrDict) -> None:
    assert nested.b.c.d == 2
    assert nested.b.rows[0].x == 1
    assert nested.b.rows[1][0].y == 2
    nested.b.c.d = 5
    nested["b"]["new"] = {"z": 0}
    assert nested.b.new.z == 0
    assert nested["b"]["c"]["d"] == 5
    del nested.e
    assert "e" not in nested
    assert (lambda **kw: kw)(**nested.b.c) == {"d": 5}
    assert isinstance(nested, dict)


def test_every_way_in_converts() -> None:
    d = AttrDict()
    d.update({"a": {"x": 1}}, b={"x": 2})
    d.setdefault("c", {"x": 3})
    d |= {"d": {"x": 4}}
    assert [d[key].x for key in "abcd"] == [1, 2, 3, 4]
    assert d.setdefault("a", 0) is d.a


def test_missing_and_forbidden_attributes(nested: AttrDict) -> None:
    with pytest.raises(AttributeError, match="did you mean 'rows'"):
        _ = nested.b.row
    assert not hasattr(nested, "nope")
    assert getattr(nested, "nope", 4) == 4
    with pytest.raises(AttributeError, match="method"):
        nested.items = 3
    nested["items"] = 3
    assert nested["items"] == 3
    assert callable(nested.items)
    with pytest.raises(AttributeError):
        del nested.nope


@pytest.mark.parametrize("how", [copy.deepcopy, lambda d: pickle.loads(pickle.dumps(d))])
def test_independent_copies(nested: AttrDict, how: Callable[[AttrDict], AttrDict]) -> None:
    nested.set_hidden("flag", [1])
    other = how(nested)
    assert other == nested
    assert type(other) is AttrDict
    assert type(other.b.c) is AttrDict
    assert other.flag == [1]
    other.b.c.d = 9
    other.flag.append(2)
    assert (nested.b.c.d, nested.flag) == (2, [1])


@pytest.mark.parametrize("how", [copy.copy, AttrDict.copy])
def test_shallow_copies(nested: AttrDict, how: Callable[[AttrDict], AttrDict]) -> None:
    nested.set_hidden("flag", 1)
    other = how(nested)
    assert type(other) is AttrDict
    assert other.b is nested.b
    other.a = 7
    other.flag = 2
    assert (nested.a, nested.flag) == (1, 1)


def test_hidden_attributes_are_no_keys(nested: AttrDict) -> None:
    before: dict[str, Any] = nested.to_dict()
    nested.set_hidden("flag", 1)
    nested.flag = 2
    assert nested.flag == 2
    assert nested.to_dict() == before
    assert "flag" not in nested
    del nested.flag
    assert not hasattr(nested, "flag")


def test_to_dict_is_plain(nested: AttrDict) -> None:
    plain = nested.to_dict()
    assert plain == {"a": 1, "b": {"c": {"d": 2}, "rows": [{"x": 1}, ({"y": 2},)]}, "e": 3}
    assert type(plain["b"]["c"]) is dict
    assert type(plain["b"]["rows"][1][0]) is dict
    assert json.loads(json.dumps(nested))["b"]["c"] == {"d": 2}
