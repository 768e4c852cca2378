"""A torchvision ResNet as a search space: `python examples/own_module.py --config darts.yaml search.epochs=2`."""

from torch import nn
from torchvision.models import resnet18

from naslib.choices import LayerChoice
from naslib.defaults.trainer import Trainer
from naslib.optimizers import DARTSOptimizer
from naslib.search_spaces import ModuleSearchSpace
from naslib.utils import get_config_from_args, set_seed


def searched_resnet():
    net = resnet18(num_classes=10)
    net.conv1, net.maxpool = nn.Conv2d(1, 64, 3, padding=1, bias=False), nn.Identity()  # digits: 8x8, one channel
    for block in (*net.layer1, *net.layer2, *net.layer3, *net.layer4):
        width = block.conv2.out_channels
        light = nn.Sequential(nn.Conv2d(width, width, 5, padding=2, groups=width), nn.Conv2d(width, width, 1))
        block.conv2 = LayerChoice({"conv3x3": block.conv2, "separable5x5": light})
    return net


config = get_config_from_args()
config.evaluation.update(cells=None, channels=None)  # darts.yaml sizes another space
set_seed(config.seed)
optimizer = DARTSOptimizer(**config.search)
optimizer.adapt_search_space(ModuleSearchSpace(searched_resnet))
trainer = Trainer(optimizer, config)
trainer.search()
print(optimizer.get_final_architecture().genotype(), f"test accuracy {trainer.evaluate():.2f} %", sep="\n")
