"""The command of `configs/darts_rnn.yaml` on the text that is here: search, cell, retraining, perplexity, network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from data_files import data_file

import naslib
from naslib.cli.command import main

WORDS, BPTT = 200, 10


@pytest.mark.slow
def test_the_command_searches_and_retrains_a_recurrent_cell(tmp_path: Path) -> None:
    text = data_file("wikitext2/test.txt.xz")
    if not text.is_file():
        pytest.skip(f"no WikiText-2: {text}")
    data = f"{{vocabulary_size: {WORDS}, train_tokens: 4000, bptt: {BPTT}, goes_on: true, varies: true}}"
    status = main(
        [
            *("--config", "darts_rnn.yaml", f"data={text.parent.parent}", f"out_dir={tmp_path}"),
            *(f"dataset_args={data}", "search_space_args={hidden: 8, nodes: 3}", "search.epochs=1"),
            *("search.batch_size=16", "evaluation.epochs=4", "evaluation.averaging=1"),
            *("evaluation.network_args={hidden: 16}", "evaluation.batch_size=32"),
        ]
    )
    assert status == 0
    (folder,) = [path.parent for path in tmp_path.rglob("summary.json")]
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["score_name"] == "perplexity" and not summary["maximize"]
    assert 1 < summary["score"] < WORDS and summary["test_scores"]["perplexity"] == summary["score"]
    assert len(summary["genotype"]["recurrent"]) == 3 and summary["genotype"]["concat"] == [1, 2, 3]
    # the words twice would be 200 x 16 more
    assert summary["params_millions"] == pytest.approx((WORDS * 16 + WORDS + 4 * 16**2 + 3 * 2 * 16**2) / 1e6)
    assert all((folder / f"recurrent_cell.{kind}").is_file() for kind in ("svg", "png"))
    history = json.loads((folder / "eval" / "history.json").read_text())
    assert [sorted(row) for row in history] == [sorted(history[0])] * 4
    assert {"train_perplexity", "valid_perplexity", "averaged"} <= set(history[0])
    search = json.loads((folder / "errors.json").read_text())
    assert len(search["valid_perplexity"]) == 1 and search["train_acc"] == [None]
    network = naslib.load_network(folder)
    predicted = network.predict(torch.randint(WORDS, (2, BPTT)))
    assert predicted.shape == (2, BPTT) and int(predicted.max()) < WORDS
