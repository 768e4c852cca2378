"""ENAS's micro search: layers of which a controller chooses the wiring, `python examples/enas_micro.py`."""

import sys

from naslib.defaults.trainer import Trainer
from naslib.optimizers import ENASOptimizer
from naslib.search_spaces import ENASMicroSearchSpace
from naslib.utils import get_config_from_args, set_seed

config = get_config_from_args(sys.argv[1:] or ["--config", "enas_micro.yaml"])
set_seed(config.seed)
optimizer = ENASOptimizer(**config.search)
optimizer.adapt_search_space(ENASMicroSearchSpace(n_classes=10, in_channels=1, **config.search_space_args))
trainer = Trainer(optimizer, config)
trainer.search()
print("input and operation of each branch:", optimizer.get_final_architecture().arc())
print(f"test accuracy {trainer.evaluate():.2f} %")
