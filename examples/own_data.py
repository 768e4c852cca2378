"""Data of your own in some 20 lines: `python examples/own_data.py --config darts.yaml dataset=shapes`."""

import numpy as np

from naslib.build import build_trainer
from naslib.data import DATASETS, ImageData
from naslib.utils import get_config_from_args, set_seed


@DATASETS.register("shapes")
def load_shapes(data_dir, seed, n_images=600):
    """Return noisy images of squares, crosses and discs."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:16, :16] - 8
    square = np.maximum(abs(rows), abs(columns)) < 5
    cross = np.minimum(abs(rows), abs(columns)) < 2
    disc = rows**2 + columns**2 < 25
    labels = rng.integers(3, size=n_images)
    images = np.stack([square, cross, disc])[labels] * 160 + rng.integers(96, size=(n_images, 16, 16))
    return ImageData.from_arrays(
        "shapes", images.astype(np.uint8)[:, None], labels, class_names=["square", "cross", "disc"]
    )


config = get_config_from_args()
set_seed(config.seed)
trainer = build_trainer(config)  # sizes the space for 3 classes and images of 1x16x16
trainer.search()
print(f"test accuracy {trainer.evaluate():.2f} %")
