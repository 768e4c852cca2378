"""A task of your own in some 40 lines: `python examples/own_task.py --config darts.yaml task=ordinal`."""

import torch
from torch.nn import functional as F

from naslib.build import build_trainer
from naslib.tasks import TASKS, Score, Task
from naslib.utils import get_config_from_args, set_seed


@TASKS.register("ordinal")
class Ordinal(Task):
    """Classes in an order, so that a near miss costs less than a far one."""

    EXPECTS = "a pair (images, class numbers)"
    # the first decides: here the search looks for the network with the smallest distance
    scores = (Score("distance", maximize=False, unit="classes"), Score("within_one", maximize=True, unit="%"))

    def __init__(self, distance_weight=0.5):
        super().__init__()
        self.distance_weight = distance_weight  # task_args.distance_weight of a config

    def loss(self, outputs, batch):
        """Return the cross entropy and the expected distance from the right class."""
        labels = batch[1]
        far = (torch.arange(outputs.shape[1], device=outputs.device) - labels[:, None]).abs()
        expected = (outputs.softmax(1) * far).sum(1).mean()
        return F.cross_entropy(outputs, labels) + self.distance_weight * expected

    def statistics(self, outputs, batch):
        """Return one sum per score, and last the number of images."""
        distance = (outputs.argmax(1) - batch[1]).abs()
        return distance.sum(), 100 * (distance <= 1).sum(), len(distance)

    def predict(self, outputs):
        """Return class numbers."""
        return outputs.argmax(1)


config = get_config_from_args()
set_seed(config.seed)
trainer = build_trainer(config)
trainer.search()
print(f"test distance {trainer.evaluate():.3f} classes, {trainer.result.scores['within_one']:.1f} % within one")
