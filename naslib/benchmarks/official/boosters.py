"""Boosted trees, read of what XGBoost and LightGBM pickle.

A pickled booster holds the bytes or the text of its library's own model format: of XGBoost a binary one, which newer
releases do not read any more, or JSON or UBJSON; of LightGBM a text. All are read without the libraries.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from naslib.benchmarks.trees import LEAF, Trees

from .pickles import DataUnpickler, Names, read_guarded
from .ubjson import read_ubjson

_CONTENT = "an ensemble member of NAS-Bench-301"
# Parameters of a model, of its trees, and of a tree, in XGBoost's binary format
_LEARNER, _TREES, _TREE, _NODE, _STAT = 136, 160, 148, 20, 16
_HEADER = b"CONFIG-offset:"


class _Booster:
    """What stands for a booster of either library: the state that was pickled."""

    state: dict[str, Any]

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.state = state


def _reconstructed(kind: Any, base: Any, state: Any) -> Any:
    """Return an empty object, as protocols 0 and 1 make it."""
    if kind is not _Booster:
        raise ValueError("only a booster is made so")
    return _Booster()


class _ObjectName:
    """What stands for `object`, which protocol 1 names."""


_NAMES: Names = {
    ("xgboost.core", "Booster"): _Booster,
    ("lightgbm.basic", "Booster"): _Booster,
    ("copyreg", "_reconstructor"): _reconstructed,
    ("copy_reg", "_reconstructor"): _reconstructed,
    ("builtins", "object"): _ObjectName,
    ("__builtin__", "object"): _ObjectName,
}


def read_booster(path: Path) -> Trees:
    """Return the trees of a pickled booster of XGBoost or LightGBM.

    Raises:
        BenchmarkError: If it is damaged, names what is not data, or is a model of another kind.
    """

    def run() -> Trees:
        with path.open("rb") as file:
            booster = DataUnpickler(file, _NAMES).load()
        if not isinstance(booster, _Booster):
            raise ValueError("it is no booster of XGBoost or LightGBM")
        model = booster.state.get("handle", booster.state.get("_handle"))
        if isinstance(model, str):
            return lightgbm_trees(model)
        if isinstance(model, (bytes, bytearray)):
            return xgboost_trees(bytes(model))
        raise ValueError("the booster has no model in it")

    found: Trees = read_guarded(path, _CONTENT, lambda: run().checked())
    return found


# XGBoost


def xgboost_trees(model: bytes) -> Trees:
    """Return the trees of a model of XGBoost in its binary format, in JSON or in UBJSON.

    Raises:
        ValueError: If it is none of boosted trees.
    """
    if model.startswith(_HEADER):  # what is pickled: model, then configuration, and where the second begins
        start = len(_HEADER) + 8
        length = struct.unpack("<q", model[len(_HEADER) : start])[0]
        if not 0 < length <= len(model) - start:
            length = len(model) - start
        inner = model[start : start + length]
        return xgboost_trees(inner)
    if model[:1] == b"{":
        return _xgboost_json(model)
    return _xgboost_binary(model[4:] if model.startswith(b"binf") else model)


def _xgboost_binary(model: bytes) -> Trees:
    base, place = struct.unpack_from("<f", model, 0)[0], _LEARNER
    names = []
    for _ in range(2):
        length = struct.unpack_from("<Q", model, place)[0]
        if length > 256:
            raise ValueError("it is no binary model of XGBoost")
        names.append(model[place + 8 : place + 8 + length].decode("ascii"))
        place += 8 + length
    objective, kind = names
    if kind != "gbtree" or not objective.startswith("reg:"):
        raise ValueError(f"boosted regression trees are read, not {objective} of {kind}")
    n_trees = struct.unpack_from("<i", model, place)[0]
    place += _TREES
    trees = []
    for _ in range(n_trees):
        n_nodes, vector = struct.unpack_from("<i", model, place + 4)[0], struct.unpack_from("<i", model, place + 20)[0]
        if n_nodes < 1 or vector:
            raise ValueError("a tree has no nodes, or leaves with several values")
        place += _TREE
        layout = np.dtype([("parent", "<i4"), ("left", "<i4"), ("right", "<i4"), ("index", "<u4"), ("info", "<f4")])
        nodes = np.frombuffer(model, dtype=layout, count=n_nodes, offset=place)
        place += n_nodes * (_NODE + _STAT)
        trees.append((nodes["left"], nodes["right"], nodes["index"] & 0x7FFFFFFF, nodes["info"]))
    return _joined(trees, float(base), inclusive=False)


def _xgboost_json(model: bytes) -> Trees:
    """Return the trees of a model as newer releases write it, alone or beside its configuration."""
    written = json.loads(model) if model[1:2] in (b'"', b"\n", b" ") else read_ubjson(model)
    learner = written.get("Model", written)["learner"]
    kind = learner["gradient_booster"]["name"]
    objective = learner["objective"]["name"]
    if kind != "gbtree" or not objective.startswith("reg:"):
        raise ValueError(f"boosted regression trees are read, not {objective} of {kind}")
    trees = []
    for tree in learner["gradient_booster"]["model"]["trees"]:
        if any(np.asarray(tree.get("split_type", ())).reshape(-1)):
            raise ValueError("splits by category are not read")
        names = ("left_children", "right_children", "split_indices", "split_conditions")
        left, right, index, info = (np.asarray(tree[name]) for name in names)
        trees.append((left, right, index, info))
    base = learner["learner_model_param"]["base_score"]
    return _joined(trees, float(str(base).strip("[]")), inclusive=False)


def _joined(trees: Sequence[tuple[Any, Any, Any, Any]], base: float, inclusive: bool) -> Trees:
    """Return trees, given as (left, right, feature, threshold or value) each, as one."""
    sizes = [len(tree[0]) for tree in trees]
    root = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int32)
    parts = []
    for (left, right, feature, info), first in zip(trees, root, strict=True):
        leaf = np.asarray(left) == LEAF
        info = np.asarray(info, dtype=np.float32).astype(np.float64)
        parts.append(
            (
                np.where(leaf, LEAF, feature),
                np.where(leaf, 0.0, info),
                np.where(leaf, LEAF, np.asarray(left) + first),
                np.where(leaf, LEAF, np.asarray(right) + first),
                np.where(leaf, info, 0.0),
            )
        )
    feature, threshold, left, right, value = (np.concatenate(column) for column in zip(*parts, strict=True))
    whole = [column.astype(np.int32) for column in (feature, left, right)]
    return Trees(whole[0], threshold, whole[1], whole[2], value, root, base, inclusive)


# LightGBM


def lightgbm_trees(model: str) -> Trees:
    """Return the trees of a model of LightGBM, of its text.

    Raises:
        ValueError: If it is none of boosted regression trees.
    """
    head, *blocks = model.split("\nTree=")
    facts = dict(line.partition("=")[::2] for line in head.splitlines())
    if not head.startswith("tree") or not blocks or "average_output" in facts:
        raise ValueError("it is no text of boosted trees of LightGBM")
    if not facts.get("objective", "regression").startswith("regression"):
        raise ValueError(f"regression is read, not the objective {facts['objective']}")
    columns: list[list[np.ndarray]] = [[], [], [], [], []]
    roots, first = [], 0
    for block in blocks:
        tree = dict(line.partition("=")[::2] for line in block.split("\n\n")[0].splitlines()[1:])
        values = np.array(tree["leaf_value"].split(), dtype=np.float64)
        inner = len(values) - 1
        if len(values) != int(tree["num_leaves"]) or int(tree.get("num_cat", 0)):
            raise ValueError("a tree has splits by category, or not as many leaves as it says")
        roots.append(first)
        # inner nodes come first, then the leaves: a child -1 - k is leaf k
        children = [
            np.array(tree[name].split() if inner else [], dtype=np.int64) for name in ("left_child", "right_child")
        ]
        children = [np.where(child >= 0, child, inner - 1 - child) + first for child in children]
        features = np.array(tree["split_feature"].split() if inner else [], dtype=np.int64)
        thresholds = np.array(tree["threshold"].split() if inner else [], dtype=np.float64)
        none = np.full(len(values), LEAF)
        for column, of_inner, of_leaf in zip(
            columns,
            (features, thresholds, *children, np.zeros(inner)),
            (none, np.zeros(len(values)), none, none, values),
            strict=True,
        ):
            column.append(np.concatenate([of_inner, of_leaf]))
        first += inner + len(values)
    feature, threshold, left, right, value = (np.concatenate(column) for column in columns)
    whole = [column.astype(np.int32) for column in (feature, left, right)]
    return Trees(whole[0], threshold, whole[1], whole[2], value, np.array(roots, dtype=np.int32), 0.0, True)
