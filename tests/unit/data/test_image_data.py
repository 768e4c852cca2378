"""Own arrays as data sets, and every way in which they can be wrong."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from naslib.data import DATASETS, DatasetInfo, ImageData, ImageSet, is_dataset, load_data
from naslib.data.image_data import channel_statistics
from naslib.errors import ConfigError, DataError, UnknownNameError


def arrays(n: int = 40, shape: tuple[int, ...] = (3, 8, 8), classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (n, *shape), dtype=np.uint8), np.arange(n) % classes


def test_statistics_equal_those_of_the_pixels() -> None:
    x, _ = arrays(50, (3, 9, 9))
    x[:, 1] = 7
    mean, std = channel_statistics(torch.from_numpy(x))
    pixels = x.astype(np.float64) / 255
    np.testing.assert_allclose(mean, pixels.mean((0, 2, 3)), rtol=0, atol=1e-12)
    np.testing.assert_allclose(np.delete(std, 1), np.delete(pixels.std((0, 2, 3)), 1), rtol=0, atol=1e-12)
    assert std[1] == 1 / 255


def test_layouts_and_types_mean_the_same() -> None:
    x, y = arrays()
    reference = ImageData.from_arrays("own", x, y)
    for other in (
        x.transpose(0, 2, 3, 1),
        x.astype(np.int64),
        x / 255.0,
        torch.from_numpy(x),
        (x / 255.0).astype("f4"),
        torch.from_numpy(x / 255.0),
        torch.from_numpy(x.astype(np.uint16)),
    ):
        data = ImageData.from_arrays("own", other, torch.from_numpy(y))
        assert torch.equal(data.train.images, reference.train.images)  # type: ignore[union-attr]
    grey = ImageData.from_arrays("grey", x[:, 0], y)
    assert grey.info.in_channels == 1 and grey.train.images.shape == (32, 1, 8, 8)  # type: ignore[union-attr]


def test_class_names_are_found_or_given() -> None:
    x, y = arrays()
    named = ImageData.from_arrays("own", x, np.array(["d", "a", "c", "b"])[y])
    assert named.info.class_names == ("a", "b", "c", "d") and named.info.num_classes == 4
    given = ImageData.from_arrays("own", x, y, class_names=list("wxyzq"))
    assert given.info.num_classes == 5
    assert ImageData.from_arrays("own", x, y.astype(float)[:, None]).info.class_names == ("0", "1", "2", "3")


def test_description() -> None:
    x, y = arrays(shape=(3, 32, 32))
    info = ImageData.from_arrays("own", x, y).info
    assert (info.crop_padding, info.cutout_max, info.flip, info.image_size) == (4, 16, False, 32)
    assert DatasetInfo.from_dict(info.to_dict()) == info


def test_test_part_is_stratified_and_the_same_in_every_run() -> None:
    x, y = arrays(100)
    one, two = (ImageData.from_arrays("own", x, y) for _ in range(2))
    assert torch.equal(one.test.images, two.test.images)  # type: ignore[union-attr]
    assert torch.bincount(one.test.labels).tolist() == [5, 5, 5, 5]
    other = ImageData.from_arrays("own", x, y, split_seed=1)
    assert not torch.equal(one.test.images, other.test.images)  # type: ignore[union-attr]


X, Y = arrays()


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (X, np.zeros(40, int), "has 1 class"),
        (X[0], Y, "one label for each"),
        (X[:, 0, 0], Y, r"must be \(n, h, w\)"),
        (np.full(X.shape, np.nan), Y, "must be finite"),
        (np.where(X > 5, np.inf, 0), Y, "must be finite"),
        (X.astype(complex), Y, "must hold numbers"),
        (X[:0], Y[:0], "empty"),
        ([[1], [1, 2]], Y, "one entry for each image"),
        (X, Y[:-1], "one label for each of the 40 images"),
        (X, Y - 1, "must not be negative"),
        (X, Y + 0.5, "integers from 0"),
        (X[:2], Y[:2], "leaves 2 for training and 0"),
    ],
)
def test_bad_arrays(x: np.ndarray, y: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        ImageData.from_arrays("own", x, y)


def test_bad_combinations() -> None:
    with pytest.raises(DataError, match="both x_test and y_test"):
        ImageData.from_arrays("own", X, Y, X)
    with pytest.raises(DataError, match=r"0\.\.1 \(2 class names\), found 3"):
        ImageData.from_arrays("own", X, Y, class_names=["a", "b"])
    with pytest.raises(DataError, match="not among the classes"):
        ImageData.from_arrays("own", X, np.array(["a", "b"])[Y % 2], X, np.array(["a", "q"])[Y % 2])
    with pytest.raises(DataError, match=r"test part: images are \(1, 8, 8\)"):
        ImageData.from_arrays("own", X, Y, X[:, :1], Y)
    info = ImageData.from_arrays("own", X, Y).info
    one_class = ImageSet(torch.from_numpy(X), torch.zeros(40, dtype=torch.int64))
    with pytest.raises(DataError, match="all images are of one class"):
        ImageData(info, one_class, one_class)
    with pytest.raises(DataError, match=r"labels must lie in 0\.\.3 .* found 0\.\.9"):
        ImageData(info, ImageSet(torch.from_numpy(X), torch.arange(40) % 10), one_class)
    with pytest.raises(DataError, match="images must be uint8"):
        ImageSet(torch.zeros(2, 3, 8, 8, dtype=torch.float64), torch.zeros(2, dtype=torch.int64))
    with pytest.raises(DataError, match="labels must be int64"):
        ImageSet(torch.from_numpy(X), torch.zeros(3, dtype=torch.int64))


def test_description_lists_all_problems() -> None:
    with pytest.raises(DataError) as caught:
        DatasetInfo("odd", 1, 2, 8, (0.5,), (0.0,), ("a", "b"), scale=0.0)
    for part in ("1 class", "mean and std need 2", "scale must be positive", "std must be positive", "2 class names"):
        assert part in str(caught.value)


def test_unknown_name_and_keyword() -> None:
    with pytest.raises(UnknownNameError, match="unknown data set 'cifer10'; did you mean 'cifar10'"):
        load_data("cifer10")
    with pytest.raises(ConfigError, match="'digits' takes no 'flip'"):
        load_data("digits", flip=True)
    with pytest.raises(ConfigError, match="did you mean 'flip'"):
        load_data("npz", path="x.npz", flipp=True)


def test_own_data_set_by_registration() -> None:
    @DATASETS.register("mine-for-the-test")
    def load_mine(data_dir: object, seed: int, *, n: int = 40) -> ImageData:
        return ImageData.from_arrays("mine", *arrays(n))

    try:
        assert is_dataset("Mine-for-the-test")
        assert len(load_data("MINE-for-the-test", n=80).train) == 64
    finally:
        DATASETS._entries.pop("mine-for-the-test")
    assert not is_dataset("mine-for-the-test")


def test_loader_that_returns_something_else() -> None:
    DATASETS.register("wrong-for-the-test")(lambda data_dir, seed: None)  # type: ignore[arg-type, return-value]
    try:
        with pytest.raises(DataError, match="must return ImageData"):
            load_data("wrong-for-the-test")
    finally:
        DATASETS._entries.pop("wrong-for-the-test")
