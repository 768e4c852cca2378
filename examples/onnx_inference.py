"""An exported network without naslib and without torch: `python examples/onnx_inference.py RUN/export PICTURE...`.

Needs numpy, Pillow and onnxruntime, and the folder that `naslib export` has written. The rules by which a picture
becomes an input are those of `preprocessing.json`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image


def preprocess(path: str, rules: dict[str, Any]) -> np.ndarray:
    """Return a picture of 8 bits a channel as `(1, channels, height, width)`."""
    with Image.open(path) as file:
        picture = file.convert(rules["mode"])
    (width, height), (box_height, box_width), (rows, columns) = picture.size, rules["box"], rules["size"]
    if box_height * width >= box_width * height:  # it covers the box and keeps its proportions
        size = max(box_width, round(width * box_height / height)), box_height
    else:
        size = box_width, max(box_height, round(height * box_width / width))
    if size != picture.size:
        picture = picture.resize(size, Image.Resampling.BILINEAR)
    left, top = (size[0] - columns) // 2, (size[1] - rows) // 2
    pixels = np.asarray(picture.crop((left, top, left + columns, top + rows)), np.float32).reshape(rows, columns, -1)
    multiply, add = (np.array(rules[key], np.float32)[:, None, None] for key in ("multiply", "add"))
    return pixels.transpose(2, 0, 1)[None] * np.float32(rules["of_bytes"]) * multiply + add


def main(folder: Path, pictures: list[str]) -> None:
    """Print the likeliest class of each picture, and its probability."""
    rules = json.loads((folder / "preprocessing.json").read_text(encoding="utf-8"))
    classes = json.loads((folder / "classes.json").read_text(encoding="utf-8"))
    session = onnxruntime.InferenceSession(str(folder / "network.onnx"))
    for picture in pictures:
        logits = session.run(None, {rules["input"]["name"]: preprocess(picture, rules)})[0][0]
        chances = np.exp(logits - logits.max())
        chances /= chances.sum()
        print(f"{picture}: {classes[chances.argmax()]} ({chances.max():.4f})")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
