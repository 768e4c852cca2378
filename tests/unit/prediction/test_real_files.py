"""Predictions of the files that a test part was made of agree with the score of the test."""

from __future__ import annotations

import json
import lzma
import wave

import numpy as np
import pytest
from data_files import data_file

from naslib.build import build_trainer
from naslib.cli import main
from naslib.data import load_data
from naslib.data.sets.spoken_digits import decode_mu_law
from naslib.training.export import load_network
from naslib.utils import get_config_from_args, set_seed

SPEECH = data_file("fsdd_mulaw.npz")
TEXT = data_file("wikitext2/test.txt.xz")

pytestmark = pytest.mark.slow


def evaluated(folder, config, data, *words):
    """Return a run whose network was given its first weights and tested."""
    given = ["--config", config, f"data={data}", f"out_dir={folder}", "search.epochs=0", "evaluation.epochs=0", *words]
    config = get_config_from_args(given)
    set_seed(config.seed)
    trainer = build_trainer(config)
    trainer.search()
    return trainer.folder, trainer.evaluate()


def predictions(capsys, *words):
    capsys.readouterr()
    assert main(["predict", *map(str, words), "--format", "json"]) == 0
    return json.loads(capsys.readouterr().out)["predictions"]


@pytest.mark.skipif(not TEXT.is_file(), reason=f"no {TEXT.name} of WikiText-2 here")
def test_the_perplexity_of_a_test_file_is_the_score_of_the_test(tmp_path, capsys):
    size = "dataset_args={vocabulary_size: 50}"
    run, score = evaluated(tmp_path, "wikitext2.yaml", TEXT.parent.parent, size, "search_space_args={channels: 8}")
    # the test has whole windows of 35 words only
    lines = lzma.decompress(TEXT.read_bytes()).decode().removesuffix("\n").split("\n")
    words = [word for line in lines for word in (*line.split(), "<eos>")]
    text = tmp_path / "test.txt"
    whole = words[: (len(words) - 1) // 35 * 35 + 1]
    text.write_text(" ".join(whole).replace(" <eos>", "\n"))
    (row,) = predictions(capsys, run, text)
    assert row["words"] == len(whole) > 200_000
    assert row["perplexity"] == pytest.approx(score, rel=1e-5)


@pytest.mark.skipif(not SPEECH.is_file(), reason=f"no {SPEECH.name} here")
def test_recordings_are_what_the_data_set_holds(tmp_path, capsys):
    run, score = evaluated(tmp_path / "run", "spoken_digits.yaml", SPEECH.parent, "search_space_args={channels: 8}")
    data = load_data("spoken_digits", data_dir=SPEECH.parent)
    network = load_network(run)
    shares = network.predict_proba(data.test.images.numpy())
    assert 100 * float((shares.argmax(dim=1) == data.test.labels).double().mean()) == pytest.approx(score)
    content = np.load(SPEECH)
    offset, chosen = content["offset"], np.flatnonzero(content["is_test"])[:20]
    for place, number in enumerate(chosen):
        levels = np.rint(decode_mu_law(content["data"][offset[number] : offset[number + 1]]) * 32767).astype("<i2")
        with wave.open(str(tmp_path / f"{place:02}.wav"), "wb") as file:
            file.setparams((1, 2, int(content["rate"]), 0, "NONE", ""))
            file.writeframes(levels.tobytes())
    rows = predictions(capsys, run, *sorted(tmp_path.glob("*.wav")))
    # samples of 16 bits are a little other than those of the data set
    assert [row["probability"] for row in rows] == pytest.approx(shares.max(dim=1).values[:20].tolist(), abs=5e-3)
