"""The module paths that NASLib's users import from."""

from __future__ import annotations

import importlib
import subprocess
import sys
import warnings
from types import ModuleType

import pytest

from naslib._aliases import ALIASES

PATHS = [
    "naslib.optimizers:DARTSOptimizer",
    "naslib.optimizers:GDASOptimizer",
    "naslib.optimizers:DrNASOptimizer",
    "naslib.optimizers:GSparseOptimizer",
    "naslib.optimizers:OneShotNASOptimizer",
    "naslib.optimizers:RandomNASOptimizer",
    "naslib.optimizers:ProxylessNASOptimizer",
    "naslib.optimizers.oneshot.drnas.optimizer:DrNASOptimizer",
    "naslib.optimizers.oneshot.gsparsity.optimizer:GSparseOptimizer",
    "naslib.optimizers.oneshot.oneshot_train.optimizer:OneShotNASOptimizer",
    "naslib.optimizers.oneshot.rs_ws.optimizer:RandomNASOptimizer",
    "naslib.mixed_operations:MixedOp",
    "naslib.mixed_operations:ContinuousMixedOp",
    "naslib.mixed_operations:BinaryMixedOp",
    "naslib.mixed_operations:BinaryMaskedMixedOp",
    "naslib.mixed_operations:BinaryProxylessNASStyleMixedOp",
    "naslib.mixed_operations:BinaryMovingAverageMixedOp",
    "naslib.mixed_operations:ArchitectureSearchModel",
    "naslib.optimizers:RandomSearch",
    "naslib.optimizers:RegularizedEvolution",
    "naslib.optimizers.oneshot.darts.optimizer:DARTSOptimizer",
    "naslib.optimizers.oneshot.gdas.optimizer:GDASOptimizer",
    "naslib.optimizers.discrete.rs.optimizer:RandomSearch",
    "naslib.optimizers.discrete.re.optimizer:RegularizedEvolution",
    "naslib.optimizers.core.metaclasses:MetaOptimizer",
    "naslib.search_spaces:SimpleCellSearchSpace",
    "naslib.search_spaces:NasBench201SearchSpace",
    "naslib.search_spaces:NasBench301SearchSpace",
    "naslib.search_spaces:get_search_space",
    "naslib.search_spaces.core:Graph",
    "naslib.search_spaces.core:Metric",
    "naslib.search_spaces.core.graph:Graph",
    "naslib.search_spaces.core.graph:EdgeData",
    "naslib.search_spaces.core.query_metrics:Metric",
    "naslib.search_spaces.core.primitives:MixedOp",
    "naslib.search_spaces.simple_cell.graph:SimpleCellSearchSpace",
    "naslib.search_spaces.nasbench101.graph:NasBench101SearchSpace",
    "naslib.search_spaces.nasbench101.conversions:convert_spec_to_tuple",
    "naslib.search_spaces.nasbench101.conversions:convert_tuple_to_spec",
    "naslib.search_spaces.nasbenchasr.graph:NasBenchASRSearchSpace",
    "naslib.search_spaces.nasbenchnlp.graph:NasBenchNLPSearchSpace",
    "naslib.search_spaces.nasbenchnlp.conversions:convert_recipe_to_compact",
    "naslib.search_spaces.transbench101.graph:TransBench101SearchSpaceMicro",
    "naslib.search_spaces.transbench101.graph:TransBench101SearchSpaceMacro",
    "naslib.search_spaces.nasbench201.graph:NasBench201SearchSpace",
    "naslib.search_spaces.nasbench201.conversions:convert_naslib_to_str",
    "naslib.search_spaces.nasbench301.graph:NasBench301SearchSpace",
    "naslib.search_spaces.nasbench301.conversions:Genotype",
    "naslib.defaults.trainer:Trainer",
    "naslib.utils:get_config_from_args",
    "naslib.utils.utils:get_config_from_args",
    "naslib.utils:set_seed",
    "naslib.utils:setup_logger",
    "naslib.utils:log_args",
    "naslib.utils:get_last_checkpoint",
    "naslib.utils:get_train_val_loaders",
    "naslib.utils:get_dataset_api",
    "naslib.utils:accuracy",
    "naslib.utils:count_parameters_in_MB",
    "naslib.utils:AverageMeter",
    "naslib.utils:AttrDict",
    "naslib.utils:compute_scores",
    "naslib.utils:parse_args",
    "naslib.utils.pytorch_helper:create_optimizer",
    "naslib.utils.pytorch_helper:create_criterion",
    "naslib.utils.custom_dataset:CustomDataset",
    "naslib.utils.encodings:EncodingType",
    "naslib:load_network",
]


@pytest.mark.parametrize("path", PATHS)
def test_path_resolves(path: str):
    module, name = path.split(":")
    found = getattr(importlib.import_module(module), name)
    assert callable(found) or isinstance(found, type)


def test_every_alias_leads_to_its_module():
    assert len(ALIASES) >= 70
    for old, new in ALIASES.items():
        target = importlib.import_module(new)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            alias = importlib.import_module(old)
        names = [n for n, item in vars(target).items() if not n.startswith("_") and not isinstance(item, ModuleType)]
        assert names
        assert all(getattr(alias, name) is getattr(target, name) for name in names), old


def test_a_moved_module_names_its_new_place():
    found = subprocess.run(
        [sys.executable, "-W", "error", "-c", "import naslib.optimizers.oneshot.base"], capture_output=True, text=True
    )
    assert "FutureWarning: naslib.optimizers.oneshot.base has moved to naslib.optimizers.oneshot.supernet.base" in (
        found.stderr
    )
