"""`get_dataset_api` as NASLib's scripts call it: its names of spaces, and None where there is nothing to ask."""

from __future__ import annotations

import os

from .base import Benchmark
from .lookup import get_dataset_api as find

# NASLib's names of spaces that are called otherwise here
_NAMES = {
    "darts": "nasbench301",
    "nlp": "nasbench_nlp",
    "asr": "nasbench_asr",
    "transbench101": "transbench101_micro",
    "natsbenchsize": "nats_size",
}
# What NASLib's tests ask for: no benchmark
_NOTHING = "test"


def get_dataset_api(
    search_space: str,
    dataset: str | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    kind: str = "accuracy",
    device: str | None = None,
) -> Benchmark | None:
    """Return the benchmark of a search space; see `naslib.benchmarks.get_dataset_api`.

    Args:
        search_space: Name of the space, also NASLib's name of it; of `"test"` there is no benchmark, which is None.
        dataset: As there.
        data_dir: As there.
        kind: As there.
        device: As there.
    """
    if search_space == _NOTHING:
        return None
    name = _NAMES.get(str(search_space).lower(), search_space)
    return find(name, dataset, data_dir, kind, device)
