"""What is predicted of files by each kind of task, against the same by hand."""

from __future__ import annotations

import itertools
import math
import wave

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from naslib.data import Preprocess
from naslib.data.preprocess_sequences import SequencePreprocess
from naslib.data.sets.spoken_digits import log_mel
from naslib.errors import ConfigError, DataError
from naslib.prediction import Failure, predict_files
from naslib.prediction.forecast import Forecast, InputSource
from naslib.prediction.masks import colours, free_mask
from naslib.prediction.sound import read_wave
from naslib.tasks import (
    Classification,
    FewShot,
    LanguageModelling,
    Regression,
    Segmentation,
    SequenceClassification,
    Task,
)
from naslib.tasks.score import Score
from naslib.training.export import TrainedNetwork

PICTURE = np.arange(0, 240, 4, dtype=np.uint8)[:48].reshape(6, 8)


def trained(network, task, names=None, preprocess=None):
    torch.manual_seed(0)
    for value in network.parameters():
        nn.init.normal_(value)
    return TrainedNetwork(network, preprocess, names, task)


def grey(height=6, width=8):
    return Preprocess(mean=[0.5], std=[0.25], in_channels=1, image_size=(height, width))


class Mean(nn.Module):
    """A linear function of the mean of each input."""

    def __init__(self, outputs):
        super().__init__()
        self.head = nn.Linear(1, outputs)

    def forward(self, x):
        return self.head(x.flatten(1).float().mean(dim=1, keepdim=True))


def by_hand(network, x):
    with torch.no_grad():
        return network.network(x)


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(PICTURE).save(path)
    return path


def test_values_with_their_unit(picture):
    network = trained(Mean(2), Regression(unit="mm"), ["width", "height"], grey())
    (row,) = predict_files(network, [picture])
    expected = by_hand(network, network.preprocess(PICTURE))[0].tolist()
    assert row == {
        "input": str(picture), "index": None, "unit": "mm",
        "values": {"width": expected[0], "height": expected[1]},
    }  # fmt: skip
    answers = Forecast(network).answers
    assert list(answers.cells(row)) == ["width [mm]", "height [mm]"]
    assert answers.columns(row) == {"width": expected[0], "height": expected[1], "unit": "mm"}
    single = trained(Mean(1), Regression(), ["0"], grey())
    assert list(next(iter(predict_files(single, [picture])))["values"]) == ["value"]
    named = trained(Mean(1), Regression(), ["angle"], grey())
    assert list(next(iter(predict_files(named, [picture])))["values"]) == ["angle"]
    with pytest.raises(DataError, match="Regression predicts numbers that are no classes"):
        network.predict_names(picture)
    with pytest.raises(DataError, match="Regression tells no probabilities of classes: use predict"):
        network.predict_proba(picture)


def test_many_labels(picture):
    network = trained(Mean(3), Classification("BCEWithLogitsLoss"), ["a", "b", "c"], grey())
    (row,) = predict_files(network, [picture])
    logits = by_hand(network, network.preprocess(PICTURE))[0].double()
    expected = (1 / (1 + (-logits).exp())).tolist()
    assert list(row["probabilities"].values()) == pytest.approx(expected, rel=1e-5)
    assert row["labels"] == [name for name, share in zip("abc", expected, strict=True) if share > 0.5]
    network.network.head.bias.data = torch.tensor([9.0, -9.0, 9.0])
    (row,) = predict_files(network, [picture])
    assert row["labels"] == ["a", "c"] and network.predict_names([picture, picture]) == [["a", "c"], ["a", "c"]]
    assert network.predict_proba([picture, picture]).shape == (2, 3)


def test_pixels_and_masks(tmp_path, picture):
    network = trained(nn.Conv2d(1, 3, 1), Segmentation(), ["sky", "sea", "land"], grey())
    out = tmp_path / "masks"
    out.mkdir()
    np.save(tmp_path / "a.npy", np.stack([PICTURE, PICTURE[::-1]])[:, :, :, None])
    rows = list(predict_files(network, [picture, tmp_path / "a.npy"], masks=out, batch_size=2))
    classes = by_hand(network, network.preprocess(PICTURE))[0].argmax(dim=0)
    counts = torch.bincount(classes.flatten(), minlength=3).tolist()
    assert len(set(classes.flatten().tolist())) > 1
    told = {entry["label"]: (entry["class"], entry["pixels"], entry["share"]) for entry in rows[0]["classes"]}
    assert told == {name: (i, counts[i], counts[i] / 48) for i, name in enumerate(("sky", "sea", "land")) if counts[i]}
    assert [entry["pixels"] for entry in rows[0]["classes"]] == sorted(filter(None, counts), reverse=True)
    assert [row["mask"] for row in rows] == [str(out / name) for name in ("a.png", "a_0.png", "a_1.png")]
    for row, expected in zip(rows, (classes, classes, classes.flip(0)), strict=True):
        with Image.open(row["mask"]) as mask:
            assert mask.mode == "P" and np.array_equal(np.asarray(mask), expected.numpy())
            assert mask.getpalette()[:9] == [0, 0, 0, 230, 159, 0, 86, 180, 233]
    assert free_mask(out, "other/a.png", None) == out / "a-2.png"
    assert len(set(colours(256))) == 256
    names = network.predict_names(picture)
    assert names == [[[["sky", "sea", "land"][number] for number in row] for row in classes.tolist()]]
    shares = network.predict_proba(picture)
    assert shares.shape == (1, 3, 6, 8) and torch.allclose(shares.sum(dim=1), torch.ones(1, 6, 8))
    (first,) = predict_files(network, [picture], top=1)
    assert len(first["classes"]) == 1 and first["mask"] is None


def test_a_task_and_loaders_of_ones_own(tmp_path, picture):
    class Halves(Task):
        scores = (Score("wrong", False),)

        def loss(self, outputs, batch):
            return outputs.sum()

        def statistics(self, outputs, batch):
            return 0.0, 1

        def predict(self, outputs):
            return outputs / 2

    network = trained(Mean(2), Halves())
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(0).normal(size=(3, 4, 5)), y=np.zeros(3))
    rows = list(predict_files(network, [tmp_path / "x.npz", picture]))
    expected = by_hand(network, torch.from_numpy(np.load(tmp_path / "x.npz")["x"])) / 2
    assert [row["output"] for row in rows[:3]] == [pytest.approx(row.tolist(), rel=1e-6) for row in expected]
    assert rows[3] == Failure(
        str(picture), "the network reads what the loaders it was trained on yield, in files .npz and .npy"
    )


def test_few_shot_is_refused():
    with pytest.raises(ConfigError, match="sees examples at the same time"):
        Forecast(trained(Mean(4), FewShot(output_size=4)))


# sequences


def write_wave(path, samples, rate, width=2, channels=1):
    levels = np.clip(np.rint(samples * (2 ** (8 * width - 1) - 1)), -(2 ** (8 * width - 1)), None).astype("<i4")
    frames = np.repeat(levels[:, None], channels, axis=1)
    data = (frames + 128).astype("u1") if width == 1 else frames.astype("<i4").view("u1").reshape(-1, 4)[:, :width]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(np.ascontiguousarray(data).tobytes())


@pytest.mark.parametrize(("width", "channels"), [(1, 1), (2, 2), (3, 1), (4, 1)])
def test_samples_of_any_width(tmp_path, width, channels):
    samples = np.sin(np.arange(400) / 9) * 0.8
    write_wave(tmp_path / "a.wav", samples, 8000, width, channels)
    found, rate = read_wave(str(tmp_path / "a.wav"))
    assert rate == 8000 and np.abs(found - samples).max() < 2.0 ** (2 - 8 * width) + 1e-6


def test_recordings(tmp_path):
    time = np.arange(4000) / 8000
    samples = (np.sin(2 * np.pi * 440 * time) * 0.5).astype(np.float32)
    write_wave(tmp_path / "short.wav", samples, 8000)
    write_wave(tmp_path / "fast.wav", np.interp(np.arange(8000) / 16000, time, samples), 16000)
    (tmp_path / "bad.wav").write_bytes(b"RIFF....")
    preprocess = SequencePreprocess(mean=[0.0] * 32, std=[1.0] * 32, in_channels=32)
    network = trained(Mean(4), SequenceClassification(), list("abcd"), preprocess)
    rows = list(predict_files(network, [tmp_path], source=InputSource("spoken_digits", {"seconds": 0.8})))
    assert [row.input if isinstance(row, Failure) else row["input"] for row in rows] == [
        str(tmp_path / name) for name in ("bad.wav", "fast.wav", "short.wav")
    ]
    assert isinstance(rows[0], Failure) and rows[0].reason.startswith("it is no WAV file of uncompressed samples")
    padded = np.zeros((1, 6400), dtype=np.float32)
    padded[0, :4000] = np.rint(samples * 32767) / 32768
    expected = torch.softmax(by_hand(network, torch.from_numpy(log_mel(padded, 8000)))[0], dim=0)
    assert rows[2]["probability"] == pytest.approx(float(expected.max()), rel=1e-4)
    assert rows[1]["probability"] == pytest.approx(rows[2]["probability"], abs=0.02)
    # of another data set it is not known what a recording should become
    (refused,) = predict_files(network, [tmp_path / "short.wav"])
    assert refused.reason == "the network reads sequences, in files .npz and .npy"


def test_sequences_and_tokens_of_files(tmp_path):
    vectors = np.random.default_rng(0).normal(size=(3, 2, 5)).astype(np.float32)
    np.save(tmp_path / "v.npy", vectors)
    np.save(tmp_path / "one.npy", vectors[0])
    preprocess = SequencePreprocess(mean=[0.1, 0.2], std=[2.0, 3.0], in_channels=2)
    network = trained(Mean(3), SequenceClassification(), None, preprocess)
    rows = list(predict_files(network, [tmp_path / "v.npy", tmp_path / "one.npy"], batch_size=2))
    assert [row["index"] for row in rows] == [0, 1, 2, None]
    shares = network.predict_proba(vectors)
    assert [row["probability"] for row in rows] == pytest.approx(
        [*shares.max(dim=1).values.tolist(), float(shares[0].max())], rel=1e-6
    )
    words = SequencePreprocess(mean=[0.0], std=[1.0], in_channels=1, vocabulary=9)
    tokens = trained(Mean(2), SequenceClassification(), ["no", "yes"], words)
    np.save(tmp_path / "t.npy", np.array([[1, 2, 8], [0, 0, 9]]))
    first, second = predict_files(tokens, [tmp_path / "t.npy"])
    assert first["label"] in ("no", "yes")
    assert second == Failure(f"{tmp_path / 't.npy'}[1]", "tokens must lie in 0..8, found 0..9")


# texts

VOCABULARY = ["<unk>", "<eos>", "the", "cat", "sat", "mat"]


class Following(nn.Module):
    """The next word depends on the last one alone; remembers nothing."""

    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.zeros(6, 6))

    def forward(self, tokens):
        return self.table[tokens]


def language_model():
    preprocess = SequencePreprocess(mean=[0.0], std=[1.0], in_channels=1, vocabulary=6)
    return trained(Following(), LanguageModelling(), VOCABULARY, preprocess)


@pytest.mark.parametrize("goes_on", [False, True])
@pytest.mark.parametrize(("window", "batch_size"), [(3, 2), (100, 64), (1, 1)])
def test_perplexity_and_next_words(tmp_path, goes_on, window, batch_size):
    network = language_model()
    path = tmp_path / "text.txt"
    path.write_text("the cat sat\nthe dog sat\nthe")
    source = InputSource("wikitext2", {"goes_on": goes_on}, window)
    (row,) = predict_files(network, [path], source=source, batch_size=batch_size, top=2)
    tokens = [2, 3, 4, 1, 2, 0, 4, 1, 2]
    table = torch.log_softmax(network.network.table.detach().double(), dim=1)
    loss = -sum(float(table[a, b]) for a, b in itertools.pairwise(tokens)) / 8
    assert row["words"] == 9 and row["unknown"] == 1
    assert row["loss"] == pytest.approx(loss, rel=1e-5) and row["perplexity"] == pytest.approx(math.exp(loss), rel=1e-5)
    best = table[2].exp().topk(2)
    assert [entry["word"] for entry in row["next"]] == [VOCABULARY[i] for i in best.indices.tolist()]
    assert [entry["probability"] for entry in row["next"]] == pytest.approx(best.values.tolist(), rel=1e-5)


def test_texts_that_cannot_be_told(tmp_path):
    (tmp_path / "empty.txt").touch()
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\xff")
    (tmp_path / "one.txt").write_text("cat")
    np.save(tmp_path / "tokens.npy", np.array([2, 3, 4]))
    rows = list(predict_files(language_model(), [tmp_path]))
    told = {str(getattr(row, "input", None) or row["input"])[len(str(tmp_path)) + 1 :]: row for row in rows}
    assert told["empty.txt"].reason == "it holds no words" and "cannot be read as text" in told["bytes.txt"].reason
    assert told["one.txt"]["perplexity"] is None and len(told["one.txt"]["next"]) == 1
    assert told["tokens.npy"]["words"] == 3


class Summing(nn.Module):
    """Remembers the sum of all tokens so far."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(6))

    def forward(self, tokens):
        from naslib.utils.passage import held_memory

        memory = held_memory()
        before = memory.before.get("sum", torch.zeros(len(tokens), 1)) if memory is not None else 0.0
        sums = before + tokens.cumsum(dim=1)
        if memory is not None:
            memory.after["sum"] = sums[:, -1:]
        return sums[..., None] * self.weight


def test_a_network_that_remembers_reads_on(tmp_path):
    preprocess = SequencePreprocess(mean=[0.0], std=[1.0], in_channels=1, vocabulary=6)
    network = trained(Summing(), LanguageModelling(), VOCABULARY, preprocess)
    path = tmp_path / "text.txt"
    path.write_text("the cat sat the mat the cat")
    tokens = torch.tensor([2, 3, 4, 2, 5, 2, 3])
    logits = tokens.cumsum(0)[:, None].double() * network.network.weight.detach().double()
    losses = nn.functional.cross_entropy(logits[:-1], tokens[1:], reduction="sum")
    (row,) = predict_files(network, [path], source=InputSource("wikitext2", {"goes_on": True}, 2))
    assert row["loss"] == pytest.approx(float(losses) / 6, rel=1e-5)
    assert row["next"][0]["probability"] == pytest.approx(float(torch.softmax(logits[-1], 0).max()), rel=1e-5)
