"""What others measured of the 15,625 cells of NAS-Bench-201: latencies, energies, robustness, proxies."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from naslib.errors import BenchmarkDataMissing, BenchmarkError

from .base import CIFAR_ALIASES
from .figure import Figure
from .figure_table import FigureTable, Sheet
from .nasbench201 import NasBench201Table, codes_of_rows

_N = 15_625
_NO_CURVES: dict[str, NDArray[np.floating]] = {}


class _ByIndex(FigureTable):
    """A table whose rows are official indices; the accuracies' table beside it says which cells they are."""

    name = "nasbench201"
    aliases = CIFAR_ALIASES

    def _cells(self, file: Any = None) -> NDArray[np.int8]:
        """Return the code of every index, `(15625, 6)`: of the file itself where it tells, as converted ones do.

        Raises:
            BenchmarkDataMissing: If the table that tells is not beside this one.
            BenchmarkError: If the table beside it is in another order.
        """
        if file is not None and "ops" in file.files:
            return codes_of_rows(file["ops"], file["op_names"], file["edges"])
        beside = self.path.with_name(NasBench201Table.file_name)
        if not beside.is_file():
            raise BenchmarkDataMissing(
                f"{self.path.name} knows cells by their numbers, and {beside.name}, which tells what these are, is not "
                f"in {beside.parent}: put it there"
            )
        table = NasBench201Table(beside)
        if not table.has_official_rows:
            raise BenchmarkError(
                f"{self.path.name} knows cells by their official numbers, and {beside}, made of NASLib's files, "
                "does not tell these: put one there that was made of the files of NATS-Bench or NAS-Bench-201"
            )
        return np.array([table.code_of(index) for index in range(_N)], dtype=np.int8)


class NasBench201LatencyTable(_ByIndex):
    """Answer with latencies (ms) on 27 devices and batch sizes, measured on CIFAR-10, from `nb201_latency.npz`.

    The figures are named as the devices, with the batch size behind: `titanx_32`, `pixel3`; `on("pixel3")` makes one of
    them `LATENCY`. Measured for HELP ([Lee2021help]).

    Args:
        path: The file; `nb201.npz` lies beside it.
    """

    kind = "latency"
    is_complete = True
    title = "the latencies of NAS-Bench-201"
    datasets = ("cifar10",)
    file_name = "nb201_latency.npz"

    def _read(self, file: Any) -> tuple[tuple[Figure, ...], dict[str, Sheet]]:
        figures = tuple(Figure(str(device), unit="ms") for device in file["devices"])
        values = file["latency_ms"].T
        if values.shape != (_N, len(figures)):
            raise ValueError(f"expected {len(figures)} latencies of {_N} cells")
        return figures, {"cifar10": Sheet(self._cells(), values, _NO_CURVES)}


class HWNASBench201Table(_ByIndex):
    """Answer with latencies (ms) on five devices and energies (mJ) on three ([Li2021hwnas]), on three data sets.

    Figures: `edgegpu_latency`, `edgegpu_energy`, `raspi4_latency`, `edgetpu_latency`, `pixel3_latency`,
    `eyeriss_latency`, `eyeriss_energy`, `eyeriss_arithmetic_intensity`, `fpga_latency`, `fpga_energy`. A cell that an
    edge TPU cannot compile has no latency there. Read from `hw_nas_bench_nb201.npz`.

    Args:
        path: The file; `nb201.npz` lies beside it.
    """

    kind = "energy"
    is_complete = True
    title = "HW-NAS-Bench"
    datasets = ("cifar10", "cifar100", "ImageNet16-120")
    file_name = "hw_nas_bench_nb201.npz"

    def _read(self, file: Any) -> tuple[tuple[Figure, ...], dict[str, Sheet]]:
        units = {"latency": "ms", "energy": "mJ"}
        names = [str(name) for name in file["fields"]]
        figures = tuple(Figure(name, name.endswith("intensity"), units.get(name.split("_")[-1], "")) for name in names)
        cells, sheets = self._cells(file), {}
        for dataset in self.datasets:
            values = file[dataset.replace("-", "_")].astype(np.float64)
            if values.shape != (_N, len(figures)):
                raise ValueError(f"expected {len(figures)} figures of {_N} cells")
            sheets[dataset] = Sheet(cells, np.where(values < 0, np.nan, values), _NO_CURVES)
        return figures, sheets


class NasBench201RobustnessTable(_ByIndex):
    """Answer with accuracies (%) on CIFAR-10 under 32 attacks and strengths ([Jung2023robustness]).

    Figures are named `attack@Linf_eps-strength`, the strength in 1/255: `fgsm@Linf_eps-1.0`, `pgd@Linf_eps-1.0`,
    `aa_apgd-ce@...`, `aa_square@...`. Isomorphic cells share the evaluation of one of them. Read from
    `nb201_robustness_c10.npz`.

    Args:
        path: The file; `nb201.npz` lies beside it.
    """

    kind = "robustness"
    is_complete = True
    title = "the robustness of NAS-Bench-201"
    datasets = ("cifar10",)
    file_name = "nb201_robustness_c10.npz"

    def _read(self, file: Any) -> tuple[tuple[Figure, ...], dict[str, Sheet]]:
        figures = tuple(Figure(str(attack), maximize=True, unit="%") for attack in file["attack"])
        if file["acc_x10"].shape != (_N, len(figures)):
            raise ValueError(f"expected {len(figures)} accuracies of {_N} cells")
        return figures, {"cifar10": Sheet(self._cells(), file["acc_x10"] / 10, _NO_CURVES)}


class NasBench201ProxyTable(_ByIndex):
    """Answer with 13 zero-cost proxies of the 9,445 cells without dead branches, as NASLib computes them.

    Figures: `epe_nas, fisher, flops, grad_norm, grasp, jacov, l2_norm, nwot, params, plain, snip, synflow, zen`
    ([Krishnakumar2022suitezero]). Read from `nb201_proxies_full.npz`.

    Args:
        path: The file; `nb201.npz` lies beside it.
    """

    kind = "proxies"
    title = "the proxies of NAS-Bench-201"
    datasets = ("cifar10", "ImageNet16-120")
    file_name = "nb201_proxies_full.npz"

    def _read(self, file: Any) -> tuple[tuple[Figure, ...], dict[str, Sheet]]:
        cells, keys = self._cells(), [dataset.replace("-", "_") for dataset in self.datasets]
        names = [str(name) for name in file[f"{keys[0]}_proxies"]]
        if any([str(name) for name in file[f"{key}_proxies"]] != names for key in keys):
            raise ValueError("the data sets have different proxies")
        sheets = {
            dataset: Sheet(cells[file[f"{key}_index"]], file[key], _NO_CURVES)
            for dataset, key in zip(self.datasets, keys, strict=True)
        }
        return tuple(Figure(name, maximize=True) for name in names), sheets


class FreeREAProxyTable(_ByIndex):
    """Answer with `log10_synflow`, `logsynflow` and `naswot` of all cells, as FreeREA measured them.

    Read from `nb201_proxies_freerea.npz` ([Cavagnero2023freerea]).

    Args:
        path: The file; `nb201.npz` lies beside it.
    """

    kind = "proxies_freerea"
    is_complete = True
    title = "FreeREA's proxies of NAS-Bench-201"
    datasets = ("cifar10", "cifar100", "ImageNet16-120")
    file_name = "nb201_proxies_freerea.npz"

    def _read(self, file: Any) -> tuple[tuple[Figure, ...], dict[str, Sheet]]:
        names, cells = ("log10_synflow", "logsynflow", "naswot"), self._cells()
        prefixes = dict(zip(self.datasets, ("c10", "c100", "in16"), strict=True))
        sheets = {
            dataset: Sheet(cells, np.stack([file[f"{prefix}_{name}"] for name in names], 1), _NO_CURVES)
            for dataset, prefix in prefixes.items()
        }
        return tuple(Figure(name, maximize=True) for name in names), sheets


class NASLibProxyTable201(_ByIndex):
    """Answer with up to 12 proxies, the seconds they took, and the accuracies of NASLib's 725 cells.

    Figures are the proxies' names (`synflow`), `synflow_seconds`, and `accuracy` (%). Read from `zc_naslib.npz`
    ([Krishnakumar2022suitezero]).

    Args:
        path: The file; `nb201.npz` lies beside it.
    """

    kind = "proxies_naslib"
    title = "NASLib's proxies of NAS-Bench-201"
    datasets = ("cifar10", "cifar100", "ImageNet16-120")
    file_name = "zc_naslib.npz"

    def _read(self, file: Any) -> tuple[tuple[Figure, ...], dict[str, Sheet]]:
        prefixes = dict(zip(self.datasets, ("nb201_c10", "nb201_c100", "nb201_in16"), strict=True))
        if any(f"{prefix}_arch" in file.files for prefix in prefixes.values()):  # as converted ones tell
            return naslib_proxies(file, prefixes, lambda prefix: file[f"{prefix}_arch"].astype(np.int8))
        cells = self._cells()
        return naslib_proxies(file, prefixes, lambda prefix: cells[file[f"{prefix}_index"]])


def naslib_proxies(file: Any, prefixes: dict[str, str], codes: Any) -> tuple[tuple[Figure, ...], dict[str, Sheet]]:
    """Return the figures and sheets of one space in `zc_naslib.npz`.

    Args:
        file: The open file.
        prefixes: How its arrays begin, by data set.
        codes: Function of such a prefix that returns the codes of its rows.
    """
    names = [str(name) for name in file["proxies"]]
    times = [f"{name}_seconds" for name in names]
    figures = (
        *(Figure(name, maximize=True) for name in names),
        *(Figure(name, unit="s") for name in times),
        Figure("accuracy", maximize=True, unit="%"),
    )
    sheets = {}
    there = {dataset: prefix for dataset, prefix in prefixes.items() if f"{prefix}_score" in file.files}
    if not there:
        raise ValueError(f"it has none of {', '.join(f'{prefix}_score' for prefix in prefixes.values())}")
    for dataset, prefix in there.items():
        scores = file[f"{prefix}_score"]
        has_times = f"{prefix}_time" in getattr(file, "files", ())
        seconds = file[f"{prefix}_time"] if has_times else np.full(scores.shape, np.nan)
        values = np.concatenate([scores, seconds, file[f"{prefix}_acc"][:, None]], 1)
        sheets[dataset] = Sheet.averaged(codes(prefix), values, _NO_CURVES)
    return figures, sheets
