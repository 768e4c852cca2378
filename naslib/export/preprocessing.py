"""preprocessing.json: what turns a raw picture, sequence or text into an input, without naslib."""

from __future__ import annotations

from typing import Any

from naslib.data.info import height_and_width
from naslib.data.preprocess import Preprocess
from naslib.data.preprocess_sequences import SequencePreprocess

from .subject import ExportSubject

_BYTE = 255.0

_IMAGE_CODE = """\
import json
from pathlib import Path
import numpy as np
from PIL import Image, ImageOps

P = json.loads(Path("preprocessing.json").read_text(encoding="utf-8"))

def read(path):
    with Image.open(path) as file:
        picture = ImageOps.exif_transpose(file)
    deep = picture.mode[0] in "FI"  # more than 8 bits
    if P["mode"] == "F" and not deep:
        return Image.fromarray(np.asarray(picture.convert("L"), np.float32) * np.float32(P["scale"] / 255))
    if P["mode"] != "F" and deep:
        levels, white = np.asarray(picture), P["deep"] or 255
        assert 0 <= levels.min() and levels.max() <= white and picture.mode != "F", "which level is white?"
        picture = Image.fromarray(np.rint(levels * (255 / white)).astype(np.uint8))
    if picture.mode in ("P", "PA") and "transparency" in picture.info:
        picture = picture.convert("RGBA")
    return picture.convert(P["mode"])

def preprocess(path):
    picture = read(path)
    (width, height), (box_h, box_w), (h, w) = picture.size, P["box"], P["size"]
    if box_h * width >= box_w * height:  # the picture covers the box, and keeps its proportions
        to = max(box_w, round(width * box_h / height)), box_h
    else:
        to = box_w, max(box_h, round(height * box_w / width))
    picture = picture if to == picture.size else picture.resize(to, Image.Resampling.BILINEAR)
    left, top = (to[0] - w) // 2, (to[1] - h) // 2
    pixels = np.asarray(picture.crop((left, top, left + w, top + h)), np.float32).reshape(h, w, -1)
    pixels = pixels * np.float32(P["of_bytes"])
    multiply, add = (np.array(P[key], np.float32)[:, None, None] for key in ("multiply", "add"))
    return pixels.transpose(2, 0, 1)[None] * multiply + add  # (1, c, h, w)
"""

_ARRAY_CODE = '''\
import json
from pathlib import Path
import numpy as np

P = json.loads(Path("preprocessing.json").read_text(encoding="utf-8"))

def preprocess(pixels):
    """Turn (n, c, h, w) numbers as those that were trained on, of the size in P["size"], into inputs."""
    multiply, add = (np.array(P[key], np.float32)[:, None, None] for key in ("multiply", "add"))
    return np.asarray(pixels, np.float32) * multiply + add
'''

_SEQUENCE_CODE = '''\
import json
from pathlib import Path
import numpy as np

P = json.loads(Path("preprocessing.json").read_text(encoding="utf-8"))

def preprocess(values):
    """Turn (n, c, t) numbers into inputs."""
    multiply, add = (np.array(P[key], np.float32)[:, None] for key in ("multiply", "add"))
    return np.asarray(values, np.float32) * multiply + add
'''

_TEXT_CODE = """\
import json
from pathlib import Path
import numpy as np

P = json.loads(Path("preprocessing.json").read_text(encoding="utf-8"))
NUMBERS = {word: number for number, word in enumerate(P["vocabulary"])}

def preprocess(text):
    words = [word for line in text.splitlines() for word in (*line.split(), P["end_of_line"])]
    return np.array([[NUMBERS.get(word, P["unknown"]) for word in words]], np.int64)  # (1, t)
"""

_TOKEN_CODE = '''\
import json
from pathlib import Path
import numpy as np

P = json.loads(Path("preprocessing.json").read_text(encoding="utf-8"))

def preprocess(tokens):
    """Turn (n, t) integers from 0 to P["vocabulary_size"] - 1 into inputs."""
    tokens = np.asarray(tokens, np.int64)
    assert ((0 <= tokens) & (tokens < P["vocabulary_size"])).all()
    return tokens
'''


def describe_preprocessing(subject: ExportSubject) -> dict[str, Any]:
    """Return what is done to a raw input, as plain values: the content of `preprocessing.json`."""
    found = {
        "input": {
            "name": subject.input_name,
            "shape": ["batch", *subject.inputs.shape[1:]],
            "dtype": str(subject.inputs.dtype).removeprefix("torch."),
        },
        "output": {"name": subject.output_name},
    }
    if isinstance(subject.preprocess, Preprocess):
        return found | _of_images(subject.preprocess)
    if isinstance(subject.preprocess, SequencePreprocess):
        return found | _of_sequences(subject.preprocess, subject)
    kind = "unknown"
    return found | {"kind": kind, "note": "the network was trained on loaders of one's own: it takes what these yield"}


def preprocessing_code(content: dict[str, Any]) -> str | None:
    """Return Python that does what `preprocessing.json` says with numpy and Pillow; None where it says nothing.

    Args:
        content: What `describe_preprocessing` returned.
    """
    if content["kind"] == "image":
        return _IMAGE_CODE if content["mode"] is not None else _ARRAY_CODE
    if content["kind"] == "tokens":
        return _TEXT_CODE if "vocabulary" in content else _TOKEN_CODE
    return _SEQUENCE_CODE if content["kind"] == "sequence" else None


def _of_images(preprocess: Preprocess) -> dict[str, Any]:
    height, width = height_and_width(preprocess.image_size)
    box = [max(side, round(side * preprocess.resize / min(height, width))) for side in (height, width)]
    channels = preprocess.in_channels
    is_bytes = preprocess.divisor == _BYTE
    mode = {1: "L" if is_bytes else "F", 3: "RGB"}.get(channels)
    return {
        "kind": "image",
        "mode": mode,
        "channel_order": {1: "grey", 3: "red, green, blue"}.get(channels, "as in the training data"),
        "layout": "NCHW",
        "size": [height, width],
        "box": box,
        "resize_rule": "bilinear with antialiasing, proportions kept, so that the picture just covers the box (height, "
        "width); then the centre of the size (height, width) is cut out",
        "scale": preprocess.divisor,
        "scale_rule": "(pixel / scale - mean) / std per channel, which is pixel * multiply + add in float32; levels of "
        "8 bits are first multiplied by scale / 255",
        "of_bytes": 1.0 if is_bytes or mode == "F" else preprocess.divisor / _BYTE,
        "deep": preprocess.deep,
        "deep_rule": "the level that is white in files of more than 8 bits; 0: not known, and 255 is taken",
        "exif": "the picture is turned as its EXIF orientation says",
        "mean": list(preprocess.mean),
        "std": list(preprocess.std),
        "multiply": preprocess.scale.flatten().tolist(),
        "add": preprocess.shift.flatten().tolist(),
    }


def _of_sequences(preprocess: SequencePreprocess, subject: ExportSubject) -> dict[str, Any]:
    if not preprocess.vocabulary:
        return {
            "kind": "sequence",
            "layout": "NCT",
            "channels": preprocess.in_channels,
            "scale_rule": "(value - mean) / std per channel, which is value * multiply + add in float32",
            "mean": list(preprocess.mean),
            "std": list(preprocess.std),
            "multiply": preprocess.scale.flatten().tolist(),
            "add": preprocess.shift.flatten().tolist(),
        }
    found: dict[str, Any] = {"kind": "tokens", "vocabulary_size": preprocess.vocabulary}
    words = subject.class_names
    if subject.output_name == "logits" and words is not None and _is_text(words, preprocess.vocabulary):
        found |= {"vocabulary": words, "unknown": words.index("<unk>"), "end_of_line": "<eos>"}
        found["rule"] = "words are what white space separates; each line ends with end_of_line"
    return found


def _is_text(words: list[str], vocabulary: int) -> bool:
    return len(words) == vocabulary and "<unk>" in words and "<eos>" in words
