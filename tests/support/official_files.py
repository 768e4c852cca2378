"""Files in the formats of the benchmarks' authors, written by the rules of these formats and not by our own writers."""

from __future__ import annotations

import base64
import bz2
import itertools
import json
import pickle
import struct
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

OPS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
# Cells of NAS-Bench-101 with their hashes and sizes, as the benchmark has them: matrix by rows, inner operations
CELLS_101 = {
    "ff92c322c5d9d3d587d9c146a63d0807": (
        "0101000001110000010000000001000001000000010000000",
        ("conv3x3-bn-relu", "conv1x1-bn-relu", "conv1x1-bn-relu", "conv3x3-bn-relu", "conv1x1-bn-relu"),
        6315018,
    ),
}


class Evil:
    """A pickle of this writes a file when it is read by an Unpickler that allows everything."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        import os

        return os.system, (f"touch {self.path}",)


def write_bz2(path: Path, content: Any) -> Path:
    path.write_bytes(bz2.compress(pickle.dumps(content, protocol=4), 1))
    return path


# NATS-Bench and NAS-Bench-201


def topology_names() -> list[str]:
    """Return the strings of all cells, in an order of our own."""
    form = "|{}~0|+|{}~0|{}~1|+|{}~0|{}~1|{}~2|"
    return [form.format(*ops) for ops in itertools.product(reversed(OPS), repeat=6)]


def size_names() -> list[str]:
    return [":".join(map(str, row)) for row in itertools.product(range(8, 65, 8), repeat=5)]


def trial(dataset: str, seed: int, epochs: int, final: Mapping[str, float], variant: int, seconds: float) -> dict:
    """Return one training as NATS-Bench writes it; accuracies rise by the epoch to the final one."""
    accuracies = {
        f"{name}@{epoch}": value - (epochs - 1 - epoch) for name, value in final.items() for epoch in (11, epochs - 1)
    }
    return {
        "name": dataset,
        "train_acc1es": {epochs - 1: np.float64(99.0)},
        "train_times": OrderedDict((epoch, seconds) for epoch in range(epochs)),
        "arch_config": {"channel": 16, "num_cells": 5, "class_num": 10},
        "params": 0.5 + variant,
        "flop": 10.0 + variant,
        "latency": [np.float64(0.01), np.float64(0.03)],
        "seed": seed,
        "epochs": epochs,
        "eval_names": list(final),
        "eval_acc1es": accuracies,
        "eval_times": {},
        "eval_losses": {},
        "net_state_dict": None,
    }


def results(variant: int, epochs: int, seeds: Sequence[int], offset: float) -> dict:
    """Return the results of one architecture after one schedule: those of seed k are k places above the first's."""
    found: dict[tuple[str, int], dict] = {}
    for place, seed in enumerate(seeds):
        base = offset + variant + place
        shared = {"variant": variant, "seconds": 2.0 + variant}
        found["cifar10-valid", seed] = trial(
            "cifar10-valid", seed, epochs, {"x-valid": base, "ori-test": base + 90}, **shared
        )
        found["cifar10", seed] = trial("cifar10", seed, epochs, {"ori-test": base + 1}, **shared)
        for far, name in ((10, "cifar100"), (20, "ImageNet16-120")):
            final = {"x-valid": base + far, "x-test": base + far + 3, "ori-test": base + far + 1.5}
            found[name, seed] = trial(name, seed, epochs, final, **shared)
    datasets = {name: list(seeds) for name, _ in found}
    return {"arch_index": 0, "arch_str": "", "all_results": found, "dataset_seed": datasets, "clear_net_done": True}


def topology_results(variant: int, names: tuple[str, str] = ("12", "200")) -> OrderedDict:
    """Return both schedules of an architecture; odd ones lack the seed 999, as half of the real ones do."""
    seeds = (777, 888) if variant % 2 else (777, 888, 999)
    return OrderedDict(
        [(names[0], results(variant, 12, (111, 777), 5.0)), (names[1], results(variant, 200, seeds, 30.0))]
    )


def size_results(variant: int) -> OrderedDict:
    return OrderedDict(
        [
            ("01", results(variant, 1, (777,), 1.0)),
            ("12", results(variant, 12, (777, 888, 999), 5.0)),
            ("90", results(variant, 90, (777,), 30.0)),
        ]
    )


def whole_file(names: list[str], variants: list[Any]) -> dict[str, Any]:
    """Return the content of one file with all architectures, number i with the results of the variant i modulo all."""
    infos = OrderedDict((row, variants[row % len(variants)]) for row in range(len(names)))
    return {
        "meta_archs": names,
        "total_archs": len(names),
        "arch2infos": infos,
        "evaluated_indexes": set(range(len(names))),
    }


# NAS-Bench-101


def model_metrics(accuracies: Sequence[tuple[float, float]], seconds: float, parameters: int) -> bytes:
    """Return a ModelMetrics message, by Google's own library from the published description of it."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="metrics.proto", package="t", syntax="proto2")
    kinds = descriptor_pb2.FieldDescriptorProto
    evaluation = file.message_type.add(name="EvaluationData")
    fields = ("current_epoch", "training_time", "train_accuracy", "validation_accuracy", "test_accuracy")
    for number, name in enumerate(fields, 1):
        evaluation.field.add(name=name, number=number, type=kinds.TYPE_DOUBLE, label=kinds.LABEL_OPTIONAL)
    evaluation.field.add(name="checkpoint_path", number=6, type=kinds.TYPE_STRING, label=kinds.LABEL_OPTIONAL)
    whole = file.message_type.add(name="ModelMetrics")
    whole.field.add(
        name="evaluation_data",
        number=1,
        type=kinds.TYPE_MESSAGE,
        label=kinds.LABEL_REPEATED,
        type_name=".t.EvaluationData",
    )
    whole.field.add(name="trainable_parameters", number=2, type=kinds.TYPE_INT32, label=kinds.LABEL_OPTIONAL)
    whole.field.add(name="total_time", number=3, type=kinds.TYPE_DOUBLE, label=kinds.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    message = message_factory.GetMessageClass(pool.FindMessageTypeByName("t.ModelMetrics"))()
    for share, (valid, test) in enumerate(accuracies):
        message.evaluation_data.add(
            current_epoch=float(share),
            training_time=seconds * share / 2,
            train_accuracy=0.99,
            validation_accuracy=valid,
            test_accuracy=test,
            checkpoint_path="some/where",
        )
    message.trainable_parameters = parameters
    message.total_time = 2 * seconds
    return message.SerializeToString()


def rows_101(lengths: Sequence[int]) -> Iterator[list[Any]]:
    """Yield the rows of all cells: three runs after each length, run k a thousandth above the one before."""
    for fingerprint, (matrix, ops, parameters) in CELLS_101.items():
        for length, run in itertools.product(lengths, range(3)):
            valid, test = 0.5 + length / 1000 + run / 1000, 0.4 + length / 1000 + run / 1000
            metrics = model_metrics([(0.1, 0.1), (0.2, 0.2), (valid, test)], 10.0 * length + run, parameters)
            operations = ",".join(("input", *ops, "output"))
            yield [fingerprint, length, matrix, operations, base64.b64encode(metrics).decode()]


def write_tfrecord(path: Path, rows: Iterator[list[Any]]) -> Path:
    """Write rows with TensorBoard's writer of the format."""
    from tensorboard.summary.writer.record_writer import RecordWriter

    with path.open("wb") as file:
        writer = RecordWriter(file)
        for row in rows:
            writer.write(json.dumps(row).encode())
        writer.flush()
    return path


# NAS-Bench-301


def xgboost_binary(trees: Sequence[Sequence[tuple[int, int, int, float]]], base: float) -> bytes:
    """Return a model in XGBoost's old binary format; a node is (left, right, feature, threshold or value)."""
    parts = [struct.pack("<fIi", base, 56, 0), bytes(136 - 12)]
    for name in (b"reg:squarederror", b"gbtree"):
        parts += [struct.pack("<Q", len(name)), name]
    parts += [struct.pack("<iiiiqii", len(trees), 1, 56, 0, 0, 1, 0), bytes(128)]
    for nodes in trees:
        parts += [struct.pack("<iiiiii", 1, len(nodes), 0, 0, 56, 0), bytes(31 * 4)]
        for left, right, feature, info in nodes:
            parts.append(struct.pack("<iiiIf", -1, left, right, feature | (1 << 31 if left >= 0 else 0), info))
        parts.append(bytes(16 * len(nodes)))
    return b"".join(parts) + struct.pack(f"<{len(trees)}i", *[0] * len(trees))
