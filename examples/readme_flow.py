"""Search, retrain, test, and get the network back: `python examples/readme_flow.py --config darts.yaml`."""

import naslib
from naslib.data import load_data
from naslib.defaults.trainer import Trainer
from naslib.optimizers import DARTSOptimizer
from naslib.search_spaces import NasBench301SearchSpace
from naslib.utils import get_config_from_args, set_seed, setup_logger

config = get_config_from_args()
setup_logger(f"{config.save}/log.log")
set_seed(config.seed)

search_space = NasBench301SearchSpace(n_classes=10, in_channels=1, image_size=8, **config.search_space_args)
optimizer = DARTSOptimizer(**config.search)  # or GDASOptimizer, ...: the space stays the same
optimizer.adapt_search_space(search_space, config.dataset)

trainer = Trainer(optimizer, config)
trainer.search()
accuracy = trainer.evaluate()

network = naslib.load_network(config.save)  # in any later process
images = load_data("digits").test.images[:5]
print(f"test accuracy {accuracy:.2f} %, first predictions {network.predict(images)}")
