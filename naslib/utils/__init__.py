"""Resolve NASLib's public helper names lazily (PEP 562).

For users only: nothing inside naslib imports this module, which is exempt from the floors as its rows point upwards.
"""

from __future__ import annotations

import importlib
from typing import Any

_TABLE = {
    "AttrDict": "naslib.utils.attrdict:AttrDict",
    "AverageMeter": "naslib.utils.meters:AverageMeter",
    "accuracy": "naslib.utils.meters:accuracy",
    "compute_scores": "naslib.utils.scores:compute_scores",
    "count_parameters_in_MB": "naslib.utils.meters:count_parameters_in_MB",
    "get_dataset_api": "naslib.benchmarks.naslib_lookup:get_dataset_api",
    "get_last_checkpoint": "naslib.training.checkpoint:get_last_checkpoint",
    "get_logger": "naslib.utils.log:get_logger",
    "get_zc_benchmark_api": "naslib.benchmarks.zero_cost_api:get_zc_benchmark_api",
    "get_project_root": "naslib.utils.files:get_project_root",
    "get_train_val_loaders": "naslib.data.facade:get_train_val_loaders",
    "log_args": "naslib.config.cli:log_args",
    "parse_args": "naslib.config.cli:parse_args",
    "set_seed": "naslib.utils.seeding:set_seed",
    "setup_logger": "naslib.utils.log:setup_logger",
}


def get_config_from_args(args: Any = None, config_type: str = "nas") -> Any:
    """Return the validated config of a command line, and make its run folder.

    Args:
        args: A list of words, or what `parse_args` returned; `sys.argv[1:]` if None.
        config_type: `"nas"`, or another experiment of NASLib: `"bbo-bs"`, `"nas_predictor"`, `"predictor"`, `"zc"`,
            `"statistics"`, `"oneshot"`.

    Returns:
        The config: attribute access, `**config.search`, and `config.save`, whose folders exist.

    Raises:
        ConfigError: If anything in the file or on the command line is wrong; lists all problems.
        RunFolderError: If the folder holds a run that is neither resumed nor evaluated nor moved away.
    """
    from naslib.build import schema_extensions
    from naslib.config import cli

    return cli.get_config_from_args(args, config_type, extensions=schema_extensions())


def __getattr__(name: str) -> Any:
    """Return the public helper called `name`."""
    if name not in _TABLE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _TABLE[name].split(":")
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    """List the names of the module, the lazy ones included."""
    return sorted({*globals(), *_TABLE})
