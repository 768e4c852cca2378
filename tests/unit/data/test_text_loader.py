"""Batches of a text that go on where the batch before ended."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from naslib.data.image_data import ImageData, ImageSet
from naslib.data.loaders import build_eval_loaders, build_search_loaders
from naslib.data.sequences import sequence_info
from naslib.data.text_loader import TextLoader
from naslib.errors import ConfigError, DataError
from naslib.utils.passage import Passage

BPTT = 10


def text(windows: int, bptt: int = BPTT, varies: bool = False, goes_on: bool = True) -> ImageData:
    """A text of the numbers 0, 1, 2 ... in its training part, so that places can be read off."""
    tokens = torch.arange(windows * bptt + 1)
    part = ImageSet(tokens[:-1].view(windows, bptt), tokens[1:].view(windows, bptt))
    names = [str(number) for number in range(len(tokens))]
    info = sequence_info("count", part.images, names, "language_modelling", len(tokens))
    return ImageData(dataclasses.replace(info, goes_on=goes_on, varies=varies), part, part)


def loader(windows: int = 23, batch_size: int = 4, **kwargs: object) -> TextLoader:
    data = text(windows, **kwargs)
    return build_eval_loaders(data, batch_size=batch_size, seed=1).train


def rows(batches: list[Passage]) -> Tensor:
    return torch.cat([batch[0] for batch in batches], 1)


@pytest.mark.parametrize("varies", [False, True])
def test_each_row_is_a_text_of_its_own(varies: bool) -> None:
    found = list(loader(varies=varies).batches(0))
    assert len(found) == 23 // 4 == len(loader())
    length = 5 * BPTT
    expected = torch.arange(4 * length).view(4, length)
    assert torch.equal(rows(found), expected)  # three windows are left out
    for tokens, following in found:
        assert torch.equal(following, tokens + 1)
    assert all(batch.goes_on for batch in found)
    assert [batch.share for batch in found] == [batch[0].shape[1] / BPTT for batch in found]


def test_lengths_are_drawn_around_the_usual_one_and_seldom_its_half() -> None:
    varied = loader(2000, 2, varies=True)
    lengths = [np.array(varied.lengths(epoch)) for epoch in range(20)]
    assert all(found.sum() == 1000 * BPTT and len(found) == 1000 for found in lengths)
    drawn = np.concatenate(lengths)
    assert drawn.std() == pytest.approx(4.6, abs=0.5)  # 5, cut off at 5 words below
    assert drawn.min() >= 4 and drawn.max() <= BPTT + 20 + 1  # scaled to the length of the text, and rounded
    assert not np.array_equal(lengths[0], lengths[1])
    assert np.array_equal(lengths[0], loader(2000, 2, varies=True).lengths(0))


def test_an_epoch_can_be_taken_up_anywhere() -> None:
    whole = list(loader(varies=True).batches(3))
    for start in range(len(whole) + 1):
        rest = list(loader(varies=True).batches(3, start))
        assert len(rest) == len(whole) - start
        for a, b in zip(whole[start:], rest, strict=True):
            assert torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) and a.share == b.share


def test_a_search_trains_on_the_first_part_of_the_text_in_windows_of_one_length() -> None:
    loaders = build_search_loaders(text(20, varies=True), batch_size=2, train_portion=0.5, seed=1)
    assert isinstance(loaders.train, TextLoader) and isinstance(loaders.valid, TextLoader)
    train, valid = list(loaders.train.batches(0)), list(loaders.valid.batches(0))
    assert {batch[0].shape for batch in (*train, *valid)} == {(2, BPTT)}
    assert rows(train).flatten().tolist() == list(range(100))
    assert rows(valid).flatten().tolist() == list(range(100, 200))
    again = build_eval_loaders(text(20, varies=True), batch_size=2, train_portion=0.5, seed=1)
    assert len({batch[0].shape for batch in again.train.batches(0)}) > 1
    assert {batch[0].shape for batch in again.valid.batches(0)} == {(2, BPTT)}
    assert {batch[0].shape for batch in again.test.batches(0)} == {(2, BPTT)}
    assert {batch[0].shape for batch in again.train.as_eval().batches(0)} == {(2, BPTT)}


def test_windows_may_come_from_anywhere_as_before() -> None:
    train = build_eval_loaders(text(20, goes_on=False), batch_size=2, seed=1).train
    assert not isinstance(train, TextLoader)
    assert sorted(rows(list(train.batches(0))).flatten().tolist()) == list(range(200))


def test_what_cannot_be_read_so_is_refused() -> None:
    with pytest.raises(DataError, match="fewer than a batch"):
        loader(3, 4)
    with pytest.raises(DataError, match=r"valid loader .* 2 windows of text, and a batch goes through 4 texts at once"):
        build_search_loaders(text(8), batch_size=4, train_portion=0.75, seed=1)
    with pytest.raises(DataError, match="many lengths"):
        text(4, varies=True, goes_on=False)
    with pytest.raises(DataError, match="only windows of tokens for a language model go on"):
        dataclasses.replace(text(4).info, kind="sequence", vocabulary=0)
    with pytest.raises(ConfigError, match="varies needs goes_on"):
        from naslib.data.sets.wikitext import load_wikitext2

        load_wikitext2(None, 0, varies=True)
