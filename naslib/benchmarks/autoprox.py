"""AutoProxTable: accuracies of vision transformers of the smallest AutoFormer space."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np

from naslib.errors import ArchitectureError, BenchmarkDataMissing, BenchmarkError
from naslib.search_spaces.core.query_metrics import Metric

from .base import Benchmark, Code, as_codes, as_metric, check_number

# data set -> column; `_kd`: trained with a teacher
_COLUMNS = {
    "cifar100": "c100_base_acc",
    "cifar100_kd": "c100_kd_acc",
    "flowers": "flower_base_acc",
    "flowers_kd": "flower_kd_acc",
    "chaoyang": "chaoyang_base_acc",
    "chaoyang_kd": "chaoyang_kd_acc",
    "imagenet_supernet": "imagenet_super_acc",
}
_EMBED, _DEPTH, _HEADS, _RATIO = (192, 216, 240), (12, 13, 14), (3, 4), (3.5, 4.0)


class AutoProxTable(Benchmark):
    """Answer for the 200 architectures of `autoformer`, preset tiny, that the authors of Auto-Prox trained.

    Accuracies are those at the end of a training on CIFAR-100, Oxford flowers and Chaoyang, without and with a teacher
    (`cifar100_kd`), and on ImageNet with the weights of AutoFormer's supernet ([Wei2024autoprox]). No other of the
    space's architectures is known. Codes are those of the space: embedding, depth, heads and MLP ratio of each layer,
    -1 for layers that are not there; an architecture has a number from 0 as well.

    Args:
        path: The file.

    Attributes:
        codes: The architectures, in the order of the file.

    Raises:
        BenchmarkDataMissing: If there is no such file.
        BenchmarkError: If the file is not this table.
    """

    name = "autoformer_tiny"
    file_name = "vit_autoprox.json.gz"
    datasets = tuple(_COLUMNS)
    aliases = {"cifar-100": "cifar100", "flower": "flowers", "flower_kd": "flowers_kd"}

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise BenchmarkDataMissing(f"no table of Auto-Prox at {self.path}")
        try:
            rows = json.loads(gzip.decompress(self.path.read_bytes()))
            self._rows = [row for row in rows if row["space"] == "autoformer"]
            self.codes = [_code_of(row) for row in self._rows]
        except (OSError, EOFError, ValueError, KeyError, TypeError, IndexError) as error:
            raise BenchmarkError(f"{self.path} is not the table of Auto-Prox: {error}") from error
        self._row_of = dict(zip(self.codes, self._rows, strict=True))

    def code_of(self, index: int) -> Code:
        """Return the architecture of a number.

        Raises:
            ArchitectureError: If there is no such number.
        """
        if not 0 <= index < len(self.codes):
            raise ArchitectureError(
                f"architectures of Auto-Prox have the numbers 0..{len(self.codes) - 1}, not {index}"
            )
        return self.codes[index]

    def sample_code(self, random: Any) -> Code:
        """Return one of the architectures that are known.

        Args:
            random: A generator of `random`.
        """
        return self.codes[random.randrange(len(self.codes))]

    def known_codes(self, metric: Metric, dataset: str | None = None, epoch: int = -1) -> list[Code]:
        """Return the architectures that were trained on a data set."""
        name = self._checked(as_metric(metric), dataset, epoch)
        return [code for code, row in self._row_of.items() if row[_COLUMNS[name]] is not None]

    def query(
        self, code: Code, metric: Metric, dataset: str | None = None, epoch: int = -1, full_lc: bool = False
    ) -> Any:
        """Return the test accuracy of one architecture in percent; for RAW, all that the file has of it.

        Raises:
            BenchmarkError: If it is not known; the message says what is.
        """
        metric = as_metric(metric)
        if full_lc:
            raise BenchmarkError(f"{self.path.name} has no learning curves (full_lc)")
        row = self._row_of.get(tuple(code))
        if row is None:
            raise BenchmarkError(
                f"{tuple(code)} is none of the {len(self.codes)} architectures of Auto-Prox: `codes` has all of them, "
                "`sample_code` draws one"
            )
        name = self._checked(metric, dataset, epoch)
        if metric is Metric.RAW:
            return dict(row)
        value = row[_COLUMNS[name]]
        if value is None:
            known = sum(other[_COLUMNS[name]] is not None for other in self._rows)
            raise BenchmarkError(f"this architecture was not trained on {name}; {known} of {len(self.codes)} were")
        return float(value)

    def query_batch(self, codes: np.ndarray, metric: Metric, dataset: str | None = None, epoch: int = -1) -> np.ndarray:
        """Return test accuracies of many architectures, `(n, length of a code)` ints to `(n,)`.

        Raises:
            BenchmarkError: If one is not known.
        """
        check_number(metric := as_metric(metric))
        self._checked(metric, dataset, epoch)
        return np.array([self.query(code, metric, dataset, epoch) for code in as_codes(codes)], dtype=np.float64)

    def has(self, metric: Metric, dataset: str | None = None, epoch: int = -1) -> bool:
        """Say whether `query` has an answer for this metric, data set and epoch, for most architectures."""
        try:
            metric = as_metric(metric)
            return bool(self._checked(metric, dataset, epoch))
        except BenchmarkError:
            return False

    def _checked(self, metric: Metric, dataset: str | None, epoch: int) -> str:
        if metric not in (Metric.TEST_ACCURACY, Metric.RAW):
            raise BenchmarkError(f"Auto-Prox has TEST_ACCURACY, and no {metric.name}")
        if epoch != -1:
            raise BenchmarkError(f"Auto-Prox has the ends of trainings, and nothing of epoch {epoch}: ask for -1")
        return self.dataset_of(self.datasets[0] if dataset is None and metric is Metric.RAW else dataset)


def _code_of(row: dict[str, Any]) -> Code:
    """Return the code of a row."""
    depth = row["depth"]
    if not len(row["num_heads"]) == len(row["mlp_ratio"]) == depth:
        raise ValueError(f"a row of depth {depth} has {len(row['num_heads'])} numbers of heads")
    code = [_EMBED.index(row["hidden_dim"]), _DEPTH.index(depth)]
    for heads, ratio in zip(row["num_heads"], row["mlp_ratio"], strict=True):
        code += [_HEADS.index(heads), _RATIO.index(ratio)]
    return (*code, *[-1] * (2 * (max(_DEPTH) - depth)))
