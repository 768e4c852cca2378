"""A folder of images as a stranger has it: odd names, odd kinds of files, one of them damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

# Folder of each class, and the digit that is in it
CLASSES = {"Nullen, groß": 0, "eins & zwei": 1, "deux à deux": 2, "三": 3, "vier.4": 4}
DAMAGED = "eins & zwei/kaputt (1).png"


def write_images(folder: Path, each: int = 150) -> dict[str, Path]:
    """Write digits of scikit-learn as files of several kinds; return a picture of each class that is not in the folder.

    Args:
        folder: Made here.
        each: Images per class at most.
    """
    digits = load_digits()
    new = {}
    for name, digit in CLASSES.items():
        (folder / name).mkdir(parents=True)
        for count, index in enumerate(np.flatnonzero(digits.target == digit)[: each + 1]):
            picture = Image.fromarray((digits.images[index] * (255 / 16)).round().astype(np.uint8))
            if count == each:  # nobody has trained on it
                new[name] = folder.parent / f"neu {digit} ü.png"
                picture.save(new[name])
            elif count % 7 == 3:
                picture.convert("RGB").save(folder / name / f"Bild {count} ü.bmp")
            elif count % 7 == 5:
                picture.save(folder / name / f"{count}.PNG")
            else:
                picture.save(folder / name / f"Bild {count}.png")
    whole = (folder / "eins & zwei" / "Bild 0.png").read_bytes()
    (folder / DAMAGED).write_bytes(whole[: len(whole) // 2])
    (folder / "Nullen, groß" / "Thumbs.db").write_bytes(b"not an image")
    return new
