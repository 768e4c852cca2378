"""The data sets of the other tasks: made of embedded digits, of text, of recordings."""

from __future__ import annotations

import logging
import lzma
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage
from scipy.signal import stft

from naslib.data import ImageData, ImageSet, load_data, sequence_data
from naslib.data.loaders import build_eval_loaders, build_search_loaders
from naslib.data.sets.digits import rotated
from naslib.data.sets.spoken_digits import decode_mu_law, log_mel, mel_filters
from naslib.errors import ConfigError, DataError, DatasetMissing
from tests.support.data_files import data_file

RNG = np.random.default_rng(0)


def parts(data: ImageData) -> tuple[ImageSet, ImageSet]:
    assert isinstance(data.train, ImageSet) and isinstance(data.test, ImageSet)
    return data.train, data.test


# digits


def test_a_quarter_turn_is_exact_and_counter_clockwise() -> None:
    images = RNG.random((3, 8, 8))
    for quarters in range(4):
        found = rotated(images, np.full(3, quarters * np.pi / 2), 8)
        np.testing.assert_allclose(found, np.rot90(images, quarters, axes=(1, 2)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("angle", [-1.0, 0.0, 0.3])
@pytest.mark.parametrize("size", [8, 13])
def test_rotation_equals_that_of_scipy(angle: float, size: int) -> None:
    image = RNG.random((8, 8))
    centres = (np.arange(size) + 0.5) * 8 / size - 4
    y, x = np.meshgrid(centres, centres, indexing="ij")
    # where a pixel of the picture comes from: turned back, with y pointing down
    source = np.array([np.sin(angle) * x + np.cos(angle) * y, np.cos(angle) * x - np.sin(angle) * y]) + 3.5
    expected = ndimage.map_coordinates(image, source, order=1, mode="grid-constant")
    np.testing.assert_allclose(rotated(image[None], np.array([angle]), size)[0], expected, rtol=0, atol=1e-12)


def test_digits_by_angle() -> None:
    data, again = load_data("digits_angle"), load_data("digits_angle", seed=5)
    train, test = parts(data)
    assert (len(train), len(test)) == (1438, 359) and data.info.input_shape == (1, 16, 16)
    assert (data.info.task, data.info.output_size, data.info.class_names) == ("regression", 1, ("angle",))
    assert torch.equal(train.images, parts(again)[0].images) and torch.equal(test.labels, parts(again)[1].labels)
    angles = torch.cat([train.labels, test.labels])
    assert angles.abs().max() <= np.pi / 3 and angles.abs().max() > 1.04
    # uniform over 120 degrees
    assert abs(float(angles.std()) - 2 * np.pi / 3 / 12**0.5) < 0.02 and abs(float(angles.mean())) < 0.05
    small = load_data("digits_angle", max_degrees=10, image_size=8)
    assert parts(small)[0].labels.abs().max() <= np.pi / 18 and small.info.image_size == 8
    for bad in ({"max_degrees": 0}, {"max_degrees": 181}, {"image_size": 7}):
        with pytest.raises(ConfigError, match="dataset_args"):
            load_data("digits_angle", **bad)


def test_digits_on_a_canvas() -> None:
    data = load_data("digits_canvas")
    train, test = parts(data)
    assert (len(train), len(test)) == (1438, 359) and data.info.input_shape == (1, 16, 24)
    assert (data.info.task, data.info.output_size) == ("segmentation", 11)
    for part in (train, test):
        # ink is from a quarter of the darkest level on: 4/16 of 255
        assert torch.equal(part.labels > 0, part.images[:, 0] >= 64)
        for half in (part.labels[:, :, :12], part.labels[:, :, 12:]):
            digits = [np.unique(mask[mask > 0]) for mask in half.numpy()]
            assert all(len(found) == 1 for found in digits)
            assert np.bincount([found[0] for found in digits])[1:].min() > 20
    background = float((test.labels == 0).double().mean())
    assert 0.8 < background < 0.9  # what a network that sees nothing scores
    large = load_data("digits_canvas", height=20, width=40)
    assert large.info.image_size == (20, 40)
    with pytest.raises(ConfigError, match="no place for two digits"):
        load_data("digits_canvas", width=15)


def test_no_digit_is_in_both_parts() -> None:
    digits = load_data("digits")
    train, test = parts(load_data("digits_canvas", height=8, width=16))
    plain, held_out = parts(digits)
    known = {image.numpy().tobytes() for image in plain.images[:, 0]}
    both = known & {image.numpy().tobytes() for image in held_out.images[:, 0]}
    assert not both
    for part, wanted in ((train, True), (test, False)):
        for half in (part.images[:, 0, :, :8], part.images[:, 0, :, 8:]):
            assert all((image.contiguous().numpy().tobytes() in known) is wanted for image in half)


# text


def write_text(folder: Path, **texts: str) -> Path:
    folder.mkdir(parents=True)
    for name, text in texts.items():
        (folder / f"{name}.txt.xz").write_bytes(lzma.compress(text.encode()))
    return folder


TRAIN = " \n = Title = \n \n the cat sat on the mat , the <unk> saw it . \n the end \n"
TEST = " \n the dog sat . \n"


def test_words_of_a_small_text(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_text(tmp_path / "wikitext2", valid=TRAIN, test=TEST)
    with caplog.at_level(logging.INFO, "naslib.data"):
        data = load_data("wikitext2", data_dir=tmp_path, bptt=4)
    assert "the validation file is trained on" in caplog.text
    words = data.info.class_names
    sentence = "the cat sat on the mat , the <unk> saw it ."
    expected = [word for line in ("", "= Title =", "", sentence, "the end") for word in (*line.split(), "<eos>")]
    train, test = parts(data)
    assert [words[i] for i in train.images.flatten()] == expected[:20]
    assert [words[i] for i in train.labels.flatten()] == expected[1:21]
    assert [words[i] for i in test.images.flatten()] == ["<eos>", "the", "<unk>", "sat"]
    assert [words[i] for i in test.labels.flatten()] == ["the", "<unk>", "sat", "."]
    assert words[:2] == ("<eos>", "the") and set(words) == set(expected)
    info = data.info
    assert (info.task, info.kind, info.vocabulary, info.output_size) == (
        "language_modelling", "tokens", len(words), len(words),
    )  # fmt: skip
    assert info.input_shape == (4,) and info.input_dtype == torch.int64


def test_a_training_file_comes_first_and_plain_files_are_read(tmp_path: Path) -> None:
    folder = write_text(tmp_path / "wikitext-2", valid="b b b b", test="a b a b a b")
    (folder / "wiki.train.tokens").write_text("a a b a\n")
    data = load_data("wikitext-2", data_dir=tmp_path, bptt=2)
    assert data.info.class_names == ("a", "b", "<eos>", "<unk>")
    assert parts(data)[0].images.tolist() == [[0, 0], [1, 0]]


def test_a_smaller_vocabulary_keeps_the_most_frequent_words(tmp_path: Path) -> None:
    write_text(tmp_path / "wikitext2", valid=TRAIN, test=TEST)
    data = load_data("wikitext2", data_dir=tmp_path, bptt=4, vocabulary_size=4)
    assert data.info.class_names[:2] == ("<eos>", "the") and "<unk>" in data.info.class_names
    assert data.info.vocabulary == 4 and parts(data)[0].images.max() == 3
    some = load_data("wikitext2", data_dir=tmp_path, bptt=4, train_tokens=8)
    assert len(some.train) == 2 and len(some.test) == 1
    for bad in ({"bptt": 0}, {"vocabulary_size": 1}, {"bptt": 5, "train_tokens": 4}):
        with pytest.raises(ConfigError, match="bptt must be at least 1"):
            load_data("wikitext2", data_dir=tmp_path, **bad)
    with pytest.raises(DataError, match="fewer than a window of 30"):
        load_data("wikitext2", data_dir=tmp_path, bptt=30)


def test_text_that_is_not_there_or_damaged(tmp_path: Path) -> None:
    with pytest.raises(DatasetMissing, match=r"data set 'wikitext2' is in none of .*Put wiki\.train\.tokens"):
        load_data("wikitext2", data_dir=tmp_path)
    folder = write_text(tmp_path / "wikitext2", valid=TRAIN, test=TEST)
    (folder / "test.txt.xz").write_bytes(b"\xfd7zXZ nonsense")
    with pytest.raises(DataError, match=r"cannot read .*test\.txt\.xz"):
        load_data("wikitext2", data_dir=tmp_path)


def test_windows_reach_the_loaders_as_tokens_and_next_tokens(tmp_path: Path) -> None:
    text = " ".join(f"w{number}" for number in range(401))
    write_text(tmp_path / "wikitext2", valid=text, test=text)
    data = load_data("wikitext2", data_dir=tmp_path, bptt=10)
    loaders = build_search_loaders(data, batch_size=8, train_portion=0.5, seed=0)
    seen = []
    for loader in (loaders.train, loaders.valid):
        assert loader is not None
        for tokens, following in loader:
            assert tokens.dtype == following.dtype == torch.int64
            words = [[int(data.info.class_names[i][1:]) for i in row] for row in tokens]
            after = [[int(data.info.class_names[i][1:]) for i in row] for row in following]
            assert [[word + 1 for word in row] for row in words] == after
            seen += [row[0] for row in words]
    assert sorted(seen) == list(range(0, 400, 10))


WIKITEXT = data_file("wikitext2/valid.txt.xz")


@pytest.mark.skipif(not WIKITEXT.exists(), reason="WikiText-2 is not there")
def test_real_wikitext2() -> None:
    """The counts are those of the data set's authors: 217,646 and 245,569 words, `<eos>` among them."""
    data = load_data("wikitext2", data_dir=WIKITEXT.parents[1], bptt=1)
    assert (len(data.train) + 1, len(data.test) + 1) == (217_646, 245_569)
    assert data.info.class_names[0] == "the" and data.info.class_names.index("<unk>") < 10


# speech


def write_speech(folder: Path, n: int = 40) -> dict[str, Any]:
    lengths = RNG.integers(500, 8000, n)
    content = {
        "data": RNG.integers(0, 256, lengths.sum(), dtype=np.uint8),
        "offset": np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32),
        "label": (np.arange(n) % 10).astype(np.uint8),
        "speaker": (np.arange(n) % 3).astype(np.uint8),
        "speakers": np.array(["ann", "bob", "cleo"]),
        "index": np.arange(n).astype(np.uint8),
        "is_test": np.arange(n) >= n - 10,
        "rate": np.array(8000),
    }
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "fsdd_mulaw.npz", **content)
    return content


def test_mu_law_is_the_inverse_of_its_compression() -> None:
    samples = decode_mu_law(np.arange(256, dtype=np.uint8)).astype(np.float64)
    assert samples[0] == -1 and samples[255] == 1 and (np.diff(samples) > 0).all()
    compressed = np.sign(samples) * np.log1p(255 * np.abs(samples)) / np.log(256)
    np.testing.assert_allclose((compressed + 1) / 2 * 255, np.arange(256), rtol=0, atol=1e-3)


def test_recordings_as_samples(tmp_path: Path) -> None:
    content = write_speech(tmp_path)
    data = load_data("spoken_digits", data_dir=tmp_path, features="wave", seconds=0.5)
    train, test = parts(data)
    assert (len(train), len(test)) == (30, 10) and data.info.input_shape == (1, 4000)
    waves = torch.cat([train.images, test.images])[:, 0]
    for index in range(40):
        start, stop = content["offset"][index : index + 2]
        wave = decode_mu_law(content["data"][start:stop])[:4000]
        np.testing.assert_array_equal(waves[index, : len(wave)].numpy(), wave)
        assert not waves[index, len(wave) :].any()
    assert torch.cat([train.labels, test.labels]).tolist() == content["label"].tolist()
    x, y = next(iter(build_eval_loaders(data, batch_size=30, seed=0, train_portion=1.0).train))
    assert x.shape == (30, 1, 4000) and y.dtype == torch.int64
    assert abs(float(x.mean())) < 1e-3 and abs(float(x.std(unbiased=False)) - 1) < 1e-3


def test_spectra_equal_those_of_scipy_and_bands_are_triangles_in_mel() -> None:
    waves = RNG.normal(0, 0.1, (2, 1000)).astype(np.float32)
    _, _, spectrum = stft(
        waves, 8000, window="hann", nperseg=200, noverlap=100, boundary=None, padded=False, scaling="psd"
    )
    power = np.abs(spectrum) ** 2 * 8000  # scipy's density is per Hz
    expected = np.log(np.einsum("bf,nft->nbt", mel_filters(8000, 200, 6), power))
    np.testing.assert_allclose(log_mel(waves, 8000, 6), expected, rtol=0, atol=1e-3)
    silent = log_mel(np.zeros((1, 400), np.float32), 8000)
    np.testing.assert_allclose(silent, np.log(1e-6), rtol=1e-6)
    filters = mel_filters(8000, 4000, 5)  # a bin for each 2 Hz
    peaks = filters.argmax(1) * 2
    mel = 2595 * np.log10(1 + peaks / 700)
    np.testing.assert_allclose(np.diff(mel), 2595 * np.log10(1 + 4000 / 700) / 6, rtol=0.01)
    np.testing.assert_allclose(filters.sum(0)[peaks[0] // 2 : peaks[-1] // 2], 1, rtol=0, atol=1e-9)


def test_speakers_of_the_test_part(tmp_path: Path) -> None:
    content = write_speech(tmp_path / "fsdd")
    data = load_data("fsdd", data_dir=tmp_path, test_speakers=["bob"])
    _, test = parts(data)
    assert len(test) == int((content["speaker"] == 1).sum())
    assert test.labels.tolist() == content["label"][content["speaker"] == 1].tolist()
    assert data.info.input_shape == (32, 63) and data.info.kind == "sequence"
    for bad in (["bbo"], [], ["ann", "bob", "cleo"]):
        with pytest.raises(ConfigError, match="test_speakers must be some of ann, bob, cleo"):
            load_data("fsdd", data_dir=tmp_path, test_speakers=bad)
    for arguments in ({"features": "mfcc"}, {"seconds": 0.01}):
        with pytest.raises(ConfigError, match="dataset_args"):
            load_data("fsdd", data_dir=tmp_path, **arguments)


def test_recordings_that_are_not_there_or_damaged(tmp_path: Path) -> None:
    with pytest.raises(DatasetMissing, match=r"data set 'spoken_digits' is in none of .*Put fsdd_mulaw\.npz"):
        load_data("spoken_digits", data_dir=tmp_path)
    content = write_speech(tmp_path)
    np.savez(tmp_path / "fsdd_mulaw.npz", **{**content, "offset": content["offset"][:-1]})
    with pytest.raises(DataError, match="its offsets do not cut the data into 40 recordings"):
        load_data("spoken_digits", data_dir=tmp_path)
    del content["speaker"]
    np.savez(tmp_path / "fsdd_mulaw.npz", **content)
    with pytest.raises(DataError, match="lacks speaker"):
        load_data("spoken_digits", data_dir=tmp_path)
    (tmp_path / "fsdd_mulaw.npz").write_bytes(b"nothing")
    with pytest.raises(DataError, match="cannot read"):
        load_data("spoken_digits", data_dir=tmp_path)


SPEECH = data_file("fsdd_mulaw.npz")


@pytest.mark.skipif(not SPEECH.exists(), reason="the recordings of spoken digits are not there")
def test_real_spoken_digits() -> None:
    data = load_data("spoken_digits", data_dir=SPEECH.parent)
    train, test = parts(data)
    assert torch.bincount(train.labels).tolist() == [270] * 10 and torch.bincount(test.labels).tolist() == [30] * 10
    # loudness is where the voice is: early on, and not in the padding
    loud = train.images.mean((0, 1))
    assert loud[:20].mean() > loud[-10:].mean() + 1


# own sequences


@pytest.mark.parametrize("shape", [(40, 9), (40, 3, 9)])
def test_own_sequences(shape: tuple[int, ...]) -> None:
    x = RNG.normal(3, 2, shape)
    data = sequence_data("own", x, np.arange(40) % 4)
    train, test = parts(data)
    assert (len(train), len(test)) == (32, 8) and data.info.input_shape == (shape[1] if len(shape) == 3 else 1, 9)
    expected = train.images.double().mean((0, 2)).tolist()
    np.testing.assert_allclose(data.info.mean, expected, rtol=1e-6)
    values = sequence_data("own", x, RNG.normal(size=(40, 2)), task="regression")
    assert values.info.output_size == 2 and values.info.kind == "sequence"


def test_own_tokens() -> None:
    data = sequence_data("own", RNG.integers(0, 7, (40, 9)), np.arange(40) % 4, vocabulary=7)
    assert data.info.input_shape == (9,) and data.info.vocabulary == 7 and data.info.output_size == 4
    tokens, _ = next(iter(build_eval_loaders(data, batch_size=8, seed=0).train))
    assert tokens.dtype == torch.int64


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        (np.zeros((40, 2, 3, 4)), {}, r"must be numbers \(n, t\) or \(n, c, t\)"),
        (np.array([["a"] * 3] * 40), {}, "must be numbers"),
        (np.full((40, 3), np.nan), {}, "must be finite"),
        (np.zeros((40, 3)), {"vocabulary": 5}, "must be tokens, integers"),
        (np.full((40, 3), 5), {"vocabulary": 5}, r"must lie in 0\.\.4 \(vocabulary\), found 5\.\.5"),
        (np.zeros((40, 0)), {}, "is empty"),
        (np.zeros((39, 3)), {}, "one label for each of the 39 images"),
        (np.zeros((40, 3)), {"task": "segmentation"}, "task must be one of sequence_classification, regression"),
    ],
)
def test_what_is_no_sequence(x: np.ndarray, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        sequence_data("own", x, np.arange(40) % 4, **options)
