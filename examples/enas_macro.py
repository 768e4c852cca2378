"""ENAS's macro search: a controller chooses operation and skips of every layer, `python examples/enas_macro.py`."""

import sys

from naslib.defaults.trainer import Trainer
from naslib.optimizers import ENASOptimizer
from naslib.search_spaces.nni_zoo import ENASMacroGeneralModel
from naslib.utils import get_config_from_args, set_seed

config = get_config_from_args(sys.argv[1:] or ["--config", "enas_macro.yaml"])
set_seed(config.seed)
sizes = config.search_space_args
space = ENASMacroGeneralModel(sizes["layers"], sizes["channels"], in_channels=1, num_classes=10)
optimizer = ENASOptimizer(**config.search)
optimizer.adapt_search_space(space)
trainer = Trainer(optimizer, config)
trainer.search()
print("operation and skips of each layer:", optimizer.get_final_architecture().arc())
print(f"test accuracy {trainer.evaluate():.2f} %")
