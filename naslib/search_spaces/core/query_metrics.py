"""Metric: what can be asked of a benchmark."""

from __future__ import annotations

from enum import Enum, auto


class Metric(Enum):
    """Name what a benchmark is asked for.

    Accuracies are in percent (0-100), times in seconds, latency in milliseconds, parameters and FLOPs in millions
    (FLOPs count multiply-accumulates of convolutions and linear layers).
    """

    RAW = auto()
    ALL = auto()

    TRAIN_ACCURACY = auto()
    VAL_ACCURACY = auto()
    TEST_ACCURACY = auto()

    TRAIN_LOSS = auto()
    VAL_LOSS = auto()
    TEST_LOSS = auto()

    TRAIN_TIME = auto()
    VAL_TIME = auto()
    TEST_TIME = auto()

    FLOPS = auto()
    LATENCY = auto()
    PARAMETERS = auto()
    EPOCH = auto()
    HP = auto()
