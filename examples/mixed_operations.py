"""Mixed operations in a model of your own: `python examples/mixed_operations.py`.

Weights learn on one half of the images, the architecture on the other, each with an optimizer of its own.
"""

import torch
from sklearn.datasets import load_digits
from torch import nn

from naslib.mixed_operations import ArchitectureSearchModel, BinaryMaskedMixedOp


class Net(ArchitectureSearchModel, nn.Sequential):
    """Two layers, each to be chosen among several."""


def candidates(c_in: int, c_out: int) -> list[nn.Module]:
    convs = [nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2) for kernel in (1, 3, 5)]
    return [nn.Sequential(conv, nn.BatchNorm2d(c_out), nn.ReLU()) for conv in convs]


torch.manual_seed(1)
first = BinaryMaskedMixedOp(candidates(1, 16), num_eval_samples=2, num_on_samples=1, name="first")
second = BinaryMaskedMixedOp(candidates(16, 32), num_eval_samples=2, num_on_samples=1, name="second")
model = Net(first, nn.MaxPool2d(2), second, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))
weights = torch.optim.SGD(model.trainable_operational_variables, lr=0.1, momentum=0.9)
architecture = torch.optim.Adam(model.trainable_architecture_variables, lr=0.02, betas=(0.0, 0.999))

images, labels = load_digits(return_X_y=True)
images = torch.tensor(images, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16
labels = torch.tensor(labels)
train, valid, test = torch.randperm(len(labels)).tensor_split([700, 1400])

for epoch in range(8):
    for w, v in zip(train[torch.randperm(700)].split(64), valid[torch.randperm(700)].split(64), strict=True):
        architecture.zero_grad()
        nn.functional.cross_entropy(model(images[v]), labels[v]).backward()
        architecture.step()
        weights.zero_grad()  # also of what the line above left there
        with model.fixed_architecture():
            nn.functional.cross_entropy(model(images[w]), labels[w]).backward()
        weights.step()

print(model.architecture_summary())
network = model.discretized().eval()  # the operations that were chosen, with their weights
accuracy = (network(images[test]).argmax(1) == labels[test]).float().mean()
print(f"test accuracy {100 * accuracy:.2f} %")
