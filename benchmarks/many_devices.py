"""Searches for many devices: which devices, what is measured on them, and how good a front can be.

`SIX` are six devices of different kinds that NAS-Bench-201 was measured on ([Lee2021help], [Li2021hwnas]): a GPU with
batches of 256, a server processor, a phone, a Raspberry Pi 4, an ASIC and an FPGA; [Sukthanker2025modnas] tests on the
same ones. The accuracy is on CIFAR-10 after 200 epochs.

Of the once-for-all MobileNetV3 no table has accuracy and latency of the same subnets. What is searched is what least
squares on one-hot subnets say: the ImageNet top-1 of 2,373 measurements (resolution 224), and the latency of 5,000
subnets on 12 devices with a term for the area of the images, read at 224. `shares_explained` says how well that goes on
subnets that were left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from naslib.benchmarks import get_dataset_api
from naslib.benchmarks.joined import JoinedBenchmark
from naslib.benchmarks.mobile_figures import ofa_codes
from naslib.evaluators import Evaluator
from naslib.history import Objective, Outcome, Trial
from naslib.search_spaces import NasBench201SearchSpace, OFAMobileNetV3SearchSpace
from naslib.search_spaces.core.decisions import Code

from .best_front import PAIR, BestFront
from .hardware_fronts import DEVICES

SIX = tuple(DEVICES)
SIGNALS = {"validation": "VAL_ACCURACY", "test": "TEST_ACCURACY"}
_RIDGE = 1.0
# Directions in which the ends of the once-for-all front are sought
_DIRECTIONS = 400


class Problem(Evaluator):
    """Accuracy and latencies of architectures of a space, each looked up once.

    Attributes:
        space: The space.
        devices: Those that a search learns.
        held_out: Others.
    """

    is_instant, needs_batches = True, False
    space: Any
    devices: tuple[str, ...]
    held_out: tuple[str, ...]

    def rows(self, codes: Sequence[Code]) -> np.ndarray:
        """Return accuracy and the latencies of all devices, the learned ones first, `(n, 1 + devices)`."""
        raise NotImplementedError

    def truth(self, device: str) -> BestFront:
        """Return the best front of a device."""
        raise NotImplementedError

    def merits(self, codes: Sequence[Code], device: str) -> np.ndarray:
        """Return accuracy and negative latency on a device, `(n, 2)`."""
        place = 1 + (*self.devices, *self.held_out).index(device)
        return self.rows(codes)[:, [0, place]] * [1.0, -1.0]

    def evaluate(self, trial: Trial, should_stop: Any = None) -> Outcome:
        """Return accuracy and latencies of the devices that are learned."""
        values = self.rows([trial.code])[0, : 1 + len(self.devices)]
        return Outcome(tuple(values.tolist()))

    def _state(self, devices: Sequence[str], held_out: Sequence[str]) -> None:
        self.devices, self.held_out, self.fidelity = tuple(devices), tuple(held_out), 0
        self.objectives = (PAIR[0], *(Objective(name, False, "ms") for name in devices))
        self._truths: dict[str, BestFront] = {}


class Cells(Problem):
    """NAS-Bench-201: all 15,625 cells on 27 devices and batch sizes.

    Args:
        data: Folder of the tables.
        signal: Name of the accuracy.
        devices: Those that are learned.
    """

    def __init__(self, data: str | None, signal: str = "validation", devices: Sequence[str] = SIX) -> None:
        accuracy, latency = (get_dataset_api("nasbench201", "cifar10", data, kind) for kind in ("accuracy", "latency"))
        api: Any = JoinedBenchmark(accuracy, [latency])
        self.space = NasBench201SearchSpace(channels=4, cells_per_stage=1)
        names = [figure.name for figure in latency.figures]
        self._state(devices, [name for name in names if name not in devices])
        codes = np.array(list(np.ndindex((5,) * 6)))
        columns = [SIGNALS[signal], *self.devices, *self.held_out]
        self.values = np.stack([api.query_batch(codes, api.metric_of(c), "cifar10", 200) for c in columns], axis=1)

    def rows(self, codes: Sequence[Code]) -> np.ndarray:
        """Return accuracy and the latencies of all devices."""
        return self.values[np.array(codes, dtype=np.int64) @ 5 ** np.arange(5, -1, -1)]

    def truth(self, device: str) -> BestFront:
        """Return the front of all cells."""
        if device not in self._truths:
            place = 1 + (*self.devices, *self.held_out).index(device)
            self._truths[device] = BestFront.of(self.values[:, [0, place]] * [1.0, -1.0])
        return self._truths[device]


class Subnets(Problem):
    """The once-for-all MobileNetV3 at a resolution of 224 on 12 devices and batch sizes; what is fitted, see above.

    Args:
        data: Folder of the tables.
    """

    def __init__(self, data: str | None) -> None:
        self.space = OFAMobileNetV3SearchSpace(n_classes=1000)
        self._decisions = self.space.decision_space
        folder = Path(data or ".")
        with np.load(folder / "ofa_mbv3_top1.npz") as file:
            codes, inverse = np.unique(ofa_codes(file["d"], file["e"], file["ks"]), axis=0, return_inverse=True)
            top1 = np.bincount(inverse.ravel(), file["top1"]) / np.bincount(inverse.ravel())
        with np.load(folder / "ofa_latency.npz") as file:
            names = [str(name) for name in file["devices"]]
            measured, area = file["latency_ms"].astype(np.float64), ((file["r"] / 224.0) ** 2)[:, None]
            timed = self._vectors(ofa_codes(file["d"], file["e"], file["ks"]))
        self._state(names, [])
        self._fits = [(self._vectors(codes), top1)]
        self._fits += [(np.concatenate([timed, timed * area, area], 1), row) for row in measured]
        at_224 = [_least_squares(*fit) for fit in self._fits]
        width = timed.shape[1]
        self._offsets = np.array([at_224[0][1], *(mean + w[-1] for w, mean in at_224[1:])])
        self._weights = np.stack([at_224[0][0], *(w[:width] + w[width:-1] for w, _ in at_224[1:])])

    def _vectors(self, codes: Any) -> np.ndarray:
        return self._decisions.vectors([tuple(code) for code in np.asarray(codes).tolist()]).astype(np.float64)

    def rows(self, codes: Sequence[Code]) -> np.ndarray:
        """Return accuracy and the latencies of all devices."""
        return self._vectors(codes) @ self._weights.T + self._offsets

    @cached_property
    def shares_explained(self) -> dict[str, float]:
        """Share of the variance that fits without a fifth of the subnets explain of that fifth, by what is fitted."""
        found = {}
        for name, (x, y) in zip(("accuracy", *self.devices), self._fits, strict=True):
            order = np.random.default_rng(0).permutation(len(y))
            test, train = np.split(order, [len(y) // 5])
            weights, mean = _least_squares(x[train], y[train])
            found[name] = 1.0 - float(np.mean((x[test] @ weights + mean - y[test]) ** 2) / y[test].var())
        return found

    def truth(self, device: str) -> BestFront:
        """Return the ends of the front: the best subnets by weighted sums, which are found stage by stage.

        What is fitted is a sum over stages, so that these are exact. Points of the front between them are not there;
        a share may be above 1 by what those add.
        """
        if device not in self._truths:
            place = 1 + self.devices.index(device)
            accuracy, latency = self._weights[0], self._weights[place]
            scale = accuracy.std() / latency.std()
            angles = np.linspace(0.0, np.pi / 2, _DIRECTIONS)
            codes = {self._best(np.cos(a) * accuracy - np.sin(a) * scale * latency) for a in angles}
            self._truths[device] = BestFront.of(self.merits(sorted(codes), device))
        return self._truths[device]

    def _best(self, gains: np.ndarray) -> Code:
        """Return the subnet of the largest sum of gains, one for each candidate of each decision."""
        code: list[int] = []
        rows = gains.reshape(5, 9, 3)  # stages; depth, then expansion and kernel of four blocks
        for stage in rows:
            blocks = stage[1:].reshape(4, 2, 3)
            sums = [stage[0, depth] + blocks[: depth + 2].max(-1).sum() for depth in range(3)]
            depth = int(np.argmax(sums))
            made = blocks.argmax(-1)
            made[depth + 2 :] = -1
            code += [depth, *made.ravel().tolist()]
        return tuple(code)


def _least_squares(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
    """Return ridge weights and the mean that they are added to."""
    mean = float(y.mean())
    return np.linalg.solve(x.T @ x + _RIDGE * np.eye(x.shape[1]), x.T @ (y - mean)), mean
