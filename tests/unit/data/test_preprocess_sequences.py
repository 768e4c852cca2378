"""Sequences become what the evaluation loaders yield."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from naslib.data import ImageSet, sequence_data
from naslib.data.loaders import build_eval_loaders
from naslib.data.preprocess import Preprocess
from naslib.data.preprocess_sequences import SequencePreprocess, preprocess_from_dict, preprocess_of
from naslib.errors import DataError

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("shape", "vocabulary"), [((40, 9), 0), ((40, 3, 9), 0), ((40, 9), 7)])
def test_equal_to_what_the_loaders_yield(shape: tuple[int, ...], vocabulary: int) -> None:
    x = RNG.integers(0, 7, shape) if vocabulary else RNG.normal(3, 2, shape)
    data = sequence_data("own", x[:30], np.arange(30) % 3, x[30:], np.arange(10) % 3, vocabulary=vocabulary)
    made = preprocess_of(data.info)
    again = preprocess_from_dict(json.loads(json.dumps(made.to_dict())))
    assert isinstance(made, SequencePreprocess) and not made.state_dict()
    expected, _ = next(iter(build_eval_loaders(data, batch_size=10, seed=0).test))
    for given in (x[30:], torch.from_numpy(x[30:]), [*x[30:]]):
        for module in (made, again):
            assert module(given).dtype == expected.dtype
            torch.testing.assert_close(module(given), expected, rtol=0, atol=1e-5)
    assert torch.equal(made(x[31]), made(x[31:32]))
    assert len(made([])) == 0 and isinstance(data.test, ImageSet)


def test_images_have_their_own() -> None:
    values = Preprocess(mean=[0.5], std=[0.25], in_channels=1, image_size=(6, 8)).to_dict()
    assert isinstance(preprocess_from_dict(values), Preprocess)


@pytest.mark.parametrize(
    ("vocabulary", "given", "message"),
    [
        (0, np.zeros((2, 4, 5)), r"of 3 channel\(s\), got float64 of shape \(2, 4, 5\)"),
        (0, np.full((3, 5), np.nan), "must be finite"),
        (0, np.array(["a"]), "expected numbers"),
        (7, np.zeros((2, 5)), "expected tokens, integers"),
        (7, np.full((2, 5), 7), r"must lie in 0\.\.6, found 7\.\.7"),
    ],
)
def test_what_is_no_sequence(vocabulary: int, given: np.ndarray, message: str) -> None:
    channels = 1 if vocabulary else 3
    module = SequencePreprocess(
        mean=[0.0] * channels, std=[1.0] * channels, in_channels=channels, vocabulary=vocabulary
    )
    with pytest.raises(DataError, match=message):
        module(given)
