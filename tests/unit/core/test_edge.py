"""EdgeData: sides, finality, deletion, copies."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn

from naslib.search_spaces.core.graph import EdgeData
from naslib.search_spaces.core.primitives import Identity


def test_op_defaults_to_identity_and_mutable_default_is_not_shared():
    first, second = EdgeData(), EdgeData()
    assert isinstance(first.op, Identity)
    first.set("alpha", 1)
    assert not second.has("alpha")
    given = {"op": nn.Tanh(), "k": 3}
    edge = EdgeData(given)
    assert isinstance(edge.op, nn.Tanh) and edge.k == 3 and set(given) == {"op", "k"}


def test_reading():
    edge = EdgeData({"a": 1})
    edge.set("b", 2, shared=True)
    assert (edge.a, edge["b"], edge.get("a"), edge.get("c"), edge.get("c", 5)) == (1, 2, 1, None, 5)
    assert edge.has("a") and edge.has("b") and not edge.has("c")
    assert "a" in edge and "_final" not in edge and list(edge) == ["op", "a", "b"] and len(edge) == 3
    with pytest.raises(AttributeError, match="'c'"):
        _ = edge.c
    with pytest.raises(KeyError):
        edge["c"]


@pytest.mark.parametrize(("subset", "keys"), [("all", {"op", "a", "b"}), ("private", {"op", "a"}), ("shared", {"b"})])
def test_to_dict(subset: str, keys: set[str]):
    edge = EdgeData({"a": 1})
    edge.set("b", 2, shared=True)
    assert set(edge.to_dict(subset)) == keys
    edge.to_dict(subset).clear()
    assert set(edge.to_dict(subset)) == keys
    with pytest.raises(ValueError, match="subset"):
        edge.to_dict("some")


@pytest.mark.parametrize("order", ["private first", "shared first"])
def test_a_key_that_is_private_here_and_shared_elsewhere_reads_the_same_in_every_way(order: str):
    here = EdgeData()
    there = here.copy()
    if order == "private first":
        here.set("a", 1)
        there.set("a", 2, shared=True)
    else:  # removed from the shared side and set anew meanwhile
        there.set("a", 0, shared=True)
        there.remove("a")
        here.set("a", 1)
        there.set("a", 2, shared=True)
    for edge, value in ((here, 1), (there, 2)):
        readings = [edge.a, edge["a"], edge.get("a"), edge.to_dict()["a"], dict(edge.items())["a"], dict(edge)["a"]]
        assert readings == [value] * 6
        assert edge.keys() == ["op", "a"] and len(edge) == 2
    assert here.to_dict("private")["a"] == 1 and here.to_dict("shared")["a"] == 2
    here["a"] = 3  # writes what it reads
    here.set("a", here.a + 1)
    assert (here.a, there.a) == (4, 2)
    with pytest.raises(ValueError, match="private and cannot change sides"):
        here.set("a", 5, shared=True)
    there["a"] = 6
    here.remove("a")
    assert here.a == there.a == 6


def test_conversion_of_tensors_keeps_parameters_and_reaches_nested_entries():
    edge = EdgeData({"scale": torch.ones(2), "nested": {"list": [torch.ones(1), torch.arange(2)], "word": "x"}})
    alpha = nn.Parameter(torch.zeros(3))
    alpha.grad = torch.ones(3)
    edge.set("alpha", alpha, shared=True)
    copied = edge.copy()
    edge.finalize().apply_to_tensors(lambda t: t.double() if t.is_floating_point() else t)
    assert copied.alpha is edge.alpha is alpha
    assert alpha.dtype == alpha.grad.dtype == edge.scale.dtype == torch.float64
    assert [t.dtype for t in edge.nested["list"]] == [torch.float64, torch.int64] and edge.nested["word"] == "x"
    assert copied.scale.dtype == torch.float32


def test_op_is_private_always():
    with pytest.raises(ValueError, match="private"):
        EdgeData().set("op", nn.Tanh(), shared=True)


@pytest.mark.parametrize("first", [True, False])
def test_a_key_cannot_change_sides(first: bool):
    edge = EdgeData()
    edge.set("a", 1, shared=first)
    edge.set("a", 2, shared=first)
    with pytest.raises(ValueError, match="change sides"):
        edge.set("a", 3, shared=not first)
    assert edge.a == 2
    edge.remove("a")
    edge.set("a", 4, shared=not first)
    assert edge.a == 4


def test_final_edges_cannot_be_set():
    edge = EdgeData({"a": 1})
    assert not edge.is_final()
    assert edge.finalize() is edge and edge.is_final()
    for change in (
        lambda: edge.set("a", 2),
        lambda: edge.set("b", 2, shared=True),
        lambda: edge.set("op", nn.Tanh()),
        lambda: edge.update({"a": 2}),
        lambda: edge.update(EdgeData()),
        lambda: edge.remove("a"),
    ):
        with pytest.raises(ValueError, match="final"):
            change()
    assert edge.a == 1 and edge.copy().is_final() and edge.clone().is_final()


def test_attribute_assignment_raises():
    edge = EdgeData({"a": 1})
    with pytest.raises(ValueError, match=r"edge\.set\('a', value\)"):
        edge.a = 2
    with pytest.raises(ValueError, match="set"):
        edge.op = nn.Tanh()
    assert edge.a == 1


@pytest.mark.parametrize("use", ["set", "get", "has", "remove"])
def test_reserved_keys(use: str):
    with pytest.raises(ValueError, match="reserved"):
        getattr(EdgeData(), use)(*(("_x", 1) if use == "set" else ("_x",)))


def test_remove():
    edge = EdgeData({"a": 1})
    edge.remove("a")
    assert not edge.has("a")
    with pytest.raises(KeyError):
        edge.remove("a")
    with pytest.raises(ValueError, match="always has an op"):
        edge.remove("op")


def test_update_by_mapping_is_private_and_by_edge_replaces():
    other = EdgeData({"a": 1, "op": nn.Tanh()})
    other.set("s", [1], shared=True)
    edge = EdgeData({"old": 1})
    edge.update(other)
    assert edge.a == 1 and isinstance(edge.op, nn.Tanh) and not edge.has("old")
    assert edge.s is other.s
    edge.update({"b": 2})
    assert edge.to_dict("private")["b"] == 2 and not other.has("b")


def test_copy_shares_the_shared_side_only():
    edge = EdgeData({"a": [1], "op": nn.Linear(2, 2)})
    edge.set("alpha", nn.Parameter(torch.zeros(2)), shared=True)
    other = edge.copy()
    assert other.alpha is edge.alpha and other.a == [1] and other.a is not edge.a
    assert other.op is not edge.op and torch.equal(other.op.weight, edge.op.weight)
    other.set("later", 1, shared=True)
    assert edge.later == 1
    other.delete()
    assert edge.is_deleted()


@pytest.mark.parametrize("duplicate", [EdgeData.clone, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))])
def test_clone_is_independent(duplicate):
    edge = EdgeData({"a": [1], "op": nn.Linear(2, 2)})
    edge.set("alpha", nn.Parameter(torch.ones(2)), shared=True)
    other = duplicate(edge)
    assert other.alpha is not edge.alpha and torch.equal(other.alpha, edge.alpha)
    other.set("later", 1, shared=True)
    other.delete()
    assert not edge.has("later") and not edge.is_deleted()


@pytest.mark.parametrize("duplicate", [EdgeData.clone, EdgeData.copy])
def test_tensors_with_a_history_are_copied_as_constants(duplicate):
    weight = torch.ones(2, requires_grad=True)
    edge = EdgeData({"sampled": 2 * weight, "several": [3 * weight]})
    other = duplicate(edge)
    assert torch.equal(other.sampled, edge.sampled) and not other.sampled.requires_grad
    assert torch.equal(other.several[0], edge.several[0])
    assert edge.sampled.requires_grad
