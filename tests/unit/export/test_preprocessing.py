"""preprocessing.json and the lines of the card that apply it: the same numbers as the network's own preprocessing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from naslib.data import Preprocess
from naslib.data.preprocess_sequences import SequencePreprocess
from naslib.export.preprocessing import describe_preprocessing, preprocessing_code
from naslib.export.subject import subject_of
from naslib.tasks import LanguageModelling
from naslib.training.export import TrainedNetwork

STATISTICS = {1: ([0.31], [0.37]), 3: ([0.49, 0.48, 0.44], [0.25, 0.24, 0.26])}


def _applied(preprocess: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, **more: Any) -> tuple[dict, Any]:
    """Return `preprocessing.json` and the function of the card's lines."""
    inputs = more.pop("inputs")
    trained = TrainedNetwork(nn.Identity(), preprocess, more.pop("names", None), more.pop("task", None))
    content = describe_preprocessing(subject_of(trained, inputs))
    (folder / "preprocessing.json").write_text(json.dumps(content))
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {}
    code = preprocessing_code(content)
    assert code is not None
    exec(code, names)
    return content, names["preprocess"]


def _picture(mode: str, size: tuple[int, int]) -> Image.Image:
    rng = np.random.default_rng(3)
    shape = (size[1], size[0], len(Image.new(mode, (1, 1)).getbands()))
    return Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8).squeeze(), mode if mode != "P" else "L")


@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated")
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(32, 24), (24, 32), (100, 37), (37, 100), (9, 9), (200, 201)])
def test_pictures_become_the_same_inputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, channels: int, size: tuple[int, int]
) -> None:
    mean, std = STATISTICS[channels]
    preprocess = Preprocess(mean=mean, std=std, in_channels=channels, image_size=(24, 32), resize=27)
    inputs = torch.zeros(1, channels, 24, 32)
    content, apply = _applied(preprocess, tmp_path, monkeypatch, inputs=inputs)
    assert content["size"] == [24, 32] and content["box"] == [27, 36]
    assert content["mode"] == {1: "L", 3: "RGB"}[channels] and content["mean"] == mean and content["std"] == std
    for mode in ("L", "RGB", "RGBA", "CMYK"):
        suffix = "tif" if mode == "CMYK" else "png"
        _picture(mode, size).save(tmp_path / f"{mode}.{suffix}")
        found = apply(f"{mode}.{suffix}")
        assert found.dtype == np.float32
        assert torch.equal(torch.from_numpy(found), preprocess(tmp_path / f"{mode}.{suffix}"))


def test_numbers_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    preprocess = Preprocess(mean=[0.5], std=[0.25], in_channels=1, image_size=2)
    content, apply = _applied(preprocess, tmp_path, monkeypatch, inputs=torch.zeros(1, 1, 2, 2))
    Image.fromarray(np.array([[0, 255], [51, 102]], dtype=np.uint8)).save("four.png")
    np.testing.assert_allclose(apply("four.png"), [[[[-2, 2], [-1.2, -0.4]]]], atol=1e-6)
    assert content["input"] == {"name": "images", "shape": ["batch", 1, 2, 2], "dtype": "float32"}
    assert content["output"] == {"name": "logits"} and content["channel_order"] == "grey" and content["scale"] == 255


def test_levels_of_another_scale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    preprocess = Preprocess(mean=[0.5], std=[0.25], in_channels=1, image_size=2, scale=65535)
    content, apply = _applied(preprocess, tmp_path, monkeypatch, inputs=torch.zeros(1, 1, 2, 2))
    Image.fromarray(np.array([[0, 255], [51, 102]], dtype=np.uint8)).save("eight.png")
    assert torch.equal(torch.from_numpy(apply("eight.png")), preprocess("eight.png"))
    Image.fromarray(np.array([[0, 65535], [13107, 26214]], dtype=np.uint16)).save("sixteen.png")
    np.testing.assert_allclose(apply("sixteen.png"), [[[[-2, 2], [-1.2, -0.4]]]], atol=1e-5)
    assert torch.equal(torch.from_numpy(apply("sixteen.png")), preprocess("sixteen.png"))
    assert content["mode"] == "F" and content["of_bytes"] == 1
    for size in ((5, 3), (2, 7)):
        ramp = np.arange(size[0] * size[1], dtype=np.uint16).reshape(size[1], size[0]) * 1000
        Image.fromarray(ramp).save("ramp.png")
        Image.fromarray((ramp // 256).astype(np.uint8)).save("bytes.png")
        for name in ("ramp.png", "bytes.png"):
            assert torch.equal(torch.from_numpy(apply(name)), preprocess(name))


def test_files_of_16_bits_in_a_network_of_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    preprocess = Preprocess(mean=[0.5], std=[0.25], in_channels=1, image_size=2, deep=65535)
    _, apply = _applied(preprocess, tmp_path, monkeypatch, inputs=torch.zeros(1, 1, 2, 2))
    Image.fromarray(np.array([[0, 65535], [13107, 26214]], dtype=np.uint16)).save("sixteen.png")
    np.testing.assert_allclose(apply("sixteen.png"), [[[[-2, 2], [-1.2, -0.4]]]], atol=1e-6)
    assert torch.equal(torch.from_numpy(apply("sixteen.png")), preprocess("sixteen.png"))
    preprocess = Preprocess(mean=[0.5], std=[0.25], in_channels=1, image_size=2)
    _, apply = _applied(preprocess, tmp_path, monkeypatch, inputs=torch.zeros(1, 1, 2, 2))
    with pytest.raises(AssertionError, match="which level is white"):
        apply("sixteen.png")


def test_pictures_that_lie_on_their_side_and_palettes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mean, std = STATISTICS[3]
    preprocess = Preprocess(mean=mean, std=std, in_channels=3, image_size=(6, 8))
    _, apply = _applied(preprocess, tmp_path, monkeypatch, inputs=torch.zeros(1, 3, 6, 8))
    picture = _picture("RGB", (9, 13))
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save("turned.png", exif=exif)
    picture.save("upright.png")
    picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=16).save("palette.png", transparency=3)
    for name in ("turned.png", "upright.png", "palette.png"):
        assert torch.equal(torch.from_numpy(apply(name)), preprocess(name))
    assert not np.array_equal(apply("turned.png"), apply("upright.png"))


def test_arrays_of_many_channels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    preprocess = Preprocess(mean=[0.1, 0.2], std=[0.5, 0.25], in_channels=2, image_size=3, scale=1)
    content, apply = _applied(preprocess, tmp_path, monkeypatch, inputs=torch.zeros(1, 2, 3, 3))
    pixels = np.random.default_rng(0).random((4, 2, 3, 3), dtype=np.float32)
    assert content["mode"] is None
    assert torch.equal(torch.from_numpy(apply(pixels)), preprocess(pixels))


def test_sequences_and_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signals = SequencePreprocess(mean=[0.1, 0.2], std=[0.5, 0.25], in_channels=2)
    content, apply = _applied(signals, tmp_path, monkeypatch, inputs=torch.zeros(1, 2, 5))
    values = np.random.default_rng(0).random((4, 2, 5), dtype=np.float32)
    assert content["kind"] == "sequence" and content["input"]["name"] == "sequences"
    assert torch.equal(torch.from_numpy(apply(values)), signals(values))

    words = ["<unk>", "<eos>", "the", "cat"]
    tokens = SequencePreprocess(mean=[0], std=[1], in_channels=1, vocabulary=4)
    inputs = torch.zeros(1, 5, dtype=torch.int64)
    given = {"inputs": inputs, "names": words, "task": LanguageModelling(output_size=4)}
    content, apply = _applied(tokens, tmp_path, monkeypatch, **given)
    assert content["vocabulary"] == words and content["input"] == {
        "name": "tokens", "shape": ["batch", 5], "dtype": "int64"
    }  # fmt: skip
    assert apply("the cat\nsat the").tolist() == [[2, 3, 1, 0, 2, 1]]
    assert torch.equal(torch.from_numpy(apply("the cat")), tokens(np.array([2, 3, 1])))

    content, apply = _applied(tokens, tmp_path, monkeypatch, inputs=inputs)
    assert "vocabulary" not in content and content["vocabulary_size"] == 4
    assert apply([[1, 3]]).tolist() == [[1, 3]]
    with pytest.raises(AssertionError):
        apply([[4]])
