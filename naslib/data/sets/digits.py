"""scikit-learn's handwritten digits: real data that needs no download."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from naslib.data.image_data import ImageData
from naslib.data.registry import DATASETS


@DATASETS.register("digits")
def load_digits(data_dir: Path | None, seed: int) -> ImageData:
    """Load 1,797 grey 8x8 digits; a fixed stratified 20 % are the test part, whatever the seed of the run.

    Args:
        data_dir: Not needed, the images are in scikit-learn.
        seed: Not used.
    """
    from sklearn.datasets import load_digits as load

    images, labels = load(return_X_y=True)
    # 17 levels, 0..16, to 0..255
    pixels = np.rint(images.reshape(-1, 8, 8) * (255.0 / 16.0)).astype(np.uint8)
    return ImageData.from_arrays("digits", pixels, labels, class_names=[str(digit) for digit in range(10)])
