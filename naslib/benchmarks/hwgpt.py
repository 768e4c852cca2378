"""HWGPTBench: perplexity and memory of language models, by the surrogates of HW-GPT-Bench."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from naslib.errors import ArchitectureError, BenchmarkError, did_you_mean
from naslib.search_spaces.core.query_metrics import Metric

from .base import Benchmark, Code, as_metric, check_number
from .opened import opened

Floats = NDArray[np.float64]
PRECISIONS = ("float16", "bfloat16")
_LAYERS = 5
_GROUPS = (Metric.RAW, Metric.ALL)
_METRICS = (Metric.PERPLEXITY, Metric.VAL_LOSS, Metric.MEMORY)


class Scale(NamedTuple):
    """What can be chosen at one scale; every list has three entries.

    Attributes:
        embed: Features of a token.
        depth: Numbers of layers.
        heads: Numbers of heads of a layer.
        mlp_ratio: MLP ratios of a layer.
    """

    embed: tuple[int, ...]
    depth: tuple[int, ...]
    heads: tuple[int, ...]
    mlp_ratio: tuple[int, ...]


class Genes(NamedTuple):
    """Codes, taken apart.

    Attributes:
        embed: `(n,)` indices.
        depth: `(n,)` indices.
        bias: `(n,)` 1 with biases, 0 without.
        heads: `(n, most layers)` indices, -1 behind the last layer.
        mlp_ratio: The same.
    """

    embed: NDArray[np.int64]
    depth: NDArray[np.int64]
    bias: NDArray[np.int64]
    heads: NDArray[np.int64]
    mlp_ratio: NDArray[np.int64]


class HWGPTBench(Benchmark):
    """Answer for every architecture of one scale of `gpt`, from the authors' networks ([Sukthanker2024hwgptbench]).

    Nothing here was measured for the architecture that is asked about: perplexities (validation part of OpenWebText)
    and memory (MB) are predictions of networks that the authors fitted to architectures whose weights came from one
    supernet. `VAL_LOSS` is the logarithm of the perplexity, `MEMORY` that in half precision (`memory` has both kinds).

    Codes are those of the space: embedding, depth, heads of the first layer, bias, its MLP ratio, and then heads and
    MLP ratio of each further layer, -1 for layers that are not there.

    Args:
        path: The file.

    Attributes:
        limits: Smallest and largest perplexity that the authors measured.

    Raises:
        BenchmarkDataMissing: If there is no such file.
        BenchmarkError: If the file has not these networks.
    """

    file_name = "hwgpt_surrogates.npz"
    datasets = ("openwebtext",)
    key: ClassVar[str] = ""
    scale: ClassVar[Scale]

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with opened(self.path, "table of the surrogates of HW-GPT-Bench") as file:
            self._perplexity = _network(file, f"ppl_{self.key}")
            self._memory = {kind: _network(file, f"{kind}_memory_{self.key}") for kind in PRECISIONS}
            ends = (float(file[f"ppl_{self.key}.max_min_stats.{end}"]) for end in ("min", "max"))
            self.limits = next(ends), next(ends)

    def query(
        self, code: Code, metric: Metric, dataset: str | None = None, epoch: int = -1, full_lc: bool = False
    ) -> Any:
        """Return the prediction for one architecture; a dictionary of all of them for RAW and ALL.

        Raises:
            BenchmarkError: If there is none; the message lists what there is.
            ArchitectureError: If `code` is none.
        """
        metric = as_metric(metric)
        if full_lc:
            raise BenchmarkError(f"{self.path.name} has no learning curves (full_lc)")
        if metric in _GROUPS:
            return {m.name: self.query(code, m, dataset, epoch) for m in _METRICS}
        return float(self.query_batch(np.asarray([code]), metric, dataset, epoch)[0])

    def query_batch(self, codes: np.ndarray, metric: Metric, dataset: str | None = None, epoch: int = -1) -> np.ndarray:
        """Return the predictions for many architectures, `(n, length of a code)` ints to `(n,)`.

        Raises:
            BenchmarkError: If there are none; the message lists what there is.
            ArchitectureError: If a code is none.
        """
        check_number(as_metric(metric))
        metric = self._checked(metric, dataset, epoch)
        if not len(codes):
            return np.zeros(0)
        genes = self.genes(codes)
        if metric is Metric.MEMORY:
            return _run(self._memory["float16"], self._features(genes))
        found = _run(self._perplexity, self._one_hot(genes))
        return np.log(found) if metric is Metric.VAL_LOSS else found

    def memory(self, codes: np.ndarray, precision: str = "float16") -> np.ndarray:
        """Return the predicted memory in MB, `(n, length of a code)` ints to `(n,)`.

        Args:
            codes: The architectures.
            precision: `"float16"` or `"bfloat16"`.

        Raises:
            BenchmarkError: For another precision.
            ArchitectureError: If a code is none.
        """
        if precision not in PRECISIONS:
            raise BenchmarkError(
                f"memory is that of {' or '.join(PRECISIONS)}, not {precision!r}{did_you_mean(precision, PRECISIONS)}"
            )
        return _run(self._memory[precision], self._features(self.genes(codes)))

    def has(self, metric: Metric, dataset: str | None = None, epoch: int = -1) -> bool:
        """Say whether `query` has an answer for this metric, data set and epoch."""
        try:
            metric = as_metric(metric)
            return bool(self._checked(Metric.PERPLEXITY if metric in _GROUPS else metric, dataset, epoch))
        except BenchmarkError:
            return False

    def _checked(self, metric: Metric, dataset: str | None, epoch: int) -> Metric:
        metric = as_metric(metric)
        if dataset is not None:
            self.dataset_of(dataset)
        if metric not in _METRICS:
            raise BenchmarkError(
                f"HW-GPT-Bench has no {metric.name}, only {', '.join(m.name for m in _METRICS)}; its surrogates of "
                "latency and energy are not in this file"
            )
        if epoch != -1:
            raise BenchmarkError(
                f"HW-GPT-Bench has one training, and nothing of epoch {epoch}: ask for -1 (of a search, fidelity: -1)"
            )
        return metric

    # codes

    def genes(self, codes: np.ndarray) -> Genes:
        """Take codes apart.

        Args:
            codes: `(n, 3 + 2 * most layers)` ints.

        Raises:
            ArchitectureError: If one is no architecture of this scale.
        """
        most = max(self.scale.depth)
        codes = np.asarray(codes)
        if codes.ndim != 2 or codes.shape[1] != 3 + 2 * most or codes.dtype.kind not in "iu":
            raise ArchitectureError(
                f"codes of {self.name} are (n, {3 + 2 * most}) integers, not {codes.shape} {codes.dtype}: of another "
                "preset, or choices of one's own?"
            )
        codes = codes.astype(np.int64)
        layers = np.concatenate([codes[:, [2, 4]], codes[:, 5:]], axis=1).reshape(len(codes), most, 2)
        found = Genes(codes[:, 0], codes[:, 1], codes[:, 3], layers[..., 0], layers[..., 1])
        three = ((found.embed, 3), (found.depth, 3), (found.bias, 2))
        if any(((genes < 0) | (genes >= n)).any() for genes, n in three):
            raise ArchitectureError(f"a code of {self.name} has an embedding, depth or bias that there is not")
        there = np.arange(most) < np.asarray(self.scale.depth)[found.depth][:, None]
        for genes in (found.heads, found.mlp_ratio):
            if not np.where(there, (genes >= 0) & (genes < 3), genes == -1).all():
                raise ArchitectureError(
                    f"a code of {self.name} has 0, 1 or 2 for heads and MLP ratio of each layer that is there, else -1"
                )
        return found

    def _one_hot(self, genes: Genes) -> Floats:
        three, two = np.eye(3), np.eye(2)
        of_layers = np.vstack([three, np.zeros(3)])  # the last row is that of -1
        n = len(genes.embed)
        layers = (of_layers[part].reshape(n, -1) for part in (genes.mlp_ratio, genes.heads))
        return np.concatenate([three[genes.embed], three[genes.depth], *layers, two[1 - genes.bias]], axis=1)

    def _features(self, genes: Genes) -> Floats:
        scale = self.scale
        columns = [_scaled(scale.embed)[genes.embed][:, None], _scaled(scale.depth)[genes.depth][:, None]]
        for part, values in ((genes.mlp_ratio, scale.mlp_ratio), (genes.heads, scale.heads)):
            columns.append(np.append(_scaled(values), -1.0)[part])
        return np.concatenate([*columns, genes.bias[:, None].astype(np.float64)], axis=1)


class HWGPTBenchS(HWGPTBench):
    """The small scale: 10 to 12 layers, up to 768 features."""

    name, key = "gpt_s", "s"
    scale = Scale((192, 384, 768), (10, 11, 12), (4, 8, 12), (2, 3, 4))


class HWGPTBenchM(HWGPTBench):
    """The medium scale: 22 to 24 layers, up to 1024 features."""

    name, key = "gpt_m", "m"
    scale = Scale((256, 512, 1024), (22, 23, 24), (8, 12, 16), (2, 3, 4))


class HWGPTBenchL(HWGPTBench):
    """The large scale: 34 to 36 layers, up to 1280 features."""

    name, key = "gpt_l", "l"
    scale = Scale((320, 640, 1280), (34, 35, 36), (8, 16, 20), (2, 3, 4))


def _scaled(values: tuple[int, ...]) -> Floats:
    """Return numbers so that the least is 0 and the largest 1."""
    numbers = np.asarray(values, dtype=np.float64)
    return (numbers - numbers.min()) / (numbers.max() - numbers.min())


def _network(file: Any, name: str) -> list[tuple[Floats, Floats]]:
    """Return weight and bias of each linear layer."""
    return [
        (file[f"{name}.fc{i}.weight"].astype(np.float64), file[f"{name}.fc{i}.bias"].astype(np.float64))
        for i in range(1, _LAYERS + 1)
    ]


def _run(network: list[tuple[Floats, Floats]], x: Floats) -> Floats:
    """Return what linear layers with ReLU between them give, `(n, features)` to `(n,)`."""
    for position, (weight, bias) in enumerate(network):
        x = x @ weight.T + bias
        if position < len(network) - 1:
            x = np.maximum(x, 0.0)
    return x[:, 0]
